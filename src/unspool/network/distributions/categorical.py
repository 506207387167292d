"""Distributions of symbols: one of many, or yes and no."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Constant, Distribution, EventShape, Support
from unspool.network.distributions.rules import Rule, categorical_icdf, truncate_logits

IMPOSSIBLE = -1e9
"""The logit of a symbol without probability: no gradient moves it, nor what leads to it."""


class Categorical(Distribution):
    """One of V symbols; parameters are logits.

    Attributes:
        count: V, with symbols that training has not; their logits are so low that they have no probability.
        unseen: probability of any symbol that training never saw, by Good & Turing (1953): the share of symbols seen
            once. It keeps the likelihood of new data finite; such a symbol is never sampled.
        symbols: those of training, which come first; `None` for all.
    """

    count: int = eqx.field(static=True)
    unseen: Constant = 0.0
    symbols: Constant | None = None

    num_uniforms = 1

    @property
    def event_shape(self) -> EventShape:
        """One of V symbols."""
        return EventShape(symbols=self.count)

    @property
    def num_params(self) -> int:
        """The logits."""
        return self.count

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Equal probabilities, of the symbols of training."""
        return np.where(np.arange(self.count) < self.num_symbols, 0.0, IMPOSSIBLE)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of the symbol; index V stands for an unseen one."""
        at = jnp.minimum(value, self.count - 1)[..., None]
        seen = jnp.take_along_axis(params, at, -1)[..., 0] - logsumexp(params, -1)
        return jnp.where(value < self.num_symbols, seen + jnp.log1p(-self.unseen), jnp.log(self.unseen))

    @property
    def num_symbols(self) -> Constant:
        """Symbols of training."""
        return self.count if self.symbols is None else self.symbols

    def log_probs(self, params: Float[Array, "*B P"]) -> Float[Array, "*B V"]:
        """Log-probabilities of all symbols that training saw."""
        return params - logsumexp(params, -1, keepdims=True) + jnp.log1p(-self.unseen)

    def within(self, params: Float[Array, "*B P"], support: Support | None) -> Float[Array, "*B V"]:
        """Log-probabilities of symbols, given that they lie in a support."""
        return log_softmax(self._within(params, support), -1)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Probabilities of the symbols."""
        return softmax(params, -1)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        return categorical_icdf(truncate_logits(self._within(params, support), rule), uniforms[..., 0])

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The symbol with the largest logit."""
        return self._within(params, support).argmax(-1).astype(jnp.int32)

    def _within(self, params: Array, support: Support | None) -> Array:
        """Logits of the symbols in a support."""
        if support is None or support.symbols is None:
            return params
        return jnp.where(support.symbols, params, -jnp.inf)


def bernoulli_log_prob(logit: Float[Array, "*B"], value: Bool[Array, "*B"]) -> Float[Array, "*B"]:
    """Log-probability of yes or no, from the logit of yes."""
    return log_sigmoid(jnp.where(value, logit, -logit))


def bernoulli_icdf(logit: Float[Array, "*B"], uniform: Float[Array, "*B"]) -> Bool[Array, "*B"]:
    """Yes where the uniform is below its probability."""
    return uniform < sigmoid(logit)
