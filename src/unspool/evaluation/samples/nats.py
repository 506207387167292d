"""Log-probabilities of whole data sets under the model, by sequence, field and position."""

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Encoded
from unspool.network.decoder import Net
from unspool.training.train_step import score_all


def scored(net: Net, encoded: Encoded) -> NDArray[np.float64]:
    """(N, F) or (N, F + 1) nats in original units: a column per step field, then the stops where lengths vary."""
    out = score_all(net, encoded)
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
    return score_all(net, encoded, edges)[..., : len(encoded.steps)]
