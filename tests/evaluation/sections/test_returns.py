"""The facts of returns, on series whose facts are known."""

import numpy as np
import pytest

from unspool.evaluation.baselines.garch import WindowedGarch
from unspool.evaluation.samples.return_series import are_returns, returns_of
from unspool.evaluation.samples.sample_set import SampleSet
from unspool.evaluation.samples.statistics import lagged_correlation
from unspool.evaluation.sections.returns import drawdowns, excess_kurtosis, returns

stats = pytest.importorskip("scipy.stats")


def garch(rng, n=400, length=60, a=0.15, b=0.8, leverage=0.0):
    r, variance = np.zeros((n, length)), np.full(n, 1.0)
    for t in range(-100, length):
        drawn = np.sqrt(variance) * rng.normal(size=n)
        r[:, max(t, 0)] = drawn
        variance = 0.05 + a * drawn**2 + leverage * drawn**2 * (drawn < 0) + b * variance
    return r


def test_returns_are_recognised_by_their_values():
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 24_001, 60)
    r = garch(rng).ravel()
    assert are_returns(r, offsets)
    assert not are_returns(r + 5, offsets)  # not centred
    assert not are_returns(np.cumsum(r), offsets)  # a path, not its changes
    assert not are_returns(np.abs(r), offsets)
    assert not are_returns(np.where(rng.random(r.size) < 0.3, 0.0, r), offsets)  # a value repeats
    assert not are_returns(rng.normal(size=24_000), offsets)  # no calm and wild spells
    assert not are_returns(r[:120], offsets[:3])  # too few


@pytest.mark.parametrize("kind", ["returns", "noise", "repeated zeros"])
def test_garch_and_the_section_on_returns_agree_on_what_returns_are(kind, comparison_of_sets):
    pytest.importorskip("arch")
    rng = np.random.default_rng(1)
    series = garch(rng, n=1, length=2000).ravel() / 100
    if kind == "noise":
        series = rng.normal(size=2000) / 100
    if kind == "repeated zeros":
        series[rng.random(2000) < 0.3] = 0.0

    def windows(first, last):
        starts = np.arange(first, last - 4)
        values = np.lib.stride_tricks.sliding_window_view(series, 5)[starts]
        return SampleSet(np.arange(len(starts) + 1) * 5, {"r": values.ravel()}, starts=starts, window=5)

    train, test = windows(0, 1500), windows(1500, 2000)
    section = returns(comparison_of_sets(test, test, train))
    assert section.available == (kind == "returns")
    assert (WindowedGarch.fit(train, test) is not None) == section.available


def test_prices_become_returns_by_their_transform(samples_of):
    samples = samples_of(p=[[1.0, np.e, np.e], [2.0, 4.0]])
    np.testing.assert_allclose(returns_of(samples, "p", "log_return"), [np.nan, 1, 0, np.nan, np.log(2)])
    np.testing.assert_allclose(returns_of(samples, "p", "difference"), [np.nan, np.e - 1, 0, np.nan, 2])
    assert returns_of(samples, "p", "standardize") is samples.numbers["p"]


def test_kurtosis_is_that_of_scipy():
    values = np.random.default_rng(0).standard_t(5, 300)
    assert excess_kurtosis(np.append(values, np.nan)) == pytest.approx(stats.kurtosis(values))


def test_a_drawdown_is_the_deepest_fall_from_the_highest_so_far(samples_of):
    samples = samples_of(r=[[1.0, 2.0, -4.0, 1.0, -1.0], [-3.0, 1.0], [1.0, 1.0]])
    assert drawdowns(samples, samples.numbers["r"]).tolist() == [4.0, 3.0, 0.0]


def test_clustering_and_leverage_are_found_where_they_are():
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 24_001, 60)
    alone, clustered, levered = rng.normal(size=24_000), garch(rng).ravel(), garch(rng, a=0.02, leverage=0.25).ravel()
    later = lambda a, b: lagged_correlation(a, b, offsets, 1, 200)  # noqa: E731
    assert abs(later(np.abs(alone), np.abs(alone))) < 5 / np.sqrt(24_000)
    assert later(np.abs(clustered), np.abs(clustered)) > 0.1
    assert later(levered, np.abs(levered)) < -5 / np.sqrt(24_000)


def test_the_section_sets_generated_series_beside_real_ones(samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)
    real, plain = samples_of(r=garch(rng).tolist()), samples_of(r=rng.normal(size=(400, 60)).tolist())
    section = returns(comparison_of_sets(real, plain))
    assert section.figures["r, clustering, lag 1, held out"] > 0.1
    assert abs(section.figures["r, clustering, lag 1"]) < 5 / np.sqrt(24_000)
    assert section.figures["r, excess kurtosis"] < section.figures["r, excess kurtosis, held out"]
    assert not returns(comparison_of_sets(samples_of(x=[[1.0, 2.0]]), samples_of(x=[[1.0, 2.0]]))).available
