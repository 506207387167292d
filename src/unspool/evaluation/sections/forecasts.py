"""How near generated sequences come to the real ones of the same input, beside reference forecasts."""

from collections.abc import Mapping

import numpy as np

from unspool.evaluation.document import (
    ALL_FIELDS,
    MODEL_NAME,
    Findings,
    Heading,
    Measured,
    ReportTable,
    Row,
    answers,
    headings,
)
from unspool.evaluation.samples import proper_scores
from unspool.evaluation.samples.return_series import CHANGE_TRANSFORMS, return_fields, returns_of
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals, clustered_mean, decimals, subsample, unit

MAX_SEQUENCES_FOR_ENERGY = 300
"""Held-out sequences of the energy score, which compares all pairs of forecasts."""
RETURN_HORIZONS = (1, 5, 20)
"""Steps over which returns are summed before they are scored."""

Forecasts = Mapping[str, SampleSet]


@answers("forecasts", "Do generated sequences come near the real ones of the same input?")
def forecasts(comparison: Comparison, seed: int) -> Findings:
    """Proper scores of generated sequences as forecasts of the held-out sequences, and of the baselines' forecasts.

    All are scored at the same steps: those where each of them has values.
    """
    if reason := proper_scores.why_no_forecasts(comparison):
        return Findings(reason, available=False)
    rows = proper_scores.judged_rows(comparison, seed)
    real, at = comparison.real.take(rows), proper_scores.sample_rows(rows, comparison.samples)
    sets = {MODEL_NAME: comparison.synthetic, **comparison.baselines}
    every = {name: samples.take(at) for name, samples in sets.items()}
    units = {name: unit(x) for name, x in comparison.train.numbers.items()}
    steps, ratios = _by_step(real, every, units)
    whole, energies, errors = _by_sequence(real, every, units, seed)
    parts = [steps, whole]
    if fields := return_fields(comparison):
        parts.append(_by_horizon(real, every, fields, seed))
    figures: dict[str, float | None] = {**{f"energy {name}": x for name, x in energies.items()}, **ratios}
    own, best = energies.pop(MODEL_NAME), min(energies, key=lambda name: energies[name], default=None)
    gain = float("nan") if best is None else 1 - own / energies[best]
    figures["energy_error"] = None if best is None else errors[best]
    verdict = (
        f"The energy score of whole sequences is {abs(gain):.1%} {'better' if gain >= 0 else 'worse'} than that of the "
        f"best of {len(energies)} baselines."
    )
    return Findings(verdict, tuple(parts), figures)


def _by_step(real: SampleSet, every: Forecasts, units: Mapping[str, float]) -> tuple[ReportTable, dict[str, float]]:
    rows: list[Row] = []
    ratios, clusters = {}, real.clusters[real.owner]
    pooled: dict[str, list[Reals]] = {name: [] for name in every}
    for field, values in real.numbers.items():
        among = {name: proper_scores.members(real, samples, samples.numbers[field]) for name, samples in every.items()}
        scores, means = _scores(values, among), {}
        for name, score in scores.items():
            losses = proper_scores.pinball(values, among[name])
            losses[np.isnan(score)] = np.nan
            averages = (clustered_mean(loss, clusters).value for loss in losses.T)
            rows.append((field, name, *_against(score, scores[MODEL_NAME], name, clusters), *averages))
            means[name] = clustered_mean(score, clusters).value
            pooled[name].append(score / units[field])
        own = means.pop(MODEL_NAME)
        best = min((value for value in means.values() if value), default=float("nan"))
        ratios[f"CRPS {field}, relative to the best baseline"] = (own or 0.0) / best
    if len(real.numbers) > 1:
        together = {name: np.concatenate(parts) for name, parts in pooled.items()}
        owner, blank = np.tile(clusters, len(real.numbers)), (None,) * len(proper_scores.QUANTILES)
        whole: list[Row] = [
            (ALL_FIELDS, name, *_against(one, together[MODEL_NAME], name, owner), *blank)
            for name, one in together.items()
        ]
        rows = [*whole, *rows]
    digits = decimals(units.values()) + 1
    losses_at = headings(*(f"loss at {q:.0%}" for q in proper_scores.QUANTILES), digits=digits)
    note = (
        "CRPS, the continuous ranked probability score, in the field's unit: the mean distance of the forecasts from "
        "the real value, less half the mean distance among the forecasts. The loss is the quantile loss of the "
        "forecasts. Lower is better. All: in standard deviations of training."
    )
    return ReportTable("Step by step", (*_columns("CRPS", digits), *losses_at), tuple(rows), note, _own(rows)), ratios


