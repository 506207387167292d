"""What a report is made of: sections of tables and pictures, as plain data that text, JSON and HTML show alike."""

import math
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
import numpy as np

from unspool.errors import DataError


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure with its standard error, both in the units of its column; the error is None where none can be given."""

    value: float | None
    error: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "error"):
            msgspec.structs.force_setattr(self, name, _number(getattr(self, name)))


Cell = str | int | float | Measured | None
"""What a table holds. None is a figure that does not apply, and is shown as a dash."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of a table.

    Args:
        name: what it holds, with the unit.
        form: `"text"`, `"number"`, `"count"` (whole numbers), or `"percent"` (of shares from 0 to 1).
        digits: after the decimal point, of numbers and per cents.
        better: which of two figures is better, if any; the best of the column is then marked.
    """

    name: str
    form: Literal["text", "number", "count", "percent"] = "number"
    digits: int = 3
    better: Literal["lower", "higher"] | None = None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="table"):
    """Rows of figures.

    Args:
        title: what they are figures of.
        columns: what each column holds.
        rows: one cell per column; NaN and infinity become None.
        note: one or two sentences on how to read it, below the table.
        own: positions of the rows that are the model's own, which are set off from those of its rivals.
        across: the best figure is marked in every row, rather than in every column.

    Raises:
        DataError: a row with more or fewer cells than there are columns.

    Examples:
        >>> table = Table("nats", (Column("of", "text"), Column("nats")), (("this model", 1.25), ("bigrams", np.nan)))
        >>> table.rows
        (('this model', 1.25), ('bigrams', None))
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    own: tuple[int, ...] = ()
    across: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise DataError(f"table {self.title!r}", f"rows of {len(self.columns)} cells", str(len(row)))
        msgspec.structs.force_setattr(self, "rows", tuple(tuple(map(_cell, row)) for row in self.rows))


Role = Literal["model", "real", "rival", "reference"]
"""Whose figures a line shows; a role has one colour in all of a report. A reference is what perfection looks like."""


class Trace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line, row of points or of bars.

    Args:
        name: in the key; an empty one has no entry there.
        x: positions, or names of bars.
        y: (as many) heights; None leaves a gap.
        low: the lower edge of a band around y, if there is one.
        high: its upper edge.
        mark: how it is drawn.
        role: whose figures they are.
    """

    name: str
    x: tuple[float | str, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    mark: Literal["line", "points", "bars"] = "line"
    role: Role = "model"

    def __post_init__(self) -> None:
        for name in ("x", "y", "low", "high"):
            values = tuple(map(_cell, getattr(self, name)))
            msgspec.structs.force_setattr(self, name, values)
            if len(values) != len(self.x) and (values or name == "y"):
                raise DataError(f"trace {self.name!r}, {name}", f"{len(self.x)} values, as of x", str(len(values)))


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pair of axes with what is drawn in it."""

    title: str
    x: str
    y: str
    traces: tuple[Trace, ...]


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="picture"):
    """Panels side by side under one title, with a note on how to read them; the HTML page draws it."""

    title: str
    panels: tuple[Panel, ...]
    note: str = ""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question that a report answers.

    Args:
        name: a short key for programs, such as `"length"`.
        title: the question or subject, for people.
        verdict: one sentence that answers it in words; where the section could not be made, why, and what to do.
        parts: tables and pictures, in their order.
        figures: the numbers behind the verdict by a name that stays the same, for programs.
        made: False where the section could not be made.
    """

    name: str
    title: str
    verdict: str
    parts: tuple[Table | Picture, ...] = ()
    figures: dict[str, float | None] = {}
    made: bool = True

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "figures", {name: _number(x) for name, x in self.figures.items()})


def numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """An array as the tuple of plain numbers that a `Trace` takes."""
    return tuple(np.asarray(values, np.float64).tolist())


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _cell(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return _number(value)
    return int(value) if isinstance(value, (np.integer, np.bool_)) else value
