"""The types that canonical columns don't have: noted where data enter, restored where they leave.

| type that went in | canonical values | comes back as |
|---|---|---|
| whole numbers, some missing | float64; objects beyond 2**53 | int and None; in pandas Int64 |
| truth values, some missing | objects | bool and None; in pandas boolean |
| durations | seconds | timedelta |
| decimals | float64 | Decimal with as many digits |
| dates without a time | datetime64[us] | date |
| dates that are a category | text, such as 2026-01-31T00:00:00 | datetime |
| times of the day | text, such as 12:30:00 | time |
| times in a zone | datetime64[us], in UTC | datetime in the zone |
| periods (pandas) | datetime64[us], the start | Period of the same frequency: the one that holds the time |
| months, quarters or weeks as text | text, or datetime64[us], the start | text, spelled in the same way |
| UUIDs | text | UUID |
| intervals (pandas) | text, such as (0, 10] | Interval |
| categoricals | their values | categorical with the same categories and order |
"""

import datetime as dt
import itertools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from unspool.errors import SchemaError
from unspool.tables.columns import Column, Origin, Ragged, to_list
from unspool.tables.spellings import SPELLINGS

MAX_KEPT_CATEGORIES = 1_000
"""Categories of a categorical that are kept; of one with more, only those that occur come back."""


def canonical(array: Any) -> tuple[Any, Origin | None]:
    """An Arrow array of single values in a type that `unspool.tables.arrow` reads, and its origin, if it has one."""
    import pyarrow as pa

    types, kind = pa.types, array.type
    if isinstance(array, pa.ExtensionArray):
        name = getattr(kind, "extension_name", "")
        if name == "pandas.period":
            return _period_starts(array), Origin("period", kind.freq)
        if name == "pandas.interval":
            return _interval_texts(array), Origin("interval", str(kind.storage_type.field("left").type))
        if name == "arrow.uuid":
            texts = [None if value is None else str(value) for value in array.to_pylist()]
            return pa.array(texts, pa.string()), Origin("uuid")
        return array.storage, None
    if types.is_duration(kind):
        return _seconds(array), Origin("duration")
    if types.is_decimal(kind):
        return array, Origin("decimal", str(max(kind.scale, 0)))
    if types.is_date(kind):
        return array, Origin("date")
    if types.is_time(kind):
        return array, Origin("clock")
    if types.is_timestamp(kind) and kind.tz:
        return array, Origin("zone", kind.tz)
    if types.is_integer(kind) and array.null_count:
        return array, Origin("whole")
    return array, Origin("boolean") if types.is_boolean(kind) and array.null_count else None


