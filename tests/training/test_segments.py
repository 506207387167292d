"""A long sequence is learned in segments: the state goes on from one to the next, the gradient does not."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from unspool.training.batching import Bucket, epoch_updates, segment_steps
from unspool.training.scoring import score
from unspool.training.sharding import Sharding
from unspool.training.train_step import UpdateBatch, new_train_state, update
from unspool.training.trainer import train

SEGMENT, COUNT, B = 2, 3, 8
ROWS = np.tile(np.arange(B, dtype=np.int32), (COUNT, 1))
FIRST = np.arange(COUNT, dtype=np.int32) * SEGMENT


def updated(small, net, data, first, weights, rate=0.02, segmented=True):
    every = np.ones(len(first))
    updates = UpdateBatch(data, first, weights, rate * every, 0 * every)
    spread, count, scale = Sharding(1, 2, segmented), np.int32(len(first)), np.float64(1 / 30)
    return update(small.config, spread, new_train_state(net, small.config), updates, count, scale, jax.random.key(0))


def in_segments(small, net, weights=(1, 1, 1), rate=0.02):
    """The updates of eight sequences of six steps, two steps at a time."""
    data = small.bucket.segments(ROWS, FIRST, SEGMENT)
    return updated(small, net, data, FIRST, np.repeat(np.array(weights, float)[:, None], B, 1), rate)


# ---- the state goes on ---------------------------------------------------------------------------------------------


def test_what_the_segments_of_a_sequence_see_is_the_likelihood_of_the_whole(small, plain):
    """At a rate of zero, to 1e-9."""
    _, seen = in_segments(small, plain(), rate=0.0)
    assert float(seen) == pytest.approx(score(plain(), small.bucket)[:B].sum(), abs=1e-9)


# ---- the gradient does not -----------------------------------------------------------------------------------------


def test_a_sequence_that_is_one_segment_is_learned_as_a_whole(small, plain):
    data, weights, first = small.bucket.take(ROWS[:2]), np.ones((2, B)), np.zeros(2, np.int32)
    one, other = (updated(small, plain(), data, first, weights, segmented=cut) for cut in (False, True))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_no_gradient_crosses_the_border_of_a_segment(small, plain):
    """What only the first step reads, and the initial state, learn from the first segment alone; the rest from all."""
    before = plain()
    for weights, moves in [((0, 1, 1), False), ((1, 0, 0), True)]:
        state, _ = in_segments(small, plain(), weights)
        for part in (lambda net: net.start, lambda net: net.initial[0]):
            assert (np.abs(part(state.net) - part(before)).max() > 1e-3) == moves
        for part in (lambda net: net.cells[0].R, lambda net: net.cells[0].K, lambda net: net.outputs.A):
            assert np.abs(part(state.net) - part(before)).max() > 1e-3


# ---- which segments, and in which order ----------------------------------------------------------------------------


def test_segments_of_a_batch_are_one_group_in_their_order_and_those_past_its_end_are_not_run():
    """Short buckets are not cut; every row is learned once a pass."""
    lengths = np.array([3, 9, 11, 1, 2, 4, 7, 0])
    long = Bucket((np.zeros(8, int),), (np.zeros((8, 12)),), lengths)
    short = Bucket((np.zeros(5, int),), (np.zeros((5, 4)),), np.ones(5, int))
    groups = list(epoch_updates([long, short], [2, 2], [25, 3], 0, 0, segment=4, multiple=4))
    cut = [group for group in groups if group.bucket == 0]
    assert len(cut) == 4
    assert sorted(np.concatenate([g.rows[0][g.weights[0] > 0] for g in cut]).tolist()) == list(range(8))
    for group in cut:
        assert group.first.tolist() == [0, 4, 8]
        assert (group.rows == group.rows[0]).all()
        assert (group.weights == group.weights[0]).all()
        assert group.rows.shape == (3, 4)
        longest = lengths[group.rows[0][group.weights[0] > 0]].max()
        assert group.updates == sum(first <= longest for first in group.first)  # the stop is decided at `longest`
    assert all((group.first == 0).all() and group.rows.shape == (3, 4) for group in groups if group.bucket == 1)


def test_long_sequences_are_cut_unless_the_user_says_where():
    assert segment_steps(1024, None) is None
    assert segment_steps(1025, None) == 512
    assert segment_steps(1025, 100) == 100
    assert segment_steps(50, 100) == 100


@pytest.mark.slow
def test_training_in_segments_learns_and_is_repeatable(small):
    """With dropout and over several shards, and through the decay."""
    plan = replace(small.plan, segment=SEGMENT)
    (net, progress), (again, _) = (train(small.data, plan, small.net()) for _ in range(2))
    assert progress.best < progress.rounds[0].validation
    assert (
        progress.best
        < -sum(score(small.net(), b).sum() for b in small.data.validation) / small.data.validation_steps - 0.3
    )
    for a, b in zip(jax.tree.leaves(net), jax.tree.leaves(again), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


# ---- memory --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_of_an_update_does_not_grow_with_the_length_of_sequences(small):
    """What the compiled program needs besides the data themselves, for 2,048 and 16,384 steps in segments of 512."""
    state = jax.eval_shape(lambda: new_train_state(small.net(), small.config))

    def temporary(T):
        K = T // 512
        f32, i32 = (lambda *shape, kind=kind: jax.ShapeDtypeStruct(shape, kind) for kind in (np.float32, np.int32))
        data = Bucket((i32(K, B),), (i32(K, B, 512), f32(K, B, 512)), i32(K, B))
        updates = UpdateBatch(data, i32(K), f32(K, B), f32(K), f32(K))
        key = jax.eval_shape(lambda: jax.random.key(0))
        lowered = update.lower(small.config, Sharding(1, 2, True), state, updates, i32(), f32(), key)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert temporary(16_384) <= temporary(2_048) + 16_384 // 512 * B * 4
