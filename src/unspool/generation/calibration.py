"""Marginal calibration: generated lengths, missing values and point masses become as frequent as in training.

Dropout, early stopping, overfitting and reading its own output leave the network's logits a little off in the mean. No
single step shows it, but every length and every share of zeros does. So after training Unspool generates sequences for
training inputs, and moves the biases of these logits until the sequences end, miss values and repeat values as often as
those of training (the intercept of Platt 1999, "Probabilistic outputs for support vector machines", on the model's own
output). Nothing else moves.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.generation.sampler import SampleRequest, prepare_sampling, sample_sequences
from unspool.generation.support import with_support
from unspool.network.decoder import Net
from unspool.network.distributions.base import Distribution
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.rules import PLAIN
from unspool.network.distributions.where_active import WhereActive
from unspool.network.lstm import to_weights
from unspool.network.survival import LifeTable, count_ends
from unspool.runtime.stopping import Stop, Stopped

MAX_CALIBRATION_SEQUENCES, MAX_CALIBRATION_STEPS, MAX_CALIBRATION_PARAMETERS = 4_096, 2**17, 2**26
"""Sequences, steps and parameters of distributions that a round generates at the most, about."""
MIN_TRAINING_ENDS, MIN_GENERATED_ENDS = 20, 100
"""Ends, in training and expected in a round, that a stretch of positions with a shift of its own needs."""
CALIBRATION_ROUNDS, DAMPING = 4, 0.7
"""Rounds, and the part of a shift of shares that a round applies: feedback amplifies a shift."""
HALF_SHIFT_COUNT = 20
"""Outcomes for which half a shift is applied: fewer say less."""
FIRST_CALIBRATION_ROW = 2**31
"""The row whose uniforms the first calibration sequence uses. Rows of a user are counted from 0 and have smaller
numbers, so that no seed gives a user the uniforms of calibration."""


def calibrate(
    net: Net,
    codec: Codec,
    training: Encoded,
    bases: Mapping[str, NDArray[np.float64]],
    seed: int,
    stop: Stop | None = None,
) -> Net:
    """The network with biases under which generated sequences have the lengths and shares of the training sequences.

    `bases` has, by name, the (N,) values before step 0 where the codec has them. `stop` ends the calibration after the
    last whole round.
    """
    request = calibration_request(net, codec, training, bases, seed)
    return net if request is None else match_marginals(net, request, training.lengths, training.steps, stop)


def prepare_calibration(
    net: Net, codec: Codec, training: Encoded, bases: Mapping[str, NDArray[np.float64]], seed: int
) -> None:
    """Compile what `calibrate` runs."""
    request = calibration_request(net, codec, training, bases, seed)
    if request is not None:
        prepare_sampling(net, request)


def calibration_request(
    net: Net, codec: Codec, training: Encoded, bases: Mapping[str, NDArray[np.float64]], seed: int
) -> SampleRequest | None:
    """The sequences that a round of `calibrate` generates; `None` where there is nothing to calibrate."""
    kinds = [dist.of if isinstance(dist, WhereActive) else dist for dist in net.distributions]
    if net.stop is None and not any(isinstance(dist, (WithMissing, PointMasses)) for dist in kinds):
        return None
    rows, samples = calibration_rows(training.lengths, len(net.outputs.b))
    inputs = tuple(column[rows] for column in training.inputs)
    length = codec.longest if codec.shortest == codec.longest else None
    request = SampleRequest(inputs, samples, seed, PLAIN, length, codec.most_steps, first_row=FIRST_CALIBRATION_ROW)
    return with_support(request, codec, {name: values[rows] for name, values in bases.items()}, len(rows))


def calibration_rows(lengths: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], int]:
    """An even subsample of the training sequences, and how many sequences to generate for each.

    `lengths` (N,) are those of the training sequences, and `width` the parameters of all distributions.
    """
    steps = min(MAX_CALIBRATION_STEPS, MAX_CALIBRATION_PARAMETERS // width)
    count = min(MAX_CALIBRATION_SEQUENCES, max(1, steps // max(1, int(lengths.max()))))
    rows = np.linspace(0, len(lengths) - 1, min(count, len(lengths))).round().astype(np.int64)
    return rows, max(1, count // len(rows))


def match_marginals(
    net: Net,
    request: SampleRequest,
    lengths: NDArray[np.int64],
    values: tuple[NDArray[Any], ...],
    stop: Stop | None = None,
) -> Net:
    """The network with biases under which the sequences of a request have the (N,) lengths and the shares of training.

    `values` has per field all (S, ...) training steps on the network's axis. `stop` as for `calibrate`.
    """
    stop = stop or Stop()
    for number in range(CALIBRATION_ROUNDS):
        stop.first, stop.last = number / CALIBRATION_ROUNDS, (number + 1) / CALIBRATION_ROUNDS
        try:
            generated, offsets, ended = sample_sequences(net, request, stop=stop)
        except Stopped:
            return net
        if net.stop is not None:
            shift = hazard_shift(lengths, np.diff(offsets), ended, net.positions)
            hazard = np.array(net.stop[1])
            hazard[: net.positions] += shift.astype(np.float32)
            net = eqx.tree_at(lambda net: net.stop[1], net, to_weights(hazard))
        bias = np.array(net.outputs.b)
        for j, each in enumerate(zip(net.distributions, values, generated, strict=True)):
            bias[net.shape.steps.columns(j)] += DAMPING * logit_shift(*each).astype(np.float32)
        net = eqx.tree_at(lambda net: net.outputs.b, net, to_weights(bias))
    return net


def hazard_shift(
    lengths: NDArray[np.int64], generated: NDArray[np.int64], ended: NDArray[np.bool_], positions: int
) -> Float[np.ndarray, " P"]:
    """By position, what the logit of stopping lacks: the same along stretches of positions in which enough end.

    Where `ended` (M,) is false, a generated sequence was cut before it ended.
    """
    training = count_ends(lengths, np.ones(len(lengths), bool), positions)
    scale = len(generated) / len(lengths)
    wanted = LifeTable(scale * training.reached, scale * training.ended)  # of equal counts both are smoothed alike
    full = training.ended * min(1 / MIN_TRAINING_ENDS, scale / MIN_GENERATED_ENDS)
    known = np.arange(positions) <= lengths.max()
    stretch = np.floor(np.minimum(np.cumsum(full) - full, max(1.0, full.sum()) - 1)).astype(np.int64)
    stretch = np.minimum(stretch, stretch[known].max())  # past the longest, the shift of the last ones
    found = count_ends(generated, ended, positions)
    return (log_odds(wanted, stretch, known) - log_odds(found, stretch, known))[stretch]


def logit_shift(dist: Distribution, training: NDArray[Any], generated: NDArray[Any]) -> Float[np.ndarray, " P"]:
    """What the parameters of a distribution lack for the shares of missing values and of each point mass in training.

    Examples:
        >>> from unspool.network.distributions.normal import Normal
        >>> training, generated = (np.array([np.nan] * n + [0.0] * (100 - n)) for n in (50, 20))
        >>> logit_shift(WithMissing(Normal()), training, generated).round(1).tolist()
        [0.8, 0.0, 0.0]
    """
    if isinstance(dist, WhereActive) and dist.event_shape.one_number:
        return logit_shift(dist.of, training[~np.isinf(training)], generated[~np.isinf(generated)])
    if not len(training) or not len(generated):
        return np.zeros(dist.num_params)
    if isinstance(dist, WithMissing):
        missing = [np.isnan(values).reshape(len(values), -1).any(1) for values in (training, generated)]
        present, absent = log_ratio(*(np.array([(~mask).sum(), mask.sum()]) for mask in missing))
        inside = logit_shift(dist.of, training[~missing[0]], generated[~missing[1]])
        return np.concatenate([[absent - present], inside])
    if isinstance(dist, PointMasses):
        same = [np.asarray(dist.which(jnp.asarray(values, jnp.float32))) for values in (training, generated)]
        own = log_ratio(*(np.concatenate([[(~mask.any(1)).sum()], mask.sum(0)]) for mask in same))
        return np.concatenate([own, np.zeros(dist.of.num_params)])
    return np.zeros(dist.num_params)


def log_ratio(training: NDArray[np.int64], generated: NDArray[np.int64]) -> Float[np.ndarray, " K"]:
    """What the logits of K outcomes lack, by their counts; less where few were seen."""
    scale = generated.sum() / training.sum()
    fewest = np.minimum(training, generated)
    return fewest / (fewest + HALF_SHIFT_COUNT) * np.log((scale * training + 0.5) / (generated + 0.5))


def log_odds(counts: LifeTable, stretch: NDArray[np.int64], known: NDArray[np.bool_]) -> Float[np.ndarray, " K"]:
    """Log-odds of ending along each stretch of positions; half an end added on both sides keeps them finite."""
    reached, ended = (np.bincount(stretch[known], part[known]) for part in counts)
    return np.log((ended + 0.5) / (reached - ended + 0.5))
