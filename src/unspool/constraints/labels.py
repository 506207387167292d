"""What may be fixed or forbidden of a block of labels: yes or no, label by label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import Allowed, FieldConstraints, ObservedField, refuse_forbidden
from unspool.encoding.columns import Origins, missing_value
from unspool.encoding.multilabel import MultiLabel
from unspool.errors import OptionError
from unspool.schema.coercion import coerce
from unspool.schema.fields import Flag
from unspool.tables.arrow import from_values
from unspool.tables.location import Location


@dataclass(frozen=True)
class LabelConstraints(FieldConstraints):
    """Of M labels, each yes or no."""

    column: MultiLabel

    @property
    def is_number(self) -> bool:
        """It is none."""
        return False

    @property
    def table(self) -> NDArray[np.int32] | None:
        """None: labels are numbers."""
        return None

    def blank(self, count: int) -> NDArray[Any]:
        """1 for yes, -1 for no."""
        return np.zeros((count, len(self.column.members)))

    def encode_prefix(
        self, values: NDArray[Any], location: Location
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """1 for yes, -1 for no, NaN where missing."""
        return self.column.encode(values, location, np.array([0, len(values)]))[0], None

    def encode_pins(
        self, member: int, values: list[Any], location: Location
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Likewise."""
        flags = coerce(from_values(values, location), Flag(self.column.members[member]), location).tolist()
        if None in flags and not self.column.nullable:
            raise missing_value(location, flags.index(None))
        return np.array([np.nan if flag is None else 1.0 if flag else -1.0 for flag in flags]), None

    def check_prefix(self, values: NDArray[Any], allowed: Allowed | None, location: Location) -> None:
        """Anything may follow."""

    def check_pins(
        self,
        member: int,
        values: NDArray[Any],
        exact: NDArray[np.float64] | None,
        allowed: Allowed | None,
        location: Location,
    ) -> None:
        """Refuse what is not allowed."""
        if allowed is not None:
            refuse_forbidden((values < allowed.low[member]) | (values > allowed.high[member]), location)

    def check_steps(
        self, values: NDArray[Any], where: NDArray[np.bool_], steps: Mapping[int, str], allowed: Allowed | None
    ) -> None:
        """Refuse labels of which only some are missing."""
        for index, name in steps.items():
            missing = np.isnan(values[index]) & where[index]
            if missing.any() and not missing.all():
                found = f"{self.column.members[int(np.argmax(missing))]!r} alone"
                hint = "Pin all members to None, or none."
                raise OptionError(f"pin: {name}", "a block that is missing as a whole", found, hint)

    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """Yes or no, by label."""
        low, high = np.full(len(self.column.members), -1.0), np.full(len(self.column.members), 1.0)
        for name, values in given.items():
            location = Location("allow", name, names=["value 1", "value 2"])
            if not isinstance(values, (Sequence, set, frozenset)) or not 0 < len(values) <= 2:
                raise OptionError(f"allow, column {name!r}", "a list of truth values, at least one", repr(values)[:60])
            yes = coerce(from_values(list(values), location), Flag(name), location).astype(bool)
            m = self.column.members.index(name)
            low[m], high[m] = (-1.0 if (~yes).any() else 1.0), (1.0 if yes.any() else -1.0)
        return Allowed(None, low, high)

    def support(self, allowed: Allowed | None, origins: Origins | None) -> Allowed | None:
        """What is allowed, for all rows."""
        return None if allowed is None else Allowed(None, allowed.low[None], allowed.high[None])

    def upper(
        self, observed: ObservedField, offsets: NDArray[np.int64], origin: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Labels don't add up."""
        return None
