"""Sequences of many requests side by side: a chunk of steps moves rows on that may belong to any of them.

The step is that of `unspool.generation.sample_step`; every row has its own seed, number of the next step, rule and
constraints. Between two chunks its state is one vector (`Packing`), so a chunk may hold other rows than the one before:
a request enters, pauses and leaves at any of them, and nothing has to be freed. Rows of both chunks stay in their
slots, so that a chunk costs Python little beside the network.
"""

import copy
import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from unspool.generation.sample_step import (
    FOLD_STEPS,
    BatchRequest,
    ObservedSteps,
    SamplerState,
    Supports,
    sample_block,
    start_sampling,
)
from unspool.generation.sampler import SampleRequest, devices_for, observed_at, support_of_rows
from unspool.network.decoder import Net, Precomputed
from unspool.network.distributions.base import Ends, Support
from unspool.network.distributions.rules import Rule
from unspool.runtime.devices import ROW_AXIS, device_lock, put_on_devices, shard_rows, to_single_precision
from unspool.runtime.programs import GENERATION_OPTIONS, program
from unspool.runtime.threefry import seed_words

SLOT_WIDTHS = (2, 8, 32, 64)
"""Rows of a chunk; of the widths that hold its rows, the least."""
CHUNK_STEPS = 16
"""Steps of a chunk: a stream has them together, and a sequence that ends leaves the slots behind them."""
LONG_CHUNK_STEPS = 64
"""Steps of a chunk all of whose sequences have twice as many before them, and none of whose steps anybody waits for.

Others wait longer to enter: with sequences of 100 steps that costs what it saves (docs/log.md).
"""


class Packing(NamedTuple):
    """How the state of a row, and what the context adds to its layers, lie in one vector.

    Attributes:
        tree: the structure of both.
        shapes: by array, that of one row, and whether it holds truth values.
    """

    tree: Any
    shapes: tuple[tuple[tuple[int, ...], bool], ...]

    @classmethod
    def of(cls, row: Any) -> "Packing":
        """That of arrays with a first axis of rows."""
        leaves, tree = jax.tree.flatten(row)
        return cls(tree, tuple((tuple(leaf.shape[1:]), leaf.dtype == bool) for leaf in leaves))

    def unpack(self, packed: Float[Array, "B D"]) -> Any:
        """The arrays, with a first axis of rows."""
        sizes = [int(np.prod(shape)) for shape, _ in self.shapes]
        parts = jnp.split(packed, np.cumsum(sizes)[:-1], axis=1)
        leaves = [
            (part > 0 if truth else part).reshape(len(packed), *shape)
            for part, (shape, truth) in zip(parts, self.shapes, strict=True)
        ]
        return jax.tree.unflatten(self.tree, leaves)


def pack_rows(row: Any) -> Float[Array, "B D"]:
    """Arrays with a first axis of rows side by side."""
    return jnp.concatenate([leaf.reshape(len(leaf), -1).astype(jnp.float32) for leaf in jax.tree.leaves(row)], 1)


def _rows_first(state: SamplerState) -> SamplerState:
    """The layers behind the rows, or before them again."""
    lstm = jax.tree.map(lambda part: part.swapaxes(0, 1), state.decoder.lstm)
    return state._replace(decoder=state.decoder._replace(lstm=lstm))


@program(options=GENERATION_OPTIONS)
def fold_tables(net: Net) -> Precomputed:
    """What no step changes and no row has to itself."""
    context = jnp.zeros((1, net.context_bias.shape[0]))
    return net.precompute(context, SLOT_WIDTHS[-1] * FOLD_STEPS)._replace(constants=())


def _started(net: Net, inputs: Any, sums: Any) -> tuple[SamplerState, Any]:
    state, ready = start_sampling(net, inputs, sums)
    return _rows_first(state), ready.constants


@program(options=GENERATION_OPTIONS)
def start_rows(net: Net, inputs: Any, sums: Any) -> Array:
    """The packed states of rows before their first step."""
    return pack_rows(_started(net, inputs, sums))


class SlotRows(NamedTuple):
    """All that rows take along from chunk to chunk; the first axis of every array is that of rows.

    Attributes:
        packed: (B, D) their states, see `Packing`.
        words: (B, 5) two words of the seed, the input row and the number of the sample (they count uniforms), and the
            next step.
        rule: how steps are sampled.
        supports: by field, what the samples lie in.
    """

    packed: Any
    words: Any
    rule: Rule
    supports: Supports


