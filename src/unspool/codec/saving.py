"""Columns out: as the kind of table that came in, or to a file or stream."""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from unspool.codec.sources import FORMATS, format_of
from unspool.errors import DataError
from unspool.files import atomic
from unspool.schema.arrays import Ragged, Record, to_list


def write(columns: Mapping[str, Any], like: str) -> Any:
    """Named columns as the kind of table that `Table.kind` names.

    Args:
        columns: lists, arrays or canonical columns of one length.
        like: a `Table.kind`. A file's kind gives a dict of lists; to write files, see `save_table`.

    Examples:
        >>> write({"x": np.array([1.5, np.nan])}, "records")
        [{'x': 1.5}, {'x': None}]
    """
    if like in ("dict", "csv", "jsonl", "json", "parquet"):
        return {name: _plain(values) for name, values in columns.items()}
    if like == "records":
        return [
            dict(zip(columns, row, strict=True))
            for row in zip(*(_plain(values) for values in columns.values()), strict=True)
        ]
    import narwhals as nw

    ready = {name: values if isinstance(values, np.ndarray) else _plain(values) for name, values in columns.items()}
    if like in ("polars", "pyarrow"):
        # Both read the canonical object arrays slowly or not at all; Arrow reads every one of them.
        import pyarrow as pa

        arrays = {name: pa.array(values, from_pandas=True) for name, values in ready.items()}
        return nw.to_native(nw.from_dict(arrays, backend="pyarrow")) if like == "pyarrow" else _polars(arrays)
    return nw.to_native(nw.from_dict(ready, backend=nw.Implementation.from_backend(like)))  # type: ignore[arg-type]


def _polars(arrays: dict[str, Any]) -> Any:
    import narwhals as nw
    import pyarrow as pa

    return nw.to_native(nw.from_arrow(pa.table(arrays), backend="polars"))


def _plain(values: Any) -> list[Any]:
    return to_list(values) if isinstance(values, (np.ndarray, Ragged, Record)) else list(values)


def save_table(columns: Mapping[str, Any], target: str | Path | IO[Any], format: str | None = None) -> None:  # noqa: A002
    """Write named columns to a file, whole or not at all, or to an open stream.

    Args:
        columns: lists or arrays of one length; a missing value is None, NaN or NaT.
        target: a path, or a stream such as `sys.stdout.buffer` (bytes) or `sys.stdout` (text).
        format: csv, tsv, jsonl, json or parquet; by default what the path's ending says, csv for a stream.

    Raises:
        DataError: a format that isn't known.
        FileError: the file can't be written.
    """
    chosen = format or (format_of(target) if isinstance(target, (str, Path)) else "csv")
    if chosen not in FORMATS.values():
        raise DataError("format", "one of " + ", ".join(sorted(set(FORMATS.values()))), repr(chosen))
    if isinstance(target, (str, Path)):
        with atomic(target) as file:
            _write(columns, file, chosen)
        return
    if isinstance(target, io.TextIOBase) and chosen == "parquet":
        raise DataError("standard output", "a stream of bytes, for Parquet", "a stream of text")
    if isinstance(target, io.TextIOBase):
        buffer = io.BytesIO()
        _write(columns, buffer, chosen)
        target.write(buffer.getvalue().decode())
        return
    _write(columns, target, chosen)


def _write(columns: Mapping[str, Any], file: IO[bytes], format: str) -> None:  # noqa: A002
    if format == "parquet":
        import pyarrow.parquet as pq

        return pq.write_table(write(columns, "pyarrow"), file)
    if format == "jsonl":
        return file.writelines(msgspec.json.encode(row) + b"\n" for row in write(columns, "records"))
    if format == "json":
        file.write(msgspec.json.encode(write(columns, "records")))
        return None
    _write_csv(columns, file, "\t" if format == "tsv" else ",")
    return None


def _write_csv(columns: Mapping[str, Any], file: IO[bytes], delimiter: str) -> None:
    # Not the csv module: with "\n" as the end of a line it leaves a lone "\r" without quotes, which readers,
    # ourselves among them, take for the end of a line.
    alone = len(columns) == 1
    special = re.compile(f'["\r\n{delimiter}]')

    def quoted(value: Any) -> str:
        text = _cell(value)
        # An empty line is no row to most readers, so in a table of one column an empty cell is quoted.
        return '"' + text.replace('"', '""') + '"' if special.search(text) or (alone and not text) else text

    file.write((delimiter.join(map(quoted, columns)) + "\n").encode())
    cells = (map(quoted, values) for values in write(columns, "dict").values())
    file.writelines((delimiter.join(row) + "\n").encode() for row in zip(*cells, strict=True))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, dict, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
