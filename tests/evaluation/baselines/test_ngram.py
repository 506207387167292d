"""The n-gram and the hazard of stopping: the recursion, and that both are distributions."""

import itertools
from collections import Counter

import numpy as np
import pytest

from unspool.evaluation.baselines import ngram
from unspool.evaluation.baselines.ngram import Tokens, best_order, hazard_nats, sequence_nats, step_nats

V = 3


def tokens(sequences, groups):
    offsets = np.cumsum([0, *map(len, sequences)])
    return Tokens(np.array([s for one in sequences for s in one], np.int64), offsets, np.array(groups, np.int64))


def whole_nats(train, test, order):
    """(N,) of whole sequences, their ends included."""
    steps, stops = sequence_nats(train, test, V, order)
    owner = np.repeat(np.arange(len(test.groups)), np.diff(test.offsets))
    return np.bincount(owner, steps, minlength=len(test.groups)) + stops


RNG = np.random.default_rng(0)
GROUPS = RNG.integers(0, 2, 40).tolist()
TRAIN = [RNG.integers(0, V, RNG.integers(0, 6)).tolist() for _ in GROUPS]


def plain(sequence, group, order):
    """The recursion as the paper writes it, one symbol and one context at a time."""
    total, end = 0.0, V
    sequence = [*sequence, end]
    for t, symbol in enumerate(sequence):
        p = 1 / (V + 2)
        for back, grouped in itertools.product(range(order), (False, True)):
            followers = Counter()
            for one, g in zip(TRAIN, GROUPS, strict=True):
                padded = [*[None] * back, *one, end]
                wanted = [*[None] * back, *sequence][t : t + back]
                for at in range(len(one) + 1):
                    if padded[at : at + back] == wanted and (not grouped or g == group):
                        followers[padded[at + back]] += 1
            n, kinds = followers.total(), len(followers)
            p = (followers[symbol] + kinds * p) / (n + kinds) if n else p
        total += np.log(p)
    return total


@pytest.mark.parametrize("order", [1, 2, 3])
def test_every_probability_is_that_of_the_recursion(order):
    """For sequences seen and unseen, and of either group."""
    test = [[], [0], [2, 2, 2, 2], [0, 1, 2], TRAIN[3]]
    groups = [0, 1, 0, 1, 1]
    given = whole_nats(tokens(TRAIN, GROUPS), tokens(test, groups), order)
    np.testing.assert_allclose(given, [plain(s, g, order) for s, g in zip(test, groups, strict=True)], rtol=1e-12)


def test_contexts_have_the_same_numbers_sorted_or_by_their_places(monkeypatch):
    rng = np.random.default_rng(0)
    contexts, more = rng.integers(0, 40, 500), rng.integers(0, 9, 500)
    by_place = ngram.numbered(contexts, more)
    monkeypatch.setattr(ngram, "MAX_SPARSITY", 0)
    assert (by_place == ngram.numbered(contexts, more)).all()
    assert (by_place == np.unique(contexts * 100 + more, return_inverse=True)[1]).all()


def test_all_next_symbols_have_probability_one_together():
    """Of all sequences of up to four symbols, unseen ones included; a quarter is longer at most."""
    every = [list(s) for length in range(5) for s in itertools.product(range(V + 1), repeat=length)]
    mass = np.exp(whole_nats(tokens(TRAIN, GROUPS), tokens(every, [0] * len(every)), 2)).sum()
    assert 0.75 < mass < 1


def test_the_order_that_suits_is_found():
    """A chain of order one wants two symbols a gram, and has too little data for more."""
    step = {0: 1, 1: 2, 2: 0}
    chains = [[(s + t) % V for t in range(6)] for s in range(V)] * 4
    assert all(step[a] == b for one in chains for a, b in itertools.pairwise(one))
    assert best_order(tokens(chains, [0] * 12), tokens(chains[:3], [0] * 3), V, max_order=2) == 2


def test_symbols_and_stops_are_both_log_probabilities():
    test = tokens([[], [0], [2, 2, 2, 2], [0, 1, V], TRAIN[3]], [0, 1, 0, 1, 1])
    steps, stops = sequence_nats(tokens(TRAIN, GROUPS), test, V, 3)
    assert (steps < 0).all()
    assert (stops < 0).all()


def test_symbols_alone_have_probability_one_together():
    every = tokens([[0, 1, s] for s in range(V + 1)], [0] * (V + 1))
    p = np.exp(step_nats(tokens(TRAIN, GROUPS), every, V, 3)).reshape(V + 1, 3)
    assert p[:, 2].sum() == pytest.approx(1, abs=1e-12)


def test_a_chain_of_known_transitions_is_learned_to_its_entropy():
    rng = np.random.default_rng(1)
    table = np.array([[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])

    def chain(count):
        out = [[0] for _ in range(count)]
        for one in out:
            for _ in range(29):
                one.append(int(rng.choice(3, p=table[one[-1]])))
        return tokens(out, [0] * count)

    train, test = chain(300), chain(200)
    steps = test.values.reshape(200, 30)
    true = np.log(table[steps[:, :-1], steps[:, 1:]])
    order = best_order(train, test, V, ends=False)
    assert order == 2
    lost = true - step_nats(train, test, V, order).reshape(200, 30)[:, 1:]
    assert abs(lost.mean()) < 5 * lost.std() / np.sqrt(lost.size) + 9 / (2 * 300 * 29) + 0.005


def test_lengths_have_probability_one_together(scorable):
    train = scorable([0, 2, 2, 3, 5, 9, 9, 30])
    asked = scorable(np.arange(400))
    assert np.exp(hazard_nats(train, asked)).sum() == pytest.approx(1, abs=1e-3)


def test_a_constant_hazard_is_found(scorable):
    rng = np.random.default_rng(0)
    train, test = rng.geometric(0.1, 3000) - 1, rng.geometric(0.1, 2000) - 1
    true = test * np.log(0.9) + np.log(0.1)
    lost = true - hazard_nats(scorable(train), scorable(test))
    assert abs(lost.mean()) < 5 * lost.std() / np.sqrt(len(lost)) + 0.02


def test_a_length_that_is_always_the_same_costs_next_to_nothing(scorable):
    nats = hazard_nats(scorable([12] * 500), scorable([12] * 10))
    assert (nats > -0.2).all()


def test_the_input_tells_lengths_that_the_position_alone_does_not(scorable):
    lengths, groups = [4, 9] * 200, np.array([0, 1] * 200)
    sets = scorable(lengths, groups=groups), scorable(lengths[:20], groups=groups[:20])
    alone = hazard_nats(*sets)
    grouped = hazard_nats(*sets, grouped=True)
    assert alone.mean() == pytest.approx(-np.log(2), abs=0.1)
    assert grouped.mean() > -0.1
