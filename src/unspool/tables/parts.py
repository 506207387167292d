"""Parquet in parts: a folder, a glob, a URL or a PyArrow dataset as one table that is read in pieces."""

import contextlib
import fnmatch
import functools
import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unspool.errors import DataError, path_text
from unspool.runtime.storage import file_system, is_url

BATCH_ROWS = 2**16
"""Rows of a piece."""
MAX_VALUES_IN_MEMORY = 2**23
"""Values of all columns up to which parts are read into memory whole."""
PARQUET_NAMES = (".parquet", ".pq")
WILDCARDS = re.compile(r"[*?\[]")
MAX_DIFFERENCES = 20
"""Differences between the schemas of parts that an error lists."""


class PartsSize(NamedTuple):
    """How much parts hold, without reading them.

    Attributes:
        rows: of the table.
        steps: values of the column that has the most: items of lists count one by one, and eight bytes of text.
        cells: values of all columns.
        bytes: of all values before compression.
    """

    rows: int
    steps: int
    cells: int
    bytes: int


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts with one schema that follow each other.

    Args:
        dataset: a `pyarrow.dataset.Dataset`.
        name: the name in error messages.
    """

    dataset: Any
    name: str

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.dataset.schema.names)

    @functools.cached_property
    def fragments(self) -> list[Any]:
        """The parts, in their order."""
        try:
            return list(self.dataset.get_fragments())
        except ValueError as error:  # of a dataset with a filter or a projection
            hint = "Pass the dataset without filter; or dataset.to_table(), if it fits into memory."
            raise DataError(self.name, "a dataset of whole parts", str(error), hint) from error

    @functools.cached_property
    def size(self) -> PartsSize:
        """How much the parts hold; of Parquet, their footers say so."""
        total = PartsSize(0, 0, 0, 0)
        for fragment in self.fragments:
            with _readable(self._name_of(fragment)):
                own = _size_of(fragment, len(self.columns))
            total = PartsSize(*(a + b for a, b in zip(total, own, strict=True)))
        return total

    def identity(self) -> list[tuple[str, int, str]]:
        """By part its path, size in bytes and time of change: what a cache of the parts depends on."""
        files = [fragment for fragment in self.fragments if getattr(fragment, "path", None)]
        infos = [fragment.filesystem.get_file_info(fragment.path) for fragment in files]
        return [(info.path, info.size or 0, str(info.mtime_ns)) for info in infos]

    def batches(
        self, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS, first: int = 0, end: int | None = None
    ) -> Iterator[Any]:
        """Pieces of at most so many rows, with some of the columns; of the row groups that hold rows `first` to `end`.

        Raises:
            DataError: names a part that can't be read.
        """
        options = {"schema": self.dataset.schema, "columns": None if columns is None else list(columns)}
        options |= {"batch_size": rows, "batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
        for fragment, before, wanted in self._within(first, end):
            at = 0
            with _readable(self._name_of(fragment)):
                for batch in fragment.to_batches(**options):
                    start, stop = (min(max(row - at, 0), len(batch)) for row in (before, before + wanted))
                    if start < stop:
                        yield batch.slice(start, stop - start)
                    at += len(batch)
                    if at >= before + wanted:
                        break

    def _within(self, first: int, end: int | None) -> Iterator[tuple[Any, int, int]]:
        """By part the row groups that hold some rows; how many rows of them come before these, and how many follow."""
        at = 0
        for fragment in self.fragments:
            if not first and end is None:
                yield fragment, 0, sys.maxsize
                continue
            groups, counts = self._groups(fragment)
            ends = at + np.cumsum(counts)
            held = np.flatnonzero((ends > first) & (ends - counts < (sys.maxsize if end is None else end)))
            if len(held):
                begin, stop = ends[held[0]] - counts[held[0]], ends[held[-1]]
                part = fragment.subset(row_group_ids=[groups[k].id for k in held]) if groups else fragment
                start = max(first, int(begin))
                yield part, start - int(begin), (int(stop) if end is None else min(int(stop), end)) - start
            at = int(ends[-1])

    def pieces(self, rows: int = BATCH_ROWS) -> list[int]:
        """Rows of the pieces that `batches` reads of Parquet: none goes beyond a row group."""
        counts = [count for fragment in self.fragments for count in self._groups(fragment)[1]]
        return [min(rows, count - at) for count in counts for at in range(0, count, rows)]

    def _groups(self, fragment: Any) -> tuple[list[Any], list[int]]:
        """The row groups of a part, none if it has none, and their rows, or those of the part."""
        with _readable(self._name_of(fragment)):
            groups = list(getattr(fragment, "row_groups", None) or [])
            return groups, [group.num_rows for group in groups] or [fragment.count_rows()]

    def read(self) -> Any:
        """All parts as one PyArrow table, in memory."""
        import pyarrow as pa

        return pa.Table.from_batches(self.batches(), self.dataset.schema)

    def _name_of(self, fragment: Any) -> str:
        return str(getattr(fragment, "path", None) or f"{self.name}, part {self.fragments.index(fragment) + 1}")


def find_parts(data: Any, *, files: bool = False) -> Parts | None:
    """The parts that data name: a folder, a glob or a URL of Parquet files, or a PyArrow dataset; None of other data.

    A part whose schema differs is refused. Credentials for object stores come from the environment.

    Args:
        data: anything.
        files: whether a single local Parquet file counts, too.

    Raises:
        DataError: there are no Parquet files; one can't be read; or schemas differ, every difference by file.
    """
    if isinstance(data, (str, Path)):
        text = path_text("data", data)
        if is_url(text):
            return _of_url(text)
        if os.path.isdir(text) or (WILDCARDS.search(text) and not os.path.exists(text)):
            return _of_local(text)
        single = files and text.lower().endswith(PARQUET_NAMES) and os.path.isfile(text)
        return _of_files([os.path.abspath(text)], None, text) if single else None
    if type(data).__module__.startswith("pyarrow") and hasattr(data, "get_fragments"):
        return Parts(data, "the dataset")
    return None


def find_large(data: Any) -> Parts | None:
    """As `find_parts`, a single file included, if the parts are larger than what is read into memory whole."""
    parts = find_parts(data, files=True)
    return None if parts is None or parts.size.cells <= MAX_VALUES_IN_MEMORY else parts


def is_url_of_text(data: Any) -> bool:
    """Whether data are the URL of a single file that is no Parquet."""
    text = os.fspath(data) if isinstance(data, (str, Path)) else ""
    last = text.partition("?")[0].rsplit("/", 1)[-1]
    return is_url(text) and "." in last and not last.lower().endswith(PARQUET_NAMES) and "*" not in last


def open_url(url: str) -> Any:
    """An open file at a URL; a `DataError` says why there is none."""
    with _readable(url):
        filesystem, path = file_system(url)
        return filesystem.open_input_file(path)


def _of_local(text: str) -> Parts:
    if not os.path.isdir(text):
        return _of_files(sorted(map(os.path.abspath, glob.glob(text, recursive=True))), None, text)
    from pyarrow import fs

    return _of_files(_listed(fs.LocalFileSystem(), os.path.abspath(text)), None, text)


def _of_url(url: str) -> Parts | None:
    if is_url_of_text(url):
        return None
    path, mark, query = url.partition("?")  # a query has options of the file system
    wild = WILDCARDS.search(path)
    folder = path if wild is None else path[: path.rindex("/", 0, wild.start())]
    with _readable(url):
        filesystem, base = file_system(folder + mark + query)
    if wild is None:
        single = base.lower().endswith(PARQUET_NAMES)
        return _of_files([base] if single else _listed(filesystem, base, url), filesystem, url)
    pattern = [*base.rstrip("/").split("/"), *path[len(folder) + 1 :].split("/")]
    paths = [path for path in _listed(filesystem, base, url) if _matches(path.split("/"), pattern)]
    return _of_files(paths, filesystem, url)


def _matches(path: list[str], pattern: list[str]) -> bool:
    return len(path) == len(pattern) and all(map(fnmatch.fnmatchcase, path, pattern))


def _listed(filesystem: Any, folder: str, name: str | None = None) -> list[str]:
    """The files in a folder and its folders, sorted; those with a hidden name are left out."""
    from pyarrow import fs

    with _readable(name or folder):
        infos = filesystem.get_file_info(fs.FileSelector(folder, recursive=True))
    files = [info.path for info in infos if info.type == fs.FileType.File]
    inner = {path: path.removeprefix(folder).strip("/").split("/") for path in files}
    return sorted(path for path in files if not any(part.startswith((".", "_")) for part in inner[path]))


def _of_files(paths: list[str], filesystem: Any, name: str) -> Parts:
    """The Parquet files among some, which must have one schema."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    parquet = [path for path in paths if path.lower().endswith(PARQUET_NAMES)]
    if not parquet:
        found = f"only {os.path.basename(paths[0])}" if len(paths) == 1 else f"{len(paths)} files of other kinds"
        hint = "Unspool reads one file of text, or any number of Parquet files."
        raise DataError(name, "Parquet files", found if paths else "none", hint if paths else "Check the spelling.")
    schemas = {}
    for path in parquet:
        with _readable(path):
            schemas[path] = pq.read_schema(path, filesystem=filesystem)
    refuse_differences(schemas, name)
    return Parts(ds.dataset(parquet, schemas[parquet[0]], "parquet", filesystem), name)


