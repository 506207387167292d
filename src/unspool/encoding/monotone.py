"""Timestamps of a sequence, and numbers that never fall or never rise: as the increment since the step before."""

import math
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from unspool.encoding.columns import (
    Continuation,
    Cumulative,
    Decoded,
    Digits,
    Origins,
    ScalarColumn,
    StepColumn,
    ValueType,
)
from unspool.encoding.first_moment import (
    MAX_MOMENT_PARTS,
    MONTHS_NAMES,
    MomentPart,
    check_parts,
    describe_parts,
    fit_parts,
)
from unspool.encoding.numeric import (
    BOUND_TOLERANCE,
    NumericEncoder,
    describe_bounds,
    last_values,
    parse_float,
    rounded,
)
from unspool.encoding.numeric_fit import level_ends, limits, refine
from unspool.encoding.transforms import accumulate, anchored, present_offsets
from unspool.encoding.transforms import legal as legal_values
from unspool.errors import Location, SchemaError
from unspool.schema.fields import Number, Transform, When
from unspool.schema.grid import find_grid
from unspool.schema.monotone import (
    DAY,
    TIME_UNITS,
    Months,
    are_later,
    as_number,
    increments,
    prefers_days,
    time_axis,
    to_units,
)
from unspool.schema.transform_choice import input_transform
from unspool.tables.columns import is_whole

MAX_RANGE_IN_SCALES = 20.0
"""Range of increments, in their scale, past which they get a logarithmic transform."""
UNIT_NAMES: dict[float, str] = dict(
    zip(TIME_UNITS, ("day", "hour", "minute", "second", "millisecond", "microsecond"), strict=True)
)
"""By the microseconds of a unit of time, what a person calls it."""
EARLIEST, LATEST = -62_135_596_800_000_000.0, 253_402_300_799_000_000.0
"""Microseconds since 1970 at the start of year 1 and the end of 9999: other years are no dates to most programs."""


