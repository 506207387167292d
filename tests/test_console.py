"""Every command works on a console that has no UTF-8: it shows another character in place of some."""

import io
import json
import os
import subprocess
import sys

import pytest

from unspool.cli.app import main


@pytest.fixture
def console(monkeypatch):
    """Run a command on a console with this encoding; exit code and what it printed, decoded."""

    def run(encoding, *words):
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main(list(map(str, words)))
            out.flush()
            err.flush()
        return code, out.buffer.getvalue().decode(encoding), err.buffer.getvalue().decode(encoding)

    return run


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "{names}"),
        ("generate", "{names}", "-i", "country=Greek", "-n", "20", "--seed", "1", "-f", "lines"),
        ("generate", "{names}", "-i", "country=Grönland日"),
        ("evaluate", "--help"),
        ("fit", "{folder}/日.csv", "-i", "日", "-s", "x", "-o", "{folder}/none.unspool"),
    ],
    ids=lambda words: words[0],
)
def test_a_command_ends_as_on_any_console(console, workshop, encoding, words):
    words = [word.format(names=workshop.names, folder=workshop.folder) for word in words]
    expected = console("utf-8", *words)
    code, out, err = console(encoding, *words)
    assert code == expected[0]
    for found, whole in ((out, expected[1]), (err, expected[2])):
        assert len(found.splitlines()) == len(whole.splitlines())
        assert found.replace("?", "")[:40].isascii() or encoding != "ascii"


def test_a_report_replaces_what_the_console_lacks(workshop):
    """The whole program, as a shell without UTF-8 starts it."""
    words = [sys.executable, "-m", "unspool", "evaluate", workshop.names, workshop.folder / "names.csv", "-n", "2"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert done.stderr.isascii()
    assert b"?" in done.stdout


def test_json_of_a_command_can_be_read_on_such_a_console(console, workshop):
    code, out, _ = console("ascii", "inspect", workshop.names, "--json")
    assert code == 0
    assert json.loads(out)["training"]
