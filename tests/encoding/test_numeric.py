"""Numbers come back as they went in, and their Jacobian is the derivative."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.encoding import transforms
from unspool.encoding.columns import Continuation
from unspool.encoding.numeric import NumericEncoder
from unspool.errors import Location, SchemaError
from unspool.tables.columns import offsets_from_lengths

PLACE = Location("the data", "x")
TRANSFORMS = ["none", "standardize", "log1p", "asinh", "difference", "log_return"]
POSITIVE = {"log1p", "log_return"}


def encoded(column, values, offsets=None, before=None):
    return column.encode(values, PLACE, offsets, before)[0]


def decoded(column, z, offsets=None, before=None):
    (values,), _ = column.decode(z, Continuation(np.array([0, len(z)]) if offsets is None else offsets, before))
    return values


@st.composite
def ragged(draw, transform: str, *, missing: bool = True):
    """Sequences laid end to end, their offsets, and what stands before them."""
    low, high = (1e-3, 1e6) if transform in POSITIVE else (-1e6, 1e6)
    number = st.floats(low, high).map(lambda x: round(x, 3))
    value = st.one_of(number, st.just(np.nan)) if missing else number
    rows = draw(st.lists(st.lists(value, max_size=8), min_size=1, max_size=6))
    values = np.array([x for row in rows for x in row])
    if not len(values) or np.isnan(values).all():
        values, rows = np.array([1.0, 2.0]), [[1.0, 2.0]]
    base = draw(st.none() | st.lists(value, min_size=len(rows), max_size=len(rows)).map(np.array))
    return values, offsets_from_lengths(np.array([len(row) for row in rows])), base


@pytest.mark.parametrize("transform", TRANSFORMS)
@given(data=st.data())
def test_decode_undoes_encode(transform: str, data) -> None:
    values, offsets, base = data.draw(ragged(transform))
    column = NumericEncoder.fit(values, transform, PLACE, offsets, base)
    z = encoded(column, values, offsets, base)
    assert z.dtype == np.float64
    np.testing.assert_array_equal(np.isnan(z), np.isnan(values))
    # Relative to the largest value of the data: sums of differences can't know small values better than large ones.
    size = np.nanmax(np.abs(np.concatenate([values, [] if base is None else base])))
    np.testing.assert_allclose(decoded(column, z, offsets, base), values, rtol=1e-9, atol=1e-9 * size)


@pytest.mark.parametrize("transform", ["none", "standardize", "log1p", "asinh"])
@given(st.lists(st.floats(0, 1e300), min_size=2, max_size=20))
def test_numbers_of_any_size_survive(transform: str, numbers: list[float]) -> None:
    values = np.array(numbers)
    column = NumericEncoder.fit(values, transform, PLACE)
    back = decoded(column, encoded(column, values))
    np.testing.assert_allclose(back, values, rtol=1e-9, atol=1e-9 * max(values))


@pytest.mark.parametrize("transform", TRANSFORMS)
@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=30))
def test_whole_numbers_come_back_whole_and_exact(transform: str, numbers: list[int]) -> None:
    values = np.array(numbers)
    column = NumericEncoder.fit(values, transform, PLACE, np.array([0, len(values)]))
    back = decoded(column, encoded(column, values))
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("transform", TRANSFORMS)
@given(data=st.data())
def test_the_log_jacobian_is_the_logarithm_of_the_derivative(transform: str, data) -> None:
    values, offsets, base = data.draw(ragged(transform, missing=False))
    column = NumericEncoder.fit(values, transform, PLACE, offsets, base)
    z, slope = column.encode(values, PLACE, offsets, base)
    for index in range(len(values)):
        step = max(abs(values[index]), 1e-3) * 1e-5
        up, down = values.copy(), values.copy()
        up[index] += step
        down[index] -= step
        rise = encoded(column, up, offsets, base)[index] - encoded(column, down, offsets, base)[index]
        scale = max(abs(z[index]), 1.0)
        derivative = rise / (up[index] - down[index])
        assert derivative == pytest.approx(np.exp(slope[index]), rel=1e-6, abs=1e-10 * scale / step)


def test_the_log_jacobian_is_zero_where_a_value_is_missing() -> None:
    values = np.array([1.0, np.nan, 4.0])
    column = NumericEncoder.fit(values, "standardize", PLACE)
    assert column.encode(values, PLACE)[1].tolist() == [-np.log(1.5), 0.0, -np.log(1.5)]


def test_a_difference_is_taken_from_the_last_present_value() -> None:
    values = np.array([10.0, np.nan, 13.0, 20.0])
    column = NumericEncoder("difference", 0.0, 1.0, 10.0, 1.0, nullable=True)
    assert encoded(column, values, np.array([0, 3, 4]))[[0, 2, 3]].tolist() == [0.0, 3.0, 10.0]


def test_a_known_value_before_step_0_is_the_base_of_the_first_difference() -> None:
    values, offsets = np.array([10.0, 12.0, 20.0, 19.0]), np.array([0, 2, 4])
    column = NumericEncoder("difference", 0.0, 1.0, 100.0, 5.0)
    assert encoded(column, values, offsets, np.array([9.0, np.nan])).tolist() == [1.0, 2.0, -16.0, -1.0]


def test_a_sequence_is_decoded_alike_in_any_company() -> None:
    rng = np.random.default_rng(0)
    column = NumericEncoder("log_return", 0.0, 0.02, 4.0, 1.0)
    lengths = rng.integers(0, 60, 50)
    z, offsets = rng.normal(size=lengths.sum()), offsets_from_lengths(lengths)
    together = decoded(column, z, offsets)
    for row in range(50):
        part = slice(offsets[row], offsets[row + 1])
        np.testing.assert_array_equal(
            decoded(column, z[part], offsets_from_lengths(lengths[row : row + 1])), together[part]
        )


def test_sequences_that_start_at_one_value_have_the_spread_of_their_steps() -> None:
    values = np.array([0.0, 1.0, 3.0, 0.0, -2.0, 1.0])
    column = NumericEncoder.fit(values, "difference", PLACE, np.array([0, 3, 6]))
    assert column.first_loc == 0.0
    assert column.first_scale == column.scale


def test_a_wild_draw_decodes_to_a_finite_number() -> None:
    for transform in ("log1p", "asinh", "log_return"):
        assert np.isfinite(decoded(NumericEncoder(transform, 0.0, 1.0), np.array([1e9]))).all()


@pytest.mark.parametrize(
    ("transform", "values", "words"),
    [
        (
            "log_return",
            [1.0, 2.0, 0.0],
            r"row 3, column 'x': expected a number above 0, for log_return, found 0. Pass Num",
        ),
        ("log1p", [1.5, 2.5, -5.0], "row 3, column 'x': expected a number above -2, for log1p, found -5"),
    ],
)
def test_a_value_that_the_transform_is_not_defined_for_is_refused(transform, values, words) -> None:
    column = NumericEncoder.fit(np.array(values[:2]), transform, PLACE)
    with pytest.raises(SchemaError, match=words):
        column.encode(np.array(values), PLACE)


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [0.0], [1e308, -1e308], [1e-320, 2e-320], [1e16, 1e16 + 2]])
def test_the_spread_is_never_zero_nor_infinite(values: list[float]) -> None:
    loc, scale = transforms.location_and_scale(np.array(values))
    assert np.isfinite(loc)
    assert 0 < scale < np.inf


def test_a_file_with_an_impossible_scale_is_refused() -> None:
    text = msgspec.json.encode(NumericEncoder("none", 0.0, 1.0)).replace(b'"scale":1.0', b'"scale":0.0')
    with pytest.raises(msgspec.ValidationError, match=r"> 0.0 - at `\$.scale`"):
        msgspec.json.decode(text, type=NumericEncoder)
