"""An ONNX graph under construction: nodes in nested scopes, each in the outermost one that it can be in.

A node that depends on nothing of a loop's body is put before the loop, and two equal nodes of a scope are one. So what
no step changes is computed once, though nobody says so.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 18, 10
"""The oldest operators with bitwise ones, and a form of the file that ONNX Runtime reads since 1.18."""
TYPES = {
    "float32": TensorProto.FLOAT,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "bool": TensorProto.BOOL,
}
"""The element types of ONNX by NumPy's names."""

Dims = tuple[Any, ...]
"""Lengths of axes: whole numbers, or the symbolic number of rows."""


@dataclass(frozen=True, eq=False)
class Value:
    """An array of a program: one of the graph, or one that is known now.

    Attributes:
        shape: that the program gives it.
        dims: those of the tensor, which may be 1 where `shape` has more: most operators broadcast by themselves.
        dtype: NumPy's name of its type.
        name: of the tensor; `None` while it is known and no node needs it.
        array: the numbers, where they are known.
        depth: of the scope that makes it; 0 of the graph itself.
    """

    shape: Dims
    dims: Dims
    dtype: str
    name: str | None = None
    array: NDArray[Any] | None = None
    depth: int = 0

    @classmethod
    def known(cls, array: Any, shape: Dims | None = None) -> "Value":
        """A constant; with a `shape`, one that is broadcast to it."""
        array = np.asarray(array)
        return cls(array.shape if shape is None else shape, array.shape, array.dtype.name, array=array)

    @property
    def struct(self) -> jax.ShapeDtypeStruct:
        """What JAX traces with."""
        return jax.ShapeDtypeStruct(self.shape, np.dtype(self.dtype))

    def shaped(self, shape: Dims) -> "Value":
        """The same tensor, seen as another shape that it is broadcast to."""
        return Value(shape, self.dims, self.dtype, self.name, self.array, self.depth)


def without_ones(dims: Dims) -> Dims:
    """Dimensions without those of one element."""
    return tuple(n for n in dims if not (isinstance(n, int) and n == 1))


@dataclass
class Scope:
    """The nodes of the graph, or of a body inside of it; a `barrier` keeps its nodes in it."""

    nodes: list[Any] = field(default_factory=list)
    made: dict[Any, list[Value]] = field(default_factory=dict)
    barrier: bool = False


