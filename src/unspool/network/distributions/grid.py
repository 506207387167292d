"""Where the values of a column with a grid (whole numbers, cents) lie on the network's axis."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from unspool.network.distributions.base import Constant, Distribution, Ends, Support

MAX_EXPONENT_FLOAT32 = 60.0
"""Largest exponent of a sample in float32."""
CELL_TOLERANCE = 0.05
"""Share of a step by which float32 may put a limit past the value of the grid that it is."""


class Grid(eqx.Module):
    """The multiples of a step in original units, seen through a column's transform.

    With y = forward(x) and z = (y - loc) / scale, as in `unspool.encoding.numeric`, the value x = k step has the cell
    from z(x - step / 2) to z(x + step / 2). The cells tile the axis, so a distribution on it gives each x a mass.

    Attributes:
        transform: `"linear"`, `"log1p"` or `"asinh"`.
        unit: what log1p and asinh measure x in.
        loc: centre of y.
        scale: spread of y.
        step: distance of neighbours, in original units.
    """

    transform: str = eqx.field(static=True)
    unit: Constant
    loc: Constant
    scale: Constant
    step: Constant

    def to_original(self, z: Array) -> Array:
        """X of z."""
        y = z * self.scale + self.loc
        if self.transform == "log1p":
            return self.unit * jnp.expm1(jnp.clip(y, -MAX_EXPONENT_FLOAT32, MAX_EXPONENT_FLOAT32))
        if self.transform == "asinh":
            return self.unit * jnp.sinh(jnp.clip(y, -MAX_EXPONENT_FLOAT32, MAX_EXPONENT_FLOAT32))
        return y

    def to_network(self, x: Array) -> Array:
        """Z of x."""
        if self.transform == "log1p":
            # A cell's lower edge may lie where the logarithm ends; its value is not used there.
            x = jnp.log1p(jnp.maximum(x / self.unit, -0.999))
        elif self.transform == "asinh":
            x = jnp.arcsinh(x / self.unit)
        return (x - self.loc) / self.scale

    def end_to_network(self, x: Constant) -> Array:
        """Z of a bound, which may be infinite."""
        x = jnp.asarray(x)
        return jnp.where(jnp.isinf(x), x, self.to_network(x))

    def cell(self, z: Array) -> Array:
        """The nearest value of the grid, in original units."""
        return jnp.round(self.to_original(z) / self.step) * self.step

    def snap(self, z: Array) -> Array:
        """The nearest value of the grid, in the network's units."""
        return self.to_network(self.cell(z))

    def reflected(self, z: Array, ends: Ends) -> Array:
        """Values of the grid within ends, in the network's units."""
        return self.cells_within(Support(*ends))[1].clip(self.snap(ends.reflected(z)))

    def cells_within(self, support: Support) -> tuple[Support, Support]:
        """A support reduced to the grid's values in it: from edge to edge of their cells, and from first to last."""
        low, high, half = jnp.asarray(support.low), jnp.asarray(support.high), self.step / 2
        first = jnp.ceil(self.to_original(low) / self.step - CELL_TOLERANCE) * self.step
        last = jnp.floor(self.to_original(high) / self.step + CELL_TOLERANCE) * self.step

        def within(lowest: Array, highest: Array) -> Support:
            start = jnp.where(jnp.isinf(low), low, self.to_network(lowest))
            return support._replace(low=start, high=jnp.where(jnp.isinf(high), high, self.to_network(highest)))

        return within(first - half, last + half), within(first, last)

    def width(self, x: Array) -> Array:
        """Length of the cell of x on the network's axis, without the cancellation of a difference of its edges."""
        if self.transform == "log1p":
            below = jnp.maximum(self.unit + x - self.step / 2, 1e-3 * self.unit)
            return jnp.log1p(self.step / below) / self.scale
        if self.transform == "asinh":
            fine = self.step / jnp.hypot(self.unit, x) / self.scale
            wide = self.to_network(x + self.step / 2) - self.to_network(x - self.step / 2)
            return jnp.where(self.step < 0.01 * self.unit, fine, wide)
        return jnp.full_like(x, self.step / self.scale)


def grid_of(distribution: Distribution) -> Grid | None:
    """The grid of a distribution, or of the one inside of its wrappers."""
    own, inside = getattr(distribution, "grid", None), getattr(distribution, "of", None)
    return own if own is not None or inside is None else grid_of(inside)


class SupportPoints(eqx.Module):
    """The few values of a grid that ever occur: temperatures that were once whole degrees Fahrenheit, say.

    Each has the cell that reaches half-way to its neighbours; the outermost ones have all that lies beyond.

    Attributes:
        grid: the grid.
        values: (K,) rising, in original units.
        edges: (K - 1,) between them, in the network's units.
        unseen: probability of any other value of the grid; it is never sampled.
        table: (N,) which value is nearest to each of the grid's from the first to the last.
    """

    grid: Grid
    values: Constant
    edges: Constant
    unseen: Constant
    table: Constant

    @classmethod
    def of(cls, grid: Grid, values: NDArray[np.float64], edges: NDArray[np.float64], unseen: float) -> "SupportPoints":
        """Those of a grid, of which these values occur."""
        ticks = np.arange(round((values[-1] - values[0]) / grid.step) + 1) * grid.step + values[0]
        table = np.searchsorted((values[1:] + values[:-1]) / 2, ticks).astype(np.int32)
        return cls(grid, values, edges, unseen, table)

    def index(self, x: Array) -> Array:
        """Which value is nearest to each of the grid's."""
        tick = jnp.round((x - self.values[0]) / self.grid.step)
        return jnp.asarray(self.table)[jnp.clip(tick, 0, len(self.table) - 1).astype(jnp.int32)]

    def snap(self, z: Array) -> Array:
        """The value in whose cell z is, in the network's units."""
        return self.grid.to_network(jnp.asarray(self.values)[jnp.searchsorted(jnp.asarray(self.edges), z)])

    def cells_within(self, support: Support) -> tuple[Support, Support]:
        """As `Grid.cells_within`; the outermost cells have no outer edge."""
        slip, values = CELL_TOLERANCE * self.grid.step, jnp.asarray(self.values)
        first = jnp.searchsorted(values, self.grid.to_original(jnp.asarray(support.low)) - slip)
        last = jnp.searchsorted(values, self.grid.to_original(jnp.asarray(support.high)) + slip, side="right") - 1
        inf = jnp.full(1, jnp.inf)
        edges, points = jnp.concatenate([-inf, jnp.asarray(self.edges), inf]), self.grid.to_network(values)
        first, last = jnp.clip(jnp.stack([first, last]), 0, len(self.values) - 1)
        cells = support._replace(low=edges[first], high=edges[last + 1])
        return cells, support._replace(low=points[first], high=points[last])

    def cells(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """Of the value nearest to each of the grid's: index, value, upper edge and length of its cell.

        The outermost cells have a length of 1, and the last one its lower edge, which stand for no end.
        """
        index, values = self.index(x), jnp.asarray(self.values, x.dtype)
        edges, one = jnp.asarray(self.edges, x.dtype), jnp.ones(1, x.dtype)
        lengths = jnp.concatenate([one, jnp.diff(edges), one])
        return index, values[index], jnp.append(edges, edges[-1])[index], lengths[index]
