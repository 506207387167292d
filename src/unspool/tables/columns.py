"""Columns in one canonical form, whatever library or file they came from.

A column is a NumPy array of one of five kinds, or `Ragged`, or `Record`:

| values | form | missing |
|---|---|---|
| whole numbers | int64; float64 when some are missing, objects where that would round them | NaN, None |
| numbers | float64 | NaN |
| truth values | bool (object when some are missing) | None |
| text | object of str | None |
| dates | datetime64[us], in UTC | NaT |
| lists, arrays of more axes | `Ragged` | its mask |
| records (dicts) | `Record` | its mask |
"""

import itertools
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

MAX_EXACT_INTEGER = 2**53
"""Whole numbers up to this one are float64 numbers too."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """A column of lists.

    Args:
        values: the items of all rows, concatenated.
        offsets: (N + 1,) int64; row i has items `offsets[i]` to `offsets[i + 1]`.
        missing: (N,) bool; rows without a list.
    """

    values: "Column"
    offsets: np.ndarray
    missing: np.ndarray

    def __len__(self) -> int:
        return len(self.missing)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) int64."""
        return np.diff(self.offsets)


@dataclass(frozen=True, eq=False)
class Record:
    """A column of records, all with the same keys (an absent key is a missing value)."""

    fields: dict[str, "Column"]
    missing: np.ndarray

    def __len__(self) -> int:
        return len(self.missing)


Column: TypeAlias = np.ndarray | Ragged | Record


OriginKind = Literal[
    "plain", "whole", "boolean", "duration", "decimal", "date", "moment", "clock", "zone", "period", "spelled", "uuid",
    "interval"
]  # fmt: skip
"""Types that canonical columns don't have, see `unspool.tables.origins`."""


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The type of a column before it was canonical.

    Args:
        kind: see `unspool.tables.origins`; `"plain"` where the canonical form is the type.
        detail: digits of a decimal, name of a zone, frequency or spelling of a period, type of an interval's ends.
        categories: of a categorical, in canonical form; `None` of any other column.
        ordered: whether the categories have an order.
        integer: whether the name of the column is a whole number.
    """

    kind: OriginKind = "plain"
    detail: str = ""
    categories: tuple[str | int | float | bool, ...] | None = None
    ordered: bool = False
    integer: bool = False

    @property
    def is_typed(self) -> bool:
        """Whether the values had another type than the canonical one."""
        return self.kind != "plain" or self.categories is not None


ColumnOrigins: TypeAlias = dict[tuple[str, ...], Origin]
"""By the name of a column, and the name of a field inside its records; of lists, the origin of their items."""


def kind_of(column: Column) -> str:
    """The kind of a column: number, whole number, truth value, text, date, list, record, nothing."""
    if isinstance(column, Ragged):
        return "list"
    if isinstance(column, Record):
        return "record"
    if column.dtype.kind == "O":
        present = next((value for value in column if value is not None), None)
        if present is None:
            return "nothing"
        return {bool: "truth value", str: "text", int: "whole number"}.get(type(present), "number")
    return {"i": "whole number", "f": "number", "b": "truth value", "M": "date"}[column.dtype.kind]


def is_whole(column: Column) -> bool:
    """Whether a column holds whole numbers, or floats of which some are missing and the rest are whole, as in pandas.

    Examples:
        >>> is_whole(np.array([1.0, np.nan])), is_whole(np.array([1.0, 2.0]))
        (True, False)
    """
    if not isinstance(column, np.ndarray):
        return False
    if column.dtype.kind == "i":
        return True
    if column.dtype.kind != "f":
        return False
    present = column[~np.isnan(column)]
    return 0 < len(present) < len(column) and bool(np.all(np.isfinite(present) & (present == np.round(present))))


def missing_mask(column: Column) -> np.ndarray:
    """(N,) bool: which values are absent."""
    if isinstance(column, (Ragged, Record)):
        return column.missing
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "M":
        return np.isnat(column)
    if column.dtype.kind == "O":
        return np.array([value is None for value in column.tolist()], dtype=bool)
    return np.zeros(len(column), bool)


def take(column: Column, rows: np.ndarray) -> Column:
    """The given rows of a column, in the given order."""
    if isinstance(column, Record):
        return Record({name: take(values, rows) for name, values in column.fields.items()}, column.missing[rows])
    if isinstance(column, Ragged):
        items = ragged_indices(column.offsets, rows)
        return Ragged(take(column.values, items), offsets_from_lengths(column.lengths[rows]), column.missing[rows])
    return column[rows]


def offsets_from_lengths(lengths: np.ndarray) -> np.ndarray:
    """(N + 1,) int64 offsets of N concatenated sequences."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)


def ragged_indices(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions of all steps of the sequences in `rows`, in that order.

    Examples:
        >>> ragged_indices(np.array([0, 2, 5]), np.array([1, 0])).tolist()
        [2, 3, 4, 0, 1]
    """
    lengths = np.diff(offsets)[rows]
    new = offsets_from_lengths(lengths)
    return np.arange(new[-1]) + np.repeat(offsets[:-1][rows] - new[:-1], lengths)


def to_list(column: Column) -> list[Any]:
    """Plain Python values, with None for missing ones."""
    values: list[Any]
    if isinstance(column, Record):
        parts = {name: to_list(part) for name, part in column.fields.items()}
        rows = zip(*parts.values(), strict=True) if parts else [()] * len(column.missing)
        values = [dict(zip(parts, row, strict=True)) for row in rows]
    elif isinstance(column, Ragged):
        items = to_list(column.values)
        values = [items[start:end] for start, end in itertools.pairwise(column.offsets.tolist())]
    else:
        values = column.tolist()
    return [None if missing else value for value, missing in zip(values, missing_mask(column), strict=True)]
