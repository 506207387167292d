"""What is delivered beside the server agrees with it."""

import configparser
import re
import shlex
from pathlib import Path

from unspool.cli.app import app

DEPLOY = Path(__file__).parents[2] / "deploy"


def command(words):
    """What the command line makes of the words after `unspool`."""
    return app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_unit_starts_the_server_as_its_command_line_wants():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "unspool.service")
    start = shlex.split(unit["Service"]["ExecStart"])
    assert start[0].endswith("/unspool")
    _, bound, _ = command(start[1:])
    assert bound.arguments["host"] == "127.0.0.1"
    assert unit["Service"]["ExecReload"].startswith("/bin/kill -HUP")
    assert unit["Service"]["DynamicUser"] == "yes"


def test_the_image_runs_the_server_as_nobody_special_and_checks_its_health():
    text = (DEPLOY / "Dockerfile").read_text()
    (entry,) = re.findall(r"^ENTRYPOINT (\[.*\])$", text, re.MULTILINE)
    words = __import__("json").loads(entry)
    _, bound, _ = command([*words[1:], "/models/names.unspool"])
    assert bound.arguments["host"] == "0.0.0.0"
    assert re.search(r"^USER unspool$", text, re.MULTILINE)
    assert "/healthz" in text
    for name in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert all((DEPLOY.parent / part).exists() for part in name.split())
