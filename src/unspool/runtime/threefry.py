"""Counter-based randomness: a uniform is a pure function of (seed, row, sample, step, number) and of nothing else."""

import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry2x32_p
from jaxtyping import Array, Float, Int, UInt32

from unspool.errors import OptionError

Ints = Array | np.ndarray
"""Whole numbers that may still be on the host: a compiled program takes them to a device quicker."""
Words = tuple[UInt32[Array, "..."], UInt32[Array, "..."]]
"""A number of 64 bits as two words."""


def threefry(key: Words, counter: Words) -> Words:
    """Threefry-2x32 with 20 rounds, elementwise (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")."""
    first, second = threefry2x32_p.bind(*jnp.broadcast_arrays(*key, *counter))
    return first, second


def uniforms(
    seed: UInt32[Ints, "2 *B"], row: Int[Ints, " B"], sample: Int[Ints, " B"], step: Int[Array, "T *B"], count: int
) -> Float[Array, "T B U"]:
    """The U = `count` uniforms of each step, strictly inside (0, 1), for a seed of two words (`seed_words`).

    Seeds and steps may be those of every row.

    Two Threefry blocks: the first turns seed and (row, sample) into a key, the second hashes (step, number) with that
    key. Neither sees B or T, so a sequence depends neither on its batch nor on where the loop was cut. The 23 top bits
    are centred in their bin, `(bits + 1/2) / 2**23`, which float32 holds exactly and which excludes 0 and 1, where the
    normal quantile is infinite.
    """
    seed, row, sample, step = (jnp.asarray(words, jnp.uint32) for words in (seed, row, sample, step))
    first, second = threefry((seed[0], seed[1]), (row, sample))
    number = jnp.arange(count, dtype=jnp.uint32)
    step = step.reshape(len(step), -1, 1)
    bits, _ = threefry((first[None, :, None], second[None, :, None]), (step, number))
    return ((bits >> 9).astype(jnp.float32) + 0.5) * 2.0**-23


def seed_words(seed: int) -> UInt32[np.ndarray, "2"]:
    """A seed of 64 bits as two words.

    Raises:
        OptionError: it is negative or needs more bits; to fold it onto another seed would repeat that one's sequences.
    """
    if not 0 <= seed < 2**64:
        raise OptionError(f"seed={seed}", "an integer from 0 to 2**64 - 1", str(seed))
    return np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)
