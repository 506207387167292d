"""Blocks of whole sequences, one at a time, of a table that may be larger than memory."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.errors import DataError, FileError
from unspool.tables.parts import BATCH_ROWS, Parts

BLOCK_VALUES = 2**20
"""Values of all columns in a block, or one sequence if it has more."""
PARTITION_VALUES = 2**22
"""Values of all columns in a partition on disk, on the average."""
MAX_SAMPLE_VALUES = 2**22
"""Values of all columns in a sample, about."""
MIN_SAMPLE_SEQUENCES = 100
"""Sequences of a sample at the least, about, however long they are."""
SAMPLE_STREAM = 7
"""The number of the random stream of samples, beside the seed."""
ROW = "row of unspool"
"""The column of a partition that holds the number of the row."""


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
    return Block(table, codes, first)


class Blocks:
    """All sequences of some parts, in blocks.

    Attributes:
        parts: the data.
        first: (N,) rising: the number of the first row of every sequence.
        is_sorted: whether the rows of an id are next to each other, so that they are streamed; otherwise they have been
            partitioned by id on disk.
    """

    def __init__(
        self, parts: Parts, columns: Sequence[str] | None, key: str | None, order: str | None, folder: Path
    ) -> None:
        self.parts, self.columns, self.key = parts, columns, key
        self.partitions: list[Path] = []
        if key is None:
            self.first = np.arange(parts.size.rows)
        else:
            self.first, again = find_runs(parts, key)
            if again is not None:
                if order is None:
                    hint = "Sort the rows by id; or pass order=, and they will be sorted."
                    location = f"{parts.name}: row {again[0] + 1}, column {key!r}"
                    raise DataError(location, "the rows of an id next to each other", f"{again[1]!r} again", hint)
                self.partitions = partition(parts, columns, key, folder)
                self.first = np.sort(np.concatenate([block.first for block in self._partitioned([key, ROW])]))
        self.is_sorted = not self.partitions

    def __len__(self) -> int:
        return len(self.first)

    def __iter__(self) -> Iterator[Block]:
        return self._streamed() if self.is_sorted else self._partitioned()

    def _streamed(self) -> Iterator[Block]:
        import pyarrow as pa

        size = self.parts.size
        rows = max(1, int(BLOCK_VALUES * size.rows / max(1, size.cells)))
        ends, kept, at, have = np.append(self.first[1:], size.rows), [], 0, 0
        for batch in self.parts.batches(self.columns, min(rows, BATCH_ROWS)):
            kept.append(batch)
            have += len(batch)
            if have < rows or not (whole := np.searchsorted(ends, at + have, "right")) or ends[whole - 1] <= at:
                continue
            table = pa.Table.from_batches(kept)
            end = int(ends[whole - 1])
            yield self._cut(table.slice(0, end - at), at, end)
            kept, at, have = table.slice(end - at).to_batches(), end, at + have - end
        if have:
            yield self._cut(pa.Table.from_batches(kept), at, at + have)

    def _cut(self, table: Any, start: int, end: int) -> Block:
        first = self.first[slice(*np.searchsorted(self.first, (start, end)))]
        return Block(table, np.repeat(np.arange(len(first)), np.diff(first, append=end)), first)

    def _partitioned(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        import pyarrow as pa

        for path in self.partitions:
            with pa.memory_map(str(path)) as file:
                table = pa.ipc.open_stream(file).read_all()
                table = table if columns is None else table.select(columns)
                rows = table[ROW].to_numpy()
                coded = values_of(table[self.key]).dictionary_encode().indices.to_numpy()
                _, starts = np.unique(coded, return_index=True)
                if len(coded):
                    yield Block(table.drop_columns([ROW]), coded.astype(np.int64), rows[starts])


def draw(blocks: Blocks, seed: int) -> Block:
    """A sample of whole sequences, by the seed; all of them where they are no more than a sample has.

    Raises:
        DataError: there are no rows.
    """
    share = max(MAX_SAMPLE_VALUES / max(1, blocks.parts.size.cells), MIN_SAMPLE_SEQUENCES / max(1, len(blocks)))
    rng = np.random.default_rng([seed, SAMPLE_STREAM])
    drawn = [block.take(rng.random(len(block.first)) < share) for block in blocks]
    if not drawn:
        raise DataError(blocks.parts.name, "at least one row", "none")
    return in_order(drawn)


def values_of(column: Any) -> Any:
    """A column as one array, of values rather than of codes."""
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def find_runs(parts: Parts, key: str) -> tuple[NDArray[np.int64], tuple[int, Any] | None]:
    """The number of the first row of every run of one id; and the first row, and its id, of an id that comes again.

    Memory holds one id for every run.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    starts, found, at, last = [np.zeros(0, np.int64)], [], 0, None
    for batch in parts.batches([key]):
        ids = values_of(batch.column(0))
        if not len(ids):
            continue
        changes = pc.fill_null(pc.not_equal(ids[1:], ids[:-1]), True).to_numpy(zero_copy_only=False)
        new = np.flatnonzero(np.append(last is None or not ids[0].equals(last), changes))
        starts.append(new + at)
        found.append(ids.take(new))
        at, last = at + len(ids), ids[-1]
    first = np.concatenate(starts)
    if not found:
        return first, None
    coded = pa.concat_arrays(found).dictionary_encode(null_encoding="encode")
    codes = coded.indices.to_numpy()
    if len(coded.dictionary) == len(codes):
        return first, None
    run = int(np.delete(np.arange(len(codes)), np.unique(codes, return_index=True)[1])[0])
    return first, (int(first[run]), coded.dictionary[codes[run]].as_py())


def partition(parts: Parts, columns: Sequence[str] | None, key: str, folder: Path) -> list[Path]:
    """Write the rows to files by a hash of their id, each with the number of its row: one file fits into memory.

    Raises:
        FileError: the disk is full.
    """
    import pyarrow as pa

    count = max(1, -(-parts.size.cells // PARTITION_VALUES))
    paths = [folder / f"partition-{number}.arrow" for number in range(count)]
    names = parts.columns if columns is None else list(columns)
    schema = pa.schema([*(parts.dataset.schema.field(name) for name in names), pa.field(ROW, pa.int64())])
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    writers: list[Any] = []
    try:
        writers += [pa.ipc.new_stream(str(path), schema, options=options) for path in paths]
        at = 0
        for batch in parts.batches(names):
            owners = owners_of(values_of(batch.column(key)), count)
            table = pa.Table.from_batches([batch]).append_column(ROW, pa.array(np.arange(at, at + len(batch))))
            for number in np.unique(owners).tolist():
                writers[number].write_table(table.take(np.flatnonzero(owners == number)))
            at += len(batch)
        for writer in writers:
            writer.close()
    except OSError as error:
        raise FileError.from_os_error(folder / "partition", error, "write") from error
    return paths


def owners_of(ids: Any, count: int) -> NDArray[np.int64]:
    """The partition of each id: the same in any process."""
    coded = ids.dictionary_encode(null_encoding="encode")
    hashes = [zlib.crc32(str(value).encode("utf-8", "surrogatepass")) for value in coded.dictionary.to_pylist()]
    return (np.array(hashes or [0], np.int64) % count)[coded.indices.to_numpy()]
