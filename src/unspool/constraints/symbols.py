"""Constraints of symbols: a value, or some of the values."""

from collections.abc import Hashable, Mapping, Sequence
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
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import Location, OptionError, SchemaError


@dataclass(frozen=True)
class SymbolConstraints(FieldConstraints):
    """Constraints of V symbols; `vocabularies` has one of each column that the field stands for."""

    vocabularies: tuple[Vocabulary, ...] = ()

    def nothing(self, count: int) -> ObservedField:
        """Codes; of joint symbols, those of the members."""
        codes = np.zeros(count if self.table is None else (count, len(self.vocabularies)), np.int32)
        return ObservedField(codes, np.zeros(codes.shape, bool), None)

    def encode_prefix(self, values: NDArray[Any], beside: GivenBeside) -> Known:
        """Codes of the values; refuse combinations that training never saw."""
        columns = values.T if self.table is not None else [values]
        pairs = zip(self.vocabularies, columns, strict=True)
        codes = np.stack([vocabulary.encode_strictly(column, beside.location) for vocabulary, column in pairs], 1)
        if self.table is None:
            return codes[:, 0], None
        for row, members in enumerate(codes):
            if not (self.table == members).all(1).any():
                found = self._written(members, np.ones(len(members), bool))
                raise SchemaError(beside.location.at(row), "a combination that training saw", found)
        return codes, None

    def encode_pins(self, member: int, values: list[Any], beside: GivenBeside) -> Known:
        """Codes of the values; `check` refuses joint symbols that are not allowed."""
        vocabulary = self.vocabularies[member]
        for k, value in enumerate(values):
            if vocabulary.text and not isinstance(value, str):
                raise SchemaError(beside.location.at(k), "a piece of text", repr(value))
        values = [value.encode().decode("latin-1") for value in values] if vocabulary.bytes else values
        codes = vocabulary.encode_strictly(_objects(values, beside.location), beside.location)
        if self.table is None and beside.allowed is not None and beside.allowed.symbols is not None:
            self.refuse_forbidden(~beside.allowed.symbols[codes], beside.location)
        return codes, None

    def check(
        self, observed: ObservedField, pinned: Mapping[int, str], allowed: Allowed | None, rows: ObservedRows
    ) -> NDArray[np.float64] | None:
        """Refuse values of several columns that training never saw together."""
        if self.table is None:
            return None
        for index, name in pinned.items():
            values, known = observed.values[index], observed.where[index]
            fits = (self.table[:, known] == values[known]).all(1)
            columns = ", ".join(repr(column) for column, given in zip(self.field.columns, known, strict=True) if given)
            location = f"pin: {name}, columns {columns}"
            if not fits.any():
                raise OptionError(location, "a combination that training saw", self._written(values, known))
            if allowed is not None and not (fits & allowed.symbols).any():
                raise self.forbidden_pin(location)
        return None

    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """The symbols of some values; joint symbols whose members are all allowed."""
        symbols = np.ones(self.column.num_symbols or 0, bool)
        for name, values in given.items():
            if not isinstance(values, (Sequence, set, frozenset)) or not len(values):
                raise OptionError(f"allow, column {name!r}", "a list of values, at least one", repr(values)[:60])
            member = self.field.columns.index(name)
            location = Location("allow", name, names=[f"value {k + 1}" for k in range(len(values))])
            codes = self.vocabularies[member].encode_strictly(_objects(list(values), location), location)
            symbols &= np.isin(np.arange(len(symbols)) if self.table is None else self.table[:, member], codes)
        if not symbols.any():
            names = " and ".join(map(repr, self.field.columns))
            hint = "Training saw no combination of them; allow more values of a column."
            raise OptionError("allow", f"values of {names} that occur together", "none that do", hint)
        return Allowed(symbols)

    def support(
        self, allowed: Allowed | None, origins: Origins | None, given: GivenRange | None = None
    ) -> Allowed | None:
        """The allowed symbols."""
        return allowed

    def _written(self, codes: NDArray[Any], known: NDArray[np.bool_]) -> str:
        """The values of codes, for a message."""
        triples = zip(self.vocabularies, codes, known, strict=True)
        return " and ".join(repr(vocabulary.values[code]) for vocabulary, code, shown in triples if shown)


def _objects(values: list[Any], location: Location) -> NDArray[Any]:
    """Python values as an object array, None where missing; an `OptionError` names a list or a record among them."""
    for k, value in enumerate(values):
        if not isinstance(value, Hashable):
            raise OptionError(location.at(k), "a single value", repr(value)[:60])
    column = np.empty(len(values), object)
    column[:] = [None if value != value else value for value in plain_values(values)]
    return column
