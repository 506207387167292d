"""The constraints of a field of any kind: they observe given values, and confine samples to allowed ones."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.columns import Origins, StepColumn
from unspool.errors import Location, OptionError
from unspool.schema.fields import AnyField

Known = tuple[NDArray[Any], NDArray[np.float64] | None]
"""Values as in `ObservedField.values`, and as in `ObservedField.exact`."""


class Allowed(NamedTuple):
    """The allowed values of one field.

    Attributes:
        symbols: (V,) which of the symbols; `None` of other fields.
        low: of a number the smallest, or minus infinity; more than `high` of angles through the end of a period; of
            labels (M,) -1 where a label may be no.
        high: the largest, or infinity; of labels (M,) 1 where a label may be yes.
        asked: whether somebody asked for it; else samples are reflected at the ends, see
            `unspool.network.distributions.base.Ends`.
    """

    symbols: NDArray[np.bool_] | None = None
    low: Any = -np.inf
    high: Any = np.inf
    asked: bool = True

    def holds(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of (N,) numbers are allowed; NaN is.

        Examples:
            >>> Allowed(None, 350.0, 10.0).holds(np.array([5.0, 355.0, 180.0, np.nan])).tolist()
            [True, True, False, True]
        """
        below, above = values < self.low, values > self.high
        return ~(below & above if self.low > self.high else below | above)


class Pin(NamedTuple):
    """One pinned value: its row, step, field and column of the field; `name` is its step in messages."""

    row: int
    step: int
    field: int
    member: int
    value: Any
    name: str


class ObservedField(NamedTuple):
    """The given values of one field.

    Attributes:
        values: (S,) or, of a field of several columns, (S, M): as the network sees them; of a cumulative field on the
            axis that adds up; of joint symbols the codes of the members.
        where: which of the values are given.
        exact: (S,) numbers and timestamps in original units, NaN elsewhere; `None` of other fields.
    """

    values: NDArray[Any]
    where: NDArray[np.bool_]
    exact: NDArray[np.float64] | None

    def take(self, at: NDArray[Any]) -> "ObservedField":
        """The given values of some steps."""
        return ObservedField(self.values[at], self.where[at], None if self.exact is None else self.exact[at])


class GivenRange(NamedTuple):
    """How far the given values of rows go, as running sums.

    Attributes:
        low: (rows,) the smallest given value of every row, or infinity.
        high: the largest, or minus infinity.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, field: ObservedField, offsets: NDArray[np.int64], origins: Origins) -> "GivenRange":
        """That of the given values of one field, end to end; one row of them stands for all.

        Examples:
            >>> field = ObservedField(np.array([3.0, np.nan, 5.0]), np.array([True, True, True]), None)
            >>> GivenRange.of(field, np.array([0, 3, 3]), Origins(np.array([1.0, 0.0]), np.zeros(2), 2.0))
            GivenRange(low=array([ 1., inf]), high=array([  2., -inf]))
        """
        given, row = field.where & ~np.isnan(field.values), np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        low, high = np.full(len(offsets) - 1, np.inf), np.full(len(offsets) - 1, -np.inf)
        np.minimum.at(low, row[given], field.values[given])
        np.maximum.at(high, row[given], field.values[given])
        return cls(*((y - origins.at) / origins.unit for y in (low, high)))


class GivenBeside(NamedTuple):
    """What given values of a field are read beside.

    Attributes:
        allowed: the allowed values of the field; `None` if all are.
        location: of the values.
        references: the given values of the field's references at the same steps, see `Field.references`.
        before: (N,) the values before step 0 of N prefixes; `None` while unknown.
    """

    allowed: Allowed | None
    location: Location
    references: Sequence[ObservedField] = ()
    before: NDArray[np.float64] | None = None


class Observed(NamedTuple):
    """The given values of the steps of every row, end to end, per field of the network (`Codec.step_columns`).

    Attributes:
        fields: per field, see `ObservedField`; of the parts of a moment, that of the moment.
        upper: per field, the next given value on the axis that adds up where it never falls; else `None`.
        tables: per field, (V, M) the members' codes of joint symbols; else `None`.
        offsets: (R + 1,) of the rows; one row stands for all.
        pinned: the last pinned step of all rows, and its name; -1 where there is none.
    """

    fields: tuple[ObservedField, ...]
    upper: tuple[NDArray[np.float64] | None, ...]
    tables: tuple[NDArray[np.int32] | None, ...]
    offsets: NDArray[np.int64]
    pinned: tuple[int, str] = (-1, "")

    def at(self, row: NDArray[np.int64], step: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The positions of rows' steps in the arrays, and which of them have one."""
        row = row if len(self.offsets) > 2 else np.zeros_like(row)
        inside = step < np.diff(self.offsets)[row]
        return np.where(inside, self.offsets[:-1][row] + step, 0), inside


