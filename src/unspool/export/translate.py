"""A function that JAX can trace becomes a part of a graph: primitive by primitive, constants computed now."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from unspool.errors import OptionError
from unspool.export.composed import COMPOSED
from unspool.export.graph import Graph, Value
from unspool.export.indexing import row_at
from unspool.export.operators import ELEMENTWISE, PRIMITIVES

BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""Parameters that hold the program of a call."""
SMALL = {"broadcast_in_dim", "iota", "transpose", "squeeze", "reshape", "dim_as_value"}
"""Primitives that keep constants as small as they are, which JAX would not."""

NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "abs": np.abs,
    "sign": np.sign, "max": np.maximum, "min": np.minimum, "floor": np.floor, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "and": np.bitwise_and,
    "or": np.bitwise_or, "not": np.invert, "rem": np.fmod, "convert_element_type": np.asarray,
    "select_n": lambda which, no, yes: np.where(which, yes, no),
}  # fmt: skip
"""Primitives of constants that NumPy computes to the bit as JAX does, in a thousandth of the time of compiling them."""


def call(g: Graph, function: Callable[..., Any], *args: Any) -> Any:
    """What a function gives for trees of values, as a tree of values; its nodes are in the graph.

    Raises:
        OptionError: it needs a primitive that has no place in ONNX here.
    """
    leaves, tree = flattened(args)
    leaves = [leaf if isinstance(leaf, Value) else _constant(leaf) for leaf in leaves]
    found: list[Any] = []

    def flat(*arrays: Any) -> list[Any]:
        out, structure = jax.tree.flatten(function(*tree.unflatten(arrays)))
        found.append(structure)
        return out

    closed = jax.make_jaxpr(flat)(*(value.struct for value in leaves))
    return found[-1].unflatten(_run(g, closed, leaves))


def flattened(tree: Any) -> tuple[list[Any], Any]:
    """The leaves of a tree, and its structure."""
    leaves, structure = jax.tree.flatten(tree)
    return leaves, structure


def _constant(number: Any) -> Value:
    """Numbers as JAX has them."""
    array = np.asarray(number)
    return Value.known(array.astype(jax.dtypes.canonicalize_dtype(array.dtype)))


