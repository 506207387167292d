"""The distribution of a number whose draws stay within bounds, and on a grid."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from unspool.network.distributions.base import NumberDistribution, Support, Wrapper
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.rules import PLAIN, Rule


@dataclass(frozen=True)
class Reflected(Wrapper, NumberDistribution):
    """A distribution of a number whose draws are reflected at bounds, and rounded to a grid, before they are fed back.

    A draw that is d beyond a bound becomes the one d within it, so that nothing piles up at the bound; what even that
    leaves outside goes to the bound. The likelihood is that of the inner distribution, which also gives values outside
    some: new data may be wilder than those of training.

    Attributes:
        of: the inner distribution.
        low: smallest draw, in the network's units, or `None`.
        high: largest.
        grid: the values to round to, or `None`.
    """

    of: NumberDistribution
    low: float | None = None
    high: float | None = None
    grid: Grid | None = None

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Of the inner distribution."""
        return self.of.log_prob(params, value)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """Fold back, then round; within a room, draw what lies in it."""
        if support is not None:
            edges, inner = self._rooms(support)
            z = self.of.sample(params, uniforms, rule, edges)
            return inner.hold(z if self.grid is None else self.grid.snap(z))
        if rule.greedy:
            return self.mode(params)
        z = self.of.sample(params, uniforms, rule)
        z = z if self.low is None else jnp.maximum(z, 2 * self.low - z)
        z = z if self.high is None else jnp.minimum(z, 2 * self.high - z)
        return self._rounded(z)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """Of the inner distribution, or the bound that it lies beyond."""
        return self._rounded(self.of.mode(params))

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Of the inner distribution, or the bound that it lies beyond."""
        return jnp.clip(self.of.mean(params), self.low, self.high)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Of the inner distribution."""
        return self.of.log_mass(params, self._rooms(support)[0])

    def _rooms(self, support: Support) -> tuple[Support, Support]:
        """Where the inner distribution may draw so that what it is rounded to lies in the room, and the room itself."""
        low = support.low if self.low is None else jnp.maximum(support.low, self.low)
        high = support.high if self.high is None else jnp.minimum(support.high, self.high)
        support = support._replace(low=low, high=high)
        return (support, support) if self.grid is None else self.grid.supports(support)

    def _rounded(self, z: Array) -> Array:
        z = jnp.clip(z, self.low, self.high)
        return z if self.grid is None else jnp.clip(self.grid.snap(z), self.low, self.high)