def _seconds(array: Any) -> Any:
    """Durations as seconds: whole numbers if all of them are."""
    import pyarrow as pa

    missing = array.is_null().to_numpy(zero_copy_only=False)
    micros = array.cast(pa.duration("us"), safe=False).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    whole = not np.any(micros % 1_000_000)
    return pa.array(micros // 1_000_000 if whole else micros / 1e6, mask=missing)


def _period_starts(array: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    starts = pd.PeriodIndex(array.to_pandas()).to_timestamp(how="start")
    return pa.array(starts.to_numpy().astype("datetime64[us]"))


def _interval_texts(array: Any) -> Any:
    import pyarrow as pa

    sides = {"left": "[)", "right": "(]", "both": "[]", "neither": "()"}[array.type.closed]
    # With a comma, closed intervals would read as JSON lists.
    between = ".." if sides == "[]" else ", "
    ends = [None if part is None or part["left"] is None else part for part in array.storage.to_pylist()]
    texts = [None if part is None else f"{sides[0]}{part['left']}{between}{part['right']}{sides[1]}" for part in ends]
    return pa.array(texts, pa.string())


def restore(column: Column, origin: Origin | None) -> list[Any]:
    """Plain Python values of the type that went in, None where missing.

    Examples:
        >>> restore(np.array([90.0, np.nan]), Origin("duration"))
        [datetime.timedelta(seconds=90), None]
    """
    if origin is None or origin.kind == "plain":
        return to_list(column)
    if isinstance(column, Ragged):
        items = restore(column.values, origin)
        rows = [items[start:end] for start, end in itertools.pairwise(column.offsets.tolist())]
        return [None if missing else row for row, missing in zip(rows, column.missing, strict=True)]
    convert, values = _converter(origin), to_list(column)
    if origin.kind in ("date", "moment", "zone", "period"):  # those that are a category are text
        values = [dt.datetime.fromisoformat(value) if isinstance(value, str) else value for value in values]
    return [None if value is None else convert(value) for value in values]


def check_origin(name: str, origin: Origin) -> None:
    """Refuse an origin whose detail says nothing, as in a damaged file, with a `SchemaError`.

    Examples:
        >>> check_origin("when", Origin("spelled", "YYYY-Q1"))
        >>> check_origin("when", Origin("spelled", "YY-Q1"))
        Traceback (most recent call last):
        unspool.errors.SchemaError: origin of 'when': expected a detail of 'spelled', found 'YY-Q1'.
    """
    # What a zone or a frequency may be depends on the machine.
    known = {"spelled": origin.detail in SPELLINGS, "decimal": origin.detail.isdecimal()}
    if not known.get(origin.kind, True):
        raise SchemaError(f"origin of {name!r}", f"a detail of {origin.kind!r}", repr(origin.detail))


def _converter(origin: Origin) -> Callable[[Any], Any]:
    """The function that makes a canonical value one of the type that went in."""
    match origin.kind:
        case "whole":
            return lambda value: int(value) if value == value // 1 else value
        case "duration":
            return lambda value: dt.timedelta(microseconds=round(value * 1e6))
        case "decimal":
            return lambda value: Decimal(f"{value:.{origin.detail}f}")
        case "date":
            return lambda value: value.date()
        case "zone":
            import pyarrow as pa

            zone = pa.lib.string_to_tzinfo(origin.detail)
            return lambda value: value.replace(tzinfo=dt.UTC).astimezone(zone)
        case "period":
            return _period(origin.detail)
        case "spelled":
            return SPELLINGS[origin.detail].format
        case "clock":
            return dt.time.fromisoformat
        case "uuid":
            return UUID
        case "interval":
            return _interval(origin.detail)
    return lambda value: value


def _period(freq: str) -> Callable[[Any], Any]:
    try:
        import pandas as pd
    except ImportError:
        return lambda value: value
    return lambda value: pd.Period(value, freq)


def _interval(kind: str) -> Callable[[Any], Any]:
    try:
        import pandas as pd
    except ImportError:
        return lambda value: value
    end: Any = int if "int" in kind else float if kind in ("double", "float") else pd.Timestamp
    closed = {"[)": "left", "(]": "right", "[]": "both", "()": "neither"}

    def parse(text: str) -> Any:
        left, right = re.split(r", |\.\.", text[1:-1])
        return pd.Interval(end(left), end(right), closed[text[0] + text[-1]])

    return parse


def to_pandas_series(column: Column, origin: Origin) -> Any:
    """A pandas Series of the type that went in."""
    import pandas as pd

    values = restore(column, origin)
    if isinstance(column, Ragged):
        return pd.Series(values, dtype=object)
    known = None if origin.categories is None else restore(np.array(origin.categories, object), origin) or None
    if origin.categories is not None and (known is None or set(values) <= {*known, None}):
        return pd.Series(pd.Categorical(values, known, ordered=origin.ordered))
    dtypes = {"moment": "datetime64[us]", "whole": "Int64", "boolean": "boolean", "duration": "timedelta64[us]"}
    dtypes |= {"zone": f"datetime64[us, {origin.detail}]", "period": f"period[{origin.detail}]"}
    return pd.Series(values, dtype=dtypes.get(origin.kind))


def to_arrow_array(column: Column, origin: Origin) -> Any:
    """An Arrow array of the type that went in; of periods dates, of UUIDs and intervals text."""
    import pyarrow as pa

    if isinstance(column, Ragged):
        return pa.array(restore(column, origin))
    plain = {"uuid": pa.string(), "interval": pa.string()}
    if origin.kind == "period":
        origin = Origin("moment")
    if origin.kind in plain:
        array = pa.array(to_list(column), plain[origin.kind])
    else:
        types = {"whole": pa.int64(), "boolean": pa.bool_(), "duration": pa.duration("us"), "date": pa.date32()}
        types["moment"] = pa.timestamp("us")
        types["clock"] = pa.time64("us")
        types["zone"] = pa.timestamp("us", origin.detail or "UTC")
        types["decimal"] = pa.decimal128(38, int(origin.detail or 0)) if origin.kind == "decimal" else None
        array = pa.array(restore(column, origin), types.get(origin.kind))
    return array if origin.categories is None else array.dictionary_encode()
