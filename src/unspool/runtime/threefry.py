"""Counter-based randomness: a uniform is a pure function of (seed, row, sample, step, number) and of nothing else."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Integer, UInt32

from unspool.errors import OptionError

Ints = Array | np.ndarray
"""Whole numbers that may still be on the host: a compiled program takes them to a device quicker."""
Words = tuple[UInt32[Array, "..."], UInt32[Array, "..."]]
"""A number of 64 bits as two words."""
ROTATIONS, PARITY = ((13, 15, 26, 6), (17, 29, 16, 24)), 0x1BD11BDA
"""Of Threefry: the bits that a word is turned by in each round, and the constant of its third key."""


def threefry(key: Words, counter: Words) -> Words:
    """Threefry-2x32 with 20 rounds, elementwise (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")."""
    # Written out, since JAX's own is a loop on processors: nine times as many programs to compile, and half as quick.
    k0, k1, x, y = (jnp.asarray(word, jnp.uint32) for word in jnp.broadcast_arrays(*key, *counter))
    word = partial(lax.full_like, k0)
    keys = k0, k1, lax.bitwise_xor(lax.bitwise_xor(k0, k1), word(PARITY))
    x, y = lax.add(x, k0), lax.add(y, k1)
    for turn in range(5):
        for bits in ROTATIONS[turn % 2]:
            x = lax.add(x, y)
            left, right = lax.shift_left(y, word(bits)), lax.shift_right_logical(y, word(32 - bits))
            y = lax.bitwise_xor(lax.bitwise_or(left, right), x)
        x, y = lax.add(x, keys[(turn + 1) % 3]), lax.add(lax.add(y, keys[(turn + 2) % 3]), word(turn + 1))
    return x, y


def key_of(key: Words, first: Integer[Ints, "..."], second: Integer[Ints, "..."]) -> Words:
    """The key of two numbers under a key, elementwise, hashed once and not again in every loop that reads it."""
    numbers = jnp.asarray(first, jnp.uint32), jnp.asarray(second, jnp.uint32)
    words: Array = lax.optimization_barrier(jnp.stack(threefry(key, numbers)))
    return words[0], words[1]


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
    first, second = key_of((seed[0], seed[1]), row, sample)
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
