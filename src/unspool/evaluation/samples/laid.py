"""Sequences laid end to end, as baselines and comparisons see them."""

import abc
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


class Laid(abc.ABC):
    """N sequences of S steps in all; what holds them keeps flat columns, and where each sequence starts.

    Attributes:
        offsets: (N + 1,) where each sequence starts and the last one ends.
    """

    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) steps of each sequence."""
        return np.diff(self.offsets)

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """(S,) the sequence that each step belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def position(self) -> NDArray[np.int64]:
        """(S,) the position of each step in its sequence, from 0."""
        return np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.lengths)
