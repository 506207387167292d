"""Sequences of a request: whole batches, tiles of a large one, or some steps at a time.

All are loops over the one compiled program of `unspool.generation.sample_step`, and differ only in how many rows and
steps they ask for at once.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import Observed
from unspool.encoding.columns import Origins
from unspool.errors import OptionError
from unspool.generation.sample_step import (
    STREAM_STEPS,
    BatchRequest,
    ObservedSteps,
    RunningSums,
    Supports,
    advance,
    launch,
)
from unspool.network.decoder import Net
from unspool.network.distributions.base import Ends, Support, innermost
from unspool.network.distributions.normal import Point
from unspool.network.distributions.rules import PLAIN, Rule
from unspool.options import RULES, Sampling
from unspool.runtime.devices import available, device_lock, put_on_devices, to_single_precision
from unspool.runtime.stopping import Stop
from unspool.runtime.threefry import seed_words

TILE_ROWS = 1024
"""Rows of one batch at the most."""
MAX_DISPATCH_STEPS = 4096
"""Steps of one dispatch at the most. They are a power of two, so that few lengths are compiled."""
MAX_DISPATCH_WORK = 2**32
"""Rows times squared hidden units times steps of one dispatch, about: compiled code can't be interrupted."""
MIN_WORK_PER_DEVICE = 2048
"""Rows times hidden units that are worth a device."""


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
        rule: how steps are sampled.
        length: exact number of steps, or `None` where the network decides.
        limit: steps at the most where it decides.
        ends: whether a sequence has ended by itself that reaches the limit, because none of training went on there.
        origins: by field, where running sums start, or `None`; empty where nothing adds up.
        supports: by field, what its samples lie in, or `None`: `low` and `high` for all rows, or of every row; of a
            cumulative field, running sums.
        observed: observed values, or `None`.
        first_row: number of the first row, where the rows are a part of a larger request.
        each: rows of `inputs` for each row of the caller's, where inputs are drawn.
    """

    inputs: tuple[NDArray[Any], ...]
    samples: int
    seed: int
    rule: Rule
    length: int | None
    limit: int
    origins: tuple[Origins | None, ...] = ()
    supports: Supports = ()
    observed: Observed | None = None
    first_row: int = 0
    each: int = 1
    ends: bool = False

    def counters(self, number: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of sequences, the caller's row, and the number among the row's samples: they count uniforms."""
        row = number // self.samples + self.first_row
        return row // self.each, row % self.each * self.samples + number % self.samples

    @property
    def max_steps(self) -> int:
        """Steps of a sequence at the most."""
        return self.limit if self.length is None else self.length

    def stopping(self, net: Net) -> bool:
        """Whether the network decides the end."""
        return net.stop is not None and self.length is None


def rule_of(sampling: Sampling) -> Rule:
    """The rule that options of sampling describe."""

    def array(value: Any, dtype: Any = jnp.float32) -> Any:
        return None if value is None else jnp.asarray(value, dtype)

    if sampling == RULES["sample"]:
        return PLAIN  # most requests
    temperature = None if sampling.temperature == 1.0 else sampling.temperature
    limits = (array(sampling.top_k, jnp.int32), array(sampling.top_p), array(sampling.min_p))
    return Rule(sampling.greedy, array(temperature), *limits)


def check_sampling(sampling: Sampling, net: Net) -> None:
    """Refuse a rule that no field of this model can take.

    Raises:
        OptionError: it names the option.
    """
    kinds = [innermost(group.distribution) for group in net.constants.fields]
    if sampling.top_k is not None and all(event.symbols is None for event in net.shape.steps.events):
        hint = "Use top_p, min_p or temperature, which act on numbers too."
        location = f"Sampling(top_k={sampling.top_k})"
        raise OptionError(location, "a field of categories to choose from", "numbers only", hint)
    random = sampling.temperature != 1 or sampling.top_p is not None or sampling.min_p is not None
    if random and all(isinstance(kind, Point) for kind in kinds):
        found = "point distributions only, which are not random"
        raise OptionError("rule", "a distribution with a spread", found, "Fit another distribution.")


