"""The likelihood of sequences, teacher-forced or on the network's own output: what training and scoring share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, UInt32
from numpy.typing import NDArray

from unspool.network.decoder import DecoderState, Net
from unspool.network.dropout import Masks
from unspool.network.likelihood import sequence_log_prob
from unspool.runtime.devices import ROW_AXIS, device_lock, put_on_devices, shard_rows
from unspool.runtime.programs import program
from unspool.runtime.threefry import uniforms
from unspool.streaming.stored import PaddedRows
from unspool.training.batching import Bucket, EncodedSet, round_up, segment_steps, to_buckets
from unspool.training.sharding import SCORING_SHARDS, Sharding, choose_sharding

MAX_SCORE_CELLS = 2**24
"""Numbers that one dispatch of scoring may hold in its largest array."""
MAX_SCORE_ROWS = 1024
"""Sequences of one dispatch of scoring, at the most."""


class Randomness(NamedTuple):
    """The random part of one update: key, numbers of the rows, and share of steps that read the network's output."""

    key: UInt32[Array, "2"]
    rows: Int[Array, " B"]
    share: Float[Array, ""]


def timewise(data: Bucket) -> tuple[tuple[Array, ...], tuple[Array, ...], Array]:
    """Inputs, values and lengths as the network reads them: time is the first axis of the values."""
    values = tuple(jnp.swapaxes(jnp.asarray(a), 0, 1) for a in data.values)
    return tuple(jnp.asarray(a) for a in data.inputs), values, jnp.asarray(data.lengths)


def step_log_probs(
    net: Net, data: Bucket, first: Array, carry: DecoderState | None, masks: Masks, own: Randomness | None
) -> tuple[Float[Array, "T B F1"], DecoderState]:
    """Log-probability of steps from `first` on, of every field and of stopping; and the state after them.

    Past zero, the rows go on from `carry`. Without `own`, all steps read the data.
    """
    inputs, values, lengths = timewise(data)
    coin, samples = (None, None) if own is None else coins(net, own, first + jnp.arange(len(values[0])))
    fields, stop, after = sequence_log_prob(net, inputs, values, lengths, masks, coin, samples, first, carry)
    return fields if stop is None else jnp.concatenate([fields, stop[..., None]], -1), after


def coins(
    net: Net, randomness: Randomness, steps: Int[Array, " T"]
) -> tuple[Float[Array, "T B"], Float[Array, "T B U"]]:
    """Which steps read the network's own output, and the uniforms of its samples, row by row."""
    u = uniforms(randomness.key, randomness.rows, jnp.zeros_like(randomness.rows), steps, 1 + net.shape.num_uniforms)
    return (u[..., 0] < randomness.share).astype(jnp.float32), u[..., 1:]


@program(static=["free", "edges", "sharding"])
def _score(
    net: Net,
    batch: Bucket,
    rows: Int[Array, " B"],
    first: Int[Array, ""],
    carry: DecoderState | None,
    free: bool,
    edges: tuple[int, ...],
    sharding: Sharding,
) -> tuple[Float[Array, "B *K F1"], DecoderState]:
    """Sums over steps from `first` on, of the rows with these numbers; and the state after them."""

    def shard(
        net: Net, first: Array, data: Bucket, rows: Array, carry: DecoderState | None
    ) -> tuple[Array, DecoderState]:
        own = Randomness(jnp.zeros(2, jnp.uint32), rows, jnp.ones(())) if free else None
        terms, after = step_log_probs(net, data, first, carry, net.masks(), own)
        return _sum_over_bands(terms, first + jnp.arange(len(terms)), edges), after

    def shards(net: Net, first: Array, *parts: Any) -> Any:
        return jax.lax.map(lambda part: shard(net, first, *part), parts)

    batch, rows = jax.tree.map(lambda a: a.reshape(sharding.shards, -1, *a.shape[1:]), (batch, rows))
    specs = (P(), P(), P(ROW_AXIS), P(ROW_AXIS), P(ROW_AXIS))
    sums, after = shard_rows(shards, sharding.devices, specs, P(ROW_AXIS))(net, first, batch, rows, carry)
    return sums.reshape(-1, *sums.shape[2:]), after