class ObservedRows(NamedTuple):
    """The rows whose steps are given.

    Attributes:
        offsets: (R + 1,) of their steps; one row stands for all.
        origin: (rows,) the value before step 0 on the axis that adds up; minus infinity where unknown.
    """

    offsets: NDArray[np.int64]
    origin: NDArray[np.float64]


@dataclass(frozen=True)
class FieldConstraints(ABC):
    """The constraints of one step field.

    Attributes:
        field: the field.
        column: its fitted column.
        table: (V, M) the members' codes of every symbol, where a symbol stands for several columns; else `None`.
    """

    field: AnyField
    column: StepColumn
    table: NDArray[np.int32] | None = None

    @abstractmethod
    def nothing(self, count: int) -> ObservedField:
        """So many steps without given values."""

    @abstractmethod
    def encode_prefix(self, values: NDArray[Any], beside: GivenBeside) -> Known:
        """Canonical values of prefixes.

        Raises:
            SchemaError: a value that can't be encoded; an `UnknownCategory` for a symbol that training never saw.
            OptionError: nothing can follow the values.
        """

    @abstractmethod
    def encode_pins(self, member: int, values: list[Any], beside: GivenBeside) -> Known:
        """Pinned values of one column; errors as of `encode_prefix`, and an `OptionError` for what can't be sampled."""

    @abstractmethod
    def check(
        self, observed: ObservedField, pinned: Mapping[int, str], allowed: Allowed | None, rows: ObservedRows
    ) -> NDArray[np.float64] | None:
        """Refuse given values that contradict each other with an `OptionError`; `pinned` names steps by position.

        Returns:
            By step, the next given value on the axis that adds up, infinity where none comes; `None` where it may fall.
        """

    @abstractmethod
    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """The allowed values, by column; errors as of `unspool.constraints.fields.read_allow`."""

    @abstractmethod
    def support(
        self, allowed: Allowed | None, origins: Origins | None, given: GivenRange | None = None
    ) -> Allowed | None:
        """The support of samples, on the network's axis or as running sums; an `OptionError` if no sample lies in it.

        `None` is an unlimited support. `origins` and `given` are those of a cumulative field: from a given value beyond
        what samples reach by themselves a sequence goes on.
        """

    def observe(
        self,
        prefix: NDArray[Any] | None,
        inside: NDArray[np.bool_],
        pins: list[Pin],
        at: NDArray[np.int64],
        *,
        allowed: Allowed | None,
        offsets: NDArray[np.int64],
        references: Sequence[ObservedField] = (),
        before: NDArray[np.float64] | None = None,
    ) -> ObservedField:
        """The given values of the field: canonical values of prefixes, (S,) steps `inside` them, and pins at positions.

        The offsets are those of the prefixes; `references` are the given values of the field's references, and `before`
        has its values before step 0.
        """
        values, where, exact = self.nothing(len(inside))
        if prefix is not None:
            location = Location("prefix", self.field.name, offsets)
            beside = GivenBeside(allowed, location, [field.take(inside) for field in references], before)
            codes, numbers = self.encode_prefix(prefix, beside)
            values[inside], where[inside] = codes, True
            if exact is not None:
                exact[inside] = numbers
        for member in sorted({pin.member for pin in pins}):
            chosen = [k for k, pin in enumerate(pins) if pin.member == member]
            location = Location("pin", self.field.columns[member], names=[pins[k].name for k in chosen])
            beside = GivenBeside(allowed, location, [field.take(at[chosen]) for field in references])
            codes, numbers = self.encode_pins(member, [pins[k].value for k in chosen], beside)
            slot, known = (array if array.ndim == 1 else array[:, member] for array in (values, where))
            for k, index in enumerate(at[chosen].tolist()):
                if known[index] and not np.array_equal(slot[index], codes[k], equal_nan=values.dtype.kind == "f"):
                    found = repr(pins[chosen[k]].value)
                    raise OptionError(location.at(k), "the value that the prefix has there", found, "Leave out one.")
            slot[at[chosen]], known[at[chosen]] = codes, True
            if exact is not None:
                exact[at[chosen]] = numbers
        return ObservedField(values, where, exact)

    @staticmethod
    def forbidden_pin(location: str) -> OptionError:
        """The error about a pinned value that is not allowed."""
        hint = "Pin another value, or allow this one."
        return OptionError(location, "a value that `allow` allows", "another value", hint)

    def refuse_forbidden(self, forbidden: NDArray[np.bool_], location: Location) -> None:
        """Refuse pinned values that are not allowed."""
        if forbidden.any():
            raise self.forbidden_pin(location.at(int(np.argmax(forbidden))))


def plain_values(values: list[Any]) -> list[Any]:
    """Python values of values that may be NumPy's."""
    return [value.item() if isinstance(value, np.generic) and value.dtype.kind != "M" else value for value in values]
