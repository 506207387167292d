"""Beam search: the likeliest sequences of each input, best first, instead of sampled ones.

Graves 2012 (arXiv:1211.3711) for recurrent networks, with the length penalty of Wu et al. 2016 (arXiv:1609.08144):

    score = log P(sequence) / ((5 + n) / 6) ** penalty,     n steps

The search is over the distribution that sampling uses. A step is: stop?, then the fields in order, and the beam decides
likewise: every hypothesis may end here; then the fields, one after another, extend all of them by all symbols, and the
K likeliest go on. Ended hypotheses take no slot of the beam. One that has not stopped at the limit competes without the
probability of a stop that did not happen.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid
from jaxtyping import Array, Bool, Float, Int, Shaped
from numpy.typing import NDArray

from unspool.errors import OptionError
from unspool.generation.sample_step import (
    BLOCK_STEPS,
    STREAM_STEPS,
    ObservedSteps,
    Supports,
    start_sampling,
)
from unspool.generation.sampler import TILE_ROWS, SampleRequest, observed_steps
from unspool.network.decoder import DecoderState, Net, Precomputed
from unspool.network.distributions.categorical import Categorical
from unspool.network.lstm import State
from unspool.network.outputs import DecoderOutput
from unspool.options import Beam
from unspool.runtime.devices import to_single_precision
from unspool.runtime.programs import GENERATION_OPTIONS, program


class LiveHypotheses(NamedTuple):
    """The hypotheses that go on: the network's state of each, row by row and best first, and their log-probability."""

    decoder: DecoderState
    nats: Float[Array, "B K"]


class EndedHypotheses(NamedTuple):
    """The best hypotheses that have ended.

    Attributes:
        score: best first; minus infinity where there are fewer yet.
        steps: of each hypothesis.
        slot: in the beam, when it ended.
    """

    score: Float[Array, "B N"]
    steps: Int[Array, "B N"]
    slot: Int[Array, "B N"]


class Trail(NamedTuple):
    """What leads back from the end of a hypothesis to its start: by step, its slot before the step, and its values."""

    parents: Int[Array, "T B K"]
    values: tuple[Int[Array, "T B K"], ...]


class Goal(NamedTuple):
    """Where a search ends: the last step, and the exponent of the length penalty."""

    total: Int[Array, ""]
    penalty: Float[Array, ""]


class BeamResult(NamedTuple):
    """The sequences of a search, row by row and best first: flat values, offsets, which stopped, nats, and scores."""

    values: tuple[NDArray[Any], ...]
    offsets: NDArray[np.int64]
    ended: NDArray[np.bool_]
    nats: NDArray[np.float64]
    scores: NDArray[np.float64]


@program(static=["width", "best"], options=GENERATION_OPTIONS)
def start(
    net: Net, inputs: tuple[Array, ...], goal: Goal, width: int, best: int
) -> tuple[LiveHypotheses, EndedHypotheses, Precomputed]:
    """One empty hypothesis for each input, in beams of `width` slots; the others are impossible.

    The search finds every other sequence on its way; the empty one has ended where no steps are asked for.
    """
    B = inputs[0].shape[0]
    state, ready = start_sampling(net, tuple(jnp.repeat(a, width, 0) for a in inputs))
    nats = jnp.full((B, width), -jnp.inf).at[:, 0].set(0.0)
    score = jnp.full((B, best), -jnp.inf).at[:, 0].set(jnp.where(goal.total == 0, 0.0, -jnp.inf))
    zero = jnp.zeros((B, best), jnp.int32)
    return LiveHypotheses(state.decoder, nats), EndedHypotheses(score, zero, zero), ready


