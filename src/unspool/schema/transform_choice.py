"""The transform and distribution of a column of numbers, by simple, robust statistics of the pooled values.

The choice is conservative: `"standardize"` unless the evidence for another is strong, because a wrong difference
forgets the level, and a wrong logarithm makes a symmetric density skewed.
"""

import numpy as np

from unspool.schema.fields import MONOTONE_TRANSFORMS, DistributionName, Transform
from unspool.schema.grid import POINT_MASS_TOLERANCE, find_grid, is_discrete
from unspool.schema.monotone import increments, never_changes, never_decreases
from unspool.tables.columns import offsets_from_lengths

DEFAULT_DENSITY: DistributionName = "mixture"
"""The distribution of numbers on no grid: a mixture of normals can have the shape of all the others."""
MAX_FIRST_RANGE = 20.0
"""Largest range of first values, in standard deviations of the differences, with which both share one grid."""
MIN_VALUES_FOR_SHAPE = 20
"""Fewest values with a meaningful skewness."""
MAX_LOST_SHARE = 0.01
"""Largest error of a number by float32, as a share of its size or of the typical one."""
MIN_STEPS = 100
"""Fewest values, or steps, with a meaningful variance of their steps."""
MIN_WHOLE_RATIO = 100
"""Whole number up to which ratios say little: a count may reach 0 yet."""
MAX_LEVEL_STEP, MAX_WITHIN, MIN_GROWTH = 0.02, 0.25, 0.75
"""Of sequences that keep their levels: variance of a step, and around the mean of a sequence, as shares of that of all
values, at the most; and that of many steps in units of as many independent ones, at the least."""


def input_transform(values: np.ndarray) -> Transform:
    """`"log1p"`, `"asinh"` or `"standardize"` for (N,) float64 numbers without an order, NaN where missing.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> input_transform(rng.normal(size=500)), input_transform(rng.lognormal(0, 2, size=500))
        ('standardize', 'log1p')
    """
    x = values[~np.isnan(values)]
    transform = _by_shape(x)
    if transform == "standardize" and len(x) and loses_digits(x):
        return "log1p" if x.min() >= 0 else "asinh"
    return transform


def loses_digits(x: np.ndarray) -> bool:
    """Whether float32 can't tell (S,) standardized numbers apart: a few are so large that others look alike.

    Examples:
        >>> loses_digits(np.array([1.0, 2.0, 3.0])), loses_digits(np.array([1.0, 2.0, 1e9]))
        (False, True)
    """
    mean, deviation = x.mean(), x.std()
    if not np.isfinite(deviation) or not deviation > 0:
        return False
    known, where = np.unique(x, return_inverse=True)
    z = (known - mean) / deviation
    back = z.astype(np.float32).astype(np.float64) * deviation + mean
    # A value so near to its neighbour may come back as that one, if it is a point mass.
    near = np.diff(z) <= POINT_MASS_TOLERANCE * (1 + np.abs(z[1:]))
    back[1:] = np.where(near, known[:-1], back[1:])
    return bool(lost_digits(x, back[where], MAX_LOST_SHARE / 2).any())


def lost_digits(x: np.ndarray, back: np.ndarray, share: float = MAX_LOST_SHARE) -> np.ndarray:
    """(S,) bool: which present numbers came back as others from float32, the type of the network.

    They are off by more than a share of their size, or of the typical one.

    Examples:
        >>> lost_digits(np.array([1.0, 1.0, 1e9]), np.array([1.001, 1.5, 1.001e9])).tolist()
        [False, True, False]
    """
    sizes = np.abs(x[x != 0])
    typical = float(np.median(sizes)) if len(sizes) else 1.0
    return ~(np.abs(back - x) <= share * np.maximum(np.abs(x), typical))


