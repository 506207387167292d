"""How steps follow one another."""

import numpy as np
import pytest

from unspool.evaluation.sections.dynamics import autocorrelation, change_echo, changes, dynamics, together, transitions


def walks(side_of, rng, n=200, echo=0.8, mixed=0.6):
    x = np.zeros((n, 30))
    for t in range(1, 30):
        x[:, t] = echo * x[:, t - 1] + rng.normal(size=n)
    y = mixed * x + np.sqrt(1 - mixed**2) * x.std() * rng.normal(size=x.shape)
    return side_of(x=x.tolist(), y=y.tolist())


def test_correlations_are_those_of_the_law(side_of):
    side = walks(side_of, np.random.default_rng(0), 2000)
    late = side_of(x=[side.numbers["x"][a + 15 : a + 30] for a in range(0, 60_000, 30)])
    assert autocorrelation(late, "x", 1) == pytest.approx(0.8, abs=0.01)
    assert autocorrelation(late, "x", 3) == pytest.approx(0.8**3, abs=0.02)
    assert change_echo(late, "x", 1) == pytest.approx(-(1 - 0.8) / 2, abs=0.02)
    assert together(side, "x", "y", lambda s, name: s.numbers[name]) == pytest.approx(0.6, abs=0.02)


def test_changes_begin_anew_with_each_sequence(side_of):
    np.testing.assert_array_equal(
        changes(side_of(x=[[1.0, 3.0], [7.0], [], [1.0, 0.0]]), "x"), [np.nan, 2, np.nan, np.nan, -1]
    )


def test_what_differs_is_named(side_of, material_of):
    rng = np.random.default_rng(0)
    real, same = walks(side_of, rng), walks(side_of, rng)
    stiff, loose = walks(side_of, rng, echo=0.2), walks(side_of, rng, mixed=-0.6)
    alike = dynamics(material_of(real, same)).figures
    assert alike["autocorrelation, largest difference"] < 0.1
    assert alike["correlation of fields, largest difference"] < 0.1
    section = dynamics(material_of(real, stiff))
    assert section.figures["autocorrelation, largest difference"] > 0.4
    assert "(x; values, lag 2)" in section.verdict
    assert dynamics(material_of(real, loose)).figures["correlation of fields, largest difference"] > 1


def test_transitions_count_pairs_with_start_and_end(side_of):
    one, two = side_of(s=[["a", "b"], ["a", "b"]]), side_of(s=[["b", "a"], ["a", "b"]])
    # ^a ab b$ twice, against those and ^b ba a$
    assert transitions(one, two, "s") == pytest.approx(0.5)
    gone = side_of(s=[["a", "b"], ["a", "b"], []])
    assert transitions(one, gone, "s") == 0


def test_transitions_of_another_chain_are_seen(worlds):
    right, wrong = (dynamics(worlds(**law)).figures["transitions mood"] for law in ({}, {"sticky": 0.3}))
    assert right < 0.06
    assert wrong > 0.2


def test_sequences_too_short_for_any_figure_say_so(side_of, material_of):
    side = side_of(x=[[1.0]])
    section = dynamics(material_of(side, side))
    assert not section.made
    assert section.verdict == "The sequences are too few or too short."
