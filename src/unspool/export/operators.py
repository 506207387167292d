"""JAX's primitives in operators of ONNX, element by element; and the table of all, from the name of a primitive."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unspool.export.graph import Dims, Graph, Value

Handler = Callable[..., Any]
"""From a graph, the parameters of a primitive with `out`, the arrays it gives, and its operands, to its value."""
PRIMITIVES: dict[str, Handler] = {}
"""Those of this module, of `unspool.export.shapes` and of `unspool.export.indexing`; primitives with bodies are in
`unspool.export.translate`."""
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
LOGICAL = {
    "and": ("And", "BitwiseAnd"),
    "or": ("Or", "BitwiseOr"),
    "xor": ("Xor", "BitwiseXor"),
    "not": ("Not", "BitwiseNot"),
}
"""Of truth values, and of bits."""


def primitive(*names: str, elementwise: bool = False) -> Callable[[Handler], Handler]:
    """Put a function into the table."""

    def register(handler: Handler) -> Handler:
        PRIMITIVES.update(dict.fromkeys(names, handler))
        ELEMENTWISE.update(names if elementwise else ())
        return handler

    return register


def broadcast_dims(values: Sequence[Value]) -> Dims:
    """The dimensions that tensors have when they are broadcast."""
    rank = max(len(value.dims) for value in values)
    padded = [(1,) * (rank - len(value.dims)) + value.dims for value in values]
    return tuple(
        next((n for n in axis if not (isinstance(n, int) and n == 1)), 1) for axis in zip(*padded, strict=True)
    )


def elementwise(g: Graph, kind: str, values: Sequence[Value], dtype: str | None = None, **attributes: Any) -> Value:
    """An operator that broadcasts."""
    return g.node(kind, values, dtype or values[0].dtype, broadcast_dims(values), **attributes)


def scalar(value: Any, dtype: str) -> Value:
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
    for name in ("stop_gradient", "copy", "copy_p", "optimization_barrier", "reduce_precision"):
        primitive(name, elementwise=True)(lambda g, p, *v: list(v))


@primitive("ne", elementwise=True)
def _ne(g: Graph, _: Any, a: Value, b: Value) -> Value:
    return elementwise(g, "Not", [elementwise(g, "Equal", [a, b], "bool")])


@primitive("square", elementwise=True)
def _square(g: Graph, _: Any, x: Value) -> Value:
    return elementwise(g, "Mul", [x, x])


@primitive("integer_pow", elementwise=True)
def _integer_pow(g: Graph, p: Any, x: Value) -> Value:
    return _square(g, p, x) if p["y"] == 2 else elementwise(g, "Pow", [x, scalar(p["y"], x.dtype)])


@primitive("rsqrt", elementwise=True)
def _rsqrt(g: Graph, _: Any, x: Value) -> Value:
    return elementwise(g, "Reciprocal", [elementwise(g, "Sqrt", [x])])


@primitive("is_finite", elementwise=True)
def _is_finite(g: Graph, _: Any, x: Value) -> Value:
    return elementwise(g, "Less", [elementwise(g, "Abs", [x]), scalar(np.inf, x.dtype)], "bool")


@primitive("rem", elementwise=True)
def _rem(g: Graph, _: Any, a: Value, b: Value) -> Value:
    return elementwise(g, "Mod", [a, b], fmod=1)


@primitive("round", elementwise=True)
def _round(g: Graph, p: Any, x: Value) -> Value:
    if int(p["rounding_method"]) == 1:  # ties to the even one
        return elementwise(g, "Round", [x])
    up = elementwise(g, "Floor", [elementwise(g, "Add", [elementwise(g, "Abs", [x]), scalar(0.5, x.dtype)])])
    return elementwise(g, "Mul", [elementwise(g, "Sign", [x]), up])


@primitive("clamp", elementwise=True)
def _clamp(g: Graph, _: Any, low: Value, x: Value, high: Value) -> Value:
    return elementwise(g, "Min", [elementwise(g, "Max", [x, low]), high])


@primitive("select_n", elementwise=True)
def _select_n(g: Graph, p: Any, which: Value, *cases: Value) -> Value:
    if which.dtype != "bool":
        chosen = cases[0]
        for k, case in enumerate(cases[1:], 1):
            chosen = _select_n(g, p, elementwise(g, "Equal", [which, scalar(k, which.dtype)], "bool"), chosen, case)
        return chosen
    no, yes = cases
    if no.dtype != "bool":
        return g.node("Where", [which, yes, no], no.dtype, broadcast_dims([which, yes, no]))
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


_register_plain()
