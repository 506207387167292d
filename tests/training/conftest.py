"""One small task that the tests of training share, and with it the compiled programs."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.normal import Normal
from unspool.options import Network
from unspool.training.batching import Bucket, TrainingData
from unspool.training.defaults import TrainingPlan, UpdateConfig

BATCH = 8


def made(examples, steps, seed):
    """Sequences whose symbol follows the input, with a number that follows the symbol, of different lengths."""
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 3, examples)
    symbols = (inputs[:, None] + np.arange(steps)) % 3
    lengths = rng.integers(1, steps, examples)
    numbers = symbols - 1 + rng.normal(0, 0.3, symbols.shape)
    inside = np.arange(steps) < lengths[:, None]
    return Bucket(
        (inputs.astype(np.int32),),
        ((symbols * inside).astype(np.int32), (numbers * inside).astype(np.float32)),
        lengths.astype(np.int32),
    )


@pytest.fixture(scope="session")
def small():
    """`net()` is always new, since an update takes its arrays away; dropout is on, so that its keys matter."""
    shape = Architecture((EventShape(symbols=3),), (Categorical(3), Normal()), 8, 6, 4, Network(dropout=0.25))
    train, validation = [made(40, 6, 0), made(13, 4, 1)], [made(20, 6, 2)]
    steps = [sum(int(bucket.lengths.sum()) for bucket in part) for part in (train, validation)]
    config = UpdateConfig("teacher", 1.0, 0.0)
    return SimpleNamespace(
        net=lambda: Net(np.random.default_rng(0), shape),
        shape=shape,
        bucket=train[0],
        config=config,
        data=TrainingData(train, validation, *steps, 0.0, 0.0, seed=3),
        plan=TrainingPlan(
            size=6, embedding=4, network=shape.options, batch=BATCH, rate=0.02, updates=48, round=8, patience=2,
            warmup=4, update_config=config,
        ),
    )  # fmt: skip


@pytest.fixture
def float64():
    """In the 64 bits that a comparison of gradients wants."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def plain(small, float64):
    """The network of `small` without dropout, in float64; every weight is random, so that each has a say."""
    shape = replace(small.shape, options=Network(dropout=0.0))

    def fresh():  # an update takes the arrays of its network away
        return Net(np.random.default_rng(0), shape).map_weights(lambda w: jnp.asarray(np.asarray(w, float) + 0.1))

    return fresh


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """Compile with few optimisations: half the time for programs that run for a moment."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
