"""The field of a column is inferred from its values."""

import datetime as dt

import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, Location, SchemaError
from unspool.schema.coercion import timestamps
from unspool.schema.fields import Category, Field, Flag, Number, Vector, When
from unspool.schema.inference import infer_input, infer_steps, with_sentinel
from unspool.tables.arrow import from_values

N = 120


X = Location("the data", "x")


def input_field(values) -> Field:
    return infer_input(from_values(values, X), "x", X)[0]


def step_field(values) -> Field:
    return infer_steps({"x": from_values(values, X)}, np.array([0, len(values)]), {}, {}, {"x": X}).fields[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b", None] * 40, Category),
        (["2026-01-31", "2026-02-01 10:30"] * 60, When),
        ([dt.date(2026, 1, 1), None, dt.date(2026, 1, 2)] * 40, When),
        ([True, False] * 60, Flag),
        ([True, None] * 60, Flag),
        ([1.5, 2.5] * 60, Number),
        (list(range(1, 13)) * 10, Category),
        ([0, 1, None] * 40, Category),
        ([[1, 2], [3, 4]] * 60, Vector),
        (["[1, 2]", "[3, 4.5]"] * 60, Vector),
        (["2026", "2027"] * 60, Category),
        ([*"0123456789+"] * 5, Category),  # tokens rather than numbers with mistakes
        ([1.0, 2.0, float("nan")] * 40, Category),  # pandas makes floats of whole numbers with missing ones
        ([1.0, 2.0] * 60, Number),
        ([3.5, None] * 9, Number),  # a missing value is information
        (["a", None] * 9, Category),
        ([[1, 2], None] * 9, Vector),
        ([5], Number),  # a single example has constant inputs
    ],
)
def test_an_input_has_the_kind_of_its_values(values, kind) -> None:
    assert type(input_field(values)) is kind


@pytest.mark.parametrize(
    "values",
    [
        list(range(N)),
        list(range(1, 10)),
        [2010 + i % 9 for i in range(N)],
        [4, 6, 8] * 40,
        np.random.default_rng(0).poisson(2, N).tolist(),
        [i % 24 for i in range(N)],
    ],
    ids=["ids", "few-rows", "years", "with-gaps", "counts", "too-many"],
)
def test_whole_numbers_that_count_or_measure_are_numbers(values) -> None:
    assert type(input_field(values)) is Number


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"] * 10, Category),
        ([True, False] * 10, Flag),
        ([True, None] * 10, Flag),
        ([1, 2, 3, 4] * 10, Category),
        ([2, 4, 6, 8], Number),
        (list(range(200)) * 5, Number),
        ([0.5, 1.0, 1.5] * 10, Category),
        ([k * k % 41 / 2 for k in range(400)], Number),
        ([k / 2 for k in range(40)] * 10, Category),  # each is always followed by the same one
        ([0.123456789, 0.5] * 10, Number),
        ([1, None, 2] * 10, Category),
        ([dt.date(2026, 1, 1), dt.date(2026, 1, 2)], When),
        (["2026-01-01", "2026-01-02"] * 20, When),
        ([*"0123456789+"] * 5, Category),
        ([*map(str, range(300)), "<end>"], Category),
    ],
)
def test_a_step_has_the_kind_of_its_values(values, kind) -> None:
    assert type(step_field(values)) is kind


def test_text_among_numbers_is_a_mistake_rather_than_a_category() -> None:
    rows = [str(i / 3) for i in range(30)]
    rows[16] = "n/a"
    with pytest.raises(SchemaError, match=r"row 17, column 'x': expected a number, .*found 'n/a'. Correct the cell"):
        input_field(rows)


def test_a_field_overrides_the_inferred_one() -> None:
    data = {"m": list(range(1, 13)) * 10, "x": [[1, 2, 3]] * 60 + [[3, 2]] * 60}
    schema, examples = gather(data, inputs=[Number("m")], sequence=Number("x", "none", "point"))
    assert schema.inputs == (Number("m", "standardize"),)
    assert schema.steps == (Number("x", "none", "point"),)
    assert examples.steps["x"].dtype == np.int64


