"""From a codec to a network: which arrays the fitted columns need."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from unspool.constraints.cumulative import unit_of
from unspool.encoding import transforms
from unspool.encoding.codec import Codec
from unspool.encoding.columns import Dates, InputColumn, Reals, StepColumn, Symbols
from unspool.encoding.monotone import Gaps
from unspool.encoding.multilabel import Block as Columns
from unspool.encoding.numeric import SERIES, Scaled
from unspool.network.combinations import combination
from unspool.network.cumulative import Path
from unspool.network.decoder import Reals as RealInput
from unspool.network.decoder import Shape
from unspool.network.decoder import Symbols as SymbolInput
from unspool.network.distributions.base import Head, Real
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.discretized import Discretised
from unspool.network.distributions.grid import Grid, Levels
from unspool.network.distributions.histogram import Histogram
from unspool.network.distributions.missing import Nullable
from unspool.network.distributions.mixture import Mixture, Normal, Point, StudentT
from unspool.network.distributions.multilabel import Block
from unspool.network.distributions.point_masses import Atoms
from unspool.network.distributions.reflected import Bounded
from unspool.network.distributions.zero_mean import Centred
from unspool.options import Network
from unspool.schema.fields import AnyField, Number, When
from unspool.schema.grid import FINEST
from unspool.schema.transform_choice import DENSITY

NUMBER_HEADS: Mapping[str, Real] = MappingProxyType(
    {"normal": Normal(), "student_t": StudentT(), "mixture": Mixture(), "point": Point()}
)
"""The head that each choice of a `Number` means; inference has decided what `"auto"` is."""
POSITIONS = 1_000
"""Positions with a hazard of stopping of their own, at the most; two more are the next, and all after it."""


def shape_of(codec: Codec, options: Network, size: int, embedding: int) -> Shape:
    """The shape of the network for fitted columns.

    Args:
        codec: the fitted columns.
        options: of the network.
        size: hidden units.
        embedding: width of a symbol's embedding.
    """
    heads = tuple(_head(field, column) for field, column in zip(codec.schema.steps, codec.steps, strict=True))
    positions = min(codec.longest, POSITIONS) + 2 if codec.shortest < codec.longest else 0
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
    return Shape(tuple(map(_input, codec.inputs)), heads, positions, size, embedding, options, paths, tuples)


def _input(column: InputColumn) -> SymbolInput | RealInput:
    if isinstance(column, Symbols):
        return SymbolInput(len(column.values))
    if isinstance(column, Reals):
        return RealInput(column.dim)
    return RealInput(1 + 2 * len(column.cycles) if isinstance(column, Dates) else 1)


def _head(field: AnyField, column: StepColumn) -> Head:
    if isinstance(column, Symbols):
        return Categorical(len(column.values), column.unseen)
    if isinstance(column, Columns):
        block = Block(len(column.members))
        return Nullable(block) if column.nullable else block
    inner = column.gap if isinstance(column, Gaps) else column
    name = field.head if isinstance(field, (Number, When)) else DENSITY
    head = number_head(name, inner, constant=isinstance(field, Number) and field.mean == "constant")
    return Nullable(head) if column.nullable else head


def _path(column: StepColumn) -> Path | None:
    """How a column's values add up, if they do; heights are in the units of `unspool.constraints.cumulative`."""
    if not isinstance(column, (Scaled, Gaps)) or (unit := unit_of(column)) is None:
        return None
    if isinstance(column, Scaled):
        return Path(Grid("linear", 1.0, column.loc / unit, 1.0, 0.0), column.first_scale / unit)
    gap = column.gap
    bent = gap.transform in ("log1p", "asinh")
    axis = Grid(gap.transform, 1.0, gap.loc, gap.scale, 0.0) if bent else Grid("linear", 1.0, gap.loc / unit, 1.0, 0.0)
    return Path(axis, least=place(gap, gap.step / 2) if column.moves else None)


def number_head(name: str, column: Scaled, *, constant: bool = False) -> Head:
    """The head of a number that is there, as its name and what was fitted to its column say.

    Args:
        name: see `Number`.
        column: the fitted column.
        constant: whether its mean is that of training, always.
    """
    grid = grid_of(column) if column.step else None
    low, high = (None if end is None else place(column, end) for end in (column.floor, column.ceiling))
    head: Real
    if name == "discretised" and grid is not None:
        series = column.transform in SERIES
        ends = (None, None) if series else (column.floor, column.ceiling)
        head = Discretised(grid, *ends, levels=levels_of(column, grid))
        low, high, grid = None, None, None  # which it holds to by itself
    else:
        masses = grid if column.mass else None
        head = Histogram(column.edges, masses) if name == "histogram" else NUMBER_HEADS[name]
    head = Centred(head) if constant else head
    if low is not None or high is not None or grid is not None:
        head = Bounded(head, low, high, grid)
    return Atoms(head, tuple(column.places), column.mass) if column.atoms else head


def grid_of(column: Scaled) -> Grid | None:
    """The grid of a column in the network's units, if float32 can tell its cells apart; log-returns have none."""
    fine = column.step < FINEST * max(column.high - column.low, abs(column.low), abs(column.high))
    if column.transform == "log_return" or (column.transform in SERIES and not column.mass) or fine:
        return None
    bent = column.transform if column.transform in ("log1p", "asinh") else "linear"
    return Grid(bent, column.unit, column.loc, column.scale, column.step)


def levels_of(column: Scaled, grid: Grid) -> Levels | None:
    """The levels of a column, with their cells in the network's units."""
    if not column.levels:
        return None
    values = np.array(column.levels)
    y = transforms.forward((values[1:] + values[:-1]) / 2, column.transform, column.unit)
    return Levels(grid, column.levels, tuple(((y - column.loc) / column.scale).tolist()), column.unseen)


def place(column: Scaled, bound: float) -> float | None:
    """A bound in the network's units; of a series transform, which doesn't show the value, there is none."""
    if column.transform in SERIES:
        return None
    y = float(transforms.forward(np.array([bound]), column.transform, column.unit)[0])
    return (y - column.loc) / column.scale
