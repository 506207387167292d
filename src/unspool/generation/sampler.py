"""The one program that generates: `advance` moves a batch of sequences some steps on.

Whole batches, tiles of a large request and streams are loops over it, and differ only in how many rows and steps they
ask for at once. What a sequence becomes depends on none of that, since its uniforms depend on none of it. So rows are
spread over devices too, and each stops by itself when all of its sequences have ended.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Int, UInt32
from numpy.typing import NDArray

from unspool.constraints.cumulative import CumulativeOrigin
from unspool.constraints.pins import Observed
from unspool.errors import OptionError
from unspool.network.cumulative import CumulativeRule
from unspool.network.decoder import Feedback, Net, Precomputed
from unspool.network.distributions.base import Distribution, Support, per_step, unwrapped
from unspool.network.distributions.categorical import Bernoulli, Categorical
from unspool.network.distributions.mixture import Point
from unspool.network.distributions.rules import Rule
from unspool.network.lstm import State
from unspool.options import Sampling
from unspool.runtime.devices import ROW_AXIS, available, device_lock, mesh, put_on_devices
from unspool.runtime.threefry import Ints, seed_words, uniforms

TILE_ROWS = 1024
"""Rows of one batch at the most."""
BLOCK_STEPS, STREAM_STEPS = 64, 8
"""Steps between two looks at whether all sequences have ended; the shorter one serves streams, and sequences shorter
than the longer one."""
MAX_DISPATCH_STEPS = 4096
"""Steps of one dispatch at the most. They are a power of two, so that few lengths are compiled."""
FOLD_COUNT = 512
"""Steps for which it pays to fold tables."""
MIN_WORK_PER_DEVICE = 2048
"""Rows times hidden units that are worth a device."""
COMPILER_OPTIONS = {"xla_cpu_prefer_vector_width": 512}
"""Where a processor has vectors of 512 bits, use all of them: gates are half of what isn't matrix products here."""


RunningSums = tuple[Any, ...]
"""By field, where its values stand that add up, (B,); else `None`. None at all where nobody asks."""
Rooms = tuple[Support | None, ...]
"""By field, what its draws are confined to, or `None`; none at all where nothing is."""


class SequenceIds(NamedTuple):
    """Which sequences a batch makes: the input row of each, and which of that row's samples it is."""

    row: Int[Ints, " B"]
    sample: Int[Ints, " B"]


class SamplerState(NamedTuple):
    """What goes from step to step.

    Attributes:
        state: of the layers.
        x: what the next step reads.
        done: which sequences have ended.
        heights: by field, where its values stand that add up; else `None`.
    """

    state: State
    x: Feedback
    done: Bool[Array, " B"]
    heights: RunningSums


class ObservedSteps(NamedTuple):
    """What is given of some steps rather than drawn.

    Attributes:
        values: per field; of a field whose values add up, heights.
        where: per field, where its value is given; of a block, which members.
        most: per field, the next given height of one that never falls, which none before may pass; else `None`.
        going: before the last given value of a sequence, where it doesn't end.
    """

    values: tuple[Array | NDArray[Any], ...]
    where: tuple[Array | NDArray[np.bool_], ...]
    most: tuple[Array | NDArray[Any] | None, ...]
    going: Bool[Ints, "T B"]


class Chunk(NamedTuple):
    """Steps as they come: one (T, B) array per field, and which of them are real."""

    values: tuple[NDArray[Any], ...]
    alive: NDArray[np.bool_]


class SampleRequest(NamedTuple):
    """What to generate.

    Attributes:
        inputs: one array per input field.
        samples: sequences per row.
        seed: of all uniforms.
        rule: how steps are drawn.
        length: exact number of steps, or `None` where the network decides.
        limit: steps at the most where it decides.
        tracks: by field, where the values of each row start that add up, or `None`; none at all where no field has
            a path.
        supports: by field, what its draws are confined to, or `None`: `low` and `high` as numbers, or of every row; of
            a field whose values add up, of its heights.
        observed: what is given, or `None`.
        first_row: number of the first row, where the rows are a part of a larger request.
    """

    inputs: tuple[NDArray[Any], ...]
    samples: int
    seed: int
    rule: Rule
    length: int | None
    limit: int
    origins: tuple[CumulativeOrigin | None, ...] = ()
    supports: tuple[Support | None, ...] = ()
    observed: Observed | None = None
    first_row: int = 0


def start_sampling(
    net: Net, inputs: tuple[Array | NDArray[Any], ...], heights: RunningSums = ()
) -> tuple[SamplerState, Precomputed]:
    """The inputs become initial states; what no step changes is computed."""
    state, context = net.encode(inputs)  # type: ignore[arg-type]
    B = inputs[0].shape[0]
    return SamplerState(state, net.start_rows(B), jnp.zeros(B, bool), heights), net.prepare(context, B * FOLD_COUNT)


