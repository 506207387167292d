"""What is fitted to a number of a step beyond its transform: grid, point masses, bounds, the edges of a histogram."""

import msgspec
import numpy as np

from unspool.encoding import transforms
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS, NumericEncoder
from unspool.errors import Location, SchemaError
from unspool.schema.fields import Number
from unspool.schema.grid import (
    MAX_DECIMALS,
    find_grid,
    find_point_masses,
    find_support_points,
    is_discrete,
    is_too_fine,
)

MAX_BINS = 32
"""Bins of a histogram at the most."""


def refine(
    column: NumericEncoder,
    field: Number,
    values: np.ndarray,
    location: Location,
    offsets: np.ndarray | None,
    before: np.ndarray | None,
) -> NumericEncoder:
    """The fitted column with grid, bounds, point masses and edges, as the distribution of its field needs them.

    The arguments are those of `NumericEncoder.fit`, which gave the column; the field's distribution is not `"auto"`.

    Raises:
        SchemaError: a discretized distribution for numbers on no grid; bounds that training violates.
    """
    values = values.astype(np.float64)
    x = values[~np.isnan(values)]
    decimals, step = find_grid(x) or (None, 0.0)
    floor, ceiling = limits(field, x, location)
    digits = column.decimals if column.decimals is not None or decimals is None else max(decimals, 1)
    column = msgspec.structs.replace(column, decimals=digits, step=step, floor=floor, ceiling=ceiling)
    if column.transform in ("log1p", "asinh"):
        column = rescaled(msgspec.structs.replace(column, unit=max(column.unit, step)), x)
    mass = step > 0 and column.transform != "log_return" and not is_too_fine(x, step)
    mass &= field.distribution == "discretized" or (field.distribution == "histogram" and is_discrete(x, step))
    if field.distribution == "discretized" and not mass:
        hint = "Pass another distribution, such as mixture; or round the numbers."
        found = "log-returns" if column.transform == "log_return" else "others"
        expected = "numbers of at most 6 decimals, for the distribution discretized"
        if step > 0 and is_too_fine(x, step):
            expected, found = "at most a million steps, for the distribution discretized", f"steps of {step:g}"
        raise SchemaError(location.whole, expected, found, hint)
    y, alone, _ = column.increments(values, offsets, before, location)
    if mass and column.transform == "difference":
        column = aligned(column, alone)
    column = msgspec.structs.replace(column, mass=mass)
    differs = column.transform in DIFFERENCE_TRANSFORMS
    if field.distribution == "discretized" and not differs:
        points, unseen = find_support_points(on_grid(values, step), step, offsets)
        column = msgspec.structs.replace(column, support_points=points, unseen=unseen)
    if field.distribution != "point" and not (field.distribution == "histogram" and mass):
        column = msgspec.structs.replace(column, point_masses=point_masses(column, y[~alone] if differs else x))
    if field.distribution == "histogram":
        z = np.where(alone, (y - column.first_loc) / column.first_scale, (y - column.loc) / column.scale)
        column = msgspec.structs.replace(column, edges=bin_edges(column, z, y if differs else x))
    return column


def point_masses(column: NumericEncoder, values: np.ndarray) -> tuple[float, ...]:
    """The values, or the differences of a column that is seen by differences, that get a mass of their own."""
    step, support = column.step, column.support_points
    if support:  # the neighbours of a support point are other support points
        positions = np.round(np.searchsorted(support, values - step / 2))
        return tuple(support[int(position)] for position in find_point_masses(positions, 1.0))
    if not step:
        masses = find_point_masses(values)
    else:
        ticks = find_point_masses(np.round(values / step), 1.0)
        masses = tuple(on_grid(np.array(ticks) * step, step).tolist())
    if column.cumulative is None or column.mass:
        return masses
    # A difference of 0 is exact; any other difference of two decimal numbers is known up to rounding only.
    return tuple(value for value in masses if value == 0)


def on_grid(values: np.ndarray, step: float) -> np.ndarray:
    """The nearest multiples of a step, rounded to the decimals of a grid."""
    return np.round(np.round(values / step) * step, MAX_DECIMALS)


def limits(field: Number, x: np.ndarray, location: Location) -> tuple[float | None, float | None]:
    """The bounds of a field, or a `SchemaError` if training violates them; by default at least 0 if training is."""
    low, high = float(x.min()), float(x.max())
    if field.bounds == "auto":
        return (0.0 if low >= 0 else None), None
    if field.bounds == "data":
        return low, high
    floor, ceiling = field.bounds or (None, None)
    for bound, found, wrong in ((floor, low, "at least"), (ceiling, high, "at most")):
        if bound is not None and (found < bound if wrong == "at least" else found > bound):
            hint = "Widen the bounds, or correct the data."
            raise SchemaError(location.whole, f"numbers of {wrong} {bound:g}, its bound", f"{found:g}", hint)
    return (None if floor is None else float(floor)), (None if ceiling is None else float(ceiling))


def rescaled(column: NumericEncoder, x: np.ndarray) -> NumericEncoder:
    """The column with location and scale for its new unit."""
    loc, scale = transforms.location_and_scale(transforms.forward(x, column.transform, column.unit))
    return msgspec.structs.replace(column, loc=loc, scale=scale)


def aligned(column: NumericEncoder, alone: np.ndarray) -> NumericEncoder:
    """The column with differences and first values on one grid, so that one distribution serves both."""
    loc = round(column.loc / column.step) * column.step
    first = round(column.first_loc / column.step) * column.step if alone.any() else loc
    return msgspec.structs.replace(column, loc=loc, first_loc=first, first_scale=column.scale)


def bin_edges(column: NumericEncoder, z: np.ndarray, x: np.ndarray) -> tuple[float, ...]:
    """Edges between quantiles, so that each bin holds about as many values; on a grid they lie between its cells."""
    if not column.mass:
        inner = np.unique(np.quantile(z, np.linspace(0, 1, MAX_BINS + 1)))
        if len(inner) < 2:
            inner = np.array([z.min() - 0.5, z.max() + 0.5])
        return tuple(inner.tolist())
    ticks, counts = np.unique(np.round(x / column.step).astype(np.int64), return_counts=True)
    if len(ticks) <= MAX_BINS:
        # Cells that never occurred are a bin of their own, or their neighbour would share its mass with them.
        cuts = np.union1d(ticks, ticks + 1)
    else:
        share = np.cumsum(counts) / counts.sum()
        uppers = ticks[np.searchsorted(share, np.linspace(0, 1, MAX_BINS + 1)[1:] - 1e-12)]
        cuts = np.union1d(ticks[:1], uppers + 1)
    points = (cuts - 0.5) * column.step
    if column.transform == "log1p":
        points = np.maximum(points, -0.999 * column.unit)
    y = points if column.cumulative is not None else transforms.forward(points, column.transform, column.unit)
    return tuple(((y - column.loc) / column.scale).tolist())
