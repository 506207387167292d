"""The baseline for windows of returns: GARCH(1,1) with Student's t, which knows every day before."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from unspool.errors import MissingExtra
from unspool.evaluation.samples.return_series import are_returns
from unspool.evaluation.samples.sample_set import SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals

GARCH_NAME = "GARCH(1,1)-t, every day before known"


@dataclass(frozen=True, eq=False)
class Garch:
    """A fitted GARCH(1,1)-t (Bollerslev 1987) of returns in per cent, over a series of T days.

        r_t = mean + s_t z_t,   s_t^2 = constant + news (s_{t-1} z_{t-1})^2 + memory s_{t-1}^2

    with z of a Student's t of variance one. The parameters are mean, constant, news, memory, and the degrees of freedom
    of z. The (T,) variances are s_t^2, given all days before; the density of z is that of the package `arch`.
    """

    parameters: Reals
    variance: Reals
    percent: Reals
    density: Any

    def log_prob(self) -> Reals:
        """(T,) log-density of every return, one day ahead, given all days before."""
        shocks = self.percent - self.parameters[0]
        nats = self.density.loglikelihood(self.parameters[4:], shocks, self.variance, individual=True)
        return np.asarray(nats) + np.log(100)  # of returns, not of per cent

    def sample(self, at: Codes, length: int, samples: int, seed: int) -> Reals:
        """(N, samples, length) log-returns from (N,) days on, each sequence after all real returns before it."""
        rng = np.random.default_rng([seed, 11])
        mean, constant, news, memory, freedom = self.parameters.tolist()
        variance = np.repeat(self.variance[at, None], samples, axis=1)
        out = np.empty((len(at), samples, length))
        unit = np.sqrt((freedom - 2) / freedom)
        for t in range(length):
            shock = np.sqrt(variance) * unit * rng.standard_t(freedom, variance.shape)
            out[..., t] = (mean + shock) / 100
            variance = constant + news * shock**2 + memory * variance
        return out


def fit_garch(returns: Reals, train: int) -> Garch:
    """Fit to the first `train` days of (T,) log-returns by maximum likelihood, or `MissingExtra` without `arch`."""
    try:
        from arch import arch_model
    except ImportError:
        raise MissingExtra("GARCH", "the package arch", "none", "pip install 'unspool[examples]'") from None
    percent = 100 * returns
    parameters = arch_model(percent[:train], dist="t").fit(disp="off").params
    model = arch_model(percent, dist="t")
    variance = np.asarray(model.fix(parameters).conditional_volatility) ** 2
    return Garch(parameters.to_numpy(), variance, percent, model.distribution)


@dataclass(frozen=True, eq=False)
class WindowedGarch:
    """A GARCH(1,1)-t fitted to the days of training windows.

    Attributes:
        garch: over the days of the training windows and, after them, those of the held-out windows.
        days: of the training windows.
        first: position in its series of the first held-out day.
        at: (S,) the held-out day of every step of the held-out windows, from 0.
    """

    garch: Garch
    days: int
    first: int
    at: Codes

    @classmethod
    def fit(cls, train: SampleSet, test: SampleSet) -> "WindowedGarch | None":
        """The fit; None unless the only field is windows of returns, and the package `arch` is installed."""
        if len(train.numbers) != 1 or train.symbols or train.starts is None or test.starts is None:
            return None
        (name,) = train.numbers
        learned, judged = (rejoined(part.numbers[name], part) for part in (train, test))
        if learned is None or judged is None:
            return None
        days = len(learned[0])
        if not are_returns(learned[0], np.array([0, days])):
            return None
        try:
            garch = fit_garch(np.concatenate([learned[0], judged[0]]), days)
        except MissingExtra:
            return None
        return cls(garch, days, int(test.starts.min()), judged[1])

    def log_prob(self) -> Reals:
        """(S,) log-density of every step of the held-out windows."""
        return self.garch.log_prob()[self.days :][self.at]

    def sample(self, windows: SampleSet, samples: int, seed: int) -> SampleSet:
        """Forecasts for some held-out windows, `samples` for each, row after row."""
        (name,), length = windows.numbers, int(windows.lengths[0])
        at = self.days + np.asarray(windows.starts) - self.first
        returns = self.garch.sample(at, length, samples, seed)
        return SampleSet(np.arange(len(at) * samples + 1) * length, {name: returns.ravel()})


def rejoined(values: Reals, windows: SampleSet) -> tuple[Reals, Codes] | None:
    """The series that windows were cut from, and (S,) the position in the series of each of their steps.

    None if the windows don't cover one stretch without a hole, or if one of the (S,) values is missing.

    Examples:
        >>> windows = SampleSet(np.array([0, 2, 4]), starts=np.array([5, 6]))
        >>> rejoined(np.array([1.0, 2.0, 2.0, 3.0]), windows)
        (array([1., 2., 3.]), array([0, 1, 1, 2]))
    """
    if windows.starts is None or not len(values) or np.isnan(values).any():
        return None
    at = (windows.starts - windows.starts.min())[windows.owner] + windows.position
    series = np.full(int(at.max()) + 1, np.nan)
    series[at] = values
    return None if np.isnan(series).any() else (series, at)
