"""The grid that numbers lie on, and the values that repeat."""

import numpy as np

MAX_DECIMALS = 6
FLOAT32_PRECISION = 1.2e-7
"""Relative precision of float32, the type of many tables."""
MIN_VALUES_FOR_DIVISOR = 100
"""Fewest values that show a common divisor: a few may all be multiples of ten by chance."""
MIN_RELATIVE_STEP = 1e-6
"""Smallest step of a grid, as a share of its range, whose cells float32 distinguishes."""
MIN_STEP_TO_IQR = 0.005
"""Smallest step of a grid that is modelled by masses, as a share of the interquartile range."""
MIN_REPEATED_SHARE = 0.2
"""Share of repeated values from which any grid is modelled by masses."""
MIN_POINT_MASS = 0.02
"""Smallest share of a point mass among the values that are present."""
MIN_PEAK_RATIO = 5.0
"""Smallest ratio of the frequency of a point mass on a grid to that of its neighbours."""
MAX_POINT_MASSES = 8
POINT_MASS_TOLERANCE = 2e-6
"""Distance up to which a value in the network's units is a point mass, relative to 1 + its size."""
FLOAT64_TOLERANCE = 1e-12
"""The same of a value that was never in float32."""
MAX_SUPPORT_POINTS, MAX_CELLS = 1024, 65_536
"""Largest numbers of support points, and of cells between the outermost ones."""
MIN_GAIN_NATS = 0.05
"""Smallest gain of support points, in nats a value."""


def is_point_mass(z: np.ndarray, point: float) -> np.ndarray:
    """(S,) bool: which decoded values, in the network's units, are a point mass; only float32 has rounded some.

    Examples:
        >>> z = np.array([0.5, 0.5 + 1e-7])
        >>> is_point_mass(z, 0.5).tolist(), is_point_mass(z.astype(np.float32), 0.5).tolist()
        ([True, False], [True, True])
    """
    tolerance = POINT_MASS_TOLERANCE if z.dtype == np.float32 else FLOAT64_TOLERANCE
    return np.abs(z.astype(np.float64) - point) <= tolerance * (1 + abs(point))


def find_grid(values: np.ndarray) -> tuple[int, float] | None:
    """`(decimals, step)` of the coarsest grid of at most 6 decimals that holds (S,) float64 values, none missing.

    Examples:
        >>> find_grid(np.array([0.25, 1.5, 7.0])), find_grid(np.array([3.0, 8.0])), find_grid(np.array([0.1, np.pi]))
        ((2, 0.01), (0, 1.0), None)
    """
    if not len(values):
        return None
    for decimals in range(MAX_DECIMALS + 1):
        ticks = values * 10.0**decimals
        whole = np.round(ticks)
        if np.abs(whole).max() >= 2.0**50:
            return None
        if np.all(np.abs(ticks - whole) <= np.minimum(FLOAT32_PRECISION * np.abs(whole), 1e-3)):
            common = int(np.gcd.reduce(whole.astype(np.int64))) if len(values) >= MIN_VALUES_FOR_DIVISOR else 1
            # A few distinct values show no divisor.
            common = common if len(np.unique(whole[:10_000])) > 4 else 1
            return decimals, float(f"{max(common, 1)}e-{decimals}")
    return None


def is_too_fine(values: np.ndarray, step: float) -> bool:
    """Whether float32 can't tell apart the cells of a grid that holds (S,) float64 values, none missing."""
    return step < MIN_RELATIVE_STEP * max(float(np.ptp(values)), float(np.abs(values).max()))


def is_discrete(values: np.ndarray, step: float) -> bool:
    """Whether to model (S,) float64 values on a grid, none missing, by masses of its cells rather than by a density.

    Masses need a step of at least 0.5 % of the interquartile range, or a fifth of repeated values; and cells that
    float32 distinguishes.

    Examples:
        >>> is_discrete(np.arange(50.0), 1.0), is_discrete(np.arange(1e5) * 7, 1.0)
        (True, False)
    """
    if is_too_fine(values, step):
        return False
    start, end = np.quantile(values, (0.25, 0.75))
    repeated = len(np.unique(values)) <= (1 - MIN_REPEATED_SHARE) * len(values)
    return bool(step >= MIN_STEP_TO_IQR * (end - start) or repeated)


def find_support_points(values: np.ndarray, step: float, offsets: np.ndarray | None) -> tuple[tuple[float, ...], float]:
    """The values of a grid that occur, rising, and the probability of any other; `((), 0.0)` if all cells may occur.

    That probability is the share of values in the last tenth of the sequences that the rest doesn't have. By their
    wider cells support points must gain more nats than other values then cost.

    Args:
        values: (S,) float64 on the grid, NaN where missing.
        step: the step of the grid.
        offsets: (N + 1,), or `None` for one value a sequence.

    Examples:
        >>> fahrenheit = np.random.default_rng(0).integers(20, 90, 2000)
        >>> celsius = np.round((fahrenheit - 32) / 1.8, 1)
        >>> len(find_support_points(celsius, 0.1, None)[0]), find_support_points(fahrenheit * 1.0, 1.0, None)
        (70, ((), 0.0))
    """
    cut = len(values) * 9 // 10 if offsets is None else int(offsets[(len(offsets) - 1) * 9 // 10])
    early, late = (part[~np.isnan(part)] for part in (values[:cut], values[cut:]))
    points, which = np.unique(values[~np.isnan(values)], return_inverse=True)
    few = 2 < len(points) <= MAX_SUPPORT_POINTS and np.ptp(points) <= MAX_CELLS * step
    if len(late) < MIN_VALUES_FOR_DIVISOR or not few:
        return (), 0.0
    unseen = (float((~np.isin(late, early)).sum()) + 0.5) / (len(late) + 1)
    distance = np.diff(points) / step
    width = np.concatenate([distance[:1], (distance[1:] + distance[:-1]) / 2, distance[-1:]])
    gain = (1 - unseen) * float(np.log(np.maximum(width, 1.0))[which].mean())
    cost = -(1 - unseen) * np.log1p(-unseen) - unseen * np.log(unseen)
    return (tuple(points.tolist()), unseen) if gain > cost + MIN_GAIN_NATS else ((), 0.0)


def find_point_masses(values: np.ndarray, step: float = 0.0) -> tuple[float, ...]:
    """The values, at most 8, that get a point mass of their own, the most frequent first.

    Each is at least 2 % of all; on a grid, also five times as frequent as the four cells around it on average.

    Args:
        values: (S,) float64, none missing.
        step: the step of their grid; 0 if they lie on none.

    Examples:
        >>> x = np.random.default_rng(0).exponential(size=500)
        >>> find_point_masses(np.where(x < 0.7, 0.0, x)), find_point_masses(x), find_point_masses(np.round(x, 1), 0.1)
        ((0.0,), (), ())
    """
    found, counts = np.unique(values, return_counts=True)
    frequent = counts >= max(5, MIN_POINT_MASS * len(values))
    if step:
        ticks = np.round(found / step).astype(np.int64)
        around = np.zeros(len(found))
        for shift in (-2, -1, 1, 2):
            at = np.minimum(np.searchsorted(ticks, ticks + shift), len(ticks) - 1)
            around += np.where(ticks[at] == ticks + shift, counts[at], 0)
        frequent &= counts > MIN_PEAK_RATIO * around / 4
    ranked = np.argsort(-counts * frequent, kind="stable")[: min(MAX_POINT_MASSES, int(frequent.sum()))]
    return tuple(found[ranked].tolist())
