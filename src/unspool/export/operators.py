"""JAX's primitives in operators of ONNX: arithmetic, shapes, sums. One table, from the name of a primitive."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unspool.export.graph import TYPES, Dims, Graph, Value

Handler = Callable[..., Any]
"""From a graph, the parameters of a primitive with `out`, the arrays it gives, and its operands, to its value."""
PRIMITIVES: dict[str, Handler] = {}
"""All that is known here, and in `unspool.export.indexing`; `unspool.export.translate` has those with bodies."""
ELEMENTWISE: set[str] = set()
"""Of these, those that take every element alone: they broadcast, so constants stay as small as they are."""
SAME = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "neg": "Neg", "abs": "Abs",
    "sign": "Sign", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh", "logistic": "Sigmoid", "sin": "Sin",
    "cos": "Cos", "tan": "Tan", "sinh": "Sinh", "cosh": "Cosh", "asin": "Asin", "acos": "Acos", "atan": "Atan",
    "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "floor": "Floor", "ceil": "Ceil", "erf": "Erf", "pow": "Pow",
}  # fmt: skip
"""Primitives that are one operator."""
COMPARISONS = {"eq": "Equal", "lt": "Less", "gt": "Greater", "le": "LessOrEqual", "ge": "GreaterOrEqual"}
LOGICAL = {"and": ("And", "BitwiseAnd"), "or": ("Or", "BitwiseOr"), "xor": ("Xor", "BitwiseXor"), "not": ("Not", "BitwiseNot")}
"""Of truth values, and of bits."""
REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin", "reduce_prod": "ReduceProd"}
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""Of Threefry-2x32, in rounds of four."""


def primitive(*names: str, elementwise: bool = False) -> Callable[[Handler], Handler]:
    """Put a function into the table."""

    def register(handler: Handler) -> Handler:
        PRIMITIVES.update(dict.fromkeys(names, handler))
        ELEMENTWISE.update(names if elementwise else ())
        return handler

    return register


def together(values: Sequence[Value]) -> Dims:
    """The dimensions that tensors have when they are broadcast."""
    rank = max(len(value.dims) for value in values)
    padded = [(1,) * (rank - len(value.dims)) + value.dims for value in values]
    return tuple(next((n for n in axis if not (isinstance(n, int) and n == 1)), 1) for axis in zip(*padded, strict=True))


def elementwise(g: Graph, kind: str, values: Sequence[Value], dtype: str | None = None, **attributes: Any) -> Value:
    """An operator that broadcasts."""
    return g.node(kind, values, dtype or values[0].dtype, together(values), **attributes)


def constant(g: Graph, value: Any, dtype: str) -> Value:
    """A scalar."""
    return Value.known(np.asarray(value, dtype))


# ---- arithmetic -------------------------------------------------------------------------------------------------


def _register_plain() -> None:
    for name, kind in SAME.items():
        primitive(name, elementwise=True)(lambda g, p, *v, kind=kind: elementwise(g, kind, v))
    for name, kind in COMPARISONS.items():
        primitive(name, elementwise=True)(lambda g, p, *v, kind=kind: elementwise(g, kind, v, "bool"))
    for name, kinds in LOGICAL.items():
        primitive(name, elementwise=True)(lambda g, p, *v, kinds=kinds: elementwise(g, kinds[v[0].dtype != "bool"], v))
    for name, kind in REDUCTIONS.items():
        primitive(name)(lambda g, p, x, kind=kind: _reduced(g, kind, x, p["axes"]))
    for name in ("stop_gradient", "copy", "copy_p", "optimization_barrier", "reduce_precision"):
        primitive(name, elementwise=True)(lambda g, p, *v: list(v))


@primitive("ne", elementwise=True)
def _ne(g: Graph, p: Any, a: Value, b: Value) -> Value:
    return elementwise(g, "Not", [elementwise(g, "Equal", [a, b], "bool")])


@primitive("square", elementwise=True)
def _square(g: Graph, p: Any, x: Value) -> Value:
    return elementwise(g, "Mul", [x, x])


