"""Distributions on a grid, with point masses, of any shape and within bounds are those that their names say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from unspool.generation.sampler import rule_of
from unspool.network.distributions.base import innermost
from unspool.network.distributions.discretized import Discretized
from unspool.network.distributions.grid import Grid, SupportPoints
from unspool.network.distributions.histogram import RARE, Histogram
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.normal import Normal
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.reparameterized import Reflected
from unspool.options import Sampling
from unspool.runtime.threefry import seed_words, uniforms

pytestmark = pytest.mark.usefixtures("whole_programs")

N = 20_000
FIVE_SIGMA = 2 * stats.norm.sf(5)
GRIDS = {
    "linear": Grid("linear", 1.0, 3.0, 2.0, 0.5),
    "log1p": Grid("log1p", 1.0, 1.2, 0.8, 1.0),
    "asinh": Grid("asinh", 2.0, 0.3, 0.9, 0.25),
    "fine": Grid("asinh", 50.0, 0.3, 0.9, 0.1),
}
PARAMS = np.array([0.5, -0.3, -0.9, 0.7, -1.0, -0.4])
EDGES = (-1.5, -0.5, -0.25, 0.5, 2.0)
LOGITS = np.array([-2.0, 0.3, 1.0, -0.5, 0.2, -1.5])


def forward(grid, x):
    y = {"linear": lambda x: x, "log1p": np.log1p, "asinh": np.arcsinh}[grid.transform](x / grid.unit)
    return (y * (grid.unit if grid.transform == "linear" else 1.0) - grid.loc) / grid.scale


def mixture(grid, params=PARAMS, low=None):
    """By SciPy, the probability of at most x = k step."""
    weights = np.exp(params[:2]) / np.exp(params[:2]).sum()
    spreads = np.log1p(np.exp(params[4:]) * (np.e - 1)) + 1e-4
    parts = [stats.logistic(loc, spread) for loc, spread in zip(params[2:4], spreads, strict=True)]

    def cdf(x):
        with np.errstate(invalid="ignore", divide="ignore"):
            z = forward(grid, np.asarray(x) + grid.step / 2)
        total = sum(w * part.cdf(np.nan_to_num(z, nan=-np.inf)) for w, part in zip(weights, parts, strict=True))
        return total if low is None else np.where(np.asarray(x) < low, 0.0, total)

    return cdf


@functools.cache
def draws(count, seed=11):
    rows = jnp.arange(N)
    return uniforms(seed_words(seed), rows, jnp.zeros(N, int), jnp.zeros(1, int), count)[0]


def sampled(dist, params, **options):
    rows = jnp.broadcast_to(jnp.asarray(params, jnp.float32), (N, dist.num_params))
    sample = jax.jit(lambda rows, u, rule: dist.sample(rows, u, rule))  # noqa: PLW0108  # a method of arrays has no hash
    return np.asarray(sample(rows, draws(dist.num_uniforms), rule_of(Sampling(**options))))


def log_prob(dist, params, z):
    with jax.enable_x64(True):
        return np.asarray(dist.log_prob(jnp.asarray(np.tile(params, (len(z), 1))), jnp.asarray(z)))


# ---- discretized ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRIDS)
def test_a_value_on_a_grid_has_the_mass_that_scipy_gives_its_cell(name):
    grid = GRIDS[name]
    low = 0.0 if name == "log1p" else None
    dist = Discretized(grid, low=-np.inf if low is None else low, components=2)
    x = np.arange(0 if low == 0 else -40, 60) * grid.step
    cdf = mixture(grid, low=low)
    expected = cdf(x) - cdf(x - grid.step)
    own = np.exp(log_prob(dist, PARAMS, forward(grid, x)))
    np.testing.assert_allclose(own, expected, rtol=2e-3 if name == "fine" else 1e-6, atol=1e-12)


@pytest.mark.parametrize(("low", "high"), [(None, None), (0.0, None), (None, 4.0), (-1.0, 5.0)])
def test_the_masses_of_all_cells_sum_to_one(low, high):
    """With bounds, over those within: the outermost cells hold what lies beyond."""
    grid = GRIDS["linear"]
    x = np.arange(-400 if low is None else int(low / 0.5), (400 if high is None else int(high / 0.5)) + 1) * 0.5
    ends = -np.inf if low is None else low, np.inf if high is None else high
    dist = Discretized(grid, *ends, components=2)
    assert np.exp(log_prob(dist, PARAMS, forward(grid, x))).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", ["linear", "log1p", "asinh"])
def test_samples_on_a_grid_follow_their_masses_and_lie_on_it(name):
    """A chi-square test over the cells that expect five or more, at five sigma."""
    grid = GRIDS[name]
    low = 0.0 if name == "log1p" else None
    dist = Discretized(grid, low=-np.inf if low is None else low, components=2)
    x = np.asarray(grid.to_original(jnp.asarray(sampled(dist, PARAMS))))
    ticks = np.round(x / grid.step).astype(int)
    np.testing.assert_allclose(x, ticks * grid.step, rtol=1e-5, atol=1e-5)
    assert low is None or ticks.min() >= 0
    among = np.arange(ticks.min(), ticks.max() + 1) * grid.step
    cdf = mixture(grid, low=low)
    expected = N * (cdf(among) - cdf(among - grid.step))
    seen = np.array([(ticks == round(value / grid.step)).sum() for value in among])
    enough = expected >= 5
    observed = np.append(seen[enough], N - seen[enough].sum())
    expected = np.append(expected[enough], N - expected[enough].sum())
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > FIVE_SIGMA


def test_masses_far_out_and_of_narrow_cells_stay_exact_in_float32():
    """A cell of 1e-5 spreads, up to 80 spreads out: the logarithm to 1e-4, where differences of float32 are zero."""
    grid = Grid("linear", 1.0, 0.0, 1.0, 1e-5)
    dist = Discretized(grid, components=1)
    params = np.array([0.0, 0.0, 0.0])
    z = np.array([-80.0, -10.0, 0.0, 10.0, 80.0])
    own = np.asarray(dist.log_prob(jnp.asarray(np.tile(params, (5, 1)), jnp.float32), jnp.asarray(z, jnp.float32)))
    expected = stats.logistic(0, 1.0001).logpdf(z) + np.log(1e-5)
    np.testing.assert_allclose(own, expected, rtol=1e-4)


def test_a_fit_to_its_own_samples_gives_the_masses_back():
    """Maximum likelihood from where training starts comes within 30 nats of 20,000 draws of the truth's likelihood."""
    grid = GRIDS["linear"]
    dist = Discretized(grid, components=2)
    z = sampled(dist, PARAMS)
    loss = jax.jit(jax.value_and_grad(lambda p: -dist.log_prob(jnp.broadcast_to(p, (N, 6)), jnp.asarray(z)).mean()))
    start = loss(jnp.asarray(dist.initial_params(), jnp.float32))[0]
    fitted = optimize.minimize(
        lambda p: tuple(np.asarray(a, float) for a in loss(jnp.asarray(p, jnp.float32))),
        dist.initial_params(),
        jac=True,
    )
    truth = loss(jnp.asarray(PARAMS, jnp.float32))[0]
    # Twice the gain of five parameters over the truth is chi-square with five degrees of freedom.
    assert -stats.chi2(5).isf(FIVE_SIGMA) / 2 < N * (fitted.fun - truth) <= 1.0
    assert start > truth


