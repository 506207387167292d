"""The facts of returns, on series whose facts are known."""

import numpy as np
import pytest

from unspool.evaluation.baselines.garch import WindowedGarch
from unspool.evaluation.samples.return_series import are_returns, returns_of
from unspool.evaluation.samples.statistics import lagged_correlation
from unspool.evaluation.sections.returns import drawdowns, excess_kurtosis, returns

stats = pytest.importorskip("scipy.stats")


@pytest.fixture
def garch(simulate_garch):
    """(n, length) returns, after a hundred steps that are left out."""

    def sample(rng, n=400, length=60, news=0.15, leverage=0.0):
        noise = rng.normal(size=(100 + length, n))
        return simulate_garch(noise, 0.05, news, 0.8, start=1.0, leverage=leverage)[0][100:].T

    return sample


def test_returns_are_recognised_by_their_values(garch):
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
def test_garch_and_the_section_on_returns_agree_on_what_returns_are(kind, garch, windows_of, comparison_of_sets):
    pytest.importorskip("arch")
    rng = np.random.default_rng(1)
    series = garch(rng, n=1, length=2000).ravel() / 100
    if kind == "noise":
        series = rng.normal(size=2000) / 100
    if kind == "repeated zeros":
        series[rng.random(2000) < 0.3] = 0.0
    train, test = windows_of(series, 0, 1500), windows_of(series, 1500, 2000)
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


def test_clustering_and_leverage_are_found_where_they_are(garch):
    rng = np.random.default_rng(0)
    more = np.arange(0, 24_001, 60), 1, 200
    alone, clustered = rng.normal(size=24_000), garch(rng).ravel()
    levered = garch(rng, news=0.02, leverage=0.25).ravel()
    assert abs(lagged_correlation(np.abs(alone), np.abs(alone), *more)) < 5 / np.sqrt(24_000)
    assert lagged_correlation(np.abs(clustered), np.abs(clustered), *more) > 0.1
    assert lagged_correlation(levered, np.abs(levered), *more) < -5 / np.sqrt(24_000)


def test_the_section_sets_generated_series_beside_real_ones(garch, samples_of, comparison_of_sets):
    rng = np.random.default_rng(0)
    real, plain = samples_of(r=garch(rng).tolist()), samples_of(r=rng.normal(size=(400, 60)).tolist())
    section = returns(comparison_of_sets(real, plain))
    assert section.figures["r, clustering, lag 1, held out"] > 0.1
    assert abs(section.figures["r, clustering, lag 1"]) < 5 / np.sqrt(24_000)
    assert section.figures["r, excess kurtosis"] < section.figures["r, excess kurtosis, held out"]
    assert not returns(comparison_of_sets(samples_of(x=[[1.0, 2.0]]), samples_of(x=[[1.0, 2.0]]))).available
