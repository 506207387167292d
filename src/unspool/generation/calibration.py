"""Lengths, and shares of what is missing or repeats, matched to those of training by what the network generates.

Dropout, an early end of training and what was learned by heart leave such odds a little off in the mean, and so does
reading one's own output in place of data; no single step shows it, and every length and every share of zeros does. So
when all else is learned, sequences are generated, and the biases of these odds are moved until there are as many ends
along each stretch of positions, missing values and repeated ones as there were in training (the intercept of Platt
1999, "Probabilistic outputs for support vector machines", on the model's own output).
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from unspool.generation.sampler import SampleRequest, sample_sequences
from unspool.network.decoder import Net
from unspool.network.distributions.base import Distribution
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.survival import LifeTable, count_ends

MAX_SEQUENCES, MAX_CALIBRATION_STEPS, MAX_CALIBRATION_NUMBERS = 4_096, 2**17, 2**26
"""Sequences, steps and parameters of all their distributions that are generated at the most, about, to look at them."""
MIN_TRAINING_ENDS, MIN_GENERATED_ENDS = 20, 100
"""Ends, in training and expected in what is made, that a stretch of positions has at least to be matched by itself."""
CALIBRATION_ROUNDS, DAMPING = 4, 0.7
"""How often, and how far shares are moved at once: what is read again makes more of a move than it was."""
HALF_MOVE_COUNT = 20
"""Outcomes of which half a move is made."""


def calibration_rows(lengths: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], int]:
    """Examples, an even share, from whose inputs sequences are made to look at them, and how many from each.

    Args:
        lengths: (N,) of all examples.
        width: parameters of all distributions.
    """
    most = int(
        min(
            MAX_SEQUENCES, max(1, min(MAX_CALIBRATION_STEPS, MAX_CALIBRATION_NUMBERS // width) // max(1, lengths.max()))
        )
    )
    rows = np.linspace(0, len(lengths) - 1, min(most, len(lengths))).round().astype(np.int64)
    return rows, max(1, most // len(rows))


def match_marginals(
    net: Net, request: SampleRequest, lengths: NDArray[np.int64], values: tuple[NDArray[Any], ...]
) -> Net:
    """The network with biases under which what it generates has the lengths and shares of training.

    Args:
        net: trained.
        request: what to generate.
        lengths: (N,) of training.
        values: per field, (S, ...) of all its steps, on the network's axis.
    """
    if net.stop is None and not any(isinstance(dist, (WithMissing, PointMasses)) for dist in net.shape.distributions):
        return net
    for _ in range(CALIBRATION_ROUNDS):
        made, offsets, ended = sample_sequences(net, request)
        if net.stop is not None:
            shift = hazard_shift(lengths, np.diff(offsets), ended, net.shape.positions)
            net = eqx.tree_at(lambda net: net.stop[1], net, net.stop[1] + jnp.asarray(shift, jnp.float32))
        parts = [logit_shift(*each) for each in zip(net.shape.distributions, values, made, strict=True)]
        moved = net.outputs.b + DAMPING * jnp.asarray(np.concatenate(parts), jnp.float32)
        net = eqx.tree_at(lambda net: net.outputs.b, net, moved)
    return net


def hazard_shift(
    lengths: NDArray[np.int64], made: NDArray[np.int64], ended: NDArray[np.bool_], positions: int
) -> Float[NDArray[np.float64], " P"]:
    """By position, what the logit of stopping lacks: the same along stretches of positions in which enough end."""
    found, own = count_ends(lengths, np.ones(len(lengths), bool), positions), count_ends(made, ended, positions)
    scale = len(made) / len(lengths)
    real = LifeTable(scale * found.reached, scale * found.ended)  # of as many as are made, so that both are drawn alike
    full = found.ended * min(1 / MIN_TRAINING_ENDS, scale / MIN_GENERATED_ENDS)
    known = np.arange(positions) <= lengths.max()
    stretch = np.floor(np.minimum(np.cumsum(full) - full, max(1.0, full.sum()) - 1)).astype(np.int64)
    stretch = np.minimum(stretch, stretch[known].max())  # past the longest, the shift of the last ones
    return (log_odds(real, stretch, known) - log_odds(own, stretch, known))[stretch]


def logit_shift(dist: Distribution, real: NDArray[Any], made: NDArray[Any]) -> Float[NDArray[np.float64], " P"]:
    """What the parameters of a distribution lack for as many missing values, and as many of each that repeats.

    Args:
        dist: of the field.
        real: values of training.
        made: generated ones.

    Examples:
        >>> from unspool.network.distributions.normal import Normal
        >>> real, made = np.array([np.nan] * 50 + [0.0] * 50), np.array([np.nan] * 20 + [0.0] * 80)
        >>> logit_shift(WithMissing(Normal()), real, made).round(1).tolist()
        [0.8, 0.0, 0.0]
    """
    sides = (real, made)
    if not len(real) or not len(made):
        return np.zeros(dist.num_params)
    if isinstance(dist, WithMissing):
        gone = [np.isnan(side).reshape(len(side), -1).any(1) for side in sides]
        there, lost = log_ratio(*(np.array([(~mask).sum(), mask.sum()]) for mask in gone))
        inside = logit_shift(dist.of, *(side[~mask] for side, mask in zip(sides, gone, strict=True)))
        return np.concatenate([[lost - there], inside])
    if isinstance(dist, PointMasses):
        same = [np.asarray(dist.which(jnp.asarray(side, jnp.float32))) for side in sides]
        own = log_ratio(*(np.concatenate([[(~one.any(1)).sum()], one.sum(0)]) for one in same))
        return np.concatenate([own, np.zeros(dist.of.num_params)])
    return np.zeros(dist.num_params)


def log_ratio(real: NDArray[np.int64], made: NDArray[np.int64]) -> Float[NDArray[np.float64], " K"]:
    """What the logits of some outcomes lack, less where few were seen.

    Args:
        real: (K,) how many there were.
        made: (K,) how many were generated.
    """
    scale = made.sum() / real.sum()
    few = np.minimum(real, made) / (np.minimum(real, made) + HALF_MOVE_COUNT)
    return few * np.log((scale * real + 0.5) / (made + 0.5))


def log_odds(
    counts: LifeTable, stretch: NDArray[np.int64], known: NDArray[np.bool_]
) -> Float[NDArray[np.float64], " K"]:
    """Log-odds of ending along each stretch of positions, drawn to even ones by half an end: they are finite."""
    reached, ended = (np.bincount(stretch[known], part[known]) for part in counts)
    return np.log((ended + 0.5) / (reached - ended + 0.5))
