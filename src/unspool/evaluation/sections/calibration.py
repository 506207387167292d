"""Whether generated numbers are spread as real ones are: coverage of bands, and the probability integral transform."""

import numpy as np

from unspool.evaluation.document import (
    Findings,
    Measured,
    Panel,
    Picture,
    ReportTable,
    Row,
    Trace,
    answers,
    headings,
    numbers,
)
from unspool.evaluation.samples import proper_scores
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals, band_name, bands, clustered_mean, intraclass_correlation

COVERAGE_LEVELS = (0.5, 0.8, 0.95)
BAND_HEADINGS = headings(*(f"in the {level:.0%} band" for level in COVERAGE_LEVELS), form="percent", digits=1)
PIT_BINS = 10
MAX_FIELDS_BY_POSITION = 4
"""Fields up to which coverage by position is given for each; of more, it is given for all together."""


@answers("calibration", "Are generated numbers spread as real ones are?")
def calibration(comparison: Comparison, seed: int) -> Findings:
    """Ranks of held-out numbers among the numbers generated for the same input."""
    if reason := proper_scores.why_no_forecasts(comparison):
        return Findings(reason, available=False)
    rows, rng = proper_scores.judged_rows(comparison, seed), np.random.default_rng(seed)
    real = comparison.real.take(rows)
    synthetic = comparison.synthetic.take(proper_scores.sample_rows(rows, comparison.samples))
    pit = {}
    for name, x in real.numbers.items():
        among = proper_scores.members(real, synthetic, synthetic.numbers[name])
        pit[name] = proper_scores.randomized_pit(x, among, rng)
    clusters = real.clusters[real.owner]
    together = np.concatenate(list(pit.values()))
    owners = np.tile(clusters, len(pit))
    covered = dict(zip(COVERAGE_LEVELS, _coverage(together, owners), strict=True))
    fields = ReportTable(
        "By field",
        (
            *headings("field", form="text"),
            *BAND_HEADINGS,
            *headings("mean PIT", "dispersion of PIT"),
            *headings("distance from uniform", form="percent", digits=1),
        ),
        tuple((name, *_row(one, clusters)) for name, one in pit.items()),
        "PIT, the probability integral transform: the rank of a real number among the generated ones, from 0 to 1. "
        "Of a perfect model every band holds its own share, the mean PIT is 0.5 and the dispersion 1. "
        "A dispersion above 1: generated numbers are spread too narrowly; below 1: too widely. Distance from uniform: "
        f"the share of ranks that would have to move for {PIT_BINS} equal bars.",
    )
    shown = pit if len(pit) <= MAX_FIELDS_BY_POSITION else {"all": together}
    return Findings(
        f"{_share(covered[0.8])} of held-out numbers lie in the middle 80 % of the numbers generated for their input.",
        (fields, _by_position(shown, real), _histograms(pit)),
        {f"coverage_{round(100 * level)}": value.value for level, value in covered.items()}
        | {"coverage_80_error": perfect_error(together, owners, 0.8)}
        | {f"distance from uniform {name}": distance_from_uniform(one) for name, one in pit.items()},
    )


def perfect_error(pit: Reals, clusters: Codes, level: float) -> float | None:
    """The standard error of the share of a band under a perfect model, of (S,) ranks of (S,) clusters; None of one.

    Ranks of one sequence are alike, so that some sequences may all lie inside: then the share varies little among
    them, and its own error says nothing. The error grows with how alike distances from the middle are.
    """
    kept = ~np.isnan(pit)
    count = np.bincount(clusters[kept])
    alike = intraclass_correlation(np.abs(pit[kept] - 0.5), clusters[kept]) if kept.any() else float("nan")
    size = (count**2).sum() / max(count.sum(), 1)
    error = float(np.sqrt(level * (1 - level) / max(count.sum(), 1) * (1 + (size - 1) * alike)))
    return None if np.isnan(error) else error


def distance_from_uniform(pit: Reals) -> float:
    """The total variation between the histogram of ranks and a uniform one."""
    return float(np.abs(_bars(pit) - 1 / PIT_BINS).sum() / 2)


def _coverage(pit: Reals, clusters: Codes) -> list[Measured]:
    return [clustered_mean(proper_scores.in_central_band(pit, level), clusters) for level in COVERAGE_LEVELS]


def _row(pit: Reals, clusters: Codes) -> Row:
    mean, dispersion = clustered_mean(pit, clusters), clustered_mean(12 * (pit - 0.5) ** 2, clusters)
    return *_coverage(pit, clusters), mean, dispersion, distance_from_uniform(pit)


def _by_position(pit: dict[str, Reals], real: SampleSet) -> ReportTable:
    rows: list[Row] = []
    for name, one in pit.items():
        fields = len(one) // max(len(real.position), 1)
        position, clusters = np.tile(real.position, fields), np.tile(real.clusters[real.owner], fields)
        for band in bands(int(real.lengths.max(initial=0))):
            at = (position >= band[0]) & (position < band[1]) & ~np.isnan(one)
            if at.any():
                rows.append((name, band_name(band), *_coverage(one[at], clusters[at])))
    columns = (*headings("field", "steps", form="text"), *BAND_HEADINGS)
    return ReportTable("By position", columns, tuple(rows))


def _bars(pit: Reals) -> Reals:
    counts = np.histogram(pit[~np.isnan(pit)], PIT_BINS, (0, 1))[0]
    return counts / max(counts.sum(), 1)


def _histograms(pit: dict[str, Reals]) -> Picture:
    middles = numbers((np.arange(PIT_BINS) + 0.5) / PIT_BINS)
    perfect = Trace("perfect", (0.0, 1.0), (1 / PIT_BINS, 1 / PIT_BINS), role="reference")
    panels = []
    for name, one in list(pit.items())[:6]:
        bars = Trace("held out", middles, numbers(_bars(one)), mark="bars", role="real")
        panels.append(Panel(name, "PIT", "share", (bars, perfect)))
    note = "A bowl: generated numbers are too narrow. A hump: too wide. A slope: too low or too high."
    return Picture("Ranks of held-out numbers (PIT)", tuple(panels), note, same_y=True)


def _share(measured: Measured) -> str:
    if measured.value is None:
        return "None"
    error = "" if measured.error is None else f" ± {100 * measured.error:.1f}"
    return f"{100 * measured.value:.1f}{error} %"
