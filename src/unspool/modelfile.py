"""The model file: arrays and one JSON string in a safetensors container, which can hold data and nothing else.

`docs/format.md` describes it byte by byte. The library `safetensors` writes. Unspool reads, because a model file may
come from anywhere: every size is checked against the file before memory is taken, and every defect has its own error.
"""

import io
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, cast, overload

import msgspec
import numpy as np
import safetensors.numpy

from unspool.errors import (
    CorruptFile,
    FileError,
    ForeignFile,
    NewerFormat,
    NonFiniteWeights,
    OversizedFile,
    TruncatedFile,
    path_text,
)
from unspool.runtime.storage import is_url, opened_url, whole_file

FORMAT_VERSION = 2
"""The version of the configuration that this Unspool writes; it reads all versions up to it."""

KEY = "unspool"
"""The metadata key whose value is the configuration, one JSON string."""

HEADER_LIMIT = 100_000_000
"""The longest header in bytes; the safetensors library has the same limit."""

_CODES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U64": "<u8", "U32": "<u4", "U8": "|u1"}
DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(code) for name, code in _CODES.items()}
"""The number types that a model file may hold, all little-endian."""

_PREFIX = 8
_MAX_ELEMENTS = 2**59
_RESAVE = "Save the model again, or fetch the file again."
_FOREIGN = "Pass a file that OneToMany.save or `unspool fit` wrote."

Configuration = TypeVar("Configuration")
Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor as the header describes it: its type, shape, and position among the bytes after the header."""

    dtype: str
    shape: Annotated[tuple[Size, ...], msgspec.Meta(max_length=8)]
    data_offsets: tuple[Size, Size]


class _Version(msgspec.Struct):
    format: Annotated[int, msgspec.Meta(ge=1)]


def write(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], config: object) -> None:
    """Write a model file, whole or not at all.

    The tensors have types of `DTYPES` and are finite. Msgspec writes `config` as a JSON object with the key `format`.

    A struct is also read back as its class, so that no file is written which `read` would refuse.

    Raises:
        NonFiniteWeights: an array holds NaN or infinity; nothing was written.
        CorruptFile: the configuration or an array can't be in a model file; nothing was written.
        FileError: the path can't be written to.
    """
    location = path_text("path", path)
    try:
        text = msgspec.json.encode(config)
    except (OverflowError, RecursionError, TypeError, UnicodeEncodeError) as error:
        raise CorruptFile(f"{location}: configuration", "values that JSON can hold", str(error)) from error
    _decode(location, text, type(config) if isinstance(config, msgspec.Struct) else dict)
    arrays = {}
    for name, tensor in tensors.items():
        array = np.asarray(tensor)
        if array.dtype.newbyteorder("<") not in DTYPES.values():
            raise CorruptFile(f"{location}: tensor {name!r}", "numbers of " + ", ".join(DTYPES), str(array.dtype))
        _check_finite(location, name, array)
        arrays[name] = np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")
    data = safetensors.numpy.save(arrays, metadata={KEY: text.decode()})
    if int.from_bytes(data[:_PREFIX], "little") > HEADER_LIMIT:
        raise OversizedFile(location, f"a configuration of at most {HEADER_LIMIT:,} bytes", f"{len(text):,} bytes")
    with whole_file(path) as file:
        file.write(data)


@overload
def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]: ...
@overload
def read(path: str | os.PathLike[str], kind: type[Configuration]) -> tuple[Configuration, dict[str, np.ndarray]]: ...
def read(path: str | os.PathLike[str], kind: Any = dict) -> tuple[Any, dict[str, np.ndarray]]:
    """Read a model file: its configuration, as `kind` (a msgspec Struct), and its arrays by name.

    Raises:
        FileError: one of its kinds: `ForeignFile`, `TruncatedFile`, `OversizedFile`, `NewerFormat`, `CorruptFile` or
            `NonFiniteWeights`.
    """
    with opened(path, kind) as contents:
        return contents.config, contents.arrays()


@contextmanager
def opened(path: str | os.PathLike[str], kind: type[Configuration]) -> "Iterator[Contents[Configuration]]":
    """A model file whose header has been read and checked, and whose arrays have not; errors as of `read`."""
    with _opened(path) as (location, file, size):
        text, entries = _header(location, file, size)
        yield Contents(location, _decode(location, text, kind), entries, file)


@dataclass(frozen=True)
class Contents(Generic[Configuration]):
    """An open model file.

    Attributes:
        location: the path.
        config: the configuration.
        entries: by name, what the header says about each array, in the order of their bytes.
        file: positioned at the first of them.
    """

    location: str
    config: Configuration
    entries: Mapping[str, Entry]
    file: io.BufferedReader

    def arrays(self) -> dict[str, np.ndarray]:
        """Read the arrays by name; once."""
        return {name: _tensor(self.location, self.file, name, entry) for name, entry in self.entries.items()}


@overload
def read_config(path: str | os.PathLike[str]) -> dict[str, Any]: ...
@overload
def read_config(path: str | os.PathLike[str], kind: type[Configuration]) -> Configuration: ...
def read_config(path: str | os.PathLike[str], kind: Any = dict) -> Any:
    """Read only the configuration of a model file; only the sizes of its arrays are checked."""
    with _opened(path) as (location, file, size):
        return _decode(location, _header(location, file, size)[0], kind)


def read_entries(path: str | os.PathLike[str]) -> dict[str, Entry]:
    """Read only the header's entries about arrays: types, shapes and positions."""
    with _opened(path) as (location, file, size):
        return _header(location, file, size)[1]


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[str, io.BufferedReader, int]]:
    location = path_text("path", path)
    if is_url(location):
        with opened_url(location) as (file, size):
            yield location, file, size
        return
    try:
        if not stat.S_ISREG(os.stat(location).st_mode):  # before opening: a pipe would wait for its writer
            raise FileError(location, "a file", "a folder, device or pipe", _FOREIGN)
        with open(location, "rb") as file:
            yield location, file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise FileError.from_os_error(location, error, "read") from error


