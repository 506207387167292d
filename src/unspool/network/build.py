"""From a codec to a network: which distribution each fitted column has, and which arrays all need."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from unspool.encoding import transforms
from unspool.encoding.angle import AngleEncoder, AngleInput
from unspool.encoding.codec import Codec, parts_of
from unspool.encoding.columns import InputColumn, StepColumn
from unspool.encoding.distance import DistanceEncoder
from unspool.encoding.first_moment import MomentPart
from unspool.encoding.input_columns import BinaryEncoder, TimestampEncoder
from unspool.encoding.members import JointVocabulary, MultiLabel
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS, NumericEncoder
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import SchemaError
from unspool.network.cumulative import Calendar, CumulativeRule, MonthCalendar, PartRule, SumFeatures, ValueBefore
from unspool.network.decoder import Architecture
from unspool.network.distributions.base import Distribution, EventShape, NumberDistribution
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.circular import Circular
from unspool.network.distributions.discretized import Discretized
from unspool.network.distributions.grid import Grid, SupportPoints
from unspool.network.distributions.histogram import Histogram
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.multilabel import AutoregressiveBernoulli
from unspool.network.distributions.normal import Normal, Point
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.reparameterized import Reflected, ZeroMean
from unspool.network.distributions.student_t import StudentT
from unspool.network.distributions.where_active import WhereActive
from unspool.options import Network
from unspool.runtime.sizes import size_class
from unspool.schema.fields import MONOTONE_TRANSFORMS, Angle, Field, Flags, Joint, Number, Part, When
from unspool.schema.grid import MIN_RELATIVE_STEP
from unspool.schema.monotone import DAY
from unspool.schema.transform_choice import DEFAULT_DENSITY

DENSITIES: Mapping[str, NumberDistribution] = MappingProxyType(
    {"normal": Normal(), "student_t": StudentT(), "mixture": Mixture(), "point": Point()}
)
"""By name of a distribution of `Number`; inference has replaced `"auto"`."""
FOLLOWING_COMPONENTS, FREE_COMPONENTS, INDEPENDENT_COMPONENTS = 4, 3, 6
"""Components of an angle that follows the one before: those that do, and others; and of one that doesn't."""
MAX_HAZARD_POSITIONS = 1_000
"""Most positions with a hazard of stopping of their own; two more are the next one, and all after it."""
SEQUENCES_PER_NUMBER = 20
"""Sequences, at the least, for each number of the input, where the first step's distributions read them."""
MAX_FLOAT32 = float(np.finfo(np.float32).max)
"""Largest number of the network."""
MIN_TYPICAL = 0.1
"""Typical increment and spread of running sums, at the least, in their unit."""
MAX_EDGES = 129
"""Edges of a histogram at the most; twice those of the bins that a fit makes, where each cell is a bin."""


def architecture_of(codec: Codec, options: Network, size: int, embedding: int) -> Architecture:
    """The architecture of a network of `size` hidden units for fitted columns, with embeddings of a given width.

    Raises:
        SchemaError: a column that contradicts its field, or has a number that float32 can't hold.
    """
    for role, columns in (("input", codec.input_columns()), ("step", codec.step_columns())):
        for field, column in columns:
            check_column(field, column, role)
    inputs = tuple(map(_input_event, codec.inputs))
    architecture = Architecture(
        inputs=inputs,
        distributions=tuple(distribution_of(field, column) for field, column in codec.step_columns()),
        positions=min(codec.longest, MAX_HAZARD_POSITIONS) + 2 if codec.shortest < codec.longest else 0,
        size=size,
        embedding=embedding,
        options=options,
        symbols=tuple(column.num_symbols or 0 for column in codec.inputs),
        cumulative=tuple(rule for column in codec.steps for rule in _cumulative_rules(column)),
        before=_from_inputs(codec, _value_before) if codec.reads_first else (),
        sums_before=_from_inputs(codec, _sum_before),
        direct=codec.examples >= SEQUENCES_PER_NUMBER * sum(event.members or 0 for event in inputs),
    )
    given = (*architecture.before, *architecture.sums_before)
    for rule in (*architecture.distributions, *architecture.cumulative, *given):
        for number in _floats(rule):
            if MAX_FLOAT32 < abs(number) < np.inf:
                raise SchemaError("the numbers of a column", f"at most {MAX_FLOAT32:.3g} in size", f"{number:g}")
    return architecture


def _floats(part: Any) -> Iterator[float]:
    """All floats that a distribution is made of."""
    if isinstance(part, float):
        yield part
    elif isinstance(part, np.ndarray):
        yield from map(float, part.ravel())
    elif isinstance(part, tuple):
        yield from itertools.chain.from_iterable(map(_floats, part))
    elif dataclasses.is_dataclass(part):
        for one in dataclasses.fields(part):
            yield from _floats(getattr(part, one.name))


