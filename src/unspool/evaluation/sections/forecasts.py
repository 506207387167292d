"""How near generated paths come to what really followed, beside paths that no model made."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.baselines.rivals import at_random, nearest
from unspool.evaluation.document import Cell, Column, Measured, Section, Table
from unspool.evaluation.samples.proper_scores import (
    QUANTILES,
    crps,
    energy,
    judged,
    members,
    not_judged,
    of_rows,
    pinball,
    transformed,
)
from unspool.evaluation.samples.sample_set import Material, Side
from unspool.evaluation.samples.statistics import by_sequence, decimals, evenly, spread
from unspool.evaluation.sections.calibration import inside
from unspool.evaluation.sections.returns import returns, returns_of

NAME, TITLE = "paths", "Do generated paths come near what really followed?"
OWN, ALL = "this model", "all"
WHOLE = 300
"""The most held-out sequences that the energy score, which compares all pairs of paths, is taken of."""
SUMS = (1, 5, 20)
"""Steps over which returns are summed before they are scored."""


def scores(material: Material, seed: int, others: Mapping[str, Side] | None = None) -> Section:
    """Proper scores of the paths as forecasts of the held-out sequences, and of real sequences in their place.

    Every contender is scored at the same steps: those where all have a value to offer.

    Args:
        material: real and generated sequences.
        seed: of the rivals' draws, and of which sequences are judged where there are very many.
        others: more rivals by name, each with as many sequences as `material.paths`, in its order.

    Raises:
        MissingExtra: scoringrules or SciPy is not installed.
    """
    absent = not_judged(material, NAME, TITLE)
    if absent is not None:
        return absent
    rows = judged(material, seed)
    real = material.test.take(rows)
    everyone = {
        OWN: material.paths.take(of_rows(rows, material.samples)),
        "training at random": at_random(material.train, len(rows), material.samples, seed),
        "nearest input": nearest(material.train, real, material.samples, seed),
    } | {name: side.take(of_rows(rows, material.samples)) for name, side in (others or {}).items()}
    units = {name: spread(x) for name, x in material.train.numbers.items()}
    steps, ratios = _by_step(real, everyone, units)
    whole, energies = _by_path(material, real, everyone, units, seed)
    parts = [steps, whole]
    fields = returns_of(material)
    if fields:
        parts.append(_by_sum(real, everyone, fields, seed))
    best = min((value for name, value in energies.items() if name != OWN), default=float("nan"))
    nearer = 1 - energies[OWN] / best
    figures: dict[str, float | None] = {**{f"energy {name}": x for name, x in energies.items()}, **ratios}
    verdict = (
        f"Whole paths score {abs(nearer):.1%} {'better' if nearer >= 0 else 'worse'} than the best of "
        f"{len(everyone) - 1} rivals that no model made."
    )
    return Section(NAME, TITLE, verdict, tuple(parts), figures)


def _by_step(real: Side, everyone: Mapping[str, Side], units: Mapping[str, float]) -> tuple[Table, dict[str, float]]:
    rows: list[tuple[Cell, ...]] = []
    ratios, steps = {}, real.independent[real.owner]
    pooled: dict[str, list[NDArray[np.float64]]] = {name: [] for name in everyone}
    for field, values in real.numbers.items():
        among = {name: members(real, side, side.numbers[field]) for name, side in everyone.items()}
        scored = _scored(values, among)
        means = {}
        for name, score in scored.items():
            losses = pinball(values, among[name])
            losses[np.isnan(score)] = np.nan
            averages = (by_sequence(loss, steps).value for loss in losses.T)
            rows.append((field, name, *_against(score, scored[OWN], name, steps), *averages))
            means[name] = by_sequence(score, steps).value
            pooled[name].append(score / units[field])
        rivals = [value for name, value in means.items() if name != OWN and value]
        ratios[f"CRPS {field}, of the best rival's"] = (means[OWN] or 0.0) / min(rivals, default=float("nan"))
    if len(real.numbers) > 1:
        together = {name: np.concatenate(parts) for name, parts in pooled.items()}
        owner = np.tile(steps, len(real.numbers))
        blank = (None,) * len(QUANTILES)
        whole = [(ALL, name, *_against(one, together[OWN], name, owner), *blank) for name, one in together.items()]
        rows = [*whole, *rows]
    digits = decimals(units.values()) + 1
    columns = (
        *_columns("CRPS", digits),
        *(Column(f"loss at {q:.0%}", digits=digits) for q in QUANTILES),
    )
    note = (
        "CRPS, the continuous ranked probability score, in the field's unit: the mean distance of the paths to what "
        "was, less half of that among themselves; the loss is that of the paths' quantile. Less is better. "
        "All: in standard deviations of training."
    )
    own = tuple(k for k, row in enumerate(rows) if row[1] == OWN)
    return Table("Step by step", columns, tuple(rows), note, own), ratios


def _by_path(
    material: Material, real: Side, everyone: Mapping[str, Side], units: Mapping[str, float], seed: int
) -> tuple[Table, dict[str, float]]:
    chosen = evenly(len(real), WHOLE, seed)
    scored = {
        name: energy(real.take(chosen), side.take(of_rows(chosen, material.samples)), units)
        for name, side in everyone.items()
    }
    owner = real.independent[chosen]
    rows = tuple((ALL, name, *_against(score, scored[OWN], name, owner)) for name, score in scored.items())
    note = (
        f"The energy score of whole paths, of {len(chosen)} held-out sequences: numbers in units of their standard "
        "deviation, with where the path ends and what is missing. Less is better."
    )
    means = {name: float(score.mean()) for name, score in scored.items()}
    return Table("Whole paths", _columns("energy score", 3), rows, note, (0,)), means


def _by_sum(real: Side, everyone: Mapping[str, Side], fields: Mapping[str, str], seed: int) -> Table:
    rows: list[tuple[Cell, ...]] = []
    steps = real.independent[real.owner]
    for field, transform in fields.items():
        for count in SUMS:
            values = running(real, field, transform, count)
            among = {
                name: members(real, side, running(side, field, transform, count)) for name, side in everyone.items()
            }
            scored = _scored(values, among)
            for name, score in scored.items():
                rng = np.random.default_rng(seed)
                ranks = np.where(np.isnan(score), np.nan, transformed(values, among[name], rng))
                covered = by_sequence(inside(ranks, 0.8), steps)
                if not np.isnan(score).all():
                    against = _against(score, scored[OWN], name, steps)
                    rows.append((f"{field}, first {count}", name, *against, covered))
    digits = decimals(spread(real.numbers[field]) for field in fields) + 1
    note = "The sum of the first so many returns of a sequence."
    own = tuple(k for k, row in enumerate(rows) if row[1] == OWN)
    return Table(
        "Sums of returns", (*_columns("CRPS", digits), Column("in the 80% band", "percent", 1)), tuple(rows), note, own
    )


def running(side: Side, field: str, transform: str, steps: int) -> NDArray[np.float64]:
    """(S,) at the last of the first `steps` positions the sum of the returns so far; NaN elsewhere."""
    series = side.padded(returns(side, field, transform), steps)
    if transform in ("log_return", "difference"):
        series[:, 0] = 0.0
    out = np.full(len(side.position), np.nan)
    at = side.position == steps - 1
    out[at] = series.sum(1)[side.owner[at]]
    return out


def _scored(values: NDArray[np.float64], among: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """The CRPS of every contender, at the steps where all have one."""
    scored = {name: crps(values, one) for name, one in among.items()}
    nobody = np.any([np.isnan(one) for one in scored.values()], axis=0)
    return {name: np.where(nobody, np.nan, one) for name, one in scored.items()}


def _columns(score: str, digits: int) -> tuple[Column, ...]:
    return (
        Column("field", "text"),
        Column("paths", "text"),
        Column(score, digits=digits),
        Column("more than this model", digits=digits),
    )


def _against(
    score: NDArray[np.float64], own: NDArray[np.float64], name: str, owner: NDArray[np.int64]
) -> tuple[Measured, Measured | None]:
    """The score, and how much more it is than the model's own at the same steps."""
    return by_sequence(score, owner), None if name == OWN else by_sequence(score - own, owner)
