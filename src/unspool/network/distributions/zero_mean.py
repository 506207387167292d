"""The distribution of a number whose mean is always the same."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Distribution, NumberDistribution, Support, Wrapper
from unspool.network.distributions.rules import PLAIN, Rule


@dataclass(frozen=True)
class ZeroMean(Wrapper, NumberDistribution):
    """A distribution with a location, moved so that its mean is zero on the network's axis, where that of training is.

    Spread, tails and skew follow the state as before. Of returns on a market, say, hardly any part of the mean can be
    foreseen, and what a network believes to foresee adds up over a path.

    Attributes:
        of: the inner distribution.
    """

    of: NumberDistribution

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Of the inner distribution."""
        return self.of.log_prob(self._moved(params), value)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """Of the inner distribution."""
        return self.of.sample(self._moved(params), uniforms, rule, support)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Of the inner distribution."""
        return self.of.log_mass(self._moved(params), support)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """Of the inner distribution, which a skew distribution has elsewhere than its mean."""
        return self.of.mode(self._moved(params))

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Zero."""
        return self.of.mean(self._moved(params))

    def _moved(self, params: Float[Array, "*B P"]) -> Float[Array, "*B P"]:
        return params - self.of.mean(params)[..., None] * jnp.asarray(location_mask(self.of), params.dtype)


def location_mask(dist: Distribution) -> NDArray[np.float64]:
    """(P,) how parameters move when all values of a distribution do: one where they are locations, zero elsewhere.

    Examples:
        >>> from unspool.network.distributions.mixture import StudentT
        >>> located(StudentT()).tolist()
        [1.0, 0.0, 0.0]
    """
    return dist.bias(1.0) - dist.bias(0.0)
