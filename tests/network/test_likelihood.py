"""A network on its own output reads soft values: expectations of symbols, and draws that gradients pass through."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.normal import Normal
from unspool.network.likelihood import free_running, sequence_log_prob, start_decoding, teacher_forced
from unspool.options import Network

pytestmark = pytest.mark.usefixtures("float64")
T, B = 4, 3
INPUTS, LENGTHS = (jnp.array([0, 1, 1]),), jnp.full(B, T)


def case(*distributions):
    """A network without stops in float64, values, and uniforms for its draws."""
    rng = np.random.default_rng(0)
    net = Net(rng, Architecture((EventShape(symbols=2),), distributions, 0, 5, 4, Network(dropout=0.0)))
    net = net.map_weights(lambda w: jnp.asarray(np.asarray(w, float) + rng.normal(0, 0.3, w.shape)))
    values = {Categorical: lambda: rng.integers(0, 3, (T, B)), Normal: lambda: rng.normal(size=(T, B))}
    data = tuple(jnp.asarray(values[type(dist)]()) for dist in distributions)
    return net, data, jnp.asarray(rng.uniform(0.05, 0.95, (T, B, net.shape.num_uniforms)))


def on_its_own(net, values, uniforms):
    return sequence_log_prob(net, INPUTS, values, LENGTHS, net.masks(), jnp.ones((T, B)), uniforms).fields


def test_a_number_on_its_own_output_is_the_sample_of_its_uniforms():
    """By hand: what is fed back is location plus spread times the normal quantile, each step after the other."""
    net, values, uniforms = case(Normal())
    own = on_its_own(net, values, uniforms)[..., 0]
    carry, ready = start_decoding(net, INPUTS, B)
    for t in range(T):
        top, state = net.step(ready, carry.feedback, carry.lstm, net.masks())
        params = net.outputs.params(net.outputs.begin(top), 0)
        np.testing.assert_allclose(own[t], net.distributions[0].log_prob(params, values[0][t]), atol=1e-10)
        sample = Normal().sample(params, uniforms[t])
        carry = carry._replace(lstm=state, feedback=net.feed_back(ready, (sample,), carry.feedback))


def test_the_gradient_of_a_sample_reaches_location_and_spread():
    """Of the last step's likelihood, whose own parameters see no bias: finite, not zero, and the slope."""
    net, values, uniforms = case(Normal())

    def later(bias, head_at_end):
        moved = eqx.tree_at(lambda n: n.outputs.b, net, bias)
        carry, ready = start_decoding(moved, INPUTS, B)
        _, carry = free_running(moved, ready, carry, values, net.masks(), jnp.ones((T, B)), uniforms)
        top, _ = net.step(ready, carry.feedback, carry.lstm, net.masks())
        return net.distributions[0].log_prob(net.outputs.params(net.outputs.begin(top), 0), head_at_end).sum()

    bias = net.outputs.b
    gradient = jax.grad(later)(bias, jnp.ones(B))
    assert (np.abs(gradient) > 1e-4).all()
    for k, step in enumerate(1e-5 * np.eye(2)):
        slope = (later(bias + step, jnp.ones(B)) - later(bias - step, jnp.ones(B))) / 2e-5
        assert float(gradient[k]) == pytest.approx(float(slope), rel=1e-6)


def test_uniforms_decide_numbers_and_not_symbols():
    """A symbol is fed back as its expectation, which nothing random moves."""
    for dist, moved in ((Categorical(3), False), (Normal(), True)):
        net, values, uniforms = case(dist)
        one, other = (on_its_own(net, values, u)[..., 0] for u in (uniforms, 1 - uniforms))
        assert (np.abs(one - other)[1:].max() > 1e-3) == moved
        np.testing.assert_allclose(one[0], other[0], atol=1e-12)


@pytest.mark.parametrize("own", [False, True])
def test_a_sequence_can_be_cut_anywhere(own):
    """What a stretch of steps leaves behind is all that the next one needs."""
    net, values, uniforms = case(Categorical(3), Normal())

    def run(carry, ready, some):
        cut = tuple(v[some] for v in values)
        if own:
            return free_running(net, ready, carry, cut, net.masks(), jnp.ones((T, B))[some], uniforms[some])
        return teacher_forced(net, ready, carry, cut, net.masks())

    carry, ready = start_decoding(net, INPUTS, B)
    whole, end = run(carry, ready, slice(None))
    first, middle = run(carry, ready, slice(1))
    second, last = run(middle, ready, slice(1, None))
    parts = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
    for a, b in zip(jax.tree.leaves((whole, end)), jax.tree.leaves((parts, last)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
