"""Rows of inputs as sequences of one step with one constant input, and back: one kind of model samples both.

| input field | step fields |
|---|---|
| Category, Flag | the same |
| Number, Count, When | Category where its values are few and each is frequent, else the same |
| Vector of D numbers | D of the line above |
"""

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec, encode_step
from unspool.encoding.columns import Continuation, StepColumn
from unspool.encoding.fit import fit_codec
from unspool.errors import Location, SchemaError, listing
from unspool.schema.coercion import coerce
from unspool.schema.fields import AnyField, Category, Field, Number, Schema, Vector, When
from unspool.schema.inference import MAX_SYMBOLS, MIN_COUNT_PER_SYMBOL, complete_field
from unspool.schema.relation_search import keep_relations
from unspool.schema.relations import AUTO, Equal, derived_columns
from unspool.tables.columns import Column, Ragged, missing_mask, offsets_from_lengths

MAX_ROW_FIELDS = 32
"""Step fields that a row of inputs may have; wider rows have no model."""
NOTHING = "nothing"
"""Name and value of the constant input."""


def fit_rows(schema: Schema, examples: Examples, relations: Any = AUTO) -> tuple[Codec, Examples] | None:
    """The inputs of examples as sequences of one step, with the codec fitted to them; None where they are too wide.

    Unspool searches for relations between the inputs if `relations` asks for it, see `OneToMany`.

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
    kinds: dict[str, AnyField] = {}
    steps: dict[str, np.ndarray] = {}
    for field, values in _parts(schema, examples.inputs):
        kinds[field.name], steps[field.name] = _as_step(field, values, examples.input_location(field.name))
    fixed = [name for name, field in kinds.items() if isinstance(field, (Number, When)) and _has_distribution(field)]
    search = AUTO if relations is not None and AUTO in relations else None
    learned, kept = keep_relations(kinds, steps, offsets, fixed, search, near=True)
    fields = tuple(complete_field(field, steps, offsets, None) for field in learned.values())
    rows = Examples(inputs, steps, offsets, starts=examples.starts, gap=examples.gap, location=examples.location)
    names = Schema((Category(NOTHING),), fields, "records", sequence=NOTHING, relations=kept, columns=tuple(kinds))
    return fit_codec(names, rows), rows


def from_nothing(count: int) -> tuple[np.ndarray]:
    """The encoded constant input of `count` rows."""
    return (np.zeros(count, np.int32),)


def is_constant(codec: Codec) -> bool:
    """Whether all rows are the same, so that there is nothing to learn."""
    return all(column.num_symbols == 1 for column in codec.steps)


def as_inputs(codec: Codec, rows: Codec, columns: Mapping[str, np.ndarray]) -> dict[str, Column]:
    """Columns decoded by `rows`, the codec of the rows, as columns of a table of inputs: undoes `fit_rows`."""
    parts = iter(rows.schema.step_columns)
    fitted = {name: column for field, column in rows.step_columns() for name in field.columns}
    for name, relation in derived_columns(rows.schema.relations).items():
        fitted[name] = fitted[relation.columns[1]]
    inputs: dict[str, Column] = {}
    for field, column in codec.input_columns():
        width = column.width if isinstance(field, Vector) else 1
        axes = [_as_input(field, fitted[name], columns[name]) for name in itertools.islice(parts, width)]
        inputs[field.name] = _joined(axes) if isinstance(field, Vector) else axes[0]
    return inputs


class KnownRows(NamedTuple):
    """The known values of N rows of inputs.

    Attributes:
        values: per step field of the rows, (N,) as the network reads them; anything where they aren't known.
        where: which of them are known.
    """

    values: tuple[np.ndarray, ...]
    where: tuple[np.ndarray, ...]

    @classmethod
    def nothing(cls, rows: Codec) -> "KnownRows":
        """One row in which nothing is known."""
        values = (np.zeros(1, np.float64 if column.num_symbols is None else np.int32) for column in rows.steps)
        return cls(tuple(values), tuple(np.zeros(1, bool) for _ in rows.steps))


def known_rows(codec: Codec, rows: Codec, columns: Mapping[str, Column]) -> KnownRows:
    """The inputs of a table that lacks some of them, by name, in the form of the rows.

    A number whose values are symbols counts as the nearest of them. A value that the rows can't hold, such as a
    category that training never saw, says nothing about the others: it counts as unknown.

    Raises:
        SchemaError: a value that is drawn as a distance from inputs, or as their sum, and not these inputs.
    """
    names, N = iter(rows.schema.step_columns), len(next(iter(columns.values())))
    given: dict[str, np.ndarray] = {}
    numeric: set[str] = set()
    for field, column in codec.input_columns():
        width = column.width if isinstance(field, Vector) else 1
        own = list(itertools.islice(names, width))
        numeric |= set(own) if isinstance(field, (Number, When, Vector)) else set()
        if field.name in columns:
            found = coerce(columns[field.name], field, Location("inputs", field.name))
            axes = (
                found[None] if not isinstance(field, Vector) else found.T if found.size else np.full((width, N), np.nan)
            )
            given |= dict(zip(own, axes, strict=True))
    for name, relation in derived_columns(rows.schema.relations).items():
        if name in given and isinstance(relation, Equal):
            given.setdefault(relation.of, given[name])
        elif name in given:
            _need(name, relation.columns[1:], given, "the sum of")
    values, where = [], []
    for part, fitted in rows.step_columns():
        found, fits = np.zeros(N, np.int32 if fitted.num_symbols else np.float64), np.zeros(N, bool)
        if part.name in given:
            _need(part.name, part.references, given, "a distance from")
            known = {name: given[name] for name in (part.name, *part.references)}
            if isinstance(part, Category) and part.name in numeric:
                found, fits = _nearest_symbols(known[part.name], fitted)
            else:
                found, fits = _encode_each(part, fitted, known, N)
        values.append(found)
        where.append(fits)
    return KnownRows(tuple(values), tuple(where))


def _need(name: str, others: Collection[str], given: Collection[str], kind: str) -> None:
    """Refuse a value that is drawn after others, if these are not given."""
    lacking = [other for other in others if other not in given]
    if lacking:
        expected = f"{listing(map(repr, lacking))} too, because {name!r} is drawn as {kind} {listing(others)}"
        raise SchemaError(Location("inputs", name).whole, expected, "none", "Or fit with relations=None.")


def _nearest_symbols(values: np.ndarray, column: StepColumn) -> tuple[np.ndarray, np.ndarray]:
    """The symbols closest to (N,) numbers or timestamps, and which values have one; missing is closest to missing."""
    (known,), _ = column.decode(np.arange(column.num_symbols or 0), Continuation(np.zeros(1, np.int64)))
    numbers, symbols = (
        np.array([np.nan if value is None else value for value in part.tolist()], np.float64)
        for part in (_plain(values), known)
    )
    distance = np.where(np.isnan(symbols), np.inf, np.abs(numbers[:, None] - np.nan_to_num(symbols)))
    found, missing = distance.argmin(1), np.isnan(numbers)
    found[missing] = np.isnan(symbols).argmax()
    return found.astype(np.int32), ~missing | np.isnan(symbols).any()


def _encode_each(
    part: Field, column: StepColumn, values: Mapping[str, np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) values of a field as the network reads them, and which of them it can read; its references are beside."""
    examples = Examples({}, dict(values), np.arange(count + 1), location="inputs")
    try:
        encoded, _ = encode_step(part, column, examples)
    except SchemaError:
        if count > 1:
            halves = np.array_split(np.arange(count), 2)
            parts = [_encode_each(part, column, _rows(values, half), len(half)) for half in halves]
            return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        return np.zeros(1), np.zeros(1, bool)
    return encoded, encoded != column.num_symbols


def _rows(values: Mapping[str, np.ndarray], at: np.ndarray) -> dict[str, np.ndarray]:
    return {name: column[at] for name, column in values.items()}


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


def _as_step(field: AnyField, values: np.ndarray, location: Location) -> tuple[AnyField, np.ndarray]:
    """An input field as the field of a step, and its values in that field's form."""
    if isinstance(field, (Number, When)) and not _has_distribution(field) and _is_few(values):
        return Category(field.name), coerce(_plain(values), Category(field.name), location)
    return msgspec.structs.replace(field, since=None) if isinstance(field, When) else field, values


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
