"""An update depends on the data, and not on how many of them one dispatch runs or on what fills its shape."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from unspool.network.decoder import Net
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.mixture import Mixture
from unspool.network.serialization import named_leaves
from unspool.runtime.threefry import seed_words
from unspool.training.batching import Bucket
from unspool.training.defaults import UpdateConfig
from unspool.training.scoring import score
from unspool.training.sharding import Sharding, pack
from unspool.training.train_step import UpdateBatch, clip_by_norm, new_train_state, optimiser, update

pytestmark = pytest.mark.usefixtures("float64")  # Adam makes a difference in the last bit of a small gradient large
K, B = 2, 8
WHOLE = Sharding()
SEGMENT, COUNT = 2, 3
NONE_BEFORE = np.int32(0)
ROWS, FIRST = np.tile(np.arange(B, dtype=np.int32), (COUNT, 1)), np.arange(COUNT, dtype=np.int32) * SEGMENT


def updated(
    net,
    bucket,
    config,
    rows=None,
    weights=None,
    count=K,
    first=0,
    shares=0.0,
    rate=0.02,
    state=None,
    sharding=WHOLE,
    mix=0.5,
    dropout=1.0,
):
    rows = np.random.default_rng(1).integers(0, 40, (K, B)) if rows is None else rows
    weights = np.ones(rows.shape) if weights is None else weights
    every = np.ones(len(rows))
    numbers = rate * every, shares * every, mix * every, dropout * every
    updates = UpdateBatch(bucket.take(rows), np.zeros(len(rows), np.int32), weights, *numbers)
    state = new_train_state(net, config) if state is None else state
    constants = np.float64(1 / 30), seed_words(0), NONE_BEFORE, np.int32(first)
    return update(config, sharding, state, updates, np.int32(count), *constants)


def assert_close(one, other, atol=1e-9):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def test_updates_in_one_dispatch_are_the_updates_one_by_one(small, plain):
    """Weights, moments and the log-probabilities seen."""
    rows = np.random.default_rng(1).integers(0, 40, (K, B))
    together, seen = updated(plain(), small.bucket, small.config, rows)
    state, total = new_train_state(plain(), small.config), 0.0
    for k in range(K):  # the second row only fills the shape, so that there is one program to compile
        state, part = updated(None, small.bucket, small.config, rows[[k, 0]], count=1, state=state)
        total += float(part.sum())
    assert_close(together, state)
    assert float(seen.sum()) == pytest.approx(total, rel=1e-9)
    assert np.abs(together.net.cells[0].R - plain().cells[0].R).max() > 0.01


@pytest.mark.slow
def test_a_wide_component_changes_no_update(small):
    """Whatever its weight: a loss is that of values like those of training."""
    ends = []
    for weight in (0.3, 1e-6):
        shape = replace(small.shape, distributions=(Categorical(3), Mixture(2, np.array([weight, 0.0, 5.0]))))
        net = Net(np.random.default_rng(0), shape).map_weights(lambda w: jnp.array(w, float))
        state, seen = updated(net, small.bucket, small.config)
        ends.append((state.net.split()[0], seen))
        assert float(state.net.distributions[1].wide[0]) == pytest.approx(weight)
    assert_close(*ends, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("feeding", ["teacher", "scheduled"])
def test_rows_in_four_shards_are_the_rows_together(small, feeding):
    """To 1e-9: the same masks, coins and draws, and a gradient that is a sum."""
    net = lambda: small.net().map_weights(lambda w: jnp.array(w, float))  # noqa: E731
    config = UpdateConfig(feeding, 1.0, 0.0)
    parts = [updated(net(), small.bucket, config, shares=0.5, sharding=Sharding(1, count)) for count in (1, 4)]
    assert_close(*parts)
    assert np.abs(parts[0][0].net.cells[0].R - net().cells[0].R).max() > 0.01


def test_updates_past_the_count_are_not_run(small, plain):
    rows = np.random.default_rng(1).integers(0, 40, (K, B))
    other = rows.copy()
    other[1] = 0
    one, two = (updated(plain(), small.bucket, small.config, r, count=1) for r in (rows, other))
    assert_close(one, two, atol=0)


def test_updates_are_the_same_bits_in_one_call_and_in_several(small, float64):
    """With dropout; what each has seen, too. So training may ask between any two whether to end."""
    config = UpdateConfig("scheduled", 1.0, 0.0)

    def net():
        return small.net().map_weights(lambda w: jnp.asarray(np.asarray(w, float)))

    whole, seen = updated(net(), small.bucket, config, shares=0.5)
    half, seen_before = updated(net(), small.bucket, config, shares=0.5, count=1)
    again, seen_after = updated(None, small.bucket, config, shares=0.5, first=1, state=half)
    assert_close(again, whole, atol=0)
    assert (seen_before + seen_after).tolist() == seen.tolist()
    assert seen_before[1] == seen_after[0] == 0


def test_products_of_bfloat16_move_the_weights_about_as_those_of_float32_do(small, plain):
    """The weights and moments stay in the precision that they had."""
    config = UpdateConfig("teacher", 1.0, 0.0)
    (exact, seen), (own, own_seen) = (
        updated(plain(), small.bucket, replace(config, bfloat16=coarse)) for coarse in (False, True)
    )
    np.testing.assert_allclose(own_seen, seen, rtol=1e-3)
    assert (np.asarray(own_seen) != np.asarray(seen)).all()
    assert [leaf.dtype for leaf in jax.tree.leaves(own)] == [leaf.dtype for leaf in jax.tree.leaves(exact)]
    moments, own_moments = (np.asarray(state.moments[1].mu.small) for state in (exact, own))
    assert np.abs(own_moments - moments).max() < 0.02 * np.abs(moments).max()


def test_padding_changes_nothing(small, plain):
    """Neither steps past the end, nor rows that only fill the batch."""
    bucket = small.bucket
    longer = Bucket(
        bucket.inputs, tuple(np.pad(v, ((0, 0), (0, 3)), constant_values=1) for v in bucket.values), bucket.lengths
    )
    expected = updated(plain(), bucket, small.config)
    assert_close(updated(plain(), longer, small.config), expected)
    rows, weights = np.random.default_rng(1).integers(0, 40, (K, B)), np.ones((K, B))
    rows, weights = (np.concatenate([a, np.zeros((K, 4), a.dtype)], 1) for a in (rows, weights))
    assert_close(updated(plain(), bucket, small.config, rows, weights), expected)


def test_what_an_update_saw_is_the_likelihood(small, plain):
    """At a rate of zero: the sum over the rows of what `score` says of them; and nothing moves."""
    rows = np.arange(K * B).reshape(K, B)
    state, seen = updated(plain(), small.bucket, small.config, rows, rate=0.0)
    assert float(seen.sum()) == pytest.approx(score(plain(), small.bucket)[: K * B].sum(), rel=1e-9)
    assert_close(state.net, plain(), atol=0)


@pytest.mark.parametrize("most", [0.5, 5.0, 50.0])
def test_a_gradient_is_clipped_as_optax_does_it(most):
    rng = np.random.default_rng(0)
    gradient = {
        "w": jnp.asarray(rng.normal(size=(4, 5)), jnp.float32),
        "b": jnp.asarray(rng.normal(size=3), jnp.float32),
    }
    ours, theirs = (how(most) for how in (clip_by_norm, optax.clip_by_global_norm))
    assert jax.tree.structure(ours.init(gradient)) == jax.tree.structure(theirs.init(gradient))
    pairs = [how.update(gradient, how.init(gradient))[0] for how in (ours, theirs)]
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), *pairs)
    zero = jax.tree.map(jnp.zeros_like, gradient)
    jax.tree.map(np.testing.assert_array_equal, ours.update(zero, ours.init(zero))[0], zero)


def test_the_average_moves_towards_the_weights_by_the_share_of_each_update(small, plain):
    """As NumPy moves it from update to update; a share of one is the weights themselves."""
    rows = np.random.default_rng(1).integers(0, 40, (K, B))
    together, _ = updated(plain(), small.bucket, small.config, rows, mix=0.25)
    state, average = new_train_state(plain(), small.config), jax.tree.map(np.array, plain())
    for k in range(K):
        state, _ = updated(None, small.bucket, small.config, rows[[k, 0]], count=1, state=state, mix=1.0)
        assert_close(state.average, state.net, atol=1e-12)
        average = jax.tree.map(lambda a, w: 0.75 * a + 0.25 * np.asarray(w), average, state.net)
    assert_close(together.average, average)
    assert np.abs(together.average.cells[0].R - together.net.cells[0].R).max() > 0.01


def test_weight_decay_pulls_at_matrices_alone(small, plain):
    """Without any data, they shrink by rate times decay; biases and gains stay."""
    state, _ = updated(
        plain(), small.bucket, UpdateConfig("teacher", 1.0, 0.5), weights=np.zeros((K, B)), count=1, rate=0.1
    )
    leaves = zip(named_leaves(plain()).items(), named_leaves(state.net).values(), strict=True)
    for (name, before), after in leaves:
        matrix = before.ndim > 1 and not name.endswith(".b")  # those of embeddings have an axis of fields
        np.testing.assert_allclose(after, before * (0.95 if matrix else 1.0), rtol=1e-6)


@pytest.mark.slow
def test_scheduled_feeding_begins_as_teacher_and_ends_on_its_own_output(small, plain):
    """With a share of zero it is the teacher's; with one, the free run."""
    ends = {}
    for feeding, share in [("teacher", 0.0), ("scheduled", 0.0), ("scheduled", 1.0), ("free", 1.0)]:
        ends[feeding, share] = updated(plain(), small.bucket, UpdateConfig(feeding, 1.0, 0.0), shares=share)
    assert_close(ends["scheduled", 0.0][0].net, ends["teacher", 0.0][0].net)
    assert_close(ends["scheduled", 1.0][0].net, ends["free", 1.0][0].net)
    assert float(ends["teacher", 0.0][1].sum()) != pytest.approx(float(ends["free", 1.0][1].sum()), abs=1e-2)


