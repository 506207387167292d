"""What may be fixed or forbidden of symbols: a value, or some of the values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import Allowed, FieldConstraints, ObservedField, as_objects, refuse_forbidden
from unspool.encoding.columns import Origins
from unspool.encoding.joint import JointVocabulary
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import OptionError, SchemaError
from unspool.tables.location import Location


@dataclass(frozen=True)
class SymbolConstraints(FieldConstraints):
    """Of one of V symbols, each of which stands for a value, or for the values of several columns."""

    column: Vocabulary | JointVocabulary

    @property
    def is_number(self) -> bool:
        """It is none."""
        return False

    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]:
        """Of the columns that the field stands for."""
        return self.column.members if isinstance(self.column, JointVocabulary) else (self.column,)

    @property
    def table(self) -> NDArray[np.int32] | None:
        """That of joint symbols."""
        return self.column.table if isinstance(self.column, JointVocabulary) else None

    def blank(self, count: int) -> NDArray[Any]:
        """Codes."""
        return np.zeros(count if self.table is None else (count, len(self.vocabularies)), np.int32)

    def encode_prefix(
        self, values: NDArray[Any], location: Location
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Codes of the values."""
        if self.table is None:
            return self.vocabularies[0].encode_strictly(values, location), None
        codes = [
            vocabulary.encode_strictly(column, location)
            for vocabulary, column in zip(self.vocabularies, values.T, strict=True)
        ]
        return np.stack(codes, 1), None

    def encode_pins(
        self, member: int, values: list[Any], location: Location
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Codes of the values, which are compared as they are."""
        vocabulary = self.vocabularies[member]
        for k, value in enumerate(values):
            if vocabulary.text and not isinstance(value, str):
                raise SchemaError(location.at(k), "a piece of text", repr(value))
        if vocabulary.bytes:
            values = [value.encode().decode("latin-1") for value in values]
        return vocabulary.encode_strictly(as_objects(values), location), None

    def check_prefix(self, values: NDArray[Any], allowed: Allowed | None, location: Location) -> None:
        """Refuse combinations that training never saw."""
        for row, codes in enumerate(values if self.table is not None else []):
            if not (self.table == codes).all(1).any():
                raise SchemaError(location.at(row), "a combination that training saw", self._written(codes))

    def check_pins(
        self,
        member: int,
        values: NDArray[Any],
        exact: NDArray[np.float64] | None,
        allowed: Allowed | None,
        location: Location,
    ) -> None:
        """Refuse values that are not allowed; of joint symbols `check_steps` does."""
        if self.table is None and allowed is not None and allowed.symbols is not None:
            refuse_forbidden(~allowed.symbols[values], location)

    def check_steps(
        self, values: NDArray[Any], where: NDArray[np.bool_], steps: Mapping[int, str], allowed: Allowed | None
    ) -> None:
        """Refuse values of several columns that training never saw together."""
        if self.table is None:
            return
        for index, name in steps.items():
            known = where[index]
            fits = (self.table[:, known] == values[index][known]).all(1)
            columns = [column for column, given in zip(self.field.columns, known, strict=True) if given]
            place = f"pin: {name}, columns {', '.join(map(repr, columns))}"
            if not fits.any():
                raise OptionError(place, "a combination that training saw", self._written(values[index], known))
            if allowed is not None and not (fits & allowed.symbols).any():
                raise OptionError(
                    place, "what `allow` allows", "a value that it doesn't", "Pin another value, or allow this one."
                )

    def read_allowed(self, given: Mapping[str, Any]) -> Allowed:
        """Some of the values; of joint symbols those all of whose members are allowed."""
        symbols = np.ones(self.column.num_symbols or 0, bool)
        for name, values in given.items():
            if not isinstance(values, (Sequence, set, frozenset)) or not len(values):
                raise OptionError(f"allow, column {name!r}", "a list of values, at least one", repr(values)[:60])
            several = list(values)
            member = self.field.columns.index(name)
            location = Location("allow", name, names=[f"value {k + 1}" for k in range(len(several))])
            codes = self.vocabularies[member].encode_strictly(as_objects(several), location)
            symbols &= np.isin(np.arange(len(symbols)) if self.table is None else self.table[:, member], codes)
        if not symbols.any():
            names = " and ".join(map(repr, self.field.columns))
            hint = "Training saw no combination of them; allow more values of one."
            raise OptionError("allow", f"values of {names} that occur together", "none that do", hint)
        return Allowed(symbols)

    def support(self, allowed: Allowed | None, origins: Origins | None) -> Allowed | None:
        """The allowed symbols."""
        return allowed

    def upper(
        self, observed: ObservedField, offsets: NDArray[np.int64], origin: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Symbols don't add up."""
        return None

    def _written(self, codes: NDArray[Any], known: NDArray[np.bool_] | None = None) -> str:
        """The values of codes, for a message."""
        given = np.ones(len(codes), bool) if known is None else known
        return " and ".join(
            repr(vocabulary.values[code])
            for vocabulary, code, shown in zip(self.vocabularies, codes, given, strict=True)
            if shown
        )
