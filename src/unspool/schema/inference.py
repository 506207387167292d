"""What a column is, from its values. Every guess is printed by fit, and can be overridden by passing a field.

| role | values | field |
|---|---|---|
| input | text | Category; When if every one is an ISO 8601 date |
| input | true / false | Flag |
| input | whole numbers | Category if labels: 0 or 1 to at most 12, without gap, each seen 5 times; else Number |
| input | numbers | Number |
| input | dates | When |
| input | lists of numbers of one length | Vector |
| step | dates, ISO 8601 texts | When |
| step | text | Category (a string that is the whole sequence: Text) |
| step | true / false | Flag |
| step | whole numbers | Category if at most 20 values, each seen 5 times on average; else Number |
| step | numbers on a grid of decimals | Category if at most 10 values, each seen 5 times on average; else Number |
| step | other numbers | Number |
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from unspool.errors import DataError, Location, SchemaError
from unspool.schema.coercion import coerce, from_json, parse_timestamps
from unspool.schema.fields import (
    MONOTONE_TRANSFORMS,
    AnyField,
    Category,
    Count,
    Field,
    Flag,
    Flags,
    Joint,
    Number,
    Text,
    Vector,
    When,
)
from unspool.schema.grid import find_grid
from unspool.schema.monotone import as_number, time_unit
from unspool.schema.text_checks import refuse_text
from unspool.schema.transform_choice import input_transform, step_distribution, step_transform
from unspool.tables.columns import Column, Ragged, Record, is_whole, kind_of, missing_mask

MAX_LABELS = 12
"""Most distinct whole numbers that are taken for labels in an input: the months."""

MAX_SYMBOLS = 20
"""Most distinct numbers that are taken for symbols in a step."""

MAX_DECIMAL_SYMBOLS = 10
"""Most distinct numbers with decimals that are taken for symbols in a step: grades, half stars."""

MIN_COUNT_PER_SYMBOL = 5
"""Times that a number must be seen (a step: on average) to be taken for a symbol."""


def infer_input(column: Column, asked: Field | str, location: Location) -> tuple[AnyField, np.ndarray]:
    """The field of an input column, and its values in that field's form.

    Args:
        column: (N,) the raw values.
        asked: the column's name, or the field that overrides what would be inferred.
        location: where the column is.

    Raises:
        SchemaError: values that no input can have, or not the kind that was asked for.
        DataError: a column without any value, or with one only.
    """
    refuse_absent(column, location)
    column = from_json(column, location)
    field = _input_kind(column, asked, location) if isinstance(asked, str) else asked
    values = coerce(column, field, location)
    refuse_constant(values, location, role="input")
    if isinstance(field, Number) and field.transform == "auto":
        field = msgspec.structs.replace(field, transform=input_transform(values.astype(np.float64)))
    return field, values  # type: ignore[return-value]


def _input_kind(column: Column, name: str, location: Location) -> Field:
    if isinstance(column, Ragged):
        return Vector(name)
    if isinstance(column, Record):
        raise SchemaError(location.whole, "one value a row", "records", "Give each of their keys a column.")
    kind = kind_of(column)
    if kind == "text":
        if parse_timestamps(column[~missing_mask(column)]) is not None:
            return When(name)
        refuse_text(
            column, location, "Text can't be an input: drop the column, or turn it into few categories or a vector"
        )
        return Category(name)
    if kind == "truth value":
        return Flag(name)
    if kind == "date":
        return When(name)
    return Category(name) if is_whole(column) and is_label(column) else Number(name)


def is_label(column: np.ndarray) -> bool:
    """Whether whole numbers look like labels (a month, a class) rather than counts, years or measurements.

    Labels start at 0 or 1, leave no gap, are few, and none is rare: at least `MIN_COUNT_PER_SYMBOL` times, and at least
    a tenth of the average. The tail of a count is rare, and years don't start at 1.

    Examples:
        >>> is_label(np.repeat(np.arange(1, 13), 30)), is_label(np.repeat(np.arange(2010, 2019), 30))
        (True, False)
    """
    values, counts = np.unique(column[~missing_mask(column)], return_counts=True)
    gapless = values[0] in (0, 1) and values[-1] - values[0] == len(values) - 1
    return bool(
        len(values) <= MAX_LABELS and gapless and counts.min() >= max(MIN_COUNT_PER_SYMBOL, 0.1 * counts.mean())
    )


def infer_steps(
    columns: Mapping[str, Column],
    offsets: np.ndarray,
    asked: Mapping[str, Field],
    first: Mapping[str, np.ndarray],
    locations: Mapping[str, Location],
) -> tuple[tuple[AnyField, ...], dict[str, np.ndarray]]:
    """The fields of a step, and their values in those fields' forms.

    Args:
        columns: (S,) raw values, all sequences laid end to end.
        offsets: (N + 1,).
        asked: fields that override what would be inferred, by name.
        first: (N,) the values before step 0, where they are known.
        locations: where each column is.

    Raises:
        SchemaError: values that no step can have, or not the kind that was asked for.
        DataError: a column without any value, or with one only.
    """
    fields: list[AnyField] = []
    values: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        location = locations[name]
        block = asked.get(name)
        if isinstance(block, (Flags, Joint)) and isinstance(column, np.ndarray):  # grouped already
            fields.append(block)
            values[name] = column
            continue
        refuse_absent(column, location)
        field: Field = asked[name] if name in asked else infer_step_kind(column, name, location)
        values[name] = coerce(column, field, location)
        refuse_constant(values[name], location)
        if isinstance(field, Number):
            field = complete_number(field, values[name].astype(np.float64), offsets, first.get(name))
        if isinstance(field, When):
            field = complete_when(field, values[name], offsets, first.get(name))
        fields.append(field)  # type: ignore[arg-type]
    return tuple(fields), values


def complete_number(field: Number, values: np.ndarray, offsets: np.ndarray, first: np.ndarray | None) -> Number:
    """The field with transform and distribution by the shape of its values, where it leaves them open."""
    transform, dist = field.transform, field.distribution
    if transform == "auto" and field.bounds in ("auto", None):
        transform = step_transform(values, offsets, first)
    elif transform == "auto":
        transform = input_transform(values) if isinstance(field, Count) else step_transform(values, offsets, first)
        transform = input_transform(values) if transform in MONOTONE_TRANSFORMS else transform
    elif transform in MONOTONE_TRANSFORMS and field.bounds not in ("auto", None) and field.bounds != (0.0, None):
        never = "fall" if transform == "increment" else "rise"
        location = f"{field.kind}({field.name!r}, transform={transform!r}, bounds=...)"
        raise SchemaError(
            location, f"no bounds, since a {transform} is one in itself: values never {never}", repr(field.bounds)
        )
    if dist == "auto":
        dist = step_distribution(values, offsets, first, transform)
    return msgspec.structs.replace(field, transform=transform, distribution=dist)


def complete_when(field: When, values: np.ndarray, offsets: np.ndarray, first: np.ndarray | None) -> When:
    """The field with a distribution by the shape of the times between its values, where it leaves that open."""
    if field.distribution != "auto":
        return field
    unit = time_unit(as_number(values))
    base = None if first is None else first / unit
    return msgspec.structs.replace(
        field, distribution=step_distribution(as_number(values) / unit, offsets, base, "increment")
    )


def infer_step_kind(column: Column, name: str, location: Location) -> Field:
    """The field of a step column, from its values.

    Raises:
        SchemaError: values that no step can have.
    """
    if isinstance(column, (Ragged, Record)):
        found = "lists" if isinstance(column, Ragged) else "records"
        raise SchemaError(location.whole, "one value a step", found, "Give each of their items a column.")
    if column.dtype == np.uint32:
        return Text(name)
    kind = kind_of(column)
    if kind == "date" or (kind == "text" and parse_timestamps(column[~missing_mask(column)]) is not None):
        return When(name)
    if kind == "truth value":
        return Flag(name)
    if kind == "text":
        decimal = any("." in text for text in column[:1000] if text)  # whole numbers as text are token ids
        hint = "Text can't be one field of a step: drop the column, or make it the whole sequence"
        refuse_text(column, location, hint, numbers=decimal)
        return Category(name)
    present = column[~missing_mask(column)]
    if not is_whole(column) and find_grid(present.astype(np.float64)) is None:
        return Number(name)
    most = MAX_SYMBOLS if is_whole(column) else MAX_DECIMAL_SYMBOLS
    # Counting first the values of a part is quick for the long columns of measurements.
    few = len(np.unique(present[:10_000])) <= most and len(np.unique(present)) <= most
    return Category(name) if few and len(present) >= MIN_COUNT_PER_SYMBOL * len(np.unique(present)) else Number(name)


def refuse_absent(column: Column, location: Location) -> None:
    """Refuse a column without any value."""
    if len(column) and missing_mask(column).all():
        raise DataError(location.whole, "at least one value", f"{len(column)} missing values", "Drop the column.")


def refuse_constant(values: np.ndarray, location: Location, *, role: Literal["input", "step"] = "step") -> None:
    """Refuse a column whose values are all the same; being missing counts as a value. A single input may be."""
    if len(values) < (2 if role == "input" else 1):
        return
    gone = missing_mask(values) if values.ndim == 1 else np.isnan(values)
    same = (values == values[0]) | (gone & gone[0])
    if bool(np.all(same)) and not (bool(np.any(gone)) and not bool(np.all(gone == gone[0]))):
        shown = chr(values[0]) if values.dtype == np.uint32 else values[:1].tolist()[0]
        hint = (
            "Drop it from the inputs: it can't tell sequences apart."
            if role == "input"
            else "Drop it: there is nothing to learn."
        )
        raise DataError(location.whole, "at least two different values", f"only {shown!r}", hint)
