"""After training, generated sequences end where those of training did, whatever the hazard had learned before."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.evaluation.figures import kolmogorov_smirnov
from unspool.generation.engine import Request, generate
from unspool.generation.lengths import matched, sample
from unspool.network.hazard import life_table
from unspool.network.heads.numbers import Normal
from unspool.network.heads.symbols import Categorical
from unspool.network.net import Net, Shape, Symbols
from unspool.network.rules import PLAIN
from unspool.options import Network

LENGTHS = np.random.default_rng(0).choice([1, 3, 4, 9], 400, p=[0.2, 0.4, 0.3, 0.1])


def network(lengths):
    """A network that began at the life table of some lengths, and whose state has led it far away from there."""
    shape = Shape((Symbols(3),), (Categorical(4), Normal()), 11, 8, 5, Network(dropout=0.0))
    fresh = Net(np.random.default_rng(0), shape)
    hazard = life_table(lengths, 11)
    bias = jnp.asarray(np.log(hazard / (1 - hazard)) + 0.7, jnp.float32)
    return eqx.tree_at(lambda n: n.stop, fresh, (6 * fresh.stop[0], bias))


@pytest.fixture(scope="module")
def net():
    return network(LENGTHS)


def request(lengths, seed=0):
    rows, samples = sample(lengths)
    return Request(((rows % 3).astype(np.int32),), samples, seed, PLAIN, None, 2 * int(lengths.max()))


@pytest.fixture(scope="module")
def after(net):
    return matched(net, request(LENGTHS), LENGTHS)


def made(net, seed):
    return np.diff(generate(net, request(LENGTHS, seed))[1])


def test_generated_lengths_become_those_of_training(net, after):
    """With uniforms that it was not matched on, too."""
    assert kolmogorov_smirnov(LENGTHS, made(net, 1)) > 0.1
    for seed in (0, 1):
        assert kolmogorov_smirnov(LENGTHS, made(after, seed)) < 0.03
        assert made(after, seed).mean() == pytest.approx(LENGTHS.mean(), rel=0.03)


def test_only_biases_of_the_hazard_move(net, after):
    changed = eqx.tree_at(lambda n: n.stop[1], after, net.stop[1])
    assert eqx.tree_equal(changed, net)


def test_sequences_still_differ_in_their_hazard(net, after):
    """Where many could end, the shift of a stretch is the same for all, so what the state says of the end stays."""
    spread = lambda n: np.ptp([np.diff(generate(n, one)[1]).mean() for one in by_input()])  # noqa: E731
    by_input = lambda: [request(LENGTHS)._replace(inputs=(np.full(400, k, np.int32),)) for k in range(3)]  # noqa: E731
    assert spread(after) > 0.1 * spread(net) > 0


def test_a_few_sequences_move_all_positions_alike(net):
    few = np.array([2, 3, 5, 6])
    shift = np.asarray(matched(net, request(few), few).stop[1] - net.stop[1])
    assert np.ptp(shift) == pytest.approx(0, abs=1e-5)


def test_what_never_ended_hardly_ever_ends():
    fixed = np.repeat([5, 6], 200)
    lengths = np.diff(generate(matched(network(fixed), request(fixed), fixed), request(fixed, 1))[1])
    assert np.isin(lengths, fixed).mean() > 0.95


def test_long_sequences_are_made_from_fewer_inputs():
    for lengths in (np.full(10, 3), np.full(100_000, 3), np.full(50, 30_000), np.zeros(4, np.int64)):
        rows, samples = sample(lengths)
        assert len(np.unique(rows)) == len(rows) <= len(lengths)
        assert 1 <= len(rows) * samples <= 8_192
        assert len(rows) * samples * max(1, lengths.max()) <= 2**18
