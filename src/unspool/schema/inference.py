"""The field of a column, inferred from its values. A fit prints it, and a field that the user passes overrides it.

| role | values | field |
|---|---|---|
| input | text | Category; When if every one is a date or month; Number if all of many are, with decimals |
| input | true / false | Flag |
| input | whole numbers | Category if consecutive labels from 0 or 1, at most 12, each seen 5 times; else Number |
| input | numbers | Angle if its name is one's and the values fill a turn, see `unspool.schema.angles`; else Number |
| input | dates | When |
| input | lists of numbers of one length | Vector |
| step | dates, texts of dates or months | When |
| step | text | Category (a string that is the whole sequence: Text) |
| step | true / false | Flag |
| step | whole numbers | Category if at most 20 values, each seen 5 times on average; else Number |
| step | numbers on a grid of decimals | Category if at most 10 values, each seen 5 times on average; else Number |
| step | at most 100 numbers, each always followed by the same one, not by equal steps | Category |
| step | at most 100 numbers that a category of the step decides | Category |
| step | other numbers | Number |
| step | numbers that fill a turn of 360 and cross its end by small steps | Angle, see `unspool.schema.angles` |
"""

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from unspool.errors import DataError, Location, SchemaError
from unspool.schema.angles import is_angle
from unspool.schema.chains import (
    are_codes,
    decided_columns,
    decided_next,
    deciders,
    deciding_first,
    few_numbers,
    is_chain,
)
from unspool.schema.coercion import NO_DATE, coerce, from_json, timestamps_or_none
from unspool.schema.derivation import carried_on, change_of, distance, is_relative, rises_from_zero
from unspool.schema.fields import (
    MONOTONE_TRANSFORMS,
    NO_INPUT,
    Angle,
    AnyField,
    Category,
    Count,
    Field,
    Flag,
    Group,
    Number,
    Text,
    Vector,
    When,
)
from unspool.schema.grid import find_grid, is_too_fine
from unspool.schema.monotone import as_number, increments, time_axis, time_unit, to_units
from unspool.schema.relation_search import keep_relations
from unspool.schema.relations import AnyRelation
from unspool.schema.text_checks import are_decimals, numeric_texts, refuse_text
from unspool.schema.transform_choice import input_transform, step_distribution, step_transform
from unspool.tables.columns import Column, Ragged, Record, is_whole, kind_of, missing_mask, take, to_list

MAX_LABELS = 12
"""Most distinct whole numbers that are labels in an input: the months."""
MIN_SENTINELS, MIN_SENTINEL_DISTANCE = 5, 10
"""Fewest dates that stand for none, and fewest different other ones; how far they are apart, in ranges of these."""
MAX_SYMBOLS, MAX_DECIMAL_SYMBOLS = 20, 10
"""Most distinct numbers that are categories in a step: whole ones, and ones with decimals such as grades."""
MIN_COUNT_PER_SYMBOL = 5
"""Fewest occurrences of a number (in a step: on average) that is a category."""


def infer_input(column: Column, asked: Field | str, location: Location) -> tuple[AnyField, np.ndarray]:
    """The field of an input column of (N,) raw values, and its values in that field's form.

    `asked` is the column's name, or the field that overrides the inferred one. For errors see `infer_steps`.
    """
    refuse_absent(column, location)
    column = from_json(column, location)
    field = _input_kind(column, asked, location) if isinstance(asked, str) else asked
    values = coerce(column, field, location)
    if isinstance(asked, str) and isinstance(field, Number) and is_angle(values.astype(np.float64), asked):
        field = Angle(asked)
    if isinstance(field, When):
        field, values = with_sentinel(field, values)
    if isinstance(field, Number) and field.transform == "auto":
        field = msgspec.structs.replace(field, transform=input_transform(values.astype(np.float64)))
    return field, values  # type: ignore[return-value]


def _input_kind(column: Column, name: str, location: Location) -> Field:
    if isinstance(column, Ragged):
        return Vector(name)
    if isinstance(column, Record):
        raise SchemaError(location.whole, "one value a row", "records", "Give each of their keys a column.")
    if timestamps_or_none(column) is not None:
        return When(name)
    kind = kind_of(column)
    if kind == "text":
        if are_decimals(column):
            return Number(name)
        hint = "Text can't be an input: drop the column, or turn it into few categories or a vector"
        refuse_text(column, location, hint)
        return Category(name)
    if kind == "truth value":
        return Flag(name)
    return Category(name) if is_whole(column) and _is_label(column) else Number(name)


