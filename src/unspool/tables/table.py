"""Any table as named columns in canonical form."""

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import msgspec
import numpy as np

from unspool.errors import DataError, Location, SchemaError, close_matches, listing, path_text
from unspool.tables.arrow import SUPPORTED_KINDS, conversion, from_arrow, from_values, is_unicode
from unspool.tables.columns import Column, ColumnOrigins, Origin, take
from unspool.tables.parts import find_parts, is_url_of_text, open_url
from unspool.tables.readers import FORMATS, read_bytes, read_path, read_stream, transpose

SEQUENCE_NAME = "sequence"
"""Name of the column of data that are one column without a name."""
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
        origins: the types that went in, see `unspool.tables.origins`.
        index: columns that were an index of pandas; they are no columns of a step unless they are named.
    """

    columns: dict[str, Column]
    kind: str
    location: str
    origins: ColumnOrigins = field(default_factory=dict)
    index: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def column(self, name: str) -> Column:
        """One column; the `SchemaError` about an unknown one lists all of them."""
        if name not in self.columns:
            raise self.unknown([name])
        return self.columns[name]

    @property
    def is_dict_or_file(self) -> bool:
        """Whether the table came from no library of data frames, nor a list of dicts."""
        return self.kind in ("dict", *FORMATS.values())

    def origin(self, name: str, inner: str | None = None) -> Origin:
        """The type that a column had, or a field inside its records."""
        return self.origins.get((name, inner or ""), self.origins.get((name,), Origin()))

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
            also compressed), an open file or stream with CSV, JSON or Parquet, or a `Table`. A list of texts or lists,
            a Series, or an array of two or three axes is one column of sequences.
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


def arrow_table(rows: Any, location: str) -> Table:
    """Rows of a Parquet file, a PyArrow table, as a table."""
    with conversion(location):
        return _table(rows, "parquet", location)


def _read(data: Any, name: str, location: str | None, strings: Sequence[str]) -> Table:
    if (parts := find_parts(data)) is not None:
        return _table(parts.read(), "parquet", location or parts.name)
    if is_url_of_text(data):
        with open_url(data) as file:
            kind, raw = read_bytes(file.read(), Path(name.partition("?")[0].rsplit("/", 1)[1]), name, strings)
        return _table(raw, kind, location or name)
    if isinstance(data, (str, Path)):
        kind, raw = read_path(Path(data), strings)
        return _table(raw, kind, location or name)
    if isinstance(data, Mapping):
        return _broadcast(data, name)
    if isinstance(data, (list, tuple)) and all(isinstance(record, Mapping) for record in data):
        return _table(transpose(data), "records", name)
    if isinstance(data, (list, tuple, np.ndarray)):
        return _one_column(data, name)
    if hasattr(data, "read"):
        kind, raw = read_stream(data, name, strings)
        return _table(raw, kind, name)
    return _frame(data, name)


def _one_column(data: Any, location: str) -> Table:
    """Texts, lists or arrays, one for each sequence, as a table of one column.

    Raises:
        DataError: values that are no sequences, such as the numbers of one long series.
    """
    if len(data) and any(isinstance(row, Mapping) for row in data):
        row = next(row for row, record in enumerate(data, 1) if not isinstance(record, Mapping))
        found = type(data[row - 1]).__name__
        raise DataError(f"{location}: row {row}", "a dict of column names and values", found)
    table = _broadcast({SEQUENCE_NAME: data}, location)
    _refuse_single_values(table, SEQUENCE_NAME)
    return table


def frame_kind(data: Any) -> TableKind:
    """The kind of a result that no table but that of training can decide.

    Examples:
        >>> frame_kind([{"x": 1}]), frame_kind("names.csv")
        ('records', 'dict')
    """
    kind = data.kind if isinstance(data, Table) else type(data).__module__.partition(".")[0]
    if isinstance(data, (list, tuple)):
        return "records" if all(isinstance(record, Mapping) for record in data) else "dict"
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
        if (one := _series(data, location)) is not None:
            return one
        expected = "a pandas, Polars or PyArrow table, a dict of lists, a list of dicts, or a path"
        found = f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")
        raise DataError(location, expected, found) from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    series = list(frame.iter_columns())
    levels = _index_columns(data, {item.name for item in series})
    named: dict[Any, Any] = {item.name: item for item in series} | levels
    origins = _named(named, location)
    columns = {str(name): _column(item, Location(location, str(name)), origins) for name, item in named.items()}
    return Table(columns, frame.implementation.name.lower(), location, origins, frozenset(map(str, levels)))


def _series(data: Any, location: str) -> Table | None:
    """A series of any library as a table of one column, `sequence` where it has no name; None of anything else."""
    import narwhals as nw

    try:
        series = nw.from_native(data, series_only=True)
    except TypeError:
        return None
    name = series.name if series.name not in (None, "") else SEQUENCE_NAME
    table = _broadcast({name: data}, location)
    _refuse_single_values(table, str(name))
    return replace(table, kind=series.implementation.name.lower())


def _refuse_single_values(table: Table, name: str) -> None:
    """Refuse a column that is one long series rather than sequences."""
    column = table.columns[name]
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        hint = "If they are one long series, cut it with windows(...); if they are a column, pass it in a table."
        raise DataError(table.location, "texts, lists or arrays, one for each sequence", "single values", hint)


def _index_columns(data: Any, taken: set[Any]) -> dict[Any, Any]:
    """The named levels of the index of a pandas frame, except those that a column is named like."""
    index = getattr(data, "index", None)
    if index is None or not hasattr(index, "names"):
        return {}
    names = [name for name in index.names if name is not None and name not in taken]
    return {name: index.get_level_values(name).to_series() for name in names}


def _named(names: Iterable[Any], location: str) -> ColumnOrigins:
    """The origins of columns named by whole numbers; a `DataError` refuses names of several levels, and twins."""
    names = list(names)
    for name in names:
        if isinstance(name, tuple):
            hint = "Join the levels, as in frame.columns = ['_'.join(name) for name in frame.columns]."
            raise DataError(location, "columns with one name each", f"the name {name!r}, of several levels", hint)
    texts = list(map(str, names))
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise DataError(location, "every column name once", f"{', '.join(map(repr, twice))} as text and as number")
    integers = [name for name in names if isinstance(name, (int, np.integer)) and not isinstance(name, bool)]
    return {(str(name),): Origin(integer=True) for name in integers}


def _table(raw: Any, kind: str, location: str) -> Table:
    """A PyArrow table, or a dict of lists."""
    names = raw.column_names if hasattr(raw, "column_names") else list(raw)
    origins = _named(names, location)
    read = {name: from_values if isinstance(raw[name], list) else from_arrow for name in names}
    columns = {str(name): _noted(read[name], raw[name], Location(location, str(name)), origins) for name in names}
    return Table(columns, kind, location, origins)


def _noted(read: Any, values: Any, location: Location, origins: ColumnOrigins) -> Column:
    """A column, read by one of the functions of `unspool.tables.arrow`; its origin keeps how it is named."""
    key = (location.column,)
    integer = origins.get(key, Origin()).integer
    column: Column = read(values, location, origins)
    if integer:
        origins[key] = msgspec.structs.replace(origins[key], integer=True)
    return column


def _broadcast(data: Mapping[Any, Any], location: str) -> Table:
    """A dict of columns, in which a single value stands for all rows."""
    origins = _named(data, location)
    single = {
        str(name): value.item() if isinstance(value, np.ndarray) else value
        for name, value in data.items()
        if not is_many(value)
    }
    many = {
        str(name): _column(value, Location(location, str(name)), origins)
        for name, value in data.items()
        if is_many(value)
    }
    lengths = {name: len(column) for name, column in many.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise DataError(location, "columns of one length", found)
    rows = next(iter(lengths.values()), 1)
    for name, value in single.items():
        many[name] = take(_noted(from_values, [value], Location(location, name), origins), np.zeros(rows, int))
    return Table({str(name): many[str(name)] for name in data}, "dict", location, origins)


def is_many(value: Any) -> bool:
    """Whether a value holds the values of several rows, rather than one for all rows."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__") and hasattr(value, "__getitem__")


def _column(value: Any, location: Location, origins: ColumnOrigins) -> Column:
    """A list, an array or a series of any library as a column."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return _noted(from_values, value, location, origins)
    import narwhals as nw

    try:
        series = nw.from_native(value, series_only=True)
    except TypeError:
        return _noted(from_values, list(value), location, origins)
    native = series.to_native()
    if str(getattr(native, "dtype", "")).startswith("Sparse"):
        series = nw.from_native(native.sparse.to_dense(), series_only=True)
    if series.dtype == nw.Object:
        return _noted(from_values, series.to_list(), location, origins)
    try:
        array = series.to_arrow()
    except (NotImplementedError, ValueError, TypeError):  # types that Arrow doesn't have, such as complex numbers
        raise DataError(location.whole, SUPPORTED_KINDS, f"values of type {series.to_native().dtype}") from None
    return _noted(from_arrow, array, location, origins)
