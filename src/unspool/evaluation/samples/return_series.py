"""What a series of returns is, and which fields hold one."""

import numpy as np

from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals, correlation, lagged_steps, step_changes

MIN_RETURN_PAIRS = 200
"""Pairs of neighbouring values that the rule for returns, and the facts of returns, need."""
CHANGE_TRANSFORMS = ("log_return", "difference")
"""Transforms of a field whose changes are the returns; of other fields the values themselves are."""


def are_returns(series: Reals, offsets: Codes, starts: Codes | None = None) -> bool:
    """Whether a series behaves as returns do: the one rule, for the baseline GARCH and for the report.

    The rule follows Cont (2001, "Empirical properties of asset returns"). There are at least `MIN_RETURN_PAIRS` pairs
    of neighbouring values. The mean is at most a quarter of the standard deviation. At least 30 % of the values are on
    either side of zero. No value repeats in more than 10 % of the steps. The autocorrelation at lag 1 is within ±0.2.
    Sizes cluster: the autocorrelation of |r| at lag 1 is above two standard errors of zero, 2 / sqrt(pairs).

    Args:
        series: (S,) of sequences end to end, NaN where missing.
        offsets: (N + 1,) where each sequence starts.
        starts: (N,) position of each window in its series; a step that several windows share counts once.
    """
    time = np.arange(len(series))
    if starts is not None:
        time = time + np.repeat(starts - offsets[:-1], np.diff(offsets))
    kept, before = np.flatnonzero(~np.isnan(series)), lagged_steps(offsets, 1)
    before = before[~np.isnan(series[before] + series[before + 1])]
    kept, before = (at[np.unique(time[at], return_index=True)[1]] for at in (kept, before))
    values, spread = series[kept], float(series[kept].std()) if len(kept) else 0.0
    if len(before) < MIN_RETURN_PAIRS or not spread:
        return False
    repeated = np.unique(values, return_counts=True)[1].max() / len(values)
    sizes = np.abs(series)
    return bool(
        abs(values.mean()) <= 0.25 * spread
        and min((values > 0).mean(), (values < 0).mean()) >= 0.3
        and repeated <= 0.1
        and abs(correlation(series[before], series[before + 1])) <= 0.2
        and correlation(sizes[before], sizes[before + 1]) > 2 / np.sqrt(len(before))
    )


def returns_of(samples: SampleSet, name: str, transform: str) -> Reals:
    """(S,) the returns of a number field: by its transform, changes of the logarithm or of the value, or the value.

    The first change of a sequence is NaN.
    """
    values = samples.numbers[name]
    if transform not in CHANGE_TRANSFORMS:
        return values
    if transform == "log_return":
        values = np.log(np.where(values > 0, values, np.nan))
    return step_changes(values, samples.offsets)


def return_fields(comparison: Comparison) -> dict[str, str]:
    """The number fields that behave as returns in training (see `are_returns`), each with its transform."""
    train = comparison.train
    transforms = {name: comparison.transforms.get(name, "none") for name in train.numbers}
    return {
        name: transform
        for name, transform in transforms.items()
        if are_returns(returns_of(train, name, transform), train.offsets, train.starts)
    }
