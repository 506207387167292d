"""The head that has any shape: bins between quantiles of the data."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, softmax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.heads.base import Head
from unspool.network.heads.grid import Grid
from unspool.network.rules import PLAIN, Rule, choose, filtered

TAIL = 0.1
"""Mean length of a tail beyond the outermost edges, as a share of what lies between them."""
RARE = -5.0
"""Logit of a tail to start from: what lies outside of the range of training is rare."""
INSIDE = 1e-4
"""Share of a bin next to its edges where no draw falls, so that rounding doesn't carry it over."""


@dataclass(frozen=True)
class Histogram(Head):
    """K bins of even density, and an exponential tail on either side; parameters are the logits of all K + 2.

    With a grid, whose cells the edges must not cut, a value has the mass of its cell. If every cell is a bin, the head
    is a categorical distribution over the grid.

    Attributes:
        edges: K + 1, rising, in the network's units.
        grid: the possible values, or `None`.
    """

    edges: tuple[float, ...]
    grid: Grid | None = None

    @property
    def size(self) -> int:
        """A logit a bin, and one for either tail."""
        return len(self.edges) + 1

    @property
    def draws(self) -> int:
        """Two uniforms: which bin, and where in it."""
        return 2

    def bias(self) -> NDArray[np.float64]:
        """Even bins, rare tails."""
        return np.concatenate([[RARE], np.zeros(len(self.edges) - 1), [RARE]])

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """Log-density; with a grid, log-mass of the cell."""
        edges, tail = self._table()
        x = None if self.grid is None else self.grid.cell(value)
        value = value if self.grid is None or x is None else self.grid.network(x)
        at = (value[..., None] >= edges).sum(-1)
        length = jnp.concatenate([jnp.array([tail]), jnp.diff(edges), jnp.array([tail])])[at]
        beyond = jnp.maximum(jnp.maximum(edges[0] - value, value - edges[-1]), 0.0)
        shape = -jnp.log(length) - beyond / tail
        if self.grid is not None and x is not None:
            width, half = self.grid.width(x), self.grid.step / 2
            near = jnp.maximum(edges[0] - self.grid.network(x + half), self.grid.network(x - half) - edges[-1])
            outside = jnp.log(-jnp.expm1(-width / tail)) - jnp.maximum(near, 0.0) / tail
            shape = jnp.where(beyond > 0, outside, jnp.minimum(jnp.log(width / length), 0.0))
        chosen = jnp.take_along_axis(log_softmax(params, -1), at[..., None], -1)[..., 0]
        return chosen + shape

    def pick(self, params: Float[Array, "*B P"], uniforms: Float[Array, "*B U"], rule: Rule = PLAIN) -> Array:
        """Choose a bin, then go linearly through it; a rule acts on the bins alone, but top-k, which is for symbols."""
        if rule.greedy:
            return self.mode(params)
        edges, tail = self._table()
        at = choose(filtered(params, replace(rule, top_k=None)), uniforms[..., 0])
        last = len(self.edges) - 2
        low, high = edges[jnp.clip(at - 1, 0, last)], edges[jnp.clip(at, 1, last + 1)]
        share = INSIDE + (1 - 2 * INSIDE) * uniforms[..., 1]
        far = -tail * jnp.log(uniforms[..., 1])
        z = jnp.where(at == 0, edges[0] - far, jnp.where(at == last + 2, edges[-1] + far, low + share * (high - low)))
        return z if self.grid is None else self.grid.snap(z)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """The middle of the bin with the highest density; a tail's is at its edge."""
        edges, tail = self._table()
        length = jnp.concatenate([jnp.array([tail]), jnp.diff(edges), jnp.array([tail])])
        z = self._middles()[(params - jnp.log(length)).argmax(-1)]
        return z if self.grid is None else self.grid.snap(z)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """The mean of the middles under the probabilities."""
        _, tail = self._table()
        middles = self._middles() + jnp.zeros(self.size).at[0].set(-tail).at[-1].set(tail)
        return (softmax(params, -1) * middles).sum(-1)

    def _table(self) -> tuple[Array, float]:
        return jnp.asarray(self.edges), TAIL * (self.edges[-1] - self.edges[0])

    def _middles(self) -> Array:
        edges = jnp.asarray(self.edges)
        return jnp.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
