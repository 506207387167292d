"""Any table in, the same kind of table out."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from unspool.errors import DataError, Location, SchemaError, close_matches, listing
from unspool.tables.arrow import from_arrow, from_values
from unspool.tables.columns import Column
from unspool.tables.readers import read_path, read_stream

TableKind = Literal["dict", "records", "pandas", "polars", "pyarrow"]
"""The kinds of table that a result can be."""

ACCEPTED = "a pandas, Polars or PyArrow table, a dict of lists, a list of dicts, or a path"


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of one length, in canonical form (see `unspool.tables.columns`).

    Args:
        columns: by name, in the order of the source.
        kind: what the caller gave: "pandas", "polars", "pyarrow" (or another back end of Narwhals), "dict",
            "records", "csv", "jsonl", "json", "parquet".
        location: what error messages call it: the path, or "the data".
    """

    columns: dict[str, Column]
    kind: str
    location: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def column(self, name: str) -> Column:
        """One column.

        Raises:
            SchemaError: there is no such column; lists those there are.
        """
        if name not in self.columns:
            raise self.unknown([name])
        return self.columns[name]

    def need(self, names: Sequence[str | None]) -> None:
        """Refuse a table that lacks any of the columns, naming all that it lacks, or that has no rows."""
        if not self.columns:
            raise DataError(self.location, "at least one row", "none")
        missing = [name for name in names if name is not None and name not in self.columns]
        if missing:
            raise self.unknown(missing)
        if not len(self):
            raise DataError(self.location, "at least one row", "none")

    def unknown(self, names: Sequence[str]) -> SchemaError:
        """The error about columns that aren't there."""
        close = {name: close_matches(name, self.columns, n=1) for name in names}
        hints = [f"{near[0]!r} for {name!r}" for name, near in close.items() if near]
        expected = "the column" + ("s " if len(names) > 1 else " ") + ", ".join(map(repr, names))
        found = f"only {listing(map(repr, self.columns), 20)}" if self.columns else "no columns"
        return SchemaError(self.location, expected, found, f"Did you mean {', '.join(hints)}?" if hints else "")


def read_table(data: Any, location: str | None = None, *, strings: Sequence[str] = ()) -> Table:
    """Read a table of any kind.

    Args:
        data: a pandas, Polars or PyArrow frame (anything that Narwhals reads), a dict of lists or arrays (a
            single value stands for all rows), a list of dicts, a path to CSV, TSV, JSON, JSON lines or Parquet
            (text formats also compressed), an open file or stream with CSV or JSON, or a `Table`.
        location: what errors call it; by default the path, or "the data".
        strings: columns of a CSV file to read as text even if they look like numbers or dates.

    Raises:
        DataError: data that can't be read, or that isn't a table.

    Examples:
        >>> read_table({"x": [1, 2], "y": "same"}).columns["y"].tolist()
        ['same', 'same']
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, (str, Path)):
        kind, raw = read_path(Path(data), strings)
        return Table(dict(_columns(raw, str(data))), kind, location or str(data))
    name = location or "the data"
    if isinstance(data, Mapping):
        return Table(_broadcast(data, name), "dict", name)
    if isinstance(data, (list, tuple)):
        return Table(dict(_columns(_transpose(data, name), name)), "records", name)
    if hasattr(data, "read"):
        kind, raw = read_stream(data, location or "standard input", strings)
        return Table(dict(_columns(raw, location or "standard input")), kind, location or "standard input")
    return _frame(data, name)


def frame_kind(data: Any) -> TableKind:
    """The kind of table that a result should be, where it goes with no table but that of training.

    Examples:
        >>> frame_kind([{"x": 1}]), frame_kind("names.csv")
        ('records', 'dict')
    """
    kind = type(data).__module__.partition(".")[0]
    if isinstance(data, (list, tuple)):
        return "records"
    return cast(TableKind, kind) if kind in get_args(TableKind) else "dict"


def installed(kind: TableKind) -> TableKind:
    """The same kind, or a dict of lists where the library is not there."""
    return kind if kind in ("dict", "records") or importlib.util.find_spec(kind) else "dict"


def _frame(data: Any, location: str) -> Table:
    import narwhals as nw

    try:
        frame: Any = nw.from_native(data)
    except nw.exceptions.DuplicateError as error:
        raise DataError(location, "every column name once", str(error).splitlines()[-1].strip(" -")) from None
    except TypeError:
        raise DataError(location, ACCEPTED, f"a {type(data).__module__}.{type(data).__qualname__}") from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    columns: dict[str, Column] = {}
    for series in frame.iter_columns():
        where = Location(location, str(series.name))
        is_object = series.dtype == nw.Object
        columns[where.column] = (
            from_values(series.to_list(), where) if is_object else from_arrow(series.to_arrow(), where)
        )
    return Table(columns, frame.implementation.name.lower(), location)


def _columns(raw: Any, location: str) -> Iterator[tuple[str, Column]]:
    """Columns of a PyArrow table, or of a dict of lists."""
    for name in raw.column_names if hasattr(raw, "column_names") else raw:
        values, where = raw[name], Location(location, name)
        yield name, from_values(values, where) if isinstance(values, list) else from_arrow(values, where)


def _transpose(rows: Sequence[Any], location: str) -> dict[str, list[Any]]:
    names: dict[str, None] = {}
    for row, record in enumerate(rows):
        if not isinstance(record, Mapping):
            raise DataError(f"{location}: row {row + 1}", "a dict of column names and values", type(record).__name__)
        names.update(dict.fromkeys(record))
    return {str(name): [record.get(name) for record in rows] for name in names}


def _broadcast(data: Mapping[Any, Any], location: str) -> dict[str, Column]:
    single = {name: value for name, value in data.items() if not is_many(value)}
    many = {
        str(name): _series(value, Location(location, str(name))) for name, value in data.items() if name not in single
    }
    lengths = {name: len(column) for name, column in many.items()}
    rows = next(iter(lengths.values()), 1)
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise DataError(location, "columns of one length", found)
    for name, value in single.items():
        one = from_values([value], Location(location, str(name)))
        many[str(name)] = (
            np.repeat(one, rows) if isinstance(one, np.ndarray) else from_values([value] * rows, Location(location, ""))
        )
    return {str(name): many[str(name)] for name in data}


def is_many(value: Any) -> bool:
    """Whether a value stands for several rows, rather than for all rows alike."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__") and hasattr(value, "__getitem__")


def _series(value: Any, location: Location) -> Column:
    if isinstance(value, (list, tuple, np.ndarray)):
        return from_values(value, location)
    import narwhals as nw

    try:
        series = nw.from_native(value, series_only=True)
    except TypeError:
        return from_values(list(value), location)
    return (
        from_values(series.to_list(), location)
        if series.dtype == nw.Object
        else from_arrow(series.to_arrow(), location)
    )
