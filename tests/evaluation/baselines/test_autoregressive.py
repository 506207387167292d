"""The autoregression and the independent baseline, against the laws of the data."""

import numpy as np
import pytest

from unspool.evaluation.baselines.autoregressive import (
    Ar1Chain,
    autoregressive_number,
    independent_number,
    previous_value,
)
from unspool.evaluation.baselines.densities import StudentDensity
from unspool.evaluation.samples.sample_set import Target

stats = pytest.importorskip("scipy.stats")


def test_an_autoregression_comes_near_the_entropy_of_one_and_independence_does_not(scorable, simulate_ar1):
    rng = np.random.default_rng(0)
    train, test = (simulate_ar1(rng, 200, 30, 0.9) for _ in range(2))
    sets = [scorable([30] * 200, numbers=x.ravel()) for x in (train, test)]
    first = stats.norm.logpdf(test[:, :1], 0, 1 / np.sqrt(1 - 0.81))
    true = np.concatenate([first, stats.norm.logpdf(test[:, 1:] - 0.9 * test[:, :-1])], 1).ravel()
    lost = true - autoregressive_number(*sets, Target("x"))
    # Of the first values, 200 fit a density of their own; of the rest 5,800 fit four numbers.
    assert abs(lost.mean()) < 5 * lost.std() / np.sqrt(len(lost)) + 0.01
    apart = true - independent_number(*sets, Target("x"))
    assert apart.mean() == pytest.approx(-0.5 * np.log(1 - 0.81), abs=0.08)


def test_growth_is_seen_on_the_scale_of_logarithms(scorable):
    rng = np.random.default_rng(1)
    train, test = np.exp(np.cumsum(0.05 * rng.normal(size=(2, 100, 40)), 2) + 3)
    nats = autoregressive_number(*(scorable([40] * 100, numbers=x.ravel()) for x in (train, test)), Target("x"))
    true = stats.norm.logpdf(np.diff(np.log(test), axis=1), 0, 0.05) - np.log(test[:, 1:])
    assert abs((true - nats.reshape(100, 40)[:, 1:]).mean()) < 0.02


def test_mass_on_a_grid_is_near_the_density_of_a_fine_one(scorable, simulate_ar1):
    """Cells of 0.01 are so small that log mass is log density plus log 0.01."""
    rng = np.random.default_rng(2)
    train, test = (np.round(simulate_ar1(rng, 60, 20, 0.8), 2) for _ in range(2))
    sets = [scorable([20] * 60, numbers=x.ravel()) for x in (train, test)]
    for score in (independent_number, autoregressive_number):
        mass, density = score(*sets, Target("x", cell=0.01)), score(*sets, Target("x"))
        assert (mass - density).mean() == pytest.approx(np.log(0.01), abs=0.02)


def test_the_value_before_is_the_last_present_one_of_the_same_sequence_or_its_base(scorable):
    samples = scorable([3, 0, 3], numbers=[1, np.nan, 3, np.nan, 5, 6], first={"x": np.array([np.nan, 7, 8])})
    np.testing.assert_array_equal(previous_value(samples, "x"), [np.nan, 1, 1, 8, 8, 5])
    np.testing.assert_array_equal(previous_value(scorable([1, 2], numbers=[1, 2, 3]), "x"), [np.nan, np.nan, 2])


def test_missing_values_are_paid_for_as_often_as_they_come_and_cheaper_where_they_come_in_runs(scorable):
    rng = np.random.default_rng(3)
    gone = np.repeat(rng.random((100, 5)) < 0.3, 8, axis=1)
    values = np.where(gone, np.nan, rng.normal(size=(100, 40)))
    train, test = scorable([40] * 50, numbers=values[:50].ravel()), scorable([40] * 50, numbers=values[50:].ravel())
    lost = np.isnan(test.numbers["x"])
    rate = gone[:50].mean()
    alone = independent_number(train, test, Target("x"))
    np.testing.assert_allclose(alone[lost], np.log(rate), atol=0.02)
    assert autoregressive_number(train, test, Target("x"))[lost].mean() > alone[lost].mean() + 0.3


def test_groups_of_inputs_have_their_own_autoregression_where_there_is_enough_of_each(scorable, simulate_ar1):
    rng = np.random.default_rng(4)
    x = np.concatenate([simulate_ar1(rng, 100, 20, 0.9), simulate_ar1(rng, 100, 20, -0.9)])
    groups = np.repeat([0, 1], 100)
    every = np.arange(200)
    train, test = (
        scorable([20] * 100, numbers=x[every % 2 == k].ravel(), groups=groups[every % 2 == k]) for k in (0, 1)
    )
    together = autoregressive_number(train, test, Target("x"))
    apart = autoregressive_number(train, test, Target("x"), grouped=True)
    # A pooled line knows nothing of either: it pays for the spread of x, sqrt(1 / 0.19), in place of 1.
    assert (apart - together).mean() == pytest.approx(0.5 * np.log(1 / 0.19), rel=0.25)


def test_a_column_without_a_value_in_training_has_only_its_missing_values_to_predict(scorable):
    train, test = scorable([3, 3], numbers=[np.nan] * 6), scorable([3], numbers=[np.nan] * 3)
    for score in (independent_number, autoregressive_number):
        nats = score(train, test, Target("x"))
        assert np.isfinite(nats).all()
        assert (nats > np.log(0.5)).all()


def test_a_value_that_repeats_has_a_mass_of_its_own_and_the_others_a_density(scorable):
    rng = np.random.default_rng(5)
    values = [np.where(rng.random(2000) < 0.6, 0.0, rng.normal(5, 1, 2000)) for _ in range(2)]
    train, test = (scorable([20] * 100, numbers=numbers, point_masses=[0.0]) for numbers in values)
    for score in (independent_number, autoregressive_number):
        nats, zero = score(train, test, Target("x", kinds=3)), test.numbers["x"] == 0
        np.testing.assert_allclose(nats[zero], np.log(0.6), atol=0.1)
        entropy = 0.5 * np.log(2 * np.pi * np.e) - np.log(0.4)
        assert -nats[~zero].mean() == pytest.approx(entropy, abs=0.12)


def test_a_sample_far_out_on_the_scale_of_logarithms_is_finite():
    """A heavy tail of logarithms leaves the numbers that float64 has."""
    density = StudentDensity(0.0, 1.0, np.inf)
    chain = Ar1Chain(0.0, 1.0, 1e4, 2.0, True, density, None)
    values = chain.sample(np.ones(100), np.random.default_rng(0))
    assert np.isfinite(values).all()
    assert values.max() > 1e300
