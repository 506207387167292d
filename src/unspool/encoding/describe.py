"""Between fitted columns and people: one line about a column, and values that someone typed."""

import re
from typing import Any

import numpy as np

from unspool.encoding.columns import InputColumn, StepColumn, TimestampEncoder, VectorEncoder, Vocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder
from unspool.errors import SchemaError
from unspool.schema.fields import Field, Flag, Number, Vector
from unspool.tables.location import listing

DAY = 86_400e6


def describe(column: InputColumn | StepColumn) -> str:
    """One line about a fitted column, for people."""
    match column:
        case Vocabulary():
            known = [value for value in column.values if value is not None]
            if column.merges:
                known = [str(value).encode("latin-1").decode("utf-8", "replace") for value in known]
            alone = column.text and all(len(str(value)) == 1 for value in known)
            shown = "".join(map(str, known[:30])) if alone else listing(map(repr, known) if column.text else known, 6)
            return f"{len(known)} values: {shown}".replace("\n", "\\n") + (", some missing" if column.nullable else "")
        case NumericEncoder():
            gone = f", {column.missing:.2%} missing" if column.nullable else ""
            grid = f", steps of {column.step:g}" if column.mass else ""
            grid += f" with {len(column.support_points)} values" if column.support_points else ""
            atoms = (
                f", often {listing([f'{atom:g}' for atom in column.point_masses], 3)}" if column.point_masses else ""
            )
            return f"{column.low:g} to {column.high:g}{grid}{atoms}, {column.transform}{gone}"
        case IncrementEncoder():
            what = "gaps" if column.never == "falls" else "drops"
            return f"{_moment(column, column.low)} to {_moment(column, column.high)}, {what} {describe(column.gap)}"
        case MultiLabel():
            return f"{len(column.members)} members, {column.share:.1%} yes" + (
                ", some missing" if column.nullable else ""
            )
        case VectorEncoder():
            return f"{column.dim} numbers" + (", some missing" if column.nullable else "")
        case TimestampEncoder():
            days = [np.datetime64(round(column.loc + sign * column.scale), "D") for sign in (-1, 1)]
            cycles = f", cycles of the {', '.join(column.cycles)}" if column.cycles else ""
            return f"mostly {days[0]} to {days[1]}{cycles}" + (", some missing" if column.nullable else "")
    return "true or false" + (", some missing" if column.nullable else "")


def _moment(column: IncrementEncoder, value: float) -> str:
    if not column.unit:
        return f"{value:g}"
    moment = np.datetime64(round(value * column.unit), "us")
    return str(moment.astype("datetime64[D]") if column.unit >= DAY else moment.astype("datetime64[s]"))


def parse_typed(text: str, field: Field | None, column: InputColumn | StepColumn | None, location: str) -> Any:
    """A typed text as a value of the column's kind; an empty one is a missing value.

    Raises:
        SchemaError: no number, at the place, where the column is of numbers.
    """
    if text == "":
        return None
    if isinstance(column, Vocabulary):
        return column.parse(text)
    if isinstance(field, Flag) and text.lower() in ("true", "false", "1", "0", "yes", "no"):
        return text.lower() in ("true", "1", "yes")
    if isinstance(field, Vector):
        return [_number(part, location) for part in re.split(r"[\s,;]+", text.strip("[]() "))]
    return _number(text, location) if isinstance(field, Number) else text


def _number(text: str, location: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SchemaError(location, "a number", repr(text)) from None
