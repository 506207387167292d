"""What a fit does when it isn't told: size, dropout, batch, rate and length of training, from the data's own numbers.

`docs/log.md` has the experiments behind the numbers, and names the data sets that were kept out of them.
"""

import math
from dataclasses import dataclass

from unspool.options import Network, Training


@dataclass(frozen=True)
class Plan:
    """Every number that training uses, none left open.

    Attributes:
        size: hidden units.
        embedding: width of a symbol's embedding.
        network: the options with these two and dropout filled in.
        batch: sequences in one update.
        rate: peak learning rate.
        updates: the most updates.
        round: updates between two looks at the held-out sequences.
        patience: rounds without improvement before the rate decays.
        warmup: updates until the rate is at its peak.
        feeding: who supplies the previous step.
        weight_decay: of the matrices.
        clip: of the gradient's global norm.
        seconds: time budget, or `None`.
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
    feeding: str
    weight_decay: float
    clip: float
    seconds: float | None


def plan(network: Network, training: Training, *, examples: int, steps: int, widest: int, fields: int) -> Plan:
    """Fill in what the options leave open.

    Args:
        network: the network's options.
        training: the training's options.
        examples: training sequences.
        steps: training steps, over all sequences.
        widest: symbols of the largest vocabulary among the step fields; 1 without any.
        fields: step fields.
    """
    values = steps * fields
    size = network.size or (32 if values < 1_500 else 64 if values < 20_000 else 128 if values < 1_500_000 else 256)
    dropout = network.dropout
    if dropout is None:
        dropout = 0.0 if training.holdout == 0 else 0.3 if values < 20_000 else 0.2 if values < 200_000 else 0.1
    batch = min(training.batch or _power(examples / 24, 8, 64), examples)
    per_epoch = math.ceil(examples / batch)
    epochs = training.epochs or max(10, min(2_000, round(16_000 / per_epoch)))
    updates = epochs * per_epoch
    return Plan(
        size=size,
        embedding=network.embedding or _power(4 * math.sqrt(widest), 8, 64),
        network=network.but(dropout=dropout),
        batch=batch,
        rate=training.rate or 6e-3 * (64 / size) ** 0.5,
        updates=updates,
        round=max(1, min(max(per_epoch, 50), 500, updates // 10)),
        patience=training.patience or 8,
        warmup=min(100, updates // 10 + 1),
        feeding=training.feeding,
        weight_decay=training.weight_decay,
        clip=1.0,
        seconds=training.seconds,
    )


def _power(value: float, least: int, most: int) -> int:
    """The power of two nearest to a value, within bounds."""
    return int(min(most, max(least, 2 ** round(math.log2(max(value, 1))))))
