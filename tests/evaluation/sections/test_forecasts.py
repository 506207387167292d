"""Scores of paths beside those of rivals."""

import numpy as np
import pytest

from unspool.evaluation.sections.forecasts import OWN, running, scores

pytest.importorskip("scoringrules")
pytest.importorskip("scipy")


def rows_of(section, title):
    (table,) = [part for part in section.parts if part.title == title]
    return {(row[0], row[1]): row[2:] for row in table.rows}, table


def test_the_true_law_beats_real_sequences_of_other_inputs(worlds):
    world = worlds()
    section = scores(world, 0)
    for title, field in (("Step by step", "x"), ("Whole paths", "all")):
        rows, table = rows_of(section, title)
        for rival in ("training at random", "nearest input"):
            more = rows[field, rival][1]
            assert more.value > 5 * more.error
        assert all(table.rows[k][1] == OWN for k in table.own)
    rows, _ = rows_of(section, "Step by step")
    alone = [
        rows[field, OWN][0].value / world.train.numbers[field][~np.isnan(world.train.numbers[field])].std()
        for field in "xy"
    ]
    assert min(alone) < rows["all", OWN][0].value < max(alone)
    assert section.figures["CRPS x, of the best rival's"] < 1


def test_a_rival_of_the_same_law_scores_the_same_and_the_nearest_input_beats_any(worlds):
    world = worlds()
    again = worlds(seed=0, samples=40, n=300, more=0).paths
    rows, _ = rows_of(scores(world, 0, {"again": again}), "Step by step")
    more = rows["x", "again"][1]
    assert abs(more.value) < 5 * max(more.error, 1e-12)
    assert rows["x", "nearest input"][0].value < rows["x", "training at random"][0].value


def test_a_wrong_law_scores_worse_than_the_true_one(worlds):
    true = worlds().paths
    for wrong in ({"shift": 1.0}, {"spread": 2.0}, {"more": 3}):
        rows, _ = rows_of(scores(worlds(**wrong), 0, {"the truth": true}), "Whole paths")
        more = rows["all", "the truth"][1]
        assert more.value < -5 * more.error, wrong


def test_all_are_scored_at_the_same_steps(worlds):
    """A rival without any number at late steps takes those steps from everyone."""
    world = worlds()
    short = world.paths.take(np.arange(len(world.paths)))
    short.numbers["x"][short.position >= 2] = np.nan
    rows, _ = rows_of(scores(world, 0, {"short": short}), "Step by step")
    alone, _ = rows_of(scores(world, 0), "Step by step")
    assert rows["x", "short"][0] == rows["x", OWN][0]
    assert rows["x", OWN][0] != alone["x", OWN][0]


def test_running_sums_stand_at_their_last_step(side_of):
    side = side_of(r=[[1.0, 2.0, 4.0], [1.0]])
    np.testing.assert_array_equal(running(side, "r", "none", 2), [np.nan, 3, np.nan, np.nan])
    prices = side_of(p=[[1.0, np.e, np.e**3]])
    np.testing.assert_allclose(running(prices, "p", "log_return", 3), [np.nan, np.nan, 3])


def test_returns_are_also_scored_in_sums(side_of, material_of):
    rng = np.random.default_rng(0)
    real = side_of(r=rng.standard_t(4, (60, 20)).tolist())
    made = side_of(r=rng.standard_t(4, (60 * 20, 20)).tolist())
    rows, _ = rows_of(scores(material_of(real, made), 0), "Sums of returns")
    assert {key[0] for key in rows} == {"r, first 1", "r, first 5", "r, first 20"}
    for key in rows:
        covered = rows[key][2]
        assert abs(covered.value - 0.8) < 5 * covered.error
