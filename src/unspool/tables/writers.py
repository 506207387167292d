"""Columns as a table of any kind, or written to a file or stream."""

import io
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from unspool.errors import DataError, OptionError, check_kind, path_text
from unspool.runtime.storage import whole_file
from unspool.tables.columns import Column, Origin, Ragged, Record, is_whole, kind_of
from unspool.tables.origins import restore, to_arrow_array, to_pandas_series
from unspool.tables.readers import COMPRESSED, FORMATS, format_of


def write_table(columns: Mapping[str, Any], like: str, origins: Mapping[str, Origin] | None = None) -> Any:
    """Lists, arrays or canonical columns of one length as the kind of table that `Table.kind` names.

    The kind of a file gives a dict of lists; to write files, see `save_parts`.

    Args:
        columns: by name.
        like: the kind of table.
        origins: by name, the types that canonical columns had, in which they come back.

    Examples:
        >>> write_table({"x": np.array([1.5, np.nan])}, "records")
        [{'x': 1.5}, {'x': None}]
    """
    origins = {name: origin for name, origin in (origins or {}).items() if name in columns}
    labels = {name: int(name) if name in origins and origins[name].integer else name for name in columns}
    typed = {name: origin for name, origin in origins.items() if origin.is_typed}
    if like in ("dict", "csv", "tsv", "jsonl", "json", "parquet"):
        return {labels[name]: _plain(values, typed.get(name)) for name, values in columns.items()}
    if like == "records":
        rows = zip(*(_plain(values, typed.get(name)) for name, values in columns.items()), strict=True)
        return [dict(zip(labels.values(), row, strict=True)) for row in rows]
    import narwhals as nw

    ready = {name: values if isinstance(values, np.ndarray) else _plain(values) for name, values in columns.items()}
    if like in ("polars", "pyarrow"):
        # Both read the canonical object arrays slowly or not at all; Arrow reads every one of them.
        import pyarrow as pa

        arrays = {name: pa.array(values, from_pandas=True) for name, values in ready.items() if name not in typed}
        arrays |= {name: to_arrow_array(columns[name], origin) for name, origin in typed.items()}
        arrow = pa.table({name: arrays[name] for name in columns})
        return arrow if like == "pyarrow" else nw.to_native(nw.from_arrow(arrow, backend="polars"))
    if like == "pandas":
        import pandas as pd

        series = {name: to_pandas_series(columns[name], origin) for name, origin in typed.items()}
        return pd.DataFrame({labels[name]: series.get(name, ready[name]) for name in columns})
    return nw.to_native(nw.from_dict(ready, backend=nw.Implementation.from_backend(like)))  # type: ignore[arg-type]


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a text that a spreadsheet runs as a formula (CWE-1236)."""
FileType = str | tuple["FileType"] | Mapping[str, "FileType"]
"""The type of a column of a file: int, float, text, bool, time or mixed; of lists, a tuple; of records, a dict."""
_Parts = Iterable[Mapping[str, Any]]
_Types = Callable[[], Mapping[str, FileType]]


def file_type(column: Column) -> FileType:
    """The type of a whole column; floats of which some are missing and the rest are whole are whole numbers.

    Examples:
        >>> file_type(np.array([1.0, np.nan])), file_type(np.array([0.5]))
        ('int', 'float')
    """
    if isinstance(column, Record):
        return {name: file_type(values) for name, values in column.fields.items()}
    if isinstance(column, Ragged):
        return (file_type(column.values),)
    if is_whole(column):
        return "int"
    names = {"number": "float", "text": "text", "truth value": "bool", "date": "time", "whole number": "int"}
    return names.get(kind_of(column), "mixed")


def column_types(columns: Mapping[str, Column]) -> dict[str, FileType]:
    """By column, its type."""
    return {name: file_type(column) for name, column in columns.items()}


def whole_numbers(values: Any) -> Any:
    """Floats that are whole numbers, as objects: int, or None where missing; other values as they are."""
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        return values
    column = np.full(len(values), None, object)
    present = ~np.isnan(values)
    column[present] = [int(value) if np.isfinite(value) else value for value in values[present].tolist()]
    return column


def _plain(values: Any, origin: Origin | None = None) -> list[Any]:
    return restore(values, origin) if isinstance(values, (np.ndarray, Ragged, Record)) else list(values)


def save_parts(
    parts: _Parts,
    types: _Types,
    target: str | Path | IO[Any],
    format: str | None = None,  # noqa: A002
    *,
    escape_formulas: bool = False,
) -> None:
    """Write the parts of a table to an open stream, or to a file, which appears only if all of them are written.

    Unspool opens the file before it takes the first part, and keeps no part that it has written.

    Args:
        parts: the same named columns each, lists or arrays of one length; a missing value is None, NaN or NaT.
        types: returns the type of each column, which a part may not show, because all its values may be missing.
        target: a path, or a stream such as `sys.stdout.buffer` (bytes) or `sys.stdout` (text).
        format: csv, tsv, jsonl, json or parquet; by default that of the path's ending, and csv for a stream.
        escape_formulas: texts of CSV and TSV that a spreadsheet would run get an apostrophe before them.

    Raises:
        DataError: an unknown format, a name with a compressed ending, or values without a common Parquet type.
        FileError: the file can't be written.
    """
    check_kind("escape_formulas", escape_formulas, bool, "True or False")
    if not isinstance(target, (str, os.PathLike)) and not hasattr(target, "write"):
        raise OptionError(f"target={target!r}", "a path or an open stream", type(target).__name__)
    target = Path(path_text("target", target)) if isinstance(target, os.PathLike) else target
    chosen = format or (format_of(target) if isinstance(target, (str, Path)) else "csv")
    if chosen not in FORMATS.values():
        raise DataError("format", "one of " + ", ".join(sorted(set(FORMATS.values()))), repr(chosen))
    if escape_formulas and chosen not in ("csv", "tsv"):
        raise DataError("escape_formulas", "csv or tsv, which spreadsheets run", chosen, "Leave it out.")
    write = partial(_write, escape_formulas=escape_formulas)
    if isinstance(target, (str, Path)):
        if Path(target).suffix in COMPRESSED:
            raise DataError(str(target), "a name without compression", Path(target).suffix, "Compress it afterwards.")
        with whole_file(target) as file:
            write(parts, types, file, chosen)
        return
    if isinstance(target, io.TextIOBase) and chosen == "parquet":
        raise DataError("standard output", "a stream of bytes, for Parquet", "a stream of text")
    write(parts, types, _Text(target) if isinstance(target, io.TextIOBase) else target, chosen)


class _Text:
    """A text stream that accepts whole lines as bytes."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, data: bytes) -> None:
        self.stream.write(data.decode())

    def writelines(self, lines: Iterable[bytes]) -> None:
        self.stream.writelines(line.decode() for line in lines)


