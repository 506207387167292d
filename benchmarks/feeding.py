"""Which feeding suits a data set: `python -m benchmarks.feeding [names] [--quick]`.

The same network is fitted under teacher, scheduled and free feeding, with the same data, seed and options. Each is
judged as it reads, by held-out nats, and as it generates, by the energy score of whole sequences. Lower is better.
Free feeding suits series that the input decides; where a step depends on the step before, it makes the network forget
that step (Huszár 2015, arXiv:1511.05101).
"""

import argparse
from typing import get_args

import numpy as np

import unspool as us
from benchmarks.results.tasks import TASKS, Task
from unspool.dataset.clusters import independent_clusters
from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather_fitted
from unspool.evaluation.samples.build import comparison_of
from unspool.evaluation.samples.generate import generate_like
from unspool.evaluation.samples.proper_scores import energy_score
from unspool.evaluation.samples.statistics import clustered_mean, ratio, subsample, unit
from unspool.options import Feeding

SAMPLES, MAX_SEQUENCES = 20, 300
"""Generated sequences for each held-out input, and held-out inputs that the energy score is taken of."""


def judged(task: Task, feeding: Feeding, quick: bool) -> tuple[np.ndarray, np.ndarray, Examples]:
    """Nats by held-out sequence, energy scores of some, and the held-out examples."""
    training = us.Training(epochs=1, draw_inputs=False) if quick else us.Training(seconds=task.seconds)
    network = us.Network(size=8) if quick else us.Network()
    model = us.OneToMany(**task.say, network=network, training=training.but(feeding=feeding), verbose=False)
    model.fit(task.train, **task.keys)
    codec, net = model.codec_, model.net_
    train, test = gather_fitted(codec, task.train), gather_fitted(codec, task.test)
    nats = -model.log_prob(task.test)
    some = test.take(subsample(len(test), MAX_SEQUENCES, 0))
    sampled = generate_like(net, codec, some, codec.encode(some), SAMPLES, 0)
    comparison = comparison_of(codec.schema, train, some, sampled.examples, train, sampled.ended)
    units = {name: unit(x) for name, x in comparison.train.numbers.items()}
    return nats, energy_score(comparison.real, comparison.synthetic, units, symbols=True), test


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feeding", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=["storms"], help=", ".join(TASKS))
    parser.add_argument("--quick", action="store_true", help="tiny fits on little data, to see that it works")
    asked = parser.parse_args()
    for name in asked.names:
        task = TASKS[name](asked.quick)
        print(f"{name}: nats per step and energy score, each less that of teacher feeding")
        base: tuple[np.ndarray, np.ndarray] | None = None
        for feeding in get_args(Feeding):
            nats, energy, test = judged(task, feeding, asked.quick)
            base = (nats, energy) if base is None else base
            clusters = independent_clusters(test.starts, test.gap, len(test))
            some = clusters[subsample(len(test), MAX_SEQUENCES, 0)]
            figures = [
                *(ratio(x, test.lengths, clusters) for x in (nats, nats - base[0])),
                *(clustered_mean(x, some) for x in (energy, energy - base[1])),
            ]
            words = [f"{one.value:8.4f} ± {one.error or 0:.4f}" for one in figures]
            print(f"  {feeding:9s}  nats {words[0]}  ({words[1]})  energy {words[2]}  ({words[3]})", flush=True)


if __name__ == "__main__":
    main()
