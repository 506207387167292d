"""Drift and growth, position by position, of sequences that are fed their own output (free-running)."""

from typing import Any, Literal

import msgspec
import numpy as np

from unspool.evaluation.document import (
    ALL_FIELDS,
    Findings,
    Panel,
    Picture,
    ReportTable,
    Role,
    Trace,
    answers,
    headings,
    numbers,
)
from unspool.evaluation.samples import statistics
from unspool.evaluation.samples.sample_set import ABSENT, Comparison, SampleSet
from unspool.evaluation.samples.scoring import MIN_SEQUENCES_PER_BAND, BandNLL, PositionScores, nll_by_position
from unspool.evaluation.samples.statistics import band_name, bands, lagged_steps, mean_or_nan, present

NO_DRIFT = "No drift to a constant, and no blow-up."
MAX_SHOWN_FIELDS = 4
"""Fields and flags that are shown: those that are furthest off."""
MIN_SPREAD_RATIO, MAX_SPREAD_RATIO = 0.5, 2.0
"""A spread or change below this share of the real one is a drift to a constant, one above it a blow-up."""
MAX_MEAN_SHIFT = 0.5
"""Real standard deviations by which a mean may be off."""
MIN_DRIFT_STANDARD_ERRORS = 3.0
"""Standard errors by which the negative log-likelihood must have changed to be flagged."""
FIELD_AND_STEPS = headings("field", "steps", form="text")


@answers("drift", "Do generated sequences stay like real ones when the model is fed its own output?")
def drift(comparison: Comparison, scores: PositionScores | None = None) -> Findings:
    """NLL; mean, spread and change of numbers; entropy and repetition of symbols; all by position.

    In training the network reads real steps (teacher forcing); in generation it reads its own. Figures that are right
    at the first steps and wrong later are the cost of that (exposure bias). A figure is flagged if at the last band of
    positions with enough sequences it is outside `MIN_SPREAD_RATIO`, `MAX_SPREAD_RATIO` or `MAX_MEAN_SHIFT`, and was
    inside at the first band. `scores` are log-probabilities under the model, if there is a model.
    """
    real, synthetic = comparison.real, comparison.synthetic
    nll = {} if scores is None else _largest_drifts(scores)
    number_rows = {name: numbers_by_position(real, synthetic, name) for name in real.numbers}
    symbol_rows = {name: symbols_by_position(real, synthetic, name) for name in real.symbols}
    flags = [f"{name}: {flag}" for name, rows in nll.items() for flag in nll_flags(rows)]
    flags += [f"{name}: {flag}" for name, rows in number_rows.items() for flag in number_flags(rows)]
    flags += [f"{name}: {flag}" for name, rows in symbol_rows.items() for flag in symbol_flags(rows)]
    shown = dict(sorted(number_rows.items(), key=lambda item: -_off(item[1]))[:MAX_SHOWN_FIELDS])
    parts: list[ReportTable | Picture] = []
    panels = [_nll_panel(name, rows) for name, rows in list(nll.items())[:1]]
    if nll:
        parts.append(_nll_table(nll))
    if any(number_rows.values()):
        parts.append(_numbers_table(comparison, shown))
        panels += [_number_panel(comparison, name, rows) for name, rows in shown.items()]
    if any(symbol_rows.values()):
        parts.append(_symbols_table(symbol_rows))
    if not parts:
        why = f"At no position are there {MIN_SEQUENCES_PER_BAND} sequences both held out and generated."
        return Findings(why, available=False)
    if panels:
        parts.append(Picture("By position", tuple(panels)))
    more = f"; and {len(flags) - MAX_SHOWN_FIELDS} more" if len(flags) > MAX_SHOWN_FIELDS else ""
    verdict = f"Flagged: {'; '.join(flags[:MAX_SHOWN_FIELDS])}{more}." if flags else NO_DRIFT
    figures: dict[str, float | None] = {"flags": float(len(flags))}
    if nll:
        last = next(iter(nll.values()))[-1]
        verdict += _gap_sentence(last)
        figures |= {"gap": last.gap.value, "drift": last.drift.value, "drift_error": last.drift.error}
    return Findings(verdict, tuple(parts), figures)


BandRow = tuple[Any, ...]
"""A band of positions and its figures, each of held-out and then of generated sequences."""