begin = jax.jit(start_sampling)


@partial(jax.jit, static_argnames=("steps", "stopping", "devices"), compiler_options=COMPILER_OPTIONS)
def launch(
    net: Net,
    inputs: tuple[Array | NDArray[Any], ...],
    heights: RunningSums,
    *which: Any,
    steps: int,
    stopping: bool,
    devices: int = 1,
) -> tuple[Precomputed, SamplerState, tuple[tuple[Array, ...], Bool[Array, "T B"]]]:
    """`begin` and the first `advance` as one program: `(ready, carry, (values per field, which are real))`."""
    carry, ready = start_sampling(net, inputs, heights)
    plain = advance.__wrapped__  # type: ignore[attr-defined]  # options are the outermost program's alone
    return ready, *plain(net, ready, carry, *which, steps=steps, stopping=stopping, devices=devices)


@partial(jax.jit, static_argnames=("steps", "stopping", "devices"), compiler_options=COMPILER_OPTIONS)
def advance(
    net: Net,
    ready: Precomputed,
    carry: SamplerState,
    seed: UInt32[Ints, "2"],
    who: SequenceIds,
    first: Int[Array, ""],
    end: Int[Array, ""],
    rule: Rule,
    supports: Rooms,
    given: ObservedSteps | None,
    steps: int,
    stopping: bool,
    devices: int = 1,
) -> tuple[SamplerState, tuple[tuple[Array, ...], Bool[Array, "T B"]]]:
    """Move every sequence `steps` steps on: `(carry, (values per field, which are real))`.

    Args:
        net: the network.
        ready: from `begin`.
        carry: from `begin`, or from the call before.
        seed: two words.
        who: which sequences these are.
        first: number of the first of these steps.
        end: number of the step from which on none is wanted.
        rule: how steps are drawn.
        supports: see `SampleRequest`, by row.
        given: what is not drawn, or `None`.
        steps: how many; past `BLOCK_STEPS`, a multiple of it.
        stopping: whether the hazard of stopping decides the end; its uniform is consumed either way.
        devices: that share the rows.
    """
    whole, rows, along = P(), P(ROW_AXIS), P(None, ROW_AXIS)
    specs: Any = (
        whole,
        Precomputed(whole, whole, whole, rows),  # type: ignore[arg-type]
        carried := SamplerState(State(along, along), rows, rows, rows),  # type: ignore[arg-type]
        whole,
        rows,
        whole,
        whole,
        whole,
        tuple(
            whole if support is None or support.symbols is not None else Support(rows, rows, whole, whole)
            for support in supports
        ),
        along,
    )
    local = jax.shard_map(
        partial(_advance, steps=steps, stopping=stopping),
        mesh=mesh(devices),
        in_specs=specs,
        out_specs=(carried, (along, along)),
        check_vma=False,
    )
    return local(net, ready, carry, seed, who, first, end, rule, supports, given)


def _advance(
    net: Net,
    ready: Precomputed,
    carry: SamplerState,
    seed: Ints,
    who: SequenceIds,
    first: Array,
    end: Array,
    rule: Rule,
    supports: Rooms,
    given: ObservedSteps | None,
    *,
    steps: int,
    stopping: bool,
) -> tuple[SamplerState, tuple[tuple[Array, ...], Array]]:
    """What every device does with its rows: block by block, until all of them have ended."""
    block = min(steps, BLOCK_STEPS)

    def some(carry: SamplerState, at: Array) -> tuple[SamplerState, tuple[tuple[Array, ...], Array]]:
        numbers = first + at + jnp.arange(block)
        draws = uniforms(seed, who.row, who.sample, numbers, net.shape.num_uniforms)
        part = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, at, block), given)
        return jax.lax.scan(partial(sample_step, net, ready, rule, stopping, supports), carry, (numbers, draws, part))

    if block == steps:
        return some(carry, jnp.int32(0))
    Moving = tuple[Array, SamplerState, tuple[tuple[Array, ...], Array]]

    def going(moving: Moving) -> Array:
        at, carry, _ = moving
        wanted = (at < steps) & (first + at < end)
        return wanted & ~carry.done.all() if stopping else wanted

    def move(moving: Moving) -> Moving:
        at, carry, made = moving
        carry, new = some(carry, at)
        put = lambda whole, part: jax.lax.dynamic_update_slice_in_dim(whole, part, at, 0)  # noqa: E731
        return at + block, carry, jax.tree.map(put, made, new)

    shapes = jax.eval_shape(some, carry, jnp.int32(0))[1]
    made = jax.tree.map(lambda like: jnp.zeros((steps, *like.shape[1:]), like.dtype), shapes)
    _, carry, made = jax.lax.while_loop(going, move, (jnp.int32(0), carry, made))
    return carry, made


