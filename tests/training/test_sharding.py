"""Rows are spread over devices; with the same shards, any number of devices gives the same weights to the bit."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import json, sys
import jax
import numpy as np
from unspool.runtime.devices import available, put_on_devices
from unspool.runtime.threefry import seed_words
from unspool.network.distributions.normal import Normal
from unspool.network.distributions.categorical import Categorical
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.options import Network
from unspool.training.batching import Bucket
from unspool.training.sharding import Sharding
from unspool.training.scoring import score
from unspool.training.defaults import UpdateConfig
from unspool.training.train_step import UpdateBatch, copy_tree, new_train_state, update

shards, K, B, T = int(sys.argv[1]), 50, 64, 4
sharding = Sharding(min(available(), shards), shards)
rng = np.random.default_rng(0)
shape = Architecture((EventShape(symbols=3),), (Categorical(3), Normal()), 3, 6, 4, Network(dropout=0.25))
config = UpdateConfig("scheduled", 1.0, 0.0)
values = rng.integers(0, 3, (K, B, T)).astype(np.int32), rng.normal(size=(K, B, T)).astype(np.float32)
data = Bucket((rng.integers(0, 3, (K, B)).astype(np.int32),), values, rng.integers(0, T, (K, B)).astype(np.int32))
every = np.ones(K, np.float32)
shares = np.linspace(0, 1, K).astype(np.float32)
updates = UpdateBatch(data, np.zeros(K, np.int32), np.ones((K, B), np.float32), 0.01 * every, shares, every, every)
state = copy_tree(put_on_devices(new_train_state(Net(np.random.default_rng(0), shape), config), sharding.devices))
state, seen = update(
    config, sharding, state, updates.on_devices(sharding.devices), np.int32(K), np.float32(1 / 200), seed_words(1),
    np.int32(0), np.int32(0),
)
bucket = jax.tree.map(lambda a: a[0], data)
scores = [score(state.net, bucket, free=free).ravel().tolist() for free in (False, True)]
weights = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(state.net)])
print(json.dumps([available(), weights.tolist(), scores]))
"""


def learned(devices, shards):
    """Weights after 50 updates in a process with so many devices, and what they say of a batch."""
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)}
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(shards)], env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    found, *results = json.loads(process.stdout)
    assert found == devices
    return results


@pytest.mark.slow
def test_any_number_of_devices_gives_the_same_weights_to_the_bit():
    """After 50 updates with dropout, coins and draws, and in every score; with one shard, the same but for rounding."""
    weights, scores = learned(1, shards=4)
    for devices in (2, 4):
        assert learned(devices, shards=4) == [weights, scores]
    np.testing.assert_allclose(learned(1, shards=1)[0], weights, rtol=0, atol=1e-5)
