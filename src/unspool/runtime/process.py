"""What a process that lives long, or was forked, must not do with JAX: every public function asks here first."""

import os
import sys
import threading
from pathlib import Path

from unspool.errors import ForkedProcess
from unspool.runtime.compilation_cache import keep_compiled
from unspool.runtime.devices import claim_cores
from unspool.runtime.processes import connect_processes
from unspool.runtime.programs import PROGRAMS

MAX_MAPPINGS = 20_000
"""Pieces of memory that the process may have mapped before compiled programs are dropped. Linux allows 65,530, of which
every program takes about a hundred, and a process that has used them up is aborted."""
MAX_PROGRAMS = 500
"""Programs that are compiled before some are dropped where the mappings can't be counted."""
PROGRAMS_PER_COUNT = 16
"""Programs that are compiled between two counts of the mappings, since a count takes some milliseconds."""
DROPPED_SHARE = 0.5
"""The share of the programs that is dropped."""


class Entrance:
    """Which process JAX belongs to, and how many programs had been compiled when the mappings were last counted."""

    def __init__(self) -> None:
        self.owner: int | None = None
        self.counted = 0
        self.lock = threading.Lock()

    def enter(self) -> None:
        """See `enter`."""
        process = os.getpid()
        if self.owner is None:
            self.owner = process
        elif self.owner != process:
            expected, found = "a process that was spawned", "one forked from a process in which JAX had started"
            hint = 'JAX would wait for ever: use multiprocessing.get_context("spawn"), or a pool of threads.'
            raise ForkedProcess(f"process {process}", expected, found, hint)
        if PROGRAMS.compiled - self.counted >= PROGRAMS_PER_COUNT:
            self.drop_if_many()

    def drop_if_many(self) -> None:
        """Drop programs if they are many, those that were not used for the longest time first."""
        with self.lock:
            self.counted = PROGRAMS.compiled
            number = mappings()
            if number > MAX_MAPPINGS if number is not None else len(PROGRAMS.found) > MAX_PROGRAMS:
                PROGRAMS.drop(DROPPED_SHARE)


_entrance = Entrance()


def start_jax() -> None:
    """As `enter`, and before JAX starts: make the cores its devices, find other processes, keep what it compiles."""
    enter()
    claim_cores()
    connect_processes()
    keep_compiled()


def enter() -> None:
    """Ask at the beginning of a public function whether this process may use JAX, and keep its programs few.

    Raises:
        ForkedProcess: it was forked from a process in which JAX had started.
    """
    _entrance.enter()


def mappings() -> int | None:
    """Pieces of memory that this process has mapped; `None` where the system doesn't say."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return None


def free_memory() -> int:
    """Bytes that this machine can still give; very many where the system doesn't say."""
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return sys.maxsize
