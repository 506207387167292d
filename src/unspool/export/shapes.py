"""JAX's primitives that change shapes, add up or multiply matrices, in operators of ONNX."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unspool.export.graph import Graph, Value
from unspool.export.operators import primitive, scalar

REDUCTIONS = {
    "reduce_sum": "ReduceSum",
    "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin",
    "reduce_prod": "ReduceProd",
}
"""Primitives that are one operator over axes."""


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
    wide = [g.reshaped(v, (*v.dims[:axis], 1, *v.dims[axis:]), (*v.shape[:axis], 1, *v.shape[axis:])) for v in values]
    return wide[0] if len(wide) == 1 else joined(g, wide, axis)


def joined(g: Graph, values: Sequence[Value], axis: int) -> Value:
    """Tensors end to end; axes in which none has more than one element stay so."""
    rank = len(values[0].shape)
    axes = [k for k in range(rank) if k == axis or any(not _is_one(value.dims[k]) for value in values)]
    values = [g.whole(value, axes) for value in values]
    dims = list(values[0].dims)
    dims[axis] = sum(value.dims[axis] for value in values)
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
    ends = [scalar(0, "int64"), g.reshaped(g.integers([shape[axis]]), ()), scalar(1, "int64")]
    return g.reshaped(g.cast(g.node("Range", ends, "int64", (shape[axis],)), dtype), dims, shape)


@primitive("dim_as_value")
def _dim_as_value(g: Graph, p: Any) -> Value:
    return g.cast(g.reshaped(g.integers([p["dim"]]), ()), "int32")


# ---- sums and products ------------------------------------------------------------------------------------------


@primitive(*REDUCTIONS)
def _reduce(g: Graph, p: Any, x: Value) -> Value:
    return _reduced(g, REDUCTIONS[p["name"]], x, p["axes"])


def _reduced(g: Graph, kind: str, x: Value, axes: Sequence[int]) -> Value:
    axes = sorted(int(k) for k in axes)
    x = g.whole(x, axes if kind in ("ReduceSum", "ReduceProd") else [])
    shape, dims = (tuple(n for k, n in enumerate(part) if k not in axes) for part in (x.shape, x.dims))
    if all(_is_one(x.dims[k]) for k in axes):
        return g.reshaped(x, dims, shape)
    inputs, kept = [x, Value.known(np.array(axes, np.int64))], list(x.dims)
    for k in axes:
        kept[k] = 1
    made = g.node(kind, inputs, x.dtype, dims, keepdims=0)
    g.same_as(made, g.node(kind, inputs, x.dtype, tuple(kept), keepdims=1))
    return made


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
    return g.node("CumSum", [x, scalar(p["axis"], "int64")], x.dtype, x.dims, reverse=int(p["reverse"]))


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
        if rank_b == 2:
            return g.node("MatMul", [a, b], a.dtype, (*a.dims[:-1], *b.dims[1:]))
        column = g.reshaped(b, (*b.dims, 1))  # runtimes are slow with a vector
        return g.reshaped(g.node("MatMul", [a, column], a.dtype, (*a.dims[:-1], 1)), a.dims[:-1])
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
