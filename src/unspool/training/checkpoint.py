"""Checkpoints: all that training needs to go on, in one file that is replaced atomically after every round."""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool import modelfile
from unspool.errors import CheckpointMismatch, CorruptFile, FileError, path_text
from unspool.runtime.storage import is_url, join, names
from unspool.training.train_step import TrainState
from unspool.training.trainer import Progress

FILE_NAME = "checkpoint.unspool"
RESTART = "Empty the folder to start anew."


class CheckpointState(msgspec.Struct, forbid_unknown_fields=True):
    """The configuration of a checkpoint file."""

    format: int
    fingerprint: dict[str, str]
    progress: Progress
    checksum: str = ""


class Checkpoint:
    """A folder, created if need be, with the checkpoint of the fit of a fingerprint (`unspool.config.fingerprint`).

    Raises:
        CheckpointMismatch: the folder holds another fit's checkpoint.
        FileError: it can't be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str], parts: dict[str, str]) -> None:
        location = path_text("checkpoint", folder)
        self.folder, self.path, self.parts = location, join(location, FILE_NAME), parts
        if is_url(location):
            return
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise FileError(os.fspath(folder), "a folder for the checkpoint", str(error.strerror)) from error

    def load(self, like: TrainState) -> tuple[Progress, TrainState, TrainState] | None:
        """Where an earlier fit of the same data and options stopped, in states built like `like`, or `None`."""
        if FILE_NAME not in names(self.folder):
            return None
        with modelfile.opened(self.path, CheckpointState) as file:
            saved = file.config
            differing = [name for name in self.parts if saved.fingerprint.get(name) != self.parts[name]]
            if differing:
                found = f"another {' and '.join(differing)}"
                hint = "Name another folder, or empty this one to start anew."
                raise CheckpointMismatch(self.path, "the checkpoint of this very fit", found, hint)
            self._check_entries(like, file.entries)
            arrays = file.arrays()
        if saved.checksum != checksum(saved.progress, arrays):
            raise CorruptFile(self.path, "contents of its own checksum", "others", RESTART)
        return saved.progress, from_arrays(like, arrays, "state"), from_arrays(like, arrays, "best")

    def save(self, progress: Progress, state: TrainState, best: TrainState) -> None:
        """Replace the checkpoint."""
        arrays = arrays_by_name(state, "state") | arrays_by_name(best, "best")
        config = CheckpointState(modelfile.FORMAT_VERSION, self.parts, progress, checksum(progress, arrays))
        modelfile.write(self.path, arrays, config)

    def _check_entries(self, like: TrainState, entries: Mapping[str, modelfile.Entry]) -> None:
        """Refuse a file whose header describes other arrays than those of two states, with a `CorruptFile`."""
        expected = {
            name: (array.shape, array.dtype)
            for prefix in ("state", "best")
            for name, array in arrays_by_name(like, prefix).items()
        }
        found = {name: (entry.shape, modelfile.DTYPES[entry.dtype]) for name, entry in entries.items()}
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                wanted, given = (
                    f"{parts[name][1]} of shape {parts[name][0]}" if name in parts else "none"
                    for parts in (expected, found)
                )
                raise CorruptFile(self.path, f"the array {name!r}, {wanted}", given, RESTART)


def checksum(progress: Progress, arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of all that training goes on from: a file that something else has changed does not have it."""
    digest = hashlib.sha256(msgspec.json.encode(progress))
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def arrays_by_name(state: TrainState, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Arrays of a state by name, for a checkpoint."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {prefix + jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def from_arrays(like: Any, arrays: dict[str, NDArray[Any]], prefix: str = "") -> Any:
    """A tree of the same structure as `like`, from arrays by name."""

    def array(path: Any, _: Any) -> Any:
        return jnp.asarray(arrays[prefix + jax.tree_util.keystr(path)])

    return jax.tree_util.tree_map_with_path(array, like)
