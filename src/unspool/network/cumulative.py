"""Values before a step: running sums of fields that the network sees as increments, and the values before step 0.

Civil dates of days: Hinnant, "chrono-compatible low-level date algorithms".
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from unspool.network.distributions.base import Constant, Ends, Support
from unspool.network.distributions.grid import Grid

END_FEATURES, WAVES = 4, 12
"""Numbers that a step reads of any running sum: its level with what is left to its end, and cosines over its range."""
SIZE, SIZE_OF_DAYS = 0.25, 0.175
"""Of these numbers; where there are those of days too, which are many."""
MONTH_WAVES = 12
"""Cosines over the month, which tell a day of it from its neighbours."""
MAX_LEVEL = 5.0
"""Standard deviations at which a running sum is clipped where a step reads it."""
DAY_TOLERANCE = 1e-3
"""Share of a day by which float32 may put a moment before the day that it begins."""
MARCH_YEAR_0, DAYS_OF_ERA = 719_468, 146_097
"""Days from the first of March of year 0 to 1970, and of 400 years."""


class Calendar(eqx.Module):
    """Where the running sums of timestamps stand in day, week, month and year.

    Attributes:
        days: of one unit of the running sum.
        whole: days from 1970 to the day on which it is 0.
        part: share of that day that has passed then.
        hours: 1 where timestamps have a time of day, else 0.
        by_month: whether some days of the month are more frequent, so that a step is told each.
    """

    days: Constant
    whole: Constant
    part: Constant
    hours: Constant
    by_month: bool = eqx.field(static=True, default=False)

    @property
    def width(self) -> int:
        """Numbers that a step reads: harmonics of day, week and year, and the place in the month."""
        return 19 + (MONTH_WAVES + 2 if self.by_month else 0)

    @property
    def size(self) -> float:
        """Of all numbers that a step reads with these."""
        return SIZE_OF_DAYS

    def of(self, total: Array) -> list[Array]:
        """The numbers of running sums."""
        moment = total * self.days + self.part
        number = jnp.floor(moment + DAY_TOLERANCE)
        date = number + self.whole
        of_day = harmonics((moment - number) * self.hours, 3)
        of_week = harmonics((date - 7 * jnp.floor(date / 7)) / 7, 3)
        since = date + MARCH_YEAR_0
        day = since - jnp.floor(since / DAYS_OF_ERA) * DAYS_OF_ERA
        year = jnp.floor(
            (day - jnp.floor(day / 1460) + jnp.floor(day / 36_524) - jnp.floor(day / (DAYS_OF_ERA - 1))) / 365
        )
        of_year = day - (365 * year + jnp.floor(year / 4) - jnp.floor(year / 100))
        month = jnp.floor((5 * of_year + 2) / 153)  # from March on
        february = 28.0 + self._is_leap(year + 1)
        length = self._length(month, february)
        after = self._length(jnp.where(month == 11, 0, month + 1), february)
        of_month = of_year - self._start(month)
        return [
            *(self.hours * part for part in of_day),
            *of_week,
            *harmonics(of_year / 365.25, 2),
            (of_month - 15) / 9,
            length - 30,
            after - 30,
            *(self._place(of_month, length - 1 - of_month) if self.by_month else ()),
        ]

    @staticmethod
    def _place(of_month: Array, left: Array) -> list[Array]:
        """Cosines of the days since the first of a month, whether it is the last one, and how near that is."""
        return [*waves(of_month / 31, 1, MONTH_WAVES), (left == 0).astype(left.dtype), jnp.exp(-left / 2)]

    @staticmethod
    def _start(month: Array) -> Array:
        """Days from the first of March to the first of a month, which counts from March."""
        return jnp.floor((153 * month + 2) / 5)

    @classmethod
    def _length(cls, month: Array, february: Array) -> Array:
        """Days of a month, which counts from March."""
        return jnp.where(month == 11, february, cls._start(month + 1) - cls._start(month))

    @staticmethod
    def _is_leap(year: Array) -> Array:
        """1 in a leap year, else 0."""
        divides = lambda count: year == jnp.floor(year / count) * count  # noqa: E731
        return (divides(4) & (~divides(100) | divides(400))).astype(year.dtype)


class MonthCalendar(eqx.Module):
    """Where the running sums of dates stand in the year that are the same day of a month.

    Attributes:
        months: of one unit of the running sum.
        origin: months from the January before to the date at which it is 0.
    """

    months: Constant
    origin: Constant

    @property
    def width(self) -> int:
        """Numbers that a step reads: harmonics of the year."""
        return 6

    @property
    def size(self) -> float:
        """Of all numbers that a step reads with these."""
        return SIZE

    def of(self, total: Array) -> list[Array]:
        """The numbers of running sums."""
        month = jnp.round(total * self.months + self.origin)
        return harmonics((month - 12 * jnp.floor(month / 12)) / 12, 3)


class SumFeatures(eqx.Module):
    """What the next step reads of a running sum: where it stands, and how much is left to an end.

    A step whose field is an increment is otherwise known by its size alone: neither does a countdown see its zero then,
    nor a history its Sundays.

    Attributes:
        loc: middle of the running sums of training.
        scale: their spread, which is that of as wide a uniform distribution.
        end: the running sum at the bound that it moves towards, or the farthest one of training.
        typical: an increment.
        half: half of the step of its grid, in typical increments; 0 without one.
        calendar: of timestamps whose day or month varies, else `None`.
    """

    loc: Constant
    scale: Constant
    end: Constant
    typical: Constant
    half: Constant
    calendar: Calendar | MonthCalendar | None = None

    @property
    def width(self) -> int:
        """K, the numbers that a step reads."""
        return END_FEATURES + (0 if self.calendar is None else self.calendar.width) + WAVES

    def of(self, total: Array) -> Array:
        """The numbers of running sums, on a last axis; zeros where there is none."""
        known = jnp.isfinite(total)
        at = jnp.where(known, total, 0.0)
        left = jnp.maximum((self.end - at) / self.typical, 0.0)
        features = [
            jnp.clip((at - self.loc) / self.scale, -MAX_LEVEL, MAX_LEVEL),
            jnp.exp(-left),
            jnp.exp(-left / 4),
            (left < self.half).astype(at.dtype),
            *(() if self.calendar is None else self.calendar.of(at)),
        ]
        # Adam moves each weight alike: twenty numbers of one field would outrun all that other fields say.
        size = SIZE if self.calendar is None else self.calendar.size
        # What happens to all sequences at one time, the level alone hardly says: a crisis, a year of high prices.
        share = jnp.clip((at - self.loc) / self.scale / 12**0.5 + 0.5, 0.0, 1.0)
        # One half-turn would be the level again, near enough.
        features += waves(share, 2, WAVES)
        return jnp.where(known[..., None], size * jnp.stack(features, -1), 0.0)


def harmonics(phase: Array, count: int) -> list[Array]:
    """Sine and cosine of a cycle's first harmonics; three of them tell the days of a week apart."""
    angles = [2 * np.pi * k * phase for k in range(1, count + 1)]
    return [function(angle) for angle in angles for function in (jnp.sin, jnp.cos)]


