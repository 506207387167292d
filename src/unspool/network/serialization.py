"""A network with its configuration, to a model file and back."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

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

Named = TypeVar("Named")


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


class NetFile(NamedTuple):
    """A network as its arrays lie in a file.

    Attributes:
        net: the network, of shapes alone.
        leaves: by path, the shapes of its arrays.
        parts: see `output_slices`.
        arrays: by name, the shapes of the arrays in the file.
    """

    net: Net
    leaves: dict[str, tuple[int, ...]]
    parts: dict[str, tuple[str, int, NDArray[np.int64]]]
    arrays: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, shape: Architecture) -> "NetFile":
        """The file of a network of this architecture; no weight is drawn, and no memory taken for one."""
        net = cast(Net, eqx.filter_eval_shape(Net, None, shape))
        leaves, parts = {name: leaf.shape for name, leaf in named_leaves(net).items()}, output_slices(shape)
        joint = {source for source, _, _ in parts.values()}
        arrays = {name: leaf for name, leaf in leaves.items() if name not in joint}
        for name, (source, axis, part) in parts.items():
            arrays[name] = (*leaves[source][:axis], len(part), *leaves[source][axis + 1 :])
        return cls(net, leaves, parts, arrays)

    def load(self, arrays: dict[str, NDArray[Any]]) -> Net:
        """The network with its weights; takes the arrays out of the dict, so that few lie in memory twice."""
        for name, size in self.arrays.items():
            if name not in arrays:  # linear weights between fields, which the first files lack
                arrays[name] = np.zeros(size, np.float32)
            elif arrays[name].shape != size:  # one bias of the hazard for all positions, as they have it
                arrays[name] = np.full(size, arrays[name])
        sources: dict[str, list[str]] = {}
        for name, (source, _, _) in self.parts.items():
            sources.setdefault(source, []).append(name)
        loaded = []
        for name, size in self.leaves.items():
            own = [arrays.pop(part) for part in sources.get(name, [name])]
            loaded.append(jax.device_put(np.concatenate(own, len(size) - 1) if name in sources else own[0]))
        return cast(Net, jax.tree.unflatten(jax.tree.structure(self.net), loaded))


class ModelFile(NamedTuple):
    """The files of the networks of a model; that of the input model is `None` where there is none."""

    net: NetFile
    row: NetFile | None

    @classmethod
    def of(cls, location: str, config: Config, entries: Mapping[str, modelfile.Entry]) -> "ModelFile":
        """The networks of a configuration, if the header's entries are those of their arrays.

        Raises:
            CorruptFile: it has other entries, or the configuration is none of a network.
        """
        own, row = _by_network(entries, config)
        net = partial(architecture_of, config.codec, config.network, config.size, config.embedding)
        files = [_net_file(location, len(config.codec.steps), net, own)]
        if config.row is not None:
            files.append(_net_file(location, len(config.row.codec.steps), partial(input_architecture, config.row), row))
        return cls(files[0], files[1] if config.row is not None else None)

    def load(self, config: Config, arrays: dict[str, NDArray[Any]]) -> Nets:
        """The networks with their weights."""
        own, row = _by_network(arrays, config)
        arrays.clear()
        return Nets(self.net.load(own), None if self.row is None else self.row.load(row))


def _by_network(named: Mapping[str, Named], config: Config) -> tuple[dict[str, Named], dict[str, Named]]:
    """What belongs to the network, and to that of the input model, by their own names."""
    names = {name for name in named if config.row is not None and name.startswith(INPUT_MODEL_PREFIX)}
    row = {name.removeprefix(INPUT_MODEL_PREFIX): named[name] for name in names}
    return {name: value for name, value in named.items() if name not in names}, row


def write_model(path: str | os.PathLike[str], config: Config, nets: Nets) -> None:
    """Write a model file, whole or not at all.

    Raises:
        FileError: the location can't be written to.
        CorruptFile: the arrays are not those of the configuration; nothing was written.
    """
    input_weights = {} if nets.row is None else weights(nets.row)
    arrays = weights(nets.net) | {INPUT_MODEL_PREFIX + name: array for name, array in input_weights.items()}
    names = {dtype: name for name, dtype in modelfile.DTYPES.items()}
    entries = {
        name: modelfile.Entry(names.get(array.dtype, str(array.dtype)), array.shape, (0, 0))
        for name, array in arrays.items()
    }
    ModelFile.of(os.fspath(path), config, entries)
    modelfile.write(path, arrays, config)


def read_model(path: str | os.PathLike[str]) -> tuple[Config, Nets]:
    """Read a model file. The shapes of all arrays are compared with the configuration before any of them is read.

    Raises:
        FileError: a subclass says what is wrong with the file.
    """
    with modelfile.opened(path, Config) as file:
        model = ModelFile.of(file.location, file.config, file.entries)
        return file.config, model.load(file.config, file.arrays())


def input_architecture(row: InputModel) -> Architecture:
    """The architecture of the network that samples rows of inputs."""
    return architecture_of(row.codec, Network(), row.size, row.embedding)


def _net_file(
    location: str, fields: int, architecture: Callable[[], Architecture], entries: Mapping[str, modelfile.Entry]
) -> NetFile:
    """The file of a network of so many step fields, whose arrays the header's entries describe."""
    hint, expected = "Save the model again, or fetch the file again.", "the arrays that its own configuration asks for"
    # Each two step fields have arrays of their own, so a short configuration could ask for very many.
    if fields * (fields - 1) // 2 > len(entries):
        found = f"{len(entries)} for {fields} fields of a step"
        raise CorruptFile(location, expected, found, hint)
    try:
        file = NetFile.of(architecture())
    except Exception as error:  # whatever a forged value breaks, the file is at fault
        found = f"{type(error).__name__}: {error}"
        raise CorruptFile(f"{location}: configuration", "one of a network", found, hint) from error
    shapes = {name: entry.shape for name, entry in entries.items()}
    wanted = dict(file.arrays)
    if not any(".L." in name for name in shapes):  # the first files have no linear weights between fields
        wanted = {name: size for name, size in wanted.items() if ".L." not in name}
    if shapes.get("stop.1") == () and "stop.1" in wanted:  # and one bias of the hazard for all positions
        wanted["stop.1"] = ()
    if any(name.startswith("outputs.own.") for name in wanted.keys() - shapes.keys()):
        hint = "Blocks of flags of older versions had another distribution: fit the model again."
    if wanted != shapes:
        differing = sorted(dict(wanted.items() ^ shapes.items()))
        raise CorruptFile(location, expected, f"others: {', '.join(differing[:3])}", hint)
    for name, entry in entries.items():
        if entry.dtype != "F32":
            raise CorruptFile(f"{location}: tensor {name!r}", "numbers of F32", entry.dtype, hint)
    return file
