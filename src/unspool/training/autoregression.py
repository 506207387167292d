"""The simplest model of a number in a sequence: an autoregression, and what it leaves as a mixture of normals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.network.distributions.mixture import Components

MIN_STEPS_FOR_AR1 = 8
"""Steps, at the least, that an autoregression or a standard deviation is fitted to."""
MIN_CHANGE_GAIN = 10.0
"""Twice the gain in nats, over all steps, from which on an autoregression takes the last change too: more than three
standard errors of its slope."""
MIN_INITIAL_SCALE, MAX_INITIAL_SCALE = 0.1, 100.0
"""Bounds of a scale to begin with: with less, the first updates would move locations by many scales."""
MIN_STEPS_PER_COMPONENT, MAX_STEPS_FOR_COMPONENTS, COMPONENT_ROUNDS = 20, 5_000, 40
"""Steps that each normal of innovations needs, the most that a mixture is fitted to, and rounds of that."""
STEPS_BEFORE = 3.0
"""Steps that every component begins with, around the median: none shrinks onto a few innovations."""
NARROWEST, WIDEST, APART = 0.4, 3.0, 0.5
"""Scales of the first and the last component to begin with, and how far they are from the median, in robust standard
deviations."""
ROBUST_SCALE, MIN_ROBUST_SHARE = 1.4826, 0.1
"""The standard deviation of a normal, by the median of its distances from the median; and the share of the standard
deviation that it is at the least, since more than half of the distances may be zero."""


class AR1(NamedTuple):
    """An autoregression of order one, of values in the network's units, with the last change beside the last value.

    The second slope makes it one of order two: 0.5 is momentum, -0.5 noise around a level that stays.

    Attributes:
        constant: mean of a value after zero.
        slope: of a value on the one before it.
        scale: standard deviation of the residuals.
        foreseen: share of the variance that the value before foresees.
        first: mean and standard deviation of first values.
        after_missing: mean and standard deviation of values after a missing one.
        change: slope on the last change, which counts as 0 where it isn't known; 0 where it explains too little.
        is_constant: whether all values with one before them are equal.
    """

    constant: float
    slope: float
    scale: float
    foreseen: float
    first: tuple[float, float]
    after_missing: tuple[float, float]
    change: float = 0.0
    is_constant: bool = False

    def innovations(self, values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        """(S,) values less their prediction from the step before."""
        before, change = last_and_change(values, offsets)
        foreseen = self.constant + self.slope * np.nan_to_num(before) + self.change * change
        expected = np.where(np.isnan(before), self.after_missing[0], foreseen)
        expected[offsets[:-1][np.diff(offsets) > 0]] = self.first[0]
        return values - expected


def fit_ar1(values: NDArray[np.float64], offsets: NDArray[np.int64], *, changes_too: bool = True) -> AR1:
    """Least squares over all present steps after a present one, of (S,) ragged values, NaN where missing.

    With `changes_too` also on the last change, where that gains enough.

    Examples:
        >>> chain = fit_ar1(0.5 ** np.arange(20.0), np.array([0, 20]))
        >>> round(chain.slope, 6), round(chain.constant, 6), chain.scale
        (0.5, 0.0, 0.1)
    """
    first = np.zeros(len(values), bool)
    first[offsets[:-1][np.diff(offsets) > 0]] = True
    before, changes = last_and_change(values, offsets)
    present = ~np.isnan(values)
    chained = present & ~np.isnan(before)
    overall = _mean_and_scale(values[present])
    x, y = before[chained], values[chained]
    is_constant = len(y) >= MIN_STEPS_FOR_AR1 and float(np.ptp(y)) == 0.0
    if len(y) < MIN_STEPS_FOR_AR1 or not x.std() > 0:
        return AR1(overall[0], 0.0, overall[1], 0.0, overall, overall, is_constant=is_constant)
    slope = float(((x - x.mean()) * (y - y.mean())).mean() / x.var())
    others = [values[present & some] for some in (first, ~first & np.isnan(before))]
    foreseen = slope**2 * float(x.var() / y.var()) if y.std() > 0 else 0.0
    slope, change = _with_change(x, changes[chained], y, slope) if changes_too else (slope, 0.0)
    constant, scale = _mean_and_scale(y - slope * x - change * changes[chained])
    first_values, after_missing = (
        _mean_and_scale(some) if len(some) >= MIN_STEPS_FOR_AR1 else overall for some in others
    )
    return AR1(constant, slope, scale, foreseen, first_values, after_missing, change, is_constant)


def fit_components(
    values: NDArray[np.float64], offsets: NDArray[np.int64], chain: AR1, count: int, counted: NDArray[np.bool_]
) -> tuple[AR1, Components | None]:
    """The autoregression of likeliest innovations, if these are a mixture of `count` normals, and this mixture.

    Most innovations are heavier in their tails than a normal, so that least squares follow the few largest. From
    there, expectation maximisation (Dempster, Laird & Rubin 1977) moves shares, means, scales and slopes in turn.

    Args:
        values: (S,) ragged, NaN where missing.
        offsets: (N + 1,).
        chain: by least squares.
        count: of normals, K.
        counted: (S,) whether the value is one of them: point masses aren't.

    Returns:
        The autoregression, and the components around its constant; `None` of too few steps.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> jumps = np.where(rng.random(2_000) < 0.1, 5.0, 0.5) * rng.standard_normal(2_000)
        >>> offsets = np.array([0, 2_000])
        >>> chain, parts = fit_components(jumps, offsets, fit_ar1(jumps, offsets), 2, np.ones(2_000, bool))
        >>> parts.shares.round(1).tolist(), parts.scales.round(1).tolist()
        ([0.9, 0.1], [0.5, 5.0])
    """
    before, changes = last_and_change(values, offsets)
    steps = np.flatnonzero(counted & ~np.isnan(values) & ~np.isnan(before))
    if len(steps) < MIN_STEPS_PER_COMPONENT * count:
        return chain, None
    steps = steps[:: -(-len(steps) // MAX_STEPS_FOR_COMPONENTS)]
    columns = [before[steps], changes[steps]] if chain.change else [before[steps]]
    x, y = np.stack([*columns, np.ones(len(steps))], 1), values[steps]
    slopes = np.array([chain.slope, chain.change, chain.constant] if chain.change else [chain.slope, chain.constant])
    left = y - x @ slopes
    middle = np.median(left)
    robust = max(ROBUST_SCALE * float(np.median(np.abs(left - middle))), MIN_ROBUST_SHARE * float(left.std()))
    spread = max(MIN_INITIAL_SCALE, robust)
    slopes[-1] += middle
    means = APART * spread * (-1.0) ** np.arange(count) * (count > 1)
    scales, shares = np.geomspace(NARROWEST, WIDEST, count) * spread, np.full(count, 1 / count)
    for _ in range(COMPONENT_ROUNDS):
        left = y - x @ slopes
        each = _log_densities(left, Components(shares, means, scales))
        each = np.exp(each - each.max(1, keepdims=True))
        each /= each.sum(1, keepdims=True)
        total = each.sum(0) + STEPS_BEFORE
        shares, means = total / total.sum(), left @ each / total
        squares = (each * (left[:, None] - means) ** 2).sum(0)
        scales = np.sqrt((squares + STEPS_BEFORE * spread**2) / total).clip(MIN_INITIAL_SCALE, MAX_INITIAL_SCALE)
        weights = each / scales**2
        towards = (weights * (left[:, None] - means)).sum(1)
        slopes += np.linalg.lstsq(x.T @ (x * weights.sum(1, keepdims=True)), x.T @ towards, rcond=1e-9)[0]
    mean = float(shares @ means)
    slope, *change, constant = slopes.tolist()
    scale = max(MIN_INITIAL_SCALE, float((y - x @ slopes).std()))
    chain = chain._replace(constant=constant + mean, slope=slope, change=sum(change), scale=scale)
    return chain, Components(shares, constant + means, scales)


def chained_log_prob(
    values: NDArray[np.float64], offsets: NDArray[np.int64], counted: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """(S,) log-densities of values given those before, by the autoregression and the normals that fit them best.

    NaN where a value isn't counted, where there is none before, and of too few steps. Arguments as in `fit_components`.

    Examples:
        >>> walk = np.random.default_rng(0).normal(size=500).cumsum()
        >>> nats = chained_log_prob(walk, np.array([0, 250, 500]), np.ones(500, bool), 1)
        >>> np.flatnonzero(np.isnan(nats)).tolist(), round(float(np.nanmean(nats)), 1)
        ([0, 250], -1.4)
    """
    chain, parts = fit_components(values, offsets, fit_ar1(values, offsets), count, counted)
    if parts is None:
        return np.full(len(values), np.nan)
    before, change = last_and_change(values, offsets)
    each = _log_densities(values - chain.slope * before - chain.change * change, parts)
    most = each.max(1)
    nats = most + np.log(np.exp(each - most[:, None]).sum(1))
    return np.where(counted, nats, np.nan)


def last_and_change(
    values: NDArray[np.float64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The (S,) values of the steps before, NaN at first steps, and how much these had changed, 0 where unknown.

    Examples:
        >>> [part.tolist() for part in last_and_change(np.array([1.0, 3.0, 4.0, 9.0]), np.array([0, 3, 4]))]
        [[nan, 1.0, 3.0, nan], [0.0, 0.0, 2.0, 0.0]]
    """
    first = offsets[:-1][np.diff(offsets) > 0]
    last = np.concatenate([[np.nan], values[:-1]])
    last[first] = np.nan
    earlier = np.concatenate([[np.nan], last[:-1]])
    earlier[first] = np.nan
    return last, np.nan_to_num(last - earlier)


