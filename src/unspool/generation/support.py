"""What draws are confined to inside the loop: bounds of what adds up, and what the caller allows."""

from collections.abc import Mapping
from dataclasses import replace

import jax
import numpy as np
from numpy.typing import NDArray

from unspool.constraints.allowed import Allowed, ways_allowed
from unspool.constraints.cumulative import Track, raised, rises, track_of
from unspool.constraints.pins import Facts
from unspool.encoding.codec import Codec
from unspool.encoding.columns import StepColumn, Symbols
from unspool.encoding.monotone import Gaps
from unspool.encoding.multilabel import Block
from unspool.encoding.numeric import Scaled
from unspool.errors import OptionError
from unspool.generation.sampler import Request
from unspool.network.combinations import combination
from unspool.network.decoder import Net
from unspool.network.distributions.base import Room

NOWHERE = np.array([-np.inf])
"""Where a room ends that has no lower end, for all rows."""


def confined(
    request: Request,
    codec: Codec,
    bases: Mapping[str, NDArray[np.float64]],
    rows: int,
    facts: Facts | None = None,
    allowed: tuple[Allowed | None, ...] = (),
) -> Request:
    """A request with where paths start, and what draws are confined to.

    Args:
        request: of some rows.
        codec: the fitted columns.
        bases: by name, (rows,) the values before step 0.
        rows: how many.
        facts: what is given.
        allowed: by step field, what may be drawn; see `unspool.constraints.allowed`.

    Raises:
        OptionError: what never falls starts above all that is allowed, or what never rises below it.
    """
    fields = list(zip(codec.schema.steps, codec.steps, strict=True))
    tracks = tuple(track_of(column, bases.get(field.name), rows) for field, column in fields)
    rooms = []
    for j, ((field, column), track) in enumerate(zip(fields, tracks, strict=True)):
        room = _room(column, track, allowed[j] if allowed else None)
        if room is not None and track is not None and rises(column) and (room.high < 0).any():
            expected = f"a range that reaches what the first step is counted from, because it never {column.never}"
            found = "one that ends before" if column.never == "falls" else "one that begins above"
            raise OptionError(f"allow, column {field.name!r}", expected, found)
        rooms.append(Room(NOWHERE, -NOWHERE) if room is None and facts and facts.most[j] is not None else room)
    return request._replace(tracks=tracks, rooms=tuple(rooms), facts=facts)


def _room(column: StepColumn, track: Track | None, allowed: Allowed | None) -> Room | None:
    """What a field is confined to, as `Request` has it; bounds of numbers that don't add up are kept by their heads."""
    if isinstance(column, Symbols):
        return None if allowed is None else Room(symbols=allowed.symbols)
    if isinstance(column, Block):
        return None if allowed is None else Room(allowed.low[None], allowed.high[None])
    low, high = (-np.inf, np.inf) if allowed is None else (allowed.low, allowed.high)
    if track is not None and isinstance(column, Scaled):
        low = low if column.floor is None else max(low, column.floor)
        high = high if column.ceiling is None else min(high, column.ceiling)
    if track is not None:
        ends = [_height(column, track, end) for end in (low, high)]
        if isinstance(column, Gaps) and column.never == "rises":
            ends.reverse()
        if isinstance(column, Gaps) and column.floor is not None:
            # What starts below its floor stays where it is.
            ends[1] = np.minimum(ends[1], np.maximum(_height(column, track, column.floor), 0.0))
        ends[0] = np.where(np.isnan(ends[0]), -np.inf, ends[0])  # the logarithm of what is below 0
    elif isinstance(column, Scaled):
        ends = [np.array([column.placed(end) if np.isfinite(end) else end]) for end in (low, high)]
    return None if all(np.isinf(end).all() for end in ends) else Room(ends[0], ends[1])


def _height(column: Scaled | Gaps, track: Track, value: float) -> NDArray[np.float64]:
    """The height of a value in every row."""
    return (raised(column, np.array([value])) - track.ground) / track.unit


def pruned(net: Net, codec: Codec, allowed: tuple[Allowed | None, ...]) -> Net:
    """The network with those tuples of its combinations that are allowed, so that no field is left without a symbol."""
    parts = []
    for one, fitted in zip(net.shape.combinations, codec.combinations, strict=True):
        ways = ways_allowed(codec, fitted, allowed)
        parts.append(one if len(ways) == len(one.seen) else combination(one.fields, one.sizes, one.unseen, ways))
    if tuple(parts) == net.shape.combinations:
        return net
    leaves, structure = jax.tree.flatten(net)
    other = jax.tree.unflatten(structure, leaves)
    object.__setattr__(other, "shape", replace(net.shape, combinations=tuple(parts)))
    return other
