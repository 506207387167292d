"""Fields whose values add up: the network sees the increment, and the loop keeps the running sum."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from unspool.network.distributions.base import Constant, Support
from unspool.network.distributions.grid import Grid


class CumulativeRule(eqx.Module):
    """How the values of a field add up that the network sees as differences, log-returns or increments.

    The *running sum* is the last present value less its origin, in a unit of its own, so that float32 holds it; NaN
    before the first value. Bounds and pins are of the value, so the loop must know it:

        sum_t = sum_{t-1} + increment(z_t),      or first z_t before the first value

    Attributes:
        axis: between z and the increment.
        first: running sum of a first value at z = 1.
        min_increment: z of the smallest increment after step 0, or `None`.
    """

    axis: Grid
    first: Constant = 1.0
    min_increment: Constant | None = None

    def after(self, total: Array, z: Array) -> Array:
        """The running sum after a step; a missing value leaves it."""
        new = jnp.where(jnp.isnan(total), self.first * z, total + self.axis.to_original(z))
        return jnp.where(jnp.isnan(z), total, new)

    def towards(self, total: Array, goal: Array) -> Array:
        """The z that leads from one running sum to another."""
        return jnp.where(jnp.isnan(total), goal / self.first, self.axis.to_network(goal - total))

    def support(self, total: Array, support: Support | None, step: Array) -> Support | None:
        """The support of z at a step, from the limits of the running sum and those of z itself."""
        if support is not None:
            support = support._replace(low=self.towards(total, support.low), high=self.towards(total, support.high))
        if self.min_increment is None:
            return support
        low = jnp.where(step > 0, self.min_increment, -jnp.inf)
        return Support(low=low) if support is None else support._replace(low=jnp.maximum(support.low, low))
