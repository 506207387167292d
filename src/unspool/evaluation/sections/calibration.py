"""Whether generated numbers are spread as real ones are: coverage of bands, and the probability integral transform."""

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.document import Cell, Column, Measured, Panel, Picture, Section, Table, Trace, numbers
from unspool.evaluation.samples.proper_scores import judged, members, not_judged, of_rows, transformed
from unspool.evaluation.samples.sample_set import Material, Side
from unspool.evaluation.samples.statistics import band_name, bands, by_sequence

LEVELS = (0.5, 0.8, 0.95)
BINS = 10
FEW = 4
"""Fields up to which figures by position are given for each."""
NAME, TITLE = "calibration", "Are generated numbers spread as real ones are?"


def calibration(material: Material, seed: int) -> Section:
    """Where held-out numbers fall among the paths generated for the same input.

    Args:
        material: real and generated sequences.
        seed: of the spreading of ties, and of which sequences are judged where there are very many.
    """
    absent = not_judged(material, NAME, TITLE)
    if absent is not None:
        return absent
    rows = judged(material, seed)
    real, paths = material.test.take(rows), material.paths.take(of_rows(rows, material.samples))
    rng = np.random.default_rng(seed)
    u = {name: transformed(x, members(real, paths, paths.numbers[name]), rng) for name, x in real.numbers.items()}
    steps = real.independent[real.owner]
    owner = np.tile(steps, len(u))
    together = np.concatenate(list(u.values()))
    covered = {level: by_sequence(inside(together, level), owner) for level in LEVELS}
    fields = Table(
        "By field",
        (
            Column("field", "text"),
            *(Column(f"in the {level:.0%} band", "percent", 1) for level in LEVELS),
            Column("mean rank"),
            Column("spread of ranks"),
            Column("misplaced", "percent", 1),
        ),
        tuple((name, *_row(one, steps)) for name, one in u.items()),
        "A perfect model has as much in each band as it says, a mean rank of 0.5 and a spread of 1. "
        "A spread above 1: the paths are too narrow; below 1: too wide. "
        f"Misplaced: the share of ranks that would have to move for {BINS} equal bars.",
    )
    return Section(
        NAME,
        TITLE,
        f"Of held-out numbers, {_share(covered[0.8])} fall in the middle 80 % of the paths generated for their input.",
        (fields, _by_position(u if len(u) <= FEW else {"all": together}, real), _histograms(u)),
        {f"coverage_{round(100 * level)}": value.value for level, value in covered.items()}
        | {f"misplaced {name}": misplaced(one) for name, one in u.items()},
    )


def inside(u: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """(S,) 1 where a rank lies in the central band of that mass, 0 where not, NaN where there is none."""
    return np.where(np.isnan(u), np.nan, np.abs(u - 0.5) <= level / 2)


def misplaced(u: NDArray[np.float64]) -> float:
    """The total variation between the histogram of ranks and an even one."""
    shares = _bars(u)
    return float(np.abs(shares - 1 / BINS).sum() / 2)


def _row(u: NDArray[np.float64], owner: NDArray[np.int64]) -> list[Cell]:
    mean = by_sequence(u, owner)
    spread = by_sequence(12 * (u - 0.5) ** 2, owner)
    return [*(by_sequence(inside(u, level), owner) for level in LEVELS), mean, spread, misplaced(u)]


def _by_position(u: dict[str, NDArray[np.float64]], real: Side) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, one in u.items():
        fields = len(one) // max(len(real.position), 1)
        position, owner = np.tile(real.position, fields), np.tile(real.independent[real.owner], fields)
        for band in bands(int(real.lengths.max(initial=0))):
            at = (position >= band[0]) & (position < band[1]) & ~np.isnan(one)
            if at.any():
                covered = (by_sequence(inside(one[at], level), owner[at]) for level in LEVELS)
                rows.append((name, band_name(band), *covered))
    columns = (Column(f"in the {level:.0%} band", "percent", 1) for level in LEVELS)
    return Table("By position", (Column("field", "text"), Column("steps", "text"), *columns), tuple(rows))


def _bars(u: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.histogram(u[~np.isnan(u)], BINS, (0, 1))[0]
    return counts / max(counts.sum(), 1)


def _histograms(u: dict[str, NDArray[np.float64]]) -> Picture:
    middles = numbers((np.arange(BINS) + 0.5) / BINS)
    panels = tuple(
        Panel(
            name,
            "rank among the paths",
            "share",
            (
                Trace("held out", middles, numbers(_bars(one)), mark="bars", role="real"),
                Trace("perfect", (0.0, 1.0), (1 / BINS, 1 / BINS), role="reference"),
            ),
        )
        for name, one in list(u.items())[:6]
    )
    note = "A bowl: the paths are too narrow. A hump: too wide. A slope: too low or too high."
    return Picture("Ranks of held-out numbers", panels, note)


def _share(measured: Measured) -> str:
    if measured.value is None:
        return "none"
    error = "" if measured.error is None else f" ± {100 * measured.error:.1f}"
    return f"{100 * measured.value:.1f}{error} %"
