"""Every operator of a graph computes what JAX computes, for any number of rows; what has none is refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
import scipy.special
from jax import lax

from unspool.export.graph import Graph
from unspool.export.translate import call

TABLE = jnp.arange(15.0).reshape(5, 3)
BITS = jnp.uint32(7)


def counted(x, i):
    """A loop whose length depends on the numbers, and one within it."""
    inner = lambda k, y: y + jnp.sin(x[:, 0]) * k  # noqa: E731
    return lax.while_loop(
        lambda now: now[0].max() < 4, lambda now: (now[0] + 1, lax.fori_loop(0, 3, inner, now[1])), (i % 2, x[:, 1])
    )[1]


def stacked(x, i):
    """A scan from its end, which carries and stacks."""
    rows = jnp.moveaxis(x, 1, 0)
    last, all_of_them = lax.scan(lambda c, now: (c * 0.5 + now, c - now), x[:, 0], rows, reverse=True)
    return last, all_of_them


FUNCTIONS = {
    "arithmetic": lambda x, i, k: ((x - 1) / 3) ** 3 + jnp.sign(x) * jnp.abs(x) ** 0.5 - jnp.maximum(x, 0.1) * -x,
    "whole numbers": lambda x, i, k: (i // 3, i % 3, lax.rem(i - 4, 3), lax.div(i - 4, 3), jnp.clip(i, 1, 4)),
    "bits": lambda x, i, k: (i.astype(jnp.uint32) << 3 ^ BITS) >> 1 | (i.astype(jnp.uint32) & ~BITS),
    "truth": lambda x, i, k: ((x > 0) & (i[:, None] != 2) | jnp.isnan(x), (x > 0).any(1), (x > -9).all(1)),
    "choices": lambda x, i, k: (
        jnp.where(x > 0, x > 1, x < -1),
        lax.select_n(i % 3, x[:, 0], x[:, 1], x[:, 2]),
        lax.switch(k % 3, [lambda y: y, lambda y: y * 2, lambda y: -y], x),
    ),
    "rounding": lambda x, i, k: (jnp.round(x * 4) / 4, jnp.floor(x), jnp.ceil(x), lax.round(x), x.astype(jnp.int32)),
    "not numbers": lambda x, i, k: (jnp.isfinite(x / (i[:, None] - 1)), jnp.nan_to_num(x / (i[:, None] - 1))),
    "sums": lambda x, i, k: (
        x.sum(0), x.max(1), x.min(), x.prod(1), jnp.cumsum(x, 1), x.mean(1), jnp.linalg.norm(x, axis=1),
    ),
    "order": lambda x, i, k: (jnp.sort(x, 1), x.argmax(1), x.argmin(1), -jnp.sort(-x, -1)),
    "products": lambda x, i, k: (
        x @ TABLE, jnp.einsum("bi,ij->jb", x, TABLE), jnp.einsum("bi,bj->bij", x, x), x @ TABLE[:, 0],
    ),
    "shapes": lambda x, i, k: (
        jnp.stack([x, x + 1], 1), jnp.concatenate([x, jnp.ones((x.shape[0], 1))], 1), x.T, x[:, None, :, None],
        x.reshape(-1, 5, 1), jnp.split(x, [2], 1), jnp.pad(x, ((0, 0), (2, 1)), constant_values=3.0), x[:, 1::2],
        jnp.broadcast_to(i[:, None, None], (x.shape[0], 2, 1)), jnp.arange(x.shape[0]) + x.shape[0],
    ),
    "gathers": lambda x, i, k: (
        TABLE[i % 5], x[:, 2], jnp.take_along_axis(x, i[:, None] % 5, 1), jnp.take(TABLE, i, axis=0, mode="clip"),
        jnp.take(TABLE, i, axis=0, mode="fill"), x[:, jnp.array([3, 0, 3])], TABLE[i % 5, i % 3], jnp.take(x, k % 5, 1),
    ),
    "slices": lambda x, i, k: (
        lax.dynamic_slice_in_dim(x, k, 2, 1), lax.dynamic_update_slice_in_dim(x, x[:, :2] * 9, k, 1),
        x.at[:, 1].set(7.0), x.at[:, k % 5].set(x[:, 4]),
    ),
    "loops": lambda x, i, k: (counted(x, i), stacked(x, i), jnp.searchsorted(jnp.array([-1.0, 0.0, 0.5]), x)),
    "functions": lambda x, i, k: (
        jax.nn.sigmoid(x), jnp.tanh(x), jnp.exp(-x), jnp.log(jnp.abs(x)), jnp.sin(x) * jnp.cos(x), lax.rsqrt(x * x + 1),
        jnp.arcsinh(x), jnp.sinh(x), jnp.arctan2(jnp.round(x[:, :4]), jnp.round(x[:, 1:])), lax.erf(x),
        jax.scipy.special.ndtri(jax.nn.sigmoid(x)), jax.nn.log_softmax(x, -1),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def graph():
    """The functions as one graph, and the number of outputs of each."""
    rows = jax.export.symbolic_shape("b", constraints=["b >= 1024"])[0]
    g = Graph(rows)
    given = g.input("x", "float32", (rows, 5)), g.input("i", "int32", (rows,)), g.input("k", "int32", ())
    for name, function in FUNCTIONS.items():
        for k, value in enumerate(jax.tree.leaves(call(g, function, *given))):
            g.output(f"{name} {k}", value)
    data = g.model("functions", {}).SerializeToString()
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def test_every_operator_computes_what_jax_computes(graph):
    rng, rows = np.random.default_rng(7), 7
    x, i = rng.normal(0, 1.5, (rows, 5)).astype(np.float32), rng.integers(0, 7, rows).astype(np.int32)
    names = [item.name for item in graph.get_outputs()]
    found = dict(zip(names, graph.run(None, {"x": x, "i": i, "k": np.array(2, np.int32)}), strict=True))
    for name, function in FUNCTIONS.items():
        for n, value in enumerate(jax.tree.leaves(jax.jit(function)(x, i, np.int32(2)))):
            assert found[f"{name} {n}"].dtype == value.dtype, name
            np.testing.assert_allclose(found.pop(f"{name} {n}"), value, rtol=2e-6, atol=2e-6, err_msg=f"{name} {n}")
    assert not found


def test_an_axis_of_one_that_a_reduction_or_a_column_leaves_needs_no_reshape():
    rows = jax.export.symbolic_shape("b", constraints=["b >= 1024"])[0]
    g = Graph(rows)
    function = lambda x: (x - x.max(-1, keepdims=True)) * x[:, -1:] + x[:, 2, None] + x.sum(1)[:, None]  # noqa: E731
    g.output("y", call(g, function, g.input("x", "float32", (rows, 5))))
    made = g.model("one", {})
    assert "Reshape" not in {node.op_type for node in made.graph.node}
    x = np.random.default_rng(7).normal(size=(4, 5)).astype(np.float32)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0], jax.jit(function)(x), rtol=2e-6)


POINTS = np.concatenate([np.linspace(-9, 9, 2001), 10.0 ** np.linspace(-9, -1, 99)]).astype(np.float32)
DEGREES = np.geomspace(0.5, 200, 300).astype(np.float32)
SHARES = np.linspace(0.001, 0.999, 300).astype(np.float32)
HALVES = np.full(300, 0.5, np.float32)


@pytest.mark.parametrize(
    ("function", "exact", "arguments", "bound"),
    [
        (lax.log1p, np.log1p, (POINTS[POINTS > -1],), 3e-7),
        (lax.expm1, np.expm1, (POINTS,), 3e-7),
        (lax.erfc, scipy.special.erfc, (POINTS,), 1e-5),
        (lax.erf_inv, scipy.special.erfinv, (2 * SHARES - 1,), 2e-6),
        (lax.lgamma, scipy.special.gammaln, (DEGREES + 3,), 3e-6),
        (lax.betainc, scipy.special.betainc, (DEGREES, HALVES, SHARES), 1e-3),
    ],
)
def test_a_composed_function_is_as_exact_as_single_precision_allows(function, exact, arguments, bound):
    rows = jax.export.symbolic_shape("b", constraints=["b >= 1024"])[0]
    g = Graph(rows)
    given = [g.input(f"x{k}", "float32", (rows,)) for k in range(len(arguments))]
    g.output("y", call(g, function, *given))
    made = onnxruntime.InferenceSession(g.model("one", {}).SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = made.run(None, {f"x{k}": part for k, part in enumerate(arguments)})
    right = exact(*(part.astype(np.float64) for part in arguments))
    normal = np.abs(right) > 1e-37
    assert np.max(np.abs(found - right)[normal] / np.abs(right)[normal]) < bound
