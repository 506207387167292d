"""The thread that generates for all requests of a model: chunk by chunk, a part of each of them.

Of the kinds of requests that a program can mix, the one that has waited longest has the next chunk, and its requests
share the rows of it: first an equal number each, then what is left in the order in which they were last served. So a
request for a million sequences takes what the others leave, and one for a single sequence enters at the next chunk.
"""

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.generation.beam import search
from unspool.generation.sampler import no_values
from unspool.generation.slots import CHUNK_STEPS, SLOT_WIDTHS, SlotRequest, Slots
from unspool.jobs import GenerationJob
from unspool.sequences import Sequences

AHEAD_CHUNKS = 16
"""Chunks that a stream may be ahead of its reader; its rows then wait."""
BEAM_ROWS = 64
"""Hypotheses, about, of one piece of a search."""
SLOTS = SLOT_WIDTHS[-1]
"""Sequences that advance together."""


class GenerationWork(ABC):
    """A request under way.

    Attributes:
        kind: of those that a program can mix; `group` is its number in the engine.
        served: number of the round that last had a part of it.
        error: why it has failed, or `None`.
        notify: called by the engine's thread when there is news.
    """

    kind: Any
    group: int

    def __init__(self, job: GenerationJob, notify: Callable[[], None]) -> None:
        self.whole = job
        self.job, self.part = job.with_inputs(slice(0, job.total))
        self.served, self.notify = -1, notify
        self.error: BaseException | None = None

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether all is generated."""

    @abstractmethod
    def waiting(self) -> list[int]:
        """Sequences that could advance, `SLOTS` at the most."""

    @abstractmethod
    def result(self) -> Sequences:
        """All sequences."""


class SampleWork(GenerationWork):
    """A request whose sequences are sampled in the slots; a stream is kept from running ahead of its reader."""

    def __init__(self, job: GenerationJob, notify: Callable[[], None], *, stream: bool = False) -> None:
        super().__init__(job, notify)
        self.slots = SlotRequest(self.job.net, self.job.request, stream=stream)
        self.kind = self.slots.kind
        self.stream, self.taken = stream, 0

    @property
    def finished(self) -> bool:
        """Whether all sequences are done."""
        return self.slots.left == 0

    @property
    def ready(self) -> int:
        """Chunks of all sequences that are there and not taken."""
        progress = self.slots.progress
        return (progress if progress < self.slots.total else progress + CHUNK_STEPS - 1) // CHUNK_STEPS - self.taken

    def waiting(self) -> list[int]:
        """Those that are not done, nor too far ahead."""
        return self.slots.waiting(SLOTS, (self.taken + AHEAD_CHUNKS) * CHUNK_STEPS if self.stream else None)

    def take(self) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64]]:
        """All chunks of all sequences that are ready: their values end to end, and the steps of each; none is kept.

        Who reads late takes several at once, which costs little more than one.
        """
        first, self.taken = self.taken, self.taken + self.ready
        parts = [own[first : self.taken] for own in self.slots.parts]
        for own in self.slots.parts:
            own[first : self.taken] = [[]] * len(own[first : self.taken])
        lengths = np.array([sum(len(part[0]) for part in own) for own in parts], np.int64)
        empty = no_values(self.job.net)
        values = (np.concatenate([none, *(p[j] for own in parts for p in own)]) for j, none in enumerate(empty))
        return tuple(values), lengths

    def result(self) -> Sequences:
        """All sequences."""
        values, offsets = self.slots.values(no_values(self.job.net))
        return self.whole.finish(self.job, self.part, values, offsets, self.slots.ended)


class BeamWork(GenerationWork):
    """A search, of a few rows at a time."""

    def __init__(self, job: GenerationJob, notify: Callable[[], None]) -> None:
        super().__init__(job, notify)
        assert job.beam is not None  # noqa: S101  # the caller has looked
        self.kind, self.rows = "search", self.job.total // self.job.request.samples
        self.each, self.beam = max(BEAM_ROWS // job.beam.width, 1), job.beam
        self.found: list[Any] = []

    @property
    def finished(self) -> bool:
        """Whether every row has been searched."""
        return len(self.found) * self.each >= self.rows

    def waiting(self) -> list[int]:
        """The next rows."""
        first = len(self.found) * self.each
        return [*range(first, min(first + self.each, self.rows))]

    def advance(self) -> int:
        """Search the next rows; the steps of what was found."""
        which = self.waiting()
        rows = slice(which[0], which[-1] + 1)
        self.found.append(search(self.job.net, self.job.request, self.beam, rows, lambda share: None))
        return len(self.found[-1].values[0])

    def result(self) -> Sequences:
        """All sequences."""
        columns = tuple(map(np.concatenate, zip(*(found.values for found in self.found), strict=True)))
        lengths = np.concatenate([[0], *(np.diff(found.offsets) for found in self.found)])
        rest = [np.concatenate([found[k] for found in self.found]) for k in (2, 3, 4)]
        return self.whole.finish(self.job, self.part, columns, np.cumsum(lengths).astype(np.int64), *rest)


def work_of(job: GenerationJob, notify: Callable[[], None], *, stream: bool = False) -> GenerationWork:
    """The work that a job is."""
    return SampleWork(job, notify, stream=stream) if job.beam is None else BeamWork(job, notify)


def shares(ready: Sequence[int], slots: int) -> list[int]:
    """How many of so many slots each of some requests gets, which have so many sequences ready, in their order.

    Examples:
        >>> shares([1, 1_000_000, 1], 8), shares([1] * 9, 8), shares([], 8)
        ([1, 6, 1], [1, 1, 1, 1, 1, 1, 1, 1, 0], [])
    """
    even = max(slots // max(len(ready), 1), 1)
    given = []
    for count in ready:
        given.append(min(count, even, slots))
        slots -= given[-1]
    for k, count in enumerate(ready):
        more = min(count - given[k], slots)
        given[k], slots = given[k] + more, slots - more
    return given


class Engine:
    """The thread of one model.

    Args:
        slots: the programs of its network.
        observe: called after every chunk with the number of sequences in it, the steps of all of them, and its seconds.
    """

    def __init__(self, slots: Slots, observe: Callable[[int, int, float], None] = lambda *chunk: None) -> None:
        self.slots, self.observe = slots, observe
        self.active: dict[GenerationWork, None] = {}
        self.kinds: dict[Any, int] = {}
        self.rounds = itertools.count()
        self.news = threading.Condition()
        self.closing, self.over = False, True

    def submit(self, work: GenerationWork) -> None:
        """Begin some work."""
        with self.news:
            work.group = self.kinds.setdefault(work.kind, len(self.kinds))
            self.active[work] = None
            self.news.notify()
            if self.over:  # the first work, or a request that came to a model as it was replaced
                self.over = False
                threading.Thread(target=self._run, name="unspool-engine", daemon=True).start()

    def cancel(self, work: GenerationWork) -> None:
        """End some work, if it is not over; its sequences are not advanced again."""
        with self.news:
            self.active.pop(work, None)

    def resume(self) -> None:
        """Look again what can advance: a reader has taken a part of its stream."""
        with self.news:
            self.news.notify()

    def close(self) -> None:
        """End the thread when the work is done."""
        with self.news:
            self.closing = True
            self.news.notify()

    def _run(self) -> None:
        while True:
            with self.news:
                while not (members := self._next()):
                    self.slots.rest()  # what is over keeps nothing
                    if self.closing and not self.active:
                        self.over = True
                        return
                    self.news.wait()
            began = time.perf_counter()
            works, steps = [work for work, _ in members], 0
            try:
                steps = self._advance(members)
            except Exception as error:  # noqa: BLE001  # whatever it is, the requests of this chunk must hear of it
                for work in works:
                    work.error = error
            self.observe(sum(len(which) for _, which in members), steps, time.perf_counter() - began)
            with self.news:
                for work in works:
                    if work.finished or work.error is not None:
                        self.active.pop(work, None)
            for work in works:
                work.notify()

    def _next(self) -> list[tuple[GenerationWork, list[int]]]:
        """The sequences of the next chunk."""
        number = next(self.rounds)
        able = [(work, which) for work in self.active if (which := work.waiting())]
        if not able:
            return []
        able.sort(key=lambda pair: pair[0].served)
        same = [pair for pair in able if pair[0].group == able[0][0].group]
        members, room = [], self.slots.room(same[0][0].kind)
        for (work, which), share in zip(same, shares([len(which) for _, which in same], room), strict=True):
            if share:
                work.served = number
                members.append((work, which[:share]))
        return members

    def _advance(self, members: list[tuple[Any, list[int]]]) -> int:
        """Move them on; the steps of all of them."""
        if isinstance(members[0][0], BeamWork):
            return sum(work.advance() for work, _ in members)
        each = self.slots.advance([(work.slots, which) for work, which in members])
        return each * sum(len(which) for _, which in members)
