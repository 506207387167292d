"""Times as numbers, and numbers as increments."""

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.errors import SchemaError

DAY, MEAN_MONTH = 86_400_000_000, 2_629_746_000_000
"""Microseconds, of a month in the mean of 400 years."""
EARLIEST_MONTH, LATEST_MONTH = -1968 * 12, 8029 * 12 - 1
"""Months since January 1970 of the first one of year 2, and the last one of year 9998."""
MONTH_UNITS = (12, 6, 3, 1)
"""Months of a year, a half-year, a quarter, and one."""
MIN_DATES_OF_MONTHS = 4
"""Fewest different dates that show that all are the same day of a month."""
TIME_UNITS = (DAY, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)
"""Microseconds of a day, an hour, a minute, a second, a millisecond, and one."""
MIN_SHARE_OF_DAY, SURE_ERRORS_OF_DAY = 2.0, 4.0
"""How much more frequent than others, and by how many standard errors, a day is that dates prefer."""
DAYS_OF_MONTH = 365.25 / 12
"""In the mean."""
MIN_RISES = 20
"""Fewest rises, without a fall, that show that a column never falls."""
MIN_UNCHANGED, MIN_UNCHANGED_SEQUENCES = 200, 20
"""Fewest values equal to the one before them, and sequences, that show that a column never changes within them."""


def as_number(column: np.ndarray) -> np.ndarray:
    """(N,) float64: numbers as they are, times as microseconds since 1970; NaN where missing.

    Examples:
        >>> as_number(np.array(["1970-01-02", "NaT"], "datetime64[us]")).tolist()
        [86400000000.0, nan]
    """
    if column.dtype.kind != "M":
        return column.astype(np.float64)
    values = column.astype("datetime64[us]").astype(np.int64).astype(np.float64)
    values[np.isnat(column)] = np.nan
    return values


def time_unit(values: np.ndarray) -> float:
    """The longest of day, hour, minute, second, millisecond and microsecond that divides all times.

    Times, (S,), and the unit are in microseconds; missing ones are NaN.

    Examples:
        >>> time_unit(np.array([0.0, 7.2e9]))
        3600000000.0
    """
    whole = values[~np.isnan(values)].astype(np.int64)
    return float(next(unit for unit in TIME_UNITS if not (whole % unit).any()))


