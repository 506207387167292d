"""The network: one input becomes a state, the state becomes a sequence.

Vinyals et al. 2015 (arXiv:1411.4555) for the input as initial state; Graves 2013 (arXiv:1308.0850) for the decoder that
reads its own output. Everything here is a pure function of weights and arrays; time is the first axis of a sequence.
"""

import functools
import math
import operator
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from unspool.network.combinations import FAR, Combination
from unspool.network.cumulative import CumulativeRule
from unspool.network.distributions.base import Distribution
from unspool.network.distributions.categorical import Bernoulli
from unspool.network.embeddings import Embedding, Feed, RealEmbedding, SymbolEmbedding, initial_weights
from unspool.network.lstm import Cell, Gathered, Mask, State, activate, lecun_normal, split_gates, step, unroll
from unspool.options import Network

INPUT_FEATURES, STEP_FEATURES, WITHIN = 32, 8, 32
"""Non-linear features of a number as input and as fed-back step; hidden units between the fields of one step."""


@dataclass(frozen=True)
class CategoricalInput:
    """An input field that is one of `count` symbols."""

    count: int


@dataclass(frozen=True)
class NumericInput:
    """An input field of `dim` numbers, all NaN where it is missing."""

    dim: int


@dataclass(frozen=True)
class Architecture:
    """All that fixes the network's arrays: it is hashable, and derived from the codec and the options.

    Attributes:
        inputs: the kind of every input field.
        distributions: the distribution of every step field.
        positions: with a hazard of stopping of their own, the last for all later ones; 0 where the end of a sequence is
            not learned.
        size: hidden units H.
        embedding: width of the embedding of a symbol.
        options: the rest of the network's options.
        paths: by step field, how its values add up, or `None` where they don't; none at all where nothing is to be
            generated.
        combinations: fields of which only some tuples of symbols occur.
    """

    inputs: tuple[CategoricalInput | NumericInput, ...]
    distributions: tuple[Distribution, ...]
    positions: int
    size: int
    embedding: int
    options: Network
    paths: tuple[CumulativeRule | None, ...] = ()
    combinations: tuple[Combination, ...] = ()

    def combined(self, j: int) -> tuple[int, int, Combination] | None:
        """Of a field that is in a combination: the number of that, which of its fields it is, and the combination."""
        for number, one in enumerate(self.combinations):
            if j in one.fields:
                return number, one.fields.index(j), one
        return None

    @property
    def stops(self) -> bool:
        """Whether the end of a sequence is learned, as a hazard before each step."""
        return self.positions > 0

    @property
    def num_uniforms(self) -> int:
        """Uniforms U of one step: the stop, then the fields in order."""
        return int(self.stops) + sum(dist.num_uniforms for dist in self.distributions)


class Masks(NamedTuple):
    """Variational dropout of every layer and of the context, `None` where nothing is dropped."""

    recurrent: tuple[Mask, ...]
    output: tuple[Mask, ...]
    context: Mask


class Outputs(eqx.Module):
    """All distributions on top of the hidden state, each given the fields before it in the same step.

        params_j = h A_j + b_j + sum over earlier fields k of e_k L_kj + tanh(h U_j + sum of e_k W_kj) B_j

    The first field has only the first two terms. Weights with the same left factor lie side by side, so that a step
    costs as many products as it has fields, not as many as it has pairs of them.

    Attributes:
        A: of all F fields, side by side, with the biases `b`.
        U: of the fields from the second on.
        W: by field but the last, its weights to all fields after it.
        L: by field but the last, its weights to the parameters of all fields after it, zero at first. With them fields
            that move together need no hidden units to do so.
        B: by field from the second on.
    """

    A: Float[Array, "H Q"]
    b: Float[Array, " Q"]
    U: Float[Array, "H N"] | None
    W: tuple[Float[Array, "D _"], ...]
    L: tuple[Float[Array, "D _"], ...]
    B: tuple[Float[Array, "M _"], ...]

    def __init__(
        self,
        rng: np.random.Generator,
        size: int,
        distributions: tuple[Distribution, ...],
        fields: tuple[Embedding, ...],
    ):
        after = len(distributions) - 1
        self.A = jnp.concatenate([lecun_normal(rng, size, dist.size) for dist in distributions], 1)
        self.b = jnp.asarray(np.concatenate([dist.bias() for dist in distributions]), jnp.float32)
        self.U = lecun_normal(rng, size, after * WITHIN) if after else None
        self.W = tuple(initial_weights(rng, e, (after - k) * WITHIN) for k, e in enumerate(fields[:after]))
        later = [sum(dist.size for dist in distributions[k + 1 :]) for k in range(after)]
        self.L = tuple(jnp.zeros((e.width, units)) for e, units in zip(fields, later, strict=False))
        self.B = tuple(lecun_normal(rng, WITHIN, dist.size) for dist in distributions[1:])


