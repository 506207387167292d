"""The columns that only an input has: truth values, timestamps, vectors."""

import re
from typing import Any, Literal

import numpy as np

from unspool.encoding.columns import InputColumn, NumericColumn, ScalarColumn, ValueType
from unspool.encoding.members import parse_truth_value
from unspool.encoding.numeric import parse_float
from unspool.encoding.transforms import location_and_scale
from unspool.errors import Location, SchemaError
from unspool.tables.columns import missing_mask

Cycle = Literal["year", "week", "day"]
DAYS_OF_CYCLE = {"year": 365.2425, "week": 7.0, "day": 1.0}
"""Days of each cycle."""


class BinaryEncoder(ScalarColumn, InputColumn, frozen=True, tag="binary"):
    """True and false as 1 and -1, so that neither is the zero vector.

    Args:
        nullable: training saw a missing one.
    """

    nullable: bool = False

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Truth values."""
        return ("bool",)

    def describe(self) -> str:
        """True or false."""
        return self.with_missing("true or false")

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """See `parse_truth_value`."""
        return parse_truth_value(text)

    def encode_input(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(N, 1) float64, NaN where missing."""
        missing = missing_mask(values)
        self.refuse_missing(missing, location)
        encoded = np.full((len(values), 1), np.nan)
        encoded[~missing, 0] = np.where(values[~missing].astype(bool), 1.0, -1.0)
        return encoded


class VectorEncoder(NumericColumn, InputColumn, frozen=True, tag="vector"):
    """Vectors of D numbers, each axis with its own location and scale.

    Args:
        dim: D.
        loc: means.
        scale: standard deviations, above 0.
        nullable: training saw a missing one.
    """

    dim: int
    loc: tuple[float, ...]
    scale: tuple[float, ...]
    nullable: bool = False

    def __post_init__(self) -> None:
        if not len(self.loc) == len(self.scale) == self.dim or not all(0 < scale < np.inf for scale in self.scale):
            raise SchemaError("vector", f"{self.dim} locations and scales above 0", f"{self.loc}, {self.scale}")

    @classmethod
    def fit(cls, column: np.ndarray) -> "VectorEncoder":
        """Location and scale of (N, D) values, NaN where missing."""
        loc, scale = zip(*(location_and_scale(axis[~np.isnan(axis)]) for axis in column.T), strict=True)
        return cls(column.shape[1], loc, scale, bool(np.isnan(column).any()))

    @property
    def width(self) -> int:
        """D."""
        return self.dim

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Numbers, in a list."""
        return ("float",)

    def describe(self) -> str:
        """How many numbers."""
        return self.with_missing(f"{self.dim} numbers")

    def parse(self, text: str, location: str, member: int = 0) -> list[float]:
        """The numbers, between commas or white space."""
        return [parse_float(part, location) for part in re.split(r"[\s,;]+", text.strip("[]() "))]

    def encode_input(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(N, D) float64, NaN where missing; a `SchemaError` for another D than in training."""
        if not values.shape[1]:
            values = np.full((len(values), self.dim), np.nan)
        if values.shape[1] != self.dim:
            raise SchemaError(location.at(0), f"{self.dim} numbers, as in training", str(values.shape[1]))
        self.refuse_missing(np.isnan(values).any(1), location)
        return (values - np.array(self.loc)) / np.array(self.scale)


class TimestampEncoder(NumericColumn, InputColumn, frozen=True, tag="timestamp"):
    """Timestamps as real features: the standardized time, and sine and cosine of the cycles that training varies in.

    Args:
        loc: mean, in days since 1970.
        scale: standard deviation, in days, above 0.
        cycles: those of year, week and day in which the dates of training differ.
        nullable: training saw a missing one.
    """

    loc: float
    scale: float
    cycles: tuple[Cycle, ...] = ()
    nullable: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf:
            raise SchemaError("timestamp, scale", "a finite number above 0", str(self.scale))

    @classmethod
    def fit(cls, column: np.ndarray) -> "TimestampEncoder":
        """Location, scale and cycles of (N,) datetime64[us], NaT where missing."""
        missing = np.isnat(column)
        days = _days(column[~missing])
        whole = np.floor(days)
        months = column[~missing].astype("datetime64[M]").astype(np.int64) % 12
        varies = {"year": months, "week": whole % 7, "day": days - whole}
        cycles: Any = tuple(name for name, phase in varies.items() if np.ptp(phase) > 0)
        return cls(*location_and_scale(days), cycles, bool(missing.any()))

    @property
    def width(self) -> int:
        """The time, and two numbers a cycle."""
        return 1 + 2 * len(self.cycles)

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Timestamps."""
        return ("time",)

    def describe(self) -> str:
        """The range of most timestamps, and the cycles."""
        days = [np.datetime64(round(self.loc + sign * self.scale), "D") for sign in (-1, 1)]
        cycles = f", cycles of the {', '.join(self.cycles)}" if self.cycles else ""
        return self.with_missing(f"mostly {days[0]} to {days[1]}{cycles}")

    def parse(self, text: str, location: str, member: int = 0) -> str:
        """The text, which is read as dates of a table are."""
        return text

    def encode_input(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(N, 1 + 2 cycles) float64; a missing timestamp is a row of NaN."""
        missing = np.isnat(values)
        self.refuse_missing(missing, location)
        days = np.where(missing, np.nan, _days(values))
        features = [(days - self.loc) / self.scale]
        for cycle in self.cycles:
            angle = 2 * np.pi * days / DAYS_OF_CYCLE[cycle]
            features += [np.sin(angle), np.cos(angle)]
        return np.stack(features, 1)


def _days(timestamps: np.ndarray) -> np.ndarray:
    return timestamps.astype(np.int64) / 86_400e6
