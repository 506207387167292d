"""The folder of encoded data: written once, checked when it is used again, and whole or not there."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.encoded import Encoded
from unspool.errors import FileError
from unspool.runtime.atomic_files import atomic
from unspool.runtime.devices import to_single_precision
from unspool.streaming.stored import FlatArray, StoredSequences

MANIFEST = "manifest.json"
SAMPLE = "sample.arrow"
OWN_FILES = (MANIFEST, SAMPLE, "*.bin", "partition-*.arrow", ".manifest.json.*.tmp")
CHUNK = 2**22


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

    Raises:
        FileError: the folder holds files that no cache has, or can't be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            foreign = [path.name for path in self.folder.iterdir() if not any(map(path.match, OWN_FILES))]
        except OSError as error:
            raise FileError.from_os_error(self.folder, error, "write") from error
        if foreign:
            found, hint = f"{min(foreign)!r} in it", "Name an empty folder, or a new one."
            raise FileError(str(self.folder), "a folder of its own for the encoded data", found, hint)

    def manifest(self, request: str) -> Manifest | None:
        """What the cache holds, if it is of this request and every file is what was written; else None."""
        try:
            found = msgspec.json.decode((self.folder / MANIFEST).read_bytes(), type=Manifest)
            if found.request != request or hash_of(self.folder / SAMPLE) != found.sample:
                return None
            whole = all(hash_of(self.folder / file.name) == file.sha256 for file in found.files.values())
        except (OSError, msgspec.DecodeError):
            return None
        return found if whole else None

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
                path.unlink()

    def need(self, size: int) -> None:
        """Refuse to begin what will not fit on the disk."""
        free = shutil.disk_usage(self.folder).free
        if size > free:
            hint = "Free some space; or pass cache=, a folder on another disk."
            expected = f"about {size / 1e9:.1f} GB of free space for encoded data"
            raise FileError(str(self.folder), expected, f"{free / 1e9:.1f} GB", hint)

    def write_manifest(self, manifest: Manifest) -> None:
        """Declare the cache whole."""
        with atomic(self.folder / MANIFEST) as file:
            file.write(msgspec.json.encode(manifest))


class CacheWriter:
    """Writes encoded sequences block by block; what isn't finished is deleted.

    Args:
        cache: the folder.
        first: (N,) the number of the first row of every sequence.
    """

    def __init__(self, cache: Cache, first: NDArray[np.int64]) -> None:
        self.cache, self.first, self.at, count = cache, first, 0, len(first)
        self.files: dict[str, IO[bytes]] = {}
        self.shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.inputs: list[NDArray[Any]] = []
        self.begins, self.lengths = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.jacobians = np.zeros(count)

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
        self.begins[positions] = self.at + encoded.offsets[:-1]
        self.lengths[positions], self.jacobians[positions] = encoded.lengths, encoded.jacobians
        for j, values in enumerate(encoded.steps):
            self._append(f"step-{j}", to_single_precision(values))
        self.inputs = self.inputs or [
            np.zeros((len(self.begins), *a.shape[1:]), to_single_precision(a).dtype) for a in encoded.inputs
        ]
        for whole, values in zip(self.inputs, encoded.inputs, strict=True):
            whole[positions] = values
        self.at += int(encoded.offsets[-1])

    def finish(self, request: str, codec: str, sample: Any) -> StoredSequences:
        """Write what is left, and the manifest last; `sample` is a PyArrow table."""
        import pyarrow as pa

        arrays: Sequence[tuple[str, NDArray[Any]]] = [
            *((f"input-{i}", values) for i, values in enumerate(self.inputs)),
            ("first", self.first),
            ("begins", self.begins),
            ("lengths", self.lengths),
            ("jacobians", self.jacobians),
        ]
        for name, values in arrays:
            self._append(name, values)
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())
        with pa.ipc.new_file(str(self.cache.folder / SAMPLE), sample.schema) as writer:
            writer.write_table(sample)
        files = {
            name: StoredFile(f"{name}.bin", *self.shapes[name], hash_of(self.cache.folder / f"{name}.bin"))
            for name in self.files
        }
        manifest = Manifest(request, codec, hash_of(self.cache.folder / SAMPLE), files)
        self.cache.write_manifest(manifest)
        return self.cache.open(manifest)

    def _append(self, name: str, values: NDArray[Any]) -> None:
        if name not in self.files:
            self.files[name] = (self.cache.folder / f"{name}.bin").open("wb")
            self.shapes[name] = (values.dtype.str, (0, *values.shape[1:]))
        dtype, (rows, *rest) = self.shapes[name]
        self.files[name].write(np.ascontiguousarray(values).data)
        self.shapes[name] = dtype, (rows + len(values), *rest)


def hash_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
