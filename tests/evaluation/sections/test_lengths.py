"""Lengths and where sequences stop."""

from dataclasses import replace

import numpy as np
import pytest

from unspool.evaluation.sections.lengths import hazards, lengths
from unspool.evaluation.verdict import judge

stats = pytest.importorskip("scipy.stats")


def geometric(rng, hazard, n):
    return [[0.0] * k for k in rng.geometric(hazard, n) - 1]


def test_the_true_hazard_is_found_right_at_every_position(samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)
    real, synthetic = samples_of(x=geometric(rng, 0.2, 2000)), samples_of(x=geometric(rng, 0.2, 40_000))
    section = lengths(comparison_of_sets(real, synthetic), 0)
    stops = section.parts[1]
    assert [row[0] for row in stops.rows[:4]] == ["0", "1", "2", "3 to 4"]
    assert max(abs(row[4]) for row in stops.rows if row[3] > 5) < 5
    assert section.figures["stops, chi2 per band"] < 1 + 5 * np.sqrt(2 / len(stops.rows))
    assert section.figures["KS"] < 5 * 0.5 / np.sqrt(2000)
    assert section.figures["mean"] == pytest.approx(synthetic.lengths.mean())


def test_a_wrong_hazard_is_seen(samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)
    real, synthetic = samples_of(x=geometric(rng, 0.2, 1000)), samples_of(x=geometric(rng, 0.15, 20_000))
    section = lengths(comparison_of_sets(real, synthetic), 0)
    assert section.figures["stops, chi2 per band"] > 5
    assert section.figures["KS"] == pytest.approx(stats.ks_2samp(real.lengths, synthetic.lengths).statistic)
    assert section.figures["mean PIT"] < 0.5


def test_a_sequence_cut_at_the_limit_has_not_stopped(samples_of, comparison_of_sets):
    steps = np.array([1, 2, 2, 2])
    ended = np.array([True, True, False, False])
    np.testing.assert_allclose(hazards(steps, ended, 3), [0, 1 / 4, 1 / 3, np.nan])
    samples = samples_of(x=[[0.0] * k for k in steps])
    assert lengths(comparison_of_sets(samples, samples, ended=ended), 0).figures["ended"] == 0.5


def test_sequences_of_one_length_take_one_sentence(samples_of, comparison_of_sets):
    samples = samples_of(x=[[1.0, 2.0]] * 3)
    section = lengths(comparison_of_sets(samples, samples), 0)
    assert section.verdict == "All sequences have 2 steps."
    assert section.available
    assert not section.parts


def terms(samples_of, rng, count, samples, *, ignored):
    """Sequences whose input decides their mean length, which generated ones may ignore; as real and generated sets."""
    term = rng.choice([5.0, 10.0, 20.0], count)
    real = samples_of(x=[[0.0] * k for k in (term + rng.integers(0, 3, count)).astype(int)])
    asked = np.repeat(rng.permutation(term) if ignored else term, samples)
    synthetic = samples_of(x=[[0.0] * k for k in (asked + rng.integers(0, 3, len(asked))).astype(int)])
    inputs = {"noise": rng.normal(size=(count, 1)), "term": term[:, None]}
    repeated = {name: np.repeat(column, samples, axis=0) for name, column in inputs.items()}
    return replace(real, inputs=inputs), replace(synthetic, inputs=repeated)


def test_lengths_that_ignore_the_input_are_told_although_their_distribution_is_right(samples_of, comparison_of_sets):
    section = lengths(comparison_of_sets(*terms(samples_of, np.random.default_rng(0), 120, 20, ignored=True)), 0)
    assert section.figures["KS"] < 0.1
    assert section.figures["explained by input"] > 0.9
    assert section.figures["largest difference by term"] > 0.5
    assert "Lengths depend on term: where term is" in section.verdict
    (line,) = judge([section])
    assert line.grade == "bad"
    assert "means by term off by" in line.found


def test_lengths_that_follow_the_input_are_right(samples_of, comparison_of_sets):
    for seed in range(20):
        real, synthetic = terms(samples_of, np.random.default_rng(seed), 60, 20, ignored=False)
        section = lengths(comparison_of_sets(real, synthetic), 0)
        assert section.figures["largest difference by term"] == 0
        (table,) = (part for part in section.parts if part.title == "Mean steps by term")
        assert [row[0] for row in table.rows] == ["5", "10", "20"]
        assert "means by" not in judge([section])[0].found


def test_lengths_of_which_inputs_say_nothing_have_no_table_of_them(samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)
    real = samples_of(x=geometric(rng, 0.2, 2000))
    real = replace(real, inputs={"noise": rng.normal(size=(2000, 1))})
    section = lengths(comparison_of_sets(real, real), 0)
    assert not any(part.title.startswith("Mean steps by") for part in section.parts)
