"""Columns of text that are not the categories that they would be taken for: misread numbers, dates, prose."""

import re

import numpy as np

from unspool.errors import Location, SchemaError
from unspool.schema.coercion import parse_number, parse_timestamps
from unspool.tables.columns import missing_mask

MIN_NUMBERS = 20
"""Fewest distinct numbers or dates among texts that make the rest of the texts look like mistakes."""
MIN_DATES = 3
"""Fewest distinct texts that are dates if all look like it."""
MIN_PROSE_TEXTS, MIN_REPEATS = 1_000, 2.0
"""Distinct texts from which on they are prose or names rather than categories, if each is there fewer times than so."""
TEXTS_LOOKED_AT = 100
"""Distinct texts that are looked at before all of them are."""

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY, _CLOCK = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]m)?)?"
DATE_PATTERNS = tuple(
    re.compile(pattern + _CLOCK + zone, re.IGNORECASE)
    for pattern, zone in (
        (r"\d{4}-\d{2}-\d{2}", ""),
        (r"\d{4}-\d{2}-\d{2}", r"(?:Z|[+-]\d{2}:?\d{2})"),
        (rf"\d{{4}}([/.]){_DAY}\1{_DAY}", ""),
        (rf"{_DAY}([-/.]){_DAY}\1\d{{4}}", ""),
        (rf"{_DAY}/{_DAY}/\d{{2}}", ""),
        (rf"{_MONTH}\.? {_DAY}(?:st|nd|rd|th)?,? \d{{4}}", ""),
        (rf"{_DAY}(?:st|nd|rd|th)?\.?[ -]{_MONTH}\.?,?[ -]\d{{4}}", ""),
    )
)
"""How people write dates; the first two are those of ISO 8601."""


def refuse_text(column: np.ndarray, location: Location, hint: str, *, numbers: bool = True) -> None:
    """Refuse a column of text that is no categories: dates, numbers or prose.

    Args:
        column: (N,) the texts.
        location: where it is.
        hint: what to do where it is prose.
        numbers: whether it may be numbers.

    Raises:
        SchemaError: says what it is, and where that shows first.
    """
    import pyarrow as pa

    unique: list[str] = pa.array(column, pa.string()).drop_null().unique().to_pylist()
    refuse_dates(unique, column, location)
    if numbers:
        refuse_mixed(unique, column, location)
    refuse_prose(unique, column, location, hint)


def refuse_mixed(unique: list[str], column: np.ndarray, location: Location) -> None:
    """Refuse text that is nearly all numbers: a number that can't be read, rather than a category.

    Nearly all means 9 of 10 distinct values, and at least `MIN_NUMBERS`: fewer may well be tokens, digits and signs,
    say.
    """
    odd = [text for text in unique if parse_number(text) is None]
    count = len(unique) - len(odd)
    if odd and count >= max(MIN_NUMBERS, 9 * len(odd)):
        raise _odd_one_out(odd[0], "a number", column, location)


def refuse_dates(unique: list[str], column: np.ndarray, location: Location) -> None:
    """Refuse text that is dates, but can't be read as such: written in several ways, or in one that may be misread.

    All of at least `MIN_DATES` distinct texts must look like dates, or 9 of 10 of which `MIN_NUMBERS` do.
    """
    if sum(_way(text) is not None for text in unique[:TEXTS_LOOKED_AT]) < 0.5 * min(len(unique), TEXTS_LOOKED_AT):
        return
    ways: dict[int, str] = {}
    odd = []
    for text in unique:
        way = _way(text)
        if way is None:
            odd.append(text)
        else:
            ways.setdefault(way, text)
    count = len(unique) - len(odd)
    if count < MIN_DATES or (odd and count < max(MIN_NUMBERS, 9 * len(odd))):
        return
    if not odd and set(ways) == {0}:
        odd = [text for text in unique if parse_timestamps(np.array([text], object)) is None]
    if odd:
        raise _odd_one_out(odd[0], "a date", column, location)
    shown = ", ".join(f"{text!r} in {_row(text, column, location)}" for text in ways.values())
    found = f"{len(ways)} ways: {shown}" if len(ways) > 1 else shown
    hint = f"Write all of them as YYYY-MM-DD, or as YYYY-MM-DDTHH:MM:SS; {_meant(location)}"
    raise SchemaError(location.whole, "dates that are written in one way, that of ISO 8601", found, hint)


def refuse_prose(unique: list[str], column: np.ndarray, location: Location, hint: str) -> None:
    """Refuse text of which hardly any comes again: no category, since what is seen once can't be learned."""
    present = int((~missing_mask(column)).sum())
    if len(unique) < MIN_PROSE_TEXTS or present >= MIN_REPEATS * len(unique):
        return
    example = unique[0] if len(unique[0]) <= 40 else unique[0][:37] + "..."
    found = f"{len(unique):,} different texts among {present:,}, such as {example!r}"
    raise SchemaError(location.whole, "categories that come again and again", found, f"{hint}; {_meant(location)}")


def _odd_one_out(text: str, kind: str, column: np.ndarray, location: Location) -> SchemaError:
    hint = f"Correct the cell, or empty it; {_meant(location)}"
    return SchemaError(
        location.at(column.tolist().index(text)), f"{kind}, like nearly all the others", repr(text), hint
    )


def _meant(location: Location) -> str:
    return f"or pass Category({location.column!r}) if it is meant."


def _row(text: str, column: np.ndarray, location: Location) -> str:
    """Where a text stands first, but for the source and the column."""
    whole = location.at(column.tolist().index(text))
    return whole.removeprefix(f"{location.source}: ").removesuffix(f", column {location.column!r}")


def _way(text: str) -> int | None:
    """Which of `DATE_PATTERNS` a text is written in."""
    return next((number for number, way in enumerate(DATE_PATTERNS) if way.fullmatch(text.strip())), None)
