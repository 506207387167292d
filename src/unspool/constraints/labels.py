"""Constraints of a block of labels: yes or no, label by label."""

from collections.abc import Mapping, Sequence
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
)
from unspool.encoding.columns import Origins
from unspool.errors import Location, OptionError
from unspool.schema.coercion import coerce
from unspool.schema.fields import Flag
from unspool.tables.arrow import from_values


@dataclass(frozen=True)
class LabelConstraints(FieldConstraints):
    """Constraints of M labels, each yes or no: 1 or -1, or NaN where all are missing."""

    def nothing(self, count: int) -> ObservedField:
        """Labels."""
        values = np.zeros((count, self.column.width))
        return ObservedField(values, np.zeros(values.shape, bool), None)

    def encode_prefix(self, values: NDArray[Any], beside: GivenBeside) -> Known:
        """Labels without a change."""
        self.column.refuse_missing(np.isnan(values[:, 0]), beside.location)
        return values, None

    def encode_pins(self, member: int, values: list[Any], beside: GivenBeside) -> Known:
        """Labels of truth values."""
        flags = coerce(from_values(values, beside.location), Flag(self.field.columns[member]), beside.location).tolist()
        self.column.refuse_missing(np.array([flag is None for flag in flags]), beside.location)
        labels = np.array([np.nan if flag is None else 1.0 if flag else -1.0 for flag in flags])
        if beside.allowed is not None:
            self.refuse_forbidden(
                (labels < beside.allowed.low[member]) | (labels > beside.allowed.high[member]), beside.location
            )
        return labels, None

    def check(
        self, observed: ObservedField, pinned: Mapping[int, str], allowed: Allowed | None, rows: ObservedRows
    ) -> NDArray[np.float64] | None:
        """Refuse labels of which only some are missing."""
        for index, name in pinned.items():
            missing = np.isnan(observed.values[index]) & observed.where[index]
            if missing.any() and not missing.all():
                found = f"{self.field.columns[int(np.argmax(missing))]!r} alone"
                hint = "Pin all members to None, or none."
                raise OptionError(f"pin: {name}", "a block that is missing as a whole", found, hint)
        return None

    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """Yes or no, by label."""
        low, high = np.full(self.column.width, -1.0), np.full(self.column.width, 1.0)
        for name, values in given.items():
            location = Location("allow", name, names=["value 1", "value 2"])
            if not isinstance(values, (Sequence, set, frozenset)) or not 0 < len(values) <= 2:
                raise OptionError(f"allow, column {name!r}", "a list of truth values, at least one", repr(values)[:60])
            yes = coerce(from_values(list(values), location), Flag(name), location).astype(bool)
            m = self.field.columns.index(name)
            low[m], high[m] = (-1.0 if (~yes).any() else 1.0), (1.0 if yes.any() else -1.0)
        return Allowed(None, low, high)

    def support(
        self, allowed: Allowed | None, origins: Origins | None, given: GivenRange | None = None
    ) -> Allowed | None:
        """The allowed labels, for all rows."""
        return None if allowed is None else Allowed(None, allowed.low[None], allowed.high[None])
