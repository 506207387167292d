"""Given first steps: sequences in the caller's values, to go on from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from unspool.codec.block import Block, joined
from unspool.codec.codec import Codec, encode_step
from unspool.codec.columns import StepColumn, Symbols
from unspool.codec.examples import Examples
from unspool.codec.layouts import unfold
from unspool.codec.units import cut
from unspool.errors import SchemaError
from unspool.schema.casting import cast
from unspool.schema.conversion import from_values
from unspool.schema.fields import Flags
from unspool.schema.place import Place


def encode_prefix(
    codec: Codec, prefix: Any, rows: int, first: Mapping[str, np.ndarray]
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The first steps of sequences as the network sees them: per step field (S,) values, and (rows + 1,) offsets.

    Args:
        codec: the fitted columns.
        prefix: one sequence in the schema's form for all rows, or a list with one for each.
        rows: how many input rows there are.
        first: by name, (rows,) the values before step 0, see `Codec.bases`.

    Raises:
        SchemaError: another number of prefixes than rows, values that no step can have, or a symbol that training
            never saw.
    """
    schema = codec.schema
    sequences = list(prefix) if is_many(prefix, schema.form) else [prefix] * rows
    if len(sequences) != rows:
        raise SchemaError("prefix", f"one for all, or one for each of the {rows} inputs", str(len(sequences)))
    name = schema.steps[0].name if schema.form == "list" else schema.sequence
    place = Place("prefix", name)
    if not any(len(sequence) for sequence in sequences):
        return tuple(map(nothing, codec.steps)), np.zeros(rows + 1, np.int64)
    asked = schema.steps[0] if schema.form == "text" else name
    _, columns, offsets = unfold(from_values(sequences, place), asked, place, csv=False)
    missing = [part for field in schema.steps for part in field.columns if part not in columns]
    if missing:
        raise SchemaError("prefix", f"steps with {', '.join(missing)}", f"steps with {', '.join(columns)}")
    places = dict.fromkeys(columns, place)
    steps = {
        field.name: joined(columns, field, places)
        if isinstance(field, Flags)
        else cast(columns[field.name], field, place)
        for field in schema.steps
    }
    examples = cut(schema, codec.steps, Examples({}, steps, offsets, dict(first), place="prefix"))
    encoded = [encode_step(*pair, examples)[0] for pair in zip(schema.steps, codec.steps, strict=True)]
    for field, column, values in zip(schema.steps, codec.steps, encoded, strict=True):
        if isinstance(column, Symbols) and (values == len(column.values)).any():
            column.encode(examples.steps[field.name], Place("prefix", field.name, examples.offsets), strict=True)
    return tuple(encoded), examples.offsets


def nothing(column: StepColumn) -> np.ndarray:
    """No values at all of a column, of the right type and shape."""
    if isinstance(column, Symbols):
        return np.zeros(0, np.int32)
    return np.zeros((0, len(column.members)) if isinstance(column, Block) else 0)


def is_many(prefix: Any, form: str) -> bool:
    """Whether a prefix is a list of sequences rather than one sequence, by how deep its lists are."""
    depth, item = 0, prefix
    while isinstance(item, (list, tuple, np.ndarray)):
        depth += 1
        inner = [part for part in item if not hasattr(part, "__len__") or len(part)]
        item = inner[0] if inner else None
    return depth > {"text": 0, "vectors": 2}.get(form, 1)
