"""Examples of any layout, with every column in the form of its field's kind."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unspool.dataset.ragged import PER_EXAMPLE, PER_STEP, RaggedSet
from unspool.errors import Location
from unspool.schema.fields import Number, Schema, When
from unspool.tables.columns import Origin


@dataclass(frozen=True, eq=False)
class Examples(RaggedSet):
    """Values before encoding, in the forms of `unspool.schema.coercion.coerce`.

    Args:
        inputs: (N,) by name.
        steps: (S,) by name; of text, its code points; of a field of several columns (S, M).
        offsets: see `RaggedSet`, as `starts` and `gap`.
        first: (N,) float64 by name: the values before step 0 of numeric step fields, where they are known.
        location: the name of the data in error messages.
        ids: (N,) of the sequences, where rows don't identify them.
        origins: the types that columns had, by name.
        notes: lines about the data that a fit prints.
    """

    inputs: dict[str, np.ndarray] = field(metadata=PER_EXAMPLE)
    steps: dict[str, np.ndarray] = field(metadata=PER_STEP)
    offsets: np.ndarray
    first: dict[str, np.ndarray] = field(default_factory=dict, metadata=PER_EXAMPLE)
    starts: np.ndarray | None = field(default=None, metadata=PER_EXAMPLE)
    gap: int = 0
    location: str = "the data"
    ids: list[Any] | None = field(default=None, metadata=PER_EXAMPLE)
    origins: dict[str, Origin] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def input_location(self, name: str) -> Location:
        """The location of an input column."""
        return Location(self.location, name, None, self.ids)

    def step_location(self, name: str) -> Location:
        """The location of a step column."""
        return Location(self.location, name, self.offsets, self.ids)


def base_inputs(schema: Schema) -> dict[str, str]:
    """By name of a step field, the input with the value before step 0: that of the same name, or `since`."""
    kinds = {item.name: item for item in schema.inputs}
    sources = {}
    for item in schema.steps:
        if item.references and not item.signs:
            continue
        for kind in (When, Number):
            if isinstance(item, kind) and item.carried in schema.first and isinstance(kinds[item.carried], kind):
                sources[item.name] = item.carried
        if isinstance(item, When) and item.since:
            sources.setdefault(item.name, item.since)
    return sources