def test_a_column_inside_records_can_be_overridden() -> None:
    data = {"k": ["a", "b"], "path": [[{"x": 1, "y": 2}, {"x": 2, "y": 5}], [{"x": 3, "y": 1}]]}
    schema, _ = gather(data, inputs="k", sequence={"path": [Category("x")]})
    assert schema.steps == (Category("x"), Number("y", "standardize", "discretized"))
    with pytest.raises(SchemaError, match="fields of its records: x, y, found z"):
        gather(data, inputs="k", sequence={"path": [Category("z")]})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([None] * 9, "expected at least one value, found 9 missing values. Drop the column"),
        ([float("nan")] * 9, "9 missing values"),
    ],
)
def test_an_input_without_information_is_refused(values, words) -> None:
    with pytest.raises(DataError, match=words):
        input_field(values)


@pytest.mark.parametrize("value", [7, 0.0, "a", np.datetime64("2026-01-31", "us")])
def test_a_constant_step_is_a_category_of_one_value(value) -> None:
    assert step_field([value] * 3) == Category("x")


def test_constant_columns_are_named_in_one_line() -> None:
    data = {"k": ["a", "b"], "c": [3.5, 3.5], "v": [[1, 2]] * 2, "x": [[0, 0], [0]], "y": [[1, 2], [1]]}
    schema, examples = gather(data, inputs=["k", "c", "v"], sequence=["x", "y"])
    line = "the data: always the same, and generated so: 'c' (3.5), 'v' ([1, 2]), 'x' (0)"
    assert examples.notes == (line,)
    assert schema.inputs[1:] == (Number("c", "standardize"), Vector("v"))


@pytest.mark.parametrize(
    ("days", "row"), [(["2026-01-01T00:00", None, "2026-01-01T00:00Z"], 3), (["2026-01-01", "no", "2026-01-02"], 2)]
)
def test_the_first_text_that_is_no_date_like_the_others_is_named(days, row) -> None:
    with pytest.raises(SchemaError, match=rf"row {row}, column 'x': expected a date, .*found '{days[row - 1]}'"):
        timestamps(np.array(days, object), When("x"), X)


MONTHS = [f"2026-0{month}-01" for month in range(1, 6)]


def dates(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[us]")


@pytest.mark.parametrize(
    ("values", "sentinel"),
    [
        (dates(*MONTHS, *["9999-12-31"] * 5), "9999-12-31"),
        (dates(*MONTHS, *["1900-01-01"] * 5), "1900-01-01"),
        (dates(*MONTHS, *["9999-12-31T23:59:59"] * 5), "9999-12-31T23:59:59.000000"),
        (dates(*MONTHS, *["9999-12-31"] * 4), None),
        (dates(*MONTHS, *["2026-09-01"] * 9), None),
        (dates(*MONTHS, "NaT", *["9999-12-31"] * 5), None),
        (dates(*MONTHS[:4], *["9999-12-31"] * 5), None),
        (dates(*["9999-12-31"] * 5), None),
    ],
    ids=["late", "early", "a time", "too few", "near", "beside missing ones", "beside too few", "alone"],
)
def test_a_date_that_repeats_far_from_all_others_stands_for_none(values: np.ndarray, sentinel: str | None) -> None:
    field, kept = with_sentinel(When("x"), values)
    assert field.sentinel == sentinel
    assert np.isnat(kept).sum() == (np.isnat(values).sum() if sentinel is None else 5)


def test_a_sentinel_comes_back_as_it_is_and_a_date_no_program_knows_is_refused() -> None:
    rows = [
        [{"at": f"2026-0{k}-01", "end": "9999-12-31"}, {"at": "2026-09-01", "end": f"2026-10-0{k}"}]
        for k in range(1, 6)
    ]
    schema, examples = gather({"k": list("abcde"), "x": rows}, inputs="k", sequence="x")
    codec = fit_codec(schema, examples)
    encoded = codec.encode(examples)
    decoded = codec.decode(encoded.steps, encoded.offsets)
    assert decoded["end"].astype("datetime64[D]").astype(str).tolist() == [
        date for k in range(1, 6) for date in ("9999-12-31", f"2026-10-0{k}")
    ]
    assert "sentinel 9999-12-31" in codec.describe()
    for year in (12_000, 400_000):
        late = np.array([f"{year}-01-01", "2026-01-01"], "datetime64[D]")
        with pytest.raises(DataError, match=f"column 'd': expected a date of the years 1 to 9999, found {year}-01-01"):
            gather({"d": late, "x": ["ab", "b"]}, inputs="d", sequence="x")
