"""From ragged examples to arrays of few shapes: the validation split, length buckets, and the order of updates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from unspool.encoding.encoded import Encoded
from unspool.errors import TrainingError
from unspool.runtime.devices import to_single_precision
from unspool.runtime.sizes import size_class
from unspool.streaming.stored import PaddedRows, StoredSequences
from unspool.tables.columns import ragged_indices

MAX_BUCKETS = 4
MIN_BUCKET_GAIN, MIN_BUCKET_STEPS = 0.06, 12_000
"""What one more bucket must save, since each is one more shape to compile: this share of the padded steps that one
bucket has, and so many of them."""
MAX_WHOLE_STEPS = 1024
"""Steps up to which a sequence is learned whole; a longer one is cut into segments of half as many."""

MIN_WINDOWS_TO_CUT = 4
"""Windows, end to end, that a series must have for some of it to be held out, if there are several series."""
MAX_SHUFFLED, SHUFFLE_BLOCK = 2**20, 2**12
"""Sequences of a pass that are shuffled as one; of more, blocks of so many are shuffled, and then what lies in as many
blocks as one shuffle holds: so what is read at a time lies in few places of a file."""
Rows = Array | NDArray[Any] | PaddedRows
"""On the host, perhaps in a file, and inside of a compiled program."""
EncodedSet = Encoded | StoredSequences
"""In memory, or on disk."""


class Bucket(NamedTuple):
    """Sequences of about one length, padded to one shape, on the host; a dispatch is sent the rows that it reads.

    Attributes:
        inputs: one array per input field, N rows.
        values: one (N, T) array per step field.
        lengths: steps of every sequence.
    """

    inputs: tuple[Rows, ...]
    values: tuple[Rows, ...]
    lengths: Array | NDArray[Any]

    @property
    def examples(self) -> int:
        """N."""
        return len(self.lengths)

    @property
    def steps(self) -> int:
        """T, padding included."""
        return int(self.values[0].shape[1])

    def take(self, rows: NDArray[Any], steps: slice = slice(None)) -> "Bucket":
        """Some steps of some rows, in the shape of `rows`."""
        inputs, values = tuple(a[rows] for a in self.inputs), tuple(a[:, steps][rows] for a in self.values)
        return Bucket(inputs, values, self.lengths[rows])

    def segments(self, rows: NDArray[Any], first: NDArray[Any], segment: int) -> "Bucket":
        """Rows of every update, each with the `segment` steps from its own first one on."""
        inputs = tuple(column[rows] for column in self.inputs)
        steps = first[:, None] + np.arange(segment)
        values = tuple(column[rows[..., None], steps[:, None]] for column in self.values)
        return Bucket(inputs, values, self.lengths[rows])


@dataclass
class TrainingData:
    """The data of one fit, in the network's units.

    Attributes:
        train: buckets to train on.
        validation: buckets that decide when training ends; none where everything is trained on.
        train_steps: real steps in `train`.
        validation_steps: real steps in `validation`.
        train_jacobian: sum of the log-Jacobians over `train`, which turn densities into original units.
        validation_jacobian: the same over `validation`.
        seed: of order, dropout and coins.
    """

    train: list[Bucket]
    validation: list[Bucket]
    train_steps: int
    validation_steps: int
    train_jacobian: float
    validation_jacobian: float
    seed: int

    @classmethod
    def of(
        cls,
        training: EncodedSet,
        validation: EncodedSet,
        *,
        stops: bool,
        seed: int,
        segment: int | None = None,
    ) -> "TrainingData":
        """The data of examples to train on, and of examples, perhaps none, to validate on.

        `stops` says whether the end of a sequence is learned; backpropagation is cut after `segment` steps.
        """
        buckets = to_buckets(training, stops, segment=segment)[0], to_buckets(validation, stops)[0]
        steps = int(training.offsets[-1]), int(validation.offsets[-1])
        return cls(*buckets, *steps, training.jacobian, validation.jacobian, seed)


class UpdateGroup(NamedTuple):
    """Updates that one dispatch runs.

    Attributes:
        bucket: number of the bucket.
        rows: (K, B) its rows in every update.
        first: (K,) the first step of every update: zero, but for segments of long sequences.
        weights: (K, B) zero for padding rows.
        updates: those after this many are padding.
    """

    bucket: int
    rows: NDArray[np.int32]
    first: NDArray[np.int32]
    weights: NDArray[np.float32]
    updates: int


def validation_split(encoded: EncodedSet, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows to validate on.

    Windows are split by time, see `split_windows`. Other examples are split at random, whole sequences at a time.

    Raises:
        TrainingError: there is too little to hold anything out.
    """
    N = len(encoded)
    if share == 0:
        return np.arange(N), np.arange(0)
    if isinstance(encoded, Encoded) and encoded.starts is not None:
        train, held = split_windows(encoded.starts, encoded.gap, share)
    else:
        train, held = random_split(N, share, seed)
    if not len(train) or not encoded.lengths[train].sum():
        found = f"{N} example{'s' * (N != 1)} with {int(encoded.lengths.sum())} steps"
        hint = "Give more data, or memorise the data with Training(holdout=0)."
        raise TrainingError("fit", f"at least two examples, to hold {share:.0%} of them out", found, hint)
    return train, held