def _log_densities(values: NDArray[np.float64], parts: Components) -> NDArray[np.float64]:
    """(S, K) log-densities of values under each normal, times its share."""
    away = (values[:, None] - parts.locs) / parts.scales
    return np.asarray(np.log(parts.shares / parts.scales) - 0.5 * (away**2 + np.log(2 * np.pi)))


def _with_change(
    x: NDArray[np.float64], changes: NDArray[np.float64], y: NDArray[np.float64], slope: float
) -> tuple[float, float]:
    """Least-squares slopes of y on the value before and its change; the given one and 0 where that gains nothing."""
    centred = np.stack([x - x.mean(), changes - changes.mean()], 1)
    left = y - y.mean() - slope * centred[:, 0]
    slopes, _, rank, _ = np.linalg.lstsq(centred, y - y.mean(), rcond=1e-6)
    alone, both = float((left**2).sum()), float(((y - y.mean() - centred @ slopes) ** 2).sum())
    exact = both <= 1e-12 * float(((y - y.mean()) ** 2).sum())
    if rank < 2 or exact or len(y) * np.log(alone / both) < MIN_CHANGE_GAIN:
        return slope, 0.0
    return float(slopes[0]), float(slopes[1])


def _mean_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of values; of too few, those of standardized data."""
    if len(values) < MIN_STEPS_FOR_AR1:
        return 0.0, 1.0
    return float(values.mean()), max(MIN_INITIAL_SCALE, float(values.std()))
