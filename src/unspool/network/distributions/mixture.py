"""A mixture of normals."""

from dataclasses import replace
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Constant, NumberDistribution, Support, clipped
from unspool.network.distributions.normal import (
    eased,
    normal_icdf,
    normal_log_density,
    normal_log_mass,
    per_component,
    positive,
    raw_scale,
)
from unspool.network.distributions.rules import Rule, apply_temperature, categorical_icdf, truncate_logits

RANGE = 1.5
"""The outermost components start this many standard deviations from the centre."""


def unpack_components(
    params: Float[Array, "*B P"], wide: Constant | None = None, width: float = 1.0
) -> tuple[Array, Array, Array]:
    """Logits, locations and scales of a mixture, K each; and of the wide component, if there is one, after them.

    `wide` are weight, location and standard deviation of that one, which no parameter changes; `width` is the scale of
    a component with a standard deviation of one.
    """
    logits, loc, raw = jnp.split(params, 3, -1)
    if wide is None:
        return logits, loc, positive(raw)
    weight, at, spread = jnp.asarray(wide, params.dtype)
    logits = log_softmax(logits, -1) + jnp.log1p(-weight)
    return _beside(logits, jnp.log(weight)), _beside(loc, at), _beside(positive(raw), spread * width)


def _beside(values: Float[Array, "*B K"], one: Array) -> Float[Array, "*B K1"]:
    return jnp.concatenate([values, jnp.broadcast_to(one, (*values.shape[:-1], 1))], -1)


class Components(NamedTuple):
    """The components of a mixture before training: (K,) shares, locations and standard deviations."""

    shares: NDArray[np.floating]
    locs: NDArray[np.floating]
    scales: NDArray[np.floating]

    def params(self, width: float = 1.0) -> NDArray[np.float64]:
        """(3 K,) parameters; `width` is the scale of a component with a standard deviation of one."""
        return np.concatenate([np.log(self.shares), self.locs, [raw_scale(scale * width) for scale in self.scales]])


def spread_components(count: int, loc: float, scale: float, width: float = 1.0) -> NDArray[np.float64]:
    """(3 K,) K = `count` components side by side over the range of the data, so that each finds its own part.

    Values have a mean of `loc` and a standard deviation of `scale`; `width` is the scale of a component, in these.
    """
    offsets = np.linspace(-RANGE, RANGE, count) if count > 1 else np.zeros(1)
    return Components(np.ones(count), loc + scale * offsets, np.full(count, scale)).params(width)


def of_component(values: Float[Array, "*B K"], component: Array) -> Float[Array, "*B"]:
    """The value of the chosen component."""
    return jnp.take_along_axis(values, component[..., None], -1)[..., 0]


class ComponentDistribution(NumberDistribution):
    """A mixture of K components, each with a location and a scale: three parameters.

    Attributes:
        width: the scale of a component with a standard deviation of one.
    """

    width: ClassVar[float] = 1.0

    def params_of(self, components: Components) -> NDArray[np.float64]:
        """(P,) parameters of a mixture of these."""
        return components.params(self.width)


class Mixture(ComponentDistribution):
    """A mixture of K normals (Bishop 1994, "Mixture density networks"): logits, locations, raw scales.

    Attributes:
        components: K.
        wide: (3,) weight, location and scale of one more normal, see `unspool.encoding.numeric_fit.wide_component`; or
            `None`. `mean` leaves it out.
    """

    components: int = eqx.field(static=True, default=5)
    wide: Constant | None = None

    num_uniforms = 2

    @property
    def num_params(self) -> int:
        """Three of each component."""
        return 3 * self.components

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Components side by side."""
        return spread_components(self.components, loc, scale)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density."""
        logits, loc, scale = unpack_components(params, self.wide)
        return logsumexp(log_softmax(logits, -1) + normal_log_density(value[..., None], eased(loc, scale), scale), -1)

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a support."""
        logits, loc, scale = unpack_components(params, self.wide)
        return logsumexp(log_softmax(logits, -1) + normal_log_mass(loc, scale, per_component(support)), -1)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of the locations under the weights."""
        logits, loc, _ = unpack_components(params)
        return (softmax(logits, -1) * loc).sum(-1)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Sample a component, then take its normal quantile; a rule acts on both, but for top-k."""
        logits, loc, scale = unpack_components(params, self.wide)
        if support is not None:
            logits = logits + normal_log_mass(loc, apply_temperature(scale, rule), per_component(support))
        component = categorical_icdf(truncate_logits(logits, replace(rule, top_k=None)), uniforms[..., 0])
        loc, scale = of_component(loc, component), of_component(scale, component)
        return normal_icdf(loc, scale, uniforms[..., 1], rule, support)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The location of the component with the highest peak."""
        logits, loc, scale = unpack_components(params, self.wide)
        return clipped(of_component(loc, (logits - jnp.log(scale)).argmax(-1)), support)
