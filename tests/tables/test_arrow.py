"""Columns read with and without Arrow are the same."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from unspool.errors import Location
from unspool.tables.arrow import from_arrow, from_values
from unspool.tables.columns import ragged_indices, take, to_list

LOCATION = Location("the data", "x")


@given(
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])))
    | st.lists(st.text(st.characters(exclude_categories=["Cs"])))
    | st.lists(st.none() | st.booleans())
    | st.lists(st.booleans())
    | st.lists(st.integers(-(2**63), 2**63 - 1))
    | st.lists(st.none() | st.integers(-(2**53), 2**53))
    | st.lists(st.floats())
    | st.lists(st.none() | st.floats() | st.integers(-(2**53), 2**53))
)
def test_single_values_are_read_without_arrow_as_with_it(values: list) -> None:
    short, long = from_values(values, LOCATION), from_arrow(pa.array(values, from_pandas=True), LOCATION)
    assert short.dtype == long.dtype
    np.testing.assert_array_equal(short, long)


def test_rows_of_nested_columns_are_taken_in_any_order() -> None:
    records = [[{"x": [1, 2]}, {"x": []}], [], None, [{"x": [3]}]]
    column = from_values(records, LOCATION)
    assert to_list(column) == records
    assert to_list(take(column, np.array([3, 2, 0, 0]))) == [records[3], None, records[0], records[0]]
    assert ragged_indices(np.array([0, 2, 2]), np.array([1, 0])).tolist() == [0, 1]
