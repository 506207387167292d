"""Series of two numbers against DeepEcho's PARModel: python benchmarks/par.py.

400 sequences of 50 steps with two numeric columns, and one category as the single input. The process is a noisy
rotation, slow or fast by the category: z_t = 0.95 Rot(angle) z_(t-1) + 0.3 e_t, e_t standard normal. So the likelihood
of the truth is known, and it is of the family that PARModel assumes: Gaussian steps, columns independent given the
past.

Quality is judged on 400 more sequences, in two ways that are the same for both models:

- held-out nats a step, in original units, under each model's own one-step-ahead density;
- the energy distance (Szekely & Rizzo 2013) of whole generated sequences to held-out ones of the same category, as
  vectors of 100 numbers: 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased, so that a perfect model scores about 0.

DeepEcho's licence (BUSL 1.1) forbids services made with it; it comes with the extra `bench` alone.
"""

import sys
import time
from typing import Any

import jax
import numpy as np
import pandas as pd
from common import Row, line, quick, report
from peers import installed

import unspool as us

ANGLE = {"slow": 0.15, "fast": 0.9}
KEEP, NOISE = 0.95, 0.3


def draw(rng: np.random.Generator, kinds: list[str], T: int) -> np.ndarray:
    """(N, T, 2) sequences of the process, started from its stationary distribution."""
    angle = np.array([ANGLE[kind] for kind in kinds])
    turn = KEEP * np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), 2, 0)
    z = rng.normal(size=(len(kinds), 2)) * NOISE / (1 - KEEP**2) ** 0.5
    out = np.empty((len(kinds), T, 2))
    for t in range(T):
        out[:, t] = z
        z = np.einsum("nij,nj->ni", turn, z) + NOISE * rng.normal(size=z.shape)
    return out


def true_nats(T: int) -> float:
    """Nats a step of the truth, the mean over sequences of T steps: the entropy of its Gaussian draws."""
    later = np.log(2 * np.pi * np.e * NOISE**2)
    return later + np.log(1 / (1 - KEEP**2)) / T


def frame(kinds: list[str], z: np.ndarray) -> pd.DataFrame:
    """One row a step."""
    N, T, _ = z.shape
    columns = {"id": np.repeat(np.arange(N), T), "t": np.tile(np.arange(T), N), "kind": np.repeat(kinds, T)}
    return pd.DataFrame({**columns, "x": z[..., 0].ravel(), "y": z[..., 1].ravel()})


