"""Where training begins: at the life table of the lengths, and at the first-order autoregression of every number.

The simplest model of the data does both, and the network holds either as it is: the hazard has a bias for each
position, and the direct path takes a value of the step before to the location of its own distribution. So the
recurrence need not learn to count or to repeat, and little data does not leave the model behind such baselines.
"""

from typing import NamedTuple

import equinox as eqx
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.encoded import Encoded
from unspool.network.decoder import Net
from unspool.network.distributions.circular import circular_of, of_all_params
from unspool.network.embeddings import MISSING_ANGLE
from unspool.network.lstm import to_weights
from unspool.network.survival import life_table

MIN_STEPS_FOR_AR1 = 8
"""Steps, at the least, that an autoregression or a standard deviation is fitted to."""
MIN_INITIAL_SCALE = 0.1
"""The smallest scale to begin with: with less, the first updates would move locations by many scales."""


def initialize_from_data(net: Net, training: Encoded) -> Net:
    """A fresh network that begins at the life table and the autoregressions of the training sequences."""
    if net.stop is not None:
        hazard = life_table(training.lengths, net.shape.positions)
        net = eqx.tree_at(lambda net: net.stop[1], net, to_weights(np.log(hazard / (1 - hazard))))
    bias, start = np.array(net.outputs.b), np.array(net.start)
    feedback = [np.array(part) for part in net.feedback]
    ends = np.cumsum([dist.num_params for dist in net.shape.distributions])
    for j, (dist, end) in enumerate(zip(net.shape.distributions, ends, strict=True)):
        if dist.event_shape.symbols is not None or dist.event_shape.members is not None:
            continue
        own = slice(end - dist.num_params, end)
        direct = slice(own.start + 4 * net.shape.size, own.stop + 4 * net.shape.size)
        circular = circular_of(dist)
        if circular is not None:
            known = bool(net.shape.before) and net.shape.before[j] is not None
            bias[own] = dist.initial_params()
            start[direct] = 0.0 if known else of_all_params(dist, circular.without_value_before)
            feedback[j][:, direct] = 0.0
            feedback[j][MISSING_ANGLE, direct] = of_all_params(dist, circular.without_value_before)
            continue
        chain = fit_ar1(training.steps[j], training.offsets)
        bias[own] = dist.initial_params(chain.constant, chain.scale)
        start[direct] = dist.initial_params(*chain.first) - bias[own]
        feedback[j][0, direct] = chain.slope * (dist.initial_params(1.0) - dist.initial_params(0.0))
        feedback[j][1, direct] = dist.initial_params(*chain.after_missing) - bias[own]
    fitted = to_weights(bias), to_weights(start), tuple(map(to_weights, feedback))
    return eqx.tree_at(lambda net: (net.outputs.b, net.start, net.feedback), net, fitted)


class AR1(NamedTuple):
    """An autoregression of order one, of values in the network's units.

    Attributes:
        constant: mean of a value after zero.
        slope: of a value on the one before it.
        scale: standard deviation of the residuals.
        foreseen: share of the variance that the value before foresees.
        first: mean and standard deviation of first values.
        after_missing: mean and standard deviation of values after a missing one.
    """

    constant: float
    slope: float
    scale: float
    foreseen: float
    first: tuple[float, float]
    after_missing: tuple[float, float]


def fit_ar1(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> AR1:
    """Least squares over all present steps after a present one, of (S,) ragged values, NaN where missing.

    Examples:
        >>> chain = fit_ar1(0.5 ** np.arange(20.0), np.array([0, 20]))
        >>> round(chain.slope, 6), round(chain.constant, 6), chain.scale
        (0.5, 0.0, 0.1)
    """
    first = np.zeros(len(values), bool)
    first[offsets[:-1][np.diff(offsets) > 0]] = True
    before = np.concatenate([[np.nan], values[:-1]])
    before[first] = np.nan
    present = ~np.isnan(values)
    chained = present & ~np.isnan(before)
    overall = _mean_and_scale(values[present])
    x, y = before[chained], values[chained]
    if len(y) < MIN_STEPS_FOR_AR1 or not x.std() > 0:
        return AR1(overall[0], 0.0, overall[1], 0.0, overall, overall)
    slope = float(((x - x.mean()) * (y - y.mean())).mean() / x.var())
    others = [values[present & some] for some in (first, ~first & np.isnan(before))]
    constant, scale = _mean_and_scale(y - slope * x)
    foreseen = slope**2 * float(x.var() / y.var()) if y.std() > 0 else 0.0
    other = (_mean_and_scale(some) if len(some) >= MIN_STEPS_FOR_AR1 else overall for some in others)
    return AR1(constant, slope, scale, foreseen, *other)


def _mean_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of values; of too few, those of standardized data."""
    if len(values) < MIN_STEPS_FOR_AR1:
        return 0.0, 1.0
    return float(values.mean()), max(MIN_INITIAL_SCALE, float(values.std()))
