"""Numbers of which single values repeat."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp, softmax
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Constant, NumberDistribution, Support
from unspool.network.distributions.normal import per_component
from unspool.network.distributions.rules import Rule, categorical_icdf, truncate_logits

SAME_VALUE_TOLERANCE = 2e-6
"""Distance up to which a value is a point mass, relative to 1 + its size: the precision of float32."""
CERTAIN = 12.0
"""Logit of a point that is nearly certain."""


def which_point(value: Any, points: Any) -> Any:
    """(..., K) which of (K,) points each value is, if any; of NumPy as of JAX."""
    return abs(value[..., None] - points) <= SAME_VALUE_TOLERANCE * (1 + abs(points))


class PointMasses(NumberDistribution):
    """A distribution of numbers, and beside it values that have a mass of their own, zero above all.

        P(x = v_k) = p_k,   p(x) = p_rest q(x) elsewhere

    where q is the distribution inside. If q itself gives masses, of a number on a grid, a point gets both parts.

    Attributes:
        of: the distribution inside.
        values: (K,) the points, in the network's units.
        mass: whether the distribution inside gives masses rather than densities.
    """

    of: NumberDistribution
    values: Constant
    mass: bool = eqx.field(static=True, default=False)

    @property
    def num_uniforms(self) -> int:
        """One more than the distribution inside."""
        return 1 + self.of.num_uniforms

    @property
    def num_params(self) -> int:
        """The logits of the rest and of every point, then those of the distribution inside."""
        return 1 + len(self.values) + self.of.num_params

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Equal probabilities, then those of the distribution inside; without spread, the point at `loc` is certain."""
        logits = np.zeros(1 + len(self.values))
        if scale == 0.0:
            points = np.asarray(self.values, np.float64)
            logits[1:] = CERTAIN * (np.abs(points - loc) <= SAME_VALUE_TOLERANCE * (1 + np.abs(points)))
        return np.concatenate([logits, self.of.initial_params(loc, scale or 1.0)])

    def which(self, value: Array) -> Bool[Array, "*B K"]:
        """Which point each value is, if any."""
        return which_point(value, jnp.asarray(self.values))

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-mass of a point, or log-density of the rest."""
        logits, inner = self._split(params)
        share, is_point = log_softmax(logits, -1), self.which(value)
        point = jnp.where(is_point, share[..., 1:], 0.0).sum(-1)
        rest = share[..., 0] + self.of.log_prob(inner, value)
        either = jnp.logaddexp(point, rest) if self.mass else point
        return jnp.where(is_point.any(-1), either, rest)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a support."""
        logits, inner = self._split(params)
        return logsumexp(log_softmax(logits, -1) + self._log_masses(inner, support), -1)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of points and rest."""
        logits, inner = self._split(params)
        share = softmax(logits, -1)
        return share[..., 0] * self.of.mean(inner) + (share[..., 1:] * jnp.asarray(self.values)).sum(-1)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """A point, or the rest; a rule acts on this choice as on that of a component of a mixture."""
        logits, inner = self._split(params)
        rest = self.of.sample(inner, uniforms[..., 1:], rule, support)
        if support is not None:
            logits = logits + self._log_masses(inner, support)
        which = categorical_icdf(truncate_logits(logits, replace(rule, top_k=None)), uniforms[..., 0])
        return self._chosen(which, rest)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The likeliest point if it is likelier than the rest, else the mode of the rest."""
        logits, inner = self._split(params)
        if support is not None:
            logits = logits + self._log_masses(inner, support)
        return self._chosen(logits.argmax(-1), self.of.mode(inner, support))

    def _log_masses(self, inner: Array, support: Support) -> Array:
        """(..., 1 + K) log-probability of a support under the rest and under each point."""
        points = jnp.asarray(self.values)
        slack = SAME_VALUE_TOLERANCE * (1 + jnp.abs(points))
        inside = per_component(support).holds(points, slack, angle=self.event_shape.angle)
        within = jnp.where(inside, 0.0, -jnp.inf)
        rest = self.of.log_mass(inner, support)[..., None]
        return jnp.concatenate([rest, jnp.broadcast_to(within, (*rest.shape[:-1], len(points)))], -1)

    def _split(self, params: Array) -> tuple[Array, Array]:
        at = 1 + len(self.values)
        return params[..., :at], params[..., at:]

    def _chosen(self, which: Array, rest: Array) -> Array:
        return jnp.where(which == 0, rest, jnp.asarray(self.values)[jnp.maximum(which - 1, 0)])
