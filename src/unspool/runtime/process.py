"""What a process that lives long, or was forked, must not do with JAX: every public function asks here first."""

import os
import sys
import threading
from pathlib import Path
from typing import Any

import jax

from unspool.errors import ForkedProcess
from unspool.runtime.compilation_cache import keep_compiled
from unspool.runtime.devices import claim_cores

MAX_MAPPINGS = 20_000
"""Pieces of memory that the process may have mapped before compiled programs are dropped. Linux allows 65,530, of which
every program takes about a hundred, and a process that has used them up is aborted."""
MAX_PROGRAMS = 500
"""Programs that are compiled before they are dropped where the mappings can't be counted."""
PROGRAMS_PER_COUNT = 16
"""Programs that are compiled between two counts of the mappings, since a count takes some milliseconds."""
COMPILED = "/jax/core/compile/backend_compile_duration"
"""The event by which JAX says that it has compiled a program, or found it in a folder."""


class Programs:
    """How many programs were compiled since they were last dropped, and since the mappings were last counted."""

    def __init__(self) -> None:
        self.owner: int | None = None
        self.compiled, self.counted = 0, 0
        self.lock = threading.Lock()

    def enter(self) -> None:
        """See `enter`."""
        process = os.getpid()
        if self.owner is None:
            self.owner = process
            jax.monitoring.register_event_duration_secs_listener(self.count)
        elif self.owner != process:
            expected, found = "a process that was spawned", "one forked from a process in which JAX had started"
            hint = 'JAX would wait for ever: use multiprocessing.get_context("spawn"), or a pool of threads.'
            raise ForkedProcess(f"process {process}", expected, found, hint)
        if self.compiled - self.counted >= PROGRAMS_PER_COUNT:
            self.drop_if_many()

    def count(self, event: str, *_: Any, **__: Any) -> None:
        """Count an event of JAX."""
        self.compiled += event == COMPILED

    def drop_if_many(self) -> None:
        """Drop the compiled programs if they are many; what is used again comes back from the folder that keeps them.

        JAX can't drop the oldest alone.
        """
        with self.lock:
            self.counted = self.compiled
            number = mappings()
            if number > MAX_MAPPINGS if number is not None else self.compiled > MAX_PROGRAMS:
                jax.clear_caches()
                self.compiled, self.counted = 0, 0


_programs = Programs()


def start_jax() -> None:
    """As `enter`, and before JAX starts: make the cores its devices, and keep what it compiles."""
    enter()
    claim_cores()
    keep_compiled()


def enter() -> None:
    """Ask at the beginning of a public function whether this process may use JAX, and keep its programs few.

    Raises:
        ForkedProcess: it was forked from a process in which JAX had started.
    """
    _programs.enter()


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
