"""The distributions of a step on top of the hidden state: each field is given those before it in the same step."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from unspool.network.distributions.base import new_weights
from unspool.network.embeddings import Embedding, Feed, side_by_side
from unspool.network.fields import HIDDEN_WITHIN, FieldGroup, FieldLayout
from unspool.network.lstm import array_module, field_products, flat_product, lecun_normal, to_weights


class DecoderOutput(NamedTuple):
    """What distributions and hazard read.

    Attributes:
        h: the hidden state of the top layer.
        direct: the direct path from the last step to the distributions.
        to_hazard: and to the hazard of stopping, if there is one.
        sums: running sums before the step, which later fields read once the step has added to them.
    """

    h: Float[Array, "*T B H"]
    direct: Float[Array, "*T B Q"]
    to_hazard: Float[Array, "*T B S"]
    sums: tuple[Float[Array, "*T B F"], ...] = ()


class StepContext(NamedTuple):
    """What the distributions of a step are conditioned on so far; both parts grow as fields become known.

    Attributes:
        linear: parameters of all distributions without their hidden units.
        hidden: hidden units of all fields, before the hyperbolic tangent.
        sums: running sums, by kind of field whose sums are read.
    """

    linear: Float[Array, "*T B Q"]
    hidden: Float[Array, "*T B N"] | None
    sums: tuple[Float[Array, "*T B F"], ...] = ()


class Outputs(eqx.Module):
    """The parameters of all distributions.

        params_j = h A_j + b_j + sum over earlier fields k of e_k L_kj + tanh(h U_j + sum of e_k W_kj) B_j

    The first field has only the first two terms. Weights with the same left factor lie side by side, in the order of
    `FieldLayout`, so that a step costs as many products as it has kinds of fields, not as it has pairs of fields.

    Attributes:
        A: of all F fields, side by side, with the biases `b`.
        U: of the hidden units of all fields but a first one that is alone of its kind; `None` of a single field.
        W: by kind that has a field after it, weights to all hidden units of the kinds from there on (`after`); those of
            a field to itself and to earlier ones are zero, and stay so.
        L: likewise, weights to the parameters, zero at first: fields that move together need no hidden units for it.
        S: by kind whose running sums are read and that has a field after it, weights of where they stand to all hidden
            units and parameters, side by side; zero at first.
        B: by kind, from hidden units to parameters; zero, and stays so, of the first field; `None` if that is alone.
        own: by kind, the weights that the distributions have of their own.
    """

    A: Float[Array, "H Q"]
    b: Float[Array, " Q"]
    U: Float[Array, "H N"] | None
    W: tuple[Float[Array, "F D _"], ...]
    L: tuple[Float[Array, "F D _"], ...]
    S: tuple[Float[Array, "F K _"], ...]
    B: tuple[Float[Array, "F M _"] | None, ...]
    own: tuple[Any, ...]
    layout: FieldLayout = eqx.field(static=True)

    def __init__(
        self,
        rng: np.random.Generator | None,
        size: int,
        groups: tuple[FieldGroup, ...],
        layout: FieldLayout,
        embeddings: tuple[Embedding, ...],
    ):
        self.layout, xp = layout, array_module(rng)
        F, several = len(layout.params), len(layout.params) > 1
        widths = [next(e.width for e, g in zip(embeddings, layout.groups, strict=True) if j in g) for j in range(F)]
        dists = {j: group.of(i)[0] for group in groups for i, j in enumerate(group.fields)}
        order = [j for group in layout.groups for j in group]
        A = [lecun_normal(rng, size, count) for count in layout.params]
        self.A = to_weights(xp.concatenate([A[j] for j in order], 1))
        self.b = to_weights(np.concatenate([_initial(rng, dists[j]) for j in order]))
        conditioned = [j for g in range(len(layout.groups)) for j in layout.conditioned(g)]
        units = len(conditioned) * HIDDEN_WITHIN
        self.U = to_weights(lecun_normal(rng, size, units)) if several else None
        within = [lecun_normal(rng, width, units) for width in widths] if several else []
        W, L = [], []
        for g in range(layout.leading):
            group, at = layout.groups[g], layout.group_hidden(layout.after(g) or 0).start
            own, params = layout.later(g)
            weights = [xp.asarray(within[j][:, at:] * mask)[None] for j, mask in zip(group, own, strict=True)]
            W.append(to_weights(side_by_side(weights)))
            L.append(to_weights(xp.zeros((len(group), widths[group[0]], params.shape[1]))))
        self.W, self.L = tuple(W), tuple(L)
        shapes = [(len(layout.groups[g]), layout.sums[g], _width(W[g], L[g])) for g in layout.leading_sums]
        self.S = tuple(to_weights(np.zeros(shape)) for shape in shapes)
        B = [lecun_normal(rng, HIDDEN_WITHIN, count)[None] * (j > 0) for j, count in enumerate(layout.params)]
        groups_of = [layout.conditioned(g) for g in range(len(layout.groups))]
        self.B = tuple(to_weights(side_by_side([B[j] for j in group])) if group else None for group in groups_of)
        shared = [jax.tree.map(lambda w: w[None], new_weights(dists[j], rng)) for j in range(F)]
        self.own = tuple(side_by_side([shared[j] for j in group]) for group in layout.groups)

    def fold(self, embeddings: tuple[Embedding, ...], count: Any) -> tuple[Feed, ...]:
        """The embeddings of all kinds with a field after them, with the weights to later fields, for `count` values."""
        feeds = []
        for g, (e, hidden, linear) in enumerate(zip(embeddings, self.W, self.L, strict=False)):
            masks = (jnp.asarray(mask)[:, None] for mask in self.layout.later(g))
            weights = [part * mask for part, mask in zip((hidden, linear), masks, strict=True)]
            feeds.append(e.fold(jnp.concatenate(weights, -1), count))
        return tuple(feeds)

    def begin(self, output: DecoderOutput) -> StepContext:
        """The context before any field of the step is known."""
        linear = flat_product(output.h, self.A) + self.b + output.direct
        return StepContext(linear, None if self.U is None else flat_product(output.h, self.U), output.sums)

    def condition_on(self, context: StepContext, g: int, contribution: Array) -> StepContext:
        """The context once fields of kind g are known, whose folded embeddings (see `fold`) give `contribution`."""
        parts = jnp.split(contribution, [self.W[g].shape[-1]], -1)
        hidden = None if context.hidden is None else _added_last(context.hidden, parts[0])
        return context._replace(linear=_added_last(context.linear, parts[1]), hidden=hidden)

    @property
    def of_sums(self) -> tuple[Float[Array, "F K _"], ...]:
        """The weights of running sums to later fields of the step."""
        masks = [self.layout.later(g, self.layout.parts[g]) for g in self.layout.leading_sums]
        return tuple(w * jnp.concatenate(own, -1)[:, None] for w, own in zip(self.S, masks, strict=True))

    def condition_on_sums(
        self, context: StepContext, g: int, features: Float[Array, "*T B F K"], weights: Float[Array, "F K _"]
    ) -> StepContext:
        """The context once running sums of kind g after the step are known, of which `of_sums` has the weights."""
        flat = features.reshape(*features.shape[:-2], -1)
        return self.condition_on(context, g, flat_product(flat, weights.reshape(-1, weights.shape[-1])))

    def params(self, context: StepContext, j: int) -> Float[Array, "*T B P"]:
        """Parameters of the distribution of field j, conditioned on the fields before it."""
        return self.params_at(context, *self.layout.place(j))

    def params_at(self, context: StepContext, g: int, i: Any) -> Float[Array, "*T B P"]:
        """Those of the field at a place of group g."""
        group, start = self.layout.groups[g], self.layout.group_columns(g).start
        width = self.layout.params[group[0]]
        params = self.layout.slice_of(context.linear, start + i * width, width)
        B = self.B[g]
        if B is None or context.hidden is None or (isinstance(i, int) and group[i] == 0):
            return params
        start = self.layout.group_hidden(g).start
        hidden = self.layout.slice_of(context.hidden, start + i * HIDDEN_WITHIN, HIDDEN_WITHIN)
        not_first = jnp.asarray(np.array(group) > 0, params.dtype)
        return params + flat_product(jnp.tanh(hidden), B[i] * not_first[i])

    def group_params(self, context: StepContext, g: int) -> Float[Array, "*T B F P"]:
        """Parameters of the distributions of all fields of kind g, once all of the step is known."""
        group, columns = self.layout.groups[g], self.layout.group_columns(g)
        params = context.linear[..., columns]
        params = params.reshape(*params.shape[:-1], len(group), -1)
        B = self.B[g]
        if B is None or context.hidden is None:
            return params
        hidden = jnp.tanh(context.hidden[..., self.layout.group_hidden(g)])
        hidden = hidden.reshape(*hidden.shape[:-1], len(group), HIDDEN_WITHIN)
        not_first = jnp.asarray(np.array(group) > 0, params.dtype)[:, None, None]
        return params + field_products(hidden, B * not_first)


def _initial(rng: np.random.Generator | None, dist: Any) -> Any:
    """Parameters to begin with; zeros where shapes alone are asked for."""
    return np.zeros(dist.num_params) if rng is None else dist.initial_params()


def _width(*arrays: Any) -> int:
    """Columns of arrays side by side."""
    return sum(array.shape[-1] for array in arrays)


def _added_last(whole: Array, part: Array) -> Array:
    """A sum whose second term has only the last columns of the first."""
    missing = whole.shape[-1] - part.shape[-1]
    return whole + jnp.pad(part, (*((0, 0),) * (part.ndim - 1), (missing, 0)))
