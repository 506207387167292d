"""Blocks of whole sequences, one at a time, of a table that may be larger than memory."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.errors import DataError
from unspool.runtime.processes import ALONE, ProcessGroup
from unspool.streaming.ids import ROW, find_runs, partition, table_bytes, table_of, values_of
from unspool.tables.parts import BATCH_ROWS, Parts

BLOCK_VALUES = 2**20
"""Values of all columns in a block, or one sequence if it has more."""
MAX_SAMPLE_VALUES = 2**22
"""Values of all columns in a sample, about."""
MIN_SAMPLE_SEQUENCES = 100
"""Sequences of a sample at the least, about, however long they are."""
SAMPLE_STREAM = 7
"""The number of the random stream of samples, beside the seed."""


@dataclass(frozen=True, eq=False)
class Block:
    """Whole sequences.

    Args:
        table: their rows, a PyArrow table.
        codes: (rows,) the sequence of each row, numbered by their first row.
        first: (N,) the number in all data of the first row of each sequence.
    """

    table: Any
    codes: NDArray[np.int64]
    first: NDArray[np.int64]

    def take(self, sequences: NDArray[Any]) -> "Block":
        """Some sequences, by their rising positions or a mask."""
        chosen = np.zeros(len(self.first), bool)
        chosen[sequences] = True
        rows = np.flatnonzero(chosen[self.codes])
        numbers = np.cumsum(chosen) - 1
        return Block(self.table.take(rows), numbers[self.codes[rows]], self.first[chosen])

    @property
    def numbered(self) -> Any:
        """The table with the number of each row's sequence, from which `of` makes the block again."""
        return self.table.append_column(ROW, [self.first[self.codes]])

    @classmethod
    def of(cls, numbered: Any) -> "Block":
        """The block of a numbered table."""
        first, codes = np.unique(numbered[ROW].to_numpy(), return_inverse=True)
        return cls(numbered.drop_columns([ROW]), codes, first)


def in_order(blocks: Sequence[Block]) -> Block:
    """Sequences of several blocks as one, each once, in the order of their first rows."""
    import pyarrow as pa

    seen: set[int] = set()
    once: list[Block] = []
    for block in blocks:
        new = np.array([first not in seen for first in block.first.tolist()], bool)
        seen |= set(block.first.tolist())
        once.append(block if new.all() else block.take(new))
    table = pa.concat_tables([block.table for block in once], promote_options="permissive").unify_dictionaries()
    starts = np.concatenate([block.first[block.codes] for block in once])
    if not (np.diff(starts) >= 0).all():
        order = np.argsort(starts, kind="stable")
        table, starts = table.take(order), starts[order]
    first, codes = np.unique(starts, return_inverse=True)
    return Block(table.combine_chunks(), codes, first)