@program(static=["packing", "stopping", "steps", "devices"], options=GENERATION_OPTIONS)
def advance_rows(
    net: Net,
    tables: Precomputed,
    rows: SlotRows,
    observed: ObservedSteps | None,
    packing: Packing,
    stopping: bool,
    steps: int = CHUNK_STEPS,
    devices: int = 1,
) -> tuple[SlotRows, tuple[Array, ...], Bool[Array, "T B"]]:
    """Move every row a chunk of steps on, from its own next step: the rows behind it, the values, which are real."""
    whole, own, along = P(), P(ROW_AXIS), P(None, ROW_AXIS)
    known: Any = None if observed is None else ObservedSteps(along, along, along, whole, along)  # type: ignore[arg-type]
    advance = partial(_advance_rows, packing=packing, stopping=stopping, steps=steps)
    return shard_rows(advance, devices, (whole, whole, own, known), (own, along, along))(net, tables, rows, observed)


def _advance_rows(
    net: Net,
    tables: Precomputed,
    rows: SlotRows,
    observed: ObservedSteps | None,
    packing: Packing,
    stopping: bool,
    steps: int,
) -> tuple[SlotRows, tuple[Array, ...], Bool[Array, "T B"]]:
    state, constants = packing.unpack(rows.packed)
    ready, moving = tables._replace(constants=constants), None if observed is None else observed._replace(tables=())
    seed = jax.lax.bitcast_convert_type(rows.words[:, :2].T, jnp.uint32)
    row, sample, first = rows.words[:, 2:].T
    request = BatchRequest(seed, row, sample, first, jnp.int32(0), rows.rule, rows.supports, observed)
    state, (values, alive) = sample_block(net, ready, _rows_first(state), request, first, moving, steps, stopping)
    packed = pack_rows((_rows_first(state), constants))
    return rows._replace(packed=packed, words=rows.words.at[:, 4].add(steps)), values, alive


