"""A generation into a folder: parts that are whole or missing, the same bytes whoever writes them, one job a folder."""

import errno
import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unspool import Beam, load
from unspool.errors import DataError, FileError, OptionError, SchemaError
from unspool.jobs import GenerationOptions
from unspool.sequences import FileForm

INPUTS = {"country": ["Irish", "Greek"] * 20, "id": list(range(40))}


@pytest.fixture(scope="module")
def names(workshop):
    return load(workshop.names)


@pytest.fixture
def folder(tmp_path):
    return f"{tmp_path}/many/"


def contents(folder):
    """Hashes of the parts by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(folder).glob("part-*"))}


def test_the_parts_are_the_one_file_and_a_rerun_writes_only_what_is_missing(names, folder, tmp_path):
    one = tmp_path / "one.parquet"
    assert names.generate_to(folder, INPUTS, n=3, seed=5, per_part=50) == 5
    names.generate_to(one, INPUTS, n=3, seed=5)
    assert pq.read_table(folder).equals(pq.read_table(one))
    whole = contents(folder)
    assert len(whole) == 3
    assert os.path.exists(folder + "_SUCCESS")
    first, second, _ = whole
    os.remove(folder + second)
    os.utime(folder + first, (1, 1))
    assert names.generate_to(folder, INPUTS, n=3, per_part=50) == 5, "without a seed, that of the folder"
    assert contents(folder) == whole
    assert os.path.getmtime(folder + first) == 1, "a part that is there is not written again"


def test_each_part_depends_on_the_job_and_its_number_alone(names, folder, tmp_path):
    """In particular not on the rows before it, which another worker may have had."""
    names.generate_to(folder, INPUTS, n=2, seed=1, per_part=30, prefix=["N"] * 40)
    whole = contents(folder)
    for name in [*whole][::-1]:
        os.remove(folder + name)
    job = names.parts(INPUTS, 2, GenerationOptions(seed=1, prefix=["N"] * 40), folder, FileForm(), 30)
    for part in reversed(job.missing()):
        job.write(part)
    assert contents(folder) == whole


def test_a_folder_of_another_job_or_of_other_files_is_refused(names, folder, tmp_path):
    names.generate_to(folder, INPUTS, seed=1, per_part=50)
    before = contents(folder)
    for given, other in (
        ({"seed": 2}, "seed 1"),
        ({"length": 3}, "options"),
        ({"per_part": 20}, "per_part 50"),
        ({"inputs": {"country": ["Greek"] * 40, "id": list(range(40))}}, "inputs"),
    ):
        with pytest.raises(FileError, match=f"that of this very job, found one with other {other}"):
            names.generate_to(folder, **{"inputs": INPUTS, "seed": 1, "per_part": 50} | given)
    assert contents(folder) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(FileError, match="that of this job, found 'thesis"):
        names.generate_to(f"{tmp_path}/mine/", INPUTS)
    with pytest.raises(DataError, match="format"):
        names.generate_to(f"{tmp_path}/new/", INPUTS, format="xlsx")
    with pytest.raises(OptionError, match="per_part=0"):
        names.generate_to(f"{tmp_path}/new/", INPUTS, per_part=0)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_no_part_that_looks_whole(names, folder, monkeypatch):
    written, sync = [], os.fsync

    def full(handle):
        written.append(handle)
        if len(written) > 8:  # the record of the job, some parts, and their folders
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FileError, match="a full disk"):
            names.generate_to(folder, INPUTS, n=3, seed=5, per_part=20, format="csv")
    some = contents(folder)
    assert 0 < len(some) < 6
    assert not os.path.exists(folder + "_SUCCESS")
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
    names.generate_to(folder, INPUTS, n=3, per_part=20, format="csv")
    assert len(contents(folder)) == 6
    assert some.items() <= contents(folder).items()


def test_inputs_of_a_parquet_folder_are_read_part_by_part(names, folder, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    pq.write_table(pa.table({"country": INPUTS["country"][:25]}), given / "a.parquet", row_group_size=7)
    pq.write_table(pa.table({"country": INPUTS["country"][25:]}), given / "b.parquet")
    names.generate_to(folder, f"{given}/", n=3, seed=5, per_part=50)
    one = tmp_path / "one.parquet"
    names.generate_to(one, {"country": INPUTS["country"]}, n=3, seed=5)
    assert pq.read_table(folder).equals(pq.read_table(one))
    pq.write_table(pa.table({"country": [1, 2]}), given / "c.parquet")
    with pytest.raises(DataError, match=r"c\.parquet has 'country' as int64, not string"):
        names.generate_to(f"{tmp_path}/new/", f"{given}/", seed=5)
    (given / "c.parquet").write_bytes((given / "b.parquet").read_bytes()[:-9])
    with pytest.raises(DataError, match=r"c\.parquet: expected a readable Parquet file"):
        names.generate_to(f"{tmp_path}/new/", f"{given}/", seed=5)
    pq.write_table(pa.table({"town": ["x"]}), tmp_path / "towns.parquet")
    with pytest.raises(SchemaError, match="the columns country, found only town"):
        names.generate_to(f"{tmp_path}/new/", f"{tmp_path}/towns.parquet", seed=5)


def test_drawn_inputs_and_searches_too(names, folder, tmp_path):
    assert names.sample_to(folder, 45, seed=3, per_part=20) == 3
    one = tmp_path / "one.parquet"
    names.sample_to(one, 45, seed=3)
    assert pq.read_table(folder).equals(pq.read_table(one))
    names.generate_to(f"{tmp_path}/beam/", INPUTS, rule=Beam(width=3, best=3), per_part=50)
    assert [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "beam").glob("part-*"))] == [51, 51, 18]


PROGRAM = """
import sys, unspool as us
model, folder = sys.argv[1:]
inputs = {"country": ["Irish", "Greek"] * 300}
us.load(model).generate_to(folder, inputs, n=50, seed=5, per_part=100)
"""


@pytest.mark.slow
def test_no_row_is_lost_or_doubled_at_twenty_random_kills(workshop, names, folder, tmp_path):
    chance, whole = random.Random(0), f"{tmp_path}/whole/"
    names.generate_to(whole, {"country": ["Irish", "Greek"] * 300}, n=50, seed=5, per_part=100)
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, workshop.names, folder])
        before, wanted = len(os.listdir(folder)) if os.path.isdir(folder) else 0, chance.randint(1, 3)
        while process.poll() is None and (not os.path.isdir(folder) or len(os.listdir(folder)) < before + wanted):
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.02))
        process.kill()
        process.wait()
        assert contents(folder).items() <= contents(whole).items()
    assert not os.path.exists(folder + "_SUCCESS")
    subprocess.run([sys.executable, "-c", PROGRAM, workshop.names, folder], check=True)
    assert contents(folder) == contents(whole)
    assert pq.read_table(folder).num_rows == 30_000


def test_a_folder_that_is_a_file_is_refused(names, tmp_path):
    (tmp_path / "many").touch()
    with pytest.raises(FileError, match="a folder for the parts"):
        names.generate_to(f"{tmp_path}/many/", INPUTS, seed=1)
