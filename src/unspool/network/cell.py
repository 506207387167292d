"""The LSTM: one step of it, and the unrolling of a whole sequence with a backward pass written by hand.

Hochreiter & Schmidhuber 1997; forget gate after Gers, Schmidhuber & Cummins 2000; no peepholes.

    z = x + h R          x: all that does not depend on h, made outside of the loop
    i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);  g = tanh(z_g)
    c' = f c + i g;      h' = o tanh(c')
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid
from jaxtyping import Array, Float

GATES = "ifgo"
"""The order of the gates in every Z axis. Written down once; importers and exporters permute from it."""

Mask = Float[Array, "B H"] | None


class State(NamedTuple):
    """What a layer, or a stack of them, carries from step to step. It goes in, it comes out, no object remembers it."""

    h: Float[Array, "*L B H"]
    c: Float[Array, "*L B H"]


class Gates(NamedTuple):
    """The activated gates of one step (or of all), in the order of `GATES`."""

    i: Float[Array, "*T B H"]
    f: Float[Array, "*T B H"]
    g: Float[Array, "*T B H"]
    o: Float[Array, "*T B H"]


def activate(z: Float[Array, "*T B Z"]) -> Gates:
    """Pre-activations to gates."""
    i, f, g, o = jnp.split(z, len(GATES), -1)
    return Gates(sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o))


def step(z: Float[Array, "B Z"], c: Float[Array, "B H"]) -> tuple[Float[Array, "B H"], Float[Array, "B H"], Gates]:
    """One step from full pre-activations: `(h, c, gates)`."""
    gates = activate(z)
    c = gates.f * c + gates.i * gates.g
    return gates.o * jnp.tanh(c), c, gates


@jax.custom_vjp
def unroll(
    R: Float[Array, "H Z"],
    x: Float[Array, "T B Z"],
    h0: Float[Array, "B H"],
    c0: Float[Array, "B H"],
    mask: Mask = None,
) -> tuple[Float[Array, "T B H"], Float[Array, "B H"]]:
    """All hidden states of a sequence, and the last cell state.

    The backward pass keeps the gates, walks back through time for the pre-activations' cotangent alone, and forms the
    weight gradient afterwards as one matrix product over T B rows, where automatic differentiation of the scan would
    add up T small ones.

    Args:
        R: recurrent weights.
        x: pre-activations without the recurrent term: feedback, context and bias.
        h0: initial hidden state.
        c0: initial cell state.
        mask: variational dropout of the recurrence, the same at every step, already divided by the keep rate.
    """
    return forward(R, x, h0, c0, mask)[0]


def forward(R, x, h0, c0, mask):  # type: ignore[no-untyped-def]  # noqa: D103
    masked = (lambda h: h) if mask is None else (lambda h: h * mask)

    def advance(state: State, x_t: Array) -> tuple[State, tuple[Array, Array, Gates]]:
        h, c, gates = step(x_t + masked(state.h) @ R, state.c)
        return State(h, c), (h, state.c, gates)

    last, (hs, before, gates) = jax.lax.scan(advance, State(h0, c0), x)
    return (hs, last.c), (R, h0, hs, before, last.c, gates, mask)


def backward(saved, cotangents):  # type: ignore[no-untyped-def]  # noqa: D103
    R, h0, hs, before, last_c, gates, mask = saved
    dhs, dc_last = cotangents
    masked = (lambda h: h) if mask is None else (lambda h: h * mask)
    tanh_c = jnp.tanh(jnp.concatenate([before[1:], last_c[None]]))

    def retreat(carry: State, saved_t):  # type: ignore[no-untyped-def]
        dy, c, (i, f, g, o), t = saved_t
        dh = carry.h + dy
        dc = carry.c + dh * o * (1 - t * t)
        dz = jnp.concatenate(
            [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)], -1
        )
        return State(masked(dz @ R.T), dc * f), dz

    zero = jnp.zeros_like(h0)
    (dh0, dc0), dx = jax.lax.scan(retreat, State(zero, dc_last), (dhs, before, gates, tanh_c), reverse=True)
    previous = jnp.concatenate([h0[None], hs[:-1]])
    dR = jnp.einsum("tbh,tbz->hz", masked(previous), dx)
    return dR, dx, dh0, dc0, None if mask is None else jnp.zeros_like(mask)


unroll.defvjp(forward, backward)


def initial_recurrence(rng: np.random.Generator, size: int) -> Float[Array, "H Z"]:
    """Recurrent weights, orthogonal gate by gate (Saxe et al. 2014, arXiv:1312.6120)."""
    q, r = np.linalg.qr(rng.standard_normal((len(GATES), size, size)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]  # without the signs, QR prefers some rotations
    return jnp.asarray(np.concatenate(list(q), -1), jnp.float32)


def initial_bias(size: int) -> Float[Array, " Z"]:
    """Zero, but one for the forget gate (Jozefowicz et al. 2015), so that a new cell remembers."""
    return jnp.asarray(np.repeat([float(gate == "f") for gate in GATES], size), jnp.float32)


def scaled(rng: np.random.Generator, rows: int, columns: int) -> Float[Array, "{rows} {columns}"]:
    """A weight matrix whose products keep their input's variance (LeCun et al. 1998)."""
    return jnp.asarray(rng.standard_normal((rows, columns)) * max(rows, 1) ** -0.5, jnp.float32)


class Cell(eqx.Module):
    """The weights of one decoder layer.

    Attributes:
        W: weights of the layer below; the first layer has none, since each field feeds back through its own.
        K: weights of the context, or `None` where the context goes into the initial state only.
        R: recurrent weights.
        b: the one bias.
    """

    W: Float[Array, "H Z"] | None
    K: Float[Array, "C Z"] | None
    R: Float[Array, "H Z"]
    b: Float[Array, " Z"]

    def __init__(self, rng: np.random.Generator, size: int, context: int | None, *, first: bool) -> None:
        self.W = None if first else scaled(rng, size, 4 * size)
        self.K = None if context is None else scaled(rng, context, 4 * size)
        self.R = initial_recurrence(rng, size)
        self.b = initial_bias(size)

    def constant(self, context: Float[Array, "B C"]) -> Float[Array, "B Z"]:
        """What every step of a sequence adds to its pre-activations: bias and context."""
        return (
            jnp.broadcast_to(self.b, (context.shape[0], self.b.shape[0]))
            if self.K is None
            else context @ self.K + self.b
        )
