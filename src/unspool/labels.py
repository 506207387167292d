"""Inputs and steps in words, and inputs that are colours: for pictures, pages, notebooks and terminals."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from unspool.encoding.codec import Codec
from unspool.schema.fields import NO_INPUT, Category, Field, Flags, Schema, Vector
from unspool.tables.columns import to_list
from unspool.tables.table import Table

HEX_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
COLOUR_NAME = re.compile(r"rgb|colou?r", re.IGNORECASE)
CHANNELS = (("red", "green", "blue"), ("r", "g", "b"))
"""Names of three inputs that are a colour together."""


def labels(codec: Codec, inputs: Table) -> list[str]:
    """The label of each input row: the user's own columns, if there are any, else the inputs.

    Drawn inputs that the table lacks are left out; so are names of columns of a single column of the user, and of a
    single category.
    """
    schema = codec.schema
    fields = {field.name: field for field in schema.inputs if field.name != NO_INPUT}
    generated = {schema.sequence, *(field.name for field in schema.steps), *schema.derived}
    own = [name for name in inputs.columns if name not in {*fields, *generated, NO_INPUT}]
    names = own or [name for name in fields if name in inputs.columns]
    if not names:
        return [""] * len(inputs)
    columns = [[word(value) for value in to_list(inputs.columns[name])] for name in names]
    if len(names) == 1 and (own or isinstance(fields[names[0]], Category)):
        return columns[0]
    rows = zip(*columns, strict=True)
    return [", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True)) for row in rows]


def word(value: Any) -> str:
    """A value as a short text.

    Examples:
        >>> word(0.123456), word(19813.7), word([1.0, 2.0]), word(None)
        ('0.1235', '19814', '(1, 2)', 'missing')
        >>> word(dt.datetime(2024, 5, 1)), word(np.datetime64("2024-05-01T12:30"))
        ('2024-05-01', '2024-05-01 12:30:00')
    """
    if isinstance(value, np.generic):
        value = value.astype("datetime64[us]").item() if isinstance(value, np.datetime64) else value.item()
    if isinstance(value, dt.datetime):
        return str(value).removesuffix(" 00:00:00")
    if isinstance(value, float):
        if np.isnan(value):
            return "missing"
        return f"{value:.4g}" if abs(value) < 1e4 or abs(value) >= 1e9 else f"{value:.0f}"
    if isinstance(value, list):
        return "(" + ", ".join(map(word, value[:4])) + (", …)" if len(value) > 4 else ")")
    return "missing" if value is None else str(value)


def records_in_words(schema: Schema, columns: Mapping[str, Any]) -> list[str]:
    """Each step of a sequence of records in one line: names and values, and of flags the names of those that are true.

    `columns` holds the (T,) values of every column of a step.

    Examples:
        >>> from unspool.schema.fields import Count
        >>> steps = Count("tests"), Flags("symptoms", ("fever", "cough"))
        >>> schema = Schema((Category("k"),), steps, "records", "rows")
        >>> records_in_words(schema, {name: np.array([2, 0]) for name in ("tests", "fever", "cough")})
        ['tests 2, fever, cough', 'tests 0, no symptoms']
    """
    names = [name for field in schema.steps for name in field.columns]
    lines = []
    for values in zip(*(to_list(columns[name]) for name in names), strict=True):
        step = dict(zip(names, values, strict=True))
        words = (
            field_in_words(field, step)
            if isinstance(field, Flags)
            else ", ".join(f"{n} {word(step[n])}" for n in field.columns)
            for field in schema.steps
        )
        lines.append(", ".join(words))
    return lines


def field_in_words(field: Field, step: Mapping[str, Any]) -> str:
    """The values of a field in a step, without its name; of flags the names of those that are true."""
    values = [step[name] for name in field.columns]
    if not isinstance(field, Flags):
        return ", ".join(map(word, values))
    if any(value is None or value != value for value in values):
        return f"{field.name} missing"
    return ", ".join(name for name in field.columns if step[name] > 0) or f"no {field.name}"


def colours(codec: Codec, inputs: Table) -> list[str | None]:
    """The colour of each input row as `#rrggbb`, if its inputs are one: three numbers, or a text such as `#ff8000`.

    Three numbers are a colour if their names say so (`rgb`, `colour`; or `red`, `green` and `blue`), and they are from
    0 to 1, or from 0 to 255.
    """
    schema = codec.schema
    for field in schema.inputs:
        values = to_list(inputs.columns[field.name])
        if isinstance(field, Vector) and COLOUR_NAME.search(field.name) and all(len(row) == 3 for row in values if row):
            return _as_hex(values)
        if values and all(isinstance(value, str) and HEX_COLOUR.fullmatch(value) for value in values):
            return [value.lower() for value in values]
    by_name = {field.name.lower(): field.name for field in schema.inputs}
    for channels in CHANNELS:
        if by_name.keys() >= set(channels):
            return _as_hex(list(zip(*(to_list(inputs.columns[by_name[name]]) for name in channels), strict=True)))
    return [None] * len(inputs)


def _as_hex(rows: list[Any]) -> list[str | None]:
    """Rows of three numbers as hexadecimal colours; all of one scale."""
    known = [row for row in rows if row is not None and all(isinstance(x, (int, float)) and x == x for x in row)]
    scale = 255 if all(0 <= x <= 1 for row in known for x in row) else 1
    if not all(0 <= x * scale <= 255 for row in known for x in row):
        return [None] * len(rows)
    return ["#" + "".join(f"{round(x * scale):02x}" for x in row) if row in known else None for row in rows]
