"""Times as numbers, and numbers as increments."""

import numpy as np

TIME_UNITS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)
"""Microseconds of a day, an hour, a minute, a second, a millisecond, and one."""
MIN_RISES = 20
"""Fewest rises, without a fall, that show that a column never falls."""
MIN_UNCHANGED, MIN_UNCHANGED_SEQUENCES = 200, 20
"""Fewest values equal to the one before them, and sequences, that show that a column never changes within them."""


def as_number(column: np.ndarray) -> np.ndarray:
    """(N,) float64: numbers as they are, times as microseconds since 1970; NaN where missing.

    Examples:
        >>> as_number(np.array(["1970-01-02", "NaT"], "datetime64[us]")).tolist()
        [86400000000.0, nan]
    """
    if column.dtype.kind != "M":
        return column.astype(np.float64)
    values = column.astype("datetime64[us]").astype(np.int64).astype(np.float64)
    values[np.isnat(column)] = np.nan
    return values


def time_unit(values: np.ndarray) -> float:
    """The longest of day, hour, minute, second, millisecond and microsecond that divides all times.

    Times, (S,), and the unit are in microseconds; missing ones are NaN.

    Examples:
        >>> time_unit(np.array([0.0, 7.2e9]))
        3600000000.0
    """
    whole = values[~np.isnan(values)].astype(np.int64)
    return float(next(unit for unit in TIME_UNITS if not (whole % unit).any()))


def increments(
    values: np.ndarray, offsets: np.ndarray, base: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each present value less the last present one of its sequence, or less the value before step 0.

    Args:
        values: (S,) float64, NaN where missing.
        offsets: (N + 1,).
        base: (N,) the values before step 0; NaN or None where unknown.

    Returns:
        (S,) increments, NaN where the value or the one before it is missing; (S,) bool, values without one before; (N,)
        the last value of each sequence, or its base, NaN where both are missing.
    """
    kept = np.flatnonzero(~np.isnan(values))
    bounds = np.searchsorted(kept, offsets)
    x = values[kept]
    before = np.full(len(offsets) - 1, np.nan) if base is None else base.astype(np.float64)
    starts = np.flatnonzero(np.diff(bounds) > 0)
    step = np.diff(x, prepend=np.nan)
    step[bounds[:-1][starts]] = x[bounds[:-1][starts]] - before[starts]
    last = before.copy()
    last[starts] = x[bounds[1:][starts] - 1]
    steps, alone = np.full(len(values), np.nan), np.zeros(len(values), bool)
    steps[kept], alone[kept] = step, np.isnan(step)
    return steps, alone, last


def never_decreases(values: np.ndarray, offsets: np.ndarray, base: np.ndarray | None) -> bool:
    """Whether values never fall within their sequences and rise at least 20 times; arguments as of `increments`.

    Examples:
        >>> never_decreases(np.tile(np.arange(5.0), 6), np.arange(0, 31, 5), None)
        True
        >>> never_decreases(np.zeros(9), [0, 9], None)
        False
    """
    steps, _, _ = increments(values, np.asarray(offsets), base)
    steps = steps[~np.isnan(steps)]
    return bool((steps >= 0).all() and (steps > 0).sum() >= MIN_RISES)


def never_changes(values: np.ndarray, offsets: np.ndarray, base: np.ndarray | None) -> bool:
    """Whether sequences of at least 20 have one value each, at 200 steps in all after the first ones, and not all one.

    Arguments as of `increments`.

    Examples:
        >>> never_changes(np.repeat(np.arange(50.0), 6), np.arange(0, 301, 6), None)
        True
    """
    offsets = np.asarray(offsets)
    steps, _, last = increments(values, offsets, base)
    steps, last = steps[~np.isnan(steps)], last[~np.isnan(last)]
    enough = len(steps) >= MIN_UNCHANGED and len(last) >= MIN_UNCHANGED_SEQUENCES
    return bool(enough and not steps.any() and np.ptp(last) > 0)
