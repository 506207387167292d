"""Distributions of numbers: a normal, Student's t, a mixture of normals, and the value itself."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp, softmax, softplus
from jax.scipy.special import betainc, gammaln, ndtr, ndtri
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import NumberDistribution, Support
from unspool.network.distributions.rules import (
    PLAIN,
    Rule,
    apply_temperature,
    categorical_icdf,
    central_uniform,
    truncate_logits,
)

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
SMALLEST_SCALE = 1e-4
"""Floor of a fitted spread, in standard deviations of the data: without one, a constant stretch is infinitely dense."""
TINY, LOG_TINY = 1e-30, -70.0
"""A probability that float32 still holds, and about its logarithm."""
HILL_FROM_DF = 2.5
"""Degrees of freedom from which on Hill's quantile is good."""


def positive(raw: Array) -> Array:
    """A spread from an unbounded parameter: one at zero, never below `SMALLEST_SCALE`."""
    return softplus(raw + math.log(math.e - 1)) + SMALLEST_SCALE


def raw_spread(scale: float) -> float:
    """The parameter of which `positive` makes a spread."""
    return math.log(math.expm1(scale)) - math.log(math.e - 1)


def normal_log_density(value: Array, loc: Array, scale: Array) -> Array:
    """Log-density of a normal."""
    return -0.5 * ((value - loc) / scale) ** 2 - jnp.log(scale) - HALF_LOG_TAU


def normal_mass(rule: Rule) -> Array | float:
    """The central mass that a rule leaves a normal; min-p cuts where the density falls below its share of the peak."""
    mass: Array | float = 1.0 if rule.top_p is None else rule.top_p
    if rule.min_p is None:
        return mass
    return jnp.minimum(mass, 2 * ndtr(jnp.sqrt(-2 * jnp.log(rule.min_p))) - 1)


class Part(NamedTuple):
    """A room on the standard axis of a location and a spread, mirrored where it lies above the centre.

    Only below the centre are cumulative probabilities exact however small they are.
    """

    low: Array
    high: Array
    turned: Array

    def placed(self, standard: Array, loc: Array, scale: Array, support: Support) -> Array:
        """A value of the standard axis on the network's, held in the room where rounding has left it."""
        return support.hold(loc + scale * jnp.where(self.turned, -standard, standard))


def part_of(support: Support, loc: Array, scale: Array) -> Part:
    """Where a room lies on the standard axis."""
    low, high = (support.low - loc) / scale, (support.high - loc) / scale
    turned = low > 0
    return Part(jnp.where(turned, -high, low), jnp.where(turned, -low, high), turned)


def between(uniform: Array, below: Array, upto: Array, mass: Array | float = 1.0) -> tuple[Array, Array]:
    """A uniform between two cumulative probabilities and within the central mass, and where these leave any place."""
    first, last = jnp.maximum(below, 0.5 - mass / 2), jnp.minimum(upto, 0.5 + mass / 2)
    return jnp.where(last > first, first + uniform * (last - first), 0.5), last > first


def normal_pick(loc: Array, scale: Array, uniform: Array, rule: Rule, support: Support | None = None) -> Array:
    """A normal draw under a rule: the quantile of the uniform, within the room."""
    scale, mass = apply_temperature(scale, rule), normal_mass(rule)
    if support is None:
        return loc + scale * ndtri(central_uniform(uniform, mass) if rule.truncates else uniform)
    part = part_of(support, loc, scale)
    p, any_ = between(uniform, ndtr(part.low), ndtr(part.high), mass)
    return part.placed(jnp.where(any_, ndtri(p), part.high), loc, scale, support)


def normal_log_mass(loc: Array, scale: Array, support: Support) -> Array:
    """Log-probability of a room; where float32 has none, that of the tail is told by the density at its edge."""
    part = part_of(support, loc, scale)
    mass = ndtr(part.high) - ndtr(part.low)
    return jnp.where(mass > TINY, jnp.log(jnp.maximum(mass, TINY)), LOG_TINY - 0.5 * part.high**2)


def each(support: Support) -> Support:
    """A room for every component of a mixture, which are the last axis."""
    return support._replace(low=jnp.asarray(support.low)[..., None], high=jnp.asarray(support.high)[..., None])


