"""What the demonstrations share: a held-out part, held-out nats beside baselines, and the files that they write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unspool.model import OneToMany
from unspool.sequences import Sequences

Columns = Mapping[str, list[Any]]


def split(columns: Columns, share: float) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Columns of training and of held-out rows, at random.

    Args:
        columns: the whole table.
        share: of the rows, to hold out.
    """
    order = np.random.default_rng(0).permutation(len(next(iter(columns.values()))))
    border = round(len(order) * share)
    train, test = (
        {name: [values[row] for row in rows] for name, values in columns.items()}
        for rows in (order[border:], order[:border])
    )
    return train, test


def print_nats(model: OneToMany, train: Any, test: Any, unit: str) -> None:
    """Print the held-out nats of the model and of the baselines, and what the input is worth.

    Args:
        model: fitted to `train`.
        train: what the baselines learn from.
        test: held-out sequences.
        unit: what a step is called.
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