def numbers_by_position(real: SampleSet, synthetic: SampleSet, name: str) -> list[BandRow]:
    """By band of positions: the mean of a number, its spread, and the mean size of its change."""
    rows: list[BandRow] = []
    steps = [np.abs(statistics.step_changes(one.numbers[name], one.offsets)) for one in (real, synthetic)]
    for band in bands(int(real.lengths.max(initial=0))):
        counts, values, changes = [], [], []
        for one, change in zip((real, synthetic), steps, strict=True):
            x, at = one.numbers[name], (one.position >= band[0]) & (one.position < band[1])
            counts.append(len(np.unique(one.owner[at & ~np.isnan(x)])))
            values.append(present(x[at]))
            changes.append(present(change[at]))
        if min(counts) >= MIN_SEQUENCES_PER_BAND:
            figures = [*map(mean_or_nan, values), *(float(x.std()) for x in values), *map(mean_or_nan, changes)]
            rows.append((band_name(band), *figures))
    return rows


def symbols_by_position(real: SampleSet, synthetic: SampleSet, name: str) -> list[BandRow]:
    """By band of positions: the entropy of a symbol in nats, and the share of steps that repeat the step before."""
    rows: list[BandRow] = []
    for band in bands(int(real.lengths.max(initial=0))):
        counts, entropies, repeats = [], [], []
        for one in (real, synthetic):
            codes, at = one.symbols[name], (one.position >= band[0]) & (one.position < band[1])
            before = lagged_steps(one.offsets, 1)
            before = before[at[before + 1]]
            counts.append(len(np.unique(one.owner[at])))
            entropies.append(statistics.entropy(codes[at] - ABSENT) if at.any() else 0.0)
            repeats.append(mean_or_nan(codes[before] == codes[before + 1]))
        if min(counts) >= MIN_SEQUENCES_PER_BAND:
            rows.append((band_name(band), *entropies, *repeats))
    return rows


def _crossed(first: float, last: float, small: str, large: str) -> list[str]:
    """The flag of a ratio to real sequences that leaves the allowed range between the first and the last band."""
    if last < MIN_SPREAD_RATIO <= first:
        return [small.format(last)]
    return [large.format(last)] if last > MAX_SPREAD_RATIO >= first else []


def number_flags(rows: list[BandRow]) -> list[str]:
    """Faults that arise between the first and the last band; see `drift` for the rule."""
    if len(rows) < 2:
        return []
    flags, end = [], f"at steps {rows[-1][0]}"
    table = np.array([row[1:] for row in rows], np.float64)
    for figure, at in (("spread", 2), ("change from step to step", 4)):
        known = table[table[:, at] > 0]
        first, last = (float(row[at + 1] / row[at]) for row in known[[0, -1]]) if len(known) else (1.0, 1.0)
        small = f"drifts to a constant, its {figure} is {{:.2f}} times the real one {end}"
        flags += _crossed(first, last, small, f"blows up, its {figure} is {{:.1f}} times the real one {end}")
    off = np.abs(table[:, 1] - table[:, 0]) / np.where(table[:, 2] > 0, table[:, 2], np.inf)
    if off[-1] > MAX_MEAN_SHIFT >= off[0]:
        flags.append(f"drifts, its mean is {off[-1]:.1f} real standard deviations off {end}")
    return flags


def symbol_flags(rows: list[BandRow]) -> list[str]:
    """Faults that arise between the first and the last band, by the rule of `drift` with exp(entropy) as spread."""
    if len(rows) < 2:
        return []
    first, last = (float(np.exp(row[2] - row[1])) for row in (rows[0], rows[-1]))
    end = f"as many as real ones at steps {rows[-1][0]}"
    small = f"drifts to few symbols, {{:.2f}} times {end}"
    return _crossed(first, last, small, f"drifts to noise, {{:.1f}} times {end}")


def nll_flags(rows: list[BandNLL]) -> list[str]:
    """Faults that arise between the first and the last band, by the rule of `drift` with exp(NLL) as spread."""
    last, end = rows[-1], f"that of real steps at steps {band_name(rows[-1].band)}"
    gap, error = last.gap.value or 0.0, last.drift.error or 0.0
    started_wrong = abs(rows[0].gap.value or 0.0) > np.log(MAX_SPREAD_RATIO)
    if started_wrong or abs(last.drift.value or 0.0) < MIN_DRIFT_STANDARD_ERRORS * error:
        return []
    small = f"drifts to what it predicts with ease, NLL {-gap:.2f} nats below {end}"
    return _crossed(1.0, float(np.exp(gap)), small, f"loses its way, NLL {gap:.2f} nats above {end}")


def _off(rows: list[BandRow]) -> float:
    """The distance of a number at the last band, by mean and spread, in real standard deviations."""
    if not rows or not rows[-1][3] > 0:
        return 0.0
    _, mean, mean_synthetic, spread, spread_synthetic, *_ = rows[-1]
    return (abs(mean_synthetic - mean) + abs(spread_synthetic - spread)) / spread


