"""The distribution of a number that may be missing."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Distribution, Support, Wrapper, per_step
from unspool.network.distributions.categorical import Bernoulli
from unspool.network.distributions.rules import PLAIN, Rule


@dataclass(frozen=True)
class WithMissing(Wrapper):
    """Any distribution of a number that may be missing: a Bernoulli of its own, then the number. Missing is NaN."""

    of: Distribution

    @property
    def size(self) -> int:
        """One more than the inner distribution."""
        return 1 + self.of.size

    @property
    def num_uniforms(self) -> int:
        """One more than the inner distribution."""
        return 1 + self.of.num_uniforms

    @property
    def members(self) -> int | None:
        """Of the inner distribution."""
        return self.of.members

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Even odds, then the inner distribution."""
        return np.concatenate([np.zeros(1), self.of.bias(loc, scale)])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of being missing, or of being there and having the value."""
        missing = jnp.isnan(value) if self.of.members is None else jnp.isnan(value).any(-1)
        there = self.of.log_prob(params[..., 1:], jnp.where(per_step(missing, value), 0.0, value))
        return Bernoulli().log_prob(params[..., :1], missing) + jnp.where(missing, 0.0, there)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """Missing as often as learned, whatever the spread; greedy takes the likelier."""
        gone = Bernoulli().sample(params[..., :1], uniforms[..., :1], Rule(rule.greedy))
        there = self.of.sample(params[..., 1:], uniforms[..., 1:], rule, support)
        lost = gone > 0.5 if support is None else (gone > 0.5) & ~jnp.asarray(support.present)
        return jnp.where(per_step(lost, there), jnp.nan, there)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """Missing where that is likelier than not."""
        there = self.of.mode(params[..., 1:])
        return jnp.where(per_step(params[..., 0] > 0, there), jnp.nan, there)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of what is there."""
        return self.of.mean(params[..., 1:])
