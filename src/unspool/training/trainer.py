"""Training: a stable phase at the peak rate, then a decay from the best weights found; the best weights are kept.

    stable   rate at its peak after the warm-up, until `patience` rounds bring nothing, or most of the budget is spent
    decay    back to the best weights, then half a cosine down to zero

One look at the held-out sequences ends every round and decides. Early stopping alone would keep noisy weights from a
high rate; a schedule fixed beforehand would have to know how long this data takes (Hu et al. 2024, arXiv:2404.06395,
for the two phases).
"""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from unspool.config import ValidationRound
from unspool.encoding.codec import Encoded
from unspool.errors import TrainingError
from unspool.network.decoder import Net
from unspool.runtime.devices import device_lock, put_on_devices
from unspool.runtime.threefry import seed_words
from unspool.training.batching import Bucket, UpdateGroup, batch_rows, epoch_updates, to_buckets
from unspool.training.defaults import TrainingPlan
from unspool.training.sharding import choose_sharding
from unspool.training.train_step import TrainState, UpdateBatch, copy_tree, new_train_state, score, update

MAX_UPDATE_CELLS = 32_768
"""Steps, padding included, that one update may hold."""
MAX_UPDATES_PER_DISPATCH = 25
"""Updates of one dispatch at the most."""
DECAY_SHARE = 0.5
"""Length of the decay, as a share of the updates that it took to find the best weights."""
MIN_IMPROVEMENT, MIN_TRAINING_IMPROVEMENT = 1e-4, 1e-5
"""Nats per step by which a round must be better than the best one to count: held out, and where all is memorised, since
the squared error of a series that fits exactly goes on to matter long after its nats look settled."""


CURVES: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        "linear": lambda x: x,
        "exponential": lambda x: (1 - math.exp(-5 * x)) / (1 - math.exp(-5)),
        "sigmoid": lambda x: (math.tanh(6 * (x - 0.5)) / math.tanh(3) + 1) / 2,
    }
)
"""How the share of its own output rises, from zero to one of half the training: the three curves of Bengio et al."""


class Progress(msgspec.Struct, forbid_unknown_fields=True):
    """Where training stands: with the weights, all that it takes to go on from here.

    `best` is the criterion at the best weights: held-out nats per step, or those of training when nothing is held out.
    """

    update: int = 0
    epoch: int = 0
    group: int = 0
    phase: Literal["stable", "decay", "done"] = "stable"
    best: float = math.inf
    best_update: int = 0
    bad: int = 0
    decay_from: int = 0
    decay_updates: int = 0
    seconds: float = 0.0
    stopped: str = ""
    rounds: list[ValidationRound] = msgspec.field(default_factory=list)


@dataclass
class TrainingData:
    """The data of one fit, in the network's units.

    Attributes:
        train: buckets to learn from.
        validation: buckets to decide by; none where everything is learned from.
        train_steps: real steps in `train`; `heldout_steps` those in `heldout`.
        train_jacobian: sum of the log-Jacobians over `train`, which turn densities into original units.
        heldout_jacobian: the same over `heldout`.
        seed: of order, dropout and coins.
    """

    train: list[Bucket]
    validation: list[Bucket]
    train_steps: int
    validation_steps: int
    train_jacobian: float
    validation_jacobian: float
    seed: int

    @classmethod
    def of(
        cls, learned: Encoded, validation: Encoded, *, stops: bool, seed: int, segment: int | None = None
    ) -> "TrainingData":
        """Of examples to learn from and others to decide by.

        Args:
            learned: to learn from.
            validation: to decide by, perhaps none.
            stops: whether the end of a sequence is learned.
            seed: of order, dropout and coins.
            segment: steps after which backpropagation is cut.
        """
        return cls(
            train=to_buckets(learned, stops, segment=segment)[0],
            validation=to_buckets(validation, stops)[0],
            train_steps=int(learned.offsets[-1]),
            validation_steps=int(validation.offsets[-1]),
            train_jacobian=learned.jacobian,
            validation_jacobian=validation.jacobian,
            seed=seed,
        )


ProgressHook = Callable[[Progress], None]
SaveHook = Callable[[Progress, TrainState, TrainState], None]


