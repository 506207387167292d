"""Student's t distribution."""

import math

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc, gammaln, ndtri
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Support
from unspool.network.distributions.normal import (
    TINY,
    LocationDistribution,
    eased,
    positive,
    raw_scale,
    standardized,
    uniform_between,
)
from unspool.network.distributions.rules import Rule, apply_temperature, central_uniform

MIN_HILL_DF = 2.5
"""Degrees of freedom from which on Hill's quantile is good."""


class StudentT(LocationDistribution):
    """Student's t; parameters are location, raw scale and raw degrees of freedom, above one, so there is a mean."""

    num_uniforms = 2
    num_params = 3

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Those of the values themselves, with ten degrees of freedom."""
        return np.array([loc, raw_scale(scale), 0.0])

    def unpack(self, params: Float[Array, "*B P"]) -> tuple[Array, Array, Array]:
        """Location, scale and degrees of freedom; ten degrees at zero."""
        more = jnp.exp(jnp.clip(params[..., 2] + math.log(9), -6.0, 7.0))
        return params[..., 0], positive(params[..., 1]), 1.0 + more

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density."""
        loc, scale, df = self.unpack(params)
        z = (value - eased(loc, scale)) / scale
        shape = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(df * math.pi)
        return shape - (df + 1) / 2 * jnp.log1p(z * z / df) - jnp.log(scale)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a support."""
        loc, scale, df = self.unpack(params)
        interval = standardized(support, loc, scale)
        return jnp.log(jnp.maximum(student_t_cdf(interval.high, df) - student_t_cdf(interval.low, df), TINY))

    def central_mass(self, df: Array, rule: Rule) -> Array | float:
        """The central mass that a rule leaves; min-p through the radius where the density is that share of the peak."""
        mass: Array | float = 1.0 if rule.top_p is None else rule.top_p
        if rule.min_p is None:
            return mass
        square = df * jnp.expm1(-2 / (df + 1) * jnp.log(rule.min_p))
        return jnp.minimum(mass, 1 - betainc(df / 2, 0.5, df / (df + square)))

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Bailey's polar transform of two uniforms (1994, Math. Comp. 62:779); in a support, the quantile of one."""
        loc, scale, df = self.unpack(params)
        scale, mass = apply_temperature(scale, rule), self.central_mass(df, rule)
        u, v = uniforms[..., 0], uniforms[..., 1]
        if support is not None:
            interval = standardized(support, loc, scale)
            low, high = (student_t_cdf(end, df) for end in (interval.low, interval.high))
            p, possible = uniform_between(u, low, high, mass)
            standard = jnp.where(possible, student_t_icdf(p, df), interval.high)
            return interval.to_network(standard, loc, scale, support)
        if rule.truncates:
            standard = student_t_icdf(central_uniform(u, mass), df)
        else:
            standard = jnp.sqrt(df * jnp.expm1(-2 / df * jnp.log(u))) * jnp.cos(2 * math.pi * v)
        return loc + scale * standard


def student_t_cdf(t: Array, df: Array) -> Array:
    """Probability that Student's t is below a value; exact in the lower tail."""
    tail = 0.5 * betainc(df / 2, jnp.full_like(df, 0.5), df / (df + jnp.broadcast_to(t, df.shape) ** 2))
    return jnp.where(t < 0, tail, 1 - tail)


def student_t_icdf(p: Array, df: Array) -> Array:
    """Quantile of Student's t in closed form, for one degree of freedom or more.

    From 2.5 degrees on by Hill, to 1e-4 of the value. Below, where his expansion is wrong and even falls, log log (1 +
    t^2 / df)^(df / 2) is interpolated in log df through 1 and 2 degrees, where the quantile is elementary, and Hill's
    at 2.5: to 0.3 %.
    """
    tail = jnp.clip(jnp.minimum(p, 1 - p), 1e-12, 0.5)
    off = 0.5 - tail
    few = jnp.minimum(df, MIN_HILL_DF)
    nodes = {
        1.0: jnp.sin(math.pi * off) / jnp.sin(math.pi * tail),
        2.0: off * jnp.sqrt(2 / (tail * (1 - tail))),
        MIN_HILL_DF: hill(tail, jnp.full_like(df, MIN_HILL_DF)),
    }
    level = jnp.zeros(())
    for node, t in nodes.items():
        weights = (jnp.log(few / other) / math.log(node / other) for other in nodes if other != node)
        inner = 0.5 * node * jnp.log1p(t * t / node)
        level = level + math.prod(weights) * jnp.log(jnp.maximum(inner, TINY))
    low = jnp.sqrt(few * jnp.expm1(jnp.exp(level) * 2 / few))
    return jnp.sign(p - 0.5) * jnp.where(df < MIN_HILL_DF, low, hill(tail, jnp.maximum(df, MIN_HILL_DF)))


def hill(tail: Array, df: Array) -> Array:
    """The value that Student's t exceeds with probability `tail` (Hill 1970, "Algorithm 396", Comm. ACM 13:619)."""
    a = 1 / (df - 0.5)
    b = 48 / (a * a)
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * jnp.sqrt(a * math.pi / 2) * df
    y = (2 * d * tail) ** (2 / df)
    x = ndtri(tail)
    c_near = c + jnp.where(df < 5, 0.3 * (df - 4.5) * (x + 0.6), 0.0)
    c_near = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c_near
    square = x * x
    near = (((((0.4 * square + 6.3) * square + 36) * square + 94.5) / c_near - square - 3) / b + 1) * x
    near = jnp.expm1(a * near * near)
    far = 1 / (((df + 6) / (df * y) - 0.089 * d - 0.822) * (df + 2) * 3) + 0.5 / (df + 4)
    far = (far * y - 1) * (df + 1) / (df + 2) + 1 / y
    return jnp.sqrt(df * jnp.where(y > 0.05 + a, near, far))
