"""The baseline of when a sequence ends."""

import numpy as np
import pytest

from unspool.evaluation.baselines.length import hazard_nats


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
