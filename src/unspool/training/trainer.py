"""Training: a stable phase at the peak rate, then a decay from the best weights found; the best average is kept.

    stable   rate at its peak after the warm-up, until `patience` rounds bring nothing, or most of the budget is spent
    decay    back to the best weights, then half a cosine down to zero; once more, longer and from a smaller rate, as
             long as the second half of a decay brings much: values that follow exactly need a rate that is that small

Every round ends with a validation, which decides. It scores a running average of the weights (Polyak & Juditsky 1992),
not the weights: those jump from round to round while the rate is high, and patience would count the jumps. A schedule
fixed beforehand would have to know how long this data takes (Hu et al. 2024, arXiv:2404.06395, for the two phases).
"""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import jax
import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.config import ValidationRound
from unspool.errors import TrainingError
from unspool.network.decoder import Net
from unspool.runtime.devices import device_lock, own_copies, put_on_devices
from unspool.runtime.processes import gather_numbers
from unspool.runtime.stopping import Stop, Stopped
from unspool.runtime.threefry import seed_words
from unspool.training.batching import EncodedSet, TrainingData, UpdateGroup, batch_rows, epoch_updates
from unspool.training.defaults import MIN_DECAY_ROUNDS, TrainingPlan
from unspool.training.scoring import score, score_all
from unspool.training.sharding import Sharding, choose_sharding
from unspool.training.train_step import TrainState, UpdateBatch, copy_tree, new_train_state, update

MAX_UPDATE_CELLS = 32_768
"""Steps, padding included, that one update may hold."""
MAX_UPDATES_PER_DISPATCH = 25
"""Updates of one dispatch at the most."""
DECAY_SHARE = 0.25
"""Length of the decay, as a share of the updates that it took to find the best weights."""
NEXT_PEAK, LATER_PEAK, NEXT_LENGTH = 0.25, 0.5, 2
"""Where the second decay begins, as a share of the peak rate; where each later one does, as a share of the rate where
the one before began; and how many times as long each is."""
MIN_DECAY_IMPROVEMENT = 0.05
"""Nats per step of validation that the second half of a decay must bring, lest it is the last one."""
MAX_STABLE_UPDATES_SHARE, MAX_STABLE_SECONDS_SHARE = 0.75, 0.7
"""Shares of the most updates, and of the time budget, after which the decay begins at the latest."""
WARMUP_SECONDS_SHARE = 0.1
"""Share of the time budget after which the rate is at its peak at the latest."""
SECONDS_PER_DISPATCH, SECONDS_PER_SHARED_DISPATCH = 0.5, 2.0
"""Seconds of updates between two questions whether training should end, of one process, and of several: these wait for
each other at each question."""
AVERAGED_SHARE = 0.1
"""Share of all updates so far over which weights are averaged: the earlier ones fade as a power of their number."""
MIN_IMPROVEMENT, MIN_TRAINING_IMPROVEMENT = 2e-3, 1e-5
"""Nats per step by which `patience` rounds must improve on all before: of validation, and of training where all is
memorised, since the squared error of a series that fits exactly goes on to matter long after its nats look settled."""
MAX_OWN_SHARE, OWN_SHARE_RISE = 0.5, 0.5
"""Under scheduled feeding, the largest share of steps that read the network's output, and of training until then."""


class Progress(msgspec.Struct, forbid_unknown_fields=True):
    """Where training stands: with the weights, all that it needs to go on.

    `best` is the criterion at the best weights: validation nats per step, or training nats where nothing is held out.
    `peak` is the share of the plan's rate at which the phase begins.
    """

    update: int = 0
    epoch: int = 0
    group: int = 0
    phase: Literal["stable", "decay", "done"] = "stable"
    best: float = math.inf
    best_update: int = 0
    decay_from: int = 0
    decay_updates: int = 0
    peak: float = 1.0
    seconds: float = 0.0
    stopped: str = ""
    rounds: list[ValidationRound] = msgspec.field(default_factory=list)


ProgressHook = Callable[[Progress], None]
SaveHook = Callable[[Progress, TrainState, TrainState], None]


