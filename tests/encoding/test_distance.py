"""Columns that are learned as a distance from others of their step."""

import datetime as dt
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.codec import AnyStepColumn, Codec
from unspool.encoding.columns import Continuation
from unspool.encoding.distance import DistanceEncoder, running_max
from unspool.encoding.fit import fit_codec
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.numeric_fit import level_ends
from unspool.errors import Location, SchemaError
from unspool.schema.fields import Number

RNG = np.random.default_rng(3)
START = dt.datetime(2026, 1, 1)  # noqa: DTZ001


def records(level: float = 1.0) -> list[list[dict[str, Any]]]:
    """Forty sequences of records with two ordered dates, two ordered prices, and a sum."""
    rows = []
    for _ in range(40):
        row = []
        for _ in range(int(RNG.integers(3, 7))):
            start = START + dt.timedelta(seconds=int(RNG.integers(0, 9e6)))
            bid = round(float(RNG.lognormal(3, level)), 2)
            net, tax = int(RNG.integers(1, 99)), int(RNG.integers(0, 9))
            row.append({
                "start": start, "end": start + dt.timedelta(seconds=int(RNG.integers(0, 9e5))),
                "ask": round(bid * (1 + float(RNG.exponential(0.1))), 2), "bid": bid,
                "net": net, "total": net + tax, "tax": tax,
            })  # fmt: skip
        rows.append(row)
    return rows


ROWS = records()


@pytest.fixture(scope="module")
def fitted() -> tuple[Codec, Examples]:
    schema, examples = gather({"k": list(range(len(ROWS))), "x": ROWS}, inputs="k", sequence="x")
    return fit_codec(schema, examples), examples


def test_records_come_back_in_the_order_of_the_table(fitted: tuple[Codec, Examples]) -> None:
    codec, examples = fitted
    encoded = codec.encode(examples)
    shown = codec.show(codec.decode(encoded.steps, encoded.offsets), encoded.offsets)
    assert [[list(step) for step in row] for row in shown] == [[list(step) for step in row] for row in ROWS]
    assert shown == ROWS
    assert list(codec.types.values()) == ["time", "time", "float", "float", "int", "int", "int"]


def test_the_fit_says_what_it_keeps(fitted: tuple[Codec, Examples]) -> None:
    described = fitted[0].describe()
    assert "always    start <= end" in described
    assert "always    total = net + tax" in described
    assert "from start, distance " in described


@pytest.mark.parametrize("z", [-50.0, -1.0, 0.0, 3.0, 50.0])
def test_whatever_is_sampled_keeps_the_relations(fitted: tuple[Codec, Examples], z: float) -> None:
    codec, examples = fitted
    encoded = codec.encode(examples)
    steps = [
        np.full(len(values), z) if isinstance(column, DistanceEncoder) else values
        for values, (_, column) in zip(encoded.steps, codec.step_columns(), strict=True)
    ]
    decoded = codec.decode(steps, encoded.offsets)
    assert (decoded["start"] <= decoded["end"]).all()
    assert (decoded["bid"] <= decoded["ask"]).all()
    assert (decoded["total"] == decoded["net"] + decoded["tax"]).all()


def test_a_column_survives_its_file(fitted: tuple[Codec, Examples]) -> None:
    codec, _ = fitted
    assert msgspec.json.decode(msgspec.json.encode(codec), type=Codec) == codec
    for column in codec.steps:
        assert msgspec.json.decode(msgspec.json.encode(column), type=AnyStepColumn) == column


@pytest.mark.parametrize(("column", "value"), [("end", START - dt.timedelta(1)), ("bid", 1e9), ("total", -5)])
def test_new_data_that_break_a_relation_are_refused_with_their_place(
    fitted: tuple[Codec, Examples], column: str, value: object
) -> None:
    codec, _ = fitted
    broken = [[dict(step) for step in row] for row in ROWS[:3]]
    broken[1][2][column] = value
    with pytest.raises(SchemaError, match=f"row 2, step 3, column '{column}'") as raised:
        codec.encode(gather_fitted(codec, {"k": [0, 1, 2], "x": broken}))
    assert "relations=None" in raised.value.hint


def test_a_derived_column_must_be_in_new_data(fitted: tuple[Codec, Examples]) -> None:
    codec, _ = fitted
    lacking = [[{name: value for name, value in step.items() if name != "total"} for step in row] for row in ROWS[:2]]
    with pytest.raises(SchemaError, match="total"):
        gather_fitted(codec, {"k": [0, 1], "x": lacking})


def column(values: list[float], *others: list[float], sign: int = 1, relative: bool = False) -> DistanceEncoder:
    return DistanceEncoder(NumericEncoder("none", 0.0, 1.0), ("a", "b")[: len(others)], sign, relative=relative)  # type: ignore[arg-type]


PLACE: Any = None


