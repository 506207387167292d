"""Values that may be missing."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Distribution, EventShape, Support, over_members
from unspool.network.distributions.categorical import bernoulli_icdf, bernoulli_log_prob
from unspool.network.distributions.rules import Rule


class WithMissing(Distribution):
    """Any distribution of numbers (`of`), and a Bernoulli before it: is the value missing? Missing is NaN."""

    of: Distribution

    @property
    def num_uniforms(self) -> int:
        """One more than the distribution inside."""
        return 1 + self.of.num_uniforms

    @property
    def event_shape(self) -> EventShape:
        """That of the distribution inside."""
        return self.of.event_shape

    @property
    def num_params(self) -> int:
        """One more than the distribution inside."""
        return 1 + self.of.num_params

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Equal probabilities, then those of the distribution inside."""
        return np.concatenate([np.zeros(1), self.of.initial_params(loc, scale)])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of being missing, or of being present and having the value."""
        missing = jnp.isnan(value) if self.event_shape.members is None else jnp.isnan(value).any(-1)
        present = self.of.log_prob(params[..., 1:], jnp.where(over_members(missing, value), 0.0, value))
        return bernoulli_log_prob(params[..., 0], missing) + jnp.where(missing, 0.0, present)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of what is present."""
        return self.of.mean(params[..., 1:])

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Missing as often as learned, whatever the rule."""
        missing = bernoulli_icdf(params[..., 0], uniforms[..., 0])
        return self._with_missing(missing, self.of.sample(params[..., 1:], uniforms[..., 1:], rule, support), support)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """Missing where that is likelier than not."""
        return self._with_missing(params[..., 0] > 0, self.of.mode(params[..., 1:], support), support)

    def _with_missing(self, missing: Array, present: Array, support: Support | None) -> Array:
        missing = missing if support is None else missing & ~jnp.asarray(support.present)
        return jnp.where(over_members(missing, present), jnp.nan, present)
