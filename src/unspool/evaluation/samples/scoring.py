"""Log-probabilities of whole data sets under the model: by sequence and field, and by position."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.errors import SchemaError
from unspool.evaluation.document import ALL_FIELDS, Measured
from unspool.evaluation.samples.statistics import Codes, Ratio, Reals, bands
from unspool.network.decoder import Net
from unspool.streaming.reading import gather_blocks
from unspool.training.scoring import score_all

MIN_SEQUENCES_PER_BAND = 30
"""Sequences, real and generated, that must have a step in a band of positions for the band to be compared."""


def log_probs(net: Net, encoded: Encoded) -> Reals:
    """(N, F) or (N, F + 1) nats in original units: a column per step field, then the stops where lengths vary."""
    out = score_all(net, encoded)
    owner = np.repeat(np.arange(len(encoded)), encoded.lengths)
    fields = np.searchsorted(net.starts, np.arange(len(encoded.steps)), side="right") - 1
    for field, jacobian in zip(fields.tolist(), encoded.log_jacobian, strict=True):
        out[:, field] += np.bincount(owner, jacobian, minlength=len(encoded))
    return out


def score_table(net: Net, codec: Codec, data: Any, steps: Any, *, refuse: bool) -> tuple[Reals, int]:
    """(N, F) or (N, F + 1) nats by field of all sequences of a table, and how many steps these have.

    Data larger than memory are read block by block. Sequences that the model can't score are refused, or have NaN.

    Raises:
        SchemaError: columns or values that contradict the codec.
    """
    found, places, total = [], [], 0
    for positions, examples in gather_blocks(codec, data, steps):
        good = np.ones(len(examples), bool) if refuse else codec.readable(examples)
        try:
            encoded = codec.encode(examples if good.all() else examples.take(good))
        except SchemaError as error:
            hint = f'{error.hint} Pass log_prob(..., errors="nan") to score the other sequences.'.strip()
            raise type(error)(error.location, error.expected, error.found, hint) from None
        scores = log_probs(net, encoded)
        found.append(np.full((len(good), scores.shape[1]), np.nan))
        found[-1][good] = scores
        places.append(np.arange(len(good)) if isinstance(positions, slice) else positions)
        total += int(encoded.offsets[-1])
    nats = np.concatenate(found)
    return nats[np.argsort(np.concatenate(places))], total


class BandScores(NamedTuple):
    """Log-probabilities of sequences by band of positions, on the axis that the network reads.

    Attributes:
        nats: (N, K, F) sums over the steps of each band, of every field.
        steps: (N, K) how many.
        clusters: (N,) which sequences depend on each other, whether real or generated.
    """

    nats: Reals
    steps: NDArray[np.int64]
    clusters: Codes


class PositionScores(NamedTuple):
    """Log-probabilities of every step given the steps before it, of real and of generated sequences.

    Attributes:
        fields: F names.
        bands: K bands of positions, see `unspool.evaluation.samples.statistics.bands`.
        real: held-out sequences, each step after the real steps before it (teacher-forced).
        synthetic: generated sequences, each step after the generated steps before it (free-running).
    """

    fields: tuple[str, ...]
    bands: list[tuple[int, int]]
    real: BandScores
    synthetic: BandScores


class BandNLL(NamedTuple):
    """The negative log-likelihood (NLL) of held-out and generated steps in one band of positions, in nats per step.

    `gap` is generated less held-out, `drift` is the gap less the gap in the first band.
    """

    band: tuple[int, int]
    real: Measured
    synthetic: Measured
    gap: Measured
    drift: Measured


def position_scores(
    net: Net, fields: tuple[str, ...], real: Encoded, synthetic: Encoded, clusters: Codes, samples: int
) -> PositionScores:
    """Score N held-out sequences, of (N,) clusters, and `samples` generated ones for each, row after row."""
    found = bands(int(real.lengths.max(initial=0)))
    ends = tuple(end for _, end in found)

    def scores(encoded: Encoded, owner: Codes) -> BandScores:
        steps = [np.clip(encoded.lengths - first, 0, end - first) for first, end in found]
        nats = score_all(net, encoded, ends)  # the last band holds generated steps past the longest real sequence
        return BandScores(nats[:, :-1, : len(fields)], np.stack(steps, 1).astype(np.int64), owner)

    return PositionScores(fields, found, scores(real, clusters), scores(synthetic, np.repeat(clusters, samples)))


def nll_by_position(scores: PositionScores, field: str = ALL_FIELDS) -> list[BandNLL]:
    """The bands with enough sequences (`MIN_SEQUENCES_PER_BAND`), for one field or the sum of `ALL_FIELDS`.

    If the model's law is the law of the data, the expectation of -log p is the same for real and for generated steps,
    at every position. Generated steps that become more likely than real ones drift to what the model predicts with
    ease, such as a constant; generated steps that become less likely drift to histories that training never saw
    (Braverman et al. 2020, "Calibration, entropy rates, and memory in language models", arXiv:1906.05664).
    """
    kinds = (scores.real, scores.synthetic)
    known = np.unique(np.concatenate([kind.clusters for kind in kinds]))
    chosen = slice(None) if field == ALL_FIELDS else [scores.fields.index(field)]
    rows: list[BandNLL] = []
    first: Ratio | None = None
    for k, band in enumerate(scores.bands):
        if min((kind.steps[:, k] > 0).sum() for kind in kinds) < MIN_SEQUENCES_PER_BAND:
            continue
        real, synthetic = (
            Ratio.of(-one.nats[:, k, chosen].sum(1), one.steps[:, k], np.searchsorted(known, one.clusters), len(known))
            for one in kinds
        )
        gap = synthetic.minus(real)
        first = gap if first is None else first
        rows.append(BandNLL(band, *(one.measured() for one in (real, synthetic, gap, gap.minus(first)))))
    return rows
