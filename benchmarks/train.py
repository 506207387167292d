"""A training step of a token model against PyTorch and Keras: python benchmarks/train.py.

All have one layer, V = 64 symbols, B = 64 sequences of T = 64 steps, float32, no dropout, Adam; all read an embedding
of the previous symbol and predict the next. Unspool's step holds an encoder, a context and the hazard of stopping
besides.
"""

import jax
import jax.numpy as jnp
import numpy as np
from common import Sizes, ceiling, geometric, in_turn, line, quick, report
from ours import training
from peers import installed, keras_training, torch_training

from unspool.network.lstm import unroll

PEERS = {"PyTorch nn.LSTM": ("torch", torch_training), "Keras LSTM": ("keras", keras_training)}
TOGETHER = 8


def parity(H: int) -> None:
    """Ours and PyTorch's recurrence give the same hidden states for the same weights, and the same gradients."""
    import torch

    T, B = 32, 2
    rng = np.random.default_rng(0)
    R, x, seen = rng.normal(size=(H, 4 * H)) * H**-0.5, rng.normal(size=(T, B, 4 * H)), rng.normal(size=(T, B, H))
    lstm = torch.nn.LSTM(4 * H, H)
    with torch.no_grad():  # the input is the pre-activation itself, so its weights are the identity; both order ifgo
        lstm.weight_ih_l0.copy_(torch.eye(4 * H))
        lstm.weight_hh_l0.copy_(torch.tensor(R.T))
        lstm.bias_ih_l0.zero_()
        lstm.bias_hh_l0.zero_()
    theirs = lstm(torch.tensor(x, dtype=torch.float32))[0]
    (theirs * torch.tensor(seen, dtype=torch.float32)).sum().backward()
    zeros = jnp.zeros((B, H))

    def judged(R: jax.Array) -> tuple[jax.Array, jax.Array]:
        hs, _ = unroll(R, (jnp.asarray(x, jnp.float32),), jnp.zeros((B, 4 * H)), zeros, zeros)
        return (hs * jnp.asarray(seen, jnp.float32)).sum(), hs

    gradient, ours = jax.grad(judged, has_aux=True)(jnp.asarray(R, jnp.float32))
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), atol=2e-5)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(np.asarray(gradient) / scale, lstm.weight_hh_l0.grad.numpy().T / scale, atol=2e-5)


def main() -> None:
    """Measure."""
    small = quick()
    peers = {name: peer for name, (package, peer) in PEERS.items() if installed(package)}
    rows, groups = [], {}
    for H in (8, 16) if small else (64, 128, 256, 512):
        sizes = Sizes(H, 4, 8, 16) if small else Sizes(H, 64, 64, 64)
        parity(H)
        # What must be multiplied: h R forward, dz R^T backward, h^T dz, and the distribution's three products.
        products = 3 * (4 * H + sizes.V) / (4 * H)
        product = ceiling(sizes.B * sizes.T, H, 4 * H, TOGETHER)
        jobs = (training(sizes, TOGETHER), product, *(peer(sizes, TOGETHER) for peer in peers.values()))
        ours, best, *theirs = (taken / TOGETHER for taken in in_turn(*jobs, rounds=1 if small else 5))
        for name, taken in zip(peers, theirs, strict=True):
            row = line(f"update, {sizes}, {name}", ours, taken, products * best / ours)
            rows.append(row)
            groups.setdefault(f"update, {name}", []).append(row)
    report("train", rows + [geometric(job, group) for job, group in groups.items()])


if __name__ == "__main__":
    main()
