"""What a person sees of training: a bar with the time left, or plain lines, or nothing.

The nats are those of the network before calibration, as in `Summary`.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from unspool.training.trainer import Progress


@contextlib.contextmanager
def show_progress(updates: int, verbose: bool | None) -> Iterator[Callable[[Progress], None]]:
    """A watcher for `train`.

    Args:
        updates: the most updates there can be; most fits end earlier.
        verbose: `None` shows a bar if standard error is a terminal; `True` shows plain lines if it is not; `False`
            shows nothing.
    """
    if verbose is False or (verbose is None and not sys.stderr.isatty()):
        yield lambda progress: None
    elif sys.stderr.isatty():
        with _bar(updates) as watch:
            yield watch
    else:
        yield _lines(updates)


def describe_nats(progress: Progress) -> str:
    """The last look at the nats per step, in words."""
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

    columns = (
        BarColumn(12),
        TimeElapsedColumn(),
        TextColumn("<"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=False) as shown:
        task = shown.add_task("compiling", total=updates)

        def watch(progress: Progress) -> None:
            total = progress.decay_from + progress.decay_updates if progress.decay_updates else updates
            if progress.phase == "done":
                total = progress.update
            shown.update(task, completed=progress.update, total=total, description=describe_nats(progress))

        yield watch


def _lines(updates: int, every: float = 2.0) -> Callable[[Progress], None]:
    """A watcher that prints a line now and then."""
    last = [time.monotonic() - every, -1.0]

    def watch(progress: Progress) -> None:
        new = len(progress.rounds) > last[1]
        if progress.phase != "done" and not (new and progress.rounds and time.monotonic() - last[0] >= every):
            return
        last[:] = [time.monotonic(), len(progress.rounds)]
        end = f" -- done: {progress.stopped}" if progress.phase == "done" else ""
        at = f"{progress.seconds:5.0f} s  update {progress.update:6d} of at most {updates}"
        print(f"  {at}  {describe_nats(progress)}{end}", file=sys.stderr, flush=True)

    return watch
