"""What must come out: each criterion with the figure that was measured, and whether it was met."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from unspool.dataset.clusters import independent_clusters
from unspool.dataset.examples import Examples
from unspool.evaluation.baselines.garch import GARCH_NAME
from unspool.evaluation.document import MODEL_NAME, Measured
from unspool.evaluation.samples.statistics import clustered_mean, kolmogorov_smirnov
from unspool.model import OneToMany
from unspool.report.report import Report

CHANCE_DRAWS = 2_000
"""Draws that show what chance alone does to a distance."""


class Criterion(NamedTuple):
    """One line of the page.

    Attributes:
        asks: what must come out.
        found: what was measured, in words.
        met: whether it did.
    """

    asks: str
    found: str
    met: bool


class Judged(NamedTuple):
    """A fitted model with all that criteria look at.

    Attributes:
        model: the model.
        report: its report on the held-out data.
        train: what it learned from.
        test: what was held out.
        generated: what it generated for the inputs of `test`, as many for each.
    """

    model: OneToMany
    report: Report
    train: Examples
    test: Examples
    generated: Examples


def better_than_baselines(judged: Judged) -> Criterion:
    """Held-out nats are below those of every baseline."""
    figures = judged.report.figures
    gain, error = number(figures, "likelihood.gain"), number(figures, "likelihood.gain_error")
    rows = table(judged.report, "likelihood", 0)
    best = min((row for row in rows[1:] if value(row[1]) is not None), key=lambda row: value(row[1]))
    found = f"{value(rows[0][1]):.3f}; {best[0]}, the best of them, {value(best[1]):.3f}"
    return Criterion(
        "nats per step below those of every baseline", f"{found}: better by {gain:.3f} ± {error:.3f}", gain > 0
    )


def better_than_ngram(judged: Judged) -> Criterion:
    """Held-out nats are below those of the n-gram that knows the input."""
    rows = table(judged.report, "likelihood", 0)
    name, nats, gain = next(row for row in rows if row[0].endswith("given the input"))
    found = f"{value(rows[0][1]):.4f}; {name} {value(nats):.4f}: better by {gain.value:.4f} ± {gain.error:.4f}"
    return Criterion(
        "nats per character below those of the n-gram given the input (Witten-Bell)", found, gain.value > 0
    )


def detected(judged: Judged, limit: float) -> Criterion:
    """A classifier tells fewer generated sequences from real ones than that."""
    figures = judged.report.figures
    accuracy, error = number(figures, "detector.accuracy"), number(figures, "detector.error")
    return Criterion(f"detector's accuracy below {limit}", f"{accuracy:.3f} ± {error:.3f}", accuracy < limit)


def missing(judged: Judged, name: str, limit: float) -> Criterion:
    """A field is missing as often as in the data."""
    return as_often(judged, f"{name} missing", lambda data: absent(data.steps[name]), limit)


def zeros(judged: Judged, name: str, limit: float) -> Criterion:
    """A number is zero as often as in the data."""
    return as_often(judged, f"{name} zero", lambda data: data.steps[name] == 0, limit)


def as_often(judged: Judged, what: str, which: Callable[[Examples], np.ndarray], limit: float) -> Criterion:
    """A share of generated steps is that of all the data.

    What was held out is shown beside it, with the error that chance gives that part, by sequence or by stretch of
    windows: a perfect model would be as far from it.
    """
    generated, train = (float(which(data).mean()) for data in (judged.generated, judged.train))
    every = float(np.concatenate([which(judged.train), which(judged.test)]).mean())
    test = judged.test
    clusters = independent_clusters(test.starts, test.gap, len(test))
    held = clustered_mean(which(test).astype(float), np.repeat(clusters, test.lengths))
    error = 100 * (held.error or float("nan"))
    within = f"within {100 * limit:.0f} points"
    return Criterion(
        f"{what} as often as in all the data, {within}",
        f"generated {generated:.1%}, all {every:.1%} (training {train:.1%}, held out {held.value:.1%} ± {error:.1f})",
        abs(generated - every) <= limit,
    )


def never_falls(judged: Judged, name: str) -> Criterion:
    """A number doesn't decrease within any generated sequence."""
    owner = np.repeat(np.arange(len(judged.generated)), judged.generated.lengths)
    within = owner[1:] == owner[:-1]
    falls = within & (np.diff(judged.generated.steps[name].astype(float)) < 0)
    return Criterion(f"{name} never decreases", f"{falls.sum()} of {within.sum():,} steps go back", not falls.any())


