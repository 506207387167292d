"""Sequences on disk: what is read of them is what the same sequences in memory have."""

import numpy as np
import pytest

from unspool.encoding.encoded import Encoded
from unspool.streaming.cache import Cache, CacheWriter
from unspool.streaming.stored import FlatArray, PaddedRows
from unspool.training.batching import epoch_updates, shuffled, to_buckets


@pytest.fixture
def both(tmp_path):
    """Eleven sequences in memory, and the same on disk in another order."""
    import pyarrow as pa

    rng = np.random.default_rng(0)
    lengths = np.array([3, 0, 5, 2, 7, 1, 1, 4, 2, 6, 3])
    S = int(lengths.sum())
    steps = (rng.integers(0, 9, S).astype(np.int32), rng.normal(size=S), rng.normal(size=(S, 2)))
    slopes = tuple(rng.normal(size=S) for _ in steps)
    inputs = (np.arange(11, dtype=np.int32), rng.normal(size=(11, 3)))
    encoded = Encoded(inputs, steps, np.append(0, np.cumsum(lengths)), slopes)
    with CacheWriter.begin(Cache(tmp_path / "cache"), np.arange(11)) as writer:
        for rows in (np.array([7, 8, 2]), np.array([0, 1, 3, 4, 5, 6]), np.array([9, 10])):
            writer.add(encoded.take(rows), rows)
        stored = writer.finish("request", "codec", pa.table({"x": [1]}))
    return encoded, stored


def test_buckets_from_disk_are_those_from_memory(both):
    encoded, stored = both
    rows = np.array([0, 2, 4, 7, 10])
    for memory, disk in ((encoded, stored), (encoded.take(rows), stored.take(rows))):
        (known,), (asked,) = to_buckets(memory, True)[0], to_buckets(disk, True)[0]
        np.testing.assert_array_equal(asked.lengths, known.lengths)
        groups = epoch_updates([known], [2], [2], 0, None, 1, 0)
        assert asked.steps == known.steps
        assert asked.examples == known.examples
        for group in groups:
            for mine, theirs in zip(asked.take(group.rows), known.take(group.rows), strict=True):
                for a, b in zip(mine, theirs, strict=True) if isinstance(mine, tuple) else [(mine, theirs)]:
                    assert a.dtype == b.dtype
                    np.testing.assert_array_equal(a, b)
        first = np.array([0, 2])
        segments = [bucket.segments(np.array([[1, 0], [3, 2]]), first, 2) for bucket in (known, asked)]
        for a, b in zip(segments[0].values, segments[1].values, strict=True):
            np.testing.assert_array_equal(a, b)
        assert disk.jacobian == pytest.approx(memory.jacobian, rel=1e-12)
        assert disk.distinct == memory.distinct


def test_pages_are_given_back_and_read_again(both, monkeypatch):
    monkeypatch.setattr("unspool.streaming.stored.MAX_RESIDENT", 0)
    _, stored = both
    flat = stored.steps[1]
    once = flat[np.arange(20)]
    assert flat.read == 0  # they were given back
    np.testing.assert_array_equal(flat[np.arange(20)], once)
    np.testing.assert_array_equal(once, np.fromfile(flat.path, np.float32)[:20])


def test_no_steps_at_all_are_an_empty_array(tmp_path):
    (tmp_path / "none").write_bytes(b"")
    rows = PaddedRows(FlatArray(tmp_path / "none", "<f4", (0,)), np.zeros(2, int), np.zeros(2, int), 3)
    assert rows[np.array([0, 1])].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_pass_has_every_row_once_in_blocks_that_lie_together():
    rng = np.random.default_rng(3)
    rows = shuffled(rng, 1000, most=128, block=16)
    assert sorted(rows.tolist()) == list(range(1000))
    for at in range(0, 1000, 128):  # 128 rows of 8 blocks, some of them cut at the borders
        assert len(set((rows[at : at + 128] // 16).tolist())) <= 128 // 16 + 2
    assert shuffled(np.random.default_rng(4), 9).tolist() == np.random.default_rng(4).permutation(9).tolist()
