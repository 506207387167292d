"""Unspool's side of the benchmarks: the one place that knows how the engine is called."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from common import Sizes

from unspool.devices import placed
from unspool.generation.engine import LONG, Chunk, Request, chunks
from unspool.network.heads.symbols import Categorical
from unspool.network.net import Net, Shape, Symbols
from unspool.network.rules import PLAIN
from unspool.options import Network
from unspool.training.batches import Bucket
from unspool.training.update import Recipe, Updates, copied, shards, start, update

EMBEDDING = 32


def token_net(sizes: Sizes, *, stops: bool = False) -> Net:
    """A token model of one layer, with random weights; its single input has two values."""
    shape = Shape((Symbols(2),), (Categorical(sizes.V),), stops, sizes.H, EMBEDDING, Network())
    return Net(np.random.default_rng(0), shape)


def training(sizes: Sizes, together: int) -> Callable[[], Any]:
    """A job of `together` updates on B sequences of T steps, with an encoder, a context and stopping besides."""
    B, T = sizes.B, sizes.T
    recipe = Recipe("teacher", 1.0, 0.0)
    values = np.random.default_rng(0).integers(0, sizes.V, (together, B, T)).astype(np.int32)
    data = Bucket((np.zeros((together, B), np.int32),), (values,), np.full((together, B), T - 1, np.int32))
    zeros, ones = np.zeros(together, np.int32), np.ones((together, B), np.float32)
    rates, spread = np.full(together, 1e-3, np.float32), shards(B)
    updates = Updates(data, zeros, ones, rates, rates)
    scale, key = np.float32(1 / (B * T)), jax.random.key(0)
    box = [copied(placed(start(token_net(sizes, stops=True), recipe), spread.devices))]

    def run() -> None:
        read = updates.placed(spread.devices)
        box[0], total = update(recipe, spread, box[0], read, np.int32(together), scale, key)
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
