"""Numbers of a step come back on their grid, at their point masses, within their bounds, or are refused by name."""

import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from unspool.constraints.base import GivenRange
from unspool.constraints.fields import constraints_of
from unspool.dataset.gather import gather
from unspool.encoding.columns import Continuation
from unspool.encoding.fit import fit_codec
from unspool.encoding.numeric_fit import level_ends, ratio_ends, tail_end
from unspool.errors import OptionError, SchemaError
from unspool.network.build import architecture_of
from unspool.network.distributions.base import innermost
from unspool.options import Network
from unspool.schema.fields import Count, First, Number

RNG = np.random.default_rng(1)


def fitted(values, field="x", first=None):
    """Codec and examples of a table whose one step field has these values, in sequences of ten."""
    rows = [values[at : at + 10].tolist() for at in range(0, len(values), 10)]
    table = {"k": [k % 3 + 0.5 * (k % 2) for k in range(len(rows))], "x": rows}
    schema, examples = gather(table, inputs=Number("k"), sequence=field)
    return fit_codec(schema, examples), examples


def column(values, field="x"):
    return fitted(values, field)[0].steps[0]


def float32(codec, encoded):
    """What the network sees, and what generation gives back."""
    return codec.decode([np.asarray(values, np.float32) for values in encoded.steps], encoded.offsets)


def sampled(codec, rng, rows, scale=1):
    """(rows,) z of a network with random weights."""
    dist = architecture_of(codec, Network(), 8, 8).distributions[0]
    params = jnp.asarray(scale * rng.normal(size=(rows, dist.num_params)), jnp.float32)
    uniforms = jnp.asarray(rng.uniform(1e-6, 1 - 1e-6, (rows, dist.num_uniforms)), jnp.float32)
    return np.asarray(dist.sample(params, uniforms))


@pytest.mark.parametrize("distribution", ["discretized", "histogram", "mixture"])
@pytest.mark.parametrize("transform", ["standardize", "log1p", "asinh", "difference"])
@given(data=st.data())
def test_decimals_come_back_exactly_after_float32(distribution, transform, data) -> None:
    """Whatever the distribution: cents in, the same cents out."""
    ticks = data.draw(st.lists(st.integers(0, 5000), min_size=11, max_size=60))
    values = np.round(np.array([*ticks, 0, 5000]) / 100, 2)
    codec, examples = fitted(values, Number("x", transform, distribution))
    encoded = codec.encode(examples)
    np.testing.assert_array_equal(float32(codec, encoded)["x"], values)
    if distribution == "discretized":
        assert codec.steps[0].mass
        assert not encoded.log_jacobian[0].any()


def test_whole_numbers_in_floats_stay_floats_and_whole() -> None:
    values = RNG.integers(0, 900, 300).astype(float)
    codec, examples = fitted(values)
    back = float32(codec, codec.encode(examples))["x"]
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, values)


def test_a_point_mass_of_a_continuous_number_has_no_slope_and_comes_back_exactly() -> None:
    x = RNG.lognormal(size=400)
    values = np.where(RNG.random(400) < 0.3, 1 / 3, x)
    codec, examples = fitted(values)
    assert codec.steps[0].point_masses == (1 / 3,)
    encoded = codec.encode(examples)
    np.testing.assert_array_equal(encoded.log_jacobian[0] == 0, values == 1 / 3)
    back = float32(codec, encoded)["x"]
    np.testing.assert_array_equal(back == 1 / 3, values == 1 / 3)
    np.testing.assert_allclose(back, values, rtol=1e-5)


def test_prices_that_stand_still_have_a_mass_of_their_own() -> None:
    steps = np.where(RNG.random(1000) < 0.4, 0.0, 0.01 * RNG.normal(size=1000))
    values = 100 * np.exp(np.cumsum(steps))
    codec, examples = fitted(values, Number("x", "log_return"))
    assert codec.steps[0].point_masses == (0.0,)
    back = float32(codec, codec.encode(examples))["x"].reshape(-1, 10)
    np.testing.assert_array_equal(np.diff(back) == 0, np.diff(values.reshape(-1, 10)) == 0)