def _run(g: Graph, closed: Any, args: Sequence[Value]) -> list[Value]:
    """The values that a closed program gives."""
    jaxpr = closed.jaxpr
    known: dict[Any, Value] = {
        var: Value.known(const) for var, const in zip(jaxpr.constvars, closed.consts, strict=True)
    }
    known |= dict(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Value:
        if isinstance(atom, Literal):
            return Value.known(np.asarray(atom.val, cast(Any, atom.aval).dtype))
        return known[atom]

    for eqn in jaxpr.eqns:
        out = _equation(g, eqn, [read(atom) for atom in eqn.invars])
        for var, value in zip(eqn.outvars, out, strict=True):
            known[var] = value.shaped(var.aval.shape) if value.shape != var.aval.shape else value
    return [read(atom) for atom in jaxpr.outvars]


def _equation(g: Graph, eqn: Any, inputs: list[Value]) -> list[Value]:
    """The values that one equation gives."""
    name, params = eqn.primitive.name, eqn.params
    shapes = [n for part in (*inputs, *(var.aval for var in eqn.outvars)) for n in part.shape]
    if all(value.array is not None for value in inputs) and name not in SMALL:
        if name in ELEMENTWISE or name in COMPOSED:
            return _folded(
                eqn, np.broadcast_arrays(*(np.reshape(cast(Any, value.array), value.dims) for value in inputs))
            )
        if inputs and all(isinstance(n, int) for n in shapes) and not any(key in params for key in BODIES):
            return _folded(eqn, [g.whole(value).array for value in inputs])
    if name in CONTROL:
        return CONTROL[name](g, params, inputs)
    body = next((params[key] for key in BODIES if key in params), None)
    if body is not None:
        return _run(g, body, inputs)
    if name in COMPOSED:
        return [call(g, COMPOSED[name], *(value.shaped(value.dims) for value in inputs))]
    try:
        out = PRIMITIVES[name](g, {**params, "name": name}, *inputs)
    except (KeyError, NotImplementedError) as error:
        why = f"{name}, which has no operator" if isinstance(error, KeyError) else f"{name}: {error}"
        hint = "Choose another distribution or rule; what is exported is in docs/guide.md."
        raise OptionError("export", "operations that ONNX has", why, hint) from error
    return out if isinstance(out, list) else [out]


def _folded(eqn: Any, arrays: Sequence[Any]) -> list[Value]:
    """What an equation gives for constants: by NumPy where that is exact and known, else by JAX, which compiles."""
    name, exact = eqn.primitive.name, NUMPY.get(eqn.primitive.name)
    whole = name == "div" and arrays[0].dtype.kind in "iu"  # JAX rounds towards zero
    if exact is None or whole or (name == "select_n" and len(arrays) != 3):
        out = eqn.primitive.bind(*map(jnp.asarray, arrays), **eqn.params)
        return [Value.known(part) for part in (out if eqn.primitive.multiple_results else [out])]
    with np.errstate(all="ignore"):
        return [Value.known(np.asarray(exact(*arrays), eqn.outvars[0].aval.dtype))]


# ---- primitives with bodies -------------------------------------------------------------------------------------


def _scan(g: Graph, p: Any, inputs: list[Value]) -> list[Value]:
    split = p["num_consts"], p["num_consts"] + p["num_carry"]
    consts, carry, stacks = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]
    last = Value.known(np.array(p["length"] - 1, np.int64))

    def body(turn: Value, carry: list[Value]) -> tuple[None, list[Value], list[Value]]:
        at = g.node("Sub", [last, turn], "int64", ()) if p["reverse"] else turn
        rows = [row_at(g, stack, at) for stack in stacks]
        out = _run(g, p["jaxpr"], [*consts, *carry, *rows])
        return None, out[: len(carry)], out[len(carry) :]

    carried, stacked = g.loop(body, carry, Value.known(np.array(p["length"], np.int64)))
    made = [value.shaped((p["length"], *value.shape[1:])) for value in stacked]
    made = [Value(v.shape, v.shape, v.dtype, v.name, None, v.depth) for v in made]
    if p["reverse"]:
        back = Value.known(np.arange(p["length"] - 1, -1, -1))
        made = [g.node("Gather", [v, back], v.dtype, v.dims, axis=0) for v in made]
    return [*carried, *made]


def _while(g: Graph, p: Any, inputs: list[Value]) -> list[Value]:
    split = p["cond_nconsts"], p["cond_nconsts"] + p["body_nconsts"]
    of_cond, of_body, carry = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]

    def body(_: Value, carry: list[Value]) -> tuple[Value, list[Value], list[Value]]:
        carry = _run(g, p["body_jaxpr"], [*of_body, *carry])
        return _run(g, p["cond_jaxpr"], [*of_cond, *carry])[0], carry, []

    return g.loop(body, carry, None, _run(g, p["cond_jaxpr"], [*of_cond, *carry])[0])[0]


def _cond(g: Graph, p: Any, inputs: list[Value]) -> list[Value]:
    which, *operands = inputs
    branches = [lambda body=body: _run(g, body, operands) for body in p["branches"]]

    def choose(first: int) -> list[Value]:
        if first == len(branches) - 1:
            return branches[first]()
        here = g.node("LessOrEqual", [which, Value.known(np.array(first, which.dtype))], "bool", ())
        return g.choose(here, [branches[first], lambda: choose(first + 1)])

    return choose(0)


CONTROL: dict[str, Callable[..., list[Value]]] = {"scan": _scan, "while": _while, "cond": _cond}
