"""A network with its configuration, to a model file and back."""

import os
from typing import Any

import equinox as eqx
import jax
import numpy as np
from numpy.typing import NDArray

from unspool import modelfile
from unspool.config import Config
from unspool.errors import CorruptFile
from unspool.network.build import shape_of
from unspool.network.net import Net


def weights(net: Net) -> dict[str, NDArray[Any]]:
    """Arrays of a network by path, such as `cells.0.R`, in the order of its leaves."""
    return {name: np.asarray(leaf) for name, leaf in named(net).items()}


def named(net: Net) -> dict[str, Any]:
    """Leaves of a network by path."""
    paths = jax.tree_util.tree_leaves_with_path(net)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in paths}


def write_model(path: str | os.PathLike[str], config: Config, net: Net) -> None:
    """Write a model file, whole or not at all.

    Raises:
        FileError: the place can't be written to.
    """
    modelfile.write(path, weights(net), config)


def read_model(path: str | os.PathLike[str]) -> tuple[Config, Net]:
    """Read a model file.

    Raises:
        FileError: one of its kinds says what is wrong with the file.
    """
    config, arrays = modelfile.read(path, Config)
    shape = shape_of(config.codec, config.network, config.size, config.embedding)
    # Abstractly: to draw weights that are replaced at once would compile two dozen small programs.
    net = eqx.filter_eval_shape(Net, np.random.default_rng(0), shape)
    wanted = {name: leaf.shape for name, leaf in named(net).items()}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        differing = sorted(dict(wanted.items() ^ found.items()))
        cure = "Save the model again, or fetch the file again."
        expected = "the arrays that its own configuration asks for"
        raise CorruptFile(os.fspath(path), expected, f"others: {', '.join(differing[:3])}", cure)
    return config, jax.device_put(jax.tree.unflatten(jax.tree.structure(net), [arrays[name] for name in wanted]))
