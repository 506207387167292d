"""How steps follow one another."""

import numpy as np
import pytest

from unspool.evaluation.sections.dynamics import (
    CHANGES,
    VALUES,
    autocorrelation,
    cross_correlation,
    dynamics,
    transition_distance,
)


@pytest.fixture
def walks(samples_of, simulate_ar1):
    """An autoregression x, and a y that correlates with x."""

    def sample(rng, n=200, slope=0.8, mixed=0.6):
        x = simulate_ar1(rng, n, 30, slope)
        y = mixed * x + np.sqrt(1 - mixed**2) * x.std() * rng.normal(size=x.shape)
        return samples_of(x=x.tolist(), y=y.tolist())

    return sample


def test_correlations_are_those_of_the_law(walks):
    samples = walks(np.random.default_rng(0), 2000)
    assert autocorrelation(samples, "x", VALUES, 1) == pytest.approx(0.8, abs=0.01)
    assert autocorrelation(samples, "x", VALUES, 3) == pytest.approx(0.8**3, abs=0.02)
    assert autocorrelation(samples, "x", CHANGES, 1) == pytest.approx(-(1 - 0.8) / 2, abs=0.02)
    assert cross_correlation(samples, "x", "y", VALUES) == pytest.approx(0.6, abs=0.02)


def test_the_largest_difference_is_named(walks, comparison_of_sets):
    rng = np.random.default_rng(0)
    real, same, stiff, loose = walks(rng), walks(rng), walks(rng, slope=0.2), walks(rng, mixed=-0.6)
    alike = dynamics(comparison_of_sets(real, same)).figures
    assert alike["autocorrelation, largest difference"] < 0.1
    assert alike["correlation of fields, largest difference"] < 0.1
    section = dynamics(comparison_of_sets(real, stiff))
    assert section.figures["autocorrelation, largest difference"] > 0.4
    assert "(x; values, lag 2)" in section.verdict
    assert dynamics(comparison_of_sets(real, loose)).figures["correlation of fields, largest difference"] > 1


def test_transitions_count_pairs_with_start_and_end(samples_of):
    one, two = samples_of(s=[["a", "b"], ["a", "b"]]), samples_of(s=[["b", "a"], ["a", "b"]])
    # ^a ab b$ twice, against those and ^b ba a$
    assert transition_distance(one, two, "s") == pytest.approx(0.5)
    gone = samples_of(s=[["a", "b"], ["a", "b"], []])
    assert transition_distance(one, gone, "s") == 0


def test_transitions_of_another_chain_are_seen(worlds):
    right, wrong = (dynamics(worlds(**law)).figures["transitions mood"] for law in ({}, {"sticky": 0.3}))
    assert right < 0.06
    assert wrong > 0.2


def test_sequences_too_short_for_any_figure_say_so(samples_of, comparison_of_sets):
    samples = samples_of(x=[[1.0]])
    section = dynamics(comparison_of_sets(samples, samples))
    assert not section.available
    assert section.verdict == "The sequences are too few or too short."
