"""What a rule may speak of: the columns of real and generated records, and others that are derived from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise, permutations

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.rules.columns import (
    INPUT,
    MAX_DISTINCT_NUMBERS,
    MISSING_WORD,
    STEP,
    WHOLE_SEQUENCE,
    BaseColumn,
    ValueSource,
    change_in_words,
    coded,
    input_bases,
    step_bases,
    with_missing,
)
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals, step_changes
from unspool.schema.monotone import day_of_month

MAX_COUNTED, MAX_PAIRED_NUMBERS, MAX_PAIRED_SYMBOLS = 12, 8, 10
"""Symbols of a column that are counted; columns of numbers, and of symbols, that are compared: the first ones."""
MIN_SUMMED_NUMBERS, MAX_SUMMED_NUMBERS = 3, 12
"""Columns of a sum, the total among them; and columns among which sums are looked for."""
MIN_FITTED_RECORDS, MAX_FITTED_RECORDS, MAX_SLOPE_OFF = 4, 512, 0.02
"""Records for each column that least squares need, and the most that they look at; and how far slopes may be off."""
MAX_GROUPS = 4
"""Columns whose values are looked up in the steps before."""
MIN_SHARE_EQUAL, MIN_SHARE_ONE_SIDED = 0.05, 0.99
"""Of two columns that are compared: the share of records where they are equal, or where one order holds."""


@dataclass(frozen=True, eq=False)
class Records:
    """R records of one set: steps or whole sequences.

    Attributes:
        owner: (R,) the sequence of each record, in order.
        count: N, sequences of the set.
        clusters: (N,) which sequences may depend on each other, numbered from 0.
    """

    owner: Codes
    count: int
    clusters: Codes

    @cached_property
    def units(self) -> Codes:
        """(R,) the cluster of each record."""
        return self.clusters[self.owner]

    @cached_property
    def size(self) -> int:
        """Clusters."""
        return int(self.clusters.max()) + 1 if self.count else 0


@dataclass(frozen=True, eq=False)
class DerivedColumn:
    """A column of the training, held-out and generated records.

    Attributes:
        name: of the column in words.
        sources: what it is derived from.
        codes: by set, (R,) codes; -1 where the column says nothing of a record, and `size` or more for a value that
            training doesn't have.
        labels: of the codes in words.
        clauses: of the codes as clauses, such as "arr > dep"; without, the clause is "NAME is LABEL".
        numbers: by set, (R,) numbers, of a column whose range is looked at in place of its values.
        null: (R,) training codes as they would be if the sources were independent of each other.
        key: whether other columns may follow from this one.
        target: whether this one may follow from others.
        plain: whether its values are those of a column of the data.
        date: whether its numbers are days since 1970.
    """

    name: str
    sources: frozenset[ValueSource]
    codes: tuple[Codes, ...] = ()
    labels: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    numbers: tuple[Reals, ...] = ()
    null: Codes | None = None
    key: bool = False
    target: bool = True
    plain: bool = False
    date: bool = False

    @property
    def size(self) -> int:
        """Codes that training has."""
        return len(self.labels)

    @cached_property
    def order(self) -> Codes:
        """(R,) the training records in the order of their numbers, missing ones last."""
        return np.argsort(self.numbers[0], kind="stable")


@dataclass(frozen=True, eq=False)
class RecordTable:
    """The records of all three sets with their columns; `per` is `STEP` or `WHOLE_SEQUENCE`."""

    per: str
    records: tuple[Records, ...]
    columns: tuple[DerivedColumn, ...]


def step_table(comparison: Comparison, sets: Sequence[SampleSet], clusters: Sequence[Codes], seed: int) -> RecordTable:
    """The steps of training, held-out and generated sequences, with the columns that rules on steps speak of."""
    records = tuple(Records(one.owner, len(one), of) for one, of in zip(sets, clusters, strict=True))
    rng = np.random.default_rng(seed)
    steps, inputs = step_bases(comparison, sets), input_bases(sets, [one.owner for one in sets])
    columns = [_position(sets)]
    for base in (*steps, *inputs):
        columns += [*_values(base), *(_of_one(base, sets, rng) if base.place == STEP else ())]
    columns += [*_pairs_of_numbers(steps, inputs, sets, rng), *_pairs_of_symbols(steps, inputs, sets, rng)]
    columns += [*_totals(steps, rng), *_last_time(steps, sets, rng)]
    return RecordTable(STEP, records, tuple(columns))


def sequence_table(comparison: Comparison, sets: Sequence[SampleSet], clusters: Sequence[Codes]) -> RecordTable:
    """The sequences of the three sets: lengths, how often each symbol comes, and inputs."""
    rows = [np.arange(len(one)) for one in sets]
    columns = [column for base in input_bases(sets, rows) for column in _values(base) if column.key]
    lengths = tuple(one.lengths.astype(np.float64) for one in sets)
    columns.append(DerivedColumn("length", frozenset({(WHOLE_SEQUENCE, "length", 0)}), numbers=lengths))
    for base in step_bases(comparison, sets):
        if base.codes and 1 < len(base.texts) <= MAX_COUNTED:
            for code, text in enumerate(base.texts):
                counts = tuple(
                    np.bincount(one.owner, base.codes[k] == code, len(one)).astype(np.float64)
                    for k, one in enumerate(sets)
                )
                name = f"the number of steps where {base.words} is {text}"
                columns.append(DerivedColumn(name, frozenset({(WHOLE_SEQUENCE, base.name, 0)}), numbers=counts))
    records = tuple(Records(at, len(one), of) for one, at, of in zip(sets, rows, clusters, strict=True))
    return RecordTable(WHOLE_SEQUENCE, records, tuple(columns))


def _values(base: BaseColumn) -> Iterator[DerivedColumn]:
    """The column itself, whether it is missing, and the calendar of a date."""
    sources = frozenset({base.source})
    target = base.place == STEP
    if base.codes:
        yield DerivedColumn(
            base.words, sources, base.codes, base.texts, key=True, target=target, plain=True, date=base.date
        )
    elif base.place == INPUT:
        yield _tenths(base)
    else:
        yield DerivedColumn(base.words, sources, numbers=base.numbers, plain=True, date=base.date)
    if base.place == STEP:
        yield from _whether_missing(base)
        if base.date:
            yield from _calendar(base)
        elif base.numbers and not base.codes:
            zero = tuple(np.zeros_like(one) for one in base.numbers)
            clauses = [f"{base.words} {sign} 0" for sign in "<=>"]
            codes = tuple(_signs(x, y, base.unit) for x, y in zip(base.numbers, zero, strict=True))
            if len(np.unique(codes[0][codes[0] >= 0])) > 1:
                yield _comparison(f"the sign of {base.words}", sources, codes, clauses, None)


def _tenths(base: BaseColumn) -> DerivedColumn:
    """In which tenth of the training numbers an input lies."""
    known = base.numbers[0][np.isfinite(base.numbers[0])]
    edges = np.unique(np.quantile(known, np.linspace(0.1, 0.9, 9))) if len(known) else np.zeros(0)
    codes = [np.where(np.isnan(one), -1, np.searchsorted(edges, one, "right")) for one in base.numbers]
    ends = [-np.inf, *edges.tolist(), np.inf]
    texts = tuple(f"from {a:g} to {b:g}" for a, b in pairwise(ends))
    texts, coded_tenths = with_missing(codes, texts)
    return DerivedColumn(base.words, frozenset({base.source}), coded_tenths, texts, key=True, target=False)


def _whether_missing(base: BaseColumn) -> Iterator[DerivedColumn]:
    size = base.texts.index(MISSING_WORD) if MISSING_WORD in base.texts else -1
    missing = [one == size for one in base.codes] if base.codes else [np.isnan(one) for one in base.numbers]
    if 0 < missing[0].sum() < len(missing[0]):
        clauses = (f"{base.words} has a value", f"{base.words} is missing")
        codes = tuple(one.astype(np.int64) for one in missing)
        sources, labels = frozenset({base.source}), ("no", "yes")
        yield DerivedColumn(f"whether {base.words} is missing", sources, codes, labels, clauses, key=True)


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _calendar(base: BaseColumn) -> Iterator[DerivedColumn]:
    """Day of the week, day of the month, and the time of day to the minute."""
    parts: Mapping[str, tuple[list[Codes], Sequence[str]]] = {
        "weekday": ([np.mod(_days(one) + 3, 7) for one in base.numbers], WEEKDAYS),
        "day of the month": (
            [day_of_month(_days(one).astype("datetime64[D]")) for one in base.numbers],
            [str(k + 1) for k in range(31)],
        ),
        "hour": (
            [np.floor(np.mod(_minutes(one), 1440) / 60).astype(np.int64) for one in base.numbers],
            [str(k) for k in range(24)],
        ),
        "minute": (
            [np.mod(_minutes(one), 60).astype(np.int64) for one in base.numbers],
            [str(k) for k in range(60)],
        ),
    }
    for name, (values, texts) in parts.items():
        missing = [np.isnan(one) for one in base.numbers]
        known = np.unique(values[0][~missing[0]])
        if not len(known) or (name in ("hour", "minute") and len(known) == 1 and known[0] == 0):
            continue  # plain days have no time
        new = np.full(len(texts), len(known))
        new[known] = np.arange(len(known))
        codes = [np.where(gone, -1, new[one]) for one, gone in zip(values, missing, strict=True)]
        labels, codes_of_sets = with_missing(codes, tuple(texts[k] for k in known))
        yield DerivedColumn(
            f"the {name} of {base.words}", frozenset({base.source}), codes_of_sets, labels, key=name != "minute"
        )


def _days(values: Reals) -> Codes:
    return np.floor(_minutes(values) / 1440).astype(np.int64)


def _minutes(values: Reals) -> Reals:
    """Whole minutes since 1970: a moment that rounding took away does not make another day."""
    known = np.where(np.isfinite(values), np.clip(values, -3e6, 3e6), 0.0)
    return np.floor(known * 1440 + 1e-3)


def _position(sets: Sequence[SampleSet]) -> DerivedColumn:
    codes = tuple(
        (one.position > 0).astype(np.int64) + 2 * (one.position < (one.lengths - 1)[one.owner]) for one in sets
    )
    labels = ("the only", "the last", "the first", "a middle")
    clauses = tuple(f"it is {label} step" for label in labels)
    sources = frozenset({(WHOLE_SEQUENCE, "position", 0)})
    return DerivedColumn("the position", sources, codes, labels, clauses, key=True)


def _before(one: SampleSet) -> NDArray[np.bool_]:
    """(S,) whether there is a step before, in the same sequence."""
    return one.position > 0


def _past(sets: Sequence[SampleSet], numbers: Sequence[Reals]) -> tuple[Reals, ...]:
    """By set, (S,) the number of the step before; NaN at the first step."""
    return tuple(np.where(_before(one), np.roll(x, 1), np.nan) for one, x in zip(sets, numbers, strict=True))


def _of_one(base: BaseColumn, sets: Sequence[SampleSet], rng: np.random.Generator) -> Iterator[DerivedColumn]:
    """Of one step column: its value of the step before, its change, and whether it came before."""
    now, past = base.source, (base.place, base.name, 1)
    both = frozenset({now, past})
    if base.codes:
        name = base.words_before
        codes = tuple(np.where(_before(one), np.roll(x, 1), -1) for one, x in zip(sets, base.codes, strict=True))
        yield DerivedColumn(name, frozenset({past}), codes, base.texts, key=True, target=False, plain=True)
    if base.numbers and not base.flag:
        yield from _changes(base, sets, rng, both)
    elif base.codes:
        mixed = base.codes[0][rng.permutation(len(base.codes[0]))]
        codes = tuple(np.where(_before(one), x == np.roll(x, 1), -1) for one, x in zip(sets, base.codes, strict=True))
        null = np.where(codes[0] == -1, -1, base.codes[0] == mixed)
        texts = (f"{base.words} is not that of the step before", f"{base.words} is that of the step before")
        yield _comparison(f"whether {base.words} stays", both, codes, texts, null)


def _changes(
    base: BaseColumn, sets: Sequence[SampleSet], rng: np.random.Generator, sources: frozenset[ValueSource]
) -> Iterator[DerivedColumn]:
    past = _past(sets, base.numbers)
    signs = tuple(_signs(x, y, base.unit) for x, y in zip(base.numbers, past, strict=True))
    order = rng.permutation(len(past[0]))
    null = np.where(signs[0] == -1, -1, _signs(base.numbers[0], base.numbers[0][order], base.unit))
    clauses = [f"{base.words} {how} from step to step" for how in ("falls", "stays", "rises")]
    yield _comparison(f"the direction of {base.words}", sources, signs, clauses, null)
    changes = [step_changes(x, one.offsets) for x, one in zip(base.numbers, sets, strict=True)]
    codes, levels = coded(changes, 2 * base.unit)
    if 0 < len(levels) <= MAX_DISTINCT_NUMBERS and len(levels) * 4 < np.isfinite(changes[0]).sum():
        mixed = np.where(np.isnan(changes[0]), np.nan, base.numbers[0] - base.numbers[0][order])
        null = coded([changes[0], mixed], 2 * base.unit)[0][1]
        texts = tuple(change_in_words(x, base.date) for x in levels)
        yield DerivedColumn(f"the change of {base.words}", sources, tuple(codes), texts, null=null)


def _comparison(
    name: str,
    sources: frozenset[ValueSource],
    codes: tuple[Codes, ...],
    clauses: Sequence[str],
    null: Codes | None,
) -> DerivedColumn:
    """A column whose codes are few and have clauses of their own; codes that training doesn't have come last."""
    known = np.unique(codes[0][codes[0] >= 0])
    new = np.full(len(clauses) + 1, len(known))
    new[known], new[-1] = np.arange(len(known)), -1
    kept = tuple(clauses[k] for k in known)
    return DerivedColumn(
        name, sources, tuple(new[one] for one in codes), kept, kept, null=None if null is None else new[null]
    )


