"""Texts of months, quarters and weeks, as statistical offices write them: 1998-01, Jan 1998, 1998Q1, 1998-W01.

A spelling is named after the first period of a year: `"YYYY-01"`, `"Jan YYYY"`, `"YYYYQ1"`, `"YYYY-W01"`.
"""

import datetime as dt
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

YEARS = range(1600, 2400)
"""Other numbers of four digits are rather parts of an identifier than years."""
WEEKS = 53
"""Weeks of the longest years of ISO 8601."""
_MONTHS = ["January", "February", "March", "April", "May", "June"]
_MONTHS += ["July", "August", "September", "October", "November", "December"]
_SHORT = [month[:3] for month in _MONTHS]
_DIGITS = [[f"{month:02}" for month in range(1, 13)], [f"{month}" for month in range(1, 13)]]
_LETTERS = [
    *([f"M{month}" for month in months] for months in _DIGITS),
    *(
        [change(month) for month in months]
        for months in (_SHORT, _MONTHS)
        for change in (str.title, str.upper, str.lower)
    ),
    [f"Q{quarter}" for quarter in range(1, 5)],
    [f"W{week:02}" for week in range(1, WEEKS + 1)],
]


@dataclass(frozen=True, eq=False)
class Spelling:
    """One way to write months, quarters or weeks.

    Args:
        periods: what is written beside the year for each of its periods in turn, a separator included.
        year_first: whether the year comes first.

    Examples:
        >>> spelling = Spelling((" Q1", " Q2", " Q3", " Q4"), year_first=True)
        >>> spelling.parse("1998 Q2")
        datetime.datetime(1998, 4, 1, 0, 0)
        >>> spelling.format(dt.datetime(1998, 6, 30)), spelling.name
        ('1998 Q2', 'YYYY Q1')
    """

    periods: tuple[str, ...]
    year_first: bool

    @property
    def name(self) -> str:
        """How the first period of the year YYYY is written."""
        return self._join("YYYY", 0)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {text: number for number, text in enumerate(self.periods)}

    def _join(self, year: str, number: int) -> str:
        return year + self.periods[number] if self.year_first else self.periods[number] + year

    def parse(self, text: str) -> dt.datetime | None:
        """When a period starts; None if the text is written in another way."""
        year, period = (text[:4], text[4:]) if self.year_first else (text[-4:], text[:-4])
        number = self._numbers.get(period)
        if number is None or not (year.isascii() and year.isdigit()) or int(year) not in YEARS:
            return None
        if len(self.periods) != WEEKS:
            month = 1 + number * 12 // len(self.periods)
            return dt.datetime.fromisoformat(f"{year}-{month:02}-01")
        try:
            return dt.datetime.fromisocalendar(int(year), 1 + number, 1)
        except ValueError:  # most years have 52 weeks
            return None

    def format(self, moment: dt.datetime) -> str:
        """The period that holds a moment."""
        year, number = moment.year, (moment.month - 1) * len(self.periods) // 12
        if len(self.periods) == WEEKS:
            year, week, _ = moment.isocalendar()
            number = week - 1
        return self._join(f"{year:04}", number)


def _spellings() -> Iterable[Spelling]:
    # Without a letter, a dot makes a decimal, and no separator a number.
    for kinds, separators in ((_DIGITS, "-/"), (_LETTERS, ("", "-", " ", "/", "."))):
        for periods, separator, year_first in itertools.product(kinds, separators, (True, False)):
            joined = (separator + period if year_first else period + separator for period in periods)
            yield Spelling(tuple(joined), year_first)


SPELLINGS = {spelling.name: spelling for spelling in _spellings()}


def spelling_of(texts: Iterable[str]) -> Spelling | None:
    """The one way in which all texts are written; None if there is none, or if they are seasons.

    Seasons are years and the last two digits of the next, such as 2001-02 and 2002-03.

    Examples:
        >>> spelling_of(["Oct 1998", "May 1999"]).name
        'Jan YYYY'
        >>> spelling_of(["2001-02", "2002-03"]) is None, spelling_of(["1998-01", "1998 Q1"]) is None
        (True, True)
    """
    rest = iter(texts)
    first = next(rest, "")
    known = [spelling for spelling in SPELLINGS.values() if spelling.parse(first)]
    if not known:  # most columns are no periods, and one text says so
        return None
    distinct = list(dict.fromkeys(itertools.chain([first], rest)))
    found = next((spelling for spelling in known if all(map(spelling.parse, distinct))), None)
    if found is None or not found.year_first or len(distinct) == 1:
        return found
    seasons = all(text[-2:] == f"{int(text[:4]) + 1}"[-2:] for text in distinct)
    return None if seasons else found
