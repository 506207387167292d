"""Whether a classifier can tell generated sequences from real ones that the model has not seen."""

from typing import NamedTuple

import numpy as np

from unspool.errors import DataError
from unspool.evaluation.document import Findings, Measured, ReportTable, answers, headings
from unspool.evaluation.samples.features import boosted_trees, features, input_features
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals, clustered_mean, placement, subsample

MIN_SEQUENCES_FOR_DETECTOR = 50
"""Held-out sequences; with fewer, the standard error of the accuracy is above 0.05 and the trees hardly split."""
MAX_PAIRS = 2_000
"""Pairs of a real and a generated sequence; with as many, the standard error of the accuracy is below 0.01."""
FOLDS = 5


class Detection(NamedTuple):
    """The success of a classifier that separates two sets of sequences.

    Attributes:
        accuracy: the share that it classified right, with a standard error over pairs; 0.5 is chance.
        auc: the share of (real, generated) couples that it ranked right, with its standard error.
        pairs: real sequences, and as many generated ones.
    """

    accuracy: Measured
    auc: Measured
    pairs: int


def detect(real: SampleSet, synthetic: SampleSet, seed: int) -> Detection:
    """Separate N real from N generated sequences by gradient-boosted trees on `features`, cross-validated.

    Sequence i of both sets has the same input, and both are held out together. So the classes are balanced in every
    fold (see `folds`), and the input alone says nothing; only a sequence that does not suit its input does.

    Raises:
        DataError: fewer real sequences than `too_few` says, or not as many generated ones.
        MissingExtra: scikit-learn is not installed.
    """
    if lacking := too_few(real):
        raise DataError("the detector", *lacking, "Evaluate on more data, or leave the detector out.")
    if len(real) != len(synthetic):
        expected = f"{len(real)} generated sequences, as many as real ones"
        raise DataError("the detector", expected, str(len(synthetic)))
    rows = subsample(len(real), MAX_PAIRS, seed)
    real, synthetic = real.take(rows), synthetic.take(rows)
    return _separate(real, (features(real, real), features(synthetic, real)), seed)


def detect_inputs(real: SampleSet, drawn: SampleSet, seed: int) -> Detection:
    """Separate N real from N drawn inputs likewise, by the values of all of them."""
    rows = subsample(len(real), MAX_PAIRS, seed)
    real, drawn = real.take(rows), drawn.take(rows)
    return _separate(real, (input_features(real), input_features(drawn)), seed)


def _separate(real: SampleSet, tables: tuple[Reals, Reals], seed: int) -> Detection:
    """Separate (N, D) rows of real from those of generated sequences or inputs."""
    score = np.full((2, len(real)), np.nan)
    for learn, judge in folds(real, seed):
        known, asked = (np.concatenate([table[at] for table in tables]) for at in (learn, judge))
        target = np.repeat([0, 1], learn.sum())
        score[:, judge] = boosted_trees("Classifier", known, target, asked, seed)[:, 1].reshape(2, -1)
    right = 0.5 * (1 + np.sign([0.5 - score[0], score[1] - 0.5]))  # a tie is half right
    accuracy = clustered_mean(right.mean(0), real.clusters)
    return Detection(accuracy, area(score[0], score[1], real.clusters), len(real))


def too_few(real: SampleSet) -> tuple[str, str] | None:
    """The requirement of the detector and the number found, if there are too few sequences."""
    if len(real) < MIN_SEQUENCES_FOR_DETECTOR:
        return f"at least {MIN_SEQUENCES_FOR_DETECTOR} held-out sequences", str(len(real))
    if real.starts is not None and (stretches := len(np.unique(real.clusters))) < FOLDS:
        return f"held-out windows from at least {FOLDS} stretches that do not overlap", str(stretches)
    return None


def folds(samples: SampleSet, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of `FOLDS` folds, masks of the sequences to learn from and to judge; each sequence is judged once.

    Sequences are assigned at random. Windows of one series are cut by time, and the clusters beside those that are
    judged are not learned from: otherwise a window would seem real only because it overlaps a known one.
    """
    if samples.starts is None:
        fold = np.random.default_rng(seed).permutation(np.arange(len(samples)) % FOLDS)
        return [(fold != k, fold == k) for k in range(FOLDS)]
    known, cluster = np.unique(samples.clusters, return_inverse=True)
    fold = cluster * FOLDS // len(known)
    judged = [samples.clusters[fold == k, None] + np.array([-1, 0, 1]) for k in range(FOLDS)]
    return [(~np.isin(samples.clusters, near), fold == k) for k, near in enumerate(judged) if len(near)]


def area(low: Reals, high: Reals, clusters: Codes) -> Measured:
    """P(low < high) + P(low = high) / 2, the area under the curve, of (N,) paired scores with its standard error.

    The error is the error of the placements (DeLong et al. 1988), summed over the pairs of a cluster (Obuchowski 1997).
    """
    under, over = placement(high, low), 1 - placement(low, high)
    value = float(under.mean())
    return Measured(value, clustered_mean(under + over - 2 * value, clusters).error)


@answers("detector", "Can a classifier tell generated sequences from real ones?")
def detector(comparison: Comparison, seed: int) -> Findings:
    """Held-out sequences against as many generated ones."""
    if lacking := too_few(comparison.real):
        return Findings("It takes {}; there are {}.".format(*lacking), available=False)
    found = detect(comparison.real, comparison.one_each, seed)
    columns = (*headings("", form="text"), *headings("accuracy", "area under the curve", better="lower"))
    note = (
        f"Gradient-boosted trees on summaries of each sequence, {FOLDS} folds, {found.pairs:,} sequences of each kind. "
        "0.5: the classifier guesses. 1: the classifier is always right."
    )
    rows = [("held out against generated", found.accuracy, found.auc)]
    accuracy, error = found.accuracy.value or 0.0, found.accuracy.error or 0.0
    verdict = f"A classifier tells {accuracy:.1%} right (± {100 * error:.1f}; 50 % is chance)."
    figures = {"accuracy": accuracy, "error": error, "AUC": found.auc.value}
    if comparison.drawn is not None:
        of_inputs = detect_inputs(comparison.real, comparison.drawn, seed)
        rows.append(("inputs: held out against drawn", of_inputs.accuracy, of_inputs.auc))
        figures["accuracy of inputs"] = of_inputs.accuracy.value
        verdict += f" Of drawn inputs alone, {of_inputs.accuracy.value or 0.0:.1%}."
    table = ReportTable("Detector", columns, tuple(rows), note)
    return Findings(verdict, (table,), figures)
