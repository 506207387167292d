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

from unspool.constraints.cumulative import Track
from unspool.constraints.pins import Facts
from unspool.errors import OptionError
from unspool.network.cumulative import Path
from unspool.network.decoder import Net, Prepared, Read
from unspool.network.distributions.base import Head, Room, innermost, over
from unspool.network.distributions.categorical import Bernoulli, Categorical
from unspool.network.distributions.mixture import Point
from unspool.network.distributions.rules import Rule
from unspool.network.lstm import State
from unspool.options import Sampling
from unspool.runtime.devices import ROWS, available, mesh, placed, turn
from unspool.runtime.threefry import Ints, seed_words, uniforms

TILE = 1024
"""Rows of one batch at the most."""
LONG, SHORT = 64, 8
"""Steps between two looks at whether all sequences have ended; the shorter one serves streams, and sequences shorter
than the longer one."""
MOST = 4096
"""Steps of one dispatch at the most. They are a power of two, so that few lengths are compiled."""
FOLDED = 512
"""Steps for which it pays to fold tables."""
ALONE = 2048
"""Rows times hidden units that are worth a device."""
WIDE = {"xla_cpu_prefer_vector_width": 512}
"""Where a processor has vectors of 512 bits, use all of them: gates are half of what isn't matrix products here."""


Heights = tuple[Any, ...]
"""By field, where its values stand that add up, (B,); else `None`. None at all where nobody asks."""
Rooms = tuple[Room | None, ...]
"""By field, what its draws are confined to, or `None`; none at all where nothing is."""


class Who(NamedTuple):
    """Which sequences a batch makes: the input row of each, and which of that row's samples it is."""

    row: Int[Ints, " B"]
    sample: Int[Ints, " B"]


class Carry(NamedTuple):
    """What goes from step to step.

    Attributes:
        state: of the layers.
        x: what the next step reads.
        done: which sequences have ended.
        heights: by field, where its values stand that add up; else `None`.
    """

    state: State
    x: Read
    done: Bool[Array, " B"]
    heights: Heights


class Given(NamedTuple):
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


class Request(NamedTuple):
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
        rooms: by field, what its draws are confined to, or `None`: `low` and `high` as numbers, or of every row; of a
            field whose values add up, of its heights.
        facts: what is given, or `None`.
        first_row: number of the first row, where the rows are a part of a larger request.
    """

    inputs: tuple[NDArray[Any], ...]
    samples: int
    seed: int
    rule: Rule
    length: int | None
    limit: int
    tracks: tuple[Track | None, ...] = ()
    rooms: tuple[Room | None, ...] = ()
    facts: Facts | None = None
    first_row: int = 0


def opened(net: Net, inputs: tuple[Array | NDArray[Any], ...], heights: Heights = ()) -> tuple[Carry, Prepared]:
    """The inputs become initial states; what no step changes is computed."""
    state, context = net.encode(inputs)  # type: ignore[arg-type]
    B = inputs[0].shape[0]
    return Carry(state, net.start_rows(B), jnp.zeros(B, bool), heights), net.prepare(context, B * FOLDED)


begin = jax.jit(opened)


@partial(jax.jit, static_argnames=("steps", "stopping", "devices"), compiler_options=WIDE)
def launch(
    net: Net,
    inputs: tuple[Array | NDArray[Any], ...],
    heights: Heights,
    *which: Any,
    steps: int,
    stopping: bool,
    devices: int = 1,
) -> tuple[Prepared, Carry, tuple[tuple[Array, ...], Bool[Array, "T B"]]]:
    """`begin` and the first `advance` as one program: `(ready, carry, (values per field, which are real))`."""
    carry, ready = opened(net, inputs, heights)
    plain = advance.__wrapped__  # type: ignore[attr-defined]  # options are the outermost program's alone
    return ready, *plain(net, ready, carry, *which, steps=steps, stopping=stopping, devices=devices)


@partial(jax.jit, static_argnames=("steps", "stopping", "devices"), compiler_options=WIDE)
def advance(
    net: Net,
    ready: Prepared,
    carry: Carry,
    seed: UInt32[Ints, "2"],
    who: Who,
    first: Int[Array, ""],
    end: Int[Array, ""],
    rule: Rule,
    rooms: Rooms,
    given: Given | None,
    steps: int,
    stopping: bool,
    devices: int = 1,
) -> tuple[Carry, tuple[tuple[Array, ...], Bool[Array, "T B"]]]:
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
        rooms: see `Request`, by row.
        given: what is not drawn, or `None`.
        steps: how many; past `LONG`, a multiple of it.
        stopping: whether the hazard of stopping decides the end; its uniform is consumed either way.
        devices: that share the rows.
    """
    whole, rows, along = P(), P(ROWS), P(None, ROWS)
    specs: Any = (
        whole,
        Prepared(whole, whole, whole, rows),  # type: ignore[arg-type]
        carried := Carry(State(along, along), rows, rows, rows),  # type: ignore[arg-type]
        whole,
        rows,
        whole,
        whole,
        whole,
        tuple(whole if room is None or room.symbols is not None else Room(rows, rows, whole, whole) for room in rooms),
        along,
    )
    local = jax.shard_map(
        partial(_advance, steps=steps, stopping=stopping),
        mesh=mesh(devices),
        in_specs=specs,
        out_specs=(carried, (along, along)),
        check_vma=False,
    )
    return local(net, ready, carry, seed, who, first, end, rule, rooms, given)