@program(static=["steps", "stopping"], options=GENERATION_OPTIONS)
def extend(
    net: Net,
    ready: Precomputed,
    live: LiveHypotheses,
    ended: EndedHypotheses,
    goal: Goal,
    first: Int[Array, ""],
    supports: Supports,
    observed: ObservedSteps | None,
    steps: int,
    stopping: bool,
) -> tuple[LiveHypotheses, EndedHypotheses, Trail, Bool[Array, ""]]:
    """Move every beam `steps` steps on; the last value says whether nothing that goes on can still win.

    `ready` has a row for each hypothesis, `first` is the number of the first of these steps, and `supports` has by
    field which symbols are allowed. Steps past the goal don't count; the hazard of stopping counts only with
    `stopping`.
    """
    none = net.masks()
    tables = () if observed is None else observed.tables

    def one_step(
        live: LiveHypotheses, now: tuple[Array, ObservedSteps | None]
    ) -> tuple[LiveHypotheses, tuple[Trail, Array | None, Array]]:
        number, observed = now
        output, lstm = net.step(ready, live.decoder.feedback, live.decoder.lstm, none)
        nats, stopped = live.nats, None
        if stopping:
            hazard = net.hazard(output, number[None]).reshape(nats.shape)
            stopped = nats + log_sigmoid(hazard)
            if observed is not None:
                stopped = jnp.where(observed.unfinished[:, None], -jnp.inf, stopped)
            nats += log_sigmoid(-hazard)
        given = None if observed is None else observed._replace(tables=tables)
        nats, parents, values = _best_values(net, ready, output, nats, supports, given)
        lstm = State(*(_of_parents(part, parents) for part in lstm))
        feedback = net.feed_back(ready, tuple(value.reshape(-1) for value in values))
        return LiveHypotheses(DecoderState(lstm, feedback), nats), (Trail(parents, values), stopped, nats)

    moving = None if observed is None else observed._replace(tables=())
    live, (trail, stopped, nats) = jax.lax.scan(one_step, live, (first + jnp.arange(steps), moving))
    ended = _entered(ended, stopped, nats, goal, first)
    # Nats only fall from here on, and no later end divides them by more than the last one.
    bound = live.nats[:, 0] / length_penalty(goal.total, goal.penalty)
    return live, ended, trail, (ended.score[:, -1] >= bound).all()


@program()
def retrace(
    trail: Trail, slot: Int[Array, "B N"], steps: Int[Array, "B N"], first: Int[Array, ""]
) -> tuple[Int[Array, "B N"], tuple[Int[Array, "T B N"], ...]]:
    """Follow hypotheses back through steps from `first` on: their slots in the beam before these, and their values.

    `slot` is that after these steps, or after the last of the hypothesis's `steps`; values past its end mean nothing.
    """

    def back(slot: Array, now: tuple[Trail, Array]) -> tuple[Array, tuple[Array, ...]]:
        trail, t = now
        values = tuple(jnp.take_along_axis(v, slot, 1) for v in trail.values)
        return jnp.where(t < steps, jnp.take_along_axis(trail.parents, slot, 1), slot), values

    number = first + jnp.arange(trail.parents.shape[0])
    return jax.lax.scan(back, slot, (trail, number), reverse=True)


def check_beam(beam: Beam, net: Net, names: Sequence[str], samples: int) -> None:
    """Refuse options that a beam can't search with; `samples` of 1 leaves the number of sequences to the beam.

    Raises:
        OptionError: a step field is a number, and it is named; or another number of sequences than the beam's.
    """
    pairs = zip(names, net.distributions, strict=True)
    numbers = ", ".join(dict.fromkeys(repr(name) for name, dist in pairs if not isinstance(dist, Categorical)))
    if numbers:
        hint = 'The most probable number is its mode: use rule="greedy", or a low Sampling(temperature=...).'
        raise OptionError("rule", "categories only, for a beam search", f"numbers: {numbers}", hint)
    if samples not in (1, beam.best):
        hint = f"A beam gives its best sequences: ask for Beam(best={samples})."
        raise OptionError(f"n={samples}", f"1, or as many as Beam(best={beam.best})", str(samples), hint)


def search(
    net: Net,
    request: SampleRequest,
    beam: Beam,
    rows: slice | None = None,
    report: Callable[[float], None] = lambda done: None,
) -> BeamResult:
    """The likeliest sequences of some rows of a request (`None` is all), as many as its samples, best first.

    All step fields are categorical; seed and rule of the request don't matter. `report` is told the share that is done.

    Raises:
        OptionError: there are fewer sequences than asked for.
    """
    _check_enough(net, request)
    rows, tile = rows or slice(0, len(request.inputs[0])), max(TILE_ROWS // beam.width, 1)
    tiles = [slice(k, min(k + tile, rows.stop)) for k in range(rows.start, rows.stop, tile)]
    parts = []
    for part in tiles:
        parts.append(_tile(net, request, beam, part))
        report((part.stop - rows.start) / (rows.stop - rows.start))
    fields = [[part[0][j] for part in parts] for j in range(len(net.shape.steps.params))]
    values = tuple(np.concatenate([np.zeros(0, np.int32), *field]) for field in fields)
    steps = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)])
    scores = np.concatenate([np.zeros(0), *(part[2] for part in parts)])
    offsets = np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)
    ended = (steps < request.max_steps) | (not request.stopping(net))
    return BeamResult(values, offsets, ended, scores * length_penalty(steps, beam.length_penalty), scores)


