"""The head of a number whose mean is always the same."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Head, Real, Room, Wrapper
from unspool.network.distributions.rules import PLAIN, Rule


@dataclass(frozen=True)
class Centred(Wrapper, Real):
    """A head with a location, moved so that its mean is zero on the network's axis, where that of training is.

    Spread, tails and skew follow the state as before. Of returns on a market, say, hardly any part of the mean can be
    foreseen, and what a network believes to foresee adds up over a path.

    Attributes:
        of: the head inside.
    """

    of: Real

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Of the head inside."""
        return self.of.log_prob(self._moved(params), value)

    def pick(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        room: Room | None = None,
    ) -> Array:
        """Of the head inside."""
        return self.of.pick(self._moved(params), uniforms, rule, room)

    def log_mass(self, params: Float[Array, "*B P"], room: Room) -> Float[Array, "*B"]:
        """Of the head inside."""
        return self.of.log_mass(self._moved(params), room)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """Of the head inside, which a skew head has elsewhere than its mean."""
        return self.of.mode(self._moved(params))

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Zero."""
        return self.of.mean(self._moved(params))

    def _moved(self, params: Float[Array, "*B P"]) -> Float[Array, "*B P"]:
        return params - self.of.mean(params)[..., None] * jnp.asarray(located(self.of), params.dtype)


def located(head: Head) -> NDArray[np.float64]:
    """(P,) how the parameters of a head move when all its values do: one where they are locations, zero elsewhere.

    Examples:
        >>> from unspool.network.distributions.mixture import StudentT
        >>> located(StudentT()).tolist()
        [1.0, 0.0, 0.0]
    """
    return head.bias(1.0) - head.bias(0.0)
