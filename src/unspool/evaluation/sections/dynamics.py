"""How steps follow one another and fields go together, in generated sequences beside real ones."""

import itertools

import numpy as np

from unspool.evaluation.document import Findings, Picture, ReportTable, answers, headings
from unspool.evaluation.samples import statistics
from unspool.evaluation.samples.sample_set import ABSENT, Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Compared, Reals

AUTOCORRELATION_LAGS = (1, 2, 5, 10)
MIN_PAIRS_FOR_CORRELATION = 30
"""Pairs of steps that a correlation needs."""
MAX_ROWS = 10
"""Correlations that are listed: those that differ most."""
VALUES, CHANGES = "values", "changes"
"""A correlation is one of the values of fields, or of their changes from step to step."""


@answers("dynamics", "Do generated steps follow one another as real ones do?")
def dynamics(comparison: Comparison) -> Findings:
    """Autocorrelations, correlations of fields and transitions, in training, held-out and generated sequences.

    Correlations are over all pairs of steps of all sequences, so they show differences between sequences and movements
    within a sequence. Those of changes from step to step show movements alone.
    """
    train, real, synthetic = kinds = (comparison.train, comparison.real, comparison.synthetic)
    autocorrelations = [
        Compared(name, f"{of}, lag {lag}", *(autocorrelation(one, name, of, lag) for one in kinds))
        for name in real.numbers
        for of, lag in [*((VALUES, lag) for lag in AUTOCORRELATION_LAGS), (CHANGES, 1)]
    ]
    correlations = [
        Compared(f"{a}, {b}", of, *(cross_correlation(one, a, b, of) for one in kinds))
        for a, b in itertools.combinations(real.numbers, 2)
        for of in (VALUES, CHANGES)
    ]
    moves = [
        (name, transition_distance(real, synthetic, name), transition_distance(real, train, name))
        for name in real.symbols
    ]
    parts: list[ReportTable | Picture] = []
    sentences, figures = [], dict[str, float | None]()
    for kind, title, first, rows in (
        ("autocorrelation", "Autocorrelation", "field", autocorrelations),
        ("correlation of fields", "Correlation of fields in a step", "fields", correlations),
    ):
        known = sorted((row for row in rows if np.isfinite(row.difference)), key=lambda row: -row.difference)
        figures[f"{kind}, largest difference"] = known[0].difference if known else None
        chance = [abs(row.train - row.real) for row in known if np.isfinite(row.train)]
        figures[f"{kind}, largest difference, of training"] = max(chance, default=None)
        if known:
            most = known[0]
            parts.append(_correlations_table(title, first, known))
            sentences.append(f"The largest difference in {kind} is {most.difference:.2f} ({most.field}; {most.of}).")
    figures |= {f"transitions {name}": distance for name, distance, _ in moves}
    figures |= {f"transitions {name}, of training": distance for name, _, distance in moves}
    if moves:
        parts.append(_transitions_table(moves))
        name, distance, of_training = max(moves, key=lambda row: row[1])
        sentences.append(
            f"The distance of transitions of {name} is {distance:.3f}; that of training is {of_training:.3f}."
        )
    verdict = " ".join(sentences) or "The sequences are too few or too short."
    return Findings(verdict, tuple(parts), figures, available=bool(parts))


def _series(samples: SampleSet, name: str, of: str) -> Reals:
    values = samples.numbers[name]
    return values if of == VALUES else statistics.step_changes(values, samples.offsets)


def autocorrelation(samples: SampleSet, name: str, of: str, lag: int) -> float:
    """The correlation of a number, or of its change, with itself `lag` steps later; NaN with too few pairs."""
    series = _series(samples, name, of)
    return statistics.lagged_correlation(series, series, samples.offsets, lag, MIN_PAIRS_FOR_CORRELATION)


def cross_correlation(samples: SampleSet, a: str, b: str, of: str) -> float:
    """The correlation of two numbers, or of their changes, in the same step; NaN with too few steps with both."""
    return statistics.correlation(_series(samples, a, of), _series(samples, b, of), MIN_PAIRS_FOR_CORRELATION)


def transition_distance(real: SampleSet, other: SampleSet, name: str) -> float:
    """The total variation of pairs of neighbouring symbols, start and end of the sequence included.

    The texts "ab" and "aba" have a distance of 0.5: pairs ^a ab b$ against ^a ab ba a$.
    """
    size = max(int(one.symbols[name].max(initial=0)) for one in (real, other)) + 3
    return statistics.total_variation(*(_bigrams(one, name, size) for one in (real, other)))


def _bigrams(samples: SampleSet, name: str, size: int) -> Codes:
    """Numbered pairs; 0 stands before the start and after the end, 1 is a missing symbol."""
    codes = samples.symbols[name] - ABSENT + 1
    before = np.where(samples.position == 0, 0, np.roll(codes, 1))
    last = samples.offsets[1:][samples.lengths > 0] - 1
    return np.concatenate([before * size + codes, codes[last] * size])


def _correlations_table(title: str, first: str, rows: list[Compared]) -> ReportTable:
    columns = (*headings(first, "of", form="text"), *headings("training", "held out", "generated"))
    mean = float(np.mean([row.difference for row in rows]))
    note = f"The {min(len(rows), MAX_ROWS)} of {len(rows)} that differ most. The mean difference of all is {mean:.3f}."
    return ReportTable(title, columns, tuple(rows[:MAX_ROWS]), note)


def _transitions_table(rows: list[tuple[str, float, float]]) -> ReportTable:
    note = (
        "The total variation of pairs of neighbouring symbols, with the start and the end: the share of pairs that "
        "would have to be other pairs. The distance of training from held-out data is the yardstick."
    )
    columns = (*headings("field", form="text"), *headings("transitions", "of training"))
    return ReportTable("Transitions of symbols", columns, tuple(rows), note)
