"""Values of fields, one at a time."""

import numpy as np
import pytest

from unspool.evaluation.sections.marginals import atoms, marginals


def test_the_true_law_differs_no_more_than_training_does(worlds):
    """Steps of a sequence go together, so a sample of 300 sequences is what the bounds are of."""
    figures = marginals(worlds()).figures
    for name in ("x", "y", "mood"):
        assert figures[f"apart {name}"] < 5 * 0.5 / np.sqrt(300)
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


def test_shares_of_symbols_are_compared(side_of, material_of):
    real, made = side_of(s=[["a", "b", "c", None]]), side_of(s=[["a", "a", "c", None]])
    made.symbols["s"][:] = [0, 0, 2, -1]
    section = marginals(material_of(real, made))
    assert section.figures["apart s"] == pytest.approx(0.25)
    assert section.figures["missing s, generated less held out"] == 0


def test_atoms_are_values_that_many_share():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=80), np.zeros(15), np.ones(10), [np.nan] * 50])
    assert atoms(values) == [0.0, 1.0]
    assert atoms(rng.normal(size=10)) == []


def test_small_units_are_shown_with_digits_enough(side_of, material_of):
    rng = np.random.default_rng(0)
    side = side_of(r=(0.02 * rng.normal(size=(50, 4))).tolist(), p=(100 * rng.normal(size=(50, 4))).tolist())
    table = marginals(material_of(side, side)).parts[0]
    digits = {column.name: column.digits for column in table.columns}
    assert digits["spread, held out"] == 4
    assert digits["KS"] == 3


def test_a_field_with_no_value_at_all_is_no_mistake(side_of, material_of):
    real, made = side_of(x=[[1.0, 2.0]], y=[[np.nan, np.nan]]), side_of(x=[[1.0]], y=[[2.0]])
    section = marginals(material_of(real, made))
    assert section.figures["apart y"] is None
    assert section.figures["missing y, generated less held out"] == -1
