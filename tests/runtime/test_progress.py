"""What a user sees of work: nothing of a quick one, and of a long one a bar, or a line now and then."""

import io
import logging
import re
import sys

import pytest

from unspool.runtime import progress
from unspool.runtime.progress import heard, note, phase, portion, report_progress, show, warn


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr("unspool.runtime.progress.time.monotonic", lambda: now[0])

    def sleep(seconds):
        now[0] += seconds

    return sleep


@pytest.fixture
def said(capsys):
    """The lines on standard error, which is a file or pipe."""
    with heard():

        def lines():
            return capsys.readouterr().err.splitlines()

        yield lines


class Terminal(io.StringIO):
    def isatty(self):
        return True


def work(clock, seconds, verbose=None):
    """Ten pieces of work."""
    with show(verbose):
        phase("training")
        report_progress(0.0)
        for k in range(10):
            clock(seconds / 10)
            report_progress((k + 1) / 10, f"update {k + 1}")


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_of_work_of_less_than_two_seconds_nothing_is_shown(clock, monkeypatch, stream):
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    work(clock, 1.9)
    assert shown.getvalue() == ""


def test_in_a_pipe_long_work_is_a_line_every_five_seconds_with_the_time_left(clock, said):
    work(clock, 20.0)
    assert said() == [
        "training: 10 %, 18 s left, update 1",
        "training: 40 %, 12 s left, update 4",
        "training: 70 %, 6 s left, update 7",
    ]


def test_the_time_left_of_a_phase_that_may_end_early_is_a_bound(clock, said):
    with show(None):
        phase("training")
        for share in (0.0, 0.5):
            report_progress(share, may_end_early=True)
            clock(6.0)
    assert said() == ["training: 50 %, at most 6 s left"]


def test_a_terminal_has_a_bar_with_phase_and_time_left(clock, monkeypatch):
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    work(clock, 20.0)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue())
    assert re.search(r"training ━+.* 0 s left, update 10", text)


def test_a_notebook_has_a_bar_of_text_that_changes_in_place(clock, monkeypatch):
    """In the cell's output, without widgets."""
    display = pytest.importorskip("IPython.display")
    shown = []

    class Handle:
        def update(self, text, raw):
            shown.append(text["text/plain"])

    monkeypatch.setattr(display, "display", lambda text, raw, display_id: shown.append(text["text/plain"]) or Handle())
    shell = type("Shell", (), {"__module__": "ipykernel.zmqshell"})
    monkeypatch.setattr(progress, "_notebook", shell)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    work(clock, 20.0)
    assert len(shown) == 10
    assert shown[4] == "━━━━━━────── training: 50 %, 10 s left, update 5"


def test_verbose_shows_work_from_the_start_and_false_says_nothing_not_even_warnings(clock, said):
    work(clock, 1.0, verbose=True)
    assert said() == ["training"]
    with show(False):
        work(clock, 100.0)
        note("a note")
        warn("a warning")
    assert said() == []


@pytest.mark.parametrize(("level", "lines"), [("INFO", 5), ("WARNING", 1), ("CRITICAL", 0)])
def test_the_level_of_the_logger_silences_all_that_is_said(clock, said, level, lines):
    logger = logging.getLogger("unspool")
    before = logger.level
    logger.setLevel(level)
    try:
        with show(None):
            note("a note")
            warn("a warning")
            work(clock, 20.0)
    finally:
        logger.setLevel(before)
    assert len(said()) == lines


def test_what_is_said_goes_to_the_logging_of_the_program(clock, caplog):
    with caplog.at_level(logging.INFO, "unspool"), show(None):
        note("a note")
        warn("a warning")
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "a note"), ("WARNING", "a warning"),
    ]  # fmt: skip


def test_a_portion_of_a_phase_counts_as_such(clock, said):
    with show(True):
        phase("generating")
        clock(10)
        with portion(0.5, 1.0), portion(0.0, 0.5):
            report_progress(0.5)
    assert said() == ["generating", "generating: 62 %"]


def test_work_inside_of_other_work_belongs_to_it(clock, said):
    with show(False):
        work(clock, 100.0, verbose=True)
    assert said() == []
