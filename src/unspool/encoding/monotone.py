"""Moments of a sequence, and numbers that never fall or never rise: as the gap since the step before."""

import msgspec
import numpy as np

from unspool.encoding.numeric import BOUND_TOLERANCE, NumericEncoder
from unspool.encoding.numeric_fit import limits, refine
from unspool.encoding.transforms import accumulate, anchored
from unspool.errors import SchemaError
from unspool.schema.coercion import is_whole
from unspool.schema.fields import Number, Transform, When
from unspool.schema.grid import find_grid
from unspool.schema.monotone import as_number, increments, time_unit
from unspool.schema.transform_choice import input_transform
from unspool.tables.columns import offsets_from_lengths
from unspool.tables.location import Location

MAX_STANDARDISED_GAP = 20.0
"""Spreads from the centre past which a gap is better seen in a logarithm."""


RISING, FALLING = 1.0, -1.0
"""The sign that makes y of a number: of one that never falls, and of one that never rises."""


class IncrementEncoder(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="gaps"
):
    """A column of moments, of rising or of falling numbers: each is the last present one of its sequence and a gap.

    Falling numbers are rising ones with their sign turned: `y`, moments in units or numbers with that sign, adds up.
    The first value of a sequence is a gap from the value before step 0 where that is known, else from an origin: the
    smallest such first y of training. What never fell in training has no gap below 0, and so never falls; and if it is
    on a grid and never stood still, it never does.

    Args:
        gap: the gaps as a column of numbers.
        origin: what first values are counted from, a y.
        unit: microseconds of a unit of moments; 0 for numbers.
        decimals: what numbers are rounded to; 0 gives whole numbers back, None leaves them as they are.
        low: the smallest value of training, in units.
        high: the largest.
        sign: 1; or -1, of numbers that never rise.
        floor: of numbers that never rise, what no draw is below, or None. What starts below it stays where it is.
        moves: whether no gap is 0, but for that of step 0: days of visits, of which there is one a day.
    """

    gap: NumericEncoder
    origin: float
    unit: float = 0.0
    decimals: int | None = None
    low: float = 0.0
    high: float = 0.0
    sign: float = RISING
    floor: float | None = None
    moves: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.unit < np.inf:
            raise SchemaError("gaps, unit", "a finite number, 0 or above", str(self.unit))
        if self.sign not in (RISING, FALLING):
            raise SchemaError("gaps, sign", "1 or -1", str(self.sign))
        if self.unit and self.sign != RISING:
            raise SchemaError("gaps, sign", "1, of moments", str(self.sign))

    @property
    def one(self) -> float:
        """The change of a value for which its y rises by one."""
        return self.unit or self.sign

    @property
    def never(self) -> str:
        """What the values never do, where no y falls: `"falls"` or `"rises"`."""
        return "falls" if self.sign == RISING else "rises"

    @property
    def nullable(self) -> bool:
        """Whether training had missing values."""
        return self.gap.nullable

    @property
    def mass(self) -> bool:
        """Whether the distribution gives masses rather than a density."""
        return self.gap.mass

    @property
    def missing(self) -> float:
        """Share of missing values in training."""
        return self.gap.missing

    @classmethod
    def fit(
        cls, field: Number | When, column: np.ndarray, location: Location, offsets: np.ndarray, base: np.ndarray | None
    ) -> "IncrementEncoder":
        """Find unit, origin, and what the gaps are like.

        Args:
            field: its distribution is not `"auto"`.
            column: (S,) moments or numbers, at least one present.
            location: where the column is.
            offsets: (N + 1,).
            base: (N,) what stands before step 0, as a number; NaN or None where nothing does.

        Raises:
            SchemaError: a number that falls, for `"gap"`, or rises, for `"drop"`; one below the bound that was asked
                for.
        """
        values = as_number(column)
        unit = time_unit(values) if column.dtype.kind == "M" else 0.0
        sign = FALLING if isinstance(field, Number) and field.transform == "drop" else RISING
        x, base = values / (unit or sign), None if base is None else base / (unit or sign)
        gap, alone, _ = increments(x, offsets, base)
        rising = bool((gap[~np.isnan(gap)] >= 0).all()) if isinstance(field, When) else True
        if isinstance(field, Number) and (gap < 0).any():
            row = int(np.argmax(gap < 0))
            hint = f"Sort the steps, or pass Number({field.name!r}, transform=...) with another transform."
            size = "smaller" if sign == RISING else "larger"
            expected = f"a number no {size} than the one before, for {field.transform}"
            raise SchemaError(location.at(row), expected, f"{values[row]:g}", hint)
        origin = float(x[alone].min()) if alone.any() else 0.0
        gap = np.where(alone, x - origin, gap)
        plain = plain_transform(gap)
        asked = Number(field.name, plain, field.distribution, (0.0, None) if rising else None)
        fitted = refine(NumericEncoder.fit(gap, plain, location), asked, gap, location, offsets, None)
        grid = find_grid(x[~np.isnan(x)])
        whole = 0 if column.dtype.kind == "i" or is_whole(column) else None
        decimals = whole if whole == 0 or grid is None else max(grid[0], 1)
        low, high = (float(end) for end in sorted(sign * np.array([np.nanmin(x), np.nanmax(x)])))
        floor = limits(field, values[~np.isnan(values)], location)[0] if isinstance(field, Number) else None
        floor = floor if sign == FALLING else None  # what never falls has no need of it
        later = np.ones(len(gap), bool)
        later[offsets[:-1][np.diff(offsets) > 0]] = False
        later &= ~alone & ~np.isnan(gap)
        moves = rising and fitted.step > 0 and bool((gap[later] > fitted.step / 2).all())
        return cls(fitted, origin, unit, decimals, low + 0.0, high + 0.0, sign, floor, moves)

    def encode_with_slope(
        self, column: np.ndarray, location: Location, offsets: np.ndarray | None = None, base: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Z of each gap, and log(dz/dx) of each step, as `NumericEncoder.encode_with_slope`; of moments, x is in units.

        Raises:
            SchemaError: a missing value where training had none, or a gap that the transform is not defined for.
        """
        x = as_number(column) / self.one
        bounds = np.array([0, len(x)]) if offsets is None else offsets
        gap, alone, _ = increments(x, bounds, None if base is None else base / self.one)
        return self.gap.encode_with_slope(np.where(alone, x - self.origin, gap), location)

    def decode(
        self,
        z: np.ndarray,
        offsets: np.ndarray | None = None,
        base: np.ndarray | None = None,
        known: np.ndarray | None = None,
        most: np.ndarray | None = None,
        *,
        rounded: bool = True,
    ) -> np.ndarray:
        """Values as they were: datetime64[us] with NaT, int64 where training had whole numbers, else float64.

        The arguments are those of `NumericEncoder.decode`; known moments are microseconds since 1970. And `most` is
        (S,) the next given y, which no draw has passed but for what float32 loses; infinity where none comes.
        """
        gap = self.gap.decode(z).astype(np.float64)
        kept = ~np.isnan(gap)
        bounds = np.array([0, len(gap)]) if offsets is None else offsets
        inner = offsets_from_lengths(np.diff(np.concatenate(([0], np.cumsum(kept)))[bounds]))
        start = np.full(len(bounds) - 1, np.nan) if base is None else base / self.one
        x = np.full(len(gap), np.nan)
        anchors = None if known is None else known[kept] / self.one
        x[kept] = accumulate(*anchored(gap[kept], inner, np.where(np.isnan(start), self.origin, start), anchors))
        x = x if most is None else np.minimum(x, most)
        if not self.unit:
            x[kept] = self._above(self.sign * x[kept] + 0.0, np.repeat(self.sign * start, np.diff(inner)))
            x = x if known is None else np.where(np.isnan(known), x, known)
        if self.unit:
            moments = np.full(len(x), np.datetime64("NaT"), "datetime64[us]")
            # Years past 9999 are no dates to most programs.
            moments[kept] = np.round(np.clip(x[kept] * self.unit, -EARLIEST, LATEST)).astype("datetime64[us]")
            if known is not None:
                told = ~np.isnan(known)
                moments[told] = known[told].astype("datetime64[us]")
            return moments
        if self.decimals is None or not rounded:
            return x
        x = np.round(x, self.decimals)
        whole = self.decimals == 0 and bool(kept.all()) and bool(np.all(np.abs(x) < 2.0**63))
        return x.astype(np.int64) if whole else x

    def _above(self, x: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The floor as it was, where float32 has carried a value across; not of what starts below it."""
        if self.floor is None:
            return x
        slack = BOUND_TOLERANCE * max(abs(self.low), abs(self.high))
        across = (x < self.floor) & (x > self.floor - slack) & ~(start < self.floor)
        return np.where(across, self.floor, x)


EARLIEST, LATEST = 62_135_596_800_000_000.0, 253_402_300_799_000_000.0
"""Microseconds from 1970 back to the year 1, and on to the end of 9999."""


def plain_transform(gap: np.ndarray) -> Transform:
    """The transform of the gaps themselves: first values far from an origin are brought near by a logarithm."""
    present = gap[~np.isnan(gap)]
    plain = input_transform(gap)
    low, high = np.quantile(present, (0.05, 0.95))
    if plain != "standardise" or np.ptp(present) <= MAX_STANDARDISED_GAP * max(present.std(), high - low):
        return plain
    return "log1p" if present.min() >= 0 else "asinh"
