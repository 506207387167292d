"""A network with its configuration, to a model file and back."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import equinox as eqx
import jax
import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool import modelfile
from unspool.config import INPUT_MODEL_PREFIX, Config, InputModel
from unspool.errors import CorruptFile
from unspool.network.build import architecture_of
from unspool.network.decoder import Architecture, Net, Shape
from unspool.network.distributions.categorical import IMPOSSIBLE, Categorical
from unspool.network.fields import HIDDEN_WITHIN, Constants
from unspool.options import Network
from unspool.runtime.processes import is_first

Named = TypeVar("Named")
NUMBERED = {"changes": "changing", "sums": "summing", "first": "numeric"}
"""By name of an array of some kinds of fields, the property of `FieldLayout` that has these kinds."""
READING_COLUMNS = ("start", "feedback", "changes", "sums")
"""Arrays with a column for all that reads the step before: each pre-activation, each parameter, and the hazard."""


class FilePart(NamedTuple):
    """An array of a model file, as a part of one of the network's: that of a field, some last columns, or first rows.

    The file has neither the order of columns that the network has, nor the room that it leaves for other data.
    """

    source: str
    field: int | None = None
    columns: NDArray[np.int64] | None = None
    rows: int | None = None

    def _own(self, array: NDArray[Any]) -> NDArray[Any]:
        own = array if self.field is None else array[self.field]
        return own if self.rows is None else own[: self.rows]

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """The part of an array of the network."""
        own = self._own(array)
        return own if self.columns is None else own[..., self.columns]

    def put(self, array: NDArray[Any], values: NDArray[Any]) -> None:
        """Write the part into an array of the network; values of an old file may lack the last column."""
        self._own(array)[..., slice(None) if self.columns is None else self.columns[: values.shape[-1]]] = values

    def shape(self, whole: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the part of an array of a shape."""
        own = whole if self.field is None else whole[1:]
        own = own if self.rows is None else (min(self.rows, own[0]), *own[1:])
        return own if self.columns is None else (*own[:-1], len(self.columns))


def weights(net: Net) -> dict[str, NDArray[Any]]:
    """Arrays of a network by the names that a file has for them, such as `cells.0.R`; field by field."""
    arrays = {name: np.asarray(leaf) for name, leaf in named_leaves(net).items()}
    parts = file_parts(net.shape, net.constants, arrays)
    return {name: np.ascontiguousarray(part.of(arrays[part.source])) for name, part in parts.items()}


def named_leaves(net: Net) -> dict[str, Any]:
    """Leaves of a network that are learned, by path."""
    paths = jax.tree_util.tree_leaves_with_path(net.split()[0])
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in paths}


def file_parts(shape: Shape, constants: Constants, leaves: Iterable[str]) -> dict[str, FilePart]:
    """By name of an array in the file, the part of the network's arrays that it is.

    The file has the weights field by field, in the order of the fields; the network has those side by side that one
    product uses.
    """
    parts: dict[str, FilePart] = {}
    layout, gates = shape.steps, np.arange(4 * shape.size)
    dists = {j: group.of(i)[0] for group in constants.fields for i, j in enumerate(group.fields)}
    symbols = {j: int(dist.num_symbols) for j, dist in dists.items() if isinstance(dist, Categorical)}
    fields = [np.arange(at.start, at.stop) for at in map(layout.columns, range(len(layout.params)))]
    fields = [own[: symbols.get(j)] for j, own in enumerate(fields)]
    known = {"inputs": dict(enumerate(np.asarray(constants.symbols))), "steps": symbols}
    to_hazard = np.arange(int(shape.stops)) + len(gates) + layout.num_params
    ordered = np.concatenate([gates, *(len(gates) + own for own in fields), to_hazard])
    direct = ordered[len(gates) :] - len(gates)
    for source in leaves:
        kind, *rest = source.split(".")
        if kind in NUMBERED:
            of, read = (shape.inputs, direct) if kind == "first" else (layout, ordered)
            for i, j in enumerate(of.groups[getattr(of, NUMBERED[kind])[int(rest[0])]]):
                parts[f"{kind}.{j}"] = FilePart(source, i, read)
        elif kind in ("inputs", "project", "steps", "feedback"):
            groups = (shape.inputs if kind in ("inputs", "project") else layout).groups
            columns = ordered if kind == "feedback" else None
            for i, j in enumerate(groups[int(rest[0])]):
                rows = 1 + int(known[kind][j]) if rest[1:] == ["rows"] and j in known[kind] else None
                parts[".".join([kind, str(j), *rest[1:]])] = FilePart(source, i, columns, rows)
        elif kind == "start":
            parts[source] = FilePart(source, None, ordered)
        elif source == "stop.1":
            parts[source] = FilePart(source, rows=1 + int(constants.last))
        elif rest[:1] == ["own"]:
            for i, j in enumerate(layout.groups[int(rest[1])]):
                parts[".".join(["outputs.own", str(j), *rest[2:]])] = FilePart(source, i)
        elif kind != "outputs":
            parts[source] = FilePart(source)
    for j, own in enumerate(fields):
        g, i = layout.place(j)
        parts |= {f"outputs.{j}.{name}": FilePart(f"outputs.{name}", None, own) for name in "Ab"}
        if j:
            at = layout.hidden(j)
            hidden = np.arange(at.start, at.stop)
            parts[f"outputs.{j}.U"] = FilePart("outputs.U", None, hidden)
            for k in range(j):
                h, place = layout.place(k)
                first = layout.after(h) or 0
                units, params = hidden - layout.group_hidden(first).start, own - layout.group_columns(first).start
                parts[f"outputs.{j}.W.{k}"] = FilePart(f"outputs.W.{h}", place, units)
                parts[f"outputs.{j}.L.{k}"] = FilePart(f"outputs.L.{h}", place, params)
                if h in layout.leading_sums and j > k + layout.parts[h]:
                    wide = sum(len(layout.conditioned(m)) for m in range(first, len(layout.groups))) * HIDDEN_WITHIN
                    columns = np.concatenate([units, wide + params])
                    parts[f"outputs.{j}.S.{k}"] = FilePart(f"outputs.S.{layout.leading_sums.index(h)}", place, columns)
            parts[f"outputs.{j}.B"] = FilePart(f"outputs.B.{g}", i)
    return parts


