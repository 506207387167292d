"""Which distribution and transform a number gets: one short trial of a small network with all candidates at once.

Every candidate has parameters of its own on top of shared states, and the states read the true steps before, so that
the candidates of a field are compared on equal terms: by held-out nats in original units, by sequence. A field keeps
its default unless another candidate is better beyond doubt.

A network that learns differences reads differences, and one that learns values reads values. So where there are such
candidates the trial is made twice, by one program: every candidate is judged where the network read its own kind.
"""

import math
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
from unspool.network.distributions.base import Distribution, Event, Support
from unspool.network.distributions.rules import Rule
from unspool.network.embeddings import Embedding, Feed, Product
from unspool.options import Network, Training
from unspool.schema.fields import MONOTONE_TRANSFORMS, AnyField, Number, Schema, Transform
from unspool.schema.transform_choice import drop_missing, lagged, step_distribution
from unspool.training.batching import Bucket, to_buckets, validation_split
from unspool.training.defaults import plan
from unspool.training.train_step import read, timewise
from unspool.training.trainer import TrainingData, train

TRIAL_SIZE, TRIAL_UPDATES, TRIAL_STEPS = 32, 200, 30_000
"""Hidden units, updates, and steps of the data that a trial sees at the most."""
MIN_TRIAL_STEPS = 1_000
"""Steps from which on a trial can tell candidates apart."""
MIN_UPDATES_RATIO = 10
"""How many times as many updates as the trial a fit must plan, for the trial to be a small part of it."""
MIN_STANDARD_ERRORS = 3.0
"""Standard errors by which a candidate must be better than the default."""
MIN_GAIN = 0.01
"""Nats a step that it must gain, too."""
MAX_STEP_VARIANCE = 0.02
"""Variance of a number's steps, as a share of that of its values, up to which differences are worth a trial.

What returns to its level faster gains nats by them as well, but its sums drift when the network runs on its own:
`docs/log.md` has the figures.
"""


