"""The distribution of a number of which single values repeat."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, softmax
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import NumberDistribution, Support, Wrapper
from unspool.network.distributions.rules import PLAIN, Rule, categorical_icdf, truncate_logits

SAME_VALUE_TOLERANCE = 2e-6
"""Distance up to which a value is the atom, relative to 1 + its size: the precision of float32."""


@dataclass(frozen=True)
class PointMasses(Wrapper):
    """Any distribution of a number, and beside it values that have a mass of their own, zero above all.

        P(atom) = p_atom,   p(x) = p_rest q(x) elsewhere

    where q is the inner distribution. If q itself is a mass, of a number on a grid, an atom gets both parts.

    Attributes:
        of: the inner distribution.
        values: the atoms, in the network's units.
        mass: whether the inner distribution gives masses rather than densities.
    """

    of: NumberDistribution
    values: tuple[float, ...]
    mass: bool = False

    @property
    def size(self) -> int:
        """A logit for the rest and for each atom, then the inner distribution."""
        return 1 + len(self.values) + self.of.size

    @property
    def num_uniforms(self) -> int:
        """One more than the inner distribution."""
        return 1 + self.of.num_uniforms

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Even odds, then the inner distribution."""
        return np.concatenate([np.zeros(1 + len(self.values)), self.of.bias(loc, scale)])

    def same(self, value: Array) -> Bool[Array, "*B A"]:
        """Which atom each value is, if any."""
        atoms = jnp.asarray(self.values)
        return jnp.abs(value[..., None] - atoms) <= SAME_VALUE_TOLERANCE * (1 + jnp.abs(atoms))

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-mass of an atom, or log-density of the rest."""
        logits, inner = self._divided(params)
        share = log_softmax(logits, -1)
        same = self.same(value)
        atom = jnp.where(same, share[..., 1:], 0.0).sum(-1)
        rest = share[..., 0] + self.of.log_prob(inner, value)
        if self.mass:
            return jnp.where(same.any(-1), jnp.logaddexp(atom, rest), rest)
        return jnp.where(same.any(-1), atom, rest)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """An atom, or the inner distribution; a rule acts on this choice as on that of a component of a mixture."""
        logits, inner = self._divided(params)
        rest = self.of.sample(inner, uniforms[..., 1:], rule, support)
        if support is not None:
            atoms = jnp.asarray(self.values)
            slack = SAME_VALUE_TOLERANCE * (1 + jnp.abs(atoms))
            low, high = (jnp.asarray(end)[..., None] for end in (support.low, support.high))
            masked = jnp.where((atoms >= low - slack) & (atoms <= high + slack), logits[..., 1:], -jnp.inf)
            logits = jnp.concatenate([logits[..., :1] + self.of.log_mass(inner, support)[..., None], masked], -1)
        which = categorical_icdf(truncate_logits(logits, replace(rule, top_k=None)), uniforms[..., 0])
        return self._chosen(logits.argmax(-1) if rule.greedy else which, rest)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The likeliest atom where the rest is less likely than it, else the mode of the rest."""
        logits, inner = self._divided(params)
        return self._chosen(logits.argmax(-1), self.of.mode(inner))

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of atoms and rest."""
        logits, inner = self._divided(params)
        share = softmax(logits, -1)
        return share[..., 0] * self.of.mean(inner) + (share[..., 1:] * jnp.asarray(self.values)).sum(-1)

    def _divided(self, params: Array) -> tuple[Array, Array]:
        at = 1 + len(self.values)
        return params[..., :at], params[..., at:]

    def _chosen(self, which: Array, rest: Array) -> Array:
        return jnp.where(which == 0, rest, jnp.asarray(self.values)[jnp.maximum(which - 1, 0)])