def split_windows(starts: NDArray[np.int64], window: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows to learn from, and the last ones in time, to hold out; a window that reaches into these is in neither.

    Of several series that are long, the last windows of each are held out; of short ones, the last series.

    Args:
        starts: (N,) positions; series are a window or more apart.
        window: its steps.
        share: of windows to hold out.

    Examples:
        >>> split_windows(np.arange(12), 3, 0.25)
        (array([0, 1, 2, 3, 4, 5, 6]), array([ 9, 10, 11]))
    """
    order = np.argsort(starts, kind="stable")
    series = np.zeros(len(starts), np.int64)
    series[order[1:]] = np.cumsum(np.diff(starts[order]) >= window)
    bounds = np.searchsorted(series[order], np.arange(series.max() + 2))
    spans = starts[order[bounds[1:] - 1]] - starts[order[bounds[:-1]]]
    if np.median(spans) < MIN_WINDOWS_TO_CUT * window:
        series, bounds = np.zeros(len(starts), np.int64), np.array([0, len(starts)])
    counts = np.diff(bounds)
    cut = starts[order[bounds[:-1] + np.minimum(np.ceil(counts * (1 - share)).astype(np.int64), counts - 1)]]
    return np.flatnonzero(starts + window <= cut[series]), np.flatnonzero(starts >= cut[series])


def random_split(count: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of so many examples, split at random: a share of them, or one at the least, is held out."""
    if share == 0:
        return np.arange(count), np.arange(0)
    shuffled = np.random.default_rng([seed, 0]).permutation(count)
    held = max(1, round(count * share))
    return np.sort(shuffled[held:]), np.sort(shuffled[:held])


def bucket_steps(steps: NDArray[np.int64], gain: float = MIN_BUCKET_GAIN) -> list[int]:
    """The steps to pad to: the fewest buckets that waste little, by dynamic programming over the distinct ones.

    Args:
        steps: of every sequence, if it were alone: as many as an array may have.
        gain: what one more bucket must save, as a share of the padded steps of one.
    """
    tops = np.unique(np.quantile(steps, np.linspace(0, 1, 65), method="higher"))
    upto = [0, *np.searchsorted(np.sort(steps), tops, side="right").tolist()]
    best = {j: (float(tops[j] * upto[j + 1]), [int(tops[j])]) for j in range(len(tops))}
    last = len(tops) - 1
    one = best[last][0]
    for _ in range(MAX_BUCKETS - 1):
        more = {
            j: min(
                (best[i][0] + float(tops[j] * (upto[j + 1] - upto[i + 1])), [*best[i][1], int(tops[j])])
                for i in best if i < j
            )
            for j in range(1, len(tops)) if any(i < j for i in best)
        }  # fmt: skip
        if last not in more or best[last][0] - more[last][0] < max(gain * one, MIN_BUCKET_STEPS):
            break
        best = more
    return best[last][1]


def pad_ragged(flat: NDArray[Any], offsets: NDArray[np.int64], rows: NDArray[np.int64], steps: int) -> NDArray[Any]:
    """Some ragged sequences as one (rows, steps) array, zero after each one's end."""
    lengths = np.diff(offsets)[rows]
    inside = np.arange(steps) < lengths[:, None]
    values = to_single_precision(flat[ragged_indices(offsets, rows)])
    padded = np.zeros((len(rows), steps, *flat.shape[1:]), values.dtype)
    padded[inside] = values
    return padded


def to_buckets(
    encoded: EncodedSet,
    stops: bool,
    multiple: int = 4,
    segment: int | None = None,
    gain: float = MIN_BUCKET_GAIN,
) -> tuple[list[Bucket], list[NDArray[np.int64]]]:
    """Buckets of padded arrays, and the rows of `encoded` that each holds.

    Args:
        encoded: the examples.
        stops: whether a step must be left after the longest sequence, to decide that it stops.
        multiple: of the padded lengths, so that other data of about the same length need no new compilation; see
            `size_class`.
        segment: steps of a segment, of which longer padded lengths are a multiple too; see `segment_steps`.
        gain: see `bucket_steps`.
    """
    if not len(encoded):
        return [], []
    distinct, which = np.unique(encoded.lengths, return_inverse=True)
    classes = [size_class(max(1, int(length)) + stops, multiple) for length in distinct]
    alone = np.array([round_up(n, segment) if segment is not None and n > segment else n for n in classes])[which]
    buckets, rows, tops = [], [], bucket_steps(alone, gain)
    which = np.searchsorted(tops, alone)
    for b, steps in enumerate(tops):
        chosen = np.flatnonzero(which == b)
        values: tuple[Rows, ...]
        if isinstance(encoded, StoredSequences):
            values = encoded.padded(chosen, steps)
        else:
            values = tuple(pad_ragged(a, encoded.offsets, chosen, steps) for a in encoded.steps)
        inputs = tuple(to_single_precision(a[chosen]) for a in encoded.inputs)
        buckets.append(Bucket(inputs, values, encoded.lengths[chosen].astype(np.int32)))
        rows.append(chosen)
    return buckets, rows


def round_up(count: int, multiple: int) -> int:
    """The smallest multiple that is not below a number."""
    return -(-count // multiple) * multiple


def segment_steps(longest: int, wanted: int | None) -> int | None:
    """Steps after which backpropagation is cut, as wanted or by length; `None` if sequences are learned whole."""
    if wanted is not None:
        return wanted
    return None if longest <= MAX_WHOLE_STEPS else MAX_WHOLE_STEPS // 2


def batch_rows(bucket: Bucket, batch: int, cells: int, segment: int | None = None) -> int:
    """Rows of one update in a bucket: `batch`, or fewer where the sequences are long or few."""
    steps = bucket.steps if segment is None else min(bucket.steps, segment)
    return max(1, min(batch, bucket.examples, cells // steps))


def epoch_updates(
    buckets: list[Bucket],
    sizes: list[int],
    together: list[int],
    seed: int,
    segment: int | None,
    multiple: int,
    number: int,
) -> Iterator[UpdateGroup]:
    """The updates of one pass, in an order that depends on the seed and the number of the pass (from 0) alone.

    Args:
        buckets: the training data.
        sizes: rows of one update, per bucket.
        together: updates of one dispatch, per bucket.
        seed: of the fit.
        segment: steps of a segment; the segments of one batch of long sequences are one group, in their order.
        multiple: of the rows of an update; padding rows have no weight.
        number: of the pass.
    """
    rng = np.random.default_rng([seed, 1, number])
    groups = []
    for b, (bucket, size, K) in enumerate(zip(buckets, sizes, together, strict=True)):
        updates = -(-bucket.examples // size)
        long = segment is not None and bucket.steps > segment
        K = 1 if long else K
        order = np.zeros(round_up(updates, K) * size, np.int32)
        order[: bucket.examples] = shuffled(rng, bucket.examples)
        real = (np.arange(len(order)) < bucket.examples).astype(np.float32)
        fill = ((0, 0), (0, 0), (0, round_up(size_class(size), multiple) - size))
        rows, weights = np.pad(order.reshape(-1, K, size), fill), np.pad(real.reshape(-1, K, size), fill)
        for g, (r, w) in enumerate(zip(rows, weights, strict=True)):
            if long:
                groups.append(_segments(b, bucket, r, w, segment or 1))
            else:
                groups.append(UpdateGroup(b, r, np.zeros(K, np.int32), w, min(K, updates - g * K)))
    for g in rng.permutation(len(groups)):
        yield groups[g]


def shuffled(
    rng: np.random.Generator, count: int, most: int = MAX_SHUFFLED, block: int = SHUFFLE_BLOCK
) -> NDArray[np.int64]:
    """A random order of so many rows; of more than `most`, blocks of neighbours keep together roughly.

    Examples:
        >>> rows = shuffled(np.random.default_rng(0), 12, most=4, block=2)
        >>> rows.tolist()
        [7, 5, 6, 4, 10, 8, 9, 11, 0, 2, 1, 3]
    """
    if count <= most:
        return rng.permutation(count)
    firsts = rng.permutation(np.arange(0, count, block))
    rows = (firsts[:, None] + np.arange(block)).ravel()
    rows = rows[rows < count]
    return np.concatenate([rng.permutation(rows[at : at + most]) for at in range(0, count, most)])


def _segments(
    b: int, bucket: Bucket, rows: NDArray[np.int32], weights: NDArray[np.float32], segment: int
) -> UpdateGroup:
    """All segments of one batch; those past its longest sequence and the stop after it are padding."""
    count = bucket.steps // segment
    longest = int(bucket.lengths[rows[weights > 0]].max())
    first = np.arange(count, dtype=np.int32) * segment
    return UpdateGroup(
        b, np.repeat(rows, count, 0), first, np.repeat(weights, count, 0), min(count, longest // segment + 1)
    )