def test_masses_are_for_grids_unless_the_distribution_is_a_density() -> None:
    grid = RNG.integers(0, 200, 300)
    assert column(grid).mass
    assert column(grid, Number("x", distribution="histogram")).mass
    assert not column(grid, Number("x", distribution="mixture")).mass
    assert not column(RNG.normal(size=300)).mass
    with pytest.raises(SchemaError, match="numbers of at most 6 decimals, for the distribution discretized"):
        column(RNG.normal(size=300), Number("x", distribution="discretized"))


def test_the_bins_of_a_histogram_hold_about_as_many_values_and_never_cut_a_cell() -> None:
    values = RNG.geometric(0.02, 2000)
    fit = column(values, Number("x", "log1p", "histogram"))
    cuts = np.expm1(np.array(fit.edges) * fit.scale + fit.loc) * fit.unit
    np.testing.assert_allclose(cuts % 1, 0.5, atol=1e-6)
    assert np.histogram(values, cuts)[0].max() < 3 * 2000 / 32
    few = column(RNG.choice([2, 3, 7], 300, p=[0.6, 0.3, 0.1]), Number("x", "standardize", "histogram"))
    assert len(few.edges) == 5  # 2, 3, 4 to 6, 7: every value has a bin of its own
    free = column(RNG.normal(size=2000), Number("x", "standardize", "histogram"))
    assert len(free.edges) == 33


def test_bounds_are_zero_for_what_was_never_negative_and_can_be_given() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=300)
    assert (column(values).floor, column(values).ceiling) == (0.0, None)
    assert column(values - 1).floor is None
    assert column(values, Number("x", bounds=None)).floor is None
    for bounds, expected in (("data", (values.min(), values.max())), ((-5.0, 100.0), (-5.0, 100.0))):
        fit = column(values, Number("x", bounds=bounds))
        assert (fit.floor, fit.ceiling) == expected
    with pytest.raises(SchemaError, match="expected numbers of at most 1, its bound"):
        column(values, Number("x", bounds=(None, 1.0)))
    with pytest.raises(OptionError, match="bounds"):
        Number("x", bounds=(2.0, 1.0))


def test_differences_of_whole_numbers_are_masses_where_first_values_spread_little() -> None:
    walk = np.cumsum(RNG.integers(-3, 4, (60, 10)), axis=1)
    near, far = walk + RNG.integers(0, 9, (60, 1)), walk + 1000 * RNG.integers(0, 900, (60, 1))
    assert column(near.ravel(), Number("x", "difference")).mass
    assert not column(far.ravel(), Number("x", "difference")).mass
    for values in (near, far):
        codec, examples = fitted(values.ravel(), Number("x", "difference"))
        np.testing.assert_array_equal(float32(codec, codec.encode(examples))["x"], values.ravel())


def test_a_walk_that_was_never_negative_is_pushed_up_at_zero() -> None:
    codec, _ = fitted(np.abs(RNG.normal(size=400)).cumsum(), Number("x", "difference"))
    made = codec.decode([np.full(6, -8.0)], np.array([0, 3, 6]))["x"]
    assert made.min() == 0


@given(st.integers(0, 2**32 - 1))
def test_no_draw_violates_a_bound_or_leaves_the_grid(seed) -> None:
    """Of a network with random weights, whatever it samples."""
    rng = np.random.default_rng(seed)
    values = rng.poisson(4, 200) + 1
    for field in (
        Count("x"),
        Number("x", "log1p", bounds="data"),
        Number("x", distribution="normal", bounds=(0.0, 30.0)),
    ):
        codec, _ = fitted(values, field)
        z = sampled(codec, rng, 50, scale=3)
        made = codec.decode([z], np.array([0, 50]))["x"]
        assert made.dtype == np.int64
        fit = codec.steps[0]
        assert made.min() >= fit.floor
        assert fit.ceiling is None or made.max() <= fit.ceiling
        again = np.asarray(codec.steps[0].encode(made, None, np.array([0, 50]))[0], np.float32)
        np.testing.assert_allclose(again, z, rtol=1e-5, atol=1e-5)


def test_counts_are_whole_and_never_negative() -> None:
    for wrong in ([1, -1], [0.5, 1.0]):
        with pytest.raises(SchemaError, match="expected a whole number, 0 or above"):
            column(np.array(wrong * 10), Count("x"))
    codec, _ = fitted(RNG.poisson(2, 100), Count("x"))
    assert type(innermost(architecture_of(codec, Network(), 8, 8).distributions[0])).__name__ == "Discretized"