class Blocks:
    """All sequences of some parts, in blocks: each process iterates over its own, which follow each other.

    Attributes:
        parts: the data.
        first: (N,) rising: the number of the first row of every sequence.
        before: sequences in the blocks of earlier processes.
        is_sorted: whether the rows of an id are next to each other, so that they are streamed; otherwise they have been
            partitioned by id on disk.
    """

    def __init__(
        self,
        parts: Parts,
        columns: Sequence[str] | None,
        key: str | None,
        order: str | None,
        folder: Path,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.parts, self.columns, self.key, self.group = parts, columns, key, group
        again: tuple[int, Any] | None = None
        if key is None:
            self.first = np.arange(parts.size.rows)
        else:
            self.first, again = find_runs(parts, key, group)
        self.is_sorted = again is None
        if key is None or again is None:
            self.cuts = self._cuts()
            begin, end = group.share(len(self.cuts) - 1)
            self.cuts = self.cuts[begin : end + 1]
            self.before = int(np.searchsorted(self.first, self.cuts[0]))
            return
        if order is None:
            hint = "Sort the rows by id; or pass order=, and they will be sorted."
            location = f"{parts.name}: row {again[0] + 1}, column {key!r}"
            raise DataError(location, "the rows of an id next to each other", f"{again[1]!r} again", hint)
        partitions = partition(parts, columns, key, folder, group)
        self.partitions = partitions[slice(*group.share(len(partitions)))]
        firsts = [np.zeros(0, np.int64)]

        def own() -> Iterator[None]:
            for block in self._partitioned([key, ROW]):
                firsts.append(block.first)
                yield

        group.run(own())
        found = [np.frombuffer(raw, np.int64) for raw in group.gather(lambda: np.concatenate(firsts).tobytes())]
        self.before, self.first = sum(map(len, found[: group.number])), np.sort(np.concatenate(found))

    def __len__(self) -> int:
        return len(self.first)

    def __iter__(self) -> Iterator[Block]:
        return self._streamed() if self.is_sorted else self._partitioned()

    @property
    def _rows(self) -> int:
        """Rows of a block, about."""
        size = self.parts.size
        return max(1, int(BLOCK_VALUES * size.rows / max(1, size.cells)))

    def _cuts(self) -> NDArray[np.int64]:
        """Where blocks of whole sequences begin and end: they depend on the data alone, not on who reads them."""
        cuts, ends = [0], np.append(self.first[1:], self.parts.size.rows)
        for read in np.cumsum(self.parts.pieces(min(self._rows, BATCH_ROWS))).tolist():
            whole = int(np.searchsorted(ends, read, "right"))
            if read - cuts[-1] >= self._rows and whole and ends[whole - 1] > cuts[-1]:
                cuts.append(int(ends[whole - 1]))
        return np.unique([*cuts, self.parts.size.rows])

    def _streamed(self) -> Iterator[Block]:
        import pyarrow as pa

        kept, have, borders = [], 0, itertools.pairwise(self.cuts.tolist())
        start, end = next(borders, (0, 0))
        for batch in self.parts.batches(self.columns, min(self._rows, BATCH_ROWS), start, int(self.cuts[-1])):
            kept.append(batch)
            have += len(batch)
            while have and have >= end - start:
                table = pa.Table.from_batches(kept)
                yield self._cut(table.slice(0, end - start), start, end)
                kept, have = table.slice(end - start).to_batches(), have - (end - start)
                start, end = next(borders, (end, end))

    def _cut(self, table: Any, start: int, end: int) -> Block:
        first = self.first[slice(*np.searchsorted(self.first, (start, end)))]
        return Block(table, np.repeat(np.arange(len(first)), np.diff(first, append=end)), first)

    def _partitioned(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        import pyarrow as pa

        for paths in self.partitions:
            with contextlib.ExitStack() as stack:
                files = [stack.enter_context(pa.memory_map(str(path))) for path in paths]
                table = pa.concat_tables([pa.ipc.open_stream(file).read_all() for file in files])
                table = table if columns is None else table.select(columns)
                rows = table[ROW].to_numpy()
                coded = values_of(table[self.key]).dictionary_encode().indices.to_numpy()
                _, starts = np.unique(coded, return_index=True)
                if len(coded):
                    yield Block(table.drop_columns([ROW]), coded.astype(np.int64), rows[starts])


def draw(blocks: Blocks, seed: int) -> Block:
    """A sample of whole sequences, by the seed; all of them where they are no more than a sample has.

    Each process draws from its own blocks, and all have the whole sample.

    Raises:
        DataError: there are no rows.
    """
    if not len(blocks):
        raise DataError(blocks.parts.name, "at least one row", "none")
    share = max(MAX_SAMPLE_VALUES / max(1, blocks.parts.size.cells), MIN_SAMPLE_SEQUENCES / len(blocks))
    chosen = np.random.default_rng([seed, SAMPLE_STREAM]).random(len(blocks)) < share
    drawn: list[Block] = []

    def own() -> Iterator[None]:
        at = blocks.before
        for block in blocks:
            drawn.append(block.take(chosen[at : at + len(block.first)]))
            at += len(block.first)
            yield

    blocks.group.run(own())
    return in_order(exchange_blocks(blocks.group, drawn))


def exchange_blocks(group: ProcessGroup, blocks: Sequence[Block]) -> list[Block]:
    """Sequences of every process, one block of each that has any: few, since they are sent to all."""
    if group.count == 1:
        return [in_order(blocks)] if blocks else []
    found = group.gather(lambda: table_bytes(in_order(blocks).numbered) if blocks else None)
    return [Block.of(table_of(raw)) for raw in found if raw]
