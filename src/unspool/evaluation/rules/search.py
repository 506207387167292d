"""The search for rules: what training sequences never break, and held-out ones hardly ever."""

import math
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.rules.columns import STEP, WHOLE_SEQUENCE
from unspool.evaluation.rules.derived import DerivedColumn, Records, RecordTable
from unspool.evaluation.samples.statistics import Codes, Reals
from unspool.schema.chance import is_often

MAX_BROKEN = 0.02
"""Share of real sequences that may break what still counts as a rule."""
MIN_EXCESS = 0.01
"""Share of generated sequences, above that of held-out ones, that break a rule before it is listed as broken."""
MIN_EXPLAINED, MIN_LIFT = 0.5, 0.15
"""Of the generated records that break a rule, the share that earlier rules must explain for the rule to follow from
them; and how much more often an earlier rule must break there than elsewhere to explain any."""
MAX_PLAIN_VALUES, MAX_RULES_OF_COLUMN = 3, 3
"""Values that a plain rule leaves to choose; rules on one column that are listed."""
NUMBER_SLACK, DATE_SLACK = 1e-6, 1e-5
"""How far beyond a range numbers may be, relative to the largest one; and dates, in days."""
MIN_CLUSTERS_OF_VALUE = 20
"""Training sequences of the value that a rule is about."""
MAX_KEY_VALUES, MAX_COUNTED_CELLS = 300, 1_000_000
"""Values of a column that others may follow from; pairs of values that are counted."""
MAX_RULES_OF_PAIR = 8
"""Rules on single values that one pair of columns may have."""
MAX_COLUMN_PAIRS, MAX_DOUBLE_KEYS, MAX_VALUES_OF_DOUBLE = 2_000, 200, 60
"""Pairs of columns that are looked at; pairs with two columns in place of the first, and values of each of the two."""

RecordMask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class DataRule:
    """What holds in records: the target takes only some values, perhaps only together with values of the keys.

    Attributes:
        table: of the records.
        keys: none, one or two columns.
        target: the column that is bound.
        value: the code of the key that the rule is about; None for all.
        decides: whether each value of the keys has one value of the target.
        allowed: the codes of the target, or the range of its numbers, where the rule is about one value.
        training_broken: training clusters that would break the rule if it were learned from the others.
        broken: by set, the records that break the rule; of training, none.
        applies: by set, the records that the rule is about.
    """

    table: RecordTable
    keys: tuple[DerivedColumn, ...]
    target: DerivedColumn
    value: int | None
    decides: bool
    allowed: tuple[float, ...]
    training_broken: int
    broken: tuple[RecordMask, ...]
    applies: tuple[RecordMask, ...]

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """By set, the share of its sequences that break the rule."""
        return tuple(
            _count(one.owner[broken], one.count) / max(one.count, 1)
            for one, broken in zip(self.table.records, self.broken, strict=True)
        )

    @cached_property
    def breakers(self) -> RecordMask:
        """(N,) the generated sequences that break the rule."""
        generated = self.table.records[2]
        return np.bincount(generated.owner[self.broken[2]], minlength=generated.count) > 0

    @cached_property
    def broken_units(self) -> int:
        """Real clusters that break the rule, those of training if it were learned from the others."""
        held_out = self.table.records[1]
        return self.training_broken + _count(held_out.units[self.broken[1]], held_out.size)

    @property
    def units(self) -> int:
        """Real clusters."""
        return self.table.records[0].size + self.table.records[1].size

    @property
    def holds(self) -> bool:
        """Whether hardly any real sequence breaks the rule."""
        return self.broken_units <= MAX_BROKEN * self.units and self.shares[1] <= MAX_BROKEN

    def broken_by_more_than_chance(self, level: float) -> bool:
        """Whether generated sequences break the rule so often that real ones, at that rate, would hardly hold it.

        Were real sequences to break the rule as often as generated ones do (less two standard errors of that share),
        so few broken ones would have a probability below `level`.
        """
        generated, share = self.table.records[2], self.shares[2]
        if share - self.shares[1] < MIN_EXCESS:
            return False
        apart = np.bincount(generated.clusters, self.breakers - share, minlength=generated.size)
        rate = share - 2 * float(np.sqrt((apart**2).sum())) / generated.count
        return rate > 0 and binomial_tail(self.broken_units, self.units, rate) < level


