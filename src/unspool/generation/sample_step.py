"""The one program that generates: `advance` moves a batch of sequences some steps on.

A sequence depends neither on its batch nor on how many steps are asked for at once, since its uniforms depend on
neither. So rows may be spread over devices, and each device stops when all of its sequences have ended.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, Int, UInt32
from numpy.typing import NDArray

from unspool.generation.one_field import Asked, FirstMoment, ObservedValue, sample_field, sample_increment, sample_part
from unspool.network.cumulative import CumulativeRule, PartRule
from unspool.network.decoder import DecoderState, Net, Precomputed
from unspool.network.distributions.base import Ends, EventShape, Support
from unspool.network.distributions.categorical import Categorical, bernoulli_icdf
from unspool.network.distributions.rules import Rule
from unspool.network.distributions.where_active import WhereActive
from unspool.network.fields import FieldLayout
from unspool.network.lstm import State
from unspool.runtime.devices import ROW_AXIS, put_rows, shard_rows, take_rows
from unspool.runtime.programs import GENERATION_OPTIONS, program
from unspool.runtime.threefry import Ints, uniforms

BLOCK_STEPS, STREAM_STEPS = 64, 8
"""Steps of a block; the shorter one is for streams, short sequences, and sequences that end, between two checks which
of them have."""
GROUP_ROWS = 128
"""Rows of sequences that end which move on together; groups of those that have ended don't."""
FOLD_STEPS = 512
"""Steps for which it pays to fold tables."""
MAX_UNROLLED_FIELDS = 8
"""Fields that a program samples one by one; of more, it goes through them in a loop, which compiles faster."""
MIN_SURVIVAL = 0.01
"""Probability to go on for so long below which a greedy sequence of symbols ends."""
RunningSums = tuple[Any, ...]
"""By field, the running sums of its values, (B,), where they add up; else `None`. Empty where nobody asks."""
Supports = tuple[Support | Ends | None, ...]
"""By field, what its samples lie in, or where they are reflected, or `None`; empty where nothing is asked for."""
GeneratedSteps = tuple[tuple[Array, ...], Bool[Array, "*T B"]]
"""Values per field, (T, B) or (T, B, M), and which of these steps are real."""


class SamplerState(NamedTuple):
    """What goes from step to step.

    Attributes:
        decoder: the network's state.
        done: which sequences have ended.
        sums: their running sums.
        survival: the logarithm of the probability that a sequence goes on up to here; moves where the rule is greedy.
    """

    decoder: DecoderState
    done: Bool[Array, " B"]
    sums: RunningSums
    survival: Float[Array, " B"]


class ObservedSteps(NamedTuple):
    """What is observed in some steps rather than sampled.

    Attributes:
        values: per field, (T, B) or (T, B, M); of a cumulative field, running sums; of joint symbols, the members'
            codes.
        where: per field, where its value is observed; of several columns, which of them.
        upper: per field, the next observed running sum of one that never falls, an upper bound until then; else `None`.
        tables: per field, (V, M) the members' codes of joint symbols; else `None`.
        unfinished: before the last observed value of a sequence, where it doesn't end.
    """

    values: tuple[Array | NDArray[Any], ...]
    where: tuple[Array | NDArray[np.bool_], ...]
    upper: tuple[Array | NDArray[Any] | None, ...]
    tables: tuple[Array | NDArray[Any] | None, ...]
    unfinished: Bool[Ints, "T B"]


class BatchRequest(NamedTuple):
    """What a batch generates in some steps.

    Attributes:
        seed: two words, or two of every sequence.
        row: the input row of every sequence.
        sample: its number among that row's samples.
        first: number of the first of these steps, or that of every sequence.
        end: number of the first step that is not wanted.
        rule: how steps are sampled; its numbers may be those of every sequence.
        supports: by row, see `SampleRequest`.
        observed: what is not sampled, or `None`.
    """

    seed: UInt32[Ints, "2 *B"]
    row: Int[Ints, " B"]
    sample: Int[Ints, " B"]
    first: Int[Ints, "*B"]
    end: Int[Ints, ""]
    rule: Rule
    supports: Supports
    observed: ObservedSteps | None


