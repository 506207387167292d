"""Files and streams: CSV, TSV, JSON, JSON lines and Parquet, read whole and checked before they are parsed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from unspool.errors import DataError, FileError

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")


def format_of(path: str | Path) -> str:
    """The format of a file by its name: csv, tsv, jsonl, json or parquet; a `DataError` refuses other endings.

    Examples:
        >>> format_of("names.csv.gz")
        'csv'
    """
    path = Path(path)
    name = path.with_suffix("") if path.suffix in COMPRESSED else path
    if name.suffix.lower() not in FORMATS:
        sheet = name.suffix.lower() in SPREADSHEETS
        hint = "Save the sheet as CSV; in Python you can also pass pandas.read_excel(...)." if sheet else ""
        raise DataError(str(path), "a name that ends in " + ", ".join(FORMATS), repr(name.suffix), hint)
    return FORMATS[name.suffix.lower()]


def read_path(path: Path, strings: Sequence[str] = ()) -> tuple[str, Any]:
    """Read a file: its format, and a PyArrow table or a dict of lists; a `DataError` says why that is impossible."""
    kind = format_of(path)
    try:
        with path.open("rb") as file:  # the operating system's message is better than Arrow's
            raw = b"" if kind == "parquet" else file.read()
    except OSError as error:
        refused = FileError.from_os_error(path, error, "read")
        raise DataError(refused.location, refused.expected, refused.found, refused.hint) from error
    return (kind, _parquet(str(path), str(path))) if kind == "parquet" else read_bytes(raw, path, str(path), strings)


def read_bytes(raw: bytes, path: Path, location: str, strings: Sequence[str] = ()) -> tuple[str, Any]:
    """Read the bytes of a text file as `read_path` does; its name says format and compression."""
    import pyarrow as pa

    kind = format_of(path)
    if path.suffix in COMPRESSED:
        codec = path.suffix.removeprefix(".").replace("gz", "gzip").replace("zst", "zstd")
        try:
            raw = pa.CompressedInputStream(pa.BufferReader(raw), codec).read()
        except OSError as error:
            raise DataError(location, f"a file compressed as {path.suffix}", str(error)) from error
    return kind, _text(raw, kind, location, strings)


def read_stream(stream: IO[Any], location: str, strings: Sequence[str] = ()) -> tuple[str, Any]:
    """Read an open file as `read_path` does; its first bytes say whether it is Parquet, JSON, JSON lines or CSV."""
    raw = stream.read()
    if isinstance(raw, str):
        raw = raw.encode()
    if raw[:4] == b"PAR1":
        import pyarrow as pa

        return "parquet", _parquet(pa.BufferReader(raw), location)
    start = raw.removeprefix(b"\xef\xbb\xbf").lstrip()
    kind = "json" if start[:1] == b"[" else "jsonl" if start[:1] == b"{" else "csv"
    return kind, _text(raw, kind, location, strings)


def _text(raw: bytes, kind: str, location: str, strings: Sequence[str]) -> Any:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        found = f"byte 0x{raw[error.start]:02x} at position {error.start}, line {line}"
        raise DataError(f"{location}: line {line}", "UTF-8 text", found, "Save the file again as UTF-8.") from error
    if kind in ("csv", "tsv"):
        return _csv(raw, location, "\t" if kind == "tsv" else ",", strings)
    return _json(raw.removeprefix(b"\xef\xbb\xbf"), location, lines=kind == "jsonl")


def delimiter_of(raw: bytes, usual: str) -> str:
    r"""The delimiter of a CSV file: the usual one if the first line has it, else a semicolon, tab or bar.

    Another one must divide the first two lines into as many cells.

    Examples:
        >>> delimiter_of(b"id;x\n1;0,5\n", ","), delimiter_of(b"a;b\nc\n", ",")
        (';', ',')
    """
    lines = [_QUOTED_CELL.sub(b"", line) for line in raw[:100_000].splitlines() if line.strip()][:2]
    if len(lines) < 2 or usual.encode() in lines[0]:
        return usual
    counts = {mark: [line.count(mark.encode()) for line in lines] for mark in (",", ";", "\t", "|")}
    found = [mark for mark, (first, second) in counts.items() if first == second > 0]
    return found[0] if len(found) == 1 else usual


_QUOTED_CELL = re.compile(rb'"(?:[^"]|"")*"')
_DECIMAL_COMMA = re.compile(rb"(?:^|[;\r\n])\s*[+-]?\d+,\d+\s*(?=[;\r\n]|$)")
_DECIMAL_POINT = re.compile(rb"(?:^|[;\r\n])\s*[+-]?\d+\.\d+\s*(?=[;\r\n]|$)")


def _has_decimal_commas(raw: bytes) -> bool:
    """Whether cells between semicolons hold numbers such as 0,5, and none such as 0.5."""
    return bool(_DECIMAL_COMMA.search(raw)) and not _DECIMAL_POINT.search(raw)


def refuse_unclosed_quotes(raw: bytes, delimiter: str, location: str) -> None:
    """Refuse a quote at the start of a cell that swallows the lines after it.

    It is not closed; or a later quote, which opens another cell, closes it in the middle of a line.

    Raises:
        DataError: names the line where the quote opens.
    """
    mark = re.escape(delimiter.encode())
    opening = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|(?<=[\r\n]|" + mark + rb'))"')
    cell = re.compile(rb'(?:[^"]++|"")*+')
    at = 0
    while (quote := opening.search(raw, at)) is not None:
        inside = cell.match(raw, quote.end())
        at = (len(raw) if inside is None else inside.end()) + 1
        after = raw[at : at + 1]
        closed = at <= len(raw) and after in (b"", b"\r", b"\n", delimiter.encode())
        if not closed and (at > len(raw) or b"\n" in raw[quote.end() : at] or b"\r" in raw[quote.end() : at]):
            line = raw[: quote.end()].count(b"\n") + 1
            start = raw[quote.start() :].splitlines()[0][:30].decode(errors="replace")
            hint = 'Close it, or write a quote that belongs to the text twice: ""'
            raise DataError(f"{location}: line {line}", "a quote that closes in its cell", start, hint)


def _csv(raw: bytes, location: str, delimiter: str, strings: Sequence[str]) -> Any:
    """A CSV file as a PyArrow table. An empty cell is a missing value; so is "NA" and its like among numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    delimiter = delimiter_of(raw, delimiter)
    refuse_unclosed_quotes(raw, delimiter, location)
    point = "," if delimiter == ";" and _has_decimal_commas(raw) else "."
    options = csv.ConvertOptions(column_types=dict.fromkeys(strings, pa.string()), decimal_point=point)
    # One block, because types are inferred from the first block alone.
    blocks = csv.ReadOptions(block_size=min(max(len(raw) + 1, 4096), 2**31 - 1))
    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    try:
        table = csv.read_csv(pa.BufferReader(raw), blocks, parse, options)
    except pa.ArrowInvalid as error:
        message = str(error).splitlines()[0]
        hint = "The first line must name the columns; quote a cell that holds a comma."
        raise DataError(location, "a CSV table", message if raw.strip() else "an empty file", hint) from error
    names = table.column_names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(
            f"{location}: line 1", "every column name once", f"{', '.join(map(repr, twice))} more than once"
        )
    empty_is_null = {
        name: pc.if_else(pc.equal(table[name], ""), pa.scalar(None, pa.string()), table[name])
        for name in names
        if pa.types.is_string(table[name].type)
    }
    return pa.table({name: empty_is_null.get(name, table[name]) for name in names})