def _by_shape(x: np.ndarray) -> Transform:
    """The transform for present values by quantiles and skewness."""
    if len(x) < MIN_VALUES_FOR_SHAPE or len(np.unique(x[:10_000])) < MIN_VALUES_FOR_SHAPE // 2:
        return "standardize"
    low, start, quarter, middle, third, end, high = np.quantile(x, (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995))
    # Of an exponential distribution the first is 0.56 and the second 2; of a normal one both are 0.
    quantile_skewness = (end + start - 2 * middle) / (end - start) if end > start else 0.0
    deviation = x.std()
    skewness = float(np.mean(((x - x.mean()) / deviation) ** 3)) if np.isfinite(deviation) and deviation > 0 else 0.0
    if x.min() >= 0:
        return "log1p" if quantile_skewness > 0.55 and skewness > 2 else "standardize"
    # 3.8 of a normal distribution, 7.6 of Student's t with 3 degrees of freedom, 64 of a Cauchy distribution.
    heavy = len(x) >= 10 * MIN_VALUES_FOR_SHAPE and high - low > 20 * (third - quarter)
    return "asinh" if heavy and x.max() > 0 else "standardize"


def step_transform(values: np.ndarray, offsets: np.ndarray, first: np.ndarray | None = None) -> Transform:
    """The transform of a step field whose transform is `"auto"`.

    Increments for values that never fall, or never change, decrements for values that never rise, differences for a
    random walk, else as for inputs. In a random walk the variance of the steps is less than a twentieth of that of the
    values; the steps are uncorrelated (|r| <= 0.15); and the variance of four steps is four times as large (within 0.75
    to 1.33). A sine fails the second test, an AR(1) with coefficient 0.9 the first. Differences also for sequences that
    keep their levels (`keeps_level`). If all values are positive, log-returns replace differences, unless the size of
    differences is much more even; of whole numbers if all are large and it is much less even (a count may reach 0 yet):
    the daily log-returns of the S&P 500 from 1999 to 2018 are 1.6 times less even than its differences, those of a
    random walk that happens to stay positive 3 to 6 times.

    Args:
        values: (S,) float64, NaN where missing.
        offsets: (N + 1,).
        first: (N,) the values before step 0, where they are known.

    Examples:
        >>> walk = np.random.default_rng(0).normal(size=4000).cumsum()
        >>> step_transform(walk, np.array([0, 2000, 4000])), step_transform(np.sin(walk), np.array([0, 4000]))
        ('difference', 'standardize')
    """
    if never_decreases(values, offsets, first) or never_changes(values, offsets, first):
        return "increment"
    if never_decreases(-values, offsets, None if first is None else -first):
        return "decrement"
    kept, bounds = drop_missing(values, offsets)
    if len(lagged(kept, bounds, 1)) < MIN_STEPS:
        return input_transform(values)
    known = kept if first is None else np.concatenate([kept, first[~np.isnan(first)]])
    counted = not np.any(known != np.round(known))
    relative = known.min() > (MIN_WHOLE_RATIO if counted else 0) and _even_in_logs(kept, bounds, clearly=counted)
    transform, axis = input_transform(values), np.log(kept) if relative else kept
    skewed = transform == "log1p" and not relative
    if _is_walk(kept, bounds) or (keeps_level(axis, bounds) and not skewed):
        return "log_return" if relative else "difference"
    return transform


def step_distribution(
    values: np.ndarray, offsets: np.ndarray, first: np.ndarray | None, transform: Transform
) -> DistributionName:
    """The distribution of a step field whose distribution is `"auto"`, by `is_discrete`; arguments as above.

    The transform must not be `"auto"`. Differences are discretized only if first values, which have no value before
    them, vary about as little.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=500)
        >>> bounds = np.array([0, 500])
        >>> [step_distribution(values, bounds, None, "standardize") for values in (x, np.round(x, 1))]
        ['mixture', 'discretized']
    """
    kept, bounds = drop_missing(values, offsets)
    if not len(kept) or transform == "log_return":
        return DEFAULT_DENSITY
    grid = find_grid(kept)
    if transform in MONOTONE_TRANSFORMS:
        values, first = (values, first) if transform == "increment" else (-values, None if first is None else -first)
        steps, alone, _ = increments(values, offsets, first)
        kept = np.concatenate([steps[~np.isnan(steps)], values[alone] - values[alone].min(initial=np.inf)])
        grid = find_grid(kept)
    if transform == "difference":
        starts = bounds[:-1][np.diff(bounds) > 0]
        alone = kept[starts] if first is None else kept[starts][np.isnan(first[np.diff(bounds) > 0])]
        kept = lagged(kept, bounds, 1)
        if not len(kept) or (len(alone) and np.ptp(alone) > MAX_FIRST_RANGE * kept.std()):
            return DEFAULT_DENSITY
    return "discretized" if grid is not None and is_discrete(kept, grid[1]) else DEFAULT_DENSITY