def refuse_differences(schemas: dict[str, Any], name: str) -> None:
    """Refuse parts whose columns or types are not those of the first; the error lists every difference by file."""
    first, *others = schemas
    known = {column.name: column.type for column in schemas[first]}
    found = []
    for path in others:
        own = {column.name: column.type for column in schemas[path]}
        differs = [f"lacks {column!r}" for column in known if column not in own]
        differs += [f"has {column!r} too" for column in own if column not in known]
        differs += [
            f"has {column!r} as {own[column]}, not {kind}"
            for column, kind in known.items()
            if column in own and own[column] != kind
        ]
        if differs:
            found.append(f"{path} {' and '.join(differs)}")
    if found:
        more = f"; and {len(found) - MAX_DIFFERENCES} more files" * (len(found) > MAX_DIFFERENCES)
        hint = "Write the parts again with one schema, or name only those that have it."
        raise DataError(name, f"the schema of {first} in all parts", "; ".join(found[:MAX_DIFFERENCES]) + more, hint)


def _size_of(fragment: Any, columns: int) -> PartsSize:
    metadata = getattr(fragment, "metadata", None)
    if metadata is None:
        rows = fragment.count_rows()
        return PartsSize(rows, rows, rows * columns, 8 * rows * columns)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [[group.column(j) for j in range(group.num_columns)] for group in groups]
    counts = [[_values_of(chunk) for chunk in chunks_of_group] for chunks_of_group in chunks]
    steps = sum(max(values, default=0) for values in counts)
    return PartsSize(metadata.num_rows, steps, sum(map(sum, counts)), sum(group.total_byte_size for group in groups))


def _values_of(chunk: Any) -> int:
    """How many values a chunk of a column holds: a text counts as one for every eight bytes."""
    texts = chunk.physical_type == "BYTE_ARRAY"
    return int(max(chunk.num_values, chunk.total_uncompressed_size // 8 if texts else 0))


@contextlib.contextmanager
def _readable(location: str) -> Iterator[None]:
    """Errors of Arrow and of file systems as a `DataError` that names the file."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = ""
        if "footer" in found or "magic" in found or "too small" in found.lower():
            hint = "The file is truncated or no Parquet: write it again."
        raise DataError(location, "a readable Parquet file, or a folder of them", found, hint) from error
