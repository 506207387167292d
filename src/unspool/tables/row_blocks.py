"""Inputs of a generation that its parts read, each its own rows: of a table, or of blocks that stay where they are."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec
import numpy as np

from unspool.errors import DataError, SchemaError
from unspool.runtime.storage import file_system
from unspool.tables.columns import take
from unspool.tables.parts import find_parts
from unspool.tables.table import Table, read_table
from unspool.tables.writers import FileType, column_types

MAX_HELD_BLOCKS = 2
"""Blocks that a process holds, since neighbouring parts read the same ones."""


class TableRows:
    """The rows of a table in memory as a source of inputs."""

    each, drawn = 1, ()

    def __init__(self, inputs: Table) -> None:
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def types(self) -> Mapping[str, FileType]:
        """By column, the type that a file has for it."""
        return column_types(self.inputs.columns)

    def table(self, seed: int, rows: slice) -> Table:
        """Some of the rows."""
        at = np.arange(rows.start, rows.stop)
        return replace(self.inputs, columns={name: take(column, at) for name, column in self.inputs.columns.items()})

    def fingerprint(self) -> str:
        """A hash of all values."""
        digest = hashlib.sha256()
        for name, column in self.inputs.columns.items():
            digest.update(f"{name}\0".encode())
            digest.update(msgspec.json.encode(column, enc_hook=as_plain))
        return digest.hexdigest()


class RowBlocks:
    """Rows in blocks of Arrow tables, as a source of inputs.

    Args:
        location: the name in error messages.
        columns: the names of those that are read.
        schema: of the blocks, in Arrow.
        lengths: rows of each block.
        read: gives a block by its number; another process must be able to call it.
        content: what tells these blocks from others, for the fingerprint.
    """

    each, drawn = 1, ()

    def __init__(
        self,
        location: str,
        columns: Sequence[str],
        schema: Any,
        lengths: Sequence[int],
        read: Callable[[int], Any],
        content: str,
    ) -> None:
        missing = [name for name in columns if name not in schema.names]
        if missing:
            raise SchemaError(location, f"the columns {', '.join(columns)}", f"only {', '.join(schema.names)}")
        self.location, self.columns, self.schema, self.read, self.content = location, columns, schema, read, content
        self.offsets = np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]).astype(np.int64)
        if not len(self):
            raise DataError(location, "at least one row", "none")
        self.held: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"held": OrderedDict()}

    def types(self) -> Mapping[str, FileType]:
        """By column, the type that a file has for it."""
        return {name: arrow_type(self.schema.field(name).type) for name in self.columns}

    def fingerprint(self) -> str:
        """A hash of what tells these rows from others."""
        return hashlib.sha256(f"{self.content} {self.columns} {self.offsets.tolist()}".encode()).hexdigest()

    def table(self, seed: int, rows: slice) -> Table:
        """Some of the rows."""
        import pyarrow as pa

        first, last = (int(k) for k in np.searchsorted(self.offsets, [rows.start, rows.stop - 1], side="right") - 1)
        pieces = []
        for k in range(first, last + 1):
            begin, end = max(rows.start, self.offsets[k]), min(rows.stop, self.offsets[k + 1])
            pieces.append(self.block(k).slice(begin - self.offsets[k], end - begin))
        location = f"{self.location}, rows {rows.start + 1:,} to {rows.stop:,}"
        return read_table(pa.concat_tables(pieces, promote_options="permissive"), location)

    def block(self, number: int) -> Any:
        """A block, with the columns that are read."""
        if number not in self.held:
            if len(self.held) >= MAX_HELD_BLOCKS:
                self.held.popitem(last=False)
            self.held[number] = self.read(number).select(list(self.columns))
        return self.held[number]


class RowGroup(NamedTuple):
    """A row group of a Parquet file, by its path in the file system that a path or URL names."""

    root: str
    path: str
    number: int


@dataclass(frozen=True)
class ParquetBlocks:
    """Reads row groups by their number among all of them.

    Attributes:
        groups: of all files.
        columns: that are read.
    """

    groups: tuple[RowGroup, ...]
    columns: tuple[str, ...]

    def __call__(self, number: int) -> Any:
        """The row group as an Arrow table."""
        import pyarrow.parquet as pq

        group = self.groups[number]
        system, _ = file_system(group.root)
        with system.open_input_file(group.path) as file:
            return pq.ParquetFile(file).read_row_group(group.number, columns=list(self.columns))


def parquet_rows(path: str, columns: Sequence[str]) -> RowBlocks:
    """The rows of a Parquet file, or of all Parquet files under a folder in the order of their names, by path or URL.

    Only the footers are read: sizes and counts tell these rows from others.

    Raises:
        DataError: no such file, a damaged one (named), or files whose columns differ (all differences, by file).
    """
    parts = find_parts(path, files=True)
    if parts is None:
        raise DataError(path, "Parquet files", "none", "Check the path.")
    groups, lengths = [], []
    for fragment in parts.fragments:
        for group in fragment.row_groups:
            groups.append(RowGroup(path, fragment.path, group.id))
            lengths.append(group.num_rows)
    sizes = [(name, size) for name, size, _ in parts.identity()]
    root = len(os.path.commonpath([name for name, _ in sizes]))  # the folder may lie elsewhere for another worker
    reader = ParquetBlocks(tuple(groups), tuple(columns))
    return RowBlocks(
        path, tuple(columns), parts.dataset.schema, lengths, reader, str([(name[root:], size) for name, size in sizes])
    )


def as_plain(value: Any) -> Any:
    """For `msgspec.json.encode`, what JSON can't hold: an array as a list, a function by its name."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return getattr(value, "__qualname__", None) or repr(value)


def is_parquet(inputs: Any) -> bool:
    """Whether inputs are named by the path or URL of a Parquet file or of a folder.

    Examples:
        >>> is_parquet("s3://bucket/people/"), is_parquet("people.parquet"), is_parquet("people.csv")
        (True, True, False)
    """
    return isinstance(inputs, str) and (inputs.endswith((".parquet", "/")))


def arrow_type(kind: Any) -> FileType:
    """The type that a file has for a column of an Arrow type.

    Examples:
        >>> import pyarrow as pa
        >>> arrow_type(pa.int32()), arrow_type(pa.list_(pa.string()))
        ('int', ('text',))
    """
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return arrow_type(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return (arrow_type(kind.value_type),)
    if types.is_struct(kind):
        return {field.name: arrow_type(field.type) for field in kind}
    tests: list[tuple[FileType, tuple[Callable[[Any], bool], ...]]] = [
        ("bool", (types.is_boolean,)),
        ("int", (types.is_integer,)),
        ("float", (types.is_floating, types.is_decimal)),
        ("text", (types.is_string, types.is_large_string)),
        ("time", (types.is_timestamp, types.is_date)),
    ]
    return next((name for name, asked in tests if any(test(kind) for test in asked)), "mixed")
