"""Timestamps of a sequence, and numbers that never fall or never rise: as the increment since the step before."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.columns import Continuation, Cumulative, Decoded, NumericColumn, Origins, StepColumn, ValueType
from unspool.encoding.numeric import BOUND_TOLERANCE, NumericEncoder, last_values, parse_float, rounded
from unspool.encoding.numeric_fit import limits, refine
from unspool.encoding.transforms import accumulate, anchored, present_offsets
from unspool.errors import Location, SchemaError
from unspool.schema.fields import Number, Transform, When
from unspool.schema.grid import find_grid
from unspool.schema.monotone import as_number, increments, time_unit
from unspool.schema.transform_choice import input_transform
from unspool.tables.columns import is_whole

MAX_RANGE_IN_SCALES = 20.0
"""Range of increments, in their scale, past which they are better seen in a logarithm."""

DAY = 86_400e6
"""Microseconds."""
EARLIEST, LATEST = -62_135_596_800_000_000.0, 253_402_300_799_000_000.0
"""Microseconds since 1970 at the start of year 1 and the end of 9999: other years are no dates to most programs."""


class IncrementEncoder(
    NumericColumn,
    StepColumn,
    Cumulative,
    frozen=True,
    omit_defaults=True,
    tag="increment",
):
    """Timestamps, rising or falling numbers: each value is the last present one of its sequence, and an increment.

    Falling numbers are rising ones with their sign turned: `y`, timestamps in units or numbers with that sign, adds up.
    The first value of a sequence is an increment from the value before step 0 where that is known, else from an origin:
    the smallest such first y of training. If no value of training fell, no increment is negative, and no generated
    value falls; if training is on a grid and no value stood still, no generated value does.

    Args:
        increment: the increments as a column of numbers.
        origin: what first values are counted from, a y.
        unit: microseconds of a unit of timestamps; 0 for numbers.
        decimals: what numbers are rounded to; 0 gives whole numbers back, None leaves them as they are.
        low: the smallest value of training, in units.
        high: the largest.
        sign: 1; or -1, of numbers that never rise.
        floor: of numbers that never rise, what no sample is below, or None. What starts below it stays where it is.
        moves: whether no increment is 0, but for that of step 0: days of visits, of which there is one a day.
    """

    increment: NumericEncoder
    origin: float
    unit: float = 0.0
    decimals: int | None = None
    low: float = 0.0
    high: float = 0.0
    sign: float = 1.0
    floor: float | None = None
    moves: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.unit < np.inf:
            raise SchemaError("increments, unit", "a finite number, 0 or above", str(self.unit))
        if self.sign not in (1.0, -1.0):
            raise SchemaError("increments, sign", "1 or -1", str(self.sign))
        if self.unit and self.sign != 1:
            raise SchemaError("increments, sign", "1, of timestamps", str(self.sign))

    @classmethod
    def fit(
        cls,
        field: Number | When,
        column: np.ndarray,
        location: Location,
        offsets: np.ndarray,
        before: np.ndarray | None,
    ) -> "IncrementEncoder":
        """Find unit and origin, and fit the increments.

        Args:
            field: its distribution is not `"auto"`.
            column: (S,) timestamps or numbers, at least one present.
            location: where the column is.
            offsets: (N + 1,).
            before: (N,) what stands before step 0, as a number; NaN or None where nothing does.

        Raises:
            SchemaError: a number that falls, for `"increment"`, or rises, for `"decrement"`; one below the bound that
                was asked for.
        """
        values = as_number(column)
        unit = time_unit(values) if column.dtype.kind == "M" else 0.0
        sign = -1.0 if isinstance(field, Number) and field.transform == "decrement" else 1.0
        y, start = values / (unit or sign), None if before is None else before / (unit or sign)
        steps, alone, _ = increments(y, offsets, start)
        rising = bool((steps[~np.isnan(steps)] >= 0).all()) if isinstance(field, When) else True
        if isinstance(field, Number) and (steps < 0).any():
            row = int(np.argmax(steps < 0))
            hint = f"Sort the steps, or pass Number({field.name!r}, transform=...) with another transform."
            size = "smaller" if sign == 1 else "larger"
            expected = f"a number no {size} than the one before, for {field.transform}"
            raise SchemaError(location.at(row), expected, f"{values[row]:g}", hint)
        origin = float(y[alone].min()) if alone.any() else 0.0
        steps = np.where(alone, y - origin, steps)
        plain = plain_transform(steps)
        asked = Number(field.name, plain, field.distribution, (0.0, None) if rising else None)
        fitted = refine(NumericEncoder.fit(steps, plain, location), asked, steps, location, offsets, None)
        grid = find_grid(y[~np.isnan(y)])
        whole = 0 if column.dtype.kind == "i" or is_whole(column) else None
        decimals = whole if whole == 0 or grid is None else max(grid[0], 1)
        low, high = (float(end) for end in sorted(sign * np.array([np.nanmin(y), np.nanmax(y)])))
        floor = limits(field, values[~np.isnan(values)], location)[0] if isinstance(field, Number) else None
        floor = floor if sign == -1 else None  # what never falls has no need of it
        later = np.ones(len(steps), bool)
        later[offsets[:-1][np.diff(offsets) > 0]] = False
        later &= ~alone & ~np.isnan(steps)
        moves = rising and fitted.step > 0 and bool((steps[later] > fitted.step / 2).all())
        return cls(fitted, origin, unit, decimals, low + 0.0, high + 0.0, sign, floor, moves)

    @property
    def width(self) -> int:
        """One."""
        return 1

    @property
    def nullable(self) -> bool:
        """Whether training had missing values."""
        return self.increment.nullable

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Timestamps, or numbers."""
        return ("time" if self.unit else "int" if self.decimals == 0 else "float",)

    @property
    def one(self) -> float:
        """The change of a value for which its y rises by one."""
        return self.unit or self.sign

    def describe(self) -> str:
        """The range, and what increments are like."""
        what = "increments" if self.sign == 1 else "decrements"
        low, high = (self.written(end * self.sign) for end in (self.low, self.high))
        return f"{low} to {high}, {what} {self.increment.describe()}"

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """The number; or the text, which is read as dates of a table are."""
        return text if self.unit else parse_float(text, location)

    def written(self, y: float) -> str:
        """The value of a y, as people write it."""
        if not self.unit:
            return f"{y * self.sign + 0.0:g}"
        moment = np.datetime64(round(y * self.unit), "us")
        return str(moment.astype("datetime64[D]") if self.unit >= DAY else moment.astype("datetime64[s]"))

    def encode(
        self,
        values: NDArray[Any],
        location: Location,
        offsets: NDArray[np.int64],
        before: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Z of each increment, and log(dz/dx) of each step, as `NumericEncoder.encode`; of timestamps, x is in units.

        Raises:
            SchemaError: a missing value where training had none, or an increment that the transform is not defined for.
        """
        y = as_number(values) / self.one
        steps, alone, _ = increments(y, offsets, None if before is None else before / self.one)
        return self.increment.encode(np.where(alone, y - self.origin, steps), location)

    def decode(self, encoded: NDArray[Any], continuation: Continuation) -> Decoded:
        """Values as they were: datetime64[us] with NaT, int64 where training had whole numbers, else float64.

        No sample has passed `continuation.upper` but for what float32 loses.
        """
        (steps,), _ = self.increment.decode(encoded, continuation._replace(before=None, observed=None))
        steps = steps.astype(np.float64)
        kept, observed = ~np.isnan(steps), continuation.observed
        inner = present_offsets(kept, continuation.offsets)
        before = continuation.before
        start = np.full(len(inner) - 1, np.nan) if before is None else before / self.one
        y = np.full(len(steps), np.nan)
        anchors = None if observed is None else observed[kept] / self.one
        y[kept] = accumulate(*anchored(steps[kept], inner, np.where(np.isnan(start), self.origin, start), anchors))
        y = y if continuation.upper is None else np.minimum(y, continuation.upper)
        if self.unit:
            return self._timestamps(y, continuation)
        y[kept] = self._above(self.sign * y[kept] + 0.0, np.repeat(self.sign * start, np.diff(inner)))
        y = y if observed is None else np.where(np.isnan(observed), y, observed)
        return Decoded((rounded(y, self.decimals),), last_values(y, continuation))

    @property
    def cumulative(self) -> Cumulative:
        """Values add up."""
        return self

    @property
    def sum_unit(self) -> float:
        """What the increments are measured in."""
        return self.increment.unit if self.increment.transform in ("log1p", "asinh") else self.increment.scale

    @property
    def never(self) -> Literal["falls", "rises"] | None:
        """What values never do, if no increment of training was negative."""
        if self.increment.floor != 0:
            return None
        return "falls" if self.sign == 1 else "rises"

    def origins(self, before: NDArray[np.float64] | None, rows: int) -> Origins:
        """The value before step 0, or the origin of training where there is none."""
        known = np.full(rows, np.nan) if before is None else np.asarray(before, np.float64) / self.one
        return Origins(np.where(np.isnan(known), self.origin, known), np.zeros(rows), self.sum_unit)

    def to_sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """In units, with the sign that makes them rise."""
        return values / self.one

    def _timestamps(self, y: NDArray[np.float64], continuation: Continuation) -> Decoded:
        moments = np.full(len(y), np.datetime64("NaT"), "datetime64[us]")
        kept = ~np.isnan(y)
        moments[kept] = np.round(np.clip(y[kept] * self.unit, EARLIEST, LATEST)).astype("datetime64[us]")
        if continuation.observed is not None:
            known = ~np.isnan(continuation.observed)
            moments[known] = continuation.observed[known].astype("datetime64[us]")
        return Decoded((moments,), last_values(as_number(moments), continuation))

    def _above(self, x: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
        """The floor as it was, where float32 has carried a value across; not of what starts below it."""
        if self.floor is None:
            return x
        slack = BOUND_TOLERANCE * max(abs(self.low), abs(self.high))
        across = (x < self.floor) & (x > self.floor - slack) & ~(start < self.floor)
        return np.where(across, self.floor, x)


def plain_transform(increments: np.ndarray) -> Transform:
    """The transform of the increments themselves: first values far from an origin are brought near by a logarithm."""
    present = increments[~np.isnan(increments)]
    plain = input_transform(increments)
    low, high = np.quantile(present, (0.05, 0.95))
    if plain != "standardize" or np.ptp(present) <= MAX_RANGE_IN_SCALES * max(present.std(), high - low):
        return plain
    return "log1p" if present.min() >= 0 else "asinh"
