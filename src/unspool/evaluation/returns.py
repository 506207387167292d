"""Baselines for returns: a constant Student's t, and GARCH(1,1) with Student's t."""

import numpy as np
from numpy.typing import NDArray

from unspool.errors import MissingExtra


def constant_student(train: NDArray[np.float64], test: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-density of each test return under one Student's t fitted to the training returns by maximum likelihood.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    try:
        from scipy import stats
    except ImportError:
        raise MissingExtra("constant_student", "SciPy", "none", "pip install 'unspool[report]'") from None
    return np.asarray(stats.t.logpdf(test, *stats.t.fit(train)))


def garch_student(returns: NDArray[np.float64], train: int) -> NDArray[np.float64]:
    """Log-density of every return under GARCH(1,1)-t (Bollerslev 1987), one day ahead, given all days before.

    Args:
        returns: daily log-returns, the training days first.
        train: how many of them the parameters are fitted to.

    Raises:
        MissingExtra: the package `arch` is not installed.
    """
    try:
        from arch import arch_model
    except ImportError:
        raise MissingExtra("garch_student", "the package arch", "none", "pip install 'unspool[examples]'") from None
    percent = 100 * returns
    fitted = arch_model(percent[:train], dist="t").fit(disp="off")
    model = arch_model(percent, dist="t")
    mean, *_volatility, freedom = fitted.params.to_numpy()
    sigma2 = np.asarray(model.fix(fitted.params).conditional_volatility) ** 2
    density = model.distribution.loglikelihood(np.array([freedom]), percent - mean, sigma2, individual=True)
    return np.asarray(density) + np.log(100)


def rejoined(
    values: NDArray[np.float64], offsets: NDArray[np.int64], starts: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """The series that windows were cut from, and where in it each of their steps is.

    Args:
        values: (S,) of all windows laid end to end.
        offsets: (N + 1,).
        starts: (N,) where each window begins; None for what are no windows.

    Returns:
        None where the windows don't cover one stretch without a hole, or a value is missing.

    Examples:
        >>> rejoined(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0, 2, 4]), np.array([5, 6]))
        (array([1., 2., 3.]), array([0, 1, 1, 2]))
    """
    if starts is None or not len(values) or np.isnan(values).any():
        return None
    lengths = np.diff(offsets)
    at = np.repeat(starts - starts.min(), lengths) + np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
    series = np.full(int(at.max()) + 1, np.nan)
    series[at] = values
    return None if np.isnan(series).any() else (series, at)


def is_return(series: NDArray[np.float64]) -> bool:
    """Whether a series behaves as returns do (Cont 2001, "Empirical properties of asset returns").

    They change sign, are next to uncorrelated from one to the next, but their sizes are correlated.
    """
    if len(series) < 250 or not series.std() or abs(series.mean()) > 0.5 * series.std():
        return False
    after = lambda x: float(np.corrcoef(x[:-1], x[1:])[0, 1])  # noqa: E731
    return abs(after(series)) < 0.2 and after(np.abs(series)) > 2 / float(np.sqrt(len(series)))