def _signs(a: Reals, b: Reals, unit: float) -> Codes:
    """0 where a < b, 1 where they are equal, 2 where a > b, -1 where either is missing."""
    unknown = np.isnan(a) | np.isnan(b)
    return np.where(unknown, -1, 1 + (a > b + unit).astype(np.int64) - (a < b - unit))


def _pairs_of_numbers(
    steps: Sequence[BaseColumn], inputs: Sequence[BaseColumn], sets: Sequence[SampleSet], rng: np.random.Generator
) -> Iterator[DerivedColumn]:
    """How two numbers of one record compare; a number with another one's value before; changes with numbers."""
    some = [base for base in steps if base.numbers and not base.flag][:MAX_PAIRED_NUMBERS]
    given = [base for base in inputs if base.numbers][:MAX_PAIRED_NUMBERS]
    order = rng.permutation(len(sets[0].owner))
    for a, b in [*combinations(some, 2), *((a, b) for a in some for b in given)]:
        if a.date == b.date:
            yield from _compared(
                a.words, b.words, {a.source, b.source}, a.numbers, b.numbers, max(a.unit, b.unit), order
            )
    past = {base.name: _past(sets, base.numbers) for base in some}
    for a, b in permutations(some, 2):
        if a.date == b.date:
            sources = {a.source, (b.place, b.name, 1)}
            name = b.words_before
            yield from _compared(a.words, name, sources, a.numbers, past[b.name], max(a.unit, b.unit), order)
        if not a.date and not b.date:
            change = tuple(step_changes(x, one.offsets) for x, one in zip(a.numbers, sets, strict=True))
            sources = {a.source, (a.place, a.name, 1), b.source}
            for sign, name in ((1.0, b.words), (-1.0, f"−{b.words}")):
                other = tuple(sign * x for x in b.numbers)
                yield from _compared(
                    f"the change of {a.words}", name, sources, change, other, 2 * a.unit + b.unit, order, equal=True
                )


