"""Distributions: the output distribution of one field. Each is two numbers and a few pure functions of its parameters.

A draw is always a closed-form transform of uniforms, so that the same uniforms give the same value anywhere. Values of
numbers are in the units of the network (transformed and standardised); the codec adds the log-Jacobian.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.rules import PLAIN, Rule


class Support(NamedTuple):
    """What a draw is confined to.

    Attributes:
        low: of a number, or of every member of a block: nothing below it, in the network's units.
        high: nothing above it.
        symbols: (V,) bool, which symbols may be drawn; `None` where all may.
        present: where a value must not be missing.
    """

    low: Any = -jnp.inf
    high: Any = jnp.inf
    symbols: Any = None
    present: Any = False

    def hold(self, value: Array) -> Array:
        """The nearest number within it."""
        return jnp.clip(value, self.low, self.high)


@dataclass(frozen=True)
class Distribution(ABC):
    """The distribution of one field given its parameters.

    Attributes:
        size: parameters P that the network must supply.
        draws: uniforms that `pick` consumes.
        symbols: V where values are symbols, `None` where they are numbers.
        members: numbers of one value, where they are more.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """P."""

    @property
    @abstractmethod
    def num_uniforms(self) -> int:
        """Uniforms for one value."""

    @property
    def symbols(self) -> int | None:
        """Numbers have none."""
        return None

    @property
    def members(self) -> int | None:
        """Numbers that make up one value, on an axis of their own; `None` where a value is one number or symbol."""
        return None

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Parameters to start training from: of a number, those of values about `loc` with a spread of `scale`."""
        return np.zeros(self.size)

    @abstractmethod
    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability, or log-density, of the value, in nats."""

    @abstractmethod
    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """The value that these uniforms draw under the rule, given that it lies in the room."""

    @abstractmethod
    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The most probable value."""

    @abstractmethod
    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The expected value; of a category, the probabilities of its symbols."""


@dataclass(frozen=True)
class NumberDistribution(Distribution):
    """A distribution of a number."""

    @abstractmethod
    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability that a draw lies in a room, or something very small."""


def per_step(mask: Any, values: Array) -> Any:
    """What is true of steps, as true of their values, which may have an axis of members."""
    return mask if mask.ndim == values.ndim else mask[..., None]


@dataclass(frozen=True)
class Wrapper(Distribution):
    """A distribution that adds something to the inner distribution."""

    of: Distribution

    @property
    def size(self) -> int:
        """Of the inner distribution."""
        return self.of.size

    @property
    def num_uniforms(self) -> int:
        """Of the inner distribution."""
        return self.of.num_uniforms

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Of the inner distribution."""
        return self.of.bias(loc, scale)


def unwrapped(dist: Distribution) -> Distribution:
    """The inner distribution of all wrappers."""
    return unwrapped(dist.of) if isinstance(dist, Wrapper) else dist