@primitive("integer_pow", elementwise=True)
def _integer_pow(g: Graph, p: Any, x: Value) -> Value:
    return _square(g, p, x) if p["y"] == 2 else elementwise(g, "Pow", [x, constant(g, p["y"], x.dtype)])


@primitive("rsqrt", elementwise=True)
def _rsqrt(g: Graph, p: Any, x: Value) -> Value:
    return elementwise(g, "Reciprocal", [elementwise(g, "Sqrt", [x])])


@primitive("is_finite", elementwise=True)
def _is_finite(g: Graph, p: Any, x: Value) -> Value:
    return elementwise(g, "Less", [elementwise(g, "Abs", [x]), constant(g, np.inf, x.dtype)], "bool")


@primitive("rem", elementwise=True)
def _rem(g: Graph, p: Any, a: Value, b: Value) -> Value:
    return elementwise(g, "Mod", [a, b], fmod=1)


@primitive("round", elementwise=True)
def _round(g: Graph, p: Any, x: Value) -> Value:
    if int(p["rounding_method"]) == 1:  # ties to the even one
        return elementwise(g, "Round", [x])
    up = elementwise(g, "Floor", [elementwise(g, "Add", [elementwise(g, "Abs", [x]), constant(g, 0.5, x.dtype)])])
    return elementwise(g, "Mul", [elementwise(g, "Sign", [x]), up])


@primitive("clamp", elementwise=True)
def _clamp(g: Graph, p: Any, low: Value, x: Value, high: Value) -> Value:
    return elementwise(g, "Min", [elementwise(g, "Max", [x, low]), high])


@primitive("select_n", elementwise=True)
def _select_n(g: Graph, p: Any, which: Value, *cases: Value) -> Value:
    if which.dtype != "bool":
        chosen = cases[0]
        for k, case in enumerate(cases[1:], 1):
            chosen = _select_n(g, p, elementwise(g, "Equal", [which, constant(g, k, which.dtype)], "bool"), chosen, case)
        return chosen
    no, yes = cases
    if no.dtype != "bool":
        return g.node("Where", [which, yes, no], no.dtype, together([which, yes, no]))
    if_yes = elementwise(g, "And", [which, yes])  # runtimes choose among numbers alone
    return elementwise(g, "Or", [if_yes, elementwise(g, "And", [elementwise(g, "Not", [which]), no])])


@primitive("convert_element_type", elementwise=True)
def _convert_element_type(g: Graph, p: Any, x: Value) -> Value:
    return g.cast(x, np.dtype(p["new_dtype"]).name)


@primitive("shift_right_logical", "shift_left", elementwise=True)
def _shift(g: Graph, p: Any, x: Value, by: Value, direction: str = "") -> Value:
    direction = direction or ("LEFT" if p["name"] == "shift_left" else "RIGHT")
    if x.dtype == "int32":
        return g.cast(_shift(g, p, g.cast(x, "uint32"), g.cast(by, "uint32"), direction), "int32")
    return elementwise(g, "BitShift", [x, by], direction=direction)


@primitive("threefry2x32", elementwise=True)
def _threefry(g: Graph, p: Any, first: Value, second: Value, x: Value, y: Value) -> list[Value]:
    def op(kind: str, a: Value, b: Value) -> Value:
        return elementwise(g, kind, [a, b])

    def word(number: int) -> Value:
        return constant(g, number, "uint32")

    third = op("BitwiseXor", op("BitwiseXor", first, second), word(0x1BD11BDA))
    keys = (first, second, third)
    x, y = op("Add", x, first), op("Add", y, second)
    for turn in range(5):
        for bits in ROTATIONS[turn % 2]:
            x = op("Add", x, y)
            left, right = (_shift(g, p, y, word(n), to) for n, to in ((bits, "LEFT"), (32 - bits, "RIGHT")))
            y = op("BitwiseXor", op("BitwiseOr", left, right), x)
        x = op("Add", x, keys[(turn + 1) % 3])
        y = op("Add", op("Add", y, keys[(turn + 2) % 3]), word(turn + 1))
    return [x, y]


