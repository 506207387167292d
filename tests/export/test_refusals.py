"""What can't be exported is refused by name, and nothing is left half-written."""

import errno
import os
import sys

import jax
import numpy as np
import pytest

import unspool as us
from unspool.cli.app import main
from unspool.errors import FileError, MissingExtra, OptionError
from unspool.export.graph import Graph
from unspool.export.translate import call


@pytest.fixture(scope="module")
def names(workshop):
    return us.load(workshop.names)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rule": "beam"}, "a rule that samples step by step, found Beam"),
        ({"rule": us.Typical()}, "a rule that samples step by step, found Typical"),
        ({"rule": "sampel"}, "one of sample"),
        ({"prefix": "A"}, r"export\(prefix=...\): .* generate\(...\)"),
        ({"length": 0}, "at least one step"),
        ({"length": -1}, "a whole number, at least 0"),
        ({"step": "yes"}, "True or False"),
    ],
)
def test_what_can_not_be_exported_is_refused_by_name(names, tmp_path, options, words):
    with pytest.raises(OptionError, match=words):
        names.export(tmp_path / "m.onnx", **options)
    assert [*tmp_path.iterdir()] == []


def test_an_operation_without_an_operator_is_refused_by_name():
    rows = jax.export.symbolic_shape("b", constraints=["b >= 2"])[0]
    g = Graph(rows)
    x = g.input("x", "float32", (rows,))
    with pytest.raises(OptionError, match="found digamma, which has no operator"):
        call(g, jax.lax.digamma, x)
    with pytest.raises(OptionError, match="found sort: a sort of several arrays"):
        call(g, lambda x: jax.lax.sort((x, x)), x)


def test_a_path_that_can_not_be_written_is_refused_and_an_old_file_stays(names, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"a name that ends in \.onnx"):
        names.export(tmp_path / "m.pt")
    with pytest.raises(FileError, match="a folder that exists"):
        names.export(tmp_path / "none" / "m.onnx")
    tmp_path.joinpath("folder.onnx").mkdir()
    with pytest.raises(FileError, match="a file, found a folder"):
        names.export(tmp_path / "folder.onnx")
    old = tmp_path / "old.onnx"
    old.write_bytes(b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="a full disk"):
        names.export(old)
    assert old.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.onnx", "old.onnx"]


def test_a_model_that_is_too_large_is_refused_and_nothing_is_written(names, tmp_path, monkeypatch):
    monkeypatch.setattr("unspool.export.write.MAX_BYTES", 1000)
    with pytest.raises(OptionError, match="weights and tables of at most 1,000 bytes"):
        names.export(tmp_path / "m.onnx")
    assert [*tmp_path.iterdir()] == []


def test_the_missing_package_is_named_with_its_extra(names, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'unspool\[onnx\]'"):
        names.export(tmp_path / "m.onnx")


def test_the_command_writes_the_bytes_that_python_writes(names, workshop, tmp_path, capsys):
    assert main(["export", str(workshop.names), "-o", str(tmp_path / "a.onnx"), "--greedy", "--length", "3"]) == 0
    names.export(tmp_path / "b.onnx", rule="greedy", length=3)
    assert tmp_path.joinpath("a.onnx").read_bytes() == tmp_path.joinpath("b.onnx").read_bytes()
    assert main(["export", str(workshop.names), "-o", str(tmp_path / "c.onnx"), "--step", "--top-k", "0"]) == 2
    assert "--top-k 0: expected" in capsys.readouterr().err
    assert not tmp_path.joinpath("c.onnx").exists()


def test_a_damaged_model_is_refused_and_no_file_appears(workshop, tmp_path, capsys):
    data = np.frombuffer(workshop.names.read_bytes(), np.uint8)
    for k, damaged in enumerate((data[: len(data) // 2], data[8:], np.append(data[:-4], [255] * 4))):
        path = tmp_path / f"{k}.unspool"
        path.write_bytes(damaged.astype(np.uint8).tobytes())
        assert main(["export", str(path), "-o", str(tmp_path / "m.onnx")]) == 2
        assert capsys.readouterr().err.startswith(f"unspool: {path}: ")
    assert not tmp_path.joinpath("m.onnx").exists()
