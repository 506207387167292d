"""The distribution of a wide block of yes and no whose members depend on each other."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Distribution, Support
from unspool.network.distributions.rules import PLAIN, Rule, categorical_icdf, truncate_logits

INITIAL_LOGIT_SPREAD = 0.5
"""Standard deviation of the logits to start from: components that start alike would stay alike."""

CERTAIN_LOGIT = 1e4
"""Logit of a member that is known: its opposite has probability 0 in float32, at any temperature."""


@dataclass(frozen=True)
class BernoulliMixture(Distribution):
    """M members, each 1 for yes or -1 for no: a mixture of K products of Bernoullis.

        p(x) = sum over k of w_k product over m of sigmoid(x_m a_km)

    (Lazarsfeld & Henry 1968, "Latent structure analysis", for the latent classes.) Within a component the members are
    independent; what they have in common is which component it is. Parameters are K logits, then K M of the members.

    Attributes:
        count: M.
        components: K.
    """

    count: int
    components: int = 8

    @property
    def size(self) -> int:
        """K (1 + M)."""
        return self.components * (1 + self.count)

    @property
    def num_uniforms(self) -> int:
        """Which component, then every member."""
        return 1 + self.count

    @property
    def members(self) -> int | None:
        """M."""
        return self.count

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Components that differ, the same in every run."""
        return np.concatenate(
            [
                np.zeros(self.components),
                INITIAL_LOGIT_SPREAD * np.random.default_rng(0).normal(size=self.components * self.count),
            ]
        )

    def unpack(self, params: Float[Array, "*B P"]) -> tuple[Array, Array]:
        """Logits of components, (..., K), and of members, (..., K, M)."""
        inner = params[..., self.components :]
        return params[..., : self.components], inner.reshape(*inner.shape[:-1], self.components, self.count)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of all members together."""
        logits, members = self.unpack(params)
        sign = jnp.where(value > 0, 1.0, -1.0)[..., None, :]
        return logsumexp(log_softmax(logits, -1) + log_sigmoid(sign * members).sum(-1), -1)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """Choose a component, then every member; the rules see as many choices, each of symbols, but for top-k."""
        if support is not None:
            params = self._confined(params, support)
        if rule.greedy:
            return self.mode(params)
        logits, members = self.unpack(params)
        plain = replace(rule, top_k=None)
        chosen = self._of(categorical_icdf(truncate_logits(logits, plain), uniforms[..., 0]), members)
        two = truncate_logits(jnp.stack([chosen, jnp.zeros_like(chosen)], -1), plain)
        return 1.0 - 2.0 * categorical_icdf(two, uniforms[..., 1:]).astype(params.dtype)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The likelier of yes and no for every member, of the component whose such choice is the likeliest."""
        logits, members = self.unpack(params)
        best = (log_softmax(logits, -1) + log_sigmoid(jnp.abs(members)).sum(-1)).argmax(-1)
        return jnp.where(self._of(best, members) > 0, 1.0, -1.0)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Probability of yes less that of no, for every member."""
        logits, members = self.unpack(params)
        return (softmax(logits, -1)[..., None] * (2.0 * sigmoid(members) - 1.0)).sum(-2)

    def _confined(self, params: Array, support: Support) -> Array:
        """Parameters of the block given that some members are yes or no: the components by Bayes, and these members."""
        logits, members = self.unpack(params)
        yes, no = (
            jnp.broadcast_to(end, members[..., 0, :].shape)[..., None, :] for end in (support.low > 0, support.high < 0)
        )
        known = jnp.where(yes, log_sigmoid(members), jnp.where(no, log_sigmoid(-members), 0.0)).sum(-1)
        members = jnp.where(yes, CERTAIN_LOGIT, jnp.where(no, -CERTAIN_LOGIT, members))
        return jnp.concatenate([logits + known, members.reshape(*members.shape[:-2], -1)], -1)

    def _of(self, component: Array, members: Array) -> Array:
        return jnp.take_along_axis(members, component[..., None, None], -2)[..., 0, :]