def test_at_no_share_of_its_dropout_a_network_learns_as_one_without(small, plain):
    """And at all of it otherwise."""

    def seen(net, share):
        state, each = updated(net, small.bucket, small.config, dropout=share)
        return jax.tree.leaves(state.net), each

    def dropping():
        net = Net(np.random.default_rng(0), small.shape)
        return net.map_weights(lambda w: jnp.asarray(np.asarray(w, float) + 0.1))

    expected = seen(plain(), 1.0)
    assert_close(seen(dropping(), 0.0), expected, atol=1e-12)
    assert abs(seen(dropping(), 1.0)[1] - expected[1]).max() > 1e-3


# ---- a long sequence is learned in segments: the state goes on from one to the next, the gradient does not -----------


def in_segments(small, net, weights=(1, 1, 1), rate=0.02):
    """The updates of eight sequences of six steps, two steps at a time."""
    data, every = small.bucket.segments(ROWS, FIRST, SEGMENT), np.ones(COUNT)
    weights = np.repeat(np.array(weights, float)[:, None], B, 1)
    return segmented(small, net, UpdateBatch(data, FIRST, weights, rate * every, 0 * every, every, every))


def segmented(small, net, updates, cut=True):
    count, scale, state = np.int32(len(updates.first)), np.float64(1 / 30), new_train_state(net, small.config)
    constants = count, scale, seed_words(0), NONE_BEFORE, NONE_BEFORE
    return update(small.config, Sharding(1, 2, cut), state, updates, *constants)


