"""How steps follow one another and fields go together, in generated sequences against real ones."""

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Column, Picture, Section, Table
from unspool.evaluation.samples.sample_set import ABSENT, Material, Side
from unspool.evaluation.samples.statistics import Beside, correlation, lagged, total_variation, worst

NAME, TITLE = "dynamics", "Do generated steps follow one another as real ones do?"
LAGS = (1, 2, 5, 10)
PAIRS = 30
"""The fewest pairs of steps that a correlation is taken of."""
SHOWN = 10
"""Correlations that are listed, those that differ most."""


def dynamics(material: Material) -> Section:
    """Autocorrelations, cross-correlations and transitions of held-out and generated sequences, training beside them.

    Correlations are over all pairs of steps of all sequences, so that they hold what tells sequences apart and what
    moves within one; those of the changes from step to step hold the latter alone.

    Args:
        material: real and generated sequences.
    """
    three = (material.train, material.test, material.paths)
    numbers = list(material.test.numbers)
    echoes = [
        Beside(name, f"{what}, lag {lag}", *(kind(side, name, lag) for side in three))
        for name in numbers
        for what, kind, lags in (("values", autocorrelation, LAGS), ("changes", change_echo, (1,)))
        for lag in lags
    ]
    pairs = [
        Beside(f"{a}, {b}", what, *(together(side, a, b, kind) for side in three))
        for a, b in itertools.combinations(numbers, 2)
        for what, kind in (("values", _values), ("changes", changes))
    ]
    echoes, pairs = ([row for row in rows if np.isfinite(row.gap)] for rows in (echoes, pairs))
    moves = [
        (name, transitions(material.test, material.paths, name), transitions(material.test, material.train, name))
        for name in material.test.symbols
    ]
    correlations = (Column("training"), Column("held out"), Column("generated"))
    parts: list[Table | Picture] = []
    if echoes:
        columns = (Column("field", "text"), Column("of", "text"), *correlations)
        parts.append(Table("Autocorrelation", columns, *_furthest(echoes)))
    if pairs:
        columns = (Column("fields", "text"), Column("of", "text"), *correlations)
        parts.append(Table("Correlation of fields in a step", columns, *_furthest(pairs)))
    if moves:
        parts.append(_transitions_table(moves))
    figures: dict[str, float | None] = {
        "autocorrelation, largest difference": worst([row.gap for row in echoes]),
        "correlation of fields, largest difference": worst([row.gap for row in pairs]),
        **{f"transitions {row[0]}": row[1] for row in moves},
    }
    return Section(NAME, TITLE, _verdict(echoes, pairs, moves), tuple(parts), figures, made=bool(parts))


def autocorrelation(side: Side, name: str, lag: int) -> float:
    """The correlation of a number with itself `lag` steps later; NaN below `PAIRS` pairs."""
    return _echo(side.numbers[name], side, lag)


def change_echo(side: Side, name: str, lag: int) -> float:
    """The correlation of a number's change with that of `lag` steps later; NaN below `PAIRS` pairs."""
    return _echo(changes(side, name), side, lag)


def changes(side: Side, name: str) -> NDArray[np.float64]:
    """(S,) how much more a number is than at the step before; NaN at the first step."""
    values = side.numbers[name]
    out = np.full(len(values), np.nan)
    before = lagged(side.offsets, 1)
    out[before + 1] = values[before + 1] - values[before]
    return out


def together(side: Side, a: str, b: str, of: Callable[[Side, str], NDArray[np.float64]]) -> float:
    """The correlation of two number fields in the same step; NaN below `PAIRS` steps with both."""
    first, second = of(side, a), of(side, b)
    return correlation(first, second) if (~np.isnan(first + second)).sum() >= PAIRS else float("nan")


def transitions(real: Side, made: Side, name: str) -> float:
    """The total variation of pairs of neighbouring symbols, start and end of the sequence included.

    Examples:
        >>> from unspool.dataset.examples import gather
        >>> from unspool.evaluation.samples.sample_set import sides
        >>> from unspool.schema.fields import Text
        >>> schema, ab = gather({"k": ["u"], "x": ["ab"]}, inputs="k", sequence=Text("x"))
        >>> _, aba = gather({"k": ["u"], "x": ["aba"]}, inputs="k", sequence=Text("x"))
        >>> round(transitions(*sides(schema, ab, aba), "x"), 3)  # ^a ab b$ against ^a ab ba a$
        0.5
    """
    size = max(int(side.symbols[name].max(initial=0)) for side in (real, made)) + 3
    return total_variation(*(_bigrams(side, name, size) for side in (real, made)))


def _values(side: Side, name: str) -> NDArray[np.float64]:
    return side.numbers[name]


def _echo(values: NDArray[np.float64], side: Side, lag: int) -> float:
    before = lagged(side.offsets, lag)
    pairs = (~np.isnan(values[before] + values[before + lag])).sum()
    return correlation(values[before], values[before + lag]) if pairs >= PAIRS else float("nan")


def _bigrams(side: Side, name: str, size: int) -> NDArray[np.int64]:
    """Numbered pairs; 0 is what stands before the start and after the end, 1 a missing symbol."""
    codes = side.symbols[name] - ABSENT + 1
    before = np.where(side.position == 0, 0, np.roll(codes, 1))
    last = side.offsets[1:][side.lengths > 0] - 1
    return np.concatenate([before * size + codes, codes[last] * size])


def _furthest(rows: list[Beside]) -> tuple[tuple[Beside, ...], str]:
    """The rows that differ most, and a note on the others."""
    mean = float(np.mean([row.gap for row in rows]))
    note = f"The {min(len(rows), SHOWN)} of {len(rows)} that differ most; all differ by {mean:.3f} in the mean."
    return tuple(sorted(rows, key=lambda row: -row.gap)[:SHOWN]), note


def _transitions_table(rows: list[tuple[str, float, float]]) -> Table:
    note = (
        "The total variation of pairs of neighbouring symbols, with the start and the end: the share of pairs that "
        "would have to be others. What training differs by is the yardstick."
    )
    columns = (Column("field", "text"), Column("transitions"), Column("of training"))
    return Table("Transitions of symbols", columns, tuple(rows), note)


def _verdict(echoes: list[Beside], pairs: list[Beside], moves: list[tuple[str, float, float]]) -> str:
    said = []
    for what, rows in (("Autocorrelations", echoes), ("Correlations of fields", pairs)):
        if rows:
            most = max(rows, key=lambda row: row.gap)
            said.append(f"{what} differ by up to {most.gap:.2f} ({most.field}; {most.of}).")
    if moves:
        name, made, known = max(moves, key=lambda row: row[1])
        said.append(f"Transitions of {name} are {made:.3f} away, those of training {known:.3f}.")
    return " ".join(said) or "The sequences are too few or too short."
