"""Rows of a long table, grouped by id and ordered within it."""

from typing import Any, NamedTuple

import numpy as np

from unspool.errors import DataError, SchemaError
from unspool.schema.coercion import require_digits, timestamps
from unspool.schema.fields import When
from unspool.schema.inference import require_present
from unspool.tables.columns import is_whole, kind_of, offsets_from_lengths
from unspool.tables.table import Table


def ids_of(table: Table, key: str) -> np.ndarray:
    """The column of ids, which must not be lists, records or missing."""
    column, location = table.columns[key], table.location_of(key)
    if not isinstance(column, np.ndarray):
        raise SchemaError(location.whole, "text, numbers or dates that name sequences", kind_of(column))
    require_present(column, location, "an id", "Drop the row, or fill it in.")
    require_digits(column, location)
    return column


class Grouped(NamedTuple):
    """The rows of a long table as sequences.

    Attributes:
        ids: in order of their first row.
        rows: all rows, in the order of their sequences.
        offsets: (N + 1,).
        notes: lines about the data that a fit prints.
    """

    ids: list[Any]
    rows: np.ndarray
    offsets: np.ndarray
    notes: tuple[str, ...] = ()


def group(table: Table, key: str, order: str | None) -> Grouped:
    """The rows of each id, sorted by `order`; rows with one order value stay in the order of the table.

    Without an order, the rows of an id must be next to each other.
    """
    ids, codes = _codes(ids_of(table, key))
    offsets = offsets_from_lengths(np.bincount(codes, minlength=len(ids)))
    if order is None:
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        if len(starts) > len(ids):
            _, first = np.unique(codes[starts], return_index=True)
            row = int(np.delete(starts, first)[0])
            hint = "Sort the rows by id; or pass order=, and they will be sorted."
            location, found = table.location_of(key).at(row), f"{ids[codes[row]]!r} again"
            raise DataError(location, "the rows of an id next to each other", found, hint)
        return Grouped(ids, np.arange(len(codes)), offsets)
    keys = order_keys(table, order)
    rows = np.lexsort((keys, codes))
    same = (codes[rows][1:] == codes[rows][:-1]) & (keys[rows][1:] == keys[rows][:-1])
    notes: tuple[str, ...] = ()
    if same.any():
        at = int(np.argmax(same))
        one, two = int(rows[at]), int(rows[at + 1])
        count = int(same.sum())
        found = f"{count} row{'s' * (count > 1)} with the order value of the row before"
        example = f"such as {keys[one]} in rows {one + 1} and {two + 1}"
        notes = (f"{table.location_of(order).whole}: {found}, {example}; they keep the order of the table",)
    return Grouped(ids, rows, offsets, notes)


def order_keys(table: Table, order: str) -> np.ndarray:
    """The order column, which must be numbers or dates without missing ones."""
    column, location = table.columns[order], table.location_of(order)
    if kind_of(column) == "text":
        column = timestamps(column, When(order), location)
    if not isinstance(column, np.ndarray) or column.dtype.kind not in "ifM":
        raise SchemaError(location.whole, "numbers or dates, to order steps by", kind_of(column))
    require_present(column, location, "a number or a date", "Drop the row.")
    return column


def _codes(column: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Distinct values in order of appearance, and (S,) the positions of all values among them."""
    import pyarrow as pa

    whole = column.astype(np.int64) if is_whole(column) else column
    coded = pa.array(whole).dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)
