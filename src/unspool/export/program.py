"""The programs that are exported: a whole generation, and one step of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unspool.export.graph import Graph, Value
from unspool.export.indexing import row_at
from unspool.export.translate import call
from unspool.generation.sample_step import BLOCK_STEPS, BatchRequest, SamplerState, sample_step, start_sampling
from unspool.generation.sampler import SampleRequest
from unspool.network.decoder import Net
from unspool.network.distributions.base import Support
from unspool.runtime.threefry import uniforms

MANY_ROWS = "b >= 1073741824"
"""What JAX may suppose of the number of rows while it traces: tables are folded as for large batches."""


def symbolic_rows() -> Any:
    """The number of rows of a graph, which is known when it runs."""
    return jax.export.symbolic_shape("b", constraints=[MANY_ROWS])[0]


class Program:
    """What a request generates, as parts of a graph.

    Attributes:
        per_row: by field, whether where its sums start, and the ends of its support, are inputs of the graph.
    """

    def __init__(self, net: Net, request: SampleRequest, per_row: list[bool]) -> None:
        self.net, self.request, self.per_row = net, request, per_row
        self.g = Graph(symbolic_rows())
        self.stopping = request.stopping(net)

    def rows_of(self, name: str, dtype: str = "float32", *more: int) -> Value:
        """An input with a row for each sequence."""
        return self.g.input(name, dtype, (self.g.rows, *more))

    def everywhere(self, number: Any) -> Value:
        """A number of the request that is that of every row."""
        return Value.known(np.asarray(number, np.float32).reshape(1), (self.g.rows,))

    def sums(self, names: list[str]) -> tuple[Any, ...]:
        """By field, where running sums start."""
        return tuple(
            None
            if origins is None
            else self.rows_of(f"start.{name}")
            if own
            else self.everywhere(origins.start[0])
            for name, origins, own in zip(names, self.request.origins, self.per_row, strict=True)
        )

    def supports(self, names: list[str]) -> tuple[Any, ...]:
        """By field, what samples lie in."""
        found: list[Any] = []
        for name, support, own in zip(names, self.request.supports, self.per_row, strict=True):
            if support is None or support.symbols is not None:
                found.append(support)
            elif own:
                found.append(Support(self.rows_of(f"low.{name}"), self.rows_of(f"high.{name}")))
            else:
                found.append(Support(self.everywhere(support.low[0]), self.everywhere(support.high[0])))
        return tuple(found)

    def batch(self, seed: Any, row: Any, sample: Any, supports: Any) -> BatchRequest:
        """The request of all rows."""
        return BatchRequest(seed, row, sample, np.int32(0), np.int32(0), self.request.rule, supports, None)  # type: ignore[arg-type]

    def generation(self, inputs: list[str], names: list[str]) -> Graph:
        """The whole: seed, rows, samples and inputs to values, lengths and ends."""
        g, net, request = self.g, self.net, self.request
        seed = g.input("seed", "uint64", ())
        row, sample = (g.cast(self.rows_of(name, "int64"), "uint32") for name in ("row", "sample"))
        words = call(g, lambda high, low: jnp.stack([high, low]), *self._words(seed))
        fields = self.inputs(inputs)
        sums, supports = self.sums(names), self.supports(names)
        state, ready = call(g, lambda fields, sums: start_sampling(net, fields, sums), fields, sums)
        total = request.max_steps
        block = min(BLOCK_STEPS, total)
        leaves, tree = jax.tree.flatten(state)

        def step(first: Value, u: Value, turn: Value, carry: list[Value]) -> tuple[Any, list[Value], list[Value]]:
            number = g.node("Add", [first, g.cast(turn, "int32")], "int32", ())

            def one(ready: Any, supports: Any, state: SamplerState, number: Any, u: Any) -> Any:
                return sample_step(net, ready, self.batch(None, None, None, supports), self.stopping, state, (number, u, None))

            state, made = call(g, one, ready, supports, tree.unflatten(carry), number, row_at(g, u, turn))
            on = call(g, lambda done: ~done.all(), state.done) if self.stopping else None
            return on, jax.tree.leaves(state), jax.tree.leaves(made)

        def steps(block: Value | int, first: Value, carry: list[Value]) -> tuple[list[Value], list[Value]]:
            def numbers(words: Any, row: Any, sample: Any, first: Any) -> Any:
                return uniforms(words, row, sample, first + jnp.arange(block), net.shape.num_uniforms)

            u = call(g, numbers, words, row, sample, first)
            count = Value.known(np.array(block, np.int64))
            return g.loop(lambda turn, carry: step(first, u, turn, carry), carry, count)

        leaves, stacked = steps(block, Value.known(np.int32(0)), leaves)
        return self.finish(stacked, names)

    def finish(self, stacked: list[Value], names: list[str]) -> Graph:
        g = self.g
        *values, alive = stacked
        for name, value in zip(names, values, strict=True):
            order = [1, 0, *range(2, len(value.shape))]
            dims = tuple(value.dims[k] for k in order)
            g.output(f"step.{name}", g.node("Transpose", [value], value.dtype, dims, perm=order))
        counts = g.node("ReduceSum", [g.cast(alive, "int64"), Value.known(np.array([0], np.int64))], "int64", (g.rows,), keepdims=0)
        g.output("length", counts)
        return g

    def _words(self, seed: Value) -> list[Value]:
        high = self.g.node("BitShift", [seed, Value.known(np.uint64(32))], "uint64", (), direction="RIGHT")
        return [self.g.cast(high, "uint32"), self.g.cast(seed, "uint32")]

    def inputs(self, names: list[str]) -> tuple[Value, ...]:
        """The encoded fields of the input."""
        found = []
        for name, array in zip(names, self.request.inputs, strict=True):
            symbols = array.dtype.kind == "i"
            found.append(self.rows_of(f"input.{name}", "int32" if symbols else "float32", *array.shape[1:]))
        return tuple(found)
