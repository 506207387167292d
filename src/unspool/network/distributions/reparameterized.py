"""Numbers whose samples stay within bounds and on a grid, and numbers whose mean is always the same."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Constant, Distribution, Ends, Reparameterized, Support
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.rules import Rule


class Reflected(Reparameterized):
    """A distribution whose samples are reflected at bounds, and rounded to a grid, before they are fed back.

    See `Ends`. The likelihood is that of the distribution inside, so values outside have one too: new data may exceed
    those of training. Bounds are in the network's units, and infinite where there is none; `None` is no grid.
    """

    low: Constant = -math.inf
    high: Constant = math.inf
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
        return self._rounded(Ends(self.low, self.high).reflected(self.of.sample(params, uniforms, rule)))

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """That of the distribution inside, or the bound that it lies beyond."""
        if support is None:
            return self._rounded(self.of.mode(params))
        edges, values = self._within_bounds(support)
        return values.clip(self._snapped(self.of.mode(params, edges)))

    def _within_bounds(self, support: Support) -> tuple[Support, Support]:
        """A support within the bounds: what the distribution inside may sample before rounding, and the values."""
        support = support._replace(low=jnp.maximum(support.low, self.low), high=jnp.minimum(support.high, self.high))
        return (support, support) if self.grid is None else self.grid.cells_within(support)

    def _snapped(self, z: Array) -> Array:
        return z if self.grid is None else self.grid.snap(z)

    def _rounded(self, z: Array) -> Array:
        z = jnp.clip(z, self.low, self.high)
        return z if self.grid is None else jnp.clip(self.grid.snap(z), self.low, self.high)


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
