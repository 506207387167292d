"""What is fitted to a number of a step beyond its transform: grid, point masses, bounds, the edges of a histogram."""

import math

import msgspec
import numpy as np

from unspool.encoding import transforms
from unspool.encoding.columns import Continuation, StepColumn
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS, NumericEncoder
from unspool.errors import Location, SchemaError
from unspool.schema.bounds import natural_bounds
from unspool.schema.fields import Number
from unspool.schema.grid import (
    MAX_DECIMALS,
    find_grid,
    find_point_masses,
    find_support_points,
    is_discrete,
    is_too_fine,
)
from unspool.schema.transform_choice import lost_digits

MAX_BINS = 32
"""Bins of a histogram at the most."""
MIN_TAIL_VALUES, TAIL_SHARE = 20, 0.05
"""Outermost values that show how a tail goes on, at the least, and as a share of all."""
SHARP_VARIATION, SURE_ERRORS = 0.65, 3.0
"""Coefficient of variation of a tail below which it ends at once (a uniform one has 0.58, an exponential one 1), and
its standard errors, in the exponential one, that it must be below 1."""
MIN_OUTERMOST, OUTERMOST_SHARE = 5, 0.1
"""Sequences that start outermost, which show how far those that start there go; at the least, and as a share of all."""
FAR_WALK = 4.0
"""Standard deviations of a random walk's last step beyond which it is in one of 16,000 cases."""
SURPRISED_DATA_SETS, WIDE = 0.01, 5.0
"""Share of data sets that have a value unlike all others; and the standard deviation of one, in that of the others."""


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
    too_fine = step > 0 and is_too_fine(x, step)
    mass = step > 0 and column.transform != "log_return" and not too_fine
    mass &= field.distribution == "discretized" or (field.distribution == "histogram" and is_discrete(x, step))
    if field.distribution == "discretized" and not mass:
        hint = f"Pass Number({field.name!r}, distribution='mixture'), or another distribution; or round the numbers."
        found = "log-returns" if column.transform == "log_return" else "others"
        found = "a range of over a million steps, whose cells float32 can't tell apart" if step and too_fine else found
        expected = "numbers of at most 6 decimals, for the distribution discretized"
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
    z = np.where(alone, (y - column.first_loc) / column.first_scale, (y - column.loc) / column.scale)
    if field.distribution == "histogram":
        column = msgspec.structs.replace(column, edges=bin_edges(column, z, y if differs else x))
    column = msgspec.structs.replace(column, reach=reach_of(column, z), wide=wide_component(z))
    if not differs or offsets is None:
        return column
    ends = level_ends(x) if column.transform == "difference" else ratio_ends(x)
    return msgspec.structs.replace(column, ends=ends, excursions=excursions(column, values, offsets, before))


def wide_component(z: np.ndarray) -> tuple[float, float, float]:
    """Probability, mean and standard deviation of a value unlike those of training, from (S,) of them, S >= 1.

    Of a hundred data sets of S + 1 values, one has such a value.

    Examples:
        >>> wide_component(np.array([-1.0, 1.0, -1.0, 1.0]))
        (0.002, 0.0, 5.0)
    """
    return SURPRISED_DATA_SETS / (len(z) + 1), float(z.mean()), WIDE * (float(z.std()) or 1.0)


def point_masses(column: NumericEncoder, values: np.ndarray) -> tuple[float, ...]:
    """The values, or the differences of a column that is seen by differences, that get a mass of their own."""
    step, support = column.step, column.support_points
    if support:  # the neighbours of a support point are other support points
        positions = np.round(np.searchsorted(support, values - step / 2))
        return tuple(support[int(position)] for position in find_point_masses(positions, 1.0))
    if not step or column.transform == "log_return":  # ratios lie on no grid
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
    """The bounds of a field, or a `SchemaError` if training violates them; by default those that training shows."""
    low, high = float(x.min()), float(x.max())
    if field.bounds == "auto":
        return natural_bounds(x)
    if field.bounds == "data":
        return low, high
    floor, ceiling = field.bounds or (None, None)
    for bound, found, wrong in ((floor, low, "at least"), (ceiling, high, "at most")):
        if bound is not None and (found < bound if wrong == "at least" else found > bound):
            hint = "Widen the bounds, or correct the data."
            raise SchemaError(location.whole, f"numbers of {wrong} {bound:g}, its bound", f"{found:g}", hint)
    return (None if floor is None else float(floor)), (None if ceiling is None else float(ceiling))


def reach_of(column: NumericEncoder, z: np.ndarray) -> tuple[float, float] | None:
    """What samples don't go beyond, from (S,) values in the network's units, none missing: see `tail_end`.

    On a logarithmic axis that is at most ten times the outermost value, on a linear one ten times the range. What is
    far on a logarithmic axis may be near the end of a tail that is short in original units: the nearer end counts.
    Support points need none.
    """
    if column.support_points:
        return None
    decade = np.log(10) / column.scale if column.transform in ("log1p", "asinh") else 9 * float(np.ptp(z))
    low, high = -tail_end(-z, decade), tail_end(z, decade)
    if column.cumulative is None and column.transform in ("log1p", "asinh"):
        x = transforms.inverse(z * column.scale + column.loc, column.transform, column.unit)
        ends = level_ends(x) if x.min() < 0 else (None, level_ends(x)[1])
        least, most = (None if end is None else column.to_network(end) for end in ends)
        low, high = low if least is None else max(low, least), high if most is None else min(high, most)
    if not column.step or (column.cumulative is not None and not column.mass):
        return float(low), float(high)
    y = np.array([low, high]) * column.scale + column.loc
    axis = "none" if column.cumulative is not None else column.transform
    ticks = on_grid(transforms.inverse(y, axis, column.unit), column.step)
    if axis == "log1p":
        ticks = np.maximum(ticks, np.ceil(-0.999 * column.unit / column.step) * column.step)
    low, high = ((transforms.forward(ticks, axis, column.unit) - column.loc) / column.scale).tolist()
    return low, high


