"""The folder of encoded data: written once, checked when it is used again, and whole or not there."""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.encoded import Encoded
from unspool.errors import FileError
from unspool.runtime.atomic_files import atomic
from unspool.runtime.devices import to_single_precision
from unspool.runtime.processes import ALONE, ProcessGroup
from unspool.streaming.stored import FlatArray, StoredSequences

MANIFEST = "manifest.json"
SAMPLE = "sample.arrow"
OWN_FILES = (MANIFEST, SAMPLE, "*.bin", "partition-*.arrow", ".manifest.json.*.tmp")
CHUNK = 2**22
OF_SEQUENCES = "begins", "lengths", "jacobians"
"""Arrays with a number for each sequence."""


class StoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An array in a file: its type and shape, and the SHA-256 of its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cache holds.

    Attributes:
        request: a hash of the parts, and of everything else that the sample and the codec depend on.
        codec: a hash of the codec that encoded the arrays.
        sample: SHA-256 of the file of the sample.
        files: inputs, steps, and the arrays of the sequences.
    """

    request: str
    codec: str
    sample: str
    files: dict[str, StoredFile]


class Cache:
    """A folder of a fit's encoded data.

    Args:
        folder: its path; it is made if it isn't there.
        group: the processes that share it. All call its methods, but for `clear` and `need`.

    Raises:
        FileError: the folder holds files that no cache has, or can't be made; or the processes don't share it.
    """

    def __init__(self, folder: str | os.PathLike[str], group: ProcessGroup = ALONE) -> None:
        self.folder, self.group = Path(folder), group
        group.gather(self._make)
        if group.count > 1:
            self._check_shared()

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            foreign = [path.name for path in self.folder.iterdir() if not any(map(path.match, OWN_FILES))]
        except OSError as error:
            raise FileError.from_os_error(self.folder, error, "write") from error
        if foreign:
            found, hint = f"{min(foreign)!r} in it", "Name an empty folder, or a new one."
            raise FileError(str(self.folder), "a folder of its own for the encoded data", found, hint)

    def _check_shared(self) -> None:
        """Refuse a folder that is not the same for all processes: each must see a file that process 0 writes."""
        name = f"shared-{secrets.token_hex(8)}.bin"  # a new name, which no file system has in its memory

        def write() -> bytes:
            (self.folder / name).touch()
            return name.encode()

        token = self.folder / self.group.from_first(write).decode()
        seen = self.group.gather(lambda: b"seen" if token.exists() else None)
        if self.group.number == 0:
            token.unlink(missing_ok=True)
        if not all(seen):
            expected = f"a folder that all {len(seen)} processes share"
            found = f"process {seen.index(b'')} without the file that process 0 wrote there"
            hint = "Name a folder on one disk, or on a network file system that all machines have; or leave cache= out."
            raise FileError(str(self.folder), expected, found, hint)

    def manifest(self, request: str) -> Manifest | None:
        """What the cache holds, if it is of this request and every file is what was written; else None."""
        return msgspec.json.decode(
            self.group.from_first(lambda: self._checked(request)) or b"null", type=Manifest | None
        )

    def _checked(self, request: str) -> bytes | None:
        try:
            raw = (self.folder / MANIFEST).read_bytes()
            found = msgspec.json.decode(raw, type=Manifest)
            if found.request != request or hash_of(self.folder / SAMPLE) != found.sample:
                return None
            whole = all(hash_of(self.folder / file.name) == file.sha256 for file in found.files.values())
        except (OSError, msgspec.DecodeError):
            return None
        return raw if whole else None

    def whole(self, manifest: Manifest, name: str) -> NDArray[Any]:
        """One array, in memory."""
        file = manifest.files[name]
        return np.fromfile(self.folder / file.name, file.dtype).reshape(file.shape)

    def open(self, manifest: Manifest) -> StoredSequences:
        """The sequences."""
        arrays = {
            name: FlatArray(self.folder / file.name, file.dtype, file.shape) for name, file in manifest.files.items()
        }
        groups = {
            role: tuple(array for name, array in arrays.items() if name.startswith(role)) for role in ("input", "step-")
        }
        begins, lengths, jacobians = (self.whole(manifest, name) for name in ("begins", "lengths", "jacobians"))
        digest = hashlib.sha256("".join(file.sha256 for file in manifest.files.values()).encode()).hexdigest()
        inputs = tuple(np.array(array.values) for array in groups["input"])
        return StoredSequences(inputs, groups["step-"], begins, lengths, jacobians, digest)

    def clear(self, *patterns: str) -> None:
        """Delete what the folder holds, or what has names of some patterns."""
        for pattern in patterns or OWN_FILES:
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def need(self, size: int) -> None:
        """Refuse to begin what will not fit on the disk."""
        free = shutil.disk_usage(self.folder).free
        if size > free:
            hint = "Free some space; or pass cache=, a folder on another disk."
            expected = f"about {size / 1e9:.1f} GB of free space for encoded data"
            raise FileError(str(self.folder), expected, f"{free / 1e9:.1f} GB", hint)


class CacheWriter:
    """Writes encoded sequences block by block; what isn't finished is deleted.

    Each process of the cache's group writes files of its own sequences. Process 0 appends those of the others to its
    own, in their order, so that the files are those of one process; and the manifest last.

    Args:
        cache: the folder.
        first: (N,) the number of the first row of every sequence.
    """

    def __init__(self, cache: Cache, first: NDArray[np.int64]) -> None:
        self.cache, self.first, self.at, self.number = cache, first, 0, cache.group.number
        self.files: dict[str, IO[bytes]] = {}
        self.shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.positions = [np.zeros(0, np.int64)]
        self.arrays: dict[str, NDArray[Any]] = {}

    @classmethod
    @contextlib.contextmanager
    def begin(cls, cache: Cache, first: NDArray[np.int64]) -> Iterator["CacheWriter"]:
        """A writer whose files are closed at the end, and deleted where it ends with an error.

        Raises:
            FileError: the disk is full.
        """
        writer = cls(cache, first)
        try:
            yield writer
        except BaseException as error:
            cache.clear()
            if isinstance(error, OSError):
                raise FileError.from_os_error(cache.folder / "step-0.bin", error, "write") from error
            raise
        finally:
            for file in writer.files.values():
                with contextlib.suppress(OSError):  # of a file that is flushed, or deleted
                    file.close()

    def add(self, encoded: Encoded, positions: NDArray[np.int64]) -> None:
        """Write sequences that are at some positions among all."""
        self.positions.append(positions)
        arrays = {f"input-{i}": to_single_precision(values) for i, values in enumerate(encoded.inputs)}
        arrays |= {"begins": encoded.offsets[:-1], "lengths": encoded.lengths, "jacobians": encoded.jacobians}
        for j, values in enumerate(encoded.steps):
            self._append(f"step-{j}", to_single_precision(values))
        self._put(positions, arrays)

    def finish(self, request: str, codec: str, sample: Any) -> StoredSequences:
        """Write what is left, and the manifest last; `sample` is a PyArrow table."""
        group = self.cache.group
        parts = group.gather(lambda: self._finish_part() if self.number else None)
        manifest = group.from_first(lambda: self._finish_whole(parts[1:], request, codec, sample))
        return self.cache.open(msgspec.json.decode(manifest, type=Manifest))

    def _finish_whole(self, parts: list[bytes], request: str, codec: str, sample: Any) -> bytes:
        import pyarrow as pa

        for number, shapes in enumerate(parts, 1):
            self._join(number, msgspec.json.decode(shapes, type=dict[str, tuple[str, tuple[int, ...]]]))
        names = [name for name in self.arrays if name not in OF_SEQUENCES]
        for name, values in [(name, self.arrays[name]) for name in names] + [("first", self.first)]:
            self._append(name, values)
        for name in OF_SEQUENCES:
            self._append(name, self.arrays[name])
        self._close()
        with pa.ipc.new_file(str(self.cache.folder / SAMPLE), sample.schema) as writer:
            writer.write_table(sample)
        files = {
            name: StoredFile(f"{name}.bin", *self.shapes[name], hash_of(self._path(name, 0))) for name in self.files
        }
        manifest = msgspec.json.encode(Manifest(request, codec, hash_of(self.cache.folder / SAMPLE), files))
        with atomic(self.cache.folder / MANIFEST) as file:
            file.write(manifest)
        return manifest

    def _finish_part(self) -> bytes:
        """The files of a process other than 0, closed: their types and shapes."""
        positions = np.concatenate(self.positions)
        for name, values in ("positions", positions), *((name, a[positions]) for name, a in self.arrays.items()):
            self._append(name, values)
        self._close()
        return msgspec.json.encode(self.shapes)

    def _join(self, number: int, shapes: dict[str, tuple[str, tuple[int, ...]]]) -> None:
        """Append the sequences of another process, whose files are deleted."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, (dtype, shape) in shapes.items():
            path, expected = self._path(name, number), np.dtype(dtype).itemsize * int(np.prod(shape))
            if (found := path.stat().st_size) != expected:
                hint = "Start all processes again; the file system may not show them the same files."
                raise FileError(str(path), f"{expected:,} bytes, as process {number} wrote them", f"{found:,}", hint)
            if not name.startswith("step-"):
                arrays[name] = np.fromfile(path, dtype).reshape(shape)
            else:
                self._append(name, np.zeros((0, *shape[1:]), dtype))
                with path.open("rb") as file:
                    shutil.copyfileobj(file, self.files[name], CHUNK)
                self.shapes[name] = dtype, (self.shapes[name][1][0] + shape[0], *shape[1:])
            path.unlink()
        self._put(arrays.pop("positions"), arrays)

    def _put(self, positions: NDArray[np.int64], arrays: dict[str, NDArray[Any]]) -> None:
        """Keep what has a row for each sequence, after the steps so far."""
        for name, values in arrays.items():
            if name not in self.arrays:
                self.arrays[name] = np.zeros((len(self.first), *values.shape[1:]), values.dtype)
            self.arrays[name][positions] = values + self.at if name == "begins" else values
        self.at += int(arrays["lengths"].sum()) if arrays else 0

    def _path(self, name: str, number: int) -> Path:
        return self.cache.folder / (f"{name}-of-{number}.bin" if number else f"{name}.bin")

    def _append(self, name: str, values: NDArray[Any]) -> None:
        if name not in self.files:
            self.files[name] = self._path(name, self.number).open("wb")
            self.shapes[name] = (values.dtype.str, (0, *values.shape[1:]))
        dtype, (rows, *rest) = self.shapes[name]
        self.files[name].write(np.ascontiguousarray(values).data)
        self.shapes[name] = dtype, (rows + len(values), *rest)

    def _close(self) -> None:
        """Force all files to the disk."""
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()


def hash_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
