"""The type that went in is the type that comes out, for inputs and steps, in every kind of table."""

import datetime as dt
import io
import uuid
from dataclasses import replace
from decimal import Decimal

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, SchemaError
from unspool.sequences import Sequences
from unspool.tables.columns import Origin, take
from unspool.tables.table import read_table
from unspool.tables.writers import write_table


def there_and_back(data, **roles) -> Sequences:
    """The sequences of training, encoded, decoded, and beside their inputs, as if a perfect model had made them."""
    schema, examples = gather(data, **roles)
    codec = fit_codec(schema, examples)
    encoded = codec.encode(examples)
    columns = codec.decode(encoded.steps, encoded.offsets, examples.first)
    inputs = read_table(data)
    if "id" in roles:
        inputs = replace(inputs, columns={name: take(x, encoded.offsets[:-1]) for name, x in inputs.columns.items()})
    return Sequences(codec, inputs, columns, encoded.offsets, np.ones(len(examples), bool), 1, 0)


N = 12
LONG = {"id": np.repeat(np.arange(4), 3), "k": np.repeat(list("abab"), 3)}
IDS = [uuid.UUID(int=number) for number in (3, 4, 5)] * 4
NUMBERS = [1.0, 5.0, 9.0] * 4
COLUMNS = {
    "period of months": pd.Series(pd.period_range("2020-01", periods=N, freq="M")),
    "period of weeks": pd.Series(pd.period_range("2020-01-01", periods=N, freq="W-SUN")),
    "period of quarters": pd.Series(pd.period_range("2020-01-01", periods=N, freq="Q-NOV")),
    "months as text": pd.Series([f"20{year}-{month:02}" for year in (20, 21) for month in (1, 3, 5, 7, 9, 12)]),
    "months by name": pd.Series(pd.date_range("2020", periods=N, freq="MS").strftime("%b %Y")),
    "quarters as text, some missing": pd.Series(["2020Q4", None, "2021Q1"] * 4),
    "weeks as text": pd.Series([f"2020-W{week}" for week in range(42, 54)]),
    "duration": pd.Series(pd.to_timedelta([1, 2, 4] * 4, unit="h")),
    "duration, some missing": pd.Series(pd.to_timedelta([1, 2, None] * 4, unit="h")),
    "duration of parts of seconds": pd.Series(
        [dt.timedelta(microseconds=1), dt.timedelta(2), dt.timedelta(0, 0.5)] * 4
    ),
    "cut": pd.Series(pd.cut(NUMBERS, [0, 2, 6, 9, 12])),
    "cut, some missing": pd.Series(pd.cut([1, 5, 90] * 4, [0, 2, 6, 9, 12])),
    "cut by number": pd.Series(pd.cut(NUMBERS, 3)),
    "interval": pd.Series(pd.arrays.IntervalArray.from_breaks(range(N + 1))),
    "closed interval": pd.Series(pd.arrays.IntervalArray.from_breaks(range(N + 1), closed="both")),
    "interval of dates": pd.Series(pd.interval_range(pd.Timestamp("2020"), periods=N)),
    "uuid": pd.Series(IDS),
    "uuid, some missing": pd.Series([*IDS[:-1], None]),
    "decimal": pd.Series([Decimal("1.50"), Decimal("2.25"), Decimal("3.10")] * 4),
    "ordered categorical": pd.Series(pd.Categorical(["a", "b", None] * 4, ["c", "b", "a"], ordered=True)),
    "categorical of numbers": pd.Series(pd.Categorical([1, 5, None] * 4, [5, 1, 7])),
    "date": pd.Series([dt.date(2020, 1, 1), dt.date(2020, 1, 3), dt.date(2020, 1, 7)] * 4),
    "time of the day": pd.Series([dt.time(1, 30), dt.time(2), dt.time(23, 59, 59)] * 4),
    "zone": pd.Series(pd.date_range("2020-03-28", periods=N, tz="Europe/Berlin")),
    "fixed zone": pd.Series(pd.date_range("2020", periods=N, tz="+02:00")),
    "whole, some missing": pd.Series([1, 7, None] * 4, dtype="Int64"),
    "truth values, some missing": pd.Series([True, None, False] * 4, dtype="boolean"),
    "floats that are whole, some missing": pd.Series([1.0, None, 2.0] * 4),
    "negative zero": pd.Series([-0.0, 1.5, 3.0] * 4),
    "text, some empty, some missing": pd.Series(["a", None, ""] * 4),
    "constant whole number": pd.Series([3] * N),
    "zeros": pd.Series([0.0] * N),
    "constant text": pd.Series(["a"] * N),
    "constant date": pd.Series([pd.Timestamp("2020")] * N),
    "constant date in a zone": pd.Series([pd.Timestamp("2020", tz="Europe/Berlin")] * N),
    "constant period": pd.Series([pd.Period("2020-03", "M")] * N),
    "constant duration": pd.Series(pd.to_timedelta([1] * N, unit="h")),
    "constant truth value": pd.Series([True] * N),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_pandas_comes_back_with_its_type(name: str, tmp_path) -> None:
    column = COLUMNS[name]
    steps = pd.DataFrame(LONG | {"x": column})
    inputs = pd.DataFrame({"x": column, "s": ["ab", "c", "d"] * 4})
    for sequences, frame in (
        (there_and_back(steps, inputs="k", sequence=["x"], id="id"), steps),
        (there_and_back(inputs, inputs="x", sequence="s"), inputs),
    ):
        pd.testing.assert_series_equal(sequences.to_frame()["x"], frame["x"])
        assert len(sequences.to_polars()) == len(sequences.to_arrow()) == N
        assert sequences.to_frame(long=False) is not None
        for ending in ("csv", "json", "parquet"):
            sequences.save(tmp_path / f"x.{ending}")
            assert len(read_table(tmp_path / f"x.{ending}")) == N


@pytest.mark.parametrize(
    ("values", "polars"),
    [
        ([1, None, 2**40] * 4, pl.Int64),
        ([True, None, False] * 4, pl.Boolean),
        ([dt.timedelta(hours=1), None, dt.timedelta(days=3)] * 4, pl.Duration("us")),
        ([Decimal("0.10"), Decimal("2.25"), None] * 4, pl.Decimal(38, 2)),
        ([dt.date(2020, 1, 1), dt.date(2020, 1, 3), dt.date(2020, 1, 7)] * 4, pl.Date),
        ([dt.time(1), dt.time(2), None] * 4, pl.Time),
        (IDS, pl.String),
        ([dt.datetime(2020, 1, day, tzinfo=dt.UTC) for day in (1, 3, 7)] * 4, pl.Datetime("us", "UTC")),
    ],
)
def test_values_of_python_come_back_as_they_went_in(values: list, polars) -> None:
    sequences = there_and_back(LONG | {"x": values}, inputs="k", sequence=["x"], id="id")
    assert [value for sequence in sequences for value in sequence] == values
    assert sequences.to_dict()["x"] == values
    assert sequences.to_polars()["x"].dtype == polars
    assert [type(value) for value in sequences.to_dict()["x"]] == [type(value) for value in values]


def test_values_inside_lists_and_records_come_back_with_their_type() -> None:
    hours, months = [dt.timedelta(hours=h) for h in range(3)], [dt.date(2020, m, 1) for m in (1, 2, 4)]
    lists = {"k": ["a", "b"], "x": [hours, hours[:1]]}
    assert list(there_and_back(lists, inputs="k", sequence="x")) == lists["x"]
    steps = [{"at": day, "took": hour} for day, hour in zip(months, hours, strict=True)]
    log = [steps, [{"at": months[0], "took": hours[2]}]]
    records = there_and_back({"k": ["a", "b"], "log": log}, inputs="k", sequence="log")
    assert list(records) == log
    assert records.to_frame()["log"].tolist() == log
    assert pa.types.is_duration(records.to_arrow(long=True)["took"].type)


@pytest.mark.parametrize("items", [list(pd.period_range("2020-01", periods=3, freq="M")), IDS[:3]])
def test_lists_of_types_that_arrow_has_no_lists_of_come_back(items: list) -> None:
    sequences = [items, items[:1], [], items[1:]]
    made = there_and_back({"k": list("abab"), "x": sequences}, inputs="k", sequence="x")
    assert list(made) == made.to_dict()["x"] == sequences


@pytest.mark.parametrize("origin", [Origin("spelled", "YYYY"), Origin("decimal", "-1"), Origin("decimal", "")])
def test_an_origin_of_a_damaged_file_is_refused(origin: Origin) -> None:
    codec = there_and_back(
        LONG | {"x": ["2020-01", "2020-02", "2020-04"] * 4}, inputs="k", sequence=["x"], id="id"
    ).codec
    assert codec.origins["x"] == Origin("spelled", "YYYY-01")
    with pytest.raises(
        SchemaError, match=f"origin of 'x': expected a detail of '{origin.kind}', found '{origin.detail}'"
    ):
        msgspec.structs.replace(codec, origins={"x": origin})


def test_a_single_number_of_numpy_stands_for_all_rows() -> None:
    assert read_table({"x": np.array(3), "y": [1, 2]}).columns["x"].tolist() == [3, 3]


def test_sparse_columns_come_back_dense() -> None:
    frame = pd.DataFrame({"x": pd.arrays.SparseArray([0, 0, 1] * 4), "s": ["ab", "c", "d"] * 4})
    assert there_and_back(frame, inputs="x", sequence="s").to_frame()["x"].tolist() == [0, 0, 1] * 4


def test_a_number_that_is_no_category_of_a_categorical_is_kept() -> None:
    frame = pd.DataFrame({"x": pd.Categorical([1, 5, 1] * 4), "s": ["ab", "c", "d"] * 4})
    origins = {name: read_table(frame).origin("x") for name in ("x", "y")}
    made = write_table({"x": np.array([3, 5]), "y": np.array([5, 1])}, "pandas", origins)
    assert made["x"].tolist() == [3, 5]
    assert isinstance(made["y"].dtype, pd.CategoricalDtype)


BIG = [2**60 + 1, 2**62 + 1, -(2**62) - 1] * 4


@pytest.mark.parametrize("values", [BIG, [*BIG[:-1], None]])
def test_whole_numbers_beyond_2_to_the_53_are_exact_as_categories_and_refused_as_numbers(values: list) -> None:
    frame = pd.DataFrame(LONG | {"x": pd.Series(values, dtype="Int64"), "mine": pd.Series(values, dtype="Int64")})
    sequences = there_and_back(frame, inputs="k", sequence=[us.Category("x")], id="id")
    assert sequences.to_dict()["x"] == values
    assert sequences.to_dict()["mine"] == [values[0]] * 3 + [values[3]] * 3 + [values[6]] * 3 + [values[9]] * 3
    words = (
        r"id 0, step 1, column 'x': expected whole numbers up to 2\*\*53.*found 1152921504606846977.*Category\('x'\)"
    )
    with pytest.raises(SchemaError, match=words):
        gather(frame, inputs="k", sequence=["x"], id="id")
    with pytest.raises(SchemaError, match=r"row 1, column 'x': expected whole numbers up to 2\*\*53"):
        gather({"x": BIG, "s": ["ab", "c", "d"] * 4}, inputs="x", sequence="s")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([b"a", b"b"], r"column 'x': .*found values of type binary. Decode them"),
        ([1, "a"], r"row 2, column 'x': expected a number, .*found text 'a'"),
        ([None, None], r"column 'x': expected at least one value, found 2 missing values. Drop the column"),
        ([1.0, float("inf")], r"row 2, column 'x': expected a finite number, found inf"),
        ([1, 2**63], r"column 'x': expected whole numbers below 2\*\*63, found larger ones. Write them as text"),
        ([1j, 2j], r"column 'x'.*with type complex|column 'x'.*values of type complex"),
    ],
)
def test_values_that_no_column_can_hold_are_refused_by_name(values: list, words: str) -> None:
    for kind in (dict, pd.DataFrame):
        with pytest.raises(DataError, match=words):
            gather(kind({"x": values, "s": ["ab", "c"]}), inputs="x", sequence="s")


