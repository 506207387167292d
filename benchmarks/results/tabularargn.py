"""mostlyai-engine's TabularARGN beside Unspool: the same split, budget, core and inputs, each in processes of its own.

It has an environment of its own, since its pins contradict ours. `make results` makes it; by hand:

    python -m venv .cache/tabularargn
    .cache/tabularargn/bin/python -m pip install -r benchmarks/results/tabularargn.txt

`TABULARARGN` names the interpreter of another one.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import unspool as us
from benchmarks.results.exchange import NUMBER, Exchange
from benchmarks.results.figures import SAMPLES, figures_of, figures_of_unspool
from benchmarks.results.neutral import Ragged, auc, stretches, summaries
from benchmarks.results.tasks import TASKS
from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather_fitted
from unspool.evaluation.samples.generate import generate_like

ROOT = Path(__file__).parents[2]
SECONDS = 120.0
"""The budget of each fit."""
SEEDS = (0, 1)
DRAWS = 5
"""Generated sequences of each input that the detector judges, one after another."""


def interpreter() -> Path:
    """The Python of TabularARGN's environment."""
    return Path(os.environ.get("TABULARARGN", ROOT / ".cache" / "tabularargn" / "bin" / "python"))


def lacking() -> str:
    """What to do where that is missing; nothing where it is there."""
    if interpreter().exists():
        return ""
    how = "python -m venv .cache/tabularargn && .cache/tabularargn/bin/python -m pip install -r"
    return f"{interpreter()}: no environment of TabularARGN. `make results` makes it; by hand: {how} {REQUIREMENTS}"


REQUIREMENTS = "benchmarks/results/tabularargn.txt"


def compared(name: str, quick: bool, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    """All figures of both models on one data set, a round for each seed; the lines of the report are of the first."""
    rounds = [one_round(name, seed, quick) for seed in (seeds[:1] if quick else seeds)]
    lines = {key: one.pop(key) for one in rounds for key in ("ours", "figures") if key in one}
    return {"paths": SAMPLES, "draws": DRAWS, "rounds": rounds, **lines}


def one_round(name: str, seed: int, quick: bool) -> dict[str, Any]:
    """Unspool's turn, TabularARGN's turn, and what both generated beside what was held out."""
    task = TASKS[name](quick)
    job = {"task": name, "seed": seed, "quick": quick, "seconds": SECONDS, "samples": SAMPLES}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ours = turn(sys.executable, "unspool", folder, job)
        model = us.load(folder / "model.unspool")
        codec, net = model.codec_, model.net_
        exchange = Exchange(task, codec)
        write_tables(exchange, folder)
        theirs = turn(interpreter(), "tabularargn", folder, job | {"key": NUMBER, "symbols": sorted(exchange.symbols)})
        synthetic, synthetic_train = (
            exchange.examples(read_rows(folder / f"{part}.parquet"), data, samples)
            for part, data, samples in (("test", task.test, SAMPLES), ("train", task.train, 1))
        )
    train, test = gather_fitted(codec, task.train), gather_fitted(codec, task.test)
    drawn = generate_like(net, codec, test, codec.encode(test), SAMPLES, seed).examples
    ours["AUC"], theirs["AUC"] = (detected(exchange, test, generated, seed) for generated in (drawn, synthetic))
    result: dict[str, Any] = {"seed": seed, "budget": SECONDS, "unspool": ours, "tabularargn": theirs}
    if seed == SEEDS[0]:
        result["ours"] = figures_of_unspool(task, model)
        result["figures"] = figures_of(model, train, test, synthetic, synthetic_train)
    return result


def turn(python: str | Path, who: str, folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    """One model's turn in a process of its own."""
    (folder / "job.json").write_text(json.dumps(job), "utf-8")
    words = [str(python), "-m", "benchmarks.results.turn", who, str(folder)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def write_tables(exchange: Exchange, folder: Path) -> None:
    """The rows to learn from, their contexts, and the held-out contexts, each `SAMPLES` times; numbered for the key."""
    task = exchange.task
    rows, contexts = exchange.split(task.train)
    numbers = pd.Series(range(len(contexts)), contexts.index)
    as_text(rows.assign(**{NUMBER: rows[exchange.key].map(numbers)})[[NUMBER, *exchange.steps]], exchange).to_parquet(
        folder / "rows.parquet"
    )
    held_out = exchange.split(task.test)[1]
    for part, table, samples in (("train", contexts, 1), ("test", held_out, SAMPLES)):
        many = table.iloc[np.repeat(np.arange(len(table)), samples)].reset_index(drop=True)
        as_text(many.rename_axis(NUMBER).reset_index(), exchange).to_parquet(folder / f"{part}-contexts.parquet")


def as_text(table: pd.DataFrame, exchange: Exchange) -> pd.DataFrame:
    """The same with symbols that are no text as their JSON, since the engine gives text back."""
    return table.assign(
        **{
            name: [None if pd.isna(x) else json.dumps(getattr(x, "item", lambda x=x: x)()) for x in table[name]]
            for name in table
            if name in exchange.symbols
        }
    )


def read_rows(path: Path) -> pd.DataFrame:
    """The generated rows, symbols as they were."""
    table = pd.read_parquet(path)
    for name in table.columns.drop(NUMBER):
        if table[name].dtype.kind in "ifu":
            table[name] = table[name].astype(float)
        else:
            table[name] = pd.Series([None if pd.isna(x) else json.loads(x) for x in table[name]], table.index, object)
    return table.reset_index(drop=True)


def detected(exchange: Exchange, test: Examples, generated: Examples, seed: int) -> float:
    """The neutral detector's area under the curve, the mean over `DRAWS` generated sequences of each input."""
    rows, groups = np.arange(len(test)), np.arange(len(test))
    if test.starts is not None:
        kept, groups = stretches(test.starts, test.gap)
        rows, groups = rows[kept], groups[kept]
    real = ragged(exchange, test.take(rows))
    levels = {
        name: sorted({x for x in column.tolist() if x is not None}, key=str)
        for name, column in real.columns.items()
        if name in exchange.symbols
    }
    found = []
    for draw in range(DRAWS):
        made = ragged(exchange, generated.take(rows * (len(generated) // len(test)) + draw))
        found.append(auc(summaries(real, levels), summaries(made, levels), groups, seed))
    return float(np.mean(found))


def ragged(exchange: Exchange, data: Examples) -> Ragged:
    """The steps as plain columns: symbols as objects, all else as numbers."""
    plain = {
        name: np.array([None if x is None or x != x else x for x in column.tolist()], object)
        if name in exchange.symbols
        else column.astype(float)
        for name, column in data.steps.items()
    }
    return Ragged(np.asarray(data.offsets), plain)
