"""The layouts of data: one row an example, one row a step, or two tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np

from unspool.dataset.grouping import group, ids_of
from unspool.dataset.roles import Roles, columns_of, name_of
from unspool.errors import DataError, Location, SchemaError, listing
from unspool.schema.coercion import code_points, from_json
from unspool.schema.fields import Field, Form, Group, Layout, Text
from unspool.schema.inference import refuse_absent, require_present
from unspool.schema.text_checks import are_numbers
from unspool.tables.columns import (
    Column,
    Origin,
    Ragged,
    Record,
    kind_of,
    missing_mask,
    offsets_from_lengths,
    ragged_indices,
    take,
    to_list,
)
from unspool.tables.table import Table


@dataclass(frozen=True, eq=False)
class RawExamples:
    """Examples whose columns have no fields yet.

    Args:
        inputs: (N,) columns.
        steps: (S,) columns.
        offsets: (N + 1,).
        form: the form of a sequence.
        layout: the layout of the data.
        source: the name of the data in error messages.
        ids: (N,) of the sequences, where rows don't identify them.
        sequence: the name of the sequence.
        origins: the types that went in, by column of the inputs and of the step.
        notes: lines about the data that a fit prints.
    """

    inputs: dict[str, Column]
    steps: dict[str, Column]
    offsets: np.ndarray
    form: Form
    layout: Layout
    source: str
    ids: list[Any] | None = None
    sequence: str = "sequence"
    origins: dict[str, Origin] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def check(self) -> "RawExamples":
        """Refuse examples without steps."""
        if not self.offsets[-1]:
            found = f"{len(self.offsets) - 1} empty sequences"
            raise DataError(self.source, "at least one sequence with a step", found)
        return self

    def location_of(self, name: str) -> Location:
        """The location of a step column."""
        return Location(self.source, name, self.offsets, self.ids)

    def is_categorical(self, name: str) -> bool:
        """Whether a column of numbers was a categorical."""
        column = self.steps.get(name, self.inputs.get(name))
        categories = self.origins.get(name, Origin()).categories
        return categories is not None and isinstance(column, np.ndarray) and column.dtype.kind in "if"

    def cut_first(self, names: Sequence[str]) -> "RawExamples":
        """Move the first record of each sequence, which must have one, to the inputs."""
        lengths = np.diff(self.offsets)
        unknown = [name for name in names if name not in self.steps]
        if unknown:
            raise SchemaError("First", f"fields of the step: {listing(self.steps)}", ", ".join(map(repr, unknown)))
        if not lengths.all():
            location = Location(self.source, self.sequence, None, self.ids).at(int(np.argmin(lengths)))
            raise DataError(location, "at least one record, which First takes", "an empty sequence", "Drop it.")
        starts = self.offsets[:-1]
        rest = np.ones(self.offsets[-1], bool)
        rest[starts] = False
        first = {name: take(self.steps[name], starts) for name in names}
        for name, column in first.items():
            if isinstance(column, np.ndarray) and column.dtype == np.uint32:
                first[name] = np.array([chr(code) for code in column], dtype=object)
        steps = {name: take(column, np.flatnonzero(rest)) for name, column in self.steps.items()}
        return replace(self, inputs=self.inputs | first, steps=steps, offsets=offsets_from_lengths(lengths - 1))


def from_rows(table: Table, roles: Roles) -> RawExamples:
    """Examples of one row each: the sequence is in a cell, or in several cells as lists of one length."""
    if not roles.sequence:
        left = [name for name in table.columns if name not in {*map(name_of, roles.inputs), *table.index}]
        roles = replace(roles, sequence=tuple(left) if len(left) == 1 else None)
    if not roles.sequence:
        hint = 'Pass sequence="column"; or id="column" if each row is one step.'
        raise SchemaError(table.location, "the column that holds the sequences", f"only {listing(table.columns)}", hint)
    parts = [part for asked in roles.sequence for part in (asked.members if isinstance(asked, Group) else (asked,))]
    given, names = list(map(name_of, roles.inputs)), list(map(name_of, parts))
    table.need([*given, *names])
    if set(given) & set(names):
        hint = "To give the first value as the input, pass First()."
        raise SchemaError(table.location, "a column that is either the input or the sequence", repr(given), hint)
    steps: dict[str, Column] = {}
    offsets = np.zeros(0, np.int64)
    origins = {name: table.origin(name) for name in given}
    form: Form = "records"
    csv = table.kind in ("csv", "tsv")
    for name, part in zip(names, parts, strict=True):
        form, columns, bounds = unfold(table.columns[name], part, table.location_of(name), csv=csv)
        if steps:
            _check_parallel(offsets, bounds, columns, table.location_of(name))
            form = "records"
        offsets = bounds
        steps |= columns
        unnamed = {column: msgspec.structs.replace(table.origin(name, column), integer=False) for column in columns}
        origins |= unnamed | {name: table.origin(name)}
    inputs = {name: table.columns[name] for name in given}
    sequence = names[0] if len(names) == 1 else "sequence"
    return RawExamples(inputs, steps, offsets, form, "rows", table.location, sequence=sequence, origins=origins)


def _check_parallel(offsets: np.ndarray, other: np.ndarray, columns: dict[str, Column], location: Location) -> None:
    if set(columns) != {location.column}:
        raise SchemaError(location.whole, "a list of single values, next to other sequences", "records or vectors")
    known, lengths = np.diff(offsets), np.diff(other)
    if not np.array_equal(known, lengths):
        row = int(np.argmax(known != lengths))
        raise DataError(location.at(row), f"{known[row]} steps, as in the other lists", str(lengths[row]))


def unfold(
    column: Column, asked: str | Field, location: Location, *, csv: bool
) -> tuple[Form, dict[str, Column], np.ndarray]:
    """The form of a column of sequences, its (S,) step columns, and (N + 1,) offsets.

    Args:
        column: (N,) texts, lists, lists of lists or lists of records.
        asked: its name, or the field that overrides the inferred one.
        location: the location of the column.
        csv: whether a missing text is an empty one, which CSV does not distinguish.
    """
    refuse_absent(column, location)
    if not isinstance(asked, Text):
        column = from_json(column, location)
    texts = column if isinstance(column, np.ndarray) and kind_of(column) == "text" else None
    if csv and texts is not None and isinstance(asked, str) and are_numbers(texts):
        hint = f'If each row is one step, pass id="column"; if its characters are the sequence, pass Text({asked!r}).'
        raise SchemaError(location.at(0), "a sequence: text, or a list as JSON", f"a number, {texts[0]}", hint)
    if not csv or texts is None:
        require_present(column, location, "a sequence", "Drop the row, or write an empty list or text.")
    if isinstance(column, Record) or (isinstance(column, np.ndarray) and kind_of(column) != "text"):
        hint = 'If each row is one step, pass id="column".'
        found = kind_of(column) + (f" {column[:1].tolist()[0]!r}" if isinstance(column, np.ndarray) else "")
        raise SchemaError(location.at(0), "a sequence: text, a list, or an array", found, hint)
    if isinstance(column, np.ndarray):
        if not isinstance(asked, (str, Text)):
            raise SchemaError(location.at(0), f"lists, for {asked.kind}", "text", f"Pass Text({location.column!r}).")
        lengths = np.array([len(text) if text else 0 for text in column.tolist()], dtype=np.int64)
        return "text", {location.column: code_points(column)}, offsets_from_lengths(lengths)
    values = column.values
    if isinstance(values, Record):
        return "records", dict(values.fields), column.offsets
    if isinstance(values, Ragged):
        return "vectors", _vectors(values, Location(location.source, location.column, column.offsets)), column.offsets
    return "list", {location.column: values}, column.offsets


def _vectors(values: Ragged, location: Location) -> dict[str, Column]:
    """The axes of steps that are lists of single values, equally long."""
    if not isinstance(values.values, np.ndarray):
        expected = "lists of steps, each one value, a list of values or a record"
        raise DataError(location.whole, expected, "lists in lists in lists", "Flatten each step.")
    width = int(values.lengths[0]) if len(values) else 0
    uneven = values.lengths != width
    if uneven.any() or not width:
        step = int(np.argmax(uneven))
        expected = f"{width or 'some'} single values, as in the first step"
        raise DataError(location.at(step), expected, str(values.lengths[step]), "Give every step the same.")
    return {f"{location.column}[{axis}]": values.values[axis::width] for axis in range(width)}


def from_long(table: Table, roles: Roles, key: str, order: str | None) -> RawExamples:
    """Examples whose steps are the rows of one id, in which each input has one value; see `group`."""
    names, steps = _long_columns(table, roles, key, order)
    ids, rows, offsets, notes = group(table, key, order)
    inputs: dict[str, Column] = {}
    for name in names:
        column = take(table.columns[name], rows)
        _check_constant(column, offsets, ids, table.location_of(name), key)
        inputs[name] = take(column, offsets[:-1])
    sequences = {name: take(table.columns[name], rows) for name in steps}
    form: Form = "records" if len(steps) > 1 else "list"
    origins = {name: table.origin(name) for name in [*names, *steps]}
    return RawExamples(inputs, sequences, offsets, form, "long", table.location, ids, origins=origins, notes=notes)


def from_two(inputs: Table, steps: Table, roles: Roles, key: str, order: str | None) -> RawExamples:
    """Examples of a table of inputs, one row an id, and a table of steps; an id without steps has an empty sequence."""
    inputs.need([key, *map(name_of, roles.inputs)])
    _, names = _long_columns(steps, replace(roles, inputs=()), key, order)
    step_ids, rows, offsets, notes = group(steps, key, order)
    ids = to_list(ids_of(inputs, key))
    last_row = {value: row for row, value in enumerate(ids)}
    if len(last_row) < len(ids):
        row = next(row for row, value in enumerate(ids) if last_row[value] != row)
        found = f"{ids[row]!r} also in row {last_row[ids[row]] + 1}"
        raise DataError(inputs.location_of(key).at(row), "every id once", found, "Keep one row an id.")
    unknown = [value for value in step_ids if value not in last_row]
    if unknown:
        found, hint = listing(map(repr, unknown), 5), "Add a row for it to the table of inputs, or drop its steps."
        raise DataError(steps.location_of(key).whole, "ids that the table of inputs has", found, hint)
    offsets = np.append(offsets, offsets[-1])  # ids without steps have this empty sequence
    index = {value: sequence for sequence, value in enumerate(step_ids)}
    order_of = np.array([index.get(value, len(step_ids)) for value in ids], dtype=np.int64)
    moved = rows[ragged_indices(offsets, order_of)]
    sequences = {name: take(steps.columns[name], moved) for name in names}
    columns = {name_of(asked): inputs.columns[name_of(asked)] for asked in roles.inputs}
    form: Form = "records" if len(names) > 1 else "list"
    offsets = offsets_from_lengths(np.diff(offsets)[order_of])
    origins = {name: inputs.origin(name) for name in columns} | {name: steps.origin(name) for name in names}
    return RawExamples(columns, sequences, offsets, form, "long", steps.location, ids, origins=origins, notes=notes)


def _long_columns(table: Table, roles: Roles, key: str, order: str | None) -> tuple[list[str], list[str]]:
    """The names of the inputs and of the step fields."""
    names = [name_of(asked) for asked in roles.inputs]
    if roles.sequence is None:
        steps = [name for name in table.columns if name not in {*names, key, order, *table.index}]
    else:
        steps = [name for asked in roles.sequence for name in columns_of(asked)]
    table.need([key, order, *names, *steps])
    if key in steps:
        raise SchemaError(table.location, "a column that is either the id or a step field", repr(key))
    both = sorted(set(names) & set(steps))
    if both:
        hint = f"To give the first value as the input, pass First({', '.join(map(repr, both))})."
        expected = "a column that is either the input or a step field"
        raise SchemaError(table.location, expected, listing(map(repr, both)), hint)
    return names, steps


def _check_constant(column: Column, offsets: np.ndarray, ids: list[Any], location: Location, key: str) -> None:
    """Refuse an input, (S,), that differs within an id."""
    first = np.repeat(offsets[:-1], np.diff(offsets))
    if isinstance(column, np.ndarray):
        missing = missing_mask(column)
        differs = (column != column[first]) & ~(missing & missing[first])
    else:
        values = to_list(column)
        differs = np.array([values[i] != values[j] for i, j in enumerate(first.tolist())], dtype=bool)
    if differs.any():
        at = int(np.argmax(differs))
        sequence = int(np.searchsorted(offsets, at, side="right")) - 1
        one, two = to_list(take(column, np.array([first[at], at])))
        where = f"{location.source}: {key} {ids[sequence]!r}, column {location.column!r}"
        name = location.column
        hint = (
            f"Make it constant; or make it a step field; or pass First({name!r}). If ids begin anew for each {name}, "
            f"pass an id column made of {name} and {key}."
        )
        raise DataError(where, "one value in all rows of an id, because it is an input", f"{one!r} and {two!r}", hint)
