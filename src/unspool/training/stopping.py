"""The hazard of stopping, made to expect as many ends as there are.

Dropout and an early end of training leave the hazard a little off in the mean, which no single step shows and every
length does. Its one bias is fitted again when all else is learned (the intercept of Platt 1999, "Probabilistic outputs
for support vector machines").
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.network.net import Net
from unspool.training.batches import Bucket
from unspool.training.update import read

STEPS = 100_000
"""Steps of the data that are looked at, about."""
CELLS = 2**14
"""Steps that are looked at together."""


def calibrated(net: Net, buckets: list[Bucket]) -> Net:
    """The network with the bias of its hazard under which the ends of some sequences are likeliest.

    Args:
        net: trained, with a hazard.
        buckets: the sequences, of which an even share is looked at where they are many.
    """
    share = min(1.0, STEPS / max(1, sum(int(bucket.lengths.sum()) for bucket in buckets)))
    logits, ended, weights = [], [], []
    for bucket in buckets:
        rows = np.linspace(0, bucket.examples - 1, max(1, round(share * bucket.examples))).astype(np.int64)
        size = 1 << (min(max(1, CELLS // max(1, bucket.steps)), len(rows)).bit_length() - 1)
        for at in range(0, len(rows), size):
            some = np.minimum(np.arange(at, at + size), len(rows) - 1)
            real = np.arange(size) < len(rows) - at
            data = bucket.take(rows[some])
            step = np.arange(bucket.steps)[:, None]
            reached = (step <= data.lengths) & real
            logits.append(np.asarray(_hazards(net, data), np.float64)[reached])
            ended.append((step == data.lengths)[reached])
            weights.append(np.full(int(reached.sum()), bucket.examples / len(rows)))
    shift = intercept(np.concatenate(logits), np.concatenate(ended), np.concatenate(weights))
    return eqx.tree_at(lambda net: net.stop[1], net, net.stop[1] + jnp.float32(shift))  # type: ignore[index]


def intercept(
    logits: Float[NDArray[np.float64], " S"], ended: NDArray[np.bool_], weights: Float[NDArray[np.float64], " S"]
) -> float:
    """What to add to logits so that the mean probability is the share of ends: Newton's method on a concave function.

    Args:
        logits: of stopping, at every step that was reached.
        ended: whether it was stopped there.
        weights: how often each counts.

    Examples:
        >>> ended = np.arange(10) < 3
        >>> round(intercept(np.zeros(10), ended, np.ones(10)), 3) == round(float(np.log(3 / 7)), 3)
        True
    """
    shift = 0.0
    for _ in range(30):
        p = 1 / (1 + np.exp(-(logits + shift)))
        slope, curvature = (weights * (ended - p)).sum(), (weights * p * (1 - p)).sum()
        if curvature <= 0:
            break
        shift += float(np.clip(slope / curvature, -1, 1))
    return shift


@jax.jit
def _hazards(net: Net, data: Bucket) -> Float[Array, "T B"]:
    """Logits of stopping before each step, of rows whose true steps are read."""
    return net.hazard(read(net, data)[1])[..., 0]
