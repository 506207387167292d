"""The distribution of numbers on a grid: counts, whole measurements, cents."""

import math
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import NumberDistribution, Support
from unspool.network.distributions.grid import CELL_TOLERANCE, Grid, SupportPoints
from unspool.network.distributions.mixture import TINY, between, each, part_of, positive, raw_spread
from unspool.network.distributions.rules import (
    PLAIN,
    Rule,
    apply_temperature,
    categorical_icdf,
    central_uniform,
    truncate_logits,
)

WIDTH = 0.617
"""Spread of a component to begin with, of standardised data: a logistic is 1.8 spreads wide."""


def log_cell(upper: Array, width: Array) -> Array:
    """log(F(upper) - F(upper - width)) of the standard logistic F, exact in both tails and for cells of any width.

        F(b) - F(a) = F(b) F(-a) (1 - exp(a - b))

    Nothing cancels, as it would in a difference of two cumulative probabilities.
    """
    return log_sigmoid(upper) + log_sigmoid(width - upper) + jnp.log(-jnp.expm1(-width))


@dataclass(frozen=True)
class Discretized(NumberDistribution):
    """A mixture of K logistics, where each value of a grid gets the mass of its cell: logits, locations, raw spreads.

    By Salimans et al. 2017 (arXiv:1701.05517, "PixelCNN++"). The outermost cells, where there are bounds, hold all that
    lies beyond. We leave the paper in that locations and spreads are those of the transformed, standardised axis, so
    that counts may be seen in logarithms.

    Attributes:
        grid: the values.
        low: the smallest possible value, in original units, or `None`.
        high: the largest.
        components: K.
        levels: the values of the grid that training saw, where others are rare, or `None`.
    """

    grid: Grid
    low: float | None = None
    high: float | None = None
    components: int = 5
    support_points: SupportPoints | None = None

    @property
    def size(self) -> int:
        """Three parameters a component."""
        return 3 * self.components

    @property
    def num_uniforms(self) -> int:
        """Two uniforms: which component, and where in it."""
        return 2

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Components side by side over the range of the data."""
        spread = np.linspace(-1.5, 1.5, self.components) if self.components > 1 else np.zeros(1)
        raw = np.full(self.components, raw_spread(scale * WIDTH))
        return np.concatenate([np.zeros(self.components), loc + scale * spread, raw])

    def unpack(self, params: Float[Array, "*B P"]) -> tuple[Array, Array, Array]:
        """Logits, locations and spreads, K each."""
        logits, loc, raw = jnp.split(params, 3, -1)
        return logits, loc, positive(raw)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-mass of the cell."""
        logits, loc, scale = self.unpack(params)
        x = self.grid.cell(value)[..., None]
        width, edge = self.grid.width(x), self.grid.network(x + self.grid.step / 2)
        if self.support_points is None:
            return logsumexp(log_softmax(logits, -1) + self._mass(x, edge, width, loc, scale), -1)
        index = self.support_points.index(x)
        seen = jnp.abs(x - self.support_points.nearest(x)) < self.grid.step / 2
        first, last = seen & (index == 0), seen & (index == len(self.support_points.values) - 1)
        width = jnp.where(seen, self.support_points.width(index), width)
        upper = (jnp.where(seen, self.support_points.upper(index), edge) - loc) / scale
        mass = jnp.where(seen, log_cell(upper, width / scale), self._mass(x, edge, self.grid.width(x), loc, scale))
        mass = jnp.where(first, log_sigmoid(upper), jnp.where(last, log_sigmoid(-upper), mass))
        known = jnp.where(seen[..., 0], math.log1p(-self.support_points.unseen), math.log(self.support_points.unseen))
        return known + logsumexp(log_softmax(logits, -1) + mass, -1)

    def _mass(self, x: Array, edge: Array, width: Array, loc: Array, scale: Array) -> Array:
        """Log-mass that each component gives the cell of x, which reaches `width` down from `edge`."""
        upper, width = (edge - loc) / scale, width / scale
        mass = log_cell(upper, width)
        if self.low is not None:
            mass = jnp.where(x < self.low + self.grid.step / 2, log_sigmoid(upper), mass)
        if self.high is not None:
            mass = jnp.where(x > self.high - self.grid.step / 2, log_sigmoid(width - upper), mass)
        return mass

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """Choose a component, take its logistic quantile, round to the grid; a rule acts on both, but top-k."""
        supports = None if support is None else self._rooms(support)
        if rule.greedy:
            return self.mode(params) if supports is None else supports[1].hold(self.mode(params))
        logits, loc, scale = self.unpack(params)
        if supports is not None:
            logits = logits + logistic_log_mass(loc, apply_temperature(scale, rule), each(supports[0]))
        component = categorical_icdf(truncate_logits(logits, replace(rule, top_k=None)), uniforms[..., 0])[..., None]
        of = lambda a: jnp.take_along_axis(a, component, -1)[..., 0]  # noqa: E731
        if supports is not None:
            loc, scale = of(loc), apply_temperature(of(scale), rule)
            part = part_of(supports[0], loc, scale)
            p, any_ = between(uniforms[..., 1], sigmoid(part.low), sigmoid(part.high), logistic_mass(rule))
            standard = jnp.where(any_, jnp.log(p) - jnp.log1p(-p), part.high)
            return supports[1].hold(self._placed(part.placed(standard, loc, scale, supports[0])))
        u = central_uniform(uniforms[..., 1], logistic_mass(rule)) if rule.truncates else uniforms[..., 1]
        return self._placed(of(loc) + apply_temperature(of(scale), rule) * (jnp.log(u) - jnp.log1p(-u)))

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of the cells in a room."""
        logits, loc, scale = self.unpack(params)
        return logsumexp(log_softmax(logits, -1) + logistic_log_mass(loc, scale, each(self._rooms(support)[0])), -1)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The cell of the location of the component with the most mass there."""
        logits, loc, scale = self.unpack(params)
        x = self._inside(self.grid.cell(loc))
        width = self.grid.width(x) / scale
        mass = log_cell((self.grid.network(x + self.grid.step / 2) - loc) / scale, width)
        highest = (logits + mass).argmax(-1)[..., None]
        return self._placed(jnp.take_along_axis(loc, highest, -1)[..., 0])

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of the locations under the weights, each within the bounds; not rounded, to have a slope."""
        logits, loc, _ = self.unpack(params)
        ends = [None if end is None else self.grid.network(jnp.asarray(end)) for end in (self.low, self.high)]
        return (softmax(logits, -1) * jnp.clip(loc, *ends)).sum(-1)

    def _rooms(self, support: Support) -> tuple[Support, Support]:
        """From edge to edge of the cells of the values in a room, and from the first to the last of them."""
        if self.support_points is not None:
            return self.support_points.supports(support)
        edges, values = self.grid.supports(support)
        # The outermost cells have no outer edge.
        if self.low is not None:
            lowest = self.grid.network(jnp.asarray(self.low + CELL_TOLERANCE * self.grid.step))
            edges = edges._replace(low=jnp.where(values.low <= lowest, -jnp.inf, edges.low))
        if self.high is not None:
            highest = self.grid.network(jnp.asarray(self.high - CELL_TOLERANCE * self.grid.step))
            edges = edges._replace(high=jnp.where(values.high >= highest, jnp.inf, edges.high))
        return edges, values

    def _inside(self, x: Array) -> Array:
        return jnp.clip(x, self.low, self.high)

    def _placed(self, z: Array) -> Array:
        if self.support_points is not None:
            return self.support_points.snap(z)
        return self.grid.network(self._inside(self.grid.cell(z)))


def logistic_log_mass(loc: Array, scale: Array, support: Support) -> Array:
    """Log-probability of a room, see `log_cell`."""
    part = part_of(support, loc, scale)
    beyond = jnp.log(-jnp.expm1(-jnp.maximum(part.high - part.low, TINY)))
    return log_sigmoid(part.high) + log_sigmoid(-part.low) + beyond


def logistic_mass(rule: Rule) -> Array | float:
    """The central mass that a rule leaves a logistic; its density at distance r is 1 / cosh^2 (r / 2) of the peak."""
    mass: Array | float = 1.0 if rule.top_p is None else rule.top_p
    if rule.min_p is None:
        return mass
    return jnp.minimum(mass, 2 * sigmoid(2 * jnp.arccosh(1 / jnp.sqrt(rule.min_p))) - 1)
