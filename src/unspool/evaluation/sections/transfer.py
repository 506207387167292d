"""Whether generated sequences teach what real ones teach: train on generated, test on real."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Cell, Column, Measured, Section, Table
from unspool.evaluation.samples.features import features
from unspool.evaluation.samples.sample_set import Material
from unspool.evaluation.samples.statistics import by_sequence, evenly
from unspool.evaluation.samples.trees import learned

NAME, TITLE = "transfer", "Do generated sequences teach what real ones do?"
LEAST, MOST = 50, 5_000
"""The fewest sequences that the task takes on either side, and the most that are used."""
CLASSES, EACH = 50, 5
"""The most classes of an input that is to be told, and how often each must occur in training."""
SURE = 2
"""Standard errors by which what real sequences teach must be above guessing for a ratio to mean something."""
TARGETS = 3
"""Input fields that are tried, in their order."""


def transfer(material: Material, seed: int) -> Section:
    """Tell an input field from the sequence, learned from generated and, beside it, from real training sequences.

    Both learners are the same gradient-boosted trees on the same summaries, as many sequences with the same inputs,
    and both are judged on the same held-out real sequences (Esteban, Hyland & Rätsch 2017, arXiv:1706.02633).

    Args:
        material: real and generated sequences.
        seed: of the trees.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    fewest = min(len(material.train), len(material.test))
    if fewest < LEAST:
        why = f"It takes at least {LEAST} training and held-out sequences; there are {fewest}."
        return Section(NAME, TITLE, why, made=False)
    targets = [name for name in material.train.inputs if _fit_for(material, name)][:TARGETS]
    if not targets:
        why = f"No input is a number that varies, or a category of 2 to {CLASSES} values that each occur {EACH} times."
        return Section(NAME, TITLE, why, made=False)
    some = evenly(len(material.train), MOST, seed)
    real, made = material.train.take(some), material.twins.take(some)
    test = material.test.take(evenly(len(material.test), MOST, seed))
    tables = [features(side, material.train, inputs=False) for side in (real, made, test)]
    rows: list[tuple[Cell, ...]] = []
    figures: dict[str, float | None] = {}
    said = []
    for name in targets:
        known, given, asked = (side.inputs[name].reshape(len(side), -1)[:, 0] for side in (real, made, test))
        told, true, chance = _learn(tables[0], known, tables[2], asked, test.independent, seed)
        other, _, _ = _learn(tables[1], given, tables[2], asked, test.independent, seed)
        ratio = (other.value or 0.0) / (told.value or 1.0) if _above(told, chance) else None
        what = "accuracy" if true else "R²"
        rows.append((name, what, chance, told, other, ratio))
        figures[f"ratio {name}"], figures[f"real {name}"], figures[f"generated {name}"] = ratio, told.value, other.value
        said.append(
            f"{name}: {what} {other.value or 0:.3f} learned from generated, {told.value or 0:.3f} from real ones"
        )
    columns = (
        Column("input told", "text"),
        Column("measure", "text"),
        Column("by guessing"),
        Column("learned from real"),
        Column("learned from generated"),
        Column("ratio"),
    )
    note = (
        f"Judged on {len(test):,} real held-out sequences. A ratio of 1: generated ones teach as much; "
        f"there is none where real ones teach nothing, less than {SURE} standard errors above guessing."
    )
    return Section(
        NAME, TITLE, "; ".join(said) + ".", (Table("Telling the input", columns, tuple(rows), note),), figures
    )


def _above(told: Measured, chance: float) -> bool:
    return told.value is not None and told.value - SURE * (told.error or 0.0) > chance


def _fit_for(material: Material, name: str) -> bool:
    column = material.train.inputs[name]
    if column.ndim == 1:
        counts = np.unique(column, return_counts=True)[1]
        return bool(2 <= len(counts) <= CLASSES and counts.min() >= EACH)
    return bool(column.shape[1] == 1 and np.unique(column[~np.isnan(column)]).size > CLASSES)


def _learn(
    table: NDArray[np.float64],
    known: NDArray[Any],
    test: NDArray[np.float64],
    asked: NDArray[Any],
    clusters: NDArray[np.int64],
    seed: int,
) -> tuple[Measured, bool, float]:
    """The measure on the test sequences, whether it is an accuracy, and what guessing reaches."""
    if known.dtype.kind == "i":
        classes, counts = np.unique(known, return_counts=True)
        told = classes[learned("Classifier", table, known, test, seed).argmax(1)]
        guess = float((asked == classes[counts.argmax()]).mean())
        return by_sequence((told == asked).astype(np.float64), clusters), True, guess
    kept, there = ~np.isnan(known), ~np.isnan(asked)
    lost = (learned("Regressor", table[kept], known[kept], test[there], seed) - asked[there]) ** 2
    base = (asked[there] - asked[there].mean()) ** 2
    explained = 1 - lost.mean() / base.mean()
    # The delta method on a ratio of means.
    error = by_sequence((lost - (1 - explained) * base) / base.mean(), clusters[there]).error
    return Measured(explained, error), False, 0.0