def devices_for(net: Net, rows: int) -> int:
    """Devices that so many rows are spread over."""
    worth = rows * net.shape.size // MIN_WORK_PER_DEVICE
    return next(d for d in (4, 2, 1) if d == 1 or d <= min(available(), worth, rows // 2))


class Tile(NamedTuple):
    """Rows of a request that are generated together; the last one is repeated up to a power of two, at least two.

    Attributes:
        request: of which they are a part.
        sequences: how many.
        row: (B,) their rows in the request's inputs.
        ids: (B,) the caller's row, and the number among its samples.
        inputs: of every sequence.
        steps: of one dispatch.
        devices: that the rows are spread over.
    """

    request: SampleRequest
    sequences: int
    row: NDArray[np.int64]
    ids: tuple[NDArray[np.int32], NDArray[np.int32]]
    inputs: tuple[NDArray[Any], ...]
    steps: int
    devices: int

    @classmethod
    def of(cls, net: Net, request: SampleRequest, rows: slice, max_steps: int) -> "Tile":
        """`rows` counts sequences: row times samples plus sample; `max_steps` of a dispatch is a power of two."""
        count = rows.stop - rows.start
        padded = np.minimum(np.arange(max(2, 1 << (count - 1).bit_length())), count - 1) + rows.start
        row = padded // request.samples
        ids = request.counters(padded)
        devices = devices_for(net, len(padded))
        steps = min(max_steps, max(STREAM_STEPS, 1 << (request.max_steps - 1).bit_length()))
        inputs = tuple(to_single_precision(a[row]) for a in request.inputs)
        return cls(request, count, row, (ids[0].astype(np.int32), ids[1].astype(np.int32)), inputs, steps, devices)

    def sums(self) -> RunningSums:
        """By field, where running sums start."""
        origins = self.request.origins
        return tuple(None if origin is None else to_single_precision(origin.start[self.row]) for origin in origins)

    def batch(self, first: int) -> BatchRequest:
        """What a dispatch generates from this step on."""
        request, row = self.request, self.row
        supports = tuple(support_of_rows(support, row) for support in request.supports)
        observed = observed_steps(request, row, first, self.steps)
        window: tuple[Any, Any] = (np.int32(first), np.int32(request.max_steps))
        return BatchRequest(seed_words(request.seed), *self.ids, *window, request.rule, supports, observed)

    def static(self, net: Net) -> dict[str, Any]:
        """What its programs are compiled for."""
        stopping, twins = self.request.stopping(net), self.sequences == 1
        return {"steps": self.steps, "stopping": stopping, "devices": self.devices, "twins": twins}


def prepare_sampling(net: Net, request: SampleRequest) -> None:
    """Compile what `sample_sequences` begins with."""
    rows = min(TILE_ROWS, len(request.inputs[0]) * request.samples)
    tile = Tile.of(net, request, slice(0, rows), dispatch_steps(net.shape.size, rows))
    net = net if tile.devices == 1 else put_on_devices(net, tile.devices)
    launch.prepare(net, tile.inputs, tile.sums(), tile.batch(0), **tile.static(net))


def chunks(net: Net, request: SampleRequest, rows: slice, max_steps: int) -> Iterator[Chunk]:
    """Steps of one tile of a request, up to `max_steps` (a power of two) at a time, until all its sequences have ended.

    `rows` counts sequences: row times samples plus sample.
    """
    tile = Tile.of(net, request, rows, max_steps)
    net = net if tile.devices == 1 else put_on_devices(net, tile.devices)
    total, stopping, static = request.max_steps, request.stopping(net), tile.static(net)
    ready, state = None, None
    for first in range(0, total, tile.steps):
        batch = tile.batch(first)
        with device_lock(tile.devices):
            if state is None:
                ready, state, generated = launch(net, tile.inputs, tile.sums(), batch, **static)
            else:
                state, generated = advance(net, ready, state, batch, **static)
            values, alive = jax.tree.map(np.asarray, generated)
            ended = stopping and bool(np.asarray(state.done)[: tile.sequences].all())
        cut = (slice(min(tile.steps, total - first)), slice(tile.sequences))
        yield Chunk(tuple(v[cut] for v in values), alive[cut])
        if ended:
            return


def sample_sequences(
    net: Net, request: SampleRequest, part: slice | None = None, stop: Stop | None = None
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.int64], NDArray[np.bool_]]:
    """Sequences of a request: values per field end to end, offsets, and which sequences ended by themselves.

    `part` counts sequences row by row, and within a row sample by sample; `None` is all of them. `stop` is asked about
    every second whether to end, which is a `Stopped`; its clock does not run during the first piece of its work, which
    may wait for the compiler.
    """
    stop = stop or Stop()
    part = part or slice(0, len(request.inputs[0]) * request.samples)
    values = [[none] for none in no_values(net)]
    lengths, ended = [np.zeros(0, np.int64)], [np.zeros(0, bool)]
    for first in range(part.start, part.stop, TILE_ROWS):
        tile = slice(first, min(first + TILE_ROWS, part.stop))
        steps = dispatch_steps(net.shape.size, tile.stop - tile.start)
        generated, pieces, more = [], chunks(net, request, tile, steps), True
        while more:
            stop.check()
            with stop.clock(counted=stop.warm):
                chunk = next(pieces, None)
            if more := chunk is not None:
                generated.append(chunk)
                done = min(1.0, sum(len(chunk.alive) for chunk in generated) / request.max_steps)
                stop.report((tile.start - part.start + done * (tile.stop - tile.start)) / (part.stop - part.start))
        width = tile.stop - tile.start
        alive = np.concatenate([np.zeros((0, width), bool), *(chunk.alive for chunk in generated)]).T
        for j, parts in enumerate(values):
            if generated:
                parts.append(np.concatenate([chunk.values[j] for chunk in generated]).swapaxes(0, 1)[alive])
        lengths.append(alive.sum(1))
        ended.append(~alive[:, -1] if generated else np.ones(width, bool))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return (
        tuple(map(np.concatenate, values)),
        offsets,
        np.concatenate(ended) | (request.ends or not request.stopping(net)),
    )


def dispatch_steps(size: int, rows: int) -> int:
    """Steps of so many rows that one dispatch samples at the most: about a second of a core, and a power of two.

    `size` is the number of hidden units.

    Examples:
        >>> [dispatch_steps(size, 1024) for size in (8, 64, 256, 4096)]
        [4096, 1024, 64, 8]
    """
    steps = max(STREAM_STEPS, MAX_DISPATCH_WORK // (rows * size**2))
    return min(MAX_DISPATCH_STEPS, 1 << (steps.bit_length() - 1))


def observed_steps(request: SampleRequest, row: NDArray[np.int64], first: int, steps: int) -> ObservedSteps | None:
    """The part of the observed values that falls into some steps; `None` past the last of them."""
    observed = request.observed
    if observed is None or first >= np.diff(observed.offsets).max(initial=0):
        return None
    return observed_at(request, observed, row, first + np.arange(steps)[:, None])


def observed_at(
    request: SampleRequest, observed: Observed, row: NDArray[np.int64], step: NDArray[np.int64]
) -> ObservedSteps:
    """The observed values of rows at (T, 1) steps of all of them, or at (T, B) steps of each."""
    at, inside = observed.at(row, step)
    values, where, uppers = [], [], []
    starts = request.origins or (None,) * len(observed.fields)
    for origins, field, upper in zip(starts, observed.fields, observed.upper, strict=True):
        values.append(_running_sums(origins, field.values[at], row))
        where.append(field.where[at] & (inside if field.where.ndim == 1 else inside[..., None]))
        uppers.append(None if upper is None else _running_sums(origins, np.where(inside, upper[at], np.inf), row))
    return ObservedSteps(tuple(values), tuple(where), tuple(uppers), observed.tables, inside)


def _running_sums(origins: Origins | None, y: NDArray[Any], row: NDArray[np.int64]) -> NDArray[Any]:
    return to_single_precision(y if origins is None else origins.running_sums(y, row))


def support_of_rows(support: Support | Ends | None, row: NDArray[np.int64]) -> Support | Ends | None:
    """The ends of a support for the rows of a batch."""
    if support is None or support.symbols is not None:
        return support
    low, high = (to_single_precision(np.asarray(end)) for end in (support.low, support.high))
    return support._replace(low=low[row if len(low) > 1 else 0 * row], high=high[row if len(high) > 1 else 0 * row])


def no_values(net: Net) -> list[NDArray[Any]]:
    """By field, no values, of the right type and shape."""
    shapes = [(0,) if event.members is None else (0, event.members) for event in net.shape.steps.events]
    types = [np.float32 if event.symbols is None else np.int32 for event in net.shape.steps.events]
    return [np.zeros(shape, dtype) for shape, dtype in zip(shapes, types, strict=True)]
