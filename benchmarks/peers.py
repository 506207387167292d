"""The same jobs in PyTorch, ONNX Runtime and Keras, from the same weights, so that parity can be asserted."""

import importlib.util
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from common import Sizes

from unspool.network.decoder import Net
from unspool.runtime.threefry import seed_words, uniforms

os.environ.setdefault("KERAS_BACKEND", "jax")  # the fastest of its back ends on a CPU


class Weights(NamedTuple):
    """A token model as everybody knows it: embedding, LSTM with gates `ifgo`, linear layer, and a start.

    Attributes:
        embedding: (V, D).
        input: (D, 4H).
        recurrent: (H, 4H).
        bias: (4H,), with all that the context adds.
        dist: (H, V) and (V,).
        h: (H,) state before the first step.
        c: (H,) likewise.
    """

    embedding: np.ndarray
    input: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    distribution: tuple[np.ndarray, np.ndarray]
    h: np.ndarray
    c: np.ndarray

    @classmethod
    def of(cls, net: Net) -> "Weights":
        """Of a fresh net: its start vector and the direct path to the distributions are still zero."""
        state, context = net.encode((jnp.zeros(1, jnp.int32),))
        Z = 4 * net.shape.size
        assert not np.any(net.start)
        assert not np.any(net.feedback[0][..., Z:])
        return cls(
            np.asarray(net.steps[0].rows[0, :-1]),
            np.asarray(net.feedback[0][0, :, :Z]),
            np.asarray(net.cells[0].R),
            np.asarray(net.precompute(context, 1).constants[0][0]),
            (np.asarray(net.outputs.A), np.asarray(net.outputs.b)),
            np.asarray(state.h[0, 0]),
            np.asarray(state.c[0, 0]),
        )


def uniforms_of(sizes: Sizes) -> np.ndarray:
    """(T, B): the uniforms that `ours.sample` draws with."""
    rows, samples = jnp.zeros(sizes.B, jnp.int32), jnp.arange(sizes.B)
    return np.array(uniforms(seed_words(0), rows, samples, jnp.arange(sizes.T), 1)[..., 0])


def installed(name: str) -> bool:
    """Whether a peer is there; the extra `bench` brings all of them."""
    return importlib.util.find_spec(name) is not None


# ---- PyTorch ------------------------------------------------------------------------------------------------------


def torch_training(sizes: Sizes, together: int, device: str = "cpu") -> Callable[[], Any]:
    """`nn.LSTM` with Adam, an embedding of width H before it and a linear layer after it."""
    import torch

    H, V = sizes.H, sizes.V
    layers = torch.nn.Embedding(V, H), torch.nn.LSTM(H, H), torch.nn.Linear(H, V)
    embedding, lstm, dist = (layer.to(device) for layer in layers)
    weights = [*embedding.parameters(), *lstm.parameters(), *dist.parameters()]
    optimiser = torch.optim.Adam(weights, fused=True)
    x = torch.randint(0, V, (sizes.T, sizes.B), device=device)

    def run() -> None:
        for _ in range(together):
            optimiser.zero_grad(set_to_none=True)
            scores = dist(lstm(embedding(x))[0])
            torch.nn.functional.cross_entropy(scores.flatten(0, 1), x.flatten()).backward()
            optimiser.step()
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def torch_loop(
    weights: Weights, sizes: Sizes, given: np.ndarray | None = None, device: str = "cpu"
) -> Callable[[], Any]:
    """A loop over `LSTMCell` that draws with `multinomial`, or with given uniforms."""
    import torch

    cell = torch.nn.LSTMCell(weights.input.shape[0], sizes.H)
    dist = torch.nn.Linear(sizes.H, sizes.V)

    def tensor(values: np.ndarray) -> Any:
        return torch.tensor(values, dtype=torch.float32, device=device)

    cell, dist = cell.to(device), dist.to(device)
    with torch.no_grad():
        for theirs, ours in (
            (cell.weight_ih, weights.input.T),
            (cell.weight_hh, weights.recurrent.T),
            (cell.bias_ih, weights.bias),
            (cell.bias_hh, np.zeros(4 * sizes.H)),
            (dist.weight, weights.distribution[0].T),
            (dist.bias, weights.distribution[1]),
        ):
            theirs.copy_(tensor(ours))
    embedding = torch.nn.Embedding.from_pretrained(tensor(np.vstack([weights.embedding, 0 * weights.embedding[:1]])))
    u = None if given is None else torch.tensor(given, device=device)

    @torch.inference_mode()
    def run() -> np.ndarray:
        h, c = (tensor(part).expand(sizes.B, -1) for part in (weights.h, weights.c))
        x = torch.full((sizes.B,), sizes.V, device=device)  # the row of zeros, for the start
        sampled = []
        for t in range(sizes.T):
            h, c = cell(embedding(x), (h, c))
            p = dist(h).softmax(-1)
            x = torch.multinomial(p, 1)[:, 0] if u is None else (p.cumsum(-1) <= u[t, :, None]).sum(-1)
            sampled.append(x)
        return torch.stack(sampled).cpu().numpy()

    return run


# ---- Keras --------------------------------------------------------------------------------------------------------


def keras_training(sizes: Sizes, together: int) -> Callable[[], Any]:
    """`keras.layers.LSTM` with Adam, by `train_on_batch`."""
    import keras

    layers = [
        keras.layers.Embedding(sizes.V, sizes.H),
        keras.layers.LSTM(sizes.H, return_sequences=True),
        keras.layers.Dense(sizes.V),
    ]
    model = keras.Sequential([keras.Input((sizes.T,), dtype="int32"), *layers])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).integers(0, sizes.V, (sizes.B, sizes.T), np.int32)

    def run() -> None:
        for _ in range(together):
            model.train_on_batch(x, x)

    return run


