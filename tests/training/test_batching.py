"""Every example is used as often as it should be, in arrays of few shapes, in an order that the seed decides."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.encoding.encoded import Encoded
from unspool.errors import TrainingError
from unspool.runtime.sizes import size_class
from unspool.training import batching
from unspool.training.batching import (
    Bucket,
    batch_rows,
    bucket_steps,
    epoch_updates,
    pad_ragged,
    segment_steps,
    split_windows,
    to_buckets,
    validation_split,
)


def encoded(lengths, starts=None, gap=0):
    """Sequences of the given lengths; every step holds the number of its sequence times 100 plus its position."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    steps = np.concatenate([100 * n + np.arange(length) for n, length in enumerate(lengths)] or [np.arange(0)])
    inputs = np.arange(len(lengths), dtype=np.int32)
    return Encoded((inputs,), (steps.astype(np.int32), steps / 2), offsets, (0 * steps, 0 * steps), starts, gap)


# ---- the held-out split --------------------------------------------------------------------------------------------


@given(st.integers(2, 200), st.floats(0.01, 0.9), st.integers(0, 5))
def test_a_split_is_by_sequence_and_depends_on_the_seed_alone(count, share, seed):
    """Each row on exactly one side, at least one held out, as many as asked for; the same again for the same seed."""
    data = encoded(np.ones(count, int))
    if round(count * share) >= count:
        return
    train, held = validation_split(data, share, seed)
    assert sorted([*train, *held]) == list(range(count))
    assert len(held) == max(1, round(count * share))
    again = validation_split(data, share, seed)
    assert (train == again[0]).all()
    assert (held == again[1]).all()


def test_another_seed_holds_out_others():
    data = encoded(np.ones(100, int))
    assert set(validation_split(data, 0.2, 0)[1]) != set(validation_split(data, 0.2, 1)[1])


@given(st.integers(5, 60), st.integers(1, 5), st.integers(1, 10), st.floats(0.05, 0.4))
def test_no_window_to_train_on_overlaps_one_held_out(count, stride, length, share):
    """Windows are split by time: all that training sees ends before the held-out part begins, in any order of rows."""
    starts = np.random.default_rng(0).permutation(count) * stride
    try:
        train, held = validation_split(encoded(np.full(count, length), starts, gap=length), share, 0)
    except TrainingError:
        assert (count - np.ceil(count * share)) * stride < length + stride
        return
    seen = {s + k for s in starts[train] for k in range(length)}
    kept = {s + k for s in starts[held] for k in range(length)}
    assert max(seen) < min(kept)
    assert len(held) >= np.floor(count * share)
    unused = set(range(count)) - set(train) - set(held)
    assert all(starts[n] < min(kept) < starts[n] + length for n in unused)


@pytest.mark.parametrize(("series", "count"), [(6, 60), (40, 8)])
def test_windows_of_several_series_are_held_out_from_each_or_whole(series, count):
    """Of long series the last windows of each, of short ones the last series; no step is on both sides."""
    length = 10
    starts = (np.arange(series)[:, None] * (count + length) + np.arange(count)).ravel()
    train, held = split_windows(starts, length, 0.1)
    seen = {s + k for s in starts[train] for k in range(length)}
    assert seen.isdisjoint({s + k for s in starts[held] for k in range(length)})
    assert len(held) >= 0.1 * len(starts) - series
    with_held = np.unique(held // count)
    assert len(with_held) == (series if count > 4 * length else series / 10)
    assert len(train) >= 0.7 * len(starts)


def test_nothing_is_held_out_where_nothing_is_asked_for():
    train, held = validation_split(encoded([3, 1, 2]), 0.0, 0)
    assert train.tolist() == [0, 1, 2]
    assert not len(held)


@pytest.mark.parametrize(
    ("lengths", "words"), [([4], "found 1 example with 4 steps"), ([0, 0, 0], "3 examples with 0")]
)
def test_too_little_to_hold_anything_out_is_refused(lengths, words):
    with pytest.raises(TrainingError, match=rf"at least two examples.*{words}.*holdout=0"):
        validation_split(encoded(np.array(lengths)), 0.1, 0)


# ---- buckets -------------------------------------------------------------------------------------------------------


def padded_steps(lengths, tops):
    return sum(min(top for top in tops if top >= length) for length in lengths)


def test_padding_is_the_least_that_so_many_buckets_can_have(monkeypatch):
    """Against all choices of lengths, by brute force; and one more bucket is made only if it is worth it."""
    monkeypatch.setattr(batching, "MIN_BUCKET_STEPS", 0)
    rng = np.random.default_rng(0)
    made = set()
    for n in range(60):
        kinds = [rng.poisson(5, 12), rng.integers(1, 20, 12), rng.integers(1, 4, 12) ** 3, rng.integers(18, 20, 12)]
        lengths = np.maximum(1, kinds[n % 4])
        tops = bucket_steps(lengths)
        distinct = sorted(set(lengths.tolist()))
        best = [
            min(padded_steps(lengths, (*some, distinct[-1])) for some in itertools.combinations(distinct[:-1], k))
            for k in range(min(4, len(distinct)))
        ]
        assert tops == sorted(set(tops)), n
        assert tops[-1] == lengths.max()
        assert padded_steps(lengths, tops) == best[len(tops) - 1]
        saved = -np.diff(best) / best[0]
        assert (saved[: len(tops) - 1] > batching.MIN_BUCKET_GAIN).all()
        if len(tops) < len(best):
            assert saved[len(tops) - 1] <= batching.MIN_BUCKET_GAIN + 1e-9
        made.add(len(tops))
    assert {1, 2, 3} <= made


def test_little_data_is_one_bucket():
    """Each bucket is one more shape to compile."""
    assert bucket_steps(np.array([1, 1, 1, 50])) == [50]
    assert bucket_steps(np.repeat([1, 1, 1, 50], 500)) == [1, 50]
    assert bucket_steps(np.repeat([1, 1, 1, 50], 500), gain=0.8) == [50]
    assert [bucket.steps for bucket in to_buckets(encoded([0, 0]), stops=False)[0]] == [1]


def test_buckets_are_chosen_by_the_steps_that_arrays_have():
    """Most names fit into 8 steps with their end; by lengths alone they would get 12, of which a third is empty."""
    lengths = np.repeat(np.arange(2, 14), [21, 233, 1300, 3131, 4719, 4359, 3054, 1746, 887, 364, 142, 44])
    made, _ = to_buckets(encoded(lengths), stops=True)
    assert [bucket.steps for bucket in made] == [8, 12, 16]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.data())
