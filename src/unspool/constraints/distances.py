"""Constraints of values that are learned as a distance from other columns of their step."""

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
from unspool.encoding.columns import Origins
from unspool.encoding.distance import DistanceEncoder
from unspool.errors import OptionError, listing
from unspool.schema.coercion import coerce
from unspool.schema.monotone import as_number
from unspool.tables.arrow import from_values


@dataclass(frozen=True)
class DistanceConstraints(FieldConstraints):
    """Constraints of a number or a timestamp that has references: it can be given where they are given too."""

    column: DistanceEncoder

    def nothing(self, count: int) -> ObservedField:
        """Numbers."""
        return ObservedField(np.zeros(count), np.zeros(count, bool), np.full(count, np.nan))

    def encode_prefix(self, values: NDArray[Any], beside: GivenBeside) -> Known:
        """Distances, and the numbers themselves."""
        exact = as_number(values)
        known = tuple(field.exact for field in beside.references if field.exact is not None)
        distances = self.column.distances(exact, known, beside.location, beside.location.offsets, beside.before)
        return self.column.encode(distances, beside.location, np.array([0, len(exact)]))[0], exact

    def encode_pins(self, member: int, values: list[Any], beside: GivenBeside) -> Known:
        """Distances from references that are given too; none of a running total, whose value before isn't known."""
        name = self.field.name
        if self.column.signs:
            hint = "Give whole steps as a prefix; or fit with relations=None."
            expected = "columns that are learned by themselves"
            raise OptionError(beside.location.at(0), expected, f"{name!r}, which goes on from its value before", hint)
        lacking = ~np.logical_and.reduce([field.where for field in beside.references])
        if lacking.any():
            named = listing(map(repr, self.field.references))
            expected = f"given values of {named} too, because {name!r} is learned as a distance from it"
            hint = f"Pin {named} at the same step; or fit with relations=None."
            raise OptionError(beside.location.at(int(np.argmax(lacking))), expected, "none", hint)
        column = coerce(from_values(plain_values(values), beside.location), self.field, beside.location)
        return self.encode_prefix(column, beside)

    def check(
        self, observed: ObservedField, pinned: Mapping[int, str], allowed: Allowed | None, rows: ObservedRows
    ) -> NDArray[np.float64] | None:
        """Any distances go together."""
        return None

    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """Refuse a range: whether a distance ends within it depends on the references."""
        name = self.field.name
        found = f"{name!r}, which is learned as a distance from {listing(map(repr, self.field.references))}"
        raise OptionError("allow", "columns that are learned by themselves", found, "Fit again with relations=None.")

    def support(
        self, allowed: Allowed | None, origins: Origins | None, given: GivenRange | None = None
    ) -> Allowed | None:
        """Unlimited: the distribution keeps distances from being negative."""
        return None
