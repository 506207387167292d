"""Values of fields, one at a time."""

import numpy as np
import pytest

from unspool.evaluation.sections.marginals import marginals, repeated_values


def test_the_true_law_differs_no_more_than_training_does(worlds):
    """Steps of a sequence go together, so a sample of 300 sequences is what the bounds are of."""
    figures = marginals(worlds()).figures
    for name in ("x", "y", "mood"):
        assert figures[f"distance {name}"] < 5 * 0.5 / np.sqrt(300)
    assert abs(figures["missing y, generated less held out"]) < 5 * np.sqrt(0.09 / 1500)
    assert abs(figures["share of 0 in y, generated less held out"]) < 5 * np.sqrt(0.22 / 1500)


def test_missing_values_and_zeros_are_counted(worlds):
    figures = marginals(worlds(zeros=0.1, missing=0.4)).figures
    assert figures["missing y, generated less held out"] == pytest.approx(0.3, abs=5 * np.sqrt(0.09 / 1500))
    present = 0.1 / 0.6 - 0.3 / 0.9
    assert figures["share of 0 in y, generated less held out"] == pytest.approx(present, abs=5 * np.sqrt(0.22 / 1500))


def test_the_field_that_differs_most_is_named(worlds):
    assert "differs most is x" in marginals(worlds(shift=2.0)).verdict
    assert "differs most is y" in marginals(worlds(zeros=0.8)).verdict


def test_shares_of_symbols_are_compared(samples_of, comparison_of_sets):
    real, synthetic = samples_of(s=[["a", "b", "c", None]]), samples_of(s=[["a", "a", "c", None]])
    synthetic.symbols["s"][:] = [0, 0, 2, -1]
    section = marginals(comparison_of_sets(real, synthetic))
    assert section.figures["distance s"] == pytest.approx(0.25)
    assert section.figures["missing s, generated less held out"] == 0


def test_repeated_values_are_those_that_many_steps_share():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=80), np.zeros(15), np.ones(10), [np.nan] * 50])
    assert repeated_values(values) == [0.0, 1.0]
    assert repeated_values(rng.normal(size=10)) == []


def test_small_units_are_shown_with_digits_enough(samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)
    samples = samples_of(r=(0.02 * rng.normal(size=(50, 4))).tolist(), p=(100 * rng.normal(size=(50, 4))).tolist())
    table = marginals(comparison_of_sets(samples, samples)).parts[0]
    digits = {column.name: column.digits for column in table.columns}
    assert digits["spread, held out"] == 4
    assert digits["KS"] == 3


def test_a_field_with_no_value_at_all_is_no_mistake(samples_of, comparison_of_sets):
    real, synthetic = samples_of(x=[[1.0, 2.0]], y=[[np.nan, np.nan]]), samples_of(x=[[1.0]], y=[[2.0]])
    section = marginals(comparison_of_sets(real, synthetic))
    assert section.figures["distance y"] is None
    assert section.figures["missing y, generated less held out"] == -1
