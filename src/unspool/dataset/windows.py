"""Windows: one long series cut into examples."""

import operator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from unspool.dataset.grouping import order_keys
from unspool.dataset.layouts import RawExamples
from unspool.dataset.roles import Roles, columns_of, parse_roles
from unspool.errors import DataError, Location, OptionError, SchemaError
from unspool.schema.fields import Form
from unspool.tables.columns import take
from unspool.tables.table import read_table

At = Literal["before", "first"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Examples cut from one series; give them to `fit` as the data. Made by `windows`.

    Args:
        raw: the examples.
        roles: which columns are what.
        starts: (N,) position in the series where each window starts.
        length: steps of a window, and so the gap that a split by time needs.
        at: which row the inputs are taken from.
    """

    raw: RawExamples
    roles: Roles
    starts: np.ndarray
    length: int
    at: At

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def before(self) -> tuple[str, ...]:
        """Step fields whose value before step 0 is known, because they are inputs too."""
        return tuple(name for name in self.raw.inputs if name in self.raw.steps) if self.at == "before" else ()


def windows(
    series: Any, *, order: str, length: int, stride: int = 1, inputs: Any, sequence: Any, at: At = "before"
) -> Windows:
    """Cut one long series into windows, each an example: its inputs, and `length` steps.

    A split into training and held-out windows is by time, with a gap of `length`, so that no step is in both.

    Args:
        series: a table of any kind, one row a step, sorted by `order`.
        order: the column of numbers or dates that the rows are sorted by.
        length: steps of a window.
        stride: rows from the start of a window to the start of the next.
        inputs: columns, or fields, that are known when a window starts.
        sequence: columns, or fields, that are generated.
        at: the row that inputs are taken from: `"before"`, the one before the window, so that nothing of what
            is to be generated leaks into them; `"first"`, the window's own first row, for what is known
            beforehand, such as the month.

    Raises:
        OptionError: a length or stride below 1, or an unknown `at`.
        SchemaError: an unknown column.
        DataError: order values that are missing, repeated or unsorted; a series too short for one window.

    Examples:
        >>> table = {"day": [1, 2, 3, 4, 5], "level": [1.0, 4.0, 9.0, 16.0, 25.0]}
        >>> cut = windows(table, order="day", length=2, inputs="level", sequence="level")
        >>> cut.raw.inputs["level"].tolist(), cut.raw.steps["level"].tolist()
        ([1.0, 4.0, 9.0], [4.0, 9.0, 9.0, 16.0, 16.0, 25.0])
    """
    length, stride = _count(length, "length"), _count(stride, "stride")
    if at not in get_args(At):
        raise OptionError("windows(at=...)", "'before' or 'first'", repr(at))
    roles = parse_roles(inputs, sequence)
    if roles.first is not None or not roles.sequence:
        raise SchemaError("windows", "columns as inputs and columns as the sequence", f"{inputs!r} and {sequence!r}")
    table = read_table(series)
    given, steps = ([name for asked in part for name in columns_of(asked)] for part in (roles.inputs, roles.sequence))
    table.need([order, *given, *steps])
    _check_sorted(order_keys(table, order), Location(table.location, order))
    lead = 1 if at == "before" else 0
    starts = np.arange(lead, len(table) - length + 1, stride, dtype=np.int64)
    if not len(starts):
        raise DataError(
            table.location, f"at least {length + lead} rows, for one window", str(len(table)), "Shorten length."
        )
    rows = (starts[:, None] + np.arange(length)).reshape(-1)
    form: Form = "records" if len(steps) > 1 else "list"
    raw = RawExamples(
        {name: take(table.columns[name], starts - lead) for name in given},
        {name: take(table.columns[name], rows) for name in steps},
        np.arange(len(starts) + 1, dtype=np.int64) * length,
        form,
        "long",
        table.location,
        [f"window from row {start + 1}" for start in starts.tolist()],
    )
    return Windows(raw, roles, starts, length, at)


def _count(value: Any, name: str) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise OptionError(f"windows({name}=...)", "a whole number of at least 1", repr(value))
    return count


def _check_sorted(keys: np.ndarray, location: Location) -> None:
    wrong = keys[1:] <= keys[:-1]
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        repeated = keys[row] == keys[row - 1]
        found = f"{keys[row]} " + ("again" if repeated else f"after {keys[row - 1]}")
        hint = "Drop one of the two rows." if repeated else f"Sort the rows by {location.column!r} first."
        raise DataError(location.at(row), "order values that increase from row to row", found, hint)