def test_padding_keeps_every_step_and_adds_zeros(lengths, data):
    """Any rows in any order, an empty sequence among them; floats in the network's precision, symbols as integers."""
    given_data = encoded(lengths)
    rows = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=5)), int)
    for flat, kind in zip(given_data.steps, (np.int32, np.float32), strict=True):
        made = pad_ragged(flat, given_data.offsets, rows, 10)
        assert made.dtype == kind
        assert made.shape == (len(rows), 10)
        for line, row in zip(made, rows, strict=True):
            real = flat[given_data.offsets[row] : given_data.offsets[row + 1]]
            assert line.tolist() == [*real, *[0] * (10 - len(real))]


@pytest.mark.parametrize("stops", [False, True])
def test_buckets_hold_every_sequence_once_with_its_input(monkeypatch, stops):
    """A step is left after the longest where stopping is learned."""
    monkeypatch.setattr(batching, "MIN_BUCKET_STEPS", 0)
    lengths = np.array([1, 9, 0, 2, 9, 1, 30, 2])
    made, rows = to_buckets(encoded(lengths), stops)
    assert len(made) > 1
    assert sorted(np.concatenate(rows).tolist()) == list(range(8))
    for bucket, chosen in zip(made, rows, strict=True):
        assert bucket.steps == size_class(max(1, int(lengths[chosen].max())) + stops)
        assert (np.asarray(bucket.inputs[0]) == chosen).all()
        assert (np.asarray(bucket.lengths) == lengths[chosen]).all()
        for line, row in zip(np.asarray(bucket.values[0]), chosen, strict=True):
            assert line[: lengths[row]].tolist() == [100 * row + k for k in range(lengths[row])]


def test_no_sequences_make_no_buckets():
    assert to_buckets(encoded([]), True) == ([], [])


# ---- the order of updates ------------------------------------------------------------------------------------------


def bucket(examples, steps=3):
    return Bucket((np.zeros(examples, int),), (np.zeros((examples, steps)),), np.zeros(examples, int))


def passed(number=0, seed=0, sizes=(4, 5), together=(3, 2)):
    return list(epoch_updates([bucket(21), bucket(7)], list(sizes), list(together), seed, None, 1, number))


@pytest.mark.parametrize("together", [(1, 1), (3, 2), (25, 25)])
def test_a_pass_covers_every_row_exactly_once(together):
    """What fills the shape has no weight, and updates of nothing but filling are not run."""
    groups = passed(together=together)
    for b, examples in enumerate((21, 7)):
        own = [group for group in groups if group.bucket == b]
        seen = np.concatenate([group.rows[group.weights > 0] for group in own])
        assert sorted(seen.tolist()) == list(range(examples))
        assert sum(group.updates for group in own) == -(-examples // (4, 5)[b])
        assert {group.rows.shape for group in own} == {(together[b], size_class((4, 5)[b]))}
        for group in own:
            assert (group.weights[: group.updates].sum(1) > 0).all()
            assert (group.weights[group.updates :] == 0).all()


def same(one, other):
    return all(a.bucket == b.bucket and np.array_equal(a.rows, b.rows) for a, b in zip(one, other, strict=True))


def test_the_order_depends_on_the_seed_and_the_pass_alone():
    """The same again whatever came before; another for the next pass, or another seed."""
    assert same(passed(3), passed(3))
    assert not same(passed(3), passed(4))
    assert not same(passed(3, seed=0), passed(3, seed=1))


def test_a_batch_is_smaller_where_sequences_are_long_or_few():
    assert batch_rows(bucket(100, 3), 32, cells=1000) == 32
    assert batch_rows(bucket(7, 3), 32, cells=1000) == 7
    assert batch_rows(bucket(100, 50), 32, cells=1000) == 20
    assert batch_rows(bucket(100, 5000), 32, cells=1000) == 1


def test_segments_of_a_batch_are_one_group_in_their_order_and_those_past_its_end_are_not_run():
    """Short buckets are not cut; every row is learned once a pass."""
    lengths = np.array([3, 9, 11, 1, 2, 4, 7, 0])
    long = Bucket((np.zeros(8, int),), (np.zeros((8, 12)),), lengths)
    short = Bucket((np.zeros(5, int),), (np.zeros((5, 4)),), np.ones(5, int))
    groups = list(epoch_updates([long, short], [2, 2], [25, 3], seed=0, segment=4, multiple=4, number=0))
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
