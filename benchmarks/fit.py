"""From the start of a process to a fitted model, beside a plain PyTorch script: python benchmarks/fit.py.

Each fit is a process of its own, imports counted: `us.OneToMany(...).fit(...)` with default options, with an empty
cache of compiled programs and then with what that run has left there, and a script as one would write it with
`nn.LSTM`, Adam, early stopping and a rate that falls, of the same number of hidden units. Both hold out a tenth for
themselves; both are scored on the same held-out data afterwards, which no clock counts. The competitor's time is that
at which its held-out nats reached Unspool's; where they never did, its whole fit, and the job says so. A fit by
default goes on to better nats, so there are fits with `Training(seconds=...)` too: an eighth of the script's whole
time, two, three, four, six and all, until one has the nats that the script ends with.

    names     kind to name, from the census in the package `names`; 200, 2,000 and 20,000 of them
    records   a category to 400 sequences of 20 to 60 steps of two numbers: a noisy rotation
    returns   the state of the S&P 500 on 2,500 days to the returns of the next 20
"""

import argparse
import compileall
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, geometric, line, report
from peers import installed

import unspool

Table = dict[str, list[Any]]
"""One row an example: the columns of the input, and `sequence`, a text or a list of steps."""
ROUNDS, LONG = 3, ("names, 20,000 rows",)
"""Fits of each state, and tasks of which one fit takes minutes: they have one."""
SHARES, CLOSE = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1.0), 0.005
"""Of the script's time, what a fit to its nats is given; and nats a step that count as the same."""


def names(count: int) -> tuple[Table, Table]:
    """Names to learn from, and 2,000 held out."""
    from unspool.demos.names import load_names

    rows = list(zip(*load_names().values(), strict=True))
    random.Random(0).shuffle(rows)
    split = rows[2_000 : 2_000 + count], rows[:2_000]
    train, test = ({"kind": [kind for kind, _ in part], "sequence": [name for _, name in part]} for part in split)
    return train, test


def records(count: int) -> tuple[Table, Table]:
    """Sequences of two numbers whose law depends on a category."""
    rng = np.random.default_rng(0)

    def sampled(count: int) -> Table:
        kinds, sequences = rng.choice(["slow", "fast"], count), []
        for kind in kinds:
            angle, z, steps = {"slow": 0.15, "fast": 0.9}[kind], rng.normal(size=2), []
            turn = 0.95 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            for _ in range(rng.integers(20, 61)):
                z = turn @ z + 0.3 * rng.normal(size=2)
                steps.append(z.tolist())
            sequences.append(steps)
        return {"kind": kinds.tolist(), "sequence": sequences}

    return sampled(count), sampled(400)


def returns(count: int) -> tuple[Table, Table]:
    """Volatility and momentum of the days before, and the returns of the 20 days after."""
    from arch.data import sp500

    price = np.log(sp500.load()["Adj Close"].to_numpy())
    r = np.diff(price)
    days = np.arange(60, len(r) - 20)
    state = {f"vol{n}": [float(np.log(r[t - n : t].std())) for t in days] for n in (5, 20, 60)}
    state |= {f"mom{n}": [float(r[t - n : t].sum()) for t in days] for n in (5, 20, 60)}
    everything = {**state, "sequence": [[[float(x)] for x in r[t : t + 20]] for t in days]}
    cut = min(count, len(days) - 500)
    train, test = ({k: v[part] for k, v in everything.items()} for part in (slice(cut), slice(cut + 20, None)))
    return train, test


TASKS: dict[str, Callable[[], tuple[Table, Table]]] = {
    "names, 200 rows": lambda: names(200),
    "names, 2,000 rows": lambda: names(2_000),
    "names, 20,000 rows": lambda: names(20_000),
    "records, 400 sequences": lambda: records(400),
    "returns, 2,500 windows": lambda: returns(2_500),
}


# ---- Each in a process of its own ---------------------------------------------------------------------------------


def fit_unspool(folder: Path) -> dict[str, Any]:
    """Default options, or some seconds; what the process has taken at the end, and the model's held-out nats a step."""
    import pyarrow as pa

    import unspool as us

    train, test = (json.loads((folder / f"{part}.json").read_text()) for part in ("train", "test"))
    steps = None if isinstance(train["sequence"][0], str) else len(train["sequence"][0][0])
    if steps:
        fields = [f"x{k}" for k in range(steps)]
        for table in (train, test):
            table |= {f: [[step[k] for step in row] for row in table["sequence"]] for k, f in enumerate(fields)}
    inputs = [name for name in train if name != "sequence" and not (steps and name in fields)]
    columns = [*inputs, *(fields if steps else ["sequence"])]
    data, held = (pa.table({name: table[name] for name in columns}) for table in (train, test))
    training = us.Training(seconds=float(os.environ["FIT_SECONDS"]) or None)
    model = us.OneToMany(inputs, fields if steps else "sequence", training=training, verbose=False).fit(data)
    seconds, cpu = since_start()
    count = sum(len(sequence) for sequence in test["sequence"])
    nats = -float(np.sum(model.log_prob(held))) / count
    size, updates = model.config_.size, model.summary_.updates
    return {"seconds": seconds, "cpu": cpu, "nats": nats, "size": size, "updates": updates}