def _json(raw: bytes, location: str, *, lines: bool) -> dict[str, list[Any]]:
    records = list(_json_lines(raw, location)) if lines else _decode(raw, location)
    if isinstance(records, dict):
        lengths = {len(values) if isinstance(values, list) else -1 for values in records.values()}
        if len(lengths) > 1 or -1 in lengths:
            raise DataError(location, "a JSON array of objects, or an object of arrays of one length", "other JSON")
        return records
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(location, "a JSON array of objects, or an object of arrays", "other JSON")
    return transpose(records)


def transpose(records: Sequence[Mapping[Any, Any]]) -> dict[Any, list[Any]]:
    """Records as lists by key, in order of appearance; None where a record lacks a key."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _json_lines(raw: bytes, location: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        record = _decode(line, location, first_line=number)
        if not isinstance(record, dict):
            raise DataError(f"{location}: line {number}", "a JSON object", line[:40].decode(errors="replace"))
        yield record


def _decode(raw: bytes, location: str, first_line: int = 1) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        byte = re.search(r"byte (\d+)", str(error))
        line = first_line + raw[: int(byte[1]) if byte else len(raw)].count(b"\n")
        hint = "A missing value is null; NaN is not JSON."
        raise DataError(f"{location}: line {line}", "JSON", str(error).rstrip("."), hint) from error


def _parquet(source: Any, location: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(source).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(location, "a Parquet file", str(error).splitlines()[0]) from error
