"""How the rows of an update are spread over devices, and how their gradients are added up."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from unspool.errors import TrainingError
from unspool.runtime.devices import MAX_DEVICES, ROW_AXIS, available

MIN_ROWS_PER_SHARD, UNITS_PER_ROW = 8, 16
"""Rows that are worth a shard: so many, and one for so many hidden units. With fewer, the recurrent weights are read
for too little work."""
LARGE_ARRAY = 2**14
"""Numbers of an array that is not packed with others."""
SCORING_SHARDS = 4
"""Shards of a batch that is scored: nothing is exchanged there, and scores are the same bits on any devices."""


@dataclass(frozen=True)
class Sharding:
    """How the rows of an update are spread over devices.

    Attributes:
        devices: that compute side by side, of all processes.
        shards: parts that the rows are cut into, `devices` times a power of two. The gradient is the sum over the
            shards, two by two: with the same shards, any number of devices gives the same bits.
        segmented: whether an update may go on where the one before it ended, as the next segment of long sequences.
        processes: that have as many devices each.
    """

    devices: int = 1
    shards: int = 1
    segmented: bool = False
    processes: int = 1


def choose_sharding(
    rows: int, size: int, count: int | None = None, max_devices: int | None = None, processes: int = 1
) -> Sharding:
    """The sharding of updates of about so many rows, in a network of `size` hidden units.

    At most `count` shards, `None` for one a device, and at most `max_devices` devices, `None` for all there are.

    Raises:
        TrainingError: more processes than shards, or a number of them that is no power of two.

    Examples:
        >>> [choose_sharding(rows=64, size=size, count=4).shards for size in (128, 1024)]
        [4, 1]
    """
    fewest = max(MIN_ROWS_PER_SHARD, size // UNITS_PER_ROW)
    devices = processes * min(available(processes), max_devices or MAX_DEVICES)
    worth = [number for number in (4, 2, 1) if number == 1 or rows >= number * fewest]
    count = next(number for number in worth if number <= (count or devices))
    if processes not in (4, 2, 1) or processes > count:
        hint = "Start fewer processes; or make updates larger: Training(batch=..., shards=4)."
        found = f"{processes} processes for {count} shard{'s' * (count != 1)} of {rows} rows"
        raise TrainingError("fit", "1, 2 or 4 processes, and a shard for each", found, hint)
    return Sharding(next(number for number in (4, 2, 1) if number <= min(count, devices)), count, processes=processes)


class Packed(NamedTuple):
    """The arrays of a tree: the large ones, and all others end to end as one vector.

    A program has loops for each array that Adam moves, and devices exchange each array by itself: both have their cost.
    """

    large: list[Array]
    small: Float[Array, " S"]


def pack(tree: Any) -> tuple[Packed, Callable[[Packed], Any]]:
    """The arrays of a tree packed, and the function that unpacks them.

    Examples:
        >>> import jax.numpy as jnp
        >>> packed, unpack = pack({"b": jnp.ones(3), "w": jnp.zeros((2, 2))})
        >>> packed.small.shape, unpack(packed)["w"].shape
        ((7,), (2, 2))
    """
    leaves, structure = jax.tree.flatten(tree)
    small, split = ravel_pytree([leaf for leaf in leaves if leaf.size < LARGE_ARRAY])

    def unpack(packed: Packed) -> Any:
        large, small = iter(packed.large), iter(split(packed.small))
        return jax.tree.unflatten(structure, [next(large if leaf.size >= LARGE_ARRAY else small) for leaf in leaves])

    return Packed([leaf for leaf in leaves if leaf.size >= LARGE_ARRAY], small), unpack


def sum_over_shards(sharding: Sharding, parts: Any) -> Any:
    """The sum over all shards of all devices, two by two: the same bits however many devices they are on.

    The first axis of all arrays in `parts` is that of the shards of this device.
    """
    # A compiler may join these sums with what stands before and after them where devices exchange nothing, and round
    # otherwise than where they do.
    parts, count = jax.lax.optimization_barrier(parts), sharding.shards // sharding.devices
    while count > 1:
        parts, count = jax.tree.map(lambda a: a[::2] + a[1::2], parts), count // 2
    total, apart = jax.tree.map(lambda a: a[0], parts), 1
    while apart < sharding.devices:
        pairs = [[d, d | apart] for d in range(sharding.devices) if not d & apart]
        exchange = partial(jax.lax.psum, axis_name=ROW_AXIS, axis_index_groups=pairs)
        total = as_one_vector(exchange, total) if apart >= sharding.devices // sharding.processes else exchange(total)
        apart *= 2
    return jax.lax.optimization_barrier(total)


def as_one_vector(exchange: Callable[[Array], Array], tree: Any) -> Any:
    """Exchange all arrays of a tree end to end: between processes, each exchange costs some milliseconds of its own."""
    vector, unravel = ravel_pytree(tree)
    return unravel(exchange(vector))
