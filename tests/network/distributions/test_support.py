"""A sample within a support is a sample of the distribution given that it lies there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from unspool.generation.sampler import rule_of
from unspool.network.distributions.base import Support
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.discretized import Discretized
from unspool.network.distributions.grid import Grid, SupportPoints
from unspool.network.distributions.histogram import Histogram
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.normal import Normal, Point
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.reparameterized import Reflected
from unspool.network.distributions.rules import PLAIN
from unspool.network.distributions.student_t import StudentT
from unspool.options import Sampling
from unspool.runtime.threefry import seed_words, uniforms

pytestmark = pytest.mark.usefixtures("whole_programs")

N = 40_000
FIVE_SIGMA = 2 * stats.norm.sf(5)
LINE = Grid("linear", 1.0, 3.0, 2.0, 0.5)
COUNTS = Grid("log1p", 1.0, 1.2, 0.8, 1.0)
LEVELS = (0.0, 1.0, 3.0, 4.0, 8.0)
EDGES = (-1.5, -0.5, -0.25, 0.5, 2.0)
LOGITS = [-2.0, 0.3, 1.0, -0.5, 0.2, -1.5]
FEW = SupportPoints.of(COUNTS, np.array(LEVELS), (np.log1p([0.5, 2.0, 3.5, 6.0]) - 1.2) / 0.8, 0.01)
CASES = {
    "normal": (Normal(), [0.4, -0.6]),
    "student": (StudentT(), [0.4, -0.6, -1.2]),
    "mixture": (Mixture(2, (0.2, 0.3, 3.0)), [0.5, -0.3, -1.1, 0.9, -0.8, -0.2]),
    "histogram": (Histogram(EDGES), LOGITS),
    "counts": (Discretized(COUNTS, low=0.0, components=2, wide=(0.2, 0.3, 3.0)), [0.5, -0.3, -0.9, 0.7, -1.0, -0.4]),
    "levels": (Discretized(COUNTS, components=2, support_points=FEW), [0.5, -0.3, -0.9, 0.7, -1.0, -0.4]),
    "rounded": (Reflected(Mixture(2), grid=LINE), [0.5, -0.3, -1.1, 0.9, -0.8, -0.2]),
    "bins of a grid": (Histogram((-1.625, -0.375, 0.125, 1.125), LINE), [-2.0, 0.3, 1.0, -0.5, -1.0]),
    "point masses": (PointMasses(Normal(), (0.0, 3.0)), [0.3, 0.2, 0.5, 0.4, -0.6]),
    "point masses of a grid": (
        PointMasses(Discretized(LINE, components=2), (0.5,), True),
        [0.3, 0.2, 0.5, 0.4, -0.6, 0.0, -1.0, 0.4],
    ),
}
SUPPORTS = {"narrow": (-0.4, 0.3), "below": (-9.0, -0.2), "above": (0.6, np.inf), "all": (-np.inf, np.inf)}


def sampled(dist, params, support=None, rule=PLAIN, seed=1):
    zero = jnp.zeros(N, jnp.int32)
    u = uniforms(seed_words(seed), zero, jnp.arange(N), zero[:1], dist.num_uniforms)[0]
    row = jnp.broadcast_to(jnp.asarray(params, jnp.float32), (N, len(params)))
    return np.asarray(dist.sample(row, u, rule, support))


def assert_alike(one, other):
    """Two samples of one distribution, which may have ties: neither differs from the pooled one by chance."""
    points = np.unique(np.concatenate([one, other]))
    gap = np.abs([(one <= x).mean() - (other <= x).mean() for x in np.quantile(points, np.linspace(0, 1, 200))]).max()
    assert gap < 5 * np.sqrt(0.25 / len(one) + 0.25 / len(other))


@pytest.mark.parametrize("limits", SUPPORTS)
@pytest.mark.parametrize("name", CASES)
def test_what_is_sampled_in_a_support_is_what_else_falls_into_it(name, limits):
    (dist, params), (low, high) = CASES[name], SUPPORTS[limits]
    free = sampled(dist, params)
    inside = free[(free >= low - 1e-5) & (free <= high + 1e-5)]
    made = sampled(dist, params, Support(jnp.float32(low), jnp.float32(high)), seed=2)
    assert made.min() >= low - 1e-5
    assert made.max() <= high + 1e-5
    assert len(inside) > 500
    assert_alike(made, inside)
    if hasattr(dist, "log_mass"):
        share = len(inside) / N
        mass = float(jnp.exp(dist.log_mass(jnp.asarray(params, jnp.float32), Support(low, high))))
        assert abs(mass - share) < 5 * np.sqrt(0.25 / N)


@pytest.mark.parametrize("name", ["normal", "student", "mixture", "histogram", "counts", "levels"])
@pytest.mark.parametrize("far", [30.0, -30.0])
def test_a_support_far_out_in_the_tail_is_still_kept(name, far):
    """Where float32 knows no probability, the draw is at the near end of the support."""
    dist, params = CASES[name]
    made = sampled(dist, params, Support(jnp.float32(far), jnp.float32(far + 1)))
    if name in ("counts", "levels"):  # where the values that are possible end
        assert np.isfinite(made).all()
        return
    assert ((made >= far) & (made <= far + 1)).all()
    near = np.median(np.abs(made))
    assert near < 30.5 if far > 0 else near < 29.5


@pytest.mark.parametrize("name", CASES)
def test_greedy_is_held_in_the_support(name):
    dist, params = CASES[name]
    made = sampled(dist, params, Support(jnp.float32(-0.9), jnp.float32(-0.6)), rule_of(Sampling(greedy=True)))
    assert -0.9 - 1e-5 <= made[0] <= -0.6 + 1e-5 or name in ("counts", "levels", "rounded", "bins of a grid")


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.5), Sampling(top_p=0.6), Sampling(min_p=0.3)])
def test_rules_act_on_what_the_support_leaves(sampling):
    """A normal whose support is its middle: temperature and cuts narrow it, and nothing leaves the support."""
    support = Support(jnp.float32(-1.0), jnp.float32(2.0))
    plain, ruled = (sampled(Normal(), [0.4, -0.6], support, rule) for rule in (PLAIN, rule_of(sampling)))
    assert ruled.std() < 0.95 * plain.std()
    assert ruled.min() >= -1.0
    assert ruled.max() <= 2.0


def test_symbols_that_are_not_allowed_are_never_sampled():
    """Those that are keep their ratios."""
    support = Support(symbols=jnp.array([True, False, True, False]))
    made = sampled(Categorical(4), [0.3, 5.0, 1.2, 4.0], support)
    odds = np.exp(0.3) / (np.exp(0.3) + np.exp(1.2))
    assert set(made.tolist()) == {0, 2}
    assert abs((made == 0).mean() - odds) < 5 * np.sqrt(odds * (1 - odds) / N)


def test_what_must_be_there_is_not_missing():
    dist, params = WithMissing(Normal()), [1.0, 0.4, -0.6]
    assert np.isnan(sampled(dist, params)).mean() > 0.6
    assert not np.isnan(sampled(dist, params, Support(present=jnp.array(True)))).any()
    assert np.isnan(sampled(dist, params, Support(jnp.float32(0.0), jnp.float32(1.0)))).mean() > 0.6


def test_a_point_is_held():
    assert sampled(Point(), [0.4], Support(jnp.float32(1.0), jnp.float32(2.0)))[0] == 1.0


def test_supports_may_differ_from_row_to_row():
    """Under jit too, as in the loop."""
    low = jnp.linspace(-1.0, 1.0, N)
    dist, params = CASES["mixture"]
    u = uniforms(seed_words(0), jnp.zeros(N, jnp.int32), jnp.arange(N), jnp.zeros(1, jnp.int32), dist.num_uniforms)[0]
    row = jnp.broadcast_to(jnp.asarray(params), (N, len(params)))
    made = jax.jit(lambda low: dist.sample(row, u, PLAIN, Support(low, low + 0.1)))(low)
    assert bool(((made >= low) & (made <= low + 0.1)).all())
