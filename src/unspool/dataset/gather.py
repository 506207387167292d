"""Data of any layout as examples, with an inferred schema or with that of a fitted model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np

from unspool.dataset.examples import Examples, base_inputs
from unspool.dataset.groups import group_columns, join_columns, parse_combinations
from unspool.dataset.layouts import RawExamples, from_long, from_rows, from_two
from unspool.dataset.roles import Roles, columns_of, name_of, parse_roles, roles_of
from unspool.dataset.windows import Windows, overlapping_starts
from unspool.errors import Location, SchemaError, together
from unspool.schema.coercion import coerce, spelling_of_column, timestamps_or_none
from unspool.schema.fields import (
    NO_INPUT,
    Angle,
    AnyField,
    Category,
    Field,
    Group,
    Joint,
    Number,
    Schema,
    Text,
    When,
    column_name,
    derived_fields,
)
from unspool.schema.inference import column_notes, infer_input, infer_steps
from unspool.schema.monotone import as_number
from unspool.tables.columns import Origin
from unspool.tables.table import Table, read_table

_Arrays = dict[str, np.ndarray]


def gather(
    data: Any,
    steps: Any = None,
    *,
    inputs: Any = None,
    sequence: Any = None,
    id: str | None = None,  # noqa: A002
    order: str | None = None,
    combinations: Any = None,
    relations: Any = "auto",
) -> tuple[Schema, Examples]:
    """Read data in any layout, and infer their schema.

    Args:
        data: one row an example; or, with `id`, one row a step; or, with `steps`, the inputs; or `Windows`.
        steps: the table of steps, if the inputs have their own.
        inputs: columns, fields, or `First(...)`.
        sequence: the column that holds the sequences, or the columns of a step, as names or fields.
        id: the column that identifies sequences.
        order: the column that orders their steps.
        combinations: tuples of categories of a step that are one symbol, see `unspool.schema.fields.Joint`.
        relations: between columns of a step, see `unspool.schema.relations.parse_relations`.

    Raises:
        OptionError: combinations of another form, or of columns that are no categories of a step.
        SchemaError: columns that the data lack, or values that their role or kind can't have.
        DataError: data that Unspool can't read or learn from.

    Examples:
        >>> schema, examples = gather({"k": [1, 2], "x": [[1, 2, 3], [2, 4]]}, inputs="k", sequence="x")
        >>> examples.steps["x"].tolist(), examples.offsets.tolist()
        ([1, 2, 3, 2, 4], [0, 3, 5])
    """
    return gather_roles(data, find_roles(data, inputs, sequence, combinations, relations), steps, id=id, order=order)


def find_roles(data: Any, inputs: Any, sequence: Any, combinations: Any = None, relations: Any = "auto") -> Roles:
    """The roles of columns that the user gives, or those of windows; see `gather`."""
    if isinstance(data, Windows):
        _check_windows(data, inputs, sequence)
    roles = data.roles if isinstance(data, Windows) else parse_roles(inputs, sequence)
    return replace(roles, combinations=parse_combinations(combinations), relations=relations)


def gather_roles(
    data: Any,
    roles: Roles,
    steps: Any = None,
    *,
    id: str | None = None,  # noqa: A002
    order: str | None = None,
) -> tuple[Schema, Examples]:
    """As `gather`, with the roles of the columns."""
    id, order = column_name(id), column_name(order)  # noqa: A001
    if isinstance(data, Windows):
        return _infer(data.raw, roles, windows=data)
    return _infer(_collect(data, steps, roles, id, order), roles, id, order)


def open_transforms(schema: Schema, roles: Roles) -> set[str]:
    """Names of the numbers of a step whose distribution and transform the user left open."""
    numbers = {item.name for item in schema.steps if isinstance(item, Number) and not item.references}
    decided = {
        name
        for name, asked in roles.overrides.items()
        if not (isinstance(asked, Number) and asked.distribution == asked.transform == "auto")
    }
    return numbers - decided


class FittedColumns(Protocol):
    """The part of a codec that reads data with its columns."""

    @property
    def schema(self) -> Schema:
        """The fields."""
        ...

    @property
    def strings(self) -> list[str]:
        """Columns that are text, even if a CSV file shows numbers or dates."""
        ...

    def misfits(self, examples: Examples) -> list[SchemaError]:
        """The errors about examples, of which some columns may be missing."""
        ...


@runtime_checkable
class HasExamples(Protocol):
    """Data that are no table, such as generated sequences."""

    def examples(self, codec: Any) -> Examples:
        """The data with the columns of a codec."""


def gather_fitted(fitted: FittedColumns, data: Any, steps: Any = None) -> Examples:
    """Read data that must have the columns of a codec, in the layout of its schema; arguments as of `gather`.

    Raises:
        SchemaError: lists every column that is missing or of another kind, and every value that no column can have.
        DataError: as `gather`.
    """
    schema = fitted.schema
    if isinstance(data, HasExamples):
        return data.examples(fitted)
    if isinstance(data, Windows):
        _same_columns(schema, data)
        return _as_schema(fitted, data.raw, data, [])
    if schema.layout == "long" and schema.id is None:
        expected = "windows, because the model was fitted to windows"
        raise SchemaError("data", expected, type(data).__name__, "See windows().")
    # Unspool must know which columns of a CSV file are text before it reads their names.
    table = read_table(data, strings=[*fitted.strings, *((schema.sequence,) if schema.layout == "rows" else ())])
    steps = None if steps is None else _read_steps(steps)
    available, lacking = _available(roles_of(schema, table.columns), schema, table, steps)
    wrong = [of.unknown(names) for of, names in lacking if names]
    raw = _collect(table, steps, available, schema.id, schema.order)
    if schema.first:
        raw = raw.cut_first([name for name in schema.first if name in raw.steps] if wrong else schema.first)
    reported = {name for _, names in lacking for name in names}
    inner = [name for name in schema.step_columns if name not in reported.union(raw.steps)]
    if inner:
        wrong.append(SchemaError(raw.source, f"steps with {', '.join(inner)}", f"steps with {', '.join(raw.steps)}"))
    return _as_schema(fitted, raw.check(), None, wrong)


def _available(
    roles: Roles, schema: Schema, table: Table, steps: Table | None
) -> tuple[Roles, list[tuple[Table, list[str]]]]:
    """The roles whose columns the tables have, and the names that each lacks; all roles if the rest can't be read."""
    home = table if steps is None else steps
    kept, lacking = [], []
    for items, of in ((roles.inputs, table), (roles.sequence or (), home)):
        kept.append(tuple(item for item in items if set(columns_of(item)) <= set(of.columns)))
        lacking.append((of, [name for item in items for name in columns_of(item) if name not in of.columns]))
    if not kept[1] or not len(home) or not {schema.id, schema.order} - {None} <= set(home.columns):
        return roles, []
    if home is table:
        lacking = [(table, lacking[0][1] + lacking[1][1])]
    return replace(roles, inputs=kept[0], sequence=kept[1]), lacking


