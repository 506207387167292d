"""Coverage of bands by a model of the true law, and by models of wrong ones."""

import numpy as np
import pytest

from unspool.evaluation.sections.calibration import (
    COVERAGE_LEVELS,
    calibration,
    distance_from_uniform,
    perfect_error,
)


def test_the_true_law_covers_what_it_says_in_every_field_and_band_of_positions(worlds, rows_of):
    section = calibration(worlds(), 0)
    rows = [*rows_of(section, "By field"), *rows_of(section, "By position")]
    assert {row["field"] for row in rows} == {"x", "y"}
    assert {row.get("steps") for row in rows} >= {None, "1", "2", "3 to 4", "5 to 8"}
    for row in rows:
        for level in COVERAGE_LEVELS:
            covered = row[f"in the {level:.0%} band"]
            assert abs(covered.value - level) < 5 * covered.error + 1e-9, (row, level)
    for row in rows_of(section, "By field"):
        assert abs(row["mean PIT"].value - 0.5) < 5 * row["mean PIT"].error
        assert abs(row["dispersion of PIT"].value - 1) < 5 * row["dispersion of PIT"].error


def test_forecasts_that_are_too_narrow_or_too_high_are_visible(worlds, rows_of):
    narrow = rows_of(calibration(worlds(spread=0.5), 0), "By field")[0]
    assert narrow["dispersion of PIT"].value > 1 + 5 * narrow["dispersion of PIT"].error
    assert narrow["in the 80% band"].value < 0.8 - 5 * narrow["in the 80% band"].error
    high = rows_of(calibration(worlds(shift=1.0), 0), "By field")[0]
    assert high["mean PIT"].value < 0.5 - 5 * high["mean PIT"].error


def test_the_same_seed_gives_the_same_section(worlds):
    assert calibration(worlds(), 3) == calibration(worlds(), 3)
    assert calibration(worlds(), 3) != calibration(worlds(), 4)


def test_the_distance_from_uniform_is_the_share_of_ranks_that_would_have_to_move():
    assert distance_from_uniform((np.arange(100) + 0.5) / 100) == pytest.approx(0)
    assert distance_from_uniform(np.full(7, 0.55)) == pytest.approx(0.9)


def test_what_can_not_be_judged_says_why(samples_of, comparison_of_sets):
    words = samples_of(s=[["a", "b"], ["b"]])
    assert not calibration(comparison_of_sets(words, words), 0).available
    few = samples_of(x=[[1.0], [2.0]])
    section = calibration(comparison_of_sets(few, few), 0)
    assert not section.available
    assert "at least 10 generated sequences for each input; there are 1" in section.verdict


@pytest.mark.parametrize(("alike", "sequences", "steps"), [(0.0, 40, 10), (0.95, 12, 20), (1.0, 30, 5)])
def test_the_error_of_a_perfect_model_is_the_spread_of_its_shares(alike, sequences, steps):
    """Ranks of one sequence are those of normal numbers with a part in common."""
    stats = pytest.importorskip("scipy.stats")
    rng, clusters = np.random.default_rng(0), np.repeat(np.arange(sequences), steps)
    shares, errors = [], []
    for _ in range(400):
        own = np.sqrt(alike) * rng.normal(size=sequences)[clusters] + np.sqrt(1 - alike) * rng.normal(
            size=len(clusters)
        )
        ranks = stats.norm.cdf(own)
        shares.append(np.mean(np.abs(ranks - 0.5) < 0.4))
        errors.append(perfect_error(ranks, clusters, 0.8))
    assert np.mean(shares) == pytest.approx(0.8, abs=0.02)
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=0.2)


def test_the_error_of_one_sequence_is_not_known():
    assert perfect_error(np.array([0.2, 0.3, np.nan]), np.zeros(3, np.int64), 0.8) is None
    assert perfect_error(np.full(3, np.nan), np.arange(3), 0.8) is None
