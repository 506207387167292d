"""Processes that train one network together, each with a part of the rows: `jax.distributed` connects them.

Any launcher starts them. Where it says who is who by `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and
`JAX_PROCESS_ID`, or by the variables of `torchrun`, the first fit connects them; a program may also call
`jax.distributed.initialize()` itself, which knows Slurm, Open MPI and Kubernetes. All processes run the same program.
What they compute together is the same to the bit on each of them; what a clock or a signal decides, the first process
decides for all.
"""

import atexit
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from numpy.typing import NDArray

from unspool.errors import ClusterError, LostProcess, OptionError

BY_JAX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
BY_TORCHRUN = "TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK"
HEARTBEAT_SECONDS = 20
"""Seconds without a sign of life after which a process counts as dead."""
START_AGAIN = (
    "Start all of them again with the same checkpoint=...: training goes on after the last round that was saved."
)


def connect_processes() -> None:
    """Connect with the other processes that a launcher has started, if it has named them and nobody has yet.

    Raises:
        OptionError: it has named them in part, or the numbers are none.
        ClusterError: the others don't answer.
    """
    found = launched(os.environ)
    if found is None or jax.distributed.is_initialized():
        return
    address, count, number = found
    try:
        jax.distributed.initialize(address, count, number, heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    except RuntimeError as error:
        expected, hint = f"{count} processes that reach {address}", "Start all of them, with this address and port."
        raise ClusterError(f"process {number} of {count}", expected, str(error).splitlines()[0], hint) from error


def launched(environment: Mapping[str, str]) -> tuple[str, int, int] | None:
    """Address of the first process, number of processes, and number of this one; `None` if no launcher has set them.

    Examples:
        >>> launched({"JAX_COORDINATOR_ADDRESS": "ten:1234", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"})
        ('ten:1234', 2, 1)
    """
    if BY_JAX[0] in environment:
        names = BY_JAX[1:]
        address = environment[BY_JAX[0]]
    elif all(name in environment for name in BY_TORCHRUN):
        names = BY_TORCHRUN[3:]
        address = f"{environment['MASTER_ADDR']}:{int(environment['MASTER_PORT']) + 1}"  # torchrun listens at its own
    else:
        return None
    for name in names:
        if not environment.get(name, "").isdecimal():
            hint = "Set it in every process; or unset JAX_COORDINATOR_ADDRESS, to train in one."
            raise OptionError(name, "a whole number", repr(environment.get(name)), hint)
    count, number = (int(environment[name]) for name in names)
    if number >= count:
        raise OptionError(names[1], f"a number from 0 to {count - 1}", str(number))
    return address, count, number


def process_count() -> int:
    """Processes that train together; 1 where nothing connects this one with others."""
    return jax.process_count() if jax.distributed.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the process that writes files and speaks: the only one, or number 0."""
    return process_count() == 1 or jax.process_index() == 0


def gather_numbers(values: Sequence[float]) -> NDArray[np.float64]:
    """The numbers of all processes, (P, K), to the bit; every process calls this at the same place."""
    return _gathered(np.array(values, np.float64).view(np.uint32)).view(np.float64)


def gather_bytes(data: bytes) -> list[bytes]:
    """The bytes of every process, as many as each has; every process calls this at the same place."""
    sizes = gather_numbers([len(data)])[:, 0].astype(int).tolist()
    most = 1 << max(max(sizes) - 1, 3).bit_length()  # few sizes, few programs
    rows = _gathered(np.frombuffer(data.ljust(most, b"\0"), np.uint32))
    return [row.tobytes()[:size] for row, size in zip(rows, sizes, strict=True)]


@dataclass(frozen=True)
class ProcessGroup:
    """Processes that share work, this one among them. Each calls the methods in the same order.

    Attributes:
        number: of this process, from 0 on.
        count: of the processes; of one alone, nothing is exchanged.
    """

    number: int = 0
    count: int = 1

    @classmethod
    def of_all(cls) -> "ProcessGroup":
        """All processes that train together."""
        return cls(jax.process_index(), process_count()) if process_count() > 1 else cls()

    def share(self, items: int) -> tuple[int, int]:
        """The first item of this process, and the first one after its own: numbers of items differ by one at the most.

        Examples:
            >>> [ProcessGroup(number, 3).share(10) for number in range(3)]
            [(0, 4), (4, 7), (7, 10)]
        """
        first, end = (-(-items * k // self.count) for k in (self.number, self.number + 1))
        return first, end

    def run(self, work: Iterable[Any]) -> None:
        """Run a generator of each process to its end, in pieces: after each piece, all wait for the others.

        So the end of a process, or an error in it, is known to all within a piece.

        Raises:
            ClusterError: another process failed.
        """
        pieces, more = iter(work), True
        while more:
            ended, failure = False, None
            try:
                ended = next(pieces, pieces) is pieces
            except BaseException as error:
                if self.count == 1:
                    raise
                failure = error
            if self.count > 1:
                every = gather_numbers([ended, failure is not None])
                if every[:, 1].any():
                    self._end(failure)
                ended = bool(every[:, 0].all())
            more = not ended

    def gather(self, make: Callable[[], bytes | None]) -> list[bytes]:
        """What every process makes, on each of them."""
        made = b""

        def work() -> Iterator[None]:
            nonlocal made
            made = make() or b""
            yield

        self.run(work())
        return [made] if self.count == 1 else gather_bytes(made)

    def from_first(self, make: Callable[[], bytes | None]) -> bytes:
        """What process 0 makes, on each of them: all wait for it."""
        return self.gather(lambda: make() if self.number == 0 else None)[0]

    def _end(self, failure: BaseException | None) -> None:
        """Raise the own failure, or say what that of another process is."""
        said = "" if failure is None else f"{type(failure).__name__}: {failure}".splitlines()[0]
        reasons = [reason.decode() for reason in gather_bytes(said.encode(errors="replace"))]
        if failure is not None:
            raise failure
        number, reason = next((k, reason) for k, reason in enumerate(reasons) if reason)
        hint = "Mend that, and start all of them again."
        raise ClusterError(f"process {number} of {self.count}", "all processes to go on", f"an error ({reason})", hint)


ALONE = ProcessGroup()
"""This process by itself."""


def check_same(reports: Mapping[str, str]) -> None:
    """Refuse processes that differ in what each says of itself, before work starts; every process calls this.

    Raises:
        ClusterError: names what differs, and between which processes.
    """
    if process_count() == 1:
        return
    text = "\0".join(f"{name}\1{report}" for name, report in reports.items())
    texts = [found.decode() for found in gather_bytes(text.encode(errors="replace"))]
    if (other := next((k for k, found in enumerate(texts) if found != texts[0]), None)) is None:
        return
    first, second = (dict(part.partition("\1")[::2] for part in texts[k].split("\0")) for k in (0, other))
    differing = [name for name in first | second if first.get(name) != second.get(name)]
    expected = ", ".join(f"{name} {first.get(name)}" for name in differing)
    found = ", ".join(f"{name} {second.get(name)}" for name in differing)
    hint = "Give all processes the same versions, data, options and checkpoint folder."
    raise ClusterError(f"process {other} of {len(texts)}", f"{expected}, as process 0 has it", found, hint)


@contextmanager
def lost_processes() -> Iterator[None]:
    """A block in which the end of another process is a `LostProcess`, with what to do."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if process_count() == 1:
            raise
        atexit.register(_leave)
        location = f"process {jax.process_index()} of {process_count()}"
        found = f"one that ended ({str(error).splitlines()[0][:200]})"
        raise LostProcess(location, "all processes to go on", found, START_AGAIN) from error


def _gathered(row: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """One row of each process, on each of them."""
    cut = NamedSharding(_one_device_each(), P("processes"))
    rows = jax.make_array_from_process_local_data(cut, row[None], (process_count(), len(row)))
    try:
        return np.array(_everywhere()(rows))
    except ValueError as error:  # what JAX makes of the end of another process where it waits for it at once
        raise jax.errors.JaxRuntimeError(str(error)) from error


@functools.cache
def _one_device_each() -> Mesh:
    """A device of every process."""
    firsts = {device.process_index: device for device in reversed(jax.devices())}
    return Mesh(np.array([firsts[k] for k in sorted(firsts)]), ("processes",))


@functools.cache
def _everywhere() -> "jax.stages.Wrapped":
    """A function that gives every process the whole of an array."""
    return jax.jit(lambda rows: rows, out_shardings=NamedSharding(_one_device_each(), P()))


def _leave() -> None:
    """End a process that has lost others, before JAX waits for them at its end, and aborts."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
