"""A block of flags: every member is a Bernoulli given all those before it."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.generation.sampler import rule_of
from unspool.network.distributions.base import Support, bind, new_weights
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.multilabel import (
    MAX_ENUMERATED_MEMBERS,
    PARTICLES,
    AutoregressiveBernoulli,
    MemberWeights,
    conditional_means,
)
from unspool.network.distributions.rules import PLAIN
from unspool.options import Sampling
from unspool.runtime.threefry import seed_words, uniforms

pytestmark = pytest.mark.usefixtures("whole_programs")

N = 20_000


@functools.cache
def block(count, scale=1.5, seed=5):
    """A distribution whose members depend on each other, and its parameters."""
    rng, fresh = np.random.default_rng(seed), AutoregressiveBernoulli(count)
    weights = jax.tree.map(lambda w: (scale * rng.normal(size=w.shape)).astype(np.float32), new_weights(fresh, rng))
    params = np.concatenate([rng.normal(0, 0.5, count), rng.normal(size=fresh.num_params - count)])
    return bind(fresh, weights._replace(V=weights.V / 6)), params


def values(count):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=count)))


def expected(dist, params):
    """Of all values, member by member and unit by unit."""
    A, W, V = map(np.asarray, dist.weights)
    M, g = dist.count, dist.units_per_member
    found = []
    for x in values(M):
        p = 1.0
        for m in range(M):
            units = [np.tanh(params[M + k] + sum(x[j] * W[j, k] for j in range(k // g + 1))) for k in range(g * m)]
            logit = params[m] + sum(x[j] * A[j, m] for j in range(m)) + sum(h * V[k, m] for k, h in enumerate(units))
            p /= 1 + np.exp(-x[m] * logit)
        found.append(p)
    return np.array(found)


def rows(count, params):
    return jnp.broadcast_to(jnp.asarray(params, jnp.float32), (count, len(params)))


@functools.partial(jax.jit, static_argnums=0)
def sample(dist, weights, params, u, support, rule):
    """One program a kind of block, support and rule."""
    return bind(dist, weights).sample(params, u, rule, support)


def sampled(dist, params, support=None, count=N, **options):
    zero, fresh = jnp.zeros(count, jnp.int32), AutoregressiveBernoulli(dist.count)
    u = uniforms(seed_words(6), zero, jnp.arange(count), zero[:1], dist.num_uniforms)[0]
    return np.asarray(sample(fresh, dist.weights, rows(count, params), u, support, rule_of(Sampling(**options))))


def counts(made):
    """How often each of all values was made."""
    return np.array([(made == value).all(1).sum() for value in values(made.shape[1])])


def assert_frequencies(made, p):
    """Within five standard errors."""
    assert counts(made).sum() == len(made)
    assert (np.abs(counts(made) - len(made) * p) < 5 * np.sqrt(len(made) * p * (1 - p)) + 1e-6).all()


def known(count, **members):
    """The support in which some members are known, by number."""
    low, high = -np.ones(count, np.float32), np.ones(count, np.float32)
    for name, value in members.items():
        low[int(name[1:])] = high[int(name[1:])] = value
    return Support(jnp.asarray(low), jnp.asarray(high))


def given(p, count, **members):
    """The probabilities of all values given some members."""
    fits = np.all([values(count)[:, int(name[1:])] == value for name, value in members.items()], 0)
    return np.where(fits, p, 0) / p[fits].sum()


def test_probabilities_are_products_of_conditionals_and_sum_to_one():
    dist, params = block(4)
    own = np.exp(dist.log_prob(rows(16, params), jnp.asarray(values(4), jnp.float32)))
    np.testing.assert_allclose(own, expected(dist, params), rtol=1e-4)
    assert own.sum() == pytest.approx(1, abs=1e-5)


def test_members_begin_independent_and_even():
    dist = AutoregressiveBernoulli(3)
    fresh = bind(dist, new_weights(dist, np.random.default_rng(0)))
    own = np.exp(fresh.log_prob(rows(8, dist.initial_params()), jnp.asarray(values(3), jnp.float32)))
    np.testing.assert_allclose(own, 1 / 8, rtol=1e-5)


def test_samples_follow_the_joint_distribution():
    dist, params = block(4)
    p = expected(dist, params)
    assert (
        np.abs(p - np.prod(np.where(values(4) > 0, (1 + p @ values(4)) / 2, (1 - p @ values(4)) / 2), 1)).max() > 0.05
    )
    assert_frequencies(sampled(dist, params), p)


def test_greedy_is_the_likeliest_value_of_few_members_and_else_the_likeliest_member_in_turn():
    dist, params = block(4)
    p = expected(dist, params)
    assert (sampled(dist, params, count=3, greedy=True) == values(4)[p.argmax()]).all()
    likeliest = given(p, 4, m1=-1, m3=1).argmax()
    assert (np.asarray(dist.mode(rows(1, params), known(4, m1=-1, m3=1)))[0] == values(4)[likeliest]).all()
    dist, params = block(MAX_ENUMERATED_MEMBERS + 1)
    value = np.asarray(dist.mode(rows(1, params), known(9, m0=1, m5=-1)))
    assert (value[0, 0], value[0, 5]) == (1, -1)
    logits = np.asarray(dist.logits(rows(1, params), jnp.asarray(value)))
    open_members = [m for m in range(9) if m not in (0, 5)]
    assert (value[0, open_members] == np.where(logits[0, open_members] > 0, 1, -1)).all()


def test_rules_act_on_members():
    """Half the temperature doubles the logit of each member in turn; top-k of symbols leaves them alone."""
    dist, params = block(2, scale=0.7)
    np.testing.assert_array_equal(sampled(dist, params, top_k=1), sampled(dist, params))
    logits = np.asarray(dist.logits(rows(4, params), jnp.asarray(values(2), jnp.float32)))
    assert_frequencies(sampled(dist, params, temperature=0.5), (1 / (1 + np.exp(-2 * values(2) * logits))).prod(1))
    first = 1.0 if params[0] > 0 else -1.0
    second = 1.0 if logits[(values(2)[:, 0] == first).argmax(), 1] > 0 else -1.0
    assert (sampled(dist, params, top_p=0.4) == [first, second]).all()


def test_the_mean_is_nearly_the_mean():
    """The mean-field approximation is exact of the first member, and where nothing depends on anything."""
    dist, params = block(4, scale=0.4)
    own, exact = np.asarray(dist.mean(rows(1, params)))[0], expected(dist, params) @ values(4)
    assert own[0] == pytest.approx(exact[0], abs=1e-5)
    np.testing.assert_allclose(own, exact, atol=0.05)
    gradient = jax.grad(lambda p: dist.mean(p).sum())(rows(1, params))
    assert np.isfinite(gradient).all()
    assert gradient[0, 0] != 0


def test_conditional_means_are_those_given_the_members_before():
    dist, params = block(4)
    p, x = expected(dist, params), values(4)
    own = np.asarray(conditional_means(dist, rows(16, params), jnp.asarray(x, jnp.float32)))
    alike = (x[:, None, :2] == x[None, :, :2]).all(-1)
    np.testing.assert_allclose(own[:, 2], (alike * p) @ x[:, 2] / (alike @ p), atol=1e-4)
    missing = jnp.asarray([[np.nan] * 4, x[3].tolist()], jnp.float32)
    nullable = conditional_means(WithMissing(dist), rows(2, [0.3, *params]), missing)
    assert np.isnan(nullable[0]).all()
    np.testing.assert_allclose(nullable[1], own[3], rtol=1e-5)


# ---- known members -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [{"m0": 1.0, "m1": -1.0}, {"m1": 1.0, "m3": -1.0}, {"m3": 1.0}])
def test_members_beside_known_ones_follow_bayes(members):
    """Whether the known ones stand first or not; rows in which nothing is known are as they were."""
    dist, params = block(4)
    support, free = known(4, **members), sampled(dist, params)
    assert_frequencies(sampled(dist, params, support), given(expected(dist, params), 4, **members))
    half = jnp.arange(N)[:, None] < N // 2
    mixed = Support(jnp.where(half, support.low, -1.0), jnp.where(half, support.high, 1.0))
    made = sampled(dist, params, mixed)
    np.testing.assert_array_equal(made[N // 2 :], free[N // 2 :])
    np.testing.assert_array_equal(made[: N // 2], sampled(dist, params, support)[: N // 2])


@pytest.mark.slow
def test_particles_come_near_bayes_where_members_are_many():
    """The total variation from the exact conditional probabilities, beyond what the sample itself varies by."""
    count = MAX_ENUMERATED_MEMBERS + 1
    dist, params = block(count, scale=0.7)
    p = np.exp(np.asarray(dist.log_prob(rows(2**count, params), jnp.asarray(values(count), jnp.float32)), np.float64))
    for members in ({"m0": 1.0}, {"m8": -1.0}, {"m2": 1.0, "m4": 1.0, "m8": 1.0}):
        exact = given(p, count, **members)
        assert 0.5 * np.abs(exact - p).sum() > 0.2  # what is known matters
        made = sampled(dist, params, known(count, **members), 2_000)
        assert all((made[:, int(name[1:])] == value).all() for name, value in members.items())
        bias = exact @ values(count) - made.mean(0)
        limit = 5 / np.sqrt(len(made)) + (0 if "m0" in members else 1 / PARTICLES)
        assert (np.abs(bias) < limit).all()


def test_no_rule_leaves_a_known_member_without_a_value():
    dist, params = block(4)
    least = values(4)[expected(dist, params).argmin()]
    members = {f"m{m}": least[m] for m in (1, 3)}
    made = sampled(dist, params, known(4, **members), min_p=0.9, temperature=0.1)
    assert (made[:, [1, 3]] == least[[1, 3]]).all()
    assert (np.abs(made) == 1).all()


# ---- edges ---------------------------------------------------------------------------------------------------------


def test_a_missing_block_is_missing_as_a_whole():
    of, inside = block(4)
    dist, params = WithMissing(of), np.array([-0.8, *inside])
    gone = 1 / (1 + np.exp(0.8))
    both = jnp.asarray([[np.nan] * 4, values(4)[3].tolist()], jnp.float32)
    own = np.asarray(dist.log_prob(rows(2, params), both))
    np.testing.assert_allclose(own, [np.log(gone), np.log((1 - gone) * expected(of, inside)[3])], rtol=1e-4)
    gradient = jax.grad(lambda p: dist.log_prob(p, both).sum())(rows(2, params))
    assert np.isfinite(gradient).all()
    u = uniforms(seed_words(6), jnp.zeros(N, int), jnp.arange(N), jnp.zeros(1, int), dist.num_uniforms)[0]
    missing = np.isnan(dist.sample(rows(N, params), u))
    assert (missing.all(1) == missing.any(1)).all()
    assert abs(missing.all(1).mean() - gone) < 5 * np.sqrt(gone * (1 - gone) / N)


def test_extreme_parameters_stay_finite_and_so_do_their_gradients():
    dist, params = block(4)
    extreme = np.random.default_rng(0).choice([-1e4, 0.0, 1e4], (200, len(params))).astype(np.float32)

    def total(params, weights):
        return bind(AutoregressiveBernoulli(4), weights).log_prob(params, jnp.ones((200, 4)))

    nats, pull = jax.vjp(total, jnp.asarray(extreme), dist.weights)
    assert np.isfinite(nats).all()
    assert all(np.isfinite(part).all() for part in jax.tree.leaves(pull(jnp.ones_like(nats))))


def test_what_a_member_reads_of_later_ones_is_nothing():
    """However large the weights above the masks are, their gradient is zero."""
    dist, params = block(4)
    x = rows(3, [1.0, -1.0, 1.0, 1.0])
    pull = jax.grad(lambda w: bind(AutoregressiveBernoulli(4), w).log_prob(rows(3, params), x).sum())(dist.weights)
    g = dist.units_per_member
    assert not np.tril(pull.A).any()
    assert not any(np.asarray(pull.W)[m, : m * g].any() for m in range(4))
    assert not any(np.asarray(pull.V)[m * g :, : m + 1].any() for m in range(4))
    assert np.triu(pull.A, 1).any()


def test_types_are_those_of_the_parameters(float64):
    def all_of(params, u, weights, x):
        own = bind(AutoregressiveBernoulli(9), weights)
        support = known(9, m2=1.0)
        return (
            own.sample(params, u, PLAIN, support),
            own.mode(params, support),
            own.mean(params),
            own.log_prob(params, x),
        )

    dist, params = block(9)
    for dtype in (jnp.float32, jnp.float64):
        arrays = [jnp.asarray(a, dtype) for a in (params[None], np.full((1, 10), 0.4), *dist.weights, np.ones((1, 9)))]
        made = jax.eval_shape(all_of, *arrays[:2], MemberWeights(*arrays[2:5]), arrays[5])
        assert {part.dtype for part in made} == {jnp.dtype(dtype)}
