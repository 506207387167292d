"""The network: one input becomes a state, the state becomes a sequence.

Vinyals et al. 2015 (arXiv:1411.4555) for the input as initial state; Graves 2013 (arXiv:1308.0850) for the decoder that
reads its own output. Everything here is a pure function of weights and arrays; time is the first axis of a sequence.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from unspool.network.cumulative import CumulativeRule, PartRule, ValueBefore
from unspool.network.distributions.base import Distribution, EventShape, bind
from unspool.network.distributions.categorical import bernoulli_log_prob
from unspool.network.distributions.circular import circular_of, of_all_params
from unspool.network.dropout import Masks
from unspool.network.embeddings import Embedding, Feed, FoldedTable, Product, new_embedding, side_by_side
from unspool.network.feedback import (
    Feedback,
    FeedbackSequence,
    of_changes,
    sum_features,
    sum_with_field,
    sums_after,
    sums_along,
    sums_before,
)
from unspool.network.fields import (
    Constants,
    FieldGroup,
    FieldLayout,
    constant,
    group_fields,
    layout_of,
    layout_of_inputs,
)
from unspool.network.lstm import (
    Cell,
    Gathered,
    Mask,
    State,
    activate,
    array_module,
    flat_product,
    lecun_normal,
    product,
    split_gates,
    step,
    to_weights,
    unroll,
)
from unspool.network.outputs import DecoderOutput, Outputs, StepContext
from unspool.options import Network
from unspool.runtime.sizes import size_class

INPUT_FEATURES, STEP_FEATURES = 32, 8
"""Non-linear features of a number, as input and as fed-back step."""
POSITIONS_MULTIPLE = 64
"""Hazards of stopping come in multiples of it, so that data of another length find their programs compiled."""


@dataclass(frozen=True, eq=False)
class Architecture:
    """All that fixes the network's arrays, derived from the codec and the options.

    Attributes:
        inputs: event shape of every input field.
        distributions: of every step field.
        positions: with a hazard of stopping of their own, the last for all later ones; 0 where no end is learned.
        size: hidden units H.
        embedding: width of the embedding of a symbol.
        options: the rest of the network's options.
        cumulative: by step field, how its values add up, or `None`; empty where nothing will be generated. The parts of
            a first value follow their field.
        before: by step field, how an input becomes its value before step 0, or `None`; empty where none does.
        sums_before: likewise, its running sum.
        symbols: by input, how many of its symbols training has, 0 of numbers; empty for all that the event shape has.
        direct: whether the first step's distributions read the numbers of the input.
    """

    inputs: tuple[EventShape, ...]
    distributions: tuple[Distribution, ...]
    positions: int
    size: int
    embedding: int
    options: Network
    cumulative: tuple[CumulativeRule | PartRule | None, ...] = ()
    before: tuple[ValueBefore | None, ...] = ()
    sums_before: tuple[ValueBefore | None, ...] = ()
    symbols: tuple[int, ...] = ()
    direct: bool = True

    @property
    def stops(self) -> bool:
        """Whether the end of a sequence is learned, as a hazard before each step."""
        return self.positions > 0

    @property
    def constants(self) -> Constants:
        """The numbers of the data, on a device."""
        symbols = self.symbols or tuple(event.symbols or 0 for event in self.inputs)
        return jax.device_put(
            Constants(
                group_fields(self.distributions, self.cumulative),
                np.int32(max(self.positions - 1, 0)),  # type: ignore[arg-type]  # on its way to a device
                np.array(symbols, np.int32),  # type: ignore[arg-type]
                *jax.tree.map(constant, (self.before, self.sums_before)),
            )
        )


@dataclass(frozen=True)
class Shape:
    """All of the architecture that decides the shape of a program, and none of the numbers of the data.

    Attributes:
        inputs: by kind of input, the numbers of its fields.
        steps: where the fields of a step lie.
        stops: whether the end of a sequence is learned, as a hazard before each step.
        size: hidden units H.
        options: the rest of the network's options.
    """

    inputs: FieldLayout
    steps: FieldLayout
    stops: bool
    size: int
    options: Network

    @property
    def num_uniforms(self) -> int:
        """Uniforms U of one step: the stop, then the fields in order."""
        return int(self.stops) + sum(self.steps.uniforms)

    def first_uniform(self, j: Any) -> Any:
        """The first uniform of field j among those of a step."""
        starts = int(self.stops) + np.cumsum((0, *self.steps.uniforms))
        return int(starts[j]) if isinstance(j, int) else jnp.asarray(starts)[j]

    def uniforms_of(self, j: int) -> slice:
        """The uniforms of field j among those of a step."""
        start = self.first_uniform(j)
        return slice(start, start + self.steps.uniforms[j])


class DecoderState(NamedTuple):
    """What goes from step to step: the layers' state, and what the next step reads."""

    lstm: State
    feedback: Feedback