class StepContext(NamedTuple):
    """What the distributions of a step have been told so far.

    Attributes:
        linear: parameters of all distributions without their hidden units; grows as fields become known.
        hidden: of the fields from the second on, before the hyperbolic tangent; grows likewise.
        locations: by combination, where its fields so far have led, (..., 1) each; grows likewise.
    """

    linear: Float[Array, "*T B Q"]
    hidden: Float[Array, "*T B N"] | None
    locations: tuple[tuple[Array, ...], ...] = ()


class Feedback(NamedTuple):
    """What a step reads of the one before it.

    Attributes:
        gates: added to the pre-activations of the first layer.
        direct: added to the parameters of all distributions, side by side. With it a distribution holds a first-order
            Markov chain or autoregression as it is, and the recurrence learns what goes beyond.
    """

    gates: Float[Array, "*T B Z"]
    direct: Float[Array, "*T B Q"]


class FeedbackSequence(NamedTuple):
    """What all steps of sequences read, as `Feedback` is what one step reads; the gates' part as `unroll` takes it."""

    gates: tuple[Float[Array, "T B Z"] | Gathered, ...]
    direct: Float[Array, "T B Q"]


class DecoderOutput(NamedTuple):
    """What the distributions read: the hidden state of the top layer, and the direct path from the previous step."""

    h: Float[Array, "*T B H"]
    direct: Float[Array, "*T B Q"]


class DecoderState(NamedTuple):
    """What goes from step to step: the layers' state, and what the next step reads."""

    state: State
    x: Feedback


class Precomputed(NamedTuple):
    """What does not change from step to step, computed before the loop."""

    gates: tuple[Feed, ...]
    direct: tuple[Feed, ...]
    within: tuple[Feed, ...]
    constants: tuple[Float[Array, "B Z"], ...]