def start_sampling(
    net: Net, inputs: tuple[Array | NDArray[Any], ...], sums: RunningSums = ()
) -> tuple[SamplerState, Precomputed]:
    """The initial states of inputs, and what no step changes."""
    state, context = net.encode(inputs)  # type: ignore[arg-type]
    B = inputs[0].shape[0]
    decoder = DecoderState(state, net.start_feedback(inputs))  # type: ignore[arg-type]
    return SamplerState(decoder, jnp.zeros(B, bool), sums, jnp.zeros(B)), net.precompute(context, B * FOLD_STEPS)


def advance_on_devices(
    net: Net,
    ready: Precomputed,
    state: SamplerState,
    request: BatchRequest,
    steps: int,
    stopping: bool,
    devices: int = 1,
    twins: bool = False,
) -> tuple[SamplerState, GeneratedSteps]:
    """Move every sequence `steps` steps on.

    With `stopping`, the hazard of stopping decides the end; its uniform is consumed either way. `twins` are one
    sequence and its copy.
    """
    whole, rows, along = P(), P(ROW_AXIS), P(None, ROW_AXIS)
    state_specs: Any = SamplerState(DecoderState(State(along, along), rows), rows, rows, rows)  # type: ignore[arg-type]
    # Symbols are allowed to all rows alike; the ends of numbers differ by row.
    support_specs = tuple(map(_specs_of_limits, request.supports))
    observed_specs: Any = None if request.observed is None else ObservedSteps(along, along, along, whole, along)  # type: ignore[arg-type]
    request_specs: Any = BatchRequest(whole, rows, rows, whole, whole, whole, support_specs, observed_specs)  # type: ignore[arg-type]
    specs = Precomputed(whole, whole, whole, whole, rows), state_specs, request_specs  # type: ignore[arg-type]
    advance_rows = partial(_advance, specs=specs, steps=steps, stopping=stopping, twins=twins)
    run = shard_rows(advance_rows, devices, (whole, *specs), (state_specs, (along, along)))
    return run(net, ready, state, request)


def _specs_of_limits(limits: Support | Ends | None) -> Any:
    """Along which axes of what samples lie in the rows lie."""
    if isinstance(limits, Ends):
        return Ends(P(ROW_AXIS), P(ROW_AXIS))
    whole = limits is None or limits.symbols is not None
    return P() if whole else Support(P(ROW_AXIS), P(ROW_AXIS), P(), P())


def launch_on_devices(
    net: Net,
    inputs: tuple[Array | NDArray[Any], ...],
    sums: RunningSums,
    request: BatchRequest,
    steps: int,
    stopping: bool,
    devices: int = 1,
    twins: bool = False,
) -> tuple[Precomputed, SamplerState, GeneratedSteps]:
    """The start and the first `advance` as one program, with what no step changes."""
    state, ready = start_sampling(net, inputs, sums)
    return ready, *advance_on_devices(net, ready, state, request, steps, stopping, devices, twins)


_compiled = program(static=["steps", "stopping", "devices", "twins"], options=GENERATION_OPTIONS)
advance, launch = _compiled(advance_on_devices), _compiled(launch_on_devices)


