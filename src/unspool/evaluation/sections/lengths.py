"""Whether generated sequences are as long as real ones, and stop where real ones stop."""

import numpy as np

from unspool.evaluation.document import Findings, Panel, Picture, ReportTable, Row, Trace, answers, headings, numbers
from unspool.evaluation.samples.proper_scores import randomized_pit
from unspool.evaluation.samples.sample_set import Comparison
from unspool.evaluation.samples.statistics import Codes, Reals, band_name, bands, kolmogorov_smirnov

LENGTH_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


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
    figures = {
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
    return Findings(verdict, (table, stops, _curve(kinds)), figures)


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
