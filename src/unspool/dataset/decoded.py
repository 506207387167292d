"""Decoded sequences as examples: what was generated, in the form in which real data are read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.dataset.groups import join_columns
from unspool.errors import Location
from unspool.schema.coercion import NO_DATE, code_points, sentinel_date
from unspool.schema.fields import Flags, Joint, Schema, Text
from unspool.tables.columns import offsets_from_lengths

GENERATED = "the generated sequences"
"""Their name in error messages."""


def decoded_examples(
    schema: Schema,
    inputs: dict[str, NDArray[Any]],
    columns: Mapping[str, NDArray[Any]],
    offsets: NDArray[np.int64],
    first: dict[str, NDArray[np.float64]],
) -> Examples:
    """Examples of N inputs and of the (S,) columns of decoded steps; `first` has the (N,) values before step 0."""
    steps = dict(columns)
    for name, sentinel in schema.sentinels.items():  # missing, as in real examples
        steps[name] = np.where(steps[name] == sentinel_date(sentinel), NO_DATE, steps[name])
    for item in schema.steps:
        if isinstance(item, Text):
            pieces = steps[item.name]
            steps[item.name] = code_points(pieces)
            offsets = offsets_from_lengths(np.array([len(piece) for piece in pieces.tolist()], np.int64))[offsets]
        elif isinstance(item, (Flags, Joint)):
            locations = {name: Location(GENERATED, name, offsets) for name in item.columns}
            steps[item.name] = join_columns(steps, item, locations)
    return Examples(inputs, steps, offsets, first, location=GENERATED)
