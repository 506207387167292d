"""How a rule changes a distribution before the draw: the part of decoding that heads share."""

import equinox as eqx
import jax.numpy as jnp
from jax.nn import softmax
from jaxtyping import Array, Float

from unspool.options import Sampling


class Rule(eqx.Module):
    """A `Sampling` as arrays. `None` is not compiled in; a number can change without compiling again."""

    greedy: bool = eqx.field(static=True)
    temperature: Array | None = None
    top_k: Array | None = None
    top_p: Array | None = None
    min_p: Array | None = None

    @classmethod
    def of(cls, sampling: Sampling) -> "Rule":
        """The rule that the options describe."""
        number = lambda value, dtype: None if value is None else jnp.asarray(value, dtype)  # noqa: E731
        return cls(
            sampling.greedy,
            None if sampling.temperature == 1.0 else number(sampling.temperature, jnp.float32),
            number(sampling.top_k, jnp.int32),
            number(sampling.top_p, jnp.float32),
            number(sampling.min_p, jnp.float32),
        )

    @property
    def truncates(self) -> bool:
        """Whether it cuts the tails of a number's distribution."""
        return self.top_p is not None or self.min_p is not None


PLAIN = Rule(greedy=False)


def warmed(spread: Array, rule: Rule) -> Array:
    """A spread scaled by the temperature."""
    return spread if rule.temperature is None else spread * rule.temperature


def filtered(logits: Float[Array, "*B V"], rule: Rule) -> Float[Array, "*B V"]:
    """Logits after temperature, with minus infinity where the rule forbids the symbol.

    The most probable symbol always stays. Symbols that tie at the edge of top-k or top-p stay together.
    """
    if rule.temperature is not None:
        logits = logits / rule.temperature
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


def choose(logits: Float[Array, "*B V"], uniform: Float[Array, "*B"]) -> Array:
    """The symbol whose interval of the cumulative distribution holds the uniform (inverse transform)."""
    cumulative = jnp.cumsum(jnp.exp(logits - logits.max(-1, keepdims=True)), -1)
    total = cumulative[..., -1:]
    below = (cumulative <= uniform[..., None] * total).sum(-1)
    # The product can round up to the total; the last symbol with any mass is the answer then.
    return jnp.minimum(below, (cumulative < total).sum(-1)).astype(jnp.int32)


def central(uniform: Array, mass: Array | float) -> Array:
    """A uniform squeezed so that a quantile function of it stays within the central `mass`."""
    return 0.5 + mass * (uniform - 0.5)
