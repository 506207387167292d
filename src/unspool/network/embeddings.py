"""Embeddings: how values become vectors, at the input and wherever a step is fed back; those of one kind side by side.

The arrays of an embedding have a first axis of fields, and values one behind those of the batch.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from unspool.network.distributions.base import EventShape
from unspool.network.lstm import field_products, flat_product, lecun_normal, to_weights

MAX_FED_BACK = 20.0
"""Standard deviations at which a fed-back number is clipped: one extreme value must not saturate every gate."""

MISSING_ANGLE = 2
"""The place of the mark of a missing angle in its vector."""


class FoldedTable(eqx.Module):
    """Rows to gather, of one field: `E @ W`, computed once for V symbols rather than once for every step."""

    rows: Float[Array, "V Z"]

    def __call__(self, values: Array) -> Float[Array, "..."]:
        """Pre-activations: of symbols their rows, of a distribution over symbols the expected row (soft feedback)."""
        if jnp.issubdtype(values.dtype, jnp.integer):
            return self.rows[values[..., 0]]
        return flat_product(values[..., 0, :], self.rows[: values.shape[-1]])

    def of(self, i: Any) -> "FoldedTable":
        """The one field."""
        return self


class Product(eqx.Module):
    """Embed first, multiply then: for numbers, for several fields, and for vocabularies larger than the batch."""

    embedding: "Embedding"
    weights: Float[Array, "F D Z"]

    def __call__(self, values: Array) -> Float[Array, "..."]:
        """Pre-activations of any values, summed over the fields."""
        vectors = self.embedding.embed(values)
        return flat_product(vectors.reshape(*vectors.shape[:-2], -1), self.weights.reshape(-1, self.weights.shape[-1]))

    def of(self, i: Any) -> "Product":
        """That of the field at a place, alone."""
        return jax.tree.map(lambda leaf: leaf[i][None], self)


Feed = FoldedTable | Product
"""A folded embedding: values to pre-activations, which have one axis of columns for that of the fields."""


class SymbolEmbedding(eqx.Module):
    """A learned row for each symbol, and one, never trained, for all symbols that training did not see."""

    rows: Float[Array, "F V D"]

    @classmethod
    def new(
        cls, rng: np.random.Generator | None, symbols: int, width: int, known: int | None = None
    ) -> "SymbolEmbedding":
        """That of one field, of which training has the first `known` symbols, or all."""
        if rng is None:
            return cls(jnp.zeros((1, symbols + 1, width)))
        rows = rng.standard_normal((1, symbols + 1, width))
        rows[:, symbols if known is None else known :] = 0.0
        return cls(to_weights(rows))

    @property
    def width(self) -> int:
        """D, the length of the vectors."""
        return self.rows.shape[-1]

    def embed(self, values: Array) -> Float[Array, "..."]:
        """Rows of the symbols, or the expected row of a distribution over them."""
        if jnp.issubdtype(values.dtype, jnp.integer):
            return self.rows[jnp.arange(self.rows.shape[0]), values]
        return field_products(values, self.rows[:, : values.shape[-1]])

    def fold(self, weights: Float[Array, "F D Z"], count: Any) -> Feed:
        """The embedding and the weights after it as one map; folded if V rows are fewer than about `count` values."""
        fields, symbols, _ = self.rows.shape
        return FoldedTable(self.rows[0] @ weights[0]) if fields == 1 and symbols <= count else Product(self, weights)


class RealEmbedding(eqx.Module):
    """Numbers as they are, a mark where they are missing, and smooth non-linear features of them.

    Without the features a number could enter the gates only as a rank-one term, and what depends on its size
    (volatility on |return|, say) would cost hidden units.
    """

    A: Float[Array, "F N D"]
    b: Float[Array, "F D"]

    @classmethod
    def new(cls, rng: np.random.Generator | None, dim: int, features: int) -> "RealEmbedding":
        """That of one field."""
        A = to_weights(lecun_normal(rng, dim, features)[None])
        return cls(A, to_weights(np.zeros((1, features)) if rng is None else rng.uniform(-2.0, 2.0, (1, features))))

    @property
    def width(self) -> int:
        """D: the numbers, the mark, the features."""
        return self.A.shape[1] + 1 + self.A.shape[2]

    def embed(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """Vectors of numbers (last axis), NaN where missing, infinite where a field has none."""
        missing = ~jnp.isfinite(values)
        x = jnp.clip(jnp.where(missing, 0.0, values), -MAX_FED_BACK, MAX_FED_BACK)
        mark = missing.any(-1, keepdims=True).astype(x.dtype)
        return jnp.concatenate([x, mark, jnp.tanh(_products(x, self.A) + self.b)], -1)

    def fold(self, weights: Float[Array, "F D Z"], count: Any) -> Feed:
        """The embedding and the weights after it as one map; the features are not linear, so nothing is folded."""
        return Product(self, weights)


class AngleEmbedding(eqx.Module):
    """Angles by sine and cosine, a mark where they are missing, and smooth non-linear features of both.

    Nothing breaks where the circle ends.
    """

    A: Float[Array, "F 2 D"]
    b: Float[Array, "F D"]

    @classmethod
    def new(cls, rng: np.random.Generator | None, features: int) -> "AngleEmbedding":
        """That of one field."""
        A = to_weights(lecun_normal(rng, 1, 2 * features).reshape(1, 2, features))
        return cls(A, to_weights(np.zeros((1, features)) if rng is None else rng.uniform(-2.0, 2.0, (1, features))))

    @property
    def width(self) -> int:
        """D: sine, cosine, the mark, the features."""
        return 3 + self.A.shape[-1]

    def embed(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """Vectors of angles in radians (last axis, of one), NaN where missing."""
        missing = jnp.isnan(values)
        z = jnp.where(missing, 0.0, values)
        x = jnp.where(missing, 0.0, jnp.concatenate([jnp.sin(z), jnp.cos(z)], -1))
        return jnp.concatenate([x, missing.astype(x.dtype), jnp.tanh(_products(x, self.A) + self.b)], -1)

    def fold(self, weights: Float[Array, "F D Z"], count: Any) -> Feed:
        """The embedding and the weights after it as one map; the features are not linear, so nothing is folded."""
        return Product(self, weights)


Embedding = SymbolEmbedding | RealEmbedding | AngleEmbedding
"""The values of fields of one kind as vectors; `fold` joins the product after it, by the cheaper order."""


def new_embedding(
    rng: np.random.Generator | None, event: EventShape, width: int, features: int, known: int | None = None
) -> Embedding:
    """A new embedding of one field: of a symbol as a vector of `width`, of numbers with so many non-linear features."""
    if event.symbols is not None:
        return SymbolEmbedding.new(rng, event.symbols, width, known)
    return AngleEmbedding.new(rng, features) if event.angle else RealEmbedding.new(rng, event.members or 1, features)


def side_by_side(parts: Sequence[Any]) -> Any:
    """Arrays of fields of one kind, each with a first axis of one, as arrays of all of them."""
    return parts[0] if len(parts) == 1 else jax.tree.map(_joined, *parts)


def _joined(*leaves: Any) -> Any:
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
    return jnp.concatenate(leaves) if traced else to_weights(np.concatenate([np.asarray(leaf) for leaf in leaves]))


def _products(x: Float[Array, "*B F N"], A: Float[Array, "F N D"]) -> Float[Array, "*B F D"]:
    """The product of every field; of one number each, that of two vectors."""
    return x * A[:, 0] if A.shape[1] == 1 else field_products(x, A)
