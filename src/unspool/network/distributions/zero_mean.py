"""Numbers whose mean is always the same."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Distribution, Reparameterized, Support
from unspool.network.distributions.rules import Rule


@dataclass(frozen=True)
class ZeroMean(Reparameterized):
    """A distribution with a location, shifted so that its mean is zero on the network's axis, that of training.

    Scale, tails and skew follow the state as before. Hardly any part of the mean of returns can be foreseen, and what a
    network believes to foresee adds up over a path.
    """

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """That of the distribution inside."""
        return self.of.log_prob(self._shifted(params), value)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """That of the distribution inside."""
        return self.of.log_mass(self._shifted(params), support)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Zero."""
        return self.of.mean(self._shifted(params))

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        return self.of.sample(self._shifted(params), uniforms, rule, support)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """That of the distribution inside, which of a skew one is not its mean."""
        return self.of.mode(self._shifted(params), support)

    def _shifted(self, params: Float[Array, "*B P"]) -> Float[Array, "*B P"]:
        return params - self.of.mean(params)[..., None] * jnp.asarray(location_mask(self.of), params.dtype)


def location_mask(distribution: Distribution) -> NDArray[np.float64]:
    """(P,) one where a parameter is a location, zero elsewhere: how parameters move when all values do.

    Examples:
        >>> from unspool.network.distributions.student_t import StudentT
        >>> location_mask(StudentT()).tolist()
        [1.0, 0.0, 0.0]
    """
    return distribution.initial_params(1.0) - distribution.initial_params(0.0)