# ---- shapes -----------------------------------------------------------------------------------------------------


@primitive("broadcast_in_dim")
def _broadcast_in_dim(g: Graph, p: Any, x: Value, *_: Value) -> Value:
    shape, dims = p["shape"], [1] * len(p["shape"])
    for k, axis in enumerate(p["broadcast_dimensions"]):
        dims[axis] = x.dims[k]
    return g.reshaped(x, tuple(dims), shape)


@primitive("reshape")
def _reshape(g: Graph, p: Any, x: Value, *_: Value) -> Value:
    shape = p["new_sizes"]
    real = [d for n, d in zip(x.shape, x.dims, strict=True) if not _is_one(n)]
    if [n for n in x.shape if not _is_one(n)] == [n for n in shape if not _is_one(n)]:  # axes of one come or go
        left = iter(real)
        return g.reshaped(x, tuple(1 if _is_one(n) else next(left) for n in shape), shape)
    return g.reshaped(g.whole(x), tuple(shape))


@primitive("squeeze")
def _squeeze(g: Graph, p: Any, x: Value) -> Value:
    gone = [axis % len(x.shape) for axis in p["dimensions"]]
    dims, shape = (tuple(n for k, n in enumerate(part) if k not in gone) for part in (x.dims, x.shape))
    return g.reshaped(x, dims, shape)


@primitive("transpose")
def _transpose(g: Graph, p: Any, x: Value) -> Value:
    return transposed(g, x, p["permutation"])


def transposed(g: Graph, x: Value, order: Sequence[int]) -> Value:
    """A tensor with its axes in another order."""
    order = [int(k) for k in order]
    shape, dims = (tuple(part[k] for k in order) for part in (x.shape, x.dims))
    moving = [k for k in order if not _is_one(x.dims[k])]
    if moving == sorted(moving):
        return g.reshaped(x, dims, shape)
    if x.array is not None:
        return Value(shape, dims, x.dtype, array=np.asarray(x.array).reshape(x.dims).transpose(order))
    return g.node("Transpose", [x], x.dtype, dims, perm=order).shaped(shape)


@primitive("concatenate")
def _concatenate(g: Graph, p: Any, *values: Value) -> Value:
    return joined(g, values, p["dimension"])


@primitive("stack")
def _stack(g: Graph, p: Any, *values: Value) -> Value:
    axis = p["axis"]
    wide = [
        g.reshaped(v, (*v.dims[:axis], 1, *v.dims[axis:]), (*v.shape[:axis], 1, *v.shape[axis:])) for v in values
    ]
    return wide[0] if len(wide) == 1 else joined(g, wide, axis)


def joined(g: Graph, values: Sequence[Value], axis: int) -> Value:
    """Tensors end to end; axes in which none has more than one element stay so."""
    rank = len(values[0].shape)
    axes = [k for k in range(rank) if k == axis or any(not _is_one(value.dims[k]) for value in values)]
    values = [g.whole(value, axes) for value in values]
    dims = list(values[0].dims)
    dims[axis] = _total([value.dims[axis] for value in values])
    return g.node("Concat", values, values[0].dtype, tuple(dims), axis=axis)


@primitive("split")
def _split(g: Graph, p: Any, x: Value) -> list[Value]:
    axis, sizes = p["axis"], [int(n) for n in p["sizes"]]
    x = g.whole(x, [axis])
    dims = [(x.dtype, (*x.dims[:axis], n, *x.dims[axis + 1 :])) for n in sizes]
    return g.nodes("Split", [x, Value.known(np.array(sizes, np.int64))], dims, axis=axis)


