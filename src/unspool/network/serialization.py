"""A network with its configuration, to a model file and back."""

import os
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import numpy as np
from numpy.typing import NDArray

from unspool import modelfile
from unspool.config import INPUT_MODEL_PREFIX, Config, InputModel
from unspool.errors import CorruptFile
from unspool.network.build import architecture_of
from unspool.network.decoder import Architecture, Net
from unspool.network.outputs import HIDDEN_WITHIN
from unspool.options import Network


def weights(net: Net) -> dict[str, NDArray[Any]]:
    """Arrays of a network by path, such as `cells.0.R`; those of the outputs field by field."""
    arrays = {name: np.asarray(leaf) for name, leaf in named_leaves(net).items()}
    for name, (source, axis, part) in output_slices(net.shape).items():
        arrays[name] = np.take(arrays[source], part, axis)
    joint = {source for source, _, _ in output_slices(net.shape).values()}
    return {name: array for name, array in arrays.items() if name not in joint}


def named_leaves(net: Net) -> dict[str, Any]:
    """Leaves of a network by path."""
    paths = jax.tree_util.tree_leaves_with_path(net)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in paths}


def output_slices(shape: Architecture) -> dict[str, tuple[str, int, NDArray[np.int64]]]:
    """By the name of an array in the file, what it is a part of in the network: the leaf, its axis, and where on it.

    The file has the weights of the outputs field by field; the network has those side by side that it multiplies
    together.
    """
    found, at = {}, 0
    ends = np.cumsum([dist.num_params for dist in shape.distributions])
    block = lambda k: np.arange(k * HIDDEN_WITHIN, (k + 1) * HIDDEN_WITHIN)  # noqa: E731
    for j, dist in enumerate(shape.distributions):
        own = np.arange(at, at := at + dist.num_params)
        found[f"outputs.{j}.A"] = ("outputs.A", 1, own)
        found[f"outputs.{j}.b"] = ("outputs.b", 0, own)
        if j:
            found[f"outputs.{j}.U"] = ("outputs.U", 1, block(j - 1))
            found |= {f"outputs.{j}.W.{k}": (f"outputs.W.{k}", 1, block(j - 1 - k)) for k in range(j)}
            found |= {f"outputs.{j}.L.{k}": (f"outputs.L.{k}", 1, own - ends[k]) for k in range(j)}
            found[f"outputs.{j}.B"] = (f"outputs.B.{j - 1}", 1, np.arange(dist.num_params))
    return found


class Nets(NamedTuple):
    """The networks of a model: the one that makes sequences, and the one that draws inputs, if there is one."""

    net: Net
    row: Net | None = None


def write_model(path: str | os.PathLike[str], config: Config, nets: Nets) -> None:
    """Write a model file, whole or not at all.

    Raises:
        FileError: the place can't be written to.
    """
    drawing = (
        {} if nets.row is None else {INPUT_MODEL_PREFIX + name: array for name, array in weights(nets.row).items()}
    )
    modelfile.write(path, weights(nets.net) | drawing, config)


def read_model(path: str | os.PathLike[str]) -> tuple[Config, Nets]:
    """Read a model file.

    Raises:
        FileError: one of its kinds says what is wrong with the file.
    """
    config, arrays = modelfile.read(path, Config)
    shape = architecture_of(config.codec, config.network, config.size, config.embedding)
    if config.row is None:
        return config, Nets(_built(os.fspath(path), shape, arrays))
    drawing = {
        name.removeprefix(INPUT_MODEL_PREFIX): arrays.pop(name)
        for name in list(arrays)
        if name.startswith(INPUT_MODEL_PREFIX)
    }
    net = _built(os.fspath(path), shape, arrays)
    return config, Nets(net, _built(os.fspath(path), input_architecture(config.row), drawing))


def input_architecture(row: InputModel) -> Architecture:
    """The shape of the network that draws rows of inputs."""
    return architecture_of(row.codec, Network(), row.size, row.embedding)


def _built(location: str, shape: Architecture, arrays: dict[str, NDArray[Any]]) -> Net:
    """A network of its arrays in the file."""
    # Abstractly: to draw weights that are replaced at once would compile two dozen small programs.
    net = eqx.filter_eval_shape(Net, np.random.default_rng(0), shape)
    leaves, parts = {name: leaf.shape for name, leaf in named_leaves(net).items()}, output_slices(shape)
    wanted = {name: leaf for name, leaf in leaves.items() if name not in {source for source, _, _ in parts.values()}}
    for name, (source, axis, part) in parts.items():
        wanted[name] = (*leaves[source][:axis], len(part), *leaves[source][axis + 1 :])
    if not any(".L." in name for name in arrays):  # a file from before fields were told others by these weights too
        arrays = arrays | {name: np.zeros(size, np.float32) for name, size in wanted.items() if ".L." in name}
    if "stop.1" in arrays and not arrays["stop.1"].ndim:  # a file from before the hazard knew positions
        arrays = arrays | {"stop.1": np.full(wanted["stop.1"], arrays["stop.1"])}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        differing = sorted(dict(wanted.items() ^ found.items()))
        hint = "Save the model again, or fetch the file again."
        expected = "the arrays that its own configuration asks for"
        raise CorruptFile(location, expected, f"others: {', '.join(differing[:3])}", hint)
    for source in {source for source, _, _ in parts.values()}:
        arrays[source] = np.concatenate(
            [arrays[n] for n, (s, _, _) in parts.items() if s == source], len(leaves[source]) - 1
        )
    net = jax.tree.unflatten(jax.tree.structure(net), [arrays[name] for name in leaves])
    return cast(Net, jax.device_put(net))
