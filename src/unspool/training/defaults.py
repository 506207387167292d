"""What `None` in the options becomes: size, dropout, batch, rate and length of training, from counts of the data.

`docs/log.md` has the experiments behind the numbers, and names the data sets that were kept out of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from unspool.encoding.codec import Codec
from unspool.options import Feeding, Network, Training
from unspool.runtime.devices import fast_bfloat16
from unspool.training.batching import segment_steps

Chosen = TypeVar("Chosen", int, float)

SYMBOL_UNITS = MappingProxyType({4_000: 64, 50_000: 128, math.inf: 256})
NUMBER_UNITS = MappingProxyType({4_000: 64, 1_500_000: 128, math.inf: 256})
"""Hidden units where there are fewer training values than the key."""
SYMBOL_DROPOUT = MappingProxyType({50_000: 0.5, 200_000: 0.4, 1_000_000: 0.2, math.inf: 0.1})
NUMBER_DROPOUT = MappingProxyType({15_000: 0.2, 1_000_000: 0.1, math.inf: 0.05})
FEW_SEQUENCES, FEW_DROPOUT = 80, MappingProxyType({**NUMBER_DROPOUT, 15_000: 0.5})
"""Dropout where there are fewer training values than the key. Symbols are overfitted sooner than numbers, whose
dynamics a masked recurrence blurs; but fewer training sequences than `FEW_SEQUENCES` are soon known by heart. Windows
of a series are not, few as they may be that don't overlap."""
INPUT_DROPOUT = MappingProxyType({1_000: 0.5, math.inf: 0.0})
"""Dropout of the input's encoding where there are fewer independent training sequences than the key."""
SYMBOL_RATE, NUMBER_RATE, RATE_UNITS = 8e-3, 5e-3, 64
"""Peak rates of so many hidden units; more have a smaller one, by the square root."""
MIN_BATCH, MAX_BATCH, BATCHES_PER_EPOCH = 8, 64, 24
"""Bounds of the sequences in one update; between them, a pass has about so many updates."""
MIN_EMBEDDING, MAX_EMBEDDING = 8, 64
"""Width of a symbol's embedding: about four times the square root of the symbols, between these."""
MIN_EPOCHS, MAX_EPOCHS, TARGET_UPDATES = 10, 2_000, 16_000
"""Bounds of the passes over the data; between them, a fit has about so many updates."""
MIN_DECAY_ROUNDS = 4
"""Rounds of the decay at the least, within the most updates."""
MIN_ROUND, MEMORISING_ROUND, MAX_ROUND, MIN_ROUNDS = 10, 50, 500, 10
"""Updates between two validations: a pass, between these bounds, if a fit has so many validations. Few sequences are
overfitted within fifty updates; where nothing is held out, that is no matter."""
PATIENCE, MIN_PATIENT_UPDATES, MEMORISING_PATIENCE, MAX_WARMUP = 4, 200, 8, 100
"""Rounds that must bring something lest the rate decays, updates that these have at the least, rounds where nothing is
held out and noisier training nats decide, and updates until the rate is at its peak."""
MAX_GRADIENT_NORM = 1.0
"""Largest global norm of a gradient."""


@dataclass(frozen=True)
class UpdateConfig:
    """What the compiled update depends on besides arrays.

    Attributes:
        feeding: who supplies the previous step.
        clip: largest global norm of a gradient.
        weight_decay: of the matrices.
        bfloat16: whether products with the recurrent weights have this precision.
    """

    feeding: Feeding
    clip: float
    weight_decay: float
    bfloat16: bool = False


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
        round: updates between two validations.
        patience: rounds that must improve on all before, lest the rate decays.
        warmup: updates until the rate is at its peak.
        update_config: what is compiled into an update.
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
    segment: int | None = None
    shards: int | None = None
    devices: int | None = None

    @property
    def usual_updates(self) -> int:
        """About how many updates a fit without a time budget takes on these data.

        The data decide how many rounds bring something. This supposes three times the patience; then come as many
        without improvement as the patience allows, and the shortest decay. With default options these are 800 to 1,100
        updates of up to 3,000 sequences, where the fits in `docs/log.md` took 250 to 2,700.
        """
        return min(self.updates, self.round * (4 * self.patience + MIN_DECAY_ROUNDS))


def plan(
    network: Network, training: Training, codec: Codec, *, examples: int, steps: int, distinct: int | None = None
) -> TrainingPlan:
    """Fill in what the options leave open, for so many training sequences (`examples`) and steps over all of them.

    `distinct` counts the steps that are not copies of another one, since windows overlap; `None` is all.
    """
    vocabularies = [column.num_symbols for column in codec.steps if column.num_symbols is not None]
    symbolic = len(vocabularies) >= len(codec.steps) / 2
    values = (distinct or steps) * len(codec.steps)
    size = network.size or _lookup(values, SYMBOL_UNITS if symbolic else NUMBER_UNITS)
    dropout, input_dropout = network.dropout, network.input_dropout
    if dropout is None:
        numbers = FEW_DROPOUT if examples < FEW_SEQUENCES else NUMBER_DROPOUT
        dropout = 0.0 if training.holdout == 0 else _lookup(values, SYMBOL_DROPOUT if symbolic else numbers)
    if input_dropout is None:
        independent = round(examples * (distinct or steps) / max(1, steps))  # windows that overlap are not
        input_dropout = 0.0 if dropout == 0 else _lookup(independent, INPUT_DROPOUT)
    batch = min(training.batch or _power_of_two(examples / BATCHES_PER_EPOCH, MIN_BATCH, MAX_BATCH), examples)
    segment = segment_steps(codec.longest, training.segment)
    per_epoch = math.ceil(examples / batch) * (1 if segment is None else math.ceil(steps / examples / segment))
    epochs = training.epochs or max(MIN_EPOCHS, min(MAX_EPOCHS, round(TARGET_UPDATES / per_epoch)))
    updates = epochs * per_epoch
    least = MIN_ROUND if training.holdout else MEMORISING_ROUND
    length = max(1, min(max(per_epoch, least), MAX_ROUND, updates // MIN_ROUNDS))
    patience = max(PATIENCE, math.ceil(MIN_PATIENT_UPDATES / length)) if training.holdout else MEMORISING_PATIENCE
    widest = max(vocabularies, default=1)
    return TrainingPlan(
        size=size,
        embedding=network.embedding or _power_of_two(4 * math.sqrt(widest), MIN_EMBEDDING, MAX_EMBEDDING),
        network=network.but(dropout=dropout, input_dropout=input_dropout),
        batch=batch,
        rate=training.rate or (SYMBOL_RATE if symbolic else NUMBER_RATE) * (RATE_UNITS / size) ** 0.5,
        updates=updates,
        round=length,
        patience=training.patience or patience,
        warmup=min(MAX_WARMUP, updates // 10 + 1),
        update_config=UpdateConfig(training.feeding, MAX_GRADIENT_NORM, training.weight_decay, fast_bfloat16()),
        segment=segment,
        shards=training.shards,
    )


def _lookup(value: int, table: Mapping[Any, Chosen]) -> Chosen:
    """The entry of the first key that the value is below."""
    return next(entry for bound, entry in table.items() if value < bound)


def _power_of_two(value: float, least: int, most: int) -> int:
    """The power of two nearest to a value, within bounds."""
    return int(min(most, max(least, 2 ** round(math.log2(max(value, 1))))))
