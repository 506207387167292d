"""Distributions: the output of one field, as pure functions of the parameters that the network supplies.

A sample is always a closed-form transform of uniforms, so that the same uniforms give the same value anywhere. Numbers
are in the units of the network (transformed and standardized); the codec adds the log-Jacobian.

A distribution is a tree of arrays, for the numbers that come from the data (bounds, grids, points), and of constants
for all that decides the shape of the program. So two columns of one kind share a program, whatever their numbers are.

To add a distribution: subclass `NumberDistribution` (or `Distribution`), and name it in `unspool.network.build`.
"""

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.rules import PLAIN, Rule

TURN = 2 * math.pi
"""A period of angles, in radians."""


class Support(NamedTuple):
    """The values that a sample may have.

    Attributes:
        low: of a number, or of every member of a multi-label value, in the network's units; of an angle, more than
            `high` where the support goes through the end of the circle.
        high: likewise.
        symbols: (..., V) bool, which symbols may be sampled; `None` for all.
        present: where a value must not be missing.
    """

    low: Any = -jnp.inf
    high: Any = jnp.inf
    symbols: Any = None
    present: Any = False

    def clip(self, value: Array) -> Array:
        """The nearest number within the support."""
        return jnp.clip(value, self.low, self.high)

    def holds(self, value: Array, slack: Array | float = 0.0, *, angle: bool = False) -> Array:
        """Whether numbers lie in the support, or up to `slack` outside."""
        above, below = value >= self.low - slack, value <= self.high + slack
        return jnp.where(self.low > self.high, above | below, above & below) if angle else above & below


class Ends(NamedTuple):
    """Ends of numbers that nobody asked for, in the network's units; infinite where there is none.

    A sample d beyond an end becomes the one d within, so that nothing piles up at the end, and all others are as if
    there were no ends.
    """

    low: Any
    high: Any

    @property
    def symbols(self) -> None:
        """No symbols, as of a `Support` of numbers."""

    def reflected(self, value: Array) -> Array:
        """Numbers within the ends.

        Examples:
            >>> [float(Ends(0.0, 2.0).reflected(jnp.array(x))) for x in (-0.5, 1.5, 2.25, 9.0)]
            [0.5, 1.5, 1.75, 0.0]
        """
        value = jnp.minimum(jnp.maximum(value, 2 * self.low - value), 2 * self.high - value)
        return jnp.clip(value, self.low, self.high)


Constant = Any
"""A number, or numbers, of the data: an array inside of a program."""


def clipped(value: Array, support: Support | None) -> Array:
    """A number, or the nearest one within a support."""
    return value if support is None else support.clip(value)


class EventShape(NamedTuple):
    """The shape of one value of a distribution.

    Attributes:
        symbols: V of a symbol; `None` of numbers.
        members: M of a value of M numbers, on an axis of their own; `None` of one number or symbol.
        angle: whether a number is an angle in radians.
    """

    symbols: int | None = None
    members: int | None = None
    angle: bool = False

    @property
    def one_number(self) -> bool:
        """Whether a value is one number."""
        return self.symbols is None and self.members is None


class Distribution(eqx.Module):
    """The distribution of one field given its parameters."""

    @property
    @abstractmethod
    def num_uniforms(self) -> int:
        """Uniforms U that one sample consumes."""

    @property
    @abstractmethod
    def event_shape(self) -> EventShape:
        """The shape of one value."""

    @property
    @abstractmethod
    def num_params(self) -> int:
        """Parameters P that the network must supply."""

    @abstractmethod
    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """(P,) parameters to start training from: of a number, those of values with mean `loc` and spread `scale`."""

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
        """A sample under a rule that is not greedy."""

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """The sample that these uniforms give under the rule, within the support."""
        return self.mode(params, support) if rule.greedy else self._sample(params, uniforms, rule, support)


class NumberDistribution(Distribution):
    """The distribution of one number."""

    is_angle = False

    @property
    def event_shape(self) -> EventShape:
        """One number, an angle if the distribution inside of all wrappers is one of angles."""
        return EventShape(angle=getattr(innermost(self), "is_angle", False))

    @abstractmethod
    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability that a sample lies in a support, or a very small number."""


class SameParameters(Distribution):
    """A distribution that changes the one inside (`of`), and takes the same parameters and uniforms."""

    of: Distribution

    @property
    def num_uniforms(self) -> int:
        """Those of the distribution inside."""
        return self.of.num_uniforms

    @property
    def num_params(self) -> int:
        """Those of the distribution inside."""
        return self.of.num_params

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Those of the distribution inside."""
        return self.of.initial_params(loc, scale)


class Reparameterized(SameParameters, NumberDistribution):
    """A distribution of numbers that does so."""

    of: NumberDistribution


class SharedWeights(Distribution):
    """A distribution with weights of its own, which all steps share: the network holds them, and `bind` adds them."""

    @abstractmethod
    def new_weights(self, rng: np.random.Generator | None) -> Any:
        """A tree of weights to start training from; without a generator, of shapes alone (see `array_module`)."""


def new_weights(distribution: Distribution, rng: np.random.Generator | None) -> Any:
    """The weights that a distribution has of its own, or the one inside of its wrappers; an empty tree where none."""
    inside = innermost(distribution)
    return inside.new_weights(rng) if isinstance(inside, SharedWeights) else ()


def bind(distribution: Distribution, weights: Any) -> Distribution:
    """The distribution with its own weights, see `new_weights`."""
    if not weights:
        return distribution
    inside = getattr(distribution, "of", None)
    own = {"weights": weights} if inside is None else {"of": bind(inside, weights)}
    return replace(distribution, **own)


def innermost(distribution: Distribution) -> Distribution:
    """The distribution inside of all wrappers."""
    inside = getattr(distribution, "of", None)
    return distribution if inside is None else innermost(inside)


def over_members(mask: Any, values: Array) -> Any:
    """A mask of steps as a mask of their values, which may have an axis of members."""
    return mask if mask.ndim == values.ndim else mask[..., None]
