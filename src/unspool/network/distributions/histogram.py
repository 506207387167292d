"""Numbers of any shape: bins between quantiles of the data."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, logsumexp, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.distributions.base import Constant, NumberDistribution, Support, clipped
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.normal import TINY
from unspool.network.distributions.rules import Rule, categorical_icdf, truncate_logits

TAIL = 0.1
"""Mean length of a tail beyond the outermost edges, as a share of what lies between them."""
RARE = -5.0
"""Logit of a tail to start from: what lies outside of the range of training is rare."""
INSIDE = 1e-4
"""Share of a bin next to its edges where no sample falls, so that rounding doesn't carry it over."""


class Histogram(NumberDistribution):
    """K bins of even density, and an exponential tail on either side; parameters are the logits of all K + 2.

    With a grid, whose cells the edges must not cut, a value has the mass of its cell. If every cell is a bin, the
    distribution is a categorical distribution over the grid.

    Attributes:
        edges: (K + 1,) rising, in the network's units.
        grid: the possible values, or `None`.
    """

    edges: Constant
    grid: Grid | None = None

    num_uniforms = 2

    @property
    def num_params(self) -> int:
        """One of each bin and tail."""
        return len(self.edges) + 1

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Even bins, rare tails."""
        return np.concatenate([[RARE], np.zeros(len(self.edges) - 1), [RARE]])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density; with a grid, log-mass of the cell."""
        edges, tail = self._table()
        x = value if self.grid is None else self.grid.cell(value)
        value = value if self.grid is None else self.grid.to_network(x)
        at = (value[..., None] >= edges).sum(-1)
        length = self._lengths()[at]
        beyond = jnp.maximum(jnp.maximum(edges[0] - value, value - edges[-1]), 0.0)
        shape = -jnp.log(length) - beyond / tail
        if self.grid is not None:
            width, half = self.grid.width(x), self.grid.step / 2
            near = jnp.maximum(edges[0] - self.grid.to_network(x + half), self.grid.to_network(x - half) - edges[-1])
            outside = jnp.log(-jnp.expm1(-width / tail)) - jnp.maximum(near, 0.0) / tail
            shape = jnp.where(beyond > 0, outside, jnp.minimum(jnp.log(width / length), 0.0))
        return jnp.take_along_axis(log_softmax(params, -1), at[..., None], -1)[..., 0] + shape

    def log_mass(self, params: Float[Array, "*B P"], support: Support) -> Float[Array, "*B"]:
        """Log-probability of a support."""
        return logsumexp(log_softmax(params, -1) + self._shares(self._cells_within(support)[0])[0], -1)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """The middle of the bin with the highest density; a tail's is at its edge."""
        z = self._middles()[(params - jnp.log(self._lengths())).argmax(-1)]
        z = z if self.grid is None else self.grid.snap(z)
        return clipped(z, None if support is None else self._cells_within(support)[1])

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of the middles under the probabilities."""
        _, tail = self._table()
        middles = self._middles() + jnp.zeros(self.num_params).at[0].set(-tail).at[-1].set(tail)
        return (softmax(params, -1) * middles).sum(-1)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """Sample a bin, then go linearly through it; a rule acts on the bins alone, but for top-k."""
        if support is not None:
            edges_within, values = self._cells_within(support)
            return values.clip(self._sample_within(params, uniforms, rule, edges_within))
        edges, tail = self._table()
        at = categorical_icdf(truncate_logits(params, replace(rule, top_k=None)), uniforms[..., 0])
        last = len(self.edges) - 2
        low, high = edges[jnp.clip(at - 1, 0, last)], edges[jnp.clip(at, 1, last + 1)]
        share = INSIDE + (1 - 2 * INSIDE) * uniforms[..., 1]
        far = -tail * jnp.log(uniforms[..., 1])
        z = jnp.where(at == 0, edges[0] - far, jnp.where(at == last + 2, edges[-1] + far, low + share * (high - low)))
        return z if self.grid is None else self.grid.snap(z)

    def _cells_within(self, support: Support) -> tuple[Support, Support]:
        return (support, support) if self.grid is None else self.grid.cells_within(support)

    def _shares(self, support: Support) -> tuple[Array, Array, Array]:
        """Log of the share of each bin that lies in a support, and of each that part's start and end.

        Start and end of a tail are the shares of its mass that lie beyond them.
        """
        edges, tail = self._table()
        low, high = (jnp.asarray(end, edges.dtype)[..., None] for end in (support.low, support.high))
        start, end = jnp.maximum(edges[:-1], low), jnp.minimum(edges[1:], high)
        within = jnp.maximum(end - start, 0.0) / jnp.diff(edges)
        distances = (edges[0] - low, edges[0] - high, high - edges[-1], low - edges[-1])
        left, right, beyond, before = (jnp.exp(-jnp.maximum(distance, 0.0) / tail) for distance in distances)
        shares = jnp.concatenate([right - left, within, before - beyond], -1)
        starts = jnp.concatenate([left, start, beyond], -1)
        ends = jnp.concatenate([right, end, before], -1)
        return jnp.log(jnp.maximum(shares, TINY)), starts, ends

    def _sample_within(self, params: Array, uniforms: Array, rule: Rule, support: Support) -> Array:
        edges, tail = self._table()
        shares, starts, ends = self._shares(support)
        at = categorical_icdf(truncate_logits(params + shares, replace(rule, top_k=None)), uniforms[..., 0])
        start, end = (
            jnp.take_along_axis(jnp.broadcast_to(part, params.shape), at[..., None], -1)[..., 0]
            for part in (starts, ends)
        )
        where = start + (INSIDE + (1 - 2 * INSIDE) * uniforms[..., 1]) * (end - start)
        far = -tail * jnp.log(jnp.maximum(where, TINY))
        z = jnp.where(at == 0, edges[0] - far, jnp.where(at == len(self.edges), edges[-1] + far, where))
        return support.clip(z) if self.grid is None else self.grid.snap(support.clip(z))

    def _table(self) -> tuple[Array, Array]:
        """The edges, and the mean length of a tail."""
        edges = jnp.asarray(self.edges)
        return edges, TAIL * (edges[-1] - edges[0])

    def _lengths(self) -> Array:
        edges, tail = self._table()
        return jnp.concatenate([tail[None], jnp.diff(edges), tail[None]])

    def _middles(self) -> Array:
        edges = jnp.asarray(self.edges)
        return jnp.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