def _header(location: str, file: io.BufferedReader, size: int) -> tuple[bytes, dict[str, Entry]]:
    """The configuration's text and the tensors' entries in the order of their bytes, all sizes checked."""
    fields = _object(location, _header_bytes(location, file, size))
    metadata = fields.pop("__metadata__", {})
    if not isinstance(metadata, dict) or KEY not in metadata:
        raise ForeignFile(location, "an Unspool model", "a safetensors file of something else", _FOREIGN)
    if metadata.keys() != {KEY} or not isinstance(metadata[KEY], str):
        raise CorruptFile(location, f"the one text {KEY!r} as metadata", ", ".join(map(repr, metadata)), _RESAVE)
    try:
        text = metadata[KEY].encode()
    except UnicodeEncodeError:
        raise CorruptFile(location, "a configuration in Unicode", "half of a surrogate pair", _RESAVE) from None
    entries = {name: _entry(location, name, value) for name, value in fields.items()}
    entries = dict(sorted(entries.items(), key=lambda item: item[1].data_offsets))
    _check_layout(location, entries, size - file.tell())
    return text, entries


def _header_bytes(location: str, file: io.BufferedReader, size: int) -> bytes:
    prefix = file.read(_PREFIX)
    if len(prefix) < _PREFIX:
        raise TruncatedFile(location, f"at least {_PREFIX} bytes", f"{len(prefix)}", _RESAVE)
    length = int.from_bytes(prefix, "little")
    if size > _PREFIX and file.read(1) != b"{":
        raise ForeignFile(location, "an Unspool model", "a file of another kind", _FOREIGN)
    if length > HEADER_LIMIT:
        raise OversizedFile(location, f"a header of at most {HEADER_LIMIT:,} bytes", f"one of {length:,}", _RESAVE)
    if length > size - _PREFIX:
        raise TruncatedFile(location, f"a header of {length:,} bytes", f"{size - _PREFIX:,}", _RESAVE)
    file.seek(_PREFIX)
    return file.read(length)


