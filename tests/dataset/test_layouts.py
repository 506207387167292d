"""Every layout of the same sequences, from every kind of table, gives the same examples."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, SchemaError
from unspool.schema.fields import Category, First, Number, Text
from unspool.tables.table import read_table
from unspool.tables.writers import file_type, save_parts

STORMS = {
    "storm": ["B", "A", "A", "B", "A"],
    "hour": [6, 12, 6, 0, 0],
    "kind": ["x", "y", "y", "x", "y"],
    "wind": [2.5, 4.0, None, 1.0, 3.0],
    "status": ["s", "t", "s", "t", "s"],
}
PATHS = {
    "kind": ["x", "y"],
    "path": [
        [{"wind": 1.0, "status": "t"}, {"wind": 2.5, "status": "s"}],
        [{"wind": 3.0, "status": "s"}, {"wind": None, "status": "s"}, {"wind": 4.0, "status": "t"}],
    ],
}
PARALLEL = {"kind": ["x", "y"], "wind": [[1.0, 2.5], [3.0, None, 4.0]], "status": [["t", "s"], ["s", "s", "t"]]}
LONG = {"inputs": ["kind"], "sequence": ["wind", "status"], "id": "storm", "order": "hour"}


def types_of(columns: dict) -> dict:
    """What the columns of a table hold."""
    return {name: file_type(column) for name, column in read_table(columns).columns.items()}


def same(one: Examples, two: Examples) -> None:
    for part, other in ((one.inputs, two.inputs), (one.steps, two.steps), (one.first, two.first)):
        assert list(part) == list(other)
        for name in part:
            assert part[name].dtype == other[name].dtype
            np.testing.assert_array_equal(part[name], other[name])
    np.testing.assert_array_equal(one.offsets, two.offsets)


def tables(data: dict, folder: Path) -> dict:
    rows = [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    frames = {"pandas": pd.DataFrame(data), "polars": pl.DataFrame(data), "pyarrow": pa.table(data)}
    files = {ending: folder / f"data.{ending}" for ending in ("csv", "tsv", "jsonl", "json", "parquet")}
    for file in files.values():
        save_parts([data], lambda: types_of(data), file)
    return {"dict": data, "records": rows} | frames | files


KINDS = ["dict", "records", "pandas", "polars", "pyarrow", "csv", "tsv", "jsonl", "json", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("data", "options"),
    [
        (STORMS, LONG),
        (PATHS, {"inputs": "kind", "sequence": "path"}),
        ({"k": [1.5, None, 3.5], "word": ["ζ😀", "", 'e\u0301,\n"']}, {"inputs": "k", "sequence": "word"}),
        ({"k": ["a", "b"], "x": [[1, 2, 3], [4]]}, {"inputs": "k", "sequence": "x"}),
        ({"k": ["a", "b"], "x": [[1.5, None], [4.0]]}, {"inputs": "k", "sequence": "x"}),
        ({"k": ["a", "b"], "x": [["u", None, "v"], ["[", "]"]]}, {"inputs": "k", "sequence": "x"}),
        ({"k": [[1, 2], [3, 4]], "x": [[[1.5, 2], [3, 4]], [[5, 6]]]}, {"inputs": "k", "sequence": "x"}),
        ({"k": [True, None, False], "x": ["1b", "3d5", "f"]}, {"inputs": "k", "sequence": "x"}),
        ({"k": ["2026-01-01", "2026-02-03"], "x": ["a", "bc"]}, {"inputs": "k", "sequence": "x"}),
        (PATHS, {"inputs": First("wind"), "sequence": "path"}),
    ],
    ids=["long", "records", "text", "whole", "real", "words", "vectors", "flag", "date", "first"],
)
def test_a_layout_reads_the_same_from_every_kind_of_table(tmp_path: Path, kind: str, data: dict, options: dict) -> None:
    schema, examples = gather(data, **options)
    other_schema, other = gather(tables(data, tmp_path)[kind], **options)
    assert other_schema == schema
    same(examples, other)
    same(examples, gather_fitted(fit_codec(schema, examples), tables(data, tmp_path)[kind]))


def test_long_table_records_and_two_tables_are_three_ways_to_say_the_same() -> None:
    _, long = gather(STORMS, **LONG)
    _, records = gather(PATHS, inputs="kind", sequence="path")
    _, two = gather({"storm": ["B", "A"], "kind": ["x", "y"]}, {k: v for k, v in STORMS.items() if k != "kind"}, **LONG)
    _, parallel = gather(PARALLEL, inputs="kind", sequence=["wind", "status"])
    assert long.steps["status"].tolist() == ["t", "s", "s", "s", "t"]
    for other in (records, two, parallel):
        same(long, other)


def test_the_form_of_a_sequence_is_that_of_its_cells() -> None:
    forms = {
        "text": ["ab", "c"],
        "list": [[1, 2], [3]],
        "records": [[{"x": 1}], [{"x": 2}]],
        "vectors": [[[1, 2]], [[3, 4]]],
    }
    for form, values in forms.items():
        assert gather({"k": ["a", "b"], "x": values}, inputs="k", sequence="x")[0].form == form
    assert gather(STORMS, **LONG)[0].form == "records"
    assert gather(STORMS, **LONG | {"sequence": "wind"})[0].form == "list"


def test_a_long_table_without_sequence_takes_all_columns_that_are_left() -> None:
    schema, _ = gather(STORMS, inputs="kind", id="storm", order="hour")
    assert [field.name for field in schema.steps] == ["wind", "status"]


def test_without_an_order_the_rows_of_an_id_keep_theirs_and_must_be_together() -> None:
    table = {"id": [2, 2, 1], "k": ["a", "a", "b"], "x": [3.0, 1.0, 2.0]}
    assert gather(table, inputs="k", sequence="x", id="id")[1].steps["x"].tolist() == [3.0, 1.0, 2.0]
    words = r"row 3, column 'id': expected the rows of an id next to each other, found 2 again.*order="
    with pytest.raises(DataError, match=words):
        gather(table | {"id": [2, 1, 2]}, inputs="k", sequence="x", id="id")


def test_an_order_may_be_dates_or_iso_text() -> None:
    for days in (["2026-01-02", "2026-01-01"], np.array(["2026-01-02", "2026-01-01"], "datetime64[D]")):
        table = {"id": [1, 1], "t": days, "k": [1, 1], "x": [3.0, 1.0]}
        assert gather(table, inputs="k", sequence="x", id="id", order="t")[1].steps["x"].tolist() == [1.0, 3.0]


def test_an_id_without_steps_has_an_empty_sequence() -> None:
    inputs = {"id": [1, 2, 3], "k": ["a", "b", "c"]}
    _, examples = gather(inputs, {"id": [3, 1, 1], "x": [1.0, 2.0, 3.0]}, inputs="k", sequence="x", id="id")
    assert examples.offsets.tolist() == [0, 2, 2, 3]
    assert examples.steps["x"].tolist() == [2.0, 3.0, 1.0]
    assert examples.ids == [1, 2, 3]


def test_first_takes_the_first_record_as_the_input_and_as_the_base() -> None:
    schema, examples = gather(STORMS, **LONG | {"inputs": ["kind", First("wind")]})
    assert schema.first == ("wind",)
    assert [field.name for field in schema.inputs] == ["kind", "wind"]
    assert examples.inputs["wind"].tolist() == examples.first["wind"].tolist() == [1.0, 3.0]
    assert examples.steps["status"].tolist() == ["s", "s", "t"]
    assert examples.offsets.tolist() == [0, 1, 3]


def test_first_of_a_text_is_its_first_character_and_can_be_overridden() -> None:
    schema, examples = gather({"x": ["hello", "world"]}, inputs=First(), sequence="x")
    assert schema.inputs == (Category("x"),)
    assert schema.steps == (Text("x"),)
    assert examples.inputs["x"].tolist() == ["h", "w"]
    data = {"x": [[1, 2, 3], [2, 1, 2]] * 20}
    assert gather(data, inputs=First(), sequence="x")[0].inputs == (Category("x"),)
    assert gather(data, inputs=First(Number("x")), sequence="x")[0].inputs == (Number("x", "standardize"),)


def test_sequences_of_100_000_steps_and_of_none_are_legal() -> None:
    _, examples = gather({"k": [1, 2, 3], "x": ["ab" * 50_000, "", "b"]}, inputs="k", sequence="x")
    assert examples.lengths.tolist() == [100_000, 0, 1]


BAD = {
    "no sequence": ({"y": ["u", "v"]}, {"inputs": "k"},
                    r"expected the column that holds the sequences, found only k, x, y"),
    "unknown column": ({}, {"inputs": "K", "sequence": "x"}, r"the column 'K', .*Closest in the data: 'k'"),
    "two unknown": ({}, {"inputs": ["k1", "k2"], "sequence": "y"}, r"expected the columns 'k1', 'k2', 'y'"),
    "twice": ({}, {"inputs": ["k", "k"], "sequence": "x"}, r"inputs: expected every column once"),
    "no column": ({}, {"inputs": [3], "sequence": "x"}, r"expected the column '3', found only 'k', 'x'"),
    "half a column": ({}, {"inputs": [3.5], "sequence": "x"}, r"inputs: expected column names or fields, found 3.5"),
    "empty table": ({"k": [], "x": []}, {}, r"at least one row, found none"),
    "all empty": ({"x": ["", ""]}, {}, r"at least one sequence with a step, found 2 empty sequences"),
    "missing sequence": ({"x": ["a", None]}, {},
                         r"row 2, column 'x': expected a sequence, found a missing one. Drop the row"),
    "no sequences": ({"x": [1, 2]}, {},
                     r"row 1, column 'x': expected a sequence: text, a list, or an array, found whole n"),
    "uneven": ({"x": [[[1, 2], [3]], [[4, 5]]]}, {}, r"row 1, step 2, column 'x': expected 2 single values.*found 1"),
    "deep": ({"x": [[[[1]]], [[[2]]]]}, {}, r"found lists in lists in lists"),
    "text as number": ({}, {"sequence": Number("x")}, r"expected lists, for Number, found text. Pass Text\('x'\)"),
    "inf in input": ({"k": [1.0, np.inf]}, {}, r"row 2, column 'k': expected a finite number, found inf. Write None"),
    "inf in step": ({"x": [[1.0, 2.0], [3.0, -np.inf]]}, {},
                    r"row 2, step 2, column 'x': expected a finite .*found -inf"),
    "word in number": ({"k": ["1", "n/a"]}, {"inputs": Number("k")},
                       r"row 2, column 'k': expected a number, found 'n/a'. C"),
    "uneven vectors": ({"k": [[1, 2], [3]]}, {}, r"row 2, column 'k': expected 2 numbers, as in row 1, found 1"),
    "input and sequence": ({}, {"inputs": ["x"], "sequence": "x"},
                           r"either the input or the sequence, found .*pass First"),
    "order alone": ({}, {"order": "k"}, r"id: expected the column that identifies sequences"),
    "steps alone": ({}, {"steps": {"k": [1]}}, r"id: expected the column that both tables share"),
    "parallel": ({"y": [[1], [2]], "x": [[1, 2], [3]]}, {"sequence": ["y", "x"]},
                 r"row 1, column 'x': expected 1 steps"),
    "first of nothing": ({"x": ["a", ""]}, {"inputs": First()},
                         r"row 2, column 'x': expected at least one record, which F"),
    "first of what": ({}, {"inputs": First("z")}, r"First: expected fields of the step: x, found 'z'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_refused_with_location_and_hint(case: str) -> None:
    data, options, words = BAD[case]
    data = {"k": ["a", "b"], "x": ["ab", "c"]} | data
    options = ({"inputs": "k", "sequence": "x"} if case != "no sequence" else {}) | options
    options = options if options.get("sequence") or case == "no sequence" else options | {"sequence": "x"}
    options = options if "inputs" in options else options | {"inputs": "k"}
    with pytest.raises((DataError, SchemaError), match=words):
        gather(data, **options)


BAD_LONG = {
    "missing order": ({"hour": [6, None, 6, 0, 0]}, {},
                      r"row 2, column 'hour': expected a number or a date, found a missing one"),
    "order of words": ({"hour": ["a", "b", "c", "d", "e"]}, {},
                       r"row 1, column 'hour': expected a date, or a text such as 2026-01-31, 2026-01 or 2026Q1"),
    "missing id": ({"storm": ["B", None, "A", "B", "A"]}, {},
                   r"row 2, column 'storm': expected an id, found a missing one"),
    "differs": ({"kind": ["x", "y", "z", "x", "y"]}, {},
                r"storm 'A', column 'kind': expected one value.*found 'y' and 'z'. Make it constant"),
    "both": ({}, {"inputs": ["kind", "wind"]},
             r"either the input or a step field, found 'wind'. .*pass First\('wind'\)"),
    "unknown": ({}, {"sequence": ["wnd"]}, r"the column 'wnd'.*Closest in the data: 'wind'"),
    "id as step": ({}, {"sequence": ["storm"]}, r"either the id or a step field, found 'storm'"),
    "inf": ({"wind": [2.5, np.inf, None, 1.0, 3.0]}, {},
            r"id 'A', step 3, column 'wind': expected a finite number, found inf"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LONG)
def test_a_bad_long_table_names_the_id_or_the_row(case: str) -> None:
    data, options, words = BAD_LONG[case]
    with pytest.raises((DataError, SchemaError), match=words):
        gather(STORMS | data, **LONG | options)


def test_two_tables_must_share_their_ids() -> None:
    inputs, steps = {"id": [1, 2], "k": ["a", "b"]}, {"id": [1, 7], "x": [1.0, 2.0]}
    with pytest.raises(DataError, match=r"column 'id': expected ids that the table of inputs has, found 7. Add a row"):
        gather(inputs, steps, inputs="k", sequence="x", id="id")
    with pytest.raises(DataError, match=r"row 1, column 'id': expected every id once, found 1 also in row 2"):
        gather({"id": [1, 1], "k": ["a", "b"]}, steps, inputs="k", sequence="x", id="id")


def test_new_data_that_differs_from_the_schema_has_every_difference_listed() -> None:
    table = {"k": ["a", "b"], "n": [1.0, 2.5], "x": ["ab", "c"]}
    codec = fit_codec(*gather(table, inputs=["k", "n"], sequence="x"))
    with pytest.raises(SchemaError, match=r"expected the columns 'k', 'n'") as caught:
        gather_fitted(codec, {"x": ["ab"]})
    assert "'x'" in caught.value.found
    with pytest.raises(SchemaError) as caught:
        gather_fitted(codec, {"k": [[1]], "n": ["u"], "x": ["ab"]})
    message = str(caught.value)
    assert "row 1, column 'k': expected a category: text, a whole number or a truth value, found list" in message
    assert "row 1, column 'n': expected a number, found 'u'" in message


def test_new_data_may_come_in_parallel_lists_or_records() -> None:
    schema, examples = gather(PATHS, inputs="kind", sequence="path")
    codec = fit_codec(schema, examples)
    same(examples, gather_fitted(codec, PARALLEL))
    with pytest.raises(SchemaError, match=r"expected steps with status, found steps with wind"):
        gather_fitted(codec, {"kind": ["x"], "path": [[{"wind": 1.0}]]})
