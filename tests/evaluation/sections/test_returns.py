"""The facts of returns, on series whose facts are known."""

import numpy as np
import pytest

from unspool.evaluation.sections.returns import are_returns, drawdowns, echo, excess_kurtosis, returns, stylised

stats = pytest.importorskip("scipy.stats")


def garch(rng, n=400, length=60, a=0.15, b=0.8, leverage=0.0):
    r, variance = np.zeros((n, length)), np.full(n, 1.0)
    for t in range(-100, length):
        drawn = np.sqrt(variance) * rng.normal(size=n)
        r[:, max(t, 0)] = drawn
        variance = 0.05 + a * drawn**2 + leverage * drawn**2 * (drawn < 0) + b * variance
    return r


def test_what_is_like_returns_is_told_by_its_values():
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 24_001, 60)
    r = garch(rng).ravel()
    assert are_returns(r, offsets)
    assert not are_returns(r + 5, offsets)  # not centred
    assert not are_returns(np.cumsum(r), offsets)  # a path, not its changes
    assert not are_returns(np.abs(r), offsets)
    assert not are_returns(np.where(rng.random(r.size) < 0.3, 0.0, r), offsets)  # an atom
    assert not are_returns(r[:120], offsets[:3])  # too few


def test_prices_become_returns_by_their_transform(side_of):
    side = side_of(p=[[1.0, np.e, np.e], [2.0, 4.0]])
    np.testing.assert_allclose(returns(side, "p", "log_return"), [np.nan, 1, 0, np.nan, np.log(2)])
    np.testing.assert_allclose(returns(side, "p", "difference"), [np.nan, np.e - 1, 0, np.nan, 2])
    assert returns(side, "p", "standardise") is side.numbers["p"]


def test_kurtosis_is_that_of_scipy():
    values = np.random.default_rng(0).standard_t(5, 300)
    assert excess_kurtosis(np.append(values, np.nan)) == pytest.approx(stats.kurtosis(values))


def test_a_drawdown_is_the_deepest_fall_from_the_highest_so_far(side_of):
    side = side_of(r=[[1.0, 2.0, -4.0, 1.0, -1.0], [-3.0, 1.0], [1.0, 1.0]])
    assert drawdowns(side, side.numbers["r"]).tolist() == [4.0, 3.0, 0.0]


def test_clustering_and_leverage_are_found_where_they_are():
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 24_001, 60)
    alone, clustered, levered = rng.normal(size=24_000), garch(rng).ravel(), garch(rng, a=0.02, leverage=0.25).ravel()
    assert abs(echo(offsets, np.abs(alone), np.abs(alone), 1)) < 5 / np.sqrt(24_000)
    assert echo(offsets, np.abs(clustered), np.abs(clustered), 1) > 0.1
    assert echo(offsets, levered, np.abs(levered), 1) < -5 / np.sqrt(24_000)


def test_the_section_sets_generated_series_beside_real_ones(side_of, material_of):
    rng = np.random.default_rng(0)
    real, plain = side_of(r=garch(rng).tolist()), side_of(r=rng.normal(size=(400, 60)).tolist())
    section = stylised(material_of(real, plain))
    assert section.figures["r, clustering, lag 1, held out"] > 0.1
    assert abs(section.figures["r, clustering, lag 1"]) < 5 / np.sqrt(24_000)
    assert section.figures["r, excess kurtosis"] < section.figures["r, excess kurtosis, held out"]
    assert not stylised(material_of(side_of(x=[[1.0, 2.0]]), side_of(x=[[1.0, 2.0]]))).made
