"""Values that are one of finitely many: categories, truth values, and the tokens of text."""

import codecs
import contextlib
import itertools
import warnings
from typing import Any

import numpy as np

from unspool.encoding.columns import (
    Continuation,
    Decoded,
    InputColumn,
    Probability,
    StepColumn,
    SymbolColumn,
    ValueType,
)
from unspool.errors import Location, SchemaError, UnknownCategory, did_you_mean, listing
from unspool.tables.columns import MAX_EXACT_INTEGER

Symbol = str | int | float | bool | None
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MIN_VALUES_FOR_ARROW = 1000
"""Length of a column up to which Python finds distinct values faster than Arrow, which has to be imported."""
MAX_SHOWN_CHARACTERS, MAX_SHOWN_VALUES = 30, 6


class Vocabulary(SymbolColumn, InputColumn, StepColumn, frozen=True, tag="vocabulary"):
    """A finite set of values, numbered from the most to the least frequent.

    Args:
        values: the V values; None among them if training had missing ones.
        unseen: probability that a step holds a value that training never saw, see `good_turing`. 0 for inputs.
        text: the values are characters, given as code points, or longer pieces (`unspool.encoding.tokenizers`).
        bytes: the values are pieces of UTF-8, some of them parts of characters; a byte is the character of the same
            number (Latin-1).
        merges: the pairs of pieces of bytes that form a longer piece, in the order in which they were learned.
    """

    values: tuple[Symbol, ...]
    unseen: Probability = 0.0
    text: bool = False
    bytes: bool = False
    merges: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if len({(type(value), value) for value in self.values}) < len(self.values) or not self.values:
            raise SchemaError("vocabulary", "at least one value, and none twice", repr(self.values)[:80])
        if self.text and not all(isinstance(value, str) and value for value in self.values):
            raise SchemaError("vocabulary", "characters or longer pieces of text", repr(self.values)[:80])

    @property
    def num_symbols(self) -> int:
        """V."""
        return len(self.values)

    @property
    def nullable(self) -> bool:
        """Whether training had missing values."""
        return None in self.values

    @property
    def types(self) -> tuple[ValueType, ...]:
        """The type that all values share, if there is one."""
        found = {type(value) for value in self.values if value is not None}
        if found == {int, float}:
            return ("float",)
        names: dict[type, ValueType] = {int: "int", float: "float", bool: "bool", str: "text"}
        return (names[found.pop()] if len(found) == 1 else "mixed",)

    @classmethod
    def fit(cls, column: np.ndarray, *, step: bool, text: bool = False) -> "Vocabulary":
        """Number the distinct values of a column (see `unspool.schema.coercion.coerce` for its forms)."""
        found, codes = distinct(column)
        counts = np.bincount(codes, minlength=len(found)).tolist()
        values: list[Any] = [chr(value) for value in found] if text else found
        ranked = sorted(zip(values, counts, strict=True), key=lambda pair: (-pair[1], pair[0] is None, _key(pair[0])))
        return cls(tuple(value for value, _ in ranked), good_turing(counts, len(column)) if step else 0.0, text)

    def describe(self) -> str:
        """How many values, and the most frequent ones."""
        known = [value for value in self.values if value is not None]
        if self.bytes:
            known = [str(value).encode("latin-1").decode("utf-8", "replace") for value in known]
        if self.text and all(len(str(value)) == 1 for value in known):
            shown = "".join(map(str, known[:MAX_SHOWN_CHARACTERS]))
        else:
            shown = listing(map(repr, known) if self.text else known, MAX_SHOWN_VALUES)
        return self.with_missing(f"{len(known)} values: {shown}".replace("\n", "\\n"))

    def encode_input(self, values: np.ndarray, location: Location) -> np.ndarray:
        """See `encode_strictly`."""
        return self.encode_strictly(values, location)

    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray, before: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S,) int32 `positions`; nothing to add."""
        return self.positions(values), np.zeros(len(values))

    def encode_strictly(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(N,) int32 positions in `values`, all of which must be known.

        Raises:
            UnknownCategory: a value that training never saw.
            SchemaError: a missing value where training had none.
        """
        encoded = self.positions(values)
        unknown = np.flatnonzero(encoded == len(self.values))
        if len(unknown):
            raise self._unknown(values[unknown], location, int(unknown[0]))
        return encoded

    def encode_leniently(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(N,) int32 positions in `values`; one that training never saw is read as missing, which a warning says.

        Without missing values in training it is V, the symbol of all that training never saw.

        Raises:
            SchemaError: a missing value where training had none.
        """
        encoded = self.positions(values)
        unknown = encoded == len(self.values)
        found = [value for value in distinct(values[unknown])[0] if value is not None]
        if not found:
            return self.encode_strictly(values, location)
        missing = np.zeros(len(values), bool)
        missing[unknown] = [value is None for value in values[unknown].tolist()]
        self.refuse_missing(missing, location)
        count = f"{unknown.sum():,} value{'s' * int(unknown.sum() > 1)}"
        warnings.warn(
            f"{location.whole}: {count} that training never saw, read as missing: {listing(map(repr, found), 3)}.",
            stacklevel=2,
        )
        if None in self.values:
            encoded[unknown] = self.values.index(None)
        return encoded

    def positions(self, values: np.ndarray) -> np.ndarray:
        """(N,) int32 positions of (N,) values or code points in `values`, V for those that training never saw."""
        position = {(isinstance(value, bool), value): index for index, value in enumerate(self.values)}
        found, codes = distinct(values)
        if self.text and values.dtype == np.uint32:
            found = [chr(value) for value in found]
        known = [position.get((isinstance(value, bool), value), len(self.values)) for value in found]
        return np.array(known, np.int32)[codes]

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """The values, see `lookup`; of pieces of bytes, the characters that each piece completes."""
        if not self.bytes:
            return Decoded((self.lookup(encoded),))
        text, left = self._decode_bytes(encoded, continuation.offsets, continuation.before)
        return Decoded((text,), left)

    def lookup(self, codes: np.ndarray) -> np.ndarray:
        """The values: int64, float64, bool, or object. V, the unseen value, is None (NaN), or U+FFFD in text."""
        table = np.empty(len(self.values) + 1, dtype=object)
        table[:-1] = self.values
        table[-1] = REPLACEMENT if self.text else None
        decoded = table[np.asarray(codes, np.int64)]
        kinds = {type(value) for value in self.values}
        if kinds <= {int} or kinds <= {bool}:
            used = not len(codes) or int(np.max(codes)) < len(self.values)
            return decoded.astype(np.int64 if kinds <= {int} else bool) if used else decoded
        exact = all(abs(value) < MAX_EXACT_INTEGER for value in self.values if isinstance(value, int))
        numeric = kinds - {type(None)}
        return decoded.astype(np.float64) if exact and numeric and numeric <= {int, float} else decoded

    def parse(self, text: str, location: str, member: int = 0) -> Symbol:
        """The value whose text this is; without one, the text."""
        return next((value for value in self.values if value is not None and str(value) == text), text)

    def _unknown(self, unknown: np.ndarray, location: Location, row: int) -> SchemaError:
        """The error about (K,) values that training never saw, the first of them in this row."""
        value, *others = distinct(unknown)[0] if unknown.dtype.kind == "O" else dict.fromkeys(unknown.tolist())
        if value is None:
            return self.missing_value(location, row)
        known = [known for known in self.values if known is not None]
        expected = f"one of the {len(known)} values that training saw: {listing(map(repr, known))}"
        same_text = [other for other in known if type(other) is not type(value) and str(other) == str(value)]
        if same_text:
            hint = f"Training saw {same_text[0]!r}, of another type."
        else:
            hint = did_you_mean(value, known, 3) or "Fit again with data that has it."
        others = [other for other in others if other is not None]
        elsewhere = f", and elsewhere {listing(map(repr, others), 5)}" if others else ""
        return UnknownCategory(location.at(row), expected, repr(value) + elsewhere, hint)

    def _decode_bytes(
        self, codes: np.ndarray, offsets: np.ndarray, before: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S,) characters that each piece completes, U+FFFD for bytes that are no UTF-8, and (N,) bytes left over."""
        table = [str(value).encode("latin-1") for value in self.values]
        shown: list[str] = []
        left = np.empty(len(offsets) - 1, object)
        pieces = np.asarray(codes, np.int64).tolist()
        for k, (start, end) in enumerate(itertools.pairwise(offsets.tolist())):
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            if before is not None:
                decoder.setstate((before[k], 0))
            shown += [decoder.decode(table[piece]) for piece in pieces[start:end]]
            left[k] = decoder.getstate()[0]
        return np.array(shown, dtype=object), left


def good_turing(counts: list[int], total: int) -> float:
    """Probability of a value that was never seen: (n1 + 0.5) / (S + 1), n1 values seen once (Good 1953, Biometrika)."""
    return (counts.count(1) + 0.5) / (total + 1)


def distinct(column: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """The distinct values as Python objects, and (N,) int64 which of them each value is."""
    if column.dtype.kind != "O":
        values, codes = np.unique(column, return_inverse=True)
        return values.tolist(), codes
    if len(column) > MIN_VALUES_FOR_ARROW:
        import pyarrow as pa

        with contextlib.suppress(pa.ArrowException, TypeError, OverflowError):  # text and numbers in one column
            coded = pa.array(column, from_pandas=True).dictionary_encode(null_encoding="encode")
            return coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    order: dict[tuple[bool, Any], int] = {}
    slow = [order.setdefault((isinstance(value, bool), value), len(order)) for value in column.tolist()]
    return [value for _, value in order], np.array(slow, np.int64)


def _key(value: Symbol) -> tuple[str, Any]:
    """The key that values are sorted by: numbers by size, all others by spelling; a column may hold both."""
    return ("0", value) if isinstance(value, (int, float)) else ("1", str(value))
