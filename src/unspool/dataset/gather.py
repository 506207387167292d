"""Reading data of any layout as examples: with a schema that is inferred, or with that of a fitted model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy as np

from unspool.dataset.examples import Examples, base_inputs
from unspool.dataset.groups import group_columns, join_columns, parse_combinations
from unspool.dataset.layouts import RawExamples, from_long, from_rows, from_two
from unspool.dataset.roles import Roles, columns_of, name_of, parse_roles, roles_of
from unspool.dataset.windows import Windows
from unspool.errors import Location, SchemaError, together
from unspool.schema.coercion import coerce, timestamps_or_none
from unspool.schema.fields import AnyField, Category, Field, Flags, Joint, Number, Schema, Text, When
from unspool.schema.inference import infer_input, infer_steps
from unspool.schema.monotone import as_number
from unspool.tables.table import Table, read_table


def gather(
    data: Any,
    steps: Any = None,
    *,
    inputs: Any = None,
    sequence: Any = None,
    id: str | None = None,  # noqa: A002
    order: str | None = None,
    combinations: Any = None,
) -> tuple[Schema, Examples]:
    """Read data in any layout, infer its schema, and lay out its sequences: what `fit` starts with.

    Args:
        data: one row an example; or, with `id`, one row a step; or, with `steps`, the inputs; or `Windows`.
        steps: the table of steps, when the inputs have their own.
        inputs: columns, fields, or `First(...)`.
        sequence: the column that holds the sequences, or the columns of a step; fields override inference.
        id: the column that tells sequences apart.
        order: the column that orders their steps.
        combinations: tuples of categories of a step that are one symbol, see `unspool.schema.fields.Joint`.

    Raises:
        OptionError: combinations of another form, or of what are no categories of a step.
        SchemaError: columns that aren't there, or values that their role or kind can't have.
        DataError: data that can't be read or learned from; the message says where, and what to do.

    Examples:
        >>> schema, examples = gather({"k": [1, 2], "x": [[1, 2, 3], [2, 4]]}, inputs="k", sequence="x")
        >>> examples.steps["x"].tolist(), examples.offsets.tolist()
        ([1, 2, 3, 2, 4], [0, 3, 5])
    """
    roles = find_roles(data, inputs, sequence, combinations)
    return gather_roles(data, roles, steps, id=id, order=order)


def find_roles(data: Any, inputs: Any, sequence: Any, combinations: Any = None) -> Roles:
    """The roles that the user gives to columns, or that windows bring along; see `gather`."""
    if isinstance(data, Windows):
        _check_windows(data, inputs, sequence)
        roles = data.roles
    else:
        roles = parse_roles(inputs, sequence)
    return replace(roles, combinations=parse_combinations(combinations))


def gather_roles(
    data: Any,
    roles: Roles,
    steps: Any = None,
    *,
    id: str | None = None,  # noqa: A002
    order: str | None = None,
) -> tuple[Schema, Examples]:
    """As `gather`, with the roles of the columns."""
    if isinstance(data, Windows):
        return _infer(data.raw, roles, windows=data)
    return _infer(_collect(data, steps, roles, id, order, ()), roles, id=id, order=order)


def open_transforms(schema: Schema, roles: Roles) -> set[str]:
    """Names of the numbers of a step whose distribution and transform the user left to be chosen.

    Args:
        schema: what `gather_roles` made of the data.
        roles: what the user gave.
    """
    given = roles.overrides
    numbers = {item.name: given.get(item.name, item) for item in schema.steps if isinstance(item, Number)}
    return {
        name
        for name, asked in numbers.items()
        if name not in given or (isinstance(asked, Number) and asked.distribution == asked.transform == "auto")
    }


class FittedColumns(Protocol):
    """What a codec says of data that must have its columns."""

    @property
    def schema(self) -> Schema:
        """The fields."""
        ...

    @property
    def strings(self) -> list[str]:
        """Columns whose values are text, whatever they look like in a CSV file."""
        ...

    def misfits(self, examples: Examples) -> list[SchemaError]:
        """What is wrong with examples, of which some columns may be missing."""
        ...


def gather_fitted(fitted: FittedColumns, data: Any, steps: Any = None) -> Examples:
    """Read data that must have the columns of a codec, see `gather_as`.

    Raises:
        SchemaError: lists every column that is missing or of another kind, and every value that no column can have.
        DataError: as `gather`.
    """
    return gather_as(fitted.schema, data, steps, fitted.strings, fitted.misfits)


Check = Callable[[Examples], list[SchemaError]]
"""What else is wrong with examples, of which some columns may be missing."""


def gather_as(
    schema: Schema, data: Any, steps: Any = None, strings: Sequence[str] = (), check: Check = lambda examples: []
) -> Examples:
    """Read data that must have the columns of a fitted schema.

    Args:
        schema: the schema.
        data: as in `gather`, in the layout of the schema.
        steps: the table of steps, when the inputs have their own.
        strings: columns of a CSV file that are text, whatever they look like.
        check: what to ask, too, where something is wrong.

    Raises:
        SchemaError: lists every column that is missing or of another kind, and what `check` finds.
        DataError: as `gather`.
    """
    if isinstance(data, Windows):
        _same_columns(schema, data)
        return _as_schema(schema, data.raw, data, [], check)
    if schema.layout == "long" and schema.id is None:
        raise SchemaError(
            "data", "windows, because the model was fitted to windows", type(data).__name__, "See windows()."
        )
    # A CSV file's columns are unknown until it is read, and reading it needs to know which are text.
    table = read_table(data, strings=[*strings, *((schema.sequence,) if schema.layout == "rows" else ())])
    steps = None if steps is None else read_table(steps, "the steps" if not isinstance(steps, str) else None)
    roles = roles_of(schema, table.columns)
    kept, lost = _there(roles, schema, table, steps)
    wrong = [of.unknown(names) for of, names in lost if names]
    raw = _collect(table, steps, kept, schema.id, schema.order, strings)
    if schema.first:
        raw = raw.cut_first([name for name in schema.first if name in raw.steps] if wrong else schema.first)
    told = {name for _, names in lost for name in names}
    inner = [name for item in schema.steps for name in item.columns if name not in raw.steps and name not in told]
    if inner:
        wrong.append(SchemaError(raw.source, f"steps with {', '.join(inner)}", f"steps with {', '.join(raw.steps)}"))
    return _as_schema(schema, raw.check(), None, wrong, check)


def _there(
    roles: Roles, schema: Schema, table: Table, steps: Table | None
) -> tuple[Roles, list[tuple[Table, list[str]]]]:
    """What of a roles the tables can give, and what they lack; all of it where without that nothing can be read."""
    home = table if steps is None else steps
    has = lambda item, of: set(columns_of(item)) <= set(of.columns)  # noqa: E731
    inputs = tuple(item for item in roles.inputs if has(item, table))
    sequence = tuple(item for item in roles.sequence or () if has(item, home))
    lost = [(table, [name for item in roles.inputs for name in columns_of(item) if name not in table.columns])]
    lost += [(home, [name for item in roles.sequence or () for name in columns_of(item) if name not in home.columns])]
    if home is table:
        lost = [(table, [name for _, names in lost for name in names])]
    needed = {schema.id, schema.order} - {None}
    if not sequence or not len(home) or not needed <= set(home.columns):
        return roles, []
    return replace(roles, inputs=inputs, sequence=sequence), lost


def _collect(
    data: Any,
    steps: Any,
    roles: Roles,
    id: str | None,  # noqa: A002
    order: str | None,
    strings: Sequence[str],
) -> RawExamples:
    if steps is not None and id is None:
        raise SchemaError("id", "the column that both tables share", "None", 'Pass id="column".')
    if id is None and order is not None:
        raise SchemaError("id", "the column that tells sequences apart, because there is an order", "None")
    cells = [name_of(asked) for asked in roles.sequence or ()] if id is None else []
    table = read_table(data, strings=[*strings, *cells])
    if id is None:
        return from_rows(table, roles)
    if steps is None:
        return from_long(table, roles, id, order)
    return from_two(table, read_table(steps, "the steps" if not isinstance(steps, str) else None), roles, id, order)


def _infer(
    raw: RawExamples,
    roles: Roles,
    *,
    id: str | None = None,  # noqa: A002
    order: str | None = None,
    windows: Windows | None = None,
) -> tuple[Schema, Examples]:
    before: tuple[str, ...] = windows.before if windows else ()
    asked: dict[str, str | Field] = {name_of(item): item for item in roles.inputs}
    if roles.first is not None:
        chosen = roles.first or tuple(raw.steps)
        before = tuple(name_of(item) for item in chosen)
        raw = raw.cut_first(before)
    raw.check()
    inner = [name for item in roles.inner.values() for name in item.columns]
    unknown = sorted(set(inner) - set(raw.steps))
    if unknown:
        raise SchemaError("sequence", f"fields of its records: {', '.join(raw.steps)}", ", ".join(unknown))
    bases = {name: raw.inputs[name] for name in before}
    known = {name: as_number(base) for name, base in bases.items() if isinstance(base, np.ndarray) and _counts(base)}
    locations = {name: Location(raw.source, name, raw.offsets, raw.ids) for name in [*raw.steps, *roles.overrides]}
    columns, overrides = group_columns(raw.steps, roles.overrides, locations)
    locations |= {name: Location(raw.source, name, raw.offsets, raw.ids) for name in overrides}
    fields, steps = infer_steps(columns, raw.offsets, overrides, known, locations)
    nearest = _since(fields, steps, raw, known)
    fields = tuple(
        msgspec.structs.replace(item, since=nearest[item.name]) if item.name in nearest else item for item in fields
    )
    if roles.first is not None:
        kinds = {name: item for item in fields for name in item.columns}
        asked |= {name_of(item): _like(kinds[name_of(item)], item) for item in chosen}
    input_fields: list[AnyField] = []
    inputs: dict[str, np.ndarray] = {}
    for name, item in asked.items():
        given, inputs[name] = infer_input(raw.inputs[name], item, Location(raw.source, name, None, raw.ids))
        input_fields.append(given)
    schema = Schema(tuple(input_fields), fields, raw.form, raw.layout, id, order, before, raw.sequence)
    return schema, _examples(schema, raw, inputs, steps, windows)


def _like(step: Field, asked: str | Field) -> str | Field:
    """The kind of an input that is a step's first value: that of the step, unless overridden."""
    if not isinstance(asked, str):
        return asked
    if isinstance(step, Number):
        return Number(asked)
    return Category(asked) if isinstance(step, (Category, Joint, Text)) else asked


