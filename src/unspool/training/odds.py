"""Odds of what is missing, of values that repeat and of categories, made to expect as many as there are.

Dropout, which training has and generation has not, and weights that are taken in the middle of their way leave odds a
little off in the mean; so a fourth too few dry days may come of a network whose every single step looks right. When all
else is learned, the biases of these odds alone are fitted to all data, without dropout (the intercept of Platt 1999,
"Probabilistic outputs for support vector machines"). Locations and spreads stay: residuals of what was learned from are
smaller than those of new data.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from unspool.network.decoder import Net
from unspool.network.distributions.base import Distribution
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.outputs import DecoderOutput
from unspool.training.batching import Bucket
from unspool.training.train_step import read

MAX_STEPS, MAX_NUMBERS = 2**15, 2**22
"""Steps of the data that are looked at, about; fewer where their parameters would be more numbers than these."""
MIN_STEPS = 1_000
"""Steps of which so many must be looked at, if there are as many."""
MAX_CATEGORIES = 256
"""Symbols of a category, at the most, whose odds are fitted: of more, many are too rare for that."""
PRIOR_SCALE = 0.5
"""Standard deviation of a bias about what was learned, before anything is seen: what is rare stays where it was."""
STEPS_PER_READ = 2**14
"""Steps that are read together."""
BIAS_UPDATES, BIAS_RATE = 150, 0.1
"""Updates, and the rate of the first of them: all biases are fitted at once, to all data that are looked at."""


def recalibrate(net: Net, buckets: Sequence[Bucket]) -> Net:
    """The network with the biases of all odds under which the steps of some sequences are likeliest.

    Args:
        net: trained.
        buckets: the sequences, of which an even share is looked at where they are many.
    """
    which = [counted_logits(dist) for dist in net.shape.distributions]
    asked = tuple(j for j, some in enumerate(which) if some.any())
    steps, most = (
        sum(int(bucket.lengths.sum()) for bucket in buckets),
        min(MAX_STEPS, MAX_NUMBERS // len(net.outputs.b)),
    )
    if not asked or most < min(MIN_STEPS, steps):
        return net
    parts = [_steps(net, bucket, min(1.0, most / steps)) for bucket in buckets]
    top = DecoderOutput(*(jnp.concatenate([jnp.asarray(part.top[k]) for part in parts])[None] for k in (0, 1)))
    columns = zip(*(part.values for part in parts), strict=True)
    values = tuple(jnp.asarray(np.concatenate(column))[None] for column in columns)
    return eqx.tree_at(
        lambda net: net.outputs.b, net, _fitted(net, top, values, jnp.asarray(np.concatenate(which)), asked)
    )


def counted_logits(dist: Distribution) -> NDArray[np.bool_]:
    """(P,) which parameters of a distribution are odds of something that is counted.

    Examples:
        >>> from unspool.network.distributions.normal import Normal
        >>> counted_logits(WithMissing(PointMasses(Normal(), (0.0,)))).tolist()
        [True, True, True, False, False]
    """
    if isinstance(dist, Categorical):
        return np.full(dist.num_params, dist.num_params <= MAX_CATEGORIES)
    if isinstance(dist, (WithMissing, PointMasses)):
        own = dist.num_params - dist.of.num_params
        return np.concatenate([np.ones(own, bool), counted_logits(dist.of)])
    return np.zeros(dist.num_params, bool)


class Steps(NamedTuple):
    """Real steps of sequences: what the distributions read, (S, H) and (S, Q), and per field the values, (S, ...)."""

    top: tuple[NDArray[np.float32], NDArray[np.float32]]
    values: list[NDArray[Any]]


def _steps(net: Net, bucket: Bucket, share: float) -> Steps:
    """The steps of an even share of the sequences."""
    rows = np.linspace(0, bucket.examples - 1, max(1, round(share * bucket.examples))).astype(np.int64)
    size = 1 << (min(max(1, STEPS_PER_READ // max(1, bucket.steps)), len(rows)).bit_length() - 1)
    found: list[list[NDArray[Any]]] = []
    for at in range(0, len(rows), size):
        data = bucket.take(rows[np.minimum(np.arange(at, at + size), len(rows) - 1)])
        real = (np.arange(bucket.steps)[:, None] < data.lengths) & (np.arange(size) < len(rows) - at)
        columns = (*map(np.asarray, _read(net, data)), *(np.swapaxes(column, 0, 1) for column in data.values))
        found.append([column[real] for column in columns])
    h, direct, *values = (np.concatenate(part) for part in zip(*found, strict=True))
    return Steps((h, direct), values)


@jax.jit
def _read(net: Net, data: Bucket) -> DecoderOutput:
    return read(net, data)[1]


@partial(jax.jit, static_argnames="asked")
def _fitted(
    net: Net, top: DecoderOutput, values: tuple[Array, ...], which: Bool[Array, " Q"], asked: tuple[int, ...]
) -> Float[Array, " Q"]:
    """The biases after all updates, fitted to the fields that are asked for."""
    S = values[0].shape[1]
    ready = net.precompute(jnp.zeros((1, net.shape.size)), S)
    here, ones, learned = jnp.zeros(1, jnp.int32), jnp.ones(S, jnp.int32), net.outputs.b

    def loss(bias: Array) -> Array:
        own = eqx.tree_at(lambda net: net.outputs.b, net, bias)
        fields, _ = own.log_prob(ready, top, values, here, ones)
        return (((bias - learned) ** 2).sum() / (2 * PRIOR_SCALE**2) - sum(fields[j].sum() for j in asked)) / S

    optimiser = optax.adam(optax.cosine_decay_schedule(BIAS_RATE, BIAS_UPDATES))

    def once(state: tuple[Array, optax.OptState], _: None) -> tuple[tuple[Array, optax.OptState], None]:
        bias, moments = state
        change, moments = optimiser.update(jax.grad(loss)(bias) * which, moments)
        return (bias + change, moments), None

    return jax.lax.scan(once, (learned, optimiser.init(learned)), None, BIAS_UPDATES)[0][0]
