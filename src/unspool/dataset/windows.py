"""Windows: one long series cut into examples."""

import operator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from unspool.dataset.grouping import order_keys
from unspool.dataset.layouts import RawExamples
from unspool.dataset.roles import Roles, columns_of, parse_roles
from unspool.errors import DataError, Location, OptionError, SchemaError
from unspool.schema.fields import Form, column_name
from unspool.tables.columns import take
from unspool.tables.table import read_table

At = Literal["before", "first"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Examples that `windows` cuts from one series, for `fit`.

    Args:
        raw: the examples.
        roles: the roles of the columns.
        starts: (N,) position in the series where each window starts.
        length: steps of a window, and rows by which a split by time must separate windows.
        at: the row of the inputs.
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
        """Step fields that are inputs too, so that their value before step 0 is known."""
        return tuple(name for name in self.raw.inputs if name in self.raw.steps) if self.at == "before" else ()


def windows(
    series: Any, *, order: str, length: int, stride: int = 1, inputs: Any = None, sequence: Any, at: At = "before"
) -> Windows:
    """Cut one long series into windows, each an example: its inputs, and `length` steps.

    Training and held-out windows are split by time, `length` rows apart, so that no step is in both.

    Args:
        series: a table of any kind, one row a step, sorted by `order`.
        order: the column of numbers or dates that sorts the rows.
        length: steps of a window.
        stride: rows from the start of a window to the start of the next.
        inputs: columns, or fields, that are known when a window starts; none by default.
        sequence: columns, or fields, that are generated.
        at: the row of the inputs: `"before"`, the one before the window, so that nothing generated leaks into them;
            `"first"`, the first row of the window, for columns that are known beforehand, such as the month.

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
    table, order = read_table(series), column_name(order)
    given, steps = ([name for asked in part for name in columns_of(asked)] for part in (roles.inputs, roles.sequence))
    table.need([order, *given, *steps])
    _check_sorted(order_keys(table, order), table.location_of(order))
    lead = 1 if at == "before" else 0
    starts = np.arange(lead, len(table) - length + 1, stride, dtype=np.int64)
    if not len(starts):
        expected = f"at least {length + lead} rows, for one window"
        raise DataError(table.location, expected, str(len(table)), "Shorten length.")
    rows = (starts[:, None] + np.arange(length)).reshape(-1)
    input_columns = {name: take(table.columns[name], starts - lead) for name in given}
    step_columns = {name: take(table.columns[name], rows) for name in steps}
    offsets = np.arange(len(starts) + 1, dtype=np.int64) * length
    form: Form = "records" if len(steps) > 1 else "list"
    ids = [f"window from row {start + 1}" for start in starts.tolist()]
    origins = {name: table.origin(name) for name in [*given, *steps]}
    raw = RawExamples(input_columns, step_columns, offsets, form, "long", table.location, ids, origins=origins)
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
        found, hint = f"{keys[row]} after {keys[row - 1]}", f"Sort the rows by {location.column!r} first."
        if keys[row] == keys[row - 1]:
            found, hint = f"{keys[row]} again", "Drop one of the two rows."
        raise DataError(location.at(row), "order values that increase from row to row", found, hint)
