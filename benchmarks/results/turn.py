"""One model's turn, in a process of its own: fit, generate, and say the seconds and the peak of memory.

`python -m benchmarks.results.turn unspool|tabularargn FOLDER`, started by `benchmarks.results.tabularargn`. It runs in
the environment of either model, so it imports neither before it knows which. `FOLDER/job.json` says what to do; what
was learned or generated is left in the folder, and the figures are the last line that is printed.
"""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

CALLS = 3
"""Calls after the first one, which compiles or loads; their median is the rate."""


class Unspool:
    """Ours, with default options and a budget; it reads the task by its name."""

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        import unspool as us
        from benchmarks.results.tasks import HASTE, TASKS

        self.folder, self.job = folder, job
        self.task = TASKS[job["task"]](job["quick"])
        options = HASTE if job["quick"] else {"training": us.Training(seconds=job["seconds"])}
        self.model = us.OneToMany(**self.task.say, **options, seed=job["seed"], verbose=False)

    def fit(self) -> None:
        """Learn."""
        self.model.fit(self.task.train, **self.task.keys)

    def load(self) -> None:
        """Save the model, and read the inputs to generate for."""
        from benchmarks.results.exchange import FIRST, Exchange

        self.model.save(self.folder / "model.unspool")
        inputs = Exchange(self.task, self.model.codec_).split(self.task.test)[1].reset_index(drop=True)
        self.inputs = inputs.rename(columns=lambda name: name.removeprefix(FIRST))

    def sample(self) -> int:
        """Generate tables for the held-out inputs; the number of rows."""
        drawn = self.model.generate(self.inputs, n=self.job["samples"], seed=self.job["seed"])
        drawn.to_pandas(long=True)
        return int(drawn.lengths.sum())


class TabularArgn:
    """TabularARGN with default options, a budget and no protection of rare values, which a detector would see.

    The functions of the engine are called one by one: `TabularARGN.sample` sorts rows by the key alone and not stably,
    so that it mixes the steps of a sequence.
    """

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        from mostlyai import engine

        self.engine, self.folder, self.job = engine, folder, job
        self.workspace = folder / "engine"
        self.test, self.train = (pd.read_parquet(folder / f"{part}-contexts.parquet") for part in ("test", "train"))
        engine.set_random_state(job["seed"])

    def fit(self) -> None:
        """Learn. The clock and the engine's own early stopping end it, never the count of epochs."""
        engine, job = self.engine, self.job
        rows = pd.read_parquet(self.folder / "rows.parquet")
        types = [
            {name: "TABULAR_CATEGORICAL" for name in part if name in job["symbols"]} for part in (rows, self.train)
        ]
        engine.split(
            rows,
            ctx_data=self.train,
            tgt_context_key=job["key"],
            ctx_primary_key=job["key"],
            model_type="TABULAR",
            tgt_encoding_types=types[0],
            ctx_encoding_types=types[1],
            workspace_dir=self.workspace,
        )
        engine.analyze(value_protection=False, workspace_dir=self.workspace)
        engine.encode(workspace_dir=self.workspace)
        epochs = 1 if job["quick"] else 1e6
        engine.train(
            max_training_time=job["seconds"] / 60, max_epochs=epochs, device="cpu", workspace_dir=self.workspace
        )

    def load(self) -> None:
        """One sequence for each input that was learned from."""
        self._drawn(self.train).to_parquet(self.folder / "train.parquet")

    def sample(self) -> int:
        """Generate for the held-out inputs; the number of rows."""
        drawn = self._drawn(self.test)
        drawn.to_parquet(self.folder / "test.parquet")
        return len(drawn)

    def _drawn(self, contexts: pd.DataFrame) -> pd.DataFrame:
        self.engine.generate(ctx_data=contexts, device="cpu", workspace_dir=self.workspace)
        parts = sorted((self.workspace / "SyntheticData").glob("*.parquet"))
        return pd.concat([pd.read_parquet(part) for part in parts]).sort_values(self.job["key"], kind="stable")


def peak() -> int:
    """Bytes of this process's memory at its largest, as Linux tells."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM"))


def main(who: str, folder: str) -> None:
    """Take the turn."""
    job = json.loads(Path(folder, "job.json").read_text("utf-8"))
    model = {"unspool": Unspool, "tabularargn": TabularArgn}[who](Path(folder), job)
    start = time.perf_counter()
    model.fit()
    found: dict[str, Any] = {"seconds": time.perf_counter() - start, "peak of the fit": peak()}
    model.load()
    rates = []
    for _ in range(1 + CALLS):
        start = time.perf_counter()
        rows = model.sample()
        rates.append(rows / (time.perf_counter() - start))
    found |= {"first": rates[0], "later": statistics.median(rates[1:])}
    print(json.dumps({**found, "peak": peak()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
