"""A rule keeps the symbols that its definition keeps, and a draw is the inverse of what is left."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from unspool.generation.sampler import rule_of
from unspool.network.distributions.rules import (
    PLAIN,
    apply_temperature,
    categorical_icdf,
    central_uniform,
    truncate_logits,
)
from unspool.options import Sampling

pytestmark = pytest.mark.usefixtures("whole_programs")

V = 6
scores = st.integers(-4, 4).map(lambda k: k / 2)  # coarse, so that ties are common
logits = st.lists(scores, min_size=V, max_size=V)
filter_all = jax.jit(truncate_logits)
choose_all = jax.jit(categorical_icdf)


def keep(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None):
    """Which symbols a rule leaves, by its definition and one symbol at a time."""
    warm = [logit / temperature for logit in logits]
    probability = [math.exp(w) / sum(map(math.exp, warm)) for w in warm]
    kept = []
    for own in probability:
        better = [p for p in probability if p > own + 1e-9]
        kept.append(
            (top_k is None or len(better) < top_k)
            and (top_p is None or sum(better) < top_p)
            and (min_p is None or own >= min_p * max(probability) - 1e-9)
        )
    return kept


def is_on_an_edge(logits, *, temperature=1.0, top_p=None, min_p=None, **_):
    """Whether rounding decides: the definition and float32 may then rightly differ."""
    warm = [logit / temperature for logit in logits]
    probability = [math.exp(w) / sum(map(math.exp, warm)) for w in warm]
    masses = [sum(p for p in probability if p > own + 1e-9) for own in probability]
    near_p = top_p is not None and any(abs(mass - top_p) < 1e-5 for mass in masses)
    return near_p or (min_p is not None and any(abs(p / max(probability) - min_p) < 1e-5 for p in probability))


@given(
    logits,
    st.fixed_dictionaries(
        {
            "temperature": st.sampled_from([0.5, 1.0, 2.0]),
            "top_k": st.none() | st.integers(1, V + 3),
            "top_p": st.none() | st.floats(0.01, 1.0),
            "min_p": st.none() | st.floats(0.01, 1.0),
        }
    ),
)
def test_a_rule_leaves_what_its_definition_leaves(logits, options):
    """Ties at an edge stay together; the most probable symbol always stays; what stays keeps its ratios.

    Top-k: fewer than k symbols are more probable. Top-p: those have less than p of the mass. Min-p: at least that
    share of the largest probability. All after the temperature, and each of the whole distribution.
    """
    assume(not is_on_an_edge(logits, **options))
    left = np.asarray(filter_all(jnp.asarray(logits, jnp.float32), rule_of(Sampling(**options))))
    expected = keep(logits, **options)
    assert np.isfinite(left).tolist() == expected
    assert expected[int(np.argmax(logits))]
    np.testing.assert_allclose(left[expected], np.array(logits)[expected] / options["temperature"], rtol=1e-6)


def inverse(logits, uniform):
    """The inverse of the cumulative distribution, one symbol at a time."""
    mass = [math.exp(logit) for logit in logits]
    reached = 0.0
    for symbol, m in enumerate(mass):
        reached += m / sum(mass)
        if uniform < reached:
            return symbol
    return max(s for s, m in enumerate(mass) if m)


@given(st.lists(scores | st.just(-math.inf), min_size=V, max_size=V), st.integers(0, 2**23 - 1))
def test_a_sample_is_the_inverse_of_the_cumulative_distribution(logits, bits):
    """Away from the edges between symbols, where the last bit decides; and never a symbol without mass."""
    assume(max(logits) > -math.inf)
    uniform = (bits + 0.5) / 2**23
    chosen = int(choose_all(jnp.asarray(logits, jnp.float32), jnp.float32(uniform)))
    assert logits[chosen] > -math.inf
    assert chosen in {inverse(logits, uniform - 1e-6), inverse(logits, uniform + 1e-6)}


@given(st.lists(st.sampled_from([0.0, -math.inf, -20.0, -80.0]), min_size=V, max_size=V))
def test_the_outermost_uniforms_never_sample_a_symbol_without_mass(logits):
    """Forbidden symbols at either end and in between, and masses that float32 can't add to the total."""
    assume(max(logits) > -math.inf)
    for uniform in (2**-24, 1 - 2**-24):
        assert logits[int(choose_all(jnp.asarray(logits, jnp.float32), jnp.float32(uniform)))] > -math.inf


@pytest.mark.parametrize("options", [{}, {"top_k": 1}, {"top_k": 9}, {"top_p": 0.01}, {"min_p": 1.0}])
def test_the_only_symbol_is_always_sampled(options):
    one = jnp.array([[-3.0]])
    assert truncate_logits(one, rule_of(Sampling(**options))).tolist() == [[-3.0]]
    assert categorical_icdf(truncate_logits(one, rule_of(Sampling(**options))), jnp.array([1 - 2**-24])).tolist() == [0]


def test_many_symbols_are_all_reachable():
    """2,000 equal symbols: the middle of each one's interval draws it, in spite of float32 sums."""
    count = 2_000
    uniform = (jnp.arange(count) + 0.5) / count
    assert (np.asarray(categorical_icdf(jnp.zeros((count, count)), uniform)) == np.arange(count)).all()


def test_a_rule_compiles_in_only_what_it_does():
    """Numbers are arrays, so that another temperature is the same program; what is off is absent."""
    assert rule_of(Sampling()) == PLAIN
    assert jax.tree.leaves(PLAIN) == []
    shapes = [jax.tree.structure(rule_of(Sampling(temperature=t, top_p=0.9))) for t in (0.5, 2.0)]
    assert shapes[0] == shapes[1]
    assert [leaf.item() for leaf in jax.tree.leaves(rule_of(Sampling(top_k=3)))] == [3]
    assert rule_of(Sampling(min_p=0.1)).truncates
    assert not rule_of(Sampling(top_k=3)).truncates


def test_a_squeezed_uniform_stays_in_the_central_mass():
    u = jnp.array([0.0, 0.25, 0.5, 1.0])
    np.testing.assert_allclose(central_uniform(u, 0.5), [0.25, 0.375, 0.5, 0.75])
    assert (central_uniform(u, 1.0) == u).all()


def test_a_temperature_of_one_leaves_a_spread_alone():
    assert apply_temperature(jnp.array(2.0), PLAIN) == 2.0
    assert apply_temperature(jnp.array(2.0), rule_of(Sampling(temperature=3.0))) == 6.0
