"""What other libraries refuse to convert is an error of ours, with theirs as its cause."""

import datetime as dt
import decimal
import io
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from unspool.errors import DataError, UnspoolError
from unspool.tables.columns import to_list
from unspool.tables.table import read_table


class Hostile:
    """An object whose every conversion fails."""

    def __len__(self):
        raise RuntimeError("no length")

    def __getitem__(self, index):
        raise RuntimeError("no item")

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = object.__repr__


def endless():
    inner = []
    inner.append(inner)
    return inner


TABLES = {
    "object with failing methods": lambda: {"x": Hostile()},
    "objects in a list": lambda: {"x": [Hostile(), 1]},
    "list in itself": lambda: {"x": [endless()]},
    "deep list": lambda: {"x": [json.loads("[" * 900 + "]" * 900)]},
    "complex": lambda: {"x": np.array([1j, 2])},
    "void": lambda: {"x": np.zeros(2, [("a", int)])},
    "complex frame": lambda: pd.DataFrame({"x": [1j, 2j]}),
    "mixed objects": lambda: pd.DataFrame({"x": [object(), 1, "a"]}),
    "bytes": lambda: {"x": [b"\xff"]},
    "Polars objects": lambda: pl.DataFrame({"x": [object()]}, schema={"x": pl.Object}),
    "Arrow map": lambda: pa.table({"x": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))}),
    "Arrow union": lambda: pa.table({"x": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}),
    "Arrow binary": lambda: pa.table({"x": pa.array([b"a"])}),
    "surrogate in a name": lambda: {"x\ud800": [1]},
    "surrogate in a record": lambda: {"x": [{"a\ud800": 1}]},
    "huge numbers": lambda: {"x": [10**400, 1]},
    "huge date": lambda: {"x": [dt.date(9999, 12, 31), "a"]},
    "deep JSON": lambda: io.BytesIO(b"[" * 100_000),
    "deep JSON lines": lambda: io.BytesIO(b'{"x":' + b"[" * 100_000),
    "bad stream": lambda: io.StringIO("x\n\ud800"),
    "path with NUL": lambda: "a\0b.csv",
    "long path": lambda: "x" * 100_000 + ".csv",
    "number": lambda: 5,
    "nothing": lambda: None,
}


@pytest.mark.parametrize("name", TABLES)
def test_what_no_library_converts_is_an_error_of_ours(name):
    with pytest.raises(UnspoolError) as caught:
        read_table(TABLES[name]())
    error = caught.value
    assert error.location
    assert error.expected
    assert error.found
    assert len(str(error)) < 4_500
    str(error).encode()


@pytest.mark.parametrize("name", ["deep JSON", "objects in a list", "number"])
def test_the_error_of_the_library_is_the_cause(name):
    with pytest.raises(DataError) as caught:
        read_table(TABLES[name]())
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([decimal.Decimal("1.5")], [1.5]),
        (["a\0b"], ["a\0b"]),
        ([[[1]], [[2, 3]]], None),
        ([{"a": [1]}, None], None),
    ],
)
def test_values_that_can_be_converted_still_are(values, expected):
    assert to_list(read_table({"x": values}).columns["x"]) == (values if expected is None else expected)


def test_a_nul_in_a_column_name_is_a_character_like_others():
    assert list(read_table({"a\0b": [1]}).columns) == ["a\0b"]
