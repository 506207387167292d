"""Fields that have a value at some steps only."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from unspool.network.distributions.base import Distribution, EventShape, SameParameters, Support
from unspool.network.distributions.rules import Rule


class WhereActive(SameParameters):
    """Any distribution of one number or symbol (`of`), of a field that isn't active at every step.

    Which steps those are, all that came before decides, so an inactive value is certain: infinity, or the symbol V.
    """

    @property
    def event_shape(self) -> EventShape:
        """That of the distribution inside."""
        return self.of.event_shape

    def active(self, value: Array) -> Bool[Array, "*B"]:
        """Where values are active; NaN, a missing number, is."""
        symbols = self.event_shape.symbols
        return ~jnp.isinf(value) if symbols is None else value < symbols

    def only_where(self, active: Bool[Array, "*B"], value: Array) -> Array:
        """Values where they are active; of (..., V) soft symbols, zeros elsewhere."""
        symbols = self.event_shape.symbols
        if symbols is not None and value.ndim > active.ndim:
            return jnp.where(active[..., None], value, 0.0)
        return jnp.where(active, value, jnp.inf if symbols is None else symbols)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """That of the distribution inside, zero where inactive."""
        active = self.active(value)
        return jnp.where(active, self.of.log_prob(params, jnp.where(active, value, 0)), 0.0)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """That of active values."""
        return self.of.mean(params)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """That of active values."""
        return self.of.mode(params, support)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        return self.of.sample(params, uniforms, rule, support)


def active_as(dist: Distribution, truth: Array, value: Array) -> Array:
    """Values that are active where the true ones are, of a distribution that may have a `WhereActive` inside."""
    inner = dist
    while not isinstance(inner, WhereActive):
        if not hasattr(inner, "of"):
            return value
        inner = inner.of
    return inner.only_where(inner.active(truth), value)
