"""Sampling a step against PyTorch, ONNX Runtime and Keras: python benchmarks/generate.py.

One layer, V = 64 symbols, float32. Unspool, ONNX Runtime and Keras draw by one uniform and the inverse of the
cumulative distribution, PyTorch by `multinomial`, as people write it; parity is that from the same weights and
uniforms all draw the same symbols.
"""

import numpy as np
from common import Sizes, ceiling, geometric, in_turn, line, quick, report
from ours import sampling, symbols, token_net
from peers import Weights, installed, keras_loop, onnx_loop, torch_loop, uniforms_of

PEERS = {
    "PyTorch LSTMCell loop": ("torch", torch_loop),
    "ONNX Runtime Loop": ("onnxruntime", onnx_loop),
    "Keras LSTMCell loop": ("keras", keras_loop),
}


def parity(peers: dict, sizes: Sizes) -> None:  # type: ignore[type-arg]
    """The same uniforms give the same symbols in all, and each sequence is the one that it would be alone."""
    net = token_net(sizes)
    ours = symbols(net, sizes)
    np.testing.assert_array_equal(ours[:, :1], symbols(net, sizes._replace(B=1)))
    for name, (_, loop) in peers.items():
        theirs = loop(Weights.of(net), sizes, uniforms_of(sizes))()
        # In float32 a uniform can fall between two roundings of one bound: once in many thousand draws, at the most.
        same = (theirs == ours).all(0).mean()
        assert same > 0.9, f"{name}: {same:.0%} of the sequences are the same"


def main() -> None:
    """Measure."""
    small = quick()
    units, batches, T, rounds = ((8, 16), (1, 4), 12, 1) if small else ((64, 128, 256, 512), (1, 16, 256), 192, 5)
    peers = {name: peer for name, peer in PEERS.items() if installed(peer[0])}
    rows, groups = [], {}
    for H in units:
        parity(peers, Sizes(H, 16, 32, 64))
        for B in batches:
            sizes = Sizes(H, B, T, 64)
            weights = Weights.of(token_net(sizes))
            loops = [loop(weights, sizes) for _, loop in peers.values()]
            ours, best, *theirs = in_turn(sampling(sizes), ceiling(B, H, 4 * H + 64, T), *loops, rounds=rounds)
            for name, taken in zip(peers, theirs, strict=True):
                row = line(f"sampled step, {sizes}, {name}", ours / T, taken / T, best / ours)
                rows.append(row)
                groups.setdefault(f"sampled step, B={B}, {name}", []).append(row)
    report("generate", rows + [geometric(job, group) for job, group in groups.items()])


if __name__ == "__main__":
    main()