def _tile(
    net: Net, request: SampleRequest, beam: Beam, rows: slice
) -> tuple[tuple[NDArray[np.int32], ...], NDArray[np.int64], NDArray[np.float64]]:
    """Values per field of some rows' sequences, end to end, their numbers of steps, and their scores."""
    number = np.arange(rows.start, rows.stop)
    count = len(number)
    row = np.minimum(np.arange(1 << (count - 1).bit_length()), count - 1) + rows.start
    total, stopping = request.max_steps, request.stopping(net)
    goal = Goal(jnp.int32(total), jnp.float32(beam.length_penalty))
    inputs = tuple(to_single_precision(a[row]) for a in request.inputs)
    live, ended, ready = start(net, inputs, goal, beam.width, request.samples)
    chunk, trails = BLOCK_STEPS if total > BLOCK_STEPS else STREAM_STEPS, []
    for first in range(0, total, chunk):
        observed = observed_steps(request, row, first, chunk)
        which = (goal, jnp.int32(first), request.supports, observed)
        live, ended, trail, over = extend(net, ready, live, ended, *which, steps=chunk, stopping=stopping)
        trails.append(trail)
        if stopping and bool(over):
            break
    slot, found = ended.slot, []
    for k, trail in reversed(list(enumerate(trails))):
        slot, values = retrace(trail, slot, ended.steps, jnp.int32(k * chunk))
        found.append(values)
    lengths = np.asarray(ended.steps)[:count].astype(np.int64)
    real = np.arange(len(trails) * chunk) < lengths[..., None]
    no_steps = np.zeros((0, len(row), request.samples), np.int32)
    flat = []
    for j in range(len(net.shape.steps.params)):
        steps = np.concatenate([no_steps, *(np.asarray(values[j]) for values in reversed(found))])
        flat.append(steps.transpose(1, 2, 0)[:count][real])
    return tuple(flat), lengths.reshape(-1), np.asarray(ended.score)[:count].astype(np.float64).reshape(-1)


def length_penalty(steps: Any, penalty: Any) -> Any:
    """The divisor of the log-probability of a sequence of n steps: ((5 + n) / 6) ** penalty."""
    return ((5.0 + steps) / 6.0) ** penalty


def _check_enough(net: Net, request: SampleRequest) -> None:
    """Refuse to search for more sequences than there are."""
    total, stopping = request.max_steps, request.stopping(net)
    longest, count = 1, 1
    for t in range(total):
        if count >= request.samples:
            return
        unfinished = request.observed is not None and bool((t < np.diff(request.observed.offsets)).any())
        longest *= math.prod(_choices(net, request, j, t) for j in range(len(net.shape.steps.params)))
        count = count + longest if stopping and not unfinished else longest
    if count < request.samples:
        found = f"{request.samples}, where there are {count} of {'at most ' * stopping}{total} steps"
        raise OptionError(f"Beam(best={request.samples})", "no more sequences than there are", found)


def _choices(net: Net, request: SampleRequest, j: int, t: int) -> int:
    """Symbols that field j may have at a step, in the row that has the fewest."""
    dist = net.field(j)[0]
    assert isinstance(dist, Categorical)  # noqa: S101  # `check_beam` refuses others
    V = int(dist.num_symbols)
    support = request.supports[j] if request.supports else None
    allowed = np.ones(V, bool) if support is None else np.asarray(support.symbols)[:V]
    observed = request.observed
    if observed is None:
        return int(allowed.sum())
    at = observed.offsets[:-1] + t
    at = at[at < observed.offsets[1:]]
    field, table = observed.fields[j], observed.tables[j]
    members = np.arange(V)[:, None] if table is None else table[:V]
    value, where = (part[at].reshape(len(at), 1, members.shape[1]) for part in (field.values, field.where))
    fits = ((members == value) | ~where).all(-1) & (allowed | where.all(-1))
    return int(fits.sum(1).min(initial=allowed.sum()))


