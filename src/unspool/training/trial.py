"""One short training of a small network that has all candidates of every field side by side, to compare them.

Every candidate has parameters of its own on top of shared states, and the states read the true steps before, so that
the candidates of a field are compared on equal terms: by validation nats in original units.

A network that learns differences reads differences, and one that learns values reads values. So where there are such
candidates the trial is made twice, by one program: every candidate is judged where the network read its own kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec, Encoded, encode_step
from unspool.encoding.fit import fit_step
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.distributions.base import Distribution, Support
from unspool.network.distributions.rules import PLAIN, Rule
from unspool.network.embeddings import Embedding, Feed, Product
from unspool.options import Network, Training
from unspool.schema.fields import AnyField, Number
from unspool.training.batching import Bucket, TrainingData, to_buckets, validation_split
from unspool.training.defaults import plan
from unspool.training.scoring import teacher_forced_outputs, timewise
from unspool.training.trainer import train

TRIAL_SIZE, TRIAL_EMBEDDING, TRIAL_UPDATES = 32, 8, 200
"""Hidden units, width of an embedding, and updates."""
TRIAL_ROUND = 25
"""Updates between two looks at the validation sequences."""
MAX_TRIAL_STEPS, MIN_TRIAL_SEQUENCES = 30_000, 20
"""Steps of the data that a trial sees at the most, unless that is fewer than so many sequences."""
TRIAL_HOLDOUT = 0.25
"""Share of the sequences by which candidates are compared."""


def run_trial(
    codec: Codec, examples: Examples, rows: NDArray[np.int64], options: Sequence[tuple[AnyField, ...]], seed: int
) -> list[NDArray[np.float64]]:
    """Per field, (N, 1 + C): steps of every validation cluster, and its log-probability under each candidate.

    Args:
        codec: fitted with the default of every field.
        examples: all that the columns are fitted to.
        rows: the training sequences, of which the trial holds some out.
        options: the candidates of every field, the default first.
        seed: of the fit.
    """
    encoded, distributions = _side_by_side(codec, examples, options)
    rows = np.random.default_rng([seed, 3]).permutation(rows)
    enough = int(np.searchsorted(np.cumsum(encoded.lengths[rows]), MAX_TRIAL_STEPS))
    encoded = encoded.take(np.sort(rows[: max(MIN_TRIAL_SEQUENCES, enough)]))
    differences = [np.array([_is_difference(field) for field in fields]) for fields in options]
    mixed = [bool(part.any() and not part.all()) for part in differences]
    seen = [~part | (not both) for part, both in zip(differences, mixed, strict=True)]
    scores = _scores_after_training(codec, encoded, distributions, seen, seed)
    if any(mixed):
        seen = [part | (not both) for part, both in zip(differences, mixed, strict=True)]
        again = _scores_after_training(codec, encoded, distributions, seen, seed)
        for own, other, part in zip(scores, again, differences, strict=True):
            own[:, 1:][:, part] = other[:, 1:][:, part]
    return scores


def clustered_sums(scores: NDArray[np.float64], starts: NDArray[np.int64] | None, length: int) -> NDArray[np.float64]:
    """Sums of scores over independent clusters: all overlapping windows that start within one window's length are one.

    Args:
        scores: (N, ...) of sequences.
        starts: (N,) of windows of a series, or `None` where every sequence is independent.
        length: of a window.

    Examples:
        >>> clustered_sums(np.ones((4, 1)), np.array([0, 1, 20, 21]), 20).tolist()
        [[2.0], [2.0]]
    """
    if starts is None:
        return scores
    _, cluster = np.unique(starts // max(length, 1), return_inverse=True)
    return np.stack([np.bincount(cluster, column) for column in scores.T], 1)


@dataclass(frozen=True)
class Candidates(Distribution):
    """Several distributions of one field side by side; a value has a number for each, since transforms may differ."""

    distributions: tuple[Distribution, ...]

    @property
    def size(self) -> int:
        """Of all together."""
        return sum(dist.size for dist in self.distributions)

    @property
    def num_uniforms(self) -> int:
        """A trial draws nothing."""
        return 0

    @property
    def members(self) -> int | None:
        """One number a distribution."""
        return len(self.distributions)

    def bias(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Of all side by side."""
        return np.concatenate([dist.bias(loc, scale) for dist in self.distributions])

    def parts(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "..."]:
        """Log-probability under each distribution, on a last axis."""
        return jnp.stack([dist.log_prob(own, value[..., k]) for k, (dist, own) in enumerate(self._each(params))], -1)

    def log_prob(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "*B"]:
        """The sum over the distributions: each learns as if it were alone."""
        return self.parts(params, value).sum(-1)

    def sample(
        self,
        params: Float[Array, "*B P"],
        uniforms: Float[Array, "*B U"],
        rule: Rule = PLAIN,
        support: Support | None = None,
    ) -> Array:
        """The mode, since a trial draws nothing."""
        return self.mode(params)

    def mode(self, params: Float[Array, "*B P"]) -> Array:
        """Of each distribution."""
        return jnp.stack([dist.mode(own) for dist, own in self._each(params)], -1)

    def mean(self, params: Float[Array, "*B P"]) -> Array:
        """Of each distribution."""
        return jnp.stack([dist.mean(own) for dist, own in self._each(params)], -1)

    def _each(self, params: Array) -> list[tuple[Distribution, Array]]:
        ends = np.cumsum([dist.size for dist in self.distributions])
        return [(dist, params[..., end - dist.size : end]) for dist, end in zip(self.distributions, ends, strict=True)]


