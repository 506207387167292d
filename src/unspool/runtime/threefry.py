"""Counter-based randomness: a uniform is a pure function of (seed, row, sample, step, draw) and of nothing else."""

import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry2x32_p
from jaxtyping import Array, Float, Int, UInt32

from unspool.errors import OptionError

Ints = Array | np.ndarray
"""Whole numbers that may still be on the host: a compiled program takes them to a device quicker than we."""


def threefry(
    key: tuple[UInt32[Array, "..."], UInt32[Array, "..."]], counter: tuple[UInt32[Array, "..."], UInt32[Array, "..."]]
) -> tuple[UInt32[Array, "..."], UInt32[Array, "..."]]:
    """Threefry-2x32 with 20 rounds, elementwise (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")."""
    words = jnp.broadcast_arrays(*key, *counter)
    first, second = threefry2x32_p.bind(*words)
    return first, second


def uniforms(
    seed: UInt32[Ints, "2"],
    row: Int[Ints, " B"],
    sample: Int[Ints, " B"],
    step: Int[Array, " T"],
    draws: int,
) -> Float[Array, "T B U"]:
    """The uniforms that `draws` draws of each step consume, strictly inside (0, 1).

    Two Threefry blocks: the first makes a key of each (row, sample) from the seed, the second hashes (step, draw) with
    that key. Neither sees B or T, so a sequence depends neither on its batch nor on where the loop was cut.
    The 23 top bits are centred in their bin, `(bits + 1/2) / 2**23`, which float32 holds exactly and which keeps
    0 and 1 out, where the normal quantile is infinite.

    Args:
        seed: two words, from `seed_words`.
        row: index of the input row.
        sample: index of the sample of that row.
        step: position in the sequence, from 0.
        draws: uniforms per step, U.
    """
    word = lambda a: jnp.asarray(a, jnp.uint32)  # noqa: E731
    seed = word(seed)
    first, second = threefry((seed[0], seed[1]), (word(row), word(sample)))
    draw = jnp.arange(draws, dtype=jnp.uint32)
    bits, _ = threefry((first[None, :, None], second[None, :, None]), (word(step)[:, None, None], draw))
    return ((bits >> 9).astype(jnp.float32) + 0.5) * 2.0**-23


def seed_words(seed: int) -> UInt32[np.ndarray, "2"]:
    """A seed of 64 bits as two words.

    Raises:
        OptionError: it is negative or needs more bits; to fold it onto another seed would repeat that one's sequences.
    """
    if not 0 <= seed < 2**64:
        raise OptionError(f"seed={seed}", "an integer from 0 to 2**64 - 1", str(seed))
    return np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)