def _read_steps(steps: Any) -> Table:
    return read_table(steps, None if isinstance(steps, str) else "the steps")


def _collect(data: Any, steps: Any, roles: Roles, key: str | None, order: str | None) -> RawExamples:
    """Read the tables of any layout."""
    if key is not None:
        table = read_table(data)
        return (
            from_long(table, roles, key, order)
            if steps is None
            else from_two(table, _read_steps(steps), roles, key, order)
        )
    if steps is not None:
        hint = 'Pass id="column"; inputs and sequences side by side are one table, {"input": ..., "sequence": ...}.'
        raise SchemaError("id", "the column that both tables share", "None", hint)
    if order is not None:
        raise SchemaError("id", "the column that identifies sequences, because an order is given", "None")
    return from_rows(read_table(data, strings=[name_of(asked) for asked in roles.sequence or ()]), roles)


def _infer(
    raw: RawExamples, roles: Roles, key: str | None = None, order: str | None = None, windows: Windows | None = None
) -> tuple[Schema, Examples]:
    """The schema of raw examples, and the examples with its fields."""
    before: tuple[str, ...] = windows.before if windows else ()
    asked: dict[str, str | Field] = {name_of(item): item for item in roles.inputs}
    asked |= {name: Category(name) for name, item in asked.items() if item == name and raw.is_categorical(name)}
    first = roles.first if roles.first is None else _members(roles.first or tuple(raw.steps), roles)
    if first is not None:
        before = tuple(map(name_of, first))
        raw = raw.cut_first(before)
    if not asked and first is None:
        raw, asked = _without_inputs(raw), {NO_INPUT: Category(NO_INPUT)}
    raw.check()
    unknown = sorted({name for item in roles.inner.values() for name in item.columns} - set(raw.steps))
    if unknown:
        raise SchemaError("sequence", f"fields of its records: {', '.join(raw.steps)}", ", ".join(unknown))
    known = {}
    for name in before:
        base = raw.inputs[name]
        if isinstance(base, np.ndarray):
            times = timestamps_or_none(base)
            if times is not None or base.dtype.kind in "if":
                known[name] = as_number(base if times is None else times)
    locations = {name: raw.location_of(name) for name in [*raw.steps, *roles.overrides]}
    categorical = {name: Category(name) for name in raw.steps if raw.is_categorical(name)}
    columns, overrides = group_columns(raw.steps, categorical | roles.overrides, locations)
    locations |= {name: raw.location_of(name) for name in overrides}
    found = infer_steps(columns, raw.offsets, overrides, known, locations, roles.relations)
    steps = found.values
    fields = _with_since(found.fields, steps, raw, known)
    if first is not None:
        kinds = {name: item for item in fields for name in item.columns} | derived_fields(fields, found.relations)
        asked |= {name_of(item): _like(kinds[name_of(item)], item) for item in first}
    input_fields: list[AnyField] = []
    inputs: _Arrays = {}
    for name, item in asked.items():
        given, inputs[name] = infer_input(raw.inputs[name], item, Location(raw.source, name, None, raw.ids))
        input_fields.append(given)
    names = (raw.form, raw.layout, key, order, before, raw.sequence)
    schema = Schema(tuple(input_fields), fields, *names, relations=found.relations, columns=found.columns)
    decided = {*roles.overrides, *(name_of(item) for item in roles.inputs if isinstance(item, Field)), NO_INPUT}
    categories = {item.name for item in (*input_fields, *fields) if isinstance(item, Category)} - decided
    notes = column_notes(raw.inputs | raw.steps, categories, raw.source)
    notes += [f"{raw.source}: {found.decided}"] if found.decided else []
    raw = replace(raw, origins=raw.origins | _dates(schema, raw), notes=(*raw.notes, *notes))
    examples = _examples(schema, raw, inputs, steps, windows)
    if windows is None and examples.starts is not None:
        overlap = "the sequences are windows that overlap, see windows(); held out are the last ones in time"
        examples = replace(examples, notes=(*examples.notes, f"{raw.source}: {overlap}"))
    return schema, examples


