"""The LSTM: one step of it, and the unrolling of a whole sequence with a backward pass written by hand.

Hochreiter & Schmidhuber 1997; forget gate after Gers, Schmidhuber & Cummins 2000; no peepholes.

    z = x + h R          x: all that does not depend on h, computed outside of the loop
    i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);  g = tanh(z_g)
    c' = f c + i g;      h' = o tanh(c')
"""

import functools
import operator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from unspool.runtime.programs import GENERATION_OPTIONS, compiler_options

GATES = "ifgo"
"""The order of the gates in every Z axis. Written down once; importers and exporters permute from it."""

Mask = Float[Array, "B H"] | None
VECTOR = 16
"""Numbers of single precision in the widest vector."""


class State(NamedTuple):
    """What a layer, or a stack of them, carries from step to step."""

    h: Float[Array, "*L B H"]
    c: Float[Array, "*L B H"]


class Gathered(NamedTuple):
    """`table[which]`, (T, B, Z): rows that the loop gathers as it goes, so that they are never stored."""

    table: Float[Array, "V Z"]
    which: Int[Array, "T B"]

    def begun(self, first: Float[Array, "B Z"]) -> "Gathered":
        """The same, but with these rows at the first step."""
        V, B = self.table.shape[0], first.shape[0]
        return Gathered(jnp.concatenate([self.table, first]), self.which.at[0].set(V + jnp.arange(B, dtype=jnp.int32)))


def activate(z: Float[Array, "B Z"]) -> Float[Array, "B Z"]:
    """Pre-activations to gates, side by side: sigmoid(z) = tanh(z / 2) / 2 + 1/2, so one tanh gives all four."""
    is_g = jnp.arange(z.shape[-1]) // (z.shape[-1] // len(GATES)) == GATES.index("g")
    scale = jnp.where(is_g, 1.0, 0.5)
    return jnp.tanh(z * scale) * scale + jnp.where(is_g, 0.0, 0.5)


def split_gates(gates: Float[Array, "B Z"]) -> list[Float[Array, "B H"]]:
    """Gates side by side, one by one in the order of `GATES`."""
    return jnp.split(gates, len(GATES), -1)


def step(
    z: Float[Array, "B Z"], c: Float[Array, "B H"]
) -> tuple[Float[Array, "B H"], Float[Array, "B H"], Float[Array, "B Z"]]:
    """One step from full pre-activations: `(h, c, gates)`."""
    gates = activate(z)
    i, f, g, o = split_gates(gates)
    c = f * c + i * g
    return o * jnp.tanh(c), c, gates


@jax.custom_vjp
def unroll(
    R: Float[Array, "H Z"],
    x: tuple[Float[Array, "T B Z"] | Gathered, ...],
    constant: Float[Array, "B Z"],
    h0: Float[Array, "B H"],
    c0: Float[Array, "B H"],
    mask: Mask = None,
) -> tuple[Float[Array, "T B H"], Float[Array, "B H"]]:
    """All hidden states of a sequence, and the last cell state.

    The backward pass keeps the gates, walks back through time for the pre-activations' cotangent alone, and forms the
    weight gradient afterwards as one matrix product over T B rows, where automatic differentiation of the scan would
    add up T small ones.

    Recurrent weights of bfloat16 make the three products those of bfloat16 with sums of float32 (mixed precision,
    Micikevicius et al. 2018, arXiv:1710.03740); all else stays in float32.

    Args:
        R: recurrent weights; their precision is that of the products.
        x: what feedback adds to the pre-activations, step by step: parts that the loop adds up.
        constant: what context and bias add to them, at every step.
        h0: initial hidden state.
        c0: initial cell state.
        mask: variational dropout of the recurrence, the same at every step, already divided by the keep rate.
    """
    return unroll_forward(R, x, constant, h0, c0, mask)[0]


