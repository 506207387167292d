"""Any kind of table goes in and the same kind comes out."""

import datetime as dt
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.errors import DataError, FileError, SchemaError
from unspool.tables.columns import Ragged, Record, to_list
from unspool.tables.table import read_table
from unspool.tables.writers import file_type, save_parts, write_table

time = dt.datetime.fromisoformat

COLUMNS = {
    "whole": [1, 2, 3],
    "increment": [1, None, 3],
    "real": [0.5, None, -2.25],
    "text": ["x", None, "ζ😀"],
    "flag": [True, False, None],
    "day": [time("2020-01-01"), None, time("2020-01-02T03")],
    "list": [[1, 2], [3], []],
    "words": [["a"], ["b", "c"], None],
    "nested": [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]], []],
    "records": [[{"x": 1, "y": "u"}], [], [{"x": 3, "y": None}]],
}
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def types_of(columns: dict) -> dict:
    """What the columns of a table hold, in canonical form or not."""
    known = {name: column for name, column in columns.items() if isinstance(column, (np.ndarray, Ragged, Record))}
    rest = read_table({name: column for name, column in columns.items() if name not in known}).columns
    return {name: file_type((known | rest)[name]) for name in columns}


def plain(data, **options) -> dict:
    return {name: to_list(column) for name, column in read_table(data, **options).columns.items()}


KINDS = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "pyarrow": lambda: pa.table(COLUMNS),
    "dict": lambda: COLUMNS,
    "records": lambda: RECORDS,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_reads_the_same_and_names_itself(kind: str) -> None:
    assert plain(KINDS[kind]()) == COLUMNS
    assert read_table(KINDS[kind]()).kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_written_as_its_kind_and_reads_back(kind: str) -> None:
    back = write_table(read_table(COLUMNS).columns, kind)
    assert type(back) is type(KINDS[kind]())
    assert plain(back) == COLUMNS


def test_a_lazy_polars_frame_is_collected() -> None:
    assert plain(pl.LazyFrame({"a": [1, 2]})) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pd.Categorical(["u", "v", None]), ["u", "v", None]),
        (pd.array([1, None, 3], dtype="Int64"), [1, None, 3]),
        (pd.to_datetime(["2020-01-02T00:00+02:00", None], utc=True), [time("2020-01-01T22"), None]),
        (pd.Series(["a", float("nan"), None], dtype=object), ["a", None, None]),
        (pd.Series(np.array([1.5, 2.5, np.nan], np.float32)), [1.5, 2.5, None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int32(), 2)), [[1, 2], [3, 4], [5, 6]]),
        (pa.array([[1], None, [2, 3]], pa.large_list(pa.int8())), [[1], None, [2, 3]]),
        (pa.array([0, 1, None], pa.date32()), [time("1970-01-01"), time("1970-01-02"), None]),
        (pa.array(["1.5", "2.5", None]).cast(pa.decimal128(5, 2)), [1.5, 2.5, None]),
        (pa.array([0, 3600, None], pa.time32("s")), ["00:00:00", "01:00:00", None]),
        (pa.array([True, None], pa.bool_()), [True, None]),
        (pa.chunked_array([[1], [2, 3]]), [1, 2, 3]),
    ],
)
def test_types_of_pandas_and_arrow_read_as_their_values(column: Any, values: list) -> None:
    table = pa.table if isinstance(column, (pa.Array, pa.ChunkedArray)) else pd.DataFrame
    assert plain(table({"x": column})) == {"x": values}


def test_arrays_of_two_and_three_axes_are_lists_and_lists_of_lists() -> None:
    cube = np.arange(12.0).reshape(2, 3, 2)
    data = {"matrix": cube[:, :, 0], "cube": cube, "uneven": [cube[0], cube[1, :1]]}
    assert isinstance(read_table(data).columns["uneven"], Ragged)
    assert plain(data) == {name: [row.tolist() for row in rows] for name, rows in data.items()}


def test_a_single_value_stands_for_all_rows() -> None:
    assert plain({"a": "x", "b": [1, 2, 3]}) == {"a": ["x"] * 3, "b": [1, 2, 3]}
    assert plain({"a": "x", "n": 2}) == {"a": ["x"], "n": [2]}