def test_few_decimals_are_symbols_that_come_back_as_numbers() -> None:
    values = RNG.choice([0.0, 0.5, 1.0], 100)
    codec, examples = fitted(values)
    back = codec.decode(codec.encode(examples).steps, examples.offsets)["x"]
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, values)


def test_values_of_a_grid_that_never_occur_are_rare_and_never_sampled() -> None:
    """Whole degrees Fahrenheit, in Celsius to one decimal: five of nine values of the grid can't occur."""
    celsius = np.round((np.round(RNG.normal(60, 12, 2000)) - 32) / 1.8, 1)
    codec, examples = fitted(celsius)
    fit = codec.steps[0]
    assert fit.support_points == tuple(np.unique(celsius))
    assert not fit.point_masses
    assert 0 < fit.unseen < 0.02
    made = codec.decode([sampled(codec, RNG, 500)], np.array([0, 500]))["x"]
    assert np.isin(made, celsius).all()
    np.testing.assert_array_equal(float32(codec, codec.encode(examples))["x"], celsius)
    assert not column(RNG.integers(0, 3000, 2000)).support_points
    assert not column(RNG.poisson(30, 2000)).support_points


@pytest.mark.parametrize("transform", ["auto", "standardize", "log1p", "asinh", "difference", "increment"])
@given(data=st.data())
@settings(max_examples=40)
def test_numbers_come_back_or_are_refused_by_name(transform, data) -> None:
    """Over 600 decades: what the network sees gives each number back, to 1 % of it or of the typical one."""
    sign = st.sampled_from([1.0, -1.0] if transform in ("standardize", "asinh", "difference") else [1.0])
    low = data.draw(st.integers(-300, 300))
    high = min(308, low + data.draw(st.integers(0, 40)))
    number = st.tuples(sign, st.floats(1, 9.9), st.integers(low, high)).map(
        lambda t: t[0] * t[1] * 10.0 ** min(t[2], 307)
    )
    values = np.array(data.draw(st.lists(number | st.just(0.0), min_size=22, max_size=40)))
    values[:2] = values.max() / 2, values.max()
    if transform == "increment":
        values = np.sort(values)
        values = np.concatenate([values[at : at + 10] for at in range(0, len(values), 10)])
    try:
        codec, examples = fitted(values, Number("x", transform))
    except SchemaError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert "column 'x'" in refused
        return
    back = float32(codec, codec.encode(examples))["x"].astype(float)
    assert np.isfinite(back).all()
    typical = np.median(np.abs(values[values != 0])) if values.any() else 1.0
    assert (np.abs(back - values) <= 0.01 * np.maximum(np.abs(values), typical)).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.cumsum(np.full(100, 1.5e306)), r"expected a number of at most 1e\+100 in size, found 1.5"),
        (
            np.arange(2**62, 2**62 + 100),
            r"expected whole numbers up to 2\*\*53, which are exact, found 4611686018427387904",
        ),
        (
            np.where(np.arange(200) % 100 == 7, 999999999.0, RNG.normal(size=200)),
            "column 'x': expected numbers that float32",
        ),
    ],
    ids=["gaps to the end of float64", "identifiers", "a code for missing values"],
)
def test_what_float_arithmetic_would_spoil_is_refused_before_training(values, words) -> None:
    with pytest.raises(SchemaError, match=words):
        fitted(values, Number("x", "standardize"))


SAMPLES = {
    "lognormal": RNG.lognormal(0, 2, 1000),
    "normal": RNG.normal(size=1000),
    "heavy": RNG.standard_t(1, 1000),
    "bounded": RNG.uniform(0, 1, 1000),
    "years": 1990 + RNG.exponential(8, 1000).round(),
}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("distribution", ["auto", "mixture", "student_t"])
def test_no_sample_is_decades_beyond_the_range_of_training(kind, distribution) -> None:
    """Whatever the network says: at most ten times the largest value, or ten times the range."""
    values = SAMPLES[kind]
    codec, _ = fitted(values, Number("x", distribution=distribution))
    fit = codec.steps[0]
    z = sampled(codec, np.random.default_rng(0), 5000, scale=30)
    (x,), _ = fit.decode(z, Continuation(np.array([0, len(z)])))
    assert np.isfinite(x).all()
    size = np.abs(values).max()
    assert x.max() <= max(10.5 * size, values.max() + 10 * np.ptp(values))
    assert x.min() >= min(-10.5 * size, values.min() - 10 * np.ptp(values))
    if kind == "bounded":
        assert 0 <= x.min() < 0.1
        assert 0.9 < x.max() <= 1