def _advance(
    net: Net,
    ready: Precomputed,
    state: SamplerState,
    request: BatchRequest,
    *,
    specs: Any,
    steps: int,
    stopping: bool,
    twins: bool,
) -> tuple[SamplerState, GeneratedSteps]:
    """What every device does with its rows: block by block, until all of them have ended.

    Of a block, those that have ended by then are left out, in groups: the others come first. `specs` say along which
    axes of what is given the rows lie.
    """
    B, first, observed, events = state.done.shape[0], request.first, request.observed, net.shape.steps.events
    block = math.gcd(steps, STREAM_STEPS if stopping else BLOCK_STEPS)
    grouped = stopping and B > GROUP_ROWS and B % GROUP_ROWS == 0
    moving = None if observed is None else observed._replace(tables=())
    if observed is not None:
        request = request._replace(observed=ObservedSteps((), (), (), observed.tables, ()))  # type: ignore[arg-type]
    along, asked_specs = P(None, ROW_AXIS), specs[2]._replace(observed=None if observed is None else P())

    def no_steps(count: int) -> GeneratedSteps:
        """So many steps of which none is real."""
        return tuple(_no_values(event, B, count) for event in events), jnp.zeros((count, B), bool)

    def one_block(state: SamplerState, at: Array) -> tuple[SamplerState, GeneratedSteps]:
        part = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, at, block), moving)
        if not grouped or jax.default_backend() != "cpu":  # a GPU moves all rows in the time of a group
            return sample_block(net, ready, state, request, first + at, part, block, stopping, twins)
        order = jnp.argsort(state.done, stable=True)

        def one_group(k: Array, so_far: tuple[SamplerState, GeneratedSteps]) -> tuple[SamplerState, GeneratedSteps]:
            state, out = so_far
            rows = jax.lax.dynamic_slice_in_dim(order, k * GROUP_ROWS, GROUP_ROWS)
            own_ready, own, asked, here = take_rows(
                (ready, state, request, part), (*specs[:2], asked_specs, along), rows
            )
            after, new = sample_block(net, own_ready, own, asked, first + at, here, block, stopping)
            return put_rows(state, after, specs[1], rows), put_rows(out, new, along, rows)

        groups = -(-(~state.done).sum() // GROUP_ROWS)
        return jax.lax.fori_loop(0, groups, one_group, (state, no_steps(block)))

    if block == steps:
        return one_block(state, jnp.int32(0))
    Moving = tuple[Array, SamplerState, GeneratedSteps]

    def unfinished(moving: Moving) -> Array:
        at, state, _ = moving
        wanted = (at < steps) & (first + at < request.end)
        return wanted & ~state.done.all() if stopping else wanted

    def move(moving: Moving) -> Moving:
        at, state, out = moving
        state, new = one_block(state, at)
        out = jax.tree.map(lambda whole, part: jax.lax.dynamic_update_slice_in_dim(whole, part, at, 0), out, new)
        return at + block, state, out

    _, state, out = jax.lax.while_loop(unfinished, move, (jnp.int32(0), state, no_steps(steps)))
    return state, out


def sample_block(
    net: Net,
    ready: Precomputed,
    state: SamplerState,
    request: BatchRequest,
    first: Int[Ints, "*B"],
    observed: ObservedSteps | None,
    steps: int,
    stopping: bool,
    twins: bool = False,
) -> tuple[SamplerState, GeneratedSteps]:
    """So many steps of every sequence from `first` on, a number of all sequences or of each; observed are theirs."""
    numbers = jnp.asarray(first) + jnp.arange(steps).reshape(-1, *(1,) * first.ndim)
    u = uniforms(request.seed, request.row, request.sample, numbers, net.shape.num_uniforms)
    return jax.lax.scan(partial(sample_step, net, ready, request, stopping, twins=twins), state, (numbers, u, observed))


def sample_step(
    net: Net,
    ready: Precomputed,
    request: BatchRequest,
    stopping: bool,
    state: SamplerState,
    now: tuple[Int[Array, "*B"], Array, ObservedSteps | None],
    twins: bool = False,
) -> tuple[SamplerState, GeneratedSteps]:
    """One step of every sequence: whether it stops, then its fields in order."""
    rule, supports = request.rule, request.supports
    tables = () if request.observed is None else request.observed.tables
    number, u, observed = now
    output, lstm = net.step(ready, state.decoder.feedback, state.decoder.lstm, net.masks(), twins=twins)
    layout, F = net.shape.steps, len(net.shape.steps.params)
    given = [
        None if observed is None else ObservedValue(observed.values[j], observed.where[j], observed.upper[j], tables[j])
        for j in range(F)
    ]
    asked = [
        Asked.of(supports[j] if supports else None, state.sums[j] if state.sums else None, given[j]) for j in range(F)
    ]

    def one_field(g: int, i: Any, j: Any, asked: Asked, so_far: Any) -> tuple[Any, Array, Any]:
        """Field j, at a place of its group."""
        context, nats = so_far
        dist, cumulative = net.group(g).of(i)
        params = net.outputs.params_at(context, g, i)
        own = layout.slice_of(u, net.shape.first_uniform(j), layout.uniforms[layout.groups[g][0]])
        total = asked.total
        if isinstance(cumulative, PartRule) and total is not None:
            assert isinstance(dist, WhereActive)  # noqa: S101  # of a part
            value, total = sample_part(dist, params, own, rule, asked.support, asked.given, cumulative, total)
        elif not isinstance(cumulative, CumulativeRule) or total is None:
            value = sample_field(dist, params, own, rule, asked.support, asked.given)
        else:
            value, total = sample_increment(dist, params, own, rule, asked, cumulative, number)
        if rule.greedy and isinstance(dist, Categorical):
            nats += dist.within(params, asked.support).max(-1)
        return (net.condition_on_place(ready, context, g, i, value), nats), value, total

    so_far: Any = net.outputs.begin(output), jnp.zeros_like(state.survival)
    values: list[Array] = []
    sums: list[Any] = []
    rules = [net.constants.fields[layout.place(j)[0]].cumulative for j in range(F)]
    # First moments and their parts hang together; tables of joint symbols differ in shape.
    alone = [isinstance(rule, PartRule) or getattr(rule, "parts", 0) > 0 for rule in rules]
    alone = [own or bool(tables and tables[j] is not None) for j, own in enumerate(alone)]
    moment: Any = None
    while (j := len(values)) < F:
        end = next((k for k in range(j, F) if alone[k]), F)
        if end - j > MAX_UNROLLED_FIELDS:
            so_far, found = _field_after_field(layout, one_field, asked, so_far, (j, end), state.done.shape[0])
            values, sums = [*values, *(value for value, _ in found)], [*sums, *(total for _, total in found)]
            continue
        if isinstance(rules[j], PartRule) and state.sums:
            so_far, value, moment = one_field(*layout.place(j), j, asked[j]._replace(total=moment), so_far)
            values, sums = [*values, value], [*sums, state.sums[j]]
            sums[moment.field] = jnp.where(moment.active, moment.total, sums[moment.field])
            continue
        so_far, value, total = one_field(*layout.place(j), j, asked[j], so_far)
        values, sums = [*values, value], [*sums, total]
        if getattr(rules[j], "parts", 0):
            moment = FirstMoment.before_parts(jnp.isinf(value), j)
    nats = so_far[1]
    done, survival = state.done, state.survival
    if stopping:
        stop, survival = _stop(net, rule, net.hazard(output, jnp.atleast_1d(number)), u[:, 0], nats, survival)
        if observed is not None:  # what is known goes on here
            stop, survival = stop & ~observed.unfinished, jnp.where(observed.unfinished, state.survival, survival)
        done = done | stop
    decoder = DecoderState(lstm, net.feed_back(ready, tuple(values), state.decoder.feedback))
    return SamplerState(decoder, done, tuple(sums) if state.sums else (), survival), (tuple(values), ~done)


def _field_after_field(
    layout: FieldLayout,
    one_field: Callable[..., Any],
    asked: list[Asked],
    so_far: Any,
    fields: tuple[int, int],
    rows: Any,
) -> tuple[Any, list[tuple[Array, Any]]]:
    """As `one_field` of fields from one to another in order, in a program that is as long as there are kinds of them.

    Returns:
        What the last one leaves, and by field its value and running sum.
    """
    places = [layout.place(j) for j in range(*fields)]
    kinds = sorted({g for g, _ in places})
    groups = [layout.groups[g] for g in kinds]
    together = [_side_by_side([asked[j] for j in group], layout.events[group[0]], rows) for group in groups]
    values = [_no_values(layout.events[group[0]], rows, len(group)) for group in groups]

    def of_kind(k: int) -> Callable[..., Any]:
        def at_place(i: Array, j: Array, so_far: Any, values: Any, totals: Any) -> Any:
            own = jax.tree.map(lambda a: a[i], together[k]._replace(total=totals[k]))
            so_far, value, total = one_field(kinds[k], i, j, own, so_far)
            filled = [*values[:k], values[k].at[i].set(value), *values[k + 1 :]]
            added = [*totals[:k], None if total is None else totals[k].at[i].set(total), *totals[k + 1 :]]
            return so_far, filled, added

        return at_place

    branches = [of_kind(k) for k in range(len(kinds))]
    kind, place = jnp.array([kinds.index(g) for g, _ in places]), jnp.array([i for _, i in places])
    so_far, values, totals = jax.lax.fori_loop(
        0,
        len(places),
        lambda at, moving: jax.lax.switch(kind[at], branches, place[at], fields[0] + at, *moving),
        (so_far, values, [part.total for part in together]),
    )
    found = [(kinds.index(g), i) for g, i in places]
    return so_far, [(values[k][i], None if totals[k] is None else totals[k][i]) for k, i in found]


def _no_values(event: EventShape, rows: Any, count: int) -> Array:
    """An array for the values of so many fields of one kind, or of so many steps of a field."""
    shape = (count, rows) if event.members is None else (count, rows, event.members)
    return jnp.zeros(shape, jnp.float32 if event.symbols is None else jnp.int32)


def _side_by_side(parts: list[Asked], event: EventShape, rows: Any) -> Asked:
    """What is asked of the fields of one kind, on a first axis; where some have a support or ends, all have."""
    supports, uppers = [part.support for part in parts], [part.given and part.given.upper for part in parts]
    if any(part.ends is not None for part in parts):
        nowhere = Ends(jnp.full(rows, -jnp.inf), jnp.full(rows, jnp.inf))
        parts = [part._replace(ends=part.ends or nowhere) for part in parts]
    if any(support is not None for support in supports):
        if event.symbols is not None:
            everywhere = Support(symbols=jnp.ones(event.symbols, bool))
        else:
            shape = (rows,) if event.members is None else (rows, event.members)
            everywhere = Support(jnp.full(shape, -jnp.inf), jnp.full(shape, jnp.inf))
        wide = _of_one_shape([everywhere if support is None else support for support in supports])
        parts = [part._replace(support=support) for part, support in zip(parts, wide, strict=True)]
    if any(upper is not None for upper in uppers):
        never = jnp.full(rows, jnp.inf)
        parts = [
            part._replace(given=part.given and part.given._replace(upper=never if upper is None else upper))
            for part, upper in zip(parts, uppers, strict=True)
        ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)


def _of_one_shape(supports: list[Support]) -> list[Support]:
    """Supports with ends, and symbols, of the same shapes."""
    alike = [
        None if any(part is None for part in parts) else jnp.broadcast_arrays(*map(jnp.asarray, parts))
        for parts in zip(*supports, strict=True)
    ]
    return [Support(*(parts and parts[k] for parts in alike)) for k in range(len(supports))]


def _stop(
    net: Net,
    rule: Rule,
    hazard: Float[Array, " B"],
    uniform: Float[Array, " B"],
    nats: Float[Array, " B"],
    survival: Float[Array, " B"],
) -> tuple[Bool[Array, " B"], Float[Array, " B"]]:
    """Which sequences stop before a step whose symbols have so many `nats`, and the survival after that decision.

    A greedy sequence of symbols takes the end as one more symbol: it stops if to stop is likelier than to go on with
    these symbols. Numbers have densities, which do not compare: such a sequence stops at the median length, where fewer
    than half of all sequences would have gone on. A sequence of symbols stops there too once hardly any would go on,
    since a loop may be certain of its next symbol for ever.
    """
    if not rule.greedy:
        return bernoulli_icdf(hazard, uniform), survival
    survival = survival + log_sigmoid(-hazard)
    if any(event.symbols is None for event in net.shape.steps.events):
        return survival < math.log(0.5), survival
    return (hazard > nats) | (survival < math.log(MIN_SURVIVAL)), survival
