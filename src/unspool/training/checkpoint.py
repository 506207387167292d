"""Checkpoints: all that training needs to go on, in one file that is replaced whole after every round."""

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
    """A folder that holds the course of one fit.

    Args:
        folder: made if it isn't there.
        parts: see `unspool.config.fingerprint`.

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
        """Where an earlier fit of the same data and options stood, or `None` if there was none.

        Args:
            like: a state of the right structure.
        """
        if not os.path.exists(self.path):
            return None
        saved, arrays = modelfile.read(self.path, CheckpointState)
        differing = [name for name in self.parts if saved.fingerprint.get(name) != self.parts[name]]
        if differing:
            hint = "Name another folder, or empty this one to start anew."
            raise CheckpointMismatch(
                self.path, "the checkpoint of this very fit", f"another {' and '.join(differing)}", hint
            )
        try:
            return saved.progress, from_arrays(like, arrays, "state"), from_arrays(like, arrays, "best")
        except KeyError as error:
            raise CorruptFile(self.path, f"the array {error}", "none", "Empty the folder to start anew.") from None

    def save(self, progress: Progress, state: TrainState, best: TrainState) -> None:
        """Replace the checkpoint."""
        arrays = {
            f"{role}{name}": array
            for role, tree in (("state", state), ("best", best))
            for name, array in arrays_by_name(tree).items()
        }
        modelfile.write(self.path, arrays, CheckpointState(modelfile.FORMAT_VERSION, self.parts, progress))


def arrays_by_name(state: TrainState) -> dict[str, NDArray[Any]]:
    """Arrays of a state by name, for a checkpoint."""
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def from_arrays(like: Any, arrays: dict[str, NDArray[Any]], prefix: str = "") -> Any:
    """A tree of the same structure as `like` with the arrays of those names."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.asarray(arrays[prefix + jax.tree_util.keystr(path)]), like
    )
