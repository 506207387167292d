"""A wide component of fixed weight: what it adds to a density, and what a value unlike those of training costs.

That it is sampled as often as its weight says, `test_support.py` has.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import log_softmax, logsumexp
from scipy import stats

from unspool.encoding.numeric_fit import wide_component
from unspool.network.distributions.discretized import LOGISTIC_WIDTH, Discretized
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.normal import eased, normal_log_density, positive
from unspool.network.fields import Constants, group_fields

N = 4_001
WIDE = np.array([0.3, 0.5, 6.0])
PARAMS = np.array([0.5, -0.3, -1.1, 0.9, -0.8, -0.2])
LINE = Grid("linear", 1.0, 0.0, 1.0, 0.5)


def spread(raw):
    return np.log1p(np.exp(raw) * (np.e - 1)) + 1e-4


def blend(family, width, value):
    """What SciPy gives of the mixture that `WIDE` and `PARAMS` stand for: `value(part)` of each part, weighted."""
    share = 0.7 * np.exp(PARAMS[:2]) / np.exp(PARAMS[:2]).sum()
    parts = [family(PARAMS[2], spread(PARAMS[4])), family(PARAMS[3], spread(PARAMS[5])), family(0.5, 6.0 * width)]
    return sum(w * value(part) for w, part in zip([*share, 0.3], parts, strict=True))


@jax.jit
def log_density(params, values, wide):
    return Mixture(2, wide).log_prob(jnp.broadcast_to(params, (N, 6)), values)


def test_the_density_is_that_of_scipy_and_integrates_to_one():
    z = np.linspace(-62.5, 62.5, N)
    own = log_density(PARAMS.astype(np.float32), z.astype(np.float32), np.float32(WIDE))
    own = np.exp(np.asarray(own, np.float64))
    np.testing.assert_allclose(own, blend(stats.norm, 1.0, lambda part: part.pdf(z)), rtol=1e-4)
    assert own.sum() * (z[1] - z[0]) == pytest.approx(1, abs=1e-5)


def test_masses_of_a_grid_are_those_of_scipy_and_sum_to_one():
    x = np.arange(-300, 301) * 0.5
    dist, rows = Discretized(LINE, components=2, wide=WIDE), jnp.asarray(np.tile(PARAMS, (601, 1)), jnp.float32)
    own = np.exp(np.asarray(jax.jit(lambda x: dist.log_prob(rows, x))(x.astype(np.float32)), np.float64))
    expected = blend(stats.logistic, LOGISTIC_WIDTH, lambda part: part.cdf(x + 0.25) - part.cdf(x - 0.25))
    np.testing.assert_allclose(own, expected, rtol=1e-3, atol=1e-9)
    assert own.sum() == pytest.approx(1, abs=1e-5)


def test_a_surprise_costs_the_logarithm_of_the_number_of_values_and_a_few_nats():
    """Of a value 50 standard deviations of its component out, which alone costs 1,250; any other pays 0.00001."""
    wide = wide_component(np.random.default_rng(0).normal(size=999))
    params = np.array([0.0, 0.0, -0.2, 0.2, -3.4, -3.4], np.float32)
    values = np.zeros(N, np.float32)
    values[:2] = 0.2, 0.2 + 50 * spread(-3.4)
    near, far = np.asarray(log_density(params, values, np.float32(wide)))[:2]
    assert -np.log(1000) - 8 < far < -np.log(1000) - 6
    assert near == pytest.approx(np.log(0.5 / spread(-3.4) / np.sqrt(2 * np.pi)), abs=1e-4)


def test_without_its_weight_a_density_is_that_of_the_others():
    """As a loss has it: no infinite number comes of the logarithm of a weight of zero."""
    z = np.linspace(-62.5, 62.5, N).astype(np.float32)
    (group,) = group_fields((Mixture(2, WIDE),))
    none = Constants((group,), jnp.int32(0), jnp.zeros(0, jnp.int32)).without_wide().fields[0].distribution.wide[0]
    assert none.tolist() == [0.0, 0.5, 6.0]
    other = 1e-30 * np.array([1, 0, 0]) + np.array([0, 0.5, 6.0])
    own, near = (log_density(PARAMS.astype(np.float32), z, wide.astype(np.float32)) for wide in (none, other))
    np.testing.assert_allclose(own[1800:2200], near[1800:2200], rtol=1e-5)
    assert np.isfinite(own).all()


def test_a_file_without_one_has_the_program_of_before():
    """So it gives what it gave, to the bit."""

    def before(params, value):
        logits, loc, raw = jnp.split(params, 3, -1)
        scale = positive(raw)
        return logsumexp(log_softmax(logits, -1) + normal_log_density(value[..., None], eased(loc, scale), scale), -1)

    arrays = jnp.zeros((N, 6)), jnp.zeros(N)
    own, other = (str(jax.make_jaxpr(function)(*arrays)) for function in (Mixture(2).log_prob, before))
    assert own == other
    assert own != str(jax.make_jaxpr(Mixture(2, WIDE).log_prob)(*arrays))
