"""Lengths and where sequences stop."""

import numpy as np
import pytest

from unspool.evaluation.sections.lengths import hazards, length

stats = pytest.importorskip("scipy.stats")


def geometric(rng, hazard, n):
    return [[0.0] * k for k in rng.geometric(hazard, n) - 1]


def test_the_true_hazard_is_found_right_at_every_position(side_of, material_of):
    rng = np.random.default_rng(0)
    real, made = side_of(x=geometric(rng, 0.2, 2000)), side_of(x=geometric(rng, 0.2, 40_000))
    section = length(material_of(real, made), 0)
    stops = section.parts[1]
    assert [row[0] for row in stops.rows[:4]] == ["0", "1", "2", "3 to 4"]
    assert max(abs(row[4]) for row in stops.rows if row[3] > 5) < 5
    assert section.figures["stops, chi2 per band"] < 1 + 5 * np.sqrt(2 / len(stops.rows))
    assert section.figures["KS"] < 5 * 0.5 / np.sqrt(2000)
    assert section.figures["mean"] == pytest.approx(made.lengths.mean())


def test_a_wrong_hazard_is_seen(side_of, material_of):
    rng = np.random.default_rng(0)
    real, made = side_of(x=geometric(rng, 0.2, 1000)), side_of(x=geometric(rng, 0.15, 20_000))
    section = length(material_of(real, made), 0)
    assert section.figures["stops, chi2 per band"] > 5
    assert section.figures["KS"] == pytest.approx(stats.ks_2samp(real.lengths, made.lengths).statistic)
    assert section.figures["rank of length"] < 0.5


def test_a_sequence_cut_at_the_limit_has_not_stopped(side_of, material_of):
    lengths = np.array([1, 2, 2, 2])
    ended = np.array([True, True, False, False])
    np.testing.assert_allclose(hazards(lengths, ended, 3), [0, 1 / 4, 1 / 3, np.nan])
    side = side_of(x=[[0.0] * k for k in lengths])
    assert length(material_of(side, side, ended=ended), 0).figures["ended"] == 0.5


def test_sequences_of_one_length_take_one_sentence(side_of, material_of):
    side = side_of(x=[[1.0, 2.0]] * 3)
    section = length(material_of(side, side), 0)
    assert section.verdict == "All sequences have 2 steps."
    assert section.made
    assert not section.parts