class Searched(NamedTuple):
    """The rules that hold, and how many were tried."""

    rules: list[DataRule]
    tried: int


def find_rules(table: RecordTable) -> Searched:
    """The rules that hold in training and in held-out records.

    A rule counts only if independent columns would break it in many training sequences, and if it could be learned from
    the other training sequences: a value that a single sequence has breaks it there (Good 1953, "The population
    frequencies of species").
    """
    found: list[DataRule] = []
    decided: set[tuple[str, str]] = set()
    tried = 0
    for search in (_alone, _by_one, lambda table: _by_two(table, decided)):
        for rule in search(table):
            tried += 1
            if rule is not None and rule.holds:
                found.append(rule)
                if rule.decides and rule.value is None and rule.keys:
                    decided.add((rule.keys[0].name, rule.target.name))
    return Searched(found, tried)


def binomial_tail(most: int, count: int, rate: float) -> float:
    """The probability of at most so many successes in `count` trials of one rate between 0 and 1.

    Examples:
        >>> binomial_tail(0, 10, 0.5) == 0.5**10, round(binomial_tail(5, 10, 0.5), 3)
        (True, 0.623)
    """
    if rate >= 1:
        return float(most >= count)
    total = 0.0
    for k in range(min(most, count) + 1):
        choices = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        total += math.exp(choices + k * math.log(rate) + (count - k) * math.log1p(-rate))
    return min(total, 1.0)


def _count(owner: Codes, size: int) -> int:
    """How many owners there are."""
    return int((np.bincount(owner, minlength=size) > 0).sum())