def energy(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased energy distance of two samples (N, D), in units of the norm of a typical b."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    apart = lambda u, v: np.linalg.norm(u[:, None] - v[None], axis=-1)  # noqa: E731
    within = lambda u: apart(u, u).sum() / (len(u) * (len(u) - 1))  # noqa: E731
    return float((2 * apart(a, b).mean() - within(a) - within(b)) / np.linalg.norm(b, axis=-1).mean())


class Par:
    """DeepEcho's model."""

    def __init__(self, data: pd.DataFrame, epochs: int) -> None:
        import torch
        from deepecho import PARModel

        torch.manual_seed(0)
        self.model: Any = PARModel(epochs=epochs, cuda=False, verbose=False)
        self.model._verbose = False
        self.model.fit(data, entity_columns=["id"], context_columns=["kind"], sequence_index="t")

    def sample(self, kinds: list[str], T: int) -> np.ndarray:
        """(N, T, 2)."""
        made = self.model.sample(context=pd.DataFrame({"kind": kinds}), sequence_length=T)
        return made[["x", "y"]].to_numpy(float).reshape(len(kinds), T, 2)

    def nats(self, kinds: list[str], z: np.ndarray) -> float:
        """Held-out nats a step: its Gaussians, rescaled, and its probability that nothing is missing."""
        import torch

        model, total = self.model, 0.0
        with torch.no_grad():
            for kind, series in zip(kinds, z, strict=True):
                x = model._data_to_tensor(series.T.tolist())[:-1, None]
                out = model._model(x, model._context_to_tensor([kind])[None])[:-1]
                for key, props in model._data_map.items():
                    if key == "<TOKEN>":
                        continue
                    mu, sigma, missing = props["indices"]
                    normal = torch.distributions.Normal(out[..., mu], torch.nn.functional.softplus(out[..., sigma]))
                    total -= float((normal.log_prob(x[1:, :, mu]) - np.log(props["std"])).sum())
                    total -= float(torch.nn.functional.logsigmoid(-out[..., missing]).sum())
        return total / z.shape[0] / z.shape[1]


class Ours:
    """Unspool with default options, but for the training's."""

    def __init__(self, data: pd.DataFrame, training: us.Training) -> None:
        jax.clear_caches()  # what an earlier fit compiled is no gift to this one
        self.model = us.OneToMany("kind", ["x", "y"], training=training, verbose=False)
        self.model.fit(data, id="id", order="t")

    def sample(self, kinds: list[str], T: int, n: int = 1) -> np.ndarray:
        """(N, T, 2), n for each."""
        made = self.model.generate({"kind": kinds}, n=n, seed=0, length=T)
        return np.stack([made.columns["x"], made.columns["y"]], -1).reshape(-1, T, 2)

    def nats(self, kinds: list[str], z: np.ndarray) -> float:
        """Held-out nats a step."""
        return float(-self.model.log_prob(frame(kinds, z)).sum() / z.shape[0] / z.shape[1])


def timed(job: Any) -> tuple[Any, float]:
    """What a job gives, and its seconds."""
    start = time.perf_counter()
    given = job()
    return given, time.perf_counter() - start


def compare(N: int, T: int, rows: int, many: int, epochs: int, training: us.Training) -> list[Row]:
    """Fit both, time both, judge both."""
    rng = np.random.default_rng(0)
    kinds = [list(ANGLE)[k % 2] for k in range(N)]
    train, test = draw(rng, kinds, T), draw(rng, kinds, T)
    data, some = frame(kinds, train), kinds[:rows]
    ours, our_fit = timed(lambda: Ours(data, training))
    par, par_fit = timed(lambda: Par(data, epochs))
    par_made, par_sampling = timed(lambda: par.sample(some, T))
    ours.sample(some, T, many)  # compiles; for PARModel nothing is
    _, our_sampling = timed(lambda: ours.sample(some, T, many))
    our_made = ours.sample(some, T)
    apart = lambda made, kind: energy(made[_are(some, kind)], test[_are(kinds, kind)])  # noqa: E731
    nats, par_nats = f"held-out nats a step, truth {true_nats(T):.3f}", par.nats(kinds, test)
    quality = [
        line(f"{nats}, PARModel", ours.nats(kinds, test), par_nats),
        *(
            line(f"energy distance of {kind} sequences, PARModel", apart(our_made, kind), apart(par_made, kind))
            for kind in ANGLE
        ),
    ]
    setting = f"{N} sequences of {T} steps, 2 numbers"
    return [
        line(f"seconds to fit, {setting}, PARModel", our_fit, par_fit),
        line(f"seconds a sequence of {T} steps, sampled, PARModel", our_sampling / rows / many, par_sampling / rows),
        *({**row, "ratio": None} for row in quality),  # neither has a zero that a ratio could refer to
    ]


def _are(kinds: list[str], kind: str) -> np.ndarray:
    return np.array(kinds) == kind


def main() -> None:
    """Measure."""
    small = quick()
    if not installed("deepecho"):
        print("DeepEcho is not installed: pip install 'unspool[bench]'", file=sys.stderr)
        return report("par", [])
    if small:
        return report("par", compare(12, 10, 8, 2, 1, us.Training(epochs=2)))
    return report("par", compare(400, 50, 200, 50, 128, us.Training()))


if __name__ == "__main__":
    main()
