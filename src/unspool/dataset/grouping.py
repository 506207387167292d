"""Rows of a long table, grouped by id and ordered within it."""

from typing import Any

import numpy as np

from unspool.errors import DataError, Location, SchemaError
from unspool.schema.coercion import timestamps
from unspool.schema.fields import When
from unspool.tables.columns import is_whole, kind_of, missing_mask, offsets_from_lengths
from unspool.tables.table import Table


def ids_of(table: Table, key: str) -> np.ndarray:
    """The column of ids.

    Raises:
        SchemaError: lists or records.
        DataError: a missing id.
    """
    column, location = table.columns[key], Location(table.location, key)
    if not isinstance(column, np.ndarray):
        raise SchemaError(location.whole, "text, numbers or dates that name sequences", kind_of(column))
    missing = missing_mask(column)
    if missing.any():
        raise DataError(location.at(int(np.argmax(missing))), "an id", "a missing one", "Drop the row, or fill it in.")
    return column


def group(table: Table, key: str, order: str | None) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Ids in order of their first row, the rows in order of their sequences, and (N + 1,) offsets.

    Raises:
        DataError: an id or an order value is missing; an order value is there twice in one id; without an
            order, rows of one id are apart from each other.
    """
    column = ids_of(table, key)
    values, codes = _codes(column)
    if order is None:
        changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
        if len(changes) + 1 > len(values):
            seen = codes[np.concatenate(([0], changes))]
            again = next(i for i in range(len(seen)) if seen[i] in seen[:i])
            row = int(changes[again - 1])
            hint = "Sort the rows by id; or pass order=, and they will be sorted."
            location = Location(table.location, key).at(row)
            raise DataError(location, "the rows of an id next to each other", f"{values[codes[row]]!r} again", hint)
        rows = np.arange(len(codes))
    else:
        keys = order_keys(table, order)
        rows = np.lexsort((keys, codes))
        same = (codes[rows][1:] == codes[rows][:-1]) & (keys[rows][1:] == keys[rows][:-1])
        if same.any():
            at = int(np.argmax(same))
            one, two = sorted((int(rows[at]), int(rows[at + 1])))
            found = f"{keys[one]} in rows {one + 1} and {two + 1} of id {values[codes[one]]!r}"
            hint = "Drop one of them, or name a finer order."
            raise DataError(Location(table.location, order).whole, "an order value once within an id", found, hint)
    return values, rows, offsets_from_lengths(np.bincount(codes, minlength=len(values)))


def order_keys(table: Table, order: str) -> np.ndarray:
    """The order column as numbers or dates.

    Raises:
        SchemaError: it holds something else.
        DataError: a missing value.
    """
    column, location = table.columns[order], Location(table.location, order)
    if kind_of(column) == "text":
        column = timestamps(column, When(order), location)
    if not isinstance(column, np.ndarray) or column.dtype.kind not in "ifM":
        raise SchemaError(location.whole, "numbers or dates, to order steps by", kind_of(column))
    missing = missing_mask(column)
    if missing.any():
        raise DataError(location.at(int(np.argmax(missing))), "a number or a date", "a missing one", "Drop the row.")
    return column


def _codes(column: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Distinct values in order of appearance, and (S,) which of them each value is."""
    import pyarrow as pa

    whole = column.astype(np.int64) if is_whole(column) else column
    coded = pa.array(whole).dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)
