"""What every fitted column can do: the one form in which the layers above see a field's values.

| class | role | values of its field |
|---|---|---|
| `Vocabulary` | input, step | one of V values: a category, a truth value, a character, a word, a piece of a word |
| `JointVocabulary` | step | several categories, as one of the V tuples that training saw |
| `NumericEncoder` | input, step | a number |
| `IncrementEncoder` | step | a timestamp or a number that never goes back, as the increment since the last one |
| `MomentPart` | step | no value of a table: a part of the first moment of a column of increments |
| `DistanceEncoder` | step | a timestamp or a number that is learned as its distance from other columns of its step |
| `AngleEncoder` | step | an angle |
| `MultiLabel` | step | M labels, each yes or no |
| `BinaryEncoder`, `AngleInput`, `TimestampEncoder`, `VectorEncoder` | input | a truth value, an angle, a timestamp,
D numbers |

To add a kind of column: write its class in a file of its own, and name it in `unspool.encoding.fit` (which field has
it), `unspool.network.build` (which distribution it has) and `unspool.constraints.fields` (how values are pinned).
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.errors import Location, SchemaError

ValueType = Literal["int", "float", "text", "bool", "time", "mixed"]
"""What a column of a written file holds, missing values apart."""
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
AboveZero = Annotated[float, msgspec.Meta(gt=0.0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Digits = Annotated[int, msgspec.Meta(ge=0, le=6)]
"""Decimals of rounded numbers, see `unspool.schema.grid`."""


class AbstractStruct(msgspec.StructMeta, ABCMeta):
    """The metaclass of abstract structs."""


class Continuation(NamedTuple):
    """The sequences that are decoded, what precedes them, and which of their values were given.

    Attributes:
        offsets: (N + 1,) where each sequence begins.
        before: (N,) the number before the first of these steps, NaN where there is none; of pieces of bytes, the bytes
            of a character that is not complete yet. `None` where no sequence has any.
        observed: (S,) numbers that were given rather than sampled, NaN elsewhere; they come back as they are.
        upper: (S,) the next given running sum of a column that never goes back, infinity where none comes.
        references: (S,) values of the columns of the same step that the column is learned as a distance from.
        parts: (S,) encoded parts of first moments, see `unspool.encoding.first_moment`.
    """

    offsets: NDArray[np.int64]
    before: NDArray[Any] | None = None
    observed: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None
    references: tuple[NDArray[Any], ...] = ()
    parts: tuple[NDArray[Any], ...] = ()


class Decoded(NamedTuple):
    """Values in original units.

    Attributes:
        values: (S,) of every column of the table that the field stands for.
        last: the `Continuation.before` of further steps; `None` where they need none.
    """

    values: tuple[NDArray[Any], ...]
    last: NDArray[Any] | None = None


class Origins(NamedTuple):
    """Where the running sums of a field start.

    Attributes:
        at: (N,) the value, on the axis that adds up, at a running sum of 0.
        start: (N,) the running sum before step 0: 0, or NaN where there is no value yet.
        unit: the change of the value for a running sum of 1.
        seen: of a part of first moments, what the network sees of (S,) values that count from (S,) others.
    """

    at: NDArray[np.float64]
    start: NDArray[np.float64]
    unit: float
    seen: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]] | None = None

    def running_sums(self, y: NDArray[np.float64] | float, row: NDArray[np.int64]) -> NDArray[np.float64]:
        """The running sums at values on the axis that adds up, in some rows; or what a part of a moment is there."""
        if self.seen is not None:
            return self.seen(*np.broadcast_arrays(np.asarray(y, np.float64), self.at[row]))
        return (y - self.at[row]) / self.unit


class Cumulative(msgspec.Struct, frozen=True, metaclass=AbstractStruct):
    """A column whose values add up: the network sees increments, and the loop keeps the running sum.

    The y of a value x adds up: x itself, its logarithm, x in units of time, or -x where x never rises. The running sum
    is y less its origin, in a unit in which float32 holds it, see `unspool.network.cumulative`.
    """

    @property
    @abstractmethod
    def sum_unit(self) -> float:
        """The change of y for a running sum of 1."""

    @property
    @abstractmethod
    def never(self) -> Literal["falls", "rises"] | None:
        """The direction that values never take within a sequence, or `None`. With either, y never falls."""

    @property
    @abstractmethod
    def most(self) -> float:
        """The running sum that no sample goes beyond, wherever it started; infinite where there is none."""

    @property
    @abstractmethod
    def excursions(self) -> tuple[float, float]:
        """How far y goes below and above a known value before step 0, even beyond the ends of levels."""

    @abstractmethod
    def origins(self, before: np.ndarray | None, rows: int) -> Origins:
        """Where running sums start, given the (rows,) values before step 0: NaN or `None` where unknown."""

    @abstractmethod
    def to_sum(self, values: np.ndarray) -> np.ndarray:
        """The y of numbers or of microseconds since 1970, NaN where missing; minus infinity or NaN where undefined."""


class FittedColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", metaclass=AbstractStruct):
    """A fitted column: what training found in the values of a field."""

    @property
    @abstractmethod
    def num_symbols(self) -> int | None:
        """V where an encoded value is one of V symbols; `None` where it is one or several numbers."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers of one encoded value; 1 of a symbol."""

    @property
    @abstractmethod
    def nullable(self) -> bool:
        """Whether training had missing values."""

    @property
    @abstractmethod
    def types(self) -> tuple[ValueType, ...]:
        """The type of every column of the table that the field stands for."""

    @abstractmethod
    def describe(self) -> str:
        """One line for the table that `fit` prints."""

    @abstractmethod
    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """The value of a typed text that is not empty, for one of the columns of the table (`member`).

        A text that other code reads stays a text; a `SchemaError` is about one that is no value.
        """

    def refuse_missing(self, missing: NDArray[np.bool_], location: Location) -> None:
        """Refuse missing values in a column that had none in training."""
        if missing.any() and not self.nullable:
            raise self.missing_value(location, int(np.argmax(missing)))

    @staticmethod
    def missing_value(location: Location, row: int) -> SchemaError:
        """The error about a missing value in a column that had none in training."""
        hint = "Give a value; or fit again with data in which it is missing at times."
        return SchemaError(location.at(row), "a value, because none was missing in training", "a missing one", hint)

    def with_missing(self, description: str) -> str:
        """A description that says whether values are missing."""
        return description + (", some missing" if self.nullable else "")


