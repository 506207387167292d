"""The values that each kind of field accepts, and a raw column in the form of its field's kind."""

import bisect
import math
from typing import Any

import msgspec
import numpy as np

from unspool.errors import Location, OptionError, SchemaError
from unspool.schema.fields import Angle, Category, Count, Field, Flag, Number, Text, Vector, When
from unspool.tables.arrow import from_values
from unspool.tables.columns import MAX_EXACT_INTEGER, Column, Ragged, Record, is_whole, kind_of, missing_mask
from unspool.tables.spellings import Spelling, spelling_of

FIRST_DATE, LAST_DATE = np.datetime64("0001-01-01", "us"), np.datetime64("9999-12-31T23:59:59.999999", "us")
"""Other years are no dates to most programs."""
NO_DATE = np.datetime64("NaT", "us")
MAX_MAGNITUDE = 1e100
"""Largest number: its square, and a sum of many, are finite in float64."""


def coerce(column: Column, field: Field, location: Location) -> np.ndarray:
    """The values of a column in the form of its field's kind.

    | kind | form | missing |
    |---|---|---|
    | Number, Count, Angle | int64 or float64 | NaN |
    | Category | int64, bool, or object of str, int, float, bool; dates as ISO 8601 text | None |
    | Flag | bool, or object of bool | None |
    | When | datetime64[us] | NaT |
    | Vector | float64 (N, D) | NaN; D is 0 when all are missing |
    | Text | uint32 code points | none |

    Raises:
        SchemaError: values of another kind; names the first one.
    """
    match field:
        case Number() | Angle():
            numbers = _require_finite(_numbers(column, field, location), location)
            return _counts(numbers, field, location) if isinstance(field, Count) else numbers
        case Category():
            return _categories(column, field, location)
        case Flag():
            return _flags(column, field, location)
        case When():
            return timestamps(column, field, location)
        case Vector():
            return _vectors(column, field, location)
        case Text():
            return _text(column, field, location)
    raise AssertionError(field)


def _wrong_kind(column: Column, field: Field, location: Location, hint: str = "") -> SchemaError:
    """The error about a column whose values are not of the field's kind."""
    present = np.flatnonzero(~missing_mask(column))
    row = int(present[0]) if len(present) else 0
    example = f" {column[row]!r}" if isinstance(column, np.ndarray) and len(present) else ""
    return SchemaError(location.at(row), field.what, kind_of(column) + example, hint or "Pass a field of another kind.")


def _require_finite(values: np.ndarray, location: Location) -> np.ndarray:
    """The values, if none is infinite, or too large to compute with."""
    if values.dtype.kind != "f":
        return values
    beyond = (values > MAX_MAGNITUDE) | (values < -MAX_MAGNITUDE)
    if beyond.any():
        row = int(np.argmax(beyond.reshape(len(values), -1).any(1)))
        if np.isinf(values[row]).any():
            hint = "Write None or NaN where the value is unknown."
            raise SchemaError(location.at(row), "a finite number", str(values[row]), hint)
        expected, hint = f"a number of at most {MAX_MAGNITUDE:g} in size", "Change the unit, or correct the cell."
        raise SchemaError(location.at(row), expected, str(values[row]), hint)
    return values


def _numbers(column: Column, field: Field, location: Location) -> np.ndarray:
    if isinstance(column, (Ragged, Record)) or column.dtype.kind == "M":
        raise _wrong_kind(column, field, location)
    if column.dtype.kind != "O":
        if column.dtype.kind == "i":
            _require_exact((column > MAX_EXACT_INTEGER) | (column < -MAX_EXACT_INTEGER), column, location)
        return column.astype(np.int64) if column.dtype.kind == "b" else column
    large = [isinstance(value, int) and abs(value) > MAX_EXACT_INTEGER for value in column.tolist()]
    _require_exact(np.array(large, bool), column, location)
    values = np.full(len(column), np.nan)
    for row, value in enumerate(column.tolist()):
        number = parse_number(value)
        if number is None:
            hint = f"Correct the cell, or empty it; or pass Category({field.name!r}) if it is meant."
            raise SchemaError(location.at(row), "a number", repr(value), hint)
        values[row] = number
    return values


def _require_exact(rounded: np.ndarray, column: np.ndarray, location: Location) -> None:
    """Refuse whole numbers of which some would be rounded, (N,) bool."""
    if rounded.any():
        row = int(np.argmax(rounded))
        hint = f"If they are identifiers, pass Category({location.column!r}); if they may be rounded, write 1.0e18."
        raise SchemaError(location.at(row), "whole numbers up to 2**53, which are exact", str(column[row]), hint)


