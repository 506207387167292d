"""Candidates of each input row, of which some are kept: the typical one, or those that the caller's key ranks first."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.vocabulary import distinct
from unspool.errors import OptionError
from unspool.schema.monotone import as_number
from unspool.sequences import Sequences
from unspool.tables.columns import offsets_from_lengths, ragged_indices

MAX_NUMBERS = 1 << 22
"""Numbers that the distances of some pairs may take at once."""


class Reranking(NamedTuple):
    """What becomes of the candidates of each row.

    Attributes:
        keep: number of them to keep, best first.
        key: ranks the sequences, highest first; `None` keeps the typical one.
        distance: of two sequences, for the typical one; `None` is that of `sample_distances`.
    """

    keep: int
    key: Callable[[Any], Any] | None = None
    distance: Callable[[Any, Any], Any] | None = None

    def of(self, sequences: Sequences) -> Sequences:
        """The candidates that are kept."""
        count = sequences.samples
        rows = range(0, len(sequences), count)
        ranked = [self._ranked(sequences, np.arange(row, row + count)) for row in rows]
        at = np.concatenate([np.zeros(0, np.int64), *(order[: self.keep] for order in ranked)])
        steps = ragged_indices(sequences.offsets, at)
        nats, scores = (None if part is None else part[at] for part in (sequences.nats, sequences.scores))
        return replace(
            sequences,
            columns={name: column[steps] for name, column in sequences.columns.items()},
            offsets=offsets_from_lengths(sequences.lengths[at]),
            ended=sequences.ended[at],
            samples=self.keep,
            first=sequences.first // count * self.keep,
            nats=nats,
            scores=scores,
        )

    def _ranked(self, sequences: Sequences, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """The candidates of one row, best first; of equal ones, the first first."""
        if self.key is not None:
            keys = [_number(self.key(sequences[k]), f"generate(key={_name(self.key)})") for k in at.tolist()]
            return at[np.argsort(-np.array(keys), kind="stable")]
        if self.distance is None:
            return at[np.argsort(sample_distances(sequences, at).sum(1), kind="stable")]
        location = f"Typical(distance={_name(self.distance)})"
        sums = np.zeros(len(at))
        for i, j in combinations(range(len(at)), 2):
            between = _number(self.distance(sequences[int(at[i])], sequences[int(at[j])]), location)
            sums[[i, j]] += between
        return at[np.argsort(sums, kind="stable")]


def sample_distances(sequences: Sequences, at: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, N) distances of N sequences, such as the samples of one row.

    Of symbols the edit distance (Levenshtein 1966): insertions, deletions and replacements of steps; a step of several
    columns is replaced by the share that differs. Of other steps, the sum over steps of the mean distance of their
    columns, and 1 for each step that only one of both has. A number's distance is in standard deviations of the samples
    at one step; that of anything else, and of a missing number to one that isn't, is 1.
    """
    lengths, codec = sequences.lengths[at], sequences.codec
    steps = ragged_indices(sequences.offsets, at)
    inside = np.arange(lengths.max(initial=0)) < lengths[:, None]
    layers, scales = [], []
    for field, column in codec.step_columns():
        for name, kind in zip(field.columns, column.types, strict=True):
            values = sequences.columns[name][steps]
            is_number = column.num_symbols is None and kind != "bool"
            layer = np.full(inside.shape, np.nan)
            layer[inside] = as_number(values) if is_number else distinct(values)[1]
            layers.append(layer)
            scales.append(_scale(layer) if is_number else None)
    i, j = np.triu_indices(len(at), 1)
    found = np.zeros((len(at), len(at)))
    size = max(1, MAX_NUMBERS // max(inside.shape[1], 1))
    symbols = all(column.num_symbols is not None for column in codec.steps)
    for first in range(0, len(i), size):
        pairs = i[first : first + size], j[first : first + size]
        found[pairs] = _edits(layers, lengths, *pairs) if symbols else _aligned(layers, scales, lengths, *pairs)
    return found + found.T


def _edits(
    layers: list[NDArray[np.float64]], lengths: NDArray[np.int64], i: NDArray[np.int64], j: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Edit distances of pairs, row by row of the table of all beginnings."""
    columns = np.arange(layers[0].shape[1] + 1)
    table = np.broadcast_to(columns.astype(np.float64), (len(i), len(columns)))
    for t in range(int(lengths[i].max(initial=0))):
        differ = np.mean([layer[i, t, None] != layer[j] for layer in layers], 0)
        row = np.minimum(table[:, 1:] + 1, table[:, :-1] + differ)
        row = np.concatenate([table[:, :1] + 1, row], 1)
        row = np.minimum.accumulate(row - columns, 1) + columns  # insertions
        table = np.where((t < lengths[i])[:, None], row, table)
    return table[np.arange(len(i)), lengths[j]]


def _aligned(
    layers: list[NDArray[np.float64]],
    scales: list[float | None],
    lengths: NDArray[np.int64],
    i: NDArray[np.int64],
    j: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Distances of pairs, step by step."""
    total = np.zeros((len(i), layers[0].shape[1]))
    for layer, scale in zip(layers, scales, strict=True):
        one, other = layer[i], layer[j]
        apart = (one != other).astype(np.float64) if scale is None else np.abs(one - other) / scale
        missing = np.isnan(one) | np.isnan(other)
        total += np.where(missing, np.isnan(one) != np.isnan(other), apart) / len(layers)
    both = np.arange(total.shape[1]) < np.minimum(lengths[i], lengths[j])[:, None]
    return (total * both).sum(1) + np.abs(lengths[i] - lengths[j])


def _scale(layer: NDArray[np.float64]) -> float:
    """The standard deviation of the samples at one step, on average over steps; 1 where nothing varies."""
    present = ~np.isnan(layer)
    count = present.sum(0)
    mean = np.where(present, layer, 0.0).sum(0) / np.maximum(count, 1)
    squares = (np.where(present, layer - mean, 0.0) ** 2).sum()
    return float(np.sqrt(squares / max(count.sum(), 1))) or 1.0


def _number(value: Any, location: str) -> float:
    """The number that the caller's function gave."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if np.isnan(number):
        raise OptionError(location, "a number for every sequence", repr(value)[:60])
    return number


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "...")
