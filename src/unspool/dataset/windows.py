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

MIN_SHARED_STEPS = 3
"""Steps that two windows must share, at the least, to be told to overlap; chance has fewer in common."""
MIN_OVERLAPPING_SHARE = 0.5
"""Share of the rows that must go on in another row."""
MIN_DISTINCT_SHARE = 0.9
"""Share of the rows whose first half no other row begins with: of short sequences of few symbols, many are equal."""
MIN_LENGTHS = 4
"""Window lengths that the series must have, so that a split by time leaves enough to learn from."""
SAMPLED_ROWS = 256
"""Rows by which tables without windows, nearly all, are told quickly."""


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


def overlapping_starts(steps: dict[str, np.ndarray], offsets: np.ndarray) -> np.ndarray | None:
    """(N,) where each sequence starts in its series, if the sequences are windows that overlap, cut by hand.

    Of two such rows, the last steps of one are the first steps of the other. If some are learned and others held out,
    at random, then nearly all that is held out is known. Rows may be in any order, and some may be missing; windows of
    several series are laid end to end, a window apart. A series that repeats itself, or that goes on in a straight
    line, isn't cut into windows: its rows are equal for another reason.

    Args:
        steps: (S,) columns by name; of a field of several columns (S, M).
        offsets: (N + 1,) of the sequences.

    Examples:
        >>> series = np.random.default_rng(0).normal(size=40)
        >>> rows = np.arange(30)[:, None] + np.arange(6)
        >>> overlapping_starts({"x": series[rows].ravel()}, np.arange(31) * 6).tolist() == list(range(30))
        True
        >>> overlapping_starts({"x": np.arange(40.0)[rows].ravel()}, np.arange(31) * 6)
    """
    lengths = np.diff(offsets)
    if len(lengths) < 2 or (length := int(lengths[0])) <= MIN_SHARED_STEPS or (lengths != length).any():
        return None
    sampled = np.arange(0, len(lengths), -(-len(lengths) // SAMPLED_ROWS))
    if not any(_bends(column.reshape(len(lengths), length, -1)[sampled]) for column in steps.values()):
        return None
    codes = _codes(steps).reshape(-1, length)
    shared = max(MIN_SHARED_STEPS, length // 2)
    weights = np.random.default_rng(0).integers(1, 2**63, shared, np.uint64) | np.uint64(1)
    known, firsts = np.unique(_sums(codes, 0, weights), return_index=True)
    if len(known) < MIN_DISTINCT_SHARE * len(codes):
        return None
    for rows in (sampled, np.arange(len(codes))):
        following, after = _next_windows(codes, rows, weights, known, firsts)
        if (following != rows).mean() < MIN_OVERLAPPING_SHARE:
            return None
    starts = _positions(following, after, length)
    return starts if starts is not None and np.ptp(starts) >= MIN_LENGTHS * length else None


def _bends(values: np.ndarray) -> bool:
    """Whether (N, T, M) values are no straight lines; text always does."""
    if values.dtype.kind not in "iuf":
        return True
    change = np.diff(values.astype(np.float64), axis=1)
    rounding = 1e-9 * np.fmax.reduce(np.abs(change), axis=None, initial=0)
    return bool((np.abs(np.diff(change, axis=1)) > rounding).mean() > 1 / 2)


def _codes(steps: dict[str, np.ndarray]) -> np.ndarray:
    """(S,) uint64 that are equal where the steps are."""
    total = np.zeros(len(next(iter(steps.values()))), np.uint64)
    for column in steps.values():
        for part in column.reshape(len(column), -1).T:
            if part.dtype.kind == "O":
                bits = np.fromiter(map(hash, part.tolist()), np.int64, len(part)).view(np.uint64)
            elif part.dtype.kind == "f":
                bits = (part.astype(np.float64, copy=False) + 0.0).view(np.uint64)  # -0 is 0
            else:
                bits = part.astype(np.int64).view(np.uint64)
            total ^= bits
            total *= np.uint64(0x9E3779B97F4A7C15)  # odd, so nothing is lost; low bits reach high ones,
            total ^= total >> np.uint64(32)  # and high ones low ones
    return total


def _sums(codes: np.ndarray, first: int, weights: np.ndarray) -> np.ndarray:
    """(N,) of each row, one number for as many steps as there are weights, from the first on."""
    return codes[:, first : first + len(weights)] @ weights


def _next_windows(
    codes: np.ndarray, rows: np.ndarray, weights: np.ndarray, known: np.ndarray, firsts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of some rows, the row that goes on after the fewest steps, and those steps; itself and 0 if there is none.

    `known` are the sorted sums of the first steps of all rows, and `firsts` the first row with each. A row that has the
    steps of an earlier one goes on in it after 0 steps.
    """
    length, found, after = codes.shape[1], rows.copy(), np.zeros(len(rows), np.int64)
    for shift in range(length - len(weights) + 1):
        left = np.flatnonzero(found == rows)
        sums = _sums(codes[rows[left]], shift, weights)
        at = np.searchsorted(known, sums).clip(max=len(known) - 1)
        left, other = left[known[at] == sums], firsts[at[known[at] == sums]]
        same = (codes[rows[left], shift:] == codes[other, : length - shift]).all(1)
        found[left[same]], after[left[same]] = other[same], shift
    return found, after


def _positions(following: np.ndarray, after: np.ndarray, gap: int) -> np.ndarray | None:
    """(N,) positions of rows, each `after` steps before the `following` one; the series lie end to end, in any order.

    None if a series comes back to its beginning.
    """
    ends, back = following, after
    for _ in range(len(following).bit_length()):
        ends, back = ends[ends], back + back[ends]
    if (following[ends] != ends).any():
        return None
    last, series = np.unique(ends, return_inverse=True)
    series = np.random.default_rng(0).permutation(len(last))[series]
    spans = np.zeros(len(last), np.int64)
    np.maximum.at(spans, series, back)
    return (np.cumsum(spans + gap) - gap)[series] - back