def distribution_of(field: Field, column: StepColumn) -> Distribution:
    """The distribution of a step field."""
    mean = getattr(field, "mean", "learned")
    name = getattr(field, "distribution", DEFAULT_DENSITY)
    match column:
        case Vocabulary(unseen=unseen) | JointVocabulary(unseen=unseen):
            return Categorical(size_class(column.num_symbols), unseen, column.num_symbols)
        case MultiLabel(members=members):
            inner: Distribution = AutoregressiveBernoulli(len(members))
        case AngleEncoder():
            inner = _circular(column)
        case MomentPart(number=None, count=count):
            inner = WhereActive(Categorical(count))
        case MomentPart(number=NumericEncoder() as counts):
            inner = WhereActive(number_distribution("discretized", counts))
        case IncrementEncoder(increment=number) | DistanceEncoder(distance=number) | (NumericEncoder() as number):
            inner = number_distribution(name, number, constant_mean=mean == "constant")
            inner = WhereActive(inner) if parts_of(column) else inner
        case _:
            raise AssertionError(column)
    return WithMissing(inner) if column.nullable else inner


def number_distribution(name: str, column: NumericEncoder, *, constant_mean: bool = False) -> NumberDistribution:
    """The distribution of a number that is present: `name` as in `Number.distribution`."""
    grid = _grid(column) if column.step else None
    low, high = (None if end is None else _to_network(column, end) for end in (column.floor, column.ceiling))
    wide = None if column.wide is None else np.array(column.wide)
    dist: NumberDistribution
    if name == "discretized" and grid is not None:
        bounds = (None, None) if column.cumulative is not None else (column.floor, column.ceiling)
        ends = _or_infinite(*bounds)
        dist = Discretized(grid, *ends, support_points=_support_points(column, grid), wide=wide)
        if column.reach is None:
            low, high, grid = None, None, None  # `Discretized` keeps to them by itself
    elif name == "histogram":
        dist = Histogram(np.array(column.edges), grid if column.mass else None)
    else:
        dist = Mixture(wide=wide) if name == "mixture" else DENSITIES[name]
    if column.reach is not None:
        least, most = column.reach
        low, high = (least if low is None else max(low, least)), (most if high is None else min(high, most))
    dist = ZeroMean(dist) if constant_mean else dist
    if low is not None or high is not None or grid is not None:
        dist = Reflected(dist, *_or_infinite(low, high), grid)
    return PointMasses(dist, np.array(column.point_mass_positions), column.mass) if column.point_masses else dist


def _circular(column: AngleEncoder) -> NumberDistribution:
    """The distribution of an angle that is present."""
    grid = Grid("linear", 1.0, 0.0, column.per_radian, column.step) if column.mass else None
    following, free = (FOLLOWING_COMPONENTS, FREE_COMPONENTS) if column.unit else (0, INDEPENDENT_COMPONENTS)
    dist = Circular(column.start / column.per_radian, grid, following, free, column.unit or 1.0)
    return PointMasses(dist, np.array(column.point_mass_positions), column.mass) if column.point_masses else dist


def _from_inputs(
    codec: Codec, become: Callable[[int, InputColumn, StepColumn], ValueBefore | None]
) -> tuple[ValueBefore | None, ...]:
    """By step field, how an input becomes what is before step 0, or `None`; empty where none does."""
    inputs = {field.name: (k, column) for k, (field, column) in enumerate(codec.input_columns())}
    found: list[ValueBefore | None] = []
    for field, column in codec.step_columns():
        delayed = isinstance(column, IncrementEncoder) and column.delayed
        name = field.since or "" if delayed and isinstance(field, When) else field.name
        known = name in inputs and not isinstance(field, Part) and (delayed or name in codec.schema.first)
        found.append(become(*inputs[name], column) if known else None)
    return tuple(found) if any(found) else ()


def _value_before(k: int, given: InputColumn, column: StepColumn) -> ValueBefore | None:
    """How input k becomes the value of a step field before step 0, if it is of the same kind."""
    match given, column:
        case Vocabulary() | BinaryEncoder(), Vocabulary(values=values):
            symbols = {value: code for code, value in enumerate(values)}
            own = given.values if isinstance(given, Vocabulary) else (False, True, None)
            codes = np.full(size_class(len(own)) + 1, len(values), np.int32)  # the last one is never seen
            codes[: len(own)] = [symbols.get(value, len(values)) for value in own]
            return ValueBefore(k, codes)
        case AngleInput(period=period), AngleEncoder() if period == column.period:
            return ValueBefore(k)
        case NumericEncoder(), NumericEncoder() if column.cumulative is None:
            return ValueBefore(k, None, _between(_axis(given), _axis(column)))
    return None