@pytest.mark.parametrize(
    ("law", "most"),
    [(scipy.stats.norm(), 99.0), (scipy.stats.expon(), 99.0), (scipy.stats.uniform(), 99.0), (scipy.stats.norm(), 0.2)],
)
def test_the_limit_is_about_what_one_in_a_hundred_data_sets_exceeds(law, most) -> None:
    ends, beyond = [], []
    for seed in range(200):
        values = law.rvs(1000, random_state=seed)
        ends.append(tail_end(values, most))
        assert values.max() < ends[-1] <= values.max() + most
        beyond.append(law.rvs(1000, random_state=1000 + seed).max() > ends[-1])
    if most > 1:
        assert np.mean(beyond) < 0.06
        assert np.median(ends) < law.ppf(1 - 1e-5) + 0.6 * (law.ppf(1 - 1e-5) - law.mean())


def test_a_tail_that_is_shorter_than_an_exponential_one_ends_sooner() -> None:
    """Of a triangle that fades to an end at 1 the limit lies near; of an exponential tail it doesn't."""
    rng = np.random.default_rng(0)
    triangle = 1 - np.sqrt(rng.uniform(size=4000))
    assert triangle.max() < tail_end(triangle, 99.0) < 1.15
    assert tail_end(rng.exponential(size=4000), 99.0) > np.log(4000) + 2


def support_from(codec, before, given=None):
    """From and to where sums may go that count from values before step 0, on their axis."""
    column, (constraints,) = codec.steps[0], constraints_of(codec)
    origins = column.cumulative.origins(np.array(before), len(before))
    given = given and GivenRange(*((y - origins.at) / origins.unit for y in given))
    support = constraints.support(None, origins, given)
    return origins.at + origins.unit * np.stack([support.low, support.high])


def test_sums_of_differences_stay_within_what_the_tail_of_levels_says() -> None:
    walks = np.clip(np.random.default_rng(0).normal(size=(60, 10)).cumsum(1), -6, 6).ravel()
    codec, _ = fitted(walks, Number("x", "difference", "mixture"))
    low, high = codec.steps[0].ends
    assert (low, high) == level_ends(walks)
    np.testing.assert_allclose(support_from(codec, [np.nan, np.nan]), [[low, low], [high, high]], rtol=1e-6)
    (free,) = constraints_of(codec.without_ends())
    assert free.support(None, codec.steps[0].cumulative.origins(np.zeros(2), 2)) is None


@pytest.mark.parametrize("transform", ["difference", "log_return"])
def test_a_sequence_goes_as_far_from_its_start_as_those_of_training_even_beyond_their_levels(transform) -> None:
    walks = np.random.default_rng(0).normal(0, 0.1, (400, 11)).cumsum(1)
    axis = np.exp if transform == "log_return" else np.asarray
    field = Number("x", transform, "mixture", bounds=None)
    codec = fit_codec(*gather({"x": axis(walks).tolist()}, inputs=First("x"), sequence=field))
    (low, high), (down, up) = codec.steps[0].to_sum(np.array(codec.steps[0].ends)), codec.steps[0].excursions
    spread = 0.1 * 10**0.5  # of the last step of such a walk
    assert 3.9 * spread < down < 6 * spread
    assert 3.9 * spread < up < 6 * spread
    starts = np.array([0.0, low - 1, high + 5])
    ends = support_from(codec, [*axis(starts), np.nan])
    np.testing.assert_allclose(ends[0], [low, low - 1 - down, low, low], rtol=1e-5)
    np.testing.assert_allclose(ends[1], [high, high, high + 5 + up, high], rtol=1e-5)
    longer = support_from(codec.with_rises(3.0), axis(starts))
    np.testing.assert_allclose(longer[1][2], high + 5 + 3 * up, rtol=1e-5)
    bounded = msgspec.structs.replace(codec.steps[0], ceiling=float(axis(high + 5.5)))
    codec = msgspec.structs.replace(codec, steps=(bounded,))
    np.testing.assert_allclose(support_from(codec, axis(starts))[1][2], high + 5.5, rtol=1e-5)