def _sum_over_bands(
    terms: Float[Array, "T B F1"], steps: Int[Array, " T"], edges: tuple[int, ...]
) -> Float[Array, "B *K F1"]:
    """Sums over all steps, or over those of each band: a band ends before every edge, and the last one is open."""
    if not edges:
        return terms.sum(0)
    band = jnp.searchsorted(jnp.array(edges), steps, side="right")
    return jnp.einsum("tbf,tk->bkf", terms, jax.nn.one_hot(band, len(edges) + 1))


def score(
    net: Net,
    bucket: Bucket,
    *,
    free: bool = False,
    max_devices: int | None = None,
    edges: tuple[int, ...] = (),
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.float64]:
    """Log-probability of every sequence in the network's units: a column per step field, and one for the stops.

    EncodedSet are scored in batches of a power of two, so that few shapes are compiled, and long ones segment by
    segment, so that memory does not grow with their length; a sum over a sequence depends on none of that.

    Args:
        net: the network.
        bucket: the sequences.
        free: whether every step reads the network's own output in place of the data.
        max_devices: see `choose_sharding`.
        edges: steps at which another band begins, rising.
        check: called before every batch; what it raises ends the scoring.

    Returns:
        (N, F) or, with the stops, (N, F + 1); given K edges, the same of each of K + 1 bands, on an axis in between.
    """
    job = ScoringJob.of(net, bucket, max_devices)
    net, out = put_on_devices(net, job.sharding.devices), []
    for at in range(0, bucket.examples, job.size):
        total, carry = np.zeros(()), None
        for first in range(0, job.bucket.steps, job.segment):
            check()
            piece = job.piece(at, first)
            with device_lock(job.sharding.devices):
                part, carry = _score(net, *piece, np.int32(first), carry, free, edges, job.sharding)
                total = total + np.asarray(part, np.float64)
        out.append(total[: bucket.examples - at])
    return np.concatenate(out)


def prepare_scoring(net: Net, bucket: Bucket, *, free: bool = False, max_devices: int | None = None) -> None:
    """Compile what `score` begins with."""
    job = ScoringJob.of(net, bucket, max_devices)
    net = put_on_devices(net, job.sharding.devices)
    _score.prepare(net, *job.piece(0, 0), np.int32(0), None, free, (), job.sharding)


class ScoringJob(NamedTuple):
    """How the sequences of a bucket are scored.

    Attributes:
        bucket: the sequences, padded to whole segments.
        segment: steps of a dispatch.
        size: rows of a dispatch.
        sharding: of these rows.
    """

    bucket: Bucket
    segment: int
    size: int
    sharding: Sharding

    @classmethod
    def of(cls, net: Net, bucket: Bucket, max_devices: int | None) -> "ScoringJob":
        """By the sizes of the network and of the bucket."""
        segment = segment_steps(bucket.steps, None) or bucket.steps
        more = round_up(bucket.steps, segment) - bucket.steps
        values = tuple(
            a.widened(more) if isinstance(a, PaddedRows) else np.pad(a, ((0, 0), (0, more), *((0, 0),) * (a.ndim - 2)))
            for a in bucket.values
        )
        widest = max([4 * net.shape.size, *net.shape.steps.params])
        most = max(1, min(bucket.examples, MAX_SCORE_ROWS, MAX_SCORE_CELLS // (segment * widest)))
        size = 1 << (most.bit_length() - 1)
        sharding = choose_sharding(size, net.shape.size, SCORING_SHARDS, max_devices)
        return cls(bucket._replace(values=values), segment, size, sharding)

    def piece(self, at: int, first: int) -> tuple[Bucket, Int[Array, " B"]]:
        """The rows and their numbers of one dispatch, on the devices; past the last row, that row again."""
        rows = np.minimum(np.arange(at, at + self.size, dtype=np.int32), self.bucket.examples - 1)
        part = self.bucket.take(rows, slice(first, first + self.segment)), rows
        placed: tuple[Bucket, Array] = put_on_devices(part, self.sharding.devices, axis=0)
        return placed


def score_all(net: Net, encoded: EncodedSet, edges: tuple[int, ...] = ()) -> NDArray[np.float64]:
    """As `score`, of sequences of any lengths in their order; a column has a step field with all of its parts."""
    bands, starts = (len(edges) + 1,) if edges else (), net.starts
    starts = [*starts, len(encoded.steps)] if net.shape.stops else starts
    out = np.zeros((len(encoded), *bands, len(starts)))
    for bucket, rows in zip(*to_buckets(encoded, net.shape.stops, multiple=8), strict=True):
        out[rows] = np.add.reduceat(score(net, bucket, edges=edges), starts, -1)
    return out