def _sum_before(k: int, given: InputColumn, column: StepColumn) -> ValueBefore | None:
    """How input k becomes the running sum of a step field before step 0, if it is of the same kind."""
    match given, column:
        case TimestampEncoder(), IncrementEncoder() if column.unit:
            axis, one = Grid("linear", 1.0, given.loc, given.scale, 0.0), float(DAY)
        case NumericEncoder(), IncrementEncoder() if not column.unit:
            axis, one = _axis(given), 1.0
        case _:
            return None
    # Months count as long as they are in the mean, and a step reads the nearest one: of a delay, the one begun.
    whole = 0.5 if column.delayed and column.months is not None else 0.0
    origin = float(column.to_values(np.array(column.origin + whole)))
    scale = column.sum_unit * (column.unit or column.sign)
    return ValueBefore(k, None, _between(axis, Grid("linear", 1.0, origin / one, scale / one, 0.0)))


def _between(given: Grid, step: Grid) -> tuple[Grid, Grid]:
    """Two axes of one number, from the first to the second; of two linear ones all is in the first.

    So float32 need not hold the number itself, which may be a date or a year.
    """
    if given.transform != "linear" or step.transform != "linear":
        return given, step
    loc, scale = (given.loc - step.loc) / step.scale, given.scale / step.scale
    return Grid("linear", 1.0, loc, scale, 0.0), Grid("linear", 1.0, 0.0, 1.0, 0.0)


def _axis(column: NumericEncoder, step: float = 0.0) -> Grid:
    """The axis of numbers, and the step of their grid."""
    axis = column.transform if column.transform in ("log1p", "asinh") else "linear"
    return Grid(axis, column.unit, column.loc, column.scale, step)


def _input_event(column: InputColumn) -> EventShape:
    """The shape of one value of an input."""
    symbols = column.num_symbols
    return EventShape(members=column.width) if symbols is None else EventShape(symbols=size_class(symbols))


def _cumulative_rules(column: StepColumn) -> Iterator[CumulativeRule | PartRule | None]:
    """How the values of a column add up, if they do, and the parts of its first value after it."""
    parts = parts_of(column)
    rule = _cumulative_rule(column)
    yield dataclasses.replace(rule, parts=len(parts)) if parts and rule else rule
    for part in parts:
        assert column.cumulative is not None  # noqa: S101  # increments add up
        axis = None if part.number is None else _axis(part.number)
        yield PartRule(part.size / column.cumulative.sum_unit, part.num_symbols, axis)


def _cumulative_rule(column: StepColumn) -> CumulativeRule | None:
    """How the values of a column add up, if they do; running sums are in the unit of the column."""
    if column.cumulative is None:
        return None
    unit = column.cumulative.sum_unit
    if isinstance(column, NumericEncoder):
        return CumulativeRule(Grid("linear", 1.0, column.loc / unit, 1.0, 0.0), column.first_scale / unit)
    increment, moves = column.increment, column.moves  # type: ignore[attr-defined]
    if increment.transform in ("log1p", "asinh"):
        axis = Grid(increment.transform, 1.0, increment.loc, increment.scale, 0.0)
    else:
        axis = Grid("linear", 1.0, increment.loc / unit, 1.0, 0.0)
    features = _sum_features(column) if isinstance(column, IncrementEncoder) else None
    return CumulativeRule(
        axis, min_increment=_to_network(increment, increment.step / 2) if moves else None, features=features
    )


def _sum_features(column: IncrementEncoder) -> SumFeatures:
    """What a step reads of the running sum of a column."""
    unit, increment = column.sum_unit, column.increment
    to_sum = lambda value: (value * (1.0 if column.unit else column.sign) - column.origin) / unit  # noqa: E731
    low, high = sorted((to_sum(column.low), to_sum(column.high)))
    end = high if column.end is None else to_sum(column.end)
    if increment.transform in ("log1p", "asinh"):
        typical = max(float(transforms.inverse(np.array(increment.loc), increment.transform, 1.0)), MIN_TYPICAL)
    else:
        typical = max(abs(increment.loc) / unit, 1.0)
    spread, half = max((high - low) / 12**0.5, MIN_TYPICAL), increment.step / unit / 2 / typical
    return SumFeatures((low + high) / 2, spread, end, typical, half, _calendar(column))