def _advance(
    net: Net,
    ready: Prepared,
    carry: Carry,
    seed: Ints,
    who: Who,
    first: Array,
    end: Array,
    rule: Rule,
    rooms: Rooms,
    given: Given | None,
    *,
    steps: int,
    stopping: bool,
) -> tuple[Carry, tuple[tuple[Array, ...], Array]]:
    """What every device does with its rows: block by block, until all of them have ended."""
    block = min(steps, LONG)

    def some(carry: Carry, at: Array) -> tuple[Carry, tuple[tuple[Array, ...], Array]]:
        numbers = first + at + jnp.arange(block)
        draws = uniforms(seed, who.row, who.sample, numbers, net.shape.draws)
        part = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, at, block), given)
        return jax.lax.scan(partial(once, net, ready, rule, stopping, rooms), carry, (numbers, draws, part))

    if block == steps:
        return some(carry, jnp.int32(0))
    Moving = tuple[Array, Carry, tuple[tuple[Array, ...], Array]]

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


def once(
    net: Net,
    ready: Prepared,
    rule: Rule,
    stopping: bool,
    rooms: Rooms,
    carry: Carry,
    now: tuple[Int[Array, ""], Array, Given | None],
) -> tuple[Carry, tuple[tuple[Array, ...], Array]]:
    """One step of every sequence: whether it stops, then its fields in order."""
    number, u, given = now
    shape = net.shape
    top, state = net.step(ready, carry.x, carry.state, net.masks())
    done, at = carry.done, int(shape.stops)
    if stopping:
        stop = Bernoulli().pick(net.hazard(top, number), u[:, :1], Rule(rule.greedy)) > 0.5
        done = done | (stop if given is None else stop & ~given.going)
    values: tuple[Array, ...] = ()
    heights: Heights = ()
    told = net.told(top)
    for j, head in enumerate(shape.heads):
        room, path, height = rooms[j] if rooms else None, net.path(j), carry.heights[j] if carry.heights else None
        fact = None if given is None else Fact(given.values[j], given.where[j], given.most[j])
        if path is not None and height is not None:
            room, fact = on_path(path, height, room, fact, number)
        value = drawn(head, net.params(told, j), u[:, at : at + head.draws], rule, room, fact)
        if path is not None and height is not None:
            height = path.after(height, value)
            if given is not None:
                height = jnp.where(given.where[j] & ~jnp.isnan(given.values[j]), given.values[j], height)
        values, heights = (*values, value), (*heights, height)
        told = net.tell(ready, told, j, value)
        at += head.draws
    return Carry(state, net.feed(ready, values), done, heights if carry.heights else ()), (values, ~done)


class Fact(NamedTuple):
    """What is given of one field at one step, see `Given`."""

    value: Any
    where: Any
    most: Any


def drawn(
    head: Head, params: Array, uniforms: Array, rule: Rule, room: Room | None = None, fact: Fact | None = None
) -> Array:
    """The value of a field: what is given, or else a draw within its room."""
    number = head.symbols is None and head.members is None
    if fact is not None and head.members is not None:
        low = jnp.where(fact.where, fact.value, -1.0 if room is None else room.low)
        high = jnp.where(fact.where, fact.value, 1.0 if room is None else room.high)
        room = Room(low, high, present=(fact.where & ~jnp.isnan(fact.value)).any(-1))
    value = head.pick(params, uniforms, rule, room)
    if room is not None and number:
        value = room.hold(value)
    return value if fact is None else jnp.where(over(fact.where, value), fact.value, value)


def on_path(
    path: Path, height: Array, room: Room | None, fact: Fact | None, step: Array
) -> tuple[Room | None, Fact | None]:
    """Room and fact, which speak of heights, as what they are of the step from one height to the next."""
    if room is not None and fact is not None and fact.most is not None:
        room = room._replace(high=jnp.minimum(room.high, fact.most))
    return path.room(height, room, step), None if fact is None else fact._replace(
        value=path.towards(height, fact.value)
    )