def _counts(column: np.ndarray) -> bool:
    """Whether a column is of numbers or moments."""
    return column.dtype.kind in "ifM"


def _as_schema(
    schema: Schema, raw: RawExamples, windows: Windows | None, wrong: list[SchemaError], check: Check
) -> Examples:
    inputs: dict[str, np.ndarray] = {}
    steps: dict[str, np.ndarray] = {}
    missing = {name for item in schema.steps for name in item.columns if name not in raw.steps}
    locations = {name: Location(raw.source, name, raw.offsets, raw.ids) for name in raw.steps}
    jobs: list[tuple[dict[str, np.ndarray], AnyField, Callable[[], np.ndarray]]] = [
        (inputs, item, partial(coerce, raw.inputs[item.name], item, Location(raw.source, item.name, None, raw.ids)))
        for item in schema.inputs
        if item.name in raw.inputs
    ]
    for item in schema.steps:
        if isinstance(item, (Flags, Joint)) and not set(item.columns) & missing:
            jobs.append((steps, item, partial(join_columns, raw.steps, item, locations)))
        elif not set(item.columns) & missing:
            jobs.append((steps, item, partial(coerce, raw.steps[item.name], item, locations[item.name])))
    for into, item, job in jobs:
        try:
            into[item.name] = job()
        except SchemaError as error:
            wrong.append(error)
    if wrong:
        raise together(wrong + check(_examples(schema, raw, inputs, steps, windows)), raw.source)
    return _examples(schema, raw, inputs, steps, windows)