def _write(parts: _Parts, types: _Types, file: Any, form: str, *, escape_formulas: bool) -> None:
    if form == "parquet":
        _write_parquet(parts, types, file)
    elif form == "json":
        _write_json(parts, file)
    elif form == "jsonl":
        for columns in parts:
            file.writelines(msgspec.json.encode(row) + b"\n" for row in write_table(columns, "records"))
    else:
        for k, columns in enumerate(parts):
            delimiter = "\t" if form == "tsv" else ","
            _write_csv(columns, file, delimiter, header=k == 0, escape_formulas=escape_formulas)


def _write_parquet(parts: _Parts, types: _Types, file: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = {"int": pa.int64(), "float": pa.float64(), "text": pa.string(), "bool": pa.bool_()}
    plain["time"] = pa.timestamp("us")

    def arrow_type(kind: FileType, name: str) -> Any:
        if isinstance(kind, tuple):
            return pa.list_(arrow_type(kind[0], name))
        if isinstance(kind, Mapping):
            return pa.struct([(inner, arrow_type(part, inner)) for inner, part in kind.items()])
        if kind not in plain:
            raise DataError(f"column {name!r}", "values of one Parquet type", "text and numbers", "Write CSV or JSON.")
        return plain[kind]

    def array(name: str, values: Any) -> Any:
        ready = values if isinstance(values, np.ndarray) else _plain(values)
        try:
            return pa.array(ready, schema.field(name).type, from_pandas=True)
        except (pa.ArrowException, OverflowError) as error:
            found = str(error).splitlines()[0]
            raise DataError(f"column {name!r}", "values of one Parquet type", found, "Write CSV or JSON.") from error

    schema = pa.schema([(name, arrow_type(kind, name)) for name, kind in types().items()])
    with pq.ParquetWriter(file, schema) as writer:
        for columns in parts:
            writer.write_table(pa.table([array(name, columns[name]) for name in schema.names], schema=schema))


def _write_json(parts: _Parts, file: Any) -> None:
    separator = b"["
    for columns in parts:
        for row in write_table(columns, "records"):
            file.write(separator + msgspec.json.encode(row))
            separator = b","
    file.write(b"[]" if separator == b"[" else b"]")


def _write_csv(columns: Mapping[str, Any], file: Any, delimiter: str, *, header: bool, escape_formulas: bool) -> None:
    # The csv module doesn't quote a lone "\r" where "\n" ends a line, and readers take it for the end of a line.
    alone = len(columns) == 1
    special = re.compile(f'["\r\n{delimiter}]')

    def quoted(value: Any) -> str:
        text = _cell(value)
        if escape_formulas and isinstance(value, str) and text.startswith(FORMULA_STARTS):
            text = "'" + text
        # Most readers skip an empty line, so an empty cell is quoted in a table of one column.
        return '"' + text.replace('"', '""') + '"' if special.search(text) or (alone and not text) else text

    if header:
        file.write((delimiter.join(map(quoted, columns)) + "\n").encode())
    cells = (map(quoted, values) for values in write_table(columns, "dict").values())
    file.writelines((delimiter.join(row) + "\n").encode() for row in zip(*cells, strict=True))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, dict, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
