"""Sequences of different lengths, concatenated, with their inputs."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unspool.tables.columns import offsets_from_lengths, ragged_indices

PER_EXAMPLE, PER_STEP = {"per": "example"}, {"per": "step"}
"""Metadata of the fields of a `RaggedSet`: one row an example, and one row a step."""


class RaggedSet:
    """A set of N sequences with S steps in all; the base of frozen dataclasses.

    Fields with the metadata `PER_EXAMPLE` or `PER_STEP` hold arrays, tuples or dicts of arrays, or a list.

    Attributes:
        offsets: (N + 1,) int64; sequence i has steps `offsets[i]` to `offsets[i + 1]`.
        starts: (N,) position of each window in its series; `None` for examples that are not windows.
        gap: positions by which a split by time must keep windows apart.
    """

    offsets: NDArray[np.int64]
    starts: NDArray[np.int64] | None
    gap: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) steps of each sequence."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[Any]) -> Self:
        """The examples at some positions, in that order, or those of a mask, (N,) bool."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        positions = {"example": rows, "step": ragged_indices(self.offsets, rows)}
        taken: dict[str, Any] = {"offsets": offsets_from_lengths(self.lengths[rows])}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if "per" in field.metadata:
                taken[field.name] = _take(getattr(self, field.name), positions[field.metadata["per"]])
        return dataclasses.replace(self, **taken)  # type: ignore[type-var]


def _take(value: Any, at: NDArray[np.int64]) -> Any:
    if isinstance(value, Mapping):
        return {name: _take(part, at) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_take(part, at) for part in value)
    if isinstance(value, list):
        return [value[row] for row in at.tolist()]
    return None if value is None else value[at]
