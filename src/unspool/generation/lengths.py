"""The hazard of stopping, matched to the lengths of training by those that the network generates.

Dropout, an early end of training and what a hazard learned by heart leave it a little off in the mean, and so does
reading one's own output in place of data; no single step shows it, and every length does. So when all else is learned,
sequences are generated, and the biases of the hazard are moved until as many end along each stretch of positions as
there did in training (the intercept of Platt 1999, "Probabilistic outputs for support vector machines", on the model's
own output).
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from unspool.generation.engine import Request, generate
from unspool.network.hazard import Counts, counted
from unspool.network.net import Net

SEQUENCES, STEPS = 8_192, 2**18
"""Sequences, and about as many steps, that are generated at the most to look at their lengths."""
REAL, MADE = 20, 100
"""Ends, in training and expected in what is made, that a stretch of positions has at least to be matched by itself."""
ROUNDS = 3
"""How often. The first move is nearly all, but a hazard differs from sequence to sequence, which takes a few."""


def sample(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Examples, an even share, from whose inputs sequences are made to look at their lengths, and how many from each.

    Args:
        lengths: (N,) of all examples.
    """
    most = int(min(SEQUENCES, max(1, STEPS // max(1, lengths.max()))))
    rows = np.linspace(0, len(lengths) - 1, min(most, len(lengths))).round().astype(np.int64)
    return rows, max(1, most // len(rows))


def matched(net: Net, request: Request, lengths: NDArray[np.int64]) -> Net:
    """The network with biases of its hazard under which generated lengths are distributed as those of training.

    Args:
        net: trained, with a hazard.
        request: what to generate, with no length given.
        lengths: (N,) of training.
    """
    positions = net.shape.positions
    found = counted(lengths, np.ones(len(lengths), bool), positions)
    scale = len(request.inputs[0]) * request.samples / len(lengths)
    real = Counts(scale * found.reached, scale * found.ended)  # of as many as are made, so that both are drawn alike
    full = found.ended * min(1 / REAL, scale / MADE)
    known = np.arange(positions) <= lengths.max()
    stretch = np.floor(np.minimum(np.cumsum(full) - full, max(1.0, full.sum()) - 1)).astype(np.int64)
    stretch = np.minimum(stretch, stretch[known].max())  # past the longest, the shift of the last ones
    for _ in range(ROUNDS):
        _, offsets, ended = generate(net, request)
        made = counted(np.diff(offsets), ended, positions)
        off = log_odds(real, stretch, known) - log_odds(made, stretch, known)
        shift = jnp.asarray(off[stretch], jnp.float32)
        net = eqx.tree_at(lambda net: net.stop[1], net, net.stop[1] + shift)  # type: ignore[index]
    return net


def log_odds(counts: Counts, stretch: NDArray[np.int64], known: NDArray[np.bool_]) -> Float[NDArray[np.float64], " K"]:
    """Log-odds of ending along each stretch of positions, drawn to even ones by half an end: they are finite."""
    reached, ended = (np.bincount(stretch[known], part[known]) for part in counts)
    return np.log((ended + 0.5) / (reached - ended + 0.5))