def _totals(steps: Sequence[BaseColumn], rng: np.random.Generator) -> Iterator[DerivedColumn]:
    """Numbers that are sums and differences of others, and of a constant, in almost all training records.

    Least squares on a few records find the parts: their slopes are near -1, 0 or 1.
    """
    some = [base for base in steps if base.numbers and not base.flag and not base.date][:MAX_SUMMED_NUMBERS]
    if len(some) < MIN_SUMMED_NUMBERS:
        return
    table = np.stack([base.numbers[0] for base in some])
    order = rng.permutation(table.shape[1])
    known = order[np.isfinite(table[:, order]).all(0)][:MAX_FITTED_RECORDS]
    if len(known) < MIN_FITTED_RECORDS * len(some):
        return
    seen = set[frozenset[int]]()
    for k, base in enumerate(some):
        others = [at for at in range(len(some)) if at != k and np.ptp(table[at, known]) > 0]
        level = table[others][:, known].T
        fit = np.linalg.lstsq(np.column_stack([level, np.ones(len(known))]), table[k, known], rcond=None)[0]
        slopes = np.round(fit[:-1])
        near = bool((np.abs(fit[:-1] - slopes) < MAX_SLOPE_OFF).all() and (np.abs(slopes) <= 1).all())
        parts = [(others[at], int(slopes[at])) for at in np.flatnonzero(slopes)]
        if not near or len(parts) < MIN_SUMMED_NUMBERS - 1 or frozenset({k, *(at for at, _ in parts)}) in seen:
            continue
        seen.add(frozenset({k, *(at for at, _ in parts)}))
        sums = [sum((sign * some[at].numbers[one] for at, sign in parts), np.zeros(())) for one in range(3)]
        unit = base.unit + sum(some[at].unit for at, _ in parts)
        rest = float(np.median(table[k, known] - sums[0][known]))
        right = tuple(one + (rest if abs(rest) > unit else 0.0) for one in sums)
        words = [f"{'−' if sign < 0 else '+'} {some[at].words}" for at, sign in parts]
        name = " ".join([f"{rest:.6g}", *words] if abs(rest) > unit else words).removeprefix("+ ")
        sources = {base.source, *(some[at].source for at, _ in parts)}
        yield from _compared(base.words, name, sources, base.numbers, right, unit, order, equal=True)