def sample_step(
    net: Net,
    ready: Precomputed,
    rule: Rule,
    stopping: bool,
    supports: Rooms,
    carry: SamplerState,
    now: tuple[Int[Array, ""], Array, ObservedSteps | None],
) -> tuple[SamplerState, tuple[tuple[Array, ...], Array]]:
    """One step of every sequence: whether it stops, then its fields in order."""
    number, u, given = now
    shape = net.shape
    top, state = net.step(ready, carry.x, carry.state, net.masks())
    done, at = carry.done, int(shape.stops)
    if stopping:
        stop = Bernoulli().sample(net.hazard(top, number), u[:, :1], Rule(rule.greedy)) > 0.5
        done = done | (stop if given is None else stop & ~given.going)
    values: tuple[Array, ...] = ()
    heights: RunningSums = ()
    told = net.step_context(top)
    for j, dist in enumerate(shape.distributions):
        support, path, height = (
            supports[j] if supports else None,
            net.path(j),
            carry.heights[j] if carry.heights else None,
        )
        fact = None if given is None else ObservedValue(given.values[j], given.where[j], given.most[j])
        if path is not None and height is not None:
            support, fact = to_increment(path, height, support, fact, number)
        value = sample_field(dist, net.params(told, j), u[:, at : at + dist.num_uniforms], rule, support, fact)
        if path is not None and height is not None:
            height = path.after(height, value)
            if given is not None:
                height = jnp.where(given.where[j] & ~jnp.isnan(given.values[j]), given.values[j], height)
        values, heights = (*values, value), (*heights, height)
        told = net.condition_on(ready, told, j, value)
        at += dist.num_uniforms
    return SamplerState(state, net.feed(ready, values), done, heights if carry.heights else ()), (values, ~done)


class ObservedValue(NamedTuple):
    """What is given of one field at one step, see `ObservedSteps`."""

    value: Any
    where: Any
    most: Any


def sample_field(
    dist: Distribution,
    params: Array,
    uniforms: Array,
    rule: Rule,
    support: Support | None = None,
    fact: ObservedValue | None = None,
) -> Array:
    """The value of a field: what is given, or else a draw within its room."""
    number = dist.symbols is None and dist.members is None
    if fact is not None and dist.members is not None:
        low = jnp.where(fact.where, fact.value, -1.0 if support is None else support.low)
        high = jnp.where(fact.where, fact.value, 1.0 if support is None else support.high)
        support = Support(low, high, present=(fact.where & ~jnp.isnan(fact.value)).any(-1))
    value = dist.sample(params, uniforms, rule, support)
    if support is not None and number:
        value = support.hold(value)
    return value if fact is None else jnp.where(per_step(fact.where, value), fact.value, value)


def to_increment(
    path: CumulativeRule, height: Array, support: Support | None, fact: ObservedValue | None, step: Array
) -> tuple[Support | None, ObservedValue | None]:
    """Room and fact, which speak of heights, as what they are of the step from one height to the next."""
    if support is not None and fact is not None and fact.most is not None:
        support = support._replace(high=jnp.minimum(support.high, fact.most))
    return path.support(height, support, step), None if fact is None else fact._replace(
        value=path.towards(height, fact.value)
    )


def check_sampling(sampling: Sampling, net: Net) -> None:
    """Refuse a rule that no field of this model can take.

    Raises:
        OptionError: it names the option.
    """
    inner = [unwrapped(dist) for dist in net.shape.distributions]
    symbols = any(isinstance(dist, Categorical) for dist in inner)
    if sampling.top_k is not None and not symbols:
        hint = "Use top_p, min_p or temperature, which act on numbers too."
        raise OptionError(
            f"Sampling(top_k={sampling.top_k})", "a field of categories to choose from", "numbers only", hint
        )
    random = sampling.temperature != 1 or sampling.top_p is not None or sampling.min_p is not None
    if random and all(isinstance(dist, Point) for dist in inner):
        raise OptionError(
            "rule",
            "a distribution with a spread",
            "point distributions only, which draw nothing",
            "Fit another distribution.",
        )


