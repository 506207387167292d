"""The look-up of the nearest input, as a likelihood and as forecasts."""

import numpy as np
import pytest

from unspool.evaluation.baselines import nearest
from unspool.evaluation.baselines.likelihoods import LikelihoodTask, baseline_scores, best_neighbours
from unspool.evaluation.baselines.nearest import look_up, look_up_in_training, number_nats
from unspool.evaluation.samples.sample_set import Target

RNG = np.random.default_rng(0)


def distance(a, b):
    """Of two mixed inputs, one pair at a time: a symbol, and two numbers of which some are missing."""
    gaps = [1.0 if np.isnan(p) or np.isnan(q) else (p - q) ** 2 for p, q in zip(a[1], b[1], strict=True)]
    return (a[0] != b[0]) + np.mean(gaps)


def nats_of_symbols(asked, known, neighbours):
    near = look_up(asked, known, 0).first(neighbours)
    return nearest.symbol_nats(near, asked.symbols["x"], known.symbols["x"], 3)


def test_neighbours_are_those_of_a_search_one_by_one(scorable):
    def some(count):
        kinds, reals = RNG.integers(0, 3, count), RNG.normal(size=(count, 2))
        reals[RNG.random((count, 2)) < 0.2] = np.nan
        return scorable([1] * count, symbols=np.zeros(count, np.int64), inputs=(kinds, reals))

    asked, known = some(20), some(90)
    near = look_up(asked, known, seed=0)
    asked_inputs, known_inputs = (list(zip(*one.inputs.values(), strict=True)) for one in (asked, known))
    for a, found in zip(asked_inputs, near.rows, strict=True):
        far = np.array([distance(a, b) for b in known_inputs])
        np.testing.assert_allclose(far[found], np.sort(far)[: near.rows.shape[1]], atol=1e-9)


@pytest.mark.parametrize("count", [40, 200])
def test_sequences_with_one_input_have_the_same_neighbours_but_for_themselves(scorable, count):
    """With fewer sequences than neighbours are wanted, each is the last of its own."""
    kinds = RNG.integers(0, 3, count)
    train = scorable([1] * count, symbols=np.zeros(count, np.int64), inputs=(kinds,))
    rows, own = look_up_in_training(train, seed=0).rows, np.arange(count)[:, None]
    assert rows.shape[1] == min(count, 64)
    assert ((rows == own).sum(1) == (count == 40)).all()
    assert count == 200 or (rows[:, -1:] == own).all()
    same = (kinds[rows] == kinds[:, None]) & (rows != own)
    assert (same.sum(1) == np.minimum(64, np.bincount(kinds)[kinds] - 1)).all()
    assert (np.diff(same.astype(int), axis=1) <= 0).all()


def test_a_training_sequence_is_not_its_own_neighbour_nor_are_windows_that_overlap_it(scorable):
    reals = np.arange(60.0)[:, None]
    plain = look_up_in_training(scorable([1] * 60, symbols=np.zeros(60, np.int64), inputs=(reals,)), seed=0)
    assert not (plain.rows[:, :32] == np.arange(60)[:, None]).any()
    starts = np.arange(60)
    cut = scorable([5] * 60, symbols=np.zeros(300, np.int64), inputs=(reals,), starts=starts, window=5)
    windows = look_up_in_training(cut, seed=0)
    assert (np.abs(windows.rows[:, :40] - starts[:, None]) >= 5).all()


@pytest.mark.parametrize("neighbours", [1, 4])
def test_symbols_have_probability_one_together_the_unseen_included(neighbours, scorable):
    kinds, lengths = RNG.integers(0, 2, 30), RNG.integers(1, 5, 30)
    known = scorable(lengths, symbols=RNG.integers(0, 3, lengths.sum()), inputs=(kinds,))
    every = [scorable([4], symbols=[0, 1, 2, s], inputs=(np.array([0]),)) for s in range(4)]
    nats = [nats_of_symbols(one, known, neighbours)[3] for one in every]
    assert np.exp(nats).sum() == pytest.approx(1, abs=1e-12)
    assert np.isfinite(nats).all()


def test_where_the_input_decides_everything_the_look_up_knows_it(scorable):
    kinds = np.tile([0, 1, 2], 50)
    steps = np.stack([kinds, (kinds + 1) % 3], 1)
    known = scorable([2] * 150, symbols=steps.ravel(), inputs=(kinds,))
    asked = scorable([2] * 3, symbols=steps[:3].ravel(), inputs=(kinds[:3],))
    assert (nats_of_symbols(asked, known, 16) > np.log(0.95)).all()


def test_numbers_lie_around_their_neighbours_as_closely_as_in_training(scorable):
    """The level of the group and noise of 0.1: sixteen neighbours' mean misses by sqrt(1 + 1/16) of that."""

    def some(count):
        kinds = RNG.integers(0, 5, count)
        numbers = 10 * np.repeat(kinds, 3) + 0.1 * RNG.normal(size=3 * count)
        return scorable([3] * count, numbers=numbers, inputs=(kinds,))

    train, test = some(600), some(300)
    near, learned = look_up(test, train, 0).first(16), look_up_in_training(train, 0).first(16)
    spread = 0.1 * np.sqrt(1 + 1 / 16)
    entropy = 0.5 * np.log(2 * np.pi * np.e * spread**2)
    nats = number_nats(near, learned, Target("x"))
    assert -nats.mean() == pytest.approx(entropy, abs=5 * np.sqrt(0.5 / 900) + 0.02)


def test_lengths_have_probability_one_together(scorable):
    known = scorable(RNG.integers(0, 9, 20), inputs=(np.zeros(20, np.int64),))
    asked = scorable(np.arange(300), inputs=(np.zeros(300, np.int64),))
    near = look_up(asked, known, 0)
    same = near._replace(rows=np.tile(near.rows[:1, :16], (300, 1)))
    assert np.exp(nearest.stop_nats(same)).sum() == pytest.approx(1, abs=1e-9)


def test_likelihood_and_forecasts_are_of_the_same_neighbours(scorable):
    """The input decides all: one look-up, with one number of neighbours, finds the same sequences for both."""
    train = scorable([2] * 40, numbers=np.repeat(np.arange(40.0), 2), inputs=(np.arange(40.0)[:, None],))
    test = scorable([2] * 3, numbers=[3, 3, 9, 9, 30, 30], inputs=(np.array([[3.0], [9.0], [30.0]]),))
    task = LikelihoodTask(train, test, (Target("x"),), False, 0)
    count = best_neighbours(task)
    assert count == 4  # the neighbours on both sides have the right mean; one alone is off by one
    near = look_up(test, train, 0).first(count)
    forecasts = nearest.nearest_sequences(train, near, 200, 0).numbers["x"].reshape(3, 200, 2)
    assert [set(row[:, 0].astype(int)) for row in forecasts] == [set(row.tolist()) for row in near.rows]
    scores = baseline_scores(task, count)["nearest input"]
    alone = number_nats(near, look_up_in_training(train, 0).first(count), task.targets[0])
    np.testing.assert_allclose(scores[:, 0], alone.reshape(3, 2).sum(1))
