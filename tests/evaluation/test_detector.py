"""What tells generated sequences from real ones."""

import numpy as np
import pytest

from unspool.errors import DataError
from unspool.evaluation.detector import LEAST, area, detect, detector

metrics = pytest.importorskip("sklearn.metrics")


def test_the_true_law_can_not_be_told_from_itself(worlds):
    world = worlds()
    told = detect(world.test, world.first, 0)
    assert abs(told.accuracy.value - 0.5) < 5 * told.accuracy.error
    assert abs(told.auc.value - 0.5) < 5 * told.auc.error
    assert told.accuracy.error == pytest.approx(0.5 / np.sqrt(600), rel=0.3)


@pytest.mark.parametrize("wrong", [{"shift": 2.0}, {"echo": -0.6}, {"sticky": 0.1}, {"missing": 0.5}, {"more": 4}])
def test_a_wrong_law_is_told(worlds, wrong):
    """Of levels seen beside the input, of dynamics, of transitions, of missing values, of lengths."""
    world = worlds(samples=1, **wrong)
    told = detect(world.test, world.first, 0)
    assert told.accuracy.value > 0.5 + 5 * told.accuracy.error
    assert told.auc.value > 0.5 + 5 * told.auc.error


def test_with_too_few_sequences_it_says_how_many_it_needs(worlds):
    world = worlds()
    three = np.arange(3)
    with pytest.raises(DataError, match=f"at least {LEAST} held-out sequences, found 3"):
        detect(world.test.take(three), world.first.take(three), 0)
    with pytest.raises(DataError, match="300 generated sequences, as many as real ones, found 3"):
        detect(world.test, world.first.take(three), 0)


def test_in_a_report_too_few_sequences_are_a_note(side_of, material_of):
    side = side_of(x=[[1.0]] * 3)
    section = detector(material_of(side, side), 0)
    assert not section.made
    assert f"at least {LEAST} held-out sequences; there are 3" in section.verdict


def test_constant_sequences_can_not_be_told(side_of):
    side = side_of(x=[[1.0, 1.0]] * 60)
    assert detect(side, side, 0).accuracy.value == 0.5


def test_the_same_seed_tells_the_same(worlds):
    world = worlds()
    assert detect(world.test, world.first, 5) == detect(world.test, world.first, 5)


def test_the_area_is_that_of_scikit_learn_and_its_error_that_of_repeated_draws():
    rng = np.random.default_rng(0)
    low, high = np.round(rng.normal(size=(2, 60)), 1)
    labels = np.repeat([0, 1], 60)
    assert area(low, high).value == pytest.approx(metrics.roc_auc_score(labels, np.concatenate([low, high])))
    drawn = [area(rng.normal(size=60), 1 + rng.normal(size=60)) for _ in range(400)]
    spread = np.std([one.value for one in drawn])
    assert np.mean([one.error for one in drawn]) == pytest.approx(spread, rel=5 / np.sqrt(2 * 400))
