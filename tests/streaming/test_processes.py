"""Processes that share a cache: each reads and encodes its own blocks, and the cache and weights are those of one."""

import hashlib
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from tests.runtime.test_processes import results, start_all
from tests.streaming.conftest import purchases, request_of, write

from unspool.errors import ClusterError, FileError
from unspool.pipeline import gather_stored
from unspool.runtime import processes
from unspool.runtime.processes import ProcessGroup
from unspool.runtime.stopping import Stop
from unspool.streaming.cache import MANIFEST, Cache, CacheWriter
from unspool.streaming.source import Source
from unspool.tables.parts import find_parts

FIT = """
import hashlib, json, os, signal, sys
import unspool as us
from unspool.network.serialization import weights
from unspool.streaming import blocks, ids
from unspool.streaming.cache import CacheWriter
from unspool.streaming.stored import FlatArray
from unspool.tables import parts

blocks.BLOCK_VALUES, ids.PARTITION_VALUES, blocks.MAX_SAMPLE_VALUES, blocks.MIN_SAMPLE_SEQUENCES = 400, 800, 300, 8
data, cache, dies = sys.argv[1:]
counts = {"rows": 0, "trained": 0, "blocks": 0}
batches, add, join, take = parts.Parts.batches, CacheWriter.add, CacheWriter._join, FlatArray.__getitem__


def counted(self, *args, **options):
    for batch in batches(self, *args, **options):
        counts["rows"] += len(batch)
        yield batch


def added(self, encoded, positions):
    counts["blocks"] += 1
    if dies == os.environ.get("JAX_PROCESS_ID") and counts["blocks"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, encoded, positions)


def joined(self, *args):
    if dies == "0 at the end":
        os.kill(os.getpid(), signal.SIGKILL)
    join(self, *args)


def taken(self, at):
    counts["trained"] += at.size
    return take(self, at)


parts.Parts.batches, CacheWriter.add, CacheWriter._join, FlatArray.__getitem__ = counted, added, joined, taken
training = us.Training(shards=4, batch=32, epochs=2, holdout=0, draw_inputs=False)
sequence = [us.Number("price", distribution="mixture"), "kind", "items"]
model = us.OneToMany("region", sequence, network=us.Network(size=8), training=training, verbose=False)
model.fit(data, id="customer", order="number", cache=cache)
digest = hashlib.sha256(b"".join(array.tobytes() for _, array in sorted(weights(model.net_).items()))).hexdigest()
print(json.dumps([digest, counts]))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Sorted and shuffled parts of 300 customers, of whom single ones have what no other has."""
    table = purchases(300, seed=5).to_pydict()
    steps = len(table["kind"])
    table["kind"][steps // 3], table["kind"][2 * steps // 3], table["kind"][steps - 1] = "rare", "rare", "last"
    table["price"][steps // 2], table["price"][steps // 5], table["price"][steps - 9] = 500.25, -80.5, 400.5
    table["items"][3 * steps // 4] = None
    table = pa.table(table)
    root = tmp_path_factory.mktemp("rare")
    shuffled = table.take(np.random.default_rng(1).permutation(steps))
    return {"sorted": write(table, root / "sorted", 5), "shuffled": write(shuffled, root / "shuffled", 5)}


def files_of(cache):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in cache.iterdir()}


@pytest.fixture
def in_threads(monkeypatch):
    """Runs a function of a group in a thread for each member, which exchange as processes do."""
    compute = Source.blocks.func

    def run(function, count):
        barrier, slots, own = threading.Barrier(count), [None] * count, threading.local()

        def exchange(value):
            slots[own.number] = value
            barrier.wait(20)
            found = list(slots)
            barrier.wait(20)
            return found

        def member(number):
            own.number = number
            return function(ProcessGroup(number, count))

        def blocks(self):  # before Python 3.12, a thread that computes a cached property makes all others wait
            if "blocks" not in self.__dict__:
                self.__dict__["blocks"] = compute(self)
            return self.__dict__["blocks"]

        monkeypatch.setattr(Source, "blocks", property(blocks))
        monkeypatch.setattr(processes, "gather_numbers", lambda values: np.array(exchange([float(v) for v in values])))
        monkeypatch.setattr(processes, "gather_bytes", exchange)
        with ThreadPoolExecutor(count) as pool:
            return [pool.submit(member, number) for number in range(count)]

    return run


def stored(parts, cache, group):
    request = request_of(parts, cache, ["price", "kind", "items"])
    return gather_stored(request, find_parts(parts), Cache(cache, group), Stop())


@pytest.mark.parametrize("kind", ["sorted", "shuffled"])
def test_members_of_a_group_find_and_write_what_one_process_does(folders, tmp_path, small_sample, in_threads, kind):
    alone = stored(folders[kind], tmp_path / "1", ProcessGroup())
    found = [future.result() for future in in_threads(lambda group: stored(folders[kind], tmp_path / "3", group), 3)]
    assert [data.codec for data in found] == [alone.codec] * 3
    assert files_of(tmp_path / "3") == files_of(tmp_path / "1")


def test_an_error_of_one_member_is_said_by_all_and_leaves_no_cache(
    folders, tmp_path, small_sample, in_threads, monkeypatch
):
    add = CacheWriter.add

    def fails(self, *args):
        if self.number == 1:
            raise FileError("disk", "space", "none")
        add(self, *args)

    monkeypatch.setattr(CacheWriter, "add", fails)
    first, second = in_threads(lambda group: stored(folders["sorted"], tmp_path / "cache", group), 2)
    with pytest.raises(FileError, match="expected space"):
        second.result()
    with pytest.raises(
        ClusterError, match=r"process 1 of 2: .* an error \(FileError: disk: expected space, found none"
    ):
        first.result()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_members_do_not_share_is_refused(tmp_path, in_threads):
    for future in in_threads(lambda group: Cache(tmp_path / str(group.number), group), 2):
        with pytest.raises(FileError, match=r"that all 2 processes share, found process 1 without .* Name a folder"):
            future.result()
    assert list(tmp_path.glob("*/*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sorted", "shuffled"])
def test_the_cache_and_the_weights_of_several_processes_are_those_of_one(folders, tmp_path, kind):
    (alone,), _ = results(start_all(FIT, 1, folders[kind], tmp_path / "1", "nobody"))
    for count in (2, 4):
        found, _ = results(start_all(FIT, count, folders[kind], tmp_path / str(count), "nobody"))
        assert [digest for digest, _ in found] == [alone[0]] * count
        assert files_of(tmp_path / str(count)) == files_of(tmp_path / "1")
        for name in ("rows", "trained"):
            shares = [counts[name] / alone[1][name] for _, counts in found]
            assert max(shares) < 1 / count + 0.1, name
            assert sum(shares) == pytest.approx(1), name


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["0", "1", "0 at the end"])
def test_a_process_that_is_killed_while_it_encodes_leaves_no_cache_that_looks_whole(folders, tmp_path, killed):
    cache = tmp_path / "cache"
    processes = start_all(FIT, 2, folders["sorted"], cache, killed)
    errors = [process.communicate(timeout=120)[1] for process in processes]
    other = 1 - int(killed[0])
    assert "LostProcess" in errors[other]
    assert [processes[k].returncode for k in (1 - other, other)] == [-signal.SIGKILL, 1]
    assert not (cache / MANIFEST).exists()
    found, _ = results(start_all(FIT, 2, folders["sorted"], cache, "nobody"))
    alone, _ = results(start_all(FIT, 1, folders["sorted"], tmp_path / "1", "nobody"))
    assert [digest for digest, _ in found] == [alone[0][0]] * 2
    assert files_of(cache) == files_of(tmp_path / "1")


@pytest.mark.slow
def test_a_folder_that_is_not_shared_is_refused_by_all_before_work_starts(folders, tmp_path):
    program = FIT.replace("sys.argv[1:]", "sys.argv[1:]\ncache += os.environ['JAX_PROCESS_ID']")
    for process in start_all(program, 2, folders["sorted"], tmp_path / "cache", "nobody"):
        _, error = process.communicate(timeout=120)
        assert "expected a folder that all 2 processes share, found process 1 without the file" in error
        assert process.returncode not in (0, None)
    assert [path.name for path in tmp_path.glob("*/*")] == []
