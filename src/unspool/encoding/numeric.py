"""Numbers, fitted: which transform, with which location and scale."""

import itertools
from typing import Annotated, Literal

import msgspec
import numpy as np

from unspool.encoding import transforms
from unspool.encoding.columns import (
    AboveZero,
    Continuation,
    Cumulative,
    Decoded,
    Digits,
    InputColumn,
    NotNegative,
    Origins,
    Probability,
    ScalarColumn,
    StepColumn,
    ValueType,
)
from unspool.errors import Location, SchemaError, listing
from unspool.schema.grid import MAX_CELLS, MAX_POINT_MASSES, MAX_SUPPORT_POINTS, POINT_MASS_TOLERANCE, is_point_mass
from unspool.tables.columns import is_whole

DIFFERENCE_TRANSFORMS = ("difference", "log_return")
"""Transforms to steps between values; increments are another column, see `unspool.encoding.monotone`."""
GRID_TOLERANCE = 2e-6
"""Distance by which float32 may move a value off its grid, relative to its size or to the range of training."""
BOUND_TOLERANCE = 1e-5
"""Distance by which float32 may move a value beyond its bound, as a share of the range of training."""


class NumericEncoder(ScalarColumn, InputColumn, StepColumn, Cumulative, frozen=True, tag="numeric"):
    """A column of standardized numbers: z = (y - loc) / scale, where y is the transformed value.

    For `"difference"` and `"log_return"` y is the step from the last present value of the sequence, or from the value
    before step 0 where that is known. Without either, y is the first present value itself (its logarithm), with a
    location and scale of its own.

    Args:
        transform: any but "auto".
        loc: mean of y.
        scale: standard deviation of y, above 0.
        first_loc: mean of first values; of differences only.
        first_scale: their standard deviation, above 0.
        decimals: digits to which decoded values are rounded; 0 if training saw whole numbers only, 1 to 6 if it saw no
            more digits, else None.
        nullable: training saw a missing value.
        unit: in which log1p and asinh measure x.
        low: the smallest value of training.
        high: the largest.
        missing: share of missing values in training.
        step: of the grid on which all values of training lie; 0 where there is none.
        mass: the distribution gives the masses of the grid's cells, rather than a density.
        point_masses: values with a mass of their own; of differences, the differences.
        floor: no sample is below it, or None.
        ceiling: no sample is above it, or None.
        edges: of the bins of a histogram, in the network's units.
        support_points: the values of the grid that occur, where others are rare.
        unseen: probability of a value that is none of the support points.
        reach: in the network's units, what samples don't go beyond, see `unspool.encoding.numeric_fit.reach_of`; or
            None. Unlike floor and ceiling it says nothing about data, and is hardly ever met.
        ends: likewise of differences and log-returns, what their sums don't go beyond, in original units; or None.
        wide: probability, location and scale, in the network's units, of a value unlike those of training, see
            `unspool.encoding.numeric_fit.wide_component`; or None.
        excursions: how far their sums go below and above a given value at the most, on their axis, even if that is
            beyond the ends, see `unspool.encoding.numeric_fit.excursions`.
    """

    transform: Literal["none", "standardize", "log1p", "asinh", "difference", "log_return"]
    loc: float
    scale: AboveZero
    first_loc: float = 0.0
    first_scale: AboveZero = 1.0
    decimals: Digits | None = None
    nullable: bool = False
    unit: AboveZero = 1.0
    low: float = 0.0
    high: float = 0.0
    missing: Probability = 0.0
    step: NotNegative = 0.0
    mass: bool = False
    point_masses: Annotated[tuple[float, ...], msgspec.Meta(max_length=MAX_POINT_MASSES)] = ()
    floor: float | None = None
    ceiling: float | None = None
    edges: tuple[float, ...] = ()
    support_points: Annotated[tuple[float, ...], msgspec.Meta(max_length=MAX_SUPPORT_POINTS)] = ()
    unseen: Probability = 0.0
    reach: tuple[float, float] | None = None
    ends: tuple[float, float] | None = None
    wide: tuple[float, float, float] | None = None
    excursions: tuple[NotNegative, NotNegative] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("scale", "first_scale", "unit"):
            if not 0 < getattr(self, name) < np.inf:
                raise SchemaError(f"number, {name}", "a finite number above 0", str(getattr(self, name)))
        for name, numbers in (("edges", self.edges), ("support points", self.support_points)):
            if any(later <= before for before, later in itertools.pairwise(numbers)):
                raise SchemaError(f"number, {name}", "rising numbers", listing(map(repr, numbers)))
        if self.support_points and not (len(self.support_points) > 1 and 0 < self.unseen < 1 and self.step > 0):
            expected = "two or more, of a grid, and a probability of others"
            raise SchemaError("number, support points", expected, str(self.unseen))
        if self.support_points and self.support_points[-1] - self.support_points[0] > (MAX_CELLS + 1) * self.step:
            expected = f"at most {MAX_CELLS:,} cells between the outermost ones"
            raise SchemaError("number, support points", expected, f"steps of {self.step:g}")
        weight, at, scale = self.wide or (0.5, 0.0, 1.0)
        if not (0 < weight < 1 and np.isfinite(at) and 0 < scale < np.inf):
            expected = "a weight within 0 and 1, a location, and a scale above 0"
            raise SchemaError("number, wide component", expected, f"{weight:g}, {at:g}, {scale:g}")
        ends = [end for end in (self.floor, self.low, self.high, self.ceiling) if end is not None]
        if sorted(ends) != ends:
            raise SchemaError("number, range", "rising: floor, low, high, ceiling", ", ".join(map(str, ends)))
        low, high = self.ends or (1.0, 2.0)
        if not low <= high or (self.transform == "log_return" and low <= 0):
            raise SchemaError("number, ends", "rising numbers, of log-returns above 0", f"{low:g}, {high:g}")

    @classmethod
    def fit(
        cls,
        values: np.ndarray,
        transform: str,
        location: Location,
        offsets: np.ndarray | None = None,
        before: np.ndarray | None = None,
    ) -> "NumericEncoder":
        """Location and scale of (S,) int64 or float64 values, NaN where missing, at least one present.

        Steps have (N + 1,) `offsets`, and (N,) numbers `before` step 0, NaN or None where unknown.

        Raises:
            SchemaError: a value that the transform is not defined for.
        """
        x = values.astype(np.float64)
        present = x[~np.isnan(x)]
        start = cls(transform, 0.0, 1.0, unit=transforms.natural_unit(present, transform))  # type: ignore[arg-type]
        y, alone, _ = start.increments(x, offsets, before, location)
        loc, scale, first_loc, first_scale = 0.0, 1.0, 0.0, 1.0
        if transform != "none":
            loc, scale = transforms.location_and_scale(y[~alone])
        if alone.any():
            first_loc, first_scale = transforms.location_and_scale(y[alone])
            # Sequences that all start at one value get the scale of the steps, not an arbitrary 1.
            first_scale = first_scale if np.ptp(y[alone]) > 0 else scale
        return msgspec.structs.replace(
            start,
            loc=loc,
            scale=scale,
            first_loc=first_loc,
            first_scale=first_scale,
            decimals=0 if values.dtype.kind == "i" or is_whole(values) else None,
            nullable=len(present) < len(x),
            low=float(present.min()),
            high=float(present.max()),
            missing=1 - len(present) / len(x),
        )

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Whole numbers where training had no others."""
        return ("int" if self.decimals == 0 else "float",)

    def describe(self) -> str:
        """Range, bounds, grid, point masses and transform."""
        grid = f", steps of {self.step:g}" if self.mass else ""
        grid += f" with {len(self.support_points)} values" if self.support_points else ""
        often = f", often {listing([f'{value:g}' for value in self.point_masses], 3)}" if self.point_masses else ""
        missing = f", {self.missing:.2%} missing" if self.nullable else ""
        bounds = describe_bounds(self.floor, self.ceiling)
        if self.reach is not None and (self.floor is None or self.ceiling is None):
            low, high = transforms.inverse(np.array(self.reach) * self.scale + self.loc, self.transform, self.unit)
            if self.cumulative is not None:
                bounds += f", changes sampled from {low:.3g} to {high:.3g}"
                bounds += "" if self.ends is None else self._describe_ends(*self.ends)
            else:
                bounds += "" if self.floor is not None else f", sampled from {low:.3g}"
                bounds += "" if self.ceiling is not None else f", sampled up to {high:.3g}"
        return f"{self.low:g} to {self.high:g}{bounds}{grid}{often}, {self.transform}{missing}"

    def _describe_ends(self, low: float, high: float) -> str:
        """The ends of sums on the sides that have no bound."""
        if self.floor is not None:
            return f", levels up to {high:.4g}"
        return f", levels from {low:.4g}" + (f" to {high:.4g}" if self.ceiling is None else "")

    def parse(self, text: str, location: str, member: int = 0) -> float:
        """The number."""
        return parse_float(text, location)

    def encode_input(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(N, 1) float64 z, see `encode`."""
        return self.encode(values, location)[0][:, None]

    @np.errstate(over="ignore")  # a scale near 0, of a forged file
    def encode(
        self,
        values: np.ndarray,
        location: Location,
        offsets: np.ndarray | None = None,
        before: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S,) float64 z, NaN where missing, and log(dz/dx): 0 where a value is missing, or has a mass."""
        x = values.astype(np.float64)
        self.refuse_missing(np.isnan(x), location)
        y, alone, kept = self.increments(x, offsets, before, location)
        z, slope = np.full(len(x), np.nan), np.zeros(len(x))
        z[kept] = np.where(alone, (y - self.first_loc) / self.first_scale, (y - self.loc) / self.scale)
        slope[kept] = transforms.log_slope(x[kept], self.transform, self.unit)
        slope[kept] -= np.where(alone, np.log(self.first_scale), np.log(self.scale))
        return z, np.where(self.has_density(z), slope, 0.0)

    def has_density(self, encoded: np.ndarray) -> np.ndarray:
        """(S,) which values in the network's units have a density: those that are neither missing nor have a mass."""
        if self.mass:
            return np.zeros(len(encoded), bool)
        found = ~np.isnan(encoded)
        for point in self.point_mass_positions:
            found &= ~(np.abs(encoded - point) <= POINT_MASS_TOLERANCE * (1 + abs(point)))
        return found

    @property
    def point_mass_positions(self) -> list[float]:
        """The point masses in the network's units."""
        values = np.array(self.point_masses)
        y = values if self.transform in DIFFERENCE_TRANSFORMS else transforms.forward(values, self.transform, self.unit)
        return ((y - self.loc) / self.scale).tolist()

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """Values in original units: int64 where training had whole numbers and none is missing, else float64."""
        z = np.asarray(encoded)
        kept = ~np.isnan(z)
        y, observed = z[kept].astype(np.float64), continuation.observed
        if self.cumulative is None:
            exact = self._exactly(transforms.inverse(y * self.scale + self.loc, self.transform, self.unit), z[kept])
        else:
            exact = self._summed(z[kept], kept, continuation)
        x = np.full(len(z), np.nan)
        x[kept] = self._within(self._on_grid(exact))
        if observed is not None:
            x = np.where(np.isnan(observed), x, observed)
        last = None if self.cumulative is None else last_values(x, continuation)
        return Decoded((rounded(x, self.decimals),), last)

    def _summed(self, z: np.ndarray, kept: np.ndarray, continuation: Continuation) -> np.ndarray:
        """Values whose standardized differences are z; `kept` are those of all steps."""
        y = z.astype(np.float64)
        inner = transforms.present_offsets(kept, continuation.offsets)
        before = None if continuation.before is None else self.start(continuation.before)
        _, alone = transforms.differences(y, inner, before)
        step = self._exactly(y * self.scale + self.loc, z)
        step = np.where(alone, y * self.first_scale + self.first_loc, step)
        observed = continuation.observed
        anchors = None if observed is None else transforms.forward(observed[kept], self.transform, self.unit)
        total = transforms.accumulate(*transforms.anchored(step, inner, before, anchors))
        x = transforms.inverse(total, self.transform, self.unit)
        if self.floor is not None or self.ceiling is not None:
            x = np.clip(x, self.floor, self.ceiling)  # only float32 carries a sample beyond
        return x

    @property
    def cumulative(self) -> Cumulative | None:
        """Differences and log-returns add up."""
        return self if self.transform in DIFFERENCE_TRANSFORMS else None

    @property
    def sum_unit(self) -> float:
        """The scale of the differences."""
        return self.scale

    @property
    def most(self) -> float:
        """No end: differences have ends of their own."""
        return np.inf

    @property
    def never(self) -> None:
        """A difference may have any sign."""
        return

    def origins(self, before: np.ndarray | None, rows: int) -> Origins:
        """The value before step 0, or the mean of first values where there is none.

        Examples:
            >>> NumericEncoder("difference", 0.5, 2.0, first_loc=7.0).origins(np.array([3.0, np.nan]), 2)
            Origins(at=array([3., 7.]), start=array([ 0., nan]), unit=2.0, seen=None)
        """
        known = self.start(np.full(rows, np.nan) if before is None else before)
        start = np.where(np.isnan(known), np.nan, 0.0)
        return Origins(np.where(np.isnan(known), self.first_loc, known), start, self.sum_unit)

    def to_sum(self, values: np.ndarray) -> np.ndarray:
        """The value, or its logarithm."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return transforms.forward(values, self.transform, self.unit)

    def increments(
        self, x: np.ndarray, offsets: np.ndarray | None, before: np.ndarray | None, location: Location
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Y of the present values, which of them have no value before, and which values are present."""
        kept = self.check(x, location)
        y = transforms.forward(x[kept], self.transform, self.unit)
        if self.transform not in DIFFERENCE_TRANSFORMS:
            return y, np.zeros(len(y), bool), kept
        inner = transforms.present_offsets(kept, np.array([0, len(kept)]) if offsets is None else offsets)
        step, alone = transforms.differences(y, inner, None if before is None else self.start(before))
        return step, alone, kept

    def to_network(self, x: float) -> float:
        """Z of a number that doesn't add up; minus infinity where it is too small for the transform."""
        value = np.array([x])
        if not transforms.legal(value, self.transform, self.unit)[0]:
            return -np.inf
        return (float(transforms.forward(value, self.transform, self.unit)[0]) - self.loc) / self.scale

    def check(self, x: np.ndarray, location: Location) -> np.ndarray:
        """Which values are present; a `SchemaError` about a value that the transform is not defined for."""
        kept = ~np.isnan(x)
        legal = transforms.legal(x[kept], self.transform, self.unit)
        if not legal.all():
            row = int(np.flatnonzero(kept)[np.argmin(legal)])
            limit = "above 0" if self.transform == "log_return" else f"above {-self.unit:g}"
            hint = f"Pass Number({location.column!r}, transform=...) with another transform."
            raise SchemaError(location.at(row), f"a number {limit}, for {self.transform}", f"{x[row]:g}", hint)
        return kept

    def refuse_off_grid(self, values: np.ndarray, location: Location) -> None:
        """Refuse values that have no mass, because they lie between the values of the grid of training."""
        if not self.mass or self.cumulative is not None:
            return
        x = values.astype(np.float64)
        off = np.abs(x / self.step - np.round(x / self.step)) > np.maximum(0.01, GRID_TOLERANCE * np.abs(x) / self.step)
        if off.any():
            row = int(np.argmax(off))
            hint = "Round it; or fit again with data that has such values."
            expected = f"a multiple of {self.step:g}, as in training"
            raise SchemaError(location.at(row), expected, f"{x[row]:g}", hint)

    def _exactly(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Values x with exact point masses, where float32 has rounded them."""
        for value, position in zip(self.point_masses, self.point_mass_positions, strict=True):
            x = np.where(is_point_mass(z, position), value, x)
        return x

    def _on_grid(self, x: np.ndarray) -> np.ndarray:
        """Exact multiples of the step, where float32 has rounded them; values between multiples stay."""
        if not self.step:
            return x
        with np.errstate(over="ignore"):  # of a value near the largest float, nothing is near
            nearest = np.round(x / self.step) * self.step + 0.0  # never -0
        slack = np.minimum(GRID_TOLERANCE * np.maximum(np.abs(x), self.high - self.low), 0.2 * self.step)
        return np.where(np.abs(x - nearest) <= slack, nearest, x)

    def _within(self, x: np.ndarray) -> np.ndarray:
        """Values on their bound, where float32 has rounded them across."""
        slack = BOUND_TOLERANCE * max(self.high - self.low, abs(self.low), abs(self.high))
        if self.floor is not None:
            x = np.where((x < self.floor) & (x > self.floor - slack), self.floor, x)
        if self.ceiling is not None:
            x = np.where((x > self.ceiling) & (x < self.ceiling + slack), self.ceiling, x)
        return x

    def start(self, before: np.ndarray) -> np.ndarray:
        """Y of the values before step 0; NaN where there is none."""
        x = np.asarray(before, np.float64)
        # A log-return from 0 or below is undefined: such a sequence has no value before step 0.
        legal = np.where(transforms.legal(x, self.transform, self.unit), x, np.nan)
        return transforms.forward(legal, self.transform, self.unit)


def last_values(x: np.ndarray, continuation: Continuation) -> np.ndarray:
    """(N,) the last present value of each sequence, or the value before it."""
    last = np.full(len(continuation.offsets) - 1, np.nan) if continuation.before is None else continuation.before.copy()
    present = np.flatnonzero(~np.isnan(x))
    owner = np.searchsorted(continuation.offsets, present, side="right") - 1
    last[owner] = x[present]  # the last of several assignments counts
    return last


def rounded(x: np.ndarray, decimals: int | None) -> np.ndarray:
    """Numbers rounded as those of training; whole ones as int64 where none is missing."""
    if decimals is None:
        return x
    x = np.round(x, decimals)
    whole = decimals == 0 and not np.isnan(x).any() and bool(np.all(np.abs(x) < 2.0**63))
    return x.astype(np.int64) if whole else x


def describe_bounds(floor: float | None, ceiling: float | None) -> str:
    """What no sample is beyond, for the description of a column.

    Examples:
        >>> describe_bounds(0.0, None), describe_bounds(0.0, 100.0), describe_bounds(None, None)
        (', never below 0', ', never outside 0 to 100', '')
    """
    if floor is not None and ceiling is not None:
        return f", never outside {floor:g} to {ceiling:g}"
    return "".join(f", never {side} {end:g}" for side, end in (("below", floor), ("above", ceiling)) if end is not None)


def parse_float(text: str, location: str) -> float:
    """The number of a text; a `SchemaError` if it is none."""
    try:
        return float(text)
    except ValueError:
        raise SchemaError(location, "a number", repr(text)) from None