def train(
    task: TrainingData,
    plan: TrainingPlan,
    net: Net,
    *,
    resume: tuple[Progress, TrainState, TrainState] | None = None,
    watch: ProgressHook = lambda progress: None,
    save: SaveHook = lambda progress, learner, best: None,
) -> tuple[Net, Progress]:
    """Train, and return the best weights.

    Args:
        task: the data.
        plan: every number.
        net: initial weights.
        resume: what `save` was given, to go on from there: the result is the same to the bit.
        watch: called after every dispatch, to show progress.
        save: called after every round.

    Raises:
        TrainingError: the likelihood of the very first round is not finite.
    """
    run = Trainer(task, plan, net, resume)
    began = time.monotonic() - run.progress.seconds
    with interruptible() as interrupted:
        while run.progress.phase != "done":
            ended = run.round(watch, lambda: interrupted() or run.late(time.monotonic() - began))
            run.progress.seconds = time.monotonic() - began
            run.judge()
            if ended:
                save(run.progress, run.learner, run.best)
            else:  # the last whole round stays saved, from which a later call goes on as if nothing had been
                run.finish("interrupted" if interrupted() else "time")
            watch(run.progress)
    return jax.device_put(run.best.net, jax.local_devices()[0]), run.progress


class Trainer:
    """A training under way."""

    def __init__(
        self, task: TrainingData, plan: TrainingPlan, net: Net, resume: tuple[Progress, TrainState, TrainState] | None
    ) -> None:
        self.task, self.plan = task, plan
        self.sizes = [batch_rows(bucket, plan.batch, MAX_UPDATE_CELLS, plan.segment) for bucket in task.train]
        self.together = [
            max(1, min(MAX_UPDATES_PER_DISPATCH, plan.round, -(-bucket.examples // size)))
            for bucket, size in zip(task.train, self.sizes, strict=True)
        ]
        self.sharding = choose_sharding(max(self.sizes), plan.size, plan.shards, plan.devices)
        if resume is None:
            learner = new_train_state(net, self.plan.recipe)
            resume = (Progress(), learner, learner)
        self.progress = resume[0]
        self.learner, self.best = (copy_tree(put_on_devices(learner, self.sharding.devices)) for learner in resume[1:])
        self.key = jax.random.wrap_key_data(jnp.asarray(seed_words(task.seed)))
        per_sequence = max(1.0, task.train_steps / sum(b.examples for b in task.train))
        self.scale = np.float32(1.0 / (plan.batch * min(per_sequence, plan.segment or math.inf)))
        self.seen = 0.0
        self.seen_rows = 0.0

    def round(self, watch: ProgressHook, cut: Callable[[], bool]) -> bool:
        """Updates up to the next look at the held-out sequences; false if `cut` asked to end earlier."""
        progress = self.progress
        self.seen, self.seen_rows = 0.0, 0
        target = progress.update + self.plan.round
        while progress.update < target:
            for group in self.groups():
                self.dispatch(group)
                progress.group += 1
                watch(progress)
                if cut():
                    return False
                if progress.update >= target:
                    return True
            progress.epoch, progress.group = progress.epoch + 1, 0
        return True

    def groups(self) -> Iterator[UpdateGroup]:
        """What is left of the current pass."""
        everything = epoch_updates(
            self.task.train,
            self.sizes,
            self.together,
            self.task.seed,
            self.progress.epoch,
            segment=self.plan.segment,
            multiple=self.sharding.shards,
        )
        return (group for g, group in enumerate(everything) if g >= self.progress.group)

    def dispatch(self, group: UpdateGroup) -> None:
        """Run one group of updates."""
        at, bucket = self.progress.update, self.task.train[group.bucket]
        numbers = range(at, at + len(group.rows))
        long = self.plan.segment is not None and bucket.steps > self.plan.segment
        updates = UpdateBatch(
            bucket.segments(group.rows, group.first, self.plan.segment) if long else bucket.take(group.rows),  # type: ignore[arg-type]
            group.first,
            group.weights,
            np.array([self.rate(n) for n in numbers], np.float32),
            np.array([self.share(n) for n in numbers], np.float32),
        )
        with device_lock(self.sharding.devices):
            self.learner, total = update(
                self.plan.recipe,
                replace(self.sharding, segmented=long),
                self.learner,
                updates.placed(self.sharding.devices),
                np.int32(group.updates),
                self.scale,
                jax.random.fold_in(self.key, at),
            )
            seen = float(total)
        self.seen += seen
        self.seen_rows += float(group.weights.sum()) / (len(group.rows) if long else 1)
        self.progress.update += group.updates

    def rate(self, number: int) -> float:
        """Learning rate of an update."""
        warm = min(1.0, (number + 1) / self.plan.warmup)
        if self.progress.phase == "stable":
            return self.plan.rate * warm
        done = min(1.0, (number - self.progress.decay_from) / self.progress.decay_updates)
        return self.plan.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def share(self, number: int) -> float:
        """Share of steps that read the network's own output: under scheduled feeding, a curve up to a half."""
        if self.plan.recipe.feeding == "free":
            return 1.0
        return 0.5 * CURVES[self.plan.curve](min(1.0, number / (0.5 * self.plan.updates)))

    def late(self, seconds: float) -> bool:
        """Whether the time budget is spent."""
        return self.plan.seconds is not None and seconds >= self.plan.seconds

    def judge(self) -> None:
        """Look at the held-out sequences, keep the best weights, move to the next phase if it is time."""
        progress, plan = self.progress, self.plan
        rows = sum(bucket.examples for bucket in self.task.train)
        steps = max(1.0, self.task.train_steps * self.seen_rows / rows)
        shown = -(self.seen + self.task.train_jacobian * self.seen_rows / rows) / steps
        validation = self.validation(self.learner.net)
        criterion, tolerance = (
            (shown, MIN_TRAINING_IMPROVEMENT) if validation is None else (validation, MIN_IMPROVEMENT)
        )
        diverged = not math.isfinite(criterion)
        if not diverged and math.isfinite(shown):  # JSON has no other numbers: the files couldn't be read again
            progress.rounds.append(ValidationRound(progress.update, shown, validation))
        if not diverged and criterion < progress.best - tolerance:
            progress.best, progress.best_update, progress.bad = criterion, progress.update, 0
            self.best = copy_tree(self.learner)
        else:
            progress.bad += 1
        if diverged and not math.isfinite(progress.best):
            hint = "Lower the learning rate with Training(rate=...), or look for wild values in the data."
            raise TrainingError("fit", "a finite likelihood after the first round", str(criterion), hint)
        late = plan.seconds is not None and progress.seconds > 0.7 * plan.seconds
        stuck = diverged or progress.bad >= plan.patience
        if progress.phase == "stable" and (stuck or progress.update >= 0.75 * plan.updates or late):
            self.decay()
        elif progress.phase == "decay" and diverged:
            self.finish("diverged")
        elif progress.phase == "decay" and progress.update >= progress.decay_from + progress.decay_updates:
            self.finish("decayed")

    def decay(self) -> None:
        """From the best weights on, let the rate fall.

        Patience has no say here: while the rate is still high, a round without improvement is only noise.
        """
        progress, plan = self.progress, self.plan
        self.learner = copy_tree(self.best)
        progress.phase, progress.bad, progress.decay_from = "decay", 0, progress.update
        wanted = max(4 * plan.round, round(DECAY_SHARE * progress.best_update))
        progress.decay_updates = max(plan.round, min(wanted, plan.updates - progress.update))

    def finish(self, why: str) -> None:
        """End."""
        self.progress.phase, self.progress.stopped = "done", why

    def validation(self, net: Net) -> float | None:
        """Held-out nats per step in original units."""
        return validation_nats(self.task, self.plan, net) if self.task.validation else None


def validation_nats(task: TrainingData, plan: TrainingPlan, net: Net) -> float:
    """Nats per step, in original units, of the sequences that a task holds out."""
    free = plan.recipe.feeding == "free"
    total = sum(float(score(net, bucket, free=free, most=plan.devices).sum()) for bucket in task.validation)
    return -(total + task.validation_jacobian) / max(1, task.validation_steps)


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a question that can be asked between updates; a second one interrupts as usual."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def once(_number: int, _frame: Any) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
