"""How a rule changes a distribution before a value is sampled: the part of decoding that distributions share."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.nn import softmax
from jaxtyping import Array, Float

SUM_BLOCK = 64
"""Columns of a running sum that one matrix product adds up."""


class Rule(eqx.Module):
    """The options of sampling as arrays. `None` is not compiled in; a number can change without compiling again."""

    greedy: bool = eqx.field(static=True)
    temperature: Array | None = None
    top_k: Array | None = None
    top_p: Array | None = None
    min_p: Array | None = None

    @property
    def truncates(self) -> bool:
        """Whether it cuts the tails of a number's distribution."""
        return self.top_p is not None or self.min_p is not None


PLAIN = Rule(greedy=False)


def apply_temperature(scale: Array, rule: Rule) -> Array:
    """The scale of a number's distribution, times the temperature."""
    return scale if rule.temperature is None else scale * rule.temperature


def truncate_logits(logits: Float[Array, "*B V"], rule: Rule) -> Float[Array, "*B V"]:
    """Logits after temperature, with minus infinity where the rule forbids the symbol.

    The most probable symbol always stays. Symbols that tie at the edge of top-k or top-p stay together.
    """
    if rule.temperature is not None:
        logits = logits / rule.temperature
    if rule.min_p is None and rule.top_k is None and rule.top_p is None:
        return logits
    floor = jnp.full((*logits.shape[:-1], 1), -jnp.inf, logits.dtype)
    if rule.min_p is not None:
        floor = jnp.maximum(floor, logits.max(-1, keepdims=True) + jnp.log(rule.min_p))
    if rule.top_k is not None or rule.top_p is not None:
        ranked = -jnp.sort(-logits, -1)
        if rule.top_k is not None:
            kth = jnp.minimum(rule.top_k, logits.shape[-1]) - 1
            floor = jnp.maximum(floor, jnp.take(ranked, kth, axis=-1)[..., None])
        if rule.top_p is not None:
            mass = softmax(ranked, -1)
            before = jnp.cumsum(mass, -1) - mass
            last = (before < rule.top_p).sum(-1, keepdims=True) - 1
            floor = jnp.maximum(floor, jnp.take_along_axis(ranked, jnp.maximum(last, 0), -1))
    return jnp.where(logits >= floor, logits, -jnp.inf)


def categorical_icdf(logits: Float[Array, "*B V"], uniform: Float[Array, "*B"]) -> Array:
    """The symbol whose interval of the cumulative distribution holds the uniform (inverse transform)."""
    mass = jnp.exp(logits - logits.max(-1, keepdims=True))
    cumulative = running_sum(mass)
    symbol, V = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1), logits.shape[-1]
    beyond = cumulative > uniform[..., None] * cumulative[..., -1:]
    # Rounding could let a symbol without mass look as if it began an interval, or leave the last interval too short:
    # the answer is the first symbol with mass beyond the uniform, and if there is none, the last one with mass.
    least = jnp.where(mass > 0, jnp.where(beyond, symbol, 2 * V - symbol), 2 * V).min(-1)
    return jnp.where(least < V, least, 2 * V - least)


def running_sum(mass: Float[Array, "*B V"]) -> Float[Array, "*B V"]:
    """Sums of all up to each, as products with a triangle of ones: far faster than a scan for so few columns."""
    V, lead = mass.shape[-1], mass.shape[:-1]
    columns = V if V <= 2 * SUM_BLOCK else SUM_BLOCK
    triangle = jnp.triu(jnp.ones((columns, columns), mass.dtype))
    if V <= 2 * SUM_BLOCK:
        return jnp.matmul(mass, triangle, precision="highest")
    blocks = -(-V // SUM_BLOCK)
    cut = jnp.pad(mass, (*((0, 0),) * len(lead), (0, blocks * SUM_BLOCK - V))).reshape(*lead, blocks, SUM_BLOCK)
    within = jnp.matmul(cut, triangle, precision="highest")
    upto = running_sum(within[..., -1])
    before = jnp.concatenate([jnp.zeros((*lead, 1), mass.dtype), upto[..., :-1]], -1)
    return (within + before[..., None]).reshape(*lead, -1)[..., :V]


def central_uniform(uniform: Array, mass: Array | float) -> Array:
    """A uniform squeezed so that a quantile function of it stays within the central `mass`."""
    return 0.5 + mass * (uniform - 0.5)