def keras_loop(weights: Weights, sizes: Sizes, given: np.ndarray | None = None) -> Callable[[], Any]:
    """A loop over a compiled model of one `LSTMCell` step."""
    import keras

    D = weights.input.shape[0]
    embedding, cell = keras.layers.Embedding(sizes.V + 1, D), keras.layers.LSTMCell(sizes.H)
    dist = keras.layers.Dense(sizes.V, activation="softmax")
    x, h, c = keras.Input((), dtype="int32"), keras.Input((sizes.H,)), keras.Input((sizes.H,))
    out, state = cell(embedding(x), [h, c])
    model = keras.Model([x, h, c], [dist(out), *state])
    embedding.set_weights([np.vstack([weights.embedding, np.zeros((1, D), np.float32)])])
    cell.set_weights([weights.input, weights.recurrent, weights.bias])
    dist.set_weights(list(weights.distribution))
    u = uniforms_of(sizes) if given is None else given

    def run() -> np.ndarray:
        x = np.full(sizes.B, sizes.V, np.int32)
        h, c = (np.tile(part, (sizes.B, 1)) for part in (weights.h, weights.c))
        sampled = []
        for t in range(sizes.T):
            p, h, c = model.predict_on_batch([x, h, c])
            x = (np.cumsum(p, -1) <= u[t, :, None]).sum(-1, dtype=np.int32)
            sampled.append(x)
        return np.stack(sampled)

    return run


# ---- ONNX Runtime -------------------------------------------------------------------------------------------------


def onnx_loop(weights: Weights, sizes: Sizes, given: np.ndarray | None = None) -> Callable[[], Any]:
    """One `Loop` node over an LSTM step, softmax and inverse of the cumulative distribution; embedding folded."""
    import onnxruntime

    session = onnxruntime.InferenceSession(_graph(weights).SerializeToString(), providers=["CPUExecutionProvider"])
    u = uniforms_of(sizes) if given is None else given
    h, c = (np.tile(part, (sizes.B, 1)) for part in (weights.h, weights.c))
    feeds = {"u": u, "h0": h, "c0": c, "x0": np.tile(weights.bias, (sizes.B, 1))}
    return lambda: session.run(["symbols"], feeds)[0]


def _graph(weights: Weights) -> Any:
    """The whole generation as one ONNX model: uniforms (T, B) and a state in, symbols (T, B) out."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    H, V = weights.distribution[0].shape
    constants = {
        "table": weights.embedding @ weights.input + weights.bias,
        "R": weights.recurrent,
        "A": weights.distribution[0],
        "a": weights.distribution[1],
        "last": np.array([V - 1]),
        "one": np.array([1]),
        "axis": np.array(1),
    }
    nodes = [
        ("MatMul", ["h", "R"], ["hR"]),
        ("Add", ["x", "hR"], ["z"]),
        ("Split", ["z"], ["zi", "zf", "zg", "zo"], {"axis": 1, "num_outputs": 4}),
        *(("Sigmoid", [f"z{gate}"], [gate]) for gate in "ifo"),
        ("Tanh", ["zg"], ["g"]),
        ("Mul", ["f", "c"], ["kept"]),
        ("Mul", ["i", "g"], ["new"]),
        ("Add", ["kept", "new"], ["c1"]),
        ("Tanh", ["c1"], ["squashed"]),
        ("Mul", ["o", "squashed"], ["h1"]),
        ("MatMul", ["h1", "A"], ["hA"]),
        ("Add", ["hA", "a"], ["scores"]),
        ("Softmax", ["scores"], ["p"], {"axis": 1}),
        ("CumSum", ["p", "axis"], ["cumulative"]),
        ("Gather", ["cumulative", "last"], ["total"], {"axis": 1}),
        ("Gather", ["u", "t"], ["now"], {"axis": 0}),
        ("Unsqueeze", ["now", "one"], ["column"]),
        ("Mul", ["column", "total"], ["level"]),
        ("LessOrEqual", ["cumulative", "level"], ["below"]),
        ("Cast", ["below"], ["ones"], {"to": TensorProto.INT64}),
        ("ReduceSum", ["ones", "one"], ["symbol"], {"keepdims": 0}),
        ("Gather", ["table", "symbol"], ["x1"], {"axis": 0}),
        ("Identity", ["going"], ["on"]),
    ]
    make = lambda op, ins, outs, more=None: helper.make_node(op, ins, outs, **(more or {}))  # noqa: E731
    info = helper.make_tensor_value_info
    real = lambda name, *shape: info(name, TensorProto.FLOAT, shape)  # noqa: E731
    body = helper.make_graph(
        [make(*node) for node in nodes],
        "step",
        [
            info("t", TensorProto.INT64, ()),
            info("going", TensorProto.BOOL, ()),
            *(real(n, "B", w) for n, w in zip("hcx", (H, H, 4 * H), strict=True)),
        ],
        [
            info("on", TensorProto.BOOL, ()),
            *(real(n, "B", w) for n, w in zip(("h1", "c1", "x1"), (H, H, 4 * H), strict=True)),
            info("symbol", TensorProto.INT64, ("B",)),
        ],
    )
    graph = helper.make_graph(
        [
            make("Shape", ["u"], ["steps"], {"start": 0, "end": 1}),
            make("Squeeze", ["steps"], ["T"]),
            make("Loop", ["T", "", "h0", "c0", "x0"], ["h9", "c9", "x9", "symbols"], {"body": body}),
        ],
        "generate",
        [real("u", "T", "B"), real("h0", "B", H), real("c0", "B", H), real("x0", "B", 4 * H)],
        [info("symbols", TensorProto.INT64, ("T", "B"))],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model
