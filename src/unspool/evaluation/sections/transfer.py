"""Whether generated sequences are as good to learn from as real ones: train on synthetic, test on real (TSTR)."""

import math

import numpy as np

from unspool.evaluation.document import Findings, Measured, ReportTable, Row, answers, headings
from unspool.evaluation.samples.features import boosted_trees, features
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Reals, clustered_mean, subsample

MIN_SEQUENCES_FOR_TRANSFER, MAX_SEQUENCES_FOR_TRANSFER = 50, 5_000
"""Training and held-out sequences: the fewest that the task needs, and the most that it uses."""
MAX_CLASSES, MIN_SEQUENCES_PER_CLASS = 50, 5
"""Limits of a categorical input that is predicted: its classes, and the training sequences of each class."""
MIN_ERRORS_ABOVE_CHANCE = 2
"""Standard errors by which a prediction learned from real sequences must beat chance for a ratio to mean something."""
MAX_PREDICTED_INPUTS = 3
"""Input fields that are predicted: the first ones that can be."""


@answers("transfer", "Do generated sequences teach what real ones do?")
def transfer(comparison: Comparison, seed: int) -> Findings:
    """Predict an input field from the sequence, learned from generated and, beside it, from real training sequences.

    Both learners are the same gradient-boosted trees on the same summaries, from as many sequences with the same
    inputs, and both are judged on the same held-out real sequences (Esteban, Hyland & Rätsch 2017, arXiv:1706.02633).
    """
    train, real = comparison.train, comparison.real
    if (fewest := min(len(train), len(real))) < MIN_SEQUENCES_FOR_TRANSFER:
        why = f"It takes at least {MIN_SEQUENCES_FOR_TRANSFER} training and held-out sequences; there are {fewest}."
        return Findings(why, available=False)
    names = [name for name, column in train.inputs.items() if _predictable(column)][:MAX_PREDICTED_INPUTS]
    if not names:
        classes = f"2 to {MAX_CLASSES} values that each occur {MIN_SEQUENCES_PER_CLASS} times"
        return Findings(f"No input is a number that varies, or a category of {classes}.", available=False)
    some = subsample(len(train), MAX_SEQUENCES_FOR_TRANSFER, seed)
    test = real.take(subsample(len(real), MAX_SEQUENCES_FOR_TRANSFER, seed))
    sets = (train.take(some), comparison.synthetic_train.take(some), test)
    tables = [features(one, train, inputs=False) for one in sets]
    rows: list[Row] = []
    figures: dict[str, float | None] = {}
    sentences = []
    for name in names:
        answer = test.inputs[name].reshape(len(test), -1)[:, 0]
        kinds = [(table, one.inputs[name].reshape(len(one), -1)[:, 0]) for table, one in zip(tables, sets, strict=True)]
        from_real, from_synthetic = (_learned(kind, tables[2], answer, test, seed) for kind in kinds[:2])
        chance, measure = _chance(kinds[0][1], answer)
        above = from_real.value is not None and (
            from_real.value - MIN_ERRORS_ABOVE_CHANCE * (from_real.error or 0.0) > chance
        )
        ratio = (from_synthetic.value or 0.0) / (from_real.value or 1.0) if above else None
        rows.append((name, measure, chance, from_real, from_synthetic, ratio))
        figures |= {f"ratio {name}": ratio, f"real {name}": from_real.value, f"generated {name}": from_synthetic.value}
        if ratio is not None:  # by the delta method, as if the two were independent
            error = math.hypot(from_synthetic.error or 0.0, ratio * (from_real.error or 0.0)) / (from_real.value or 1.0)
            figures[f"error of ratio {name}"] = error
        learned = f"{from_synthetic.value or 0:.3f} learned from generated, {from_real.value or 0:.3f} from real ones"
        sentences.append(f"{name}: {measure} {learned}")
    columns = (
        *headings("predicted input", "measure", form="text"),
        *headings("chance", "learned from real", "learned from generated", "ratio"),
    )
    note = (
        f"Judged on {len(test):,} real held-out sequences. A ratio of 1: generated sequences teach as much as real "
        f"ones. No ratio: real sequences teach nothing; they are less than {MIN_ERRORS_ABOVE_CHANCE} standard errors "
        "above chance."
    )
    table = ReportTable("Predicting the input", columns, tuple(rows), note)
    return Findings("; ".join(sentences) + ".", (table,), figures)


def _predictable(column: np.ndarray) -> bool:
    if column.ndim == 1:
        counts = np.unique(column, return_counts=True)[1]
        return bool(2 <= len(counts) <= MAX_CLASSES and counts.min() >= MIN_SEQUENCES_PER_CLASS)
    return bool(column.shape[1] == 1 and np.unique(column[~np.isnan(column)]).size > MAX_CLASSES)


def _chance(known: np.ndarray, answer: np.ndarray) -> tuple[float, str]:
    """The score of guessing, and the name of the measure."""
    if known.dtype.kind != "i":
        return 0.0, "R²"
    classes, counts = np.unique(known, return_counts=True)
    return float((answer == classes[counts.argmax()]).mean()), "accuracy"


def _learned(learn: tuple[Reals, np.ndarray], asked: Reals, answer: np.ndarray, test: SampleSet, seed: int) -> Measured:
    """Accuracy or explained variance on the test sequences, after learning from a table and its targets."""
    table, known = learn
    if known.dtype.kind == "i":
        guess = np.unique(known)[boosted_trees("Classifier", table, known, asked, seed).argmax(1)]
        return clustered_mean((guess == answer).astype(np.float64), test.clusters)
    kept, judged = ~np.isnan(known), ~np.isnan(answer)
    answer, clusters = answer[judged], test.clusters[judged]
    loss = (boosted_trees("Regressor", table[kept], known[kept], asked[judged], seed) - answer) ** 2
    base = (answer - answer.mean()) ** 2
    explained = 1 - loss.mean() / base.mean()
    # The delta method on a ratio of means.
    error = clustered_mean((loss - (1 - explained) * base) / base.mean(), clusters).error
    return Measured(explained, error)
