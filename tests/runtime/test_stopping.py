"""Ctrl-C and a budget of seconds are one question, which every phase asks."""

import os
import signal
import subprocess
import sys
import time

import pytest

from unspool.runtime.stopping import Stop, Stopped, interruptible


@pytest.fixture
def heeded():
    """Python's own handler of Ctrl-C, which a process that a shell has put in the background starts without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def press():
    signal.raise_signal(signal.SIGINT)
    time.sleep(0.01)  # Python may take two signals at once for one


def test_a_stop_asks_for_an_end_once_its_seconds_are_spent():
    stop = Stop(1.0)
    assert stop.reason() == ""
    with stop.clock(counted=False):
        time.sleep(0.02)
    assert stop.elapsed == 0.0
    with stop.clock():
        time.sleep(0.02)
    assert 0.02 <= stop.elapsed < 1.0
    stop.elapsed = 1.0
    assert stop.reason() == "time"
    with pytest.raises(Stopped):
        stop.check()
    stop.press()
    assert stop.reason() == "interrupted"


def test_phases_share_a_budget_and_hear_the_same_ctrl_c():
    whole = Stop(100.0)
    with whole.part(0.1) as trial:
        trial.elapsed = 4.0
    with whole.part(0.5) as training:
        assert training.seconds == 48.0
        beside = whole.beside()
        whole.press()
        assert trial.interrupted
        assert training.interrupted
        assert beside.interrupted
    assert whole.elapsed == 4.0


def test_the_first_ctrl_c_only_asks_once_there_is_something_to_keep(heeded):
    with interruptible() as stop:
        stop.keeps = True
        press()
        assert stop.reason() == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is heeded


def test_before_that_the_first_ctrl_c_interrupts_and_tells_the_other_threads(heeded):
    with interruptible() as stop, pytest.raises(KeyboardInterrupt):
        press()
    assert stop.interrupted


BUSY = """
import signal, sys, time
import numpy as np
from unspool.runtime.atomic_files import atomic
from unspool.runtime.stopping import end_on_interrupts, interruptible

end_on_interrupts()
with interruptible() as stop, atomic(sys.argv[1]) as file:
    stop.keeps = sys.argv[2] == "keeps"
    print("ready", flush=True)
    matrix = np.ones((6000, 6000))
    for _ in range(20):
        np.linalg.svd(matrix)  # minutes, and Python's handlers wait for its end
"""


@pytest.mark.parametrize("what", ["keeps", "has nothing"])
def test_ctrl_c_ends_a_program_at_once_even_in_compiled_code_and_leaves_no_file(tmp_path, what):
    """The first, or the second where there is something to keep."""
    words = [sys.executable, "-c", BUSY, str(tmp_path / "out"), what]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}) as process:
        assert process.stdout.readline() == b"ready\n"
        assert len(list(tmp_path.iterdir())) == 1
        time.sleep(0.5)
        if what == "keeps":
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            assert process.poll() is None
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert time.monotonic() - pressed < 2
    assert list(tmp_path.iterdir()) == []