def _is_label(column: np.ndarray) -> bool:
    """Whether whole numbers are labels (a month, a class) rather than counts, years or measurements.

    Labels are few consecutive numbers from 0 or 1, and none is rare: the tail of a count is rare, and years don't start
    at 1.
    """
    values, counts = np.unique(column[~missing_mask(column)], return_counts=True)
    consecutive = values[0] in (0, 1) and values[-1] - values[0] == len(values) - 1
    frequent = counts.min() >= max(MIN_COUNT_PER_SYMBOL, 0.1 * counts.mean())
    return bool(len(values) <= MAX_LABELS and consecutive and frequent)


class StepFields(NamedTuple):
    """The inferred fields of a step.

    Attributes:
        fields: those that are learned, in the order in which they are sampled.
        values: (S,) of every column, those that are not learned among them, in its field's form.
        relations: between the columns.
        columns: all of them in the order of the table, if that of the fields is another one.
        decided: see `unspool.schema.chains.decided_columns`.
    """

    fields: tuple[AnyField, ...]
    values: dict[str, np.ndarray]
    relations: tuple[AnyRelation, ...]
    columns: tuple[str, ...]
    decided: str = ""


def infer_steps(
    columns: Mapping[str, Column],
    offsets: np.ndarray,
    asked: Mapping[str, Field],
    first: Mapping[str, np.ndarray],
    locations: Mapping[str, Location],
    relations: Any = None,
) -> StepFields:
    """The fields of a step, their values in those fields' forms, and the relations between them.

    Args:
        columns: (S,) raw values.
        offsets: (N + 1,).
        asked: fields that override the inferred ones.
        first: (N,) the values before step 0, where they are known.
        locations: those of the columns.
        relations: see `OneToMany(relations=...)`.

    Raises:
        SchemaError: values that no step can have, or of another kind than `asked`.
        DataError: a column without values.
        OptionError: relations that don't hold.
    """
    kinds: dict[str, AnyField] = {}
    values: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        location, field = locations[name], asked.get(name)
        if isinstance(field, Group) and isinstance(column, np.ndarray):  # joined already
            values[name] = column
        else:
            refuse_absent(column, location)
            field = field or infer_step_kind(column, name, location)
            values[name] = coerce(column, field, location)
            if name not in asked and isinstance(field, Number) and is_angle(values[name].astype(float), name, offsets):
                field = Angle(name)
            if name not in asked and isinstance(field, Number):
                numbers = values[name].astype(float)
                if is_chain(numbers, offsets) or are_codes(numbers, offsets):
                    field = Category(name)
                    values[name] = coerce(column, field, location)
            if isinstance(field, When):
                field, values[name] = with_sentinel(field, values[name])
        kinds[name] = field  # type: ignore[assignment]
    codes = _category_codes(kinds, values)
    codes |= _decided_numbers({name: kinds[name] for name in kinds if name not in asked}, values, codes)
    for name in [name for name in codes if isinstance(kinds[name], Number)]:
        kinds[name] = Category(name)
        values[name] = coerce(columns[name], kinds[name], locations[name])
    fixed = [name for name, field in asked.items() if name in kinds and _is_decided(field)]
    fields, kept = keep_relations(kinds, values, offsets, fixed, relations)
    kept_codes = {name: codes[name] for name in fields if name in codes and not isinstance(fields[name], Number)}
    fields = {name: fields[name] for name in decided_next(deciding_first(fields, kept_codes), kept_codes)}
    decided = decided_columns({name: kept_codes[name] for name in fields if name in kept_codes}, offsets)
    learned = tuple(complete_field(field, values, offsets, first.get(field.carried)) for field in fields.values())
    table, sampled = (tuple(name for field in of for name in field.columns) for of in (kinds.values(), learned))
    return StepFields(learned, values, kept, table if table != sampled else (), decided)


