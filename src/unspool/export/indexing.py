"""JAX's primitives that gather and put back slices, in operators of ONNX."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode

from unspool.export.graph import Graph, Value
from unspool.export.operators import broadcast_dims, elementwise, primitive, scalar
from unspool.export.shapes import transposed


@primitive("gather")
def _gather(g: Graph, p: Any, operand: Value, indices: Value) -> Value:
    """Elements, or whole slices, at indices: along one axis a `Gather`, along several or by row a `GatherND`."""
    numbers, sizes, mode = p["dimension_numbers"], p["slice_sizes"], p["mode"]
    at, lead = tuple(numbers.start_index_map), tuple(range(len(indices.shape) - 1))
    if any(sizes[d] != 1 for d in at):
        return _one_slice(g, p, operand, indices)
    given = indices if indices.dtype == "int32" else g.cast(indices, "int64")
    anywhere = mode is not GatherScatterMode.PROMISE_IN_BOUNDS
    indices = _inside(g, given, [operand.shape[d] for d in at]) if anywhere else given
    batching, of_indices = tuple(numbers.operand_batching_dims), tuple(numbers.start_indices_batching_dims)
    if len(at) == 1 and not batching:
        (d,), rank = at, len(operand.shape)
        operand = g.whole(operand, [d])
        one = _from_the_end(g, g.reshaped(indices, indices.dims[:-1], indices.shape[:-1]), operand.shape[d])
        dims = (*operand.dims[:d], *one.dims, *operand.dims[d + 1 :])
        alone = isinstance(operand.dims[d], int) and operand.dims[d] == 1 and not anywhere
        if alone and all(isinstance(n, int) and n == 1 for n in one.dims):
            found = g.reshaped(operand, dims)
        else:
            found = g.node("Gather", [operand, one], operand.dtype, dims, axis=d)
            if not one.dims:
                kept = (*operand.dims[:d], 1, *operand.dims[d + 1 :])
                g.same_as(found, g.node("Gather", [operand, g.reshaped(one, (1,))], operand.dtype, kept, axis=d))
        labels = [*(("o", k) for k in range(d)), *(("i", k) for k in lead), *(("o", k) for k in range(d + 1, rank))]
    else:
        others = tuple(k for k in range(len(operand.shape)) if k not in (*batching, *at))
        operand = transposed(g, g.whole(operand, [*batching, *at]), (*batching, *at, *others))
        free = tuple(k for k in lead if k not in of_indices)
        whole = g.whole(g.cast(indices, "int64"), [*of_indices, len(lead)])
        whole = transposed(g, whole, (*of_indices, *free, len(lead)))
        dims = (*whole.dims[:-1], *operand.dims[len(batching) + len(at) :])
        found = g.node("GatherND", [operand, whole], operand.dtype, dims, batch_dims=len(batching))
        labels = [*(("i", k) for k in (*of_indices, *free)), *(("o", k) for k in others)]
    alone = [d for d in at if d not in numbers.collapsed_slice_dims]
    found = g.reshaped(found, (*found.dims, *(1 for _ in alone)))
    labels += [("o", d) for d in alone]
    windows, rows = iter(sorted(k for kind, k in labels if kind == "o")), iter(lead)
    wanted = [("o", next(windows)) if k in numbers.offset_dims else ("i", next(rows)) for k in range(len(labels))]
    found = transposed(g, found, [labels.index(label) for label in wanted])
    if mode is not GatherScatterMode.FILL_OR_DROP:
        return found
    right = g.cast(elementwise(g, "Equal", [given, indices], "bool"), "int32")
    right = g.node("ReduceMin", [right, Value.known(np.array([-1]))], "int32", right.dims[:-1], keepdims=0)
    right = g.reshaped(g.cast(right, "bool"), tuple(right.dims[k] if kind == "i" else 1 for kind, k in wanted))
    filler = p["fill_value"] if p["fill_value"] is not None else _filler(found.dtype)
    return g.node("Where", [right, found, scalar(filler, found.dtype)], found.dtype, broadcast_dims([right, found]))


def _from_the_end(g: Graph, indices: Value, length: Any) -> Value:
    """Indices as they were before JAX added the length to negative ones, which `Gather` takes as they are."""
    choice = g.made_by(indices, "Where")
    if not choice:
        return indices
    below, longer, plain = choice
    compared, added = g.made_by(below, "Less"), g.made_by(longer, "Add")
    if not compared or not added or {compared[0].name, added[0].name} != {plain.name}:
        return indices
    numbers: list[Any] = [compared[1].array, added[1].array]
    return plain if numbers == [0, length] else indices


def _one_slice(g: Graph, p: Any, operand: Value, indices: Value) -> Value:
    """A gather of one slice of several elements."""
    numbers, sizes = p["dimension_numbers"], p["slice_sizes"]
    if len(indices.shape) != 1:
        raise NotImplementedError("a gather of several slices of several elements")
    for k, axis in enumerate(numbers.start_index_map):
        number = g.node("Gather", [indices, scalar(k, "int64")], indices.dtype, (), axis=0)
        start = Value.known(indices.array[k]) if indices.array is not None else number
        operand = _part(g, operand, axis, start, sizes[axis])
    dims, shape = (
        tuple(n for k, n in enumerate(part) if k not in numbers.collapsed_slice_dims)
        for part in (operand.dims, operand.shape)
    )
    return g.reshaped(operand, dims, shape)


def _inside(g: Graph, indices: Value, sizes: Sequence[int]) -> Value:
    """Indices, those beyond an end moved to it."""
    last = Value.known(np.array(sizes, indices.dtype) - 1)
    above = elementwise(g, "Max", [indices, scalar(0, indices.dtype)])
    return elementwise(g, "Min", [above, last]).shaped(indices.shape)


def _filler(dtype: str) -> Any:
    """What JAX puts where an index is beyond the ends."""
    return np.nan if dtype == "float32" else np.iinfo(dtype).min if dtype.startswith("int") else np.iinfo(dtype).max


@primitive("dynamic_slice")
def _dynamic_slice(g: Graph, p: Any, x: Value, *starts: Value) -> Value:
    for axis, (start, size) in enumerate(zip(starts, p["slice_sizes"], strict=True)):
        x = _part(g, x, axis, start, size)
    return x


def _part(g: Graph, x: Value, axis: int, start: Value, size: int) -> Value:
    """So many elements along an axis, from one on."""
    if size == x.shape[axis]:
        return x
    x = g.whole(x, [axis])
    ends = _ends(g, start, size, x.shape[axis])
    dims, shape = ((*part[:axis], size, *part[axis + 1 :]) for part in (x.dims, x.shape))
    return g.node("Slice", [x, *ends, Value.known(np.array([axis], np.int64))], x.dtype, dims).shaped(shape)


@primitive("dynamic_update_slice")
def _dynamic_update_slice(g: Graph, _: Any, x: Value, new: Value, *starts: Value) -> Value:
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
    x = g.whole(x)
    first, last = (Value.known(np.array([end])) for end in (0, np.iinfo(np.int64).max))
    start, end = _ends(g, start, new.shape[axis], x.shape[axis])
    along, dims = Value.known(np.array([axis], np.int64)), (*x.dims[:axis], None, *x.dims[axis + 1 :])
    before, after = (g.node("Slice", [x, *ends, along], x.dtype, dims) for ends in ((first, start), (end, last)))
    return g.node("Concat", [before, g.whole(new), after], x.dtype, x.dims, axis=axis)


def _ends(g: Graph, start: Value, size: int, length: Any) -> tuple[Value, Value]:
    """The two ends of a slice, which lies inside of its axis: (1,) int64."""
    if not isinstance(length, int):
        raise NotImplementedError("a slice of rows")
    at = g.reshaped(g.cast(start, "int64"), (1,))
    if at.array is not None:
        first = np.clip(at.array, 0, length - size)
        return Value.known(first), Value.known(first + size)
    at = elementwise(g, "Max", [at, scalar(0, "int64")])
    at = elementwise(g, "Min", [at, scalar(length - size, "int64")])
    return at, elementwise(g, "Add", [at, scalar(size, "int64")])


def row_at(g: Graph, stack: Value, at: Value) -> Value:
    """A row of a stack; of one that is broadcast over rows, the only one."""
    if isinstance(stack.dims[0], int) and stack.dims[0] == 1:
        return g.reshaped(stack, stack.dims[1:], stack.shape[1:])
    return g.node("Gather", [stack, at], stack.dtype, stack.dims[1:], axis=0).shaped(stack.shape[1:])
