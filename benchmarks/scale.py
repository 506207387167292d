"""How cost grows with H, B, T and V, and memory with T and the number of sequences: python benchmarks/scale.py.

Around H = 128, B = T = V = 64 one size at a time varies, against PyTorch; then T from 1,000 to 100,000 steps at B = 1;
then whole processes, of which the peak memory counts: sequences of up to 100,000 steps, and up to 1,000,000 sequences
written to Parquet.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Row, Sizes, in_turn, line, quick, report

BASE = Sizes(128, 64, 64, 64)
SWEEPS = {
    "H": (32, 64, 128, 256, 512, 1024),
    "B": (1, 4, 16, 64, 256, 1024),
    "T": (16, 64, 256, 1024),
    "V": (16, 64, 256, 1024, 4096, 16384),
}
LONG = (1_000, 3_000, 10_000, 30_000, 100_000)
MANY = (10_000, 100_000, 1_000_000)
TOGETHER = 4
"""Updates of a dispatch, since a fit makes several in one, too: the first one finds no memory of its own yet."""


def cost(jobs: list[tuple[str, Sizes]], rounds: int) -> Iterator[Row]:
    """Seconds of an update and of a sampled step, against PyTorch where it is installed."""
    from ours import sampling, token_net, training
    from peers import Weights, installed, torch_loop, torch_training

    from unspool.training.batching import MAX_WHOLE_STEPS

    for label, sizes in jobs:
        K = TOGETHER if sizes.T <= MAX_WHOLE_STEPS else 1
        pairs = {
            "update": (K, lambda s, K=K: training(s, K), lambda s, K=K: torch_training(s, K)),
            "sampled step": (sizes.T, sampling, lambda s: torch_loop(Weights.of(token_net(s)), s)),
        }
        for job, (count, ours, theirs) in pairs.items():
            both = [ours(sizes), *([theirs(sizes)] if installed("torch") else [])]
            taken = [seconds / count for seconds in in_turn(*both, rounds=rounds)]
            yield line(f"{job}, {sizes}, {label}, PyTorch", *taken)


def lengths(steps: tuple[int, ...], rounds: int) -> Iterator[Row]:
    """Seconds a step at B = 1 for ever longer sequences, and how far the cost of a step strays: 1 is linear."""
    found = list(cost([("long", Sizes(64, 1, T, 64)) for T in steps], rounds))
    for job in ("update", "sampled step"):
        rows = [row for row in found if row["job"].startswith(job)]
        for row, T in zip(rows, steps, strict=True):
            if job == "update":
                row["job"] = row["job"].replace("update", "update, per step")
                row["unspool"] /= T
                row["competitor"] = row["competitor"] and row["competitor"] / T
        yield from rows
        each = [row["unspool"] for row in rows]
        yield line(f"{job}, cost of a step at T={steps[-1]} over that at T={steps[0]}, long", each[-1] / each[0])


# ---- memory: each figure is a process of its own ------------------------------------------------------------------


def peak() -> int:
    """Bytes of this process's memory at its largest."""
    try:
        # Not ru_maxrss where this is to be had: Linux counts in it what the parent held when it started us.
        with open("/proc/self/status") as file:
            return next(int(text.split()[1]) * 1024 for text in file if text.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def child(job: str, model: str, count: int) -> None:
    """Do one job and print its seconds and its peak memory."""
    import unspool as us

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if job == "train":
            from ours import training

            training(Sizes(64, 1, count, 64), 1)()
        elif job == "length":
            us.load(model).generate_to(Path(folder, "one.csv"), {"kind": "a"}, seed=0, length=count)
        else:
            us.load(model).generate_to(Path(folder, "many.parquet"), {"kind": "a"}, n=count, seed=0, length=10)
    print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak()}))


def measured(job: str, model: Path, count: int) -> dict[str, Any]:
    """What a child of this program took."""
    words = [sys.executable, __file__, "--child", job, str(model), str(count)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, "UNSPOOL_CACHE": "off"})
    return json.loads(done.stdout.splitlines()[-1])


def memory(steps: tuple[int, ...], many: tuple[int, ...], units: int) -> Iterator[Row]:
    """Peak bytes against T, and seconds and peak bytes against the number of sequences."""
    import unspool as us

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "words.unspool")
        table = {"kind": ["a", "b"] * 50, "word": ["abcdefghijklm", "nopqrstuvwxyz"] * 50}
        options = {"network": us.Network(size=units), "training": us.Training(epochs=1), "verbose": False}
        us.OneToMany("kind", "word", **options).fit(table).save(model)  # type: ignore[arg-type]
        for T in steps:
            yield line(
                f"bytes at the peak, one text of T={T} to a file, H={units}", measured("length", model, T)["peak"]
            )
        for T in steps:
            yield line(f"bytes at the peak, one update of T={T}, H=64 B=1", measured("train", model, T)["peak"])
        for n in many:
            taken = measured("many", model, n)
            job = f"texts of 10 characters to Parquet, n={n} H={units}"
            yield line(f"seconds each, {job}", taken["seconds"] / n)
            yield line(f"bytes at the peak, {job}", taken["peak"])


def main() -> None:
    """Measure."""
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    if quick():
        tiny = [(name, Sizes(8, 2, 8, 8)._replace(**{name: 4})) for name in SWEEPS]
        rows = [*cost(tiny, 1), *lengths((20, 40), 1), *memory((20,), (30,), 8)]
    else:
        sweeps = [(name, BASE._replace(**{name: size})) for name, sizes in SWEEPS.items() for size in sizes]
        rows = [*cost(sweeps, 3), *lengths(LONG, 3), *memory((LONG[0], LONG[2], LONG[-1]), MANY, 128)]
    return report("scale", rows)


if __name__ == "__main__":
    main()