def _object(location: str, data: bytes) -> dict[str, Any]:
    """The header's JSON object. A name that occurs twice is refused; most readers take the last one."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name that occurs twice")
        return found

    try:
        value = json.loads(data.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        found = f"unreadable JSON ({str(error).splitlines()[0]})"
        raise CorruptFile(f"{location}: header", "a JSON object of distinct names", found, _RESAVE) from None
    return cast(dict[str, Any], value)  # it starts with a brace, so it is an object


def _entry(location: str, name: str, value: object) -> Entry:
    where = f"{location}: tensor {name!r}"
    try:
        entry = msgspec.convert(value, Entry)
    except msgspec.ValidationError as error:
        raise CorruptFile(where, "dtype, shape and data_offsets", str(error), _RESAVE) from None
    if entry.dtype not in DTYPES:
        raise CorruptFile(where, "a dtype of " + ", ".join(DTYPES), repr(entry.dtype), _RESAVE)
    start, stop = entry.data_offsets
    if math.prod(max(size, 1) for size in entry.shape) > _MAX_ELEMENTS:
        raise OversizedFile(where, "a shape that memory can hold", "x".join(map(str, entry.shape)), _RESAVE)
    needed = math.prod(entry.shape) * DTYPES[entry.dtype].itemsize
    if needed > stop - start:
        raise OversizedFile(where, f"a shape for its {stop - start:,} bytes", f"one that needs {needed:,}", _RESAVE)
    if needed < stop - start:
        raise CorruptFile(where, f"{needed:,} bytes for its shape", f"{stop - start:,}", _RESAVE)
    return entry


def _check_layout(location: str, entries: Mapping[str, Entry], available: int) -> None:
    """The tensors must lie end to end: no gap, no overlap, from the header to the last byte of the file."""
    expected = 0
    for name, entry in entries.items():
        start, stop = entry.data_offsets
        if start != expected:
            found = "an overlap" if start < expected else "a gap"
            raise CorruptFile(f"{location}: tensor {name!r}", f"its bytes to start at {expected:,}", found, _RESAVE)
        expected = stop
    if expected > available:
        raise TruncatedFile(location, f"{expected:,} bytes of tensors", f"{available:,}", _RESAVE)
    if expected < available:
        raise CorruptFile(location, f"{expected:,} bytes of tensors", f"{available - expected:,} bytes more", _RESAVE)


def _tensor(location: str, file: io.BufferedReader, name: str, entry: Entry) -> np.ndarray:
    array = np.empty(entry.shape, DTYPES[entry.dtype])
    if array.size and file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
        raise TruncatedFile(f"{location}: tensor {name!r}", f"{array.nbytes:,} bytes", "fewer", _RESAVE)
    _check_finite(location, name, array)
    return array


def _check_finite(location: str, name: str, array: np.ndarray) -> None:
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        count = int(array.size - finite.sum())
        found = f"{count:,} of {array.size:,} NaN or infinite"
        raise NonFiniteWeights(f"{location}: tensor {name!r}", "finite numbers", found, "Train the model again.")


def _decode(location: str, text: bytes, kind: type[Configuration]) -> Configuration:
    """The configuration as `kind`, after its format version has been checked."""
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version > FORMAT_VERSION:
            expected = f"a model file of format {FORMAT_VERSION} or older"
            hint = "Upgrade Unspool: pip install --upgrade unspool"
            raise NewerFormat(location, expected, f"format {version}", hint)
        upgrade = getattr(kind, "upgrade", None)
        if version < FORMAT_VERSION and upgrade is not None:
            return msgspec.convert(upgrade(msgspec.json.decode(text)), kind)
        return msgspec.json.decode(text, type=kind)
    except NewerFormat:
        raise
    except Exception as error:  # whatever a forged value breaks, the file is at fault
        expected = "the configuration of a model"
        raise CorruptFile(f"{location}: configuration", expected, str(error), _RESAVE) from error