def _largest_drifts(scores: PositionScores) -> dict[str, list[BandNLL]]:
    """By position: all fields together, and of several those that drift most."""
    names = [ALL_FIELDS, *scores.fields] if len(scores.fields) > 1 else list(scores.fields)
    found = {name: rows for name in names if (rows := nll_by_position(scores, name))}
    ranked = sorted(found, key=lambda name: (name != ALL_FIELDS, -abs(found[name][-1].drift.value or 0.0)))
    return {name: found[name] for name in ranked[: 1 + MAX_SHOWN_FIELDS]}


def _gap_sentence(last: BandNLL) -> str:
    if last.gap.value is None:
        return ""
    side = "below" if last.gap.value < 0 else "above"
    error = "" if last.gap.error is None else f" ± {last.gap.error:.2f}"
    difference = f"{abs(last.gap.value):.2f}{error} nats {side} the real one"
    return f" At steps {band_name(last.band)} the NLL of generated steps is {difference}."


def _panel(title: str, y: str, steps: list[str], held_out: np.ndarray, generated: np.ndarray) -> Panel:
    """Real and generated figures by position, each (K, 2): the value, and the half width of its band."""

    def trace(name: str, table: np.ndarray, role: Role) -> Trace:
        value, around = table.T
        edges = numbers(value - around), numbers(value + around)
        return Trace(name, tuple(steps), numbers(value), *edges, role=role)

    return Panel(title, "steps", y, (trace("held out", held_out, "real"), trace("generated", generated, "model")))


def _number_panel(comparison: Comparison, name: str, rows: list[BandRow]) -> Panel:
    table = np.array([row[1:] for row in rows], np.float64).reshape(-1, 6)
    dates: Literal["y", ""] = "y" if comparison.kinds.get(name) == "date" else ""
    panel = _panel(name, "mean ± spread", [row[0] for row in rows], table[:, [0, 2]], table[:, [1, 3]])
    return msgspec.structs.replace(panel, dates=dates)


def _nll_panel(name: str, rows: list[BandNLL]) -> Panel:
    pairs = [[(cell.value, 2 * (cell.error or 0.0)) for cell in (row.real, row.synthetic)] for row in rows]
    table, title = np.array(pairs, np.float64), "NLL" if name == ALL_FIELDS else f"NLL of {name}"
    return _panel(title, "nats per step", [band_name(row.band) for row in rows], table[:, 0], table[:, 1])


def _nll_table(found: dict[str, list[BandNLL]]) -> ReportTable:
    figures = ("NLL, held out", "NLL, generated", "generated less held out", "that, less at the first step")
    note = (
        "NLL, the negative log-likelihood, in nats per step, given the steps before: held-out steps after held-out "
        "steps, generated steps after generated steps. If the model has learned the law of the data, both are the same "
        "at every position. Generated steps with a falling NLL drift to what the model predicts with ease; a rising "
        "NLL: the model loses its way. Without when to stop; densities on the axis of the transform."
    )
    rows = tuple(
        (name, band_name(row.band), row.real, row.synthetic, row.gap, None if k == 0 else row.drift)
        for name, table in found.items()
        for k, row in enumerate(table)
    )
    return ReportTable("NLL by position", (*FIELD_AND_STEPS, *headings(*figures)), rows, note)


def _numbers_table(comparison: Comparison, shown: dict[str, list[BandRow]]) -> ReportTable:
    digits = statistics.decimals(statistics.unit(comparison.train.numbers[name]) for name in shown)
    names = [f"{figure}, {of}" for figure in ("mean", "spread", "change") for of in ("held out", "generated")]
    note = (
        "Spread: the standard deviation. Change: the mean size of the change from the step before. At late positions "
        "there are only sequences that are as long."
    )
    fields = len(comparison.real.numbers)
    if fields > len(shown):
        note += f" The {len(shown)} of {fields} fields that are furthest off at the end."
    rows = tuple(
        (name, row[0], *(comparison.mean_in_words(name, mean) for mean in row[1:3]), *row[3:])
        for name, table in shown.items()
        for row in table
    )
    return ReportTable("Numbers by position", (*FIELD_AND_STEPS, *headings(*names, digits=digits)), rows, note)


def _symbols_table(found: dict[str, list[BandRow]]) -> ReportTable:
    shares = headings("repeats, held out", "repeats, generated", form="percent", digits=1)
    columns = (*FIELD_AND_STEPS, *headings("entropy, held out", "entropy, generated"), *shares)
    note = "Entropy in nats. Repeats: the share of symbols that are the same as the symbol before."
    rows = tuple((name, *row) for name, table in found.items() for row in table)
    return ReportTable("Symbols by position", columns, rows, note)
