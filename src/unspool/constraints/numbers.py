"""Constraints of numbers and timestamps: a value, or a range."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import (
    Allowed,
    FieldConstraints,
    GivenBeside,
    GivenRange,
    Known,
    ObservedField,
    ObservedRows,
    plain_values,
)
from unspool.encoding.angle import AngleEncoder
from unspool.encoding.columns import Origins
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import NumericEncoder
from unspool.errors import Location, OptionError
from unspool.schema.coercion import coerce
from unspool.schema.monotone import as_number
from unspool.tables.arrow import from_values

GRID_SLACK = 1e-6
"""Share of a step by which a value of the grid may lie outside of a range."""


def has_multiple(low: float, high: float, step: float) -> bool:
    """Whether a range has a multiple of a step."""
    return bool(np.floor(high / step + GRID_SLACK) >= np.ceil(low / step - GRID_SLACK))


def ends_or_infinite(low: float | None, high: float | None) -> tuple[float, float]:
    """Two ends as numbers."""
    return (-np.inf if low is None else low), (np.inf if high is None else high)


def beyond(end: Any, given: NDArray[np.float64], distance: float) -> Any:
    """Upper ends of running sums; where a given one is larger, the end is as far beyond that.

    Examples:
        >>> beyond(10.0, np.array([-np.inf, 9.0, 12.0]), 5.0).tolist()
        [10.0, 10.0, 17.0]
    """
    return end if np.isinf(distance) else np.where(given > end, given + distance, end)


@dataclass(frozen=True)
class NumberConstraints(FieldConstraints):
    """Constraints of a number or a timestamp."""

    column: NumericEncoder | IncrementEncoder | AngleEncoder

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest value that a sample may have."""

    @abstractmethod
    def encoded(self, values: NDArray[Any], location: Location) -> Known:
        """Z, or values on the axis that adds up, and the numbers themselves."""

    @abstractmethod
    def read_range(self, low: float, high: float) -> Allowed | None:
        """An allowed range, or `None` if it has no value that can be sampled; an `OptionError` about its ends."""

    def nothing(self, count: int) -> ObservedField:
        """Numbers."""
        return ObservedField(np.zeros(count), np.zeros(count, bool), np.full(count, np.nan))

    def encode_pins(self, member: int, values: list[Any], beside: GivenBeside) -> Known:
        """Numbers that a sample could have."""
        column = coerce(from_values(plain_values(values), beside.location), self.field, beside.location)
        encoded, exact = self.encoded(column, beside.location)
        assert exact is not None  # noqa: S101  # of numbers
        if beside.allowed is not None:
            self.refuse_forbidden(~beside.allowed.holds(exact), beside.location)
        decimals = self.column.decimals if self.column.types != ("time",) else None
        low, high = self.bounds
        for k, value in enumerate(exact.tolist()):
            if decimals is not None and value == value and round(value, decimals) != value:
                expected = "a whole number" if decimals == 0 else f"a number of at most {decimals} decimals"
                raise OptionError(beside.location.at(k), f"{expected}, as in training", f"{value:g}")
            if value < low or value > high:
                bound = f"at least {low:g}" if value < low else f"at most {high:g}"
                hint = f"Pin a value within; or fit again with Number({self.field.name!r}, bounds=...)."
                raise OptionError(beside.location.at(k), f"{bound}, the bound of the column", f"{value:g}", hint)
        return encoded, exact

    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """A range."""
        name = self.field.name
        values = given[name]
        location = Location("allow", name, names=["low", "high"])
        if not isinstance(values, (tuple, list)) or len(values) != 2:
            expected = "(low, high), either of which may be None"
            raise OptionError(f"allow, column {name!r}", expected, repr(values)[:60])
        known = [value is not None for value in values]
        ends = np.array([-np.inf, np.inf])
        if any(known):
            present = from_values([value for value in values if value is not None], location)
            ends[known] = as_number(coerce(present, self.field, location))
        found = self.read_range(*ends.tolist())
        if found is None:
            expected = "a range in which values lie"
            raise OptionError(f"allow, column {name!r}", expected, f"{values[0]} to {values[1]}")
        return found

    def within_bounds(self, low: float, high: float) -> tuple[float, float] | None:
        """The part of a range that lies within the bounds, if any."""
        least, most = self.bounds
        low, high = max(low, least), min(high, most)
        return (low, high) if low <= high else None

    def running_sum(self, value: float, origins: Origins) -> NDArray[np.float64]:
        """(rows,) the running sum at a value; minus infinity where it has none."""
        assert self.column.cumulative is not None  # noqa: S101  # only what adds up has running sums
        total = (self.column.cumulative.to_sum(np.array([value])) - origins.at) / origins.unit
        return np.where(np.isnan(total), -np.inf, total)  # NaN is the logarithm of a negative value


