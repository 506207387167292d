"""Drift and blow-up by position."""

import numpy as np
import pytest

from unspool.evaluation.sections.drift import drift


@pytest.fixture
def walk(simulate_ar1):
    """Stationary autoregressions of 32 steps, multiplied by a factor at every step."""
    return lambda rng, n, factor=1.0: simulate_ar1(rng, n, 32, 0.8, 0.6) * factor ** np.arange(32)


@pytest.mark.parametrize(("factor", "flag"), [(1.0, None), (0.85, "drifts to a constant"), (1.1, "blows up")])
def test_only_sequences_that_shrink_or_grow_are_flagged(walk, samples_of, comparison_of_sets, factor, flag):
    rng = np.random.default_rng(0)
    real, synthetic = samples_of(x=walk(rng, 200).tolist()), samples_of(x=walk(rng, 400, factor).tolist())
    section = drift(comparison_of_sets(real, synthetic))
    assert (flag in section.verdict) if flag else section.verdict == "No drift to a constant, and no blow-up."
    assert bool(section.figures["flags"]) == bool(flag)


def test_a_mean_that_wanders_off_is_flagged(walk, samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)
    real, synthetic = (samples_of(x=x.tolist()) for x in (walk(rng, 200), walk(rng, 200) + 0.1 * np.arange(32)))
    assert "its mean is" in drift(comparison_of_sets(real, synthetic)).verdict


def test_symbols_that_get_stuck_or_lost_are_flagged(samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)
    free, stuck, few = rng.choice(list("abcdefgh"), (3, 200, 32))
    stuck[:, 8:] = "a"
    few[:, 8:] = rng.choice(["a", "b"], (200, 24))
    real, frozen, narrow = (samples_of(s=table.tolist()) for table in (free, stuck, few))
    assert "drifts to few symbols" in drift(comparison_of_sets(real, frozen)).verdict
    assert "drifts to noise" in drift(comparison_of_sets(narrow, real)).verdict
    assert drift(comparison_of_sets(real, real)).figures["flags"] == 0


def test_positions_with_too_few_sequences_are_left_out(samples_of, comparison_of_sets):
    few = samples_of(x=[[1.0, 2.0]] * 29)
    assert not drift(comparison_of_sets(few, few)).available
