"""Whether a classifier can tell generated sequences from real ones that the model has not seen."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.errors import DataError
from unspool.evaluation.document import Column, Measured, Section, Table
from unspool.evaluation.samples.features import features
from unspool.evaluation.samples.sample_set import Material, Side
from unspool.evaluation.samples.statistics import by_sequence, evenly
from unspool.evaluation.samples.trees import learned

NAME, TITLE = "detector", "Can a classifier tell generated sequences from real ones?"
LEAST = 50
"""The fewest real sequences: below, the standard error of the accuracy is above 0.05 and the trees hardly split."""
MOST = 2_000
"""More pairs than these are drawn from: the standard error of the accuracy is then below 0.01."""
FOLDS = 5


class Detected(NamedTuple):
    """How well a classifier told two sets of sequences apart.

    Attributes:
        accuracy: the share told right, with its standard error by pair; 0.5 is chance.
        auc: the share of (real, generated) couples that it ranked right, with its standard error.
        pairs: how many real sequences, and as many generated ones.
    """

    accuracy: Measured
    auc: Measured
    pairs: int


def detect(real: Side, made: Side, seed: int) -> Detected:
    """Tell real from generated sequences by gradient-boosted trees on `features`, cross-validated.

    Sequence i of either side has the same input, and both are held out together. So the classes are balanced in every
    fold (see `folds`), and the input by itself tells nothing; only a sequence that does not suit its input does.

    Args:
        real: N sequences that the generator has not seen.
        made: N generated sequences for the same inputs, in the same order.
        seed: of the folds and of the trees.

    Raises:
        DataError: fewer real sequences than `lacking` says, or not as many generated ones.
        MissingExtra: scikit-learn is not installed.
    """
    if too_few := lacking(real):
        raise DataError("the detector", *too_few, "Evaluate on more data, or leave the detector out.")
    if len(real) != len(made):
        raise DataError("the detector", f"{len(real)} generated sequences, as many as real ones", str(len(made)))
    rows = evenly(len(real), MOST, seed)
    pairs = len(rows)
    real, made = real.take(rows), made.take(rows)
    tables = features(real, real), features(made, real)
    score = np.full((2, pairs), np.nan)
    for learn, judge in folds(real, seed):
        known, asked = (np.concatenate([table[at] for table in tables]) for at in (learn, judge))
        target = np.repeat([0, 1], learn.sum())
        score[:, judge] = learned("Classifier", known, target, asked, seed)[:, 1].reshape(2, -1)
    right = 0.5 * (1 + np.sign([0.5 - score[0], score[1] - 0.5]))  # a tie is half right
    return Detected(by_sequence(right.mean(0), real.independent), area(score[0], score[1], real.independent), pairs)


def lacking(real: Side) -> tuple[str, str] | None:
    """What the detector needs and what there is, if that is too few."""
    if len(real) < LEAST:
        return f"at least {LEAST} held-out sequences", str(len(real))
    if real.clusters is not None and (stretches := len(np.unique(real.clusters))) < FOLDS:
        return f"held-out windows from at least {FOLDS} stretches that do not overlap", str(stretches)
    return None


def folds(side: Side, seed: int) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Which sequences to learn from and which to judge, `FOLDS` times; each is judged once.

    Sequences are dealt out at random. Windows of one series are cut by time, and clusters next to those that are judged
    are not learned from: a window known by those that overlap it would seem real for no other reason.
    """
    if side.clusters is None:
        fold = np.random.default_rng(seed).permutation(np.arange(len(side)) % FOLDS)
        return [(fold != k, fold == k) for k in range(FOLDS)]
    known, cluster = np.unique(side.clusters, return_inverse=True)
    fold = cluster * FOLDS // len(known)
    near = [np.isin(side.clusters, side.clusters[fold == k, None] + np.array([-1, 0, 1])) for k in range(FOLDS)]
    return [(~near[k], fold == k) for k in range(FOLDS) if (fold == k).any()]


def area(low: NDArray[np.float64], high: NDArray[np.float64], clusters: NDArray[np.int64]) -> Measured:
    """P(low < high) + P(low = high) / 2, the area under the curve, of paired scores with its standard error.

    The error is that of the placements of DeLong et al. (1988), summed over the pairs of a cluster (Obuchowski 1997).

    Args:
        low: (N,) scores of one kind.
        high: (N,) scores of the other, in the same order.
        clusters: (N,) which pairs are not independent.

    Examples:
        >>> area(np.array([1.0, 2.0, 3.0]), np.array([2.5, 3.5, 4.5]), np.arange(3)).value
        0.8888888888888888
    """
    under, over = placed(high, low), 1 - placed(low, high)
    value = float(under.mean())
    return Measured(value, by_sequence(under + over - 2 * value, clusters).error)


def placed(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the share of others that lie below each value, ties counted half."""
    ordered = np.sort(among)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(ordered))


def detector(material: Material, seed: int) -> Section:
    """Held-out sequences against as many generated ones.

    Args:
        material: real and generated sequences.
        seed: of the folds and of the trees.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    if too_few := lacking(material.test):
        return Section(NAME, TITLE, "It takes {}; there are {}.".format(*too_few), made=False)
    told = detect(material.test, material.first, seed)
    columns = (Column("", "text"), Column("accuracy", better="lower"), Column("area under the curve", better="lower"))
    rows: list[tuple[Any, ...]] = [("held out against generated", told.accuracy, told.auc)]
    note = (
        f"Gradient-boosted trees on summaries of each sequence, {FOLDS} folds, {told.pairs:,} sequences of each. "
        "0.5: it cannot tell. 1: it always can."
    )
    accuracy, error = told.accuracy.value or 0.0, told.accuracy.error or 0.0
    verdict = f"A classifier tells {accuracy:.1%} right (± {100 * error:.1f}; 50 % is chance)."
    figures = {"accuracy": accuracy, "error": error, "AUC": told.auc.value}
    return Section(NAME, TITLE, verdict, (Table("Detector", columns, tuple(rows), note),), figures)