def since_start() -> tuple[float, float]:
    """Seconds since this process began, by the clock and of the processor."""
    started = float(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started, time.process_time()


def process(folder: str, competitor: bool, size: int | None, cache: str, seconds: float = 0) -> dict[str, Any]:
    """One fit in a process of its own, by default options or in some seconds of training."""
    words = [sys.executable, str(Path(__file__).with_name("fit_torch.py")) if competitor else __file__, folder]
    environment = {**os.environ, "UNSPOOL_CACHE": cache, "FIT_CHILD": "1", "FIT_SIZE": str(size)}
    environment["FIT_SECONDS"] = str(seconds)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{words} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compared(task: str, tables: tuple[Table, Table], rounds: int) -> list[Row]:
    """Cold, warm and the script, in turn; the medians of the clock."""
    with tempfile.TemporaryDirectory() as folder:
        for part, table in zip(("train", "test"), tables, strict=True):
            Path(folder, f"{part}.json").write_text(json.dumps(table))
        cold, warm, script = [], [], []
        for turn in range(rounds):
            cache = str(Path(folder, f"cache{turn}"))
            cold.append(process(folder, False, None, cache))
            warm.append(process(folder, False, None, cache))
            if installed("torch"):
                script.append(process(folder, True, cold[0]["size"], cache))
        middle = lambda fits: sorted(fits, key=lambda fit: fit["seconds"])[len(fits) // 2]  # noqa: E731
        until = until_the_script(task, folder, cache, middle(script)) if script else None
    rows, theirs, reached = [], None, ""
    nats = middle(cold)["nats"]
    if script:
        fit = middle(script)
        at = next((seconds for seconds, found in fit["curve"] if found <= nats + CLOSE), None)
        theirs = fit["seconds"] if at is None else at
        reached = f" (never reached its nats: {fit['nats']:.3f})" if at is None else ""
    for state, fits in (("cold", cold), ("warm", warm)):
        fit = middle(fits)
        rows.append(line(f"fit, {task}, {state}, PyTorch script{reached}", fit["seconds"], theirs))
        print(f"{task}, {state}: {fit}", file=sys.stderr, flush=True)
    rows += [until] if until else []
    theirs = middle(script)["nats"] if script else None
    return [*rows, {**line(f"held-out nats a step, {task}, PyTorch script", nats, theirs), "ratio": None}]


def until_the_script(task: str, folder: str, cache: str, script: dict[str, Any]) -> Row:
    """A fit in so many seconds that its nats are those that the script ends with, and the script's time."""
    reached = ""
    for share in SHARES:
        fit = process(folder, False, None, cache, share * script["seconds"])
        print(f"{task}, {share * script['seconds']:.1f} s of training: {fit}", file=sys.stderr, flush=True)
        if fit["nats"] <= script["nats"] + CLOSE:
            break
    else:
        reached = f" (never reached them: {fit['nats']:.3f})"
    job = f"fit, {task}, warm and until its nats, {script['nats']:.3f}, PyTorch script{reached}"
    return line(job, fit["seconds"], script["seconds"])


def main() -> None:
    """Measure."""
    if os.environ.get("FIT_CHILD"):
        print(json.dumps(fit_unspool(Path(sys.argv[1]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smallest task and one round, to see that it works")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="words of the tasks to run; all by default")
    asked = parser.parse_args()
    chosen = [t for t in TASKS if not asked.tasks or any(word in t for word in asked.tasks)]
    # As an installation leaves it; of a checkout, the first fit of all would compile it.
    compileall.compile_dir(Path(unspool.__file__).parent, quiet=1)
    rows: list[Row] = []
    for task in chosen[:1] if asked.quick else chosen:
        rows += compared(task, TASKS[task](), 1 if asked.quick or task in LONG else ROUNDS)
    for state in ("cold", "warm", "warm and until its nats"):
        group = [row for row in rows if f", {state}," in row["job"]]
        rows.append(geometric(f"fit, {state}, PyTorch script", group))
    report("fit", rows)


if __name__ == "__main__":
    main()
