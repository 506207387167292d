"""What is fitted to a number of a step beyond its transform: grid, atoms, bounds, and the edges of a histogram."""

import msgspec
import numpy as np

from unspool.encoding import transforms
from unspool.encoding.numeric import SERIES, Scaled
from unspool.errors import SchemaError
from unspool.schema.fields import Number
from unspool.schema.grid import DIGITS, grid_of, is_discrete, levels_of, repeated
from unspool.tables.location import Place

BINS = 32
"""Bins of a histogram at the most."""


def refine(
    column: Scaled,
    field: Number,
    values: np.ndarray,
    place: Place,
    offsets: np.ndarray | None,
    base: np.ndarray | None,
) -> Scaled:
    """The fitted column with grid, atoms, bounds and edges, as its head needs them.

    Args:
        column: from `Scaled.fit`.
        field: its head is not `"auto"`.
        values: (S,) NaN where missing.
        place: where the column is.
        offsets: (N + 1,).
        base: (N,) the values before step 0, NaN or None where unknown.

    Raises:
        SchemaError: a discretised head for numbers on no grid; bounds that training violates.
    """
    x = values.astype(np.float64)
    x = x[~np.isnan(x)]
    decimals, step = grid_of(x) or (None, 0.0)
    floor, ceiling = limits(field, x, place)
    digits = column.decimals if column.decimals is not None or decimals is None else max(decimals, 1)
    column = msgspec.structs.replace(column, decimals=digits, step=step, floor=floor, ceiling=ceiling)
    if column.transform in ("log1p", "asinh"):
        column = rescaled(msgspec.structs.replace(column, unit=max(column.unit, step)), x)
    mass = step > 0 and column.transform != "log_return"
    mass &= field.head == "discretised" or (field.head == "histogram" and is_discrete(x, step))
    if field.head == "discretised" and not mass:
        cure = "Pass another head, such as mixture; or round the numbers."
        found = "log-returns" if column.transform == "log_return" else "others"
        raise SchemaError(place.whole, "numbers of at most 6 decimals, for the head discretised", found, cure)
    y, alone, _ = column.steps(values.astype(np.float64), offsets, base, place)
    if mass and column.transform == "difference":
        column = aligned(column, alone)
    column = msgspec.structs.replace(column, mass=mass)
    if field.head == "discretised" and column.transform not in SERIES:
        levels, unseen = levels_of(on_grid(values.astype(np.float64), step), step, offsets)
        column = msgspec.structs.replace(column, levels=levels, unseen=unseen)
    if field.head != "point":
        series = column.transform in SERIES
        among = y[~alone] if series else x
        # Among levels, the neighbours of a value are other levels.
        ticks = np.searchsorted(column.levels, among - step / 2) if column.levels else among / (step or 1.0)
        atoms = repeated(np.round(ticks) if step else among, 1.0 if step else 0.0)
        if column.levels:
            atoms = tuple(column.levels[int(tick)] for tick in atoms)
        elif step:
            atoms = tuple(on_grid(np.array(atoms) * step, step).tolist())
        # A difference of 0 is exact; any other of two decimal numbers is known up to rounding only.
        atoms = tuple(atom for atom in atoms if atom == 0) if series and not mass else atoms
        column = msgspec.structs.replace(column, atoms=atoms if field.head != "histogram" or not mass else ())
    if field.head == "histogram":
        z = np.where(alone, (y - column.first_loc) / column.first_scale, (y - column.loc) / column.scale)
        column = msgspec.structs.replace(column, edges=edges(column, z, x if column.transform not in SERIES else y))
    return column


def on_grid(values: np.ndarray, step: float) -> np.ndarray:
    """The nearest multiples of a step, as they are written with few decimals."""
    return np.round(np.round(values / step) * step, DIGITS)


def limits(field: Number, x: np.ndarray, place: Place) -> tuple[float | None, float | None]:
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
            cure = "Widen the bounds, or correct the data."
            raise SchemaError(place.whole, f"numbers of {wrong} {bound:g}, its bound", f"{found:g}", cure)
    return (None if floor is None else float(floor)), (None if ceiling is None else float(ceiling))


def rescaled(column: Scaled, x: np.ndarray) -> Scaled:
    """Centre and spread again, after a change of the unit."""
    loc, scale = transforms.centre_and_spread(transforms.forward(x, column.transform, column.unit))
    return msgspec.structs.replace(column, loc=loc, scale=scale)


def aligned(column: Scaled, alone: np.ndarray) -> Scaled:
    """Differences and first values on one grid, so that a head needn't know which of both it gives."""
    loc = round(column.loc / column.step) * column.step
    first = round(column.first_loc / column.step) * column.step if alone.any() else loc
    return msgspec.structs.replace(column, loc=loc, first_loc=first, first_scale=column.scale)


def edges(column: Scaled, z: np.ndarray, x: np.ndarray) -> tuple[float, ...]:
    """Edges between quantiles, so that each bin holds about as many values; on a grid they lie between its cells."""
    if not column.mass:
        inner = np.unique(np.quantile(z, np.linspace(0, 1, BINS + 1)))
        if len(inner) < 2:
            inner = np.array([z.min() - 0.5, z.max() + 0.5])
        return tuple(inner.tolist())
    ticks, counts = np.unique(np.round(x / column.step).astype(np.int64), return_counts=True)
    if len(ticks) <= BINS:
        uppers = ticks
    else:
        share = np.cumsum(counts) / counts.sum()
        uppers = np.unique(ticks[np.searchsorted(share, np.linspace(0, 1, BINS + 1)[1:] - 1e-12)])
    # Between values that never occurred lies a bin of its own, or a wide gap would take its neighbour's mass.
    cuts = {int(ticks[0])} | {int(upper) + 1 for upper in uppers}
    if len(ticks) <= BINS:
        cuts |= {int(tick) for tick in ticks}
    points = (np.array(sorted(cuts)) - 0.5) * column.step
    if column.transform == "log1p":
        points = np.maximum(points, -0.999 * column.unit)
    y = points if column.transform in SERIES else transforms.forward(points, column.transform, column.unit)
    return tuple(((y - column.loc) / column.scale).tolist())