def test_what_the_segments_of_a_sequence_see_is_the_likelihood_of_the_whole(small, plain):
    """At a rate of zero, to 1e-9."""
    _, seen = in_segments(small, plain(), rate=0.0)
    assert float(seen.sum()) == pytest.approx(score(plain(), small.bucket)[:B].sum(), abs=1e-9)


@pytest.mark.slow
def test_a_sequence_that_is_one_segment_is_learned_as_a_whole(small, plain):
    every = np.ones(2)
    updates = UpdateBatch(
        small.bucket.take(ROWS[:2]), np.zeros(2, np.int32), np.ones((2, B)), 0.02 * every, 0 * every, every, every
    )
    assert_close(*(segmented(small, plain(), updates, cut) for cut in (False, True)), atol=1e-12)


def test_no_gradient_crosses_the_border_of_a_segment(small, plain):
    """What only the first step reads, and the initial state, learn from the first segment alone; the rest from all."""
    before = plain()
    for weights, moves in [((0, 1, 1), False), ((1, 0, 0), True)]:
        state, _ = in_segments(small, plain(), weights)
        for part in (lambda net: net.start, lambda net: net.initial[0]):
            assert (np.abs(part(state.net) - part(before)).max() > 1e-3) == moves
        for part in (lambda net: net.cells[0].R, lambda net: net.cells[0].K, lambda net: net.outputs.A):
            assert np.abs(part(state.net) - part(before)).max() > 1e-3


def test_moments_begin_as_those_of_optax(small):
    config = UpdateConfig("teacher", 1.0, 0.01)
    net = small.net()
    ours, theirs = new_train_state(net, config).moments, optimiser(config).init(pack(net.split()[0])[0])
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    assert all(
        (a == b).all() and a.dtype == b.dtype for a, b in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True)
    )
