"""Canonical columns (see `unspool.tables.columns`) from Arrow arrays, NumPy arrays and Python values."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from unspool.errors import DataError, Location, UnspoolError
from unspool.tables.columns import (
    MAX_EXACT_INTEGER,
    Column,
    ColumnOrigins,
    Origin,
    Ragged,
    Record,
    offsets_from_lengths,
    to_list,
)
from unspool.tables.origins import MAX_KEPT_CATEGORIES, canonical

MAX_YEARS = 290_000
"""Years from 1970 that microseconds of 64 bits hold; later dates would be other ones."""
MAX_NESTING = 32
"""How deep lists and records may lie in each other."""
CONTAINERS = (list, tuple, dict, set, frozenset, np.ndarray)
SUPPORTED_KINDS = "numbers, text, truth values, dates, durations, lists or records"


@contextlib.contextmanager
def conversion(location: str) -> Iterator[None]:
    """The one door for errors of other libraries: what they refuse to convert is a `DataError` with their error."""
    try:
        yield
    except (UnspoolError, MemoryError):
        raise
    except Exception as error:  # each library has its own errors, and each version others
        found = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        hint = "Convert the column that the message is about to plain numbers, texts or dates."
        raise DataError(location, f"a table of {SUPPORTED_KINDS}", found, hint) from error


def from_arrow(
    array: Any, location: Location, origins: ColumnOrigins | None = None, key: tuple[str, ...] = ()
) -> Column:
    """A PyArrow (Chunked)Array as a canonical column; a `DataError` refuses types such as bytes.

    Args:
        array: the array.
        location: the location of the column.
        origins: takes the type of the values under `key`, by default the column's name, and of fields inside records.
        key: see `unspool.tables.origins.ColumnOrigins`.
    """
    import pyarrow as pa

    key = key or (location.column,)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        return _from_dictionary(array, location, origins, key)
    if isinstance(array, pa.RunEndEncodedArray):
        return from_arrow(array.cast(array.type.value_type), location, origins, key)
    array, origin = canonical(array)
    if origin is not None and origins is not None:
        origins[key] = origin
    kind = array.type
    try:
        plain = _plain(array)
    except pa.ArrowInvalid as error:
        if not pa.types.is_integer(kind):
            raise
        raise _too_large(location) from error
    if plain is not None:
        return plain
    if pa.types.is_fixed_size_list(kind):
        array = array.cast(pa.large_list(kind.value_type))
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        # flatten() leaves out the items that may lie behind a null list; the raw offsets would not.
        return Ragged(from_arrow(array.flatten(), location, origins, key), offsets_from_lengths(lengths), missing)
    if pa.types.is_struct(kind):
        parts = zip((field.name for field in kind), array.flatten(), strict=True)
        fields = {name: from_arrow(part, location, origins, (location.column, name)) for name, part in parts}
        return Record(fields, missing)
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    hint = "Decode them, as in value.decode(), or write them as text." if binary else ""
    raise DataError(location.whole, SUPPORTED_KINDS, f"values of type {kind}", hint)


def _from_dictionary(array: Any, location: Location, origins: ColumnOrigins | None, key: tuple[str, ...]) -> Column:
    """The values of a categorical; its origin has their categories."""
    column = from_arrow(array.dictionary_decode(), location, origins, key)
    if origins is not None:
        known = to_list(from_arrow(array.dictionary, location))
        few = len(known) <= MAX_KEPT_CATEGORIES and all(isinstance(value, (str, int, float)) for value in known)
        # Values that are missing are no whole numbers of their own: the categories say what they are.
        origin = origins.get(key, Origin())
        kept = Origin() if origin.kind in ("whole", "boolean") else origin
        categories = tuple(known) if few else ()
        origins[key] = msgspec.structs.replace(kept, categories=categories, ordered=array.type.ordered and few)
    return column


def _plain(array: Any) -> np.ndarray | None:
    """An array of single values as NumPy has them; None of lists, records and unsupported types."""
    import pyarrow as pa

    types, kind = pa.types, array.type
    if types.is_null(kind):
        return np.full(len(array), np.nan)
    if types.is_integer(kind) and array.null_count and _beyond_floats(array):
        return np.array(array.cast(pa.int64()).to_pylist(), dtype=object)
    if types.is_floating(kind) or types.is_decimal(kind) or (types.is_integer(kind) and array.null_count):
        return array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    if types.is_integer(kind):
        return array.cast(pa.int64()).to_numpy(zero_copy_only=False)
    if types.is_boolean(kind) and not array.null_count:
        return array.to_numpy(zero_copy_only=False)
    if types.is_timestamp(kind) or types.is_date(kind):
        zone = getattr(kind, "tz", None)
        stamps = array.cast(pa.timestamp("us", zone), safe=types.is_timestamp(kind) and kind.unit == "s")
        return stamps.to_numpy(zero_copy_only=False).astype("datetime64[us]")
    if types.is_time(kind):
        array = array.cast(pa.string())
    as_objects = (types.is_string, types.is_large_string, types.is_string_view, types.is_time, types.is_boolean)
    return array.to_numpy(zero_copy_only=False).astype(object) if any(test(kind) for test in as_objects) else None


def _beyond_floats(array: Any) -> bool:
    """Whether a float64 would round some of the whole numbers, or hold one that another is rounded to."""
    import pyarrow.compute as pc

    ends = [abs(end) for end in pc.min_max(array).as_py().values() if end is not None]
    return max(ends, default=0) >= MAX_EXACT_INTEGER


def from_values(values: Any, location: Location, origins: ColumnOrigins | None = None) -> Column:
    """Python values, or a NumPy array of one to three axes, as a canonical column; `origins` as of `from_arrow`.

    A `DataError` names the first value whose type is not that of the rest.
    """
    with conversion(location.whole):
        return _from_values(values, location, origins)


def _from_values(values: Any, location: Location, origins: ColumnOrigins | None) -> Column:
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return _from_numpy(values, location, origins)
    rows: Sequence[Any] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if _is_deep(rows):  # Arrow would overflow the stack, which ends the process
        raise DataError(location.whole, f"lists and records at most {MAX_NESTING} deep", "deeper ones")
    if (plain := _of_one_type(rows)) is not None:
        return plain
    import pyarrow as pa

    arrays = [value for value in rows if isinstance(value, np.ndarray)]
    if arrays and all(value.ndim > 1 for value in arrays):
        return _stacked(rows, location)
    if any(isinstance(value, (list, tuple)) and _has_no_arrow_list(value) for value in rows):
        lengths = np.array([0 if _absent(value) else len(value) for value in rows])
        items = [item for value in rows if not _absent(value) for item in value]
        missing = np.array([_absent(value) for value in rows])
        return Ragged(from_values(items, location, origins), offsets_from_lengths(lengths), missing)
    try:
        return from_arrow(_arrow_array(rows), location, origins)
    except UnicodeEncodeError as error:
        row = next(i for i, value in enumerate(rows) if not is_unicode(value))
        hint = "A lone surrogate is half a character; remove it, or replace it with U+FFFD."
        raise DataError(location.at(row), "Unicode text", repr(rows[row]), hint) from error
    except (pa.ArrowException, OverflowError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        if isinstance(error, OverflowError):
            raise _too_large(location) from error
        raise _odd_one_out(rows, location, error) from error


def _is_deep(rows: Sequence[Any]) -> bool:
    """Whether lists and records lie in each other more than `MAX_NESTING` deep; one that holds itself does."""
    level: Iterable[Any] = rows
    for _ in range(MAX_NESTING + 1):
        containers = {id(value): value for value in level if isinstance(value, CONTAINERS)}
        if not containers:
            return False
        level = itertools.chain.from_iterable(map(_items, containers.values()))
    return True


def _items(container: Any) -> Iterable[Any]:
    if isinstance(container, np.ndarray):
        return container.ravel().tolist() if container.dtype.kind == "O" else ()
    return container.values() if isinstance(container, dict) else container


def _has_no_arrow_list(values: Sequence[Any]) -> bool:
    """Whether the first item is of a type that Arrow reads in a column but not in lists."""
    return type(next((item for item in values if item is not None), None)).__name__ in ("Period", "Interval", "UUID")


def _arrow_array(rows: Sequence[Any]) -> Any:
    """Python values as an Arrow array; periods and intervals are types of pandas alone."""
    import pyarrow as pa

    first = next((value for value in rows if not _absent(value)), None)
    if type(first).__name__ in ("Period", "Interval") and type(first).__module__.startswith("pandas"):
        import pandas as pd

        extension = pd.array([None if _absent(value) else value for value in rows])
        if not isinstance(extension.dtype, np.dtype):
            return pa.array(extension)
    return pa.array(rows, from_pandas=True)


def _of_one_type(rows: Sequence[Any]) -> np.ndarray | None:
    """Values that are all str, all int, all float or all bool; needs no Arrow, which imports pandas."""
    types = set(map(type, rows))
    kind = types.pop() if len(types) == 1 else None
    if kind is str:
        # The way through Arrow says which row holds a lone surrogate.
        return np.array(rows, dtype=object) if all(map(is_unicode, rows)) else None
    if kind in (float, bool):
        return np.array(rows, dtype=kind)
    if kind is int and min(rows) >= -(2**63) and max(rows) < 2**63:
        return np.array(rows, dtype=np.int64)
    return None


def _from_numpy(values: np.ndarray, location: Location, origins: ColumnOrigins | None) -> Column:
    if values.ndim > 1:
        rows, width = values.shape[:2]
        inner = _from_numpy(values.reshape(rows * width, *values.shape[2:]), location, origins)
        return Ragged(inner, np.arange(rows + 1, dtype=np.int64) * width, np.zeros(rows, bool))
    values, kind = np.atleast_1d(values), values.dtype.kind
    if kind == "u" and len(values) and values.max() > np.iinfo(np.int64).max:
        raise _too_large(location)
    if kind in "iufb":
        return values.astype({"i": np.int64, "u": np.int64, "f": np.float64, "b": bool}[kind])
    if kind == "M":
        years = values.astype("datetime64[Y]").astype(np.int64)
        outside = ~np.isnat(values) & (np.abs(years) > MAX_YEARS)
        if outside.any():
            row = int(np.argmax(outside))
            raise DataError(location.at(row), "a date of the years 1 to 9999", str(values[row]), "Correct it.")
        return values.astype("datetime64[us]")
    if kind in "UT":
        return from_values(values.astype(object), location)
    if kind == "m":
        import pyarrow as pa

        return from_arrow(pa.array(values.astype("timedelta64[us]")), location, origins)
    raise DataError(location.whole, SUPPORTED_KINDS, f"values of type {values.dtype}")


def _too_large(location: Location) -> DataError:
    return DataError(location.whole, "whole numbers below 2**63", "larger ones", "Write them as text.")


def _stacked(rows: Sequence[Any], location: Location) -> Ragged:
    """Rows that are arrays (T, F) each, whose T may differ."""
    missing = np.array([value is None for value in rows])
    arrays = [value for value in rows if value is not None]
    shape = arrays[0].shape[1:]
    for row, value in enumerate(rows):
        if value is not None and (not isinstance(value, np.ndarray) or value.shape[1:] != shape):
            found = f"shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise DataError(location.at(row), f"an array of shape (T, {shape[0]})", found)
    lengths = np.array([0 if value is None else len(value) for value in rows])
    return Ragged(from_values(np.concatenate(arrays), location), offsets_from_lengths(lengths), missing)


def is_unicode(value: Any) -> bool:
    """Whether a value, and the texts inside it, can be written as UTF-8."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return "\\ud" not in repr(value)


