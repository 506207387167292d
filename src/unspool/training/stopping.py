"""The hazard of stopping, made to expect as many ends as there are.

Dropout and an early end of training leave the hazard a little off in the mean, which no single step shows and every
length does. Its biases are fitted again when all else is learned (the intercept of Platt 1999, "Probabilistic outputs
for support vector machines", by stretches of positions).
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
ENDS = 10.0
"""Ends that a stretch of positions is expected to have at least, to be calibrated by itself."""
DOUBT = 3.0
"""Standard deviation of a shift before anything is seen: where nothing ends, a hazard becomes small and not zero."""


def calibrated(net: Net, buckets: list[Bucket]) -> Net:
    """The network with the biases of its hazard under which the ends of some sequences are likeliest.

    Args:
        net: trained, with a hazard.
        buckets: the sequences, of which an even share is looked at where they are many.
    """
    share = min(1.0, STEPS / max(1, sum(int(bucket.lengths.sum()) for bucket in buckets)))
    positions, logits, ended, weights = [], [], [], []
    for bucket in buckets:
        rows = np.linspace(0, bucket.examples - 1, max(1, round(share * bucket.examples))).astype(np.int64)
        size = 1 << (min(max(1, CELLS // max(1, bucket.steps)), len(rows)).bit_length() - 1)
        for at in range(0, len(rows), size):
            some = np.minimum(np.arange(at, at + size), len(rows) - 1)
            real = np.arange(size) < len(rows) - at
            data = bucket.take(rows[some])
            step = np.arange(bucket.steps)[:, None]
            reached = (step <= data.lengths) & real
            positions.append(np.broadcast_to(step, reached.shape)[reached])
            logits.append(np.asarray(_hazards(net, data), np.float64)[reached])
            ended.append((step == data.lengths)[reached])
            weights.append(np.full(int(reached.sum()), bucket.examples / len(rows)))
    every = [np.concatenate(part) for part in (positions, logits, ended, weights)]
    shift = shifts(net.shape.positions, *every)
    return eqx.tree_at(lambda net: net.stop[1], net, net.stop[1] + jnp.asarray(shift, jnp.float32))  # type: ignore[index]


def shifts(
    count: int,
    positions: NDArray[np.int64],
    logits: Float[NDArray[np.float64], " S"],
    ended: NDArray[np.bool_],
    weights: Float[NDArray[np.float64], " S"],
) -> Float[NDArray[np.float64], " N"]:
    """What to add to the logits of stopping at each position: the same along stretches of at least `ENDS` ends.

    Args:
        count: positions with a bias of their own, the last one for all later ones.
        positions: of every decision.
        logits: of stopping there.
        ended: whether it was stopped.
        weights: how often each counts.
    """
    at = np.minimum(positions, count - 1)
    logits = logits + (whole := intercept(logits, ended, weights))
    expected = np.bincount(at, weights / (1 + np.exp(-logits)), count)
    before = np.cumsum(expected) - expected
    stretch = np.minimum(before // ENDS, max(1, expected.sum() // ENDS) - 1)
    shift = np.zeros(count)
    for one in np.unique(stretch):
        here = stretch[at] == one
        shift[stretch == one] = intercept(logits[here], ended[here], weights[here], DOUBT**-2)
    shift += whole + intercept(logits + shift[at], ended, weights)  # what doubt has left of all ends
    return shift


def intercept(
    logits: Float[NDArray[np.float64], " S"],
    ended: NDArray[np.bool_],
    weights: Float[NDArray[np.float64], " S"],
    precision: float = 0.0,
) -> float:
    """What to add to logits so that the mean probability is the share of ends: Newton's method on a concave function.

    Args:
        logits: of stopping, at every step that was reached.
        ended: whether it was stopped there.
        weights: how often each counts.
        precision: of a normal distribution about zero that the shift has before anything is seen.

    Examples:
        >>> ended = np.arange(10) < 3
        >>> round(intercept(np.zeros(10), ended, np.ones(10)), 3) == round(float(np.log(3 / 7)), 3)
        True
    """
    shift = 0.0
    for _ in range(30):
        p = 1 / (1 + np.exp(-(logits + shift)))
        slope, curvature = (weights * (ended - p)).sum() - precision * shift, (weights * p * (1 - p)).sum() + precision
        if curvature <= 0:
            break
        shift += float(np.clip(slope / curvature, -1, 1))
    return shift


@jax.jit
def _hazards(net: Net, data: Bucket) -> Float[Array, "T B"]:
    """Logits of stopping before each step, of rows whose true steps are read."""
    top = read(net, data)[1]
    return net.hazard(top, jnp.arange(top.h.shape[0]))[..., 0]
