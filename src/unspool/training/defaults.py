"""What a fit does when it isn't told: size, dropout, batch, rate and length of training, from the data's own numbers.

`docs/log.md` has the experiments behind the numbers, and names the data sets that were kept out of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from unspool.encoding.codec import Codec
from unspool.encoding.columns import Vocabulary
from unspool.options import Network, Training
from unspool.training.batching import segment_steps
from unspool.training.train_step import UpdateConfig

Entry = TypeVar("Entry", int, float)

SYMBOL_DROPOUT = MappingProxyType({50_000: 0.5, 200_000: 0.3, 1_000_000: 0.2})
NUMBER_DROPOUT = MappingProxyType({15_000: 0.2, 1_000_000: 0.1})
"""Dropout by the number of values to learn from."""
INPUT_DROPOUT = MappingProxyType({1_000: 0.5})
"""Dropout of the input's encoding by the number of sequences, since it is they that are told apart by it."""

MAX_GRADIENT_NORM = 1.0
"""Largest global norm of a gradient."""


@dataclass(frozen=True)
class TrainingPlan:
    """Every number that training uses, none left open.

    Attributes:
        size: hidden units.
        embedding: width of a symbol's embedding.
        network: the options with these two and dropouts filled in.
        batch: sequences in one update.
        rate: peak learning rate.
        updates: the most updates.
        round: updates between two looks at the validation sequences.
        patience: rounds without improvement before the rate decays.
        warmup: updates until the rate is at its peak.
        update_config: what is compiled into an update.
        seconds: time budget, or `None`.
        segment: steps of a segment of long sequences, or `None` where all are learned whole.
        shards: parts that the rows of an update are cut into at the most, or `None` for one a device.
        devices: that share the rows at the most, or `None` for all there are.
    """

    size: int
    embedding: int
    network: Network
    batch: int
    rate: float
    updates: int
    round: int
    patience: int
    warmup: int
    update_config: UpdateConfig
    seconds: float | None
    segment: int | None = None
    shards: int | None = None
    devices: int | None = None


def plan(
    network: Network, training: Training, codec: Codec, *, examples: int, steps: int, distinct: int | None = None
) -> TrainingPlan:
    """Fill in what the options leave open.

    Args:
        network: the network's options.
        training: the training's options.
        codec: the fitted columns.
        examples: training sequences.
        steps: training steps, over all sequences.
        distinct: those that are not the same as another one, since windows overlap; `None` is all.
    """
    vocabularies = [len(column.values) for column in codec.steps if isinstance(column, Vocabulary)]
    widest = max(vocabularies, default=1)
    values = (distinct or steps) * len(codec.steps)
    size = network.size or _step(values, {4_000: 64, 1_500_000: 128}, 256)
    symbolic = len(vocabularies) >= len(codec.steps) / 2
    dropout = network.dropout
    if dropout is None:
        # Symbols are overfitted sooner than numbers, whose dynamics a masked recurrence blurs.
        table, least = (SYMBOL_DROPOUT, 0.1) if symbolic else (NUMBER_DROPOUT, 0.05)
        dropout = 0.0 if training.holdout == 0 else _step(values, table, least)
    of_input = network.input_dropout
    if of_input is None:
        alone = round(examples * (distinct or steps) / max(1, steps))  # windows that overlap are fewer than they seem
        of_input = 0.0 if dropout == 0 else _step(alone, INPUT_DROPOUT, 0.0)
    batch = min(training.batch or _power(examples / 24, 8, 64), examples)
    segment = segment_steps(codec.longest, training.segment)
    per_epoch = math.ceil(examples / batch) * (1 if segment is None else math.ceil(steps / examples / segment))
    epochs = training.epochs or max(10, min(2_000, round(16_000 / per_epoch)))
    updates = epochs * per_epoch
    return TrainingPlan(
        size=size,
        embedding=network.embedding or _power(4 * math.sqrt(widest), 8, 64),
        network=network.but(dropout=dropout, input_dropout=of_input),
        batch=batch,
        rate=training.rate or (8e-3 if symbolic else 5e-3) * (64 / size) ** 0.5,
        updates=updates,
        round=max(1, min(max(per_epoch, 50), 500, updates // 10)),
        patience=training.patience or 8,
        warmup=min(100, updates // 10 + 1),
        update_config=UpdateConfig(training.feeding, MAX_GRADIENT_NORM, training.weight_decay),
        seconds=training.seconds,
        segment=segment,
        shards=training.shards,
    )


def _step(value: int, table: Mapping[int, Entry], otherwise: Entry) -> Entry:
    """The entry of the first bound that the value is below."""
    return next((entry for bound, entry in table.items() if value < bound), otherwise)


def _power(value: float, least: int, most: int) -> int:
    """The power of two nearest to a value, within bounds."""
    return int(min(most, max(least, 2 ** round(math.log2(max(value, 1))))))
