"""Drift and blow-up by position."""

import numpy as np
import pytest

from unspool.evaluation.sections.drift import entropy, exposure


def walk(rng, n, fade):
    """A stationary autoregression whose noise and level are multiplied by a factor of the step."""
    x = np.zeros((n, 32))
    x[:, 0] = rng.normal(size=n)
    for t in range(1, 32):
        x[:, t] = 0.8 * x[:, t - 1] + 0.6 * rng.normal(size=n)
    return (x * fade(np.arange(32))).tolist()


CASES = [
    (lambda t: 1.0 + 0 * t, None),
    (lambda t: 0.85**t, "drifts to a constant"),
    (lambda t: 1.1**t, "blows up"),
]


@pytest.mark.parametrize(("fade", "said"), CASES)
def test_what_shrinks_or_grows_on_the_way_is_flagged_and_nothing_else(side_of, material_of, fade, said):
    rng = np.random.default_rng(0)
    real, made = side_of(x=walk(rng, 200, CASES[0][0])), side_of(x=walk(rng, 400, fade))
    section = exposure(material_of(real, made))
    assert (said in section.verdict) if said else section.verdict == "No drift to a constant, and no blow-up."
    assert bool(section.figures["flags"]) == bool(said)


def test_a_mean_that_wanders_off_is_flagged(side_of, material_of):
    rng = np.random.default_rng(0)
    real = side_of(x=walk(rng, 200, CASES[0][0]))
    made = side_of(x=[(np.array(row) + 0.1 * np.arange(32)).tolist() for row in walk(rng, 200, CASES[0][0])])
    assert "its mean is" in exposure(material_of(real, made)).verdict


def test_symbols_that_get_stuck_or_lost_are_flagged(side_of, material_of):
    rng = np.random.default_rng(0)
    free = lambda: rng.choice(list("abcdefgh"), (200, 32))  # noqa: E731
    stuck, few = free(), free()
    stuck[:, 8:] = "a"
    few[:, 8:] = rng.choice(["a", "b"], (200, 24))
    real, frozen, narrow = (side_of(s=table.tolist()) for table in (free(), stuck, few))
    assert "drifts to few symbols" in exposure(material_of(real, frozen)).verdict
    assert "drifts to noise" in exposure(material_of(narrow, real)).verdict
    assert exposure(material_of(real, real)).figures["flags"] == 0


def test_positions_with_too_few_sequences_are_left_out(side_of, material_of):
    few = side_of(x=[[1.0, 2.0]] * 29)
    assert not exposure(material_of(few, few)).made


def test_entropy_of_equal_shares_is_the_logarithm_of_their_number():
    assert entropy(np.array([3, 1, 1, 3])) == pytest.approx(np.log(2))
    assert entropy(np.array([2, 2])) == 0
