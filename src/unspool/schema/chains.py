"""Columns that decide others: a day of the week its next one, a city its country."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unspool.schema.chance import fails_often

MIN_PAIRS, MIN_PAIRS_PER_VALUE = 20, 2
"""Fewest pairs, and for each value, that show what goes with a value."""
MIN_PAIRS_PER_NUMBER, MAX_DECIDED_NUMBERS = 3, 100
"""Of numbers, which are read as categories then: fewest pairs for each, and the most different ones."""

MIN_COUNT_PER_CODE, MIN_APART = 5, 100
"""Of whole numbers that are codes: how often half of them occur, and the places of their grid for each."""

SOME_PAIRS, MAX_TOGETHER = 2_000, 8
"""Pairs that are looked at before all are; and categories of which two together may decide numbers."""

Symbols = NDArray[np.integer]


def goes_with(left: Symbols, right: Symbols, count: int) -> tuple[NDArray[np.int64], int] | None:
    """The one value that goes with each other value in all pairs, and how many pairs there are.

    None if two go with one value, if pairs are too few, or if shuffled ones would rarely contradict it.

    Args:
        left: (P,) numbers of values, from 0 to `count`.
        right: (P,) numbers of values, 0 or more.
        count: V.

    Returns:
        (V,) numbers of right values, -1 of a value without a pair; and P.

    Examples:
        >>> days = np.arange(70) % 7
        >>> found, pairs = goes_with(days, days // 5, 7)
        >>> found.tolist(), pairs
        ([0, 0, 0, 0, 0, 1, 1], 70)
        >>> goes_with(days // 5, days, 2) is None
        True
    """
    found = np.full(count, -1, np.int64)
    for some in (slice(SOME_PAIRS), slice(None)):  # most columns contradict each other soon
        found[left[some]] = right[some]
        if (found[left[some]] != right[some]).any():
            return None
    if len(left) < max(MIN_PAIRS, MIN_PAIRS_PER_VALUE * (found >= 0).sum()):
        return None
    shuffled = np.random.default_rng(0).permutation(right)
    return (found, len(left)) if fails_often(found[left] != shuffled) else None


def always_followed_by(codes: Symbols, offsets: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], int] | None:
    """The one value that follows each value within sequences, and how many pairs there are; else as `goes_with`.

    Args:
        codes: (S,) numbers of values from 0; `count` and more are none.
        offsets: (N + 1,).
        count: V.

    Examples:
        >>> following, pairs = always_followed_by(np.arange(30) % 7, np.array([0, 10, 30]), 7)
        >>> following.tolist(), pairs
        ([1, 2, 3, 4, 5, 6, 0], 28)
    """
    if len(codes) < MIN_PAIRS:
        return None
    inside = codes < count
    inside[1:] &= inside[:-1]
    inside[offsets[:-1][np.diff(offsets) > 0]] = False
    after = np.flatnonzero(inside)
    return goes_with(codes[after - 1], codes[after], count)


def decided_columns(categories: Mapping[str, Symbols], offsets: NDArray[np.int64]) -> str:
    """A line that names the columns that are always decided, and by what; empty if there are none.

    Args:
        categories: by name, in the order in which they are sampled, (S,) numbers of values.
        offsets: (N + 1,).

    Examples:
        >>> days = np.arange(60) % 7
        >>> decided_columns({"day": days, "weekend": days // 5}, np.array([0, 25, 60]))
        "always go together: 'day' with the one before it, 'weekend' with 'day'"
    """
    counts = {name: int(codes.max(initial=-1)) + 1 for name, codes in categories.items()}
    found, earlier = [], list[str]()
    for name, codes in categories.items():
        if always_followed_by(codes, offsets, counts[name]) is not None:
            found.append(f"{name!r} with the one before it")
        deciding = (other for other in earlier if goes_with(categories[other], codes, counts[other]) is not None)
        found += [f"{name!r} with {other!r}" for other in itertools.islice(deciding, 1)]
        earlier.append(name)
    return f"always go together: {', '.join(found)}" if found else ""


def few_numbers(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], Symbols] | None:
    """The different numbers, and (S,) which of them each is; None if one is missing, or there are too many."""
    if np.isnan(values).any() or len(np.unique(values[:10_000])) > MAX_DECIDED_NUMBERS:
        return None
    known, codes = np.unique(values, return_inverse=True)
    return (known, codes) if len(known) <= MAX_DECIDED_NUMBERS else None


def is_chain(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> bool:
    """Whether numbers are few, and each is always followed by the same other one, though not by equal steps.

    Values are (S,) and NaN where missing; equal steps are better learned as such: they go beyond the last value.

    Examples:
        >>> hours = np.tile([0.0, 0.5, 1.0, 2.0, 4.0, 8.0], 6)
        >>> is_chain(hours, np.arange(0, 37, 6)), is_chain(np.tile(np.arange(6.0), 6), np.arange(0, 37, 6))
        (True, False)
    """
    parts = few_numbers(values)
    if parts is None:
        return False
    known, codes = parts
    found = always_followed_by(codes, offsets, len(known))
    if found is None or found[1] < MIN_PAIRS_PER_NUMBER * len(known):
        return False
    steps = (known[found[0]] - known)[found[0] >= 0]
    return bool(np.ptp(steps) > 1e-9 * np.abs(steps).max())


def are_codes(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> bool:
    """Whether whole numbers are few, frequent and far apart, as those of products are: they count nothing.

    Values are (S,). Those that never change within a sequence may still be sizes, each of one of few units.

    Examples:
        >>> products = np.array([55320.0, 10977.0, 81204.0])[np.arange(60) % 3]
        >>> are_codes(products, np.array([0, 30, 60])), are_codes(np.arange(60.0) % 3, np.array([0, 30, 60]))
        (True, False)
    """
    parts = few_numbers(values)
    if parts is None or len(parts[0]) < 2 or (parts[0] != np.round(parts[0])).any():
        return False
    known, codes = parts
    moves = np.append(False, codes[1:] != codes[:-1])
    moves[offsets[:-1][np.diff(offsets) > 0]] = False
    apart = (known[-1] - known[0]) / np.gcd.reduce(np.diff(known).astype(np.int64))
    frequent = np.median(np.bincount(codes)) >= MIN_COUNT_PER_CODE  # amounts are often 0, and else anything
    return bool(frequent and apart > MIN_APART * len(known) and moves.any())


def deciders(numbers: Symbols, categories: Sequence[Symbols]) -> tuple[int, ...] | None:
    """Which one of several categories of the same step decides numbers, or which two together, as places a distance.

    All are (S,) numbers of values. One goes before two; None if none does.

    Examples:
        >>> cities = np.arange(60) % 5
        >>> deciders(np.array([3, 0, 0, 2, 1])[cities], [np.arange(60) % 7, cities])
        (1,)
        >>> places, hours = np.arange(60) % 5, np.arange(60) // 5 % 3
        >>> deciders(places * hours, [places, hours]), deciders(places * hours, [places])
        ((0, 1), None)
    """
    alone = itertools.combinations(range(len(categories)), 1)
    for at in itertools.chain(alone, itertools.combinations(range(min(len(categories), MAX_TOGETHER)), 2)):
        codes = categories[at[0]] if len(at) == 1 else _joined(categories[at[0]], categories[at[1]], numbers)
        count = int(codes.max(initial=-1)) + 1
        if len(codes) >= MIN_PAIRS_PER_NUMBER * count and goes_with(codes, numbers, count):
            return at
    return None


def _joined(one: Symbols, other: Symbols, decided: Symbols) -> Symbols:
    """(S,) numbers of the pairs of values that occur; all different where the first steps show that none decides."""
    pairs = one.astype(np.int64) * (int(other.max(initial=-1)) + 1) + other
    _, first, codes = np.unique(pairs[:SOME_PAIRS], return_index=True, return_inverse=True)
    if (decided[first][codes] != decided[:SOME_PAIRS]).any():
        return np.arange(len(pairs))  # each would decide its own, and none often enough
    return np.unique(pairs, return_inverse=True)[1] if len(pairs) > SOME_PAIRS else codes


def deciding_first(order: Iterable[str], categories: Mapping[str, Symbols]) -> list[str]:
    """Names of columns, of which a category that decides another one comes before it, unless each decides the other.

    Args:
        order: the names.
        categories: by name of those that are categories, (S,) numbers of values.

    Examples:
        >>> cities = np.arange(60) % 5
        >>> deciding_first(["x", "country", "city"], {"country": cities // 2, "city": cities})
        ['x', 'city', 'country']
    """
    counts = {name: int(codes.max(initial=-1)) + 1 for name, codes in categories.items()}
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        for other, deciding in categories.items() if name in categories else ():
            # What has fewer values decides nothing that has more.
            more = counts[other] > counts[name]
            if more and other not in placed and goes_with(deciding, categories[name], counts[other]):
                place(other)
        placed[name] = None

    for name in order:
        if name not in placed:
            place(name)
    return list(placed)


def decided_next(order: Iterable[str], categories: Mapping[str, Symbols]) -> list[str]:
    """Names of columns, of which a category that one or two before it decide comes right after these.

    What is sampled after it reads it then: an arrival the distance that origin and destination decide.

    Args:
        order: the names.
        categories: by name of those that are categories, (S,) numbers of values.

    Examples:
        >>> cities = np.arange(60) % 5
        >>> decided_next(["city", "x", "country"], {"country": cities // 2, "city": cities})
        ['city', 'country', 'x']
    """
    placed, decided = list[str](), set[str]()
    for name in order:
        known = [other for other in placed if name in categories and other in categories]
        found = deciders(categories[name], [categories[other] for other in known]) if known else None
        at = len(placed)
        if found is not None:
            after = range(1 + max(placed.index(known[k]) for k in found), len(placed))
            at = next((k for k in after if placed[k] not in decided), at)
            decided.add(name)
        placed.insert(at, name)
    return placed
