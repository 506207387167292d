"""Fields of a step of which only some combinations occur: a city lies in one state."""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

FAR = -1e30
"""Logit of a symbol that doesn't go with those before it."""


@dataclass(frozen=True)
class Combination:
    """Symbols of several fields of a step, of which only the tuples that training saw are drawn.

    The tuples are a tree: a *place* is what the fields so far have said, and each place has the symbols that may come
    next. All others get the probability `unseen` together, so that the likelihood of new data stays finite; where new
    data has left the tree, everything is allowed.

    Attributes:
        fields: numbers of the fields, rising.
        sizes: symbols V of each.
        digest: of the tuples, by which two are told apart.
        unseen: probability of a symbol that doesn't go with those before it.
        seen: the tuples.
    """

    fields: tuple[int, ...]
    sizes: tuple[int, ...]
    digest: str
    unseen: float
    seen: tuple[tuple[int, ...], ...] = field(compare=False, repr=False)

    def may(self, level: int, location: Array) -> Array:
        """Which symbols of a field may come, (..., V), at places of the fields before."""
        return jnp.asarray(tables(self)[level].allowed)[location]

    def after(self, level: int, location: Array, symbol: Array) -> Array:
        """The place once a field is known."""
        return jnp.asarray(tables(self)[level].after)[location, jnp.minimum(symbol, self.sizes[level])]


def combination(
    fields: tuple[int, ...], sizes: tuple[int, ...], unseen: float, seen: tuple[tuple[int, ...], ...]
) -> Combination:
    """A combination of these tuples; see `Combination` for the arguments."""
    return Combination(fields, sizes, hashlib.sha256(repr(seen).encode()).hexdigest(), unseen, seen)


@dataclass(frozen=True, eq=False)
class Level:
    """One field of a combination: P places before it, the last of which is outside of the tree.

    Attributes:
        allowed: (P, V) bool.
        after: (P, V + 1) places after it; symbol V is one that training never saw.
    """

    allowed: NDArray[np.bool_]
    after: NDArray[np.int32]


@lru_cache(maxsize=64)
def tables(combination: Combination) -> tuple[Level, ...]:
    """The tree of a combination, level by level.

    Examples:
        >>> one, two = tables(Combination((0, 1), (2, 3), "", 0.1, ((0, 1), (0, 2), (1, 0))))
        >>> two.allowed.astype(int).tolist()
        [[0, 1, 1], [1, 0, 0], [1, 1, 1]]
    """
    levels: list[Level] = []
    locations: dict[tuple[int, ...], int] = {(): 0}
    for k, V in enumerate(combination.sizes):
        longer = {start: at for at, start in enumerate(sorted({way[: k + 1] for way in combination.seen}))}
        allowed = np.zeros((len(locations) + 1, V), bool)
        after = np.full((len(locations) + 1, V + 1), len(longer), np.int32)
        allowed[-1] = True
        for start, at in longer.items():
            allowed[locations[start[:-1]], start[-1]] = True
            after[locations[start[:-1]], start[-1]] = at
        levels.append(Level(allowed, after))
        locations = longer
    return tuple(levels)
