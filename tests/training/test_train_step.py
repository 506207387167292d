"""An update depends on the data, and not on how many of them one dispatch runs or on what fills its shape."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.network.decoder import Net
from unspool.network.likelihood import sequence_log_prob
from unspool.options import Network
from unspool.training.batching import Bucket
from unspool.training.sharding import Sharding
from unspool.training.train_step import (
    UpdateBatch,
    UpdateConfig,
    arrays_by_name,
    copy_tree,
    from_arrays,
    new_train_state,
    score,
    update,
)

K, B = 2, 8
WHOLE = Sharding()


@pytest.fixture(autouse=True)
def float64():
    """Adam divides a gradient by its own size, and so makes a difference in the last bit of a small one a large one."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def plain(small):
    """A network without dropout, whose updates use no randomness, in float64."""
    shape = replace(small.shape, options=Network(dropout=0.0))
    net = Net(np.random.default_rng(0), shape)
    return lambda: jax.tree.map(lambda w: jnp.array(w, float), net)


def updated(net, bucket, recipe, rows=None, weights=None, count=K, shares=0.0, rate=0.02, learner=None, sharding=WHOLE):
    rows = np.random.default_rng(1).integers(0, 40, (K, B)) if rows is None else rows
    weights = np.ones(rows.shape) if weights is None else weights
    every = np.ones(len(rows))
    updates = UpdateBatch(bucket.take(rows), np.zeros(len(rows), np.int32), weights, rate * every, shares * every)
    learner = new_train_state(net, recipe) if learner is None else learner
    return update(recipe, sharding, learner, updates, np.int32(count), np.float64(1 / 30), jax.random.key(0))


def assert_close(one, other, atol=1e-9):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def test_updates_in_one_dispatch_are_the_updates_one_by_one(small, plain):
    """Weights, moments and the log-probabilities seen."""
    rows = np.random.default_rng(1).integers(0, 40, (K, B))
    together, seen = updated(plain(), small.bucket, small.recipe, rows)
    learner, total = new_train_state(plain(), small.recipe), 0.0
    for k in range(K):  # the second row only fills the shape, so that there is one program to compile
        learner, part = updated(None, small.bucket, small.recipe, rows[[k, 0]], count=1, learner=learner)
        total += float(part)
    assert_close(together, learner)
    assert float(seen) == pytest.approx(total, rel=1e-9)
    assert np.abs(together.net.cells[0].R - plain().cells[0].R).max() > 0.01


@pytest.mark.parametrize("feeding", ["teacher", "scheduled"])
def test_rows_in_four_shards_are_the_rows_together(small, feeding):
    """To 1e-9: the same masks, coins and draws, and a gradient that is a sum."""
    net = lambda: jax.tree.map(lambda w: jnp.array(w, float), small.net())  # noqa: E731
    recipe = UpdateConfig(feeding, 1.0, 0.0)
    parts = [updated(net(), small.bucket, recipe, shares=0.5, sharding=Sharding(1, count)) for count in (1, 4)]
    assert_close(*parts)
    assert np.abs(parts[0][0].net.cells[0].R - net().cells[0].R).max() > 0.01


def test_updates_past_the_count_are_not_run(small, plain):
    rows = np.random.default_rng(1).integers(0, 40, (K, B))
    other = rows.copy()
    other[1] = 0
    one, two = (updated(plain(), small.bucket, small.recipe, r, count=1) for r in (rows, other))
    assert_close(one, two, atol=0)


def test_padding_changes_nothing(small, plain):
    """Neither steps past the end, nor rows that only fill the batch."""
    bucket = small.bucket
    longer = Bucket(
        bucket.inputs, tuple(np.pad(v, ((0, 0), (0, 3)), constant_values=1) for v in bucket.values), bucket.lengths
    )
    expected = updated(plain(), bucket, small.recipe)
    assert_close(updated(plain(), longer, small.recipe), expected)
    rows, weights = np.random.default_rng(1).integers(0, 40, (K, B)), np.ones((K, B))
    rows, weights = (np.concatenate([a, np.zeros((K, 4), a.dtype)], 1) for a in (rows, weights))
    assert_close(updated(plain(), bucket, small.recipe, rows, weights), expected)


