"""What is given of sequences rather than drawn: first steps (a prefix), and values pinned at any step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.allowed import Allowed, check_allowed, ways_allowed
from unspool.constraints.cumulative import cumulative_unit, never_goes_back, origin_of, running_sum
from unspool.constraints.prefix import read_prefix
from unspool.encoding.codec import Codec
from unspool.encoding.columns import StepColumn, Vocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder, missing_value
from unspool.encoding.tokenizers import is_bytes
from unspool.errors import OptionError, SchemaError
from unspool.schema.coercion import coerce
from unspool.schema.fields import AnyField, Flag, Flags
from unspool.schema.monotone import as_number
from unspool.tables.arrow import from_values
from unspool.tables.columns import offsets_from_lengths
from unspool.tables.location import Location, close_matches, listing


class Observed(NamedTuple):
    """What is given of the steps of every row, laid end to end.

    Attributes:
        values: per field, (S,) or (S, M) as the network sees them; y of `unspool.constraints.cumulative` where they add
            up.
        where: per field, what of it is given.
        most: per field, the next given y where y never falls, infinity where none comes; else `None`.
        known: by name of a number or moment, (S,) its values as they are, NaN elsewhere.
        offsets: (R + 1,) of the rows; one row stands for all.
        pinned: the last step of any row that was pinned, and its name; -1 where none was.
    """

    values: tuple[NDArray[Any], ...]
    where: tuple[NDArray[np.bool_], ...]
    most: tuple[NDArray[np.float64] | None, ...]
    known: Mapping[str, NDArray[np.float64]]
    offsets: NDArray[np.int64]
    pinned: tuple[int, str] = (-1, "")

    def at(self, row: NDArray[np.int64], step: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where the steps of rows lie in the arrays, and which are there at all."""
        row = row if len(self.offsets) > 2 else np.zeros_like(row)
        inside = step < np.diff(self.offsets)[row]
        return np.where(inside, self.offsets[:-1][row] + step, 0), inside


class Pin(NamedTuple):
    """One pinned value: of which row, step and field, and of a block of which member."""

    row: int
    step: int
    field: int
    member: int | None
    value: Any
    name: str
    """What messages call its place."""


def encode_observed(
    codec: Codec,
    prefix: Any,
    pin: Any,
    rows: int,
    first: Mapping[str, NDArray[np.float64]] | None,
    allowed: tuple[Allowed | None, ...],
) -> Observed | None:
    """Prefix and pins as the network sees them, checked against each other and against what training found.

    Args:
        codec: the fitted columns.
        prefix: one sequence in the schema's form for all rows, a list with one for each, or `None`.
        pin: `{step: {column: value}}` for all rows, a list with one for each, or `None`.
        rows: how many input rows there are.
        first: by name, (rows,) the values before step 0, see `Codec.bases`; `None` while nobody knows them.
        allowed: by step field, what pins must be among; see `unspool.constraints.allowed`.

    Raises:
        SchemaError: another number of prefixes or pins than rows; values that no step can have.
        UnknownCategory: a symbol that training never saw.
        OptionError: pins that contradict the prefix, each other, or what a draw never violates.
    """
    if prefix is None and pin is None:
        return None
    schema = codec.schema
    steps, before = read_prefix(codec, prefix, rows)
    pins = list(read_pins(codec, pin, rows))
    many = len(before) > 2 or isinstance(pin, Sequence)
    if many and len(before) == 2:
        before = offsets_from_lengths(np.full(rows, before[-1]))
        steps = {name: np.concatenate([part] * rows) for name, part in steps.items()}
    lengths = np.diff(before)
    for one in pins:
        lengths[one.row] = max(lengths[one.row], one.step + 1)
    offsets = offsets_from_lengths(lengths)
    inside = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) < np.repeat(np.diff(before), lengths)
    told = []
    for j, (field, column) in enumerate(zip(schema.steps, codec.steps, strict=True)):
        mine = [one for one in pins if one.field == j]
        at = np.array([offsets[one.row] + one.step for one in mine], np.int64)
        told.append(_given(field, column, steps.get(field.name), before, inside, mine, at, allowed[j]))
    _check_together(codec, pins, [part[:2] for part in told], offsets, allowed)
    last = max(pins, key=lambda one: one.step, default=None)
    most = tuple(
        _rising(field.name, column, values, where, offsets, _grounds(column, field.name, first, rows))
        if never_goes_back(column) and any(one.field == j for one in pins)
        else None
        for j, (field, column, (values, where, _)) in enumerate(zip(schema.steps, codec.steps, told, strict=True))
    )
    known = {field.name: exact for field, (_, _, exact) in zip(schema.steps, told, strict=True) if exact is not None}
    pinned = (-1, "") if last is None else (last.step, last.name)
    return Observed(tuple(part[0] for part in told), tuple(part[1] for part in told), most, known, offsets, pinned)