def _examples(
    schema: Schema,
    raw: RawExamples,
    inputs: dict[str, np.ndarray],
    steps: dict[str, np.ndarray],
    windows: Windows | None,
) -> Examples:
    first = {name: as_number(inputs[source]) for name, source in base_inputs(schema).items() if source in inputs}
    starts, gap = (windows.starts, windows.length) if windows else (None, 0)
    return Examples(inputs, steps, raw.offsets, first, starts, gap, raw.source, raw.ids)


def _since(
    steps: tuple[AnyField, ...], values: Mapping[str, np.ndarray], raw: RawExamples, first: Any
) -> dict[str, str]:
    """By name of a date in the steps, the input date that is nearest to its start, of those that it never precedes."""
    dates = {
        name: as_number(moments)
        for name, column in raw.inputs.items()
        if isinstance(column, np.ndarray) and (moments := timestamps_or_none(column)) is not None
    }
    nearest = {}
    for item in steps:
        if not isinstance(item, When) or item.since or item.name in first:
            continue
        starts = np.flatnonzero(np.diff(raw.offsets) > 0)
        start = as_number(values[item.name])[raw.offsets[:-1][starts]]
        ahead = {name: start - date[starts] for name, date in dates.items()}
        legal = {name: float(np.mean(gap)) for name, gap in ahead.items() if len(gap) and (gap >= 0).all()}
        if legal:
            nearest[item.name] = min(legal, key=legal.__getitem__)
    return nearest


def _check_windows(data: Windows, inputs: Any, sequence: Any) -> None:
    """Windows bring their own columns; what the model was given beside must not contradict them."""
    names: Callable[[Any], list[str]] = lambda asked: [name_of(item) for item in asked or ()]  # noqa: E731
    if inputs is not None or sequence is not None:
        roles = parse_roles(inputs if inputs is not None else data.roles.inputs, sequence)
        same = names(roles.inputs) == names(data.roles.inputs)
        same &= roles.sequence is None or names(roles.sequence) == names(data.roles.sequence)
        if not same:
            found = f"{names(roles.inputs)} and {names(roles.sequence)}"
            expected = f"the columns of the windows, {names(data.roles.inputs)} and {names(data.roles.sequence)}"
            raise SchemaError("inputs and sequence", expected, found, "Leave them out: windows bring their own.")


def _same_columns(schema: Schema, data: Windows) -> None:
    sides = (("input", schema.inputs, data.raw.inputs), ("step", schema.steps, data.raw.steps))
    lost = {
        role: [name for item in fields for name in item.columns if name not in columns]
        for role, fields, columns in sides
    }
    if any(lost.values()):
        expected = " and ".join(f"the {role} columns {', '.join(names)}" for role, names in lost.items() if names)
        found = f"only {', '.join([*data.raw.inputs, *data.raw.steps])}"
        raise SchemaError("windows", expected, found, "Cut them as those of the fit: windows(..., inputs=, sequence=).")
    if set(schema.first) != set(data.before):
        raise SchemaError("windows", f"values before the window of {schema.first}", f"of {data.before}", "See `at`.")
