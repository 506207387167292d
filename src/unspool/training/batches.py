"""From ragged examples to arrays of few shapes: the held-out split, length buckets, and the order of updates."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from numpy.typing import NDArray

from unspool.codec.codec import Encoded  # TMP
from unspool.errors import TrainingError

MOST_BUCKETS = 4
WORTH_A_BUCKET = 0.12
"""Share of all padded steps that one more bucket must save, since each is one more shape to compile."""
SMALL = 100_000
"""Padded steps below which one bucket is enough."""


class Bucket(NamedTuple):
    """Sequences of about one length, padded to one shape.

    Attributes:
        inputs: one array per input field, N rows.
        values: one (N, T) array per step field.
        lengths: steps of every sequence.
    """

    inputs: tuple[Array, ...]
    values: tuple[Array, ...]
    lengths: Int[Array, " N"]

    @property
    def examples(self) -> int:
        """N."""
        return int(self.lengths.shape[0])

    @property
    def steps(self) -> int:
        """T, padding included."""
        return int(self.values[0].shape[1])


class Group(NamedTuple):
    """Updates that one dispatch runs: which bucket, which of its rows in each, and which rows are only padding."""

    bucket: int
    rows: NDArray[np.int32]
    weights: NDArray[np.float32]
    updates: int


def split(encoded: Encoded, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows to hold out.

    Windows of one series are split by time: the last `share` is held out, and windows that reach into it are used by
    neither side. Other examples are split at random, whole sequences at a time.

    Raises:
        TrainingError: there is too little to hold anything out.
    """
    N = len(encoded)
    if share == 0:
        return np.arange(N), np.arange(0)
    if encoded.starts is not None:
        order = np.sort(encoded.starts)
        cut = order[min(int(np.ceil(N * (1 - share))), N - 1)]
        train, held = np.flatnonzero(encoded.starts + encoded.gap <= cut), np.flatnonzero(encoded.starts >= cut)
    else:
        shuffled = np.random.default_rng([seed, 0]).permutation(N)
        count = max(1, round(N * share))
        train, held = np.sort(shuffled[count:]), np.sort(shuffled[:count])
    if not len(train) or not encoded.lengths[train].sum():
        raise TrainingError(
            "fit",
            f"at least two examples, to hold {share:.0%} of them out",
            f"{N} example{'s' * (N != 1)} with {int(encoded.lengths.sum())} steps",
            "Give more data, or memorise what there is with Training(holdout=0).",
        )
    return train, held


def edges(lengths: NDArray[np.int64], most: int = MOST_BUCKETS) -> list[int]:
    """The lengths to pad to: the fewest buckets that waste little, by dynamic programming over the distinct lengths."""
    tops = np.unique(np.quantile(lengths, np.linspace(0, 1, 65), method="higher").clip(1))
    if tops[-1] * len(lengths) < SMALL:
        return [int(tops[-1])]
    upto = [0, *np.searchsorted(np.sort(lengths.clip(1)), tops, side="right").tolist()]
    best = {j: (float(tops[j] * upto[j + 1]), [int(tops[j])]) for j in range(len(tops))}
    last = len(tops) - 1
    one = best[last][0]
    for _ in range(most - 1):
        more = {
            j: min(
                (best[i][0] + float(tops[j] * (upto[j + 1] - upto[i + 1])), [*best[i][1], int(tops[j])])
                for i in best if i < j
            )
            for j in range(1, len(tops)) if any(i < j for i in best)
        }  # fmt: skip
        if last not in more or more[last][0] > best[last][0] - WORTH_A_BUCKET * one:
            break
        best = more
    return best[last][1]


def pad(flat: NDArray[Any], offsets: NDArray[np.int64], rows: NDArray[np.int64], steps: int) -> NDArray[Any]:
    """Chosen ragged sequences as one (rows, steps) array, zero after each one's end."""
    lengths = np.diff(offsets)[rows]
    inside = np.arange(steps) < lengths[:, None]
    padded = np.zeros((len(rows), steps, *flat.shape[1:]), np.float32 if flat.dtype.kind == "f" else np.int32)
    at = np.repeat(offsets[rows], lengths) + np.concatenate([np.arange(n) for n in lengths] or [np.arange(0)])
    padded[inside] = flat[at]
    return padded


def bucketed(encoded: Encoded, stops: bool, multiple: int = 1) -> tuple[list[Bucket], list[NDArray[np.int64]]]:
    """Buckets of padded arrays, and the rows of `encoded` that each holds.

    Args:
        encoded: the examples.
        stops: whether a step must be left after the longest sequence, to decide that it stops.
        multiple: of which the padded lengths are, so that other data of about the same length need no new compilation.
    """
    if not len(encoded):
        return [], []
    tops = edges(encoded.lengths)
    which = np.searchsorted(tops, encoded.lengths)
    buckets, rows = [], []
    for b, top in enumerate(tops):
        chosen = np.flatnonzero(which == b)
        if not len(chosen):
            continue
        real = lambda a: jnp.asarray(a[chosen], jnp.float32 if a.dtype.kind == "f" else jnp.int32)  # noqa: B023, E731
        buckets.append(
            Bucket(
                tuple(real(a) for a in encoded.inputs),
                tuple(
                    jnp.asarray(pad(a, encoded.offsets, chosen, -(-(top + stops) // multiple) * multiple))
                    for a in encoded.steps
                ),
                jnp.asarray(encoded.lengths[chosen], jnp.int32),
            )
        )
        rows.append(chosen)
    return buckets, rows


def batch_rows(bucket: Bucket, batch: int, cells: int) -> int:
    """Rows of one update in a bucket: `batch`, or fewer where the sequences are long or few."""
    return max(1, min(batch, bucket.examples, cells // bucket.steps))


def epoch(buckets: list[Bucket], sizes: list[int], together: list[int], seed: int, number: int) -> Iterator[Group]:
    """The updates of one pass, in an order that depends on the seed and the pass alone.

    Args:
        buckets: the training data.
        sizes: rows of one update, per bucket.
        together: updates of one dispatch, per bucket.
        seed: of the fit.
        number: of the pass, from 0.
    """
    rng = np.random.default_rng([seed, 1, number])
    groups = []
    for b, (bucket, size, K) in enumerate(zip(buckets, sizes, together, strict=True)):
        updates = -(-bucket.examples // size)
        rows = np.zeros(-(-updates // K) * K * size, np.int32)
        weights = np.zeros(len(rows), np.float32)
        rows[: bucket.examples], weights[: bucket.examples] = rng.permutation(bucket.examples), 1.0
        shape = (-1, K, size)
        for g, (r, w) in enumerate(zip(rows.reshape(shape), weights.reshape(shape), strict=True)):
            groups.append(Group(b, r, w, min(K, updates - g * K)))
    for g in rng.permutation(len(groups)):
        yield groups[g]
