"""What a user sees of training: a bar with the time left, or plain lines, or nothing.

The nats are those of the network before calibration, as in `Summary`.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from unspool.training.trainer import Progress


@contextlib.contextmanager
def show_progress(updates: int, verbose: bool | None) -> Iterator[Callable[[Progress], None]]:
    """A watcher for `train`, of at most so many updates.

    With `verbose=None` it is a bar if standard error is a terminal, and with `True` plain lines if not; `False` shows
    nothing.
    """
    if verbose is False or (verbose is None and not sys.stderr.isatty()):
        yield lambda progress: None
    elif sys.stderr.isatty():
        with _bar(updates) as watch:
            yield watch
    else:
        yield _lines(updates)


def describe_nats(progress: Progress) -> str:
    """The last validation's nats per step, in words."""
    if not progress.rounds:
        return f"update {progress.update}" if progress.update else "compiling"
    last = progress.rounds[-1]
    validation = "" if last.validation is None else f", {last.validation:.3f} held out"
    return f"nats a step: {last.train:.3f} train{validation}"


@contextlib.contextmanager
def _bar(updates: int) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    parts = BarColumn(12), TimeElapsedColumn(), TextColumn("<"), TimeRemainingColumn(), TextColumn("{task.description}")
    with Bar(*parts, console=Console(stderr=True), transient=False) as shown:
        task = shown.add_task("compiling", total=updates)

        def watch(progress: Progress) -> None:
            total = progress.decay_from + progress.decay_updates if progress.decay_updates else updates
            if progress.phase == "done":
                total = progress.update
            shown.update(task, completed=progress.update, total=total, description=describe_nats(progress))

        yield watch


def _lines(updates: int, every: float = 2.0) -> Callable[[Progress], None]:
    """A watcher that prints a line every few seconds."""
    last_time, last_rounds = time.monotonic() - every, 0

    def watch(progress: Progress) -> None:
        nonlocal last_time, last_rounds
        due = len(progress.rounds) > last_rounds and time.monotonic() - last_time >= every
        if progress.phase != "done" and not due:
            return
        last_time, last_rounds = time.monotonic(), len(progress.rounds)
        end = f" -- done: {progress.stopped}" if progress.phase == "done" else ""
        at = f"{progress.seconds:5.0f} s  update {progress.update:6d} of at most {updates}"
        print(f"  {at}  {describe_nats(progress)}{end}", file=sys.stderr, flush=True)

    return watch
