"""What a caller learns while a fit runs: a record after every round."""

from collections.abc import Callable
from typing import NamedTuple

from unspool.training.trainer import Progress, ProgressHook


class TrainingRound(NamedTuple):
    """The state of a fit after a round of updates.

    Attributes:
        update: updates so far.
        train: nats per step of the training sequences of this round, under dropout.
        validation: nats per step of the validation sequences; `None` where nothing is held out.
        seconds: since the fit began to train.
    """

    update: int
    train: float
    validation: float | None
    seconds: float


Callback = Callable[[TrainingRound], object]


def with_callback(watch: ProgressHook, callback: Callback | None, rounds: int = 0) -> ProgressHook:
    """A watcher that also calls `callback` after every round but the first `rounds`, which an earlier fit has seen."""
    if callback is None:
        return watch
    seen = rounds

    def both(progress: Progress) -> None:
        nonlocal seen
        watch(progress)
        for entry in progress.rounds[seen:]:
            callback(TrainingRound(entry.update, entry.train, entry.validation, progress.seconds))
        seen = len(progress.rounds)

    return both