def lengths(judged: Judged, limit: float) -> Criterion:
    """Lengths are distributed as in all the data; how far the held-out part is, is shown beside what chance does."""
    generated, test, train = judged.generated.lengths, judged.test.lengths, judged.train.lengths
    every = kolmogorov_smirnov(np.concatenate([train, test]), generated)
    held, of_training = kolmogorov_smirnov(test, generated), kolmogorov_smirnov(test, train)
    rng = np.random.default_rng(0)
    draws = [kolmogorov_smirnov(rng.choice(generated, len(test)), generated) for _ in range(CHANCE_DRAWS)]
    chance = np.quantile(draws, [0.5, 0.95])
    return Criterion(
        f"lengths within {limit:.0%} of all {len(train) + len(test)} sequences (Kolmogorov-Smirnov)",
        f"{every:.3f}; of the {len(test)} held out {held:.3f}, where training is {of_training:.3f} off, and as many "
        f"draws of the generated lengths {chance[0]:.3f} in the median, {chance[1]:.3f} in one of twenty cases",
        every <= limit,
    )


def transferred(judged: Judged, name: str, least: float) -> Criterion:
    """A classifier that learned from generated sequences is nearly as good as one that learned from real ones."""
    figures = judged.report.figures
    ratio, generated, real = (number(figures, f"transfer.{what} {name}") for what in ("ratio", "generated", "real"))
    return Criterion(
        f"{name} learned from generated sequences is predicted with at least {least} of the accuracy of real ones",
        f"{ratio:.3f} ({generated:.3f} and {real:.3f})",
        ratio >= least,
    )


def no_worse_than_garch(judged: Judged) -> list[Criterion]:
    """Sums of returns have a CRPS that is not above that of GARCH's paths."""
    rows = table(judged.report, "forecasts", 2)
    found = []
    for field in dict.fromkeys(row[0] for row in rows):
        own, garch = (next(row for row in rows if row[:2] == (field, name)) for name in (MODEL_NAME, GARCH_NAME))
        more = garch[3]
        found.append(
            Criterion(
                f"CRPS of the {field.rpartition(' ')[2]}-day return no worse than that of {GARCH_NAME}",
                f"{own[2].value:.5f}, GARCH {garch[2].value:.5f}: better by {more.value:.5f} ± {more.error:.5f}",
                own[2].value <= garch[2].value,
            )
        )
    return found


def covered(judged: Judged, low: float, high: float) -> Criterion:
    """The middle 80 % of generated values hold about as much of the held-out ones."""
    row = table(judged.report, "calibration", 0)[0][2]
    return Criterion(
        f"80 % band of daily returns holds {low:.0%} to {high:.0%}",
        f"{row.value:.1%} ± {100 * row.error:.1f}",
        low <= row.value <= high,
    )


def table(report: Report, section: str, part: int) -> tuple[tuple[Any, ...], ...]:
    """The rows of a table of a report, the model's own first."""
    found = report.section(section)
    if not found.available:
        raise SystemExit(f"section {section}: {found.verdict}")
    return found.parts[part].rows


def value(cell: Measured | None) -> Any:
    """The figure of a cell."""
    return None if cell is None else cell.value


def number(figures: dict[str, float | None], name: str) -> float:
    """A figure; not a number where it could not be given, so that no criterion is met by it."""
    found = figures.get(name)
    return float("nan") if found is None else found


def absent(values: np.ndarray) -> np.ndarray:
    """Which values are missing."""
    if values.dtype.kind == "O":
        return np.array([x is None or x != x for x in values.tolist()])
    return np.isnan(values.astype(float))
