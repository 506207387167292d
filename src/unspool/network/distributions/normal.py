"""The normal distribution, and a number that is given without any spread."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import softplus
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import NumberDistribution, Support, clipped
from unspool.network.distributions.rules import Rule, apply_temperature, central_uniform

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
MIN_SCALE = 1e-4
"""Floor of a fitted scale, in standard deviations of the data: without one, a constant stretch is infinitely dense."""
STEEP_SCALE = 0.01
"""Scale below which locations are eased, in standard deviations of the data: of values that all but follow exactly."""
TINY, LOG_TINY = 1e-30, -70.0
"""A probability that float32 still holds, and about its logarithm."""


def positive(raw: Array) -> Array:
    """A scale from an unbounded parameter: one at zero, never below `MIN_SCALE`."""
    return softplus(raw + math.log(math.e - 1)) + MIN_SCALE


def raw_scale(scale: float) -> float:
    """The parameter that `positive` turns into a scale."""
    return math.log(math.expm1(scale)) - math.log(math.e - 1)


@jax.custom_vjp
def eased(loc: Array, scale: Array) -> Array:  # noqa: ARG001  # its gradient reads it
    """The location, with a smaller gradient where its scale is below `STEEP_SCALE`: times the ratio of the two.

    The gradient of a log-density in its location is as large as its scale is small. So the steps that are foreseen to
    four digits would drown those that aren't foreseen yet, such as the first one of a trajectory, and these would never
    be learned (Seitzer et al. 2022, arXiv:2203.09168, who weigh the whole likelihood, at any scale).

    Examples:
        >>> slope = jax.grad(eased)
        >>> [round(float(slope(jnp.array(0.3), jnp.array(scale))), 3) for scale in (0.5, 0.01, 0.002)]
        [1.0, 1.0, 0.2]
    """
    return loc


def _eased_forward(loc: Array, scale: Array) -> tuple[Array, Array]:
    return loc, scale


def _eased_backward(scale: Array, cotangent: Array) -> tuple[Array, Array]:
    return cotangent * jnp.minimum(scale / STEEP_SCALE, 1.0), jnp.zeros_like(scale)


eased.defvjp(_eased_forward, _eased_backward)


class Interval(NamedTuple):
    """A support on the standard axis of a location and a scale, mirrored where it lies above the centre.

    Only below the centre are cumulative probabilities exact however small they are.
    """

    low: Array
    high: Array
    mirrored: Array

    def to_network(self, standard: Array, loc: Array, scale: Array, support: Support) -> Array:
        """A value of the standard axis on the network's, clipped to the support against rounding."""
        return support.clip(loc + scale * jnp.where(self.mirrored, -standard, standard))


def standardized(support: Support, loc: Array, scale: Array) -> Interval:
    """Where a support lies on the standard axis."""
    low, high = (support.low - loc) / scale, (support.high - loc) / scale
    mirrored = low > 0
    return Interval(jnp.where(mirrored, -high, low), jnp.where(mirrored, -low, high), mirrored)


def uniform_between(uniform: Array, low: Array, high: Array, mass: Array | float = 1.0) -> tuple[Array, Array]:
    """A uniform between two cumulative probabilities within the central mass, and where that interval is not empty."""
    first, last = jnp.maximum(low, 0.5 - mass / 2), jnp.minimum(high, 0.5 + mass / 2)
    return jnp.where(last > first, first + uniform * (last - first), 0.5), last > first


def per_component(support: Support) -> Support:
    """A support for every component of a mixture, which are the last axis."""
    return support._replace(low=jnp.asarray(support.low)[..., None], high=jnp.asarray(support.high)[..., None])


def normal_log_density(value: Array, loc: Array, scale: Array) -> Array:
    """Log-density of a normal."""
    return -0.5 * ((value - loc) / scale) ** 2 - jnp.log(scale) - HALF_LOG_TAU


def normal_central_mass(rule: Rule) -> Array | float:
    """The central mass that a rule leaves a normal; min-p cuts where the density falls below its share of the peak."""
    mass: Array | float = 1.0 if rule.top_p is None else rule.top_p
    if rule.min_p is None:
        return mass
    return jnp.minimum(mass, 2 * ndtr(jnp.sqrt(-2 * jnp.log(rule.min_p))) - 1)


def normal_icdf(loc: Array, scale: Array, uniform: Array, rule: Rule, support: Support | None) -> Array:
    """The normal quantile of a uniform under a rule, within a support."""
    scale, mass = apply_temperature(scale, rule), normal_central_mass(rule)
    if support is None:
        return loc + scale * ndtri(central_uniform(uniform, mass) if rule.truncates else uniform)
    interval = standardized(support, loc, scale)
    p, possible = uniform_between(uniform, ndtr(interval.low), ndtr(interval.high), mass)
    return interval.to_network(jnp.where(possible, ndtri(p), interval.high), loc, scale, support)


def normal_log_mass(loc: Array, scale: Array, support: Support) -> Array:
    """Log-probability of a support; where float32 has none, that of the tail by the density at its edge."""
    interval = standardized(support, loc, scale)
    mass = ndtr(interval.high) - ndtr(interval.low)
    return jnp.where(mass > TINY, jnp.log(jnp.maximum(mass, TINY)), LOG_TINY - 0.5 * interval.high**2)


class LocationDistribution(NumberDistribution):
    """A symmetric distribution whose first parameter is its location."""

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The location."""
        return params[..., 0]

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The location, or the end of the support nearest to it."""
        return clipped(params[..., 0], support)


class Normal(LocationDistribution):
    """A normal; parameters are its location and raw scale."""

    num_uniforms = 1
    num_params = 2

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Those of the values themselves."""
        return np.array([loc, raw_scale(scale)])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density."""
        scale = positive(params[..., 1])
        return normal_log_density(value, eased(params[..., 0], scale), scale)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a support."""
        return normal_log_mass(params[..., 0], positive(params[..., 1]), support)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        return normal_icdf(params[..., 0], positive(params[..., 1]), uniforms[..., 0], rule, support)


class Point(LocationDistribution):
    """The value itself, by squared error: a normal of scale one that always gives its location."""

    num_uniforms = 0
    num_params = 1

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """The centre."""
        return np.array([loc])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density of a normal of scale one, in standardized units."""
        return -0.5 * (value - params[..., 0]) ** 2 - HALF_LOG_TAU

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Zero: the value is clipped to every support."""
        return jnp.zeros_like(params[..., 0])

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        return self.mode(params, support)
