"""Whether the model invents or repeats: exact copies of training sequences, and the distance of the others to them."""

import numpy as np

from unspool.evaluation.document import Findings, ReportTable, Row, answers, headings
from unspool.evaluation.samples.features import features
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Reals, placement, subsample

MAX_SEQUENCES_FOR_DISTANCES = 5_000
"""Sequences of each kind whose distances are taken."""
ROWS_AT_ONCE = 512
"""Rows whose distances to all training sequences are held at once."""
MIN_DISTANCE_RATIO = 0.5
"""The ratio of median distances below which generated sequences are too near to training."""


@answers("memory", "Does the model invent, or repeat its training data?")
def memory(comparison: Comparison, seed: int) -> Findings:
    """Copies of training sequences, and distances to the closest one, of generated and of held-out sequences.

    The model repeats if the share of generated sequences that copy a training sequence exceeds the share of held-out
    ones by more than 5 standard errors and by a point; or if the median distance of generated sequences to training is
    below `MIN_DISTANCE_RATIO` times the distance of held-out ones.
    """
    synthetic, real = fingerprints(comparison.synthetic), fingerprints(comparison.real)
    train, test = set(fingerprints(comparison.train)), set(real)
    copied = float(np.mean([one in train for one in synthetic]))
    of_test = float(np.mean([one in test and one not in train for one in synthetic]))
    base = float(np.mean([one in train for one in real]))
    copies = ReportTable(
        "Exact copies",
        (
            *headings("", form="text"),
            *headings("in training", "else in held out", "new", "distinct", form="percent", digits=1),
        ),
        (
            ("generated", copied, of_test, 1 - copied - of_test, len(set(synthetic)) / len(synthetic)),
            ("held out", base, None, 1 - base, len(test) / len(real)),
        ),
        "A sequence is a copy if all of its values are the same, whatever its input. The held-out row shows what "
        "chance and duplicates in the data bring about.",
    )
    away = distances(comparison, seed)
    medians = {name: float(np.median(x)) for name, x in away.items()}
    ratio = medians["generated"] / medians["held out"] if medians["held out"] else 1.0
    rows: list[Row] = [(name, *np.quantile(x, (0.05, 0.5, 0.95)).tolist()) for name, x in away.items()]
    columns = (*headings("", form="text"), *headings("5%", "median", "95%"))
    note = (
        "Euclidean, between standardised summaries of sequences. Much nearer than held-out sequences: the model "
        "repeats; much farther: it strays."
    )
    closest = ReportTable("Distance to the closest training sequence", columns, tuple(rows), note)
    chance = float(np.sqrt(max(base * (1 - base), 1 / len(real)) / len(real)))
    repeats = copied > base + max(5 * chance, 0.01) or ratio < MIN_DISTANCE_RATIO
    figures = {
        "copies": copied,
        "copies, held out": base,
        "distance ratio": ratio,
        "nearer than held out": float(placement(away["held out"], away["generated"]).mean()),
        "repeats": float(repeats),
    }
    verdict = (
        f"{copied:.1%} of generated sequences copy a training sequence ({base:.1%} of held-out ones do). Their "
        f"distance to training is {ratio:.2f} times that of held-out ones. "
        + ("They are nearer than they should be: the model repeats." if repeats else "Nothing says that it repeats.")
    )
    return Findings(verdict, (copies, closest), figures)


def fingerprints(samples: SampleSet) -> list[bytes]:
    """Each sequence's values as bytes, equal if and only if all values are the same."""
    # Adding 0.0 turns -0.0 into 0.0; a NaN has one bit pattern after the comparison.
    reals = [np.where(np.isnan(x), np.nan, x + 0.0).view(np.int64) for x in samples.numbers.values()]
    block = np.stack([*reals, *samples.symbols.values()], axis=1)
    return [block[a:b].tobytes() for a, b in zip(samples.offsets[:-1], samples.offsets[1:], strict=True)]


def distances(comparison: Comparison, seed: int) -> dict[str, Reals]:
    """Of held-out and of generated sequences, the distances to the closest training sequence.

    Between `features` without inputs, standardised by training. A figure that a sequence lacks counts as the mean.
    """
    sets = {"training": comparison.train, "held out": comparison.real, "generated": comparison.one_each}
    tables = {}
    for name, one in sets.items():
        some = one.take(subsample(len(one), MAX_SEQUENCES_FOR_DISTANCES, seed))
        tables[name] = features(some, comparison.train, inputs=False)
    known = ~np.isnan(tables["training"])
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, tables["training"], 0).sum(0) / count
    spread = np.sqrt((np.where(known, tables["training"] - mean, 0) ** 2).sum(0) / count)
    used = spread > 1e-9 * (1 + np.abs(mean))
    standard = {name: np.nan_to_num((table[:, used] - mean[used]) / spread[used]) for name, table in tables.items()}
    return {name: _closest(standard[name], standard["training"]) for name in ("held out", "generated")}


def _closest(rows: Reals, base: Reals) -> Reals:
    squares = (base**2).sum(1)
    out = np.zeros(len(rows))
    for at in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[at : at + ROWS_AT_ONCE]
        apart = (part**2).sum(1)[:, None] + squares - 2 * part @ base.T
        out[at : at + ROWS_AT_ONCE] = np.sqrt(np.maximum(apart.min(1), 0))
    return out