# ---- histogram -----------------------------------------------------------------------------------------------------


def histogram_cdf(x):
    """By hand: even within bins, exponential tails whose mean length is a tenth of the range."""
    p = np.exp(LOGITS) / np.exp(LOGITS).sum()
    tail = 0.1 * (EDGES[-1] - EDGES[0])
    inside = np.interp(x, EDGES, p[0] + np.concatenate([[0], np.cumsum(p[1:-1])]))
    below = p[0] * np.exp(np.minimum(x - EDGES[0], 0) / tail)
    above = 1 - p[-1] * np.exp(-np.maximum(x - EDGES[-1], 0) / tail)
    return np.where(x < EDGES[0], below, np.where(x > EDGES[-1], above, inside))


def test_a_histogram_is_even_within_its_bins_and_exponential_beyond():
    dist = Histogram(EDGES)
    assert stats.kstest(sampled(dist, LOGITS), histogram_cdf).pvalue > FIVE_SIGMA
    z = np.array([-3.0, -1.2, -0.4, 0.1, 1.7, 2.6])
    slope = (histogram_cdf(z + 1e-6) - histogram_cdf(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(np.exp(log_prob(dist, LOGITS, z)), slope, rtol=1e-6)
    assert dist.initial_params()[0] == dist.initial_params()[-1] == RARE


def test_a_histogram_on_a_grid_is_categorical_where_every_cell_is_a_bin():
    """Ticks 3 to 6, seen through a logarithm; what lies outside still has some mass."""
    grid = GRIDS["log1p"]
    edges = tuple(forward(grid, np.arange(3, 8) - 0.5).tolist())
    dist = Histogram(edges, grid)
    p = np.exp(LOGITS) / np.exp(LOGITS).sum()
    own = np.exp(log_prob(dist, LOGITS, forward(grid, np.arange(3, 7))))
    np.testing.assert_allclose(own, p[1:-1], rtol=1e-9)
    outside = np.exp(log_prob(dist, LOGITS, forward(grid, np.array([0, 1, 2, *range(7, 3000)]))))
    assert (outside > 0).all()
    assert outside[3:].sum() == pytest.approx(p[-1], rel=1e-3)
    x = np.asarray(grid.to_original(jnp.asarray(sampled(dist, LOGITS))))
    counts = np.array([(np.round(x) == tick).sum() for tick in range(3, 7)])
    assert (np.abs(counts - N * p[1:-1]) < 5 * np.sqrt(N * p[1:-1])).all()


def test_rules_act_on_the_bins_of_a_histogram():
    """Bin 2 has the most mass and the highest density."""
    dist = Histogram(EDGES)
    cut = sampled(dist, LOGITS, top_p=0.3)
    assert cut.min() >= EDGES[1]
    assert cut.max() <= EDGES[2]
    assert (sampled(dist, LOGITS, greedy=True) == np.float32(-0.375)).all()
    np.testing.assert_array_equal(sampled(dist, LOGITS, top_k=1), sampled(dist, LOGITS))


# ---- point masses and bounds ---------------------------------------------------------------------------------------


def test_a_point_mass_has_its_own_mass_and_the_rest_follows_the_distribution_inside():
    dist, params = PointMasses(Normal(), (0.0, -1.25)), np.array([0.2, 1.0, -0.5, 0.4, -0.6])
    share = np.exp(params[:3]) / np.exp(params[:3]).sum()
    spread = np.log1p(np.exp(-0.6) * (np.e - 1)) + 1e-4
    own = np.exp(log_prob(dist, params, np.array([0.0, -1.25, 0.7])))
    np.testing.assert_allclose(own, [*share[1:], share[0] * stats.norm(0.4, spread).pdf(0.7)], rtol=1e-9)
    z = sampled(dist, params)
    for value, p in zip((0.0, -1.25), share[1:], strict=True):
        assert abs((z == value).sum() - N * p) < 5 * np.sqrt(N * p * (1 - p))
    rest = z[(z != 0) & (z != -1.25)]
    assert stats.kstest(rest, stats.norm(0.4, spread).cdf).pvalue > FIVE_SIGMA
    mean = np.asarray(dist.mean(jnp.asarray(params, jnp.float32)[None])).item()
    assert abs(z.mean() - mean) < 5 * z.std() / np.sqrt(N)


def test_point_masses_of_a_number_on_a_grid_add_to_the_mass_of_their_cell():
    grid = GRIDS["linear"]
    zero = float(forward(grid, np.array(0.0)))
    dist = PointMasses(Discretized(grid, components=2), (zero,), mass=True)
    params = np.concatenate([[0.4, -0.3], PARAMS])
    x = np.arange(-300, 301) * 0.5
    mass = np.exp(log_prob(dist, params, forward(grid, x)))
    assert mass.sum() == pytest.approx(1, abs=1e-9)
    q = np.exp(log_prob(dist.of, PARAMS, forward(grid, np.array([0.0]))))[0]
    p = 1 / (1 + np.exp(0.7))
    assert mass[300] == pytest.approx(p + (1 - p) * q, rel=1e-9)


def test_a_point_mass_is_recognised_after_float32_has_rounded_it():
    dist = PointMasses(Normal(), (0.1234567890123,))
    params = jnp.asarray([[0.0, 0.0, 0.0, 0.0]], jnp.float32)
    at, beside = (dist.log_prob(params, jnp.asarray([z], jnp.float32))[0] for z in (0.1234567890123, 0.12347))
    assert at == pytest.approx(np.log(0.5), abs=1e-6)
    assert beside < at


def test_samples_beyond_a_bound_are_folded_back_and_rounded():
    """A normal at 0.4, folded at 0 and 1: its density there is the sum of the images that lie one fold away."""
    dist = Reflected(Normal(), 0.0, 1.0)
    params = np.array([0.4, -1.2])
    spread = np.log1p(np.exp(-1.2) * (np.e - 1)) + 1e-4
    part = stats.norm(0.4, spread)
    z = sampled(dist, params)
    assert z.min() >= 0
    assert z.max() <= 1
    cdf = lambda x: part.cdf(x) - part.cdf(-x) + part.sf(2 - x)  # noqa: E731
    assert stats.kstest(z, cdf).pvalue > FIVE_SIGMA
    grid = Grid("linear", 1.0, 0.0, 1.0, 0.25)
    assert set(np.unique(sampled(Reflected(Normal(), 0.0, 1.0, grid), params))) == {0, 0.25, 0.5, 0.75, 1}


def test_the_likelihood_of_a_bounded_distribution_is_finite_outside_of_its_bounds():
    own = log_prob(Reflected(Normal(), 0.0, 1.0), np.array([0.4, -0.6]), np.array([-3.0, 2.0]))
    assert np.isfinite(own).all()


WRAPPED = {
    "discretized": Discretized(GRIDS["log1p"], 0.0, components=2, wide=(0.1, 0.0, 5.0)),
    "both bounds": Discretized(GRIDS["linear"], -1.0, 5.0, components=2),
    "levels": Discretized(
        GRIDS["linear"],
        components=2,
        support_points=SupportPoints.of(GRIDS["linear"], np.array([0.0, 1.0, 4.0]), np.array([-1.2, -0.2]), 0.1),
    ),
    "histogram": Histogram(EDGES),
    "histogram on a grid": Histogram((-1.25, -0.25, 0.25), GRIDS["linear"]),
    "point masses": PointMasses(Normal(), (0.0,)),
    "bounded": Reflected(Normal(), 0.0, grid=GRIDS["linear"]),
    "all": WithMissing(PointMasses(Discretized(GRIDS["linear"], 0.0, components=2), (-1.5,), True)),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_extreme_parameters_stay_finite_and_so_do_their_gradients(name):
    dist = WRAPPED[name]
    size = min(dist.num_params, 5)
    params = np.stack(np.meshgrid(*[[-1e4, 0.0, 1e4]] * size), -1).reshape(-1, size)
    params = np.concatenate([params, np.zeros((len(params), dist.num_params - size))], -1)
    params = np.concatenate([params, params[:, ::-1]]).astype(np.float32)
    values = jnp.array([-30.0, -1.5, 0.0, 30.0])
    ends = jnp.array([2**-24, 0.5, 0.7, 1 - 2**-24])

    @jax.jit
    def all_at_once(params):
        rows = jnp.broadcast_to(params, (4, *params.shape))
        total, pull = jax.vjp(lambda p: dist.log_prob(p, jnp.broadcast_to(values[:, None], p.shape[:-1])), rows)
        u = jnp.broadcast_to(ends[:, None, None], (4, len(params), dist.num_uniforms))
        return total, pull(jnp.ones_like(total))[0], dist.sample(rows, u), dist.mode(rows), dist.mean(rows)

    total, gradient, sample, mode, mean = all_at_once(jnp.asarray(params))
    assert np.isfinite(total).all()
    assert np.isfinite(gradient).all()
    assert np.isfinite(mean).all()
    assert (np.isfinite(sample) | (name == "all")).all()
    assert (np.isfinite(mode) | (name == "all")).all()


@pytest.mark.parametrize("name", WRAPPED)
def test_greedy_is_the_mode_and_top_k_leaves_numbers_alone(name):
    dist = WRAPPED[name]
    params = np.linspace(-0.8, 0.6, dist.num_params)
    mode = np.asarray(dist.mode(jnp.asarray(params, jnp.float32)[None]))
    np.testing.assert_array_equal(sampled(dist, params, greedy=True), np.broadcast_to(mode, N))
    np.testing.assert_array_equal(sampled(dist, params, top_k=1), sampled(dist, params))
    assert innermost(dist).event_shape.symbols is None


@pytest.mark.parametrize("options", [{"top_p": 0.5}, {"min_p": 0.2}, {"temperature": 0.5}])
def test_rules_narrow_a_discretized_distribution(options):
    dist = Discretized(GRIDS["linear"], components=1)
    params = np.array([0.0, 0.1, 0.8])
    x = np.asarray(GRIDS["linear"].to_original(jnp.asarray(sampled(dist, params, **options))))
    spread = np.log1p(np.exp(0.8) * (np.e - 1)) + 1e-4
    part = stats.logistic(0.1, spread * options.get("temperature", 1.0))
    if "min_p" in options:
        radius = optimize.brentq(lambda r: part.pdf(0.1 + r) - 0.2 * part.pdf(0.1), 0, 50)
    else:
        radius = part.ppf(0.75) - 0.1 if "top_p" in options else part.ppf(1 - 1e-7)
    assert np.abs((x - 3.0) / 2.0 - 0.1).max() <= radius + 0.26 / 2
    assert np.abs((x - 3.0) / 2.0 - 0.1).max() > 0.5 * radius


def levels(unseen=0.1):
    grid = GRIDS["log1p"]
    values = (0.0, 2.0, 3.0, 7.0)
    return SupportPoints.of(grid, np.array(values), np.asarray(forward(grid, np.array([1.0, 2.5, 5.0]))), unseen)


def test_values_that_occur_share_the_axis_and_others_have_the_mass_of_the_unseen():
    """By SciPy's distribution function between the half-way points; what is unseen shares its mass among all cells."""
    grid = GRIDS["log1p"]
    dist = Discretized(grid, 0.0, np.inf, 2, levels())
    whole = mixture(grid)
    halves = whole(np.array([0.5, 2.0, 4.5]))
    expected = 0.9 * np.diff(np.concatenate([[0], halves, [1]]))
    own = np.exp(log_prob(dist, PARAMS, forward(grid, np.array([0.0, 2.0, 3.0, 7.0]))))
    np.testing.assert_allclose(own, expected, rtol=1e-6)
    cdf = mixture(grid, low=0.0)
    others = np.array([1.0, 4.0, 5.0, 6.0, 8.0, 30.0])
    own = np.exp(log_prob(dist, PARAMS, forward(grid, others)))
    np.testing.assert_allclose(own, 0.1 * (cdf(others) - cdf(others - 1)), rtol=1e-6)


def test_only_values_that_occur_are_sampled_and_as_often_as_they_weigh():
    grid = GRIDS["log1p"]
    dist = Discretized(grid, 0.0, np.inf, 2, levels(1e-9))
    x = np.round(np.asarray(grid.to_original(jnp.asarray(sampled(dist, PARAMS)))), 3)
    assert set(np.unique(x)) == {0, 2, 3, 7}
    p = np.exp(log_prob(dist, PARAMS, forward(grid, np.array([0.0, 2.0, 3.0, 7.0]))))
    seen = np.array([(x == value).sum() for value in (0, 2, 3, 7)])
    assert (np.abs(seen - N * p) < 5 * np.sqrt(N * p * (1 - p))).all()
