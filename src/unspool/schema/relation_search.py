"""The relations that hold in every record of training, and the fields that keep them.

A relation counts as one only if it would fail often were its columns independent: at least 20 times, and in one record
of fifty. So neither a hundred rows nor columns of different size suggest one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.errors import OptionError, listing
from unspool.schema.chance import MIN_FAILURE_SHARE, MIN_FAILURES, fails_often
from unspool.schema.fields import AnyField, Category, Number, When
from unspool.schema.grid import MAX_DECIMALS, find_grid
from unspool.schema.monotone import as_number, never_changes, never_decreases
from unspool.schema.near import with_near
from unspool.schema.relations import (
    AnyRelation,
    AtMost,
    Equal,
    MissingWith,
    Running,
    Sum,
    derived_columns,
    parse_relations,
)
from unspool.schema.running import (
    MAX_PARTS,
    adds_up,
    by_changes,
    find_running,
    learned_parts,
    sum_tolerance,
)
from unspool.schema.transform_choice import keeps_level, lagged
from unspool.tables.columns import missing_mask

SAMPLE_ROWS = 4_000
"""Records on which relations are tried before all records are."""
MAX_RELATED_COLUMNS = 200
"""Most columns among which relations are searched."""
MAX_FITTED_ROWS, MIN_ROWS_PER_PART, MAX_SLOPE_ERROR = 512, 3, 0.02
"""Of sums of more parts: records that least squares look at, the fewest for each column, and how far slopes may be from
0 and 1."""
MIN_STEPS_APART = 3.0
"""Distance of two columns, in standard deviations of its steps, from which on they never meet."""
_Columns = Mapping[str, NDArray[np.float64]]


def find_relations(
    fields: Mapping[str, AnyField],
    values: Mapping[str, NDArray[np.generic]],
    offsets: NDArray[np.int64],
    fixed: Collection[str] = (),
) -> list[AnyRelation]:
    """The relations between columns, in the order in which they can be derived.

    Args:
        fields: of every column.
        values: (S,) of every column, in the form of its field.
        offsets: (N + 1,).
        fixed: columns of which the user gave all: they are never derived.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> low = rng.normal(size=500)
        >>> columns = {"low": low, "high": low + rng.exponential(size=500)}
        >>> list(map(str, find_relations({name: Number(name) for name in columns}, columns, np.array([0, 500]))))
        ['low <= high']
    """
    names = [name for name in fields if values[name].ndim == 1 and values[name].dtype != np.uint32]
    if not 1 < len(names) <= MAX_RELATED_COLUMNS:
        return []
    equal = list(_equal({name: values[name] for name in names}, fields, fixed))
    copies = derived_columns(equal)
    names = [name for name in names if name not in copies]
    missing = {name: missing_mask(values[name]) for name in names}
    numbers = {name: as_number(values[name]) for name in names if _measures(fields[name], values[name], offsets)}
    amounts = {
        name: as_number(values[name])
        for name in names
        if (name in numbers and not isinstance(fields[name], When)) or _is_few_amounts(fields[name], values[name])
    }
    sums = list(_sums(amounts, {*fixed, *(name for name in amounts if isinstance(fields[name], Category))}))
    totals = derived_columns(sums)
    adding = [name for name in names if name not in totals and adds_up(fields[name], values[name])]
    open_ = {name for name in adding if isinstance(fields[name], (Number, Category)) and name not in fixed}
    running = list(find_running({name: as_number(values[name]) for name in adding}, open_, offsets))
    parts = learned_parts(running, fields, values, offsets, fixed)
    # Two totals may have one part: then the second one follows from it.
    carried = {*parts} | {
        item.total for item in running if item.total not in [parts.get(name) for name in item.columns]
    }
    kept = {name: x for name, x in numbers.items() if name not in totals and name not in carried}
    orders: list[AnyRelation] = []
    for kinds in ((When,), (Number, Category)):
        some = {name: x for name, x in kept.items() if isinstance(fields[name], kinds)}
        orders += (item for item in _orders(some) if not _never_meet(some[item.low], some[item.high], offsets))
    learned = {name: part for name, part in missing.items() if name not in totals}
    return [*orders, *running, *_missing_together(learned), *sums, *equal]


def _is_few_amounts(field: AnyField, values: NDArray[np.generic]) -> bool:
    """Whether values are few numbers with decimals, which may be parts of a sum."""
    return isinstance(field, Category) and values.dtype.kind == "f"


def _measures(field: AnyField, values: NDArray[np.generic], offsets: NDArray[np.int64]) -> bool:
    """Whether values have an order that distances keep: dates, numbers that go both ways, and few whole numbers."""
    if isinstance(field, Number) and field.transform == "auto":
        x = values.astype(np.float64)
        still = never_changes(x, offsets, None)
        return not (still or never_decreases(x, offsets, None) or never_decreases(-x, offsets, None))
    return isinstance(field, (When, Number)) or (isinstance(field, Category) and values.dtype.kind == "i")


def _equal(
    values: Mapping[str, NDArray[np.generic]], fields: Mapping[str, AnyField], fixed: Collection[str]
) -> Iterator[Equal]:
    """Columns that are copies of an earlier one of their kind."""
    originals: list[str] = []
    for name, column in values.items():
        for original in originals:
            same = type(fields[name]) is type(fields[original]) and column.dtype.kind == values[original].dtype.kind
            if same and name not in fixed and _same(column, values[original]):
                shuffled = np.random.default_rng(0).permutation(len(column))
                if fails_often(np.asarray(column[shuffled] != column)):
                    yield Equal(name, original)
                    break
        else:
            originals.append(name)


def _same(left: NDArray[np.generic], right: NDArray[np.generic]) -> bool:
    some = slice(0, 100)
    return all(
        np.array_equal(a, b) if a.dtype.kind in "Oib" else np.array_equal(a, b, equal_nan=True)
        for a, b in ((left[some], right[some]), (left, right))
    )


def _orders(columns: _Columns) -> Iterator[AtMost]:
    """Pairs of which the first is never larger, and of which one has values only where the other one has."""
    names = list(columns)
    if len(names) < 2:
        return
    rng = np.random.default_rng(0)
    size = len(columns[names[0]])
    rows = rng.choice(size, SAMPLE_ROWS, replace=False) if size > SAMPLE_ROWS else np.arange(size)
    sample = np.stack([columns[name][rows] for name in names], 1)
    shuffled = sample[rng.permutation(len(sample))]
    for i, low in enumerate(names):
        with np.errstate(invalid="ignore"):
            holds = ~(sample[:, [i]] > sample).any(0)
            failures = (shuffled[:, [i]] > sample).sum(0)
        present = (~np.isnan(sample) & ~np.isnan(sample[:, [i]])).sum(0)
        likely = holds & (failures >= np.maximum(MIN_FAILURES, MIN_FAILURE_SHARE * present))
        for j in np.flatnonzero(likely).tolist():
            high = names[j]
            if i != j and _ordered(columns[low], columns[high]):
                yield AtMost(low, high)


def _ordered(low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    """Whether no value is above its partner, and one of both columns has values only where the other one has."""
    absent_low, absent_high = np.isnan(low), np.isnan(high)
    nested = not (absent_low & ~absent_high).any() or not (absent_high & ~absent_low).any()
    both = ~absent_low & ~absent_high
    return nested and bool((low[both] <= high[both]).all())


def _never_meet(low: NDArray[np.float64], high: NDArray[np.float64], offsets: NDArray[np.int64]) -> bool:
    """Whether two columns are in order because every sequence keeps both at levels of its own, one far below the other.

    Such an order says nothing about a record; learned as a distance, the steps of the upper one would be lost in it.
    """
    present = ~np.isnan(low) & ~np.isnan(high)
    if not present.all():
        return False
    low, high = map(np.log, (low, high)) if low.min(initial=1.0) > 0 else (low, high)
    if not all(keeps_level(column, offsets) for column in (low, high)):
        return False
    distances = high - low
    return bool(distances.min() > MIN_STEPS_APART * lagged(distances, offsets, 1).std())


def _sums(columns: _Columns, fixed: Collection[str]) -> Iterator[Sum]:
    """Totals of two other columns, or of more; a total is no part of an earlier total, nor a total twice."""
    names = list(columns)
    if not 3 <= len(names) <= MAX_PARTS:
        return
    size = len(columns[names[0]])
    some = np.linspace(0, size - 1, min(size, 64)).astype(int)
    sample = np.stack([columns[name][some] for name in names])
    tolerance = np.array([sum_tolerance(columns[name]) for name in names])
    totals: set[str] = set()
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            distances = np.abs(sample[i] + sample[j] - sample)
            close = (distances <= tolerance[:, None]) | np.isnan(distances)
            for k in np.flatnonzero(close.all(1)).tolist():
                total, parts = names[k], (names[i], names[j])
                if k in (i, j) or total in totals or totals & set(parts) or total in fixed:
                    continue
                if _is_sum(columns[total], [columns[part] for part in parts], float(tolerance[k])):
                    totals.add(total)
                    yield Sum(total, parts, _decimals(columns[total]))
    for k, total in enumerate(names):
        if total not in totals and total not in fixed:
            many = _many_parts(columns, total, [name for name in names if name != total and name not in totals])
            if len(many) > 2 and _is_sum(columns[total], [columns[part] for part in many], float(tolerance[k])):
                totals.add(total)
                yield Sum(total, many, _decimals(columns[total]))


def _many_parts(columns: _Columns, total: str, others: Sequence[str]) -> tuple[str, ...]:
    """The columns that least squares adds once each to give a total, where they take all others none at all."""
    rows = np.flatnonzero(~np.isnan(columns[total]))
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MAX_FITTED_ROWS)).astype(int)]
    others = [name for name in others if not np.isnan(columns[name][rows]).any() and np.ptp(columns[name][rows]) > 0]
    if len(rows) < MIN_ROWS_PER_PART * len(others) or len(others) < 3:
        return ()
    x, y = np.stack([columns[name][rows] for name in others], 1), columns[total][rows]
    scale = np.abs(x).max(0)
    taken = np.linalg.lstsq(x / scale, y, rcond=1e-9)[0] / scale
    # Rounding moves the slopes; whether it is a sum is then asked of all records.
    whole = (np.abs(taken) < MAX_SLOPE_ERROR) | (np.abs(taken - 1) < MAX_SLOPE_ERROR)
    return tuple(name for name, slope in zip(others, taken, strict=True) if slope > 0.5) if whole.all() else ()


def _decimals(x: NDArray[np.float64]) -> int | None:
    grid = find_grid(x[~np.isnan(x)])
    return None if grid is None else min(grid[0], MAX_DECIMALS)


def _is_sum(total: NDArray[np.float64], parts: Sequence[NDArray[np.float64]], tolerance: float) -> bool:
    """Whether a total is the sum everywhere, all parts matter, and it would fail among independent columns."""
    absent = np.isnan(total)
    if not np.array_equal(absent, np.logical_or.reduce([np.isnan(part) for part in parts])):
        return False
    y, *present = (x[~absent] for x in (total, *parts))
    if not (np.abs(np.sum(present, 0) - y) <= tolerance).all():
        return False
    shuffled = np.random.default_rng(0).permutation(len(y))
    independent = np.abs(np.sum(present[:-1], 0) + present[-1][shuffled] - y)
    return fails_often(independent > 2 * tolerance) and all(fails_often(np.abs(part) > tolerance) for part in present)


def _missing_together(missing: Mapping[str, NDArray[np.bool_]]) -> Iterator[MissingWith]:
    """Columns that are missing whenever another one is; of two that always are together, the later one."""
    some = [name for name, absent in missing.items() if MIN_FAILURES <= absent.sum() < len(absent)]
    for k, column in enumerate(some):
        absent, best, most = missing[column], None, 0
        for j, of in enumerate(some):
            count = int(missing[of].sum())
            nested = j != k and count > most and not (missing[of] & ~absent).any()
            same = nested and count == absent.sum()
            if nested and not (same and j > k) and count * (1 - absent.mean()) >= MIN_FAILURES:
                best, most = of, count
        if best is not None:
            yield MissingWith(column, best)


def keep_relations(
    fields: Mapping[str, AnyField],
    values: Mapping[str, NDArray[np.generic]],
    offsets: NDArray[np.int64],
    fixed: Collection[str],
    asked: Any,
    *,
    near: bool = False,
) -> tuple[dict[str, AnyField], tuple[AnyRelation, ...]]:
    """The fields that are learned, in the order in which they are sampled, and the relations that they keep.

    Args:
        fields: of every column of a step, in the order of the table.
        values: (S,) of every column, in the form of its field.
        offsets: (N + 1,).
        fixed: columns of which the user gave all.
        asked: see `OneToMany(relations=...)`.
        near: whether numbers that follow an earlier column closely are learned as a distance from it.

    Raises:
        OptionError: a relation that the user gave, and that does not hold in the data or can't be kept.
    """
    search, given = parse_relations(asked, list(fields))
    given = [_checked(relation, fields, values, offsets) for relation in given]
    decided = {*fixed, *(name for name in fields if fields[name].references)}
    found = find_relations(fields, values, offsets, decided) if search else []
    own: list[AnyRelation] = [
        AtMost(*((other, name) if other in getattr(field, "above", ()) else (name, other)))
        for name, field in fields.items()
        for other in (*getattr(field, "above", ()), *getattr(field, "below", ()))
    ]
    own += [field.running for field in fields.values() if isinstance(field, Number) and field.running is not None]
    taken = derived_columns(given)
    found = [item for item in found if item not in given and not {*derived_columns([item])} & set(taken)]
    bounded = {name for item in given if isinstance(item, AtMost) for name in item.columns}
    found = [item for item in found if not isinstance(item, Running) or not bounded & {*item.columns}]
    relations = _in_order([*given, *found])
    for relation in given:
        derived = {*relation.columns} & {*derived_columns(relations)} if isinstance(relation, Running) else set()
        if derived:
            raise OptionError(f"relation {str(relation)!r}", "columns that are learned", listing(sorted(derived)))
    running = [relation for relation in relations if isinstance(relation, Running)]
    parts = learned_parts(running, fields, values, offsets, fixed)
    changing = {total: values[part] for part, total in parts.items() if total not in fixed}
    fields = {**fields, **{name: by_changes(fields[name], values[name], offsets, changing[name]) for name in changing}}
    absent = {name: int(missing_mask(values[name]).sum()) for name in fields}
    while True:
        learned, kept = arrange(fields, [*relations, *own], fixed, absent, parts)
        wrong = next(filter(None, (_conflict(field, fields, values, fixed) for field in learned.values())), None)
        if wrong is None:
            return (with_near(learned, values, fixed) if near and search else learned), tuple(kept)
        name, reason = wrong
        for relation in given:
            if isinstance(relation, (AtMost, Running)) and name in relation.columns:
                expected = "columns of which one can be learned as a distance"
                raise OptionError(f"relation {str(relation)!r}", expected, reason)
        relations = [item for item in relations if not isinstance(item, (AtMost, Running)) or name not in item.columns]


def _in_order(relations: Sequence[AnyRelation]) -> list[AnyRelation]:
    """Relations, of which those that derive a column come after those that derive its parts."""
    pending, ordered = list(relations), list[AnyRelation]()
    while pending:
        open_ = derived_columns(pending)
        ready = [item for item in pending if not (set(item.columns) - set(derived_columns([item]))) & set(open_)]
        if not ready:
            found = ", ".join(str(item) for item in pending)
            raise OptionError("relations", "columns that don't derive each other", found)
        ordered += ready
        pending = [item for item in pending if item not in ready]
    return ordered


def _checked(
    relation: AnyRelation,
    fields: Mapping[str, AnyField],
    values: Mapping[str, NDArray[np.generic]],
    offsets: NDArray[np.int64],
) -> AnyRelation:
    """A relation that the user gave, if it holds in the data."""
    location = f"relation {str(relation)!r}"
    columns = [values[name] for name in relation.columns]
    if isinstance(relation, (AtMost, Sum, Running)):
        for name, column in zip(relation.columns, columns, strict=True):
            if column.dtype.kind not in "ifM" or column.ndim != 1:
                raise OptionError(location, "numbers or dates", f"{name!r}, a {fields[name].kind}")
    failed = failures(relation, values, offsets)
    if failed.any():
        row = int(np.argmax(failed))
        found = " and ".join(str(column[row]) for column in columns)
        hint = "Correct the data, or leave the relation out."
        raise OptionError(location, "data in which it holds", f"{found} in step {row}", hint)
    if isinstance(relation, Sum):
        relation = msgspec.structs.replace(relation, decimals=_decimals(as_number(columns[0])))
    return relation


def failures(
    relation: AnyRelation, values: Mapping[str, NDArray[np.generic]], offsets: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(S,) bool: in which records of sequences with (N + 1,) offsets a relation does not hold."""
    columns = [values[name] for name in relation.columns]
    absent = [missing_mask(column) for column in columns]
    match relation:
        case MissingWith():
            return absent[1] & ~absent[0]
        case AtMost():
            low, high = map(as_number, columns)
            return np.nan_to_num(low, nan=-np.inf) > np.nan_to_num(high, nan=np.inf)
        case Equal():
            return (absent[0] != absent[1]) | (~absent[0] & np.asarray(columns[0] != columns[1]))
        case Running():
            total, *parts = map(as_number, columns)
            added, taken = (np.sum(side, 0) for side in (parts[: len(relation.adds)], parts[len(relation.adds) :]))
            steps = np.diff(total, prepend=0.0)
            wrong = ~(np.abs(added - taken - steps) <= sum_tolerance(total))  # where one is missing, too
            wrong[offsets[:-1][np.diff(offsets) > 0]] = False
            return wrong
    total, *parts = map(as_number, columns)
    wrong = np.abs(np.sum(parts, 0) - total) > sum_tolerance(total)
    return (np.logical_or.reduce(absent[1:]) != absent[0]) | wrong