def _category_codes(kinds: Mapping[str, AnyField], values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By name of the categories and flags beside other columns, (S,) which of its values each value is."""
    codes = {}
    for name, field in kinds.items():
        if isinstance(field, (Category, Flag)) and len(kinds) > 1:
            column, known = values[name], dict[Any, int]()
            if column.dtype.kind == "O":
                codes[name] = np.array([known.setdefault(value, len(known)) for value in column.tolist()], np.int64)
            else:
                codes[name] = np.unique(column, return_inverse=True)[1]
    return codes


def _decided_numbers(
    kinds: Mapping[str, AnyField], values: Mapping[str, np.ndarray], codes: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """By name of the numbers that are few and that a category of the step decides, (S,) which of them each is."""
    some = (name for name, field in kinds.items() if isinstance(field, Number)) if codes else ()
    parts = {name: few_numbers(values[name].astype(np.float64)) for name in some}
    few = {name: part[1] for name, part in parts.items() if part is not None}
    return {name: part for name, part in few.items() if deciders(part, list(codes.values())) is not None}


def with_sentinel(field: When, dates: np.ndarray) -> tuple[When, np.ndarray]:
    """The field and its dates, if one of them stands for none: those are missing then.

    A sentinel is the first or the last date, at least 5 times, ten times farther from the others than these are apart;
    there are at least 5 different ones.

    Examples:
        >>> dates = np.array([*(f"2026-01-0{day}" for day in range(1, 6)), *["9999-12-31"] * 5], "datetime64[us]")
        >>> field, dates = with_sentinel(When("end"), dates)
        >>> field.sentinel, int(np.isnat(dates).sum())
        ('9999-12-31', 5)
    """
    if field.sentinel is not None or np.isnat(dates).any():
        return field, dates
    known, counts = np.unique(dates, return_counts=True)
    for at, others in ((-1, known[:-1]), (0, known[1:])):
        if min(len(others), counts[at]) < MIN_SENTINELS:
            continue
        near = others[at]
        if abs(known[at] - near) > MIN_SENTINEL_DISTANCE * (others[-1] - others[0]):
            text = str(known[at])
            text = text[:10] if text.endswith("T00:00:00.000000") else text
            return msgspec.structs.replace(field, sentinel=text), np.where(dates == known[at], NO_DATE, dates)
    return field, dates


def _is_decided(field: Field) -> bool:
    """Whether the user gave more of a field than its name and kind."""
    return field != type(field)(field.name) if not isinstance(field, Group) else True


def complete_field(
    field: AnyField, values: Mapping[str, np.ndarray], offsets: np.ndarray, first: np.ndarray | None
) -> AnyField:
    """The field with all that was left open decided by its values, or by their distances from its references."""
    own = values[field.name]
    if isinstance(field, (Number, When)) and field.references:
        sign, references = field.side, field.references
        y, others = as_number(own), [as_number(values[name]) for name in references]
        if isinstance(field, When):
            unit = time_unit(y)
            y, others = y / unit, [other / unit for other in others]
        if field.signs:
            if field.is_change:
                from_zero = rises_from_zero(y, others, field.signs, offsets)
                z = y - change_of(others, field.signs, offsets, first, from_zero=from_zero)
            else:
                z = y - carried_on(y, others, field.signs, offsets, first)
            transform = input_transform(z[offsets[:-1][np.diff(offsets) > 0]])  # the first ones, which alone are free
        else:
            z = distance(y, others, sign, relative=isinstance(field, Number) and is_relative(y, others, sign))
            transform = input_transform(z)
        if isinstance(field, Number):
            transform = transform if field.transform == "auto" else field.transform
            field = msgspec.structs.replace(field, transform=transform)
        if field.distribution == "auto":
            field = msgspec.structs.replace(field, distribution=step_distribution(z, offsets, None, transform))
        return field
    if isinstance(field, Number):
        return complete_number(field, own.astype(np.float64), offsets, first)
    return complete_when(field, own, offsets, first) if isinstance(field, When) else field


def complete_number(field: Number, values: np.ndarray, offsets: np.ndarray, first: np.ndarray | None) -> Number:
    """The field with its open transform and distribution decided by (S,) values; see `infer_steps`."""
    transform, dist = field.transform, field.distribution
    bounded = field.bounds not in ("auto", None)
    if transform == "auto":
        plain = bounded and isinstance(field, Count)
        transform = input_transform(values) if plain else step_transform(values, offsets, first)
        if bounded and transform in MONOTONE_TRANSFORMS:
            transform = input_transform(values)
    elif transform in MONOTONE_TRANSFORMS and bounded and field.bounds != (0.0, None):
        never = "fall" if transform == "increment" else "rise"
        location = f"{field.kind}({field.name!r}, transform={transform!r}, bounds=...)"
        expected = f"no bounds, since a {transform} is one in itself: values never {never}"
        raise SchemaError(location, expected, repr(field.bounds))
    if isinstance(field, Count) and dist == "discretized" and is_too_fine(values[~np.isnan(values)], 1.0):
        dist = "auto"  # counts in millions have no masses that float32 holds; they stay whole numbers
    if dist == "auto":
        dist = step_distribution(values, offsets, first, transform)
    return msgspec.structs.replace(field, transform=transform, distribution=dist)


def complete_when(field: When, values: np.ndarray, offsets: np.ndarray, first: np.ndarray | None) -> When:
    """The field with its open distribution decided by the times between (S,) values; see `infer_steps`."""
    if field.distribution != "auto":
        return field
    times = as_number(values)
    unit, months = time_axis(times, first if field.since is None else None)
    y, base = to_units(times, unit, months), None if first is None else to_units(first, unit, months)
    steps, _, _ = increments(y, offsets, base)
    gaps = steps[~np.isnan(steps)]
    if len(gaps):
        dist = step_distribution(gaps, np.array([0, len(gaps)]), None, "none")
    else:
        dist = step_distribution(y, offsets, base, "increment")
    return msgspec.structs.replace(field, distribution=dist)


def infer_step_kind(column: Column, name: str, location: Location) -> Field:
    """The field of a step column of (S,) raw values; a `SchemaError` refuses values that no step can have."""
    if isinstance(column, (Ragged, Record)):
        found = "lists" if isinstance(column, Ragged) else "records"
        raise SchemaError(location.whole, "one value a step", found, "Give each of their items a column.")
    if column.dtype == np.uint32:
        return Text(name)
    if has_one_value(column) and kind_of(column) != "truth value":
        return Category(name)
    if timestamps_or_none(column) is not None:
        return When(name)
    kind = kind_of(column)
    if kind == "truth value":
        return Flag(name)
    if kind == "text":
        if are_decimals(column):
            return Number(name)
        decimals = any("." in text for text in column[:1000] if text)  # whole numbers as text are token ids
        hint = "Text can't be one field of a step: drop the column, or make it the whole sequence"
        refuse_text(column, location, hint, numbers=decimals)
        return Category(name)
    present = column[~missing_mask(column)]
    if not is_whole(column) and find_grid(present.astype(np.float64)) is None:
        return Number(name)
    most = MAX_SYMBOLS if is_whole(column) else MAX_DECIMAL_SYMBOLS
    # Counting the values of a part first is quick for long columns of measurements.
    few = len(np.unique(present[:10_000])) <= most and len(np.unique(present)) <= most
    return Category(name) if few and len(present) >= MIN_COUNT_PER_SYMBOL * len(np.unique(present)) else Number(name)


def refuse_absent(column: Column, location: Location) -> None:
    """Refuse a column without values."""
    if len(column) and missing_mask(column).all():
        raise DataError(location.whole, "at least one value", f"{len(column)} missing values", "Drop the column.")


def require_present(column: Column, location: Location, expected: str, hint: str) -> None:
    """Refuse a column with a missing value."""
    missing = missing_mask(column)
    if missing.any():
        raise DataError(location.at(int(np.argmax(missing))), expected, "a missing one", hint)


def has_one_value(column: Column) -> bool:
    """Whether a column has two values or more, which are all equal and none missing."""
    if isinstance(column, Record) or len(column) < 2 or missing_mask(column).any():
        return False
    if not isinstance(column, Ragged):
        return bool(np.all(column == column[0]))
    items, width = column.values, int(column.lengths[0])
    if not isinstance(items, np.ndarray) or not np.all(column.lengths == width):
        return False
    return bool(np.all(items.reshape(len(column), width) == items[:width]))


def column_notes(columns: Mapping[str, Column], categories: Container[str], source: str) -> list[str]:
    """Lines about raw columns that a fit prints: those that are always the same, and categories that may be numbers.

    Args:
        columns: by name; of text its code points.
        categories: names of inferred categories.
        source: the name of the data.
    """
    first = {name: take(column, np.zeros(1, np.int64)) for name, column in columns.items() if has_one_value(column)}
    first.pop(NO_INPUT, None)
    values = [to_list(part)[0] for part in first.values()]
    codes = [getattr(part, "dtype", None) == np.uint32 for part in first.values()]
    values = [chr(value) if is_code else value for value, is_code in zip(values, codes, strict=True)]
    shown = ", ".join(f"{name!r} ({value})" for name, value in zip(first, values, strict=True))
    notes = [f"{source}: always the same, and generated so: {shown}"] if first else []
    for name, column in columns.items():
        if name not in categories or not isinstance(column, np.ndarray) or column.dtype.kind != "O":
            continue
        line = numeric_texts(column) if kind_of(column) == "text" else ""
        notes += [f"{Location(source, name).whole}: {line}"] if line else []
    return notes
