"""Log-probabilities of whole data sets under the model, by sequence, field and position."""

import numpy as np
from numpy.typing import NDArray

from unspool.codec.codec import Encoded
from unspool.network.net import Net
from unspool.training.batches import bucketed
from unspool.training.update import score


def scored(net: Net, encoded: Encoded) -> NDArray[np.float64]:
    """(N, F) or (N, F + 1) nats in original units: a column per step field, then the stops where lengths vary."""
    out = _on_its_axis(net, encoded, ())
    owner = np.repeat(np.arange(len(encoded)), encoded.lengths)
    for j, jacobian in enumerate(encoded.log_jacobian):
        out[:, j] += np.bincount(owner, jacobian, minlength=len(encoded))
    return out


def scored_by_band(net: Net, encoded: Encoded, edges: tuple[int, ...]) -> NDArray[np.float64]:
    """(N, K + 1, F) nats of the fields in each band of positions, on the axis that the network sees.

    Args:
        net: the network.
        encoded: the sequences, of which no log-Jacobians are needed.
        edges: K positions at which another band begins, rising.
    """
    return _on_its_axis(net, encoded, edges)[..., : len(encoded.steps)]


def _on_its_axis(net: Net, encoded: Encoded, edges: tuple[int, ...]) -> NDArray[np.float64]:
    buckets, rows = bucketed(encoded, net.shape.stops, multiple=8)
    bands = (len(edges) + 1,) if edges else ()
    out = np.zeros((len(encoded), *bands, len(encoded.steps) + net.shape.stops))
    for bucket, at in zip(buckets, rows, strict=True):
        out[at] = score(net, bucket, edges=edges)
    return out
