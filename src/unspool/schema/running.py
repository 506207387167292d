"""Running totals: columns that go on from their value before by other columns of the step, and how they are learned."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.schema.chance import MIN_FAILURES, fails_often
from unspool.schema.fields import AnyField, Category, Number
from unspool.schema.grid import find_grid, find_point_masses
from unspool.schema.monotone import are_later, as_number, never_decreases
from unspool.schema.relations import Running
from unspool.tables.columns import missing_mask

MAX_PARTS = 60
"""Most columns among which sums are searched: three at a time."""
FLOAT_TOLERANCE = 1e-9
"""Distance of a sum from its total that float64 explains, relative to the largest total."""


def find_running(
    columns: Mapping[str, NDArray[np.float64]], totals: Collection[str], offsets: NDArray[np.int64]
) -> Iterator[Running]:
    """Totals that go on from their value before by one other column, or by two; none is a part of itself."""
    names = list(columns)
    after = np.flatnonzero(are_later(offsets))
    if not 2 <= len(names) <= MAX_PARTS or len(after) < MIN_FAILURES:
        return
    some = after[np.linspace(0, len(after) - 1, min(len(after), 64)).astype(int)]
    sample = np.stack([columns[name][some] for name in names])
    terms = [(i, sign) for i in range(len(names)) for sign in (1, -1)]
    pairs = ((term, other) for term, other in itertools.combinations(terms, 2) if term[0] != other[0])
    ways = [*((term,) for term in terms), *pairs]
    sums = np.stack([np.sum([sign * sample[i] for i, sign in way], 0) for way in ways])
    needs: dict[str, set[str]] = {}
    for total in [name for name in names if name in totals]:
        x, tolerance = columns[total], sum_tolerance(columns[total])
        steps = x[after] - x[after - 1]
        for n in np.flatnonzero((np.abs(sums - (x[some] - x[some - 1])) <= tolerance).all(1)).tolist():
            parts = [(names[i], sign) for i, sign in ways[n]]
            known = {part for part, _ in parts}.union(*(needs.get(part, set()) for part, _ in parts))
            if total not in known and _is_step(steps, [sign * columns[part][after] for part, sign in parts], tolerance):
                needs[total] = known
                yield Running(total, *(tuple(part for part, sign in parts if sign == side) for side in (1, -1)))
                break


def _is_step(steps: NDArray[np.float64], parts: Sequence[NDArray[np.float64]], tolerance: float) -> bool:
    """Whether steps are sums of parts everywhere, each part matters, and it would fail among independent columns."""
    if not (np.abs(np.sum(parts, 0) - steps) <= tolerance).all():
        return False
    shuffled = np.random.default_rng(0).permutation(len(steps))
    independent = np.abs(np.sum(parts, 0)[shuffled] - steps)
    return fails_often(independent > 2 * tolerance) and all(fails_often(np.abs(part) > tolerance) for part in parts)


def sum_tolerance(x: NDArray[np.float64]) -> float:
    """Distance of a sum from its total that rounding explains: one unit of the last decimal, none of whole numbers."""
    grid = find_grid(x[~np.isnan(x)])
    top = FLOAT_TOLERANCE * float(np.nanmax(np.abs(x), initial=0.0))
    return top + (1.01 * 10.0 ** -grid[0] if grid is not None and grid[0] > 0 else 0.0)


def adds_up(field: AnyField, values: NDArray[np.generic]) -> bool:
    """Whether values may be a running total, or a part of one: numbers, and few whole numbers, none of them missing."""
    number = isinstance(field, Number) or (isinstance(field, Category) and values.dtype.kind == "i")
    return number and not missing_mask(values).any()


def learned_parts(
    relations: Sequence[Running],
    fields: Mapping[str, AnyField],
    values: Mapping[str, NDArray[np.generic]],
    offsets: NDArray[np.int64],
    fixed: Collection[str],
) -> dict[str, str]:
    """By name of a part that is learned as what its total changes by, that total; others follow from their parts."""
    parts = {name: field.carried for name, field in fields.items() if field.is_change}
    totals = {relation.total for relation in relations}
    for relation in relations:
        part = free_part(relation, fields, values, offsets, fixed)
        if part is not None and part not in parts and not totals & {*relation.columns[1:]}:
            parts[part] = relation.total
    return parts


def free_part(
    relation: Running,
    fields: Mapping[str, AnyField],
    values: Mapping[str, NDArray[np.generic]],
    offsets: NDArray[np.int64],
    fixed: Collection[str],
) -> str | None:
    """The part that is learned as what its total changes by, or `None` where the total is learned from its parts.

    A total that falls, and never below 0, keeps that bound only if it is learned by itself; and what happens at a low
    one, such as an order, depends on it.
    """
    x = as_number(values[relation.total])
    bounded = any((side * x).min() >= 0 and not never_decreases(side * x, offsets, None) for side in (1, -1))
    own = [name for name in relation.columns if isinstance(fields[name], Number) and name not in fixed]
    return own[-1] if bounded and len(own) > 1 and own[0] == relation.total else None


def by_changes(
    field: AnyField, values: NDArray[np.generic], offsets: NDArray[np.int64], part: NDArray[np.generic]
) -> AnyField:
    """The field of a total whose transform is open; by changes, if some of these occur often, as levels don't show."""
    x, change = as_number(values), as_number(part)
    both_ways = not any(never_decreases(side * x, offsets, None) for side in (1, -1))
    grid = find_grid(change)
    often = set(find_point_masses(change, 0.0 if grid is None else grid[1])) - {0.0}
    is_open = type(field) is Number and field.transform == "auto" and not field.references
    return msgspec.structs.replace(field, transform="difference") if is_open and both_ways and often else field
