"""One short training of a small network that has all candidates of every field side by side, to compare them.

Every candidate has parameters of its own on top of shared states, and the states read the true steps before, so that
the candidates of a field are compared on equal terms: by validation nats in original units.

A network that learns differences reads differences, and one that learns values reads values. So where a number has
candidates of both kinds, those of the other kind have a trial of their own.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.dataset.clusters import independent_clusters
from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec, encode_step
from unspool.encoding.encoded import Encoded
from unspool.encoding.fit import fit_step
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS
from unspool.network.build import architecture_of, distribution_of
from unspool.network.decoder import Net
from unspool.network.distributions.base import Distribution, EventShape, Support
from unspool.network.distributions.rules import Rule
from unspool.network.likelihood import start_decoding, teacher_forced
from unspool.options import Network, Training
from unspool.runtime.programs import program
from unspool.runtime.stopping import Stop, Stopped
from unspool.schema.fields import AnyField, Number
from unspool.training.batching import Bucket, TrainingData, to_buckets, validation_split
from unspool.training.defaults import plan
from unspool.training.scoring import timewise
from unspool.training.trainer import train

TRIAL_SIZE, TRIAL_EMBEDDING, TRIAL_UPDATES = 32, 8, 200
"""Hidden units, width of an embedding, and updates."""
TRIAL_ROUND = 25
"""Updates between two validations."""
MAX_TRIAL_STEPS, MIN_TRIAL_SEQUENCES = 30_000, 20
"""Steps that a trial sees at the most, or so many sequences if these have more."""
TRIAL_BUCKET_GAIN = 0.5
"""Share of the padded steps that one more bucket must save: its program takes longer to compile than 200 updates."""
TRIAL_HOLDOUT = 0.25
"""Share of the sequences by which candidates are compared."""


def run_trial(
    codec: Codec,
    examples: Examples,
    encoded: Encoded,
    rows: NDArray[np.int64],
    options: Sequence[tuple[AnyField, ...]],
    seed: int,
    stop: Stop | None = None,
) -> tuple[NDArray[Any], list[dict[AnyField, NDArray[np.float64]]]]:
    """Steps (N,) of every validation cluster, and per field and candidate its log-probability (N,).

    Args:
        codec: fitted with the default of every field.
        examples: all that the columns are fitted to.
        encoded: the same, by the codec.
        rows: the training sequences, of which the trial holds some out.
        options: the candidates of every field, the default first.
        seed: of the fit.
        stop: ends the trial early.

    Raises:
        Stopped: it did.
    """
    stop = stop or Stop()
    rows = np.random.default_rng([seed, 3]).permutation(rows)
    enough = int(np.searchsorted(np.cumsum(encoded.lengths[rows]), MAX_TRIAL_STEPS))
    rows = np.sort(rows[: max(MIN_TRIAL_SEQUENCES, enough)])
    own = [tuple(field for field in some if _is_difference(field) == _is_difference(some[0])) for some in options]
    others = [tuple(field for field in some if field not in kept) for some, kept in zip(options, own, strict=True)]
    steps, nats = _scores_after_training(codec, examples, encoded, rows, own, seed, stop, 0.5 if any(others) else 1.0)
    if any(others):
        again = [other or kept[:1] for other, kept in zip(others, own, strict=True)]
        _, more = _scores_after_training(codec, examples, encoded, rows, again, seed, stop, 1.0)
        nats = [found | known for found, known in zip(more, nats, strict=True)]
    return steps, nats


def clustered_sums(scores: NDArray[Any], starts: NDArray[np.int64] | None, length: int) -> NDArray[Any]:
    """Sums of (N, ...) scores over clusters of sequences that are independent of each other.

    Where `starts` is `None`, every sequence is independent; otherwise they are windows of a length.

    Examples:
        >>> clustered_sums(np.ones((4, 1)), np.array([0, 1, 40, 41]), 20).tolist()
        [[2.0], [2.0]]
    """
    if starts is None:
        return scores
    _, cluster = np.unique(independent_clusters(starts, length, len(scores)), return_inverse=True)
    sums = np.zeros((cluster.max() + 1, *scores.shape[1:]))
    np.add.at(sums, cluster, scores)
    return sums


class Candidates(Distribution):
    """Several distributions of one field side by side; a value has a number for each, since transforms may differ."""

    distributions: tuple[Distribution, ...]

    @property
    def num_uniforms(self) -> int:
        """A trial samples nothing."""
        return 0

    @property
    def event_shape(self) -> EventShape:
        """One number a distribution."""
        return EventShape(members=len(self.distributions))

    @property
    def num_params(self) -> int:
        """Of all side by side."""
        return sum(dist.num_params for dist in self.distributions)

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Of all side by side."""
        return np.concatenate([dist.initial_params(loc, scale) for dist in self.distributions])

    def parts(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "..."]:
        """Log-probability under each distribution, on a last axis."""
        return jnp.stack([dist.log_prob(own, value[..., k]) for k, (dist, own) in enumerate(self._each(params))], -1)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """The sum over the distributions: each learns as if it were alone."""
        return self.parts(params, value).sum(-1)

    def mode(self, params: Float[Array, "*B P"], support: Support | None = None) -> Array:
        """Of each distribution."""
        return jnp.stack([dist.mode(own) for dist, own in self._each(params)], -1)

    def _sample(self, params: Array, uniforms: Array, rule: Rule, support: Support | None) -> Array:
        """The mode, since a trial samples nothing."""
        return self.mode(params)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Of each distribution."""
        return jnp.stack([dist.mean(own) for dist, own in self._each(params)], -1)

    def _each(self, params: Array) -> list[tuple[Distribution, Array]]:
        ends = np.cumsum([dist.num_params for dist in self.distributions])
        return [*zip(self.distributions, jnp.split(params, ends[:-1].tolist(), -1), strict=True)]


def _is_difference(field: AnyField) -> bool:
    return isinstance(field, Number) and field.transform in DIFFERENCE_TRANSFORMS


def _side_by_side(
    codec: Codec, examples: Examples, encoded: Encoded, options: Sequence[tuple[AnyField, ...]]
) -> tuple[Encoded, tuple[Distribution, ...]]:
    """The data with a number for each candidate, and their distributions; a default alone stays as it is."""
    steps, slopes = list(encoded.steps), list(encoded.log_jacobian)
    distributions = list(architecture_of(codec, Network(), TRIAL_SIZE, TRIAL_EMBEDDING).distributions)
    positions = codec.without_parts(range(len(steps)))
    for j, default, fields in zip(positions, codec.schema.steps, options, strict=True):
        if fields == (default,):
            continue
        columns = [fit_step(field, examples) for field in fields]
        pairs = [encode_step(field, column, examples) for field, column in zip(fields, columns, strict=True)]
        steps[j], slopes[j] = (np.stack(part, 1) for part in zip(*pairs, strict=True))
        distributions[j] = Candidates(tuple(map(distribution_of, fields, columns)))
    return replace(encoded, steps=tuple(steps), log_jacobian=tuple(slopes)), tuple(distributions)


def _scores_after_training(
    codec: Codec,
    examples: Examples,
    encoded: Encoded,
    rows: NDArray[np.int64],
    options: Sequence[tuple[AnyField, ...]],
    seed: int,
    stop: Stop,
    share: float,
) -> tuple[NDArray[Any], list[dict[AnyField, NDArray[np.float64]]]]:
    """As `run_trial`, of one network that reads all of the candidates, in a share of the time that is left."""
    encoded, distributions = _side_by_side(codec, examples, encoded, options)
    encoded = encoded.take(rows)
    training, validation = (encoded.take(part) for part in validation_split(encoded, TRIAL_HOLDOUT, seed))
    count = int(training.offsets[-1])
    shape = architecture_of(codec, Network(), TRIAL_SIZE, TRIAL_EMBEDDING)
    # What is left out is of fields with one value; one with candidates has several.
    shape = replace(shape, distributions=distributions, cumulative=(), before=(), sums_before=())
    numbers = plan(Network(size=TRIAL_SIZE), Training(), codec, examples=len(training), steps=count)
    numbers = replace(
        numbers, updates=TRIAL_UPDATES, round=TRIAL_ROUND, patience=TRIAL_UPDATES, warmup=TRIAL_UPDATES // 10
    )
    net = Net(np.random.default_rng([seed, 4]), shape)
    # This training has no validation that could end it: every candidate has a best round of its own.
    buckets, _ = to_buckets(training, net.shape.stops, segment=numbers.segment, gain=TRIAL_BUCKET_GAIN)
    data = TrainingData(buckets, [], count, 0, 0.0, 0.0, seed)
    rounds: list[list[NDArray[np.float64]]] = []
    with stop.part(share) as own:
        train(
            data,
            numbers,
            net,
            stop=own,
            watch=lambda progress: own.report(progress.update / TRIAL_UPDATES),
            save=lambda _, state, best: rounds.append(_validation_scores(state.net, validation)),
        )
    if not rounds or stop.interrupted:
        raise Stopped
    best = [best_rounds(np.stack(scores)) for scores in zip(*rounds, strict=True)]
    both = (validation.lengths, *best)
    steps, *nats = (clustered_sums(part, validation.starts, validation.gap) for part in both)
    pairs = zip(options, codec.without_parts(nats), strict=True)
    return steps, [dict(zip(fields, part.T, strict=True)) for fields, part in pairs]


def _validation_scores(net: Net, validation: Encoded) -> list[NDArray[np.float64]]:
    """Per field, (N, C): log-probability of every sequence under each candidate, in original units."""
    net = jax.device_put(net, jax.local_devices()[0])
    owner = np.repeat(np.arange(len(validation)), validation.lengths)
    out: list[NDArray[np.float64]] = []
    for slope in validation.log_jacobian:
        sums = [np.bincount(owner, column, minlength=len(validation)) for column in slope.reshape(len(slope), -1).T]
        out.append(np.stack(sums, 1).astype(np.float64))
    for bucket, at in zip(*to_buckets(validation, net.shape.stops, gain=TRIAL_BUCKET_GAIN), strict=True):
        for j, scores in enumerate(_candidate_scores(net, bucket)):
            out[j][at] += np.asarray(scores, np.float64)
    return out


def best_rounds(nats: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, C): of (R, N, C), the scores of every candidate in its best round, as under early stopping.

    Examples:
        >>> best_rounds(np.array([[[-9.0, -7.0]], [[-8.0, -8.0]]])).tolist()
        [[-8.0, -7.0]]
    """
    return np.take_along_axis(nats, nats.sum(1).argmax(0)[None, None], 0)[0]


@program()
def _candidate_scores(net: Net, bucket: Bucket) -> tuple[Float[Array, "B C"], ...]:
    """Teacher-forced log-probability of every sequence, per field and candidate."""
    inputs, values, lengths = timewise(bucket)
    T, B = values[0].shape[:2]
    state, ready = start_decoding(net, inputs, T * B)
    output, _ = teacher_forced(net, ready, state, values, net.masks())
    real = (jnp.arange(T)[:, None] < lengths)[..., None]
    sums, context = [], net.outputs.begin(output)
    for j, (dist, value) in enumerate(zip(net.distributions, values, strict=True)):
        params = net.outputs.params(context, j)
        context = net.condition_on(ready, context, j, value)
        parts = dist.parts(params, value) if isinstance(dist, Candidates) else dist.log_prob(params, value)[..., None]
        sums.append(jnp.where(real, parts, 0.0).sum(0))
    return tuple(sums)