def save(columns: Mapping[str, Any], target: Any, form: str | None = None) -> None:
    """A table of one part."""
    save_parts([columns], lambda: types_of(columns), target, form)


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet", "ndjson", "pq"])
def test_a_file_that_was_saved_reads_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table.{ending}"
    save(read_table(COLUMNS).columns, path)
    read_back = plain(path)
    if "json" in ending or ending == "ndjson":  # JSON has no dates: they are ISO 8601 text
        read_back["day"] = [None if day is None else time(day) for day in read_back["day"]]
    assert read_back == COLUMNS


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_csv_keeps_single_values_and_writes_lists_as_json(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table.{ending}"
    save(read_table(COLUMNS).columns, path)
    read_back = plain(path)
    assert {name: read_back[name] for name in list(COLUMNS)[:6]} == {name: COLUMNS[name] for name in list(COLUMNS)[:6]}
    assert read_back["list"] == ["[1, 2]", "[3]", "[]"]


def test_a_compressed_file_reads_like_the_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,x\n"))
    assert plain(path) == {"a": [1], "b": ["x"]}
    path.write_bytes(b"not compressed")
    with pytest.raises(DataError, match=r"table.csv.gz: expected a file compressed as .gz"):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "words"), [("table.csv.gz", r"table.csv.gz"), ("table.parquet", r"column 'b'.*Write CSV or JSON")]
)
def test_compressed_names_and_values_without_a_parquet_type_are_refused(tmp_path: Path, name: str, words: str) -> None:
    types = {"a": "int", "b": "mixed"}
    with pytest.raises(DataError, match=words):
        save_parts([{"a": [1, 2], "b": ["x", 2]}], lambda: types, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_streams_are_recognised_by_their_first_bytes() -> None:
    rows = {"a": [1, 2], "b": ["x", "y"]}
    for form in ("csv", "jsonl", "json", "parquet"):
        stream = io.BytesIO()
        save(rows, stream, form)
        stream.seek(0)
        table = read_table(stream)
        assert table.kind == form
        assert plain(table) == rows
    assert plain(io.StringIO('\ufeff{"a": 1}\n\n{"a": 2}')) == {"a": [1, 2]}


def test_text_streams_take_text_formats_and_refuse_parquet() -> None:
    stream = io.StringIO()
    save({"a": [1.5, None], "b": ["x,y", 'q"']}, stream)
    assert stream.getvalue() == 'a,b\n1.5,"x,y"\n,"q"""\n'
    with pytest.raises(DataError, match=r"a stream of bytes, for Parquet"):
        save({"a": [1]}, stream, "parquet")


def test_only_the_empty_cell_is_missing_among_texts_and_na_is_missing_among_numbers(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("code,value\nNA,1\nDE,NA\n,3\n")
    assert plain(path) == {"code": ["NA", "DE", None], "value": [1, None, 3]}


def test_a_missing_value_in_a_table_of_one_column_is_still_a_row(tmp_path: Path) -> None:
    save({"a": [1, None, 3]}, tmp_path / "table.csv")
    assert plain(tmp_path / "table.csv") == {"a": [1, None, 3]}


def test_types_are_inferred_from_the_whole_file_not_its_first_block(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a\n" + "1\n" * 600_000 + "x\n")
    assert to_list(read_table(path).columns["a"])[-1] == "x"


def test_columns_asked_for_as_text_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("code\n007\n")
    assert plain(path) == {"code": [7]}
    assert plain(path, strings=["code", "absent"]) == {"code": ["007"]}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
def test_any_unicode_text_survives_csv_and_json(texts: list[str]) -> None:
    for form in ("csv", "jsonl"):
        stream = io.BytesIO()
        save({"k": [1] * len(texts), "t": texts}, stream, form)
        stream.seek(0)
        read_back = plain(stream, strings=["t"])["t"]
        assert [text or "" for text in read_back] == texts


def test_a_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(ValueError, match=r"argument"):
        save({"a": [1], "b": [1, 2]}, path)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    with pytest.raises(FileError, match=r"folder"):
        save({"a": [1]}, tmp_path / "no" / "table.csv")


BAD_BYTES = {
    "latin.csv": (b"name\nZo\xeb\n",
                  r"latin.csv: line 2: expected UTF-8 text, found byte 0xeb at position 7.*as UTF-8"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3\n", r"ragged.csv: expected a CSV table, found .*Expected 2 columns, got 3"),
    "empty.csv": (b"", r"empty.csv: expected a CSV table, found an empty file"),
    "twice.csv": (b"a,a\n1,2\n", r"twice.csv: line 1: expected every column name once, found 'a' more than once"),
    "bad.jsonl": (b'{"a": 1}\n{"a": }\n', r"bad.jsonl: line 2: expected JSON"),
    "nan.json": (b'[{"a": NaN}]', r"nan.json: line 1: expected JSON.*A missing value is null"),
    "list.jsonl": (b"[1]\n", r"list.jsonl: line 1: expected a JSON object, found \[1\]"),
    "scalar.json": (b'{"a": 1}', r"scalar.json: expected a JSON array of objects, or an object of arrays"),
    "fake.parquet": (b"PAR1 no", r"fake.parquet: expected a Parquet file"),
    "surrogate.jsonl": (b'{"a": "\\ud800"}\n', r"surrogate.jsonl: line 1: expected JSON"),
    "table.xlsx": (b"", r"table.xlsx: expected a name that ends in .csv, .*found '.xlsx'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BYTES)
def test_a_file_that_cannot_be_read_says_where_and_why(tmp_path: Path, name: str) -> None:
    content, words = BAD_BYTES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_table(tmp_path / name)


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / name, str(tmp_path / name)):
        with pytest.raises(DataError, match=rf"{name}: expected a file to read, found no such file"):
            read_table(path)


BAD_VALUES = {
    "mixed": ({"a": [1, 2, "n/a"]}, r"row 3, column 'a': expected a number, like most of the values, found text 'n/a'"),
    "mixed inside": ({"a": [[1, 2], [3, "x"]]}, r"row 2, step 2, column 'a': expected a number, .*found text 'x'"),
    "list and not": ({"a": [[1], [2], 3]},
                     r"row 3, column 'a': expected a list, like most of the values, found number 3"),
    "surrogate": ({"a": ["ok", "\ud83d"]}, r"row 2, column 'a': expected Unicode text, found .*ud83d.*lone surrogate"),
    "lengths": ({"a": [1, 2], "b": [1]}, r"the data: expected columns of one length, found 'a' has 2, 'b' has 1"),
    "bytes": ({"a": [b"x"]}, r"column 'a': expected numbers, text.*found values of type binary"),
    "complex": ({"a": np.array([1j])}, r"found values of type complex128"),
    "huge": ({"a": [10**30]}, r"column 'a'"),
    "no table": (3, r"expected a pandas, Polars or PyArrow table.*found int"),
    "list of numbers": ([1, 2], r"the data: expected texts, lists or arrays, one for each sequence.*single values"),
    "records and not": ([{"a": 1}, 2], r"row 2: expected a dict of column names and values, found int"),
    "shapes": ({"a": [np.ones((2, 2)), np.ones((2, 3))]}, r"row 2, column 'a': expected an array of shape \(T, 2\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_VALUES)
def test_values_of_mixed_or_senseless_types_are_found_by_row(case: str) -> None:
    data, words = BAD_VALUES[case]
    with pytest.raises(DataError, match=words):
        read_table(data)


def test_an_unknown_column_is_answered_with_the_nearest_one() -> None:
    words = r"^the data: expected the column 'contry', found only 'country', 'name'. Closest in the data: 'country'"
    with pytest.raises(SchemaError, match=words):
        read_table({"country": ["x"], "name": ["y"]}).need(["contry"])


def test_an_empty_table_and_a_repeated_column_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected at least one row, found none"):
        read_table(pd.DataFrame({"a": []})).need(["a"])
    with pytest.raises(DataError, match=r"expected every column name once, found 'a' 2 times"):
        read_table(pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]))


def test_columns_named_by_numbers_are_named_by_their_text() -> None:
    assert plain(pd.DataFrame(np.arange(4).reshape(2, 2))) == {"0": [0, 2], "1": [1, 3]}
