"""Network, training and generation on a GPU, beside PyTorch with cuDNN: python benchmarks/gpu.py.

First the checks, each against the processor of the same machine: log-probabilities and their gradient from the same
weights, symbols from the same weights and uniforms, and the training of a small model. Then the times of an update
beside `nn.LSTM` and of a sampled step beside a loop over `LSTMCell`, side by side, as `benchmarks/train.py` and
`benchmarks/generate.py` measure them; both sides take the precision of products that is their default. Without a GPU
the program says so and measures nothing; `--quick` then runs the checks on the processor.
"""

import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from common import Row, Sizes, geometric, in_turn, line, quick, report
from ours import sampling, symbols, token_net, training
from peers import Weights, installed, torch_loop, torch_training

import unspool as us
from unspool.network.likelihood import start_decoding, teacher_forced

TOGETHER = 8


def check_network(gpu: jax.Device, cpu: jax.Device, sizes: Sizes) -> list[Row]:
    """Log-probabilities and the gradient of their sum are those of the processor, up to the rounding of float32."""
    net, rng = token_net(sizes, stops=True), np.random.default_rng(0)
    x = rng.integers(0, sizes.V, (sizes.T, sizes.B)).astype(np.int32)
    inputs, last = (np.zeros(sizes.B, np.int32),), np.full(sizes.B, sizes.T - 1, np.int32)

    def total(weights: Any, constants: Any) -> tuple[jax.Array, jax.Array]:
        net = weights.with_constants(constants)
        state, ready = start_decoding(net, inputs, x.size)
        output, _ = teacher_forced(net, ready, state, (x,), net.masks())
        fields, stop = net.log_prob(ready, output, (x,), jnp.arange(sizes.T), last)
        log_prob = fields[..., 0] + stop
        return log_prob.sum() / x.size, log_prob

    def computed(device: jax.Device) -> tuple[Any, np.ndarray]:
        with jax.default_device(device), jax.default_matmul_precision("highest"):
            gradient, log_prob = eqx.filter_jit(eqx.filter_grad(total, has_aux=True))(
                *jax.device_put(net, device).split()
            )
        return [np.asarray(part) for part in jax.tree.leaves(gradient)], np.asarray(log_prob)

    (there, ours), (here, truth) = computed(gpu), computed(cpu)
    np.testing.assert_allclose(ours, truth, atol=1e-3)
    largest = max(float(np.abs(part).max()) for part in here)
    worst = max(float(np.abs(a - b).max()) for a, b in zip(there, here, strict=True))
    assert worst < 1e-3 * largest, f"gradient: {worst:.2g} of {largest:.2g}"
    return [
        line(f"largest distance of a log-probability from the processor's, {sizes}", float(np.abs(ours - truth).max())),
        line(f"largest distance of a gradient from the processor's, of its largest entry, {sizes}", worst / largest),
    ]


def check_generation(gpu: jax.Device, cpu: jax.Device, sizes: Sizes) -> list[Row]:
    """The same weights and uniforms give the same symbols."""
    found = []
    for device in (gpu, cpu):
        with jax.default_device(device), jax.default_matmul_precision("highest"):
            found.append(symbols(token_net(sizes), sizes))
    same = float((found[0] == found[1]).all(0).mean())
    assert same > 0.9, f"{same:.0%} of the sequences are the same"  # a uniform can fall between two roundings
    return [line(f"share of sequences with a distance from the processor's, {sizes}", 1 - same)]


def check_training(small: bool) -> list[Row]:
    """A fit by default options on the devices of this process learns a loaded die, and generates and scores."""
    rng = np.random.default_rng(0)
    rolls = {"die": ["fair", "loaded"] * (20 if small else 500)}
    loaded = [0.1] * 5 + [0.5]
    rolls["rolls"] = [rng.choice(6, 10, p=None if die == "fair" else loaded).tolist() for die in rolls["die"]]
    options = {"network": us.Network(size=8), "training": us.Training(epochs=2)} if small else {}
    model = us.OneToMany("die", "rolls", verbose=False, **options).fit(rolls)
    truth = (np.log(6) - np.dot(loaded, np.log(loaded))) / 2
    nats = -model.score(rolls)
    sixes = np.mean([roll == 5 for rolls in model.generate({"die": ["loaded"]}, n=1_000, seed=0) for roll in rolls])
    if not small:
        assert abs(nats - truth) < 0.05, f"{nats:.3f} nats a step, entropy {truth:.3f}"
        assert abs(sixes - 0.5) < 0.05, f"{sixes:.3f} of the rolls are sixes"
    return [line("nats a step of a die of known entropy", nats, truth)]


def times(device: str, small: bool) -> list[Row]:
    """Updates and sampled steps beside PyTorch's on the same card."""
    rows, groups = [], {}
    peers = installed("torch")
    for H in (8,) if small else (128, 256, 512, 1024):
        for B in (4,) if small else (64, 256):
            sizes = Sizes(H, B, 8 if small else 64, 64)
            jobs = [training(sizes, TOGETHER), *([torch_training(sizes, TOGETHER, device)] if peers else [])]
            ours, *theirs = (taken / TOGETHER for taken in in_turn(*jobs, rounds=1 if small else 5))
            row = line(f"update, {sizes}, PyTorch nn.LSTM", ours, *theirs)
            groups.setdefault("update, PyTorch nn.LSTM", []).append(row)
            rows.append(row)
        weights = token_net(Sizes(H, 1, 1, 64))
        for B in (4,) if small else (1, 256, 4096):
            sizes = Sizes(H, B, 8 if small else 192, 64)
            jobs = [sampling(sizes), *([torch_loop(Weights.of(weights), sizes, device=device)] if peers else [])]
            ours, *theirs = (taken / sizes.T for taken in in_turn(*jobs, rounds=1 if small else 3))
            row = line(f"sampled step, {sizes}, PyTorch LSTMCell loop", ours, *theirs)
            groups.setdefault(f"sampled step, B={B}, PyTorch LSTMCell loop", []).append(row)
            rows.append(row)
    return rows + [geometric(job, group) for job, group in groups.items()]


def main() -> None:
    """Check, then measure."""
    small = quick()
    cpu = jax.devices("cpu")[0]
    gpus = [device for device in jax.devices() if device.platform == "gpu"]
    if not gpus:
        print("JAX finds no GPU here, so nothing is measured", file=sys.stderr)
        if not small:
            sys.exit(1)
    gpu = gpus[0] if gpus else cpu
    print(f"{gpu.device_kind}, jax {jax.__version__}", file=sys.stderr)
    sizes = Sizes(16, 4, 12, 16) if small else Sizes(256, 64, 64, 64)
    rows = [*check_network(gpu, cpu, sizes), *check_generation(gpu, cpu, sizes), *check_training(small)]
    print("checks passed", file=sys.stderr)
    report("gpu", rows + times("cuda" if gpus else "cpu", small), jnp.zeros(1).device.device_kind)


if __name__ == "__main__":
    main()
