"""What is fitted to a number of a step beyond its transform: grid, atoms, bounds, and the edges of a histogram."""

import msgspec
import numpy as np

from unspool.encoding import transforms
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS, NumericEncoder
from unspool.errors import Location, SchemaError
from unspool.schema.fields import Number
from unspool.schema.grid import MAX_DECIMALS, find_grid, find_point_masses, find_support_points, is_discrete

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
    """The fitted column with grid, atoms, bounds and edges, as its distribution needs them.

    Args:
        column: from `NumericEncoder.fit`.
        field: its distribution is not `"auto"`.
        values: (S,) NaN where missing.
        location: where the column is.
        offsets: (N + 1,).
        before: (N,) the values before step 0, NaN or None where unknown.

    Raises:
        SchemaError: a discretized distribution for numbers on no grid; bounds that training violates.
    """
    x = values.astype(np.float64)
    x = x[~np.isnan(x)]
    decimals, step = find_grid(x) or (None, 0.0)
    floor, ceiling = limits(field, x, location)
    digits = column.decimals if column.decimals is not None or decimals is None else max(decimals, 1)
    column = msgspec.structs.replace(column, decimals=digits, step=step, floor=floor, ceiling=ceiling)
    if column.transform in ("log1p", "asinh"):
        column = rescaled(msgspec.structs.replace(column, unit=max(column.unit, step)), x)
    mass = step > 0 and column.transform != "log_return"
    mass &= field.distribution == "discretized" or (field.distribution == "histogram" and is_discrete(x, step))
    if field.distribution == "discretized" and not mass:
        hint = "Pass another distribution, such as mixture; or round the numbers."
        found = "log-returns" if column.transform == "log_return" else "others"
        raise SchemaError(
            location.whole, "numbers of at most 6 decimals, for the distribution discretized", found, hint
        )
    y, alone, _ = column.increments(values.astype(np.float64), offsets, before, location)
    if mass and column.transform == "difference":
        column = aligned(column, alone)
    column = msgspec.structs.replace(column, mass=mass)
    if field.distribution == "discretized" and column.transform not in DIFFERENCE_TRANSFORMS:
        levels, unseen = find_support_points(on_grid(values.astype(np.float64), step), step, offsets)
        column = msgspec.structs.replace(column, support_points=levels, unseen=unseen)
    if field.distribution != "point":
        series = column.transform in DIFFERENCE_TRANSFORMS
        among = y[~alone] if series else x
        # Among levels, the neighbours of a value are other levels.
        ticks = (
            np.searchsorted(column.support_points, among - step / 2) if column.support_points else among / (step or 1.0)
        )
        atoms = find_point_masses(np.round(ticks) if step else among, 1.0 if step else 0.0)
        if column.support_points:
            atoms = tuple(column.support_points[int(tick)] for tick in atoms)
        elif step:
            atoms = tuple(on_grid(np.array(atoms) * step, step).tolist())
        # A difference of 0 is exact; any other of two decimal numbers is known up to rounding only.
        atoms = tuple(atom for atom in atoms if atom == 0) if series and not mass else atoms
        column = msgspec.structs.replace(
            column, point_masses=atoms if field.distribution != "histogram" or not mass else ()
        )
    if field.distribution == "histogram":
        z = np.where(alone, (y - column.first_loc) / column.first_scale, (y - column.loc) / column.scale)
        column = msgspec.structs.replace(
            column, edges=bin_edges(column, z, x if column.transform not in DIFFERENCE_TRANSFORMS else y)
        )
    return column


def on_grid(values: np.ndarray, step: float) -> np.ndarray:
    """The nearest multiples of a step, as they are written with few decimals."""
    return np.round(np.round(values / step) * step, MAX_DECIMALS)


def limits(field: Number, x: np.ndarray, location: Location) -> tuple[float | None, float | None]:
    """The bounds that a field asks for; by default numbers that were never negative stay so.

    Raises:
        SchemaError: training violates them.
    """
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
    """Centre and spread again, after a change of the unit."""
    loc, scale = transforms.location_and_scale(transforms.forward(x, column.transform, column.unit))
    return msgspec.structs.replace(column, loc=loc, scale=scale)


def aligned(column: NumericEncoder, alone: np.ndarray) -> NumericEncoder:
    """Differences and first values on one grid, so that a distribution needn't know which of both it gives."""
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
        uppers = ticks
    else:
        share = np.cumsum(counts) / counts.sum()
        uppers = np.unique(ticks[np.searchsorted(share, np.linspace(0, 1, MAX_BINS + 1)[1:] - 1e-12)])
    # Between values that never occurred lies a bin of its own, or a wide gap would take its neighbour's mass.
    cuts = {int(ticks[0])} | {int(upper) + 1 for upper in uppers}
    if len(ticks) <= MAX_BINS:
        cuts |= {int(tick) for tick in ticks}
    points = (np.array(sorted(cuts)) - 0.5) * column.step
    if column.transform == "log1p":
        points = np.maximum(points, -0.999 * column.unit)
    y = (
        points
        if column.transform in DIFFERENCE_TRANSFORMS
        else transforms.forward(points, column.transform, column.unit)
    )
    return tuple(((y - column.loc) / column.scale).tolist())