def read_pins(codec: Codec, pin: Any, rows: int) -> Iterator[Pin]:
    """Pins one by one, with names resolved.

    Raises:
        SchemaError: another number of them than rows.
        OptionError: another form, a step that is no whole number from 0 on, or a column that a step doesn't have.
    """
    if pin is None:
        return
    each = isinstance(pin, Sequence) and not isinstance(pin, str)
    if each and len(pin) != rows:
        raise SchemaError("pin", f"one for all, or one for each of the {rows} rows", str(len(pin)))
    columns = {
        name: (j, m if isinstance(field, Flags) else None)
        for j, field in enumerate(codec.schema.steps)
        for m, name in enumerate(field.columns)
    }
    for row, steps in enumerate(pin if each else [pin]):
        location = f"pin, row {row}" if each else "pin"
        if not isinstance(steps, Mapping):
            raise OptionError(location, "{step: {column: value}}", repr(steps)[:60])
        for step, values in steps.items():
            if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 0:
                raise OptionError(location, "steps as whole numbers, counted from 0", repr(step))
            name = f"{location.removeprefix('pin, ')}, step {step}" if each else f"step {step}"
            given = values
            if not isinstance(values, Mapping):
                if len(columns) > 1:
                    raise OptionError(f"pin: {name}", "{column: value}", repr(values)[:60])
                given = {next(iter(columns)): values}
            for column, value in given.items():
                if column not in columns:
                    close = close_matches(column, columns)
                    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
                    raise OptionError(f"pin: {name}", f"columns of a step: {listing(columns)}", repr(column), hint)
                yield Pin(row, int(step), *columns[column], value, name)


def _given(
    field: AnyField,
    column: StepColumn,
    steps: NDArray[Any] | None,
    before: NDArray[np.int64],
    inside: NDArray[np.bool_],
    pins: list[Pin],
    at: NDArray[np.int64],
    allowed: Allowed | None,
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.float64] | None]:
    """Of one field: values and where they are given, see `Observed`, and numbers and moments as they are."""
    members = len(column.members) if isinstance(column, MultiLabel) else 0
    shape = (len(inside), members) if members else (len(inside),)
    values = np.zeros(shape, np.int32 if isinstance(column, Vocabulary) else np.float64)
    where = np.zeros(shape, bool)
    exact = np.full(len(inside), np.nan) if isinstance(column, (NumericEncoder, IncrementEncoder)) else None
    if steps is not None:
        location = Location("prefix", field.name, before)
        encoded = encode_values(column, steps, location)
        values[inside] = encoded
        where[inside] = True
        if never_goes_back(column):
            _check_reach(column, encoded, allowed, location)
        if exact is not None:
            exact[inside] = as_number(steps)
    if pins:
        location = Location("pin", field.name, names=[one.name for one in pins])
        if isinstance(column, MultiLabel):
            _pin_members(values, where, column, pins, at, allowed)
            return values, where, None
        raw = _raw(field, column, [one.value for one in pins], location)
        encoded = encode_values(column, raw, location)
        numbers = None if exact is None else as_number(raw)
        check_allowed(allowed, encoded if numbers is None else numbers, location)
        for k, (one, index) in enumerate(zip(pins, at.tolist(), strict=True)):
            if where[index] and not np.array_equal(values[index], encoded[k], equal_nan=values.dtype.kind == "f"):
                raise OptionError(
                    location.at(k), "the value that the prefix has there", repr(one.value), "Leave out one."
                )
        values[at], where[at] = encoded, True
        if isinstance(column, (NumericEncoder, IncrementEncoder)) and exact is not None and numbers is not None:
            _check_within(field, column, numbers, location)
            exact[at] = numbers
    return values, where, exact


