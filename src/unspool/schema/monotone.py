"""Moments as numbers, and numbers as the gaps between them."""

import numpy as np

TIME_UNITS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)
"""Microseconds of a day, an hour, a minute, a second, a millisecond, and one."""
MIN_RISES = 20
"""Rises without a single fall from which on a column is taken never to fall."""


def as_number(column: np.ndarray) -> np.ndarray:
    """(N,) float64: numbers as they are, moments as microseconds since 1970; NaN where missing.

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
    """The longest of day, hour, minute, second, millisecond and microsecond that all moments are multiples of.

    Args:
        values: (S,) microseconds since 1970, NaN where missing.

    Examples:
        >>> time_unit(np.array([0.0, 7.2e9]))
        3600000000.0
    """
    whole = values[~np.isnan(values)].astype(np.int64)
    return float(next(unit for unit in TIME_UNITS if not (whole % unit).any()))


def increments(
    values: np.ndarray, offsets: np.ndarray, base: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each present value less the last present one of its sequence, or than what stands before step 0.

    Args:
        values: (S,) float64, all sequences laid end to end, NaN where missing.
        offsets: (N + 1,).
        base: (N,) what stands before step 0; NaN or None where nothing does.

    Returns:
        (S,) gaps, NaN where the value is missing or has none before it; (S,) bool, present without one before; (N,) the
        last value of each sequence, or its base, NaN where there is neither.
    """
    kept = np.flatnonzero(~np.isnan(values))
    bounds = np.searchsorted(kept, offsets)
    x = values[kept]
    before = np.full(len(offsets) - 1, np.nan) if base is None else base.astype(np.float64)
    starts = np.flatnonzero(np.diff(bounds) > 0)
    gap = np.diff(x, prepend=np.nan)
    gap[bounds[:-1][starts]] = x[bounds[:-1][starts]] - before[starts]
    last = before.copy()
    last[starts] = x[bounds[1:][starts] - 1]
    out, alone = np.full(len(values), np.nan), np.zeros(len(values), bool)
    out[kept], alone[kept] = gap, np.isnan(gap)
    return out, alone, last


def never_decreases(values: np.ndarray, offsets: np.ndarray, base: np.ndarray | None) -> bool:
    """Whether values never fall within their sequences, and rise often enough that this is no chance.

    Args:
        values: (S,) float64, all sequences laid end to end, NaN where missing.
        offsets: (N + 1,).
        base: (N,) what stands before step 0; NaN or None where nothing does.

    Examples:
        >>> never_decreases(np.tile(np.arange(5.0), 6), np.arange(0, 31, 5), None)
        True
        >>> never_decreases(np.zeros(9), [0, 9], None)
        False
    """
    gap, _, _ = increments(values, np.asarray(offsets), base)
    gap = gap[~np.isnan(gap)]
    return bool((gap >= 0).all() and (gap > 0).sum() >= MIN_RISES)
