"""Examples as the network reads them."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.ragged import PER_EXAMPLE, PER_STEP, RaggedSet


@dataclass(frozen=True, eq=False)
class Encoded(RaggedSet):
    """Examples as the network sees them.

    Args:
        inputs: per input field, int32 (N,) symbols, or float64 (N, D), NaN where missing.
        steps: per step field, of all sequences end to end: (S,) int32 symbols (V is the unseen symbol), or float64,
            NaN where missing.
        offsets: see `RaggedSet`, as `starts` and `gap`.
        log_jacobian: per step field, (S,) float64 to add to log p(encoded) for log p(original).
    """

    inputs: tuple[NDArray[Any], ...] = dataclasses.field(metadata=PER_EXAMPLE)
    steps: tuple[NDArray[Any], ...] = dataclasses.field(metadata=PER_STEP)
    offsets: NDArray[np.int64]
    log_jacobian: tuple[NDArray[Any], ...] = dataclasses.field(metadata=PER_STEP)
    starts: NDArray[np.int64] | None = dataclasses.field(default=None, metadata=PER_EXAMPLE)
    gap: int = 0

    @property
    def distinct(self) -> int:
        """Number of distinct steps: windows that overlap share steps."""
        if self.starts is None or not len(self):
            return int(self.offsets[-1])
        return int(np.minimum(np.diff(np.sort(self.starts)), self.gap).sum()) + self.gap

    @property
    def jacobians(self) -> NDArray[np.float64]:
        """(N,) the log-Jacobian of all fields and steps of each sequence."""
        owner, total = np.repeat(np.arange(len(self)), self.lengths), np.zeros(len(self))
        for column in self.log_jacobian:
            total += np.bincount(owner, column, minlength=len(self))
        return total

    @property
    def jacobian(self) -> float:
        """The log-Jacobian of all sequences."""
        return float(self.jacobians.sum())
