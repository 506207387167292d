"""After training, odds of what is counted expect as many as there are, and nothing else has moved."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.network.decoder import Architecture, CategoricalInput, Net
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Normal
from unspool.network.distributions.point_masses import PointMasses
from unspool.options import Network
from unspool.training.batching import Bucket
from unspool.training.odds import counted_logits, recalibrate
from unspool.training.scoring import score, teacher_forced_outputs

HEADS = (Categorical(3), WithMissing(PointMasses(Normal(), (0.0,))))
ROWS, STEPS = 300, 9


@pytest.fixture(scope="module")
def bucket():
    """Steps of a category that is mostly 0, and a number that is missing in a tenth and zero in half of the rest."""
    rng = np.random.default_rng(0)
    symbols = rng.choice(3, (ROWS, STEPS), p=[0.7, 0.2, 0.1]).astype(np.int32)
    x = rng.normal(size=(ROWS, STEPS))
    x[rng.random(x.shape) < 0.5] = 0.0
    x[rng.random(x.shape) < 0.1] = np.nan
    lengths = rng.integers(2, STEPS, ROWS).astype(np.int32)
    return Bucket((rng.integers(0, 2, ROWS).astype(np.int32),), (symbols, x.astype(np.float32)), lengths)


@pytest.fixture(scope="module")
def net():
    """Random weights, so that odds are anything; the second number of a step reads the first."""
    shape = Architecture((CategoricalInput(2),), HEADS, STEPS + 1, 8, 4, Network(dropout=0.0))
    return jax.tree.map(lambda w: 1.5 * w, Net(np.random.default_rng(0), shape))


def expected(net, bucket):
    """Mean probability of every symbol, of missing and of zero, over all real steps; and how many there are."""
    ready, top = teacher_forced_outputs(net, bucket)
    values = tuple(jnp.swapaxes(jnp.asarray(column), 0, 1) for column in bucket.values)
    told = net.step_context(top)
    first = jax.nn.softmax(net.params(told, 0), -1)
    second = net.params(net.condition_on(ready, told, 0, values[0]), 1)
    missing = jax.nn.sigmoid(second[..., 0])
    zero = (1 - missing) * jax.nn.softmax(second[..., 1:3], -1)[..., 1]
    real = np.arange(STEPS)[:, None] < bucket.lengths
    means = [*np.asarray(first)[real].mean(0), np.asarray(missing)[real].mean(), np.asarray(zero)[real].mean()]
    symbols, x = (np.asarray(column)[real] for column in values)
    return means, [*(np.mean(symbols == k) for k in range(3)), np.isnan(x).mean(), (x == 0).mean()]


def test_as_many_are_expected_as_there_are(net, bucket):
    before, real = expected(net, bucket)
    assert np.abs(np.subtract(before, real)).max() > 0.1
    np.testing.assert_allclose(expected(recalibrate(net, [bucket]), bucket)[0], real, atol=0.03)


def test_steps_become_likelier_and_only_odds_have_moved(net, bucket):
    after = recalibrate(net, [bucket])
    assert score(after, bucket).sum() > score(net, bucket).sum() + 10
    which = np.concatenate([counted_logits(dist) for dist in HEADS])
    assert which.tolist() == [True] * 6 + [False] * 2
    np.testing.assert_array_equal(np.asarray(after.outputs.b)[~which], np.asarray(net.outputs.b)[~which])
    assert eqx.tree_equal(eqx.tree_at(lambda n: n.outputs.b, after, net.outputs.b), net)


def test_buckets_and_their_order_change_nothing(net, bucket):
    parts = [bucket.take(np.arange(k, ROWS, 2)) for k in (1, 0)]
    one, other = (np.asarray(recalibrate(net, some).outputs.b) for some in ([bucket], parts))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_numbers_alone_have_no_odds(bucket):
    shape = Architecture((CategoricalInput(2),), (Normal(),), STEPS + 1, 8, 4, Network(dropout=0.0))
    net = Net(np.random.default_rng(0), shape)
    assert recalibrate(net, [bucket]) is net


def test_a_symbol_that_was_not_seen_is_not_ruled_out(net, bucket):
    """Of what is rare, few steps say little."""
    without = bucket._replace(values=(np.minimum(bucket.values[0], 1), bucket.values[1]))
    few = without.take(np.arange(4))
    shift = np.asarray(recalibrate(net, [few]).outputs.b - net.outputs.b)[:3]
    assert -2 < shift[2] < 0


def test_many_symbols_are_left_alone_and_take_no_memory(monkeypatch):
    assert not counted_logits(Categorical(257)).any()
    shape = Architecture(
        (CategoricalInput(2),), (Categorical(3), Categorical(300)), STEPS + 1, 8, 4, Network(dropout=0.0)
    )
    net = Net(np.random.default_rng(0), shape)
    monkeypatch.setattr("unspool.training.odds.MAX_NUMBERS", 10)
    rng = np.random.default_rng(0)
    column = rng.integers(0, 3, (200, STEPS)).astype(np.int32)
    many = Bucket((np.zeros(200, np.int32),), (column, column), np.full(200, STEPS, np.int32))
    assert recalibrate(net, [many]) is net
