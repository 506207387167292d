"""A wide block of yes and no as one value of many members."""

from collections.abc import Mapping

import msgspec
import numpy as np

from unspool.errors import DataError, SchemaError
from unspool.schema.arrays import Column, missing_mask
from unspool.schema.casting import cast
from unspool.schema.fields import Flag, Flags
from unspool.schema.place import Place


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="block"):
    """Members that are 1 for yes and -1 for no, so that neither is nothing; all NaN where the block is missing.

    Args:
        members: their names.
        nullable: training had steps at which all of them were missing.
        share: of yes in training.
    """

    members: tuple[str, ...]
    nullable: bool = False
    share: float = 0.0

    @classmethod
    def fit(cls, values: np.ndarray, members: tuple[str, ...]) -> "Block":
        """Note what was missing; (S, M) values."""
        gone = np.isnan(values)
        return cls(members, bool(gone.any()), float((values[~gone] > 0).mean()) if not gone.all() else 0.0)

    def encode(self, values: np.ndarray, place: Place) -> np.ndarray:
        """(S, M) float64.

        Raises:
            SchemaError: a missing block where training had none.
        """
        gone = np.isnan(values[:, 0])
        if gone.any() and not self.nullable:
            cure = "Give a value; or fit again with data in which it is missing at times."
            raise SchemaError(
                place.at(int(np.argmax(gone))), "values, because none was missing in training", "none", cure
            )
        return values

    def decode(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """By member, (S,) bool, or object with None where the block is missing."""
        gone = np.isnan(values[:, 0])
        columns = {}
        for name, column in zip(self.members, values.T, strict=True):
            yes = column > 0
            if gone.any():
                yes = yes.astype(object)
                yes[gone] = None
            columns[name] = yes
        return columns


def joined(columns: Mapping[str, Column], field: Flags, places: Mapping[str, Place]) -> np.ndarray:
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
        flags = cast(columns[name], Flag(name), places[name])
        gone = missing_mask(flags)
        parts.append(np.where(gone, np.nan, np.where(np.where(gone, False, flags).astype(bool), 1.0, -1.0)))
    values = np.stack(parts, 1)
    some = np.isnan(values).any(1) & ~np.isnan(values).all(1)
    if some.any():
        row = int(np.argmax(some))
        name = field.members[int(np.argmax(np.isnan(values[row])))]
        cure = f"Fill it in; or leave {name!r} out of the block, as a field of its own."
        raise DataError(places[name].at(row), "a value, because others of its block have one", "a missing one", cure)
    return values