def unroll_forward(R, x, constant, h0, c0, mask):  # type: ignore[no-untyped-def]  # noqa: D103
    def advance(state: State, now: tuple[Array, ...]) -> tuple[State, tuple[Array, Array, Array]]:
        fed = (part.table[at] if isinstance(part, Gathered) else at for part, at in zip(x, now, strict=True))
        h, c, gates = step(functools.reduce(operator.add, fed) + constant + _times(_masked(state.h, mask), R), state.c)
        return State(h, c), (h, state.c, gates)

    steps = tuple(part.which if isinstance(part, Gathered) else part for part in x)
    last, (hs, before, gates) = jax.lax.scan(advance, State(h0, c0), steps)
    return (hs, last.c), (R, x, h0, hs, before, last.c, gates, mask)


def unroll_backward(saved, cotangents):  # type: ignore[no-untyped-def]  # noqa: D103
    R, x, h0, hs, before, last_c, gates, mask = saved
    dhs, dc_last = cotangents
    Rt = jax.lax.optimization_barrier(R.T)  # transposed once: products with a transposed view are slow

    def retreat(carry, saved_t):  # type: ignore[no-untyped-def]
        dh, dc, after, dconstant = carry
        dy, c, gates = saved_t
        (i, f, g, o), t = split_gates(gates), jnp.tanh(after)
        dh = dh + dy
        dc = dc + dh * o * (1 - t * t)
        dz = jnp.concatenate(
            [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)], -1
        )
        return (_masked(_times(dz, Rt), mask), dc * f, c, dconstant + dz), dz

    B, H = h0.shape
    begin = (jnp.zeros_like(h0), dc_last, last_c, jnp.zeros((B, 4 * H), h0.dtype))
    (dh0, dc0, _, dconstant), dz = jax.lax.scan(retreat, begin, (dhs, before, gates), reverse=True)
    previous, flat = [_masked(part, mask) for part in (h0[None], hs[:-1])], dz.reshape(-1, 4 * H)
    if R.dtype == flat.dtype:
        dR = jax.lax.dot_general(jnp.concatenate(previous).reshape(-1, H), flat, (((0,), (0,)), ((), ())))
    else:  # a product with a transposed view would be one of float32, and so would be that with a transposed whole
        columns = jnp.concatenate([jnp.moveaxis(part.astype(R.dtype), -1, 0) for part in previous], 1).reshape(H, -1)
        dR = _times(columns, flat.astype(R.dtype)).astype(R.dtype)

    def cotangent(part):  # type: ignore[no-untyped-def]
        if not isinstance(part, Gathered):
            return dz
        dtable = jnp.zeros_like(part.table).at[part.which.reshape(-1)].add(flat)
        return Gathered(dtable, None)  # type: ignore[arg-type]  # a symbol has no cotangent

    return dR, tuple(map(cotangent, x)), dconstant, dh0, dc0, None if mask is None else jnp.zeros_like(mask)


def _times(x: Array, weights: Array) -> Array:
    """`x @ weights` with terms of the precision of the weights, and sums of float32 at the least."""
    sums = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.matmul(x.astype(weights.dtype), weights, preferred_element_type=sums)


def _masked(h: Array, mask: Any) -> Array:
    return h if mask is None else h * mask


unroll.defvjp(unroll_forward, unroll_backward)


def flat_product(x: Float[Array, "*T K"], weights: Array) -> Float[Array, "..."]:
    """`x @ weights`, of all steps and rows as one matrix.

    The gradient of the weights is then one product, too; as the contraction of two axes it's transposed in memory.
    """
    return (x.reshape(-1, x.shape[-1]) @ weights).reshape(*x.shape[:-1], *weights.shape[1:])


def field_products(x: Float[Array, "*T F K"], weights: Float[Array, "F K N"]) -> Float[Array, "*T F N"]:
    """The product of every field with weights of its own, as one product of fields: see `flat_product`."""
    flat = jnp.moveaxis(x.reshape(-1, *x.shape[-2:]), 1, 0) @ weights
    return jnp.moveaxis(flat, 0, 1).reshape(*x.shape[:-1], weights.shape[-1])


