"""The distributions of a step on top of the hidden state: each field is given those before it in the same step."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from unspool.network.distributions.base import Distribution, new_weights
from unspool.network.embeddings import Embedding, Feed
from unspool.network.lstm import array_module, lecun_normal, to_weights

HIDDEN_WITHIN = 32
"""Hidden units between the fields of one step."""


class DecoderOutput(NamedTuple):
    """What the distributions read: the hidden state of the top layer, and the direct path from the previous step."""

    h: Float[Array, "*T B H"]
    direct: Float[Array, "*T B Q"]


class StepContext(NamedTuple):
    """What the distributions of a step are conditioned on so far; both parts grow as fields become known.

    Attributes:
        linear: parameters of all distributions without their hidden units.
        hidden: hidden units of the fields from the second on, before the hyperbolic tangent.
    """

    linear: Float[Array, "*T B Q"]
    hidden: Float[Array, "*T B N"] | None


class Outputs(eqx.Module):
    """The parameters of all distributions, field by field.

        params_j = h A_j + b_j + sum over earlier fields k of e_k L_kj + tanh(h U_j + sum of e_k W_kj) B_j

    The first field has only the first two terms. Weights with the same left factor lie side by side, so that a step
    costs as many products as it has fields, not as it has pairs of them.

    Attributes:
        A: of all F fields, side by side, with the biases `b`.
        U: of the fields from the second on.
        W: by field but the last, its weights to all fields after it.
        L: by field but the last, its weights to the parameters of all fields after it, zero at first: fields that move
            together need no hidden units to do so.
        B: by field from the second on.
        own: by field, the weights that its distribution has of its own.
        sizes: parameters P of each field.
    """

    A: Float[Array, "H Q"]
    b: Float[Array, " Q"]
    U: Float[Array, "H N"] | None
    W: tuple[Float[Array, "D _"], ...]
    L: tuple[Float[Array, "D _"], ...]
    B: tuple[Float[Array, "M _"], ...]
    own: tuple[Any, ...]
    sizes: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        rng: np.random.Generator | None,
        size: int,
        distributions: tuple[Distribution, ...],
        fields: tuple[Embedding, ...],
    ):
        self.sizes = tuple(dist.num_params for dist in distributions)
        after, xp = len(distributions) - 1, array_module(rng)
        self.A = to_weights(xp.concatenate([lecun_normal(rng, size, count) for count in self.sizes], 1))
        self.b = to_weights(np.concatenate([dist.initial_params() for dist in distributions]))
        self.U = to_weights(lecun_normal(rng, size, after * HIDDEN_WITHIN)) if after else None
        within = [lecun_normal(rng, e.width, (after - k) * HIDDEN_WITHIN) for k, e in enumerate(fields[:after])]
        self.W = tuple(map(to_weights, within))
        self.L = tuple(to_weights(xp.zeros((e.width, sum(self.sizes[k + 1 :])))) for k, e in enumerate(fields[:after]))
        self.B = tuple(to_weights(lecun_normal(rng, HIDDEN_WITHIN, count)) for count in self.sizes[1:])
        self.own = tuple(new_weights(dist, rng) for dist in distributions)

    def fold(self, embeddings: tuple[Embedding, ...], count: int) -> tuple[Feed, ...]:
        """The embeddings of all fields but the last, with the weights to the fields after each, for `count` values."""
        return tuple(
            e.fold(jnp.concatenate([hidden, linear], 1), count)
            for e, hidden, linear in zip(embeddings, self.W, self.L, strict=False)
        )

    def begin(self, output: DecoderOutput) -> StepContext:
        """The context before any field of the step is known."""
        linear = output.h @ self.A + self.b + output.direct
        return StepContext(linear, None if self.U is None else output.h @ self.U)

    def condition_on(self, context: StepContext, j: int, contribution: Array) -> StepContext:
        """The context once field j is known, whose folded embedding (see `fold`) gives `contribution`."""
        parts = jnp.split(contribution, [self.W[j].shape[1]], -1)
        hidden = None if context.hidden is None else _added_last(context.hidden, parts[0])
        return StepContext(_added_last(context.linear, parts[1]), hidden)

    def params(self, context: StepContext, j: int) -> Float[Array, "*T B P"]:
        """Parameters of the distribution of field j, conditioned on the fields before it."""
        start = sum(self.sizes[:j])
        params = context.linear[..., start : start + self.sizes[j]]
        if j == 0 or context.hidden is None:
            return params
        hidden = context.hidden[..., (j - 1) * HIDDEN_WITHIN : j * HIDDEN_WITHIN]
        return params + jnp.tanh(hidden) @ self.B[j - 1]


def _added_last(whole: Array, part: Array) -> Array:
    """A sum whose second term has only the last columns of the first."""
    missing = whole.shape[-1] - part.shape[-1]
    return whole + jnp.pad(part, (*((0, 0),) * (part.ndim - 1), (missing, 0)))
