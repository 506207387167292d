"""Columns of text that are not the categories that they would be taken for: misread numbers, dates, prose."""

import re

import numpy as np

from unspool.errors import SchemaError
from unspool.schema.coercion import parse_moments, parse_number
from unspool.tables.columns import missing_mask
from unspool.tables.location import Place

MANY = 20
"""Fewest distinct numbers or dates among texts that make the rest of the texts look like mistakes."""
DATES = 3
"""Fewest distinct texts that are dates if all look like it."""
TEXTS, AGAIN = 1_000, 2.0
"""Distinct texts from which on they are prose or names rather than categories, if each is there fewer times than so."""
LOOKED = 100
"""Distinct texts that are looked at before all of them are."""

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY, _CLOCK = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]m)?)?"
WAYS = tuple(
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


def refuse_text(column: np.ndarray, place: Place, cure: str, *, numbers: bool = True) -> None:
    """Refuse a column of text that is no categories: dates, numbers or prose.

    Args:
        column: (N,) the texts.
        place: where it is.
        cure: what to do where it is prose.
        numbers: whether it may be numbers.

    Raises:
        SchemaError: says what it is, and where that shows first.
    """
    import pyarrow as pa

    unique: list[str] = pa.array(column, pa.string()).drop_null().unique().to_pylist()
    refuse_dates(unique, column, place)
    if numbers:
        refuse_mixed(unique, column, place)
    refuse_prose(unique, column, place, cure)


def refuse_mixed(unique: list[str], column: np.ndarray, place: Place) -> None:
    """Refuse text that is nearly all numbers: a number that can't be read, rather than a category.

    Nearly all means 9 of 10 distinct values, and at least `MANY`: fewer may well be tokens, digits and signs, say.
    """
    odd = [text for text in unique if parse_number(text) is None]
    count = len(unique) - len(odd)
    if odd and count >= max(MANY, 9 * len(odd)):
        raise _odd_one_out(odd[0], "a number", column, place)


def refuse_dates(unique: list[str], column: np.ndarray, place: Place) -> None:
    """Refuse text that is dates, but can't be read as such: written in several ways, or in one that may be misread.

    All of at least `DATES` distinct texts must look like dates, or 9 of 10 of which `MANY` do.
    """
    if sum(_way(text) is not None for text in unique[:LOOKED]) < 0.5 * min(len(unique), LOOKED):
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
    if count < DATES or (odd and count < max(MANY, 9 * len(odd))):
        return
    if not odd and set(ways) == {0}:
        odd = [text for text in unique if parse_moments(np.array([text], object)) is None]
    if odd:
        raise _odd_one_out(odd[0], "a date", column, place)
    shown = ", ".join(f"{text!r} in {_row(text, column, place)}" for text in ways.values())
    found = f"{len(ways)} ways: {shown}" if len(ways) > 1 else shown
    cure = f"Write all of them as YYYY-MM-DD, or as YYYY-MM-DDTHH:MM:SS; {_meant(place)}"
    raise SchemaError(place.whole, "dates that are written in one way, that of ISO 8601", found, cure)


def refuse_prose(unique: list[str], column: np.ndarray, place: Place, cure: str) -> None:
    """Refuse text of which hardly any comes again: no category, since what is seen once can't be learned."""
    present = int((~missing_mask(column)).sum())
    if len(unique) < TEXTS or present >= AGAIN * len(unique):
        return
    example = unique[0] if len(unique[0]) <= 40 else unique[0][:37] + "..."
    found = f"{len(unique):,} different texts among {present:,}, such as {example!r}"
    raise SchemaError(place.whole, "categories that come again and again", found, f"{cure}; {_meant(place)}")


def _odd_one_out(text: str, kind: str, column: np.ndarray, place: Place) -> SchemaError:
    cure = f"Correct the cell, or empty it; {_meant(place)}"
    return SchemaError(place.at(column.tolist().index(text)), f"{kind}, like nearly all the others", repr(text), cure)


def _meant(place: Place) -> str:
    return f"or pass Category({place.column!r}) if it is meant."


def _row(text: str, column: np.ndarray, place: Place) -> str:
    """Where a text stands first, but for the source and the column."""
    whole = place.at(column.tolist().index(text))
    return whole.removeprefix(f"{place.source}: ").removesuffix(f", column {place.column!r}")


def _way(text: str) -> int | None:
    """Which of `WAYS` a text is written in."""
    return next((number for number, way in enumerate(WAYS) if way.fullmatch(text.strip())), None)
