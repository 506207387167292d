"""Ranks and scores of real values among forecasts, against closed forms and independent formulas."""

import numpy as np
import pytest

from unspool.evaluation.samples.proper_scores import MIN_MEMBERS, crps, energy_score, members, pinball, randomized_pit

library = pytest.importorskip("scoringrules")
stats = pytest.importorskip("scipy.stats")
RNG = np.random.default_rng(0)


def test_forecasts_are_lined_up_with_the_real_steps(samples_of):
    real = samples_of(x=[[1.0, 2.0], [3.0]])
    forecasts = samples_of(x=[[5.0, 7.0, 9.0], [4.0], [8.0, 1.0], [np.nan]])
    among = members(real, forecasts, forecasts.numbers["x"])
    np.testing.assert_array_equal(among, [[4, 5], [7, np.nan], [8, np.nan]])


@pytest.mark.parametrize("digits", [8, 0])
def test_ranks_are_uniform_when_values_and_forecasts_are_of_one_law(digits):
    """For continuous values, and for whole ones with many ties; with as few forecasts as there may be, some missing."""
    values, among = (np.round(RNG.normal(size=(20_000, *shape)), digits) for shape in ((), (MIN_MEMBERS + 3,)))
    among[RNG.random(among.shape) < 0.05] = np.nan
    u = randomized_pit(values, np.sort(among, axis=1), RNG)
    u = u[~np.isnan(u)]
    assert len(u) > 19_000
    shares = np.histogram(u, 10, (0, 1))[0] / len(u)
    assert np.abs(shares - 0.1).max() < 5 * np.sqrt(0.09 / len(u))


def test_ranks_of_another_law_are_not_uniform():
    u = randomized_pit(RNG.normal(size=5000), np.sort(0.8 * RNG.normal(size=(5000, 30)), axis=1), RNG)
    outside = (np.abs(u - 0.5) > 0.4).mean()
    assert outside > 0.2 + 5 * np.sqrt(0.16 / 5000)


def test_a_missing_value_and_one_with_too_few_forecasts_have_neither_rank_nor_score():
    among = np.full((2, MIN_MEMBERS), 1.0)
    among[1, -1] = np.nan
    values = np.array([np.nan, 0.0])
    assert np.isnan(randomized_pit(values, among, RNG)).all()
    assert np.isnan(crps(values, among)).all()
    assert np.isnan(pinball(values, among)).all()


def test_the_crps_of_a_normal_is_its_closed_form():
    """Sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)), z = (y - mu) / sigma; with few forecasts as with many."""
    for forecasts in (MIN_MEMBERS, 200):
        among = np.sort(2 + 3 * RNG.normal(size=(4000, forecasts)), axis=1)
        values = np.full(4000, 4.0)
        z = (4 - 2) / 3
        true = 3 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
        given = crps(values, among)
        assert abs(given.mean() - true) < 5 * given.std() / np.sqrt(4000)


def test_the_crps_is_that_of_all_pairs_with_missing_forecasts_left_out():
    among = np.sort(RNG.normal(size=(6, 15)), axis=1)
    among[2:4, 12:] = np.nan
    values = RNG.normal(size=6)
    given = crps(values, among)
    for k in range(6):
        x = among[k][~np.isnan(among[k])]
        apart = np.abs(x[:, None] - x).sum() / (len(x) * (len(x) - 1))
        assert given[k] == pytest.approx(np.abs(x - values[k]).mean() - apart / 2)


def test_the_quantile_loss_is_least_for_the_true_quantile():
    values = RNG.normal(size=20_000)
    right, wide = (np.sort(s * RNG.normal(size=(20_000, 100)), axis=1) for s in (1.0, 1.5))
    gap = pinball(values, wide) - pinball(values, right)
    assert (gap[:, [0, 2]].mean(0) > 5 * gap[:, [0, 2]].std(0) / np.sqrt(20_000)).all()
    expected = stats.norm.pdf(stats.norm.ppf(0.1))  # the least loss possible at 10 %
    assert pinball(values, right)[:, 0].mean() == pytest.approx(expected, rel=0.03)


def test_the_energy_score_is_that_of_scoringrules_on_the_vectors_of_forecasts(samples_of):
    """Of forecasts as long as the real one, in two fields, with a value missing."""
    real = samples_of(x=[[1.0, 2.0], [0.0, np.nan]], y=[[0.0, 1.0], [2.0, 4.0]])
    values = RNG.normal(size=(2, 12, 2, 2))  # row, path, field, step
    forecasts = samples_of(x=values[:, :, 0].reshape(24, 2).tolist(), y=values[:, :, 1].reshape(24, 2).tolist())
    given = energy_score(real, forecasts, {"x": 1.0, "y": 2.0})
    for row, truth in enumerate(([1, 2, 0, 0.5, 0], [0, 0, 1, 2, 1])):
        vectors = np.concatenate([values[row, :, 0], values[row, :, 1] / 2, np.zeros((12, 1))], axis=1)
        true = library.es_ensemble(np.array(truth, float), vectors, estimator="fair")
        assert given[row] == pytest.approx(true, rel=1e-5)


def test_the_energy_score_is_the_same_whatever_is_held_at_once(samples_of, monkeypatch):
    real = samples_of(x=RNG.normal(size=(7, 3)).tolist())
    forecasts = samples_of(x=RNG.normal(size=(70, 3)).tolist())
    whole = energy_score(real, forecasts, {"x": 1.0})
    monkeypatch.setattr("unspool.evaluation.samples.proper_scores.MAX_VALUES", 200)
    np.testing.assert_allclose(energy_score(real, forecasts, {"x": 1.0}), whole, rtol=1e-12)


def test_the_energy_score_sees_a_wrong_length_and_missing_values(samples_of):
    true = [[0.0] * k for k in RNG.integers(1, 6, 400)]
    right = [[0.0] * k for k in RNG.integers(1, 6, 400 * 12)]
    long = [[0.0] * k for k in RNG.integers(3, 9, 400 * 12)]
    gone = [[np.nan] * len(x) for x in right]
    score = [energy_score(samples_of(x=true), samples_of(x=vectors), {"x": 1.0}) for vectors in (right, long, gone)]
    for wrong in score[1:]:
        gap = wrong - score[0]
        assert gap.mean() > 5 * gap.std() / np.sqrt(400)
