"""Numbers and timestamps that are learned as distances from other columns of their step, and running totals."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.columns import Continuation, Cumulative, Decoded, ScalarColumn, StepColumn, ValueType
from unspool.encoding.monotone import EARLIEST, LATEST
from unspool.encoding.numeric import NumericEncoder, last_values, parse_float, rounded
from unspool.encoding.numeric_fit import level_ends, limits, refine
from unspool.encoding.transforms import buckets
from unspool.errors import Location, SchemaError, listing
from unspool.schema.derivation import carried_on, change_of, distance, extreme, is_relative, rises_from_zero
from unspool.schema.fields import Number, When
from unspool.schema.grid import find_grid
from unspool.schema.monotone import as_number, never_decreases, time_unit
from unspool.schema.transform_choice import input_transform
from unspool.tables.columns import is_whole

ZERO_TOLERANCE = 1e-9
"""Distance of a running total from the one before and its parts that float64 explains, relative to the largest one."""


class DistanceEncoder(ScalarColumn, StepColumn, frozen=True, omit_defaults=True, tag="distance"):
    """Numbers or timestamps y: y = r + d above their references, or r - d below them, where no distance d is negative.

    The reference r of a step is the largest value of the columns that y is never below, or the smallest of those that
    it is never above. Near a single column, y = r + d, and d may be negative. A relative distance is log(y / r). A
    value without references is missing.

    A running total has signs: r is its value before, with the references added or taken, and y = r + d. At first steps
    whose value before is unknown, r has the references alone, and d is what the total starts from. A part of a total
    (`change`) has as r what the total has changed by and its other parts don't explain, and 0 at such first steps.

    Args:
        distance: the distances as a column of numbers.
        references: the columns, of the same step.
        sign: 1 above the references, -1 below, 0 on either side.
        relative: whether distances are logarithms of ratios.
        unit: microseconds of a unit of timestamps; 0 for numbers.
        decimals: digits to which numbers are rounded; 0 for whole numbers, None for no rounding.
        low: the smallest value of training; of timestamps, in units.
        high: the largest.
        floor: no number is below it, or None.
        ceiling: no number is above it, or None.
        ends: what sampled numbers don't go beyond, see `NumericEncoder`; or None.
        within: the range of the reference in training; of one beyond it, the ends say nothing.
        rises: whether the timestamps of no sequence of training fell: then those of none that is generated do.
        signs: of a running total and of a part, for each reference whether it is added (1) or taken (-1); else empty.
        change: whether it is a part of a total, which is the last reference.
        from_zero: whether totals rise from 0, so that the first one is the sum of its parts.
    """

    distance: NumericEncoder
    references: tuple[str, ...]
    sign: Literal[1, -1, 0] = 1
    relative: bool = False
    unit: float = 0.0
    decimals: int | None = None
    low: float = 0.0
    high: float = 0.0
    floor: float | None = None
    ceiling: float | None = None
    ends: tuple[float, float] | None = None
    within: tuple[float, float] | None = None
    rises: bool = False
    signs: tuple[int, ...] = ()
    change: bool = False
    from_zero: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.unit < np.inf or (self.unit and self.relative):
            raise SchemaError("distances, unit", "a finite number, 0 or above, and 0 of ratios", str(self.unit))
        if not self.references or self.distance.cumulative is not None:
            raise SchemaError("distances", "references, and distances that don't add up", str(self.references))
        if self.signs and (
            len(self.signs) != len(self.references) or set(self.signs) - {1, -1} or self.sign or self.relative
        ):
            raise SchemaError("distances, signs", "one for each reference of a running total", str(self.signs))
        if self.change and not self.signs:
            raise SchemaError("distances, change", "the sign of a total", "none")
        if self.sign == 0 and (self.unit or (len(self.references) > 1 and not self.signs)):
            raise SchemaError("distances on either side", "numbers, and one reference", str(self.references))

    @classmethod
    def fit(
        cls,
        field: Number | When,
        column: np.ndarray,
        references: tuple[np.ndarray, ...],
        location: Location,
        offsets: np.ndarray,
        before: np.ndarray | None = None,
    ) -> "DistanceEncoder":
        """Fitted distances of (S,) timestamps or numbers, at least one present, from (S,) references.

        The distribution of the field is not `"auto"`. `before` has the (N,) values before step 0 of a running total.

        Raises:
            SchemaError: a value on the wrong side of its references, or without any.
        """
        y = as_number(column)
        unit = time_unit(y) if column.dtype.kind == "M" else 0.0
        x = y / (unit or 1.0)
        others = [as_number(values) / (unit or 1.0) for values in references]
        sign = field.side
        grid = find_grid(x[~np.isnan(x)])
        whole = 0 if column.dtype.kind == "i" or is_whole(column) else None
        decimals = whole if whole == 0 or grid is None else max(grid[0], 1)
        start = cls(
            NumericEncoder("none", 0.0, 1.0),
            field.references,
            sign,
            relative=not unit and not field.signs and is_relative(x, others, sign),
            unit=unit,
            decimals=None if unit else decimals,
            low=float(np.nanmin(x)),
            high=float(np.nanmax(x)),
            rises=bool(unit) and sign == 1 and never_decreases(y, offsets, None),
            signs=field.signs,
            change=field.is_change,
            from_zero=field.is_change and rises_from_zero(x, others, field.signs, offsets),
        )
        d = start.distances(column, references, location, offsets, before)
        transform = field.transform if isinstance(field, Number) else input_transform(d)
        bounds = field.bounds if isinstance(field, Number) and field.bounds not in ("auto", None) else None
        bounds = (0.0, None) if bounds is None and sign else bounds
        number = Number(field.name, transform, field.distribution, bounds)
        fitted = refine(NumericEncoder.fit(d, transform, location), number, d, location, offsets, None)
        start = msgspec.structs.replace(start, distance=fitted)
        if unit or field.signs:  # the ends of a total are those of its parts
            return start
        known = x[~np.isnan(x)]
        floor, ceiling = limits(Number(field.name), known, location)
        r = extreme(others, sign)
        within = float(np.nanmin(r)), float(np.nanmax(r))
        return msgspec.structs.replace(start, floor=floor, ceiling=ceiling, ends=level_ends(known), within=within)

    @property
    def nullable(self) -> bool:
        """Whether training had missing values."""
        return self.distance.nullable

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Timestamps, or numbers."""
        return ("time" if self.unit else "int" if self.decimals == 0 else "float",)

    @property
    def cumulative(self) -> Cumulative | None:
        """Distances don't add up."""
        return None

    def describe(self) -> str:
        """The references, and the distances."""
        if self.signs:
            pairs = zip(self.signs, self.references, strict=True)
            parts = " ".join(f"{'+' if sign == 1 else '-'} {name}" for sign, name in pairs)
            known = f"{parts} since the step before" if self.change else f"the value before {parts}"
            return f"{known}, distance {self.distance.describe()}"
        side = {1: "from", -1: "up to", 0: "near"}[self.sign]
        kind = "log-ratio" if self.relative else "distance"
        return f"{side} {listing(self.references)}, {kind} {self.distance.describe()}"

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """The number; or the text, which is read as dates of a table are."""
        return text if self.unit else parse_float(text, location)

    def distances(
        self,
        values: np.ndarray,
        references: tuple[np.ndarray, ...],
        location: Location,
        offsets: np.ndarray | None = None,
        before: np.ndarray | None = None,
    ) -> NDArray[np.float64]:
        """(S,) distances of values from (S,) references, NaN where missing; `before` as of `fit`.

        Without offsets all steps are those of one sequence.

        Raises:
            SchemaError: a value on the wrong side of its references, or without any.
        """
        scale = self.unit or 1.0
        y, others = as_number(values) / scale, [as_number(column) / scale for column in references]
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.signs:
                d = self._run(y, others, np.array([0, len(y)]) if offsets is None else offsets, before)
            else:
                d = distance(y, others, self.sign, relative=self.relative)
        present = ~np.isnan(y)
        named = listing(self.references)
        if (present & np.isnan(d)).any():
            row = int(np.argmax(present & np.isnan(d)))
            raise SchemaError(location.at(row), f"a missing value, because {named} is missing", str(values[row]))
        if self.sign and (d < 0).any():
            row = int(np.argmax(d < 0))
            side = "at least" if self.sign == 1 else "at most"
            hint = "Correct the data; or fit with relations=None."
            shown = ", ".join(str(column[row]) for column in references)
            raise SchemaError(location.at(row), f"{side} the value of {named}, {shown}", str(values[row]), hint)
        return d

    def _run(
        self,
        y: NDArray[np.float64],
        references: Sequence[NDArray[np.float64]],
        offsets: np.ndarray,
        before: np.ndarray | None,
    ) -> NDArray[np.float64]:
        """(S,) distances of a running total or a part, of which float64 has lost no zero."""
        if self.change:
            d = y - self._change(references, offsets, before)
        else:
            d = y - carried_on(y, references, self.signs, offsets, before)
        if self.decimals is not None:
            return np.round(d, self.decimals) + 0.0
        return np.where(np.abs(d) <= ZERO_TOLERANCE * max(abs(self.low), abs(self.high)), 0.0, d)

    def _change(
        self, references: Sequence[NDArray[np.float64]], offsets: np.ndarray, before: np.ndarray | None
    ) -> NDArray[np.float64]:
        return change_of(references, self.signs, offsets, before, from_zero=self.from_zero)

    def log_slope(self, values: np.ndarray, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """(S,) log(dd/dy) of values whose distances are encoded; 0 where a distance is missing, or has a mass."""
        if not self.relative:
            return np.zeros(len(encoded))
        density = self.distance.has_density(encoded)
        return np.where(density, -np.log(np.where(density, as_number(values), 1.0)), 0.0)

    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray, before: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Z of `distances`, and log(dz/dd) of each."""
        return self.distance.encode(values, location)

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """Values in original units: datetime64[us] with NaT, int64 where all are whole and present, else float64."""
        (steps,), _ = self.distance.decode(encoded, Continuation(continuation.offsets))
        d = steps.astype(np.float64)
        d = np.maximum(d, 0.0) if self.sign else d
        references = continuation.references
        if self.unit:
            return self._timestamps(d, continuation)
        if self.change:
            parts, known = [part.astype(np.float64) for part in references], continuation.observed
            y = rounded(d + self._change(parts, continuation.offsets, continuation.before), self.decimals)
            y = y if known is None or np.isnan(known).all() else np.where(np.isnan(known), y, known)
            return Decoded((y,), last_values(parts[-1], continuation))
        if self.signs:
            moved = d + np.sum([sign * part for sign, part in zip(self.signs, references, strict=True)], 0)
            y = carried_sum(moved, continuation, self.decimals)
            return Decoded((rounded(y, self.decimals),), last_values(y, continuation))
        r = extreme([values.astype(np.float64) for values in references], self.sign)
        side = self.sign or 1
        y = r * np.exp(side * d) if self.relative else r + side * d
        if self.ends is not None and self.within is not None:
            y = np.where((r >= self.within[0]) & (r <= self.within[1]), np.clip(y, *self.ends), y)
        y = y if self.decimals is None else np.round(y, self.decimals)
        y = np.clip(y, self.floor, self.ceiling) if (self.floor, self.ceiling) != (None, None) else y
        if self.sign:  # rounding may have crossed over
            y = np.maximum(y, r) if self.sign == 1 else np.minimum(y, r)
        if continuation.observed is not None:
            y = np.where(np.isnan(continuation.observed), y, continuation.observed)
        whole = self.decimals == 0 and bool(np.all(y[~np.isnan(y)] == np.round(y[~np.isnan(y)])))
        return Decoded((rounded(y, 0) if whole else y,))

    def _timestamps(self, d: NDArray[np.float64], continuation: Continuation) -> Decoded:
        """Timestamps in whole microseconds, since float64 would lose those of long ago."""
        far = np.int64(LATEST if self.sign == -1 else EARLIEST)
        columns = continuation.references
        ticks = np.stack([np.where(np.isnat(column), far, column.astype(np.int64)) for column in columns])
        r = ticks.max(0) if self.sign == 1 else ticks.min(0)
        present = ~np.isnan(d) & ~np.isnat(np.stack(columns)).all(0)
        span = np.clip(np.round(np.where(present, d, 0.0)) * self.unit, 0, LATEST - EARLIEST).astype(np.int64)
        y = np.clip(r + self.sign * span, np.int64(EARLIEST), np.int64(LATEST))
        if continuation.observed is not None:
            known = ~np.isnan(continuation.observed)
            y[known], present = continuation.observed[known].astype(np.int64), present | known
        y = running_max(y, present, continuation) if self.rises else y
        timestamps = np.full(len(y), np.datetime64("NaT"), "datetime64[us]")
        timestamps[present] = y[present].astype("datetime64[us]")
        return Decoded((timestamps,), last_values(as_number(timestamps), continuation) if self.rises else None)


def running_max(y: NDArray[np.int64], present: NDArray[np.bool_], continuation: Continuation) -> NDArray[np.int64]:
    """(S,) the largest present value of a sequence up to each step, or that before step 0.

    Examples:
        >>> running_max(np.array([2, 1, 3, 0]), np.ones(4, bool), Continuation(np.array([0, 3, 4]))).tolist()
        [2, 2, 3, 0]
    """
    y, before = y.copy(), continuation.before
    for rows, at, inside in _blocks(continuation.offsets):
        block = np.where(inside & present[at], y[at], np.iinfo(np.int64).min)
        if before is not None:
            start = np.where(np.isnan(before[rows]), np.iinfo(np.int64).min, np.nan_to_num(before[rows]))
            block[:, 0] = np.maximum(block[:, 0], start.astype(np.int64))
        y[at[inside]] = np.maximum.accumulate(block, 1)[inside]
    return y


def _blocks(offsets: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """Sequences of about one length: their numbers, (R, T) positions of their steps, and which of these they have."""
    for rows, columns in buckets(offsets):
        inside = np.arange(columns) < np.diff(offsets)[rows, None]
        yield rows, np.where(inside, offsets[:-1][rows, None] + np.arange(columns), 0), inside


def carried_sum(
    steps: NDArray[np.float64], continuation: Continuation, decimals: int | None = None
) -> NDArray[np.float64]:
    """(S,) the value before step 0, or 0, and all steps up to each; it goes on from values that were given.

    Examples:
        >>> going_on = Continuation(np.array([0, 3, 4]), np.array([10.0, np.nan]))
        >>> carried_sum(np.array([2.0, 1.0, 3.0, 0.5]), going_on).tolist()
        [12.0, 13.0, 16.0, 0.5]
    """
    total = np.zeros(len(steps))
    for rows, at, inside in _blocks(continuation.offsets):
        block = np.where(inside, steps[at], 0.0)
        if continuation.before is not None:
            block[:, 0] += np.nan_to_num(continuation.before[rows])
        block = np.cumsum(block, 1)
        if continuation.observed is not None:
            given = inside & ~np.isnan(continuation.observed[at])
            last = np.maximum.accumulate(np.where(given, np.arange(given.shape[1]), -1), 1)
            moved = np.where(given, np.nan_to_num(continuation.observed[at]) - block, 0.0)
            block += np.where(last >= 0, np.take_along_axis(moved, np.maximum(last, 0), 1), 0.0)
        total[at[inside]] = (block if decimals is None else np.round(block, decimals))[inside]
    return total
