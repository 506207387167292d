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
    arrays, parts = {name: np.asarray(leaf) for name, leaf in named_leaves(net).items()}, output_slices(net.shape)
    for name, (source, axis, part) in parts.items():
        arrays[name] = np.take(arrays[source], part, axis)
    joint = {source for source, _, _ in parts.values()}
    return {name: array for name, array in arrays.items() if name not in joint}


def named_leaves(net: Net) -> dict[str, Any]:
    """Leaves of a network by path."""
    paths = jax.tree_util.tree_leaves_with_path(net)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in paths}


def output_slices(shape: Architecture) -> dict[str, tuple[str, int, NDArray[np.int64]]]:
    """By name of an array in the file, the part of the network's arrays that it is: leaf, axis, and indices on it.

    The file has the weights of the outputs field by field; the network has those side by side that one product uses.
    """
    slices = {}
    ends = np.cumsum([dist.num_params for dist in shape.distributions])
    for j, dist in enumerate(shape.distributions):
        own = np.arange(ends[j] - dist.num_params, ends[j])
        slices[f"outputs.{j}.A"] = ("outputs.A", 1, own)
        slices[f"outputs.{j}.b"] = ("outputs.b", 0, own)
        if j:
            hidden = np.arange((j - 1) * HIDDEN_WITHIN, j * HIDDEN_WITHIN)
            slices[f"outputs.{j}.U"] = ("outputs.U", 1, hidden)
            slices |= {f"outputs.{j}.W.{k}": (f"outputs.W.{k}", 1, hidden - k * HIDDEN_WITHIN) for k in range(j)}
            slices |= {f"outputs.{j}.L.{k}": (f"outputs.L.{k}", 1, own - ends[k]) for k in range(j)}
            slices[f"outputs.{j}.B"] = (f"outputs.B.{j - 1}", 1, np.arange(dist.num_params))
    return slices


class Nets(NamedTuple):
    """The networks of a model: the one that generates sequences, and the one that samples inputs, if there is one."""

    net: Net
    row: Net | None = None


def write_model(path: str | os.PathLike[str], config: Config, nets: Nets) -> None:
    """Write a model file, whole or not at all.

    Raises:
        FileError: the location can't be written to.
    """
    input_weights = {} if nets.row is None else weights(nets.row)
    prefixed = {INPUT_MODEL_PREFIX + name: array for name, array in input_weights.items()}
    modelfile.write(path, weights(nets.net) | prefixed, config)


def read_model(path: str | os.PathLike[str]) -> tuple[Config, Nets]:
    """Read a model file.

    Raises:
        FileError: a subclass says what is wrong with the file.
    """
    config, arrays = modelfile.read(path, Config)
    shape = architecture_of(config.codec, config.network, config.size, config.embedding)
    if config.row is None:
        return config, Nets(_built(os.fspath(path), shape, arrays))
    names = [name for name in arrays if name.startswith(INPUT_MODEL_PREFIX)]
    input_weights = {name.removeprefix(INPUT_MODEL_PREFIX): arrays.pop(name) for name in names}
    net = _built(os.fspath(path), shape, arrays)
    return config, Nets(net, _built(os.fspath(path), input_architecture(config.row), input_weights))


def input_architecture(row: InputModel) -> Architecture:
    """The architecture of the network that samples rows of inputs."""
    return architecture_of(row.codec, Network(), row.size, row.embedding)


def _built(location: str, shape: Architecture, arrays: dict[str, NDArray[Any]]) -> Net:
    """A network from its arrays in the file."""
    # Abstractly: to sample weights that are replaced at once would compile two dozen small programs.
    net = eqx.filter_eval_shape(Net, np.random.default_rng(0), shape)
    leaves, parts = {name: leaf.shape for name, leaf in named_leaves(net).items()}, output_slices(shape)
    joint = {source for source, _, _ in parts.values()}
    expected = {name: leaf for name, leaf in leaves.items() if name not in joint}
    for name, (source, axis, part) in parts.items():
        expected[name] = (*leaves[source][:axis], len(part), *leaves[source][axis + 1 :])
    if not any(".L." in name for name in arrays):  # the first files have no linear weights between fields
        arrays = arrays | {name: np.zeros(size, np.float32) for name, size in expected.items() if ".L." in name}
    if "stop.1" in arrays and not arrays["stop.1"].ndim:  # and one bias of the hazard for all positions
        arrays = arrays | {"stop.1": np.full(expected["stop.1"], arrays["stop.1"])}
    found = {name: array.shape for name, array in arrays.items()}
    if expected != found:
        differing = sorted(dict(expected.items() ^ found.items()))
        hint = "Save the model again, or fetch the file again."
        others = f"others: {', '.join(differing[:3])}"
        raise CorruptFile(location, "the arrays that its own configuration asks for", others, hint)
    for name in joint:
        own = [arrays[part] for part, (source, _, _) in parts.items() if source == name]
        arrays[name] = np.concatenate(own, len(leaves[name]) - 1)
    net = jax.tree.unflatten(jax.tree.structure(net), [arrays[name] for name in leaves])
    return cast(Net, jax.device_put(net))
