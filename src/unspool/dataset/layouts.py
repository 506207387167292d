"""The layouts: one row an example, one row a step, two tables; all become inputs and steps laid end to end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unspool.dataset.grouping import group, ids_of
from unspool.dataset.roles import Roles, columns_of, name_of
from unspool.errors import DataError, Location, SchemaError, listing
from unspool.schema.coercion import code_points, from_json
from unspool.schema.fields import Field, Flags, Form, Layout, Text
from unspool.schema.inference import refuse_absent
from unspool.tables.columns import (
    Column,
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
    """Examples before their columns have kinds.

    Args:
        inputs: (N,) columns.
        steps: (S,) columns, all sequences laid end to end.
        offsets: (N + 1,).
        form: how a sequence is shown.
        layout: where the sequences came from.
        source: what error messages call the data.
        ids: what tells the sequences apart, when rows don't.
        sequence: the sequence's name.
    """

    inputs: dict[str, Column]
    steps: dict[str, Column]
    offsets: np.ndarray
    form: Form
    layout: Layout
    source: str
    ids: list[Any] | None = None
    sequence: str = "sequence"

    def check(self) -> "RawExamples":
        """Refuse examples without any step."""
        if not self.offsets[-1]:
            raise DataError(
                self.source, "at least one sequence with a step", f"{len(self.offsets) - 1} empty sequences"
            )
        return self

    def cut_first(self, names: Sequence[str]) -> "RawExamples":
        """Turn the first record of each sequence into inputs.

        Raises:
            DataError: an empty sequence.
            SchemaError: a name that is no step field.
        """
        lengths = np.diff(self.offsets)
        unknown = [name for name in names if name not in self.steps]
        if unknown:
            expected = f"fields of the step: {listing(self.steps)}"
            raise SchemaError("First", expected, ", ".join(map(repr, unknown)))
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
    """One row an example: the sequence is in a cell, or in several cells as parallel lists.

    Raises:
        SchemaError: a column that isn't there, or holds no sequences.
        DataError: a missing sequence, or parallel lists of different lengths.
    """
    if not roles.sequence:
        hint = 'Pass sequence="column"; or id="column" if each row is one step.'
        raise SchemaError(table.location, "the column that holds the sequences", f"only {listing(table.columns)}", hint)
    asked_for = [part for asked in roles.sequence for part in (asked.members if isinstance(asked, Flags) else (asked,))]
    given, held = list(map(name_of, roles.inputs)), list(map(name_of, asked_for))
    table.need([*given, *held])
    if set(given) & set(held):
        hint = "To give the first value as the input, pass First()."
        raise SchemaError(table.location, "a column that is either the input or the sequence", repr(given), hint)
    steps: dict[str, Column] = {}
    offsets = np.zeros(0, np.int64)
    form: Form = "records"
    for asked in asked_for:
        name = name_of(asked)
        form, columns, bounds = unfold(
            table.columns[name], asked, Location(table.location, name), csv=table.kind in ("csv", "tsv")
        )
        if steps:
            _check_parallel(offsets, bounds, columns, Location(table.location, name))
            form = "records"
        offsets = bounds
        steps |= columns
    inputs = {name_of(asked): table.columns[name_of(asked)] for asked in roles.inputs}
    whole = held[0] if len(held) == 1 else "sequence"
    return RawExamples(inputs, steps, offsets, form, "rows", table.location, sequence=whole)


def _check_parallel(offsets: np.ndarray, other: np.ndarray, columns: dict[str, Column], location: Location) -> None:
    if set(columns) != {location.column}:
        raise SchemaError(location.whole, "a list of single values, next to other sequences", "records or vectors")
    uneven = np.diff(offsets) != np.diff(other)
    if uneven.any():
        row = int(np.argmax(uneven))
        raise DataError(
            location.at(row), f"{np.diff(offsets)[row]} steps, as in the other lists", str(np.diff(other)[row])
        )


def unfold(
    column: Column, asked: str | Field, location: Location, *, csv: bool
) -> tuple[Form, dict[str, Column], np.ndarray]:
    """A column of sequences as step columns laid end to end: (form, columns, offsets).

    Args:
        column: (N,) texts, lists, lists of lists or lists of records.
        asked: its name, or the field that overrides what would be inferred.
        location: where it is.
        csv: an empty cell, which CSV can't tell from a missing one, is an empty text.
    """
    refuse_absent(column, location)
    if not isinstance(asked, Text):
        column = from_json(column, location)
    missing = missing_mask(column)
    if missing.any() and not (csv and kind_of(column) == "text"):
        hint = "Drop the row, or write an empty list or text."
        raise DataError(location.at(int(np.argmax(missing))), "a sequence", "a missing one", hint)
    if isinstance(column, Record) or (isinstance(column, np.ndarray) and kind_of(column) != "text"):
        hint = 'If each row is one step, pass id="column".'
        found = kind_of(column) + (f" {column[0]!r}" if isinstance(column, np.ndarray) else "")
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
        return "vectors", _vectors(column, values, location), column.offsets
    return "list", {location.column: values}, column.offsets


def _vectors(column: Ragged, values: Ragged, location: Location) -> dict[str, Column]:
    width = int(values.lengths[0]) if len(values) else 0
    uneven = values.lengths != width
    if not isinstance(values.values, np.ndarray):
        found = "lists in lists in lists"
        raise DataError(
            location.whole, "lists of steps, each one value, a list of values or a record", found, "Flatten each step."
        )
    if uneven.any() or not width:
        step = int(np.argmax(uneven))
        at = Location(location.source, location.column, column.offsets).at(step)
        expected = f"{width or 'some'} single values, as in the first step"
        raise DataError(at, expected, str(values.lengths[step]), "Give every step the same.")
    return {f"{location.column}[{axis}]": values.values[axis::width] for axis in range(width)}


def from_long(table: Table, roles: Roles, key: str, order: str | None) -> RawExamples:
    """One row a step: rows that share an id are a sequence, and their inputs are all the same.

    Raises:
        SchemaError: a column that isn't there, or is of no use.
        DataError: a missing id; an order value that is missing or given twice; rows of one id apart from each
            other without an order; an input that differs within an id.
    """
    names, steps = _long_columns(table, roles, key, order)
    ids, rows, offsets = group(table, key, order)
    inputs: dict[str, Column] = {}
    for name in names:
        column = take(table.columns[name], rows)
        _check_constant(column, offsets, ids, Location(table.location, name), key)
        inputs[name] = take(column, offsets[:-1])
    sequences = {name: take(table.columns[name], rows) for name in steps}
    form: Form = "records" if len(steps) > 1 else "list"
    return RawExamples(inputs, sequences, offsets, form, "long", table.location, ids)


def from_two(inputs: Table, steps: Table, roles: Roles, key: str, order: str | None) -> RawExamples:
    """Two tables: one row an id with the inputs, one row a step; an id without steps has an empty sequence.

    Raises:
        DataError: an id twice among the inputs, or one that only the steps have; and as `from_long`.
    """
    inputs.need([key, *map(name_of, roles.inputs)])
    bare = Roles((), roles.first, roles.sequence, roles.inner)
    _, names = _long_columns(steps, bare, key, order)
    ids, rows, offsets = group(steps, key, order)
    wanted = to_list(ids_of(inputs, key))
    position = {value: row for row, value in enumerate(wanted)}
    if len(position) < len(wanted):
        row = next(row for row, value in enumerate(wanted) if position[value] != row)
        found = f"{wanted[row]!r} also in row {position[wanted[row]] + 1}"
        raise DataError(Location(inputs.location, key).at(row), "every id once", found, "Keep one row an id.")
    unknown = [value for value in ids if value not in position]
    if unknown:
        hint = "Add a row for it to the table of inputs, or drop its steps."
        raise DataError(
            Location(steps.location, key).whole,
            "ids that the table of inputs has",
            listing(map(repr, unknown), 5),
            hint,
        )
    found_at = {value: index for index, value in enumerate(ids)}
    lengths = np.diff(offsets)
    order_of = np.array([found_at.get(value, -1) for value in wanted], dtype=np.int64)
    new_lengths = np.where(order_of >= 0, lengths[order_of] if len(lengths) else 0, 0)
    kept = order_of[order_of >= 0]
    moved = rows[ragged_indices(offsets, kept)]
    sequences = {name: take(steps.columns[name], moved) for name in names}
    columns = {name_of(asked): inputs.columns[name_of(asked)] for asked in roles.inputs}
    form: Form = "records" if len(names) > 1 else "list"
    return RawExamples(columns, sequences, offsets_from_lengths(new_lengths), form, "long", steps.location, wanted)


def _long_columns(table: Table, roles: Roles, key: str, order: str | None) -> tuple[list[str], list[str]]:
    names = [name_of(asked) for asked in roles.inputs]
    if roles.sequence is None:
        taken = {*names, key, order}
        steps = [name for name in table.columns if name not in taken]
    else:
        steps = [name for asked in roles.sequence for name in columns_of(asked)]
    table.need([key, order, *names, *steps])
    for role, used in (("id", {key}), ("input", set(names))):
        both = sorted(used & set(steps))
        if both:
            hint = (
                f"To give the first value as the input, pass First({', '.join(map(repr, both))})."
                if role == "input"
                else ""
            )
            raise SchemaError(
                table.location, f"a column that is either the {role} or a step field", listing(map(repr, both)), hint
            )
    return names, steps


def _check_constant(column: Column, offsets: np.ndarray, ids: list[Any], location: Location, key: str) -> None:
    owner = np.repeat(offsets[:-1], np.diff(offsets))
    if isinstance(column, np.ndarray):
        gone = missing_mask(column)
        differs = (column != column[owner]) & ~(gone & gone[owner])
    else:
        values = to_list(column)
        differs = np.array([values[i] != values[j] for i, j in enumerate(owner.tolist())], dtype=bool)
    if differs.any():
        at = int(np.argmax(differs))
        sequence = int(np.searchsorted(offsets, at, side="right")) - 1
        one, two = (to_list(take(column, np.array([i])))[0] for i in (int(owner[at]), at))
        where = f"{location.source}: {key} {ids[sequence]!r}, column {location.column!r}"
        hint = f"Make it constant; or make it a step field; or pass First({location.column!r})."
        raise DataError(where, "one value in all rows of an id, because it is an input", f"{one!r} and {two!r}", hint)
