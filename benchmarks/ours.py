"""Unspool's side of the benchmarks: the one place that knows how the engine is called."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from common import Sizes

from unspool.generation.sampler import MAX_DISPATCH_STEPS, Chunk, SampleRequest, chunks
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.rules import PLAIN
from unspool.options import Network
from unspool.runtime.devices import claim_cores, put_on_devices
from unspool.runtime.threefry import seed_words
from unspool.training.batching import Bucket, segment_steps
from unspool.training.defaults import UpdateConfig
from unspool.training.sharding import choose_sharding
from unspool.training.train_step import UpdateBatch, copy_tree, new_train_state, update

EMBEDDING = 32

claim_cores()  # as the first fit or `load` of a process does


def token_net(sizes: Sizes, *, stops: bool = False) -> Net:
    """A token model of one layer, with random weights; its single input has two values."""
    shape = Architecture(
        (EventShape(symbols=2),), (Categorical(sizes.V),), (sizes.T + 1) * stops, sizes.H, EMBEDDING, Network()
    )
    return Net(np.random.default_rng(0), shape)


def training(sizes: Sizes, together: int) -> Callable[[], Any]:
    """A job of `together` updates on B sequences of T steps, with an encoder, a context and stopping besides.

    Where sequences are so long that they are learned in segments, each segment is one of the updates.
    """
    B, T = sizes.B, sizes.T
    recipe, segment = UpdateConfig("teacher", 1.0, 0.0), segment_steps(T, None) or T
    K = together * -(-T // segment)
    values = np.random.default_rng(0).integers(0, sizes.V, (K, B, segment)).astype(np.int32)
    data = Bucket((np.zeros((K, B), np.int32),), (values,), np.full((K, B), T - 1, np.int32))
    first = (np.arange(K) * segment % (segment * (K // together))).astype(np.int32)
    rates, spread = np.full(K, 1e-3, np.float32), replace(choose_sharding(B, sizes.H), segmented=segment < T)
    updates = UpdateBatch(data, first, np.ones((K, B), np.float32), rates, rates, rates, rates)
    scale, key = np.float32(1 / (B * T)), jax.device_put(seed_words(0))
    box = [copy_tree(put_on_devices(new_train_state(token_net(sizes, stops=True), recipe), spread.devices))]

    def run() -> None:
        read = updates.on_devices(spread.devices)
        box[0], total = update(recipe, spread, box[0], read, np.int32(K), scale, key, np.int32(0), np.int32(0))
        total.block_until_ready()

    return run


def sample(net: Net, sizes: Sizes) -> list[Chunk]:
    """B sequences of T symbols."""
    request = SampleRequest((np.zeros(1, np.int32),), sizes.B, 0, PLAIN, sizes.T, sizes.T)
    return list(chunks(net, request, slice(0, sizes.B), MAX_DISPATCH_STEPS))


def symbols(net: Net, sizes: Sizes) -> np.ndarray:
    """(T, B) int32: what `sample` draws."""
    return np.concatenate([chunk.values[0] for chunk in sample(net, sizes)])


def sampling(sizes: Sizes) -> Callable[[], Any]:
    """A job that draws B sequences of T symbols."""
    net = token_net(sizes)
    return lambda: sample(net, sizes)
