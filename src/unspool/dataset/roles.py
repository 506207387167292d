"""The roles of columns: the inputs, the sequence, and the fields that the user gave for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unspool.errors import SchemaError
from unspool.schema.fields import NO_INPUT, Field, First, Joint, Schema, column_name

ColumnSpec = str | Field


@dataclass(frozen=True)
class Roles:
    """The roles of columns.

    Args:
        inputs: the inputs.
        first: the step fields whose first value is an input: `()` all of them, None no `First`.
        sequence: the columns of the sequence; None: all that are left.
        inner: the fields inside the records or vectors of a sequence column, where the user gave them.
        combinations: categories of the step that are one symbol.
        relations: between columns of the step, as the user gave them.
    """

    inputs: tuple[ColumnSpec, ...] = ()
    first: tuple[ColumnSpec, ...] | None = None
    sequence: tuple[ColumnSpec, ...] | None = None
    inner: Mapping[str, Field] = field(default_factory=dict)
    combinations: tuple[Joint, ...] = ()
    relations: Any = None

    @property
    def overrides(self) -> dict[str, Field]:
        """Fields given for the step, by name."""
        asked = [*(spec for spec in self.sequence or () if isinstance(spec, Field)), *self.combinations]
        return dict(self.inner) | {field.name: field for field in asked}


def name_of(asked: ColumnSpec) -> str:
    """The name of a column that is given by its name or by a field."""
    return asked if isinstance(asked, str) else asked.name


def columns_of(asked: ColumnSpec) -> tuple[str, ...]:
    """The columns of a table that are given by a name or by a field."""
    return (asked,) if isinstance(asked, str) else asked.columns


def parse_roles(inputs: Any, sequence: Any) -> Roles:
    """The roles that the user gave.

    Args:
        inputs: a column name, a field, `First(...)`, or several of them; `None` for sequences alone.
        sequence: a column name, a field, several of them, or `{column: [fields inside its records]}`.

    Raises:
        SchemaError: arguments of another form.

    Examples:
        >>> parse_roles(["country"], "name").sequence
        ('name',)
    """
    asked = _several(inputs)
    first: tuple[ColumnSpec, ...] | None = None
    for item in asked:
        if isinstance(item, First):
            first = _fields(item.names, "First")
    plain = _fields([item for item in asked if not isinstance(item, First)], "inputs")
    inner: dict[str, Field] = {}
    if isinstance(sequence, Mapping):
        for name, fields in sequence.items():
            parts = _fields(_several(fields), f"sequence, {name!r}")
            inner |= {part.name: part for part in parts if isinstance(part, Field)}
        sequence = list(sequence)
    steps = None if sequence is None else _fields(_several(sequence), "sequence")
    return Roles(plain, first, steps, inner)


def roles_of(schema: Schema, columns: Iterable[str]) -> Roles:
    """The roles that a fitted schema gives to the columns of new data, in one for the sequence or one a step field."""
    inputs = tuple(asked for asked in schema.inputs if asked.name not in {*schema.first, NO_INPUT})
    whole = schema.layout == "rows" and schema.sequence in columns and schema.form not in ("text", "list")
    steps = (*schema.steps, *schema.derived.values())
    return Roles(inputs, schema.first or None, (schema.sequence,) if whole else steps)


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(column_name(value), (str, Field, First)):
        return [value]
    if not isinstance(value, Iterable):
        raise SchemaError("inputs and sequence", "column names or fields", repr(value))
    return list(value)


def _fields(items: Iterable[Any], location: str) -> tuple[ColumnSpec, ...]:
    asked = tuple(map(column_name, items))
    for item in asked:
        if not isinstance(item, (str, Field)):
            raise SchemaError(location, "column names or fields", repr(item))
    names = [name for item in asked for name in columns_of(item)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(location, "every column once", f"{', '.join(map(repr, twice))} more than once")
    return asked
