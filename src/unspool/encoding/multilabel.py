"""A wide block of labels as one value of many members."""

from typing import Any

import numpy as np

from unspool.encoding.columns import (
    Continuation,
    Cumulative,
    Decoded,
    NumericColumn,
    Probability,
    StepColumn,
    ValueType,
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
    share: Probability = 0.0

    @classmethod
    def fit(cls, values: np.ndarray, members: tuple[str, ...]) -> "MultiLabel":
        """Whether any of (S, M) values is missing, and the share of yes."""
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
        return self.with_missing(f"{len(self.members)} members, {self.share:.1%} yes")

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """A truth value."""
        return parse_truth_value(text)

    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray, before: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S, M) float64 as they are; nothing to add."""
        self.refuse_missing(np.isnan(values[:, 0]), location)
        return values, np.zeros(len(values))

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """By member, (S,) bool, or object with None where the block is missing."""
        missing, yes = np.isnan(encoded[:, 0]), encoded > 0
        if missing.any():
            yes = yes.astype(object)
            yes[missing] = None
        return Decoded(tuple(np.ascontiguousarray(yes.T)))


def parse_truth_value(text: str) -> bool | str:
    """The truth value that a text spells; another text as it is.

    Examples:
        >>> parse_truth_value("Yes"), parse_truth_value("perhaps")
        (True, 'perhaps')
    """
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return known.get(text.lower(), text)
