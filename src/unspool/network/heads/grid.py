"""Where the values of a column with a grid (whole numbers, cents) lie on the network's axis."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array

CLIP = 60.0
"""Largest exponent of a draw in float32."""


@dataclass(frozen=True)
class Grid:
    """The multiples of a step in original units, seen through a column's transform.

    With y = forward(x) and z = (y - loc) / scale, as in `unspool.codec.numbers`, the value x = k step has the cell from
    z(x - step / 2) to z(x + step / 2). The cells tile the axis, so a distribution on it gives each x a mass.

    Attributes:
        transform: `"linear"`, `"log1p"` or `"asinh"`.
        unit: what log1p and asinh measure x in.
        loc: centre of y.
        scale: spread of y.
        step: distance of neighbours, in original units.
    """

    transform: str
    unit: float
    loc: float
    scale: float
    step: float

    def original(self, z: Array) -> Array:
        """X of z."""
        y = z * self.scale + self.loc
        if self.transform == "log1p":
            return self.unit * jnp.expm1(jnp.clip(y, -CLIP, CLIP))
        if self.transform == "asinh":
            return self.unit * jnp.sinh(jnp.clip(y, -CLIP, CLIP))
        return y

    def network(self, x: Array) -> Array:
        """Z of x."""
        if self.transform == "log1p":
            # A cell's lower edge may lie where the logarithm ends; its value is not used there.
            x = jnp.log1p(jnp.maximum(x / self.unit, -0.999))
        elif self.transform == "asinh":
            x = jnp.arcsinh(x / self.unit)
        return (x - self.loc) / self.scale

    def cell(self, z: Array) -> Array:
        """The nearest value of the grid, in original units."""
        return jnp.round(self.original(z) / self.step) * self.step

    def snap(self, z: Array) -> Array:
        """The nearest value of the grid, in the network's units."""
        return self.network(self.cell(z))

    def width(self, x: Array) -> Array:
        """Length of the cell of x on the network's axis, without the cancellation of a difference of its edges."""
        if self.transform == "log1p":
            below = jnp.maximum(self.unit + x - self.step / 2, 1e-3 * self.unit)
            return jnp.log1p(self.step / below) / self.scale
        if self.transform == "asinh" and self.step < 0.01 * self.unit:
            return self.step / jnp.hypot(self.unit, x) / self.scale
        if self.transform == "asinh":
            return self.network(x + self.step / 2) - self.network(x - self.step / 2)
        return jnp.full_like(x, self.step / self.scale)
