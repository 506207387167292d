"""The invertible transforms of numbers, with the logarithm of their slope, as pure functions."""

import numpy as np

MAX_EXPONENT = 700.0
"""Largest exponent: exp(700) is finite in float64."""


def forward(x: np.ndarray, transform: str, unit: float) -> np.ndarray:
    """Y of present values x, for any transform but "auto": x, log(1 + x / unit), asinh(x / unit), or log x."""
    if transform == "log1p":
        return np.log1p(x / unit)
    if transform == "asinh":
        return np.arcsinh(x / unit)
    return np.log(x) if transform == "log_return" else x


def inverse(y: np.ndarray, transform: str, unit: float) -> np.ndarray:
    """X of y: undoes `forward`. X of an extreme sample is the largest number, so it is finite."""
    if transform not in ("log1p", "asinh", "log_return"):
        return finite(y)
    inverses = {"log1p": np.expm1, "asinh": np.sinh, "log_return": np.exp}
    with np.errstate(over="ignore"):
        return finite(inverses[transform](np.clip(y, -MAX_EXPONENT, MAX_EXPONENT)) * unit)


def finite(x: np.ndarray) -> np.ndarray:
    """Numbers, the largest or smallest one in place of an infinite one; NaN stays."""
    return np.clip(x, -np.finfo(np.float64).max, np.finfo(np.float64).max)


def log_slope(x: np.ndarray, transform: str, unit: float) -> np.ndarray:
    """log(dy/dx) of `forward`, value by value."""
    if transform == "log1p":
        return -np.log(unit + x)
    if transform == "asinh":
        return -np.log(np.hypot(unit, x))
    return -np.log(x) if transform == "log_return" else np.zeros(len(x))


def legal(x: np.ndarray, transform: str, unit: float) -> np.ndarray:
    """Which values the transform is defined for."""
    if transform == "log1p":
        return x > -unit
    return x > 0 if transform == "log_return" else np.ones(len(x), bool)


def natural_unit(x: np.ndarray, transform: str) -> float:
    """The unit for `log1p` and `asinh`: the median size of values that are not 0; one for whole numbers with log1p."""
    if transform not in ("log1p", "asinh"):
        return 1.0
    sizes = np.abs(x[x != 0])
    if not len(sizes) or (transform == "log1p" and np.all(sizes == np.round(sizes))):
        return 1.0
    # Large enough that the largest value doesn't overflow in it.
    unit = max(float(np.median(sizes)), float(sizes.max()) * 1e-12, 1e-300)
    # log1p is defined above -unit only; negative values must stay legal where possible.
    return max(unit, float(-2 * x.min())) if transform == "log1p" else unit


def differences(y: np.ndarray, offsets: np.ndarray, base: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(S,) present values less the value before, or themselves without one, and (S,) bool which have none before.

    `base` has the (N,) values before step 0, NaN where there is none.
    """
    step = np.diff(y, prepend=0.0)
    filled = np.diff(offsets) > 0
    starts = offsets[:-1][filled]
    bases = np.full(len(starts), np.nan) if base is None else base[filled]
    step[starts] = np.where(np.isnan(bases), y[starts], y[starts] - bases)
    alone = np.zeros(len(y), bool)
    alone[starts] = np.isnan(bases)
    return step, alone


def present_offsets(present: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(N + 1,) offsets among the present values, from (S,) bool and the (N + 1,) offsets among all values."""
    return np.concatenate(([0], np.cumsum(present, dtype=np.int64)))[offsets]


def accumulate(step: np.ndarray, offsets: np.ndarray, base: np.ndarray | None) -> np.ndarray:
    """Undoes `differences`: running sums within each sequence.

    One running sum over all sequences would make their last bits depend on those before.
    """
    y = np.empty(len(step))
    for rows, columns in buckets(offsets):
        index = offsets[:-1][rows, None] + np.arange(columns)
        inside = np.arange(columns) < np.diff(offsets)[rows, None]
        block = np.where(inside, step[np.where(inside, index, 0)], 0.0)
        if base is not None:
            block[:, 0] += np.nan_to_num(base[rows], nan=0.0)
        y[index[inside]] = np.cumsum(block, 1)[inside]
    return y


def anchored(
    step: np.ndarray, offsets: np.ndarray, base: np.ndarray | None, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The arguments of `accumulate` with known sums, (S,) with NaN elsewhere: a sequence begins anew from each.

    Examples:
        >>> known = np.array([np.nan, 9.0, np.nan])
        >>> accumulate(*anchored(np.array([1.0, 1.0, 0.5]), np.array([0, 3]), None, known)).tolist()
        [1.0, 9.0, 9.5]
    """
    if known is None or np.isnan(known).all():
        return step, offsets, base
    at = np.flatnonzero(~np.isnan(known))
    starts = np.concatenate([offsets[:-1], at])
    before = np.full(len(offsets) - 1, np.nan) if base is None else base
    order = np.argsort(starts, kind="stable")
    step = step.copy()
    step[at] = 0.0
    return step, np.append(starts[order], offsets[-1]), np.concatenate([before, known[at]])[order]


def buckets(offsets: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Rows of sequences grouped by length, so that padding at most doubles them: (rows, longest) of each group.

    Examples:
        >>> [(rows.tolist(), longest) for rows, longest in buckets(np.array([0, 1, 4, 8, 8]))]
        [([0], 1), ([1, 2], 4)]
    """
    lengths = np.diff(offsets)
    size = np.ceil(np.log2(np.maximum(lengths, 1))).astype(int)
    groups = (np.flatnonzero((size == power) & (lengths > 0)) for power in np.unique(size))
    return [(rows, int(lengths[rows].max())) for rows in groups if len(rows)]


def location_and_scale(y: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; 1 instead of a standard deviation that is 0 or not finite."""
    if not len(y):
        return 0.0, 1.0
    # In units of its largest value, a column of 1e300 doesn't overflow and one of 1e-300 doesn't vanish.
    top = float(np.max(np.abs(y))) or 1.0
    loc, scale = float(np.mean(y / top)) * top, float(np.std(y / top)) * top
    tiny = max(abs(loc) * 1e-14, np.finfo(np.float64).tiny * 1e16)
    return loc, scale if np.isfinite(scale) and scale > tiny else 1.0
