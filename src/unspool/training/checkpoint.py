"""Checkpoints: all that training needs to go on, in one file that is replaced atomically after every round."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool import modelfile
from unspool.errors import CheckpointMismatch, CorruptFile, FileError
from unspool.training.train_step import TrainState
from unspool.training.trainer import Progress

FILE_NAME = "checkpoint.unspool"


class CheckpointState(msgspec.Struct, forbid_unknown_fields=True):
    """The configuration of a checkpoint file."""

    format: int
    fingerprint: dict[str, str]
    progress: Progress


class Checkpoint:
    """A folder, created if need be, with the checkpoint of the fit of a fingerprint (`unspool.config.fingerprint`).

    Raises:
        CheckpointMismatch: the folder holds another fit's checkpoint.
        FileError: it can't be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str], parts: dict[str, str]) -> None:
        self.path = os.path.join(os.fspath(folder), FILE_NAME)
        self.parts = parts
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise FileError(os.fspath(folder), "a folder for the checkpoint", str(error.strerror)) from error

    def load(self, like: TrainState) -> tuple[Progress, TrainState, TrainState] | None:
        """Where an earlier fit of the same data and options stopped, in states built like `like`, or `None`."""
        if not os.path.exists(self.path):
            return None
        saved, arrays = modelfile.read(self.path, CheckpointState)
        differing = [name for name in self.parts if saved.fingerprint.get(name) != self.parts[name]]
        if differing:
            hint, found = "Name another folder, or empty this one to start anew.", f"another {' and '.join(differing)}"
            raise CheckpointMismatch(self.path, "the checkpoint of this very fit", found, hint)
        try:
            return saved.progress, from_arrays(like, arrays, "state"), from_arrays(like, arrays, "best")
        except KeyError as error:
            raise CorruptFile(self.path, f"the array {error}", "none", "Empty the folder to start anew.") from None

    def save(self, progress: Progress, state: TrainState, best: TrainState) -> None:
        """Replace the checkpoint."""
        arrays = arrays_by_name(state, "state") | arrays_by_name(best, "best")
        modelfile.write(self.path, arrays, CheckpointState(modelfile.FORMAT_VERSION, self.parts, progress))


def arrays_by_name(state: TrainState, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Arrays of a state by name, for a checkpoint."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {prefix + jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def from_arrays(like: Any, arrays: dict[str, NDArray[Any]], prefix: str = "") -> Any:
    """A tree of the same structure as `like`, from arrays by name."""

    def array(path: Any, _: Any) -> Any:
        return jnp.asarray(arrays[prefix + jax.tree_util.keystr(path)])

    return jax.tree_util.tree_map_with_path(array, like)
