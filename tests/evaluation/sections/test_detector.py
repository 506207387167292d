"""The classifier that separates generated sequences from real ones."""

from dataclasses import replace

import numpy as np
import pytest

from unspool.errors import DataError
from unspool.evaluation.sections.detector import (
    MIN_SEQUENCES_FOR_DETECTOR,
    area,
    detect,
    detect_inputs,
    detector,
    folds,
)

metrics = pytest.importorskip("sklearn.metrics")


def test_the_true_law_can_not_be_separated_from_itself(worlds):
    world = worlds()
    found = detect(world.real, world.one_each, 0)
    assert abs(found.accuracy.value - 0.5) < 5 * found.accuracy.error
    assert abs(found.auc.value - 0.5) < 5 * found.auc.error
    assert found.accuracy.error == pytest.approx(0.5 / np.sqrt(600), rel=0.3)


@pytest.mark.parametrize("wrong", [{"shift": 2.0}, {"echo": -0.6}, {"sticky": 0.1}, {"missing": 0.5}, {"more": 4}])
def test_a_wrong_law_is_found(worlds, wrong):
    """Of levels seen beside the input, of dynamics, of transitions, of missing values, of lengths."""
    world = worlds(samples=1, **wrong)
    found = detect(world.real, world.one_each, 0)
    assert found.accuracy.value > 0.5 + 5 * found.accuracy.error
    assert found.auc.value > 0.5 + 5 * found.auc.error


def test_drawn_inputs_are_judged_too(worlds):
    """Those of the true law can't be told from real ones, those that lost a correlation can."""
    world = worlds()
    rng, count = np.random.default_rng(0), len(world.real)
    level = rng.normal(size=(2, count, 1))
    close = level + 0.05 * rng.normal(size=level.shape)
    real = replace(world.real, inputs={"level": level[0], "close": close[0]})
    for other, found in ((close[1], False), (rng.permutation(close[1]), True)):
        drawn = replace(world.real, inputs={"level": level[1], "close": other})
        accuracy = detect_inputs(real, drawn, 0).accuracy.value
        assert (accuracy > 0.9) == found
        assert (accuracy < 0.6) != found
    few = np.arange(60)
    some = {name: getattr(world, name).take(few) for name in ("real", "synthetic")}
    section = detector(replace(world, **some, ended=world.ended[few], drawn=some["real"], baselines={}), 0)
    assert "Of drawn inputs alone, 50.0%" in section.verdict
    assert section.parts[0].rows[1][0] == "inputs: held out against drawn"


def test_with_too_few_sequences_it_says_how_many_it_needs(worlds):
    world = worlds()
    three = np.arange(3)
    with pytest.raises(DataError, match=f"at least {MIN_SEQUENCES_FOR_DETECTOR} held-out sequences, found 3"):
        detect(world.real.take(three), world.one_each.take(three), 0)
    with pytest.raises(DataError, match="300 generated sequences, as many as real ones, found 3"):
        detect(world.real, world.one_each.take(three), 0)


def test_in_a_report_too_few_sequences_are_a_note(samples_of, comparison_of_sets):
    samples = samples_of(x=[[1.0]] * 3)
    section = detector(comparison_of_sets(samples, samples), 0)
    assert not section.available
    assert f"at least {MIN_SEQUENCES_FOR_DETECTOR} held-out sequences; there are 3" in section.verdict


def test_constant_sequences_can_not_be_separated(samples_of):
    samples = samples_of(x=[[1.0, 1.0]] * 60)
    assert detect(samples, samples, 0).accuracy.value == 0.5


def test_many_windows_of_few_stretches_are_a_note_too(samples_of, comparison_of_sets):
    """All others would overlap those that are judged, and nothing would be left to learn from."""
    samples = replace(samples_of(x=[[float(k)] for k in range(60)]), starts=np.arange(60), window=10)
    section = detector(comparison_of_sets(samples, samples), 0)
    assert not section.available
    assert "at least 5 stretches that do not overlap; there are 3" in section.verdict


def test_windows_are_not_known_by_those_that_overlap_them(samples_of):
    """Windows of one series against windows of another: where every window has its like, chance must stay chance."""
    rng = np.random.default_rng(0)
    one, two = (np.convolve(rng.normal(size=640), np.ones(8), "valid") for _ in range(2))
    starts = np.arange(600)
    plain, synthetic = (samples_of(x=[series[k : k + 10].tolist() for k in starts]) for series in (one, two))
    real = replace(plain, starts=starts, window=10)
    for learn, judge in folds(real, 0):
        apart = np.abs(starts[learn][:, None] - starts[judge]).min()
        assert apart >= 10
    judged = np.sum([judge for _, judge in folds(real, 0)], axis=0)
    assert (judged == 1).all()
    found = detect(real, synthetic, 0)
    assert abs(found.accuracy.value - 0.5) < 5 * found.accuracy.error
    alone = detect(plain, synthetic, 0)
    assert alone.accuracy.value > 0.5 + 5 * alone.accuracy.error  # the error of random folds


def test_the_area_is_that_of_scikit_learn_and_its_error_that_of_repeated_draws():
    rng = np.random.default_rng(0)
    low, high = np.round(rng.normal(size=(2, 60)), 1)
    labels = np.repeat([0, 1], 60)
    assert area(low, high, np.arange(60)).value == pytest.approx(
        metrics.roc_auc_score(labels, np.concatenate([low, high]))
    )
    areas = []
    for _ in range(400):  # pairs of pairs: half of the values come twice
        low, high = np.repeat(rng.normal(size=30), 2), np.repeat(1 + rng.normal(size=30), 2)
        areas.append(area(low, high, np.arange(60) // 2))
    spread = np.std([one.value for one in areas])
    assert np.mean([one.error for one in areas]) == pytest.approx(spread, rel=5 / np.sqrt(2 * 400))
