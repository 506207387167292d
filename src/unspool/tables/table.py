"""Any table as named columns in canonical form."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from unspool.errors import DataError, Location, SchemaError, close_matches, listing, path_text
from unspool.tables.arrow import conversion, from_arrow, from_values, is_unicode
from unspool.tables.columns import Column, take
from unspool.tables.readers import read_path, read_stream, transpose

TableKind = Literal["dict", "records", "pandas", "polars", "pyarrow"]
"""The kinds of table that a result can be."""


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of one length, in canonical form (see `unspool.tables.columns`).

    Args:
        columns: by name, in the order of the source.
        kind: "pandas", "polars", "pyarrow" (or another back end of Narwhals), "dict", "records", "csv", "jsonl",
            "json" or "parquet".
        location: the name in error messages: the path, or "the data".
    """

    columns: dict[str, Column]
    kind: str
    location: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def column(self, name: str) -> Column:
        """One column; the `SchemaError` about an unknown one lists all of them."""
        if name not in self.columns:
            raise self.unknown([name])
        return self.columns[name]

    def location_of(self, name: str) -> Location:
        """The location of a column."""
        return Location(self.location, name)

    def need(self, names: Sequence[str | None]) -> None:
        """Refuse a table without rows, or without some of the columns; the error lists all of them."""
        missing = [name for name in names if name is not None and name not in self.columns]
        if missing:
            raise self.unknown(missing)
        if not len(self):
            raise DataError(self.location, "at least one row", "none")

    def unknown(self, names: Sequence[str]) -> SchemaError:
        """The error about columns that the table lacks."""
        near = [repr(match) for name in names for match in close_matches(name, self.columns, n=1)]
        hint = f"Closest in the data: {', '.join(near)}." if near else ""
        expected = f"the column{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"
        found = f"only {listing(map(repr, self.columns), 20)}" if self.columns else "no columns"
        return SchemaError(self.location, expected, found, hint)


def read_table(data: Any, location: str | None = None, *, strings: Sequence[str] = ()) -> Table:
    """Read a table of any kind.

    Args:
        data: a pandas, Polars or PyArrow frame (anything that Narwhals reads), a dict of lists or arrays (a single
            value stands for all rows), a list of dicts, a path to CSV, TSV, JSON, JSON lines or Parquet (text formats
            also compressed), an open file or stream with CSV, JSON or Parquet, or a `Table`.
        location: the name in error messages; by default the path, or "the data".
        strings: columns of a CSV file to read as text even if they look like numbers or dates.

    Raises:
        DataError: data that are no table, or can't be read.

    Examples:
        >>> read_table({"x": [1, 2], "y": "same"}).columns["y"].tolist()
        ['same', 'same']
    """
    if isinstance(data, Table):
        return data
    name = location or ("standard input" if hasattr(data, "read") else "the data")
    if isinstance(data, (str, Path)):
        name = path_text("data", data)
    with conversion(name):
        table = _read(data, name, location, strings)
    for column in table.columns:
        if not is_unicode(column):
            raise DataError(name, "column names of Unicode text", repr(column), "Rename the column.")
    return table


def _read(data: Any, name: str, location: str | None, strings: Sequence[str]) -> Table:
    if isinstance(data, (str, Path)):
        kind, raw = read_path(Path(data), strings)
        return Table(_columns(raw, name), kind, location or name)
    if isinstance(data, Mapping):
        return Table(_broadcast(data, name), "dict", name)
    if isinstance(data, (list, tuple)):
        for row, record in enumerate(data, 1):
            if not isinstance(record, Mapping):
                raise DataError(f"{name}: row {row}", "a dict of column names and values", type(record).__name__)
        columns = {str(key): values for key, values in transpose(data).items()}
        return Table(_columns(columns, name), "records", name)
    if hasattr(data, "read"):
        kind, raw = read_stream(data, name, strings)
        return Table(_columns(raw, name), kind, name)
    return _frame(data, name)


def frame_kind(data: Any) -> TableKind:
    """The kind of a result that no table but that of training can decide.

    Examples:
        >>> frame_kind([{"x": 1}]), frame_kind("names.csv")
        ('records', 'dict')
    """
    kind = type(data).__module__.partition(".")[0]
    if isinstance(data, (list, tuple)):
        return "records"
    return cast(TableKind, kind) if kind in get_args(TableKind) else "dict"


def installed(kind: TableKind) -> TableKind:
    """The same kind, or "dict" where its library is not installed."""
    return kind if kind in ("dict", "records") or importlib.util.find_spec(kind) else "dict"


def _frame(data: Any, location: str) -> Table:
    import narwhals as nw

    try:
        frame: Any = nw.from_native(data)
    except nw.exceptions.DuplicateError as error:
        raise DataError(location, "every column name once", str(error).splitlines()[-1].strip(" -")) from error
    except TypeError as error:
        expected = "a pandas, Polars or PyArrow table, a dict of lists, a list of dicts, or a path"
        raise DataError(location, expected, f"a {type(data).__module__}.{type(data).__qualname__}") from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    named = {str(series.name): series for series in frame.iter_columns()}
    columns = {name: _column(series, Location(location, name)) for name, series in named.items()}
    return Table(columns, frame.implementation.name.lower(), location)


def _columns(raw: Any, location: str) -> dict[str, Column]:
    """Columns of a PyArrow table, or of a dict of lists."""
    return {
        name: (from_values if isinstance(raw[name], list) else from_arrow)(raw[name], Location(location, name))
        for name in (raw.column_names if hasattr(raw, "column_names") else raw)
    }


def _broadcast(data: Mapping[Any, Any], location: str) -> dict[str, Column]:
    """Columns of a dict, in which a single value stands for all rows."""
    single = {str(name): value for name, value in data.items() if not is_many(value)}
    many = {str(name): _column(value, Location(location, str(name))) for name, value in data.items() if is_many(value)}
    lengths = {name: len(column) for name, column in many.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise DataError(location, "columns of one length", found)
    rows = next(iter(lengths.values()), 1)
    for name, value in single.items():
        many[name] = take(from_values([value], Location(location, name)), np.zeros(rows, int))
    return {str(name): many[str(name)] for name in data}


def is_many(value: Any) -> bool:
    """Whether a value holds the values of several rows, rather than one for all rows."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__") and hasattr(value, "__getitem__")


def _column(value: Any, location: Location) -> Column:
    """A list, an array or a series of any library as a column."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return from_values(value, location)
    import narwhals as nw

    try:
        series = nw.from_native(value, series_only=True)
    except TypeError:
        return from_values(list(value), location)
    if series.dtype == nw.Object:
        return from_values(series.to_list(), location)
    return from_arrow(series.to_arrow(), location)
