"""Embeddings: how the value of a field becomes a vector, at the input and wherever a step is fed back."""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from unspool.network.lstm import Gathered, lecun_normal

MAX_FED_BACK = 20.0
"""Standard deviations past which a number is fed back no further: one wild value must not saturate every gate."""


class Embedding(eqx.Module):
    """A field's values as vectors. `fold` joins the product after it, by the cheaper order."""

    @property
    @abstractmethod
    def width(self) -> int:
        """D, the length of the vectors."""

    @abstractmethod
    def embed(self, values: Array) -> Float[Array, "..."]:
        """The vectors."""

    @abstractmethod
    def fold(self, weights: Float[Array, "D Z"], count: int) -> "Feed":
        """The embedding and the weights after it as one map, for about `count` values."""


class Feed(eqx.Module):
    """A folded embedding: values to pre-activations."""

    @abstractmethod
    def __call__(self, values: Array) -> Float[Array, "..."]:
        """Pre-activations, one more axis than the values."""

    @abstractmethod
    def along(self, values: Array) -> Float[Array, "T B Z"] | Gathered:
        """The same of whole sequences, time first; gathered in the loop where that saves writing them down."""


class FoldedTable(Feed):
    """Rows to gather: `E @ W`, computed once for V symbols rather than once for every step."""

    rows: Float[Array, "V Z"]

    def __call__(self, values: Array) -> Float[Array, "..."]:
        """Symbols are gathered; a distribution over symbols gives the expected row (soft feedback)."""
        if jnp.issubdtype(values.dtype, jnp.integer):
            return self.rows[values]
        return values @ self.rows[: values.shape[-1]]

    def along(self, values: Array) -> Float[Array, "T B Z"] | Gathered:
        """The table, and which of its rows."""
        return Gathered(self.rows, values)


class Product(Feed):
    """Embed first, multiply then: for numbers, and for vocabularies larger than the batch."""

    embedding: Embedding
    weights: Float[Array, "D Z"]

    def __call__(self, values: Array) -> Float[Array, "..."]:
        """As `Feed` says."""
        return self.embedding.embed(values) @ self.weights

    def along(self, values: Array) -> Float[Array, "T B Z"] | Gathered:
        """One product for all steps."""
        return self(values)


class SymbolEmbedding(Embedding):
    """A learned row for each symbol, and one, never trained, for all symbols that training did not see."""

    rows: Float[Array, "V D"]

    def __init__(self, rng: np.random.Generator, symbols: int, width: int) -> None:
        rows = rng.standard_normal((symbols + 1, width))
        rows[symbols] = 0.0
        self.rows = jnp.asarray(rows, jnp.float32)

    @property
    def width(self) -> int:
        """D."""
        return self.rows.shape[1]

    def embed(self, values: Array) -> Float[Array, "..."]:
        """Rows of the symbols, or the expected row of a distribution over them."""
        return FoldedTable(self.rows)(values)

    def fold(self, weights: Float[Array, "D Z"], count: int) -> Feed:
        """Fold where that is fewer rows than to multiply each value's."""
        return FoldedTable(self.rows @ weights) if self.rows.shape[0] <= count else Product(self, weights)


class RealEmbedding(Embedding):
    """Numbers as they are, a mark where they are missing, and smooth non-linear features of them.

    Without the features a number could enter the gates only as a rank-one term, and what depends on its size
    (volatility on |return|, say) would cost the recurrence units.
    """

    A: Float[Array, "F D"]
    b: Float[Array, " D"]

    def __init__(self, rng: np.random.Generator, dim: int, features: int) -> None:
        self.A = lecun_normal(rng, dim, features)
        self.b = jnp.asarray(rng.uniform(-2.0, 2.0, features), jnp.float32)

    @property
    def width(self) -> int:
        """D: the numbers, the mark, the features."""
        return self.A.shape[0] + 1 + self.A.shape[1]

    def embed(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """Vectors of numbers (last axis), NaN where missing."""
        missing = jnp.isnan(values)
        x = jnp.clip(jnp.where(missing, 0.0, values), -MAX_FED_BACK, MAX_FED_BACK)
        mark = missing.any(-1, keepdims=True).astype(x.dtype)
        return jnp.concatenate([x, mark, jnp.tanh(x @ self.A + self.b)], -1)

    def fold(self, weights: Float[Array, "D Z"], count: int) -> Feed:
        """Nothing to fold: the features are not linear."""
        return Product(self, weights)


def initial_weights(rng: np.random.Generator, embedding: Embedding, units: int) -> Float[Array, "D {units}"]:
    """Weights to multiply an embedding with."""
    return lecun_normal(rng, embedding.width, units)