@final
class MaskedEmbedding(Embedding):
    """Some of the numbers that stand side by side in a value; the others are not read."""

    of: Embedding
    mask: Float[Array, " D"]

    @property
    def width(self) -> int:
        """Of the embedding inside."""
        return self.of.width

    def embed(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """Vectors of what is seen."""
        return self.of.embed(jnp.where(jax.lax.stop_gradient(self.mask) > 0, values, 0.0))

    def fold(self, weights: Float[Array, "D Z"], count: int) -> Feed:
        """Nothing to fold."""
        return Product(self, weights)


def _is_difference(field: AnyField) -> bool:
    return isinstance(field, Number) and field.transform in DIFFERENCE_TRANSFORMS


def _side_by_side(
    codec: Codec, examples: Examples, options: Sequence[tuple[AnyField, ...]]
) -> tuple[Encoded, list[Distribution]]:
    """The data with a number for each candidate, and the distributions; where there is one candidate, as it is."""
    encoded = codec.encode(examples)
    plain = architecture_of(codec, Network(), TRIAL_SIZE, TRIAL_EMBEDDING).distributions
    steps, slopes, distributions = list(encoded.steps), list(encoded.log_jacobian), list(plain)
    for j, fields in enumerate(options):
        if len(fields) == 1:
            continue
        columns = [fit_step(field, examples) for field in fields]
        pairs = [encode_step(field, column, examples) for field, column in zip(fields, columns, strict=True)]
        steps[j], slopes[j] = (np.stack(part, 1) for part in zip(*pairs, strict=True))
        own: list[Distribution] = []
        for field, column in zip(fields, columns, strict=True):
            one = msgspec.structs.replace(codec.schema, steps=(field,), form="list")
            alone = msgspec.structs.replace(codec, schema=one, steps=(column,))
            own += architecture_of(alone, Network(), TRIAL_SIZE, TRIAL_EMBEDDING).distributions
        distributions[j] = Candidates(tuple(own))
    return replace(encoded, steps=tuple(steps), log_jacobian=tuple(slopes)), distributions


def _scores_after_training(
    codec: Codec, encoded: Encoded, distributions: list[Distribution], seen: Sequence[NDArray[np.bool_]], seed: int
) -> list[NDArray[np.float64]]:
    """As `run_trial`, of a network that reads some candidates' numbers.

    Args:
        codec: fitted with the defaults.
        encoded: the data, with a number for each candidate.
        distributions: of the fields.
        seen: per field, (C,) whose numbers of the step before are read.
        seed: of the trial.
    """
    rows, validation_rows = validation_split(encoded, TRIAL_HOLDOUT, seed)
    training, validation = encoded.take(rows), encoded.take(validation_rows)
    steps = int(training.offsets[-1])
    shape = replace(architecture_of(codec, Network(), TRIAL_SIZE, TRIAL_EMBEDDING), distributions=tuple(distributions))
    numbers = plan(Network(size=TRIAL_SIZE), Training(), codec, examples=len(training), steps=steps)
    numbers = replace(
        numbers, updates=TRIAL_UPDATES, round=TRIAL_ROUND, patience=TRIAL_UPDATES, warmup=TRIAL_UPDATES // 10
    )
    net = _with_masks(Net(np.random.default_rng([seed, 4]), shape), seen)
    # Nothing is held out of this training: it ends when it ends, and every candidate has a best round of its own.
    task = TrainingData(to_buckets(training, shape.stops, segment=numbers.segment)[0], [], steps, 0, 0.0, 0.0, seed)
    rounds: list[list[NDArray[np.float64]]] = []
    train(task, numbers, net, save=lambda _, state, best: rounds.append(_validation_scores(state.net, validation)))
    return [_best_rounds(np.stack(scores)) for scores in zip(*rounds, strict=True)]


def _validation_scores(net: Net, validation: Encoded) -> list[NDArray[np.float64]]:
    """Per field, (N, 1 + C) as `run_trial` has them, of the network as it is."""
    net = jax.device_put(net, jax.local_devices()[0])
    owner = np.repeat(np.arange(len(validation)), validation.lengths)
    out = []
    for slope in validation.log_jacobian:
        each = slope if slope.ndim == 2 else slope[:, None]
        sums = np.stack([np.bincount(owner, column, minlength=len(validation)) for column in each.T], 1)
        out.append(np.concatenate([validation.lengths[:, None], sums], 1).astype(np.float64))
    for bucket, at in zip(*to_buckets(validation, net.shape.stops), strict=True):
        for j, scores in enumerate(_candidate_scores(net, bucket)):
            out[j][at, 1:] += np.asarray(scores, np.float64)
    return [clustered_sums(scores, validation.starts, validation.gap) for scores in out]


def _best_rounds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 1 + C): of (R, N, 1 + C), the scores of every candidate in its best round, as early stopping has it.

    Examples:
        >>> _best_rounds(np.array([[[5.0, -9.0, -7.0]], [[5.0, -8.0, -8.0]]])).tolist()
        [[5.0, -8.0, -7.0]]
    """
    return np.take_along_axis(scores, scores.sum(1).argmax(0)[None, None], 0)[0]


def _with_masks(net: Net, seen: Sequence[NDArray[np.bool_]]) -> Net:
    """The network with steps of which only some candidates' numbers are read."""
    steps = tuple(
        MaskedEmbedding(embedding, jnp.asarray(mask, jnp.float32)) if isinstance(dist, Candidates) else embedding
        for embedding, dist, mask in zip(net.steps, net.shape.distributions, seen, strict=True)
    )
    return eqx.tree_at(lambda net: net.steps, net, steps)


@jax.jit
def _candidate_scores(net: Net, bucket: Bucket) -> tuple[Float[Array, "B C"], ...]:
    """Teacher-forced log-probability of every sequence, per field and candidate."""
    _, values, lengths = timewise(bucket)
    ready, top = teacher_forced_outputs(net, bucket)
    real = (jnp.arange(len(values[0]))[:, None] < lengths)[..., None]
    out, distributions = [], net.step_context(top)
    for j, dist in enumerate(net.shape.distributions):
        params = net.params(distributions, j)
        distributions = net.condition_on(ready, distributions, j, values[j])
        if isinstance(dist, Candidates):
            parts = dist.parts(params, values[j])
        else:
            parts = dist.log_prob(params, values[j])[..., None]
        out.append(jnp.where(real, parts, 0.0).sum(0))
    return tuple(out)
