"""The programs that are exported: a whole generation, and one step of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unspool.export.graph import Graph, Value
from unspool.export.indexing import row_at
from unspool.export.translate import call, flattened
from unspool.generation.sample_step import BLOCK_STEPS, BatchRequest, SamplerState, sample_step, start_sampling
from unspool.generation.sampler import SampleRequest
from unspool.network.decoder import Net, Precomputed
from unspool.runtime.threefry import uniforms

MANY_ROWS = 2**30
"""Rows that JAX may suppose at the least while it traces, which decides nothing but that tables are folded."""


class ExportedProgram:
    """What a request generates, as a graph.

    Attributes:
        inputs: names of the inputs; empty where the network has a constant one.
        steps: names of the network's fields of a step.
        own: by field, whether where its sums start, and the ends of its support, are inputs of the graph: they depend
            on the value before step 0.
        stopping: whether the network decides the end.
        state: of a step, names and shapes of the arrays that go from step to step.
    """

    def __init__(self, net: Net, request: SampleRequest, inputs: list[str], steps: list[str], own: list[bool]) -> None:
        self.net, self.request, self.inputs, self.steps, self.own = net, request, inputs, steps, own
        self.g = Graph(jax.export.symbolic_shape("b", constraints=[f"b >= {MANY_ROWS}"])[0])
        self.stopping = request.stopping(net)
        self.state: dict[str, tuple[str, list[Any]]] = {}

    def generation(self) -> Graph:
        """From a seed, rows, numbers of samples and inputs to values, lengths and ends."""
        g, net, total = self.g, self.net, self.request.max_steps
        seed = g.input("seed", "uint64", ())
        upper = g.node("BitShift", [seed, Value.known(np.uint64(32))], "uint64", (), direction="RIGHT")
        words = call(g, lambda *words: jnp.stack(words), g.cast(upper, "uint32"), g.cast(seed, "uint32"))
        row, sample = (g.cast(self._rows(name, "int64"), "int32") for name in ("row", "sample"))
        fields, sums, supports = self._fields(), self._sums(), self._supports()
        state, ready = call(g, lambda fields, sums: start_sampling(net, fields, sums), fields, sums)
        begin, tree = flattened(state)
        block = min(BLOCK_STEPS, total)

        def some_steps(first: Value, trips: Value, carry: list[Value]) -> tuple[Any, list[Value], list[Value]]:
            """Steps from one on, until all sequences have ended; their uniforms come at once, before the loop."""

            def drawn(words: Any, row: Any, sample: Any, first: Any) -> Any:
                return uniforms(words, row, sample, first + jnp.arange(block), net.shape.num_uniforms)

            def step(ready: Any, supports: Any, state: SamplerState, number: Any, u: Any) -> Any:
                state, made = self._step(ready, supports, state, number, u)
                return made[-1].any(), jax.tree.leaves(state), jax.tree.leaves(made)

            def body(turn: Value, carry: list[Value]) -> tuple[Value | None, list[Value], list[Value]]:
                number = call(g, lambda first, turn: first + turn, first, g.cast(turn, "int32"))
                on, carry, made = call(g, step, ready, supports, tree.unflatten(carry), number, row_at(g, u, turn))
                return on if self.stopping else None, carry, made

            u = call(g, drawn, words, row, sample, first)
            carry, made = g.loop(body, carry, trips)
            on = call(g, lambda done: ~done.all(), tree.unflatten(carry).done)
            return on if self.stopping else None, carry, made

        if total == block:
            _, _, made = some_steps(Value.known(np.int32(0)), Value.known(np.int64(total)), begin)
        else:
            made = self._in_blocks(some_steps, begin, block)
        *values, alive = made
        along = Value.known(np.array([0], np.int64))
        length = g.node("ReduceSum", [g.cast(alive, "int32"), along], "int32", (g.rows,), keepdims=0)
        ended = self.request.ends or not self.stopping
        longest = g.reshaped(g.cast(call(g, lambda length: length.max(), length), "int64"), (1,))
        for name, value in zip(self.steps, values, strict=True):
            g.output(f"step.{name}", self._by_row(value, longest))
        g.output("length", g.cast(length, "int64"))
        g.output("ended", call(g, lambda length: (length < total) | ended, length))
        return g

    def _in_blocks(self, some_steps: Any, begin: list[Value], block: int) -> list[Value]:
        """Values and which of them are real, block after block, so that uniforms need memory for one block alone."""
        g, total, count = self.g, self.request.max_steps, len(begin)
        events = self.net.shape.steps.events
        more = [() if event.members is None else (event.members,) for event in events]
        types = ["float32" if event.symbols is None else "int32" for event in events]
        nothing = [self._nothing(dtype, shape) for dtype, shape in zip([*types, "bool"], [*more, ()], strict=True)]

        def body(turn: Value, carry: list[Value]) -> tuple[Value | None, list[Value], list[Value]]:
            def first_of(turn: Any) -> Any:
                return turn * block, jnp.minimum(block, total - turn * block)

            first, trips = call(g, first_of, g.cast(turn, "int32"))
            on, state, made = some_steps(first, g.cast(trips, "int64"), carry[:count])
            joined = [
                g.node("Concat", [old, new], old.dtype, old.shape, axis=0)
                for old, new in zip(carry[count:], made, strict=True)
            ]
            return on, [*state, *joined], []

        blocks = Value.known(np.int64(-(-total // block)))
        return g.loop(body, [*begin, *nothing], blocks)[0][count:]

    def _nothing(self, dtype: str, more: tuple[int, ...]) -> Value:
        """No steps yet."""
        shape = self.g.integers([0, self.g.rows, *more])
        zero = self.g.node("ConstantOfShape", [shape], "float32", (None, self.g.rows, *more))
        return self.g.cast(zero, dtype)

    def _by_row(self, value: Value, longest: Value) -> Value:
        """(T, B, ...) values as (B, T, ...), without steps that no sequence has."""
        g, order = self.g, [1, 0, *range(2, len(value.shape))]
        start, axis = (Value.known(np.array([0], np.int64)) for _ in range(2))
        cut = g.node("Slice", [value, start, longest, axis], value.dtype, value.shape)
        return g.node("Transpose", [cut], value.dtype, tuple(value.shape[k] for k in order), perm=order)

    def step(self) -> Graph:
        """From a state, numbers of steps, uniforms and inputs to the next state, values and parameters.

        A row whose number is 0 begins: its state is read from its inputs.
        """
        g, net = self.g, self.net
        number = self._rows("number", "int64")
        u = self._rows("uniforms", "float32", net.shape.num_uniforms)
        fields, sums, supports = self._fields(), self._sums(), self._supports()

        def start(fields: Any, sums: Any) -> Any:
            state, ready = start_sampling(net, fields, sums)
            return state, ready.constants

        structs = jax.tree.map(lambda value: value.struct, (fields, sums))
        shapes, tree = flattened(jax.eval_shape(start, *structs))
        given = [g.input(f"state.{k}", like.dtype.name, like.shape) for k, like in enumerate(shapes)]
        for value in given:
            self.state[str(value.name)] = value.dtype, [n if isinstance(n, int) else "B" for n in value.shape]
        first = call(g, lambda number: number == 0, g.cast(number, "int32"))

        def begun() -> list[Value]:
            new = jax.tree.leaves(call(g, start, fields, sums))
            return [self._chosen(first, *pair) for pair in zip(new, given, strict=True)]

        begins = call(g, lambda first: first.any(), first)
        state, constants = tree.unflatten(g.choose(begins, [begun, lambda: given]))
        tables = call(g, lambda: net.precompute(jnp.zeros((1, net.context_bias.shape[0])), MANY_ROWS))
        ready = tables._replace(constants=constants)

        def one(ready: Any, supports: Any, state: SamplerState, number: Any, u: Any) -> Any:
            after, (values, alive) = self._step(ready, supports, state, number, u)
            return after, values, alive, self._parameters(ready, state, values, number)

        after, values, alive, (hazard, params) = call(g, one, ready, supports, state, g.cast(number, "int32"), u)
        for name, value, own in zip(self.steps, values, params, strict=True):
            g.output(f"step.{name}", value)
            g.output(f"params.{name}", own)
        g.output("alive", alive)
        if hazard is not None:
            g.output("hazard", hazard)
        for k, value in enumerate(jax.tree.leaves((after, constants))):
            g.output(f"next.{k}", value)
        return g

    def _step(self, ready: Any, supports: Any, state: SamplerState, number: Any, u: Any) -> Any:
        none: Any = None  # the program has its uniforms, and asks neither for a seed nor for the end
        request = BatchRequest(none, none, none, none, none, self.request.rule, supports, None)
        return sample_step(self.net, ready, request, self.stopping, state, (number, u, None))

    def _parameters(self, ready: Precomputed, state: SamplerState, values: Any, number: Any) -> Any:
        """The hazard of stopping, and the parameters of every field given the values of those before it."""
        net = self.net
        output, _ = net.step(ready, state.decoder.feedback, state.decoder.lstm, net.masks())
        context, params = net.outputs.begin(output), []
        for j, value in enumerate(values):
            params.append(net.outputs.params(context, j))
            context = net.condition_on(ready, context, j, value)
        return net.hazard(output, number) if self.stopping else None, params

    def _chosen(self, first: Value, new: Value, old: Value) -> Value:
        """An array of the state, with new rows where a sequence begins."""
        axis = next(k for k, n in enumerate(old.shape) if not isinstance(n, int))
        shape = [1] * len(old.shape)
        shape[axis] = -1
        return call(self.g, lambda first, new, old: jnp.where(first.reshape(shape), new, old), first, new, old)

    # ---- inputs of the graph ------------------------------------------------------------------------------------

    def _rows(self, name: str, dtype: str = "float32", *more: int) -> Value:
        """An input with a row for each sequence."""
        return self.g.input(name, dtype, (self.g.rows, *more))

    def _everywhere(self, number: Any, dtype: str = "float32") -> Value:
        """A number that is that of every row."""
        return Value.known(np.asarray(number, dtype).reshape(1), (self.g.rows,))

    def _fields(self) -> tuple[Value, ...]:
        """The encoded inputs."""
        if not self.inputs:
            return (self._everywhere(0, "int32"),)
        return tuple(
            self._rows(f"input.{name}", "float32", event.members or 1)
            if event.symbols is None
            else self._rows(f"input.{name}", "int32")
            for name, event in zip(self.inputs, self.net.shape.inputs.events, strict=True)
        )

    def _sums(self) -> tuple[Any, ...]:
        """By field, where running sums start."""
        found: list[Any] = []
        for name, origins, own in zip(self.steps, self.request.origins, self.own, strict=True):
            if origins is None:
                found.append(None)
            else:
                found.append(self._rows(f"start.{name}") if own else self._everywhere(origins.start[0]))
        return tuple(found)

    def _supports(self) -> tuple[Any, ...]:
        """By field, what samples lie in."""
        found: list[Any] = []
        for name, support, own in zip(self.steps, self.request.supports, self.own, strict=True):
            if support is None or support.symbols is not None:
                found.append(support)
            elif own:
                found.append(support._replace(low=self._rows(f"low.{name}"), high=self._rows(f"high.{name}")))
            else:
                low, high = (self._everywhere(end[0]) for end in (support.low, support.high))
                found.append(support._replace(low=low, high=high))
        return tuple(found)
