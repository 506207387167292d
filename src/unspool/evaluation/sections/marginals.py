"""Field by field: values, missing ones and atoms of generated sequences against real ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Cell, Column, Panel, Picture, Section, Table, Trace, numbers
from unspool.evaluation.samples.sample_set import ABSENT, Material, Side
from unspool.evaluation.samples.statistics import (
    Beside,
    decimals,
    kolmogorov_smirnov,
    present,
    spread,
    total_variation,
    wasserstein,
)

NAME, TITLE = "marginals", "Do generated steps hold the same values as real ones?"
ATOM, ATOMS = 0.05, 3
"""A value that this share of a training field's values is counts as an atom; so many are listed, the largest first."""


def marginals(material: Material) -> Section:
    """Distances of generated from held-out values, each beside that of training from held-out ones, the yardstick.

    Args:
        material: real and generated sequences.
    """
    three = (material.train, material.test, material.paths)
    reals = [_number(material, name) for name in material.test.numbers]
    symbols = [_symbol(material, name) for name in material.test.symbols]
    absent = [
        Beside(name, "missing", *(_absent(side, name) for side in three))
        for name in [*material.test.numbers, *material.test.symbols]
    ]
    absent = [row for row in absent if row.train or row.real or row.made]
    held = [row for name in material.test.numbers for row in _atoms(material, name)]
    parts: list[Table | Picture] = []
    if reals:
        parts += [_numbers_table(reals, decimals(map(spread, material.train.numbers.values()))), _picture(material)]
    if symbols:
        parts.append(_symbols_table(symbols))
    shares = (Column("training", "percent", 1), Column("held out", "percent", 1), Column("generated", "percent", 1))
    if absent:
        columns = (Column("field", "text"), Column("share", "text"), *shares)
        parts.append(Table("Missing values", columns, tuple(absent)))
    if held:
        title = f"Values that at least {ATOM:.0%} of a field's are"
        parts.append(Table(title, (Column("field", "text"), Column("value", "text"), *shares), tuple(held)))
    figures: dict[str, float | None] = {f"apart {row[0]}": row[1] for row in [*reals, *symbols]}
    figures |= {f"missing {row.field}, generated less held out": row.made - row.real for row in absent}
    figures |= {f"share of {row.of:g} in {row.field}, generated less held out": row.made - row.real for row in held}
    most = max([*reals, *symbols], key=lambda row: row[1] if np.isfinite(row[1]) else -1.0)
    verdict = f"The field that differs most is {most[0]}, by {most[1]:.3f} (0: alike, 1: nothing in common)."
    if absent:
        verdict += f" Shares of missing values differ by up to {100 * max(row.gap for row in absent):.1f} points."
    return Section(NAME, TITLE, verdict, tuple(parts), figures)


def _number(material: Material, name: str) -> tuple[Any, ...]:
    train, real, made = (present(side.numbers[name]) for side in (material.train, material.test, material.paths))
    unit = (real.std() or 1.0) if len(real) else 1.0
    mean = lambda x: float(x.mean()) if len(x) else float("nan")  # noqa: E731
    deviation = lambda x: float(x.std()) if len(x) else float("nan")  # noqa: E731
    return (
        name,
        kolmogorov_smirnov(real, made),
        kolmogorov_smirnov(real, train),
        wasserstein(real, made) / unit,
        wasserstein(real, train) / unit,
        mean(real),
        mean(made),
        deviation(real),
        deviation(made),
    )


def _symbol(material: Material, name: str) -> tuple[Any, ...]:
    train, real, made = (side.symbols[name] - ABSENT for side in (material.train, material.test, material.paths))
    unseen = float((~np.isin(real, train)).mean()) if len(real) else float("nan")
    return name, total_variation(real, made), total_variation(real, train), unseen


def _absent(side: Side, name: str) -> float:
    gone = np.isnan(side.numbers[name]) if name in side.numbers else side.symbols[name] == ABSENT
    return float(gone.mean()) if len(gone) else 0.0


def atoms(values: NDArray[np.float64]) -> list[float]:
    """The values that at least `ATOM` of those present share, the most frequent first, at most `ATOMS`.

    Examples:
        >>> atoms(np.array([0.0] * 5 + [float(k) for k in range(1, 60)] + [np.nan]))
        [0.0]
    """
    known, counts = np.unique(present(values), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:ATOMS]
    return [float(known[k]) for k in order if counts[k] >= ATOM * counts.sum() and counts[k] > 1]


def _atoms(material: Material, name: str) -> list[Beside]:
    three = [present(side.numbers[name]) for side in (material.train, material.test, material.paths)]
    if not all(map(len, three)):
        return []
    return [Beside(name, value, *(float((x == value).mean()) for x in three)) for value in atoms(three[0])]


def _numbers_table(rows: Sequence[tuple[Cell, ...]], digits: int) -> Table:
    columns = (
        Column("field", "text"),
        Column("KS"),
        Column("KS of training"),
        Column("Wasserstein"),
        Column("Wasserstein of training"),
        Column("mean, held out", digits=digits),
        Column("mean, generated", digits=digits),
        Column("spread, held out", digits=digits),
        Column("spread, generated", digits=digits),
    )
    note = (
        "KS (Kolmogorov-Smirnov): the largest difference of the distribution functions. Wasserstein: the area between "
        "them, in held-out standard deviations. Spread: the standard deviation. What training differs by is the "
        "yardstick: no model should be asked to do better."
    )
    return Table("Numbers", columns, tuple(rows), note)


def _symbols_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    columns = (
        Column("field", "text"),
        Column("total variation"),
        Column("of training"),
        Column("unseen in training", "percent", 2),
    )
    note = "The share of steps that would have to hold another symbol for the shares of symbols to agree."
    return Table("Symbols", columns, tuple(rows), note)


def _picture(material: Material) -> Picture:
    panels = []
    for name in list(material.test.numbers)[:6]:
        real, made = (present(side.numbers[name]) for side in (material.test, material.paths))
        if not len(real) or not len(made):
            continue
        at = (np.arange(99) + 1) / 100
        traces = (
            Trace("held out", numbers(np.quantile(real, at)), numbers(at), role="real"),
            Trace("generated", numbers(np.quantile(made, at)), numbers(at)),
        )
        panels.append(Panel(name, name, "share below", traces))
    return Picture("Distribution functions", tuple(panels))
