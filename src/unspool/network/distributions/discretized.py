"""Numbers on a grid: counts, whole measurements, cents."""

import math
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Constant, Support
from unspool.network.distributions.grid import CELL_TOLERANCE, Grid, SupportPoints
from unspool.network.distributions.mixture import (
    ComponentDistribution,
    of_component,
    spread_components,
    unpack_components,
)
from unspool.network.distributions.normal import TINY, Interval, eased, per_component, standardized, uniform_between
from unspool.network.distributions.rules import (
    Rule,
    apply_temperature,
    categorical_icdf,
    central_uniform,
    truncate_logits,
)

LOGISTIC_WIDTH = 0.617
"""Scale of a component to begin with, of standardized data: a logistic's standard deviation is 1.8 of its scale."""


def log_cell(upper: Array, width: Array) -> Array:
    """log(F(upper) - F(upper - width)) of the standard logistic F, exact in both tails and for cells of any width.

        F(b) - F(a) = F(b) F(-a) (1 - exp(a - b))

    Nothing cancels, as in a difference of two cumulative probabilities.
    """
    return log_sigmoid(upper) + log_sigmoid(width - upper) + jnp.log(-jnp.expm1(-width))


def logistic_log_mass(loc: Array, scale: Array, support: Support) -> Array:
    """Log-probability of a support, see `log_cell`."""
    interval = standardized(support, loc, scale)
    width = jnp.log(-jnp.expm1(-jnp.maximum(interval.high - interval.low, TINY)))
    return log_sigmoid(interval.high) + log_sigmoid(-interval.low) + width


def logistic_between(uniform: Array, interval: Interval, mass: Array | float = 1.0) -> Array:
    """The standard logistic quantile of a uniform within an interval, exact in both tails; its end where it is empty.

    One less a probability has lost its digits where the probability is near one, so both sides are reckoned apart; and
    runtimes of exported models have an operator for `sigmoid` that has lost them where it is near zero.
    """
    low, high, not_high, not_low = (
        1 / (1 + jnp.exp(-end)) for end in (interval.low, interval.high, -interval.high, -interval.low)
    )
    below, possible = uniform_between(uniform, low, high, mass)
    above, also = uniform_between(1 - uniform, not_high, not_low, mass)
    return jnp.where(possible & also, jnp.log(below) - jnp.log(above), interval.high)


def logistic_central_mass(rule: Rule) -> Array | float:
    """The central mass that a rule leaves a logistic; its density at distance r is 1 / cosh^2 (r / 2) of the peak."""
    mass: Array | float = 1.0 if rule.top_p is None else rule.top_p
    if rule.min_p is None:
        return mass
    return jnp.minimum(mass, 2 * sigmoid(2 * jnp.arccosh(1 / jnp.sqrt(rule.min_p))) - 1)