class Net(eqx.Module):
    """All weights, and the mathematics of both phases.

    Attributes:
        shape: see `Architecture`.
        inputs: embeddings of the input fields, and `project` the weights that take each into the context.
        context_bias: bias of the context.
        initial: for every layer the weights of its encoder step, and `initial_bias` their biases.
        start: what the first step reads in place of a previous one.
        steps: embeddings of the step fields, and `feedback` the weights that take each into the first layer's
            pre-activations and, behind these, into the parameters of all distributions (X = Z + Q columns).
        cells: decoder layers.
        norms: gain of the layer norm of every layer, if there is one.
        stop: weights and, by position, bias of the hazard of stopping, or `None`.
        outputs: of the distributions.
    """

    shape: Architecture = eqx.field(static=True)
    inputs: tuple[Embedding, ...]
    project: tuple[Float[Array, "D C"], ...]
    context_bias: Float[Array, " C"]
    initial: tuple[Float[Array, "C Z"], ...]
    initial_bias: tuple[Float[Array, " Z"], ...]
    start: Float[Array, " X"]
    steps: tuple[Embedding, ...]
    feedback: tuple[Float[Array, "D X"], ...]
    cells: tuple[Cell, ...]
    norms: tuple[Float[Array, " H"], ...]
    stop: tuple[Float[Array, " H"], Float[Array, " N"]] | None
    outputs: Outputs

    def __init__(self, rng: np.random.Generator, shape: Architecture) -> None:
        H, options = shape.size, shape.options
        embed = lambda symbols, dim, features: (  # noqa: E731
            RealEmbedding(rng, dim, features) if symbols is None else SymbolEmbedding(rng, symbols, shape.embedding)
        )
        self.shape = shape
        self.inputs = tuple(
            embed(f.count, 0, 0) if isinstance(f, CategoricalInput) else embed(None, f.dim, INPUT_FEATURES)
            for f in shape.inputs
        )
        self.project = tuple(initial_weights(rng, e, H) / len(self.inputs) ** 0.5 for e in self.inputs)
        self.context_bias = jnp.zeros(H)
        self.initial = tuple(lecun_normal(rng, H, 4 * H) for _ in range(options.layers))
        self.initial_bias = tuple(jnp.zeros(4 * H) for _ in range(options.layers))
        direct = sum(dist.size for dist in shape.distributions)
        self.start = jnp.zeros(4 * H + direct)
        self.steps = tuple(embed(dist.symbols, dist.members or 1, STEP_FEATURES) for dist in shape.distributions)
        self.feedback = tuple(
            jnp.pad(initial_weights(rng, e, 4 * H) / len(self.steps) ** 0.5, ((0, 0), (0, direct))) for e in self.steps
        )
        width = H if options.context == "state+step" else None
        self.cells = tuple(Cell(rng, H, width, first=layer == 0) for layer in range(options.layers))
        self.norms = tuple(jnp.ones(H) for _ in range(options.layers)) if options.norm else ()
        self.stop = (lecun_normal(rng, H, 1)[:, 0], jnp.zeros(shape.positions)) if shape.stops else None
        self.outputs = Outputs(rng, H, shape.distributions, self.steps)

    # ---- phase one: the input becomes a state -------------------------------------------------------------------

    def encode(self, inputs: tuple[Array, ...], mask: Mask = None) -> tuple[State, Float[Array, "B C"]]:
        """The initial state of every layer, and the context, some of whose units `mask` may have switched off.

        The encoder is one LSTM step from the zero state per decoder layer: its forget gate multiplies zero, and its
        recurrent weights too, so neither shows.
        """
        folds = (e.fold(w, rows.shape[0]) for e, w, rows in zip(self.inputs, self.project, inputs, strict=True))
        projected = [feed(rows) for feed, rows in zip(folds, inputs, strict=True)]
        context = jnp.tanh(sum(projected) + self.context_bias)
        context = context if mask is None else context * mask
        states = []
        for weights, bias in zip(self.initial, self.initial_bias, strict=True):
            gates = split_gates(activate(context @ weights + bias))
            c = gates.i * gates.g
            states.append((gates.o * jnp.tanh(c), c))
        return State(*(jnp.stack(part) for part in zip(*states, strict=True))), context

    def prepare(self, context: Float[Array, "B C"], count: int) -> Precomputed:
        """Fold every embedding for about `count` fed-back values, and compute what the context adds to each layer."""
        gates = 4 * self.shape.size
        return Precomputed(
            tuple(e.fold(w[:, :gates], count) for e, w in zip(self.steps, self.feedback, strict=True)),
            tuple(e.fold(w[:, gates:], count) for e, w in zip(self.steps, self.feedback, strict=True)),
            tuple(
                e.fold(jnp.concatenate([hidden, linear], 1), count)
                for e, hidden, linear in zip(self.steps, self.outputs.W, self.outputs.L, strict=False)
            ),
            tuple(cell.constant(context) for cell in self.cells),
        )

    # ---- phase two: the decoder unrolls -------------------------------------------------------------------------

    def feed(self, ready: Precomputed, values: tuple[Array, ...]) -> Feedback:
        """What the next step reads, from the values of a step (symbols, numbers, or soft ones)."""
        rows = [self._rows(j, value) for j, value in enumerate(values)]
        parts = ([feed(row) for feed, row in zip(feeds, rows, strict=True)] for feeds in (ready.gates, ready.direct))
        return Feedback(*(functools.reduce(operator.add, part) for part in parts))

    def along(self, ready: Precomputed, before: tuple[Array, ...], first: Feedback) -> FeedbackSequence:
        """What all steps of sequences read: the first one `first`, each later one the values of the step before it.

        Args:
            ready: see `prepare`.
            before: one (T, B) array per field, at every step the values of the one before it.
            first: what is read in place of the values at the first step.
        """
        rows = [self._rows(j, value) for j, value in enumerate(before)]
        every = [feed.along(row) for feed, row in zip(ready.gates, rows, strict=True)]
        tables = [part for part in every if isinstance(part, Gathered)]
        rest = [part for part in every if not isinstance(part, Gathered)]
        gates: tuple[Float[Array, "T B Z"] | Gathered, ...] = ()
        if rest:
            gates = (functools.reduce(operator.add, rest).at[0].set(first.gates),)
        for part in tables:
            gates += (part.begun(jnp.zeros_like(first.gates) if gates else first.gates),)
        direct = functools.reduce(operator.add, (feed(row) for feed, row in zip(ready.direct, rows, strict=True)))
        return FeedbackSequence(gates, direct.at[0].set(first.direct))

    def unroll(
        self, ready: Precomputed, x: FeedbackSequence, state: State, masks: Masks
    ) -> tuple[DecoderOutput, State]:
        """All hidden states of the top layer for known feedback, layer after layer: the loop holds `h R` alone."""
        last = []
        below: Any = None  # the first layer has none: it reads what is fed back
        for layer, cell in enumerate(self.cells):
            z = x.gates if cell.W is None else (below @ cell.W,)
            hs, c = unroll(cell.R, z, ready.constants[layer], state.h[layer], state.c[layer], masks.recurrent[layer])
            last.append((hs[-1], c))
            below = self._handed_on(layer, hs, below, masks)
        return DecoderOutput(below, x.direct), State(*(jnp.stack(part) for part in zip(*last, strict=True)))

    def step(self, ready: Precomputed, x: Feedback, state: State, masks: Masks) -> tuple[DecoderOutput, State]:
        """One step of all layers: what `unroll` does to a sequence of length one."""
        hs, cs = [], []
        below: Any = None
        for layer, cell in enumerate(self.cells):
            h, mask = state.h[layer], masks.recurrent[layer]
            z = (x.gates if cell.W is None else below @ cell.W) + ready.constants[layer]
            h, c, _ = step(z + (h if mask is None else h * mask) @ cell.R, state.c[layer])
            hs.append(h)
            cs.append(c)
            below = self._handed_on(layer, h, below, masks)
        return DecoderOutput(below, x.direct), State(jnp.stack(hs), jnp.stack(cs))

    def step_context(self, top: DecoderOutput) -> StepContext:
        """What the distributions know before any field of the step does."""
        weights = self.outputs
        linear = top.h @ weights.A + weights.b + top.direct
        nowhere = tuple((jnp.zeros((*linear.shape[:-1], 1), jnp.int32),) for _ in self.shape.combinations)
        return StepContext(linear, None if weights.U is None else top.h @ weights.U, nowhere)

    def condition_on(self, ready: Precomputed, told: StepContext, j: int, value: Array) -> StepContext:
        """Tell the distributions of the fields after field j its value."""
        hidden = told.hidden
        if hidden is None or j == len(ready.within):
            return told
        if (where := self.shape.combined(j)) is not None:
            number, level, one = where
            symbol = value if jnp.issubdtype(value.dtype, jnp.integer) else value.argmax(-1)
            location = one.after(level, told.locations[number][level], symbol[..., None])
            grown = (*told.locations[number], location)
            told = told._replace(locations=(*told.locations[:number], grown, *told.locations[number + 1 :]))
        added = ready.within[j](self._rows(j, value))
        parts = jnp.split(added, [self.outputs.W[j].shape[1]], -1)
        last = lambda whole, part: jnp.pad(  # noqa: E731
            part, (*((0, 0),) * (part.ndim - 1), (whole.shape[-1] - part.shape[-1], 0))
        )
        return told._replace(linear=told.linear + last(told.linear, parts[1]), hidden=hidden + last(hidden, parts[0]))

    def params(self, told: StepContext, j: int) -> Float[Array, "*T B P"]:
        """Parameters of the distribution of field j, once the fields before it have been told."""
        at = sum(dist.size for dist in self.shape.distributions[:j])
        params = told.linear[..., at : at + self.shape.distributions[j].size]
        if j and told.hidden is not None:
            params = params + jnp.tanh(told.hidden[..., (j - 1) * WITHIN : j * WITHIN]) @ self.outputs.B[j - 1]
        may = self._may(told, j)
        return params if may is None else jnp.where(may, params, FAR)

    def within(self, told: StepContext, j: int) -> Float[Array, "*T B V"] | None:
        """Log-probability that a symbol of field j has for going with those before it, or for not; `None`: it must not.

        Beside it, `params` gives those that go with them all the rest, and the others nothing.
        """
        may, where = self._may(told, j), self.shape.combined(j)
        if may is None or where is None:
            return None
        others = (~may).sum(-1, keepdims=True)
        stays = jnp.where(others > 0, math.log1p(-where[2].unseen), 0.0)
        return jnp.where(may, stays, math.log(where[2].unseen) - jnp.log(jnp.maximum(others, 1)))

    def _may(self, told: StepContext, j: int) -> Bool[Array, "*T B V"] | None:
        """Which symbols of field j go with those of the fields before it, where they are in a combination."""
        where = self.shape.combined(j)
        if where is None or not where[1]:
            return None
        number, level, one = where
        return one.may(level, told.locations[number][level][..., 0])

    def hazard(self, top: DecoderOutput, position: Int[Array, "*T"]) -> Float[Array, "*T B 1"]:
        """Logit of stopping before the step at a position: a bias of that position, and what the state adds to it.

        So the hazard is that of a life table as it is, and the recurrence, which can't count well, learns what goes
        beyond (Cox 1972, "Regression models and life-tables", in discrete time).
        """
        weights, bias = self.stop or (jnp.zeros(self.shape.size), jnp.full(1, -jnp.inf))  # without one, never
        return (top.h @ weights + bias[jnp.minimum(position, len(bias) - 1), None])[..., None]

    def start_rows(self, batch: int) -> Feedback:
        """What the first step reads."""
        parts = jnp.split(self.start, [4 * self.shape.size])
        return Feedback(*(jnp.broadcast_to(part, (batch, part.shape[0])) for part in parts))

    def log_prob(
        self, ready: Precomputed, top: DecoderOutput, values: tuple[Array, ...], positions: Array, lengths: Array
    ) -> tuple[tuple[Float[Array, "T B"], ...], Float[Array, "T B"] | None]:
        """Log-probability of every field of every step, and of stopping there or not; zero past the end.

        Args:
            ready: see `prepare`.
            top: what the distributions of the steps read that `values` hold.
            values: one (T, B) array per field.
            positions: (T,) position of every step in its sequence.
            lengths: (B,) steps of every sequence.
        """
        real, told = positions[:, None] < lengths, self.step_context(top)
        for j, value in enumerate(values):
            told = self.condition_on(ready, told, j, value)
        fields = tuple(jnp.where(real, self._field(told, j, values[j]), 0.0) for j in range(len(values)))
        if self.stop is None:
            return fields, None
        at_end = positions[:, None] == lengths
        stop = Bernoulli().log_prob(self.hazard(top, positions), at_end)
        return fields, jnp.where(real | at_end, stop, 0.0)

    def path(self, j: int) -> CumulativeRule | None:
        """How the values of field j add up, if they do."""
        return self.shape.paths[j] if self.shape.paths else None

    def masks(self, key: PRNGKeyArray | None = None, rows: Int[Array, " B"] | None = None) -> Masks:
        """Dropout masks of the rows with these numbers, or none at all without a key.

        A row's mask depends on the key and its number alone, not on which other rows are computed beside it.
        """
        options = self.shape.options

        def drawn(number: int, rate: float | None, count: int) -> tuple[Mask, ...]:
            if key is None or rows is None or not rate:
                return (None,) * count
            own = jax.random.fold_in(key, number)
            keys = jax.vmap(lambda row: jax.random.fold_in(own, row))(rows)
            keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, (count, self.shape.size)))(keys)
            return tuple(jnp.moveaxis(keep, 0, 1) / (1 - rate))

        units = drawn(0, options.dropout, 2 * options.layers)
        return Masks(units[: options.layers], units[options.layers :], *drawn(1, options.input_dropout, 1))

    def _field(self, told: StepContext, j: int, value: Array) -> Float[Array, "*T B"]:
        """Log-probability of the value of field j."""
        nats, within = self.shape.distributions[j].log_prob(self.params(told, j), value), self.within(told, j)
        if within is None:
            return nats
        V = within.shape[-1]
        own = jnp.take_along_axis(within, jnp.minimum(value, V - 1)[..., None], -1)[..., 0]
        may = jnp.take_along_axis(self._may(told, j), jnp.minimum(value, V - 1)[..., None], -1)[..., 0]  # type: ignore[arg-type]
        return jnp.where(value >= V, nats, jnp.where(may, nats + own, own))

    def log_probs(self, told: StepContext, j: int) -> Float[Array, "*T B V"]:
        """Log-probabilities of all symbols of field j, a category; minus infinity where one is never drawn."""
        dist, may, within = self.shape.distributions[j], self._may(told, j), self.within(told, j)
        nats = dist.log_probs(self.params(told, j))  # type: ignore[attr-defined]
        return nats if may is None or within is None else jnp.where(may, nats + within, -jnp.inf)

    def _handed_on(self, layer: int, h: Array, below: Array | None, masks: Masks) -> Array:
        """What a layer gives to the next one: norm, residual and dropout, none of which the recurrence sees."""
        if self.norms:
            centred = h - h.mean(-1, keepdims=True)
            h = centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * self.norms[layer]
        if below is not None and self.shape.options.residual:
            h = h + below
        mask = masks.output[layer]
        return h if mask is None else h * mask

    def _rows(self, field: int, value: Array) -> Array:
        """A field's values as its embedding takes them: single numbers get an axis of one."""
        dist = self.shape.distributions[field]
        return value[..., None] if dist.symbols is None and dist.members is None else value