def _conflict(
    field: AnyField, fields: Mapping[str, AnyField], values: Mapping[str, NDArray[np.generic]], fixed: Collection[str]
) -> tuple[str, str] | None:
    """Why a field can't be learned as a distance, if it is one: its name, and the reason."""
    references = field.references
    if not references:
        return None
    if field.name in fixed and references != fields[field.name].references:
        return field.name, f"{field.name!r}, of which transform, distribution or bounds were given"
    if field.signs and any(missing_mask(values[name]).any() for name in (field.name, *references)):
        return field.name, f"{field.name!r}, of which a step is missing"
    alone = np.logical_and.reduce([missing_mask(values[name]) for name in references])
    if (alone & ~missing_mask(values[field.name])).any():
        return field.name, f"{field.name!r} with values where {listing(references)} has none"
    return None


def arrange(
    fields: Mapping[str, AnyField],
    relations: Sequence[AnyRelation],
    fixed: Collection[str] = (),
    absent: Mapping[str, int] | None = None,
    parts: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, AnyField], list[AnyRelation]]:
    """The fields that are learned, in an order in which relations can be kept; and the relations that are kept.

    No column has references on both sides: two columns are placed only after those between them. Of several that are
    not related to each other, none is learned as a distance from another.

    Args:
        fields: of all columns, in the order of the table.
        relations: those that hold.
        fixed: columns that stay as they are where possible.
        absent: how often each column is missing: one that is missing less often comes first.
        parts: the totals of columns that are learned as their changes.

    Examples:
        >>> relations = [AtMost("low", "open"), AtMost("low", "close"), AtMost("open", "high"), AtMost("close", "high")]
        >>> fields, kept = arrange({name: Number(name) for name in ("high", "low", "open", "close")}, relations)
        >>> [(name, field.above, field.below) for name, field in fields.items()]
        [('high', (), ()), ('open', (), ('high',)), ('close', (), ('high',)), ('low', (), ('open', 'close'))]
    """
    derived = derived_columns(relations)
    learned = [name for name in fields if name not in derived]
    lower: dict[str, set[str]] = {name: set() for name in learned}
    for relation in relations:
        if isinstance(relation, AtMost):
            lower[relation.high].add(relation.low)
    lower = {name: _all_below(name, lower) for name in learned}
    related = {name for name in learned if lower[name] or any(name in others for others in lower.values())}
    roots: list[str] = []
    absent = absent or {}
    for name in sorted(related, key=lambda name: (name not in fixed, absent.get(name, 0), learned.index(name))):
        if not any(name in lower[root] or root in lower[name] for root in roots):
            roots.append(name)
    running: dict[str, Running] = {}
    for relation in relations:
        if isinstance(relation, Running):
            part = next((name for name in relation.columns[1:] if parts.get(name) == relation.total), relation.total)
            running[part] = relation
    placed: dict[str, AnyField] = {}
    pending = list(learned)
    while pending:
        needed = {name: {*running[name].terms(name)} if name in running else set() for name in pending}
        ready = (name for name in pending if not needed[name] & set(pending))
        name = next((name for name in ready if _ready(name, pending, placed, lower, roots, related)), "")
        if not name:
            found = ", ".join(f"{name!r} from {listing(sorted(needed[name]))}" for name in pending if needed[name])
            raise OptionError("relations", "columns that don't follow from each other", found)
        pending.remove(name)
        below = [other for other in placed if other in lower[name]]
        above = [other for other in placed if name in lower[other]]
        below = [name for name in below if not any(name in lower[other] for other in below)]
        above = [name for name in above if not any(other in lower[name] for other in above)]
        field = fields[name]
        if below or above:
            field = Number(name) if isinstance(field, Category) else field
            field = msgspec.structs.replace(field, above=tuple(below), below=tuple(above))
        if name in running:
            field = Number(name) if isinstance(field, Category) else field
            field = msgspec.structs.replace(field, running=running[name])
        placed[name] = field
    for name in roots:
        if isinstance(placed[name], Category):
            placed[name] = Number(name)
    return placed, [relation for relation in relations if not isinstance(relation, AtMost) or _shown(relation, lower)]


def _all_below(name: str, lower: Mapping[str, set[str]]) -> set[str]:
    """All columns below one, over any number of others."""
    found: set[str] = set()
    queue = list(lower[name])
    while queue:
        other = queue.pop()
        if other not in found:
            found.add(other)
            queue += lower[other]
    if name in found:
        raise OptionError("relations", "columns in one order", f"{name!r} below itself")
    return found


def _ready(
    name: str,
    pending: Sequence[str],
    placed: Collection[str],
    lower: Mapping[str, set[str]],
    roots: Collection[str],
    related: Collection[str],
) -> bool:
    """Whether a column can be placed next: after the roots that it is related to, and with nothing left between."""
    if name not in related or name in roots:
        return True
    first = [root for root in roots if root in lower[name] or name in lower[root]]
    if any(root not in placed for root in first):
        return False
    return not any(
        (end in lower[other] and other in lower[name]) or (name in lower[other] and other in lower[end])
        for other in pending
        for end in placed
        if other != name
    )


def _shown(relation: AtMost, lower: Mapping[str, set[str]]) -> bool:
    """Whether a relation doesn't follow from two others."""
    return not any(relation.low in lower[name] for name in lower[relation.high])