def _compared(
    left: str,
    right: str,
    sources: set[ValueSource],
    x: tuple[Reals, ...],
    y: tuple[Reals, ...],
    unit: float,
    order: Codes,
    equal: bool = False,
) -> Iterator[DerivedColumn]:
    codes = tuple(_signs(one, other, unit) for one, other in zip(x, y, strict=True))
    null = np.where(codes[0] == -1, -1, _signs(x[0], y[0][order], unit))
    shares, by_chance = (_shares(one, 3) for one in (codes[0], null))
    often = shares[1] > MIN_SHARE_EQUAL + 2 * by_chance[1]
    most = 2 * int(shares[2] > shares[0])
    one_sided = shares[most] + shares[1] >= MIN_SHARE_ONE_SIDED > by_chance[most] + by_chance[1]
    if not often and (equal or not one_sided):
        return
    clauses = [f"{left} {sign} {right}" for sign in "<=>"]
    yield _comparison(f"how {left} compares with {right}", frozenset(sources), codes, clauses, null)


def _pairs_of_symbols(
    steps: Sequence[BaseColumn], inputs: Sequence[BaseColumn], sets: Sequence[SampleSet], rng: np.random.Generator
) -> Iterator[DerivedColumn]:
    """Whether two symbols of one record are equal, or one is the other's value of the step before."""
    some = [base for base in steps if base.codes and not base.numbers and len(base.texts) > 2][:MAX_PAIRED_SYMBOLS]
    given = [base for base in inputs if base.codes and not base.numbers][:MAX_PAIRED_SYMBOLS]
    order = rng.permutation(len(sets[0].owner))
    pairs = [(a, b, 0) for a, b in [*combinations(some, 2), *((a, b) for a in some for b in given)]]
    pairs += [(a, b, 1) for a, b in permutations(some, 2)]
    for a, b, lag in pairs:
        shared = {text: k for k, text in enumerate(a.texts) if text != MISSING_WORD}
        new = np.array([*(shared.get(text, -2) for text in b.texts), -2, -2])
        if (new >= 0).sum() < 2:
            continue
        codes = []
        for one, x, y in zip(sets, a.codes, b.codes, strict=True):
            other = new[np.minimum(y, len(new) - 1)]
            codes.append(np.where(_before(one), x == np.roll(other, 1), -1) if lag else (x == other).astype(np.int64))
        null = np.where(codes[0] == -1, -1, a.codes[0] == new[b.codes[0]][order])
        name = b.words_before if lag else b.words
        clauses = [f"{a.words} is not {name}", f"{a.words} is {name}"]
        sources = frozenset({a.source, (b.place, b.name, lag)})
        yield _comparison(f"whether {a.words} is {name}", sources, tuple(codes), clauses, null)


