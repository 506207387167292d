"""Real values among generated paths of the same input: where they fall, and the scores of the paths as forecasts.

Sequences differ in length. A value at a position is judged among those paths that have a value there: given that both
go on, what comes. Whether they go on is the subject of the section `lengths`; the energy score judges both.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Section
from unspool.evaluation.samples.sample_set import ABSENT, Material, Side
from unspool.evaluation.samples.statistics import evenly, extra

MEMBERS = 10
"""The fewest paths that a real value is judged among."""

QUANTILES = (0.1, 0.5, 0.9)

INDICATORS = 64
"""Symbols of a field that are told apart in the energy score; of more, some share an indicator."""

VALUES = 20_000_000
"""Generated values of one field that are held at once; of more held-out sequences than fit, some are drawn."""


def not_judged(material: Material, name: str, title: str) -> Section | None:
    """The section that says why no paths can be judged; `None` where they can."""
    if not material.test.numbers:
        return Section(name, title, "There are no numbers in the steps.", made=False)
    if material.samples < MEMBERS:
        why = f"It takes at least {MEMBERS} generated sequences for each input; there are {material.samples}."
        return Section(name, title, why, made=False)
    return None


def judged(material: Material, seed: int) -> NDArray[np.int64]:
    """The held-out rows that paths are compared with: all, unless their paths are too many to hold."""
    steps = max(int(material.test.lengths.max(initial=1)), 1)
    return evenly(len(material.test), max(VALUES // (material.samples * steps), MEMBERS), seed)


def of_rows(rows: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    """The positions of the paths of some rows."""
    return (rows[:, None] * samples + np.arange(samples)).ravel()


def members(real: Side, paths: Side, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S, m) for each real step the values of the m paths at its position, rising, NaN last.

    Args:
        real: N sequences of S steps.
        paths: m sequences for each of them, row after row.
        values: of the steps of `paths`.
    """
    longest = int(real.lengths.max(initial=0))
    grid = paths.padded(values, longest).reshape(len(real), len(paths) // len(real), longest)
    return np.sort(grid[real.owner, :, real.position], axis=1)


def counted(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.int64]:
    """(S,) how many paths each value is judged among; 0 where it is missing, or where they are too few."""
    count = (~np.isnan(among)).sum(1)
    return np.where(np.isnan(values) | (count < MEMBERS), 0, count)


def transformed(
    values: NDArray[np.float64], among: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(S,) the randomised probability integral transform, uniform on (0, 1) if value and paths are of one law.

        u = (paths below + V (paths equal + 1)) / (paths + 1),  V uniform

    The value's rank among itself and the paths is uniform if all are exchangeable, and V spreads it evenly over its
    cell; so u is uniform exactly, for any number of paths and with any ties (Czado, Gneiting & Held 2009,
    "Predictive model assessment for count data"). A band of 80 % then covers 80 % of values without correction.

    Args:
        values: (S,) real values.
        among: (S, m) of `members`.
        rng: supplies V.

    Returns:
        NaN where the value is missing, or the paths are fewer than `MEMBERS`.
    """
    count = counted(values, among)
    below = (among < values[:, None]).sum(1)
    equal = (among == values[:, None]).sum(1)
    u = (below + rng.random(len(values)) * (equal + 1)) / (count + 1)
    return np.where(count > 0, u, np.nan)


def crps(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) the continuous ranked probability score in the unit of the values; less is better.

    The fair estimate, mean |X - y| - mean |X - X'| / 2 over pairs of different paths, whose expectation does not
    depend on the number of paths (Ferro 2014, "Fair scores for ensemble forecasts"); from probability-weighted
    moments, which give the same number from sorted paths (Zamo & Naveau 2018).

    Raises:
        MissingExtra: scoringrules is not installed.
    """
    library = extra("scoringrules")
    out = np.full(len(values), np.nan)
    for n, at in _alike(counted(values, among)):
        out[at] = library.crps_ensemble(values[at], among[at, :n], estimator="pwm", sorted_ensemble=True)
    return out


def pinball(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S, 3) the quantile losses max(q (y - x), (q - 1) (y - x)) of the paths' quantiles x at `QUANTILES`."""
    out = np.full((len(values), len(QUANTILES)), np.nan)
    for n, at in _alike(counted(values, among)):
        over = values[at] - np.quantile(among[at, :n], QUANTILES, axis=1)
        q = np.array(QUANTILES)[:, None]
        out[at] = np.maximum(q * over, (q - 1) * over).T
    return out


def energy(real: Side, paths: Side, scale: Mapping[str, float], *, symbols: bool = False) -> NDArray[np.float64]:
    """(N,) the energy score of whole paths; less is better.

        mean |X - y| - mean |X - X'| / 2,  over different paths X, X'

    (Gneiting & Raftery 2007, "Strictly proper scoring rules"). A path is one vector: by step, every number in units of
    its scale, 0 where it is missing or over, and beside it 1 for what is there. So length and missingness are judged
    along, no path is left out, and the score is still proper. Symbols, if asked for, are indicators, too.

    Args:
        real: N sequences.
        paths: m for each of them, row after row.
        scale: by number field, its unit.
        symbols: whether symbols are judged, too.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    distance = extra("scipy.spatial.distance")
    longest = int(max(real.lengths.max(initial=0), paths.lengths.max(initial=0)))
    samples = len(paths) // max(len(real), 1)
    wide = {name: min(len(real.names[name]), INDICATORS) for name in real.symbols} if symbols else {}
    at_once = max(VALUES // max(samples * longest * (2 * len(scale) + 1 + sum(wide.values())), 1), 1)
    out = []
    for first in range(0, len(real), at_once):
        rows = np.arange(first, min(first + at_once, len(real)))
        truth = _vectors(real.take(rows), scale, wide, longest)
        made = _vectors(paths.take(of_rows(rows, samples)), scale, wide, longest).reshape(len(rows), samples, -1)
        out += [
            distance.cdist(y[None], x).mean() - distance.pdist(x).mean() / 2 for y, x in zip(truth, made, strict=True)
        ]
    return np.array(out, np.float64)


def _vectors(side: Side, scale: Mapping[str, float], wide: Mapping[str, int], longest: int) -> NDArray[np.float64]:
    parts = [np.arange(longest) < side.lengths[:, None]]
    for name, unit in scale.items():
        grid = side.padded(side.numbers[name], longest) / unit
        there = ~np.isnan(grid)
        parts += [np.where(there, grid, 0), there]
    for name, width in wide.items():
        codes = side.padded(side.symbols[name].astype(np.float64), longest)[..., None]
        parts.append(((codes % width == np.arange(width)) & (codes != ABSENT)).reshape(len(side), -1))
    return np.concatenate([part.astype(np.float64) for part in parts], axis=1)


def _alike(count: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """The steps judged among equally many paths, by that number."""
    return [(int(n), np.flatnonzero(count == n)) for n in np.unique(count[count > 0])]
