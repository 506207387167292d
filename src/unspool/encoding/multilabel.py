"""A wide block of labels as one value of many members."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.columns import (
    Continuation,
    Cumulative,
    Decoded,
    NumericColumn,
    StepColumn,
    ValueType,
    parse_truth_value,
    refuse_missing,
    with_missing,
)
from unspool.errors import Location


class MultiLabel(NumericColumn, StepColumn, frozen=True, tag="multilabel"):
    """Labels that are 1 for yes and -1 for no, so that neither is nothing; all NaN where the block is missing.

    Args:
        members: the columns of the labels.
        nullable: training had steps at which all of them were missing.
        share: of yes in training.
    """

    members: tuple[str, ...]
    nullable: bool = False
    share: float = 0.0

    @classmethod
    def fit(cls, values: NDArray[np.float64], members: tuple[str, ...]) -> "MultiLabel":
        """Note what was missing; (S, M) values."""
        missing = np.isnan(values)
        share = float((values[~missing] > 0).mean()) if not missing.all() else 0.0
        return cls(members, bool(missing.any()), share)

    @property
    def width(self) -> int:
        """M."""
        return len(self.members)

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Truth values."""
        return tuple("bool" for _ in self.members)

    @property
    def cumulative(self) -> Cumulative | None:
        """Labels don't add up."""
        return None

    def describe(self) -> str:
        """How many labels, and how often they are yes."""
        return with_missing(f"{len(self.members)} members, {self.share:.1%} yes", nullable=self.nullable)

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """A truth value."""
        return parse_truth_value(text)

    def encode(
        self,
        values: NDArray[Any],
        location: Location,
        offsets: NDArray[np.int64],
        before: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """(S, M) float64 as they are; nothing to add."""
        refuse_missing(np.isnan(values[:, 0]), location, nullable=self.nullable)
        return values, np.zeros(len(values))

    def decode(self, encoded: NDArray[Any], continuation: Continuation) -> Decoded:
        """By member, (S,) bool, or object with None where the block is missing."""
        return Decoded(tuple(truth_values(column, np.isnan(encoded[:, 0])) for column in encoded.T))


def truth_values(encoded: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[Any]:
    """1 and -1 as bool, or as object with None where missing."""
    yes = encoded > 0
    if not missing.any():
        return yes
    known = yes.astype(object)
    known[missing] = None
    return known
