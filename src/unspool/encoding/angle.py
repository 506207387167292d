"""Angles, fitted: where the period begins, their grid, and whether they follow the angle before."""

from typing import Any

import numpy as np

from unspool.encoding.columns import (
    Continuation,
    Cumulative,
    Decoded,
    InputColumn,
    NumericColumn,
    ScalarColumn,
    StepColumn,
    ValueType,
)
from unspool.encoding.numeric import parse_float, rounded
from unspool.errors import Location, SchemaError, listing
from unspool.schema.angles import start_of_period, wrapped
from unspool.schema.fields import Angle
from unspool.schema.grid import POINT_MASS_TOLERANCE, find_grid, find_point_masses, is_discrete, is_point_mass
from unspool.schema.transform_choice import drop_missing, lagged

MIN_FOLLOWING = 0.1
"""Share of the concentration of the next angle that the one before must add, for angles that follow it."""
MIN_CHANGES = 20
"""Fewest changes that show it."""
MIN_CHANGE = 1e-3
"""Smallest unit of changes, in radians."""


class AngleInput(NumericColumn, InputColumn, frozen=True, tag="angle_input"):
    """Angles of an input, as sine and cosine.

    Args:
        period: a full turn.
        start: the smallest angle: 0, or half a period below.
        nullable: training saw a missing one.
        whole: training had whole numbers only.
    """

    period: float
    start: float
    nullable: bool = False
    whole: bool = False

    @classmethod
    def fit(cls, field: Angle, values: np.ndarray, location: Location) -> "AngleInput":
        """The period of (N,) numbers, NaN where missing."""
        start = _start(field, values.astype(np.float64), location)
        return cls(field.period, start, bool(np.isnan(values).any()), values.dtype.kind in "iu")

    @property
    def width(self) -> int:
        """Sine and cosine."""
        return 2

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Whole numbers where training had no others."""
        return ("int" if self.whole else "float",)

    def describe(self) -> str:
        """The period."""
        return self.with_missing(f"angles from {self.start:g} to {self.start + self.period:g}")

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """The number."""
        return parse_float(text, location)

    def encode_input(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(N, 2) float64, NaN where missing; any angle is legal."""
        x = values.astype(np.float64)
        self.refuse_missing(np.isnan(x), location)
        z = x * (2 * np.pi / self.period)
        return np.stack([np.sin(z), np.cos(z)], 1)


