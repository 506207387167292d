"""Real and generated sequences side by side: what the sections about generated sequences look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unspool.errors import DataError
from unspool.evaluation.samples.sample_set import SampleSet


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparable sets of real and of generated sequences.

    Attributes:
        train: real sequences that the model was fitted to.
        real: held-out sequences.
        synthetic: m generated sequences for each input of `real`, row after row.
        synthetic_train: the synthetic training set, one generated sequence for each input of `train`, in its order.
        ended: (N m,) whether each of `synthetic` stopped by itself, rather than at the limit.
        transforms: by step field that is a number, its transform.
        baselines: by name, forecasts that no model made, as many sequences as `synthetic`, in its order.
    """

    train: SampleSet
    real: SampleSet
    synthetic: SampleSet
    synthetic_train: SampleSet
    ended: NDArray[np.bool_]
    transforms: Mapping[str, str] = field(default_factory=dict)
    baselines: Mapping[str, SampleSet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.real) or len(self.synthetic) % len(self.real) or len(self.ended) != len(self.synthetic):
            found = f"{len(self.synthetic)} sequences for {len(self.real)} inputs, and {len(self.ended)} ends"
            raise DataError("the generated sequences", "as many for every held-out input", found)
        if len(self.synthetic_train) != len(self.train):
            expected = f"one for each of {len(self.train)} training inputs"
            raise DataError("the synthetic training set", expected, str(len(self.synthetic_train)))

    @property
    def samples(self) -> int:
        """m, the generated sequences per held-out input."""
        return len(self.synthetic) // len(self.real)

    @cached_property
    def one_each(self) -> SampleSet:
        """One generated sequence for each held-out input: as many as there are real ones."""
        return self.synthetic.take(np.arange(0, len(self.synthetic), self.samples))
