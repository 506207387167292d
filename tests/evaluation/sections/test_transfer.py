"""What generated sequences teach."""

from dataclasses import replace

import numpy as np
import pytest

from unspool.evaluation.sections.transfer import transfer

pytest.importorskip("sklearn")


def test_the_true_law_teaches_as_much_as_real_sequences_do(worlds):
    section = transfer(worlds(), 0)
    figures = section.figures
    assert figures["real group"] > 0.6
    assert figures["ratio group"] == pytest.approx(1, abs=0.12)
    chance = {row[0]: row[2] for row in section.parts[0].rows}
    assert chance["group"] == pytest.approx(1 / 3, abs=0.1)
    assert chance["level"] == 0


def test_a_number_is_predicted_as_well_as_the_noise_allows(samples_of, comparison_of_sets):
    """The input plus noise of half its spread, 4 times: the best guess explains 1 / (1 + 1/16)."""
    rng = np.random.default_rng(0)
    sets = []
    for level in rng.normal(size=(4, 1000, 1)):
        x = level + 0.5 * rng.normal(size=(1000, 4))
        sets.append(replace(samples_of(x=x.tolist()), inputs={"level": level}))
    figures = transfer(comparison_of_sets(*sets[:3], synthetic_train=sets[3]), 0).figures
    best = 1 / (1 + 1 / 16)
    assert best - 0.08 < figures["real level"] < best + 0.02
    assert best - 0.08 < figures["generated level"] < best + 0.02


def test_sequences_that_ignore_their_input_teach_nothing_of_it(worlds):
    """A synthetic training set whose inputs were shuffled is at the level of guessing."""
    world = worlds()
    others = world.synthetic_train.take(np.random.default_rng(0).permutation(300))
    shuffled = replace(world.synthetic_train, inputs=others.inputs)
    figures = transfer(replace(world, synthetic_train=shuffled), 0).figures
    assert figures["generated group"] < 1 / 3 + 5 * np.sqrt(0.22 / 300)
    assert figures["generated level"] < 0.1


def test_there_is_no_ratio_where_real_sequences_teach_nothing(samples_of, comparison_of_sets):
    """Of a number that has nothing to do with its sequence."""
    noise = np.random.default_rng(0).normal(size=(4, 300, 5))
    sets = [replace(samples_of(x=x[:, 1:].tolist()), inputs={"level": x[:, :1]}) for x in noise]
    section = transfer(comparison_of_sets(*sets[:3], synthetic_train=sets[3]), 0)
    assert section.available
    assert section.figures["ratio level"] is None


def test_what_can_not_be_taught_says_why(samples_of, comparison_of_sets):
    samples = samples_of(x=[[1.0]] * 60)
    assert "No input is a number that varies" in transfer(comparison_of_sets(samples, samples), 0).verdict
    few = samples_of(x=[[1.0]] * 4)
    assert "there are 4" in transfer(comparison_of_sets(few, few), 0).verdict
    single = replace(samples, inputs={"k": np.zeros(60, np.int64)})
    assert not transfer(comparison_of_sets(single, single), 0).available
