"""The first moment of a sequence, in parts that float32 holds: weeks, the weekday, the hour, and what is left.

A moment is a whole number of units. Its parts are the digits of that number to mixed bases, the largest first: the
network sees each as a field of its own, so a later part depends on those before it, and the digits give the moment back
exactly. Which parts there are, the calendar decides where first moments follow it, and else their range.
"""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.columns import AboveZero, Continuation, Cumulative, Decoded, Origins, StepColumn, ValueType
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.numeric_fit import refine
from unspool.errors import Location, SchemaError, listing
from unspool.schema.fields import Number, Transform
from unspool.schema.monotone import DAY, Months, as_number, increments, to_units
from unspool.schema.transform_choice import input_transform

HOUR, WEEK, YEAR = 3_600_000_000, 7 * DAY, 364 * DAY
"""Microseconds; a year of 52 weeks, so that weeks don't lie in two of them."""
SIZES = (1, 1_000, 1_000_000, 60_000_000, HOUR, DAY, WEEK, YEAR)
"""Microseconds of the units that a part may count, rising."""
PART_NAMES = {HOUR: "hour", DAY: "day", WEEK: "week", YEAR: "year"}
MONTHS_NAMES = {1: "month", 3: "quarter", 6: "half-year", 12: "year"}
MONDAY = -3 * DAY
"""A Monday, in microseconds since 1970: weeks begin there."""
MAX_PART = 2**17
"""Counts of a part at the most, about: two of them hold every second of centuries."""
MAX_MOMENT_PARTS = len(SIZES)
"""Parts of a moment at the most."""
MAX_PART_SYMBOLS = 24
"""Counts of a part that are symbols rather than numbers, at the most."""
CYCLES = ((HOUR, DAY, 24), (DAY, WEEK, 7), (4 * WEEK, YEAR, 13))
"""Of hour, weekday and season: the size of a count, that of the cycle, and the counts in it."""
MIN_CYCLES, MIN_MOMENTS_PER_COUNT = 3, 5
"""Cycles and, for each count of a cycle, first moments that show at the least whether they follow it."""
SURE_DEVIATE = 3.09
"""Standard normal deviate that one in a thousand exceeds."""


