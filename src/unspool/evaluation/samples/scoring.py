"""Nats by position: of real steps given real ones before them, and of the model's own given its own."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Encoded
from unspool.evaluation.document import Measured
from unspool.evaluation.samples.nats import scored_by_band
from unspool.evaluation.samples.statistics import bands
from unspool.network.decoder import Net

LEAST = 30
"""The fewest sequences with a step in a band of positions, real and generated, that are compared."""
ALL = "all"


class Scored(NamedTuple):
    """Log-probabilities of sequences by band of positions.

    Attributes:
        nats: (N, K, F) sums over the steps of each band, of every field.
        steps: (N, K) how many.
        clusters: (N,) which sequences depend on each other; of generated ones, on real ones too.
    """

    nats: NDArray[np.float64]
    steps: NDArray[np.int64]
    clusters: NDArray[np.int64]


class Surprise(NamedTuple):
    """What each step, read after those before it, is to the model.

    Attributes:
        fields: F names.
        bands: K bands of positions, see `unspool.evaluation.figures.bands`.
        real: held-out sequences, read as training was.
        made: generated sequences, read as when they were generated.
    """

    fields: tuple[str, ...]
    bands: list[tuple[int, int]]
    real: Scored
    made: Scored


class Beside(NamedTuple):
    """Nats a step in one band of positions.

    Attributes:
        band: of positions.
        real: of held-out steps.
        made: of the model's own.
        gap: of its own less of held-out ones.
        drift: the gap less that in the first band.
    """

    band: tuple[int, int]
    real: Measured
    made: Measured
    gap: Measured
    drift: Measured


class _Mean(NamedTuple):
    """A ratio of sums, and what each cluster adds to its linearised error (Cochran 1977, 6.4)."""

    value: float
    parts: NDArray[np.float64]

    def less(self, other: "_Mean") -> "_Mean":
        return _Mean(self.value - other.value, self.parts - other.parts)

    def measured(self, clusters: int) -> Measured:
        error = float(np.sqrt(clusters / (clusters - 1) * (self.parts**2).sum())) if clusters > 1 else None
        return Measured(self.value, error)


def surprise(
    net: Net, fields: tuple[str, ...], real: Encoded, made: Encoded, clusters: NDArray[np.int64], samples: int
) -> Surprise:
    """Score held-out and generated sequences, step by step.

    Args:
        net: the network.
        fields: names of the step fields.
        real: N held-out sequences.
        made: `samples` generated ones for each, row after row.
        clusters: (N,) which held-out sequences depend on each other.
        samples: see `made`.
    """
    found = bands(int(real.lengths.max(initial=0)))
    both = ((real, clusters), (made, np.repeat(clusters, samples)))
    return Surprise(fields, found, *(_scored(net, encoded, found, owner) for encoded, owner in both))


def by_position(found: Surprise, field: str = ALL) -> list[Beside]:
    """The bands where there are `LEAST` sequences of either kind; see `Beside`.

    If the model's law is that of the data, its own steps are as likely to it as real ones at every position: the
    expectation of -log p is then the same. Where its own become likelier than real ones, it drifts to what it can
    foresee; where less likely, to what it has never seen (Braverman et al. 2020, "Calibration, entropy rates, and
    memory in language models", arXiv:1906.05664).

    Args:
        found: see `Surprise`.
        field: its name, or `ALL` for their sum.
    """
    pick = (lambda nats: nats.sum(-1)) if field == ALL else lambda nats: nats[..., found.fields.index(field)]
    known = np.unique(np.concatenate([found.real.clusters, found.made.clusters]))
    rows: list[Beside] = []
    first: _Mean | None = None
    for k, band in enumerate(found.bands):
        if min((side.steps[:, k] > 0).sum() for side in (found.real, found.made)) < LEAST:
            continue
        real, made = (_mean(-pick(side.nats)[:, k], side, k, known) for side in (found.real, found.made))
        gap = made.less(real)
        first = gap if first is None else first
        rows.append(Beside(band, *(mean.measured(len(known)) for mean in (real, made, gap, gap.less(first)))))
    return rows


def _scored(net: Net, encoded: Encoded, found: list[tuple[int, int]], clusters: NDArray[np.int64]) -> Scored:
    ends = tuple(end for _, end in found)
    steps = [np.clip(encoded.lengths - first, 0, end - first) for first, end in found]
    nats = scored_by_band(net, encoded, ends)[:, :-1]  # without what is generated past the longest real sequence
    return Scored(nats, np.stack(steps, 1).astype(np.int64), clusters)


def _mean(totals: NDArray[np.float64], side: Scored, k: int, known: NDArray[np.int64]) -> _Mean:
    counts = side.steps[:, k]
    value = float(totals.sum() / counts.sum())
    at = np.searchsorted(known, side.clusters)
    return _Mean(value, np.bincount(at, totals - value * counts, minlength=len(known)) / counts.sum())
