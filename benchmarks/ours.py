"""Unspool's side of the benchmarks: the one place that knows how the engine is called."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import Sizes

from unspool.generation.engine import LONG, Chunk, Request, chunks
from unspool.network.heads.symbols import Categorical
from unspool.network.net import Net, Shape, Symbols
from unspool.network.rules import PLAIN
from unspool.options import Network
from unspool.training.batches import Bucket
from unspool.training.update import Recipe, copied, start, update

EMBEDDING = 32


def token_net(sizes: Sizes, *, stops: bool = False) -> Net:
    """A token model of one layer, with random weights; its single input has two values."""
    shape = Shape((Symbols(2),), (Categorical(sizes.V),), stops, sizes.H, EMBEDDING, Network())
    return Net(np.random.default_rng(0), shape)


def training(sizes: Sizes, together: int) -> Callable[[], Any]:
    """A job of `together` updates on B sequences of T steps, with an encoder, a context and stopping besides."""
    B, T = sizes.B, sizes.T
    recipe = Recipe("teacher", 1.0, 0.0)
    values = jnp.asarray(np.random.default_rng(0).integers(0, sizes.V, (B, T)), jnp.int32)
    bucket = Bucket((jnp.zeros(B, jnp.int32),), (values,), jnp.full(B, T - 1, jnp.int32))
    rows = jnp.tile(jnp.arange(B, dtype=jnp.int32), (together, 1))
    ones, rates = jnp.ones((together, B)), jnp.full(together, 1e-3)
    count, scale, key = jnp.int32(together), jnp.float32(1 / (B * T)), jax.random.key(0)
    box = [copied(start(token_net(sizes, stops=True), recipe))]

    def run() -> None:
        box[0], total = update(recipe, box[0], bucket, rows, ones, rates, rates, count, scale, key)
        total.block_until_ready()

    return run


def sample(net: Net, sizes: Sizes) -> list[Chunk]:
    """B sequences of T symbols."""
    request = Request((np.zeros(1, np.int32),), sizes.B, 0, PLAIN, sizes.T, sizes.T)
    return list(chunks(net, request, slice(0, sizes.B), LONG))


def symbols(net: Net, sizes: Sizes) -> np.ndarray:
    """(T, B) int32: what `sample` draws."""
    return np.concatenate([chunk.values[0] for chunk in sample(net, sizes)])


def sampling(sizes: Sizes) -> Callable[[], Any]:
    """A job that draws B sequences of T symbols."""
    net = token_net(sizes)
    return lambda: sample(net, sizes)
