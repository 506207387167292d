"""Angles come back as they went in, whichever period the data uses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.encoding.angle import AngleEncoder, AngleInput, change_unit
from unspool.encoding.columns import Continuation
from unspool.errors import Location, SchemaError
from unspool.schema.fields import Angle

PLACE = Location("the data", "x")


def trip(column, values):
    """Values through float32, as the network has them."""
    z, _ = column.encode(values, PLACE)
    return column.decode(z.astype(np.float32), Continuation(np.array([0, len(values)]))).values[0]


@given(st.sampled_from([0.0, -180.0]), st.lists(st.integers(0, 3599), min_size=3, max_size=30))
def test_angles_on_a_grid_come_back_exactly(start, ticks) -> None:
    values = np.round(np.array([*ticks, 1, 3599]) / 10 + start, 1)
    column = AngleEncoder.fit(Angle("x"), values, PLACE, np.array([0, len(values)]))
    np.testing.assert_array_equal(trip(column, values), values)


@given(st.floats(0.01, 1e4), st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=30))
def test_angles_of_any_period_come_back_to_float_precision(period, shares) -> None:
    values = period * np.array([*shares, 0.0])
    column = AngleEncoder.fit(Angle("x", period=period), values, PLACE, np.array([0, len(values)]))
    off = np.abs(trip(column, values) - values)
    assert (np.minimum(off, period - off) <= 1e-6 * period).all()


def test_north_is_360_where_the_data_never_says_0() -> None:
    values = np.array([360, 10, 350, 180])
    column = AngleEncoder.fit(Angle("x"), values, PLACE, np.array([0, 4]))
    assert column.turned
    back = trip(column, values)
    assert back.dtype == np.int64
    assert back.tolist() == values.tolist()


def test_the_log_jacobian_is_that_of_radians_and_zero_for_masses() -> None:
    rng = np.random.default_rng(0)
    free = AngleEncoder.fit(Angle("x"), rng.uniform(0, 360, 200), PLACE, np.array([0, 200]))
    np.testing.assert_allclose(free.encode(np.array([3.0, 200.0]), PLACE)[1], np.log(2 * np.pi / 360))
    grid = AngleEncoder.fit(Angle("x"), rng.integers(0, 36, 200) * 10, PLACE, np.array([0, 200]))
    assert (grid.mass, grid.step) == (True, 10.0)
    assert not grid.encode(np.array([10, 200]), PLACE)[1].any()


def test_a_grid_that_does_not_divide_the_period_has_a_density() -> None:
    column = AngleEncoder.fit(Angle("x"), np.arange(0, 350, 7).repeat(4), PLACE, np.array([0, 200]))
    assert not column.mass


def test_the_unit_of_changes_is_found_across_the_end_and_absent_for_independent_angles() -> None:
    rng = np.random.default_rng(0)
    moves = rng.normal(scale=0.05, size=2000)
    angles = np.cumsum(moves) % (2 * np.pi)
    assert change_unit(angles, moves) == pytest.approx(0.05 * 1.15, rel=0.05)
    north = rng.normal(scale=0.5, size=2000)
    assert change_unit(north, rng.permutation(north) - north) == 0.0


def test_numbers_outside_of_one_period_are_refused() -> None:
    with pytest.raises(
        SchemaError, match=r"row 2, column 'x': expected angles from 0 to 360, or from -180 to 180, fou"
    ):
        AngleEncoder.fit(Angle("x"), np.array([5.0, 365.0]), PLACE, np.array([0, 2]))
    column = AngleEncoder(360.0, 0.0)
    with pytest.raises(SchemaError, match="expected an angle from 0 to 360, as in training, found -5"):
        column.encode(np.array([-5.0]), PLACE)


def test_an_input_is_seen_by_sine_and_cosine() -> None:
    column = AngleInput.fit(Angle("x"), np.array([0.0, 90.0, np.nan, 359.0]), PLACE)
    encoded = column.encode_input(np.array([0.0, 90.0, -90.0, np.nan]), PLACE)
    np.testing.assert_allclose(encoded, [[0, 1], [1, 0], [-1, 0], [np.nan, np.nan]], atol=1e-12)