class MomentPart(StepColumn, frozen=True, omit_defaults=True, tag="part"):
    """A part of first moments: how often its size is in what the larger parts leave.

    Args:
        unit: microseconds of a unit of the timestamps.
        size: units of one count.
        origin: moment at which all parts are 0, in units since 1970; where `delayed`, of sequences whose start is
            unknown.
        count: counts in one count of the next larger part; 0 of the largest part, which has no end.
        delayed: moments count from the value before step 0.
        number: the fitted counts, where they are numbers; `None` where they are symbols.
        months: the months that are units, or `None`.
    """

    unit: AboveZero
    size: Annotated[float, msgspec.Meta(ge=1.0)]
    origin: float
    count: Annotated[int, msgspec.Meta(ge=0, le=2**22)] = 0
    delayed: bool = False
    number: NumericEncoder | None = None
    months: Months | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.unit) and np.isfinite(self.size) and np.isfinite(self.origin)):
            raise SchemaError("first moment", "finite numbers", f"{self.unit}, {self.size}, {self.origin}")
        if self.number is None and not 2 <= self.count <= MAX_PART_SYMBOLS:
            raise SchemaError("first moment, symbols", f"2 to {MAX_PART_SYMBOLS}", str(self.count))
        if self.number is not None and (self.number.nullable or not self.number.mass or self.number.cumulative):
            raise SchemaError("first moment, counts", "masses of numbers, none missing", "others")

    @property
    def num_symbols(self) -> int | None:
        """The counts, where they are symbols."""
        return self.count if self.number is None else None

    @property
    def width(self) -> int:
        """One."""
        return 1

    @property
    def nullable(self) -> bool:
        """A part is there wherever a first moment is."""
        return False

    @property
    def types(self) -> tuple[ValueType, ...]:
        """None: a part is no column of a table."""
        return ()

    @property
    def name(self) -> str:
        """What a person calls it."""
        size = round(self.size * self.unit)
        if self.delayed:
            return "delay" if not self.count else "rest of it"
        if self.months is not None:
            return MONTHS_NAMES.get(round(self.size * self.months.count), "time")
        return "weekday" if (size, self.count) == (DAY, 7) else PART_NAMES.get(size, "time")

    def describe(self) -> str:
        """Its name."""
        return self.name

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """The text."""
        return text

    @property
    def cumulative(self) -> Cumulative | None:
        """There is one in a sequence, so nothing adds up; the field that it is a part of does."""
        return None

    @property
    def is_positive(self) -> bool:
        """Whether no count is below 0."""
        return self.number is None or self.number.floor == 0

    def origins(self, before: np.ndarray | None, rows: int) -> Origins:
        """Where it counts from in every row; it has no running sum, but is part of one."""
        return Origins(self.base(before, rows), np.full(rows, np.nan), 1.0, self.at_moments)

    def base(self, before: np.ndarray | None, rows: int) -> NDArray[np.float64]:
        """(rows,) the moments from which parts count, in units, from the (rows,) values before step 0."""
        known = np.full(rows, np.nan)
        if self.delayed and before is not None:
            known = np.floor(self.to_units(np.asarray(before, np.float64)))
        return np.where(np.isnan(known), self.origin, known)

    def to_units(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Microseconds since 1970 in units."""
        return to_units(times, self.unit, self.months)

    def at_moments(self, y: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
        """`seen` of moments that may be infinite, or NaN: these stay."""
        finite = np.isfinite(y)
        return np.where(finite, self.seen(np.where(finite, y, base), base)[0], y)

    def seen(self, y: NDArray[np.float64], base: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Symbols or z of first moments in units, and log(dz/dx) of each."""
        count = np.floor((y - base) / self.size)
        count = count - np.floor(count / self.count) * self.count if self.count else count
        if self.number is None:
            return count, np.zeros(count.shape)
        z, slope = self.number.encode(count.ravel(), Location("first moment", "count"))
        return z.reshape(count.shape), slope.reshape(count.shape)

    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray, before: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Symbols, or z, of first moments; where there is none, the symbol V, or infinity."""
        y = self.to_units(as_number(values))
        first = increments(y, offsets, None if before is None or self.delayed else self.to_units(before))[1]
        rows = np.searchsorted(offsets, np.flatnonzero(first), side="right") - 1
        found, slope = self.seen(y[first], self.base(before, len(offsets) - 1)[rows])
        encoded = np.full(len(y), np.inf) if self.number is not None else np.full(len(y), self.count, np.int32)
        slopes = np.zeros(len(y))
        encoded[first], slopes[first] = found, slope
        return encoded, slopes

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """No column: `units` has the part of a moment."""
        return Decoded(())

    def units(self, encoded: np.ndarray) -> NDArray[np.float64]:
        """(S,) the units that parts of first moments stand for: undoes `seen`."""
        if self.number is None:
            return encoded.astype(np.float64) * self.size
        (counts,), _ = self.number.decode(encoded, Continuation(np.array([0, len(encoded)])))
        return np.asarray(np.round(counts.astype(np.float64)) * self.size, np.float64)


def fit_parts(
    y: np.ndarray,
    unit: float,
    base: np.ndarray | None,
    name: str,
    location: Location,
    months: Months | None = None,
) -> tuple[MomentPart, ...]:
    """The fitted parts of (N,) first moments in units, at least one; `base` has those that they count from, if any."""
    if base is not None:
        origin = float(y.min())
    elif months is not None:
        origin = np.floor(y.min() / months.in_year) * months.in_year
    else:
        origin = (np.floor((y.min() * unit - MONDAY) / WEEK) * WEEK + MONDAY) / unit
    moments = y - (origin if base is None else np.where(np.isnan(base), origin, np.floor(base)))
    one, known, of_calendar = calendar_of(unit, months)
    cycles = [cycle for cycle in of_calendar if base is None and follows(moments, one, *cycle)]
    sizes = part_sizes(one, float(np.ptp(moments)), cycles, known)
    parts = []
    for size, above in zip(sizes, [0.0, *sizes], strict=False):
        count = round(above / size)
        counts = np.floor(moments / size)
        counts -= np.floor(counts / count) * count if count else 0
        symbols = 2 <= count <= MAX_PART_SYMBOLS
        number = None if symbols else fit_counts(counts, count, name, location, delayed=base is not None)
        parts.append(MomentPart(unit, size, float(origin), count, base is not None, number, months))
    return tuple(parts)


def fit_counts(counts: np.ndarray, count: int, name: str, location: Location, *, delayed: bool) -> NumericEncoder:
    """The column of a part's counts: of the largest one without an end, but that no delay of training was negative."""
    bounds = (0.0, count - 1.0) if count else (0.0, None) if delayed and counts.min() >= 0 else None
    skew = not count and delayed and input_transform(counts) == "log1p"
    transform: Transform = "asinh" if skew else "standardize"
    number = Number(name, transform, "discretized", bounds)
    return refine(NumericEncoder.fit(counts, transform, location), number, counts, location, None, None)


def calendar_of(unit: float, months: Months | None) -> tuple[float, tuple[int, ...], tuple[tuple[int, int, int], ...]]:
    """A unit, the sizes that a part may count and the cycles: in microseconds, or in units of months."""
    if months is None:
        return unit, SIZES, CYCLES
    return 1.0, (1, months.in_year), ((1, months.in_year, months.in_year),) if months.in_year > 1 else ()


def part_sizes(
    unit: float, span: float, cycles: Sequence[tuple[int, int, int]], known: Sequence[int] = SIZES
) -> list[float]:
    """Sizes of the parts of moments that span so many units, in units, the largest first; `known` are not in units.

    Examples:
        >>> part_sizes(DAY, 3000.0, ()), part_sizes(1_000_000, 3e7, ()), part_sizes(1_000_000, 3e7, CYCLES[:2])
        ([1.0], [86400.0, 1.0], [604800.0, 86400.0, 3600.0, 1.0])
    """
    ends = {end for size, cycle, _ in cycles for end in (WEEK if cycle == YEAR else size, cycle)}
    wanted = sorted(end / unit for end in ends if end > unit)
    sizes = [1.0]
    while wanted or span / sizes[-1] > MAX_PART:
        fitting = [size / unit for size in known if 1 < size / unit / sizes[-1] <= MAX_PART]
        if wanted and wanted[0] <= fitting[-1]:
            sizes.append(wanted.pop(0))
        else:
            sizes.append(fitting[-1])
    return sizes[::-1]


def follows(moments: np.ndarray, unit: float, size: int, cycle: int, counts: int) -> bool:
    """Whether (N,) moments in units follow a cycle: a chi-squared test against equally many in all of its counts.

    Moments after the last whole cycle don't count.

    Examples:
        >>> hours = np.arange(2000.0)
        >>> follows(hours, HOUR, HOUR, DAY, 24), follows(hours[hours % 24 < 9], HOUR, HOUR, DAY, 24)
        (False, True)
    """
    since, whole = moments - moments.min(), np.floor(np.ptp(moments) * unit / cycle)
    moments = moments[since < whole * cycle / unit]
    if size < unit or whole < MIN_CYCLES or len(moments) < MIN_MOMENTS_PER_COUNT * counts:
        return False
    found = np.bincount((moments % (cycle / unit) // (size / unit)).astype(np.int64), minlength=counts)
    expected = len(moments) / counts
    degrees = 2 / (9 * (counts - 1))  # Wilson & Hilferty 1931
    limit = (counts - 1) * (1 - degrees + SURE_DEVIATE * degrees**0.5) ** 3
    return bool(((found - expected) ** 2 / expected).sum() > limit)


def describe_parts(parts: Sequence[MomentPart]) -> str:
    """How first moments are seen."""
    return f", first by {listing(part.name for part in parts)}" if parts else ""


def check_parts(parts: Sequence[MomentPart], unit: float, months: Months | None) -> None:
    """Refuse parts that don't make one moment."""
    if not parts:
        return
    sizes = [part.size for part in parts]
    counts = [0, *(larger / size for larger, size in itertools.pairwise(sizes))]
    same = {(part.unit, part.months, part.origin, part.delayed) for part in parts}
    others = len(same) > 1 or (parts[0].unit, parts[0].months) != (unit, months)
    if counts != [part.count for part in parts] or sizes[-1] != 1 or others:
        raise SchemaError("first moment", "parts of one moment, each a whole number of the next", listing(sizes))
