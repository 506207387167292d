"""Learning to draw the inputs: the same training, of a small network on sequences of one step."""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.config import Row
from unspool.encoding.codec import Codec, Encoded
from unspool.encoding.input_rows import is_constant
from unspool.network.decoder import Net
from unspool.network.serialization import row_shape
from unspool.options import Network
from unspool.tables.table import Kind
from unspool.training.defaults import CLIP, Plan
from unspool.training.train_step import Recipe
from unspool.training.trainer import Task, train

SIZE, EMBEDDING = 32, 16
"""Hidden units, and width of the embedding of a category."""
MOST = 65_536
"""Rows to learn from at the most; an eighth as many are held out."""
BATCH, RATE, UPDATES = 256, 4e-3, 1_000
"""Rows of one update, peak rate, and updates at the most: `docs/log.md` has what they are worth."""


class Inputs(NamedTuple):
    """The inputs of examples as sequences of one step.

    Attributes:
        codec: from `unspool.encoding.input_rows.fit_rows`.
        encoded: all rows.
        table: the kind of table that they came in.
    """

    codec: Codec
    encoded: Encoded
    table: Kind


def learn_rows(inputs: Inputs, rows: NDArray[np.int64], heldout: NDArray[np.int64], seed: int) -> tuple[Row, Net]:
    """Fit the model of the inputs.

    Args:
        inputs: all rows.
        rows: those to learn from.
        heldout: those to decide by.
        seed: of the fit.
    """
    codec, encoded, table = inputs
    row = Row(codec, SIZE, EMBEDDING, 0.0, table)
    net = Net(np.random.default_rng([seed, 3]), row_shape(row))
    if is_constant(codec):
        return row, net
    rng = np.random.default_rng([seed, 4])
    learned, decided = (encoded.take(_some(rng, part, most)) for part, most in ((rows, MOST), (heldout, MOST // 8)))
    task = Task.of(learned, decided, stops=False, seed=seed)
    net, progress = train(task, _plan(len(learned)), net)
    return msgspec.structs.replace(row, nats=progress.best), net


def _plan(examples: int) -> Plan:
    batch = min(BATCH, examples)
    return Plan(
        size=SIZE,
        embedding=EMBEDDING,
        network=Network(),
        batch=batch,
        rate=RATE,
        updates=UPDATES,
        round=UPDATES // 10,
        patience=3,
        warmup=UPDATES // 20,
        recipe=Recipe("teacher", CLIP, 0.0),
        seconds=None,
        devices=1,  # it runs beside another training, and must not wait for the same devices
    )


def _some(rng: np.random.Generator, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The rows, or as many of them as are enough."""
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