def _counts(values: np.ndarray, field: Field, location: Location) -> np.ndarray:
    missing = missing_mask(values)
    wrong = ~missing & ((values < 0) | (values != np.round(values)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise SchemaError(location.at(row), field.what, f"{values[row]:g}", f"Pass Number({field.name!r}).")
    return values if missing.any() else values.astype(np.int64)


def parse_number(value: Any) -> float | None:
    """A number, or a text that is one, as a float; NaN for a missing value; None for other values."""
    if value is None:
        return math.nan
    if isinstance(value, (bool, int, float)):
        return float(value)
    try:
        return float(value) if "_" not in value else None
    except ValueError:
        return None


def _categories(column: Column, field: Field, location: Location) -> np.ndarray:
    if isinstance(column, (Ragged, Record)):
        raise _wrong_kind(column, field, location, "Lists are not categories: turn them into text.")
    if column.dtype.kind == "M":
        texts = [None if value is None else value.isoformat() for value in column.tolist()]
        return np.array(texts, dtype=object)
    if column.dtype.kind != "f":
        return column
    require_digits(column, location)
    values, present = _require_finite(column, location).astype(object), ~np.isnan(column)
    if is_whole(column):
        values[present] = column[present].astype(np.int64)
    values[~present] = None
    return values


def require_digits(column: Column, location: Location) -> None:
    """Refuse identifiers that are whole numbers in floats from 2**53 on: two of them may have become one.

    A reader turned them into floats, as pandas does with a column that has empty cells.
    """
    if not isinstance(column, np.ndarray) or column.dtype.kind != "f":
        return
    rounded = np.abs(column) >= MAX_EXACT_INTEGER
    if rounded.any() and (np.isnan(column) | (column == np.round(column))).all():
        row = int(np.argmax(rounded))
        expected = "identifiers of which floats keep all digits: whole numbers below 2**53"
        read = f"Read the column as whole numbers, in pandas with dtype={{{location.column!r}: 'Int64'}}, or as text"
        hint = f"{read}; or pass Number({location.column!r}) if the values are amounts."
        raise SchemaError(location.at(row), expected, f"{column[row]:.0f}", hint)


def _flags(column: Column, field: Field, location: Location) -> np.ndarray:
    if isinstance(column, (Ragged, Record)):
        raise _wrong_kind(column, field, location)
    if kind_of(column) in ("truth value", "nothing"):
        return column
    if column.dtype.kind in "if":
        present = ~missing_mask(column)
        wrong = present & (column != 0) & (column != 1)
        if wrong.any():
            row, expected = int(np.argmax(wrong)), "true or false (or 1 or 0)"
            raise SchemaError(location.at(row), expected, str(column[row]), "Pass Number or Category.")
        values = (column == 1).astype(bool if present.all() else object)
        values[~present] = None
        return values
    raise _wrong_kind(column, field, location)


def timestamps(column: Column, field: Field, location: Location) -> np.ndarray:
    """Dates, or ISO 8601 texts, as datetime64[us] in UTC; a `SchemaError` names the first value that is neither."""
    if not isinstance(column, np.ndarray):
        raise _wrong_kind(column, field, location)
    if missing_mask(column).all() and column.dtype.kind != "M":
        return np.full(len(column), "NaT", "datetime64[us]")
    parsed = timestamps_or_none(column)
    if parsed is not None:
        outside = ~np.isnat(parsed) & ((parsed < FIRST_DATE) | (parsed > LAST_DATE))
        if outside.any():
            row = int(np.argmax(outside))
            hint = "Correct the cell, or empty it."
            raise SchemaError(location.at(row), "a date of the years 1 to 9999", str(parsed[row])[:-7], hint)
        sentinel = getattr(field, "sentinel", None)
        return parsed if sentinel is None else np.where(parsed == sentinel_date(sentinel), NO_DATE, parsed)
    if kind_of(column) != "text":
        raise _wrong_kind(column, field, location)
    # Texts may be dates one by one and not together: some with a time zone, others without.
    row = bisect.bisect(range(len(column)), False, key=lambda row: parse_timestamps(column[: row + 1]) is None)
    hint = "Write dates as YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, or all of them as months (YYYY-MM) or quarters (YYYYQ1)."
    raise SchemaError(location.at(row), field.what, repr(column[row]), hint)


def sentinel_date(sentinel: str) -> np.datetime64:
    """The date that stands for none, see `When`; an `OptionError` if the text is no date."""
    parsed = parse_timestamps(np.array([sentinel], object))
    if parsed is None:
        raise OptionError("When(sentinel=...)", "a date such as 9999-12-31", repr(sentinel))
    return parsed[0]


def timestamps_or_none(column: np.ndarray) -> np.ndarray | None:
    """A column of dates, or of texts that `parse_timestamps` reads, as datetime64[us]; None of any other."""
    if column.dtype.kind == "M":
        return column
    return parse_timestamps(column) if kind_of(column) == "text" else None


def parse_timestamps(column: np.ndarray) -> np.ndarray | None:
    """ISO 8601 texts as datetime64[us] in UTC, months, quarters and weeks as their start; None if any text is no date.

    Examples:
        >>> parse_timestamps(np.array(["2026-01-31", None], object)).astype(str).tolist()
        ['2026-01-31T00:00:00.000000', 'NaT']
        >>> parse_timestamps(np.array(["2026 Q2"], object)).astype(str).tolist()
        ['2026-04-01T00:00:00.000000']
        >>> parse_timestamps(np.array(["2026"], object)) is None
        True
    """
    import pyarrow as pa

    texts = pa.array(column, pa.string())
    for zone in (None, "UTC"):
        try:
            parsed = texts.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        return parsed.to_numpy(zero_copy_only=False).astype("datetime64[us]")
    if (spelling := spelling_of_column(column)) is None:
        return None
    starts = {text: spelling.parse(text) for text in set(column.tolist()) - {None}}
    return np.array([starts.get(text) for text in column.tolist()], "datetime64[us]")


def spelling_of_column(column: np.ndarray) -> Spelling | None:
    """How the months, quarters or weeks of a column are written; None if they are anything else."""
    return spelling_of(text for text in column.tolist() if text is not None) if kind_of(column) == "text" else None


def _vectors(column: Column, field: Field, location: Location) -> np.ndarray:
    column = from_json(column, location)
    if isinstance(column, np.ndarray) and missing_mask(column).all():
        return np.zeros((len(column), 0))  # no vector at all, so no width
    values = column.values if isinstance(column, Ragged) else None
    if not isinstance(column, Ragged) or not isinstance(values, np.ndarray) or values.dtype.kind not in "ifb":
        raise _wrong_kind(column, field, location)
    lengths = column.lengths[~column.missing]
    width = int(lengths[0]) if len(lengths) else 0
    uneven = ~column.missing & (column.lengths != width)
    if uneven.any() or not width:
        row = int(np.argmax(uneven)) if uneven.any() else 0
        raise SchemaError(location.at(row), f"{width or 'some'} numbers, as in row 1", f"{column.lengths[row]}")
    vectors = np.full((len(column), width), np.nan)
    vectors[~column.missing] = values.reshape(-1, width)
    return _require_finite(vectors, location)


def _text(column: Column, field: Field, location: Location) -> np.ndarray:
    """(S,) code points, of a column that holds them already or of texts."""
    if isinstance(column, np.ndarray) and column.dtype == np.uint32:
        return column
    if kind_of(column) not in ("text", "nothing") or not isinstance(column, np.ndarray):
        raise _wrong_kind(column, field, location)
    for row, text in enumerate(column.tolist()):  # a step is a character
        if text is None or len(text) != 1:
            hint = "Write a sequence of characters as one text."
            raise SchemaError(location.at(row), "a text, or a list of single characters", repr(text)[:60], hint)
    return code_points(column)


def code_points(texts: np.ndarray) -> np.ndarray:
    r"""(S,) uint32: the Unicode code points of all texts, concatenated; a missing text has none.

    Examples:
        >>> code_points(np.array(["a\N{GRINNING FACE}", None], object)).tolist()
        [97, 128512]
    """
    return np.frombuffer("".join(text for text in texts.tolist() if text).encode("utf-32-le"), np.uint32)


def from_json(column: Column, location: Location) -> Column:
    """A column of texts that are all JSON arrays, as in CSV cells, as lists; any other column as it is.

    Examples:
        >>> from_json(np.array(["[1, 2]", "[]"], object), Location("the data", "x")).values.tolist()
        [1, 2]
    """
    if not isinstance(column, np.ndarray) or kind_of(column) != "text":
        return column
    texts = [None if text is None else text.strip() for text in column.tolist()]
    if not all(text is None or (text[:1] == "[" and text[-1:] == "]") for text in texts):
        return column
    decode = msgspec.json.Decoder(list[Any]).decode
    try:
        values = [None if text is None else decode(text) for text in texts]
    except msgspec.DecodeError:
        return column
    return from_values(values, location)
