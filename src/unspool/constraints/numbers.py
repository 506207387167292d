"""What may be fixed or forbidden of numbers and timestamps: a value, or a range."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import Allowed, FieldConstraints, ObservedField, plain_values, refuse_forbidden
from unspool.encoding.columns import Origins, missing_value
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import NumericEncoder
from unspool.errors import OptionError
from unspool.schema.coercion import coerce
from unspool.schema.monotone import as_number
from unspool.tables.arrow import from_values
from unspool.tables.location import Location

GRID_SLACK = 1e-6
"""Share of a step by which the end of a range may miss a value of the grid."""


@dataclass(frozen=True)
class NumberConstraints(FieldConstraints):
    """Of a number or a timestamp."""

    column: NumericEncoder | IncrementEncoder

    @property
    def is_number(self) -> bool:
        """It is one."""
        return True

    @property
    def table(self) -> NDArray[np.int32] | None:
        """None: it is a number."""
        return None

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """What no sample violates."""
        return self.column.floor, (self.column.ceiling if isinstance(self.column, NumericEncoder) else None)

    def blank(self, count: int) -> NDArray[Any]:
        """Numbers."""
        return np.zeros(count)

    def encode_prefix(
        self, values: NDArray[Any], location: Location
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Z of numbers, or what adds up."""
        exact = as_number(values)
        if isinstance(self.column, NumericEncoder):
            self.column.check(exact, location)
        if self.column.cumulative is None:
            return self.column.encode(values, location, np.array([0, len(values)]))[0], exact
        if np.isnan(exact).any() and not self.column.nullable:
            raise missing_value(location, int(np.argmax(np.isnan(exact))))
        return self.column.cumulative.to_sum(exact), exact

    def encode_pins(
        self, member: int, values: list[Any], location: Location
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Likewise."""
        return self.encode_prefix(coerce(from_values(plain_values(values), location), self.field, location), location)

    def check_prefix(self, values: NDArray[Any], allowed: Allowed | None, location: Location) -> None:
        """Refuse a prefix that has passed all that may be sampled, where values never go back."""
        column = self.column
        if not isinstance(column, IncrementEncoder) or column.never is None:
            return
        falling = column.never == "rises"
        for end, whose, hint in (
            (column.floor, "the bound of the column", f"fit again with Number({location.column!r}, bounds=None)"),
            (
                None if allowed is None else allowed.low if falling else allowed.high,
                "where what is allowed ends",
                "allow more",
            ),
        ):
            if end is None:
                continue
            past = values > end / column.one
            if past.any():
                k = int(np.argmax(past))
                word = "at least" if falling else "at most"
                expected = f"{word} {column.written(end / column.one)}, {whose}, because it never {column.never}"
                found = column.written(values[k])
                raise OptionError(location.at(k), expected, found, f"Leave out that step, or {hint}.")

    def check_pins(
        self,
        member: int,
        values: NDArray[Any],
        exact: NDArray[np.float64] | None,
        allowed: Allowed | None,
        location: Location,
    ) -> None:
        """Refuse numbers that no sample could have."""
        numbers = np.zeros(0) if exact is None else exact
        if allowed is not None:
            refuse_forbidden((numbers < allowed.low) | (numbers > allowed.high), location)
        decimals = self.column.decimals if self.column.types != ("time",) else None
        for k, value in enumerate(numbers.tolist()):
            if decimals is not None and value == value and round(value, decimals) != value:
                expected = "a whole number" if decimals == 0 else f"a number of at most {decimals} decimals"
                raise OptionError(location.at(k), f"{expected}, as in training", f"{value:g}")
            floor, ceiling = self.bounds
            for bound, beyond, word in (
                (floor, floor is not None and value < floor, "at least"),
                (ceiling, ceiling is not None and value > ceiling, "at most"),
            ):
                if beyond:
                    hint = f"Pin a value within; or fit again with Number({self.field.name!r}, bounds=...)."
                    raise OptionError(location.at(k), f"{word} {bound:g}, the bound of the column", f"{value:g}", hint)

    def check_steps(
        self, values: NDArray[Any], where: NDArray[np.bool_], steps: Mapping[int, str], allowed: Allowed | None
    ) -> None:
        """There is one column only."""

    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """A range."""
        name = self.field.name
        values = given[name]
        location = Location("allow", name, names=["low", "high"])
        if not isinstance(values, (tuple, list)) or len(values) != 2:
            expected = "(low, high), either of which may be None"
            raise OptionError(f"allow, column {name!r}", expected, repr(values)[:60])
        known = [value for value in values if value is not None]
        ends = iter(as_number(coerce(from_values(known, location), self.field, location)).tolist() if known else [])
        low, high = (
            sign * np.inf if value is None else next(ends) for sign, value in zip((-1, 1), values, strict=True)
        )
        floor, ceiling = self.bounds
        least, most = (-np.inf if floor is None else floor), (np.inf if ceiling is None else ceiling)
        if low > high or low > most or high < least or not self._any_value(max(low, least), min(high, most)):
            found = f"{values[0]} to {values[1]}"
            raise OptionError(f"allow, column {name!r}", "a range in which values lie", found)
        return Allowed(None, low, high)

    def support(self, allowed: Allowed | None, origins: Origins | None) -> Allowed | None:
        """The allowed range, and the bounds of what adds up; its distribution keeps the bounds of another number."""
        low, high = (-np.inf, np.inf) if allowed is None else (allowed.low, allowed.high)
        column = self.column
        if origins is None:
            ends = [np.array([column.to_network(end) if np.isfinite(end) else end]) for end in (low, high)]  # type: ignore[union-attr]
            return None if np.isinf(ends).all() else Allowed(None, *ends)
        if isinstance(column, NumericEncoder):
            low = low if column.floor is None else max(low, column.floor)
            high = high if column.ceiling is None else min(high, column.ceiling)
        ends = [self._running_sum(end, origins) for end in (low, high)]
        if isinstance(column, IncrementEncoder) and column.sign == -1:
            ends.reverse()
        if isinstance(column, IncrementEncoder) and column.floor is not None:
            # What starts below its floor stays where it is.
            ends[1] = np.minimum(ends[1], np.maximum(self._running_sum(column.floor, origins), 0.0))
        ends[0] = np.where(np.isnan(ends[0]), -np.inf, ends[0])  # the logarithm of what is below 0
        if all(np.isinf(end).all() for end in ends):
            return None
        never = None if column.cumulative is None else column.cumulative.never
        if never is not None and (ends[1] < 0).any():
            expected = f"a range that reaches what the first step is counted from, because it never {never}"
            found = "one that ends before" if never == "falls" else "one that begins above"
            raise OptionError(f"allow, column {self.field.name!r}", expected, found)
        return Allowed(None, *ends)

    def upper(
        self, observed: ObservedField, offsets: NDArray[np.int64], origin: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """By step, the next given value on the axis that adds up, infinity where none comes; `None` where it may fall.

        Raises:
            OptionError: a given value has gone back behind one before it.
        """
        column, values = self.column, observed.values
        if not isinstance(column, IncrementEncoder) or column.never is None:
            return None
        given, many = observed.where & ~np.isnan(values), len(offsets) > 2
        upper = np.where(given, values, np.inf)
        for row in range(len(offsets) - 1):
            part = slice(offsets[row], offsets[row + 1])
            at = np.flatnonzero(given[part])
            y = np.concatenate([[origin[row] if many else origin.max(initial=-np.inf)], values[part][at]])
            falls = np.diff(y) < 0
            if falls.any():
                k = int(np.argmax(falls))
                before = f"the value given for step {at[k - 1]}" if k else "what the first step is counted from"
                less = "less" if column.never == "falls" else "more"
                expected = f"no {less} than {column.written(y[k])}, {before}, because it never {column.never}"
                place = f"pin: {f'row {row}, ' if many else ''}step {at[k]}, column {self.field.name!r}"
                raise OptionError(place, expected, column.written(y[k + 1]))
            upper[part] = np.minimum.accumulate(upper[part][::-1])[::-1]
        return upper

    def _running_sum(self, value: float, origins: Origins) -> NDArray[np.float64]:
        """The running sum at a value, in every row."""
        total = self.column.cumulative.to_sum(np.array([value]))  # type: ignore[union-attr]
        return (total - origins.at) / origins.unit

    def _any_value(self, low: float, high: float) -> bool:
        """Whether a range has any of the values that can be sampled."""
        column = self.column
        if not isinstance(column, NumericEncoder):
            return True
        if column.support_points:
            return any(low <= point <= high for point in column.support_points)
        if not column.mass or not np.isfinite(low) or not np.isfinite(high):
            return True
        return bool(np.floor(high / column.step + GRID_SLACK) >= np.ceil(low / column.step - GRID_SLACK))