def level_ends(x: np.ndarray) -> tuple[float, float]:
    """What sums of differences don't go beyond, from (S,) values, none missing: see `tail_end`.

    Examples:
        >>> level_ends(np.arange(100.0))
        (-10.5, 109.5)
    """
    most = 9 * float(np.ptp(x))
    return -tail_end(-x, most), tail_end(x, most)


def ratio_ends(x: np.ndarray) -> tuple[float, float]:
    """As `level_ends`, of (S,) values above 0 and sums of log-returns: the nearer end of both axes, within a decade.

    Examples:
        >>> low, high = ratio_ends(np.arange(1.0, 101.0))
        >>> round(low, 2), round(high, 2)
        (0.1, 110.5)
    """
    logs, decade = np.log(x), float(np.log(10))
    low, high = np.exp(-tail_end(-logs, decade)), min(np.exp(tail_end(logs, decade)), level_ends(x)[1])
    return float(min(low, x.min())), float(max(high, x.max()))  # a logarithm rounds


def excursions(
    column: NumericEncoder, values: np.ndarray, offsets: np.ndarray, before: np.ndarray | None
) -> tuple[float, float]:
    """How far sequences go below and above their value before step 0, or else their first, on the axis that adds up.

    Those that start lowest say how far below, those that start highest how far above: a rich country doesn't grow as a
    poor one. But a price has no level of its own, so it's at least as far as a random walk of such steps hardly goes.
    """
    y, some = column.to_sum(values), np.diff(offsets) > 0
    at = offsets[:-1][some]
    start = np.full(len(at), np.nan) if before is None else column.start(before)[some]
    start = np.where(np.isfinite(start), start, y[at])
    known = np.isfinite(start)
    if not known.any():
        return 0.0, 0.0
    start = start[known]
    walk = FAR_WALK * float(np.hypot(column.loc, column.scale)) * float(np.diff(offsets).max()) ** 0.5
    furthest = []
    for sign in (-1, 1):
        gone = np.fmax(np.fmax.reduceat(sign * y, at)[known] - sign * start, 0.0)
        outermost = np.argsort(-sign * start)[: max(MIN_OUTERMOST, math.ceil(OUTERMOST_SHARE * len(start)))]
        furthest.append(max(walk, tail_end(gone[outermost], float(gone[outermost].std()))))
    return furthest[0], furthest[1]


def tail_end(z: np.ndarray, most: float) -> float:
    """The value that one in a hundred data sets like (S,) values z would exceed, at most `most` beyond the largest.

    It is the quantile of a generalised Pareto distribution, fitted to the outermost twentieth by the method of moments
    (Hosking & Wallis 1987, "Parameter and quantile estimation for the generalized Pareto distribution"), and at least
    the mean excess of that twentieth beyond the largest value; of few values, one range beyond it. A tail that is
    shorter than an exponential one counts as such by a standard error of its shape less. Where a tail surely has an
    end that its density doesn't fade to, as that of a uniform distribution, that end is it, and two standard errors.

    Examples:
        >>> tail_end(np.arange(100.0), 5.0)
        104.0
    """
    high, spread = float(z.max()), float(np.ptp(z))
    count = max(MIN_TAIL_VALUES, int(TAIL_SHARE * len(z)))
    if len(z) < 2 * count:
        return high + min(spread, most)
    outer = np.sort(z)[-count - 1 :]
    excess = outer[1:] - outer[0]
    mean, variance = float(excess.mean()), float(excess.var())
    if not variance > 0:
        return high + min(0.1 * spread, most)
    ratio, rarity = mean * mean / variance, 100.0 * count
    if ratio**-0.5 < min(SHARP_VARIATION, 1 - SURE_ERRORS / count**0.5):
        end = float(outer[0]) + mean * (ratio + 1) / (ratio - 1)
        return max(high, end) + 2 * (variance / count) ** 0.5
    shape = (1 - ratio) / 2
    shape = shape if shape > 0 else min(0.0, shape + (1 - shape) / count**0.5)
    scale = mean * (1 - shape)
    growth = np.log(rarity) if abs(shape) < 1e-6 else (rarity**shape - 1) / shape
    return high + min(max(float(outer[0] + scale * growth) - high, mean), most)


def refuse_lost_digits(
    column: StepColumn,
    values: np.ndarray,
    location: Location,
    offsets: np.ndarray,
    before: np.ndarray | None = None,
) -> None:
    """Refuse (S,) numbers that don't come back from float32, the type of the network.

    They don't where a few are so large that all others look alike beside them: a code for missing values, such as
    999999999, or a range of dozens of decades.

    Raises:
        SchemaError: names the first such number.
    """
    x = values.astype(np.float64)
    present = ~np.isnan(x)
    z = column.encode(values, location, offsets, before)[0].astype(np.float32)
    (back,), _ = column.decode(z, Continuation(offsets, before))
    wrong = np.zeros(len(x), bool)
    wrong[present] = lost_digits(x[present], back[present].astype(np.float64))
    if wrong.any():
        row = int(np.argmax(wrong))
        expected = f"numbers that float32 tells apart beside the largest one, {np.nanmax(np.abs(x)):g}"
        found = f"{x[row]:g}, which would come back as {float(back[row]):g}"
        hint = f"Correct the largest, or empty them; or pass Number({location.column!r}, transform='asinh')."
        raise SchemaError(location.at(row), expected, found, hint)


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