def check(sampling: Sampling, net: Net) -> None:
    """Refuse a rule that no field of this model can take.

    Raises:
        OptionError: it names the option.
    """
    inner = [innermost(head) for head in net.shape.heads]
    symbols = any(isinstance(head, Categorical) for head in inner)
    if sampling.top_k is not None and not symbols:
        cure = "Use top_p, min_p or temperature, which act on numbers too."
        raise OptionError(
            f"Sampling(top_k={sampling.top_k})", "a field of categories to choose from", "numbers only", cure
        )
    random = sampling.temperature != 1 or sampling.top_p is not None or sampling.min_p is not None
    if random and all(isinstance(head, Point) for head in inner):
        raise OptionError("rule", "a head with a spread", "point heads only, which draw nothing", "Fit another head.")


def chunks(net: Net, request: Request, rows: slice, chunk: int) -> Iterator[Chunk]:
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
    who = Who((row + request.first_row).astype(np.int32), (padded % request.samples).astype(np.int32))
    inputs = tuple(narrowed(a[row]) for a in request.inputs)
    worth = int(len(padded) * net.shape.size // ALONE)
    devices = next(d for d in (4, 2, 1) if d == 1 or d <= min(available(), worth, len(padded)))
    net = net if devices == 1 else placed(net, devices)
    seed, rule = seed_words(request.seed), request.rule
    total = request.limit if request.length is None else request.length
    stopping = net.stop is not None and request.length is None
    steps = min(chunk, max(SHORT, 1 << (total - 1).bit_length()))
    how = {"steps": steps, "stopping": stopping, "devices": devices}
    ready, carry = None, None
    heights = tuple(None if track is None else narrowed(track.start[row]) for track in request.tracks)
    rooms = tuple(by_row(room, row) for room in request.rooms)
    for first in range(0, total, steps):
        which = seed, who, np.int32(first), np.int32(total), rule, rooms, given_steps(request, row, first, steps)
        with turn(devices):
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


def generate(
    net: Net, request: Request, part: slice | None = None
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64], NDArray[np.bool_]]:
    """Sequences of a request: flat values per field, offsets, and which sequences ended by themselves.

    Args:
        net: the network.
        request: what to generate.
        part: which of its sequences, counted row by row, and within a row sample by sample; `None` is all of them.
    """
    part = part or slice(0, len(request.inputs[0]) * request.samples)
    flat: list[list[NDArray[Any]]] = [[] for _ in net.shape.heads]
    lengths, stopped = [], []
    for first in range(part.start, part.stop, TILE):
        tile = slice(first, min(first + TILE, part.stop))
        made = list(chunks(net, request, tile, MOST))
        width = tile.stop - tile.start
        alive = np.concatenate([c.alive for c in made]).T if made else np.zeros((width, 0), bool)
        for j, parts in enumerate(flat):
            if made:
                parts.append(np.concatenate([c.values[j] for c in made]).swapaxes(0, 1)[alive])
        lengths.append(alive.sum(1))
        stopped.append(~alive[:, -1] if made else np.ones(width, bool))
    sizes = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
    none = [_nothing(head) for head in net.shape.heads]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    values = tuple(np.concatenate(parts) if parts else empty for parts, empty in zip(flat, none, strict=True))
    ended = np.concatenate(stopped) if stopped else np.zeros(0, bool)
    return values, offsets, ended | (request.length is not None or net.stop is None)


def given_steps(request: Request, row: NDArray[np.int64], first: int, chunk: int) -> Given | None:
    """The part of what is given that falls into a chunk."""
    facts = request.facts
    if facts is None or first >= np.diff(facts.offsets).max(initial=0):
        return None
    at, inside = facts.at(row, first + np.arange(chunk)[:, None])
    tracks = request.tracks or (None,) * len(facts.values)

    def heights(track: Track | None, y: NDArray[Any]) -> NDArray[Any]:
        return narrowed(y if track is None else track.heights(y, row))

    return Given(
        tuple(heights(track, values[at]) for track, values in zip(tracks, facts.values, strict=True)),
        tuple(where[at] & (inside if where.ndim == 1 else inside[..., None]) for where in facts.where),
        tuple(
            None if most is None else heights(track, np.where(inside, most[at], np.inf))
            for track, most in zip(tracks, facts.most, strict=True)
        ),
        inside,
    )


def by_row(room: Room | None, row: NDArray[np.int64]) -> Room | None:
    """A room's ends for the rows of a batch."""
    if room is None or room.symbols is not None:
        return room
    low, high = (np.asarray(end, np.float32) for end in (room.low, room.high))
    return room._replace(low=low[row if len(low) > 1 else 0 * row], high=high[row if len(high) > 1 else 0 * row])


def _nothing(head: Head) -> NDArray[Any]:
    """No values at all of a head, of the right type and shape."""
    return np.zeros((0, *([] if head.members is None else [head.members])), np.int32 if head.symbols else np.float32)


def narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """An array in the network's precision. It is the compiled program that takes it to a device, quicker than we."""
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int32)