class SlotRequest:
    """The sequences of one request on their way through the slots.

    Args:
        net: the network.
        request: what to generate.
        stream: somebody reads the steps as they come.

    Attributes:
        longest: steps of its longest chunks.
        steps: (N,) steps that each sequence has been moved on; -1 before it is started.
        ended: (N,) which of those that are done ended by themselves.
        parts: by sequence, a list with the values of each field, for every chunk.
        states: of the sequences that were started and are not done, their states, see `Packing`; `None` of one that is
            in a slot.
        next: number of the first sequence that was not started.
        left: sequences that are not done.
    """

    def __init__(self, net: Net, request: SampleRequest, *, stream: bool = False) -> None:
        self.request = request
        self.count = len(request.inputs[0]) * request.samples
        self.stopping, self.total = request.stopping(net), request.max_steps
        self.ends = request.ends or not self.stopping
        long = not stream and not self.stopping and self.total >= 2 * LONG_CHUNK_STEPS
        self.longest = LONG_CHUNK_STEPS if long else CHUNK_STEPS
        self.seed, self.rule = seed_words(request.seed).view(np.int32), jax.tree.map(np.asarray, request.rule)
        self.steps, self.ended = np.full(self.count, -1), np.full(self.count, self.ends)
        self.parts: list[list[list[NDArray[Any]]]] = [[] for _ in range(self.count)]
        self.states: dict[int, Any] = {}
        self.next, self.left = 0, self.count
        if self.total == 0:
            self.next, self.left = self.count, 0

    @cached_property
    def kind(self) -> tuple[Any, ...]:
        """What the rows of one chunk have in common: it decides the program."""
        first = np.zeros(1, np.int64)
        rest = self.supports(first), self.observed([0], first, 1), self.sums([0])
        return self.stopping, jax.tree.structure(self.rule), jax.tree.structure(rest)

    def row(self, which: Sequence[int]) -> NDArray[np.int64]:
        """The input rows of some sequences."""
        return np.asarray(which, np.int64) // self.request.samples

    def inputs(self, which: Sequence[int]) -> tuple[NDArray[Any], ...]:
        """The inputs of some sequences."""
        row = self.row(which)
        return tuple(to_single_precision(part[row]) for part in self.request.inputs)

    def sums(self, which: Sequence[int]) -> tuple[NDArray[Any] | None, ...]:
        """Where the running sums of some sequences start."""
        row = self.row(which)
        origins = self.request.origins
        return tuple(None if part is None else to_single_precision(part.start[row]) for part in origins)

    def supports(self, row: NDArray[np.int64]) -> Supports:
        """By field, what the samples of some input rows lie in."""
        return tuple(_of_each(support_of_rows(part, row), len(row)) for part in self.request.supports)

    def observed(self, which: Sequence[int], first: NDArray[Any], steps: int) -> ObservedSteps | None:
        """The observed values of some sequences in their next chunks, but for the tables."""
        known = self.request.observed
        if known is None:
            return None
        values = observed_at(self.request, known, self.row(which), first + np.arange(steps)[:, None])
        return values._replace(tables=())

    def rows(self, which: Sequence[int]) -> SlotRows:
        """What some sequences take along that are in no slot."""
        count, row, numbers = len(which), self.row(which), np.asarray(which, np.int64)
        words = np.empty((count, 5), np.int32)
        words[:, :2], words[:, 4] = self.seed, self.steps[numbers]
        words[:, 2], words[:, 3] = self.request.counters(numbers)
        rule = jax.tree.map(lambda number: np.broadcast_to(number, (count, *number.shape)), self.rule)
        return SlotRows(np.stack([self.states[k] for k in which]), words, rule, self.supports(row))

    def waiting(self, most: int, ahead: int | None = None) -> list[int]:
        """Some sequences that are not done, those that were started before others, at most so many.

        With `ahead`, none that has so many steps already.
        """
        ready = [*islice((k for k in self.states if ahead is None or self.steps[k] < ahead), most)]
        if self.next < self.count and len(ready) < most:
            ready += range(self.next, min(self.next + most - len(ready), self.count))
        return ready

    @property
    def progress(self) -> int:
        """Steps that every sequence has, or has ended before."""
        if self.left == 0:
            return self.total
        slowest = min((int(self.steps[k]) for k in [*self.states]), default=0)
        return 0 if self.next < self.count else slowest

    def chunk(self, which: Sequence[int]) -> int:
        """Steps that the next chunk of some sequences may have."""
        enough = self.total - max(self.steps[which].max(), 0) >= 2 * self.longest
        return self.longest if enough else CHUNK_STEPS

    def take(self, number: int, values: list[NDArray[Any]], alive: int) -> None:
        """Keep the steps of a chunk of one sequence, of which the first so many are real."""
        before = int(self.steps[number])
        left = self.total - before
        here = min(left, len(values[0]))
        length = min(here, alive)
        # Copies: a part of a chunk would keep all of it.
        self.parts[number].append([part[:length].copy() for part in values])
        self.steps[number] = before + length
        if length < here or here == left:
            self.ended[number] = length < here or self.ends
            del self.states[number]
            self.left -= 1

    def values(self, empty: Sequence[NDArray[Any]]) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64]]:
        """The values of all sequences end to end, by field, and their offsets; `empty` are no values of each field."""
        offsets = np.concatenate([[0], np.cumsum(np.maximum(self.steps, 0))]).astype(np.int64)
        chunks = [part for parts in self.parts for part in parts]
        return tuple(np.concatenate([none, *(part[j] for part in chunks)]) for j, none in enumerate(empty)), offsets


def _of_each(support: Support | Ends | None, count: int) -> Support | Ends | None:
    """A support of every row, and nothing that all rows share."""
    if support is None:
        return None
    low, high = (np.asarray(end, np.float32) for end in (support.low, support.high))
    low, high = (end if end.ndim else np.broadcast_to(end, count) for end in (low, high))
    if isinstance(support, Ends):
        return Ends(low, high)
    symbols = None if support.symbols is None else np.broadcast_to(support.symbols, (count, len(support.symbols)))
    return Support(low, high, symbols, np.broadcast_to(np.asarray(support.present), count))


RowsOfRequest = tuple[SlotRequest, Sequence[int]]
"""A request, and some of its sequences."""
RowOfRequest = tuple[SlotRequest, int]
"""A request, and one of its sequences: the row of a slot."""


