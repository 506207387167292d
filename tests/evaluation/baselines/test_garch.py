"""The baseline of returns, against its own definition."""

import numpy as np
import pytest

from unspool.evaluation.baselines.garch import WindowedGarch, fit_garch

stats = pytest.importorskip("scipy.stats")
pytest.importorskip("arch")


@pytest.fixture
def sampled(simulate_garch):
    """Returns of a GARCH(1,1) with a Student's t of 6, and the variance of each."""

    def sample(days):
        noise = np.random.default_rng(0).standard_t(6, days) * np.sqrt(4 / 6)
        return simulate_garch(noise, 2e-6, 0.1, 0.88, start=1e-4)

    return sample


def test_the_density_comes_near_the_truth_where_it_is_the_truth_and_beats_a_constant(sampled):
    """Densities are of the returns themselves, not of the per cent that the library prefers."""
    returns, variance = sampled(6000)
    scale = np.sqrt(variance * 4 / 6)
    true = stats.t.logpdf(returns / scale, 6) - np.log(scale)
    given = fit_garch(returns, 4500).log_prob()[4500:]
    assert abs((true[4500:] - given).mean()) < 0.01
    assert given.mean() > stats.t.logpdf(returns[4500:], *stats.t.fit(returns[:4500])).mean()


def test_samples_have_the_variance_that_the_truth_expects_after_these_days(sampled):
    """E s_{t+k}^2 = level + (news + memory)^k (s_t^2 - level), of the process itself."""
    returns, variance = sampled(40_000)
    calm, wild = (38_000 + int(sign(variance[38_000:-20])) for sign in (np.argmin, np.argmax))
    paths = fit_garch(returns, 38_000).sample(np.array([calm, wild]), 20, 20_000, seed=0)
    assert paths.shape == (2, 20_000, 20)
    level, days = 2e-6 / 0.02, np.arange(20)
    for row, at in enumerate((calm, wild)):
        expected = level + 0.98**days * (variance[at] - level)
        # 10 %: what the error of fitted parameters does to a variance at these two extremes
        np.testing.assert_allclose((paths[row] ** 2).mean(0), expected, rtol=0.1)
    size = np.abs(paths[0])
    assert np.corrcoef(size[:, 18], size[:, 19])[0, 1] > 5 / np.sqrt(20_000), "volatility clusters"


def test_windows_of_returns_get_forecasts_that_know_the_days_before_and_windows_of_levels_none(sampled, windows_of):
    returns, variance = sampled(3000)
    train, test = windows_of(returns, 0, 2400), windows_of(returns, 2405, 3000)
    some = np.array([0, 100, 300])
    garch = WindowedGarch.fit(train, test)
    assert garch.log_prob().shape == test.numbers["r"].shape
    forecasts = garch.sample(test.take(some), 400, 0)
    assert len(forecasts) == 3 * 400
    spread = forecasts.numbers["r"].reshape(3, 400, 5)[:, :, 0].std(1)
    np.testing.assert_allclose(spread, np.sqrt(variance[2405 + some]), rtol=0.25)
    levels = np.cumsum(returns)
    assert WindowedGarch.fit(windows_of(levels, 0, 2400), windows_of(levels, 2405, 3000)) is None