def _dates(schema: Schema, raw: RawExamples) -> dict[str, Origin]:
    """The origins of dates that are categories, and so text, and of dates that were the texts of months or quarters."""
    columns = raw.inputs | raw.steps
    found: dict[str, Origin] = {}
    for item in (*schema.inputs, *schema.steps):
        for name in item.columns:
            column, known = columns[name], raw.origins.get(name, Origin())
            if not isinstance(column, np.ndarray) or known.kind != "plain":
                continue
            if isinstance(item, (Category, Joint)) and column.dtype.kind == "M":
                found[name] = msgspec.structs.replace(known, kind="moment")
            if isinstance(item, When) and (spelling := spelling_of_column(column)) is not None:
                found[name] = msgspec.structs.replace(known, kind="spelled", detail=spelling.name)
    return found


def _without_inputs(raw: RawExamples) -> RawExamples:
    """The examples with the constant input of sequences alone."""
    return replace(raw, inputs=raw.inputs | {NO_INPUT: np.full(len(raw.offsets) - 1, NO_INPUT, object)})


def _members(first: tuple[str | Field, ...], roles: Roles) -> tuple[str | Field, ...]:
    """The fields of a first record, with the columns of a group in its place."""
    groups = {name: item.columns for name, item in roles.overrides.items() if isinstance(item, Group)}
    return tuple(part for item in first for part in groups.get(name_of(item), (item,)))


def _like(step: Field, asked: str | Field) -> str | Field:
    """The field of an input that is the first value of a step field: of the same kind, unless the user gave one."""
    if not isinstance(asked, str):
        return asked
    if isinstance(step, Number):
        return Number(asked)
    if isinstance(step, Angle):
        return Angle(asked, step.period)
    return Category(asked) if isinstance(step, (Category, Joint, Text)) else asked