def chunks(net: Net, request: SampleRequest, rows: slice, chunk: int) -> Iterator[Chunk]:
    """Steps of one tile of a request, some at a time, until all its sequences have ended.

    Args:
        net: the network.
        request: what to generate.
        rows: which of its sequences, counted as row times samples plus sample.
        chunk: steps of one dispatch at the most, a power of two.
    """
    number = np.arange(rows.start, rows.stop)
    count = len(number)
    padded = np.minimum(np.arange(1 << (count - 1).bit_length()), count - 1) + rows.start
    row = padded // request.samples
    who = SequenceIds((row + request.first_row).astype(np.int32), (padded % request.samples).astype(np.int32))
    inputs = tuple(to_single_precision(a[row]) for a in request.inputs)
    worth = int(len(padded) * net.shape.size // MIN_WORK_PER_DEVICE)
    devices = next(d for d in (4, 2, 1) if d == 1 or d <= min(available(), worth, len(padded)))
    net = net if devices == 1 else put_on_devices(net, devices)
    seed, rule = seed_words(request.seed), request.rule
    total = request.limit if request.length is None else request.length
    stopping = net.stop is not None and request.length is None
    steps = min(chunk, max(STREAM_STEPS, 1 << (total - 1).bit_length()))
    how = {"steps": steps, "stopping": stopping, "devices": devices}
    ready, carry = None, None
    heights = tuple(None if origin is None else to_single_precision(origin.start[row]) for origin in request.origins)
    supports = tuple(support_of_rows(support, row) for support in request.supports)
    for first in range(0, total, steps):
        which = seed, who, np.int32(first), np.int32(total), rule, supports, observed_steps(request, row, first, steps)
        with device_lock(devices):
            if carry is None:
                ready, carry, made = launch(net, inputs, heights, *which, **how)
            else:
                carry, made = advance(net, ready, carry, *which, **how)
            values, alive = jax.tree.map(np.asarray, made)
            ended = stopping and bool(np.asarray(carry.done)[:count].all())
        cut = (slice(min(steps, total - first)), slice(count))
        yield Chunk(tuple(v[cut] for v in values), alive[cut])
        if ended:
            return


def sample_sequences(
    net: Net, request: SampleRequest, part: slice | None = None
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64], NDArray[np.bool_]]:
    """Sequences of a request: flat values per field, offsets, and which sequences ended by themselves.

    Args:
        net: the network.
        request: what to generate.
        part: which of its sequences, counted row by row, and within a row sample by sample; `None` is all of them.
    """
    part = part or slice(0, len(request.inputs[0]) * request.samples)
    flat: list[list[NDArray[Any]]] = [[] for _ in net.shape.distributions]
    lengths, stopped = [], []
    for first in range(part.start, part.stop, TILE_ROWS):
        tile = slice(first, min(first + TILE_ROWS, part.stop))
        made = list(chunks(net, request, tile, MAX_DISPATCH_STEPS))
        width = tile.stop - tile.start
        alive = np.concatenate([c.alive for c in made]).T if made else np.zeros((width, 0), bool)
        for j, parts in enumerate(flat):
            if made:
                parts.append(np.concatenate([c.values[j] for c in made]).swapaxes(0, 1)[alive])
        lengths.append(alive.sum(1))
        stopped.append(~alive[:, -1] if made else np.ones(width, bool))
    sizes = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
    none = [_nothing(dist) for dist in net.shape.distributions]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    values = tuple(np.concatenate(parts) if parts else empty for parts, empty in zip(flat, none, strict=True))
    ended = np.concatenate(stopped) if stopped else np.zeros(0, bool)
    return values, offsets, ended | (request.length is not None or net.stop is None)


def observed_steps(request: SampleRequest, row: NDArray[np.int64], first: int, chunk: int) -> ObservedSteps | None:
    """The part of what is given that falls into a chunk."""
    observed = request.observed
    if observed is None or first >= np.diff(observed.offsets).max(initial=0):
        return None
    at, inside = observed.at(row, first + np.arange(chunk)[:, None])
    origins = request.origins or (None,) * len(observed.values)

    def heights(origin: CumulativeOrigin | None, y: NDArray[Any]) -> NDArray[Any]:
        return to_single_precision(y if origin is None else origin.heights(y, row))

    return ObservedSteps(
        tuple(heights(origin, values[at]) for origin, values in zip(origins, observed.values, strict=True)),
        tuple(where[at] & (inside if where.ndim == 1 else inside[..., None]) for where in observed.where),
        tuple(
            None if most is None else heights(origin, np.where(inside, most[at], np.inf))
            for origin, most in zip(origins, observed.most, strict=True)
        ),
        inside,
    )


def support_of_rows(support: Support | None, row: NDArray[np.int64]) -> Support | None:
    """A room's ends for the rows of a batch."""
    if support is None or support.symbols is not None:
        return support
    low, high = (np.asarray(end, np.float32) for end in (support.low, support.high))
    return support._replace(low=low[row if len(low) > 1 else 0 * row], high=high[row if len(high) > 1 else 0 * row])


def _nothing(dist: Distribution) -> NDArray[Any]:
    """No values at all of a distribution, of the right type and shape."""
    return np.zeros((0, *([] if dist.members is None else [dist.members])), np.int32 if dist.symbols else np.float32)


def to_single_precision(values: NDArray[Any]) -> NDArray[Any]:
    """An array in the network's precision. It is the compiled program that takes it to a device, quicker than we."""
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int32)