class UnorderedConstraints(NumberConstraints):
    """Constraints of a number that may rise after any value, and fall."""

    def encode_prefix(self, values: NDArray[Any], beside: GivenBeside) -> Known:
        """Any numbers: a sequence can continue from all of them."""
        return self.encoded(values, beside.location)

    def check(
        self, observed: ObservedField, pinned: Mapping[int, str], allowed: Allowed | None, rows: ObservedRows
    ) -> NDArray[np.float64] | None:
        """Any numbers go together."""
        return None


@dataclass(frozen=True)
class NumericConstraints(UnorderedConstraints):
    """Constraints of a number with any transform but increments."""

    column: NumericEncoder

    @property
    def bounds(self) -> tuple[float, float]:
        """Floor and ceiling."""
        return ends_or_infinite(self.column.floor, self.column.ceiling)

    def encoded(self, values: NDArray[Any], location: Location) -> Known:
        """Z, or of differences values on the axis that adds up, and the numbers themselves."""
        exact = as_number(values)
        self.column.check(exact, location)
        if self.column.cumulative is None:
            return self.column.encode(values, location)[0], exact
        self.column.refuse_missing(np.isnan(exact), location)
        return self.column.to_sum(exact), exact

    def support(
        self, allowed: Allowed | None, origins: Origins | None, given: GivenRange | None = None
    ) -> Allowed | None:
        """The allowed range, within the bounds of differences; the distribution has the bounds of other numbers."""
        low, high = (-np.inf, np.inf) if allowed is None else (allowed.low, allowed.high)
        if origins is None:
            ends = [np.array([self.column.to_network(end) if np.isfinite(end) else end]) for end in (low, high)]
        else:
            low, high = max(low, self.bounds[0]), min(high, self.bounds[1])
            ends = [self.running_sum(end, origins) for end in (low, high)]
            if self.column.ends is not None and allowed is None:
                ends = self._within_levels(ends[0], ends[1], origins, given)
        unlimited = all(np.isinf(end).all() for end in ends)
        return None if unlimited else Allowed(None, ends[0], ends[1], asked=allowed is not None)

    def _within_levels(
        self, low: NDArray[np.float64], high: NDArray[np.float64], origins: Origins, given: GivenRange | None
    ) -> list[NDArray[np.float64]]:
        """Running sums from one to another, within what sums of training's differences or ratios don't go beyond.

        From a value before step 0, or from a given one beyond, a sequence may go as far as those of training do.
        """
        column = self.column
        assert column.ends is not None  # noqa: S101  # the caller has checked
        least, most = (self.running_sum(end, origins) for end in column.ends)
        down, up = (part / origins.unit for part in column.excursions)
        known = ~np.isnan(origins.start)
        least, most = np.where(known, np.minimum(least, -down), least), np.where(known, np.maximum(most, up), most)
        if given is not None:
            least, most = -beyond(-least, -given.low, down), beyond(most, given.high, up)
        return [np.maximum(low, least), np.minimum(high, most)]

    def read_range(self, low: float, high: float) -> Allowed | None:
        """One that has a support point, or a value of the grid."""
        part, column = self.within_bounds(low, high), self.column
        if part is None:
            return None
        if column.support_points:
            some = any(part[0] <= point <= part[1] for point in column.support_points)
        else:
            some = not column.mass or not np.isfinite(part).all() or has_multiple(*part, column.step)
        return Allowed(None, low, high) if some else None


