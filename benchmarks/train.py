"""A training step of a token model against PyTorch's `nn.LSTM` with Adam: python benchmarks/train.py.

Both have one layer, V = 64 symbols, B = 64 sequences of T = 64 steps, float32, no dropout; both read an embedding of
the previous symbol and predict the next. Unspool's step holds an encoder, a context and the hazard of stopping besides.
"""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from common import ceiling, in_turn, report

from unspool.network.cell import unroll
from unspool.network.heads.symbols import Categorical
from unspool.network.net import Net, Shape, Symbols
from unspool.options import Network
from unspool.training.batches import Bucket
from unspool.training.update import Recipe, copied, start, update

V, B, T, TOGETHER = 64, 64, 64, 4


def parity(H: int) -> None:
    """Ours and PyTorch's recurrence give the same hidden states for the same weights."""
    rng = np.random.default_rng(0)
    R, x = rng.normal(size=(H, 4 * H)) * H**-0.5, rng.normal(size=(T, 2, 4 * H))
    lstm = torch.nn.LSTM(4 * H, H)
    with torch.no_grad():  # the input is the pre-activation itself, so its weights are the identity; both order ifgo
        lstm.weight_ih_l0.copy_(torch.eye(4 * H))
        lstm.weight_hh_l0.copy_(torch.tensor(R.T))
        lstm.bias_ih_l0.zero_()
        lstm.bias_hh_l0.zero_()
        theirs = lstm(torch.tensor(x, dtype=torch.float32))[0].numpy()
    ours, _ = unroll(*(jnp.asarray(a, jnp.float32) for a in (R, x, np.zeros((2, H)), np.zeros((2, H)))))
    np.testing.assert_allclose(np.asarray(ours), theirs, atol=2e-5)


def unspool_step(H: int):  # type: ignore[no-untyped-def]
    """A job that makes `TOGETHER` updates."""
    shape = Shape((Symbols(2),), (Categorical(V),), True, H, 32, Network())
    recipe = Recipe("teacher", 1.0, 0.0)
    rng = np.random.default_rng(0)
    values = jnp.asarray(rng.integers(0, V, (B, T)), jnp.int32)
    bucket = Bucket((jnp.zeros(B, jnp.int32),), (values,), jnp.full(B, T - 1, jnp.int32))
    rows = jnp.tile(jnp.arange(B, dtype=jnp.int32), (TOGETHER, 1))
    ones, rates = jnp.ones((TOGETHER, B)), jnp.full(TOGETHER, 1e-3)
    box = [copied(start(Net(rng, shape), recipe))]

    def run() -> None:
        box[0], total = update(
            recipe,
            box[0],
            bucket,
            rows,
            ones,
            rates,
            rates,
            jnp.int32(TOGETHER),
            jnp.float32(1 / (B * T)),
            jax.random.key(0),
        )
        total.block_until_ready()

    return run


def torch_step(H: int):  # type: ignore[no-untyped-def]
    """The same job in PyTorch."""
    embedding, lstm, head = torch.nn.Embedding(V, H), torch.nn.LSTM(H, H), torch.nn.Linear(H, V)
    weights = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(weights, fused=True)
    x = torch.randint(0, V, (T, B))

    def run() -> None:
        for _ in range(TOGETHER):
            optimiser.zero_grad(set_to_none=True)
            scores = head(lstm(embedding(x))[0])
            torch.nn.functional.cross_entropy(scores.flatten(0, 1), x.flatten()).backward()
            optimiser.step()

    return run


def main() -> None:
    """Measure."""
    rows = []
    for H in (64, 128, 256, 512):
        parity(H)
        # What must be multiplied: h R forward, dz R^T backward, h^T dz, and the head's three products.
        flops = 3 * 2 * B * T * H * (4 * H + V)
        product = ceiling(B * T, H, 4 * H, TOGETHER)
        ours, theirs, best = in_turn(unspool_step(H), torch_step(H), product, rounds=5)
        needed = flops / (2 * B * T * H * 4 * H) * best / TOGETHER
        rows.append(
            {
                "job": f"update H={H} B={B} T={T} V={V}",
                "unspool": ours / TOGETHER,
                "competitor": theirs / TOGETHER,
                "ratio": theirs / ours,
                "share_of_ceiling": needed / (ours / TOGETHER),
            }
        )
    report("train", rows)


if __name__ == "__main__":
    main()