class Nets(NamedTuple):
    """The networks of a model: the one that generates sequences, and the one that samples inputs, if there is one."""

    net: Net
    row: Net | None = None


class NetFile(NamedTuple):
    """A network as its arrays lie in a file.

    Attributes:
        net: the network, of shapes alone.
        constants: the numbers of the data.
        leaves: by path, the shapes of its arrays.
        parts: see `file_parts`.
        arrays: by name, the shapes of the arrays in the file.
    """

    net: Net
    constants: Constants
    leaves: dict[str, tuple[int, ...]]
    parts: dict[str, FilePart]
    arrays: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, architecture: Architecture) -> "NetFile":
        """The file of a network of this architecture; no weight is drawn, and no memory taken for one."""
        net = cast(Net, eqx.filter_eval_shape(Net, None, architecture))
        leaves = {name: leaf.shape for name, leaf in named_leaves(net).items()}
        constants = architecture.constants
        parts = file_parts(net.shape, constants, leaves)
        arrays = {name: part.shape(leaves[part.source]) for name, part in parts.items()}
        return cls(net.split()[0], constants, leaves, parts, arrays)

    def load(self, arrays: dict[str, NDArray[Any]]) -> Net:
        """The network with its weights; takes the arrays out of the dict, so that few lie in memory twice."""
        loaded = {name: np.zeros(size, np.float32) for name, size in self.leaves.items()}
        loaded["outputs.b"][:] = IMPOSSIBLE  # of symbols that are none of training's
        for name, part in self.parts.items():
            if name in arrays:  # old files lack some; the hazard of the first ones has one bias for all
                part.put(loaded[part.source], arrays.pop(name))
        placed = [jax.device_put(loaded.pop(name)) for name in self.leaves]
        return cast(Net, jax.tree.unflatten(jax.tree.structure(self.net), placed)).with_constants(self.constants)


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
    """Write a model file, whole or not at all; of processes that train together, the first one does.

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
    if is_first():
        modelfile.write(path, arrays, config)


def read_model(path: str | os.PathLike[str]) -> tuple[Config, Nets]:
    """Read a model file. The shapes of all arrays are compared with the configuration before any of them is read.

    Raises:
        FileError: a subclass says what is wrong with the file.
    """
    with modelfile.opened(path, Config) as file:
        model = ModelFile.of(file.location, file.config, file.entries)
        return file.config, model.load(file.config, file.arrays())


def model_fingerprint(config: Config, nets: Nets) -> str:
    """A hash of all that a model file would hold."""
    digest = hashlib.sha256(msgspec.json.encode(config))
    for net in (nets.net, nets.row):
        for name, array in sorted(weights(net).items()) if net is not None else ():
            digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


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
    for kind in (".L.", ".S."):  # the first files have no linear weights between fields, later ones none of sums
        if not any(kind in name for name in shapes):
            wanted = {name: size for name, size in wanted.items() if kind not in name}
    for kind in NUMBERED:  # nor any of changes, of running sums, nor from inputs to the first step
        if not any(name.startswith(f"{kind}.") for name in shapes):
            wanted = {name: size for name, size in wanted.items() if not name.startswith(f"{kind}.")}
    if shapes.get("stop.1") == () and "stop.1" in wanted:  # and one bias of the hazard for all positions
        wanted["stop.1"] = ()
    if shapes.get("start") == (wanted["start"][0] - 1,):  # nor do their hazards read the step before
        reading = [name for name in wanted if name.split(".")[0] in READING_COLUMNS]
        wanted |= {name: (*wanted[name][:-1], wanted[name][-1] - 1) for name in reading}
    if any(name.startswith("outputs.own.") for name in wanted.keys() - shapes.keys()):
        hint = "Blocks of flags of older versions had another distribution: fit the model again."
    if wanted != shapes:
        differing = sorted(dict(wanted.items() ^ shapes.items()))
        raise CorruptFile(location, expected, f"others: {', '.join(differing[:3])}", hint)
    for name, entry in entries.items():
        if entry.dtype != "F32":
            raise CorruptFile(f"{location}: tensor {name!r}", "numbers of F32", entry.dtype, hint)
    return file
