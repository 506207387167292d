"""Angles: numbers on a circle, as a density or on a grid."""

import math
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, logsumexp, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import (
    TURN,
    Constant,
    Distribution,
    NumberDistribution,
    Support,
    innermost,
)
from unspool.network.distributions.discretized import (
    LOGISTIC_WIDTH,
    log_cell,
    logistic_between,
    logistic_central_mass,
    logistic_log_mass,
)
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.mixture import of_component
from unspool.network.distributions.normal import eased, per_component, positive, raw_scale, standardized
from unspool.network.distributions.rules import Rule, apply_temperature, categorical_icdf, truncate_logits

TURNS = np.arange(-3.0, 4.0) * TURN
"""The turns on which a component is added up; it is cut beyond, and divided by what is left, so it stays a density."""
SELDOM = -8.0
"""Logit, to begin with, of free components beside those that follow: a jump must be seen before any is generated."""


class Circular(NumberDistribution):
    """A mixture of K logistics wrapped around a circle: logits, locations, raw scales.

        p(z) = sum_k w_k sum_m f((z + 2 pi m - loc_k) / s_k) / s_k

    (Mardia & Jupp 2000, "Directional statistics", section 3.5.7, of wrapped distributions.) The first components may
    follow the value of the step before: the network adds that value to their locations (`carry`), which so are changes,
    in a unit of their own. The others lie anywhere on the circle.

    Attributes:
        low: where the circle begins, in radians; values are in [low, low + 2 pi).
        grid: the values, where each has the mass of its cell; `None` for a density.
        following: components that follow the value before.
        free: components that don't.
        unit: of the changes, in radians.
    """

    low: Constant = -math.pi
    grid: Grid | None = None
    following: int = eqx.field(static=True, default=0)
    free: int = eqx.field(static=True, default=5)
    unit: Constant = 1.0

    is_angle = True
    num_uniforms = 2

    @property
    def units(self) -> Float[Array, " K"]:
        """(K,) of locations and scales, in radians."""
        return jnp.where(np.arange(self.following + self.free) < self.following, self.unit, 1.0)

    @property
    def carry(self) -> Float[Array, " P"]:
        """(P,) what parameters gain for one radian of the value before."""
        follows = jnp.where(np.arange(self.following + self.free) < self.following, 1.0 / self.units, 0.0)
        return jnp.concatenate([0 * follows, follows, 0 * follows])

    @property
    def without_value_before(self) -> NDArray[np.float64]:
        """(P,) what parameters gain, to begin with, where there is no value to follow."""
        logits = np.array([SELDOM] * self.following + [-SELDOM] * self.free) * (self.following > 0)
        return np.concatenate([logits, np.zeros(2 * len(logits))])

    @property
    def num_params(self) -> int:
        """Three of each component."""
        return 3 * (self.following + self.free)

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Free components side by side around the circle, and changes around zero; both arguments are ignored."""
        around = self.low + TURN * (np.arange(self.free) + 0.5) / max(self.free, 1)
        changes = np.linspace(-1.0, 1.0, self.following) if self.following > 1 else np.zeros(self.following)
        widths = [LOGISTIC_WIDTH] * self.following + [LOGISTIC_WIDTH * math.pi / max(self.free, 1)] * self.free
        logits = np.array([0.0] * self.following + [SELDOM] * self.free) * (self.following > 0)
        return np.concatenate([logits, changes, around, [raw_scale(width) for width in widths]])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density, or log-mass of the cell."""
        logits, loc, scale = self._unpack(params)
        loc = eased(loc, scale)
        away = value[..., None] - loc
        away = (away - TURN * jnp.round(away / TURN))[..., None] + TURNS
        width = scale[..., None]
        if self.grid is None:
            each = log_sigmoid(away / width) + log_sigmoid(-away / width) - jnp.log(width)
        else:
            each = log_cell((away + self._cell / 2) / width, self._cell / width)
        return logsumexp(log_softmax(logits, -1) + logsumexp(each, -1) - self._log_whole(loc, scale), -1)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a support."""
        logits, loc, scale = self._unpack(params)
        each, _, _ = self._copies(loc, scale, self._within(support)[0], jnp.inf)
        return logsumexp(log_softmax(logits, -1) + logsumexp(each, -1) - self._log_whole(loc, scale), -1)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean direction: that of the mean of sine and cosine."""
        logits, loc, scale = self._unpack(params)
        spread = jnp.minimum(math.pi * scale, 50.0)
        length = softmax(logits, -1) * spread / jnp.sinh(spread)
        return self._wrapped(jnp.arctan2((length * jnp.sin(loc)).sum(-1), (length * jnp.cos(loc)).sum(-1)))

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Sample a component and its turn, then take its logistic quantile; a rule acts on both, but for top-k."""
        logits, loc, scale = self._unpack(params)
        scale, mass = apply_temperature(scale, rule), logistic_central_mass(rule)
        logits = truncate_logits(logits, replace(rule, top_k=None))
        edges, values = self._within(support)
        each, lows, highs = self._copies(loc, scale, edges, jnp.inf)
        if rule.truncates:
            radius = scale * jnp.log((1 + mass) / (1 - mass))
            kept, least, most = self._copies(loc, scale, edges, radius)
            some = jnp.isfinite(kept + logits[..., None]).any((-1, -2), keepdims=True)
            each = jnp.where(some, kept, each)
            lows, highs = jnp.where(some, least, lows), jnp.where(some, most, highs)
        joint = (logits[..., None] + each).reshape(*each.shape[:-2], -1)
        chosen = categorical_icdf(joint, uniforms[..., 0])
        component, turn = chosen // len(TURNS), chosen % len(TURNS)
        loc, scale = of_component(loc, component), of_component(scale, component)
        part = Support(*(of_component(end.reshape(joint.shape), chosen) for end in (lows, highs)))
        interval = standardized(part, loc, scale)
        z = interval.to_network(logistic_between(uniforms[..., 1], interval), loc, scale, part)
        return self._finished(z - jnp.asarray(TURNS)[turn], values)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The location of the component with the highest peak; within a support, of that with the most mass there."""
        logits, loc, scale = self._unpack(params)
        if support is None:
            return self._finished(of_component(loc, (logits - jnp.log(scale)).argmax(-1)), None)
        edges, values = self._within(support)
        each, lows, highs = self._copies(loc, scale, edges, jnp.inf)
        joint = (logits[..., None] + each).reshape(*each.shape[:-2], -1)
        chosen = joint.argmax(-1)
        low, high = (of_component(end.reshape(joint.shape), chosen) for end in (lows, highs))
        z = jnp.clip(of_component(loc, chosen // len(TURNS)), low, high) - jnp.asarray(TURNS)[chosen % len(TURNS)]
        return self._finished(z, values)

    @property
    def _cell(self) -> Constant:
        """The width of a cell, in radians; 0 of a density."""
        return 0.0 if self.grid is None else self.grid.step / self.grid.scale

    def _log_whole(self, loc: Array, scale: Array) -> Array:
        """Log-probability of all turns under each component: half of them on both sides, and whole cells."""
        first = -jnp.full_like(loc, math.pi)
        if self.grid is not None:
            first = first + jnp.mod(math.pi - loc, self._cell) - self._cell / 2
        low = first + TURNS[0]
        return logistic_log_mass(jnp.zeros_like(loc), scale, Support(low, low + TURN * len(TURNS)))

    @property
    def _circle(self) -> tuple[Constant, Constant]:
        """Where the circle begins and ends; on a grid, at the edges of cells."""
        return self.low - self._cell / 2, self.low - self._cell / 2 + TURN

    def _unpack(self, params: Float[Array, "*B P"]) -> tuple[Array, Array, Array]:
        """Logits, locations on the circle and scales, in radians."""
        logits, loc, raw = jnp.split(params, 3, -1)
        units = jnp.asarray(self.units, params.dtype)
        return logits, self._wrapped(loc * units), positive(raw) * units

    def _wrapped(self, z: Array) -> Array:
        """An angle in [low, low + 2 pi)."""
        return z - TURN * jnp.floor((z - self.low) / TURN)

    def _within(self, support: Support | None) -> tuple[Support, Support | None]:
        """From where to where may be sampled before rounding, and the values, if they are limited."""
        if support is None:
            return Support(*map(jnp.asarray, self._circle)), None
        onward = support._replace(high=jnp.where(support.high < support.low, support.high + TURN, support.high))
        return (onward, support) if self.grid is None else self.grid.cells_within(onward)

    def _copies(self, loc: Array, scale: Array, edges: Support, radius: Array | float) -> tuple[Array, Array, Array]:
        """(..., K, turns) log-probability of a part of the circle on every turn, and its ends; in a radius of loc."""
        part = per_component(per_component(edges))
        centre, width = loc[..., None], scale[..., None]
        radius = jnp.broadcast_to(jnp.asarray(radius), scale.shape)[..., None]
        low, high = jnp.maximum(part.low + TURNS, centre - radius), jnp.minimum(part.high + TURNS, centre + radius)
        mass = logistic_log_mass(centre, width, Support(low, jnp.maximum(high, low)))
        return jnp.where(high >= low, mass, -jnp.inf), low, high

    def _finished(self, z: Array, values: Support | None) -> Array:
        """An angle on the circle, on its grid, and within a support."""
        z = self._wrapped(z)
        if self.grid is None and values is not None:
            after, before = jnp.mod(z - values.high, TURN), jnp.mod(values.low - z, TURN)
            nearest = jnp.where(after < before, values.high, values.low)
            z = self._wrapped(jnp.where(values.holds(z, angle=True), z, nearest))
        if self.grid is not None:
            if values is not None:
                z = values.clip(z - TURN * jnp.round((z - (values.low + values.high) / 2) / TURN))
            z = self.grid.snap(z)
            z = z - TURN * jnp.floor((z - self._circle[0]) / TURN)
        return z


def circular_of(dist: Distribution) -> Circular | None:
    """The distribution of angles inside of all wrappers, or `None`."""
    inside = innermost(dist)
    return inside if isinstance(inside, Circular) else None


def of_all_params(dist: Distribution, own: Array | NDArray[np.float64]) -> Array:
    """Numbers for the parameters of the innermost distribution, with zeros for those that wrappers put before them."""
    return jnp.pad(jnp.asarray(own), (dist.num_params - len(own), 0))
