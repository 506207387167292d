"""JAX's primitives that gather and put back slices, in operators of ONNX."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode

from unspool.export.graph import Graph, Value
from unspool.export.operators import constant, elementwise, primitive, transposed


@primitive("gather")
def _gather(g: Graph, p: Any, operand: Value, indices: Value) -> Value:
    """Elements, or whole slices, at indices: along one axis a `Gather`, along several or by row a `GatherND`."""
    numbers, sizes, mode = p["dimension_numbers"], p["slice_sizes"], p["mode"]
    at = tuple(d for d in numbers.start_index_map if sizes[d] == 1)
    if at != tuple(numbers.start_index_map):
        raise NotImplementedError("a gather of slices of several elements")
    batching, of_indices = tuple(numbers.operand_batching_dims), tuple(numbers.start_indices_batching_dims)
    inside = None
    indices = g.cast(indices, "int64")
    if mode is not GatherScatterMode.PROMISE_IN_BOUNDS:
        last = Value.known(np.array([operand.shape[d] - 1 for d in at], np.int64))
        clamped = elementwise(g, "Min", [elementwise(g, "Max", [indices, constant(g, 0, "int64")]), last])
        if mode is GatherScatterMode.FILL_OR_DROP:
            inside = elementwise(g, "Equal", [clamped, indices], "bool")
        indices = clamped.shaped(indices.shape)
    if inside is not None:
        raise NotImplementedError("a gather that fills")
    lead = tuple(range(len(indices.shape) - 1))
    if len(at) == 1 and not batching:
        (d,) = at
        operand = g.whole(operand, [d])
        one = g.reshaped(indices, indices.dims[:-1], indices.shape[:-1])
        dims = (*operand.dims[:d], *one.dims, *operand.dims[d + 1 :])
        found = g.node("Gather", [operand, one], operand.dtype, dims, axis=d)
        rest = len(operand.shape)
        labels = [*(("o", k) for k in range(d)), *(("i", k) for k in lead), *(("o", k) for k in range(d + 1, rest))]
    else:
        others = tuple(k for k in range(len(operand.shape)) if k not in (*batching, *at))
        operand = transposed(g, g.whole(operand, [*batching, *at]), (*batching, *at, *others))
        free = tuple(k for k in lead if k not in of_indices)
        indices = transposed(g, g.whole(indices, [*of_indices, *lead]), (*of_indices, *free, len(lead)))
        count = len(batching)
        dims = (*indices.dims[:-1], *operand.dims[count + len(at) :])
        found = g.node("GatherND", [operand, indices], operand.dtype, dims, batch_dims=count)
        labels = [*(("i", k) for k in (*of_indices, *free)), *(("o", k) for k in others)]
    kept = [d for d in at if d not in numbers.collapsed_slice_dims]
    found = g.reshaped(found, (*found.dims, *(1 for _ in kept)))
    labels += [("o", d) for d in kept]
    windows = iter(sorted(k for kind, k in labels if kind == "o"))
    rows = iter(lead)
    wanted = [("o", next(windows)) if k in numbers.offset_dims else ("i", next(rows)) for k in range(len(labels))]
    return transposed(g, found, [labels.index(label) for label in wanted])


@primitive("dynamic_slice")
def _dynamic_slice(g: Graph, p: Any, x: Value, *starts: Value) -> Value:
    for axis, (start, size) in enumerate(zip(starts, p["slice_sizes"], strict=True)):
        if size != x.shape[axis]:
            x = g.whole(x, [axis])
            at = _begin(g, start, x.shape[axis] - size)
            ends = [at, elementwise(g, "Add", [at, constant(g, size, "int64")])]
            parts = [*ends, Value.known(np.array([axis], np.int64))]
            x = g.node("Slice", [x, *parts], x.dtype, (*x.dims[:axis], size, *x.dims[axis + 1 :])).shaped(
                (*x.shape[:axis], size, *x.shape[axis + 1 :])
            )
    return x


@primitive("dynamic_update_slice")
def _dynamic_update_slice(g: Graph, p: Any, x: Value, new: Value, *starts: Value) -> Value:
    axes = [k for k in range(len(x.shape)) if new.shape[k] != x.shape[k]]
    if len(axes) > 1:
        raise NotImplementedError("an update of a slice along several axes")
    return _replaced(g, x, new, axes[0], starts[axes[0]]) if axes else new


@primitive("scatter")
def _scatter(g: Graph, p: Any, x: Value, indices: Value, new: Value) -> Value:
    """Of one slice."""
    numbers = p["dimension_numbers"]
    if indices.shape != (1,) or len(numbers.scatter_dims_to_operand_dims) != 1:
        raise NotImplementedError("a scatter of several slices")
    (axis,) = numbers.scatter_dims_to_operand_dims
    if numbers.inserted_window_dims:
        dims, shape = ((*part[:axis], 1, *part[axis:]) for part in (new.dims, new.shape))
        new = g.reshaped(new, dims, shape)
    return _replaced(g, x, new, axis, g.reshaped(indices, ()))


def _replaced(g: Graph, x: Value, new: Value, axis: int, start: Value) -> Value:
    """A tensor with other elements along an axis from one on."""
    x, size = g.whole(x), new.shape[axis]
    at = _begin(g, start, x.shape[axis] - size)
    along = Value.known(np.array([axis], np.int64))
    end = elementwise(g, "Add", [at, constant(g, size, "int64")])
    parts: Sequence[tuple[Value, Value]] = [
        (Value.known(np.array([0], np.int64)), at),
        (end, Value.known(np.array([np.iinfo(np.int64).max]))),
    ]
    before, after = (
        g.node("Slice", [x, low, high, along], x.dtype, (*x.dims[:axis], None, *x.dims[axis + 1 :])) for low, high in parts
    )
    whole = g.node("Concat", [before, g.whole(new), after], x.dtype, x.dims, axis=axis)
    return whole


def _begin(g: Graph, start: Value, last: int) -> Value:
    """Where a slice begins, inside of its axis: (1,) int64."""
    at = g.reshaped(g.cast(start, "int64"), (1,))
    if at.array is not None:
        return Value.known(np.clip(at.array, 0, last))
    return elementwise(g, "Min", [elementwise(g, "Max", [at, constant(g, 0, "int64")]), constant(g, last, "int64")])


def row_at(g: Graph, stack: Value, at: Value) -> Value:
    """A row of a stack; of one that is broadcast over rows, the only one."""
    if isinstance(stack.dims[0], int) and stack.dims[0] == 1:
        return g.reshaped(stack, stack.dims[1:], stack.shape[1:])
    return g.node("Gather", [stack, at], stack.dtype, stack.dims[1:], axis=0).shaped(stack.shape[1:])
