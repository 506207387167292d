"""The look-up of the nearest input."""

import numpy as np
import pytest

from unspool.evaluation.baselines.densities import Measure
from unspool.evaluation.baselines.nearest import look_up, number_nats, stop_nats, symbol_nats, tried
from unspool.evaluation.samples.evidence import Evidence, Target

RNG = np.random.default_rng(0)


def evidence(inputs, lengths, symbols=None, numbers=None, starts=None, gap=0):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    named = lambda values: {} if values is None else {"x": np.asarray(values)}  # noqa: E731
    kinds = None if numbers is None else np.where(np.isnan(numbers), 1, 0)
    return Evidence(tuple(inputs), named(symbols), named(numbers), named(kinds), {}, offsets, starts, gap)


def distance(a, b):
    """Of two mixed inputs, one pair at a time: a symbol, and two numbers of which some are missing."""
    gaps = [1.0 if np.isnan(p) or np.isnan(q) else (p - q) ** 2 for p, q in zip(a[1], b[1], strict=True)]
    return (a[0] != b[0]) + np.mean(gaps)


def test_neighbours_are_those_of_a_search_one_by_one():
    def some(count):
        kinds, reals = RNG.integers(0, 3, count), RNG.normal(size=(count, 2))
        reals[RNG.random((count, 2)) < 0.2] = np.nan
        return evidence((kinds, reals), [1] * count, np.zeros(count, np.int64))

    asked, known = some(20), some(90)
    looked = look_up(asked, known, seed=0)
    rows = lambda side: list(zip(*side.inputs, strict=True))  # noqa: E731
    for a, found in zip(rows(asked), looked.rows, strict=True):
        far = np.array([distance(a, b) for b in rows(known)])
        np.testing.assert_allclose(far[found], np.sort(far)[: looked.rows.shape[1]], atol=1e-9)


def test_a_training_sequence_is_not_its_own_neighbour_nor_are_windows_that_overlap_it():
    reals = np.arange(60.0)[:, None]
    plain = tried(evidence((reals,), [1] * 60, np.zeros(60, np.int64)), seed=0)
    assert not (plain.rows[:, :32] == np.arange(60)[:, None]).any()
    starts = np.arange(60)
    windows = tried(evidence((reals,), [5] * 60, np.zeros(300, np.int64), starts=starts, gap=5), seed=0)
    assert (np.abs(windows.rows[:, :40] - starts[:, None]) >= 5).all()


@pytest.mark.parametrize("neighbours", [1, 4])
def test_symbols_have_probability_one_together_the_unseen_included(neighbours):
    kinds = RNG.integers(0, 2, 30)
    known = evidence((kinds,), RNG.integers(1, 5, 30), None)
    known = evidence((kinds,), known.lengths, RNG.integers(0, 3, known.offsets[-1]))
    every = [evidence((np.array([0]),), [4], [0, 1, 2, s]) for s in range(4)]
    p = [np.exp(symbol_nats(look_up(one, known, 0), Target("x", symbols=3), neighbours))[3] for one in every]
    assert sum(p) == pytest.approx(1, abs=1e-12)
    assert min(p) > 0


def test_where_the_input_decides_everything_the_look_up_knows_it():
    kinds = np.tile([0, 1, 2], 50)
    steps = np.stack([kinds, (kinds + 1) % 3], 1)
    known = evidence((kinds,), [2] * 150, steps.ravel())
    asked = evidence((kinds[:3],), [2] * 3, steps[:3].ravel())
    nats = symbol_nats(look_up(asked, known, 0), Target("x", symbols=3), 16)
    assert (nats > np.log(0.95)).all()


def test_numbers_lie_around_their_neighbours_as_closely_as_in_training():
    """The level of the group and noise of 0.1: sixteen neighbours' mean misses by sqrt(1 + 1/16) of that."""
    target = Target("x", measure=Measure())

    def some(count):
        kinds = RNG.integers(0, 5, count)
        return evidence((kinds,), [3] * count, numbers=(10 * np.repeat(kinds, 3) + 0.1 * RNG.normal(size=3 * count)))

    train, test = some(600), some(300)
    nats = number_nats(look_up(test, train, 0), tried(train, 0), target, 16)
    spread = 0.1 * np.sqrt(1 + 1 / 16)
    entropy = 0.5 * np.log(2 * np.pi * np.e * spread**2)
    assert -nats.mean() == pytest.approx(entropy, abs=5 * np.sqrt(0.5 / 900) + 0.02)


def test_lengths_have_probability_one_together():
    known = evidence((np.zeros(20, np.int64),), RNG.integers(0, 9, 20), None)
    asked = evidence((np.zeros(300, np.int64),), np.arange(300), None)
    looked = look_up(asked, known, 0)
    same = looked._replace(rows=np.tile(looked.rows[:1], (300, 1)))
    assert np.exp(stop_nats(same, 16, 0.2)).sum() == pytest.approx(1, abs=1e-9)
