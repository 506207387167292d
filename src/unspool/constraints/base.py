"""What may be fixed or forbidden of a field, whatever kind of column it has."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.columns import Origins, StepColumn
from unspool.errors import OptionError
from unspool.schema.fields import AnyField
from unspool.tables.location import Location


class Allowed(NamedTuple):
    """What is allowed of one field.

    Attributes:
        symbols: (V,) which of them, of symbols; else `None`.
        low: of a number the smallest, or minus infinity; of labels (M,) -1 where one may be no.
        high: the largest, or infinity; of labels (M,) 1 where one may be yes.
    """

    symbols: NDArray[np.bool_] | None = None
    low: Any = -np.inf
    high: Any = np.inf


class Pin(NamedTuple):
    """One pinned value: of which row, step and field, and of which of the field's columns."""

    row: int
    step: int
    field: int
    member: int
    value: Any
    name: str
    """What messages call its step."""


class ObservedField(NamedTuple):
    """What is given of the steps of one field.

    Attributes:
        values: (S,) or, of a field of several columns, (S, M): as the network sees them; of a cumulative field on the
            axis that adds up; of joint symbols the codes of the members.
        where: what of it is given.
        exact: (S,) numbers and timestamps as they are, NaN elsewhere; `None` of others.
    """

    values: NDArray[Any]
    where: NDArray[np.bool_]
    exact: NDArray[np.float64] | None


@dataclass(frozen=True)
class FieldConstraints(ABC):
    """What may be fixed or forbidden of one step field.

    Attributes:
        field: the field.
        column: its fitted column.
    """

    field: AnyField
    column: StepColumn

    @property
    @abstractmethod
    def is_number(self) -> bool:
        """Whether a value is one number or timestamp."""

    @property
    @abstractmethod
    def table(self) -> NDArray[np.int32] | None:
        """(V, M) the members' codes of every symbol, where a symbol stands for several columns; else `None`."""

    @abstractmethod
    def blank(self, count: int) -> NDArray[Any]:
        """Values of so many steps, none of which is given; see `ObservedField`."""

    @abstractmethod
    def encode_prefix(
        self, values: NDArray[Any], location: Location
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Canonical values of whole steps, as `ObservedField.values` and `ObservedField.exact` have them.

        Raises:
            UnknownCategory: a symbol that training never saw.
            SchemaError: a missing value where training had none, or one that the transform is not defined for.
        """

    @abstractmethod
    def encode_pins(
        self, member: int, values: list[Any], location: Location
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Pinned values of one column, likewise."""

    @abstractmethod
    def check_prefix(self, values: NDArray[Any], allowed: Allowed | None, location: Location) -> None:
        """Refuse a prefix that nothing can follow."""

    @abstractmethod
    def check_pins(
        self,
        member: int,
        values: NDArray[Any],
        exact: NDArray[np.float64] | None,
        allowed: Allowed | None,
        location: Location,
    ) -> None:
        """Refuse pinned values that no sample could have, or that are not allowed."""

    @abstractmethod
    def check_steps(
        self, values: NDArray[Any], where: NDArray[np.bool_], steps: Mapping[int, str], allowed: Allowed | None
    ) -> None:
        """Refuse values of several columns that can't go together.

        Args:
            values: see `ObservedField`.
            where: likewise.
            steps: the names of pinned steps, by position.
            allowed: of the field.
        """

    @abstractmethod
    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """What the caller allows, by column.

        Raises:
            OptionError: another form, or nothing is left to sample.
            UnknownCategory: a value that training never saw.
        """

    @abstractmethod
    def support(self, allowed: Allowed | None, origins: Origins | None) -> Allowed | None:
        """What samples must lie in, on the network's axis or as running sums; `None` where nothing is asked for.

        Args:
            allowed: what the caller allows.
            origins: where running sums start, of a cumulative field.

        Raises:
            OptionError: no sample can.
        """

    @abstractmethod
    def upper(
        self, observed: ObservedField, offsets: NDArray[np.int64], origin: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """By step, the next given value on the axis that adds up, where it never falls; infinity where none comes.

        Args:
            observed: what is given.
            offsets: (R + 1,) of the rows; one row stands for all.
            origin: (rows,) what the first step is counted from.

        Raises:
            OptionError: a given value has gone back behind one before it.
        """

    def observe(
        self,
        prefix: NDArray[Any] | None,
        offsets: NDArray[np.int64],
        inside: NDArray[np.bool_],
        pins: list[Pin],
        at: NDArray[np.int64],
        allowed: Allowed | None,
    ) -> ObservedField:
        """What is given of the steps of the field.

        Args:
            prefix: canonical values of first steps, or `None`.
            offsets: of the prefixes.
            inside: (S,) which steps are those of prefixes.
            pins: of the field.
            at: position of each pin among the steps.
            allowed: what the caller allows.
        """
        values = self.blank(len(inside))
        where = np.zeros(values.shape, bool)
        exact = np.full(len(inside), np.nan) if self.is_number else None
        if prefix is not None:
            location = Location("prefix", self.field.name, offsets)
            codes, numbers = self.encode_prefix(prefix, location)
            self.check_prefix(codes, allowed, location)
            values[inside], where[inside] = codes, True
            if exact is not None:
                exact[inside] = numbers
        for member in sorted({pin.member for pin in pins}):
            mine = [k for k, pin in enumerate(pins) if pin.member == member]
            location = Location("pin", self.field.columns[member], names=[pins[k].name for k in mine])
            codes, numbers = self.encode_pins(member, [pins[k].value for k in mine], location)
            self.check_pins(member, codes, numbers, allowed, location)
            slot, known = (array if array.ndim == 1 else array[:, member] for array in (values, where))
            for k, index in enumerate(at[mine].tolist()):
                if known[index] and not np.array_equal(slot[index], codes[k], equal_nan=values.dtype.kind == "f"):
                    found = repr(pins[mine[k]].value)
                    raise OptionError(location.at(k), "the value that the prefix has there", found, "Leave out one.")
            slot[at[mine]], known[at[mine]] = codes, True
            if exact is not None:
                exact[at[mine]] = numbers
        self.check_steps(values, where, dict(zip(at.tolist(), (pin.name for pin in pins), strict=True)), allowed)
        return ObservedField(values, where, exact)


def plain_values(values: list[Any]) -> list[Any]:
    """Python values of what may be NumPy's."""
    return [value.item() if isinstance(value, np.generic) and value.dtype.kind != "M" else value for value in values]


def as_objects(values: list[Any]) -> NDArray[Any]:
    """Python values as an object array, None where missing."""
    column = np.empty(len(values), object)
    column[:] = [None if value != value else value for value in plain_values(values)]
    return column


def refuse_forbidden(forbidden: NDArray[np.bool_], location: Location) -> None:
    """Refuse pinned values that are not allowed.

    Raises:
        OptionError: the first of them.
    """
    if forbidden.any():
        hint = "Pin another value, or allow this one."
        raise OptionError(
            location.at(int(np.argmax(forbidden))), "what `allow` allows", "a value that it doesn't", hint
        )
