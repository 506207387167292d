"""The folder of encoded data: whole or not there, checked when it is used again, and nobody else's."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from unspool.encoding.encoded import Encoded
from unspool.errors import FileError
from unspool.streaming.cache import MANIFEST, Cache, CacheWriter

ENCODED = Encoded((np.arange(2),), (np.arange(5, dtype=np.int32),), np.array([0, 2, 5]), (np.zeros(5),))


def write(folder):
    cache = Cache(folder)
    with CacheWriter.begin(cache, np.arange(2)) as writer:
        writer.add(ENCODED, np.arange(2))
        writer.finish("request", "codec", pa.table({"x": [1]}))
    return cache


def test_a_cache_is_used_again_for_the_same_request_alone(tmp_path):
    cache = write(tmp_path / "cache")
    assert cache.manifest("another") is None
    manifest = Cache(tmp_path / "cache").manifest("request")
    assert manifest.codec == "codec"
    stored = cache.open(manifest)
    assert stored.steps[0][np.arange(5)].tolist() == [0, 1, 2, 3, 4]
    assert stored.lengths.tolist() == [2, 3]


@pytest.mark.parametrize("name", ["step-0.bin", "lengths.bin", "sample.arrow", MANIFEST])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_cache_is_written_anew(tmp_path, name, damage):
    cache = write(tmp_path / "cache")
    path = cache.folder / name
    raw = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(raw[:-1] if damage == "cut" else raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:])
    assert cache.manifest("request") is None


def test_a_folder_with_other_files_is_refused_and_untouched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match=r"'notes\.txt' in it"):
        Cache(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the device of a full disk is Linux's")
def test_a_full_disk_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache")
    monkeypatch.setattr(CacheWriter, "add", lambda *args: Path("/dev/full").write_bytes(b"x"))
    with pytest.raises(FileError, match="full disk"):
        write(cache.folder)
    assert list(cache.folder.iterdir()) == []


def test_a_disk_that_is_too_small_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2_000_000_000))
    with pytest.raises(FileError, match=r"about 4\.0 GB of free space for encoded data, found 2\.0 GB.*cache="):
        Cache(tmp_path / "cache").need(4_000_000_000)