@pytest.mark.parametrize("transform", ["difference", "log_return"])
def test_ends_hold_what_goes_on_from_given_values_but_for_those_beyond(transform) -> None:
    """What starts at its first value goes as far from a given one beyond the ends as those of training."""
    walks = 5 + np.random.default_rng(0).normal(0, 0.1, (400, 11)).cumsum(1)
    axis = np.exp if transform == "log_return" else np.asarray
    field = Number("x", transform, "mixture", bounds=None)
    codec = fit_codec(*gather({"x": axis(walks).tolist()}, sequence=field))
    (low, high), (down, up) = codec.steps[0].to_sum(np.array(codec.steps[0].ends)), codec.steps[0].excursions
    assert min(down, up) > 3.9 * 0.1 * 10**0.5
    given = GivenRange(np.array([np.inf, low + 0.1, low - 1, 5.0]), np.array([-np.inf, high - 0.1, 5.0, high + 2]))
    ends = support_from(codec, [np.nan] * 4, given)
    np.testing.assert_allclose(ends[0], [low, low, low - 1 - down, low], rtol=1e-5)
    np.testing.assert_allclose(ends[1], [high, high, high, high + 2 + up], rtol=1e-5)


@pytest.mark.parametrize("transform", ["difference", "log_return"])
@pytest.mark.parametrize("value", [5.0, 0.1, 12345.678])
def test_levels_that_never_change_are_their_own_ends(transform, value) -> None:
    codec, _ = fitted(np.full(60, value), Number("x", transform, "mixture"))
    low, high = codec.steps[0].ends
    assert low <= value <= high
    assert (low, high) == pytest.approx((value, value))
    with pytest.raises(SchemaError, match="number, ends: expected rising numbers, of log-returns above 0, found"):
        msgspec.structs.replace(codec.steps[0], ends=(2.0, 1.0))


def test_those_that_start_highest_say_how_far_above_a_sequence_goes() -> None:
    """Small ones double in every step, large ones stay: none doubles from the top, as no walk of these steps does."""
    rng = np.random.default_rng(0)
    small = 2.0 ** (np.arange(10) + rng.normal(0, 0.01, (100, 10)))
    large = 2.0**9 * np.exp(rng.normal(0, 0.01, (100, 10)))
    rows = np.concatenate([small, large])
    field = Number("x", "log_return", "mixture", bounds=None)
    codec = fit_codec(*gather({"x": rows.tolist()}, inputs=First("x"), sequence=field))
    column = codec.steps[0]
    walk = 4 * 3 * np.hypot(column.loc, column.scale)
    assert column.excursions == pytest.approx((walk, walk))


def test_levels_of_log_returns_have_the_nearer_end_of_both_axes() -> None:
    values = np.exp(np.random.default_rng(0).normal(0, 1.0, 2000))
    low, high = ratio_ends(values)
    assert values.min() / 10.001 < low < values.min() / 1.5
    assert 1.5 * values.max() < high < 10.001 * values.max()
    assert ratio_ends(np.array([1.0, 2.0, 4.0])) == (0.25, 7.0)


def test_the_limit_of_samples_changes_no_likelihood() -> None:
    codec, _ = fitted(SAMPLES["normal"], Number("x", distribution="mixture"))
    dist = architecture_of(codec, Network(), 8, 8).distributions[0]
    params = jnp.asarray(RNG.normal(size=(5, dist.num_params)), jnp.float32)
    far = jnp.full(5, 50.0)
    np.testing.assert_array_equal(dist.log_prob(params, far), dist.of.log_prob(params, far))
    assert column(SAMPLES["normal"], Number("x", distribution="mixture")).reach == codec.steps[0].reach


def test_whole_numbers_of_too_wide_a_range_are_refused_as_discretized():
    """Float32 can't tell their cells apart; left open, they get another distribution."""
    values = np.array([3e9 + 1, 2.0, 5.0, 7.0])
    with pytest.raises(SchemaError, match=r"over a million steps.*Pass Number\('x', distribution='mixture'\)"):
        fitted(values, Number("x", distribution="discretized"))
    codec, _ = fitted(values, Count("x"))
    assert architecture_of(codec, Network(), 4, 4).distributions[0].event_shape.symbols is None
