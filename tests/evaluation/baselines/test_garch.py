"""The baselines of returns, against their own definitions."""

import numpy as np
import pytest

from unspool.dataset.examples import gather
from unspool.dataset.windows import windows
from unspool.evaluation.baselines.garch import constant_student, garch_paths, garch_student, garch_windows

stats = pytest.importorskip("scipy.stats")
pytest.importorskip("arch")


def test_a_constant_student_comes_near_the_density_that_drew():
    drawn = 0.01 * stats.t.rvs(5, size=4000, random_state=0)
    true = stats.t.logpdf(drawn[3000:] / 0.01, 5) - np.log(0.01)
    lost = true - constant_student(drawn[:3000], drawn[3000:])
    assert abs(lost.mean()) < 5 * lost.std() / np.sqrt(len(lost)) + 3 / (2 * 3000)


def test_garch_comes_near_the_truth_where_it_is_the_truth_and_beats_a_constant():
    """Densities are of the returns themselves, not of the per cent that the library prefers."""
    returns, variance = drawn(6000)
    scale = np.sqrt(variance * 4 / 6)
    true = stats.t.logpdf(returns / scale, 6) - np.log(scale)
    given = garch_student(returns, 4500)[4500:]
    assert abs((true[4500:] - given).mean()) < 0.01
    assert given.mean() > constant_student(returns[:4500], returns[4500:]).mean()


def test_paths_of_garch_have_the_variance_that_the_truth_expects_after_these_days():
    """E s_{t+k}^2 = level + (news + memory)^k (s_t^2 - level), of the process itself."""
    returns, variance = drawn(40_000)
    calm, wild = (38_000 + int(sign(variance[38_000:-20])) for sign in (np.argmin, np.argmax))
    paths = garch_paths(returns, 38_000, np.array([calm, wild]), 20, 20_000, seed=0)
    assert paths.shape == (2, 20_000, 20)
    level, days = 2e-6 / 0.02, np.arange(20)
    for row, at in enumerate((calm, wild)):
        expected = level + 0.98**days * (variance[at] - level)
        # 10 %: what the error of fitted parameters does to a variance at these two extremes
        np.testing.assert_allclose((paths[row] ** 2).mean(0), expected, rtol=0.1)
    size = np.abs(paths[0])
    assert np.corrcoef(size[:, 18], size[:, 19])[0, 1] > 5 / np.sqrt(20_000), "volatility clusters"


def test_windows_of_returns_get_paths_that_know_the_days_before_and_windows_of_levels_none():
    returns, variance = drawn(3000)

    def sides(series):
        table = {"day": np.arange(len(series)), "state": np.abs(series), "x": series}
        part = lambda rows: {name: column[rows] for name, column in table.items()}  # noqa: E731
        cut = lambda rows: gather(windows(part(rows), order="day", length=5, inputs=["state"], sequence=["x"]))  # noqa: E731
        return cut(slice(2400))[1], cut(slice(2405, None))[1]

    train, test = sides(returns)
    some = np.array([0, 100, 300])
    paths = garch_windows(train, test, test.take(some), 400, 0)
    assert len(paths) == 3 * 400
    spread = paths.steps["x"].reshape(3, 400, 5)[:, :, 0].std(1)
    true = np.sqrt(variance[2405 + test.starts[some]])
    np.testing.assert_allclose(spread, true, rtol=0.25)
    train, test = sides(np.cumsum(returns))
    assert garch_windows(train, test, test, 10, 0) is None


def drawn(days):
    """Returns of a GARCH(1,1) with a Student's t of 6, and the variance of each."""
    noise = np.random.default_rng(0).standard_t(6, days) * np.sqrt(4 / 6)
    returns, variance = np.zeros(days), np.full(days + 1, 1e-4)
    for t in range(days):
        returns[t] = np.sqrt(variance[t]) * noise[t]
        variance[t + 1] = 2e-6 + 0.1 * returns[t] ** 2 + 0.88 * variance[t]
    return returns, variance[:-1]
