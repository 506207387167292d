"""Given first steps: sequences in the caller's values, which generation continues."""

from typing import Any

import numpy as np

from unspool.dataset.examples import Examples
from unspool.dataset.groups import join_columns
from unspool.dataset.layouts import unfold
from unspool.encoding.codec import Codec, broken_relations
from unspool.encoding.tokenizers import tokenize
from unspool.errors import Location, SchemaError, together
from unspool.schema.coercion import coerce
from unspool.schema.fields import Flags, Joint
from unspool.tables.arrow import MAX_NESTING, from_values


def read_prefix(codec: Codec, prefix: Any, rows: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(S,) canonical values of first steps by step field, and the offsets of one sequence for all rows, or of each.

    Errors are those of `unspool.constraints.pins.encode_observed`; `None` is an empty prefix.
    """
    schema = codec.schema
    if prefix is None:
        return {}, np.zeros(2, np.int64)
    per_row = is_prefix_per_row(prefix, schema.form)
    sequences = [[] if part is None else part for part in prefix] if per_row else [prefix]
    if per_row and len(sequences) != rows:
        raise SchemaError("prefix", f"one for all, or one for each of the {rows} inputs", str(len(sequences)))
    name = schema.steps[0].name if schema.form == "list" else schema.sequence
    location = Location("prefix", name)
    for sequence in sequences:
        if not hasattr(sequence, "__len__"):
            raise SchemaError("prefix", "a sequence of first steps, or one for each row", repr(sequence))
    if not any(len(sequence) for sequence in sequences):
        return {}, np.zeros(len(sequences) + 1, np.int64)
    asked = schema.steps[0] if schema.form == "text" else name
    if schema.form == "text":
        sequences = [part if len(part) else "" for part in sequences]
    _, columns, offsets = unfold(from_values(sequences, location), asked, location, csv=False)
    missing = [part for part in schema.step_columns if part not in columns]
    if missing:
        raise SchemaError("prefix", f"steps with {', '.join(missing)}", f"steps with {', '.join(columns)}")
    locations = dict.fromkeys(columns, location)
    steps = {
        field.name: join_columns(columns, field, locations)
        if isinstance(field, (Flags, Joint))
        else coerce(columns[field.name], field, location)
        for field in (*schema.steps, *schema.derived.values())
    }
    examples = tokenize(schema, codec.steps, Examples({}, steps, offsets, {}, location="prefix"))
    wrong = broken_relations(schema, examples)
    if wrong:
        raise together(wrong, "prefix")
    return dict(examples.steps), examples.offsets


def is_prefix_per_row(prefix: Any, form: str) -> bool:
    """Whether a prefix is a list of sequences rather than one sequence, by how deep its lists are.

    A row of such a list may be `None`: it has no prefix.

    Examples:
        >>> [is_prefix_per_row(prefix, "list") for prefix in ([[], []], [None, [1, 2]], [1])]
        [True, True, False]
    """
    depth, item = 0, prefix
    while _is_list(item) and depth <= MAX_NESTING:
        depth += 1
        inner = [part for part in item if part is not None]
        if inner and all(_is_list(part) and not len(part) for part in inner):
            return True  # no step is an empty list
        inner = [part for part in inner if not hasattr(part, "__len__") or len(part)]
        item = inner[0] if inner else None
    return depth > {"text": 0, "vectors": 2}.get(form, 1)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))
