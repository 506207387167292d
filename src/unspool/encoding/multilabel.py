"""A wide block of yes and no as one value of many members."""

import msgspec
import numpy as np

from unspool.errors import SchemaError
from unspool.tables.location import Location


class MultiLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="block"):
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
    def fit(cls, values: np.ndarray, members: tuple[str, ...]) -> "MultiLabel":
        """Note what was missing; (S, M) values."""
        gone = np.isnan(values)
        return cls(members, bool(gone.any()), float((values[~gone] > 0).mean()) if not gone.all() else 0.0)

    def encode(self, values: np.ndarray, location: Location) -> np.ndarray:
        """(S, M) float64.

        Raises:
            SchemaError: a missing block where training had none.
        """
        gone = np.isnan(values[:, 0])
        if gone.any() and not self.nullable:
            hint = "Give a value; or fit again with data in which it is missing at times."
            raise SchemaError(
                location.at(int(np.argmax(gone))), "values, because none was missing in training", "none", hint
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
