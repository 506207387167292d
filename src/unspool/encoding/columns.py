"""The other fitted columns: symbols, flags, dates, vectors."""

import contextlib
from typing import Any, Literal

import msgspec
import numpy as np

from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder, missing_value
from unspool.encoding.transforms import centre_and_spread
from unspool.errors import SchemaError, UnknownCategory
from unspool.tables.columns import missing_mask
from unspool.tables.location import Location, close_matches, listing

Symbol = str | int | float | bool | None
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
FEW_VALUES = 1000
"""Values of a column that are faster told apart by Python than by Arrow, which has to be imported."""


class Vocabulary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="symbols"):
    """A finite set of values, numbered from the most to the least frequent.

    Args:
        values: the V values; None among them if training had missing ones.
        unseen: probability that a step holds a value that training never saw: the mass of what was seen
            once, (n1 + 0.5) / (S + 1) (Good 1953, Biometrika 40). 0 for inputs.
        text: the values are characters, given as code points, or longer pieces of text; see
            `unspool.encoding.tokenizers`.
        merges: of pieces of bytes, which two make a longer one, in the order in which they were learned.
    """

    values: tuple[Symbol, ...]
    unseen: float = 0.0
    text: bool = False
    merges: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if len({(type(value), value) for value in self.values}) < len(self.values) or not self.values:
            raise SchemaError("symbols", "at least one value, and none twice", repr(self.values)[:80])
        if self.text and not all(isinstance(value, str) and value for value in self.values):
            raise SchemaError("symbols", "characters or longer pieces of text", repr(self.values)[:80])

    @property
    def nullable(self) -> bool:
        """Whether training had missing values."""
        return None in self.values

    @classmethod
    def fit(cls, column: np.ndarray, *, step: bool, text: bool = False) -> "Vocabulary":
        """Number the distinct values of a column (see `unspool.schema.coercion.coerce` for its forms)."""
        found, codes = distinct(column)
        counts = np.bincount(codes, minlength=len(found)).tolist()
        values: list[Any] = [chr(value) for value in found] if text else found
        ranked = sorted(zip(values, counts, strict=True), key=lambda pair: (-pair[1], pair[0] is None, _key(pair[0])))
        unseen = (counts.count(1) + 0.5) / (len(column) + 1) if step else 0.0
        return cls(tuple(value for value, _ in ranked), unseen, text)

    def encode(self, column: np.ndarray, location: Location, *, strict: bool) -> np.ndarray:
        """(N,) int32 positions in `values`.

        Args:
            column: the values, or the code points of text.
            location: where the column is.
            strict: refuse what training never saw; otherwise it is V.

        Raises:
            UnknownCategory: a value that training never saw, when strict.
            SchemaError: a missing value where training had none, when strict.
        """
        position = {(isinstance(value, bool), value): index for index, value in enumerate(self.values)}
        found, codes = distinct(column)
        if self.text and column.dtype == np.uint32:
            found = [chr(value) for value in found]
        known = np.array(
            [position.get((isinstance(value, bool), value), len(self.values)) for value in found], np.int32
        )
        encoded: np.ndarray = known[codes]
        if strict and (known == len(self.values)).any():
            row = int(np.argmax(encoded == len(self.values)))
            new = [value for value, code in zip(found, known, strict=True) if code == len(self.values)]
            raise self._unknown(found[codes[row]], new, location, row)
        return encoded

    def _unknown(self, value: Any, new: list[Any], location: Location, row: int) -> SchemaError:
        if value is None:
            return missing_value(location, row)
        known = [known for known in self.values if known is not None]
        expected = f"one of the {len(known)} values that training saw: {listing(map(repr, known))}"
        close = close_matches(value, known)
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
        if any(type(known_) is not type(value) and str(known_) == str(value) for known_ in known):
            hint = f"Training saw {next(v for v in known if str(v) == str(value))!r}, of another type."
        others = [other for other in new if other != value and other is not None]
        more = f", and elsewhere {listing(map(repr, others), 5)}" if others else ""
        return UnknownCategory(
            location.at(row), expected, repr(value) + more, hint or "Fit again with data that has it."
        )

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The values: int64, float64, bool, or object. V, the unseen one, is None (NaN), or U+FFFD in text."""
        table = np.empty(len(self.values) + 1, dtype=object)
        table[:-1] = self.values
        table[-1] = REPLACEMENT if self.text else None
        decoded = table[np.asarray(codes, np.int64)]
        kinds = {type(value) for value in self.values}
        if kinds <= {int} or kinds <= {bool}:
            used = not len(codes) or int(np.max(codes)) < len(self.values)
            return decoded.astype(np.int64 if kinds <= {int} else bool) if used else decoded
        return decoded.astype(np.float64) if float in kinds and kinds <= {float, type(None)} else decoded

    def parse(self, text: str) -> Symbol:
        """The value that someone who can only type text means by it: the one that is written so."""
        return next((value for value in self.values if value is not None and str(value) == text), text)


def _key(value: Symbol) -> tuple[str, Any]:
    # Numbers by size, all else by spelling; a column may hold both.
    number = isinstance(value, (int, float))
    return ("0", value) if number else ("1", str(value))


def distinct(column: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """The distinct values as Python objects, and (N,) which of them each value is."""
    if column.dtype.kind != "O":
        values, codes = np.unique(column, return_inverse=True)
        return values.tolist(), codes
    if len(column) > FEW_VALUES:
        import pyarrow as pa

        with contextlib.suppress(pa.ArrowException, TypeError, OverflowError):  # text and numbers in one column
            coded = pa.array(column, from_pandas=True).dictionary_encode(null_encoding="encode")
            return coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    order: dict[tuple[bool, Any], int] = {}
    slow = [order.setdefault((isinstance(value, bool), value), len(order)) for value in column.tolist()]
    return [value for _, value in order], np.array(slow, np.int64)


class BinaryEncoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="flags"):
    """True and false as 1 and -1, so that neither is the zero vector."""

    nullable: bool = False

    def encode(self, column: np.ndarray, location: Location) -> np.ndarray:
        """(N, 1) float64, NaN where missing.

        Raises:
            SchemaError: a missing value where training had none.
        """
        gone = missing_mask(column)
        if gone.any() and not self.nullable:
            raise missing_value(location, int(np.argmax(gone)))
        encoded = np.full((len(column), 1), np.nan)
        encoded[~gone, 0] = np.where(column[~gone].astype(bool), 1.0, -1.0)
        return encoded

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Undoes `encode`: bool, or object where some are missing."""
        gone = np.isnan(encoded[:, 0])
        flags = encoded[:, 0] > 0
        if not gone.any():
            return flags
        known = flags.astype(object)
        known[gone] = None
        return known


class VectorEncoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="reals"):
    """Vectors of D numbers, each axis with its own centre and spread."""

    dim: int
    loc: tuple[float, ...]
    scale: tuple[float, ...]
    nullable: bool = False

    def __post_init__(self) -> None:
        if not len(self.loc) == len(self.scale) == self.dim or not all(0 < scale < np.inf for scale in self.scale):
            raise SchemaError("vector", f"{self.dim} centres and spreads above 0", f"{self.loc}, {self.scale}")

    @classmethod
    def fit(cls, column: np.ndarray) -> "VectorEncoder":
        """Centre and spread of (N, D) values, NaN where missing."""
        pairs = [centre_and_spread(axis[~np.isnan(axis)]) for axis in column.T]
        loc, scale = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
        return cls(column.shape[1], loc, scale, bool(np.isnan(column).any()))

    def encode(self, column: np.ndarray, location: Location) -> np.ndarray:
        """(N, D) float64, NaN where missing.

        Raises:
            SchemaError: another D than in training, or a missing value where training had none.
        """
        if not column.shape[1]:
            column = np.full((len(column), self.dim), np.nan)
        if column.shape[1] != self.dim:
            raise SchemaError(location.at(0), f"{self.dim} numbers, as in training", str(column.shape[1]))
        gone = np.isnan(column).any(1)
        if gone.any() and not self.nullable:
            raise missing_value(location, int(np.argmax(gone)))
        return (column - np.array(self.loc)) / np.array(self.scale)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Undoes `encode`."""
        return encoded * np.array(self.scale) + np.array(self.loc)


Cycle = Literal["year", "week", "day"]
PERIOD = {"year": 365.2425, "week": 7.0, "day": 1.0}
"""Days after which each cycle starts again."""


class TimestampEncoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="dates"):
    """Moments as real features: the standardised time, and sine and cosine of the cycles that training varies in.

    Args:
        loc: mean, in days since 1970.
        scale: spread, in days, above 0.
        cycles: those of year, week and day in which the dates of training differ.
        nullable: training saw a missing one.
    """

    loc: float
    scale: float
    cycles: tuple[Cycle, ...] = ()
    nullable: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf:
            raise SchemaError("date, scale", "a finite number above 0", str(self.scale))

    @classmethod
    def fit(cls, column: np.ndarray) -> "TimestampEncoder":
        """Centre, spread and cycles of (N,) datetime64[us], NaT where missing."""
        gone = np.isnat(column)
        days = _days(column[~gone])
        whole = np.floor(days)
        months = column[~gone].astype("datetime64[M]").astype(np.int64) % 12
        varies = {"year": months, "week": whole % 7, "day": days - whole}
        cycles: Any = tuple(name for name, phase in varies.items() if np.ptp(phase) > 0)
        return cls(*centre_and_spread(days), cycles, bool(gone.any()))

    def encode(self, column: np.ndarray, location: Location) -> np.ndarray:
        """(N, 1 + 2 cycles) float64; a missing date is a row of NaN.

        Raises:
            SchemaError: a missing date where training had none.
        """
        gone = np.isnat(column)
        if gone.any() and not self.nullable:
            raise missing_value(location, int(np.argmax(gone)))
        days = np.where(gone, np.nan, _days(column))
        features = [(days - self.loc) / self.scale]
        for cycle in self.cycles:
            angle = 2 * np.pi * days / PERIOD[cycle]
            features += [np.sin(angle), np.cos(angle)]
        return np.stack(features, 1)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Undoes `encode`: datetime64[us], true to a few microseconds, NaT where missing."""
        gone = np.isnan(encoded[:, 0])
        days = np.where(gone, 0.0, encoded[:, 0] * self.scale + self.loc)
        moments = np.round(days * 86_400e6).astype("datetime64[us]")
        moments[gone] = np.datetime64("NaT")
        return moments


def _days(moments: np.ndarray) -> np.ndarray:
    return moments.astype(np.int64) / 86_400e6


InputColumn = Vocabulary | NumericEncoder | BinaryEncoder | TimestampEncoder | VectorEncoder
StepColumn = Vocabulary | NumericEncoder | IncrementEncoder | MultiLabel