class IncrementEncoder(ScalarColumn, StepColumn, Cumulative, frozen=True, omit_defaults=True, tag="increment"):
    """Timestamps, rising or falling numbers: each value is the last present value of its sequence plus an increment.

    `y` adds up: timestamps in units, or numbers times `sign`, with which falling numbers rise. The first increment of a
    sequence is counted from the value before step 0 where that is known, else from an origin: the smallest such first y
    of training. If no value of training fell, no increment is negative, and no generated value falls; if training is on
    a grid and no value was that of the step before, no generated value is.

    Args:
        increment: the increments as a column of numbers.
        origin: the y from which first increments are counted.
        unit: microseconds of a unit of timestamps, of months their mean; 0 for numbers.
        decimals: digits to which numbers are rounded; 0 for whole numbers, None for no rounding.
        low: the smallest value of training, in units.
        high: the largest.
        sign: 1; or -1, of numbers that never rise.
        floor: of numbers that never rise, the bound of samples, or None. A sequence that starts below it stays there.
        ceiling: of numbers that never fall, likewise.
        moves: whether no increment is 0, except that of step 0: days of visits, of which there is one a day.
        first: the parts of first timestamps; empty of numbers, and where every first one follows a known one.
        months: the months that are units of timestamps, or None.
        by_month: whether some days of the month have more timestamps than others.
        rise: of numbers, what the y of a sampled sequence doesn't rise beyond, see `numeric_fit.tail_end`; or None.
    """

    increment: NumericEncoder
    origin: float
    unit: float = 0.0
    decimals: Digits | None = None
    low: float = 0.0
    high: float = 0.0
    sign: float = 1.0
    floor: float | None = None
    moves: bool = False
    ceiling: float | None = None
    first: Annotated[tuple[MomentPart, ...], msgspec.Meta(max_length=MAX_MOMENT_PARTS)] = ()
    months: Months | None = None
    by_month: bool = False
    rise: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.unit < np.inf:
            raise SchemaError("increments, unit", "a finite number, 0 or above", str(self.unit))
        if self.sign not in (1.0, -1.0):
            raise SchemaError("increments, sign", "1 or -1", str(self.sign))
        if self.unit and self.sign != 1:
            raise SchemaError("increments, sign", "1, of timestamps", str(self.sign))
        if self.months is not None and not self.unit:
            raise SchemaError("increments, months", "a unit of timestamps", "none")
        check_parts(self.first, self.unit, self.months)

    @classmethod
    def fit(
        cls,
        field: Number | When,
        column: np.ndarray,
        location: Location,
        offsets: np.ndarray,
        before: np.ndarray | None,
    ) -> "IncrementEncoder":
        """Unit, origin and fitted increments of (S,) timestamps or numbers, at least one present.

        The distribution of the field is not `"auto"`. See `NumericEncoder.fit` for the other arguments.

        Raises:
            SchemaError: a number that falls, for `"increment"`, or rises, for `"decrement"`; or is below its bound.
        """
        values = as_number(column)
        delayed = isinstance(field, When) and field.since is not None and before is not None
        unit, months = time_axis(values, None if delayed else before) if column.dtype.kind == "M" else (0.0, None)
        by_month = bool(unit) and months is None and prefers_days(values, offsets)
        sign = -1.0 if isinstance(field, Number) and field.transform == "decrement" else 1.0
        y = to_units(values, unit or sign, months)
        start = None if before is None else to_units(before, unit or sign, months)
        steps, alone, _ = increments(y, offsets, None if delayed else start)
        first: tuple[MomentPart, ...] = ()
        if unit and alone.any() and not np.isnan(steps).all():
            base = np.repeat(start, np.diff(offsets))[alone] if delayed and start is not None else None
            first = fit_parts(y[alone], unit, base, field.name, location, months)
        else:
            steps, alone, _ = increments(y, offsets, start)
        falls = (steps < 0).any()
        if isinstance(field, Number) and falls:
            row = int(np.argmax(steps < 0))
            hint = f"Sort the steps, or pass Number({field.name!r}, transform=...) with another transform."
            size = "smaller" if sign == 1 else "larger"
            expected = f"a number no {size} than the one before, for {field.transform}"
            raise SchemaError(location.at(row), expected, f"{values[row]:g}", hint)
        later = ~alone & ~np.isnan(steps) & are_later(offsets)
        between = steps[later]
        if first:
            origin, steps, bounds = first[0].origin, steps[~alone], present_offsets(~alone, offsets)
        else:
            origin, bounds = float(y[alone].min()) if alone.any() else 0.0, offsets
            steps = np.where(alone, y - origin, steps)
        plain = plain_transform(steps)
        number = Number(field.name, plain, field.distribution, None if falls else (0.0, None))
        fitted = refine(NumericEncoder.fit(steps, plain, location), number, steps, location, bounds, None)
        grid = find_grid(y[~np.isnan(y)])
        whole = 0 if column.dtype.kind == "i" or is_whole(column) else None
        decimals = whole if whole == 0 or grid is None else max(grid[0], 1)
        low, high = (float(end) for end in sorted(sign * np.array([np.nanmin(y), np.nanmax(y)])))
        ends = limits(field, values[~np.isnan(values)], location) if isinstance(field, Number) else (None, None)
        floor, ceiling = (ends[0], None) if sign == -1 else (None, ends[1])  # the end that values move towards
        moves = not falls and fitted.step > 0 and bool((between > fitted.step / 2).all())
        rise = None if unit else level_ends(rises_of(steps, offsets))[1]
        moments = first, months, by_month
        return cls(fitted, origin, unit, decimals, low + 0.0, high + 0.0, sign, floor, moves, ceiling, *moments, rise)

    @property
    def nullable(self) -> bool:
        """Whether training had missing values."""
        return self.increment.nullable

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Timestamps, or numbers."""
        return ("time" if self.unit else "int" if self.decimals == 0 else "float",)

    @property
    def end(self) -> float | None:
        """The bound that values move towards, or None."""
        return self.floor if self.sign == -1 else self.ceiling

    def describe(self) -> str:
        """The range, the bound, and the increments."""
        name = "increments" if self.sign == 1 else "decrements"
        low, high = (self.written(end * self.sign) for end in (self.low, self.high))
        bound = describe_bounds(self.floor, self.ceiling)
        rise = "" if self.rise is None else f", in all at most {self.rise:.4g}"
        steps = f"{name}{self._in_units} {self.increment.describe()}{rise}"
        return f"{low} to {high}{bound}{describe_parts(self.first)}, {steps}"

    @property
    def _in_units(self) -> str:
        """The unit of timestamps, in words."""
        if self.months is not None:
            return f" in {MONTHS_NAMES[self.months.count]}s"
        return f" in {UNIT_NAMES[self.unit]}s" if self.unit in UNIT_NAMES else ""

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """The number; or the text, which is read as dates of a table are."""
        return text if self.unit else parse_float(text, location)

    def written(self, y: float) -> str:
        """The value of a y, for a message."""
        if not self.unit:
            return f"{y * self.sign + 0.0:g}"
        timestamp = np.datetime64(round(float(self.to_values(np.array(y)))), "us")
        return str(timestamp.astype("datetime64[D]" if self.unit >= DAY else "datetime64[s]"))

    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray, before: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Z of each increment, and log(dz/dx) of each step, see `NumericEncoder.encode`; a timestamp x is in units."""
        y = self.to_sum(as_number(values))
        steps, alone = self.increments_of(y, offsets, before)
        first = alone if self.first else np.zeros(len(y), bool)
        legal = first | np.isnan(steps) | legal_values(steps, self.increment.transform, self.increment.unit)
        if self.never is not None:
            legal &= alone | ~(steps < -BOUND_TOLERANCE * self.increment.scale)
        if self.delayed and self.first[0].is_positive:
            legal &= ~(alone & (steps < 0))
        if not legal.all():
            at = int(np.argmin(legal))
            raise self._illegal(y, steps, at, location, bool(alone[at]) and not self.delayed)
        z, slope = self.increment.encode(np.where(first, self.increment.low, steps), location)
        return np.where(first, np.inf, z), np.where(first, 0.0, slope)

    def increments_of(
        self, y: np.ndarray, offsets: np.ndarray, before: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S,) increments of y, and which count from an origin, because no value of their sequence is before them."""
        start = None if before is None else self.to_sum(before)
        base = np.repeat(self.base(before, len(offsets) - 1), np.diff(offsets))
        steps, alone, _ = increments(y, offsets, None if self.delayed else start)
        return np.where(alone, y - base, steps), alone

    @property
    def delayed(self) -> bool:
        """Whether first timestamps count from the value before step 0, rather than follow it."""
        return bool(self.first) and self.first[0].delayed

    def base(self, before: np.ndarray | None, rows: int) -> np.ndarray:
        """(rows,) the y from which first values count, from the (rows,) values before step 0."""
        if self.first:
            return self.first[0].base(before, rows)
        known = np.full(rows, np.nan) if before is None else self.to_sum(np.asarray(before, np.float64))
        return np.where(np.isnan(known), self.origin, known)

    def _illegal(self, y: np.ndarray, steps: np.ndarray, at: int, location: Location, alone: bool) -> SchemaError:
        """The error about a value whose increment can't be encoded, in units that a person reads."""
        before, found = self.written(float(y[at] - steps[at])), self.written(float(y[at]))
        of = "the earliest first one of training" if alone else "the one before"
        if self.unit:
            return SchemaError(
                location.at(at),
                f"a date no earlier than {of}, {before}",
                f"{found}, {span(-steps[at] * self.unit)} before",
            )
        size = "smaller" if self.sign == 1 else "larger"
        expected = f"a number no {size} than {of.replace('earliest first', 'first')}, {before}"
        return SchemaError(location.at(at), expected, found)

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """Values in original units: datetime64[us] with NaT, int64 where training had whole numbers, else float64."""
        first = np.isinf(encoded)
        z = np.where(first, np.nan, encoded)
        (steps,), _ = self.increment.decode(z, continuation._replace(before=None, observed=None))
        steps = steps.astype(np.float64)
        rows = np.repeat(np.arange(len(continuation.offsets) - 1), np.diff(continuation.offsets))
        before, observed = continuation.before, continuation.observed
        base = self.base(before, len(continuation.offsets) - 1)
        start = np.full(len(base), np.nan) if before is None else self.to_sum(before)
        if first.any():
            steps[first] = base[rows[first]]
            for part, codes in zip(self.first, continuation.parts, strict=True):
                steps[first] += part.units(codes[first])
            start[rows[first]] = 0.0
        kept = ~np.isnan(steps)
        inner = present_offsets(kept, continuation.offsets)
        y = np.full(len(steps), np.nan)
        anchors = None if observed is None else self.to_sum(observed[kept])
        y[kept] = accumulate(*anchored(steps[kept], inner, np.where(np.isnan(start), base, start), anchors))
        if continuation.upper is not None:  # only float32 carries a sample beyond
            y = np.minimum(y, continuation.upper)
        if self.unit:
            return self._timestamps(y, continuation)
        y[kept] = self._within(self.sign * y[kept] + 0.0, np.repeat(self.sign * start, np.diff(inner)))
        y = y if observed is None else np.where(np.isnan(observed), y, observed)
        return Decoded((rounded(y, self.decimals),), last_values(y, continuation))

    @property
    def cumulative(self) -> Cumulative:
        """Values add up."""
        return self

    @property
    def sum_unit(self) -> float:
        """The unit of logarithmic increments, the scale of others."""
        return self.increment.unit if self.increment.transform in ("log1p", "asinh") else self.increment.scale

    @property
    def never(self) -> Literal["falls", "rises"] | None:
        """The direction that values never take, if no increment of training was negative."""
        if self.increment.floor != 0:
            return None
        return "falls" if self.sign == 1 else "rises"

    @property
    def most(self) -> float:
        """That of the farthest rise."""
        return math.inf if self.rise is None else self.rise / self.sum_unit

    @property
    def excursions(self) -> tuple[float, float]:
        """None: levels have no ends of their own."""
        return 0.0, 0.0

    def origins(self, before: np.ndarray | None, rows: int) -> Origins:
        """The value before step 0, or the origin of training where there is none."""
        known = np.full(rows, np.nan) if before is None or self.delayed else self.to_sum(np.asarray(before, np.float64))
        at = np.where(np.isnan(known), self.base(before, rows), known)
        return Origins(at, np.where(np.isnan(known) & bool(self.first), np.nan, 0.0), self.sum_unit)

    def to_sum(self, values: np.ndarray) -> np.ndarray:
        """Timestamps in units, or numbers times `sign`."""
        return to_units(values, self.unit or self.sign, self.months)

    def to_values(self, y: np.ndarray) -> np.ndarray:
        """Microseconds, or numbers: undoes `to_sum`."""
        return y * (self.unit or self.sign) if self.months is None else self.months.to_times(y)

    def _timestamps(self, y: np.ndarray, continuation: Continuation) -> Decoded:
        timestamps = np.full(len(y), np.datetime64("NaT"), "datetime64[us]")
        kept = ~np.isnan(y)
        # Every timestamp of training is a whole number of units, so every generated one is.
        timestamps[kept] = np.clip(self.to_values(np.round(y[kept])), EARLIEST, LATEST).astype("datetime64[us]")
        if continuation.observed is not None:
            known = ~np.isnan(continuation.observed)
            timestamps[known] = continuation.observed[known].astype("datetime64[us]")
        return Decoded((timestamps,), last_values(as_number(timestamps), continuation))

    def _within(self, x: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Values on the bound, where float32 has carried them across; not those of sequences that start beyond."""
        if self.end is None:
            return x
        slack = BOUND_TOLERANCE * max(abs(self.low), abs(self.high))
        beyond = self.sign * (x - self.end)
        across = (beyond > 0) & (beyond < slack) & ~(self.sign * (start - self.end) > 0)
        return np.where(across, self.end, x)


def span(microseconds: float) -> str:
    """A time span in the largest unit, down to seconds, of which it has at least one.

    Examples:
        >>> span(2 * 86_400e6), span(90e6)
        ('2 days', '1.5 minutes')
    """
    sizes = TIME_UNITS[:4]
    size = next((size for size in sizes if microseconds >= size), sizes[-1])
    count = f"{microseconds / size:,.3g}" if microseconds < 1000 * size else f"{microseconds / size:,.0f}"
    return f"{count} {UNIT_NAMES[size]}" + ("s" if count != "1" else "")


def rises_of(increments: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(N,) how far each sequence rises, from (S,) increments, NaN where missing; a sequence of no steps is left out.

    Examples:
        >>> rises_of(np.array([1.0, 2.0, np.nan, 5.0]), np.array([0, 3, 3, 4])).tolist()
        [3.0, 5.0]
    """
    total = np.concatenate([[0.0], np.nancumsum(increments)])
    return np.diff(total[offsets])[np.diff(offsets) > 0]


def plain_transform(increments: np.ndarray) -> Transform:
    """The transform of increments: logarithmic, so that first values far from the origin don't stretch the scale."""
    present = increments[~np.isnan(increments)]
    plain = input_transform(increments)
    low, high = np.quantile(present, (0.05, 0.95))
    if plain != "standardize" or np.ptp(present) <= MAX_RANGE_IN_SCALES * max(present.std(), high - low):
        return plain
    return "log1p" if present.min() >= 0 else "asinh"