@dataclass(frozen=True)
class Candidates(Distribution):
    """Several distributions of one field side by side; a value has a number for each, since transforms may differ."""

    distributions: tuple[Distribution, ...]

    @property
    def num_params(self) -> int:
        """Of all together."""
        return sum(dist.num_params for dist in self.distributions)

    @property
    def num_uniforms(self) -> int:
        """A trial samples nothing."""
        return 0

    @property
    def event(self) -> Event:
        """One number a distribution."""
        return Event(members=len(self.distributions))

    def initial_params(self, loc: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
        """Of all side by side."""
        return np.concatenate([dist.initial_params(loc, scale) for dist in self.distributions])

    def parts(self, params: Float[Array, "*B P"], value: Array) -> Float[Array, "..."]:
        """Log-probability under each distribution, on a last axis."""
        return jnp.stack([h.log_prob(p, value[..., k]) for k, (h, p) in enumerate(self._each(params))], -1)

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
        return [
            (dist, params[..., end - dist.num_params : end]) for dist, end in zip(self.distributions, ends, strict=True)
        ]


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


def candidates(field: AnyField, open_: set[str], examples: Examples) -> tuple[AnyField, ...]:
    """What a field may become, the default first; only distributions of one measure, densities or masses, compare.

    Args:
        field: as inference has decided it.
        open_: names of the fields whose distribution was left open; `name.transform` where the transform was, too.
        examples: the data.
    """
    if (
        not isinstance(field, Number)
        or field.name not in open_
        or field.transform in (*MONOTONE_TRANSFORMS, *DIFFERENCE_TRANSFORMS)
    ):
        return (field,)
    distributions = ["discretized"] if field.distribution == "discretized" else ["mixture", "histogram"]
    distributions = distributions[:1] if field.mean == "constant" else distributions
    options = [msgspec.structs.replace(field, distribution=dist) for dist in distributions]
    if f"{field.name}.transform" in open_:
        others = transforms(field, examples)
        options += [msgspec.structs.replace(field, transform=transform) for transform in others]
    return tuple(options)


def transforms(field: Number, examples: Examples) -> list[Transform]:
    """Other transforms that the field may have, with the distribution that inference gave it."""
    values, first = examples.steps[field.name].astype(np.float64), examples.first.get(field.name)
    kept, bounds = drop_missing(values, examples.offsets)
    if not np.ptp(kept) > 0:
        return []
    others: list[Transform] = []
    if kept.min() >= 0:
        others.append("standardize" if field.transform == "log1p" else "log1p")
    if field.bounds not in ("auto", None) or not lagged(kept, bounds, 1).var() < MAX_STEP_VARIANCE * kept.var():
        return others
    masses = field.distribution == "discretized"
    if not masses or step_distribution(values, examples.offsets, first, "difference") == field.distribution:
        others.append("difference")
    if not masses and min(kept.min(), np.inf if first is None else np.nanmin(first, initial=np.inf)) > 0:
        others.append("log_return")
    return others


def select_distributions(
    codec: Codec, examples: Examples, open_: set[str], network: Network, training: Training, seed: int
) -> tuple[Schema, list[str]]:
    """The schema with the best distributions and transforms, and a line about each change.

    Args:
        codec: fitted with the defaults.
        examples: the data.
        open_: see `candidates`.
        network: options of the fit that the trial is for.
        training: options of the fit that the trial is for.
        seed: of the trial.
    """
    schema = codec.schema
    options = [candidates(field, open_, examples) for field in schema.steps]
    wanted = plan(network, training, codec, examples=len(examples), steps=codec.total)
    short = wanted.updates < MIN_UPDATES_RATIO * TRIAL_UPDATES or (
        training.seconds is not None and training.seconds < 60
    )
    if codec.total < MIN_TRIAL_STEPS or short or training.holdout == 0 or all(len(among) == 1 for among in options):
        return schema, []
    encoded, distributions = _encoded(codec, examples, options)
    rows = np.random.default_rng([seed, 3]).permutation(len(encoded))
    kept = np.sort(rows[: max(20, int(np.searchsorted(np.cumsum(encoded.lengths[rows]), TRIAL_STEPS)))])
    encoded = encoded.take(kept)
    series = [np.array([_by_steps(field) for field in among]) for among in options]
    mixed = [bool(part.any() and not part.all()) for part in series]
    nats = _trial(
        codec, encoded, distributions, [~part | (not both) for part, both in zip(series, mixed, strict=True)], seed
    )
    if any(mixed):
        again = _trial(
            codec, encoded, distributions, [part | (not both) for part, both in zip(series, mixed, strict=True)], seed
        )
        for scores, other, part in zip(nats, again, series, strict=True):
            scores[:, 1:][:, part] = other[:, 1:][:, part]
    fields, lines = list(schema.steps), []
    for j, (among, scores) in enumerate(zip(options, nats, strict=True)):
        best, gain = best_candidate(scores)
        if best:
            fields[j] = among[best]
            instead = f"{describe_choice(among[best])} in place of {describe_choice(among[0])}"
            lines.append(f"{fields[j].name}: {instead}, {gain:.3f} nats a step better in a trial")
    return msgspec.structs.replace(schema, steps=tuple(fields)), lines


def _by_steps(field: AnyField) -> bool:
    return isinstance(field, Number) and field.transform in DIFFERENCE_TRANSFORMS


def describe_choice(field: AnyField) -> str:
    """Distribution and transform, for people."""
    return f"{field.distribution} on {field.transform}" if isinstance(field, Number) else field.kind


def best_candidate(scores: NDArray[np.float64]) -> tuple[int, float]:
    """The best candidate, 0 unless it beats the default beyond doubt, and its gain in nats a step.

    Args:
        scores: (N, 1 + C) of every held-out piece: its steps, then log-probabilities under each candidate.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> base = rng.normal(size=200)
        >>> best_candidate(np.stack([np.full(200, 5.0), base, base + 1 + 0.1 * rng.normal(size=200)], 1))[0]
        1
        >>> best_candidate(np.stack([np.full(200, 5.0), base, base + rng.normal(size=200)], 1))[0]
        0
    """
    steps, values = scores[:, 0], scores[:, 1:]
    best = int(np.argmax(values.sum(0)))
    gain = (values[:, best] - values[:, 0]).sum() / max(1.0, steps.sum())
    rest = values[:, best] - values[:, 0] - gain * steps
    error = math.sqrt(float((rest**2).sum())) / max(1.0, steps.sum())
    return (best, float(gain)) if gain > max(MIN_GAIN, MIN_STANDARD_ERRORS * error) else (0, 0.0)


def _encoded(
    codec: Codec, examples: Examples, options: Sequence[tuple[AnyField, ...]]
) -> tuple[Encoded, list[Distribution]]:
    """The data with a number for each candidate, and the distributions; where there is one candidate, as it is."""
    encoded = codec.encode(examples)
    plain = architecture_of(codec, Network(), TRIAL_SIZE, 8).distributions
    steps, slopes, distributions = list(encoded.steps), list(encoded.log_jacobian), list(plain)
    for j, among in enumerate(options):
        if len(among) == 1:
            continue
        columns = [fit_step(field, examples) for field in among]
        pairs = [encode_step(field, column, examples) for field, column in zip(among, columns, strict=True)]
        steps[j], slopes[j] = (np.stack(part, 1) for part in zip(*pairs, strict=True))
        own: list[Distribution] = []
        for field, column in zip(among, columns, strict=True):
            one = msgspec.structs.replace(codec.schema, steps=(field,), form="list")
            alone = msgspec.structs.replace(codec, schema=one, steps=(column,))
            own += architecture_of(alone, Network(), TRIAL_SIZE, 8).distributions
        distributions[j] = Candidates(tuple(own))
    return replace(encoded, steps=tuple(steps), log_jacobian=tuple(slopes)), distributions


def _trial(
    codec: Codec, encoded: Encoded, distributions: list[Distribution], read: Sequence[NDArray[np.bool_]], seed: int
) -> list[NDArray[np.float64]]:
    """Per field, (N, 1 + C): steps of every held-out piece, and its log-probability under each candidate.

    Args:
        codec: fitted with the defaults.
        encoded: the data, with a number for each candidate.
        distributions: of the fields.
        read: per field, (C,) whose numbers of the step before are read.
        seed: of the trial.
    """
    rows, held = validation_split(encoded, 0.25, seed)
    learned, validation = encoded.take(rows), encoded.take(held)
    steps = int(learned.offsets[-1])
    shape = replace(architecture_of(codec, Network(), TRIAL_SIZE, 8), distributions=tuple(distributions))
    numbers = plan(Network(size=TRIAL_SIZE), Training(), codec, examples=len(learned), steps=steps)
    numbers = replace(
        numbers, updates=TRIAL_UPDATES, round=TRIAL_UPDATES // 4, patience=TRIAL_UPDATES, warmup=TRIAL_UPDATES // 10
    )
    net = _reading(Net(np.random.default_rng([seed, 4]), shape), read)
    # Nothing is held out of this training: looks at what is would take as long to compile as they could save.
    task = TrainingData(to_buckets(learned, shape.stops, segment=numbers.segment)[0], [], steps, 0, 0.0, 0.0, seed)
    net, _ = train(task, numbers, net)
    owner = np.repeat(np.arange(len(validation)), validation.lengths)
    out = []
    for slope in validation.log_jacobian:
        each = slope if slope.ndim == 2 else slope[:, None]
        sums = np.stack([np.bincount(owner, column, minlength=len(validation)) for column in each.T], 1)
        out.append(np.concatenate([validation.lengths[:, None], sums], 1).astype(np.float64))
    for bucket, at in zip(*to_buckets(validation, shape.stops), strict=True):
        for j, scores in enumerate(_scores(net, bucket)):
            out[j][at, 1:] += np.asarray(scores, np.float64)
    return [clustered_sums(scores, validation.starts, validation.gap) for scores in out]


def clustered_sums(scores: NDArray[np.float64], starts: NDArray[np.int64] | None, length: int) -> NDArray[np.float64]:
    """Scores of what is evidence by itself: of windows that overlap, all that start within one window's length are one.

    Args:
        scores: (N, ...) of sequences.
        starts: (N,) of windows of a series, or `None` where sequences have nothing to do with each other.
        length: of a window.

    Examples:
        >>> clustered_sums(np.ones((4, 1)), np.array([0, 1, 20, 21]), 20).tolist()
        [[2.0], [2.0]]
    """
    if starts is None:
        return scores
    _, piece = np.unique(starts // max(length, 1), return_inverse=True)
    return np.stack([np.bincount(piece, column) for column in scores.T], 1)


def _reading(net: Net, read: Sequence[NDArray[np.bool_]]) -> Net:
    """The network with steps of which only some candidates' numbers are read."""
    steps = tuple(
        MaskedEmbedding(embedding, jnp.asarray(seen, jnp.float32)) if isinstance(dist, Candidates) else embedding
        for embedding, dist, seen in zip(net.steps, net.shape.distributions, read, strict=True)
    )
    return eqx.tree_at(lambda net: net.steps, net, steps)


@jax.jit
def _scores(net: Net, bucket: Bucket) -> tuple[Float[Array, "B C"], ...]:
    """Teacher-forced log-probability of every sequence, per field and candidate."""
    _, values, lengths = timewise(bucket)
    ready, top = read(net, bucket)
    real = (jnp.arange(len(values[0]))[:, None] < lengths)[..., None]
    out, distributions = [], net.step_context(top)
    for j, dist in enumerate(net.shape.distributions):
        params = net.params(distributions, j)
        distributions = net.condition_on(ready, distributions, j, values[j])
        parts = dist.parts if isinstance(dist, Candidates) else lambda p, v, h=dist: h.log_prob(p, v)[..., None]
        out.append(jnp.where(real, parts(params, values[j]), 0.0).sum(0))
    return tuple(out)
