"""Values before a step: running sums of fields that the network sees as increments, and the values before step 0."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from unspool.network.distributions.base import Constant, Support
from unspool.network.distributions.grid import Grid


class CumulativeRule(eqx.Module):
    """How the values of a field add up that the network sees as differences, log-returns or increments.

    The *running sum* is the last present value less its origin, in a unit of its own, so that float32 holds it; NaN
    before the first value. Bounds and pins are of the value, so the loop must know it:

        sum_t = sum_{t-1} + increment(z_t),      or first z_t before the first value

    Attributes:
        axis: between z and the increment.
        first: running sum of a first value at z = 1.
        min_increment: z of the smallest increment after step 0, or `None`.
        parts: parts of a first value, which are the fields after this one; 0 where it is an increment, too.
    """

    axis: Grid
    first: Constant = 1.0
    min_increment: Constant | None = None
    parts: int = eqx.field(static=True, default=0)

    def after(self, total: Array, z: Array) -> Array:
        """The running sum after a step; a missing value leaves it."""
        new = jnp.where(jnp.isnan(total), self.first * z, total + self.axis.to_original(z))
        return jnp.where(jnp.isnan(z), total, new)

    def towards(self, total: Array, goal: Array) -> Array:
        """The z that leads from one running sum to another."""
        return jnp.where(jnp.isnan(total), goal / self.first, self.axis.to_network(goal - total))

    def support(self, total: Array, support: Support | None, step: Array) -> Support | None:
        """The support of z at a step, from the limits of the running sum and those of z itself."""
        if support is not None:
            low, high = (self.towards(total, end) for end in (support.low, support.high))
            if self.parts:  # they have a support of their own
                low, high = jnp.where(jnp.isnan(total), -jnp.inf, low), jnp.where(jnp.isnan(total), jnp.inf, high)
            support = support._replace(low=low, high=high)
        if self.min_increment is None:
            return support
        low = jnp.where(step > 0, self.min_increment, -jnp.inf)
        return Support(low=low) if support is None else support._replace(low=jnp.maximum(support.low, low))


class PartRule(eqx.Module):
    """How a part of a first value enters the running sum of its field: a symbol, or z, stands for a count.

    Attributes:
        size: running sum of one count.
        symbols: V where a part is a symbol; `None` where it is a number.
        loc: the count at a z of 0.
        scale: counts for a z of 1.
    """

    size: Constant
    symbols: int | None = eqx.field(static=True, default=None)
    loc: Constant = 0.0
    scale: Constant = 1.0

    def running_sum(self, value: Array) -> Array:
        """The running sum that a part stands for."""
        return self.size * (value * self.scale + self.loc)

    def is_end(self, value: Array, end: Array) -> Array:
        """Whether a part is that of an end of the support, so that later parts must keep to theirs."""
        return jnp.abs(value - end) < 0.5 / self.scale

    def support(self, low: Array, high: Array) -> Support:
        """The support of a part between two ends."""
        if self.symbols is None:
            return Support(low, high)
        symbol = jnp.arange(self.symbols)
        return Support(symbols=(symbol >= low[..., None]) & (symbol <= high[..., None]))


class ValueBefore(eqx.Module):
    """How an input becomes the value of a step field before step 0, as later steps read theirs.

    Attributes:
        input: the number of the input.
        codes: symbols of the step field by symbol of the input; of a truth value for false, true and missing.
        axes: those of a number in the input and in the step field.
    """

    input: int = eqx.field(static=True)
    codes: Int[Array | np.ndarray, " V"] | None = None
    axes: tuple[Grid, Grid] | None = None

    def of(self, inputs: Sequence[Array]) -> Array:
        """(B,) values, from the arrays of all inputs; angles in radians."""
        given = inputs[self.input]
        if self.codes is not None:
            truth = lambda x: jnp.where(jnp.isnan(x), 2, (x > 0).astype(jnp.int32))  # noqa: E731
            return self.codes[given if given.ndim == 1 else truth(given[:, 0])]
        if self.axes is not None:
            own, step = self.axes
            return step.to_network(own.to_original(given[:, 0]))
        return jnp.arctan2(given[:, 0], given[:, 1])
