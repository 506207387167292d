"""Wide tables: a column for each step of a sequence."""

import fnmatch
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from unspool.errors import DataError, SchemaError
from unspool.tables.columns import Ragged, kind_of, missing_mask, offsets_from_lengths
from unspool.tables.table import SEQUENCE_NAME, Table, read_table


def wide(data: Any, columns: str | Sequence[Any], name: str = SEQUENCE_NAME) -> Table:
    """Join the columns of a wide table, one for each step, into one column of lists.

    Missing values at the end of a row end its sequence; others are missing values of a step.

    Args:
        data: a table of any kind, one row an example.
        columns: the columns in the order of the steps; or a pattern, such as `"day*"`, for those that match, in the
            order of the table.
        name: the name of the new column.

    Returns:
        The table that `fit`, `log_prob` and `evaluate` take, with the other columns as they were.

    Raises:
        SchemaError: a column that the table lacks, or a pattern that matches fewer than two.
        DataError: columns of different kinds, or a name that another column has.

    Examples:
        >>> table = wide({"k": ["a", "b"], "t1": [1, 2], "t2": [3, None]}, "t*")
        >>> list(table.columns), table.columns["sequence"].lengths.tolist()
        (['k', 'sequence'], [2, 1])
    """
    table = read_table(data)
    matched = isinstance(columns, str)
    steps = fnmatch.filter(table.columns, columns) if isinstance(columns, str) else list(map(str, columns))
    table.need(steps)
    if len(steps) < 2:
        found = f"{len(steps)} of {', '.join(map(repr, table.columns))}" if matched else repr(columns)
        raise SchemaError(f"{table.location}: wide", "two or more columns, one for each step", found)
    rest = {other: column for other, column in table.columns.items() if other not in steps}
    if name in rest:
        raise DataError(table.location_of(name).whole, "a new name for the sequence", "a column of this name")
    parts: list[np.ndarray] = []
    for step in steps:
        part = table.columns[step]
        if not isinstance(part, np.ndarray):
            raise DataError(table.location_of(step).whole, "one value a row", kind_of(part))
        parts.append(part)
    present = {kind_of(part) for part in parts if not missing_mask(part).all()}
    if len(present) > 1 and not present <= {"number", "whole number"}:
        expected = f"values of one kind, as in {steps[0]!r}"
        other = next(step for step, part in zip(steps, parts, strict=True) if kind_of(part) != kind_of(parts[0]))
        raise DataError(table.location_of(other).whole, expected, kind_of(table.columns[other]))
    kept = [part for part in parts if not missing_mask(part).all()] or parts
    dtype = np.result_type(*kept) if all(part.dtype.kind != "O" for part in kept) else np.dtype(object)
    cells = np.stack([_filled(part, dtype) for part in parts], 1)
    missing = np.stack([missing_mask(part) for part in parts], 1)
    lengths = len(steps) - np.argmin(missing[:, ::-1], 1)
    lengths[missing.all(1)] = 0
    inside = np.arange(len(steps)) < lengths[:, None]
    ragged = Ragged(cells[inside], offsets_from_lengths(lengths), np.zeros(len(table), bool))
    origins = {key: origin for key, origin in table.origins.items() if key[0] not in steps}
    origins[(name,)] = msgspec.structs.replace(table.origin(steps[0]), integer=False)
    return replace(table, columns=rest | {name: ragged}, origins=origins)


def _filled(part: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """A column as another type; a whole column of missing values is missing in any."""
    if not missing_mask(part).all():
        return part.astype(dtype)
    if dtype.kind in "fM":
        return np.full(len(part), np.nan if dtype.kind == "f" else np.datetime64("NaT"), dtype)
    return np.full(len(part), None, object) if dtype.kind == "O" else np.zeros(len(part), dtype)