def _as_schema(fitted: FittedColumns, raw: RawExamples, windows: Windows | None, wrong: list[SchemaError]) -> Examples:
    """Examples with the fields of a fitted schema; `wrong` are the errors so far."""
    inputs: _Arrays = {}
    steps: _Arrays = {}
    if fitted.schema.is_unconditional:
        raw = _without_inputs(raw)
    for item in fitted.schema.inputs:
        if item.name in raw.inputs:
            with _appended_to(wrong):
                location = Location(raw.source, item.name, None, raw.ids)
                inputs[item.name] = coerce(raw.inputs[item.name], item, location)
    locations = {name: raw.location_of(name) for name in raw.steps}
    for item in (*fitted.schema.steps, *fitted.schema.derived.values()):
        if set(item.columns) <= set(raw.steps):
            with _appended_to(wrong):
                steps[item.name] = (
                    join_columns(raw.steps, item, locations)
                    if isinstance(item, Group)
                    else coerce(raw.steps[item.name], item, locations[item.name])
                )
    examples = _examples(fitted.schema, raw, inputs, steps, windows)
    if wrong:
        raise together(wrong + fitted.misfits(examples), raw.source)
    return examples


@contextmanager
def _appended_to(errors: list[SchemaError]) -> Iterator[None]:
    """Append a `SchemaError` of the body to the errors."""
    try:
        yield
    except SchemaError as error:
        errors.append(error)


def _examples(schema: Schema, raw: RawExamples, inputs: _Arrays, steps: _Arrays, windows: Windows | None) -> Examples:
    first = {name: as_number(inputs[source]) for name, source in base_inputs(schema).items() if source in inputs}
    starts = windows.starts if windows else overlapping_starts(steps, raw.offsets) if steps else None
    gap = 0 if starts is None else int(raw.offsets[1])
    return Examples(
        inputs, steps, raw.offsets, first, starts, gap, raw.source, raw.ids, origins=raw.origins, notes=raw.notes
    )


def _with_since(
    fields: tuple[AnyField, ...], values: _Arrays, raw: RawExamples, first: _Arrays
) -> tuple[AnyField, ...]:
    """The fields of a step, of which dates name the nearest input date that their first value never precedes."""
    dates = {
        name: as_number(times)
        for name, column in raw.inputs.items()
        if isinstance(column, np.ndarray) and (times := timestamps_or_none(column)) is not None
    }
    completed = list(fields)
    starts = np.flatnonzero(np.diff(raw.offsets) > 0)
    for k, item in enumerate(fields):
        if not isinstance(item, When) or item.since or item.references or item.name in first:
            continue
        start = as_number(values[item.name])[raw.offsets[:-1][starts]]
        delays = {name: start - date[starts] for name, date in dates.items()}
        means = {name: float(np.mean(delay)) for name, delay in delays.items() if len(delay) and (delay >= 0).all()}
        if means:
            completed[k] = msgspec.structs.replace(item, since=min(means, key=means.__getitem__))
    return tuple(completed)


def _check_windows(data: Windows, inputs: Any, sequence: Any) -> None:
    """Refuse inputs and a sequence that contradict those of windows."""
    if inputs is None and sequence is None:
        return
    roles = parse_roles(inputs if inputs is not None else data.roles.inputs, sequence)
    given, own = ((list(map(name_of, of.inputs)), list(map(name_of, of.sequence or ()))) for of in (roles, data.roles))
    if given[0] != own[0] or (roles.sequence is not None and given[1] != own[1]):
        expected, found = f"the columns of the windows, {own[0]} and {own[1]}", f"{given[0]} and {given[1]}"
        raise SchemaError("inputs and sequence", expected, found, "Leave them out: windows bring their own.")


def _same_columns(schema: Schema, data: Windows) -> None:
    """Refuse windows without the columns of a schema."""
    lacking = []
    inputs = [field.name for field in schema.inputs]
    for role, needed, columns in (("input", inputs, data.raw.inputs), ("step", schema.step_columns, data.raw.steps)):
        names = [name for name in needed if name not in {*columns, NO_INPUT}]
        if names:
            lacking.append(f"the {role} columns {', '.join(names)}")
    if lacking:
        expected = " and ".join(lacking)
        found = f"only {', '.join([*data.raw.inputs, *data.raw.steps])}"
        raise SchemaError("windows", expected, found, "Cut them as those of the fit: windows(..., inputs=, sequence=).")
    if set(schema.first) != set(data.before):
        raise SchemaError("windows", f"values before the window of {schema.first}", f"of {data.before}", "See `at`.")