def waves(share: Array, slowest: int, count: int) -> list[Array]:
    """Cosines of so many half-turns over a share from 0 to 1: `slowest` of them, one more, and so on."""
    return [jnp.cos(np.pi * k * share) for k in range(slowest, slowest + count)]


class CumulativeRule(eqx.Module):
    """How the values of a field add up that the network sees as differences, log-returns or increments.

    The *running sum* is the last present value less its origin, in a unit of its own, so that float32 holds it; NaN
    before the first value. Bounds and pins are of the value, so the loop must know it:

        sum_t = sum_{t-1} + increment(z_t),      or first z_t before the first value

    Attributes:
        axis: between z and the increment.
        first: running sum of a first value at z = 1.
        min_increment: z of the smallest increment after step 0, or `None`.
        parts: parts of a first value, which are the fields after this one; 0 where it is an increment, too.
        features: what the next step reads of the running sum, or `None`.
    """

    axis: Grid
    first: Constant = 1.0
    min_increment: Constant | None = None
    parts: int = eqx.field(static=True, default=0)
    features: SumFeatures | None = None

    def after(self, total: Array, z: Array) -> Array:
        """The running sum after a step; a missing value leaves it."""
        new = jnp.where(jnp.isnan(total), self.first * z, total + self.axis.to_original(z))
        return jnp.where(jnp.isnan(z), total, new)

    def towards(self, total: Array, goal: Array) -> Array:
        """The z that leads from one running sum to another."""
        return jnp.where(jnp.isnan(total), goal / self.first, self.axis.to_network(goal - total))

    def ends(self, total: Array, ends: Ends) -> Ends:
        """The ends of z, from those of the running sum."""
        return Ends(self.towards(total, ends.low), self.towards(total, ends.high))

    def support(self, total: Array, support: Support | None, step: Array) -> Support | None:
        """The support of z at a step, from the limits of the running sum and those of z itself."""
        if support is not None:
            low, high = (self.towards(total, end) for end in (support.low, support.high))
            if self.parts:  # they have a support of their own
                low, high = jnp.where(jnp.isnan(total), -jnp.inf, low), jnp.where(jnp.isnan(total), jnp.inf, high)
            support = support._replace(low=low, high=high)
        if self.min_increment is None:
            return support
        low = jnp.where(step > 0, self.min_increment, -jnp.inf)
        return Support(low=low) if support is None else support._replace(low=jnp.maximum(support.low, low))


