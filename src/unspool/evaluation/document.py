"""The content of a report: sections of tables and pictures, as plain data that text, JSON and HTML show alike."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, ParamSpec

import msgspec
import numpy as np

from unspool.errors import DataError, MissingExtra, renamed_attribute

MODEL_NAME, ALL_FIELDS = "this model", "all"
"""In tables, the name of the model beside those of baselines, and of all fields together beside those of fields."""
BREAKS, BY_REAL, BY_INPUT = "breaks: ", "held out break: ", "largest difference by "
"""How names of figures begin: the shares of generated, and of held-out sequences, that break a rule; the largest
difference of mean lengths of sequences with like inputs."""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure with its standard error, both in the units of its column. The error is None where it is unknown."""

    value: float | None
    error: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "error"):
            msgspec.structs.force_setattr(self, name, _number(getattr(self, name)))


TableCell = str | int | float | Measured | None
"""A cell of a table. None means that no figure applies; it is shown as a dash."""
Row = tuple[TableCell, ...]
CellForm = Literal["text", "prose", "number", "count", "percent"]
Better = Literal["lower", "higher"] | None


class Heading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The heading of a column of a table, and how its cells are shown.

    Args:
        name: of the column, with the unit.
        form: `"text"` (of one line), `"prose"` (of as many as it takes), `"number"`, `"count"` (whole numbers), or
            `"percent"` (of shares from 0 to 1).
        digits: after the decimal point, of numbers and per cents.
        better: which of two figures is better, if any. The best figure of the column is then marked.
    """

    name: str
    form: CellForm = "number"
    digits: int = 3
    better: Better = None


def headings(*names: str, form: CellForm = "number", digits: int = 3, better: Better = None) -> tuple[Heading, ...]:
    """Headings of columns that are shown alike; see `Heading`."""
    return tuple(Heading(name, form, digits, better) for name in names)


class ReportTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="table"):
    """Rows of figures.

    Args:
        title: of the table.
        columns: their headings.
        rows: one cell per column; NaN and infinity become None.
        note: one or two sentences on how to read the table, shown below it.
        own: positions of the rows of the model itself, which are set apart from those of baselines.
        across: mark the best figure of every row, rather than of every column.

    Raises:
        DataError: a row with more or fewer cells than there are columns.

    Examples:
        >>> ReportTable("nats", headings("of", "nats"), (("this model", 1.25), ("bigrams", np.nan))).rows
        (('this model', 1.25), ('bigrams', None))
    """

    title: str
    columns: tuple[Heading, ...]
    rows: tuple[Row, ...]
    note: str = ""
    own: tuple[int, ...] = ()
    across: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise DataError(f"table {self.title!r}", f"rows of {len(self.columns)} cells", str(len(row)))
        msgspec.structs.force_setattr(self, "rows", tuple(tuple(map(_cell, row)) for row in self.rows))


Role = Literal["model", "real", "baseline", "reference"]
"""Whose figures a line shows. A role has one colour in the whole report. A reference shows a perfect model."""


class Trace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line, or one row of points or bars.

    Args:
        name: in the legend; a trace with an empty name has no entry there.
        x: positions, or names of bars.
        y: (as many) heights; the line is broken at None.
        low: the lower edge of a band around y, if there is one.
        high: the upper edge.
        mark: how the trace is drawn.
        role: whose figures the trace shows.
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
    """One pair of axes with its traces; `dates` names the axis whose numbers are days since 1970."""

    title: str
    x: str
    y: str
    traces: tuple[Trace, ...]
    dates: Literal["", "x", "y"] = ""


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="picture"):
    """Panels side by side under one title, with a note on how to read them. The HTML page draws them.

    With `same_y`, all panels have one vertical scale, so that they compare.
    """

    title: str
    panels: tuple[Panel, ...]
    note: str = ""
    same_y: bool = False


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question that a report answers.

    Args:
        name: a short key for programs, such as `"lengths"`.
        title: the question.
        verdict: one sentence that answers the question; if the section is not available, the reason.
        parts: tables and pictures, in their order.
        figures: the numbers behind the verdict, by a stable name, for programs.
        available: whether the data and the installed packages allowed the section.
    """

    name: str
    title: str
    verdict: str
    parts: tuple[ReportTable | Picture, ...] = ()
    figures: dict[str, float | None] = {}
    available: bool = True

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "figures", {name: _number(x) for name, x in self.figures.items()})

    def __getattr__(self, name: str) -> Any:
        raise renamed_attribute(self, name, {"made": "available"})


Grade = Literal["good", "fair", "bad"]


class Judgement(NamedTuple):
    """One section against its yardstick.

    Attributes:
        section: its name.
        title: its question.
        found: the figure that decides, in words.
        yardstick: what it is compared with.
        grade: the result.
    """

    section: str
    title: str
    found: str
    yardstick: str
    grade: Grade


class Headline(NamedTuple):
    """What to trust the model for, and the facts that decide.

    Attributes:
        text: one sentence.
        grade: of the whole.
        facts: by use, the weakest of its lines; three at the most.
    """

    text: str
    grade: Grade
    facts: dict[str, Judgement]


class Findings(NamedTuple):
    """The result of the function of a section; see `Section` for the attributes."""

    verdict: str
    parts: tuple[ReportTable | Picture, ...] = ()
    figures: Mapping[str, float | None] = MappingProxyType({})
    available: bool = True


P = ParamSpec("P")


def answers(name: str, title: str) -> Callable[[Callable[P, Findings]], Callable[P, Section]]:
    """Decorate a function that returns `Findings`: it returns the `Section` with this name and title.

    If a package is not installed, the section is unavailable, and the verdict says how to install the package.
    Sequences that grew without bound have figures beyond all limits: NumPy does not warn, and the report shows dashes.
    """

    def decorate(find: Callable[P, Findings]) -> Callable[P, Section]:
        @functools.wraps(find)
        def section(*args: P.args, **options: P.kwargs) -> Section:
            try:
                with np.errstate(over="ignore", invalid="ignore"):
                    found = find(*args, **options)
            except MissingExtra as error:
                found = Findings(str(error), available=False)
            return Section(name, title, found.verdict, found.parts, dict(found.figures), found.available)

        return section

    return decorate


def numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """An array as the tuple of plain numbers that a `Trace` takes."""
    return tuple(np.asarray(values, np.float64).tolist())


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _cell(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return _number(value)
    return int(value) if isinstance(value, (np.integer, np.bool_)) else value
