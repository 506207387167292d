"""Whether generated sequences are as long as real ones, and stop where those stop."""

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Cell, Column, Panel, Picture, Section, Table, Trace, numbers
from unspool.evaluation.samples.proper_scores import transformed
from unspool.evaluation.samples.sample_set import Material
from unspool.evaluation.samples.statistics import band_name, bands, kolmogorov_smirnov

NAME, TITLE = "length", "Are generated sequences as long as real ones?"
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


def length(material: Material, seed: int) -> Section:
    """Lengths of held-out and generated sequences, and the hazard of stopping by position.

    A generated sequence that reached the limit counts as one that went on there.

    Args:
        material: real and generated sequences.
        seed: of the spreading of ties among equal lengths.
    """
    sides = {
        "training": material.train.lengths,
        "held out": material.test.lengths,
        "generated": material.paths.lengths,
    }
    real, made = sides["held out"], sides["generated"]
    apart, yardstick = kolmogorov_smirnov(real, made), kolmogorov_smirnov(real, sides["training"])
    ended = float(material.ended.mean())
    if len(np.unique(np.concatenate(list(sides.values())))) == 1:
        return Section(NAME, TITLE, f"All sequences have {real[0]} steps.", figures={"KS": 0.0, "ended": ended})
    rows: list[tuple[Cell, ...]] = [("mean", *(float(x.mean()) for x in sides.values()))]
    rows += [(f"{q:.0%} are up to", *(float(np.quantile(x, q)) for x in sides.values())) for q in SHARES]
    columns = (Column("", "text"), *(Column(name, digits=1) for name in sides))
    table = Table("Steps in a sequence", columns, tuple(rows))
    stops, chi2, judged = _stops(real, made, material.ended)
    rank = transformed(
        real.astype(np.float64), made.reshape(len(real), -1).astype(np.float64), np.random.default_rng(seed)
    )
    figures = {
        "KS": apart,
        "KS of training": yardstick,
        "ended": ended,
        "mean": float(made.mean()),
        "mean, held out": float(real.mean()),
        "stops, chi2 per band": chi2 / judged if judged else None,
        "rank of length": float(np.nanmean(rank)) if not np.isnan(rank).all() else None,
    }
    verdict = (
        f"Generated sequences have {made.mean():.1f} steps in the mean, held-out ones {real.mean():.1f}; their "
        f"distributions are {apart:.3f} apart (Kolmogorov-Smirnov; training and held-out {yardstick:.3f}). "
        f"{ended:.1%} ended by themselves."
    )
    return Section(NAME, TITLE, verdict, (table, stops, _curve(sides)), figures)


def hazards(lengths: NDArray[np.int64], ended: NDArray[np.bool_], most: int) -> NDArray[np.float64]:
    """(most + 1,) of the sequences that have t steps, the share that stops there; NaN where none has as many."""
    stopped = np.bincount(lengths[ended], minlength=most + 1)[: most + 1]
    reached = (
        len(lengths) - np.cumsum(np.bincount(lengths, minlength=most + 1)) + np.bincount(lengths, minlength=most + 1)
    )
    with np.errstate(invalid="ignore"):
        return np.where(reached[: most + 1] > 0, stopped / np.maximum(reached[: most + 1], 1), np.nan)


def _stops(real: NDArray[np.int64], made: NDArray[np.int64], ended: NDArray[np.bool_]) -> tuple[Table, float, int]:
    """Stops of held-out sequences by position, beside those that the generated ones' hazards lead one to expect."""
    most = int(real.max())
    hazard = hazards(made, ended, most)
    reached = (real[:, None] >= np.arange(most + 1)).sum(0)
    observed = np.bincount(real, minlength=most + 1)
    known = ~np.isnan(hazard)
    rows, chi2, judged = [], 0.0, 0
    for band in [(-1, 0), *bands(most)]:
        at = slice(band[0] + 1, band[1] + 1)
        kept = known[at]
        expected = float((reached[at] * hazard[at])[kept].sum())
        variance = float((reached[at] * hazard[at] * (1 - hazard[at]))[kept].sum())
        seen = int(observed[at][kept].sum())
        apart = (seen - expected) / np.sqrt(variance) if variance > 0 else float("nan")
        if variance > 1:
            chi2, judged = chi2 + apart**2, judged + 1
        if reached[at].any() and (expected or seen):
            rows.append(("0" if band[0] < 0 else band_name(band), int(reached[at][0]), seen, expected, apart))
    columns = (
        Column("after step", "text"),
        Column("got there", "count"),
        Column("stopped", "count"),
        Column("expected", digits=1),
        Column("apart", digits=1),
    )
    note = (
        "Held-out sequences that stop, and how many would if each stopped with the generated ones' share of stops at "
        "its position; apart in standard deviations of chance."
    )
    return Table("Stops by position", columns, tuple(rows), note), chi2, judged


def _curve(sides: dict[str, NDArray[np.int64]]) -> Picture:
    most = int(max(x.max() for x in sides.values()))
    at = np.unique(np.linspace(0, most, 100).astype(np.int64))
    last = {name: numbers((lengths[:, None] >= at).mean(0)) for name, lengths in sides.items()}
    traces = (
        Trace("held out", numbers(at), last["held out"], role="real"),
        Trace("generated", numbers(at), last["generated"]),
    )
    return Picture("Sequences that last", (Panel("", "steps", "share at least so long", traces),))