def test_columns_of_several_levels_and_numbers_that_are_texts_too_are_refused() -> None:
    with pytest.raises(DataError, match=r"found the name \('a', 'b'\), of several levels. Join the levels"):
        read_table(pd.DataFrame({("a", "b"): [1], ("a", "c"): [2]}))
    with pytest.raises(DataError, match=r"expected every column name once, found '1' as text and as number"):
        read_table(pd.DataFrame({1: [1], "1": [2]}))


def test_a_named_index_is_a_column_of_the_inputs_and_of_no_step() -> None:
    frame = pd.DataFrame(LONG | {"x": np.arange(N) % 5, "t": [2, 1, 3] * 4}).set_index(["id", "t"])
    schema, examples = gather(frame, inputs="k", id="id", order="t")
    assert [field.name for field in schema.steps] == ["x"]
    assert examples.steps["x"].tolist() == [1, 0, 2, 4, 3, 0, 2, 1, 3, 0, 4, 1]


def test_rows_with_one_order_value_stay_in_the_order_of_the_table_and_a_line_says_so() -> None:
    data = LONG | {"x": np.arange(N), "t": [2, 1, 1, 1, 1, 1, 3, 2, 1, 1, 2, 3]}
    _, examples = gather(data, inputs="k", sequence=["x"], id="id", order="t")
    assert examples.steps["x"].tolist() == [1, 2, 0, 3, 4, 5, 8, 7, 6, 9, 10, 11]
    (line,) = examples.notes
    assert line.startswith("the data: column 't': 3 rows with the order value of the row before, such as 1 in rows 2 ")
    assert line.endswith("and 3; they keep the order of the table")


