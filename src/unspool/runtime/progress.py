"""What a user sees and reads of work in progress: a bar, or a line now and then; and notes, all by Python's `logging`.

The logger is "unspool", and its level is the one switch of a process: from `logging.WARNING` on there are no bars and
no notes, and with `logging.CRITICAL` no warnings either. `OneToMany(verbose=False)` switches one model off.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

logger = logging.getLogger("unspool")

SECONDS_UNSEEN = 2.0
"""Seconds of work that nothing is shown of."""
SECONDS_PER_LINE, SECONDS_PER_PICTURE = 5.0, 0.2
"""Seconds between two lines in a file or pipe, and between two changes of a bar, at the least."""
BAR_WIDTH = 12

Painter = Callable[[str, float | None, str], None]
"""Shows a phase, its share that is done, and a remark."""


class StandardErrorHandler(logging.Handler):
    """Writes the bare messages to whatever standard error is at that time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        with contextlib.suppress(OSError, ValueError):  # a closed standard error is no reason to lose a fit
            print(self.format(record), file=sys.stderr, flush=True)


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """In this block notes and warnings go to standard error, also if the program has not set up logging."""
    handler, level = StandardErrorHandler(), logger.level
    logger.addHandler(handler)
    if level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class Work:
    """Work that is shown: the phase it is in, and how much of the phase is done."""

    def __init__(self, verbose: bool | None, painter: Painter, every: float) -> None:
        self.verbose, self.paint, self.every = verbose, painter, every
        self.due = time.monotonic() + (0.0 if verbose else SECONDS_UNSEEN)
        self.name, self.low, self.width = "", 0.0, 1.0
        self.began: tuple[float, float] | None = None

    def phase(self, name: str) -> None:
        """Begin a phase."""
        self.name, self.began = name, None
        self.advance(None, "")

    def advance(self, share: float | None, remark: str, *, may_end_early: bool = False) -> None:
        """So much of the phase is done."""
        now = time.monotonic()
        if share is not None:
            share = min(1.0, self.low + self.width * share)
            self.began = self.began or (now, share)
        if now >= self.due:
            self.due = now + self.every
            left = self._left(now, share)
            left = f"at most {left}" if left and may_end_early else left
            self.paint(self.name, share, ", ".join(filter(None, (left, remark))))

    def _left(self, now: float, share: float | None) -> str:
        """The time left in words, by the pace since the first share that was done: a compiler comes before it."""
        if share is None or self.began is None or share <= self.began[1]:
            return ""
        seconds = (now - self.began[0]) * (1 - share) / (share - self.began[1])
        return f"{seconds:.0f} s left" if seconds < 100 else f"{seconds / 60:.0f} min left"


_work: ContextVar[Work | None] = ContextVar("work", default=None)


@contextlib.contextmanager
def show(verbose: bool | None) -> Iterator[None]:
    """Show the work inside, once it has taken two seconds: as a bar in terminals and notebooks, or else as lines.

    `verbose=False` shows nothing and says nothing; with `True` there is no waiting. Inside of other work it does
    nothing.
    """
    if _work.get() is not None:
        yield
        return
    with contextlib.ExitStack() as stack:
        if verbose is not False and not logger.hasHandlers():
            stack.enter_context(heard())
        painter, every = _painter(stack)
        switched_off = logger.level > logging.INFO or logger.manager.disable >= logging.INFO
        quiet = verbose is False or switched_off  # the level of other loggers decides about lines, not about bars
        token = _work.set(Work(verbose, _nothing if quiet else painter, every))
        try:
            yield
        finally:
            _work.reset(token)


def phase(name: str) -> None:
    """Begin a phase of the work that is shown."""
    if work := _work.get():
        work.phase(name)


def report_progress(share: float | None, remark: str = "", *, may_end_early: bool = False) -> None:
    """Show that a share of the phase is done, `None` if nobody knows; some phases end before all of it."""
    if work := _work.get():
        work.advance(share, remark, may_end_early=may_end_early)


@contextlib.contextmanager
def portion(first: float, last: float) -> Iterator[None]:
    """A block whose shares are those of a part of the phase, from one share of it to another."""
    if (work := _work.get()) is None:
        yield
        return
    before = work.low, work.width
    work.low, work.width = work.low + work.width * first, work.width * (last - first)
    try:
        yield
    finally:
        work.low, work.width = before


def note(text: str) -> None:
    """Tell the user something about the work."""
    _log(logging.INFO, text)


def warn(text: str) -> None:
    """Tell the user what may harm them."""
    _log(logging.WARNING, text)


def _log(level: int, text: str) -> None:
    work = _work.get()
    if work is None or work.verbose is not False:
        logger.log(level, "%s", text)


def _painter(stack: contextlib.ExitStack) -> tuple[Painter, float]:
    """How to show work here, and how often."""
    if "ipykernel" in sys.modules and "zmqshell" in type(_notebook()).__module__:
        return _cell(), SECONDS_PER_PICTURE
    return (_bar(stack), SECONDS_PER_PICTURE) if sys.stderr.isatty() else (_line, SECONDS_PER_LINE)


def _nothing(name: str, share: float | None, remark: str) -> None:
    """Show nothing."""


def _line(name: str, share: float | None, remark: str) -> None:
    """A line in a file or pipe."""
    if share is not None and share >= 1:  # what comes next says so
        return
    logger.info("%s", _describe(name, share, remark))


def _describe(name: str, share: float | None, remark: str, bar: str = "") -> str:
    done = "" if share is None else f"{100 * share:.0f} %"
    return ": ".join(filter(None, (f"{bar}{name}", ", ".join(filter(None, (done, remark))))))


def _bar(stack: contextlib.ExitStack) -> Painter:
    """A bar in a terminal, which begins when there is something to show."""
    shown: list[Any] = []

    def paint(name: str, share: float | None, remark: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        if not shown:
            parts = TextColumn("{task.description}"), BarColumn(BAR_WIDTH), TimeElapsedColumn()
            console = Console(stderr=True)
            shown.append(stack.enter_context(Progress(*parts, TextColumn("{task.fields[remark]}"), console=console)))
            shown.append(shown[0].add_task(name, total=None, remark=remark))
        bar, task = shown
        total = None if share is None else 1.0
        bar.update(task, description=name, completed=share or 0.0, total=total, remark=remark)

    return paint


def _notebook() -> Any:
    """The shell of IPython, if there is one."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def _cell() -> Painter:
    """A bar in the output of a notebook's cell; text, so that it needs no widgets."""
    shown: list[Any] = []

    def paint(name: str, share: float | None, remark: str) -> None:
        from IPython.display import display

        full = round(BAR_WIDTH * (share or 0.0))
        line = _describe(name, share, remark, "━" * full + "─" * (BAR_WIDTH - full) + " ")
        text = {"text/plain": line}
        if shown:
            shown[0].update(text, raw=True)
        else:
            shown.append(display(text, raw=True, display_id=True))

    return paint
