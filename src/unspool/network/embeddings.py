"""Embeddings: how the value of a field becomes a vector, at the input and wherever a step is fed back."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from unspool.network.distributions.base import EventShape
from unspool.network.lstm import lecun_normal, to_weights

MAX_FED_BACK = 20.0
"""Standard deviations at which a fed-back number is clipped: one extreme value must not saturate every gate."""

MISSING_ANGLE = 2
"""The place of the mark of a missing angle in its vector."""


class FoldedTable(eqx.Module):
    """Rows to gather: `E @ W`, computed once for V symbols rather than once for every step."""

    rows: Float[Array, "V Z"]

    def __call__(self, values: Array) -> Float[Array, "..."]:
        """Pre-activations: of symbols their rows, of a distribution over symbols the expected row (soft feedback)."""
        if jnp.issubdtype(values.dtype, jnp.integer):
            return self.rows[values]
        return values @ self.rows[: values.shape[-1]]


class Product(eqx.Module):
    """Embed first, multiply then: for numbers, and for vocabularies larger than the batch."""

    embedding: "Embedding"
    weights: Float[Array, "D Z"]

    def __call__(self, values: Array) -> Float[Array, "..."]:
        """Pre-activations of any values."""
        return self.embedding.embed(values) @ self.weights


Feed = FoldedTable | Product
"""A folded embedding: values to pre-activations, which have one more axis."""


class SymbolEmbedding(eqx.Module):
    """A learned row for each symbol, and one, never trained, for all symbols that training did not see."""

    rows: Float[Array, "V D"]

    def __init__(self, rng: np.random.Generator | None, symbols: int, width: int) -> None:
        if rng is None:
            self.rows = jnp.zeros((symbols + 1, width))
            return
        rows = rng.standard_normal((symbols + 1, width))
        rows[symbols] = 0.0
        self.rows = to_weights(rows)

    @property
    def width(self) -> int:
        """D, the length of the vectors."""
        return self.rows.shape[1]

    def embed(self, values: Array) -> Float[Array, "..."]:
        """Rows of the symbols, or the expected row of a distribution over them."""
        return FoldedTable(self.rows)(values)

    def fold(self, weights: Float[Array, "D Z"], count: int) -> Feed:
        """The embedding and the weights after it as one map; folded if V rows are fewer than about `count` values."""
        return FoldedTable(self.rows @ weights) if self.rows.shape[0] <= count else Product(self, weights)


class RealEmbedding(eqx.Module):
    """Numbers as they are, a mark where they are missing, and smooth non-linear features of them.

    Without the features a number could enter the gates only as a rank-one term, and what depends on its size
    (volatility on |return|, say) would cost hidden units.
    """

    A: Float[Array, "F D"]
    b: Float[Array, " D"]

    def __init__(self, rng: np.random.Generator | None, dim: int, features: int) -> None:
        self.A = to_weights(lecun_normal(rng, dim, features))
        self.b = to_weights(np.zeros(features) if rng is None else rng.uniform(-2.0, 2.0, features))

    @property
    def width(self) -> int:
        """D: the numbers, the mark, the features."""
        return self.A.shape[0] + 1 + self.A.shape[1]

    def embed(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """Vectors of numbers (last axis), NaN where missing, infinite where a field has none."""
        missing = ~jnp.isfinite(values)
        x = jnp.clip(jnp.where(missing, 0.0, values), -MAX_FED_BACK, MAX_FED_BACK)
        mark = missing.any(-1, keepdims=True).astype(x.dtype)
        return jnp.concatenate([x, mark, jnp.tanh(x @ self.A + self.b)], -1)

    def fold(self, weights: Float[Array, "D Z"], count: int) -> Feed:
        """The embedding and the weights after it as one map; the features are not linear, so nothing is folded."""
        return Product(self, weights)


class AngleEmbedding(eqx.Module):
    """Angles by sine and cosine, a mark where they are missing, and smooth non-linear features of both.

    Nothing breaks where the circle ends.
    """

    A: Float[Array, "2 D"]
    b: Float[Array, " D"]

    def __init__(self, rng: np.random.Generator | None, features: int) -> None:
        self.A = to_weights(lecun_normal(rng, 1, 2 * features).reshape(2, features))
        self.b = to_weights(np.zeros(features) if rng is None else rng.uniform(-2.0, 2.0, features))

    @property
    def width(self) -> int:
        """D: sine, cosine, the mark, the features."""
        return 3 + self.A.shape[1]

    def embed(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """Vectors of angles in radians (last axis, of one), NaN where missing."""
        missing = jnp.isnan(values)
        z = jnp.where(missing, 0.0, values)
        x = jnp.where(missing, 0.0, jnp.concatenate([jnp.sin(z), jnp.cos(z)], -1))
        return jnp.concatenate([x, missing.astype(x.dtype), jnp.tanh(x @ self.A + self.b)], -1)

    def fold(self, weights: Float[Array, "D Z"], count: int) -> Feed:
        """The embedding and the weights after it as one map; the features are not linear, so nothing is folded."""
        return Product(self, weights)


Embedding = SymbolEmbedding | RealEmbedding | AngleEmbedding
"""The values of a field as vectors; `fold` joins the product after it, by the cheaper order."""


def new_embedding(rng: np.random.Generator | None, event: EventShape, width: int, features: int) -> Embedding:
    """A new embedding: of a symbol as a vector of `width` numbers, of numbers with so many non-linear features."""
    if event.symbols is not None:
        return SymbolEmbedding(rng, event.symbols, width)
    return AngleEmbedding(rng, features) if event.angle else RealEmbedding(rng, event.members or 1, features)