@dataclass(frozen=True)
class Normal(NumberDistribution):
    """A normal; parameters are its location and raw spread."""

    @property
    def size(self) -> int:
        """Location and spread."""
        return 2

    @property
    def num_uniforms(self) -> int:
        """One uniform."""
        return 1

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Of the values themselves."""
        return np.array([loc, raw_spread(scale)])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density."""
        return normal_log_density(value, params[..., 0], positive(params[..., 1]))

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """The normal quantile of the uniform."""
        if rule.greedy:
            return self.mode(params) if support is None else support.hold(self.mode(params))
        return normal_pick(params[..., 0], positive(params[..., 1]), uniforms[..., 0], rule, support)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a room."""
        return normal_log_mass(params[..., 0], positive(params[..., 1]), support)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The location."""
        return params[..., 0]

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The location."""
        return params[..., 0]


@dataclass(frozen=True)
class StudentT(NumberDistribution):
    """Student's t; parameters are location, raw spread and raw degrees of freedom, which stay above one."""

    @property
    def size(self) -> int:
        """Location, spread, degrees of freedom."""
        return 3

    @property
    def num_uniforms(self) -> int:
        """Two uniforms."""
        return 2

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Of the values themselves, with ten degrees of freedom."""
        return np.array([loc, raw_spread(scale), 0.0])

    def unpack(self, params: Float[Array, "*B P"]) -> tuple[Array, Array, Array]:
        """Location, spread and degrees of freedom; ten degrees at zero."""
        more = jnp.exp(jnp.clip(params[..., 2] + math.log(9), -6.0, 7.0))
        return params[..., 0], positive(params[..., 1]), 1.0 + more

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density."""
        loc, scale, df = self.unpack(params)
        z = (value - loc) / scale
        shape = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(df * math.pi)
        return shape - (df + 1) / 2 * jnp.log1p(z * z / df) - jnp.log(scale)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """Bailey's polar transform of two uniforms (1994, Math. Comp. 62:779); within limits, the quantile of one."""
        if rule.greedy:
            return self.mode(params) if support is None else support.hold(self.mode(params))
        loc, scale, df = self.unpack(params)
        u, v = uniforms[..., 0], uniforms[..., 1]
        if support is not None:
            scale = apply_temperature(scale, rule)
            part = part_of(support, loc, scale)
            p, any_ = between(u, student_cdf(part.low, df), student_cdf(part.high, df), self.mass(df, rule))
            return part.placed(jnp.where(any_, student_quantile(p, df), part.high), loc, scale, support)
        if rule.truncates:
            standard = student_quantile(central_uniform(u, self.mass(df, rule)), df)
        else:
            standard = jnp.sqrt(df * jnp.expm1(-2 / df * jnp.log(u))) * jnp.cos(2 * math.pi * v)
        return loc + apply_temperature(scale, rule) * standard

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a room."""
        loc, scale, df = self.unpack(params)
        part = part_of(support, loc, scale)
        return jnp.log(jnp.maximum(student_cdf(part.high, df) - student_cdf(part.low, df), TINY))

    def mass(self, df: Array, rule: Rule) -> Array | float:
        """The central mass that a rule leaves; min-p through the radius where the density is that share of the peak."""
        mass: Array | float = 1.0 if rule.top_p is None else rule.top_p
        if rule.min_p is None:
            return mass
        square = df * jnp.expm1(-2 / (df + 1) * jnp.log(rule.min_p))
        return jnp.minimum(mass, 1 - betainc(df / 2, 0.5, df / (df + square)))

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The location."""
        return params[..., 0]

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The location: there are always more than one degree of freedom."""
        return params[..., 0]


def student_cdf(t: Array, df: Array) -> Array:
    """Probability that Student's t is below a value; exact in the lower tail."""
    tail = 0.5 * betainc(df / 2, jnp.full_like(df, 0.5), df / (df + jnp.broadcast_to(t, df.shape) ** 2))
    return jnp.where(t < 0, tail, 1 - tail)


