"""Distributions: the output of one field, as pure functions of the parameters that the network supplies.

A sample is always a closed-form transform of uniforms, so that the same uniforms give the same value anywhere. Numbers
are in the units of the network (transformed and standardized); the codec adds the log-Jacobian.

To add a distribution: subclass `NumberDistribution` (or `Distribution`), write `log_prob`, `_sample`, `mode` and `mean`
side by side, and name it in `unspool.network.build`.
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
    """The values that a sample may have.

    Attributes:
        low: of a number, or of every member of a multi-label value: nothing below it, in the network's units.
        high: nothing above it.
        symbols: (..., V) bool, which symbols may be sampled; `None` where all may.
        present: where a value must not be missing.
    """

    low: Any = -jnp.inf
    high: Any = jnp.inf
    symbols: Any = None
    present: Any = False

    def clip(self, value: Array) -> Array:
        """The nearest number within it."""
        return jnp.clip(value, self.low, self.high)


def clipped(value: Array, support: Support | None) -> Array:
    """A number, or the nearest one within a support."""
    return value if support is None else support.clip(value)


class EventShape(NamedTuple):
    """What one value of a distribution is.

    Attributes:
        symbols: V where it is one of V symbols; `None` where it is a number or several.
        members: M where it is M numbers, on an axis of their own; `None` where it is one number or symbol.
    """

    symbols: int | None = None
    members: int | None = None


@dataclass(frozen=True)
class Distribution(ABC):
    """The distribution of one field given its parameters."""

    @property
    @abstractmethod
    def num_params(self) -> int:
        """Parameters P that the network must supply."""

    @property
    @abstractmethod
    def num_uniforms(self) -> int:
        """Uniforms U that one sample consumes."""

    @property
    @abstractmethod
    def event_shape(self) -> EventShape:
        """What one value is."""

    @abstractmethod
    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """(P,) parameters to start training from: of a number, those of values about `loc` that spread by `scale`."""

    @abstractmethod
    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-probability, or log-density, of the value, in nats."""

    @abstractmethod
    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The most probable value within a support."""

    @abstractmethod
    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The expected value; of a category, the probabilities of its symbols."""

    @abstractmethod
    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """What `sample` gives where the rule is not greedy."""

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """The value that these uniforms draw under the rule, given that it lies in the support."""
        return self.mode(params, support) if rule.greedy else self._sample(params, uniforms, rule, support)


@dataclass(frozen=True)
class NumberDistribution(Distribution):
    """The distribution of one number."""

    @property
    def event_shape(self) -> EventShape:
        """One number."""
        return EventShape()

    @abstractmethod
    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability that a sample lies in a support, or something very small."""


@dataclass(frozen=True)
class Reparameterized(NumberDistribution):
    """A distribution that changes the one inside, and takes the same parameters and uniforms.

    Attributes:
        of: the distribution inside.
    """

    of: NumberDistribution

    @property
    def num_params(self) -> int:
        """Those of the distribution inside."""
        return self.of.num_params

    @property
    def num_uniforms(self) -> int:
        """Those of the distribution inside."""
        return self.of.num_uniforms

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Those of the distribution inside."""
        return self.of.initial_params(loc, scale)


def innermost(distribution: Distribution) -> Distribution:
    """The distribution inside of all that change or extend it."""
    inside = getattr(distribution, "of", None)
    return distribution if inside is None else innermost(inside)


def over_members(mask: Any, values: Array) -> Any:
    """A mask of steps as a mask of their values, which may have an axis of members."""
    return mask if mask.ndim == values.ndim else mask[..., None]