def drop_missing(values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The present values and their own offsets, sequence by sequence."""
    present = ~np.isnan(values)
    counts = np.concatenate(([0], np.cumsum(present)))
    return values[present], counts[offsets].astype(np.int64)


def keeps_level(values: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether sequences differ by levels that none of them leaves far, nor comes back to.

    Present values (S,) of offsets (N + 1,): amounts of firms or states over some years. On their scale a step is too
    small for a network to place it well.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> levels, years = rng.normal(size=(50, 1)), 0.01 * np.arange(12)
        >>> noise = 0.02 * rng.normal(size=(50, 12))
        >>> bounds = 12 * np.arange(51)
        >>> [keeps_level((levels + years + e).ravel(), bounds) for e in (noise.cumsum(1), noise)]
        [True, False]
    """
    lengths = np.diff(offsets)
    lag = max(int(np.median(lengths)) // 2, 2)
    steps, far = (_clip_tails(lagged(values, offsets, k)) for k in (1, lag))
    if min(len(steps), len(far)) < MIN_STEPS or not 0 < steps.var() < MAX_LEVEL_STEP * values.var():
        return False
    some = lengths > 0
    means = np.add.reduceat(values, offsets[:-1][some]) / lengths[some]
    within = (values - np.repeat(means, lengths[some])).var()
    return bool(within < MAX_WITHIN * values.var() and far.var() >= MIN_GROWTH * lag * steps.var())


def _is_walk(values: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether present values move like a random walk within their sequences, see `step_transform`."""
    steps, far = _clip_tails(lagged(values, offsets, 1)), _clip_tails(lagged(values, offsets, 4))
    variance = steps.var() if len(steps) >= MIN_STEPS else 0.0
    if not 0 < variance < 0.05 * values.var():
        return False
    centred = steps - steps.mean()
    pairs = _inside(len(centred), offsets_from_lengths(np.maximum(np.diff(offsets) - 1, 0)), 1)
    correlation = np.mean(centred[:-1][pairs] * centred[1:][pairs]) / variance if pairs.any() else 0.0
    growth = float(far.var() / (4 * variance)) if len(far) >= MIN_STEPS else 1.0
    return bool(abs(correlation) <= 0.15 and 0.75 <= growth <= 1.33)


def _clip_tails(steps: np.ndarray) -> np.ndarray:
    """Steps with half a per cent clipped on both sides, so that single jumps don't decide."""
    return np.clip(steps, *np.quantile(steps, (0.005, 0.995))) if len(steps) else steps


def _even_in_logs(values: np.ndarray, offsets: np.ndarray, *, clearly: bool) -> bool:
    """Whether the size of log-returns depends on the level at most twice as much as the size of differences does.

    Or `clearly`: at most half as much.
    """
    slack, level = np.log(0.5 if clearly else 2.0), values[:-1][_inside(len(values), offsets, 1)]
    low, high = np.quantile(level, (1 / 3, 2 / 3))

    def unevenness(steps: np.ndarray) -> float:
        size = np.abs(steps - np.median(steps))
        above, below = size[level >= high].mean(), size[level <= low].mean()
        return abs(float(np.log(above / below))) if above > 0 and below > 0 else np.inf

    return unevenness(lagged(np.log(values), offsets, 1)) <= unevenness(lagged(values, offsets, 1)) + slack


def _inside(count: int, offsets: np.ndarray, lag: int) -> np.ndarray:
    """(count - lag,) bool: positions of which that `lag` later is in the same sequence."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[:count]
    return owner[:-lag] == owner[lag:]


def lagged(values: np.ndarray, offsets: np.ndarray, lag: int) -> np.ndarray:
    """Each present value less the one `lag` before it in its sequence, where there is one."""
    if len(values) <= lag:
        return np.zeros(0)
    return (values[lag:] - values[:-lag])[_inside(len(values), offsets, lag)]
