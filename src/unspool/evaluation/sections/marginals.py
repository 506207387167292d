"""Field by field: values, missing values and repeated values of generated sequences beside those of real ones."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from unspool.evaluation.document import Findings, Panel, Picture, ReportTable, Row, Trace, answers, headings, numbers
from unspool.evaluation.samples import statistics
from unspool.evaluation.samples.sample_set import ABSENT, Comparison, SampleSet
from unspool.evaluation.samples.statistics import Compared, Reals, mean_or_nan, present

MIN_SHARE_OF_REPEATED_VALUE, MAX_REPEATED_VALUES = 0.05, 3
"""Share of a training field that one value must have to be listed, and how many values are listed."""


@answers("marginals", "Do generated steps hold the same values as real ones?")
def marginals(comparison: Comparison) -> Findings:
    """Distances of generated from held-out values, each beside the distance of training from held-out values."""
    kinds = (comparison.train, comparison.real, comparison.synthetic)
    real = comparison.real
    number_rows = [_number(comparison, name, *(present(one.numbers[name]) for one in kinds)) for name in real.numbers]
    symbol_rows = [_symbol(name, *(one.symbols[name] - ABSENT for one in kinds)) for name in real.symbols]
    every = [
        Compared(name, "missing", *(_missing(one, name) for one in kinds)) for name in [*real.numbers, *real.symbols]
    ]
    missing = [row for row in every if row.train or row.real or row.synthetic]
    repeated = [row for name in real.numbers for row in _repeated(name, [present(one.numbers[name]) for one in kinds])]
    parts: list[ReportTable | Picture] = []
    if number_rows:
        parts.append(_numbers_table(number_rows, comparison.train))
        picture = _picture(comparison)
        parts += [picture] if picture.panels else []
    if symbol_rows:
        parts.append(_symbols_table(symbol_rows))
    shares = headings("training", "held out", "generated", form="percent", digits=1)
    for title, of, rows in (
        ("Missing values", "share", missing),
        (f"Values that at least {MIN_SHARE_OF_REPEATED_VALUE:.0%} of a field's are", "value", repeated),
    ):
        if rows:
            shown = tuple(
                (row.field, comparison.in_words(row.field, float(row.of)) if of == "value" else row.of, *row[2:])
                for row in rows
            )
            parts.append(ReportTable(title, (*headings("field", of, form="text"), *shares), shown))
    distances = {str(row[0]): float(row[1]) for row in [*number_rows, *symbol_rows]}
    figures: dict[str, float | None] = {f"distance {name}": distance for name, distance in distances.items()}
    figures |= {f"distance {row[0]}, of training": float(row[2]) for row in [*number_rows, *symbol_rows]}
    for row in [*missing, *repeated]:
        of = f"missing {row.field}" if row.of == "missing" else f"share of {row.of:g} in {row.field}"
        figures[f"{of}, generated less held out"] = row.synthetic - row.real
    most = max(distances, key=lambda name: distances[name] if np.isfinite(distances[name]) else -1.0)
    verdict = f"The field that differs most is {most}, by {distances[most]:.3f} (0: alike, 1: nothing in common)."
    if missing:
        most_missing = max(row.difference for row in missing)
        verdict += f" Shares of missing values differ by up to {100 * most_missing:.1f} points."
    return Findings(verdict, tuple(parts), figures)


def _number(comparison: Comparison, name: str, train: Reals, real: Reals, synthetic: Reals) -> tuple[Any, ...]:
    spread = (real.std() or 1.0) if len(real) else 1.0
    flag = comparison.kinds.get(name) == "flag"
    pairs = ((real, synthetic), (real, train))
    return (
        name,
        *(statistics.kolmogorov_smirnov(*pair) for pair in pairs),
        *(statistics.wasserstein(*pair) / spread for pair in pairs),
        *(comparison.mean_in_words(name, mean_or_nan(x)) for x in (real, synthetic)),
        *(float(x.std()) if len(x) and not flag else float("nan") for x in (real, synthetic)),
    )


def _symbol(name: str, train: np.ndarray, real: np.ndarray, synthetic: np.ndarray) -> tuple[str | float, ...]:
    distances = (statistics.total_variation(real, other) for other in (synthetic, train))
    return name, *distances, mean_or_nan(~np.isin(real, train))


def _missing(samples: SampleSet, name: str) -> float:
    missing = np.isnan(samples.numbers[name]) if name in samples.numbers else samples.symbols[name] == ABSENT
    return float(missing.mean()) if len(missing) else 0.0


def repeated_values(values: Reals) -> list[float]:
    """The values whose share of the present ones is at least `MIN_SHARE_OF_REPEATED_VALUE`, the most frequent first."""
    known, counts = np.unique(present(values), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_REPEATED_VALUES]
    return [float(known[k]) for k in order if counts[k] >= MIN_SHARE_OF_REPEATED_VALUE * counts.sum() and counts[k] > 1]


def _repeated(name: str, kinds: list[Reals]) -> list[Compared]:
    if not all(map(len, kinds)):
        return []
    return [Compared(name, value, *(float((x == value).mean()) for x in kinds)) for value in repeated_values(kinds[0])]


def _numbers_table(rows: Sequence[Row], train: SampleSet) -> ReportTable:
    digits = statistics.decimals(map(statistics.unit, train.numbers.values()))
    columns = (
        *headings("field", form="text"),
        *headings("KS", "KS of training", "Wasserstein", "Wasserstein of training"),
        *headings("mean, held out", "mean, generated", "spread, held out", "spread, generated", digits=digits),
    )
    note = (
        "KS (Kolmogorov-Smirnov): the largest difference of the distribution functions. Wasserstein: the area between "
        "them, in held-out standard deviations. Spread: the standard deviation. The distance of training data from "
        "held-out data is the yardstick: no model can be expected to come nearer."
    )
    return ReportTable("Numbers", columns, tuple(rows), note)


def _symbols_table(rows: Sequence[Row]) -> ReportTable:
    unseen = headings("unseen in training", form="percent", digits=2)
    columns = (*headings("field", form="text"), *headings("total variation", "of training"), *unseen)
    note = "Total variation: the share of steps that would need another symbol for the shares of symbols to agree."
    return ReportTable("Symbols", columns, tuple(rows), note)


def _picture(comparison: Comparison) -> Picture:
    panels = []
    at = (np.arange(99) + 1) / 100
    for name in [name for name in comparison.real.numbers if comparison.kinds.get(name) != "flag"][:6]:
        real, synthetic = (present(one.numbers[name]) for one in (comparison.real, comparison.synthetic))
        if len(real) and len(synthetic):
            traces = (
                Trace("held out", numbers(np.quantile(real, at)), numbers(at), role="real"),
                Trace("generated", numbers(np.quantile(synthetic, at)), numbers(at)),
            )
            dates: Literal["x", ""] = "x" if comparison.kinds.get(name) == "date" else ""
            panels.append(Panel(name, name, "share below", traces, dates))
    return Picture("Distribution functions", tuple(panels), same_y=True)
