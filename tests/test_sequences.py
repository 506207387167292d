"""Generated sequences: their values, tables of the caller's kind, files, and how they are shown."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, FileError, MissingExtra, SchemaError
from unspool.sequences import Sequences, file_types
from unspool.tables.columns import take
from unspool.tables.table import read_table
from unspool.tables.writers import column_types, save_parts


def made(data, given, columns, lengths, **roles):
    """Sequences as a model would make them: fitted columns, inputs, and sampled steps."""
    schema, examples = gather(data, **roles)
    codec = fit_codec(schema, examples)
    table = codec.read_inputs(given)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    samples = len(lengths) // len(table)
    return Sequences(codec, table, columns, offsets, np.ones(len(lengths), bool), samples, 7)


NAMES = {"country": ["Irish", "Greek"], "name": ["Aoife", "Zoë"]}


def text(given=None):
    letters = np.array(list("AbZoëxy"), dtype=object)
    given = {"country": ["Greek", "Irish"]} if given is None else given
    return made(NAMES, given, {"name": letters}, [2, 3, 0, 2], inputs="country", sequence="name")


def series(given=None):
    data = {"k": ["a", "b"], "x": [[0.5, 1.5, 2.5], [3.0, 4.0]]}
    values = np.array([1.0, np.nan, 2.25, -1.0])
    return made(data, {"k": ["b"]} if given is None else given, {"x": values}, [3, 1], inputs="k", sequence="x")


def records(given=None):
    rows = [{"x": 0.5, "s": "up"}, {"x": 1.5, "s": "down"}]
    data = {"k": ["a", "b"], "log": [rows, rows[:1]]}
    columns = {"x": np.array([1.0, 2.0, 3.0]), "s": np.array(["up", "down", None], dtype=object)}
    return made(data, {"k": ["b"]} if given is None else given, columns, [2, 1], inputs="k", sequence="log")


def origin(given=None):
    """A long table that goes on from a first value."""
    data = {"id": [1, 1, 1, 2, 2], "level": [0.5, 1.5, 2.0, 4.0, 4.5], "mood": ["a", "b", "a", "b", "b"]}
    columns = {"level": np.array([1.0, 2.0, 3.0]), "mood": np.array(["a", "b", "a"], dtype=object)}
    given = {"level": [9.0], "note": ["mine"]} if given is None else given
    return made(data, given, columns, [1, 2], inputs=us.First("level"), sequence=["level", "mood"], id="id")


def test_a_sequence_has_the_form_of_the_training_data():
    assert list(text()) == ["Ab", "Zoë", "", "xy"]
    assert list(series()) == [[1.0, None, 2.25], [-1.0]]
    assert list(records()) == [[{"x": 1.0, "s": "up"}, {"x": 2.0, "s": "down"}], [{"x": 3.0, "s": None}]]
    assert list(origin()) == [[{"level": 1.0, "mood": "a"}], [{"level": 2.0, "mood": "b"}, {"level": 3.0, "mood": "a"}]]


def test_sequences_are_counted_indexed_and_aligned_to_their_rows():
    found = text()
    assert len(found) == 4
    assert (found[1], found[-1], found[1:3]) == ("Zoë", "xy", ["Zoë", ""])
    assert found.lengths.tolist() == [2, 3, 0, 2]
    assert found.rows.tolist() == [0, 0, 1, 1]


WIDE = {"country": ["Greek", "Greek", "Irish", "Irish"], "sample": [0, 1, 0, 1], "name": ["Ab", "Zoë", "", "xy"]}


@pytest.mark.parametrize(
    ("kind", "out"),
    [(pd.DataFrame, pd.DataFrame), (pl.DataFrame, pl.DataFrame), (pa.table, pa.Table), (dict, pd.DataFrame)],
)
def test_a_frame_is_of_the_library_of_the_inputs_and_else_of_pandas(kind, out):
    frame = text(kind({"country": ["Greek", "Irish"]})).to_frame()
    assert isinstance(frame, out)
    assert {name: _plain(frame[name]) for name in WIDE} == WIDE


def _plain(column):
    return column.to_pylist() if isinstance(column, pa.ChunkedArray) else list(column)


@pytest.mark.parametrize(
    ("method", "kind"), [("to_pandas", pd.DataFrame), ("to_polars", pl.DataFrame), ("to_arrow", pa.Table)]
)
def test_a_frame_may_be_of_another_kind_than_the_inputs(method, kind):
    wide, long = (getattr(text(), method)(long=long) for long in (None, True))
    assert isinstance(wide, kind)
    assert {name: _plain(wide[name]) for name in WIDE} == WIDE
    assert _plain(long["name"]) == list("AbZoëxy")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install polars"):
        series().to_polars()


def test_a_dict_gives_a_dict_where_pandas_is_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert text().to_frame() == WIDE
    assert text().to_dict() == WIDE


def test_inputs_in_records_give_records():
    frame = text([{"country": "Greek"}, {"country": "Irish"}]).to_frame()
    assert frame == [dict(zip(WIDE, row, strict=True)) for row in zip(*WIDE.values(), strict=True)]


def test_a_series_is_a_list_in_a_cell_or_a_row_per_step():
    assert series().to_dict() == {"k": ["b", "b"], "sample": [0, 1], "x": [[1.0, None, 2.25], [-1.0]]}
    assert series().to_dict(long=True) == {
        "row": [0, 0, 0, 0],
        "sample": [0, 0, 0, 1],
        "step": [0, 1, 2, 0],
        "k": ["b"] * 4,
        "x": [1.0, None, 2.25, -1.0],
    }


def test_records_are_lists_of_dicts_in_a_cell_or_columns():
    assert records().to_dict()["log"] == list(records())
    long = records().to_dict(long=True)
    assert (long["x"], long["s"], long["step"]) == ([1.0, 2.0, 3.0], ["up", "down", None], [0, 1, 0])


def test_long_data_gives_long_tables_and_an_input_that_is_a_first_value_keeps_a_name_of_its_own():
    assert origin().to_dict() == {
        "row": [0, 0, 0],
        "sample": [0, 1, 1],
        "step": [0, 0, 1],
        "first_level": [9.0] * 3,
        "note": ["mine"] * 3,
        "level": [1.0, 2.0, 3.0],
        "mood": ["a", "b", "a"],
    }
    assert origin().to_dict(long=False).keys() == {"level", "note", "sample", "sequence"}


def test_true_sequences_among_the_inputs_do_not_mix_with_those_made():
    """Whoever passes a test set gets what was made for its inputs."""
    frame = text({"country": ["Greek", "Irish"], "name": ["Zoë", "Aoife"]}).to_dict()
    assert frame == WIDE


@pytest.mark.parametrize("kind", [text, series, records, origin])
@pytest.mark.parametrize("long", [True, False])
def test_a_saved_file_holds_the_table(kind, long, tmp_path):
    path = tmp_path / "made.jsonl"
    kind().save(path, long=long)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    frame = kind().to_dict(long=long)
    assert {name: [row[name] for row in rows] for name in frame} == frame


def counts(values):
    """Whole numbers of which some are missing, for two rows of three steps in all."""
    data = {"k": ["a", "b"], "x": [[1, 2], [3, None, 5]]}
    return made(data, {"k": ["a", "b"]}, {"x": np.array(values, np.float64)}, [1, 2], inputs="k", sequence=["x"])


def ticks(values):
    """Counters that never fall, of which some are missing."""
    data = {"k": ["a", "b"], "x": [[1, 2, 40, 41, 90], [3, None, 50, 57, 80]]}
    sequence = us.Number("x", transform="increment")
    return made(data, {"k": ["a", "b"]}, {"x": np.array(values, np.float64)}, [1, 2], inputs="k", sequence=[sequence])


@pytest.mark.parametrize("counts", [counts, ticks])
@pytest.mark.parametrize("long", [True, False])
def test_what_types_a_parquet_file_has_does_not_depend_on_the_samples(counts, long, tmp_path):
    files = [tmp_path / f"{k}.parquet" for k in range(3)]
    for path, values in zip(files, ([1, 2, 3], [1, np.nan, 3], [np.nan] * 3), strict=True):
        counts(values).save(path, long=long)
    first, *others = map(pq.read_table, files)
    assert all(table.schema == first.schema for table in others)
    kind = first.schema.field("x").type
    assert (kind if long else kind.value_type) == pa.int64()


def test_a_whole_number_stays_whole_in_a_file_beside_a_missing_one(tmp_path):
    path = tmp_path / "made.csv"
    counts([1, np.nan, 3]).save(path, long=True)
    assert path.read_text().splitlines() == ["row,sample,step,k,x", "0,0,0,a,1", "1,0,0,b,", "1,0,1,b,3"]


@pytest.mark.parametrize("kind", [text, series, records, origin])
@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
@pytest.mark.parametrize("long", [True, False])
def test_parts_make_the_file_of_the_whole(kind, ending, long, tmp_path):
    whole = kind()
    one, many = tmp_path / f"one.{ending}", tmp_path / f"many.{ending}"
    whole.save(one, long=long)
    parts = (part.file_columns(long) for part in cut(whole))
    save_parts(parts, lambda: file_types(whole.codec, column_types(whole.inputs.columns), long, ranked=False), many)
    if ending == "parquet":
        assert pq.read_table(many).equals(pq.read_table(one))
    else:
        assert many.read_bytes() == one.read_bytes()


def cut(whole):
    """The same sequences, one by one, each with the row of inputs that it was made for."""
    for k, (start, end) in enumerate(itertools.pairwise(whole.offsets)):
        columns = {name: values[start:end] for name, values in whole.columns.items()}
        row = {name: take(column, whole.rows[k : k + 1]) for name, column in whole.inputs.columns.items()}
        part = {"columns": columns, "offsets": np.array([0, end - start]), "ended": whole.ended[k : k + 1]}
        yield replace(whole, inputs=replace(whole.inputs, columns=row), first=k, **part)


def test_a_part_knows_its_rows_and_labels():
    (*_, last) = cut(text())
    assert last.rows.tolist() == [1]
    assert last.label(0) == "Irish"
    assert last.to_dict() == {"country": ["Irish"], "sample": [1], "name": ["xy"]}


def test_a_file_that_can_not_be_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"made\.doc"):
        text().save(tmp_path / "made.doc")
    with pytest.raises(FileError, match="no folder"):
        text().save(tmp_path / "no" / "made.csv")


def test_the_text_form_names_inputs_and_seed():
    assert repr(text()).splitlines() == [
        "4 sequences for 2 inputs, seed 7",
        "  Greek  Ab",
        "  Greek  Zoë",
        "  Irish  ",
        "  Irish  xy",
    ]
    assert "1 missing 2.25" in repr(series())


def test_many_sequences_are_cut_in_the_text_form():
    many = made(
        NAMES, {"country": "Irish"}, {"name": np.array(["x"] * 50, object)}, [1] * 50, inputs="country", sequence="name"
    )
    assert len(repr(many).splitlines()) == 12
    assert repr(many).endswith("...")


def test_a_notebook_shows_a_table_and_no_markup_of_the_data():
    wild = {"country": ["<b>", "Greek"], "name": ["<i>", "Zoë"]}
    letters = np.array(list("<i>"), dtype=object)
    shown = made(wild, {"country": "<b>"}, {"name": letters}, [3], inputs="country", sequence="name")._repr_html_()
    assert shown.startswith("<table>")
    assert "&lt;b&gt;" in shown
    assert "&lt;i&gt;" in shown
    assert "<b>" not in shown
    assert "<i>" not in shown


@pytest.mark.parametrize(("make", "long"), [(text, False), (series, True)])
def test_what_a_beam_found_has_its_nats_beside_it(make, long):
    """A column `nats`, once a sequence or once a step; and best first is what the title says, for no seed had a say."""
    sampled = make()
    found = replace(sampled, nats=-np.arange(1.0, 1 + len(sampled)), scores=-np.arange(1.0, 1 + len(sampled)))
    table, other = ({k: list(v) for k, v in s.to_frame(long=long).items()} for s in (found, sampled))
    nats = table.pop("nats")
    assert list(table) == list(other)
    assert nats == (np.repeat(found.nats, found.lengths) if long else found.nats).tolist()
    assert "best first" in repr(found)
    assert "seed" in repr(sampled)


OWN = {"row": [10, 20], "sample": ["u", "v"], "step": [1.5, 2.5], "nats": [True, False], "first_x": [7, 8]}


def clash(kind=dict):
    """Inputs with the names of our own columns, and a step field with one of them; an input named like a step field."""
    data = {"id": [1, 1, 2, 2], **{name: np.repeat(values, 2) for name, values in OWN.items()}}
    data |= {"x": [0.5, 1.5, 2.5, 3.5], "nats_": [3, 1, 2, 5]}
    columns = {"x": np.array([1.0, 2.0, 3.0]), "nats_": np.array([1, 2, 3])}
    given = kind(OWN | {"x": [9.0, 8.0]})
    found = made(data, given, columns, [1, 2], inputs=[*OWN, us.First("x")], sequence=["x", "nats_"], id="id")
    return replace(found, nats=np.array([-1.0, -2.0]))


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, dict, "records"])
@pytest.mark.parametrize("long", [True, False])
def test_a_column_of_the_user_is_never_overwritten_by_one_of_ours(kind, long, tmp_path):
    if kind == "records":
        found = clash(lambda data: [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)])
    else:
        found = clash(kind)
    rows = [0, 1, 1] if long else [0, 1]
    expected = {name: [values[row] for row in rows] for name, values in OWN.items()}
    expected["first_x_" if long else "x"] = [[9.0, 8.0][row] for row in rows]
    # In the long table, a step field has the name nats_ already.
    expected["nats__" if long else "nats_"] = [[-1.0, -2.0][row] for row in rows]
    expected["sample_"] = [0] * len(rows)
    if long:
        expected |= {"row_": rows, "step_": [0, 0, 1], "x": [1.0, 2.0, 3.0], "nats_": [1, 2, 3]}
    else:
        expected["sequence"] = list(found)
    assert found.to_dict(long=long) == expected
    frame = found.to_arrow(long=long)
    assert {name: frame[name].to_pylist() for name in frame.column_names} == expected
    for ending in ("jsonl", "csv", "parquet"):
        found.save(tmp_path / f"made.{ending}", long=long)
        assert list(read_table(tmp_path / f"made.{ending}").columns) == list(found.to_dict(long=long))
    assert file_types(found.codec, column_types(found.inputs.columns), long, ranked=True).keys() == expected.keys()


def test_generated_sequences_are_scored_as_the_table_of_them(workshop):
    names, tracks = us.load(workshop.names), us.load(workshop.tracks)
    found = names.generate({"country": ["Irish", "Greek"]}, 3, seed=0, rule=us.Beam(width=4, best=3))
    np.testing.assert_allclose(names.log_prob(found), found.nats, rtol=1e-5)
    np.testing.assert_array_equal(names.log_prob(found), names.log_prob(found.to_dict()))
    found = tracks.generate({"group": ["a", "b"], "level": [0.5, 2.0], "note": [1, 2]}, 2, seed=0)
    rows = []
    for k, sequence in enumerate(found):
        group, level = "ab"[found.rows[k]], [0.5, 2.0][found.rows[k]]
        rows.append({"id": k, "t": -1, "group": group, "level": level, "mood": "low"})
        rows += [{"id": k, "t": t, "group": group, **step} for t, step in enumerate(sequence)]
    np.testing.assert_allclose(tracks.log_prob(found), tracks.log_prob(rows), rtol=1e-6)
    assert tracks.score(found) == pytest.approx(tracks.score(rows))
    states = tracks.hidden_states(found)
    assert [len(part) - 1 for part in states] == found.lengths.tolist()
    with pytest.raises(SchemaError, match="the generated sequences: expected the column 'name', found only"):
        names.log_prob(found)


@pytest.mark.parametrize("kind", [text, series, records, origin])
def test_generated_sequences_are_examples_of_their_inputs(kind):
    sequences = kind()
    examples = sequences.examples(sequences.codec)
    assert len(examples) == len(sequences)
    assert sum(examples.lengths) == sum(len(value) for value in sequences)
    for name, column in examples.inputs.items():
        assert len(column) == len(sequences), name
