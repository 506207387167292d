"""Whether work should end now: one question for Ctrl-C and for a budget of seconds, which every phase of a fit asks.

Python runs a handler of signals between two of its own instructions, so never while compiled code runs. Phases
therefore compute in pieces of about a second, and ask after each.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from unspool.runtime.atomic_files import remove_temporary_files
from unspool.runtime.progress import report_progress

INTERRUPTED = 128 + signal.SIGINT
"""Exit code of a command that Ctrl-C ended."""
SHOW_CURSOR = "\x1b[?25h"
"""What a terminal needs after a progress bar that could not end."""


class Stopped(Exception):
    """A piece of work was asked to end, and has no result."""


class Stop:
    """The question whether some work should end, and the clock of its budget.

    Attributes:
        seconds: budget, or `None`.
        elapsed: seconds spent of it.
        keeps: whether there is something to keep. Until then, the first Ctrl-C is a `KeyboardInterrupt`.
        warm: whether this work has done a piece, so that its programs are compiled.
        first, last: shares of the phase that is shown where this work begins and ends.
    """

    def __init__(self, seconds: float | None = None, pressed: threading.Event | None = None) -> None:
        self.seconds, self.elapsed, self.keeps = seconds, 0.0, False
        self.warm, self.first, self.last = False, 0.0, 1.0
        self._pressed = pressed or threading.Event()

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._pressed.is_set()

    def press(self) -> None:
        """Ask to end."""
        self._pressed.set()

    def reason(self) -> str:
        """`"interrupted"`, `"time"`, or nothing if the work should go on."""
        if self.interrupted:
            return "interrupted"
        return "time" if self.seconds is not None and self.elapsed >= self.seconds else ""

    def spent(self, share: float) -> bool:
        """Whether a share of the budget is spent."""
        return self.seconds is not None and self.elapsed >= share * self.seconds

    def check(self) -> None:
        """Raise `Stopped` if the work should end."""
        if self.reason():
            raise Stopped

    def report(self, done: float) -> None:
        """Show the share of the work that is done."""
        report_progress(self.first + done * (self.last - self.first))

    def check_patience(self) -> None:
        """Raise `Stopped` if the user does not want to wait; the budget does not count."""
        if self.interrupted:
            raise Stopped

    @contextlib.contextmanager
    def clock(self, counted: bool = True) -> Iterator[None]:
        """Count the time of a piece of work, unless most of it is a compiler's."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.elapsed += (time.monotonic() - began) * counted
            self.warm = True

    @contextlib.contextmanager
    def part(self, share: float) -> Iterator["Stop"]:
        """A phase that may take this share of what is left of the budget; it hears the same Ctrl-C.

        Examples:
            >>> whole = Stop(10.0)
            >>> with whole.part(0.5) as half:
            ...     half.elapsed = 4.0
            >>> whole.elapsed, half.seconds
            (4.0, 5.0)
        """
        part = Stop(None if self.seconds is None else share * max(0.0, self.seconds - self.elapsed), self._pressed)
        try:
            yield part
        finally:
            self.elapsed += part.elapsed

    def beside(self) -> "Stop":
        """The same budget and Ctrl-C with a clock of its own, for work in another thread."""
        return Stop(self.seconds, self._pressed)


_active: list[Stop] = []
"""What the blocks that are running can be asked to end with."""
_presses: list[int] = []
"""Every Ctrl-C since `end_on_interrupts`."""


@contextlib.contextmanager
def interruptible(seconds: float | None = None) -> Iterator[Stop]:
    """A block that the first Ctrl-C only asks to end, once there is something to keep; the second one interrupts it."""
    stop = Stop(seconds)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: Any) -> None:
        first = not stop.interrupted
        stop.press()
        if first and stop.keeps:
            return
        if callable(before):
            before(number, frame)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    _active.append(stop)
    try:
        yield stop
    finally:
        _active.remove(stop)
        signal.signal(signal.SIGINT, before)


def end_on_interrupts() -> None:
    """From here on, Ctrl-C ends this process at once if there is nothing to keep, or else the second one does.

    At once means even while compiled code runs, or a compiler: Python's handlers would wait for them.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def listen() -> None:
        while True:
            if os.read(reader, 1)[0] != signal.SIGINT:
                continue
            _presses.append(signal.SIGINT)
            if len(_presses) > any(stop.keeps for stop in _active):
                os.write(sys.stderr.fileno(), b"unspool: interrupted\n")
                _exit_now(INTERRUPTED)

    threading.Thread(target=listen, daemon=True).start()


def exit_if_interrupted(code: int) -> None:
    """End this process with a code if Ctrl-C was pressed: its threads may still compile, and it would wait for them."""
    if _presses:
        sys.stdout.flush()
        sys.stderr.flush()
        _exit_now(code)


def _exit_now(code: int) -> None:
    """End this process without its threads, beside which Python's own end aborts."""
    remove_temporary_files()
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
    os._exit(code)
