"""What relations derive: totals, copies, missing values, and distances between ordered columns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.schema.grid import find_grid, is_discrete
from unspool.schema.relations import AnyRelation, Equal, MissingWith, Sum
from unspool.tables.columns import missing_mask

MIN_EVENNESS_GAIN = 0.2
"""How much more even ratios must be than differences, to be learned in their place."""


def derive(relations: Iterable[AnyRelation], columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Columns of records, (S,) each, with those that are not learned, and without values that must be missing.

    Examples:
        >>> columns = {"net": np.array([1.0, 2.0]), "tax": np.array([0.5, np.nan])}
        >>> derive([MissingWith("net", "tax"), Sum("total", ("net", "tax"), 1)], columns)["total"].tolist()
        [1.5, nan]
    """
    values = dict(columns)
    for relation in relations:
        match relation:
            case MissingWith(column=column, of=of):
                values[column] = without(values[column], missing_mask(values[of]))
            case Sum(total=total, parts=parts, decimals=decimals):
                values[total] = total_of([values[part] for part in parts], decimals)
            case Equal(column=column, of=of):
                values[column] = values[of]
    return values


def without(values: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[Any]:
    """Values in canonical form, missing in some places."""
    if not where.any():
        return values
    values = values.astype(np.float64) if values.dtype.kind == "i" else values.copy()
    values[where] = {"f": np.nan, "M": np.datetime64("NaT")}.get(values.dtype.kind)
    return values


def total_of(parts: Sequence[NDArray[Any]], decimals: int | None) -> NDArray[Any]:
    """The sum of parts, (S,) each, to so many decimals; whole numbers stay whole.

    Examples:
        >>> total_of([np.array([0.1]), np.array([0.2])], 2).tolist()
        [0.3]
    """
    if all(part.dtype.kind == "i" for part in parts):
        return np.sum(parts, 0)
    total = np.sum([part.astype(np.float64) for part in parts], 0)
    return total if decimals is None else np.round(total, decimals)


def distance(
    y: NDArray[np.float64], references: Sequence[NDArray[np.float64]], sign: int, *, relative: bool
) -> NDArray[np.float64]:
    """How far y lies above the largest of its references (`sign` 1), or below the smallest (-1); NaN where unknown.

    With a `sign` of 0 there is one reference, and the distance is negative below it. A relative distance is the
    logarithm of the ratio, of positive numbers.

    Examples:
        >>> distance(np.array([5.0]), [np.array([1.0]), np.array([3.0])], 1, relative=False).tolist()
        [2.0]
    """
    reference = extreme(references, sign)
    return (np.log(y / reference) if relative else y - reference) * (sign or 1) + 0.0  # never -0


def carried_on(
    y: NDArray[np.float64],
    references: Sequence[NDArray[np.float64]],
    signs: Sequence[int],
    offsets: NDArray[np.int64],
    before: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """What a running total would be at each step: its value before, with the references of the step added or taken.

    Args:
        y: (S,) the total.
        references: (S,) each.
        signs: 1 where a reference is added, -1 where it is taken.
        offsets: (N + 1,).
        before: (N,) values before step 0, NaN where unknown; else they count as 0.

    Examples:
        >>> carried_on(np.array([5.0, 7.0]), [np.array([1.0, 2.0])], [1], np.array([0, 2]), None).tolist()
        [1.0, 7.0]
    """
    last, filled = np.concatenate([[0.0], y[:-1]]), np.diff(offsets) > 0
    last[offsets[:-1][filled]] = 0.0 if before is None else np.nan_to_num(before[filled])
    return last + np.sum([sign * part for sign, part in zip(signs, references, strict=True)], 0)


def change_of(
    references: Sequence[NDArray[np.float64]],
    signs: Sequence[int],
    offsets: NDArray[np.int64],
    before: NDArray[np.float64] | None,
    *,
    from_zero: bool,
) -> NDArray[np.float64]:
    """How much a total has risen or fallen since the step before, less what others explain; 0 where that isn't known.

    Args:
        references: (S,) each, the total the last of them.
        signs: 1 or -1 of each, -1 where the total falls.
        offsets: (N + 1,).
        before: (N,) totals before step 0, NaN where unknown.
        from_zero: whether a total whose value before step 0 is unknown has risen from 0.

    Examples:
        >>> change_of([np.array([5.0, 7.0])], [1], np.array([0, 2]), None, from_zero=False).tolist()
        [0.0, 2.0]
    """
    total, filled = references[-1], np.diff(offsets) > 0
    last, starts = np.concatenate([[0.0], total[:-1]]), offsets[:-1][filled]
    first = np.full(len(starts), 0.0 if from_zero else np.nan)
    last[starts] = first if before is None else np.where(np.isnan(before[filled]), first, before[filled])
    change = np.sum([sign * part for sign, part in zip(signs, [*references[:-1], total - last], strict=True)], 0)
    return np.where(np.isnan(last), 0.0, change) + 0.0


def rises_from_zero(
    part: NDArray[np.float64],
    references: Sequence[NDArray[np.float64]],
    signs: Sequence[int],
    offsets: NDArray[np.int64],
) -> bool:
    """Whether the first totals of all sequences are the sum of their parts; arguments as of `change_of`."""
    starts = offsets[:-1][np.diff(offsets) > 0]
    change = change_of(references, signs, offsets, None, from_zero=True)
    return bool(np.allclose(part[starts], change[starts], rtol=1e-9, atol=1e-9 * np.abs(part).max(initial=0.0)))


def extreme(references: Sequence[NDArray[np.float64]], sign: int) -> NDArray[np.float64]:
    """The largest of the references (`sign` 1) or the smallest (-1), of those that are present; NaN where none is."""
    pick = np.fmin if sign == -1 else np.fmax
    return pick.reduce(list(references))


def is_relative(y: NDArray[np.float64], references: Sequence[NDArray[np.float64]], sign: int) -> bool:
    """Whether distances of positive numbers are about as large as the level: prices of 10 and of 1,000.

    Their size differs less between the third of low and the third of high levels if they are ratios. Those on either
    side (`sign` 0) of numbers on a grid are on that grid, too, as ratios would not be.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> level = np.exp(rng.uniform(0, 5, 900))
        >>> is_relative(level * 1.1 ** rng.exponential(size=900), [level], 1)
        True
        >>> is_relative(level + rng.exponential(size=900), [level], 1)
        False
    """
    level = extreme(references, sign)
    kept = ~np.isnan(y) & ~np.isnan(level)
    y, level = y[kept], level[kept]
    if not len(y) or min(y.min(), level.min()) <= 0:
        return False
    grid = find_grid(y) if sign == 0 else None
    if grid is not None and is_discrete(y, grid[1]):
        return False
    plain, ratio = np.abs(y - level), np.abs(np.log(y / level))
    return _unevenness(ratio, level) < _unevenness(plain, level) - MIN_EVENNESS_GAIN


def _unevenness(size: NDArray[np.float64], level: NDArray[np.float64]) -> float:
    """How much the mean size differs between low and high levels: the logarithm of its ratio, without its sign."""
    low, high = np.quantile(level, (1 / 3, 2 / 3))
    above, below = float(size[level >= high].mean()), float(size[level <= low].mean())
    return abs(math.log(above / below)) if above > 0 and below > 0 else math.inf
