"""Log-probabilities of whole data sets under the model, by sequence and field, and means with their errors."""

import numpy as np
from numpy.typing import NDArray

from unspool.codec.codec import Encoded
from unspool.evaluation.section import Measured
from unspool.network.net import Net
from unspool.training.batches import bucketed
from unspool.training.update import score


def scored(net: Net, encoded: Encoded) -> NDArray[np.float64]:
    """(N, F) or (N, F + 1) nats in original units: a column per step field, then the stops where lengths vary."""
    buckets, rows = bucketed(encoded, net.shape.stops, multiple=8)
    out = np.zeros((len(encoded), len(encoded.steps) + net.shape.stops))
    for bucket, at in zip(buckets, rows, strict=True):
        out[at] = score(net, bucket)
    owner = np.repeat(np.arange(len(encoded)), encoded.lengths)
    for j, jacobian in enumerate(encoded.log_jacobian):
        out[:, j] += np.bincount(owner, jacobian, minlength=len(encoded))
    return out


def ratio(totals: NDArray[np.float64], counts: NDArray[np.int64], clusters: NDArray[np.int64]) -> Measured:
    """The sum of totals over the sum of counts, with an error for which clusters are independent, not steps.

    The linearised error of a ratio (Cochran 1977, "Sampling techniques", section 6.4), for G clusters:

        sqrt(G / (G - 1) * sum over clusters of (total - ratio * count)^2) / sum of counts

    Args:
        totals: (N,) of every sequence.
        counts: (N,) of what the mean is over, such as steps.
        clusters: (N,) which sequences belong together.

    Examples:
        >>> ratio(np.array([2.0, 4.0]), np.array([1, 1]), np.array([0, 1]))
        Measured(value=3.0, error=1.0)
    """
    size = int(counts.sum())
    if not size or np.isnan(totals).any():
        return Measured(None)
    mean = float(totals.sum() / size)
    rest = np.bincount(clusters, totals - mean * counts)
    present = int(np.count_nonzero(np.bincount(clusters)))
    if present < 2:
        return Measured(mean)
    return Measured(mean, float(np.sqrt(present / (present - 1) * (rest**2).sum()) / size))
