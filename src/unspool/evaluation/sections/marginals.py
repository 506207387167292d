"""Field by field: values, missing values and repeated values of generated sequences beside those of real ones."""

from collections.abc import Sequence

import numpy as np

from unspool.evaluation.document import (
    Findings,
    Heading,
    Panel,
    Picture,
    ReportTable,
    TableCell,
    Trace,
    answers,
    numbers,
)
from unspool.evaluation.samples.sample_set import ABSENT, Comparison, SampleSet
from unspool.evaluation.samples.statistics import (
    Compared,
    Reals,
    decimals,
    kolmogorov_smirnov,
    mean_or_nan,
    present,
    total_variation,
    unit,
    wasserstein,
)

MIN_SHARE_OF_REPEATED_VALUE, MAX_REPEATED_VALUES = 0.05, 3
"""Share of a training field that one value must have to be listed, and how many values are listed."""


@answers("marginals", "Do generated steps hold the same values as real ones?")
def marginals(comparison: Comparison) -> Findings:
    """Distances of generated from held-out values, each beside the distance of training from held-out values."""
    kinds = (comparison.train, comparison.real, comparison.synthetic)
    real = comparison.real
    number_rows = [_number(name, *(present(one.numbers[name]) for one in kinds)) for name in real.numbers]
    symbol_rows = [_symbol(name, *(one.symbols[name] - ABSENT for one in kinds)) for name in real.symbols]
    every = [
        Compared(name, "missing", *(_missing(one, name) for one in kinds)) for name in [*real.numbers, *real.symbols]
    ]
    missing = [row for row in every if row.train or row.real or row.synthetic]
    repeated = [row for name in real.numbers for row in _repeated(name, [present(one.numbers[name]) for one in kinds])]
    parts: list[ReportTable | Picture] = []
    if number_rows:
        parts.append(_numbers_table(number_rows, decimals(map(unit, comparison.train.numbers.values()))))
        parts.append(_picture(comparison))
    if symbol_rows:
        parts.append(_symbols_table(symbol_rows))
    shares = tuple(Heading(name, "percent", 1) for name in ("training", "held out", "generated"))
    for title, what, rows in (
        ("Missing values", "share", missing),
        (f"Values that at least {MIN_SHARE_OF_REPEATED_VALUE:.0%} of a field's are", "value", repeated),
    ):
        if rows:
            parts.append(ReportTable(title, (Heading("field", "text"), Heading(what, "text"), *shares), tuple(rows)))
    distances = {str(row[0]): float(row[1]) for row in [*number_rows, *symbol_rows]}
    figures: dict[str, float | None] = {f"distance {name}": distance for name, distance in distances.items()}
    for row in [*missing, *repeated]:
        of = f"missing {row.field}" if row.of == "missing" else f"share of {row.of:g} in {row.field}"
        figures[f"{of}, generated less held out"] = row.synthetic - row.real
    most = max(distances, key=lambda name: distances[name] if np.isfinite(distances[name]) else -1.0)
    verdict = f"The field that differs most is {most}, by {distances[most]:.3f} (0: alike, 1: nothing in common)."
    if missing:
        verdict += (
            f" Shares of missing values differ by up to {100 * max(row.difference for row in missing):.1f} points."
        )
    return Findings(verdict, tuple(parts), figures)


def _number(name: str, train: Reals, real: Reals, synthetic: Reals) -> tuple[str | float, ...]:
    spread = (real.std() or 1.0) if len(real) else 1.0
    pairs = ((real, synthetic), (real, train))
    return (
        name,
        *(kolmogorov_smirnov(*pair) for pair in pairs),
        *(wasserstein(*pair) / spread for pair in pairs),
        *map(mean_or_nan, (real, synthetic)),
        *(float(x.std()) if len(x) else float("nan") for x in (real, synthetic)),
    )


def _symbol(name: str, train: np.ndarray, real: np.ndarray, synthetic: np.ndarray) -> tuple[str | float, ...]:
    return name, total_variation(real, synthetic), total_variation(real, train), mean_or_nan(~np.isin(real, train))


def _missing(samples: SampleSet, name: str) -> float:
    gone = np.isnan(samples.numbers[name]) if name in samples.numbers else samples.symbols[name] == ABSENT
    return float(gone.mean()) if len(gone) else 0.0


def repeated_values(values: Reals) -> list[float]:
    """The values that at least `MIN_SHARE_OF_REPEATED_VALUE` of the present ones are, the most frequent first.

    Examples:
        >>> repeated_values(np.array([0.0] * 5 + [float(k) for k in range(1, 60)] + [np.nan]))
        [0.0]
    """
    known, counts = np.unique(present(values), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_REPEATED_VALUES]
    return [float(known[k]) for k in order if counts[k] >= MIN_SHARE_OF_REPEATED_VALUE * counts.sum() and counts[k] > 1]


def _repeated(name: str, kinds: list[Reals]) -> list[Compared]:
    if not all(map(len, kinds)):
        return []
    return [Compared(name, value, *(float((x == value).mean()) for x in kinds)) for value in repeated_values(kinds[0])]


def _numbers_table(rows: Sequence[tuple[TableCell, ...]], digits: int) -> ReportTable:
    distances = map(Heading, ("KS", "KS of training", "Wasserstein", "Wasserstein of training"))
    moments = [f"{what}, {of}" for what in ("mean", "spread") for of in ("held out", "generated")]
    columns = (Heading("field", "text"), *distances, *(Heading(name, digits=digits) for name in moments))
    note = (
        "KS (Kolmogorov-Smirnov): the largest difference of the distribution functions. Wasserstein: the area between "
        "them, in held-out standard deviations. Spread: the standard deviation. The distance of training data from "
        "held-out data is the yardstick: no model can be expected to come nearer."
    )
    return ReportTable("Numbers", columns, tuple(rows), note)


def _symbols_table(rows: Sequence[tuple[TableCell, ...]]) -> ReportTable:
    distances = (Heading("total variation"), Heading("of training"), Heading("unseen in training", "percent", 2))
    columns = (Heading("field", "text"), *distances)
    note = "Total variation: the share of steps that would need another symbol for the shares of symbols to agree."
    return ReportTable("Symbols", columns, tuple(rows), note)


def _picture(comparison: Comparison) -> Picture:
    panels = []
    at = (np.arange(99) + 1) / 100
    for name in list(comparison.real.numbers)[:6]:
        real, synthetic = (present(one.numbers[name]) for one in (comparison.real, comparison.synthetic))
        if len(real) and len(synthetic):
            traces = (
                Trace("held out", numbers(np.quantile(real, at)), numbers(at), role="real"),
                Trace("generated", numbers(np.quantile(synthetic, at)), numbers(at)),
            )
            panels.append(Panel(name, name, "share below", traces))
    return Picture("Distribution functions", tuple(panels))
