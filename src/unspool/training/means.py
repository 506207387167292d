"""Whether the mean of a number is learned, or that of training: decided once all else is learned.

Of some numbers, returns on a market above all, hardly anything of the mean can be foreseen. Of what a network takes for
foreseeable in a sample the likelihood of single steps hardly speaks, but over a path it adds up. So where the mean that
was learned isn't borne out by data that training held out, all is learned again as under `Number(mean="constant")`, see
`unspool.network.distributions.zero_mean`.
"""

from collections.abc import Collection, Mapping
from typing import cast

import equinox as eqx
import jax
import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Codec, Encoded
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.schema.fields import Number
from unspool.training.initialization import fit_ar1
from unspool.training.selection import clustered_sums
from unspool.training.train_step import score_all

MIN_FORESEEN_SHARE = 0.02
"""Share of the variance that an autoregression foresees, from which on the mean is learned without a question."""
MIN_MEAN_GAIN = 0.01
"""Nats a step, held out, from which on a learned mean is worth it."""
MAX_STANDARD_ERRORS = 2.0
"""Standard errors by which what is less must be better than nothing."""
MIN_CLUSTERS = 8
"""Pieces of held-out data that have nothing to do with each other, at the least, to tell."""
LOCATED_DISTRIBUTIONS = ("normal", "student_t", "mixture")
"""Distributions of which it is asked: densities, which say where they are by locations alone."""


def doubtful_means(codec: Codec, learned: Encoded, validation: Encoded) -> tuple[int, ...]:
    """Which fields are numbers of which one must ask: with `mean="auto"`, and of the next value the last says nothing.

    None where too little is held out to tell.
    """
    if len(clustered_sums(np.zeros((len(validation), 1)), validation.starts, validation.gap)) < MIN_CLUSTERS:
        return ()
    return tuple(
        j
        for j, field in enumerate(codec.schema.steps)
        if isinstance(field, Number)
        and (field.mean, field.distribution in LOCATED_DISTRIBUTIONS) == ("auto", True)
        and fit_ar1(learned.steps[j], learned.offsets).foreseen < MIN_FORESEEN_SHARE
    )


def unsupported_means(codec: Codec, net: Net, validation: Encoded, doubtful: tuple[int, ...]) -> dict[int, float]:
    """By field whose learned mean held-out data don't bear out: the nats a step that it gains there, if any.

    Args:
        codec: the fitted columns.
        net: trained.
        validation: what was held out of training.
        doubtful: the fields of which one asks.
    """
    if not doubtful:
        return {}
    shape = architecture_of(
        with_constant_means(codec, doubtful), net.shape.options, net.shape.size, net.shape.embedding
    )
    structure = jax.tree.structure(eqx.filter_eval_shape(Net, np.random.default_rng(0), shape))
    centred = cast(Net, jax.tree.unflatten(structure, jax.tree.leaves(net)))
    gains = clustered_sums(
        score_all(net, validation) - score_all(centred, validation), validation.starts, validation.gap
    )
    steps = int(validation.offsets[-1])
    return {j: float(gains[:, j].sum() / steps) for j in doubtful if is_worthless(gains[:, j], steps)}


def with_constant_means(codec: Codec, which: Collection[int]) -> Codec:
    """The codec, with the means of these fields held constant."""
    steps = tuple(
        msgspec.structs.replace(field, mean="constant") if j in which else field
        for j, field in enumerate(codec.schema.steps)
    )
    return msgspec.structs.replace(codec, schema=msgspec.structs.replace(codec.schema, steps=steps))


def describe_means(codec: Codec, constant: Mapping[int, float]) -> list[str]:
    """A line for people about each field whose mean is held constant, and why."""
    return [
        f"{codec.schema.steps[j].name}: its mean is that of training always, and all is learned again; "
        f"a learned one was worth {gain:.4f} nats a step held out"
        for j, gain in constant.items()
    ]


def is_worthless(gain: NDArray[np.float64], steps: int) -> bool:
    """Whether one is as well off without something that gains so many nats in each of some pieces of data.

    Args:
        gain: (P,) of each piece.
        steps: in all of them.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> is_worthless(rng.normal(0.0, 1.0, 50), 1_000), is_worthless(rng.normal(1.0, 1.0, 50), 1_000)
        (True, False)
    """
    mean, error = gain.mean(), gain.std(ddof=1) / len(gain) ** 0.5
    return bool(mean < MAX_STANDARD_ERRORS * error and gain.sum() < MIN_MEAN_GAIN * steps)
