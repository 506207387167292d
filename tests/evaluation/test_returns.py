"""The baselines of returns, against their own definitions."""

import numpy as np
import pytest

from unspool.evaluation.returns import constant_student, garch_student

stats = pytest.importorskip("scipy.stats")
pytest.importorskip("arch")


def test_a_constant_student_comes_near_the_density_that_drew():
    drawn = 0.01 * stats.t.rvs(5, size=4000, random_state=0)
    true = stats.t.logpdf(drawn[3000:] / 0.01, 5) - np.log(0.01)
    lost = true - constant_student(drawn[:3000], drawn[3000:])
    assert abs(lost.mean()) < 5 * lost.std() / np.sqrt(len(lost)) + 3 / (2 * 3000)


def test_garch_comes_near_the_truth_where_it_is_the_truth_and_beats_a_constant():
    """Densities are of the returns themselves, not of the per cent that the library prefers."""
    rng = np.random.default_rng(0)
    noise = rng.standard_t(6, 6000) * np.sqrt(4 / 6)
    returns, true, variance = np.zeros(6000), np.zeros(6000), 1e-4
    for t in range(6000):
        returns[t] = np.sqrt(variance) * noise[t]
        scale = np.sqrt(variance * 4 / 6)
        true[t] = stats.t.logpdf(returns[t] / scale, 6) - np.log(scale)
        variance = 2e-6 + 0.1 * returns[t] ** 2 + 0.88 * variance
    given = garch_student(returns, 4500)[4500:]
    assert abs((true[4500:] - given).mean()) < 0.01
    assert given.mean() > constant_student(returns[:4500], returns[4500:]).mean()