class Precomputed(NamedTuple):
    """What does not change from step to step, computed before the loop.

    Attributes:
        gates: by kind of field, the folded embeddings with the weights to the first layer.
        direct: likewise, with those to the distributions of the next step.
        within: likewise, with those to the later fields of the same step.
        sums: by kind of field whose running sums later fields of the step read, the weights to these.
        constants: by layer, what context and bias add to the pre-activations.
    """

    gates: tuple[Feed, ...]
    direct: tuple[Feed, ...]
    within: tuple[Feed, ...]
    sums: tuple[Float[Array, "F K _"], ...]
    constants: tuple[Float[Array, "B Z"], ...]


class Net(eqx.Module):
    """All weights, and the mathematics of both phases.

    Attributes:
        shape: all that decides the shape of a program.
        constants: the numbers of the data.
        inputs: embeddings of the input fields, by kind; `project` takes each into the context, with `context_bias`.
        initial: weights of every layer's encoder step, with `initial_bias`.
        start: the feedback of the first step.
        first: by kind of numeric input, if they are read so, what its numbers and marks add to that, but to no gate.
        steps: embeddings of the step fields, by kind; `feedback` takes each into the first layer's pre-activations and,
            behind these, into the parameters of all distributions and the hazard (X = Z + D columns; D is Q, or Q + 1).
        changes: by kind of field that has them, weights of the change of each number to the same columns: with them a
            distribution holds an autoregression of order two, which has momentum, or noise around a level.
        sums: by kind of field whose running sums are read, weights of what is read to the same columns.
        cells: decoder layers.
        norms: gain of every layer's norm, if there is one.
        stop: weights and, by position, bias of the hazard of stopping, or `None`.
        outputs: of the distributions.
    """

    shape: Shape = eqx.field(static=True)
    constants: Constants
    inputs: tuple[Embedding, ...]
    project: tuple[Float[Array, "F D C"], ...]
    context_bias: Float[Array, " C"]
    initial: tuple[Float[Array, "C Z"], ...]
    initial_bias: tuple[Float[Array, " Z"], ...]
    start: Float[Array, " X"]
    first: tuple[Float[Array, "F N Y"], ...]
    steps: tuple[Embedding, ...]
    feedback: tuple[Float[Array, "F D X"], ...]
    changes: tuple[Float[Array, "F X"], ...]
    sums: tuple[Float[Array, "F K X"], ...]
    cells: tuple[Cell, ...]
    norms: tuple[Float[Array, " H"], ...]
    stop: tuple[Float[Array, " H"], Float[Array, " N"]] | None
    outputs: Outputs

    def __init__(self, rng: np.random.Generator | None, of: Architecture) -> None:
        H, options = of.size, of.options
        self.constants = of.constants
        fields = self.constants.fields
        inputs, steps = layout_of_inputs(of.inputs), layout_of(fields)
        self.shape = Shape(inputs, steps, of.stops, H, options)
        Q = steps.num_params
        known = of.symbols or (None,) * len(of.inputs)
        read = [new_embedding(rng, e, of.embedding, INPUT_FEATURES, n) for e, n in zip(of.inputs, known, strict=True)]
        project = [lecun_normal(rng, e.width, H, len(read))[None] for e in read]
        self.inputs, self.project = (
            tuple(side_by_side([parts[j] for j in group]) for group in inputs.groups)
            for parts in (read, [to_weights(part) for part in project])
        )
        self.context_bias = to_weights(np.zeros(H))
        self.initial = tuple(to_weights(lecun_normal(rng, H, 4 * H)) for _ in range(options.layers))
        self.initial_bias = tuple(to_weights(np.zeros(4 * H)) for _ in range(options.layers))
        self.start = to_weights(np.zeros(4 * H + Q + of.stops))
        numeric = [(len(inputs.groups[g]), self.inputs[g].width - INPUT_FEATURES) for g in inputs.numeric]
        self.first = tuple(to_weights(np.zeros((*shape, Q + of.stops))) for shape in numeric if of.direct)
        fed = [
            new_embedding(rng, dist.event_shape, of.embedding, STEP_FEATURES, getattr(dist, "num_symbols", None))
            for dist in of.distributions
        ]
        weights = [lecun_normal(rng, e.width, 4 * H, len(fed))[None] for e in fed]
        weights = [to_weights(array_module(rng).pad(part, ((0, 0), (0, 0), (0, Q + of.stops)))) for part in weights]
        self.steps, self.feedback = (
            tuple(side_by_side([parts[j] for j in group]) for group in steps.groups) for parts in (fed, weights)
        )
        self.changes = tuple(to_weights(np.zeros((len(steps.groups[g]), 4 * H + Q + of.stops))) for g in steps.changing)
        self.sums = tuple(
            to_weights(np.zeros((len(steps.groups[g]), steps.sums[g], 4 * H + Q + of.stops))) for g in steps.summing
        )
        width = H if options.context == "state+step" else None
        self.cells = tuple(Cell(rng, H, width, first=layer == 0) for layer in range(options.layers))
        self.norms = tuple(to_weights(np.ones(H)) for _ in range(options.layers)) if options.norm else ()
        self.stop = None
        if of.stops:
            hazards = np.zeros(size_class(of.positions, POSITIONS_MULTIPLE))
            self.stop = to_weights(lecun_normal(rng, H, 1)[:, 0]), to_weights(hazards)
        self.outputs = Outputs(rng, H, fields, steps, self.steps)

    @property
    def distributions(self) -> tuple[Distribution, ...]:
        """Of every step field, in order."""
        return tuple(self.field(j)[0] for j in range(len(self.shape.steps.params)))

    def field(self, j: int) -> tuple[Distribution, CumulativeRule | PartRule | None]:
        """The distribution of step field j, and how its values add up."""
        g, i = self.shape.steps.place(j)
        return self.group(g).of(i)

    @property
    def starts(self) -> list[int]:
        """The distributions at which another field of the codec begins: all but the parts of first values."""
        return sorted(
            j for group in self.constants.fields if not isinstance(group.cumulative, PartRule) for j in group.fields
        )

    def group(self, g: int) -> FieldGroup:
        """The fields of a kind; their distributions have the weights of their own."""
        group = self.constants.fields[g]
        return FieldGroup(group.fields, bind(group.distribution, self.outputs.own[g]), group.cumulative)

    @property
    def positions(self) -> int:
        """Positions with a hazard of their own."""
        return int(self.constants.last) + 1

    def split(self) -> tuple["Net", Constants]:
        """What is learned, and the numbers of the data; `with_constants` joins them again."""
        return self.with_constants(None), self.constants

    def matrices(self) -> "Net":
        """The weights with zeros for all vectors: what decays."""
        of_vectors = lambda path, w: w.ndim == 1 or getattr(path[-1], "name", "") == "b"  # noqa: E731  # per field
        return jax.tree_util.tree_map_with_path(lambda path, w: jnp.zeros_like(w) if of_vectors(path, w) else w, self)

    def map_weights(self, function: Callable[[Any], Any]) -> "Net":
        """The network with a function of each of its weights."""
        weights, constants = self.split()
        changed: Net = jax.tree.map(function, weights)
        return changed.with_constants(constants)

    def with_constants(self, constants: Any) -> "Net":
        """The same weights with these numbers of the data."""
        return eqx.tree_at(lambda net: net.constants, self, constants, is_leaf=lambda node: node is None)

    # ---- phase one: the input becomes a state -------------------------------------------------------------------

    def encode(self, inputs: tuple[Array, ...], mask: Mask = None) -> tuple[State, Float[Array, "B C"]]:
        """The initial state of every layer, and the context times `mask`.

        The encoder is one LSTM step from the zero state for each decoder layer: its forget gate and its recurrent
        weights multiply zero, so it has neither.
        """
        stacked, count = self.shape.inputs.stack(inputs), inputs[0].shape[0]
        folds = (e.fold(w, count) for e, w in zip(self.inputs, self.project, strict=True))
        projected = [feed(rows) for feed, rows in zip(folds, stacked, strict=True)]
        context = jnp.tanh(sum(projected) + self.context_bias)
        context = context if mask is None else context * mask
        states = []
        for weights, bias in zip(self.initial, self.initial_bias, strict=True):
            i, _, g, o = split_gates(activate(context @ weights + bias))
            c = i * g
            states.append((o * jnp.tanh(c), c))
        return State(*(jnp.stack(part) for part in zip(*states, strict=True))), context

    def precompute(self, context: Float[Array, "B C"], count: Any) -> Precomputed:
        """Fold every embedding for about `count` fed-back values, and compute what the context adds to each layer."""
        gates = 4 * self.shape.size
        weights = [*zip(self.steps, self.feedback, strict=True)]
        return Precomputed(
            tuple(e.fold(w[..., :gates], count) for e, w in weights),
            tuple(e.fold(w[..., gates:], count) for e, w in weights),
            self.outputs.fold(self.steps, count),
            self.outputs.of_sums,
            tuple(cell.constant(context) for cell in self.cells),
        )

    # ---- phase two: the decoder unrolls -------------------------------------------------------------------------

    def start_feedback(self, inputs: tuple[Array, ...]) -> Feedback:
        """What the first step reads: the start token, and of inputs their numbers and the values before it."""
        layout, count = self.shape.steps, inputs[0].shape[0]
        fed = jnp.broadcast_to(self.start, (count, self.start.shape[0]))
        known = {j: rule.of(inputs) for j, rule in enumerate(self.constants.before) if rule is not None}
        numbers = {g: jnp.full((count, len(layout.groups[g])), jnp.nan, fed.dtype) for g in layout.changing}
        for g, group in enumerate(layout.groups):
            here = [j in known for j in group]
            if any(here):
                none = jnp.zeros_like(known[group[here.index(True)]])
                rows = layout.rows([known.get(j, none) for j in group], group[0])
                weights = self.feedback[g] * np.array(here, np.float32)[:, None, None]
                fed = fed + Product(self.steps[g], weights)(rows)  # one value a sequence is too few to fold for
                if g in numbers:
                    numbers[g] = jnp.where(np.array(here), rows[..., 0], numbers[g])
        of_inputs = (sums_before(self.constants.fields[g], self.constants.sums_before, inputs) for g in layout.summing)
        sums = tuple(total.astype(fed.dtype) for total in of_inputs)
        fed = fed + sum(self._of_sums(sums))
        gates, direct = jnp.split(fed, [4 * self.shape.size], -1)
        given = self.shape.inputs.stack(inputs)
        for g, weights in zip(self.shape.inputs.numeric if self.first else (), self.first, strict=True):
            read = self.inputs[g].embed(given[g])[..., : weights.shape[1]]
            direct = direct + flat_product(read.reshape(count, -1), weights.reshape(-1, weights.shape[-1]))
        for j in (j for j in known if layout.events[j].angle):
            direct = self._carried(direct, j, known[j][:, None])
        return Feedback(gates, direct, tuple(numbers.values()), sums)

    def feed_back(self, ready: Precomputed, values: tuple[Array, ...], before: Feedback | None = None) -> Feedback:
        """What the next step reads, from the values of a step (symbols, numbers, or soft ones), which read `before`.

        Without it nothing changes: it is the first step.
        """
        rows = self._rows(values)
        parts = ([feed(row) for feed, row in zip(feeds, rows, strict=True)] for feeds in (ready.gates, ready.direct))
        gates, direct = (functools.reduce(operator.add, part) for part in parts)
        direct, numbers, sums = self._all_carried(direct, rows), self._numbers(rows), tuple[Array, ...]()
        if before is not None:
            sums = sums_after(self.shape.steps, self.constants.fields, before.sums, values)
            for part in (*of_changes(self.changes, numbers, before.numbers), *self._of_sums(sums)):
                own = jnp.split(part, [4 * self.shape.size], -1)
                gates, direct = gates + own[0], direct + own[1]
        return Feedback(gates, direct, numbers, sums)

    def feed_back_sequence(self, ready: Precomputed, before: tuple[Array, ...], first: Feedback) -> FeedbackSequence:
        """What all steps read: the first one `first`, each later one the values of the step before it.

        The (T, B) arrays of `before`, one per field, hold at every step the values of the step before it.
        """
        rows = self._rows(before)
        numbers = tuple(now.at[0].set(start) for now, start in zip(self._numbers(rows), first.numbers, strict=True))
        sums = sums_along(self.shape.steps, self.constants.fields, first.sums, before)
        earlier = tuple(jnp.roll(part, 1, 0) for part in numbers)
        changes = of_changes(self.changes, numbers, earlier) + self._of_sums(sums)
        split = [jnp.split(part, [4 * self.shape.size], -1) for part in changes]
        feeds = [*zip(ready.gates, rows, strict=True)]
        tables = [Gathered(feed.rows, row[..., 0]) for feed, row in feeds if isinstance(feed, FoldedTable)]
        products = [feed(row) for feed, row in feeds if not isinstance(feed, FoldedTable)]
        products += [part[0] for part in split]
        gates: tuple[Float[Array, "T B Z"] | Gathered, ...] = ()
        if products:
            gates = (functools.reduce(operator.add, products).at[0].set(first.gates),)
        for part in tables:
            gates += (part.begun(jnp.zeros_like(first.gates) if gates else first.gates),)
        terms = [*(feed(row) for feed, row in zip(ready.direct, rows, strict=True)), *(part[1] for part in split)]
        direct = self._all_carried(functools.reduce(operator.add, terms), rows)
        return FeedbackSequence(gates, direct.at[0].set(first.direct), numbers, sums)

    def unroll(
        self, ready: Precomputed, feedback: FeedbackSequence, state: State, masks: Masks
    ) -> tuple[DecoderOutput, State]:
        """All hidden states of the top layer for known feedback, layer after layer: the loop holds `h R` alone."""
        last = []
        below: Any = None  # the first layer reads the feedback
        for layer, cell in enumerate(self.cells):
            x = feedback.gates if cell.W is None else (flat_product(below, cell.W),)
            hs, c = unroll(cell.R, x, ready.constants[layer], state.h[layer], state.c[layer], masks.recurrent[layer])
            last.append((hs[-1], c))
            below = self._handed_on(layer, hs, below, masks)
        return self._output(below, feedback), State(*(jnp.stack(part) for part in zip(*last, strict=True)))

    def step(
        self, ready: Precomputed, feedback: Feedback, state: State, masks: Masks, *, twins: bool = False
    ) -> tuple[DecoderOutput, State]:
        """One step of all layers: what `unroll` does to a sequence of length one; of `twins` all rows are the same."""
        hs, cs = [], []
        below: Any = None
        for layer, cell in enumerate(self.cells):
            h, mask = state.h[layer], masks.recurrent[layer]
            z = (feedback.gates if cell.W is None else product(below, cell.W, twins=twins)) + ready.constants[layer]
            h, c, _ = step(z + product(h if mask is None else h * mask, cell.R, twins=twins), state.c[layer])
            hs.append(h)
            cs.append(c)
            below = self._handed_on(layer, h, below, masks)
        return self._output(below, feedback), State(jnp.stack(hs), jnp.stack(cs))

    def _output(self, h: Array, feedback: Feedback | FeedbackSequence) -> DecoderOutput:
        direct, to_hazard = jnp.split(feedback.direct, [self.shape.steps.num_params], -1)
        return DecoderOutput(h, direct, to_hazard, feedback.sums)

    def condition_on(self, ready: Precomputed, context: StepContext, j: int, value: Array) -> StepContext:
        """The context of the fields after field j, given its value."""
        return self.condition_on_place(ready, context, *self.shape.steps.place(j), value)

    def condition_on_place(self, ready: Precomputed, context: StepContext, g: int, i: Any, value: Array) -> StepContext:
        """As `condition_on`, of the field at a place of group g."""
        if g == len(ready.within):
            return context
        layout = self.shape.steps
        row = layout.rows((value,), layout.groups[g][0])
        context = self.outputs.condition_on(context, g, ready.within[g].of(i)(row))
        own = sum_with_field(layout, self.constants.fields, context.sums, g, i, value)
        if own is None:
            return context
        if not own.known:
            k = layout.summing.index(own.group)
            total = context.sums[k].at[..., own.place].set(own.total)
            return context._replace(sums=(*context.sums[:k], total, *context.sums[k + 1 :]))
        features = sum_features(self.constants.fields[own.group].of(own.place)[1], own.total)[..., None, :]
        weights = ready.sums[layout.leading_sums.index(own.group)][own.place][None]
        return self.outputs.condition_on_sums(context, own.group, features, weights)

    def hazard(self, output: DecoderOutput, position: Int[Array, "*T #B"]) -> Float[Array, "*T B"]:
        """Logit of stopping before the step at a position: a bias of that position, and what step and state add to it.

        So the hazard is that of a life table as it is, with the step before as covariates, and the recurrence, which
        can't count well, learns what goes beyond (Cox 1972, "Regression models and life-tables", in discrete time).
        """
        weights, bias = self.stop or (jnp.zeros(self.shape.size), jnp.full(1, -jnp.inf))  # without one, never
        logit = flat_product(output.h, weights) + bias[jnp.minimum(position, self.constants.last)]
        return logit if self.stop is None else logit + output.to_hazard[..., 0]

    def log_prob(
        self, ready: Precomputed, output: DecoderOutput, values: tuple[Array, ...], positions: Array, lengths: Array
    ) -> tuple[Float[Array, "T B F"], Float[Array, "T B"] | None]:
        """Log-probability of every field of every step, and of stopping there or not; zero past the end.

        `values` has one (T, B) array per field, `positions` (T,) the position of every step in its sequence, and
        `lengths` (B,) the steps of every sequence.
        """
        real, context, rows = positions[:, None] < lengths, self.outputs.begin(output), self._rows(values)
        for g, feed in enumerate(ready.within):
            context = self.outputs.condition_on(context, g, feed(rows[g]))
        sums = sums_after(self.shape.steps, self.constants.fields, output.sums, values)
        for g, weights in zip(self.shape.steps.leading_sums, ready.sums, strict=True):
            features = sum_features(self.constants.fields[g].cumulative, sums[self.shape.steps.summing.index(g)])
            context = self.outputs.condition_on_sums(context, g, features, weights)
        # A field's parameters read what the fields before it have added, and nothing of those after it.
        terms = [
            self.group(g).log_prob(self.outputs.group_params(context, g), value)
            for g, value in enumerate(self.shape.steps.stack(values))
        ]
        order = np.argsort([j for group in self.shape.steps.groups for j in group])
        fields = jnp.concatenate(terms, -1)
        fields = fields if (np.diff(order) == 1).all() else fields[..., order]
        fields = jnp.where(real[..., None], fields, 0.0)
        if self.stop is None:
            return fields, None
        at_end = positions[:, None] == lengths
        stop = bernoulli_log_prob(self.hazard(output, positions[:, None]), at_end)
        return fields, jnp.where(real | at_end, stop, 0.0)

    def masks(self) -> Masks:
        """Those that drop nothing; training has others, see `unspool.network.dropout.draw_masks`."""
        return Masks.none(self.shape.options.layers)

    def _handed_on(self, layer: int, h: Array, below: Array | None, masks: Masks) -> Array:
        """What a layer gives to the next one: norm, residual and dropout, none of which the recurrence sees."""
        if self.norms:
            centred = h - h.mean(-1, keepdims=True)
            h = centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * self.norms[layer]
        if below is not None and self.shape.options.residual:
            h = h + below
        mask = masks.output[layer]
        return h if mask is None else h * mask

    def _numbers(self, rows: tuple[Array, ...]) -> tuple[Array, ...]:
        """The numbers whose changes are read, by kind."""
        return tuple(rows[g][..., 0].astype(self.start.dtype) for g in self.shape.steps.changing)

    def _of_sums(self, sums: tuple[Array, ...]) -> list[Float[Array, "*T B X"]]:
        """What running sums add, by kind."""
        rules = [self.constants.fields[g].cumulative for g in self.shape.steps.summing]
        found = []
        for rule, total, weights in zip(rules, sums, self.sums, strict=True):
            features = sum_features(rule, total)
            found.append(flat_product(features.reshape(*total.shape[:-1], -1), weights.reshape(-1, weights.shape[-1])))
        return found

    def _all_carried(self, direct: Array, rows: tuple[Array, ...]) -> Array:
        """The direct path with the locations of all angles that follow their value before."""
        for group, values in zip(self.constants.fields, rows, strict=True):
            for i, j in enumerate(group.fields):
                if circular_of(group.distribution) is not None:
                    direct = self._carried(direct, j, values[..., i, :])
        return direct

    def _carried(self, direct: Array, j: int, before: Float[Array, "*B 1"]) -> Array:
        """The direct path with the location of an angle that follows its value before, if field j is one."""
        dist = self.field(j)[0]
        circular, columns = circular_of(dist), self.shape.steps.columns(j)
        if circular is None or not circular.following:
            return direct
        own = jnp.zeros(direct.shape[-1], direct.dtype).at[columns].set(of_all_params(dist, circular.carry))
        return direct + jnp.nan_to_num(before) * own

    def _rows(self, values: tuple[Array, ...]) -> tuple[Array, ...]:
        """The values of a step as their embeddings take them: by kind, single numbers with an axis of one."""
        layout = self.shape.steps
        one = [layout.events[group[0]].one_number for group in layout.groups]
        return tuple(
            rows[..., None] if single else rows for rows, single in zip(layout.stack(values), one, strict=True)
        )
