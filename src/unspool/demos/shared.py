"""What the demonstrations share: a held-out part, the test whether the input is used, and the place of the results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.baselines.ngram import Tokens, best_order, ngram_scores
from unspool.model import OneToMany

Columns = Mapping[str, list[Any]]


def parted(columns: Columns, test: float, seed: int = 0) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Columns of training and of test rows, at random."""
    count = len(next(iter(columns.values())))
    order = np.random.default_rng(seed).permutation(count)
    held = round(count * test)
    return rows_of(columns, order[held:]), rows_of(columns, order[:held])


def rows_of(columns: Columns, rows: NDArray[np.int64]) -> dict[str, list[Any]]:
    """Some rows of all columns."""
    return {name: [values[row] for row in rows] for name, values in columns.items()}


def nats_per_step(model: OneToMany, data: Columns, sequence: str) -> float:
    """Minus the mean log-probability of a step; the end of a sequence is counted with its last one."""
    return float(-model.log_prob(data).sum() / sum(map(len, data[sequence])))


def shuffled(data: Columns, names: list[str], seed: int = 0) -> dict[str, list[Any]]:
    """The same rows with the inputs of others: what a model that ignores its input wouldn't notice."""
    order = np.random.default_rng(seed).permutation(len(data[names[0]]))
    return {name: [values[row] for row in order] if name in names else list(values) for name, values in data.items()}


def ngram_nats(train: Columns, test: Columns, sequence: str, group: str | None) -> tuple[int, float]:
    """Order and nats per character of the best conditional n-gram; its order is chosen on a tenth of `train`."""
    symbols = {c: i for i, c in enumerate(sorted(set("".join(train[sequence]))))}
    groups = {g: i for i, g in enumerate(sorted(set(train[group])))} if group else {}

    def tokens(data: Columns) -> Tokens:
        values = [symbols.get(c, len(symbols)) for text in data[sequence] for c in text]
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in data[sequence]])])
        kinds = [groups[g] for g in data[group]] if group else [0] * len(data[sequence])
        return Tokens(np.array(values, np.int64), offsets, np.array(kinds, np.int64))

    inner, valid = parted(train, 0.1)
    order = best_order(tokens(inner), tokens(valid), len(symbols))
    scores = ngram_scores(tokens(train), tokens(test), len(symbols), order)
    return order, float(-(scores.steps.sum() + scores.stops.sum()) / sum(map(len, test[sequence])))


def compare(unit: str, rows: Sequence[tuple[str, float, str]]) -> None:
    """Print held-out nats of the model and of its rivals below one another: what it is, nats, a remark."""
    print(f"\nheld-out nats per {unit}, lower is better")
    width = max(len(name) for name, _, _ in rows)
    for name, nats, remark in rows:
        print(f"  {name:{width}s}  {nats:6.3f}   {remark}".rstrip())
    print()


def keep(model: OneToMany, figure_of: Any, folder: Path, name: str) -> None:
    """Write the model and the picture, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / f"{name}.unspool")
    figure_of.plot(str(folder / f"{name}.png"))
    print(f"\nwrote {folder / f'{name}.unspool'} and {folder / f'{name}.png'}")