def student_quantile(p: Array, df: Array) -> Array:
    """Quantile of Student's t in closed form, for one degree of freedom or more.

    From 2.5 degrees on by Hill, to 1e-4 of the value. Below, where his expansion leaves the truth and even stops to
    rise, log log (1 + t^2 / df)^(df / 2) is interpolated in log df through 1 and 2 degrees, where the quantile is
    elementary, and Hill's at 2.5: to 0.3 %.
    """
    tail = jnp.clip(jnp.minimum(p, 1 - p), 1e-12, 0.5)
    off = 0.5 - tail
    few = jnp.minimum(df, HILL_FROM_DF)
    nodes = {
        1.0: jnp.sin(math.pi * off) / jnp.sin(math.pi * tail),
        2.0: off * jnp.sqrt(2 / (tail * (1 - tail))),
        HILL_FROM_DF: hill(tail, jnp.full_like(df, HILL_FROM_DF)),
    }
    level = jnp.zeros(())
    for node, t in nodes.items():
        weights = (jnp.log(few / other) / math.log(node / other) for other in nodes if other != node)
        inner = 0.5 * node * jnp.log1p(t * t / node)
        level = level + math.prod(weights) * jnp.log(jnp.maximum(inner, 1e-30))
    low = jnp.sqrt(few * jnp.expm1(jnp.exp(level) * 2 / few))
    return jnp.sign(p - 0.5) * jnp.where(df < HILL_FROM_DF, low, hill(tail, jnp.maximum(df, HILL_FROM_DF)))


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


@dataclass(frozen=True)
class Mixture(NumberDistribution):
    """A mixture of K normals (Bishop 1994, "Mixture density networks"): logits, locations, raw spreads."""

    components: int = 5

    @property
    def size(self) -> int:
        """Three parameters a component."""
        return 3 * self.components

    @property
    def num_uniforms(self) -> int:
        """Two uniforms: which component, and where in it."""
        return 2

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Components side by side over the range of standardised data, so that each finds its own part."""
        spread = np.linspace(-1.5, 1.5, self.components) if self.components > 1 else np.zeros(1)
        raw = np.full(self.components, raw_spread(scale))
        return np.concatenate([np.zeros(self.components), loc + scale * spread, raw])

    def unpack(self, params: Float[Array, "*B P"]) -> tuple[Array, Array, Array]:
        """Logits, locations and spreads, K each."""
        logits, loc, raw = jnp.split(params, 3, -1)
        return logits, loc, positive(raw)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density."""
        logits, loc, scale = self.unpack(params)
        return logsumexp(log_softmax(logits, -1) + normal_log_density(value[..., None], loc, scale), -1)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """Choose a component, then take its normal quantile; a rule acts on both, but top-k, which is for symbols."""
        if rule.greedy:
            return self.mode(params) if support is None else support.hold(self.mode(params))
        logits, loc, scale = self.unpack(params)
        if support is not None:
            logits = logits + normal_log_mass(loc, apply_temperature(scale, rule), each(support))
        component = categorical_icdf(truncate_logits(logits, replace(rule, top_k=None)), uniforms[..., 0])[..., None]
        of = lambda a: jnp.take_along_axis(a, component, -1)[..., 0]  # noqa: E731
        return normal_pick(of(loc), of(scale), uniforms[..., 1], rule, support)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a room."""
        logits, loc, scale = self.unpack(params)
        return logsumexp(log_softmax(logits, -1) + normal_log_mass(loc, scale, each(support)), -1)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The location of the component with the highest peak."""
        logits, loc, scale = self.unpack(params)
        highest = (logits - jnp.log(scale)).argmax(-1)[..., None]
        return jnp.take_along_axis(loc, highest, -1)[..., 0]

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of the locations under the weights."""
        logits, loc, _ = self.unpack(params)
        return (softmax(logits, -1) * loc).sum(-1)


@dataclass(frozen=True)
class Point(NumberDistribution):
    """The value itself, by squared error: a normal of unit spread that always gives its location."""

    @property
    def size(self) -> int:
        """The value."""
        return 1

    @property
    def num_uniforms(self) -> int:
        """None: nothing is random."""
        return 0

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """The centre."""
        return np.array([loc])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density of a normal of unit spread, in standardised units."""
        return -0.5 * (value - params[..., 0]) ** 2 - HALF_LOG_TAU

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """The value, under every rule; held in the room."""
        return params[..., 0] if support is None else support.hold(params[..., 0])

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Zero: the value is held in every room."""
        return jnp.zeros_like(params[..., 0])

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The value."""
        return params[..., 0]

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The value."""
        return params[..., 0]