class Discretized(ComponentDistribution):
    """A mixture of K logistics, where each value of a grid gets the mass of its cell: logits, locations, raw scales.

    By Salimans et al. 2017 (arXiv:1701.05517, "PixelCNN++"). The outermost cells, where there are bounds, hold all that
    lies beyond. Unlike in the paper, locations and scales are those of the transformed, standardized axis, so that
    counts may be seen in logarithms.

    Attributes:
        grid: the values.
        low: the smallest possible value, in original units, or minus infinity.
        high: the largest.
        components: K.
        support_points: the values of the grid that training saw, where others are rare, or `None`.
        wide: as in `Mixture`, of one more logistic.
    """

    grid: Grid
    low: Constant = -math.inf
    high: Constant = math.inf
    components: int = eqx.field(static=True, default=5)
    support_points: SupportPoints | None = None
    wide: Constant | None = None

    width = LOGISTIC_WIDTH
    num_uniforms = 2

    @property
    def num_params(self) -> int:
        """Three of each component."""
        return 3 * self.components

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Components side by side over the range of the data."""
        return spread_components(self.components, loc, scale, LOGISTIC_WIDTH)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-mass of the cell."""
        logits, loc, scale = unpack_components(params, self.wide, LOGISTIC_WIDTH)
        loc = eased(loc, scale)
        x = self.grid.cell(value)[..., None]
        width, edge = self.grid.width(x), self.grid.to_network(x + self.grid.step / 2)
        cell = self._log_mass_of_cell(x, edge, width, loc, scale)
        if self.support_points is None:
            return logsumexp(log_softmax(logits, -1) + cell, -1)
        points = self.support_points
        index, nearest, own_edge, own_width = points.cells(x)
        seen = jnp.abs(x - nearest) < self.grid.step / 2
        upper = (jnp.where(seen, own_edge, edge) - loc) / scale
        mass = jnp.where(seen, log_cell(upper, jnp.where(seen, own_width, width) / scale), cell)
        mass = jnp.where(seen & (index == 0), log_sigmoid(upper), mass)
        mass = jnp.where(seen & (index == len(points.values) - 1), log_sigmoid(-upper), mass)
        known = jnp.where(seen[..., 0], jnp.log1p(-points.unseen), jnp.log(points.unseen))
        return known + logsumexp(log_softmax(logits, -1) + mass, -1)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of the cells in a support."""
        logits, loc, scale = unpack_components(params, self.wide, LOGISTIC_WIDTH)
        edges = per_component(self._cells_within(support)[0])
        return logsumexp(log_softmax(logits, -1) + logistic_log_mass(loc, scale, edges), -1)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The cell of the location of the component with the most mass there."""
        logits, loc, scale = unpack_components(params, self.wide, LOGISTIC_WIDTH)
        x = jnp.clip(self.grid.cell(loc), self.low, self.high)
        mass = log_cell((self.grid.to_network(x + self.grid.step / 2) - loc) / scale, self.grid.width(x) / scale)
        value = self._snapped(of_component(loc, (logits + mass).argmax(-1)))
        return value if support is None else self._cells_within(support)[1].clip(value)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of the locations under the weights, each within the bounds; not rounded, to have a slope."""
        logits, loc, _ = unpack_components(params)
        ends = [self.grid.end_to_network(end) for end in (self.low, self.high)]
        return (softmax(logits, -1) * jnp.clip(loc, *ends)).sum(-1)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Sample a component, take its logistic quantile, round to the grid; a rule acts on both, but for top-k."""
        logits, loc, scale = unpack_components(params, self.wide, LOGISTIC_WIDTH)
        scale, mass = apply_temperature(scale, rule), logistic_central_mass(rule)
        within = None if support is None else self._cells_within(support)
        if within is not None:
            logits = logits + logistic_log_mass(loc, scale, per_component(within[0]))
        component = categorical_icdf(truncate_logits(logits, replace(rule, top_k=None)), uniforms[..., 0])
        loc, scale, u = of_component(loc, component), of_component(scale, component), uniforms[..., 1]
        if within is None:
            u = central_uniform(u, mass) if rule.truncates else u
            return self._snapped(loc + scale * (jnp.log(u) - jnp.log1p(-u)))
        edges, values = within
        interval = standardized(edges, loc, scale)
        standard = logistic_between(u, interval, mass)
        return values.clip(self._snapped(interval.to_network(standard, loc, scale, edges)))

    def _log_mass_of_cell(self, x: Array, edge: Array, width: Array, loc: Array, scale: Array) -> Array:
        """Log-mass that each component gives the cell of x, which reaches `width` down from `edge`."""
        upper, width = (edge - loc) / scale, width / scale
        mass = log_cell(upper, width)
        mass = jnp.where(x < self.low + self.grid.step / 2, log_sigmoid(upper), mass)
        return jnp.where(x > self.high - self.grid.step / 2, log_sigmoid(width - upper), mass)

    def _cells_within(self, support: Support) -> tuple[Support, Support]:
        """From edge to edge of the cells of the values in a support, and from the first to the last of them."""
        if self.support_points is not None:
            return self.support_points.cells_within(support)
        edges, values = self.grid.cells_within(support)
        # The outermost cells have no outer edge.
        lowest = self.grid.end_to_network(self.low + CELL_TOLERANCE * self.grid.step)
        highest = self.grid.end_to_network(self.high - CELL_TOLERANCE * self.grid.step)
        low = jnp.where(values.low <= lowest, -jnp.inf, edges.low)
        return edges._replace(low=low, high=jnp.where(values.high >= highest, jnp.inf, edges.high)), values

    def _snapped(self, z: Array) -> Array:
        """The nearest value of the grid or support point, in the network's units."""
        if self.support_points is not None:
            return self.support_points.snap(z)
        return self.grid.to_network(jnp.clip(self.grid.cell(z), self.low, self.high))
