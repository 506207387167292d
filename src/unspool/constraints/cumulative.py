"""Where values stand that the network sees as steps from one to the next: differences, log-returns and gaps.

Such a value x has a y that adds up: x itself, its logarithm, x in units of a gap, or -x where x never rises. The loop
keeps y less where its sequence began, in a unit in which float32 holds it: the *height* of
`unspool.network.cumulative`.
"""

from typing import NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from unspool.encoding import transforms
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS, NumericEncoder


class CumulativeOrigin(NamedTuple):
    """Where the paths of a field start.

    Attributes:
        ground: (N,) y at height 0.
        start: (N,) height before step 0: 0, or NaN where nothing stands before.
        unit: y of a height of 1.
    """

    origin: NDArray[np.float64]
    start: NDArray[np.float64]
    unit: float

    def heights(self, y: NDArray[np.float64] | float, row: NDArray[np.int64]) -> NDArray[np.float64]:
        """The heights of some y in some rows."""
        return (y - self.origin[row]) / self.unit


def cumulative_unit(column: object) -> float | None:
    """Y of a height of 1; `None` of a column whose values don't add up."""
    if isinstance(column, IncrementEncoder):
        return column.gap.unit if column.gap.transform in ("log1p", "asinh") else column.gap.scale
    return column.scale if isinstance(column, NumericEncoder) and column.transform in DIFFERENCE_TRANSFORMS else None


def never_goes_back(column: object) -> TypeGuard[IncrementEncoder]:
    """Whether y never falls."""
    return isinstance(column, IncrementEncoder) and column.gap.floor == 0


def origin_of(column: object, base: NDArray[np.float64] | None, rows: int) -> CumulativeOrigin | None:
    """Where the paths of a column start, if its values add up.

    Args:
        column: fitted to a step field.
        base: (N,) the values before step 0, NaN or None where unknown.
        rows: N.

    Examples:
        >>> track_of(Scaled("difference", 0.5, 2.0, first_loc=7.0), np.array([3.0, np.nan]), 2)
        Track(ground=array([3., 7.]), start=array([ 0., nan]), unit=2.0)
    """
    unit = cumulative_unit(column)
    nothing = np.full(rows, np.nan)
    if isinstance(column, IncrementEncoder) and unit is not None:
        before = nothing if base is None else np.asarray(base, np.float64) / column.one
        return CumulativeOrigin(np.where(np.isnan(before), column.origin, before), np.zeros(rows), unit)
    if isinstance(column, NumericEncoder) and unit is not None:
        known = column.before(base)
        before = nothing if known is None else known
        ground = np.where(np.isnan(before), column.first_loc, before)
        return CumulativeOrigin(ground, np.where(np.isnan(before), np.nan, 0.0), unit)
    return None


def running_sum(column: NumericEncoder | IncrementEncoder, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Y of values of a column whose values add up, NaN where missing; a value that has none gives -inf or NaN.

    Args:
        column: with a `cumulative_unit`.
        values: numbers, or microseconds since 1970.
    """
    if isinstance(column, IncrementEncoder):
        return values / column.one
    with np.errstate(divide="ignore", invalid="ignore"):
        return transforms.forward(values, column.transform, column.unit)
