"""Columns of text that are no categories: misread numbers, dates, prose."""

import re

import numpy as np

from unspool.errors import Location, SchemaError
from unspool.schema.coercion import parse_number, parse_timestamps
from unspool.tables.columns import missing_mask

MIN_NUMBERS = 20
"""Fewest distinct numbers or dates among texts that make the other texts look like mistakes."""
MIN_DATES = 3
"""Fewest distinct texts that are dates if all of them look like dates."""
MIN_NUMERIC_TEXTS = 30
"""Fewest distinct texts that are numbers, maybe with a unit, about which a fit prints a line."""
NUMBER_WITH_UNIT = re.compile(r"[^\w\s]{0,2}\s?[-+]?\d[\d.,]*\s?[^\d]{0,8}")
MIN_PROSE_TEXTS, MIN_REPEATS = 1_000, 2.0
"""Fewest distinct texts that are prose or names rather than categories, if each occurs fewer times than this."""
NUM_CHECKED_TEXTS = 100
"""Distinct texts that Unspool checks before all of them."""

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
"""Common spellings of dates; the first two are those of ISO 8601."""


def refuse_text(column: np.ndarray, location: Location, hint: str, *, numbers: bool = True) -> None:
    """Refuse a column of text that is no categories: dates, numbers or prose.

    Args:
        column: (N,) the texts.
        location: the location of the column.
        hint: the hint about prose.
        numbers: whether to refuse numbers.

    Raises:
        SchemaError: names the kind of text, and its first occurrence.
    """
    import pyarrow as pa

    unique: list[str] = pa.array(column, pa.string()).drop_null().unique().to_pylist()
    _refuse_dates(unique, column, location)
    if numbers:
        _refuse_mixed(unique, column, location)
    _refuse_prose(unique, column, location, hint)


def numeric_texts(column: np.ndarray) -> str:
    """A line about categories of which at least 9 of 10 are numbers, maybe with a unit; empty for others, and for few.

    Examples:
        >>> numeric_texts(np.array([f"{number / 8} mg" for number in range(40)], object))
        "40 different texts such as '0.0 mg' are categories. If they are measurements, give numbers without their unit"
    """
    import pyarrow as pa

    unique: list[str] = pa.array(column, pa.string()).drop_null().unique().to_pylist()
    if len(unique) < MIN_NUMERIC_TEXTS:
        return ""
    plain = sum(parse_number(text) is not None for text in unique)
    with_unit = sum(NUMBER_WITH_UNIT.fullmatch(text.strip()) is not None for text in unique)
    start = f"{len(unique):,} different texts such as {unique[0]!r} are categories."
    if plain >= 0.9 * len(unique):
        return f"{start} If they are measurements, make the column a number"
    hint = "If they are measurements, give numbers without their unit"
    return f"{start} {hint}" if with_unit >= 0.9 * len(unique) else ""


def are_numbers(column: np.ndarray) -> bool:
    """Whether there are texts, and all of them are numbers.

    Examples:
        >>> are_numbers(np.array(["-0.5", "12"], object)), are_numbers(np.array(["12", "b"], object))
        (True, False)
    """
    present = [text for text in column.tolist() if text]
    return bool(present) and all(parse_number(text) is not None for text in present)


def are_decimals(column: np.ndarray) -> bool:
    """Whether all texts are numbers, some with decimals, and more than `MIN_NUMBERS` are distinct."""
    if not any("." in text for text in column[:1000] if text):
        return False
    unique = {text for text in column.tolist() if text is not None}
    return len(unique) >= MIN_NUMBERS and all(parse_number(text) is not None for text in unique)


def _refuse_mixed(unique: list[str], column: np.ndarray, location: Location) -> None:
    """Refuse text of which 9 of 10 distinct values, and at least `MIN_NUMBERS`, are numbers; fewer may be tokens."""
    odd = [text for text in unique if parse_number(text) is None]
    count = len(unique) - len(odd)
    if odd and count >= max(MIN_NUMBERS, 9 * len(odd)):
        raise _odd_one_out(odd[0], "a number", column, location)


def _refuse_dates(unique: list[str], column: np.ndarray, location: Location) -> None:
    """Refuse dates that can't be read as such: of several spellings, or of one that is ambiguous.

    All of at least `MIN_DATES` distinct texts must look like dates, or 9 of 10 texts and at least `MIN_NUMBERS`.
    """
    checked = unique[:NUM_CHECKED_TEXTS]
    if sum(_spelling(text) is not None for text in checked) < 0.5 * len(checked):
        return
    spellings = {text: _spelling(text) for text in unique}
    odd = [text for text, spelling in spellings.items() if spelling is None]
    firsts: dict[int, str] = {}
    for text, spelling in spellings.items():
        if spelling is not None:
            firsts.setdefault(spelling, text)
    count = len(unique) - len(odd)
    if count < MIN_DATES or (odd and count < max(MIN_NUMBERS, 9 * len(odd))):
        return
    if not odd and set(firsts) == {0}:
        odd = [text for text in unique if parse_timestamps(np.array([text], object)) is None]
    if odd:
        raise _odd_one_out(odd[0], "a date", column, location)
    shown = ", ".join(f"{text!r} in {_row(text, column, location)}" for text in firsts.values())
    found = f"{len(firsts)} ways: {shown}" if len(firsts) > 1 else shown
    hint = f"Write all of them as YYYY-MM-DD, or as YYYY-MM-DDTHH:MM:SS; {_meant(location)}"
    raise SchemaError(location.whole, "dates that are written in one way, that of ISO 8601", found, hint)


def _refuse_prose(unique: list[str], column: np.ndarray, location: Location, hint: str) -> None:
    """Refuse text that hardly ever repeats: a category that occurs once can't be learned."""
    present = int((~missing_mask(column)).sum())
    if len(unique) < MIN_PROSE_TEXTS or present >= MIN_REPEATS * len(unique):
        return
    example = unique[0] if len(unique[0]) <= 40 else unique[0][:37] + "..."
    found = f"{len(unique):,} different texts among {present:,}, such as {example!r}"
    raise SchemaError(location.whole, "categories that come again and again", found, f"{hint}; {_meant(location)}")


def _odd_one_out(text: str, kind: str, column: np.ndarray, location: Location) -> SchemaError:
    hint = f"Correct the cell, or empty it; {_meant(location)}"
    where = location.at(column.tolist().index(text))
    return SchemaError(where, f"{kind}, like nearly all the others", repr(text), hint)


def _meant(location: Location) -> str:
    return f"or pass Category({location.column!r}) if it is meant."


def _row(text: str, column: np.ndarray, location: Location) -> str:
    """The location of the first occurrence of a text, without source and column."""
    whole = location.at(column.tolist().index(text))
    return whole.removeprefix(f"{location.source}: ").removesuffix(f", column {location.column!r}")


def _spelling(text: str) -> int | None:
    """The number of the first of `DATE_PATTERNS` that matches a text."""
    return next((number for number, pattern in enumerate(DATE_PATTERNS) if pattern.fullmatch(text.strip())), None)
