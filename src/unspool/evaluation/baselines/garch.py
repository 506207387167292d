"""Baselines for returns: a constant Student's t, and GARCH(1,1) with Student's t."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
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
    garch = _fitted(returns, train)
    shocks = 100 * returns - garch.mean
    density = garch.noise.loglikelihood(np.array([garch.freedom]), shocks, garch.variance, individual=True)
    return np.asarray(density) + np.log(100)


def garch_paths(
    returns: NDArray[np.float64], train: int, at: NDArray[np.int64], length: int, samples: int, seed: int
) -> NDArray[np.float64]:
    """Paths that GARCH(1,1)-t draws from some days on, each after all real returns before it.

        r_t = mean + s_t z_t,   s_t^2 = constant + news (s_{t-1} z_{t-1})^2 + memory s_{t-1}^2

    with z of a Student's t of variance one (Bollerslev 1987). The first s is that of the returns up to the day before.

    Args:
        returns: daily log-returns, the training days first.
        train: how many of them the parameters are fitted to.
        at: (N,) the positions of the first days that are drawn.
        length: days of a path.
        samples: paths from each.
        seed: of the draws.

    Returns:
        (N, samples, length) log-returns.

    Raises:
        MissingExtra: the package `arch` is not installed.
    """
    garch = _fitted(returns, train)
    rng = np.random.default_rng([seed, 11])
    variance = np.repeat(garch.variance[at, None], samples, axis=1)
    paths = np.empty((len(at), samples, length))
    unit = np.sqrt((garch.freedom - 2) / garch.freedom)
    for t in range(length):
        shock = np.sqrt(variance) * unit * rng.standard_t(garch.freedom, variance.shape)
        paths[..., t] = (garch.mean + shock) / 100
        variance = garch.constant + garch.news * shock**2 + garch.memory * variance
    return paths


def garch_windows(train: Examples, test: Examples, asked: Examples, samples: int, seed: int) -> Examples | None:
    """Paths of GARCH(1,1)-t for windows of returns, each after all that is known of the days before it.

    These are the days of the windows to learn from, and of those held out up to the first day of each.

    Args:
        train: to learn from.
        test: all windows held out, whose days join to one series.
        asked: those of them that paths are made for.
        samples: paths for each, row after row.
        seed: of the draws.

    Returns:
        None where the steps are not one number that behaves as returns do, or the package `arch` is not installed.
    """
    (name, *more) = test.steps
    if (
        more
        or asked.starts is None
        or test.starts is None
        or any(x.steps[name].dtype.kind != "f" for x in (train, test))
    ):
        return None
    learned, judged = (rejoined(side.steps[name], side.offsets, side.starts) for side in (train, test))
    if learned is None or judged is None or not is_return(learned[0]):
        return None
    days = len(learned[0])
    length = int(asked.lengths[0])
    try:
        at = days + asked.starts - test.starts.min()
        paths = garch_paths(np.concatenate([learned[0], judged[0]]), days, at, length, samples, seed)
    except MissingExtra:
        return None
    inputs = {name: np.repeat(column, samples, axis=0) for name, column in asked.inputs.items()}
    return Examples(inputs, {name: paths.ravel()}, np.arange(len(at) * samples + 1) * length, location="GARCH(1,1)-t")


class _Garch(NamedTuple):
    """A fitted GARCH(1,1)-t, in per cent, with (T,) the variance of each day given all days before."""

    mean: float
    constant: float
    news: float
    memory: float
    freedom: float
    variance: NDArray[np.float64]
    noise: Any


def _fitted(returns: NDArray[np.float64], train: int) -> _Garch:
    try:
        from arch import arch_model
    except ImportError:
        raise MissingExtra("GARCH", "the package arch", "none", "pip install 'unspool[examples]'") from None
    percent = 100 * returns
    parameters = arch_model(percent[:train], dist="t").fit(disp="off").params
    model = arch_model(percent, dist="t")
    variance = np.asarray(model.fix(parameters).conditional_volatility) ** 2
    mean, constant, news, memory, freedom = parameters.to_numpy().tolist()
    return _Garch(mean, constant, news, memory, freedom, variance, model.distribution)


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
