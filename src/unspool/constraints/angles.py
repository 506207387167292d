"""Constraints of angles: a value, or a range of the circle."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import Allowed, GivenRange, Known
from unspool.constraints.numbers import UnorderedConstraints, has_multiple
from unspool.encoding.angle import AngleEncoder
from unspool.encoding.columns import Origins
from unspool.errors import Location, OptionError
from unspool.schema.monotone import as_number


@dataclass(frozen=True)
class AngleConstraints(UnorderedConstraints):
    """Constraints of an angle."""

    column: AngleEncoder

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the period."""
        return self.column.start, self.column.start + self.column.period

    def encoded(self, values: NDArray[Any], location: Location) -> Known:
        """Radians, and the numbers themselves."""
        exact = as_number(values)
        return self.column.encode(values, location)[0], exact

    def support(
        self, allowed: Allowed | None, origins: Origins | None, given: GivenRange | None = None
    ) -> Allowed | None:
        """The allowed range, in radians that float32 holds, none of which is outside."""
        if allowed is None:
            return None
        (start, end), one = self.bounds, self.column.per_radian
        low = start if allowed.low == end else allowed.low
        high = start if allowed.high == end and allowed.low > start else allowed.high
        least, most = np.float32(low / one), np.float32(high / one)
        if low != high and float(least) * one < low:
            least = np.nextafter(least, np.float32(np.inf))
        if low != high and float(most) * one > high:
            most = np.nextafter(most, np.float32(-np.inf))
        return Allowed(None, np.array([least]), np.array([most]))

    def read_range(self, low: float, high: float) -> Allowed | None:
        """One between angles of the period that has a value of the grid; low > high is through the end."""
        (start, end), period = self.bounds, self.column.period
        low, high = (start if low == -np.inf else low), (end if high == np.inf else high)
        for angle in (low, high):
            if not start <= angle <= end:
                expected = f"angles from {start:g} to {end:g}, as in training"
                hint = f"A range through the end is ({end - period / 36:g}, {start + period / 36:g})."
                raise OptionError(f"allow, column {self.field.name!r}", expected, f"{angle:g}", hint)
        onward = high + period if low > high else high
        some = not self.column.mass or has_multiple(low, onward, self.column.step)
        return Allowed(None, low, high) if some else None