def _best_values(
    net: Net,
    ready: Precomputed,
    output: DecoderOutput,
    nats: Float[Array, "B K"],
    supports: Supports,
    observed: ObservedSteps | None,
) -> tuple[Float[Array, "B K"], Int[Array, "B K"], tuple[Int[Array, "B K"], ...]]:
    """The K best ways to go on for one step: their nats, which hypotheses they go on from, and their values."""
    B, K = nats.shape
    parents = jnp.broadcast_to(jnp.arange(K), nats.shape)
    values: tuple[Array, ...] = ()
    context = net.outputs.begin(output)
    for j, dist in enumerate(net.distributions):
        assert isinstance(dist, Categorical)  # noqa: S101  # `check_beam` refuses others
        each = nats[..., None] + dist.log_probs(net.outputs.params(context, j)).reshape(B, K, -1)
        V = each.shape[-1]
        support = supports[j] if supports else None
        known = jnp.arange(V) < dist.num_symbols
        fits = jnp.broadcast_to(known if support is None else known & support.symbols, (B, V))
        if observed is not None:
            joint = observed.tables[j]
            table = jnp.arange(V)[:, None] if joint is None else joint
            value, where = (part[j].reshape(B, 1, -1) for part in (observed.values, observed.where))
            # Values that are observed as a whole, such as those of a prefix, need not be allowed.
            fits = known & ((table == value) | ~where).all(-1) & (fits | where.all(-1))
        each = jnp.where(fits[:, None], each, -jnp.inf)
        nats, at = jax.lax.top_k(each.reshape(-1, K * V), K)
        chosen = at // V
        parents = jnp.take_along_axis(parents, chosen, 1) if j else chosen
        values = (*(jnp.take_along_axis(v, chosen, 1) for v in values), at % V)
        if j + 1 < len(net.shape.steps.params):
            context = jax.tree.map(partial(_of_parents, parents=chosen), context)
            context = net.condition_on(ready, context, j, values[j].reshape(-1))
    return nats, parents, values


def _of_parents(rows: Shaped[Array, "*L BK H"], parents: Int[Array, "B K"]) -> Shaped[Array, "*L BK H"]:
    """The rows of the hypothesis that each goes on from."""
    B, K = parents.shape
    return rows[..., (jnp.arange(B)[:, None] * K + parents).reshape(-1), :]


def _entered(
    ended: EndedHypotheses,
    stopped: Float[Array, "T B K"] | None,
    nats: Float[Array, "T B K"],
    goal: Goal,
    first: Int[Array, ""],
) -> EndedHypotheses:
    """The best of those that had ended, those that stop before one of these steps, and those cut at the last step."""
    number = first + jnp.arange(nats.shape[0])[:, None, None]
    nats = jnp.where(number + 1 == goal.total, nats, -jnp.inf)
    cut = EndedHypotheses(nats.max(0) / length_penalty(goal.total, goal.penalty), *_whereabouts(goal.total, nats[:1]))
    groups = [ended, cut]
    if stopped is not None:
        score = jnp.where(number < goal.total, stopped, -jnp.inf) / length_penalty(number, goal.penalty)
        groups.insert(1, EndedHypotheses(_by_row(score), *_whereabouts(number, stopped)))
    score, steps, slot = (jnp.concatenate(parts, 1) for parts in zip(*groups, strict=True))
    score, at = jax.lax.top_k(score, ended.score.shape[1])
    return EndedHypotheses(score, jnp.take_along_axis(steps, at, 1), jnp.take_along_axis(slot, at, 1))


def _whereabouts(number: Array, like: Float[Array, "T B K"]) -> tuple[Int[Array, "B TK"], Int[Array, "B TK"]]:
    """Numbers of steps, and slots in the beam, of all hypotheses of some steps."""
    slot = jnp.broadcast_to(jnp.arange(like.shape[-1]), like.shape)
    return _by_row(jnp.broadcast_to(number, like.shape)), _by_row(slot)


def _by_row(part: Array) -> Array:
    """(T, B, K) as (B, T K)."""
    return part.transpose(1, 0, 2).reshape(part.shape[1], -1)