def _raw(field: AnyField, column: StepColumn, values: list[Any], location: Location) -> NDArray[Any]:
    """Pinned values in canonical form."""
    plain = [value.item() if isinstance(value, np.generic) and value.dtype.kind != "M" else value for value in values]
    if isinstance(column, Vocabulary) and column.text:
        for k, value in enumerate(plain):
            if not isinstance(value, str):
                raise SchemaError(location.at(k), "a piece of text", repr(value))
        spelled = [value.encode().decode("latin-1") for value in plain] if is_bytes(field) else plain
        return np.array(spelled, dtype=object)
    if isinstance(column, Vocabulary):  # they are compared as they are
        return np.array([*(None if value != value else value for value in plain), None], dtype=object)[:-1]
    return coerce(from_values(plain, location), field, location)


def encode_values(column: StepColumn, values: NDArray[Any], location: Location) -> NDArray[Any]:
    """Canonical values as the network sees them; y of those that add up.

    Raises:
        UnknownCategory: a symbol that training never saw.
        SchemaError: a missing value where training had none, or one that the transform is not defined for.
    """
    if isinstance(column, Vocabulary):
        return column.encode(values, location, strict=True)
    if isinstance(column, MultiLabel):
        return column.encode(values, location)
    if isinstance(column, NumericEncoder) and cumulative_unit(column) is None:
        return column.encode(values, location)
    numbers = as_number(values)
    if np.isnan(numbers).any() and not column.nullable:
        raise missing_value(location, int(np.argmax(np.isnan(numbers))))
    if isinstance(column, NumericEncoder):
        column.check(numbers, location)
    return running_sum(column, numbers)


def _pin_members(
    values: NDArray[Any],
    where: NDArray[np.bool_],
    column: MultiLabel,
    pins: list[Pin],
    at: NDArray[np.int64],
    allowed: Allowed | None,
) -> None:
    """Enter pinned members of a block; all of them are missing or none is."""
    for one, index in zip(pins, at.tolist(), strict=True):
        m = one.member or 0
        location = Location("pin", column.members[m], names=[one.name])
        flags = coerce(from_values([one.value], location), Flag(column.members[m]), location)[0]
        if flags is None and not column.nullable:
            raise missing_value(location, 0)
        value = np.nan if flags is None else 1.0 if flags else -1.0
        check_allowed(allowed and Allowed(None, allowed.low[m], allowed.high[m]), np.array([value]), location)
        if where[index, m] and not np.array_equal(values[index, m], value, equal_nan=True):
            raise OptionError(location.at(0), "the value that the prefix has there", repr(one.value), "Leave out one.")
        values[index, m], where[index, m] = value, True
    for one, index in zip(pins, at.tolist(), strict=True):
        gone = np.isnan(values[index]) & where[index]
        if gone.any() and not gone.all():
            found = f"{column.members[int(np.argmax(gone))]!r} alone"
            hint = "Pin all members to None, or none."
            raise OptionError(f"pin: {one.name}", "a block that is missing as a whole", found, hint)


def _check_within(
    field: AnyField, column: NumericEncoder | IncrementEncoder, values: NDArray[np.float64], location: Location
) -> None:
    """Refuse pinned numbers that no draw could have."""
    decimals = column.decimals if not (isinstance(column, IncrementEncoder) and column.unit) else None
    floor, ceiling = (column.floor, column.ceiling) if isinstance(column, NumericEncoder) else (column.floor, None)
    for k, value in enumerate(values.tolist()):
        if decimals is not None and value == value and round(value, decimals) != value:
            expected = "a whole number" if decimals == 0 else f"a number of at most {decimals} decimals"
            raise OptionError(location.at(k), f"{expected}, as in training", f"{value:g}")
        for bound, beyond, word in (
            (floor, floor is not None and value < floor, "at least"),
            (ceiling, ceiling is not None and value > ceiling, "at most"),
        ):
            if beyond:
                hint = f"Pin a value within; or fit again with Number({field.name!r}, bounds=...)."
                raise OptionError(location.at(k), f"{word} {bound:g}, the bound of the column", f"{value:g}", hint)


