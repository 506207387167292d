"""What the benchmarks share: turns of A and B, the machine's ceiling, and the closing JSON line."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def in_turn(*jobs: Callable[[], Any], rounds: int = 7) -> list[float]:
    """Median seconds of each job, run A B A B ... after one unmeasured turn, so that drift hits all alike."""
    times: list[list[float]] = [[] for _ in jobs]
    for job in jobs:
        job()
    for _ in range(rounds):
        for job, taken in zip(jobs, times, strict=True):
            start = time.perf_counter()
            job()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def ceiling(rows: int, inner: int, columns: int, times: int) -> Callable[[], Any]:
    """A job that is nothing but matrix products of float32, as XLA runs them here, each on the one before.

    They run in one dispatch, so that the cost of a dispatch isn't taken for that of a product.
    """
    a, b = jnp.ones((rows, inner)), jnp.full((inner, columns), 1 / inner)
    chain = jax.jit(lambda a, b: jax.lax.fori_loop(0, times, lambda _, x: (x @ b)[:, :inner], a))
    return lambda: chain(a, b).block_until_ready()


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"processor": name, "cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__}


def report(bench: str, rows: list[dict[str, Any]]) -> None:
    """Print the figures, and as the last line one JSON object for programs."""
    for row in rows:
        shown = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in row.items()}
        print("  ".join(f"{name} {value}" for name, value in shown.items()))
    print(json.dumps({"bench": bench, "rows": rows, "machine": machine()}))
