"""Functions of all demonstrations: split a table, print held-out nats beside those of baselines, save the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unspool.model import OneToMany
from unspool.sequences import Sequences

Columns = Mapping[str, list[Any]]


def split(columns: Columns, share: float) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The columns of training rows, and of a random share of held-out rows."""
    order = np.random.default_rng(0).permutation(len(next(iter(columns.values()))))
    border = round(len(order) * share)
    train = {name: [values[row] for row in order[border:]] for name, values in columns.items()}
    test = {name: [values[row] for row in order[:border]] for name, values in columns.items()}
    return train, test


def print_nats(model: OneToMany, train: Any, test: Any, unit: str) -> None:
    """Print the held-out nats of the model and of baselines fitted to `train`, and the nats that the input gains.

    Args:
        model: the model, fitted to `train`.
        train: training sequences.
        test: held-out sequences.
        unit: the name of a step.
    """
    report = model.evaluate(test, train=train, samples=1)
    table: Any = report.section("likelihood").parts[0]
    rows = [(name, nats.value, "") for name, nats, *_ in table.rows]
    lost = report.figures["input_use.lost"] or 0.0
    rows.append(("this model, inputs shuffled", rows[0][1] + lost, f"so the input is worth {lost:.3f}"))
    print(f"\nheld-out nats per {unit}, lower is better")
    width = max(len(name) for name, _, _ in rows)
    for name, nats, remark in rows:
        print(f"  {name:{width}s}  {nats:6.3f}   {remark}".rstrip())
    print()


def save_results(model: OneToMany, sequences: Sequences, folder: Path, name: str) -> None:
    """Write the model and a picture of the sequences, and print their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / f"{name}.unspool")
    sequences.plot(folder / f"{name}.png")
    print(f"\nwrote {folder / f'{name}.unspool'} and {folder / f'{name}.png'}")