class Slots:
    """The programs of one network, for chunks of some widths, and what they share; the rows of the last chunk.

    Attributes:
        begun: kinds of requests, with the steps of a chunk, whose programs are there or being compiled.
        open: of these programs, each by its width, those that are not there yet.
        owners: whose rows are in the slots.
        rows: these; the last one is repeated up to the width of the program.
    """

    def __init__(self, net: Net, widths: tuple[int, ...] = SLOT_WIDTHS) -> None:
        self.net, self.widths = net, widths
        self.devices = {width: devices_for(net, width) for width in widths}
        tables = fold_tables(net)
        self.copies = {n: (net, tables) if n == 1 else put_on_devices((net, tables), n) for n in self.devices.values()}
        self.packings: dict[Any, Packing] = {}
        self.begun: set[tuple[Any, int]] = set()
        self.open: set[tuple[Any, int, int]] = set()
        self.preparing = threading.Lock()
        self.owners: list[RowOfRequest] = []
        self.kind: Any = None
        self.rows: Any = None

    def advance(self, members: Sequence[RowsOfRequest]) -> int:
        """Move some sequences of requests of one kind a chunk on; there are no more of them than the greatest width.

        Returns:
            Steps of the chunk.
        """
        steps, rows = min(request.chunk(which) for request, which in members), sum(len(which) for _, which in members)
        if (members[0][0].kind, steps, self._width(rows)) in self.open:
            steps = CHUNK_STEPS
        self._advance(members, steps)
        return steps

    def _advance(self, members: Sequence[RowsOfRequest], steps: int) -> None:
        self._place(members)
        with device_lock(self.devices[len(self.rows.words)]):
            self.rows, *generated = advance_rows(*self._arguments(members, steps))
            values, alive = jax.tree.map(np.asarray, generated)
        by_row = [np.ascontiguousarray(part.swapaxes(0, 1)) for part in values]
        lengths = alive.sum(0).tolist()
        for k, (request, number) in enumerate(self.owners):
            request.take(number, [part[k] for part in by_row], lengths[k])

    def rest(self) -> None:
        """Give all sequences in the slots their states back."""
        self._leave(self.owners)
        self.owners, self.rows = [], None

    @property
    def num_kinds(self) -> int:
        """Kinds of requests whose programs are there or being compiled."""
        return len({kind for kind, _ in self.begun})

    def knows(self, kind: Any) -> bool:
        """Whether a program of a kind of requests is there or being compiled."""
        return (kind, CHUNK_STEPS) in self.begun

    def is_prepared(self, request: SlotRequest) -> bool:
        """Whether a program of the kind of a request is there, and the others too, or being compiled."""
        kind = request.kind
        return (kind, request.longest) in self.begun and (kind, CHUNK_STEPS, self.widths[0]) not in self.open

    def prepare(self, request: SlotRequest, *, wait: bool = True) -> None:
        """Compile the programs of the kind of a request for every width: no chunk waits for a compiler.

        Without `wait` it returns with the narrowest one, and the others are compiled meanwhile, one after the other.
        """
        with self.preparing:
            new = {(request.kind, steps) for steps in (CHUNK_STEPS, request.longest)} - self.begun
            programs = [(*one, width) for one in sorted(new, key=itemgetter(1)) for width in self.widths]
            at_once = programs if wait else [one for one in programs[:1] if one[1] == CHUNK_STEPS]
            self.begun |= new
            self.open |= {*programs}
            try:
                self._compile_all(request, at_once)
            except BaseException:  # the next request tries again
                self.begun -= new
                self.open -= {*programs}
                raise
        if rest := programs[len(at_once) :]:
            threading.Thread(target=self._compile_rest, args=(request, rest), name="unspool-compiler").start()

    def _compile_all(self, request: SlotRequest, programs: Sequence[tuple[Any, int, int]]) -> None:
        """Compile programs side by side."""
        if programs:
            with ThreadPoolExecutor(len(programs)) as pool:
                # Of copies: the engine's rows stay where they are.
                list(pool.map(lambda one: copy.copy(self).compile(request, *one[1:]), programs))
        self.open -= {*programs}

    def _compile_rest(self, request: SlotRequest, programs: Sequence[tuple[Any, int, int]]) -> None:
        """Compile programs one after the other; one that fails stays open, and narrower chunks do its work."""
        for one in programs:
            try:
                self._compile_all(request, [one])
            except Exception:  # the requests don't need it
                logging.getLogger("unspool").exception("a chunk of %d sequences could not be compiled", one[2])

    def room(self, kind: Any) -> int:
        """Rows of the widest chunk of a kind that waits for no program."""
        open_ = (k for k, width in enumerate(self.widths) if (kind, CHUNK_STEPS, width) in self.open)
        return self.widths[max(next(open_, len(self.widths)) - 1, 0)]

    def compile(self, request: SlotRequest, steps: int, width: int) -> None:
        """Compile the program of the kind of a request for one width; what is in the slots goes."""
        self.owners, self.kind = [], None
        members = [(SlotRequest(self.net, request.request), [0]) for _ in range(width)]
        self._place(members)
        advance_rows.prepare(*self._arguments(members, steps))

    def _arguments(self, members: Sequence[RowsOfRequest], steps: int) -> tuple[Any, ...]:
        """Those of `advance_rows` for the rows in the slots."""
        devices, stopping = self.devices[len(self.rows.words)], members[0][0].stopping
        observed, packing = self._observed(members, steps), self.packings[self.kind]
        return *self.copies[devices], self.rows, observed, packing, stopping, steps, devices

    def _filled(self, count: int) -> NDArray[np.int64]:
        """Positions of so many rows, the last one again and again up to the width of a program."""
        return np.minimum(np.arange(self._width(count)), count - 1)

    def _width(self, count: int) -> int:
        """Rows of the chunk that so many rows have."""
        return next(width for width in self.widths if width >= count)

    def _place(self, members: Sequence[RowsOfRequest]) -> None:
        """Put these rows into the slots, in their order."""
        owners = [(request, number) for request, which in members for number in which]
        kind = members[0][0].kind
        if kind != self.kind:
            self.rest()
            self.kind = kind
        if owners == self.owners:
            return
        before = {owner: k for k, owner in enumerate(self.owners)}
        fresh = [owner for owner in owners if owner not in before]
        after = set(owners)
        self._leave([owner for owner in self.owners if owner not in after])
        self._start([owner for owner in fresh if owner[1] not in owner[0].states])
        parts = [self.rows] if self.owners else []
        before |= {owner: k for k, owner in enumerate(fresh, len(self.rows.words) if parts else 0)}
        at = np.array([before[owner] for owner in owners])[self._filled(len(owners))]
        rows = _joined([*parts, *(request.rows(which) for request, which in by_request(fresh))], at)
        devices = self.devices[len(at)]
        self.rows = rows if devices == 1 else put_on_devices(rows, devices, axis=0)
        for request, number in fresh:
            request.states[number] = None
        self.owners = owners

    def _leave(self, owners: Sequence[RowOfRequest]) -> None:
        """Take the states of these sequences along, but of those that are done."""
        where = {owner: k for k, owner in enumerate(self.owners)}
        open_ = [owner for owner in owners if owner[1] in owner[0].states]
        packed = np.asarray(self.rows.packed if open_ else ())
        for request, number in open_:
            request.states[number] = packed[where[request, number]].copy()

    def _start(self, new: Sequence[RowOfRequest]) -> None:
        """The states of these sequences before their first step."""
        if not new:
            return
        groups = by_request(new)
        fill = self._filled(len(new))
        inputs = _joined([request.inputs(which) for request, which in groups], fill)
        sums = _joined([request.sums(which) for request, which in groups], fill)
        if self.kind not in self.packings:
            self.packings[self.kind] = Packing.of(jax.eval_shape(_started, self.net, inputs, sums))
        packed = np.asarray(start_rows(self.net, inputs, sums))
        for k, (request, number) in enumerate(new):
            request.states[number] = packed[k]
            request.steps[number] = 0
        for request, which in groups:
            request.next = max(request.next, which[-1] + 1)

    def _observed(self, members: Sequence[RowsOfRequest], steps: int) -> ObservedSteps | None:
        """The observed values of all rows in their next chunks."""
        known = members[0][0].request.observed
        if known is None:
            return None
        parts = [request.observed(which, request.steps[which], steps) for request, which in members]
        rows = _joined(parts, self._filled(len(self.owners)), axis=1)
        return rows._replace(tables=known.tables)  # those of the model


def by_request(owners: Iterable[RowOfRequest]) -> list[tuple[SlotRequest, list[int]]]:
    """The sequences of each request, whose rows are next to each other."""
    return [(request, [number for _, number in own]) for request, own in groupby(owners, itemgetter(0))]


def _joined(parts: Sequence[Any], at: NDArray[np.int64], axis: int = 0) -> Any:
    """Trees of arrays of rows as one, of the rows that `at` names."""
    return jax.tree.map(lambda *leaves: np.take(np.concatenate(leaves, axis), at, axis), *parts)