@primitive("slice")
def _slice(g: Graph, p: Any, x: Value) -> Value:
    starts, ends, steps = p["start_indices"], p["limit_indices"], p["strides"] or (1,) * len(x.shape)
    axes = [k for k, n in enumerate(x.shape) if not (starts[k] == 0 and ends[k] == n and steps[k] == 1)]
    axes = [k for k in axes if not _is_one(x.dims[k])]
    dims = list(x.dims)
    for k in axes:
        dims[k] = -(-(ends[k] - starts[k]) // steps[k])
    if not axes:
        return x
    parts = [g.integers([part[k] for k in axes]) for part in (starts, ends, axes_of(axes), steps)]
    return g.node("Slice", [x, *parts], x.dtype, tuple(dims))


def axes_of(axes: Sequence[int]) -> dict[int, int]:
    """The numbers of axes, by themselves."""
    return {k: k for k in axes}


@primitive("pad")
def _pad(g: Graph, p: Any, x: Value, filler: Value) -> Value:
    config = p["padding_config"]
    axes = [k for k, (low, high, inner) in enumerate(config) if low or high]
    if any(inner for _, _, inner in config):
        raise NotImplementedError("padding between elements")
    x, dims = g.whole(x, axes), list(x.shape)
    dims = [n if k in axes else d for k, (n, d) in enumerate(zip(x.shape, x.dims, strict=True))]
    for k in axes:
        dims[k] = dims[k] + config[k][0] + config[k][1]
    pads = [config[k][0] for k in axes] + [config[k][1] for k in axes]
    constants = [Value.known(np.array(part, np.int64)) for part in (pads, axes)]
    return g.node("Pad", [x, constants[0], filler, constants[1]], x.dtype, tuple(dims))


@primitive("iota")
def _iota(g: Graph, p: Any, *_: Value) -> Value:
    shape, axis, dtype = p["shape"], p["dimension"], np.dtype(p["dtype"]).name
    dims = tuple(n if k == axis else 1 for k, n in enumerate(shape))
    if isinstance(shape[axis], int):
        return Value.known(np.arange(shape[axis], dtype=dtype).reshape(dims), shape)
    ends = [constant(g, 0, "int64"), g.reshaped(g.integers([shape[axis]]), ()), constant(g, 1, "int64")]
    return g.reshaped(g.cast(g.node("Range", ends, "int64", (shape[axis],)), dtype), dims, shape)


@primitive("dim_as_value")
def _dim_as_value(g: Graph, p: Any) -> Value:
    return g.cast(g.reshaped(g.integers([p["dim"]]), ()), "int32")


# ---- sums and products ------------------------------------------------------------------------------------------


def _reduced(g: Graph, kind: str, x: Value, axes: Sequence[int]) -> Value:
    axes = sorted(int(k) for k in axes)
    x = g.whole(x, axes if kind in ("ReduceSum", "ReduceProd") else [])
    shape, dims = (tuple(n for k, n in enumerate(part) if k not in axes) for part in (x.shape, x.dims))
    if all(_is_one(x.dims[k]) for k in axes):
        return g.reshaped(x, dims, shape)
    return g.node(kind, [x, Value.known(np.array(axes, np.int64))], x.dtype, dims, keepdims=0)


@primitive("reduce_or", "reduce_and")
def _reduce_logical(g: Graph, p: Any, x: Value) -> Value:
    kind = "ReduceMax" if p["name"] == "reduce_or" else "ReduceMin"
    return g.cast(_reduced(g, kind, g.cast(x, "int32"), p["axes"]), "bool")


@primitive("argmax", "argmin")
def _argmax(g: Graph, p: Any, x: Value) -> Value:
    (axis,), kind = p["axes"], "ArgMax" if p["name"] == "argmax" else "ArgMin"
    x = g.whole(x, [axis])
    dims = tuple(n for k, n in enumerate(x.dims) if k != axis)
    return g.cast(g.node(kind, [x], "int64", dims, axis=axis, keepdims=0), np.dtype(p["index_dtype"]).name)


@primitive("cumsum")
def _cumsum(g: Graph, p: Any, x: Value) -> Value:
    x = g.whole(x, [p["axis"]])
    return g.node("CumSum", [x, constant(g, p["axis"], "int64")], x.dtype, x.dims, reverse=int(p["reverse"]))


@primitive("sort")
def _sort(g: Graph, p: Any, *values: Value) -> Value:
    if len(values) > 1:
        raise NotImplementedError("a sort of several arrays")
    axis = p["dimension"]
    x = g.whole(values[0], [axis])
    count = g.integers([x.dims[axis]])
    outputs = [(x.dtype, x.dims), ("int64", x.dims)]
    return g.nodes("TopK", [x, count], outputs, axis=axis, largest=0, sorted=1)[0]


@primitive("dot_general")
def _dot_general(g: Graph, p: Any, a: Value, b: Value) -> Value:
    (of_a, of_b), (batch_a, batch_b) = p["dimension_numbers"]
    rank_a, rank_b = len(a.shape), len(b.shape)
    a, b = g.whole(a, [*of_a, *batch_a]), g.whole(b)
    if not batch_a and list(of_a) == [rank_a - 1] and list(of_b) == [0] and rank_b <= 2:
        return g.node("MatMul", [a, b], a.dtype, (*a.dims[:-1], *b.dims[1:]))
    a = g.whole(a)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    names_a, names_b = [next(letters) for _ in range(rank_a)], [""] * rank_b
    for k, j in zip([*of_a, *batch_a], [*of_b, *batch_b], strict=True):
        names_b[j] = names_a[k]
    names_b = [name or next(letters) for name in names_b]
    free_a = [k for k in range(rank_a) if k not in (*of_a, *batch_a)]
    free_b = [k for k in range(rank_b) if k not in (*of_b, *batch_b)]
    result = [names_a[k] for k in (*batch_a, *free_a)] + [names_b[k] for k in free_b]
    dims = tuple(a.dims[k] for k in (*batch_a, *free_a)) + tuple(b.dims[k] for k in free_b)
    equation = f"{''.join(names_a)},{''.join(names_b)}->{''.join(result)}"
    return g.node("Einsum", [a, b], a.dtype, dims, equation=equation)


def _is_one(length: Any) -> bool:
    return isinstance(length, int) and length == 1


def _total(lengths: Sequence[Any]) -> Any:
    return math.fsum(lengths) if False else sum(lengths[1:], lengths[0])


# ---- by other primitives ------------------------------------------------------------------------------------------


def _log1p(x: Any) -> Any:
    """Kahan's: what the sum rounds away is divided out again."""
    u = 1.0 + x
    exact = (u == 1.0) | ~jnp.isfinite(u)
    return jnp.where(exact, jnp.where(u == 1.0, x, u), x * jnp.log(u) / jnp.where(exact, 1.0, u - 1.0))


def _expm1(x: Any) -> Any:
    """Kahan's, likewise."""
    u = jnp.exp(x)
    plain = (u == 1.0) | (u - 1.0 == -1.0) | ~jnp.isfinite(u)
    safe = jnp.where(plain, 2.0, u)
    return jnp.where(u == 1.0, x, jnp.where(plain, u - 1.0, (safe - 1.0) * x / jnp.log(safe)))


def _erfc(x: Any) -> Any:
    """Numerical Recipes' rational Chebyshev form; its relative error is below 1.2e-7 everywhere."""
    z = jnp.abs(x)
    t = 1.0 / (1.0 + 0.5 * z)
    c = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277)
    inner = c[-1]
    for factor in c[-2::-1]:
        inner = factor + t * inner
    tail = t * jnp.exp(-z * z + inner)
    return jnp.where(x >= 0, tail, 2.0 - tail)


def _erf_inv(x: Any) -> Any:
    """Giles 2012, "Approximating the erfinv function", in single precision, as XLA has it."""
    w = -jnp.log1p(-x * x)
    small = w < 5.0
    near = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941)
    far = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682)
    w = jnp.where(small, w - 2.5, jnp.sqrt(jnp.maximum(w, 5.0)) - 3.0)
    total = jnp.where(small, near[0], far[0])
    for one, other in zip(near[1:], far[1:], strict=True):
        total = jnp.where(small, one, other) + total * w
    return jnp.where(jnp.abs(x) == 1.0, x * jnp.inf, total * x)


COMPOSED: dict[str, Callable[..., Any]] = {"log1p": _log1p, "expm1": _expm1, "erfc": _erfc, "erf_inv": _erf_inv}
"""Primitives that ONNX lacks, by other ones."""

_register_plain()
