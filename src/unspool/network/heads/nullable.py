"""The head of a number that may be missing."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.heads.base import Head, Wrapper
from unspool.network.heads.symbols import Bernoulli
from unspool.network.rules import PLAIN, Rule


@dataclass(frozen=True)
class Nullable(Wrapper):
    """Any head of a number that may be missing: a Bernoulli of its own, then the number. Missing is NaN."""

    of: Head

    @property
    def size(self) -> int:
        """One more than the head inside."""
        return 1 + self.of.size

    @property
    def draws(self) -> int:
        """One more than the head inside."""
        return 1 + self.of.draws

    def bias(self) -> NDArray[np.float64]:
        """Even odds, then the head inside."""
        return np.concatenate([np.zeros(1), self.of.bias()])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of being missing, or of being there and having the value."""
        missing = jnp.isnan(value)
        there = self.of.log_prob(params[..., 1:], jnp.where(missing, 0.0, value))
        return Bernoulli().log_prob(params[..., :1], missing) + jnp.where(missing, 0.0, there)

    def pick(self, params: Float[Array, "*B P"], uniforms: Float[Array, "*B U"], rule: Rule = PLAIN) -> Array:
        """Missing as often as learned, whatever the spread; greedy takes the likelier."""
        gone = Bernoulli().pick(params[..., :1], uniforms[..., :1], Rule(rule.greedy))
        return jnp.where(gone > 0.5, jnp.nan, self.of.pick(params[..., 1:], uniforms[..., 1:], rule))

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """Missing where that is likelier than not."""
        return jnp.where(params[..., 0] > 0, jnp.nan, self.of.mode(params[..., 1:]))

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of what is there."""
        return self.of.mean(params[..., 1:])
