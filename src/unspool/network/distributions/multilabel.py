"""Many labels, each yes or no, that depend on each other."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Distribution, EventShape, Support
from unspool.network.distributions.rules import Rule, categorical_icdf, truncate_logits

INITIAL_LOGIT_SCALE = 0.5
"""Standard deviation of the logits to start from: components that start alike would stay alike."""

CERTAIN_LOGIT = 1e4
"""Logit of a label that is known: its opposite has probability 0 in float32, at any temperature."""


class BernoulliMixture(Distribution):
    """M labels, each 1 for yes or -1 for no: a mixture of K products of Bernoullis.

        p(x) = sum over k of w_k product over m of sigmoid(x_m a_km)

    (Lazarsfeld & Henry 1968, "Latent structure analysis", for the latent classes.) Within a component the labels are
    independent. Parameters are K logits, then K M of the labels; `count` is M, and `components` K.
    """

    count: int = eqx.field(static=True)
    components: int = eqx.field(static=True, default=8)

    @property
    def num_uniforms(self) -> int:
        """Which component, then every label."""
        return 1 + self.count

    @property
    def event_shape(self) -> EventShape:
        """M numbers."""
        return EventShape(members=self.count)

    @property
    def num_params(self) -> int:
        """The logits."""
        return self.components * (1 + self.count)

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Components that differ, the same in every run."""
        logits = np.random.default_rng(0).normal(size=self.components * self.count)
        return np.concatenate([np.zeros(self.components), INITIAL_LOGIT_SCALE * logits])

    def unpack(self, params: Float[Array, "*B P"]) -> tuple[Array, Array]:
        """Logits of components, (..., K), and of labels, (..., K, M)."""
        inner = params[..., self.components :]
        return params[..., : self.components], inner.reshape(*inner.shape[:-1], self.components, self.count)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of all labels together."""
        logits, labels = self.unpack(params)
        sign = jnp.where(value > 0, 1.0, -1.0)[..., None, :]
        return logsumexp(log_softmax(logits, -1) + log_sigmoid(sign * labels).sum(-1), -1)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The likelier of yes and no for every label, of the component whose such choice is the likeliest."""
        logits, labels = self._within(params, support)
        best = (log_softmax(logits, -1) + log_sigmoid(jnp.abs(labels)).sum(-1)).argmax(-1)
        return jnp.where(_of_component(labels, best) > 0, 1.0, -1.0)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Probability of yes less that of no, for every label."""
        logits, labels = self.unpack(params)
        return (softmax(logits, -1)[..., None] * (2.0 * sigmoid(labels) - 1.0)).sum(-2)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Sample a component, then every label; the rules see as many choices, each of symbols, but for top-k."""
        logits, labels = self._within(params, support)
        plain = replace(rule, top_k=None)
        chosen = _of_component(labels, categorical_icdf(truncate_logits(logits, plain), uniforms[..., 0]))
        two = truncate_logits(jnp.stack([chosen, jnp.zeros_like(chosen)], -1), plain)
        return 1.0 - 2.0 * categorical_icdf(two, uniforms[..., 1:]).astype(params.dtype)

    def _within(self, params: Array, support: Support | None) -> tuple[Array, Array]:
        """Logits given that some labels are yes or no: of the components by Bayes' rule, and of these labels."""
        logits, labels = self.unpack(params)
        if support is None:
            return logits, labels
        yes, no = (
            jnp.broadcast_to(end, labels[..., 0, :].shape)[..., None, :] for end in (support.low > 0, support.high < 0)
        )
        known = jnp.where(yes, log_sigmoid(labels), jnp.where(no, log_sigmoid(-labels), 0.0)).sum(-1)
        return logits + known, jnp.where(yes, CERTAIN_LOGIT, jnp.where(no, -CERTAIN_LOGIT, labels))


def _of_component(labels: Array, component: Array) -> Array:
    return jnp.take_along_axis(labels, component[..., None, None], -2)[..., 0, :]
