"""The ids of sequences: where the runs of each begin, and rows on disk by a hash of their id where they lie apart."""

import functools
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.errors import FileError
from unspool.runtime.processes import ALONE, ProcessGroup
from unspool.tables.parts import Parts

PARTITION_VALUES = 2**22
"""Values of all columns in a partition on disk, on the average."""
ROW = "row of unspool"
"""The column of a partition that holds the number of the row; of a sample, that of the first row of the sequence."""


def values_of(column: Any) -> Any:
    """A column as one array, of values rather than of codes."""
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def find_runs(parts: Parts, key: str, group: ProcessGroup = ALONE) -> tuple[NDArray[np.int64], tuple[int, Any] | None]:
    """The number of the first row of every run of one id; and the first row, and its id, of an id that comes again.

    Each process reads its own rows. Memory holds one id for every run.
    """
    import pyarrow as pa

    first, end = group.share(parts.size.rows)
    starts, ids = [np.zeros(0, np.int64)], [values_of(parts.dataset.schema.empty_table()[key])]

    def own() -> Iterator[None]:
        at = first
        for batch in parts.batches([key], first=first, end=end):
            values = values_of(batch.column(0))
            new = changes(values)
            starts.append(new + at)
            ids.append(values.take(new))
            at += len(values)
            yield

    group.run(own())
    found = pa.table({ROW: np.concatenate(starts), "id": pa.concat_arrays(ids)})
    if group.count > 1:
        found = pa.concat_tables(map(table_of, group.gather(functools.partial(table_bytes, found))))
    found = found.take(changes(values_of(found["id"])))  # a run may go on in the next piece
    runs, coded = found[ROW].to_numpy(), values_of(found["id"]).dictionary_encode(null_encoding="encode")
    codes = coded.indices.to_numpy()
    if len(coded.dictionary) == len(codes):
        return runs, None
    run = int(np.delete(np.arange(len(codes)), np.unique(codes, return_index=True)[1])[0])
    return runs, (int(runs[run]), coded.dictionary[codes[run]].as_py())


def changes(ids: Any) -> NDArray[np.int64]:
    """The positions where an id is not the one before it, the first one included."""
    import pyarrow.compute as pc

    differs = pc.fill_null(pc.not_equal(ids[1:], ids[:-1]), True).to_numpy(zero_copy_only=False)
    return np.flatnonzero(np.append(np.ones(min(1, len(ids)), bool), differs))


def partition(
    parts: Parts, columns: Sequence[str] | None, key: str, folder: Path, group: ProcessGroup = ALONE
) -> list[list[Path]]:
    """Write the rows to files by a hash of their id, each with the number of its row: one file fits into memory.

    Each process writes its own rows, so that every partition has a file of each.

    Raises:
        FileError: the disk is full.
    """
    count = max(1, -(-parts.size.cells // PARTITION_VALUES))
    paths = [[folder / f"partition-{number}-{k}.arrow" for k in range(group.count)] for number in range(count)]
    own = [files[group.number] for files in paths]
    group.run(write_partitions(parts, columns, key, own, group.share(parts.size.rows)))
    return paths


def write_partitions(
    parts: Parts, columns: Sequence[str] | None, key: str, paths: Sequence[Path], rows: tuple[int, int]
) -> Iterator[None]:
    """Write some rows, piece by piece, to one file for each partition."""
    import pyarrow as pa

    names = parts.columns if columns is None else list(columns)
    schema = pa.schema([*(parts.dataset.schema.field(name) for name in names), pa.field(ROW, pa.int64())])
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    writers: list[Any] = []
    try:
        writers += [pa.ipc.new_stream(str(path), schema, options=options) for path in paths]
        at, end = rows
        for batch in parts.batches(names, first=at, end=end):
            owners = owners_of(values_of(batch.column(key)), len(paths))
            table = pa.Table.from_batches([batch]).append_column(ROW, pa.array(np.arange(at, at + len(batch))))
            for number in np.unique(owners).tolist():
                writers[number].write_table(table.take(np.flatnonzero(owners == number)))
            at += len(batch)
            yield
        for writer in writers:
            writer.close()
    except OSError as error:
        raise FileError.from_os_error(paths[0].parent / "partition", error, "write") from error


def owners_of(ids: Any, count: int) -> NDArray[np.int64]:
    """The partition of each id: the same in any process."""
    coded = ids.dictionary_encode(null_encoding="encode")
    hashes = [zlib.crc32(str(value).encode("utf-8", "surrogatepass")) for value in coded.dictionary.to_pylist()]
    return (np.array(hashes or [0], np.int64) % count)[coded.indices.to_numpy()]


def table_bytes(table: Any) -> bytes:
    """A PyArrow table as a stream of Arrow."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def table_of(raw: bytes) -> Any:
    """The PyArrow table of a stream."""
    import pyarrow as pa

    return pa.ipc.open_stream(raw).read_all()
