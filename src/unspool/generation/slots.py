"""Sequences of many requests side by side: a chunk of steps moves rows on that may belong to any of them.

The step is that of `unspool.generation.sample_step`; every row has its own seed, number of the next step, rule and
constraints. Between two chunks, all that a row takes along is one vector (`Packing`), so a chunk may hold other rows
than the one before: a request enters, pauses and leaves at any of them, and nothing has to be freed.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from unspool.generation.sample_step import (
    COMPILER_OPTIONS,
    FOLD_STEPS,
    BatchRequest,
    ObservedSteps,
    SamplerState,
    sample_block,
    start_sampling,
)
from unspool.generation.sampler import SampleRequest, observed_at, support_of_rows
from unspool.network.decoder import Net, Precomputed
from unspool.network.distributions.base import Support
from unspool.runtime.devices import to_single_precision
from unspool.runtime.programs import program
from unspool.runtime.threefry import seed_words

SLOT_WIDTHS = (2, 16, 64)
"""Rows of a chunk; of the widths that hold its rows, the least."""
CHUNK_STEPS = 16
"""Steps of a chunk."""


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


@program(options=COMPILER_OPTIONS)
def fold_tables(net: Net) -> Precomputed:
    """What no step changes and no row has to itself."""
    context = jnp.zeros((1, net.context_bias.shape[0]))
    return net.precompute(context, SLOT_WIDTHS[-1] * FOLD_STEPS)._replace(constants=())


def _started(net: Net, inputs: Any, sums: Any) -> tuple[SamplerState, Any]:
    state, ready = start_sampling(net, inputs, sums)
    return _rows_first(state), ready.constants


@program(options=COMPILER_OPTIONS)
def start_rows(net: Net, inputs: Any, sums: Any) -> Array:
    """The packed states of rows before their first step."""
    return pack_rows(_started(net, inputs, sums))


@program(static=["packing", "stopping"], options=COMPILER_OPTIONS)
def advance_rows(
    net: Net, tables: Precomputed, packed: Float[Array, "B D"], request: BatchRequest, packing: Packing, stopping: bool
) -> tuple[Array, tuple[Array, ...], Bool[Array, "T B"]]:
    """Move every row a chunk of steps on, from its own next step: the packed states, the values, which are real."""
    state, constants = packing.unpack(packed)
    ready, observed = tables._replace(constants=constants), request.observed
    moving = None if observed is None else observed._replace(tables=())
    state, (values, alive) = sample_block(
        net, ready, _rows_first(state), request, request.first, moving, CHUNK_STEPS, stopping
    )
    return pack_rows((_rows_first(state), constants)), values, alive


class SlotRequest:
    """The sequences of one request on their way through the slots.

    Attributes:
        request: what to generate.
        steps: (N,) steps that each sequence has been moved on; -1 before it is started.
        ended: (N,) which of those that are done ended by themselves.
        parts: by sequence, a list with the values of each field, for every chunk.
        states: of the sequences that were started and are not done, their states, see `Packing`.
        next: number of the first sequence that was not started.
        left: sequences that are not done.
    """

    def __init__(self, net: Net, request: SampleRequest) -> None:
        self.request = request
        count = len(request.inputs[0]) * request.samples
        self.numbers = np.arange(count)
        self.row = self.numbers // request.samples
        self.counters = tuple(part.astype(np.int32) for part in request.counters(self.numbers))
        self.stopping, self.total = request.stopping(net), request.max_steps
        self.ends = request.ends or not self.stopping
        self.seed = seed_words(request.seed)
        leaves, self.rule = jax.tree.flatten(request.rule)
        self.rule_numbers = [np.asarray(leaf) for leaf in leaves]
        self.steps, self.ended = np.full(count, -1), np.full(count, self.ends)
        self.parts: list[list[list[NDArray[Any]]]] = [[] for _ in range(count)]
        self.states: dict[int, NDArray[np.float32]] = {}
        self.next, self.left = 0, count
        if self.total == 0:
            self.next, self.left = count, 0

    @cached_property
    def kind(self) -> tuple[Any, ...]:
        """What the rows of one chunk have in common: it decides the program."""
        row, first = np.arange(1), np.zeros(1, np.int64)
        rest = self.supports(row), self.observed(row, first), self.sums(row)
        return self.stopping, self.rule, jax.tree.structure(rest)

    def inputs(self, which: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """The inputs of some sequences."""
        return tuple(to_single_precision(part[self.row[which]]) for part in self.request.inputs)

    def sums(self, which: NDArray[np.int64]) -> tuple[NDArray[Any] | None, ...]:
        """Where the running sums of some sequences start."""
        row = self.row[which]
        origins = self.request.origins
        return tuple(None if part is None else to_single_precision(part.start[row]) for part in origins)

    def supports(self, which: NDArray[np.int64]) -> tuple[Support | None, ...]:
        """By field, what the samples of some sequences lie in."""
        row, count = self.row[which], len(which)
        return tuple(_of_each(support_of_rows(part, row), count) for part in self.request.supports)

    def observed(self, which: NDArray[np.int64], first: NDArray[np.int64]) -> ObservedSteps | None:
        """The observed values of some sequences in their next chunks, but for the tables."""
        known = self.request.observed
        if known is None:
            return None
        steps = observed_at(self.request, known, self.row[which], first + np.arange(CHUNK_STEPS)[:, None])
        return steps._replace(tables=())

    def waiting(self, most: int, ahead: int | None = None) -> NDArray[np.int64]:
        """Some sequences that are not done, those that were started before others, at most so many.

        With `ahead`, none that has so many steps already.
        """
        ready = [k for k in self.states if ahead is None or self.steps[k] < ahead][:most]
        fresh = range(self.next, min(self.next + most - len(ready), len(self.numbers)))
        return np.array([*ready, *fresh], np.int64)

    def started(self, which: NDArray[np.int64], packed: NDArray[np.float32]) -> None:
        """Keep the states of sequences before their first step, in the order of `waiting`."""
        self.states |= zip(which.tolist(), packed, strict=True)
        self.steps[which] = 0
        self.next += len(which)

    @property
    def progress(self) -> int:
        """Steps that every sequence has, or has ended before."""
        if self.left == 0:
            return self.total
        slowest = min((int(self.steps[k]) for k in [*self.states]), default=0)
        return 0 if self.next < len(self.numbers) else slowest

    def take(self, number: int, state: NDArray[np.float32], values: list[NDArray[Any]], alive: int) -> None:
        """Keep the steps of a chunk of one sequence, of which the first so many are real, and its state behind them."""
        before = int(self.steps[number])
        here = min(CHUNK_STEPS, self.total - before)
        length = min(alive, here)
        self.parts[number].append([part[:length] for part in values])
        self.steps[number] = before + length
        if length < here or before + here >= self.total:
            self.ended[number] = length < here or self.ends
            del self.states[number]
            self.left -= 1
        else:
            self.states[number] = state

    def values(self, empty: Sequence[NDArray[Any]]) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64]]:
        """The values of all sequences end to end, by field, and their offsets; `empty` are no values of each field."""
        offsets = np.concatenate([[0], np.cumsum(np.maximum(self.steps, 0))]).astype(np.int64)
        chunks = [part for parts in self.parts for part in parts]
        return tuple(np.concatenate([none, *(part[j] for part in chunks)]) for j, none in enumerate(empty)), offsets


def _of_each(support: Support | None, count: int) -> Support | None:
    """A support of every row, and nothing that all rows share."""
    if support is None:
        return None
    low, high = (np.asarray(end, np.float32) for end in (support.low, support.high))
    symbols = None if support.symbols is None else np.broadcast_to(support.symbols, (count, len(support.symbols)))
    low, high = (end if end.ndim else np.broadcast_to(end, count) for end in (low, high))
    return Support(low, high, symbols, np.broadcast_to(np.asarray(support.present), count))


class Slots:
    """The programs of one network, for chunks of some widths, and what they share."""

    def __init__(self, net: Net, widths: tuple[int, ...] = SLOT_WIDTHS) -> None:
        self.net, self.widths, self.tables = net, widths, fold_tables(net)
        self.packings: dict[Any, Packing] = {}
        self.prepared: set[Any] = set()
        self.preparing = threading.Lock()

    def advance(self, members: Sequence[tuple[SlotRequest, NDArray[np.int64]]]) -> None:
        """Move some sequences of requests of one kind a chunk on; there are no more of them than the greatest width."""
        self._start(members)
        first = [request.steps[which] for request, which in members]
        count = sum(map(len, first))
        width = next(width for width in self.widths if width >= count)
        fill = np.minimum(np.arange(width), count - 1)
        states = [request.states[k] for request, which in members for k in which.tolist()]
        packed = np.stack(states)[fill]
        request = self._batch(members, first, fill)
        packing, stopping = self.packings[members[0][0].kind], members[0][0].stopping
        tree = advance_rows(self.net, self.tables, packed, request, packing, stopping)
        packed, values, alive = jax.tree.map(np.asarray, tree)
        by_row = [part.swapaxes(0, 1) for part in values]
        lengths, at = alive.sum(0).tolist(), 0
        for request_, which in members:
            for number in which.tolist():
                request_.take(number, packed[at], [part[at] for part in by_row], lengths[at])
                at += 1

    def prepare(self, request: SlotRequest) -> None:
        """Compile the programs of the kind of a request for every width: no chunk waits for a compiler."""
        if request.kind in self.prepared:
            return
        with self.preparing:
            for width in self.widths if request.kind not in self.prepared else ():
                self.advance([(SlotRequest(self.net, request.request), np.zeros(1, np.int64)) for _ in range(width)])
            self.prepared.add(request.kind)

    def _start(self, members: Sequence[tuple[SlotRequest, NDArray[np.int64]]]) -> None:
        new = [(request, which[request.steps[which] < 0]) for request, which in members]
        new = [(request, which) for request, which in new if len(which)]
        if not new:
            return
        count = sum(len(which) for _, which in new)
        width = next(width for width in self.widths if width >= count)
        fill = np.minimum(np.arange(width), count - 1)
        inputs = _joined([request.inputs(which) for request, which in new], fill)
        sums = _joined([request.sums(which) for request, which in new], fill)
        kind = members[0][0].kind
        if kind not in self.packings:
            self.packings[kind] = Packing.of(jax.eval_shape(_started, self.net, inputs, sums))
        packed, at = np.asarray(start_rows(self.net, inputs, sums)), 0
        for request, which in new:
            request.started(which, packed[at : at + len(which)])
            at += len(which)

    def _batch(self, members: Any, first: list[NDArray[np.int64]], fill: NDArray[np.int64]) -> BatchRequest:
        requests = [request for request, _ in members]
        owner = np.repeat(np.arange(len(members)), [len(which) for _, which in members])[fill]
        row, sample = (np.concatenate([r.counters[k][which] for r, which in members])[fill] for k in (0, 1))
        numbers = [np.stack(column)[owner] for column in zip(*(r.rule_numbers for r in requests), strict=True)]
        supports = _joined([request.supports(which) for request, which in members], fill)
        given, observed = requests[0].request.observed, None
        if given is not None:
            parts = [request.observed(which, at) for (request, which), at in zip(members, first, strict=True)]
            observed = _joined(parts, fill, axis=1)._replace(tables=given.tables)  # those of the model
        return BatchRequest(
            seed=np.stack([request.seed for request in requests], 1)[:, owner],
            row=row,
            sample=sample,
            first=jnp.asarray(np.concatenate(first)[fill].astype(np.int32)),
            end=jnp.int32(0),
            rule=jax.tree.unflatten(requests[0].rule, numbers),
            supports=supports,
            observed=observed,
        )


def _joined(parts: Sequence[Any], fill: NDArray[np.int64], axis: int = 0) -> Any:
    """Trees of arrays of rows as one, of the rows that `fill` names."""
    join: Callable[..., Any] = lambda *leaves: np.take(np.concatenate(leaves, axis), fill, axis)  # noqa: E731
    return jax.tree.map(join, *parts)
