"""Numbers whose samples stay within bounds, and on a grid."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from unspool.network.distributions.base import Reparameterized, Support
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.rules import Rule


@dataclass(frozen=True)
class Reflected(Reparameterized):
    """A distribution whose samples are reflected at bounds, and rounded to a grid, before they are fed back.

    A sample that is d beyond a bound becomes the one d within it, so that nothing piles up at the bound; a sample that
    is still outside is clipped. The likelihood is that of the distribution inside, so values outside have one too: new
    data may exceed those of training. All but `grid` are in the network's units; `None` is no bound, and no grid.
    """

    low: float | None = None
    high: float | None = None
    grid: Grid | None = None

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """That of the distribution inside."""
        return self.of.log_prob(params, value)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """That of the distribution inside."""
        return self.of.log_mass(params, self._within_bounds(support)[0])

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """That of the distribution inside, or the bound that it lies beyond."""
        return jnp.clip(self.of.mean(params), self.low, self.high)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Reflect, then round; within a support, sample what lies in it."""
        if support is not None:
            edges, values = self._within_bounds(support)
            return values.clip(self._snapped(self.of.sample(params, uniforms, rule, edges)))
        z = self.of.sample(params, uniforms, rule)
        z = z if self.low is None else jnp.maximum(z, 2 * self.low - z)
        z = z if self.high is None else jnp.minimum(z, 2 * self.high - z)
        return self._rounded(z)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """That of the distribution inside, or the bound that it lies beyond."""
        if support is None:
            return self._rounded(self.of.mode(params))
        edges, values = self._within_bounds(support)
        return values.clip(self._snapped(self.of.mode(params, edges)))

    def _within_bounds(self, support: Support) -> tuple[Support, Support]:
        """A support within the bounds: what the distribution inside may sample before rounding, and the values."""
        low = support.low if self.low is None else jnp.maximum(support.low, self.low)
        high = support.high if self.high is None else jnp.minimum(support.high, self.high)
        support = support._replace(low=low, high=high)
        return (support, support) if self.grid is None else self.grid.cells_within(support)

    def _snapped(self, z: Array) -> Array:
        return z if self.grid is None else self.grid.snap(z)

    def _rounded(self, z: Array) -> Array:
        z = jnp.clip(z, self.low, self.high)
        return z if self.grid is None else jnp.clip(self.grid.snap(z), self.low, self.high)
