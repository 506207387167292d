"""What becomes of sequences that are fed their own output: drift and blow-up, position by position."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Cell, Column, Measured, Panel, Picture, Role, Section, Table, Trace, numbers
from unspool.evaluation.samples.sample_set import ABSENT, Material, Side
from unspool.evaluation.samples.scoring import ALL, LEAST, Beside, Surprise
from unspool.evaluation.samples.scoring import by_position as nats_by_position
from unspool.evaluation.samples.statistics import band_name, bands, decimals, lagged, present, spread
from unspool.evaluation.sections.dynamics import changes

NAME, TITLE = "exposure", "Do generated sequences hold their course when fed their own output?"
SHOWN = 4
"""Fields and flags that are shown, those that are furthest off."""
SHRUNK, GROWN, MOVED = 0.5, 2.0, 0.5
"""Spreads or changes of less than half the real ones: a drift to a constant; of more than twice: a blow-up; means
that are half a real standard deviation away: a drift."""
SURE = 3.0
"""Standard errors by which nats must have changed, too."""


def exposure(material: Material, nats: Surprise | None = None) -> Section:
    """Nats; mean, spread and step-to-step change of numbers; entropy and repetition of symbols; all by position.

    Real sequences are what the network was fed in training; generated ones are what it is fed when it generates. What
    is right at first and wrong later is the cost of reading its own output. Flagged is what is off by `SHRUNK`, `GROWN`
    or `MOVED` at the last band of positions where there are `LEAST` sequences of either kind, and was not at the first.

    Args:
        material: real and generated sequences.
        nats: of both under the model, where there is one to ask.
    """
    surprises = {} if nats is None else _surprises(nats)
    tables = {name: by_position(material.test, material.paths, name) for name in material.test.numbers}
    flags = [f"{name}: {what}" for name, rows in surprises.items() for what in judge_nats(rows)]
    flags += [f"{name}: {what}" for name, table in tables.items() for what in judge(table)]
    shown = dict(sorted(tables.items(), key=lambda item: -_off(item[1]))[:SHOWN])
    panels = [_nats_panel(name, rows) for name, rows in list(surprises.items())[:1]]
    panels += [_panel(name, table) for name, table in shown.items()] if any(tables.values()) else []
    parts: list[Table | Picture] = [_nats_table(surprises)] if surprises else []
    if any(tables.values()):
        digits = decimals(spread(material.train.numbers[name]) for name in shown)
        parts.append(_numbers_table(shown, len(tables), digits))
    symbols: list[tuple[Cell, ...]] = []
    for name in material.test.symbols:
        shares = symbols_by_position(material.test, material.paths, name)
        symbols += [(name, *row) for row in shares]
        flags += [f"{name}: {what}" for what in judge_symbols(shares)]
    if symbols:
        parts.append(_symbols_table(symbols))
    if not parts:
        why = f"At no position are there {LEAST} sequences both held out and generated."
        return Section(NAME, TITLE, why, made=False)
    if panels:
        parts.append(Picture("By position", tuple(panels)))
    more = f"; and {len(flags) - SHOWN} more" if len(flags) > SHOWN else ""
    verdict = "Flagged: " + "; ".join(flags[:SHOWN]) + more + "."
    verdict = verdict if flags else "No drift to a constant, and no blow-up."
    figures: dict[str, float | None] = {"flags": float(len(flags))}
    for rows in list(surprises.values())[:1]:
        verdict += _told(rows[-1])
        figures |= {"gap": rows[-1].gap.value, "drift": rows[-1].drift.value, "drift_error": rows[-1].drift.error}
    return Section(NAME, TITLE, verdict, tuple(parts), figures)


class Row(NamedTuple):
    """A number in a band of positions, held out and generated: its mean, spread, and mean size of change."""

    steps: str
    mean: float
    mean_made: float
    spread: float
    spread_made: float
    change: float
    change_made: float


class SymbolRow(NamedTuple):
    """A symbol in a band of positions, held out and generated: its entropy in nats, and the share that repeats."""

    steps: str
    entropy: float
    entropy_made: float
    repeats: float
    repeats_made: float


def by_position(real: Side, made: Side, name: str) -> list[Row]:
    """By band of positions: mean, spread and mean size of the change, each of real and of generated sequences."""
    sides = [(side, side.numbers[name], np.abs(changes(side, name))) for side in (real, made)]
    rows: list[Row] = []
    for band in bands(int(real.lengths.max(initial=0))):
        parts = []
        for side, values, change in sides:
            at = (side.position >= band[0]) & (side.position < band[1])
            several = len(np.unique(side.owner[at & ~np.isnan(values)])) >= LEAST
            parts.append((several, present(values[at]), present(change[at])))
        (enough, a, da), (as_well, b, db) = parts
        if not (enough and as_well):
            continue
        mean = lambda x: float(x.mean()) if len(x) else float("nan")  # noqa: E731
        rows.append(Row(band_name(band), mean(a), mean(b), float(a.std()), float(b.std()), mean(da), mean(db)))
    return rows


def _off(rows: list[Row]) -> float:
    """How far off a number is at the last band, by mean and spread, in real standard deviations."""
    last = rows[-1] if rows else None
    if last is None or not last.spread > 0:
        return 0.0
    return (abs(last.mean_made - last.mean) + abs(last.spread_made - last.spread)) / last.spread


def judge(rows: list[Row]) -> list[str]:
    """What went wrong between the first and the last band; see `exposure` for the rule."""
    if len(rows) < 2:
        return []
    said, steps = [], rows[-1].steps
    table = np.array([row[1:] for row in rows], np.float64)
    for what, at in (("spread", 2), ("change from step to step", 4)):
        known = table[table[:, at] > 0]
        first, last = (float(row[at + 1] / row[at]) for row in known[[0, -1]]) if len(known) else (1.0, 1.0)
        if last < SHRUNK <= first:
            said.append(f"drifts to a constant, its {what} is {last:.2f} times the real one at steps {steps}")
        if last > GROWN >= first:
            said.append(f"blows up, its {what} is {last:.1f} times the real one at steps {steps}")
    off = np.abs(table[:, 1] - table[:, 0]) / np.where(table[:, 2] > 0, table[:, 2], np.inf)
    if off[-1] > MOVED >= off[0]:
        said.append(f"drifts, its mean is {off[-1]:.1f} real standard deviations off at steps {steps}")
    return said


def symbols_by_position(real: Side, made: Side, name: str) -> list[SymbolRow]:
    """By band of positions: entropy in nats, and share of symbols that repeat the last, real and generated."""
    rows = []
    for band in bands(int(real.lengths.max(initial=0))):
        parts = []
        for side in (real, made):
            at = (side.position >= band[0]) & (side.position < band[1])
            before = lagged(side.offsets, 1)
            before = before[at[before + 1]]
            codes = side.symbols[name]
            same = codes[before] == codes[before + 1]
            several = len(np.unique(side.owner[at])) >= LEAST
            parts.append((several, codes[at] - ABSENT, float(same.mean()) if len(same) else float("nan")))
        (enough, a, same_a), (as_well, b, same_b) = parts
        if enough and as_well:
            rows.append(SymbolRow(band_name(band), entropy(a), entropy(b), same_a, same_b))
    return rows


def judge_symbols(rows: list[SymbolRow]) -> list[str]:
    """What went wrong between the first and the last band, by the rule of `exposure` with exp(entropy) as spread."""
    if len(rows) < 2:
        return []
    first, last = (float(np.exp(row.entropy_made - row.entropy)) for row in (rows[0], rows[-1]))
    if last < SHRUNK <= first:
        return [f"drifts to few symbols, {last:.2f} times as many as real ones at steps {rows[-1].steps}"]
    if last > GROWN >= first:
        return [f"drifts to noise, {last:.1f} times as many symbols as real ones at steps {rows[-1].steps}"]
    return []


def judge_nats(rows: list[Beside]) -> list[str]:
    """What went wrong between the first and the last band, by the rule of `exposure` with exp(nats) as spread."""
    last = rows[-1]
    value, error = last.gap.value or 0.0, last.drift.error or 0.0
    if abs(rows[0].gap.value or 0.0) > np.log(GROWN) or abs(last.drift.value or 0.0) < SURE * error:
        return []
    steps = band_name(last.band)
    if value < np.log(SHRUNK):
        return [
            f"drifts to what it foresees, its own steps take {-value:.2f} nats less than real ones at steps {steps}"
        ]
    if value > np.log(GROWN):
        return [f"loses its way, its own steps take {value:.2f} nats more than real ones at steps {steps}"]
    return []


def _surprises(nats: Surprise) -> dict[str, list[Beside]]:
    """By position: all fields together, and of several those that drift most."""
    names = [ALL, *nats.fields] if len(nats.fields) > 1 else list(nats.fields)
    found = {name: nats_by_position(nats, name) for name in names}
    found = {name: rows for name, rows in found.items() if rows}
    drift = lambda item: (item[0] != ALL, -abs(item[1][-1].drift.value or 0.0))  # noqa: E731
    return dict(sorted(found.items(), key=drift)[: 1 + SHOWN])


def _told(last: Beside) -> str:
    if last.gap.value is None:
        return ""
    less = "less" if last.gap.value < 0 else "more"
    error = "" if last.gap.error is None else f" ± {last.gap.error:.2f}"
    steps = band_name(last.band)
    return f" At steps {steps} its own steps take {abs(last.gap.value):.2f}{error} nats {less} than real ones."


def entropy(codes: NDArray[np.int64]) -> float:
    """Of the shares of symbols, in nats.

    Examples:
        >>> round(entropy(np.array([0, 1, 0, 1])), 4)
        0.6931
    """
    shares = np.bincount(codes) / len(codes)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _panel(name: str, rows: list[Row]) -> Panel:
    x = tuple(row.steps for row in rows)
    table = np.array([row[1:] for row in rows], np.float64).reshape(-1, 6)

    def trace(word: str, at: int, role: Role) -> Trace:
        mean, around = table[:, at], table[:, at + 2]
        return Trace(word, x, numbers(mean), numbers(mean - around), numbers(mean + around), role=role)

    return Panel(name, "steps", "mean ± spread", (trace("held out", 0, "real"), trace("generated", 1, "model")))


def _nats_panel(name: str, rows: list[Beside]) -> Panel:
    x = tuple(band_name(row.band) for row in rows)

    def trace(word: str, cells: list[Measured], role: Role) -> Trace:
        value = np.array([cell.value for cell in cells], np.float64)
        around = 2 * np.array([cell.error or 0.0 for cell in cells])
        return Trace(word, x, numbers(value), numbers(value - around), numbers(value + around), role=role)

    real, made = [row.real for row in rows], [row.made for row in rows]
    title = "nats" if name == ALL else f"nats of {name}"
    return Panel(title, "steps", "nats a step", (trace("held out", real, "real"), trace("generated", made, "model")))


def _nats_table(found: dict[str, list[Beside]]) -> Table:
    columns = (
        Column("field", "text"),
        Column("steps", "text"),
        Column("nats, held out"),
        Column("nats, generated"),
        Column("generated less held out"),
        Column("that, less at the first step"),
    )
    note = (
        "What a step takes of a model that has read the steps before it: held-out ones after held-out ones, its own "
        "after its own. If it knows the law, both take the same at every position. Its own ever less: it drifts to "
        "what it foresees; ever more: it loses its way. Without when to stop; densities on the axis of the transform."
    )
    rows = tuple(
        (name, band_name(row.band), row.real, row.made, row.gap, None if k == 0 else row.drift)
        for name, table in found.items()
        for k, row in enumerate(table)
    )
    return Table("Nats by position", columns, rows, note)


def _numbers_table(shown: dict[str, list[Row]], fields: int, digits: int) -> Table:
    columns = (
        Column("field", "text"),
        Column("steps", "text"),
        Column("mean, held out", digits=digits),
        Column("mean, generated", digits=digits),
        Column("spread, held out", digits=digits),
        Column("spread, generated", digits=digits),
        Column("change, held out", digits=digits),
        Column("change, generated", digits=digits),
    )
    note = (
        "Spread: the standard deviation. Change: the mean size of the change from the step before. At late positions "
        "there are only sequences that last so long."
    )
    if fields > len(shown):
        note += f" The {len(shown)} of {fields} fields that are furthest off at the end."
    rows = tuple((name, *row) for name, table in shown.items() for row in table)
    return Table("Numbers by position", columns, rows, note)


def _symbols_table(rows: list[tuple[Cell, ...]]) -> Table:
    columns = (
        Column("field", "text"),
        Column("steps", "text"),
        Column("entropy, held out"),
        Column("entropy, generated"),
        Column("repeats, held out", "percent", 1),
        Column("repeats, generated", "percent", 1),
    )
    note = "Entropy in nats; repeats: the share of symbols that are the same as the one before."
    return Table("Symbols by position", columns, tuple(rows), note)