def product(x: Float[Array, "B K"], weights: Float[Array, "K N"], *, twins: bool = False) -> Float[Array, "B N"]:
    """`x @ weights`, with the same bits of a row in every batch; of twins, all rows are the first one.

    A sequence alone is generated beside its copy, since compilers have other algorithms for one row, with other last
    bits. Where this algorithm has the same, the largest products read their weights for one row only.
    """
    if twins and alone_is_exact(*weights.shape, x.dtype):
        return jnp.broadcast_to(x[:1] @ weights, (len(x), weights.shape[1]))
    return x @ weights


@functools.cache
def alone_is_exact(terms: int, columns: int, dtype: Any) -> bool:
    """Whether the product of one row has the bits that it has among others: this processor's compiler is asked once.

    It hasn't where columns are left over from whole vectors, nor where a product of several rows is cut into blocks.
    """
    if columns % VECTOR or jax.default_backend() != "cpu":
        return False
    rng = np.random.default_rng(0)
    rows, weights = (rng.standard_normal(shape).astype(dtype) for shape in ((2, terms), (terms, columns)))

    def computed(rows: Any) -> Any:
        lowered = jax.jit(jnp.matmul).lower(rows, weights)
        return np.asarray(lowered.compile(compiler_options(GENERATION_OPTIONS))(rows, weights))

    with jax.ensure_compile_time_eval():
        return bool((computed(rows)[:1] == computed(rows[:1])).all())


def orthogonal_recurrence(rng: np.random.Generator | None, size: int) -> Float[Array, "H Z"]:
    """Recurrent weights, orthogonal gate by gate (Saxe et al. 2014, arXiv:1312.6120)."""
    if rng is None:
        return jnp.zeros((size, len(GATES) * size))
    q, r = np.linalg.qr(rng.standard_normal((len(GATES), size, size)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]  # without the signs, QR prefers some rotations
    return to_weights(np.concatenate(list(q), -1))


def initial_bias(size: int) -> Float[Array, " Z"]:
    """Zero, but one for the forget gate (Jozefowicz et al. 2015), so that a new cell remembers."""
    return to_weights(np.repeat([float(gate == "f") for gate in GATES], size))


def array_module(rng: np.random.Generator | None) -> Any:
    """The module that makes the arrays of new weights: NumPy; without a generator `jax.numpy`.

    Under `jax.eval_shape` the arrays of `jax.numpy` have a shape and a type, and take neither memory nor time.
    """
    return jnp if rng is None else np


def lecun_normal(
    rng: np.random.Generator | None, rows: int, columns: int, terms: int = 1
) -> Float[np.ndarray | Array, "{rows} {columns}"]:
    """A weight matrix whose products keep their input's variance (LeCun et al. 1998); `terms` such are summed."""
    if rng is None:
        return jnp.zeros((rows, columns))
    weights = (rng.standard_normal((rows, columns)) * max(rows, 1) ** -0.5).astype(np.float32)
    return weights / np.float32(terms**0.5)


def to_weights(values: ArrayLike) -> Array:
    """Weights of float32, converted by NumPy and not by `jnp.asarray`, which compiles a program for each shape."""
    return values if isinstance(values, Array) else jax.device_put(np.asarray(values, np.float32))


class Cell(eqx.Module):
    """The weights of one decoder layer.

    Attributes:
        W: weights of the layer below; `None` in the first layer, which reads the feedback.
        K: weights of the context; `None` where it goes into the initial state only.
        R: recurrent weights.
        b: the one bias.
    """

    W: Float[Array, "H Z"] | None
    K: Float[Array, "C Z"] | None
    R: Float[Array, "H Z"]
    b: Float[Array, " Z"]

    def __init__(self, rng: np.random.Generator | None, size: int, context: int | None, *, first: bool) -> None:
        self.W = None if first else to_weights(lecun_normal(rng, size, 4 * size))
        self.K = None if context is None else to_weights(lecun_normal(rng, context, 4 * size))
        self.R = orthogonal_recurrence(rng, size)
        self.b = initial_bias(size)

    def constant(self, context: Float[Array, "B C"]) -> Float[Array, "B Z"]:
        """What every step of a sequence adds to its pre-activations: bias and context."""
        if self.K is None:
            return jnp.broadcast_to(self.b, (context.shape[0], self.b.shape[0]))
        return context @ self.K + self.b