def _last_time(
    steps: Sequence[BaseColumn], sets: Sequence[SampleSet], rng: np.random.Generator
) -> Iterator[DerivedColumn]:
    """Whether a column has the value that it had the last time that another one had its present value."""
    groups = [base for base in steps if base.codes and 1 < len(base.texts) <= MAX_COUNTED][:MAX_GROUPS]
    some = [base for base in steps if not base.flag and not base.date][: MAX_PAIRED_NUMBERS + MAX_PAIRED_SYMBOLS]
    order = rng.permutation(len(sets[0].owner))
    for group in groups:
        last = [_last_same(one, x, len(group.texts) + 2) for one, x in zip(sets, group.codes, strict=True)]
        for base in some:
            if base is group or not (base.numbers or base.codes):
                continue
            values = base.numbers or tuple(one.astype(np.float64) for one in base.codes)
            codes = []
            for x, at in zip(values, last, strict=True):
                same = (np.abs(x - x[at]) <= base.unit) | (np.isnan(x) & np.isnan(x[at]))
                codes.append(np.where(at < 0, -1, same.astype(np.int64)))
            mixed = np.abs(values[0] - values[0][order]) <= base.unit
            null = np.where(codes[0] == -1, -1, mixed.astype(np.int64))
            if _shares(codes[0], 2)[1] <= MIN_SHARE_EQUAL + 2 * _shares(null, 2)[1]:
                continue
            name = f"that of the last step with the same {group.words}"
            clauses = [f"{base.words} is not {name}", f"{base.words} is {name}"]
            sources = frozenset({base.source, (base.place, base.name, 1), (group.place, group.name, 1)})
            yield _comparison(f"whether {base.words} is {name}", sources, tuple(codes), clauses, null)


def _shares(codes: Codes, size: int) -> Reals:
    """(size,) the shares of codes, of the records that the column says something of."""
    counts = np.bincount(codes[codes >= 0], minlength=size)
    return counts / max(1, counts.sum())


def _last_same(one: SampleSet, codes: Codes, size: int) -> Codes:
    """(S,) the last step before, in the same sequence, with the same code; -1 without any."""
    group = one.owner * size + np.minimum(codes, size - 1)
    order = np.argsort(group, kind="stable")
    out = np.full(len(codes), -1)
    later = np.flatnonzero(group[order][1:] == group[order][:-1]) + 1
    out[order[later]] = order[later - 1]
    return out
