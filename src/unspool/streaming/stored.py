"""Encoded sequences in arrays on disk, of which the rows that are asked for are read."""

import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.tables.columns import offsets_from_lengths

MAX_RESIDENT = 2**28
"""Bytes read from a file, after which its pages are given back to the operating system."""


class FlatArray:
    """An array in a file, which is mapped to memory.

    Args:
        path: a file of nothing but the values.
        dtype: of the values.
        shape: of the array.
    """

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape, self.read = path, np.dtype(dtype), shape, 0
        empty = not np.prod(shape)
        self.values: Any = np.zeros(shape, dtype) if empty else np.memmap(path, self.dtype, "r", 0, shape)

    def __getitem__(self, at: NDArray[np.int64]) -> NDArray[Any]:
        found = np.asarray(self.values[at])
        self.read += max(found.nbytes, at.size * mmap.PAGESIZE)  # at worst, every value lies on a page of its own
        if self.read > MAX_RESIDENT and isinstance(self.values, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
            self.values._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]  # noqa: SLF001
            self.read = 0
        return found


@dataclass(frozen=True, eq=False)
class PaddedRows:
    """(N, T, ...) values of sequences on disk, zero after each one's end: rows are read when they are asked for.

    Args:
        flat: the steps of all sequences.
        begins: (N,) where each sequence begins.
        lengths: (N,) steps of each sequence.
        steps: T.
        start: the step that counts as the first.

    Examples:
        >>> rows = PaddedRows(np.array([1, 2, 3, 4]), np.array([0, 1]), np.array([1, 3]), 4)
        >>> rows[np.array([1, 0])].tolist(), rows[:, 1:3][np.array([1])].tolist()
        ([[2, 3, 4, 0], [1, 0, 0, 0]], [[3, 4]])
    """

    flat: Any
    begins: NDArray[np.int64]
    lengths: NDArray[np.int64]
    steps: int
    start: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, T, ...)."""
        return (len(self.begins), self.steps, *self.flat.shape[1:])

    @property
    def ndim(self) -> int:
        """Axes of an array of this shape."""
        return len(self.shape)

    @property
    def dtype(self) -> Any:
        """Of the values."""
        return self.flat.dtype

    def __getitem__(self, at: Any) -> Any:
        """`[rows]`, `[rows, steps]`, or `[:, first:last]`, which reads nothing yet."""
        if isinstance(at, tuple) and isinstance(at[0], slice):
            first, last, _ = at[1].indices(self.steps)
            return replace(self, start=self.start + first, steps=last - first)
        rows, steps = at if isinstance(at, tuple) else (at[..., None], np.arange(self.steps))
        steps = steps + self.start
        inside = steps < self.lengths[rows]
        values = np.zeros((*inside.shape, *self.flat.shape[1:]), self.dtype)
        values[inside] = self.flat[(self.begins[rows] + steps)[inside]]
        return values

    def widened(self, more: int) -> "PaddedRows":
        """With as many steps of padding more."""
        return replace(self, steps=self.steps + more)


@dataclass(frozen=True, eq=False)
class StoredSequences:
    """N encoded sequences on disk: what training needs of `unspool.encoding.encoded.Encoded`.

    Args:
        inputs: per input field, int32 or float32 of N rows.
        steps: per step field, of all sequences that are on disk, int32 or float32.
        begins: (N,) where each sequence begins in the steps.
        lengths: (N,) steps of each sequence.
        jacobians: (N,) sum of the log-Jacobians of each sequence.
        digest: a hash of all that is on disk.
    """

    inputs: tuple[NDArray[Any], ...]
    steps: tuple[FlatArray, ...]
    begins: NDArray[np.int64]
    lengths: NDArray[np.int64]
    jacobians: NDArray[np.float64]
    digest: str

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(N + 1,) as if the sequences followed each other."""
        return offsets_from_lengths(self.lengths)

    @property
    def distinct(self) -> int:
        """Number of steps: no sequences overlap."""
        return int(self.lengths.sum())

    @property
    def jacobian(self) -> float:
        """The log-Jacobian of all fields and steps."""
        return float(self.jacobians.sum())

    def take(self, rows: NDArray[Any]) -> "StoredSequences":
        """Some sequences; their steps stay on disk."""
        begins, lengths, jacobians = self.begins[rows], self.lengths[rows], self.jacobians[rows]
        inputs = tuple(column[rows] for column in self.inputs)
        return StoredSequences(inputs, self.steps, begins, lengths, jacobians, self.digest)

    def padded(self, rows: NDArray[np.int64], steps: int) -> tuple[PaddedRows, ...]:
        """Per step field, some of the sequences, of so many steps with the padding."""
        return tuple(PaddedRows(flat, self.begins[rows], self.lengths[rows], steps) for flat in self.steps)