class Months(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Dates that are the same day of a month, once in so many months: y counts them, so that all are whole numbers.

    Times between two of them are between their y in proportion.

    Args:
        count: months of a unit, which is one, a quarter, a half-year or a year.
        phase: of y = 0, months since January 1970.
        day: of the month; of a shorter month the last one, so that 31 is the end of each.
        time: microseconds since the day began.
    """

    count: int
    phase: Annotated[int, msgspec.Meta(ge=0, le=11)] = 0
    day: Annotated[int, msgspec.Meta(ge=1, le=31)] = 1
    time: Annotated[float, msgspec.Meta(ge=0, lt=DAY)] = 0.0

    def __post_init__(self) -> None:
        if self.count not in MONTH_UNITS or self.phase >= self.count:
            expected = f"one of {MONTH_UNITS} months, and a phase below it"
            raise SchemaError("months", expected, f"{self.count}, {self.phase}")

    @classmethod
    def of(cls, times: np.ndarray) -> "Months | None":
        """Those of (S,) microseconds, NaN where missing; `None` if they aren't the same day of a month.

        Examples:
            >>> ends = np.array(["2024-01-31", "2024-02-29", "2024-03-31", "2025-02-28"], "datetime64[us]")
            >>> Months.of(as_number(ends)).day, Months.of(as_number(ends + np.timedelta64(1, "D"))).day
            (31, 1)
            >>> Months.of(as_number(np.append(ends, ends[0] + np.timedelta64(2, "D")))) is None
            True
        """
        moments = np.unique(times[~np.isnan(times)]).astype("datetime64[us]")
        days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
        if len(moments) < MIN_DATES_OF_MONTHS or (months[1:] == months[:-1]).any():
            return None
        of_day, number = (moments - days).astype(np.int64), months.astype(np.int64)
        day = int(day_of_month(days).max()) + 1
        count = next(count for count in MONTH_UNITS if not (np.diff(number) % count).any())
        found = cls(count, int(number[0] % count), day, float(of_day[0]))
        return found if (found._moments(number) == moments.astype(np.int64)).all() else None

    @property
    def in_year(self) -> int:
        """Units of a year."""
        return 12 // self.count

    def to_units(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The y of microseconds since 1970, of which infinite ones and NaN stay."""
        finite = np.isfinite(times)
        moments = np.where(finite, times, 0.0).astype(np.int64)
        number = moments.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        y = (number - self.phase) // self.count
        y = y - (moments < self._moments(self._months(y)))
        low, high = (self._moments(self._months(whole)) for whole in (y, y + 1))
        return np.where(finite, y + (moments - low) / (high - low), times)

    def to_times(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """The microseconds since 1970 of finite y, within years of four digits."""
        least, most = ((end - self.phase) // self.count for end in (EARLIEST_MONTH, LATEST_MONTH))
        y = np.clip(y, least, most)
        whole = np.floor(y).astype(np.int64)
        low, high = (self._moments(self._months(number)) for number in (whole, whole + 1))
        return np.asarray(low + (y - whole) * (high - low), np.float64)

    def _months(self, y: NDArray[np.int64]) -> NDArray[np.int64]:
        """Months since January 1970 of whole y."""
        return y * self.count + self.phase

    def _moments(self, months: NDArray[np.int64]) -> NDArray[np.int64]:
        """The microseconds of the day in some months."""
        first, after = ((months + k).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for k in (0, 1))
        return np.asarray((first + np.minimum(self.day, after - first) - 1) * DAY + round(self.time), np.int64)


def time_axis(times: np.ndarray, before: np.ndarray | None) -> tuple[float, Months | None]:
    """The unit of (S,) times and of those before step 0, all in microseconds; and the months, if it is some."""
    known = times if before is None else np.concatenate([times, before])
    months = Months.of(known)
    return (time_unit(times), None) if months is None else (float(months.count * MEAN_MONTH), months)


def to_units(times: np.ndarray, unit: float, months: Months | None) -> NDArray[np.float64]:
    """Microseconds in units, of which infinite ones and NaN stay."""
    return np.asarray(times / unit if months is None else months.to_units(np.asarray(times, np.float64)), np.float64)


def day_of_month(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(S,) days since the first of their months."""
    return (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)


def are_later(offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(S,) bool: steps that are not the first one of their sequence.

    Examples:
        >>> are_later(np.array([0, 2, 2, 3])).tolist()
        [False, True, False]
    """
    later = np.ones(offsets[-1], bool)
    later[offsets[:-1][np.diff(offsets) > 0]] = False
    return later


def prefers_days(times: NDArray[np.float64], offsets: NDArray[np.int64]) -> bool:
    """Whether some day of the month, from its first or its last one, is twice as frequent as others are.

    The day that is most frequent in every other month must be that in the months between, of (S,) microseconds without
    the first ones of their sequences. So a common start of all sequences is no such day.

    Examples:
        >>> days = np.arange(18_000, 18_400)
        >>> prefers_days(days * float(DAY), np.array([0, len(days)]))
        False
        >>> ends = (np.arange(570, 600).astype("datetime64[M]").astype("datetime64[D]").astype(int) - 1).repeat(9)
        >>> every = np.sort(np.concatenate([days, ends]))
        >>> prefers_days(every * float(DAY), np.array([0, len(every)]))
        True
    """
    days = times[~np.isnan(times) & are_later(offsets)].astype("datetime64[us]").astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    last = (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    places = day_of_month(days), (last - days).astype(np.int64)
    return any(_prefers(place, months.astype(np.int64) % 2) for place in places)


def _prefers(place: NDArray[np.int64], odd: NDArray[np.int64]) -> bool:
    """Whether the place of days that is most frequent in months of either kind is so in those of the other kind."""
    counts = np.stack([np.bincount(place[odd == kind], minlength=31) for kind in (0, 1)])
    expected = counts.sum(1) / DAYS_OF_MONTH
    found = counts[(1, 0), counts.argmax(1)]
    least = np.maximum(MIN_SHARE_OF_DAY * expected, expected + SURE_ERRORS_OF_DAY * np.sqrt(expected))[::-1]
    return bool(expected.all() and (found > least).all())


def increments(
    values: np.ndarray, offsets: np.ndarray, base: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each present value less the last present one of its sequence, or less the value before step 0.

    Args:
        values: (S,) float64, NaN where missing.
        offsets: (N + 1,).
        base: (N,) the values before step 0; NaN or None where unknown.

    Returns:
        (S,) increments, NaN where the value or the one before it is missing; (S,) bool, values without one before; (N,)
        the last value of each sequence, or its base, NaN where both are missing.
    """
    kept = np.flatnonzero(~np.isnan(values))
    bounds = np.searchsorted(kept, offsets)
    x = values[kept]
    before = np.full(len(offsets) - 1, np.nan) if base is None else base.astype(np.float64)
    starts = np.flatnonzero(np.diff(bounds) > 0)
    step = np.diff(x, prepend=np.nan)
    step[bounds[:-1][starts]] = x[bounds[:-1][starts]] - before[starts]
    last = before.copy()
    last[starts] = x[bounds[1:][starts] - 1]
    steps, alone = np.full(len(values), np.nan), np.zeros(len(values), bool)
    steps[kept], alone[kept] = step, np.isnan(step)
    return steps, alone, last


def never_decreases(values: np.ndarray, offsets: np.ndarray, base: np.ndarray | None) -> bool:
    """Whether values never fall within their sequences and rise at least 20 times; arguments as of `increments`.

    Examples:
        >>> never_decreases(np.tile(np.arange(5.0), 6), np.arange(0, 31, 5), None)
        True
        >>> never_decreases(np.zeros(9), [0, 9], None)
        False
    """
    steps, _, _ = increments(values, np.asarray(offsets), base)
    steps = steps[~np.isnan(steps)]
    return bool((steps >= 0).all() and (steps > 0).sum() >= MIN_RISES)


def never_changes(values: np.ndarray, offsets: np.ndarray, base: np.ndarray | None) -> bool:
    """Whether sequences of at least 20 have one value each, at 200 steps in all after the first ones, and not all one.

    Arguments as of `increments`.

    Examples:
        >>> never_changes(np.repeat(np.arange(50.0), 6), np.arange(0, 301, 6), None)
        True
    """
    offsets = np.asarray(offsets)
    steps, _, last = increments(values, offsets, base)
    steps, last = steps[~np.isnan(steps)], last[~np.isnan(last)]
    enough = len(steps) >= MIN_UNCHANGED and len(last) >= MIN_UNCHANGED_SEQUENCES
    return bool(enough and not steps.any() and np.ptp(last) > 0)
