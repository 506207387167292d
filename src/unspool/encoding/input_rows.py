"""Rows of inputs as sequences of one step with one constant input, and back: one kind of model samples both.

| input field | step fields |
|---|---|
| Category, Flag | the same |
| Number, Count, When | Category where its values are few and each is frequent, else the same |
| Vector of D numbers | D of the line above |
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec
from unspool.encoding.columns import StepColumn
from unspool.encoding.fit import fit_codec
from unspool.errors import Location
from unspool.schema.coercion import coerce
from unspool.schema.fields import AnyField, Category, Number, Schema, Vector, When
from unspool.schema.inference import MAX_SYMBOLS, MIN_COUNT_PER_SYMBOL, complete_number, complete_when
from unspool.tables.columns import Column, Ragged, missing_mask, offsets_from_lengths

MAX_ROW_FIELDS = 32
"""Step fields that a row of inputs may have; wider rows have no model."""
NOTHING = "nothing"
"""Name and value of the constant input."""


def fit_rows(schema: Schema, examples: Examples) -> tuple[Codec, Examples] | None:
    """The inputs of examples as sequences of one step, with the codec fitted to them; None where they are too wide.

    Examples:
        >>> from unspool.dataset.gather import gather
        >>> codec, rows = fit_rows(*gather({"k": ["a", "b"], "x": [[1, 2], [2]]}, inputs="k", sequence="x"))
        >>> rows.steps["k"].tolist(), codec.decode(codec.encode(rows).steps, rows.offsets)["k"].tolist()
        (['a', 'b'], ['a', 'b'])
    """
    width = sum(examples.inputs[field.name].shape[1] if isinstance(field, Vector) else 1 for field in schema.inputs)
    if width > MAX_ROW_FIELDS:
        return None
    inputs = {NOTHING: np.full(len(examples), NOTHING, object)}
    offsets = np.arange(len(examples) + 1)
    fields: list[AnyField] = []
    steps: dict[str, np.ndarray] = {}
    for field, values in _parts(schema, examples.inputs):
        step_field, steps[field.name] = _as_step(field, values, offsets, examples.input_location(field.name))
        fields.append(step_field)
    rows = Examples(inputs, steps, offsets, starts=examples.starts, gap=examples.gap, location=examples.location)
    return fit_codec(Schema((Category(NOTHING),), tuple(fields), "records", sequence=NOTHING), rows), rows


def from_nothing(count: int) -> tuple[np.ndarray]:
    """The encoded constant input of `count` rows."""
    return (np.zeros(count, np.int32),)


def is_constant(codec: Codec) -> bool:
    """Whether all rows are the same, so that there is nothing to learn."""
    return all(column.num_symbols == 1 for column in codec.steps)


def as_inputs(codec: Codec, rows: Codec, columns: Mapping[str, np.ndarray]) -> dict[str, Column]:
    """Columns decoded by `rows`, the codec of the rows, as columns of a table of inputs: undoes `fit_rows`."""
    parts = iter(rows.step_columns())
    inputs: dict[str, Column] = {}
    for field, column in codec.input_columns():
        width = column.width if isinstance(field, Vector) else 1
        axes = [_as_input(field, fitted, columns[part.name]) for part, fitted in itertools.islice(parts, width)]
        inputs[field.name] = _joined(axes) if isinstance(field, Vector) else axes[0]
    return inputs


def _parts(schema: Schema, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[AnyField, np.ndarray]]:
    """Every input field, and every number of a vector as a field of its own, with its values."""
    taken = {field.name for field in schema.inputs}
    for field in schema.inputs:
        if not isinstance(field, Vector):
            yield field, inputs[field.name]
            continue
        for d, axis in enumerate(inputs[field.name].T):
            name = f"{field.name}[{d}]"
            while name in taken:
                name += "'"
            taken.add(name)
            yield Number(name), axis


def _as_step(
    field: AnyField, values: np.ndarray, offsets: np.ndarray, location: Location
) -> tuple[AnyField, np.ndarray]:
    """An input field as the field of a step, and its values in that field's form."""
    if isinstance(field, (Number, When)) and not _has_distribution(field) and _is_few(values):
        return Category(field.name), coerce(_plain(values), Category(field.name), location)
    if isinstance(field, Number):
        return complete_number(field, values.astype(np.float64), offsets, None), values
    if isinstance(field, When):
        return complete_when(msgspec.structs.replace(field, since=None), values, offsets, None), values
    return field, values


def _has_distribution(field: Number | When) -> bool:
    """Whether the user has specified how the field is distributed."""
    default: dict[str, Any] = {"since": None} if isinstance(field, When) else {"transform": "auto"}
    return msgspec.structs.replace(field, **default) != type(field)(field.name)


def _is_few(values: np.ndarray) -> bool:
    """Whether the distinct values are few and frequent, so that they can be symbols; or there is only one."""
    present = values[~missing_mask(values)]
    # A part of a long column shows quickly that there are too many.
    if len(np.unique(present[:10_000])) > MAX_SYMBOLS:
        return False
    distinct = len(np.unique(present))
    return distinct == 1 or (distinct <= MAX_SYMBOLS and len(present) >= MIN_COUNT_PER_SYMBOL * distinct)


def _plain(values: np.ndarray) -> np.ndarray:
    """Timestamps as microseconds, None where missing; numbers as they are."""
    if values.dtype.kind != "M":
        return values
    plain = values.astype("datetime64[us]").astype(np.int64).astype(object)
    plain[np.isnat(values)] = None
    return plain


def _as_input(field: AnyField, column: StepColumn, values: np.ndarray) -> np.ndarray:
    """The values of a step field in canonical form, see `unspool.tables.columns`; of one type for any sample."""
    if column.num_symbols is not None and column.types == ("int",):
        missing = missing_mask(values)
        whole = np.where(missing, 0, values).astype(np.int64)
        values = np.where(missing, np.nan, whole) if column.nullable else whole
        if isinstance(field, When):
            values = whole.astype("datetime64[us]")
            values[missing] = np.datetime64("NaT")
    if column.nullable and values.dtype.kind in "ib":
        return values.astype(np.float64 if values.dtype.kind == "i" else object)
    return values


def _joined(axes: list[np.ndarray]) -> Ragged:
    """Vectors from the values of every axis; a vector with a missing number is missing."""
    values = np.stack([axis.astype(np.float64) for axis in axes], 1)
    missing = np.any(np.isnan(values), 1)
    return Ragged(values[~missing].reshape(-1), offsets_from_lengths(np.where(missing, 0, len(axes))), missing)
