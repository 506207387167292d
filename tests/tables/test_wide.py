"""A wide table: a column for each step."""

import datetime as dt

import pandas as pd
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.errors import DataError, SchemaError
from unspool.tables.columns import to_list

WIDE = pd.DataFrame({"k": ["a", "b", "c"], "d1": [1, 2, 3], "d2": [4, None, None], "d3": [5.5, 6, None]})


@pytest.mark.parametrize("columns", ["d*", ["d1", "d2", "d3"]])
def test_the_columns_of_steps_become_one_column_of_sequences(columns) -> None:
    table = us.wide(WIDE, columns, "x")
    assert to_list(table.columns["x"]) == [[1.0, 4.0, 5.5], [2.0, None, 6.0], [3.0]]
    schema, examples = gather(table, inputs="k", sequence="x")
    assert (schema.form, examples.offsets.tolist()) == ("list", [0, 3, 6, 7])


def test_whole_numbers_texts_and_durations_keep_their_type() -> None:
    hours = [dt.timedelta(hours=h) for h in (1, 2, 3)]
    for values in ([1, 2, 3], ["u", "v", "w"], hours):
        table = us.wide({"k": ["a"], **{str(n): [value] for n, value in enumerate(values)}}, ["0", "1", "2"])
        assert table.origin("sequence").kind == ("duration" if values is hours else "plain")
        assert to_list(table.columns["sequence"]) == [[3600, 7200, 10800] if values is hours else values]


def test_the_order_of_the_names_is_that_of_the_steps_and_names_may_be_numbers() -> None:
    frame = pd.DataFrame({"k": ["a"], 2: [20], 1: [10]})
    assert to_list(us.wide(frame, [1, 2]).columns["sequence"]) == [[10, 20]]


def test_a_csv_file_is_read(tmp_path) -> None:
    WIDE.to_csv(tmp_path / "wide.csv", index=False)
    table = us.wide(tmp_path / "wide.csv", "d*")
    assert table.columns["sequence"].lengths.tolist() == [3, 3, 1]


def test_bad_columns_are_named() -> None:
    with pytest.raises(SchemaError, match=r"expected the column 'd9', found only 'k', 'd1', 'd2', 'd3'"):
        us.wide(WIDE, ["d1", "d9"])
    with pytest.raises(SchemaError, match=r"wide: expected two or more columns, one for each step, found 0 of 'k'"):
        us.wide(WIDE, "t*")
    with pytest.raises(DataError, match=r"column 'd1': expected values of one kind, as in 'k', found whole number"):
        us.wide(WIDE, ["k", "d1"])
    with pytest.raises(DataError, match=r"column 'k': expected a new name for the sequence"):
        us.wide(WIDE, "d*", "k")
