"""Whether generated sequences are as long as real ones, and stop where real ones stop."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from unspool.evaluation.document import (
    BY_INPUT,
    Findings,
    Panel,
    Picture,
    ReportTable,
    Row,
    Trace,
    answers,
    headings,
    numbers,
)
from unspool.evaluation.samples.proper_scores import randomized_pit
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals, band_name, bands, kolmogorov_smirnov

LENGTH_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_INPUT_GROUPS, MIN_SEQUENCES_OF_GROUP = 10, 8
"""Groups of an input by which lengths are compared, and the fewest held-out sequences of each."""
MIN_LENGTH_Z = 4.0
"""Standard errors by which the mean lengths of a group must differ for the difference to count."""
MIN_EXPLAINED_LENGTH = 0.02
"""Share of the variance of held-out lengths that an input must explain for lengths to depend on it."""


@answers("lengths", "Are generated sequences as long as real ones?")
def lengths(comparison: Comparison, seed: int) -> Findings:
    """Lengths of held-out and generated sequences, and the hazard of stopping by position.

    A generated sequence that reached the limit counts as one that went on there.
    """
    real, synthetic, train = (one.lengths for one in (comparison.real, comparison.synthetic, comparison.train))
    kinds = {"training": train, "held out": real, "generated": synthetic}
    distance, of_training = kolmogorov_smirnov(real, synthetic), kolmogorov_smirnov(real, train)
    ended = float(comparison.ended.mean())
    if len(np.unique(np.concatenate(list(kinds.values())))) == 1:
        return Findings(f"All sequences have {real[0]} steps.", figures={"KS": 0.0, "ended": ended})
    rows: list[Row] = [("mean", *(float(x.mean()) for x in kinds.values()))]
    rows += [(f"{q:.0%} are up to", *(float(np.quantile(x, q)) for x in kinds.values())) for q in LENGTH_QUANTILES]
    columns = (*headings("", form="text"), *headings(*kinds, digits=1))
    table = ReportTable("Steps in a sequence", columns, tuple(rows))
    stops, chi2, judged = _stops(real, synthetic, comparison.ended)
    among = synthetic.reshape(len(real), -1).astype(np.float64)
    pit = randomized_pit(real.astype(np.float64), among, np.random.default_rng(seed))
    figures: dict[str, float | None] = {
        "KS": distance,
        "KS of training": of_training,
        "ended": ended,
        "mean": float(synthetic.mean()),
        "mean, held out": float(real.mean()),
        "stops, chi2 per band": chi2 / judged if judged else None,
        "mean PIT": float(np.nanmean(pit)) if not np.isnan(pit).all() else None,
    }
    verdict = (
        f"Generated sequences have {synthetic.mean():.1f} steps in the mean, held-out ones {real.mean():.1f}. The "
        f"Kolmogorov-Smirnov distance of their lengths is {distance:.3f}; that of training and held-out lengths is "
        f"{of_training:.3f}. {ended:.1%} of the generated sequences stopped by themselves."
    )
    by_input, more, sentence = _by_input(comparison)
    return Findings(verdict + sentence, (table, *by_input, stops, _curve(kinds)), figures | more)


def _by_input(comparison: Comparison) -> tuple[tuple[ReportTable, ...], dict[str, float | None], str]:
    """Mean lengths by the input that says most of held-out ones; nothing if none does."""
    real, synthetic = (one.lengths.astype(np.float64) for one in (comparison.real, comparison.synthetic))
    found = [(_explained(real, codes), name, codes, texts) for name, codes, texts in _groups(comparison.real)]
    explained, name, codes, texts = max(found, key=lambda one: one[0], default=(0.0, "", real, []))
    if explained < MIN_EXPLAINED_LENGTH:
        return (), {}, ""
    within = (1 - explained) * float(real[codes >= 0].var(ddof=1))
    rows: list[Row] = []
    largest = (0.0, "")
    for code, text in enumerate(texts):
        own, others = real[codes == code], synthetic.reshape(len(real), -1)[codes == code]
        error = np.sqrt((max(own.var(ddof=1), within) + others.mean(1).var(ddof=1)) / len(own))
        apart = float(others.mean() - own.mean())
        z = apart / error if error > 0 else 0.0 if abs(apart) < 1 / len(own) else float("inf")
        rows.append((text, len(own), float(own.mean()), float(others.mean()), z))
        if abs(z) > MIN_LENGTH_Z:
            means = f"{own.mean():.1f} steps in the mean and generated ones {others.mean():.1f}"
            largest = max(largest, (abs(apart) / real.std(), f"where {name} is {text}, held-out ones have {means}"))
    columns = (
        *headings(name, form="text"),
        *headings("held-out sequences", form="count"),
        *headings("held out", "generated", "z-score", digits=1),
    )
    note = (
        f"Mean steps by the input that explains most of the variance of held-out lengths, {explained:.0%}. The z-score "
        "is the difference in standard errors."
    )
    figures: dict[str, float | None] = {"explained by input": explained, f"{BY_INPUT}{name}": largest[0]}
    sentence = f" Lengths depend on {name}: {largest[1]}." if largest[1] else ""
    return (ReportTable(f"Mean steps by {name}", columns, tuple(rows), note),), figures, sentence


def _explained(values: Reals, codes: Codes) -> float:
    """The share of the variance that groups explain beyond chance (Kelley 1935, epsilon squared); -1 is no group."""
    kept = codes >= 0
    values, codes = values[kept], codes[kept]
    count = np.bincount(codes)
    free = len(values) - len(count)
    if free < 1 or len(count) < 2 or not values.var():
        return 0.0
    within = ((values - (np.bincount(codes, values) / count)[codes]) ** 2).sum() / free
    return float(1 - within / values.var(ddof=1))


def _groups(samples: SampleSet) -> Iterator[tuple[str, Codes, list[str]]]:
    """By input, (N,) the group of each sequence, -1 in none, and the groups in words: values, or tenths of numbers."""
    for name, column in samples.inputs.items():
        if column.ndim == 1:
            words = [str(one) for one in samples.names[f"input {name}"]]
            codes = column
        elif column.shape[1] == 1:
            known = np.unique(column[~np.isnan(column)])
            codes = np.searchsorted(known, column[:, 0])
            words = [f"{one:g}" for one in known]
            if len(known) > MAX_INPUT_GROUPS:
                edges = np.unique(np.quantile(column[~np.isnan(column)], np.linspace(0, 1, MAX_INPUT_GROUPS + 1)))
                codes = np.clip(np.searchsorted(edges, column[:, 0], "right") - 1, 0, len(edges) - 2)
                words = [f"from {a:g} to {b:g}" for a, b in pairwise(edges)]
            codes = np.where(np.isnan(column[:, 0]), -1, codes)
        else:
            continue
        count = np.bincount(codes[codes >= 0], minlength=len(words))
        kept = np.flatnonzero(count >= MIN_SEQUENCES_OF_GROUP)
        kept = np.sort(kept[np.argsort(-count[kept], kind="stable")][:MAX_INPUT_GROUPS])
        new = np.full(len(words) + 1, -1)
        new[kept] = np.arange(len(kept))
        yield name, new[codes], [words[k] for k in kept]


def hazards(lengths: Codes, ended: np.ndarray, longest: int) -> Reals:
    """(longest + 1,) of the sequences with at least t steps, the share that stops after t; NaN without any."""
    stopped = np.bincount(lengths[ended], minlength=longest + 1)[: longest + 1]
    reached = (lengths[:, None] >= np.arange(longest + 1)).sum(0)
    return np.where(reached > 0, stopped / np.maximum(reached, 1), np.nan)


def _stops(real: Codes, synthetic: Codes, ended: np.ndarray) -> tuple[ReportTable, float, int]:
    """Stops of held-out sequences by position, beside those expected from the hazards of generated ones."""
    longest = int(real.max())
    hazard = hazards(synthetic, ended, longest)
    reached = (real[:, None] >= np.arange(longest + 1)).sum(0)
    observed = np.bincount(real, minlength=longest + 1)
    known = ~np.isnan(hazard)
    rows, chi2, judged = [], 0.0, 0
    for band in [(-1, 0), *bands(longest)]:
        at = slice(band[0] + 1, band[1] + 1)
        kept = known[at]
        expected = float((reached[at] * hazard[at])[kept].sum())
        variance = float((reached[at] * hazard[at] * (1 - hazard[at]))[kept].sum())
        seen = int(observed[at][kept].sum())
        z = (seen - expected) / np.sqrt(variance) if variance > 0 else float("nan")
        if variance > 1:
            chi2, judged = chi2 + z**2, judged + 1
        if reached[at].any() and (expected or seen):
            rows.append(("0" if band[0] < 0 else band_name(band), int(reached[at][0]), seen, expected, z))
    columns = (
        *headings("after step", form="text"),
        *headings("reached", "stopped", form="count"),
        *headings("expected", "z-score", digits=1),
    )
    note = (
        "Held-out sequences that stop after a step, and how many are expected to, if each stops with the hazard of "
        "generated sequences. The z-score is the difference in standard deviations of chance."
    )
    return ReportTable("Stops by position", columns, tuple(rows), note), chi2, judged


def _curve(kinds: dict[str, Codes]) -> Picture:
    at = np.unique(np.linspace(0, int(max(x.max() for x in kinds.values())), 100).astype(np.int64))
    survival = {name: numbers((x[:, None] >= at).mean(0)) for name, x in kinds.items()}
    traces = (
        Trace("held out", numbers(at), survival["held out"], role="real"),
        Trace("generated", numbers(at), survival["generated"]),
    )
    return Picture("Survival function of lengths", (Panel("", "steps", "share at least so long", traces),))