def test_what_an_update_saw_is_the_likelihood(small, plain):
    """At a rate of zero: the sum over the rows of what `score` says of them; and nothing moves."""
    rows = np.arange(K * B).reshape(K, B)
    learner, seen = updated(plain(), small.bucket, small.recipe, rows, rate=0.0)
    assert float(seen) == pytest.approx(score(plain(), small.bucket)[: K * B].sum(), rel=1e-9)
    assert_close(learner.net, plain(), atol=0)


def test_weight_decay_pulls_at_matrices_alone(small, plain):
    """Without any data, they shrink by rate times decay; biases and gains stay."""
    learner, _ = updated(
        plain(), small.bucket, UpdateConfig("teacher", 1.0, 0.5), weights=np.zeros((K, B)), count=1, rate=0.1
    )
    for before, after in zip(jax.tree.leaves(plain()), jax.tree.leaves(learner.net), strict=True):
        np.testing.assert_allclose(after, before * (0.95 if before.ndim > 1 else 1.0), rtol=1e-6)


def test_scheduled_feeding_begins_as_teacher_and_ends_on_its_own_output(small, plain):
    """With a share of zero it is the teacher's; with one, the free run."""
    ends = {}
    for feeding, share in [("teacher", 0.0), ("scheduled", 0.0), ("scheduled", 1.0), ("free", 1.0)]:
        ends[feeding, share] = updated(plain(), small.bucket, UpdateConfig(feeding, 1.0, 0.0), shares=share)
    assert_close(ends["scheduled", 0.0][0].net, ends["teacher", 0.0][0].net)
    assert_close(ends["scheduled", 1.0][0].net, ends["free", 1.0][0].net)
    assert float(ends["teacher", 0.0][1]) != pytest.approx(float(ends["free", 1.0][1]), abs=1e-2)


def test_a_score_is_the_log_probability_of_every_sequence(small, plain, monkeypatch):
    """A column per field and one for the stops; whatever the batch it was computed in."""
    net, bucket = plain(), small.bucket
    values = tuple(jnp.asarray(v.T) for v in bucket.values)
    inputs, lengths = (jnp.asarray(bucket.inputs[0]),), jnp.asarray(bucket.lengths)
    fields, stop = eqx.filter_jit(sequence_log_prob)(net, inputs, values, lengths, net.masks())
    expected = np.stack([*(field.sum(0) for field in fields), stop.sum(0)], -1)
    np.testing.assert_allclose(score(net, bucket), expected, rtol=1e-9)
    parts = [np.stack([*(f[a:b].sum(0) for f in fields), stop[a:b].sum(0)], -1) for a, b in ((0, 1), (1, 4), (4, 9))]
    np.testing.assert_allclose(score(net, bucket, edges=(1, 4)), np.stack(parts, 1), rtol=1e-9, atol=1e-12)
    monkeypatch.setattr("unspool.training.train_step.MAX_SCORE_CELLS", 16 * bucket.steps * 4 * net.shape.size)
    np.testing.assert_allclose(score(net, bucket), expected, rtol=1e-9)


def test_a_learner_is_its_named_arrays(small):
    """Weights and moments: a checkpoint holds them by name."""
    learner = new_train_state(small.net(), small.recipe)
    arrays = arrays_by_name(learner)
    assert len(arrays) == len(jax.tree.leaves(learner))
    empty = jax.tree.map(jnp.zeros_like, learner)
    assert_close(from_arrays(empty, {f"x{name}": a for name, a in arrays.items()}, "x"), learner, atol=0)
    assert_close(copy_tree(learner), learner, atol=0)