def _check_reach(column: IncrementEncoder, y: NDArray[np.float64], allowed: Allowed | None, location: Location) -> None:
    """Refuse a prefix that has passed all that may be drawn, which what never goes back can't reach any more."""
    falling = column.never == "rises"
    for end, whose, hint in (
        (column.floor, "the bound of the column", f"fit again with Number({location.column!r}, bounds=None)"),
        (allowed and (allowed.low if falling else allowed.high), "where what is allowed ends", "allow more"),
    ):
        if end is not None and (past := y > running_sum(column, np.array([end]))).any():
            k = int(np.argmax(past))
            word = "at least" if falling else "at most"
            expected = f"{word} {_shown(column, end / column.one)}, {whose}, because it never {column.never}"
            raise OptionError(location.at(k), expected, _shown(column, y[k]), f"Leave out that step, or {hint}.")


def _check_together(
    codec: Codec,
    pins: list[Pin],
    told: list[tuple[NDArray[Any], NDArray[np.bool_]]],
    offsets: NDArray[np.int64],
    allowed: tuple[Allowed | None, ...],
) -> None:
    """Refuse pins of a combination that can't be kept, or that leave out a field before a pinned one.

    Raises:
        OptionError: the first such step.
    """
    names = [field.name for field in codec.schema.steps]
    for one in codec.combinations:
        fields = [names.index(name) for name in one.fields]
        ways = ways_allowed(codec, one, allowed)
        starts = {way[:k] for way in ways for k in range(1, len(fields) + 1)}
        for pin in pins:
            if pin.field not in fields:
                continue
            at = offsets[pin.row] + pin.step
            known = [bool(told[j][1][at]) for j in fields]
            level = fields.index(pin.field)
            if not all(known[: level + 1]):
                missing = repr(one.fields[known.index(False)])
                hint = f"Pin {missing} too: it is drawn before {one.fields[level]!r}, and they must go together."
                raise OptionError(f"pin: {pin.name}", f"a value of {missing}", "none", hint)
            way = tuple(int(told[j][0][at]) for j in fields[: level + 1])
            if way not in starts:
                found = " and ".join(repr(codec.steps[j].values[s]) for j, s in zip(fields, way, strict=False))  # type: ignore[union-attr]
                location = f"pin: {pin.name}, columns {listing(map(repr, one.fields[: level + 1]))}"
                raise OptionError(location, "a combination that training saw", found)


def _grounds(
    column: StepColumn, name: str, first: Mapping[str, NDArray[np.float64]] | None, rows: int
) -> NDArray[np.float64]:
    """(rows,) y of what the first step is counted from; minus infinity while nobody knows it."""
    origin = None if first is None else origin_of(column, first.get(name), rows)
    return np.full(rows, -np.inf) if origin is None else origin.origin


def _rising(
    name: str,
    column: IncrementEncoder,
    values: NDArray[Any],
    where: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    ground: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The next given y of a field whose y never falls, by step.

    Raises:
        OptionError: a given value has gone back behind one before it.
    """
    given, many = where & ~np.isnan(values), len(offsets) > 2
    most = np.where(given, values, np.inf)
    for row in range(len(offsets) - 1):
        part = slice(offsets[row], offsets[row + 1])
        at = np.flatnonzero(given[part])
        y = np.concatenate([[ground[row] if many else ground.max(initial=-np.inf)], values[part][at]])
        if (falls := np.diff(y) < 0).any():
            k = int(np.argmax(falls))
            before = f"the value given for step {at[k - 1]}" if k else "what the first step is counted from"
            less = "less" if column.never == "falls" else "more"
            expected = f"no {less} than {_shown(column, y[k])}, {before}, because it never {column.never}"
            location = f"pin: {f'row {row}, ' if many else ''}step {at[k]}, column {name!r}"
            raise OptionError(location, expected, _shown(column, y[k + 1]))
        most[part] = np.minimum.accumulate(most[part][::-1])[::-1]
    return most


def _shown(column: IncrementEncoder, y: float) -> str:
    """The value of a y, as people write it."""
    if column.unit:
        return str(np.datetime64(round(y * column.unit), "us"))
    return f"{y * column.sign + 0.0:g}"
