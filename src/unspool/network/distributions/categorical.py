"""Distributions of symbols: one of many, or yes and no."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
from jax.nn import log_sigmoid, logsumexp, sigmoid, softmax
from jaxtyping import Array, Float

from unspool.network.distributions.base import Distribution, Support
from unspool.network.distributions.rules import PLAIN, Rule, categorical_icdf, truncate_logits


@dataclass(frozen=True)
class Categorical(Distribution):
    """One of V symbols; parameters are logits.

    Attributes:
        count: V.
        unseen: probability of any symbol that training never saw, by Good & Turing (1953): the share of symbols
            seen once. It keeps the likelihood of new data finite; such a symbol is never drawn.
    """

    count: int
    unseen: float = 0.0

    @property
    def size(self) -> int:
        """V logits."""
        return self.count

    @property
    def num_uniforms(self) -> int:
        """One uniform, whatever V is."""
        return 1

    @property
    def symbols(self) -> int | None:
        """V."""
        return self.count

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of the symbol; index V stands for an unseen one."""
        at = jnp.minimum(value, self.count - 1)[..., None]
        seen = jnp.take_along_axis(params, at, -1)[..., 0] - logsumexp(params, -1)
        if not self.unseen:
            return seen
        return jnp.where(value < self.count, seen + math.log1p(-self.unseen), math.log(self.unseen))

    def log_probs(self, params: Float[Array, "*B P"]) -> Float[Array, "*B V"]:
        """Log-probabilities of all symbols that training saw."""
        return params - logsumexp(params, -1, keepdims=True) + math.log1p(-self.unseen)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """Inverse of the cumulative distribution."""
        if support is not None and support.symbols is not None:
            params = jnp.where(support.symbols, params, -jnp.inf)
        return self.mode(params) if rule.greedy else categorical_icdf(truncate_logits(params, rule), uniforms[..., 0])

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The symbol with the largest logit."""
        return params.argmax(-1).astype(jnp.int32)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Probabilities of the symbols."""
        return softmax(params, -1)


@dataclass(frozen=True)
class Bernoulli(Distribution):
    """Yes or no; the parameter is the logit of yes."""

    @property
    def size(self) -> int:
        """One logit."""
        return 1

    @property
    def num_uniforms(self) -> int:
        """One uniform."""
        return 1

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of 0 or 1."""
        return log_sigmoid(jnp.where(value > 0.5, params[..., 0], -params[..., 0]))

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """One below the probability, zero above; the rules see two symbols."""
        if rule.greedy:
            return self.mode(params)
        logits = jnp.concatenate([params, jnp.zeros_like(params)], -1)
        return 1.0 - categorical_icdf(truncate_logits(logits, rule), uniforms[..., 0]).astype(params.dtype)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """One where the probability is above a half."""
        return (params[..., 0] > 0).astype(params.dtype)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The probability."""
        return sigmoid(params[..., 0])
