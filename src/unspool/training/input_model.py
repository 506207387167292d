"""The model that samples inputs: the same training, of a small network on sequences of one step."""

from typing import Any, NamedTuple

import equinox as eqx
import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.config import InputModel
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.encoding.input_rows import is_constant
from unspool.network.decoder import Net
from unspool.network.distributions.categorical import IMPOSSIBLE, Categorical
from unspool.network.lstm import to_weights
from unspool.network.serialization import input_architecture
from unspool.options import Network
from unspool.runtime.stopping import Stop
from unspool.tables.table import TableKind
from unspool.training.batching import TrainingData
from unspool.training.defaults import MAX_GRADIENT_NORM, TrainingPlan, UpdateConfig
from unspool.training.initialization import initialize_from_data
from unspool.training.trainer import train

INPUT_MODEL_SIZE, INPUT_MODEL_EMBEDDING = 32, 16
"""Hidden units, and width of the embedding of a category."""
MAX_INPUT_ROWS = 65_536
"""Rows to train on at the most; an eighth as many are held out."""
INPUT_MODEL_BATCH, INPUT_MODEL_RATE, INPUT_MODEL_UPDATES = 256, 4e-3, 1_000
"""Rows of one update, peak rate, and updates at the most: `docs/log.md` has what they are worth."""


class InputRows(NamedTuple):
    """The inputs of examples as sequences of one step; see `unspool.encoding.input_rows.fit_rows`."""

    codec: Codec
    encoded: Encoded
    table: TableKind


def fit_input_model(
    inputs: InputRows, rows: NDArray[np.int64], validation: NDArray[np.int64], seed: int, stop: Stop | None = None
) -> tuple[InputModel, Net]:
    """Fit the model of the inputs to some rows; others decide when training ends, or `stop` does."""
    codec, encoded, table = inputs
    row = InputModel(codec, INPUT_MODEL_SIZE, INPUT_MODEL_EMBEDDING, 0.0, table)
    net = Net(np.random.default_rng([seed, 3]), input_architecture(row))
    if is_constant(codec):
        return row, net
    first, *others = net.distributions
    if isinstance(first, Categorical) and not others:
        net, nats = at_shares(net, first, encoded.steps[0])
        return msgspec.structs.replace(row, nats=nats), net
    rng = np.random.default_rng([seed, 4])
    training = encoded.take(_subsample(rng, rows, MAX_INPUT_ROWS))
    net = initialize_from_data(net, training, within_steps=True)
    deciding = encoded.take(_subsample(rng, validation, MAX_INPUT_ROWS // 8))
    data = TrainingData.of(training, deciding, stops=False, seed=seed)
    net, progress = train(data, _plan(len(training)), net, stop=stop)
    return msgspec.structs.replace(row, nats=progress.best), net


def at_shares(net: Net, dist: Categorical, symbols: NDArray[Any]) -> tuple[Net, float]:
    """A network of one symbol at the shares of the (N,) symbols, which no training could better; and their nats."""
    counts = np.bincount(symbols.astype(np.int64), minlength=dist.count)
    log_shares = np.log(counts / counts.sum(), where=counts > 0, out=np.full(len(counts), float(IMPOSSIBLE)))
    weights = np.zeros_like(net.outputs.A), log_shares
    net = eqx.tree_at(lambda net: (net.outputs.A, net.outputs.b), net, tuple(map(to_weights, weights)))
    return net, -float(counts / counts.sum() @ log_shares + np.log1p(-dist.unseen))


def _plan(examples: int) -> TrainingPlan:
    return TrainingPlan(
        size=INPUT_MODEL_SIZE,
        embedding=INPUT_MODEL_EMBEDDING,
        network=Network(),
        batch=min(INPUT_MODEL_BATCH, examples),
        rate=INPUT_MODEL_RATE,
        updates=INPUT_MODEL_UPDATES,
        round=INPUT_MODEL_UPDATES // 10,
        patience=3,
        warmup=INPUT_MODEL_UPDATES // 20,
        update_config=UpdateConfig("teacher", MAX_GRADIENT_NORM, 0.0),
        devices=1,  # it runs beside another training, and must not wait for the same devices
    )


def _subsample(rng: np.random.Generator, rows: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """At most so many of the rows."""
    return rows if len(rows) <= size else np.sort(rng.choice(rows, size, replace=False))