@dataclass(frozen=True)
class IncrementConstraints(NumberConstraints):
    """Constraints of timestamps, and of numbers that never fall or never rise."""

    column: IncrementEncoder

    @property
    def bounds(self) -> tuple[float, float]:
        """Floor and ceiling."""
        return ends_or_infinite(self.column.floor, self.column.ceiling)

    def encoded(self, values: NDArray[Any], location: Location) -> Known:
        """Values on the axis that adds up, and the numbers themselves."""
        exact = as_number(values)
        self.column.refuse_missing(np.isnan(exact), location)
        return self.column.to_sum(exact), exact

    def encode_prefix(self, values: NDArray[Any], beside: GivenBeside) -> Known:
        """Refuse a prefix that has passed every value that may be sampled."""
        encoded, exact = self.encoded(values, beside.location)
        column = self.column
        if column.never is None:
            return encoded, exact
        falling = column.never == "rises"
        far_end = np.inf if beside.allowed is None else beside.allowed.low if falling else beside.allowed.high
        for end, name, hint in (
            (column.end, "the bound of the column", f"fit again with Number({beside.location.column!r}, bounds=None)"),
            (None if np.isinf(far_end) else far_end, "the end of the allowed range", "allow more"),
        ):
            if end is None:
                continue
            (most,) = column.to_sum(np.array([end]))
            if (encoded > most).any():
                k = int(np.argmax(encoded > most))
                limit = f"at {'least' if falling else 'most'} {column.written(most)}"
                expected, found = f"{limit}, {name}, because it never {column.never}", column.written(encoded[k])
                raise OptionError(beside.location.at(k), expected, found, f"Leave out that step, or {hint}.")
        return encoded, exact

    def check(
        self, observed: ObservedField, pinned: Mapping[int, str], allowed: Allowed | None, rows: ObservedRows
    ) -> NDArray[np.float64] | None:
        """Refuse given values that fall or rise, where values never do."""
        column = self.column
        if not pinned or column.never is None:
            return None
        given, many = observed.where & ~np.isnan(observed.values), len(rows.offsets) > 2
        upper = np.where(given, observed.values, np.inf)
        for row in range(len(rows.offsets) - 1):
            part = slice(rows.offsets[row], rows.offsets[row + 1])
            at = np.flatnonzero(given[part])
            start = rows.origin[row] if many else rows.origin.max(initial=-np.inf)
            y = np.concatenate([[start], observed.values[part][at]])
            falls = np.diff(y) < 0
            if falls.any():
                k = int(np.argmax(falls))
                before = f"the value given for step {at[k - 1]}" if k else "the value before step 0"
                less = "less" if column.never == "falls" else "more"
                expected = f"no {less} than {column.written(y[k])}, {before}, because it never {column.never}"
                location = f"pin: {f'row {row}, ' if many else ''}step {at[k]}, column {self.field.name!r}"
                raise OptionError(location, expected, column.written(y[k + 1]))
            upper[part] = np.minimum.accumulate(upper[part][::-1])[::-1]
        return upper

    def support(
        self, allowed: Allowed | None, origins: Origins | None, given: GivenRange | None = None
    ) -> Allowed | None:
        """The allowed range and the bound, as running sums; what is not asked for rises as far as in training."""
        assert origins is not None  # noqa: S101  # increments add up
        low, high = (-np.inf, np.inf) if allowed is None else (allowed.low, allowed.high)
        column = self.column
        ends = [self.running_sum(end, origins) for end in ((low, high) if column.sign == 1 else (high, low))]
        if column.end is not None:
            # A sequence that starts beyond its bound stays there.
            ends[1] = np.minimum(ends[1], np.maximum(self.running_sum(column.end, origins), 0.0))
        if allowed is None:
            most = column.most if given is None else beyond(column.most, given.high, column.most)
            ends[1] = np.minimum(ends[1], most)
        if all(np.isinf(end).all() for end in ends):
            return None
        if column.never is not None and (ends[1] < 0).any():
            expected = f"a range that reaches the value before step 0, because it never {column.never}"
            found = "one that ends before" if column.never == "falls" else "one that begins above"
            raise OptionError(f"allow, column {self.field.name!r}", expected, found)
        return Allowed(None, ends[0], ends[1])

    def read_range(self, low: float, high: float) -> Allowed | None:
        """Any within the bounds; of timestamps, from the first to the last whole unit in it."""
        if self.column.unit:
            y = self.column.to_sum(np.array([low, high]))
            whole = self.column.to_values(np.array([np.ceil(y[0]), np.floor(y[1])]))
            low, high = np.where(np.isfinite(y), whole, y).tolist()
        return None if self.within_bounds(low, high) is None else Allowed(None, low, high)