class AngleEncoder(ScalarColumn, StepColumn, frozen=True, tag="angle"):
    """Angles of a step, in radians from that of `start` on.

    Args:
        period: a full turn, in original units.
        start: the smallest angle: 0, or half a period below.
        turned: the largest angle, `start + period`, stands for the smallest: north is 360 and never 0.
        unit: of changes from step to step, in radians; 0 where an angle doesn't follow the one before.
        decimals: digits to which decoded values are rounded, see `unspool.encoding.numeric.NumericEncoder`.
        nullable: training saw a missing value.
        missing: share of missing values in training.
        step: of the grid on which all values of training lie; 0 where there is none.
        mass: the distribution gives the masses of the grid's cells, rather than a density.
        point_masses: values with a mass of their own.
    """

    period: float
    start: float
    turned: bool = False
    unit: float = 0.0
    decimals: int | None = None
    nullable: bool = False
    missing: float = 0.0
    step: float = 0.0
    mass: bool = False
    point_masses: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, low in (("period", False), ("unit", True), ("step", True)):
            value = getattr(self, name)
            if not (0 <= value < np.inf and (low or value > 0)):
                raise SchemaError(f"angle, {name}", "a finite number above 0", str(value))

    @classmethod
    def fit(cls, field: Angle, values: np.ndarray, location: Location, offsets: np.ndarray) -> "AngleEncoder":
        """Fit (S,) numbers, NaN where missing, one or more present; a `SchemaError` if they lie in no period."""
        x = values.astype(np.float64)
        present = x[~np.isnan(x)]
        period, start = field.period, _start(field, x, location)
        end = start + period
        angles = np.where(present == end, start, present)
        decimals, step = find_grid(present) or (None, 0.0)
        change = wrapped(lagged(*drop_missing(x, offsets), 1), period, -period / 2)
        unit = change_unit(angles * (2 * np.pi / period), change * (2 * np.pi / period))
        turns = period / step if step else 0.0
        fine = change if unit else angles
        mass = step > 0 and abs(turns - round(turns)) < 1e-6 * turns
        mass &= is_discrete(angles, step) or (len(fine) > 1 and is_discrete(fine, step))
        return cls(
            period,
            start,
            turned=bool((present == end).any() and not (present == start).any()),
            unit=unit,
            decimals=0 if values.dtype.kind in "iu" or decimals == 0 else decimals,
            nullable=len(present) < len(x),
            missing=1 - len(present) / len(x),
            step=step,
            mass=bool(mass),
            point_masses=() if unit else find_point_masses(angles, step if mass else 0.0),
        )

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Whole numbers where training had no others."""
        return ("int" if self.decimals == 0 else "float",)

    @property
    def cumulative(self) -> Cumulative | None:
        """None: the network sees the angle itself."""
        return None

    @property
    def per_radian(self) -> float:
        """Original units of a radian."""
        return self.period / (2 * np.pi)

    @property
    def point_mass_positions(self) -> list[float]:
        """The point masses in radians."""
        return [value / self.per_radian for value in self.point_masses]

    def describe(self) -> str:
        """The period, the grid, point masses, and whether angles follow each other."""
        grid = f", steps of {self.step:g}" if self.mass else ""
        often = f", often {listing([f'{value:g}' for value in self.point_masses], 3)}" if self.point_masses else ""
        follows = f", changes of {self.unit * self.per_radian:.3g}" if self.unit else ""
        missing = f", {self.missing:.2%} missing" if self.nullable else ""
        return f"angles from {self.start:g} to {self.start + self.period:g}{grid}{often}{follows}{missing}"

    def parse(self, text: str, location: str, member: int = 0) -> float:
        """The number."""
        return parse_float(text, location)

    def encode(
        self,
        values: np.ndarray,
        location: Location,
        offsets: np.ndarray | None = None,
        before: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S,) float64 radians, NaN where missing, and log(dz/dx): 0 where a value is missing, or has a mass."""
        x = values.astype(np.float64)
        self.refuse_missing(np.isnan(x), location)
        outside = (x < self.start) | (x > self.start + self.period)
        if outside.any():
            row = int(np.argmax(outside))
            expected = f"an angle from {self.start:g} to {self.start + self.period:g}, as in training"
            raise SchemaError(location.at(row), expected, f"{x[row]:g}", "Add or subtract a period.")
        z = np.where(x == self.start + self.period, self.start, x) / self.per_radian
        slope = np.where(np.isnan(x) | self.mass, 0.0, -np.log(self.per_radian))
        for point in self.point_mass_positions:
            slope[np.abs(z - point) <= POINT_MASS_TOLERANCE * (1 + abs(point))] = 0.0
        return z, slope

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """Angles in original units: int64 where training had whole numbers and none is missing, else float64."""
        z = np.asarray(encoded)
        x = z.astype(np.float64) * self.per_radian
        for value, point in zip(self.point_masses, self.point_mass_positions, strict=True):
            x = np.where(is_point_mass(z, point), value, x)
        x = rounded(x, self.decimals)
        x = wrapped(x.astype(np.float64), self.period, self.start) + 0.0
        if self.turned:
            x = np.where(x == self.start, self.start + self.period, x)
        if continuation.observed is not None:
            x = np.where(np.isnan(continuation.observed), x, continuation.observed)
        return Decoded((rounded(x, self.decimals),))


def change_unit(angles: np.ndarray, changes: np.ndarray) -> float:
    """The typical change from step to step, in radians, of angles that follow the one before; 0 of others.

    The mean direction of the changes says how well the angle before foresees the next one; independent angles reach the
    square of their own concentration.
    """
    if len(changes) < MIN_CHANGES:
        return 0.0
    alone, together = (abs(np.exp(1j * part).mean()) for part in (angles, changes))
    if together - alone**2 <= MIN_FOLLOWING * (1 - alone**2):
        return 0.0
    moving = np.abs(changes[changes != 0])
    return max(float(np.quantile(moving, 0.75)) if len(moving) else 0.0, MIN_CHANGE)


def _start(field: Angle, values: np.ndarray, location: Location) -> float:
    """Where the period of numbers begins; a `SchemaError` if they don't lie in one."""
    x = values[~np.isnan(values)]
    start = start_of_period(x, field.period)
    if start is None:
        half, period = field.period / 2, field.period
        wrong = values > period if np.nanmin(values) >= 0 else (values < -half) | (values > half)
        row = int(np.argmax(wrong))
        expected = f"angles from 0 to {period:g}, or from {-half:g} to {half:g}"
        hint = f"Take them modulo {period:g}; or pass Angle({field.name!r}, period=...), or Number({field.name!r})."
        raise SchemaError(location.at(row), expected, f"{values[row]:g}", hint)
    return start
