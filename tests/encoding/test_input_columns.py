"""Truth values, vectors and timestamps of an input: nothing of them is lost on the way to the network."""

import datetime as dt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.encoding.input_columns import DAYS_OF_CYCLE, BinaryEncoder, TimestampEncoder, VectorEncoder
from unspool.errors import Location, SchemaError
from unspool.schema.coercion import coerce
from unspool.schema.fields import Flag, Vector, When
from unspool.tables.arrow import from_values

PLACE = Location("the data", "x")
TIMESTAMPS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001


def survives_json(fitted) -> bool:
    return msgspec.json.decode(msgspec.json.encode(fitted), type=type(fitted)) == fitted


@given(st.lists(st.none() | st.booleans(), min_size=1).filter(lambda values: values != [None] * len(values)))
def test_truth_values_are_one_and_minus_one(values: list) -> None:
    fitted = BinaryEncoder(None in values)
    encoded = fitted.encode_input(coerce(from_values(values, PLACE), Flag("x"), PLACE), PLACE)
    wanted = [[np.nan if value is None else 1.0 if value else -1.0] for value in values]
    np.testing.assert_array_equal(encoded, wanted)
    assert survives_json(fitted)


def test_truth_values_may_be_written_as_0_and_1_and_as_nothing_else() -> None:
    assert coerce(np.array([0, 1]), Flag("x"), PLACE).tolist() == [False, True]
    assert coerce(np.array([0.0, np.nan]), Flag("x"), PLACE).tolist() == [False, None]
    with pytest.raises(SchemaError, match=r"row 2, column 'x': expected true or false .*found 2"):
        coerce(np.array([0, 2]), Flag("x"), PLACE)


@given(
    st.integers(1, 5)
    .flatmap(
        lambda width: st.lists(st.none() | st.lists(st.floats(-1e9, 1e9), min_size=width, max_size=width), min_size=1)
    )
    .filter(any)
)
def test_vectors_are_standardized_axis_by_axis(values: list) -> None:
    column = coerce(from_values(values, PLACE), Vector("x"), PLACE)
    fitted = VectorEncoder.fit(column)
    encoded = fitted.encode_input(column, PLACE)
    assert (np.nanmax(np.abs(np.nanmean(encoded, 0))) < 1e-3) or len(values) < 2
    np.testing.assert_allclose(encoded * fitted.scale + fitted.loc, column, rtol=1e-9, atol=1e-6)
    assert survives_json(fitted)


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"expected 2 numbers, as in training, found 3"):
        VectorEncoder.fit(np.ones((4, 2))).encode_input(np.ones((1, 3)), PLACE)


@given(st.lists(st.none() | TIMESTAMPS, min_size=1).filter(any))
def test_timestamps_are_their_time_to_a_few_microseconds_and_the_phase_of_each_cycle(values: list) -> None:
    column = coerce(from_values(values, PLACE), When("x"), PLACE)
    fitted = TimestampEncoder.fit(column)
    time, *phases = fitted.encode_input(column, PLACE).T
    missing = np.isnat(column)
    np.testing.assert_array_equal(np.isnan(time), missing)
    days = column.astype(np.int64) / 86_400e6
    assert np.abs(time * fitted.scale + fitted.loc - days)[~missing].max() * 86_400e6 <= 100
    assert len(phases) == 2 * len(fitted.cycles)
    for k, cycle in enumerate(fitted.cycles):
        turns = np.arctan2(phases[2 * k], phases[2 * k + 1]) / (2 * np.pi) - days / DAYS_OF_CYCLE[cycle]
        np.testing.assert_allclose((turns - np.round(turns))[~missing], 0, atol=1e-9)
    assert survives_json(fitted)


@pytest.mark.parametrize(
    ("timestamps", "cycles"),
    [
        (["2026-01-05", "2026-01-12", "2026-01-19"], ()),
        (["2026-01-05", "2026-01-06"], ("week",)),
        (["2026-01-05", "2026-03-09"], ("year",)),
        (["2026-01-05T01", "2026-01-05T07"], ("day",)),
        (["2026-01-05T01", "2027-03-06T07"], ("year", "week", "day")),
    ],
)
def test_only_the_cycles_that_training_varies_in_are_features(timestamps, cycles) -> None:
    assert TimestampEncoder.fit(np.array(timestamps, "datetime64[us]")).cycles == cycles


def test_a_missing_timestamp_is_a_row_of_nan() -> None:
    column = np.array(["2026-01-05", "NaT"], "datetime64[us]")
    assert np.isnan(TimestampEncoder.fit(column).encode_input(column, PLACE)[1]).all()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b'{"kind":"vector","dim":2,"loc":[0.0],"scale":[1.0]}', VectorEncoder),
        (b'{"kind":"timestamp","loc":0.0,"scale":0.0}', TimestampEncoder),
        (b'{"kind":"binary","more":1}', BinaryEncoder),
    ],
)
def test_impossible_columns_from_a_file_are_refused(text, kind) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=kind)