def test_texts_that_are_numbers_are_numbers_or_named() -> None:
    decimals = [f"{number / 8:.3f}" for number in range(40)]
    doses = [f"{number / 8:.2f} mg" for number in range(40)]
    codes = [str(100 + number) for number in range(40)]
    data = {"d": decimals, "dose": doses, "code": codes, "s": ["ab", "c"] * 20}
    schema, examples = gather(data, inputs=["d", "dose", "code"], sequence="s")
    assert [field.kind for field in schema.inputs] == ["Number", "Category", "Category"]
    assert examples.inputs["d"].tolist() == [number / 8 for number in range(40)]
    dose, code = examples.notes
    assert dose.startswith("the data: column 'dose': 40 different texts such as '0.00 mg' are categories. ")
    assert dose.endswith("If they are measurements, give numbers without their unit")
    assert code.startswith("the data: column 'code': 40 different texts such as '100' are categories. ")
    assert code.endswith("If they are measurements, make the column a number")
    asked = [us.Category("dose"), us.Category("code")]
    assert gather(data, inputs=asked, sequence="s")[1].notes == ()


@pytest.mark.parametrize(
    "data",
    [
        ["ab", "c", "dd"],
        pd.Series(["ab", "c", "dd"]),
        pl.Series("sequence", ["ab", "c", "dd"]),
        np.array(["ab", "c", "dd"]),
        {"sequence": ["ab", "c", "dd"]},
    ],
    ids=["list", "pandas", "polars", "numpy", "dict"],
)
def test_texts_alone_are_sequences(data) -> None:
    _, examples = gather(data)
    assert (examples.offsets.tolist(), "".join(map(chr, examples.steps["sequence"]))) == ([0, 2, 3, 5], "abcdd")


