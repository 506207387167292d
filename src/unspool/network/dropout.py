"""Variational dropout (Gal & Ghahramani 2016, arXiv:1512.05287): one mask for all steps of a sequence."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from unspool.network.lstm import Mask
from unspool.options import Network
from unspool.runtime.threefry import uniforms

MASK_ROW = -1
"""The row whose uniforms are dropout masks, where the samples of a row would have its number."""


class Masks(NamedTuple):
    """Variational dropout of every layer and of the context, `None` where nothing is dropped."""

    recurrent: tuple[Mask, ...]
    output: tuple[Mask, ...]
    context: Mask

    @classmethod
    def none(cls, layers: int) -> "Masks":
        """Those of so many layers that drop nothing."""
        return cls((None,) * layers, (None,) * layers, None)


def draw_masks(
    options: Network, size: int, key: UInt32[Array, "2"], rows: Int[Array, " B"], share: Array | float = 1.0
) -> Masks:
    """Dropout masks of the rows with these numbers, for `size` hidden units, at a share of the rates of the options.

    A row's mask depends on the key and its number alone, not on the other rows of its batch.
    """
    layers = options.layers
    rates = np.repeat(np.array([options.dropout or 0.0, options.input_dropout or 0.0], np.float32), [2 * layers, 1])
    masks: list[Mask] = [None] * len(rates)
    if rates.any():
        row, step = jnp.full_like(rows, MASK_ROW), jnp.zeros(1, rows.dtype)
        u = uniforms(key, row, rows, step, len(rates) * size).reshape(-1, len(rates), size)
        now = rates * share
        kept = jax.lax.optimization_barrier(u > now[:, None])  # lest every loop that reads a mask hashes again
        masks = [kept[:, k] / (1 - now[k]) if rate else None for k, rate in enumerate(rates)]
    return Masks(tuple(masks[:layers]), tuple(masks[layers:-1]), masks[-1])
