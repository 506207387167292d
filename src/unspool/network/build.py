"""From a codec to a network: which arrays the fitted columns need."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from unspool.constraints.cumulative import cumulative_unit
from unspool.encoding import transforms
from unspool.encoding.codec import Codec
from unspool.encoding.columns import InputColumn, StepColumn, TimestampEncoder, VectorEncoder, Vocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel as Columns
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS, NumericEncoder
from unspool.network.combinations import combination
from unspool.network.cumulative import CumulativeRule
from unspool.network.decoder import Architecture
from unspool.network.decoder import CategoricalInput as SymbolInput
from unspool.network.decoder import NumericInput as RealInput
from unspool.network.distributions.base import Distribution, NumberDistribution
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.discretized import Discretized
from unspool.network.distributions.grid import Grid, SupportPoints
from unspool.network.distributions.histogram import Histogram
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture, Normal, Point, StudentT
from unspool.network.distributions.multilabel import BernoulliMixture
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.reflected import Reflected
from unspool.network.distributions.zero_mean import ZeroMean
from unspool.options import Network
from unspool.schema.fields import AnyField, Number, When
from unspool.schema.grid import MIN_RELATIVE_STEP
from unspool.schema.transform_choice import DEFAULT_DENSITY

NUMBER_DISTRIBUTIONS: Mapping[str, NumberDistribution] = MappingProxyType(
    {"normal": Normal(), "student_t": StudentT(), "mixture": Mixture(), "point": Point()}
)
"""The distribution that each choice of a `Number` means; inference has decided what `"auto"` is."""
MAX_HAZARD_POSITIONS = 1_000
"""Positions with a hazard of stopping of their own, at the most; two more are the next, and all after it."""


def architecture_of(codec: Codec, options: Network, size: int, embedding: int) -> Architecture:
    """The shape of the network for fitted columns.

    Args:
        codec: the fitted columns.
        options: of the network.
        size: hidden units.
        embedding: width of a symbol's embedding.
    """
    distributions = tuple(
        _distribution(field, column) for field, column in zip(codec.schema.steps, codec.steps, strict=True)
    )
    positions = min(codec.longest, MAX_HAZARD_POSITIONS) + 2 if codec.shortest < codec.longest else 0
    paths = tuple(map(_path, codec.steps))
    fields = [field.name for field in codec.schema.steps]
    tuples = tuple(
        combination(
            tuple(map(fields.index, one.fields)),
            tuple(len(codec.steps[fields.index(name)].values) for name in one.fields),  # type: ignore[union-attr]
            one.unseen,
            one.seen,
        )
        for one in codec.combinations
    )
    return Architecture(
        tuple(map(_input, codec.inputs)), distributions, positions, size, embedding, options, paths, tuples
    )


def _input(column: InputColumn) -> SymbolInput | RealInput:
    if isinstance(column, Vocabulary):
        return SymbolInput(len(column.values))
    if isinstance(column, VectorEncoder):
        return RealInput(column.dim)
    return RealInput(1 + 2 * len(column.cycles) if isinstance(column, TimestampEncoder) else 1)


def _distribution(field: AnyField, column: StepColumn) -> Distribution:
    if isinstance(column, Vocabulary):
        return Categorical(len(column.values), column.unseen)
    if isinstance(column, Columns):
        block = BernoulliMixture(len(column.members))
        return WithMissing(block) if column.nullable else block
    inner = column.gap if isinstance(column, IncrementEncoder) else column
    name = field.distribution if isinstance(field, (Number, When)) else DEFAULT_DENSITY
    dist = number_distribution(name, inner, constant=isinstance(field, Number) and field.mean == "constant")
    return WithMissing(dist) if column.nullable else dist


def _path(column: StepColumn) -> CumulativeRule | None:
    """How a column's values add up, if they do; heights are in the units of `unspool.constraints.cumulative`."""
    if not isinstance(column, (NumericEncoder, IncrementEncoder)) or (unit := cumulative_unit(column)) is None:
        return None
    if isinstance(column, NumericEncoder):
        return CumulativeRule(Grid("linear", 1.0, column.loc / unit, 1.0, 0.0), column.first_scale / unit)
    gap = column.gap
    bent = gap.transform in ("log1p", "asinh")
    axis = Grid(gap.transform, 1.0, gap.loc, gap.scale, 0.0) if bent else Grid("linear", 1.0, gap.loc / unit, 1.0, 0.0)
    return CumulativeRule(axis, least=to_network(gap, gap.step / 2) if column.moves else None)


def number_distribution(name: str, column: NumericEncoder, *, constant: bool = False) -> Distribution:
    """The distribution of a number that is there, as its name and what was fitted to its column say.

    Args:
        name: see `Number`.
        column: the fitted column.
        constant: whether its mean is that of training, always.
    """
    grid = grid_for(column) if column.step else None
    low, high = (None if end is None else to_network(column, end) for end in (column.floor, column.ceiling))
    dist: NumberDistribution
    if name == "discretised" and grid is not None:
        series = column.transform in DIFFERENCE_TRANSFORMS
        ends = (None, None) if series else (column.floor, column.ceiling)
        dist = Discretized(grid, *ends, support_points=support_points_for(column, grid))
        low, high, grid = None, None, None  # which it holds to by itself
    else:
        masses = grid if column.mass else None
        dist = Histogram(column.edges, masses) if name == "histogram" else NUMBER_DISTRIBUTIONS[name]
    dist = ZeroMean(dist) if constant else dist
    if low is not None or high is not None or grid is not None:
        dist = Reflected(dist, low, high, grid)
    return PointMasses(dist, tuple(column.point_mass_positions), column.mass) if column.point_masses else dist


def grid_for(column: NumericEncoder) -> Grid | None:
    """The grid of a column in the network's units, if float32 can tell its cells apart; log-returns have none."""
    fine = column.step < MIN_RELATIVE_STEP * max(column.high - column.low, abs(column.low), abs(column.high))
    if column.transform == "log_return" or (column.transform in DIFFERENCE_TRANSFORMS and not column.mass) or fine:
        return None
    bent = column.transform if column.transform in ("log1p", "asinh") else "linear"
    return Grid(bent, column.unit, column.loc, column.scale, column.step)


def support_points_for(column: NumericEncoder, grid: Grid) -> SupportPoints | None:
    """The levels of a column, with their cells in the network's units."""
    if not column.support_points:
        return None
    values = np.array(column.support_points)
    y = transforms.forward((values[1:] + values[:-1]) / 2, column.transform, column.unit)
    return SupportPoints(grid, column.support_points, tuple(((y - column.loc) / column.scale).tolist()), column.unseen)


def to_network(column: NumericEncoder, bound: float) -> float | None:
    """A bound in the network's units; of a series transform, which doesn't show the value, there is none."""
    if column.transform in DIFFERENCE_TRANSFORMS:
        return None
    y = float(transforms.forward(np.array([bound]), column.transform, column.unit)[0])
    return (y - column.loc) / column.scale