def _alone(table: RecordTable) -> Iterator[DataRule | None]:
    """Rules on one column."""
    for column in table.columns:
        halves = column.clauses and column.null is None  # both of which training has
        if not column.target or halves or not len(table.records[0].owner):
            continue
        if not column.codes:
            yield from _range_rules(table, None, column)
            continue
        everywhere = tuple(one >= 0 for one in column.codes)
        training = table.records[0]
        if column.null is not None:
            failed = (column.null >= 0) & ~np.isin(column.null, np.unique(column.codes[0]))
            if not is_often(float(_count(training.units[failed], training.size)), float(training.size)):
                continue
        units = _units_of_cells(column.codes[0], training)
        single = np.bincount(units // training.size, minlength=column.size) == 1
        lost = _count(units[single[units // training.size]] % training.size, training.size)
        broken = tuple(one >= column.size for one in column.codes)
        seen = tuple(map(float, np.unique(column.codes[0][column.codes[0] >= 0])))
        yield DataRule(table, (), column, None, False, seen, lost, broken, everywhere)


def _units_of_cells(cells: Codes, records: Records) -> Codes:
    """Each cell that records lie in with each of its clusters once, as `cell * clusters + cluster`, in order."""
    both = cells * records.size + records.units
    size = int(both.max(initial=-1)) + 1
    if size > MAX_COUNTED_CELLS:
        return np.unique(both)
    found = np.zeros(size + records.size, np.bool_)  # those of cells that say nothing are negative: at the end
    found[both] = True
    return np.flatnonzero(found[:size])


def _by_one(table: RecordTable) -> Iterator[DataRule | None]:
    """Rules on one column that follows from another one."""
    keys = [one for one in table.columns if one.key and one.codes and 1 < one.size <= MAX_KEY_VALUES]
    targets = [one for one in table.columns if one.target]
    plain = sorted(product(keys, targets), key=lambda pair: -pair[0].plain - pair[1].plain)
    looked = 0
    for key, target in plain:
        if key.sources & target.sources or (_lagged(key) and _places(target) == {WHOLE_SEQUENCE}):
            continue
        if (looked := looked + 1) > MAX_COLUMN_PAIRS:
            return
        if not target.codes:
            yield from _range_rules(table, key, target)
            continue
        yield from _set_rules(table, (key,), key, target)


def _places(column: DerivedColumn) -> set[str]:
    return {place for place, *_ in column.sources}


def _lagged(*columns: DerivedColumn) -> bool:
    """Whether columns are derived from values of the step before."""
    return any(lag for column in columns for *_, lag in column.sources)


def _by_two(table: RecordTable, decided: AbstractSet[tuple[str, str]]) -> Iterator[DataRule | None]:
    """Columns that two others decide, as a distance is that of a pair of places, and neither of them alone."""
    keys = [one for one in table.columns if one.key and one.plain and 1 < one.size <= MAX_VALUES_OF_DOUBLE]
    targets = [one for one in table.columns if one.target and one.plain and one.codes and one.size > 2]
    looked = 0
    for a, b in combinations(keys, 2):
        both = None
        for target in targets:
            if target.sources & (a.sources | b.sources) or looked >= MAX_DOUBLE_KEYS:
                continue
            if {(a.name, target.name), (b.name, target.name)} & decided:
                continue
            looked += 1
            both = both or _joint(a, b)
            for rule in _set_rules(table, (a, b), both, target, single=False):
                yield rule if rule is not None and rule.decides else None


def _joint(a: DerivedColumn, b: DerivedColumn) -> DerivedColumn:
    """Two columns as one."""
    cells = []
    for x, y in zip(a.codes, b.codes, strict=True):
        cell = np.where((x < a.size) & (y < b.size), x * b.size + y, a.size * b.size)
        cells.append(np.where((x < 0) | (y < 0), -1, cell))
    known = np.unique(cells[0][cells[0] >= 0])
    new = np.full(a.size * b.size + 2, len(known))
    new[known], new[-1] = np.arange(len(known)), -1
    codes = tuple(new[one] for one in cells)
    return DerivedColumn(f"{a.name} and {b.name}", a.sources | b.sources, codes, ("",) * len(known))


def _set_rules(
    table: RecordTable,
    keys: tuple[DerivedColumn, ...],
    key: DerivedColumn,
    target: DerivedColumn,
    single: bool = True,
) -> Iterator[DataRule | None]:
    """The rule that the target has only values that training has with the key's; else rules on single values."""
    training, size = table.records[0], target.size
    if target.size < 2 or key.size * size > MAX_COUNTED_CELLS:
        return
    some = (target.codes[0] >= 0) & (key.codes[0] >= 0)
    codes, values = key.codes[0][some], target.codes[0][some]
    cells = codes * size + values
    part = Records(training.owner[some], training.count, training.clusters)
    units = _units_of_cells(cells, part)
    cell = units // training.size
    counts = np.bincount(cell, minlength=key.size * size).reshape(key.size, size)
    of_key = np.bincount(_units_of_cells(codes, part) // training.size, minlength=key.size)
    share = np.bincount(values, minlength=size) / max(1, len(cells))
    chance = of_key * (1 - (counts > 0) @ share)
    known = of_key > 1
    alone = (counts == 1) & known[:, None]
    seen = np.zeros((key.size + 1, size + 1), np.bool_)
    seen[:-1, :-1] = counts > 0
    lost = _count(units[alone.ravel()[cell]] % training.size, training.size)
    if lost <= MAX_BROKEN * training.size and is_often(float(chance[known].sum()), float(of_key[known].sum())):
        rule = _rule_of_cells(table, keys, key, target, known, seen, lost, None)
        yield rule
        if rule.holds and rule.decides and not target.clauses:
            return
    else:
        yield None
    if not single:
        return
    tried = of_key >= MIN_CLUSTERS_OF_VALUE
    sure = tried & (alone.sum(1) <= MAX_BROKEN * of_key / 4)
    sure &= is_often(chance, of_key)
    yield from [None] * int(tried.sum() - min(sure.sum(), MAX_RULES_OF_PAIR))
    for value in np.flatnonzero(sure)[np.argsort(-chance[sure], kind="stable")][:MAX_RULES_OF_PAIR]:
        only = np.zeros(key.size, np.bool_)
        only[value] = True
        yield _rule_of_cells(table, keys, key, target, only, seen, int(alone[value].sum()), int(value))


def _rule_of_cells(
    table: RecordTable,
    keys: tuple[DerivedColumn, ...],
    key: DerivedColumn,
    target: DerivedColumn,
    known: RecordMask,
    seen: RecordMask,
    lost: int,
    value: int | None,
) -> DataRule:
    about = np.append(known, False)
    applies = tuple(
        about[np.minimum(one, key.size)] & (of >= 0) for one, of in zip(key.codes, target.codes, strict=True)
    )
    broken = tuple(
        where & ~seen[np.minimum(x, key.size), np.minimum(y, target.size)]
        for where, x, y in zip(applies, key.codes, target.codes, strict=True)
    )
    decides = bool((seen.sum(1)[about] == 1).all())
    allowed = () if value is None else tuple(map(float, np.flatnonzero(seen[value])))
    return DataRule(table, keys, target, value, decides, allowed, lost, broken, applies)


def _range_rules(table: RecordTable, key: DerivedColumn | None, target: DerivedColumn) -> Iterator[DataRule | None]:
    """Numbers lie in the range of those of training, or of those with the same value of the key."""
    training = table.records[0]
    size = 1 if key is None else key.size
    codes = [np.zeros(len(one), np.int64) if key is None else key.codes[k] for k, one in enumerate(target.numbers)]
    known = np.isfinite(target.numbers[0]) & (codes[0] >= 0)
    if not known.any():
        return
    at, numbers, units = codes[0][known], target.numbers[0][known], training.units[known]
    order = (np.cumsum(known) - 1)[target.order[known[target.order]]]
    low, of_low = _least(at, numbers, units, order, size, training.size)
    high, of_high = _least(at, -numbers, units, order[::-1], size, training.size)
    high, alone = -high, np.concatenate([of_low, of_high])
    part = Records(training.owner[known], training.count, training.clusters)
    of_key = np.bincount(_units_of_cells(at, part) // training.size, minlength=size)
    mixed = numbers[np.random.default_rng(0).permutation(len(at))]
    outside = (mixed < low[at]) | (mixed > high[at])
    slack = DATE_SLACK if target.date else NUMBER_SLACK * float(np.abs(numbers).max())
    lows, highs = np.append(low - slack, -np.inf), np.append(high + slack, np.inf)
    single = key is not None and size <= MAX_RULES_OF_PAIR
    for value in range(size) if single else [None]:
        about = np.append(of_key > 1 if value is None else np.arange(size) == value, False)
        lost = _count(alone[about[alone // training.size]] % training.size, training.size)
        failed = float(_count(units[outside & about[at]], training.size))
        if lost > MAX_BROKEN * of_key[about[:-1]].sum() or (
            key is not None and not is_often(failed, float(training.size))
        ):
            yield None
            continue
        applies = tuple(
            about[np.minimum(one, size)] & np.isfinite(x) for one, x in zip(codes, target.numbers, strict=True)
        )
        broken = tuple(
            where & ((x < lows[np.minimum(c, size)]) | (x > highs[np.minimum(c, size)]))
            for where, x, c in zip(applies, target.numbers, codes, strict=True)
        )
        allowed = (float(low[value or 0]), float(high[value or 0])) if single or key is None else ()
        keys = () if key is None else (key,)
        yield DataRule(table, keys, target, value, False, allowed, lost, broken, applies)


def _least(codes: Codes, numbers: Reals, units: Codes, order: Codes, size: int, clusters: int) -> tuple[Reals, Codes]:
    """By code, the least number; and the clusters that alone have one, as `code * clusters + cluster`.

    The order is that of numbers that rise.
    """
    order = order[np.argsort(codes[order].astype(np.int16), kind="stable")]
    codes, numbers, units = codes[order], numbers[order], units[order]
    start = np.flatnonzero(np.diff(codes, prepend=-1))
    least, second, first_unit = np.full(size, np.inf), np.full(size, np.nan), np.full(size, -1)
    least[codes[start]], first_unit[codes[start]] = numbers[start], units[start]
    others = np.flatnonzero(units != first_unit[codes])
    others = others[np.diff(codes[others], prepend=-1) > 0]
    second[codes[others]] = numbers[others]
    alone = np.flatnonzero(second > least)
    return least, alone * clusters + first_unit[alone]


def plainness(rule: DataRule) -> float:
    """How easily a reader follows a rule, from 0 to 1: the plainest of several that break together is shown.

    A rule on the columns of the data is plainer than one on columns derived from them, and what decides a value plainer
    than what leaves some.
    """
    found = 1.0 if rule.target.plain or rule.target.clauses else 0.8
    for key in rule.keys:
        found *= 0.9 if key.plain or key.clauses else 0.75
        found *= 0.7 if _lagged(key) else 1.0
    if rule.decides or (rule.target.codes and 0 < len(rule.allowed) <= MAX_PLAIN_VALUES):
        return found * (0.8 if rule.value is None and rule.keys and rule.target.clauses else 1.0)
    return found * (0.5 if rule.keys or not rule.target.plain else 0.75)


def without_consequences(rules: Sequence[DataRule]) -> list[DataRule]:
    """Rules without those that break where earlier ones do, plain and often broken ones first.

    An earlier rule explains another one that it shares a column with if it breaks far more often where the other one
    breaks than where that holds. On one column a few rules are enough.
    """
    kept: list[DataRule] = []
    for rule in sorted(rules, key=lambda one: -plainness(one) * (one.shares[2] - one.shares[1])):
        if sum(_columns(one.target) == _columns(rule.target) for one in kept) < MAX_RULES_OF_COLUMN:
            broken = rule.broken[2]
            explained = np.zeros(len(broken), np.bool_)
            for one in kept:
                explained |= _explained(rule, one)
            if explained[broken].mean() < MIN_EXPLAINED:
                kept.append(rule)
    return kept


def _explained(rule: DataRule, earlier: DataRule) -> RecordMask:
    """The generated records of a rule that an earlier rule explains."""
    generated, broken = rule.table.records[2], rule.broken[2]
    breaks = earlier.broken[2] if earlier.table is rule.table else earlier.breakers[generated.owner]
    if _lagged(rule.target, *rule.keys) and earlier.table is rule.table:
        breaks = breaks | np.append(False, breaks[:-1])  # a value that breaks a rule is before the next step too
    if len(earlier.keys) > len(rule.keys):
        return np.zeros_like(breaks)
    same = [one.name for one in earlier.keys] == [one.name for one in rule.keys] and earlier.value == rule.value
    if earlier.target.name == rule.target.name or (same and rule.value is not None):
        return breaks
    holds = rule.applies[2] & ~broken
    by_chance = breaks[holds].mean() if holds.any() else 0.0
    near = _columns(rule.target, *rule.keys) & _columns(earlier.target, *earlier.keys)
    return breaks if near and breaks[broken].mean() > by_chance + MIN_LIFT else np.zeros_like(breaks)


def _columns(*columns: DerivedColumn) -> set[tuple[str, str]]:
    return {(STEP if place == WHOLE_SEQUENCE else place, name) for one in columns for place, name, _ in one.sources}