@given(st.floats(0.01, 1e6), st.floats(1.0, 50.0))
def test_the_log_slope_of_a_ratio_is_that_of_finite_differences(reference: float, ratio: float) -> None:
    y, nudge = reference * ratio, 1e-6 * reference * ratio
    fitted = column([y], [reference], relative=True)
    low, high = (fitted.distances(np.array([x]), (np.array([reference]),), PLACE) for x in (y, y + nudge))
    slope = fitted.log_slope(np.array([y]), low)
    assert slope[0] == pytest.approx(np.log((high[0] - low[0]) / nudge), abs=1e-3)


def test_a_ratio_with_a_mass_has_no_slope() -> None:
    fitted = column([], [1.0], relative=True)
    fitted = msgspec.structs.replace(fitted, distance=msgspec.structs.replace(fitted.distance, point_masses=(0.0,)))
    slope = fitted.log_slope(np.array([7.0, 8.0, np.nan]), np.array([0.0, np.log(8 / 7), np.nan]))
    np.testing.assert_allclose(slope, [0.0, -np.log(8), 0.0])


def test_rounding_never_crosses_a_reference() -> None:
    fitted = msgspec.structs.replace(column([], [1.0]), decimals=0)
    (values,), _ = fitted.decode(np.array([0.0]), Continuation(np.array([0, 1]), references=(np.array([1.4]),)))
    assert values.tolist() == [1.4]


def test_a_number_stays_within_the_bounds_of_training() -> None:
    down = msgspec.structs.replace(column([], [1.0], sign=-1), floor=0.0, ceiling=9.0)
    decoded = down.decode(np.array([5.0, 1.0]), Continuation(np.array([0, 2]), references=(np.array([3.0, 12.0]),)))
    assert decoded.values[0].tolist() == [0.0, 9.0]


def test_a_value_without_a_reference_is_missing() -> None:
    decoded = column([], [1.0]).decode(
        np.array([5.0]), Continuation(np.array([0, 1]), references=(np.array([np.nan]),))
    )
    assert np.isnan(decoded.values[0]).all()


def test_dates_keep_their_microseconds() -> None:
    fitted = msgspec.structs.replace(column([], [0.0]), unit=1.0)
    start = np.array(["1700-01-01T00:00:00.000001", "2300-01-01T00:00:00.999999"], "datetime64[us]")
    (values,), _ = fitted.decode(np.array([1.0, 0.0]), Continuation(np.array([0, 2]), references=(start,)))
    assert values.astype(str).tolist() == ["1700-01-01T00:00:00.000002", "2300-01-01T00:00:00.999999"]


def test_dates_that_never_fell_do_not_fall_across_calls_either() -> None:
    offsets, before = np.array([0, 3, 3, 5]), np.array([4.0, np.nan, np.nan])
    y, present = np.array([2, 9, 7, 3, 1]), np.array([True, False, True, True, True])
    assert running_max(y, present, Continuation(offsets, before))[present].tolist() == [4, 7, 3, 3]


def test_a_number_near_another_comes_back_from_both_sides() -> None:
    """Ratios of prices on many levels, differences of whole numbers; what is missing stays so."""
    level = np.exp(RNG.uniform(0, 4, 300))
    close = level * np.exp(0.01 * RNG.normal(size=300))
    close[5] = np.nan
    whole = RNG.integers(0, 900, 300)
    for y, reference, relative in ((close, level, True), (whole + RNG.integers(-3, 4, 300), whole, False)):
        field, offsets = Number("y", "standardize", "mixture", near=("r",)), np.arange(301)
        column = DistanceEncoder.fit(field, y, (reference,), Location("t", "y"), offsets)
        assert (column.sign, column.relative) == (0, relative)
        distances = column.distances(y, (reference,), Location("t", "y"))
        assert (distances < 0).any()
        z, inner = column.encode(distances, Location("t", "y"), offsets)
        (back,) = column.decode(z, Continuation(offsets, references=(reference,))).values
        np.testing.assert_allclose(back, y, rtol=1e-12)
        assert back.dtype == y.dtype
        step = 1e-6 * np.abs(y)
        slope = column.log_slope(y, z)
        up = column.encode(column.distances(y + step, (reference,), Location("t", "y")), Location("t", "y"), offsets)
        present = ~np.isnan(y.astype(float))
        np.testing.assert_allclose(np.exp(slope + inner)[present], ((up[0] - z) / step)[present], rtol=1e-3)


def test_numbers_keep_to_the_ends_of_their_own_tail_while_their_reference_does() -> None:
    """A distance of any size leads no further; from a reference beyond training it leads where it leads."""
    most = RNG.uniform(10, 20, 300)
    least = most - RNG.exponential(size=300)
    field, offsets = Number("y", "standardize", "mixture", below=("r",)), np.arange(301)
    column = DistanceEncoder.fit(field, least, (most,), Location("t", "y"), offsets)
    low, high = column.ends or pytest.fail("no ends")
    assert (low, high) == level_ends(least)
    for d, wanted in ((0.0, (19.0, 100.0)), (60.0, (max(low, 0.0), 40.0))):
        z = np.full(2, column.distance.to_network(d))
        (back,) = column.decode(z, Continuation(np.arange(3), references=(np.array([19.0, 100.0]),))).values
        np.testing.assert_allclose(back, wanted)
