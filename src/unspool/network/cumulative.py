"""Fields whose values add up: the network sees the step from the last value to the next, and a path keeps the sum."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array

from unspool.network.distributions.base import Support
from unspool.network.distributions.grid import Grid


@dataclass(frozen=True)
class CumulativeRule:
    """Where a field stands whose values are differences, log-returns or gaps to the network.

    Its *height* is its last present value less what it started from, in a unit of its own, so that float32 holds it;
    NaN while nothing stands before. What is bounded or pinned is the value, so the loop must know the height:

        height_t = height_{t-1} + rise(z_t),      or first z_t where nothing stands before

    Attributes:
        axis: between z and the rise of the height.
        first: height of a first value at z = 1.
        least: z of what a step rises by at the least, but for step 0, or `None`.
    """

    axis: Grid
    first: float = 1.0
    least: float | None = None

    def after(self, height: Array, z: Array) -> Array:
        """The height after a step; a missing value leaves it."""
        higher = jnp.where(jnp.isnan(height), self.first * z, height + self.axis.original(z))
        return jnp.where(jnp.isnan(z), height, higher)

    def towards(self, height: Array, goal: Array) -> Array:
        """The z that leads from one height to another."""
        return jnp.where(jnp.isnan(height), goal / self.first, self.axis.network(goal - height))

    def support(self, height: Array, support: Support | None, step: Array) -> Support | None:
        """Limits of the height at a step as limits of z, and those that z has itself."""
        if support is not None:
            support = support._replace(low=self.towards(height, support.low), high=self.towards(height, support.high))
        if self.least is None:
            return support
        least = jnp.where(step > 0, self.least, -jnp.inf)
        return Support(low=least) if support is None else support._replace(low=jnp.maximum(support.low, least))