class Graph:
    """A graph that grows.

    Attributes:
        rows: the symbolic number of rows; of a dimension that is none, the program makes a constant.
    """

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self.count: Value | None = None
        self.scopes = [Scope()]
        self.initializers: dict[Any, Any] = {}
        self.reshapes: dict[Any, Value] = {}
        self.makers: dict[Any, tuple[str, Sequence[Value | None]]] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.number = 0

    # ---- tensors ------------------------------------------------------------------------------------------------

    def new_name(self) -> str:
        """A name that nothing has yet."""
        self.number += 1
        return f"t{self.number}"

    def input(self, name: str, dtype: str, shape: Dims) -> Value:
        """An input of the graph; the first one with rows tells their number."""
        value = Value(shape, shape, dtype, name)
        self.inputs.append(self._info(name, value))
        if self.count is None and self.rows in shape:
            at = shape.index(self.rows)
            length = self.node("Shape", [value], "int64", (1,), start=at, end=at + 1)
            self.count = length
        return value

    def output(self, name: str, value: Value) -> None:
        """An output of the graph."""
        value = self.whole(value)
        self.scopes[0].nodes.append(helper.make_node("Identity", [self.name(value)], [name]))
        self.outputs.append(self._info(name, value))

    def _info(self, name: str, value: Value) -> Any:
        """Type and shape of a tensor."""
        dims = [n if isinstance(n, int | None) else "B" for n in value.shape]
        return helper.make_tensor_value_info(name, TYPES[value.dtype], dims)

    def name(self, value: Value) -> str:
        """The name of a value's tensor; a constant becomes an initializer, once."""
        if value.name is not None:
            return value.name
        array = np.ascontiguousarray(value.array).reshape(value.dims)
        key = array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()
        if key not in self.initializers:
            self.initializers[key] = numpy_helper.from_array(array, self.new_name())
        found: str = self.initializers[key].name
        return found

    def node(self, kind: str, inputs: Sequence[Value | None], dtype: str, dims: Dims, **attributes: Any) -> Value:
        """The one output of a new node, or of an equal one."""
        return self.nodes(kind, inputs, [(dtype, dims)], **attributes)[0]

    def nodes(
        self, kind: str, inputs: Sequence[Value | None], outputs: Sequence[tuple[str, Dims]], **attributes: Any
    ) -> list[Value]:
        """All outputs of a new node, or of an equal one, in the outermost scope that has its inputs."""
        names = ["" if value is None else self.name(value) for value in inputs]
        depth = max([value.depth for value in inputs if value is not None], default=0)
        barriers = [k for k, scope in enumerate(self.scopes) if scope.barrier]
        depth = max([depth, *barriers[-1:]])
        key = kind, tuple(names), tuple(outputs), repr(sorted(attributes.items()))
        for scope in self.scopes[: depth + 1]:
            if key in scope.made:
                return scope.made[key]
        made = [Value(dims, dims, dtype, self.new_name(), None, depth) for dtype, dims in outputs]
        self.makers[made[0].name] = kind, inputs
        self.add(depth, kind, names, [str(value.name) for value in made], **attributes)
        self.scopes[depth].made[key] = made
        return made

    def made_by(self, value: Value, kind: str) -> list[Value]:
        """The inputs of the node that made a value, if it is of a kind; else none."""
        found, inputs = self.makers.get(value.name, ("", ()))
        return [part for part in inputs if part is not None] if found == kind else []

    def add(self, depth: int, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        """A node in a scope."""
        self.scopes[depth].nodes.append(helper.make_node(kind, list(inputs), list(outputs), **attributes))

    # ---- shapes -------------------------------------------------------------------------------------------------

    def integers(self, numbers: Sequence[Any]) -> Value:
        """Whole numbers as a tensor, some of which may be the number of rows."""
        if all(isinstance(number, (int, np.integer)) for number in numbers):
            return Value.known(np.array(numbers, np.int64))
        parts = []
        for number in numbers:
            if isinstance(number, (int, np.integer)):
                parts.append(Value.known(np.array([number], np.int64)))
            else:
                if number != self.rows or self.count is None:
                    raise NotImplementedError(f"a dimension of {number}")
                parts.append(self.count)
        return parts[0] if len(parts) == 1 else self.node("Concat", parts, "int64", (len(parts),), axis=0)

    def whole(self, value: Value, axes: Sequence[int] | None = None) -> Value:
        """The tensor with all of its shape, or with that of some axes."""
        axes = range(len(value.shape)) if axes is None else axes
        dims = tuple(n if k in axes else d for k, (n, d) in enumerate(zip(value.shape, value.dims, strict=True)))
        if dims == value.dims:
            return value
        if value.array is not None and all(isinstance(n, int) for n in dims):
            array = np.broadcast_to(np.asarray(value.array).reshape(value.dims), dims)
            return Value(value.shape, dims, value.dtype, array=array)
        if value.array is not None and value.array.size == 1:
            one = numpy_helper.from_array(value.array.reshape(1))
            return self.node("ConstantOfShape", [self.integers(dims)], value.dtype, dims, value=one).shaped(value.shape)
        target = self.integers([n if k in axes else 1 for k, n in enumerate(value.shape)])
        return self.node("Expand", [value, target], value.dtype, dims).shaped(value.shape)

    def reshaped(self, value: Value, dims: Dims, shape: Dims | None = None) -> Value:
        """A tensor of other dimensions, of which one may be the number of rows."""
        shape = dims if shape is None else shape
        if dims == value.dims:
            return value.shaped(shape)
        if value.array is not None and all(isinstance(n, int) for n in dims):
            return Value(shape, dims, value.dtype, array=np.asarray(value.array).reshape(dims))
        source = self.reshapes.get(value.name, value)
        if dims == source.dims:
            return source.shaped(shape)
        symbolic = [k for k, n in enumerate(dims) if not isinstance(n, int)]
        if len(symbolic) > 1:
            target = self.integers(dims)
        else:
            target = Value.known(np.array([-1 if k in symbolic else n for k, n in enumerate(dims)], np.int64))
        made = self.node("Reshape", [source, target], value.dtype, dims)
        self.reshapes[made.name] = source
        return made.shaped(shape)

    def same_as(self, value: Value, wide: Value) -> None:
        """Another node gives a value with its axes of one, so that no `Reshape` need put them back.

        Of the two nodes the graph keeps those that something reads.
        """
        self.reshapes[value.name] = wide

    def cast(self, value: Value, dtype: str) -> Value:
        """A tensor of another type."""
        if value.dtype == dtype:
            return value
        if value.array is not None:
            return Value(value.shape, value.dims, dtype, array=np.asarray(value.array).astype(dtype))
        return self.node("Cast", [value], dtype, value.dims, to=TYPES[dtype]).shaped(value.shape)

    # ---- bodies -------------------------------------------------------------------------------------------------

    def loop(
        self,
        body: Callable[[Value, list[Value]], tuple[Value | None, list[Value], list[Value]]],
        carry: Sequence[Value],
        trips: Value | None,
        go_on: Value | None = None,
    ) -> tuple[list[Value], list[Value]]:
        """A `Loop`: what it carries at the end, and what it stacks, of which nobody knows how much.

        Args:
            body: from the number of the turn (int64, a scalar) and what is carried to whether to go on (`None` for
                always), what is carried on, and what is stacked.
            carry: to begin with; it keeps its shape.
            trips: turns at the most, a scalar; `None` for no limit.
            go_on: whether to begin; `None` for yes.
        """
        depth, shapes = len(self.scopes), [value.shape for value in carry]
        # Axes of one stay outside, so that a layer's part of a stack of one layer is the stack.
        carry = [self.reshaped(whole, without_ones(whole.shape)) for whole in map(self.whole, carry)]
        turn, going = (Value((), (), dtype, self.new_name(), None, depth) for dtype in ("int64", "bool"))
        inner = [Value(v.shape, v.shape, v.dtype, self.new_name(), None, depth) for v in carry]
        self.scopes.append(Scope())
        on, carried, stacked = body(turn, [self.reshaped(v, shape) for v, shape in zip(inner, shapes, strict=True)])
        on = going if on is None else on
        carried = [self.cast(self.whole(after), before.dtype) for after, before in zip(carried, carry, strict=True)]
        carried = [self.reshaped(value, without_ones(value.shape)) for value in carried]
        stacked = [self.whole(value) for value in stacked]
        graph = self._body([turn, going, *inner], [on, *carried, *stacked])
        begin = Value.known(np.array(True)) if go_on is None else go_on
        dims = [v.shape for v in carried] + [(None, *v.shape) for v in stacked]
        made = self._place("Loop", [trips, begin, *carry], [*carried, *stacked], dims, body=graph)
        last = [self.reshaped(v, shape) for v, shape in zip(made, shapes, strict=False)]
        return last, made[len(carry) :]

    def choose(self, condition: Value, branches: Sequence[Callable[[], list[Value]]]) -> list[Value]:
        """An `If`: what the first function gives where a scalar is true, or else the second."""
        graphs, made = [], []
        for branch in branches:
            self.scopes.append(Scope(barrier=True))
            made = [self.whole(value) for value in branch()]
            graphs.append(self._body([], made))
        shapes = [value.shape for value in made]
        return self._place("If", [condition], made, shapes, then_branch=graphs[0], else_branch=graphs[1])

    def _body(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Any:
        """The innermost scope as a graph; each of its outputs is a tensor of its own."""
        depth, results = len(self.scopes) - 1, []
        taken = {value.name for value in inputs}
        for value in outputs:
            if value.name is None or value.depth < depth or value.name in taken:
                results.append(self.new_name())
                self.add(depth, "Identity", [self.name(value)], [results[-1]])
            else:
                results.append(value.name)
            taken.add(value.name)
        nodes = self.scopes.pop().nodes
        return helper.make_graph(
            nodes,
            self.new_name(),
            [self._info(str(v.name), v) for v in inputs],
            [self._info(name, v) for name, v in zip(results, outputs, strict=True)],
        )

    def _place(
        self, kind: str, inputs: Sequence[Value | None], like: Sequence[Value], shapes: Sequence[Dims], **bodies: Any
    ) -> list[Value]:
        """A node with bodies, in the innermost scope: they may read anything."""
        depth = len(self.scopes) - 1
        made = [
            Value(shape, shape, v.dtype, self.new_name(), None, depth) for v, shape in zip(like, shapes, strict=True)
        ]
        names = ["" if value is None else self.name(value) for value in inputs]
        self.add(depth, kind, names, [str(value.name) for value in made], **bodies)
        return made

    @property
    def size(self) -> int:
        """Bytes of all constants."""
        return sum(len(item.raw_data) for item in self.initializers.values())

    # ---- the end ------------------------------------------------------------------------------------------------

    def model(self, name: str, metadata: dict[str, str]) -> Any:
        """The whole as an ONNX model, checked."""
        graph = helper.make_graph(self.scopes[0].nodes, name, self.inputs, self.outputs)
        needed: set[str] = set()
        keep_needed(graph, needed)
        graph.initializer.extend(item for item in self.initializers.values() if item.name in needed)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "unspool"
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        return model


def keep_needed(graph: Any, needed: set[str]) -> None:
    """Drop the nodes that nothing reads, in bodies too; `needed` gets the names of all that something reads."""
    needed.update(item.name for item in graph.output)
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    keep_needed(attribute.g, needed)
    kept.reverse()
    del graph.node[:]
    graph.node.extend(kept)
