"""A block of flags is a mixture of products of Bernoullis."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from unspool.generation.sampler import rule_of
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.multilabel import BernoulliMixture
from unspool.options import Sampling

N = 20_000
RNG = np.random.default_rng(5)
HEAD = BernoulliMixture(4, components=3)
PARAMS = np.array([0.4, -0.6, 0.1, *RNG.normal(0, 1.5, 12)])
ALL = np.array(list(itertools.product([-1.0, 1.0], repeat=4)))


def expected():
    """Of all 16 values, by SciPy."""
    weights = np.exp(PARAMS[:3]) / np.exp(PARAMS[:3]).sum()
    yes = 1 / (1 + np.exp(-PARAMS[3:].reshape(3, 4)))
    return sum(w * stats.bernoulli(p).pmf((ALL + 1) / 2).prod(1) for w, p in zip(weights, yes, strict=True))


def rows(count, dist=HEAD, params=PARAMS):
    return jnp.broadcast_to(jnp.asarray(params, jnp.float32), (count, dist.num_params))


def picked(dist=HEAD, params=PARAMS, **options):
    u = np.random.default_rng(6).uniform(1e-6, 1 - 1e-6, (N, dist.num_uniforms))
    return np.asarray(
        jax.jit(dist.sample)(rows(N, dist, params), jnp.asarray(u, jnp.float32), rule_of(Sampling(**options)))
    )


def test_probabilities_are_those_of_scipy_and_sum_to_one():
    own = np.exp(HEAD.log_prob(rows(16), jnp.asarray(ALL, jnp.float32)))
    np.testing.assert_allclose(own, expected(), rtol=1e-5)
    assert own.sum() == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_joint_distribution():
    """Counts of all 16 values within five standard errors."""
    sampled = picked()
    p = expected()
    counts = np.array([(sampled == value).all(1).sum() for value in ALL])
    assert counts.sum() == N
    assert (np.abs(counts - N * p) < 5 * np.sqrt(N * p * (1 - p)) + 1e-6).all()
    mean = np.asarray(HEAD.mean(rows(1)))[0]
    assert (np.abs(sampled.mean(0) - mean) < 5 * sampled.std(0) / np.sqrt(N)).all()


def test_rules_act_on_components_and_members():
    """Greedy is the mode; half the temperature sharpens both; top-k of symbols leaves them alone."""
    mode = np.asarray(HEAD.mode(rows(1)))[0]
    assert (picked(greedy=True) == mode).all()
    np.testing.assert_array_equal(picked(top_k=1), picked())
    one = BernoulliMixture(2, components=1)
    warm = picked(one, np.array([0.0, 0.7, -0.4]), temperature=0.5)
    p = 1 / (1 + np.exp([-1.4, 0.8]))
    assert (np.abs((warm > 0).mean(0) - p) < 5 * np.sqrt(p * (1 - p) / N)).all()


def test_a_missing_block_is_missing_as_a_whole():
    dist = WithMissing(HEAD)
    params = np.array([-0.8, *PARAMS])
    gone = 1 / (1 + np.exp(0.8))
    values = jnp.asarray([[np.nan] * 4, ALL[3].tolist()], jnp.float32)
    own = np.asarray(dist.log_prob(rows(2, dist, params), values))
    np.testing.assert_allclose(own, [np.log(gone), np.log((1 - gone) * expected()[3])], rtol=1e-5)
    gradient = jax.grad(lambda p: dist.log_prob(p, values).sum())(rows(2, dist, params))
    assert np.isfinite(gradient).all()
    sampled = np.isnan(picked(dist, params))
    assert (sampled.all(1) == sampled.any(1)).all()
    assert abs(sampled.all(1).mean() - gone) < 5 * np.sqrt(gone * (1 - gone) / N)


def test_extreme_parameters_stay_finite_and_so_do_their_gradients():
    params = jnp.asarray(np.array(list(itertools.product([-1e4, 0.0, 1e4], repeat=6))) @ RNG.choice([0, 1], (6, 15)))
    total, pull = jax.vjp(lambda p: HEAD.log_prob(p, jnp.ones((len(params), 4))), params.astype(jnp.float32))
    assert np.isfinite(total).all()
    assert np.isfinite(pull(jnp.ones_like(total))[0]).all()
