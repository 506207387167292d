"""Scores of generated sequences beside those of baselines."""

from dataclasses import replace

import numpy as np
import pytest

from unspool.evaluation.document import MODEL_NAME
from unspool.evaluation.sections.forecasts import cumulative_return, forecasts

pytest.importorskip("scoringrules")
pytest.importorskip("scipy")


def scores_of(section, title):
    (table,) = [part for part in section.parts if part.title == title]
    return {(row[0], row[1]): row[2:] for row in table.rows}, table


def test_the_true_law_beats_real_sequences_of_other_inputs(worlds):
    world = worlds()
    section = forecasts(world, 0)
    for title, field in (("Step by step", "x"), ("Whole sequences", "all")):
        rows, table = scores_of(section, title)
        more = rows[field, "training at random"][1]
        assert more.value > 5 * more.error
        assert all(table.rows[k][1] == MODEL_NAME for k in table.own)
    rows, _ = scores_of(section, "Step by step")
    alone = [
        rows[field, MODEL_NAME][0].value / world.train.numbers[field][~np.isnan(world.train.numbers[field])].std()
        for field in "xy"
    ]
    assert min(alone) < rows["all", MODEL_NAME][0].value < max(alone)
    assert section.figures["CRPS x, relative to the best baseline"] < 1


def test_a_baseline_of_the_same_law_scores_the_same(worlds):
    world = worlds()
    halves = [
        world.synthetic.take(np.arange(12_000).reshape(300, 40)[:, part].ravel()) for part in (slice(20), slice(20, 40))
    ]
    both = replace(world, synthetic=halves[0], ended=np.ones(6000, np.bool_), baselines={"again": halves[1]})
    rows, _ = scores_of(forecasts(both, 0), "Step by step")
    more = rows["x", "again"][1]
    assert 0 < abs(more.value) < 5 * more.error


def test_a_wrong_law_scores_worse_than_the_true_one(worlds):
    true = worlds().synthetic
    for wrong in ({"shift": 1.0}, {"spread": 2.0}, {"more": 3}):
        rows, _ = scores_of(forecasts(replace(worlds(**wrong), baselines={"the truth": true}), 0), "Whole sequences")
        more = rows["all", "the truth"][1]
        assert more.value < -5 * more.error, wrong


def test_all_are_scored_at_the_same_steps(worlds):
    """A baseline without any number at late steps takes those steps from everyone."""
    world = worlds()
    short = world.synthetic.take(np.arange(len(world.synthetic)))
    short.numbers["x"][short.position >= 2] = np.nan
    rows, _ = scores_of(forecasts(replace(world, baselines={"short": short}), 0), "Step by step")
    alone, _ = scores_of(forecasts(world, 0), "Step by step")
    assert rows["x", "short"][0] == rows["x", MODEL_NAME][0]
    assert rows["x", MODEL_NAME][0] != alone["x", MODEL_NAME][0]


def test_running_sums_stand_at_their_last_step(samples_of):
    samples = samples_of(r=[[1.0, 2.0, 4.0], [1.0]])
    np.testing.assert_array_equal(cumulative_return(samples, "r", "none", 2), [np.nan, 3, np.nan, np.nan])
    prices = samples_of(p=[[1.0, np.e, np.e**3]])
    np.testing.assert_allclose(cumulative_return(prices, "p", "log_return", 3), [np.nan, np.nan, 3])


def test_returns_are_also_scored_in_sums(samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)

    def clustered(count):
        """A spread of its own for each sequence: sizes cluster, so these are returns."""
        return samples_of(r=(np.exp(rng.normal(size=(count, 1))) * rng.normal(size=(count, 20))).tolist())

    comparison = comparison_of_sets(clustered(300), clustered(300 * 20), clustered(300))
    rows, _ = scores_of(forecasts(comparison, 0), "Sums of returns")
    assert {key[0] for key in rows} == {"r, first 1", "r, first 5", "r, first 20"}
    for key in rows:
        covered = rows[key][2]
        assert abs(covered.value - 0.8) < 5 * covered.error