def train(
    data: TrainingData,
    plan: TrainingPlan,
    net: Net,
    *,
    resume: tuple[Progress, TrainState, TrainState] | None = None,
    processes: int = 1,
    stop: Stop | None = None,
    watch: ProgressHook = lambda progress: None,
    save: SaveHook = lambda progress, state, best: None,
) -> tuple[Net, Progress]:
    """Train from initial weights, and return the best weights.

    Args:
        data: what to train on, and what decides.
        plan: every number.
        net: initial weights.
        resume: the arguments of an earlier `save`, to go on from there: the result is the same to the bit.
        processes: that train together, this one among them.
        stop: asked after about every second whether to end. Its clock runs during updates and validations, except for
            the first update of a shape and the first validation, which wait for the compiler.
        watch: called after every dispatch, to show progress.
        save: called after every round.

    Raises:
        TrainingError: the likelihood of the first round is not finite.
    """
    run = Trainer(data, plan, net, resume, stop or Stop(), processes)
    while run.progress.phase != "done":
        ended = run.round(watch)
        run.validate()
        if ended:
            save(run.progress, run.state, run.best)
        if why := run.stop.reason():  # the last whole round stays saved, and a later call goes on from there
            run.finish(why)
        watch(run.progress)
    return jax.device_put(own_copies(run.best.average), jax.local_devices()[0]), run.progress


