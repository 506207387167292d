"""Where training begins: at the life table of the lengths, and at the first-order autoregression of every number.

Both are what the simplest model of the data does, and the network holds either as it is: the hazard has a bias for each
position, and the direct path takes a value of the step before to the location of its own distribution. So the
recurrence need not learn to count or to repeat, and little data does not leave the model behind such baselines.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Encoded
from unspool.network.decoder import Net
from unspool.network.survival import life_table

MIN_STEPS_FOR_AR1 = 8
"""Steps, at the least, that an autoregression or a spread is fitted to."""
MIN_INITIAL_SCALE = 0.1
"""The smallest spread to begin with: with less, the first updates would throw locations many spreads away."""


def initialize_from_data(net: Net, learned: Encoded) -> Net:
    """A fresh network with the life table of the lengths and the autoregressions of the numbers of some sequences."""
    if net.stop is not None:
        hazard = life_table(learned.lengths, net.shape.positions)
        net = eqx.tree_at(lambda net: net.stop[1], net, jnp.asarray(np.log(hazard / (1 - hazard)), jnp.float32))
    bias, start = (np.array(part) for part in (net.outputs.b, net.start))
    feedback = [np.array(part) for part in net.feedback]
    at, gates = 0, 4 * net.shape.size
    for j, dist in enumerate(net.shape.distributions):
        own = slice(at, at := at + dist.num_params)
        if dist.event.symbols is not None or dist.event.members is not None:
            continue
        chain = fit_ar1(learned.steps[j], learned.offsets)
        direct = slice(gates + own.start, gates + own.stop)
        bias[own] = dist.initial_params(chain.constant, chain.spread)
        start[direct] = dist.initial_params(*chain.first) - bias[own]
        feedback[j][0, direct] = chain.slope * (dist.initial_params(1.0) - dist.initial_params(0.0))
        feedback[j][1, direct] = dist.initial_params(*chain.lost) - bias[own]
    where = lambda net: (net.outputs.b, net.start, net.feedback)  # noqa: E731
    return eqx.tree_at(where, net, (*(jnp.asarray(part) for part in (bias, start)), tuple(map(jnp.asarray, feedback))))


class AR1(NamedTuple):
    """An autoregression of order one, of values in the network's units.

    Attributes:
        constant: of a value after one that is zero.
        slope: what a value passes on.
        spread: of what is left.
        foreseen: share of the variance that it foresees.
        first: mean and spread of first values.
        lost: mean and spread of values after one that is missing.
    """

    constant: float
    slope: float
    spread: float
    foreseen: float
    first: tuple[float, float]
    lost: tuple[float, float]


def fit_ar1(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> AR1:
    """Least squares over all steps that are present after one that is.

    Args:
        values: (S,) of sequences laid end to end, NaN where missing.
        offsets: (N + 1,) where each begins.

    Examples:
        >>> chain = fit_ar1(0.5 ** np.arange(20.0), np.array([0, 20]))
        >>> round(chain.slope, 6), round(chain.constant, 6), chain.spread
        (0.5, 0.0, 0.1)
    """
    lengths = np.diff(offsets)
    first = np.zeros(len(values), bool)
    first[offsets[:-1][lengths > 0]] = True
    before = np.concatenate([[np.nan], values[:-1]])
    before[first] = np.nan
    present = ~np.isnan(values)
    every = _centre(values[present])
    chained = present & ~np.isnan(before)
    x, y = before[chained], values[chained]
    if len(y) < MIN_STEPS_FOR_AR1 or not x.std() > 0:
        return AR1(every[0], 0.0, every[1], 0.0, every, every)
    slope = float(((x - x.mean()) * (y - y.mean())).mean() / x.var())
    constant, spread = _centre(y - slope * x)
    others = [values[present & some] for some in (first, ~first & np.isnan(before))]
    foreseen = slope**2 * float(x.var() / y.var()) if y.std() > 0 else 0.0
    return AR1(
        constant,
        slope,
        spread,
        foreseen,
        *(_centre(some) if len(some) >= MIN_STEPS_FOR_AR1 else every for some in others),
    )


def _centre(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and spread of some values; of none those of standardized data."""
    return (
        (float(values.mean()), max(MIN_INITIAL_SCALE, float(values.std())))
        if len(values) >= MIN_STEPS_FOR_AR1
        else (0.0, 1.0)
    )
