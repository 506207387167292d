"""What the benchmarks share: turns of A and B, the machine's ceiling, and the closing JSON line."""

import argparse
import functools
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Row = dict[str, Any]
"""A line of the result. Figures are such that less is better: seconds, bytes, nats."""


QUICK = 1.0
"""Seconds up to which a job is run once more before it is timed."""


class Sizes(NamedTuple):
    """Hidden units, sequences, steps, symbols."""

    H: int
    B: int
    T: int
    V: int

    def __str__(self) -> str:
        return f"H={self.H} B={self.B} T={self.T} V={self.V}"


@functools.cache
def used_by_others() -> float | None:
    """Share of the machine that is in use while we sleep, when first asked; None where the system does not tell.

    PyTorch's threads wait for each other, so that on a busy machine it can take a hundred times as long: a comparison
    is fair only where this is near zero.
    """

    def ticks() -> tuple[int, int]:
        with open("/proc/stat") as file:
            counts = [int(word) for word in file.readline().split()[1:9]]
        return counts[3] + counts[4], sum(counts)

    try:
        idle, total = ticks()
        time.sleep(1)
        idle, total = (after - before for after, before in zip(ticks(), (idle, total), strict=True))
    except OSError:
        return None
    return round(1 - idle / max(total, 1), 2)


def quick() -> bool:
    """Whether the command line asks for tiny sizes and one round; if not, warn of a busy machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round, to see that it works")
    asked = parser.parse_args()
    busy = used_by_others()
    if not asked.quick and busy is not None and busy > 0.1:
        print(f"other programs use {busy:.0%} of this machine: the figures will be unfair", file=sys.stderr)
    return bool(asked.quick)


def in_turn(*jobs: Callable[[], Any], rounds: int = 7) -> list[float]:
    """Median seconds of each job, run A B A B ... after one unmeasured turn, so that drift hits all alike.

    In its turn a quick job runs twice, and the second run counts: the first one finds the caches full of the other
    job's data and the cores busy with its threads, which wait for more work for a while.
    """
    times: list[list[float]] = [[] for _ in jobs]
    quick = []
    for job in jobs:
        job()
        start = time.perf_counter()
        job()
        quick.append(time.perf_counter() - start < QUICK)
    for _ in range(rounds):
        for job, taken, twice in zip(jobs, times, quick, strict=True):
            if twice:
                job()
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


def line(job: str, unspool: float, competitor: float | None = None, share_of_ceiling: float | None = None) -> Row:
    """A row of the result; `ratio` says how many times less Unspool takes than the competitor."""
    ratio = None if competitor is None else competitor / unspool
    return {
        "job": job,
        "unspool": unspool,
        "competitor": competitor,
        "ratio": ratio,
        "share_of_ceiling": share_of_ceiling,
    }


def geometric(job: str, rows: Iterable[Row]) -> Row:
    """One row for many: the geometric means of what they all have."""
    rows = list(rows)
    means = {
        name: math.exp(sum(math.log(row[name]) for row in rows) / len(rows))
        if rows and all(row[name] for row in rows)
        else None
        for name in ("unspool", "competitor", "ratio", "share_of_ceiling")
    }
    return {"job": f"geometric mean, {job}", **means}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = {"python": platform.python_version(), "jax": jax.__version__}
    return {"processor": name, "cores": os.cpu_count(), "used by others": used_by_others(), **versions}


def report(bench: str, rows: list[Row], card: str | None = None) -> None:
    """Print the figures, and as the last line one JSON object for programs; `card` is the GPU of the figures."""
    for row in rows:
        shown = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in row.items()}
        print("  ".join(f"{name} {value}" for name, value in shown.items() if value is not None))
    print(json.dumps({"bench": bench, "rows": rows, "machine": ({} if card is None else {"card": card}) | machine()}))
