"""Columns of yes and no, joined to one field of many members."""

from collections.abc import Mapping

import numpy as np

from unspool.errors import DataError, SchemaError
from unspool.schema.coercion import coerce
from unspool.schema.fields import Flag, Flags
from unspool.tables.columns import Column, missing_mask
from unspool.tables.location import Location


def join_flags(columns: Mapping[str, Column], field: Flags, locations: Mapping[str, Location]) -> np.ndarray:
    """(S, M) float64 of the members' columns: 1 yes, -1 no, NaN where all are missing.

    Raises:
        SchemaError: a member that isn't there, or that holds something else.
        DataError: a step at which only some members are missing.
    """
    absent = [name for name in field.members if name not in columns]
    if absent:
        raise SchemaError(f"Flags({field.name!r})", "columns of the step", ", ".join(map(repr, absent)))
    parts = []
    for name in field.members:
        flags = coerce(columns[name], Flag(name), locations[name])
        gone = missing_mask(flags)
        parts.append(np.where(gone, np.nan, np.where(np.where(gone, False, flags).astype(bool), 1.0, -1.0)))
    values = np.stack(parts, 1)
    some = np.isnan(values).any(1) & ~np.isnan(values).all(1)
    if some.any():
        row = int(np.argmax(some))
        name = field.members[int(np.argmax(np.isnan(values[row])))]
        hint = f"Fill it in; or leave {name!r} out of the block, as a field of its own."
        raise DataError(locations[name].at(row), "a value, because others of its block have one", "a missing one", hint)
    return values
