"""Sampling a step against a loop of PyTorch's `LSTMCell`: python benchmarks/generate.py.

One layer, V = 64 symbols, float32, T = 192 steps; both draw from the softmax. Unspool draws by one uniform and the
inverse of the cumulative distribution, PyTorch by `multinomial`.
"""

import numpy as np
import torch
from common import ceiling, in_turn, report

from unspool.generation.engine import LONG, Request, chunks
from unspool.network.heads.symbols import Categorical
from unspool.network.net import Net, Shape, Symbols
from unspool.network.rules import PLAIN
from unspool.options import Network

V, T = 64, 192


def parity(net: Net) -> None:
    """Each sequence is the one that it would be alone."""
    alone = next(chunks(net, Request((np.zeros(1, np.int32),), 1, 0, PLAIN, T, T), slice(0, 1), LONG))
    many = next(chunks(net, Request((np.zeros(1, np.int32),), 16, 0, PLAIN, T, T), slice(0, 16), LONG))
    np.testing.assert_array_equal(alone.values[0][:, 0], many.values[0][:, 0])


def torch_loop(H: int, B: int):  # type: ignore[no-untyped-def]
    """The same job in PyTorch."""
    embedding, cell, head = torch.nn.Embedding(V, H), torch.nn.LSTMCell(H, H), torch.nn.Linear(H, V)

    @torch.inference_mode()
    def run() -> None:
        h = c = torch.zeros(B, H)
        x = torch.zeros(B, dtype=torch.long)
        for _ in range(T):
            h, c = cell(embedding(x), (h, c))
            x = torch.multinomial(head(h).softmax(-1), 1)[:, 0]

    return run


def main() -> None:
    """Measure."""
    rows = []
    for H in (64, 128, 256, 512):
        net = Net(np.random.default_rng(0), Shape((Symbols(2),), (Categorical(V),), False, H, 32, Network()))
        parity(net)
        for B in (1, 16, 256):
            request = Request((np.zeros(1, np.int32),), B, 0, PLAIN, T, T)
            ours = lambda net=net, request=request, B=B: list(chunks(net, request, slice(0, B), LONG))  # noqa: E731
            a, b, best = in_turn(ours, torch_loop(H, B), ceiling(B, H, 4 * H + V, T), rounds=5)
            rows.append(
                {
                    "job": f"step H={H} B={B} V={V}",
                    "unspool": a / T,
                    "competitor": b / T,
                    "ratio": b / a,
                    "share_of_ceiling": best / a,
                }
            )
    report("generate", rows)


if __name__ == "__main__":
    main()
