"""Columns in one canonical form, whatever library or file they came from.

A column is a NumPy array of one of five kinds, or `Ragged`, or `Record`:

| values | form | missing |
|---|---|---|
| whole numbers | int64 (float64 when some are missing) | NaN |
| numbers | float64 | NaN |
| truth values | bool (object when some are missing) | None |
| text | object of str | None |
| dates | datetime64[us], in UTC | NaT |
| lists, arrays of more axes | `Ragged` | its mask |
| records (dicts) | `Record` | its mask |
"""

import itertools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """A column of lists: all their items laid end to end.

    Args:
        values: the items of all rows.
        offsets: (N + 1,) int64; row i has items `offsets[i]` to `offsets[i + 1]`.
        missing: (N,) bool; rows without a list at all.
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


def kind_of(column: Column) -> str:
    """What a column holds, in a user's words: number, whole number, truth value, text, date, list, record, nothing."""
    if isinstance(column, Ragged):
        return "list"
    if isinstance(column, Record):
        return "record"
    if column.dtype.kind == "O":
        some = next((value for value in column if value is not None), None)
        if some is None:
            return "nothing"
        return {bool: "truth value", str: "text", int: "whole number"}.get(type(some), "number")
    return {"i": "whole number", "f": "number", "b": "truth value", "M": "date"}[column.dtype.kind]


def is_whole(column: Column) -> bool:
    """Whether a column is of whole numbers.

    Floats count when some are missing and the rest are whole: pandas has no other way to hold such a column.

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
    gone = np.isnan(column)
    present = column[~gone]
    return bool(gone.any() and len(present) and np.all(np.isfinite(present)) and np.all(present == np.round(present)))


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
    """(N + 1,) int64 offsets of N sequences laid end to end."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)


def ragged_indices(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions of all steps of the given sequences, in the given order.

    Examples:
        >>> ragged_indices(np.array([0, 2, 5]), np.array([1, 0])).tolist()
        [2, 3, 4, 0, 1]
    """
    lengths = np.diff(offsets)[rows]
    new = offsets_from_lengths(lengths)
    return np.arange(new[-1]) + np.repeat(offsets[:-1][rows] - new[:-1], lengths)


def to_list(column: Column) -> list[Any]:
    """Plain Python values, missing ones None: what an error message or a JSON file shows."""
    if isinstance(column, Record):
        parts = {name: to_list(values) for name, values in column.fields.items()}
        records = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
        return [None if gone else record for record, gone in zip(records, column.missing, strict=True)]
    if isinstance(column, Ragged):
        items, offsets = to_list(column.values), column.offsets.tolist()
        rows = [items[start:end] for start, end in itertools.pairwise(offsets)]
        return [None if gone else row for row, gone in zip(rows, column.missing, strict=True)]
    gone = missing_mask(column)
    return [None if absent else value for value, absent in zip(column.tolist(), gone, strict=True)]