def _kind_name(value: Any) -> str:
    """The kind of a Python value, in a user's words."""
    if isinstance(value, (bool, np.bool_)):
        return "truth value"
    if isinstance(value, (int, float, np.integer, np.floating)):
        return "number"
    if isinstance(value, (list, tuple, np.ndarray)):
        return "list"
    return "text" if isinstance(value, str) else "record" if isinstance(value, dict) else type(value).__name__


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))


def _odd_one_out(rows: Sequence[Any], location: Location, error: Exception) -> DataError:
    """The first value whose kind is not that of most."""
    kinds = {row: _kind_name(value) for row, value in enumerate(rows) if not _absent(value)}
    if kinds and set(kinds.values()) == {"list"}:
        items = [item for value in rows if not _absent(value) for item in value]
        counts = [0 if _absent(value) else len(value) for value in rows]
        kinds = {row: _kind_name(item) for row, item in enumerate(items) if not _absent(item)}
        rows, location = items, Location(location.source, location.column, offsets_from_lengths(np.array(counts)))
    common = max(sorted(set(kinds.values())), key=list(kinds.values()).count, default="")
    for row, kind in kinds.items():
        if kind != common:
            hint = "Give every value the same type, and None where one is missing."
            expected = f"a {common}, like most of the values"
            return DataError(location.at(row), expected, f"{kind} {rows[row]!r}"[:120], hint)
    return DataError(location.whole, SUPPORTED_KINDS, f"values Arrow refuses: {error}")
