"""A large request is made part by part, into a file that appears whole or not at all."""

import gc
import weakref

import numpy as np
import pyarrow.parquet as pq
import pytest

from unspool import Beam, jobs, load
from unspool.errors import DataError, FileError
from unspool.jobs import GenerationJob

INPUTS = {"country": ["Irish", "Greek"]}


@pytest.fixture
def names(workshop):
    return load(workshop.names)


@pytest.fixture
def origins(workshop):
    return load(workshop.tracks)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of a few sequences, so that a small request has many, some of which begin amid a row's samples."""
    monkeypatch.setattr(jobs, "MAX_PART_STEPS", 8 * 7)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_a_file_written_part_by_part_is_the_file_written_whole(names, small_parts, tmp_path, ending):
    one, many = tmp_path / f"one.{ending}", tmp_path / f"many.{ending}"
    names.generate(INPUTS, n=11, seed=3).save(one)
    assert names.generate_to(many, INPUTS, n=11, seed=3) == 3
    if ending == "parquet":
        assert pq.ParquetFile(many).num_row_groups > 2
        assert pq.read_table(many).equals(pq.read_table(one))
    else:
        assert many.read_bytes() == one.read_bytes()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("long", [True, False])
def test_what_a_beam_finds_is_written_row_by_row_with_its_nats(names, small_parts, tmp_path, ending, long):
    one, many = tmp_path / f"one.{ending}", tmp_path / f"many.{ending}"
    rule, inputs = Beam(width=4, best=3), {"country": ["Irish", "Greek"] * 3}
    whole = names.generate(inputs, rule=rule)
    whole.save(one, long=long)
    names.generate_to(many, inputs, rule=rule, long=long)
    if ending == "csv":
        assert many.read_bytes() == one.read_bytes()
        return
    wanted, found = pq.read_table(one), pq.read_table(many)
    assert found.drop(["nats"]).equals(wanted.drop(["nats"]))
    np.testing.assert_allclose(found["nats"], np.repeat(whole.nats, whole.lengths) if long else whole.nats, atol=1e-5)


@pytest.mark.parametrize("long", [True, False, None])
def test_records_and_numbers_too(origins, small_parts, tmp_path, long):
    one, many = tmp_path / "one.parquet", tmp_path / "many.parquet"
    given = {"group": ["a", "b"], "level": [0.5, 3.0]}
    origins.generate(given, n=9, seed=3).save(one, long=long)
    origins.generate_to(many, given, n=9, seed=3, long=long)
    wanted, found = pq.read_table(one), pq.read_table(many)
    assert found.schema == wanted.schema
    if "level" in wanted.column_names:
        np.testing.assert_allclose(found["level"], wanted["level"], rtol=1e-5)
        wanted, found = wanted.drop(["level"]), found.drop(["level"])
        assert found.equals(wanted)
    assert found["sample"].equals(wanted["sample"])


def test_parts_of_the_engines_own_tiles_give_the_same_numbers_to_the_bit(origins, monkeypatch, tmp_path):
    monkeypatch.setattr(jobs, "MAX_PART_ROWS", jobs.TILE_ROWS)
    one, many = tmp_path / "one.parquet", tmp_path / "many.parquet"
    given = {"group": "a", "level": 0.5}
    origins.generate(given, n=jobs.TILE_ROWS + 1, seed=3, length=2).save(one)
    origins.generate_to(many, given, n=jobs.TILE_ROWS + 1, seed=3, length=2)
    assert pq.ParquetFile(many).num_row_groups == 2
    assert pq.read_table(many).equals(pq.read_table(one))


@pytest.mark.slow
def test_no_part_outlives_the_next_but_one(names, small_parts, tmp_path, monkeypatch):
    """This is what keeps memory flat; benchmarks/scale.py measures it."""
    made, alive = [], []
    original = GenerationJob._run_part

    def watched(job, part):
        gc.collect()
        alive.append(sum(ref() is not None for ref in made))
        sequences = original(job, part)
        made.append(weakref.ref(sequences))
        return sequences

    monkeypatch.setattr(GenerationJob, "_run_part", watched)
    names.generate_to(tmp_path / "many.parquet", INPUTS, n=40, seed=3)
    assert len(made) > 8
    assert max(alive) <= 1


def test_an_interruption_leaves_the_older_file_and_nothing_else(names, small_parts, tmp_path, monkeypatch):
    older = tmp_path / "made.parquet"
    older.write_text("older")
    original = GenerationJob._run_part

    def interrupted(job, part):
        if part.start:
            raise KeyboardInterrupt
        return original(job, part)

    monkeypatch.setattr(GenerationJob, "_run_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        names.generate_to(older, INPUTS, n=40, seed=3)
    assert [path.name for path in tmp_path.iterdir()] == ["made.parquet"]
    assert older.read_text() == "older"


@pytest.mark.parametrize(("name", "error"), [("no/made.csv", FileError), ("made.doc", DataError)])
def test_a_file_that_can_not_be_is_refused_before_anything_is_made(names, tmp_path, monkeypatch, name, error):
    monkeypatch.setattr(GenerationJob, "_run_part", None)
    with pytest.raises(error):
        names.generate_to(tmp_path / name, INPUTS)


def test_greedy_sequences_end_before_the_limit(names, origins):
    """Of text as of records, after two epochs of training that have learned little but the lengths."""
    assert names.generate(INPUTS, rule="greedy").ended.all()
    assert origins.generate({"group": ["a", "b"], "level": [0.5, 3.0]}, rule="greedy").ended.all()
