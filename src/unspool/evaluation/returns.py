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
        raise MissingExtra("constant_student", "SciPy", "none", "pip install 'unspool[examples]'") from None
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