def test_arrays_alone_are_sequences_and_one_series_is_answered() -> None:
    _, examples = gather(np.arange(6).reshape(2, 3))
    assert (examples.offsets.tolist(), examples.steps["sequence"].tolist()) == ([0, 3, 6], [0, 1, 2, 3, 4, 5])
    schema, examples = gather(np.arange(12.0).reshape(2, 3, 2))
    assert [field.name for field in schema.steps] == ["sequence[0]", "sequence[1]"]
    assert examples.steps["sequence[1]"].tolist() == [1, 3, 5, 7, 9, 11]
    assert gather(pd.Series([[1, 2], [3]], name="mine"))[0].sequence == "mine"
    for series in (np.arange(3.0), pd.Series([1.5, 2.5]), [1, 2]):
        with pytest.raises(DataError, match=r"found single values. If they are one long series, cut it with windows"):
            gather(series)


def test_columns_named_by_whole_numbers_come_back_so() -> None:
    frame = pd.DataFrame({0: list("abab"), 1: ["ab", "c", "d", "e"], 2: [1, 2, 3, 4]})
    made = there_and_back(frame, inputs=[0, us.Number(2)], sequence=1)
    assert made.to_frame().columns.tolist() == [0, 2, "sample", 1]
    assert list(made.to_dict()) == [0, 2, "sample", 1]
    long = pd.DataFrame(np.column_stack([np.repeat(np.arange(4), 3), np.arange(N) % 4, np.arange(N) % 3]))
    schema, _ = gather(long, sequence=[us.Category(1), us.Category(2)], id=0, combinations=[(1, 2)])
    assert schema.steps[0].columns == ("1", "2")
    records = there_and_back(long, inputs=us.First(1), sequence=[1, 2], id=0)
    assert records[0] == [{1: 1, 2: 1}, {1: 2, 2: 2}]
    out = io.StringIO()
    records.save(out)
    assert out.getvalue().startswith("row,sample,step,0,first_1,1,2\n")
    with pytest.raises(SchemaError, match=r"expected the column '7', found only '0', '1', '2'"):
        gather(long, inputs=7, sequence=[1], id=0)
