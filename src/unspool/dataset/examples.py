"""Examples: the one form that every layout becomes, with every column in the form of its field's kind."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unspool.dataset.ragged import PER_EXAMPLE, PER_STEP, RaggedSet
from unspool.errors import Location
from unspool.schema.fields import Number, Schema, When


@dataclass(frozen=True, eq=False)
class Examples(RaggedSet):
    """Raw values, before encoding (their forms: see `unspool.schema.coercion.coerce`).

    Args:
        inputs: by name, one value per example.
        steps: by name, (S,) values of all sequences end to end; of text, its code points; of a field of several columns
            (S, M).
        offsets: see `RaggedSet`, as `starts` and `gap`.
        first: by name, (N,) float64: the values before step 0 of numeric step fields, where they are known.
        location: what error messages call the data.
        ids: what tells the sequences apart, when rows don't.
    """

    inputs: dict[str, np.ndarray] = field(metadata=PER_EXAMPLE)
    steps: dict[str, np.ndarray] = field(metadata=PER_STEP)
    offsets: np.ndarray
    first: dict[str, np.ndarray] = field(default_factory=dict, metadata=PER_EXAMPLE)
    starts: np.ndarray | None = field(default=None, metadata=PER_EXAMPLE)
    gap: int = 0
    location: str = "the data"
    ids: list[Any] | None = field(default=None, metadata=PER_EXAMPLE)

    def input_location(self, name: str) -> Location:
        """Where an input column is."""
        return Location(self.location, name, None, self.ids)

    def step_location(self, name: str) -> Location:
        """Where a step column is."""
        return Location(self.location, name, self.offsets, self.ids)


def base_inputs(schema: Schema) -> dict[str, str]:
    """By name of a step field, the input that holds the value before step 0: of the same name, or what `since` says."""
    kinds = {item.name: item for item in schema.inputs}
    sources = {}
    for item in schema.steps:
        same = item.name in schema.first and isinstance(kinds[item.name], type(item))
        if isinstance(item, When) and (same or item.since):
            sources[item.name] = item.name if same else str(item.since)
        elif isinstance(item, Number) and item.name in schema.first and isinstance(kinds[item.name], Number):
            sources[item.name] = item.name
    return sources
