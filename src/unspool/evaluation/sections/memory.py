"""Whether the model invents or repeats: exact copies of training sequences, and how near to them the rest come."""

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Cell, Column, Section, Table
from unspool.evaluation.samples.features import features
from unspool.evaluation.samples.sample_set import Material, Side
from unspool.evaluation.samples.statistics import evenly
from unspool.evaluation.sections.detector import placed

NAME, TITLE = "memory", "Does the model invent, or repeat its training data?"
MOST = 5_000
"""More sequences of a kind than these are drawn from before distances are taken."""
BLOCK = 512
"""Rows whose distances to all training sequences are held at once."""
NEAR = 0.5
"""The ratio of median distances below which generated sequences count as too near to training."""


def memory(material: Material, seed: int) -> Section:
    """Copies and distances to the closest training sequence, of generated and of held-out sequences.

    Flagged as repeating: when the share of generated sequences that copy a training sequence exceeds that of held-out
    ones by more than 5 standard errors and a point; or when they lie, in the median, less than `NEAR` times as far from
    training as held-out ones do.

    Args:
        material: real and generated sequences.
        seed: of which sequences are measured where there are very many.
    """
    train, test = set(prints(material.train)), set(prints(material.test))
    made, real = prints(material.paths), prints(material.test)
    copied = np.array([one in train for one in made])
    of_test = np.array([one in test for one in made]) & ~copied
    repeated = np.array([one in train for one in real])
    shares = (float(copied.mean()), float(of_test.mean()), float(1 - copied.mean() - of_test.mean()))
    copies = Table(
        "Exact copies",
        (
            Column("", "text"),
            Column("in training", "percent", 1),
            Column("else in held out", "percent", 1),
            Column("new", "percent", 1),
            Column("different ones", "percent", 1),
        ),
        (
            ("generated", *shares, len(set(made)) / len(made)),
            ("held out", float(repeated.mean()), None, float(1 - repeated.mean()), len(test) / len(real)),
        ),
        "A sequence is a copy when all of its values are the same, whatever its input. The held-out row is what chance "
        "and duplicates in the data bring about.",
    )
    away = distances(material, seed)
    ratio = float(np.median(away["generated"]) / np.median(away["held out"])) if np.median(away["held out"]) else 1.0
    rows: list[tuple[Cell, ...]] = [(name, *np.quantile(x, (0.05, 0.5, 0.95)).tolist()) for name, x in away.items()]
    columns = (Column("", "text"), Column("5%"), Column("median"), Column("95%"))
    note = (
        "Euclidean, between standardised summaries of sequences. Much nearer than held-out ones: the model repeats; "
        "much farther: it strays."
    )
    near = Table("Distance to the closest training sequence", columns, tuple(rows), note)
    base = float(repeated.mean())
    chance = np.sqrt(max(base * (1 - base), 1 / len(real)) / len(real))
    flagged = shares[0] > base + max(5 * float(chance), 0.01) or ratio < NEAR
    figures: dict[str, float | None] = {
        "copies": shares[0],
        "copies, held out": base,
        "distance ratio": ratio,
        "nearer than held out": float(placed(away["held out"], away["generated"]).mean()),
        "flagged": float(flagged),
    }
    verdict = (
        f"{shares[0]:.1%} of generated sequences copy a training sequence ({base:.1%} of held-out ones do); they lie "
        f"{ratio:.2f} times as far from training as held-out ones. "
        + ("That is nearer than it should be: the model repeats." if flagged else "Nothing says that it repeats.")
    )
    return Section(NAME, TITLE, verdict, (copies, near), figures)


def prints(side: Side) -> list[bytes]:
    """Each sequence's values as bytes, equal if and only if all values are the same."""
    # Adding 0.0 turns -0.0 into 0.0; a NaN is of one pattern after the comparison.
    reals = [np.where(np.isnan(x), np.nan, x + 0.0).view(np.int64) for x in side.numbers.values()]
    block = np.stack([*reals, *side.symbols.values()], axis=1)
    return [block[a:b].tobytes() for a, b in zip(side.offsets[:-1], side.offsets[1:], strict=True)]


def distances(material: Material, seed: int) -> dict[str, NDArray[np.float64]]:
    """Of held-out and of generated sequences, the distance to the closest training sequence.

    Between `features` without inputs, standardised by training; a figure that a sequence can't have counts as the mean.
    """
    known = material.train.take(evenly(len(material.train), MOST, seed))
    table = features(known, material.train, inputs=False)
    there = ~np.isnan(table)
    count = np.maximum(there.sum(0), 1)
    mean = np.where(there, table, 0).sum(0) / count
    spread = np.sqrt((np.where(there, table - mean, 0) ** 2).sum(0) / count)
    used = spread > 1e-9 * (1 + np.abs(mean))
    standard = lambda x: np.nan_to_num((x[:, used] - mean[used]) / spread[used])  # noqa: E731
    base = standard(table)
    out = {}
    for name, side in (("held out", material.test), ("generated", material.first)):
        some = side.take(evenly(len(side), MOST, seed))
        out[name] = _closest(standard(features(some, material.train, inputs=False)), base)
    return out


def _closest(rows: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = (base**2).sum(1)
    out = np.zeros(len(rows))
    for at in range(0, len(rows), BLOCK):
        part = rows[at : at + BLOCK]
        apart = (part**2).sum(1)[:, None] + squares - 2 * part @ base.T
        out[at : at + BLOCK] = np.sqrt(np.maximum(apart.min(1), 0))
    return out