class SymbolColumn(FittedColumn, frozen=True):
    """A column whose encoded values are symbols."""

    @property
    def width(self) -> int:
        """One."""
        return 1

    @property
    def cumulative(self) -> Cumulative | None:
        """Symbols don't add up."""
        return None


class NumericColumn(FittedColumn, frozen=True):
    """A column whose encoded values are numbers, one or several."""

    @property
    def num_symbols(self) -> int | None:
        """None."""
        return None


class ScalarColumn(NumericColumn, frozen=True):
    """A column whose encoded values are single numbers."""

    @property
    def width(self) -> int:
        """One."""
        return 1


class InputColumn(FittedColumn, frozen=True):
    """A fitted column of an input field."""

    @abstractmethod
    def encode_input(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(N,) int32 symbols, or (N, D) float64, NaN where missing.

        Raises:
            UnknownCategory: a category that training never saw.
            SchemaError: a missing value where training had none, or one that can't be encoded.
        """


class StepColumn(FittedColumn, frozen=True):
    """A fitted column of a step field."""

    @property
    @abstractmethod
    def cumulative(self) -> Cumulative | None:
        """How values add up, if they do."""

    @abstractmethod
    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray, before: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S, ...) values as the network sees them, and (S,) float64 to add to log p(encoded) for log p(original).

        The values are those of all sequences, end to end; `before` has (N,) numbers before step 0, NaN where unknown.

        Raises:
            SchemaError: a missing value where training had none, or one that can't be encoded.
        """

    @abstractmethod
    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """Undoes `encode`: from (S, ...) symbols or numbers, NaN where missing."""
