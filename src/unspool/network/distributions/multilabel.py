"""Many labels, each yes or no, that depend on each other."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, log_softmax, sigmoid, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Distribution, EventShape, SharedWeights, Support
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.rules import PLAIN, Rule, categorical_icdf, truncate_logits
from unspool.network.lstm import array_module, flat_product, lecun_normal, to_weights

UNITS_PER_MEMBER, MIN_UNITS = 4, 32
"""Hidden units behind each member; more where members are few, so that there are so many in all."""
MAX_ENUMERATED_MEMBERS = 8
"""Members whose values are all tried where some are known before others; with more members, particles are."""
PARTICLES = 64
"""Particles of a sample whose later members are known: what has a probability of 1/64 or more is among them."""


class MemberWeights(NamedTuple):
    """Weights from members to later members, that all steps share; `N = g M`, unit k belongs to member `k // g`.

    Attributes:
        A: directly.
        W: into the hidden units of a member, from it and the members before it.
        V: out of them, to the members after it.
    """

    A: Float[Array, "M M"]
    W: Float[Array, "M N"]
    V: Float[Array, "N M"]


class Partial(NamedTuple):
    """Members that are known so far, with their hidden units; zero for all others.

    Attributes:
        members: 1 or -1.
        units: after the hyperbolic tangent.
    """

    members: Float[Array, "M *B"]
    units: Float[Array, "N *B"]


class AutoregressiveBernoulli(SharedWeights):
    """M labels, each 1 for yes or -1 for no: every one is a Bernoulli given all those before it.

        p(x) = product over m of sigmoid(x_m a_m),   a = c + x A + tanh(b + x W) V

    The weights are masked, so that a_m reads x_1 to x_(m-1) alone: MADE with direct connections (Germain et al. 2015,
    arXiv:1502.03509). A step supplies its biases `c` (M) and `b` (N), as in RNN-NADE (Boulanger-Lewandowski et al.
    2012, arXiv:1206.6392); the weights are those of the network.

    The log-probability is exact, in two masked products. A sample takes the members in turn. Where members are known
    (`Support.low` above zero: yes; `Support.high` below zero: no), they come out as they are, and the others follow
    their distribution given the known ones: exactly if no unknown member stands before a known one, and exactly up to
    `MAX_ENUMERATED_MEMBERS` members, by trying all values; else by sequential Monte Carlo with `PARTICLES` particles
    (Gordon et al. 1993, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation"), whose error falls in
    proportion to one over their number.
    """

    count: int = eqx.field(static=True)
    weights: MemberWeights | None = None

    @property
    def units_per_member(self) -> int:
        """Hidden units behind each member, g."""
        return max(UNITS_PER_MEMBER, -(-MIN_UNITS // self.count))

    @property
    def num_uniforms(self) -> int:
        """Which candidate, if there are several; then every member."""
        return 1 + self.count

    @property
    def event_shape(self) -> EventShape:
        """M numbers."""
        return EventShape(members=self.count)

    @property
    def num_params(self) -> int:
        """Biases of members, then of hidden units."""
        return self.count * (1 + self.units_per_member)

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Even odds: M biases of members, then N of hidden units."""
        return np.zeros(self.count * (1 + self.units_per_member))

    def new_weights(self, rng: np.random.Generator | None) -> MemberWeights:
        """Members begin independent, with hidden units that differ."""
        M, N, xp = self.count, self.count * self.units_per_member, array_module(rng)
        return MemberWeights(
            to_weights(xp.zeros((M, M))), to_weights(lecun_normal(rng, M, N)), to_weights(xp.zeros((N, M)))
        )

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability of all labels together."""
        sign = jnp.where(value > 0, 1.0, -1.0).astype(params.dtype)
        return log_sigmoid(sign * self.logits(params, sign)).sum(-1)

    def logits(self, params: Float[Array, "... P"], signs: Float[Array, "... M"]) -> Float[Array, "... M"]:
        """The logit of yes of every member, given the signs of those before it."""
        A, W, V = self._masked()
        hidden = jnp.tanh(params[..., self.count :] + flat_product(signs, W))
        return params[..., : self.count] + flat_product(signs, A) + flat_product(hidden, V)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The likelier of yes and no of each member in turn; of up to `MAX_ENUMERATED_MEMBERS`, the likeliest value."""
        known = self._known(params, support)
        if self.count <= MAX_ENUMERATED_MEMBERS:
            return self._all_values(params)[self._log_probs_of_all(params, known, PLAIN).argmax(-1)]
        return self._in_turn(
            params, lambda state, logit, given: (state, _known_or(given, jnp.where(logit > 0, 1.0, -1.0))), known
        )

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """About the probability of yes less that of no: each member's, given those of the members before it.

        That is the mean-field approximation: it takes the mean of what is not linear as that of the mean.
        """
        return self._in_turn(params, lambda state, logit: (state, jnp.tanh(logit / 2)))

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Sample every member given those before it; the rules see as many choices of two symbols, but for top-k."""
        rule, known = replace(rule, top_k=None), self._known(params, support)

        def choose(state: Partial, logit: Array, uniform: Array, given: Array) -> tuple[Partial, Array]:
            return state, _known_or(given, _sample_one(logit, uniform, rule))

        value = self._in_turn(params, choose, uniforms[..., 1:], known)
        if support is None:
            return value
        later = jnp.flip(jnp.cumsum(jnp.flip(known != 0, -1), -1), -1) > 0
        reordered = (later & (known == 0)).any(-1)  # something is known after something that is not
        given_later = self._enumerated if self.count <= MAX_ENUMERATED_MEMBERS else self._by_particles
        return jax.lax.cond(
            reordered.any(),
            lambda: jnp.where(reordered[..., None], given_later(params, uniforms, rule, known), value),
            lambda: value,
        )

    def _known(self, params: Array, support: Support | None) -> Float[Array, "*B M"]:
        """1 where a member is known to be yes, -1 to be no, and 0 where it is open."""
        shape = (*params.shape[:-1], self.count)
        if support is None:
            return jnp.zeros(shape, params.dtype)
        yes, no = (jnp.broadcast_to(end, shape).astype(params.dtype) for end in (support.low > 0, support.high < 0))
        return yes - no

    def _masked(self) -> MemberWeights:
        """The weights that lead from members to later ones."""
        assert self.weights is not None  # noqa: S101  # `bind` comes before all else
        member, unit = np.arange(self.count), np.arange(self.count * self.units_per_member) // self.units_per_member
        masks = MemberWeights(member[:, None] < member, member[:, None] <= unit, unit[:, None] < member)  # type: ignore[arg-type]
        return jax.tree.map(lambda weights, mask: jnp.where(mask, weights, 0.0), self.weights, masks)

    def _in_turn(self, params: Array, choose: Callable[..., tuple[Partial, Array]], *along: Array) -> Array:
        """The value whose members `choose` gives one by one, from the state, a logit, and the member's part of arrays.

        The arrays `along` have an axis of members, the last one.
        """
        A, W, V = self._masked()
        M, g, lead = self.count, self.units_per_member, params.shape[:-1]

        def one(state: Partial, now: Any) -> tuple[Partial, None]:
            m, c_m, b_m, A_m, W_m, V_m, own = now
            logit = c_m + jnp.tensordot(A_m, state.members, 1) + jnp.tensordot(V_m, state.units, 1)
            state, value = choose(state, logit, *own)
            members = jax.lax.dynamic_update_index_in_dim(state.members, value, m, 0)
            units = jnp.tanh(b_m + jnp.tensordot(W_m, members, 1))
            return Partial(members, jax.lax.dynamic_update_slice_in_dim(state.units, units, m * g, 0)), None

        first, *rest = (jnp.moveaxis(array, -1, 0) for array in (params, *along))
        biases = first[:M], first[M:].reshape(M, g, *lead)
        steps = (jnp.arange(M), *biases, A.T, W.T.reshape(M, g, M), V.T, tuple(rest))
        start = Partial(*(jnp.zeros((count, *lead), params.dtype) for count in (M, M * g)))
        return jnp.moveaxis(jax.lax.scan(one, start, steps)[0].members, 0, -1)

    def _all_values(self, params: Array) -> Float[Array, "K M"]:
        """All 2^M values."""
        return jnp.asarray(list(itertools.product((-1.0, 1.0), repeat=self.count)), params.dtype)

    def _log_probs_of_all(self, params: Array, known: Array, rule: Rule) -> Float[Array, "*B K"]:
        """Of all values, what a sample under the rule has, times that of the known members; -inf if they differ."""
        values = self._all_values(params)
        logits = self.logits(params[..., None, :], values)
        ruled = log_softmax(truncate_logits(jnp.stack([logits, jnp.zeros_like(logits)], -1), rule), -1)
        chosen = jnp.where(values > 0, ruled[..., 0], ruled[..., 1])
        given = known[..., None, :]
        nats = jnp.where(given == 0, chosen, log_sigmoid(values * logits))
        return jnp.where((given * values >= 0).all(-1), nats.sum(-1), -jnp.inf)

    def _enumerated(self, params: Array, uniforms: Array, rule: Rule, known: Array) -> Array:
        """One of all values."""
        return self._all_values(params)[categorical_icdf(self._log_probs_of_all(params, known, rule), uniforms[..., 0])]

    def _by_particles(self, params: Array, uniforms: Array, rule: Rule, known: Array) -> Array:
        """One of the particles, which are resampled at every known member, by its probability.

        An open member's uniform, rotated evenly, is that of every particle (a Latin hypercube); a known one's resamples
        them systematically (Kitagawa 1996, "Monte Carlo filter and smoother").
        """
        rng, S = np.random.default_rng(0), PARTICLES
        rotations = jnp.asarray(np.stack([rng.permutation(S) for _ in range(self.count)], -1) / S, params.dtype)

        def choose(
            state: Partial, logit: Array, uniform: Array, given: Array, rotation: Array
        ) -> tuple[Partial, Array]:
            state = jax.lax.cond((given != 0).any(), lambda: _resampled(state, logit, uniform, given), lambda: state)
            free = _sample_one(logit, (uniform[..., None] + rotation) % 1.0, rule)
            return state, _known_or(given[..., None], free)

        start = jnp.broadcast_to(params[..., None, :], (*params.shape[:-1], S, params.shape[-1]))
        values = self._in_turn(start, choose, uniforms[..., 1:], known, rotations)
        chosen = jnp.floor(uniforms[..., 0] * S).astype(jnp.int32)
        return jnp.take_along_axis(values, chosen[..., None, None], -2)[..., 0, :]


def conditional_means(
    distribution: Distribution, params: Float[Array, "*B P"], value: Float[Array, "*B M"]
) -> Float[Array, "*B M"]:
    """Probability of yes less that of no, of every member given those before it in a value; NaN where it is missing.

    Their means over samples are the means of the members.
    """
    if isinstance(distribution, WithMissing):
        return conditional_means(distribution.of, params[..., 1:], value)
    assert isinstance(distribution, AutoregressiveBernoulli)  # noqa: S101  # nothing else has members
    signs = jnp.where(value > 0, 1.0, -1.0).astype(params.dtype)
    return jnp.where(jnp.isnan(value), jnp.nan, jnp.tanh(distribution.logits(params, signs) / 2))


def _known_or(given: Array, value: Array) -> Array:
    """A member's known value, or another one where it has none."""
    return jnp.where(given == 0, value, given)


def _sample_one(logit: Float[Array, "*B"], uniform: Float[Array, "*B"], rule: Rule) -> Float[Array, "*B"]:
    """Yes or no of one member."""
    yes, no = jnp.moveaxis(truncate_logits(jnp.stack([logit, jnp.zeros_like(logit)], -1), rule), -1, 0)
    return jnp.where(uniform < sigmoid(yes - no), 1.0, -1.0).astype(logit.dtype)


def _resampled(
    state: Partial, logit: Float[Array, "*B S"], uniform: Float[Array, "*B"], given: Float[Array, "*B"]
) -> Partial:
    """Particles in proportion to the probability of a known member; where it is not known, the same ones."""
    mass = softmax(log_sigmoid(given[..., None] * logit), -1)
    S = mass.shape[-1]
    at = (jnp.arange(S) + uniform[..., None]) / S
    ancestor = (jnp.cumsum(mass, -1)[..., None, :] < at[..., None]).sum(-1)
    ancestor = jnp.where(given[..., None] == 0, jnp.arange(S), jnp.minimum(ancestor, S - 1))
    return jax.tree.map(lambda part: jnp.take_along_axis(part, ancestor[None], -1), state)