class Trainer:
    """A training in progress."""

    def __init__(
        self,
        data: TrainingData,
        plan: TrainingPlan,
        net: Net,
        resume: tuple[Progress, TrainState, TrainState] | None = None,
        stop: Stop | None = None,
        processes: int = 1,
    ) -> None:
        self.data, self.plan, self.asked = data, plan, stop or Stop()
        # Processes must end at the same update: they hear what is asked where they agree on it, and nowhere else.
        self.stop = self.asked if processes == 1 else Stop(self.asked.seconds)
        sizes = [batch_rows(bucket, plan.batch, MAX_UPDATE_CELLS, plan.segment) for bucket in data.train]
        most = min(MAX_UPDATES_PER_DISPATCH, 1 << plan.round.bit_length() - 1)
        updates = (-(-bucket.examples // size) for bucket, size in zip(data.train, sizes, strict=True))
        together = [min(most, 1 << max(count - 1, 0).bit_length()) for count in updates]  # few numbers, few programs
        self.sharding = choose_sharding(max(sizes), plan.size, plan.shards, plan.devices, processes)
        self.groups = partial(epoch_updates, data.train, sizes, together, data.seed, plan.segment, self.sharding.shards)
        new = new_train_state(net, plan.update_config)
        self.progress, *states = resume or (Progress(), new, new)
        put = partial(put_on_devices, devices=self.sharding.devices, processes=processes)
        self.state, self.best = (copy_tree(put(state)) for state in states)
        words = seed_words(data.seed)
        self.key = jax.device_put(words) if processes == 1 else put(words)
        self.rows = sum(bucket.examples for bucket in data.train)
        per_sequence = max(1.0, data.train_steps / self.rows)
        self.scale = np.float32(1.0 / (plan.batch * min(per_sequence, plan.segment or math.inf)))
        self.stop.elapsed = self.progress.seconds
        self.pace: dict[tuple[int, int], float] = {}  # seconds of an update by shape, once it has been compiled
        self.seen, self.seen_rows = 0.0, 0.0

    def round(self, watch: ProgressHook) -> bool:
        """Updates up to the next validation; false if they ended earlier."""
        progress = self.progress
        self.seen, self.seen_rows = 0.0, 0.0
        target = progress.update + self.plan.round
        while progress.update < target:
            for group in itertools.islice(self.groups(progress.epoch), progress.group, None):
                self.run(group, watch)
                if self.stop.reason():
                    return False
                if self.late:
                    return True
                progress.group += 1
                if progress.update >= target:
                    return True
            progress.epoch, progress.group = progress.epoch + 1, 0
        return True

    def agreed(self, *numbers: float) -> list[float]:
        """The numbers of the first process, and on all processes its clock, and a Ctrl-C if any of them heard one."""
        if self.sharding.processes == 1:
            return list(numbers)
        every = gather_numbers([self.stop.elapsed, self.asked.interrupted, *numbers])
        self.stop.elapsed = self.asked.elapsed = float(every[0, 0])
        if every[:, 1].any():
            self.stop.press()
            self.asked.press()
        return every[0, 2:].tolist()

    def own_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The columns of (K, B) rows that are on the devices of this process: it reads no others."""
        count = self.sharding.processes
        return rows if count == 1 else np.split(rows, count, axis=1)[jax.process_index()]

    @property
    def late(self) -> bool:
        """Whether the time budget asks for the decay."""
        return self.progress.phase == "stable" and self.stop.spent(MAX_STABLE_SECONDS_SHARE)

    def run(self, group: UpdateGroup, watch: ProgressHook) -> None:
        """Run the updates of one group, as many at a time as take a moment; fewer of them if the time has come."""
        at, bucket = self.progress.update, self.data.train[group.bucket]
        numbers = range(at, at + len(group.rows))
        long = self.plan.segment is not None and bucket.steps > self.plan.segment
        rows, weights = (self.own_rows(whole) for whole in (group.rows, group.weights))
        data = bucket.segments(rows, group.first, self.plan.segment) if long else bucket.take(rows)  # type: ignore[arg-type]
        values = self.rate, self.share, self.mix, self.dropout
        each = (np.array([value(n) for n in numbers], np.float32) for value in values)
        sharding = replace(self.sharding, segmented=long)
        updates = UpdateBatch(data, group.first, weights, *each)
        updates = updates.on_devices(sharding.devices, sharding.processes)
        shape, first = (group.bucket, len(group.rows)), 0
        moment = SECONDS_PER_DISPATCH if sharding.processes == 1 else SECONDS_PER_SHARED_DISPATCH
        while first < group.updates:
            pace, began = self.pace.get(shape), time.monotonic()
            count = max(1, int(moment / pace)) if pace else 1
            last = group.updates if long else min(group.updates, first + count)  # a segment needs those before it
            with self.stop.clock(counted=pace is not None):
                self.dispatch(sharding, updates, (first, last), at)
            (seconds,) = self.agreed((time.monotonic() - began) / (last - first))
            self.pace[shape] = 0.0 if pace is None else seconds
            self.seen_rows += float(group.weights[first:last].sum()) / (len(group.rows) if long else 1)
            self.progress.update, self.progress.seconds, first = at + last, self.stop.elapsed, last
            watch(self.progress)
            if self.stop.reason() or self.late:
                return

    def dispatch(self, sharding: Sharding, updates: UpdateBatch, part: tuple[int, int], number: int) -> None:
        """Run a part of the updates; `number` is that of the first of them all."""
        constants = self.scale, self.key, np.int32(number), np.int32(part[0])
        with device_lock(sharding.devices):
            self.state, seen = update(
                self.plan.update_config, sharding, self.state, updates, np.int32(part[1]), *constants
            )
            self.seen += float(np.asarray(seen, np.float64)[slice(*part)].sum())

    def rate(self, number: int) -> float:
        """Learning rate of an update."""
        warm = min(1.0, (number + 1) / self.plan.warmup)
        if self.stop.seconds is not None:
            warm = min(1.0, max(warm, self.stop.elapsed / (WARMUP_SECONDS_SHARE * self.stop.seconds)))
        if self.progress.phase == "stable":
            return self.plan.rate * warm
        done = min(1.0, (number - self.progress.decay_from) / self.progress.decay_updates)
        return self.plan.rate * self.progress.peak * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def share(self, number: int) -> float:
        """Share of steps that read the network's own output: under scheduled feeding, it rises linearly."""
        if self.plan.update_config.feeding == "free":
            return 1.0
        return MAX_OWN_SHARE * min(1.0, number / (OWN_SHARE_RISE * self.plan.updates))

    def mix(self, number: int) -> float:
        """Share of the weights after an update in their average (Shamir & Zhang 2013, arXiv:1212.1824)."""
        return 1.0 / (1.0 + AVERAGED_SHARE * number)

    def dropout(self, number: int) -> float:
        """Share of the rates of dropout: what still improves in a later decay follows exactly, which dropout blurs."""
        return self.progress.peak

    def validate(self) -> None:
        """Score the validation sequences, keep the best weights, move to the next phase if it is time."""
        progress, plan = self.progress, self.plan
        share = self.seen_rows / self.rows
        train_nats = -(self.seen + self.data.train_jacobian * share) / max(1.0, self.data.train_steps * share)
        try:
            with self.stop.clock(counted=bool(progress.rounds)):
                validation = self.validation_nats(self.state.average)
        except Stopped:
            if progress.rounds:
                return
            validation = None  # before the first validation, the training nats are all that is known
        if validation is not None:
            (validation,) = self.agreed(validation)
        progress.seconds = self.stop.elapsed
        criterion = train_nats if validation is None else validation
        diverged = not math.isfinite(criterion)
        if not diverged and math.isfinite(train_nats):  # JSON has no other numbers: the files couldn't be read again
            progress.rounds.append(ValidationRound(progress.update, train_nats, validation))
        if not diverged and criterion < progress.best:
            progress.best, progress.best_update = criterion, progress.update
            self.best = copy_tree(self.state)
        if diverged and not math.isfinite(progress.best):
            hint = "Lower the learning rate with Training(rate=...), or look for extreme values in the data."
            raise TrainingError("fit", "a finite likelihood after the first round", str(criterion), hint)
        late = self.late or progress.update >= MAX_STABLE_UPDATES_SHARE * plan.updates
        if progress.phase == "stable" and (late or diverged or self.settled):
            self.decay()
        elif progress.phase == "decay" and diverged:
            self.finish("diverged")
        elif progress.phase == "decay" and progress.update >= progress.decay_from + progress.decay_updates:
            if self.pays and progress.update < plan.updates:
                self.decay()
            else:
                self.finish("decayed")

    @property
    def settled(self) -> bool:
        """Whether the last rounds, as many as the patience, improved on those before by next to nothing."""
        known = [one.train if one.validation is None else one.validation for one in self.progress.rounds]
        before, last = known[: -self.plan.patience], known[-self.plan.patience :]
        tolerance = MIN_IMPROVEMENT if self.data.validation else MIN_TRAINING_IMPROVEMENT
        return bool(before) and min(last) > min(before) - tolerance

    @property
    def pays(self) -> bool:
        """Whether the second half of the decay brought much, and led to the best weights or nearly so."""
        rounds = [one for one in self.progress.rounds if one.update > self.progress.decay_from]
        nats = [one.validation for one in rounds if one.validation is not None]
        first, last = min(nats[: len(nats) // 2], default=-math.inf), nats[-1] if nats else math.inf
        return first - last > MIN_DECAY_IMPROVEMENT > last - self.progress.best

    def decay(self) -> None:
        """From the best weights on, let the rate fall, to the end: patience does not count here."""
        progress, plan = self.progress, self.plan
        self.state = copy_tree(self.best)
        if progress.phase == "decay":
            progress.peak *= NEXT_PEAK if progress.peak == 1 else LATER_PEAK
            wanted = NEXT_LENGTH * progress.decay_updates
        else:
            wanted = max(MIN_DECAY_ROUNDS * plan.round, round(DECAY_SHARE * progress.best_update))
        progress.phase, progress.decay_from = "decay", progress.update
        progress.decay_updates = max(plan.round, min(wanted, plan.updates - progress.update))
        if self.stop.seconds is not None and self.stop.elapsed > 0:
            affordable = progress.update * (self.stop.seconds / self.stop.elapsed - 1)
            progress.decay_updates = max(1, min(progress.decay_updates, int(affordable)))

    def finish(self, why: str) -> None:
        """End."""
        self.progress.phase, self.progress.stopped = "done", why

    def validation_nats(self, net: Net) -> float | None:
        """Nats per step of the validation sequences, in original units; `None` where there are none."""
        data, free = self.data, self.plan.update_config.feeding == "free"
        if not data.validation:
            return None
        net = own_copies(net)
        options: dict[str, Any] = {"free": free, "max_devices": self.plan.devices, "check": self.stop.check_patience}
        scores = [score(net, bucket, **options) for bucket in data.validation]
        return -(sum(float(part.sum()) for part in scores) + data.validation_jacobian) / max(1, data.validation_steps)


def resume_from(net: Net, plan: TrainingPlan, validation: EncodedSet) -> tuple[Progress, TrainState, TrainState]:
    """A training that has not begun, whose best weights so far are those of the start."""
    state, progress = new_train_state(net, plan.update_config), Progress()
    if len(validation):
        nats = -(score_all(net, validation).sum() + validation.jacobian) / max(1, int(validation.offsets[-1]))
        progress.best = float(nats) if np.isfinite(nats) else progress.best
    return progress, state, state