def _by_sequence(
    real: SampleSet, every: Forecasts, units: Mapping[str, float], seed: int
) -> tuple[ReportTable, dict[str, float], dict[str, float | None]]:
    """The table, the mean energy scores, and the standard errors of how much more those of baselines are."""
    chosen = subsample(len(real), MAX_SEQUENCES_FOR_ENERGY, seed)
    scores = {}
    for name, samples in every.items():
        some = samples.take(proper_scores.sample_rows(chosen, len(samples) // len(real)))
        scores[name] = proper_scores.energy_score(real.take(chosen), some, units)
    clusters = real.clusters[chosen]
    against = {name: _against(score, scores[MODEL_NAME], name, clusters) for name, score in scores.items()}
    rows: list[Row] = [(ALL_FIELDS, name, *row) for name, row in against.items()]
    note = (
        f"The energy score over {len(chosen)} held-out sequences: numbers in units of their standard deviation, with "
        "the end of the sequence and missing values. Lower is better."
    )
    means = {name: float(score.mean()) for name, score in scores.items()}
    errors = {name: more.error for name, (_, more) in against.items() if more is not None}
    return ReportTable("Whole sequences", _columns("energy score", 3), tuple(rows), note, _own(rows)), means, errors


def _by_horizon(real: SampleSet, every: Forecasts, fields: Mapping[str, str], seed: int) -> ReportTable:
    rows: list[Row] = []
    clusters = real.clusters[real.owner]
    for field, transform in fields.items():
        for horizon in RETURN_HORIZONS:
            values = cumulative_return(real, field, transform, horizon)
            among = {
                name: proper_scores.members(real, samples, cumulative_return(samples, field, transform, horizon))
                for name, samples in every.items()
            }
            scores = _scores(values, among)
            for name, score in scores.items():
                if not np.isnan(score).all():
                    ranks = proper_scores.randomized_pit(values, among[name], np.random.default_rng(seed))
                    ranks = np.where(np.isnan(score), np.nan, ranks)
                    against = _against(score, scores[MODEL_NAME], name, clusters)
                    covered = clustered_mean(proper_scores.in_central_band(ranks, 0.8), clusters)
                    rows.append((f"{field}, first {horizon}", name, *against, covered))
    digits = decimals(unit(real.numbers[field]) for field in fields) + 1
    columns = (*_columns("CRPS", digits), *headings("in the 80% band", form="percent", digits=1))
    note = "The sum of the first so many returns of a sequence."
    return ReportTable("Sums of returns", columns, tuple(rows), note, _own(rows))


def cumulative_return(samples: SampleSet, field: str, transform: str, horizon: int) -> Reals:
    """(S,) at the last of the first `horizon` steps the sum of the returns until then; NaN at other steps."""
    series = samples.padded(returns_of(samples, field, transform), horizon)
    if transform in CHANGE_TRANSFORMS:
        series[:, 0] = 0.0
    out = np.full(len(samples.position), np.nan)
    at = samples.position == horizon - 1
    out[at] = series.sum(1)[samples.owner[at]]
    return out


def _scores(values: Reals, among: Mapping[str, Reals]) -> dict[str, Reals]:
    """The CRPS of all forecasts, at the steps where each of them has one."""
    scores = {name: proper_scores.crps(values, one) for name, one in among.items()}
    absent = np.any([np.isnan(one) for one in scores.values()], axis=0)
    return {name: np.where(absent, np.nan, one) for name, one in scores.items()}


def _columns(score: str, digits: int) -> tuple[Heading, ...]:
    return *headings("field", "forecasts", form="text"), *headings(score, "more than this model", digits=digits)


def _against(score: Reals, own: Reals, name: str, clusters: Codes) -> tuple[Measured, Measured | None]:
    """The score, and its excess over the model's own at the same steps."""
    more = None if name == MODEL_NAME else clustered_mean(score - own, clusters)
    return clustered_mean(score, clusters), more


def _own(rows: list[Row]) -> tuple[int, ...]:
    """The rows of the model itself."""
    return tuple(k for k, row in enumerate(rows) if row[1] == MODEL_NAME)