class PartRule(eqx.Module):
    """How a part of a first value enters the running sum of its field: a symbol, or z, stands for a count.

    Attributes:
        size: running sum of one count.
        symbols: V where a part is a symbol; `None` where it is a number.
        axis: between z and the count, where it is a number.
    """

    size: Constant
    symbols: int | None = eqx.field(static=True, default=None)
    axis: Grid | None = None

    def running_sum(self, value: Array) -> Array:
        """The running sum that a part stands for."""
        return self.size * self._count(value)

    def is_end(self, value: Array, end: Array) -> Array:
        """Whether a part is that of an end of the support, so that later parts must keep to theirs."""
        return jnp.isfinite(end) & (jnp.abs(self._count(value) - self._count(end)) < 0.5)

    def _count(self, value: Array) -> Array:
        return value if self.axis is None else self.axis.to_original(value)

    def support(self, low: Array, high: Array) -> Support:
        """The support of a part between two ends."""
        if self.symbols is None:
            return Support(low, high)
        symbol = jnp.arange(self.symbols)
        return Support(symbols=(symbol >= low[..., None]) & (symbol <= high[..., None]))


class ValueBefore(eqx.Module):
    """How an input becomes the value of a step field before step 0, as later steps read theirs.

    Attributes:
        input: the number of the input.
        codes: symbols of the step field by symbol of the input; of a truth value for false, true and missing.
        axes: those of a number in the input and in the step field.
    """

    input: int = eqx.field(static=True)
    codes: Int[Array | np.ndarray, " V"] | None = None
    axes: tuple[Grid, Grid] | None = None

    def of(self, inputs: Sequence[Array]) -> Array:
        """(B,) values, from the arrays of all inputs; angles in radians."""
        given = inputs[self.input]
        if self.codes is not None:
            truth = lambda x: jnp.where(jnp.isnan(x), 2, (x > 0).astype(jnp.int32))  # noqa: E731
            return self.codes[given if given.ndim == 1 else truth(given[:, 0])]
        if self.axes is not None:
            own, step = self.axes
            return step.to_network(own.to_original(given[:, 0]))
        return jnp.arctan2(given[:, 0], given[:, 1])