def _calendar(column: IncrementEncoder) -> Calendar | MonthCalendar | None:
    """What of a calendar a step reads: nothing of years alone."""
    if not column.unit:
        return None
    if (months := column.months) is not None:
        if months.count == 12:
            return None
        return MonthCalendar(column.sum_unit * months.count, (column.origin * months.count + months.phase) % 12)
    origin = column.origin * column.unit / DAY
    day = math.floor(origin)
    return Calendar(column.sum_unit * column.unit / DAY, day, origin - day, float(column.unit < DAY), column.by_month)


def _grid(column: NumericEncoder) -> Grid | None:
    """The grid of a column in the network's units, if float32 can tell its cells apart; log-returns have none."""
    too_fine = column.step < MIN_RELATIVE_STEP * max(column.high - column.low, abs(column.low), abs(column.high))
    no_masses = column.transform in DIFFERENCE_TRANSFORMS and not column.mass
    if column.transform == "log_return" or no_masses or too_fine:
        return None
    return _axis(column, column.step)


def _support_points(column: NumericEncoder, grid: Grid) -> SupportPoints | None:
    """The support points of a column, with their cells in the network's units."""
    if not column.support_points:
        return None
    values = np.array(column.support_points)
    y = transforms.forward((values[1:] + values[:-1]) / 2, column.transform, column.unit)
    return SupportPoints.of(grid, values, (y - column.loc) / column.scale, column.unseen)


def _or_infinite(low: float | None, high: float | None) -> tuple[float, float]:
    """Bounds, infinite where there are none."""
    return -np.inf if low is None else low, np.inf if high is None else high


def _to_network(column: NumericEncoder, bound: float) -> float | None:
    """A bound in the network's units; none of differences, which don't show the value."""
    return None if column.cumulative is not None else column.to_network(bound)


def check_column(field: Field, column: InputColumn | StepColumn, role: str) -> None:
    """Refuse a column of the right class that is not of its field, with a `SchemaError`."""
    fitted: Any = column
    match field:
        case Flags(members=members) if fitted.members != members:
            raise SchemaError(f"labels of {field.name!r}", ", ".join(members), ", ".join(fitted.members))
        case Joint(members=members) if len(fitted.members) != len(members):
            raise SchemaError(f"symbols of {field.name!r}", f"{len(members)} members", str(len(fitted.members)))
        case Number() | When() if field.references:
            own = field.references, field.side, field.signs, field.is_change
            if own != (fitted.references, fitted.sign, fitted.signs, fitted.change):
                raise SchemaError(f"distances of {field.name!r}", ", ".join(field.references), "others")
            if isinstance(field, When) != bool(fitted.unit):
                raise SchemaError(f"distances of {field.name!r}", "a unit of time exactly if they are dates", "others")
            _check_distribution(field, fitted.distance)
        case Angle(period=period) if fitted.period != period:
            raise SchemaError(f"angle {field.name!r}", f"the period {period:g}", f"{fitted.period:g}")
        case Number() if role == "input":
            _check_transform(field, fitted.transform)
        case Number(transform=transform) if transform not in MONOTONE_TRANSFORMS:
            _check_transform(field, fitted.transform)
            _check_distribution(field, fitted)
        case Number(transform=transform):
            sign = -1.0 if transform == "decrement" else 1.0
            if (fitted.unit, fitted.sign) != (0.0, sign):
                raise SchemaError(f"number {field.name!r}", f"the sign {sign:g}, and no unit", f"{fitted.sign:g}")
            _check_distribution(field, fitted.increment)
        case When() if role == "step":
            if not fitted.unit:
                raise SchemaError(f"date {field.name!r}", "a unit of time", "none")
            _check_distribution(field, fitted.increment)
        case Part() if fitted.number is not None:
            _check_distribution(Number(field.name, distribution="discretized"), fitted.number)


def _check_transform(field: Number, transform: str) -> None:
    if field.transform != transform:
        raise SchemaError(f"number {field.name!r}", f"the transform {field.transform}", transform)


def _check_distribution(field: Number | When, column: Any) -> None:
    """The distribution of a step field has all that it needs: a histogram its edges, masses their grid."""
    location, name = f"number {field.name!r}", field.distribution
    if name == "auto":
        raise SchemaError(location, "a distribution", "auto")
    if not (2 <= len(column.edges) <= MAX_EDGES if name == "histogram" else not column.edges):
        raise SchemaError(location, f"edges exactly if the distribution is a histogram, at most {MAX_EDGES}", name)
    if column.mass and not (name in ("discretized", "histogram") and column.step):
        raise SchemaError(location, "masses of a grid, discretized or a histogram", name)
    if name == "discretized" and not column.mass:
        raise SchemaError(location, "masses of a grid, because the distribution is discretized", "none")
    if column.support_points and name != "discretized":
        raise SchemaError(location, "support points of the distribution discretized only", name)
