"""What a model file says besides the weights, so that `unspool inspect` reads it without importing JAX."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from unspool import modelfile
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.errors import renamed_attribute
from unspool.options import Network, Training
from unspool.schema.fields import AnyField, Field, First
from unspool.tables.table import TableKind

INPUT_MODEL_PREFIX = "row."
"""What the names of the arrays that draw inputs begin with in a model file."""


class ValidationRound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One look at the validation sequences: nats per step are minus mean log-probabilities, lower is better."""

    update: int
    train: float
    validation: float | None


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened in training.

    Attributes:
        nats: validation nats per step at the best weights, before calibration, in original units (training nats where
            nothing is held out); lower is better.
        examples: sequences trained on; `validation` those held out.
        steps: steps trained on; `validation_steps` those held out.
        updates: of the weights; `best_update` the one whose weights were kept.
        weights: numbers in the network.
        seconds: time taken.
        stopped: why training ended.
        rounds: every look at the validation sequences.
    """

    nats: float
    examples: int
    validation: int
    steps: int
    validation_steps: int
    updates: int
    best_update: int
    weights: int
    seconds: float
    stopped: str
    rounds: list[ValidationRound]

    def __getattr__(self, name: str) -> Any:
        raise renamed_attribute(self, name, {"heldout": "validation", "heldout_steps": "validation_steps"})


class InputModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model of a row of inputs, all but its weights: a row is a sequence of one step, made from nothing.

    Attributes:
        codec: its step fields are the input fields, see `unspool.encoding.input_rows`.
        size: hidden units of its network; its other options are the default ones.
        embedding: width of the embedding of a category.
        nats: of a row, as in `Summary`.
        table: the kind of table that training came in, and drawn inputs become.
    """

    codec: Codec
    size: int
    embedding: int
    nats: float
    table: TableKind = "dict"


class FirstColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="first"):
    """`First(*names)` in a model file."""

    names: list[str | AnyField]


class NestedColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="nested"):
    """`{column: [fields inside its records]}` in a model file."""

    columns: dict[str, str | AnyField | list[str | AnyField]]


ColumnArgument = str | AnyField | FirstColumns | NestedColumns | list[str | AnyField | FirstColumns] | None
"""What `OneToMany` takes as `inputs` or `sequence`, in a model file."""


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The arguments of `OneToMany` as the user gave them, so that `load(path).get_params()` is what was fitted.

    Several columns, whatever holds them, come back as a list. The seed is in `Config`.
    """

    inputs: ColumnArgument = None
    sequence: ColumnArgument = None
    network: Network | None = None
    training: Training | None = None
    combinations: list[tuple[str, ...]] | None = None
    verbose: bool | None = None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Arguments":
        """The arguments among those of `get_params`."""
        given = {name: params[name] for name in cls.__struct_fields__}
        given |= {name: _to_file(given[name]) for name in ("inputs", "sequence")}
        if given["combinations"] is not None:
            given["combinations"] = [tuple(names) for names in given["combinations"]]
        return cls(**given)

    def params(self) -> dict[str, Any]:
        """The arguments as `OneToMany` takes them."""
        columns = {name: _from_file(getattr(self, name)) for name in ("inputs", "sequence")}
        return {name: getattr(self, name) for name in self.__struct_fields__} | columns


def _to_file(columns: Any) -> Any:
    """Columns as a model file has them."""
    if columns is None or isinstance(columns, (str, Field)):
        return columns
    if isinstance(columns, First):
        return FirstColumns(_to_file(columns.names))
    if isinstance(columns, Mapping):
        return NestedColumns({name: _to_file(inner) for name, inner in columns.items()})
    return [_to_file(column) for column in columns]


def _from_file(columns: Any) -> Any:
    """Columns as `OneToMany` takes them."""
    if isinstance(columns, FirstColumns):
        return First(*columns.names)
    if isinstance(columns, NestedColumns):
        return columns.columns
    return [_from_file(column) for column in columns] if isinstance(columns, list) else columns


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration in a model file: all but the weights.

    `row` is `None` where inputs can't be drawn, `arguments` in files from before they were kept.
    """

    format: int
    versions: dict[str, str]
    codec: Codec
    network: Network
    size: int
    embedding: int
    training: Training
    seed: int
    data: str
    summary: Summary
    row: InputModel | None = None
    arguments: Arguments | None = None

    @classmethod
    def upgrade(cls, old: dict[str, Any]) -> dict[str, Any]:
        """The configuration of a file of an older format, in today's names.

        Args:
            old: as the file has it.

        Raises:
            ValueError: what today's network can't hold.
        """
        for codec in [old["codec"], *([old["row"]["codec"]] if old.get("row") else [])]:
            if codec.pop("combinations", ()):
                raise ValueError("combinations as format 1 had them; fit the model again")
            for field, column in zip(codec["schema"]["steps"], codec["steps"], strict=True):
                if field.get("unit") == "bpe":
                    column["bytes"] = True
        config = _renamed(old) | {"format": modelfile.FORMAT_VERSION}
        config["training"].pop("curve", None)  # there were three; that training is over
        return config


KEYS_SINCE_1 = {
    "head": "distribution",
    "atoms": "point_masses",
    "levels": "support_points",
    "gap": "increment",
    "heldout": "validation",
    "heldout_steps": "validation_steps",
}
WORDS_SINCE_1 = {
    "kind": {
        "symbols": "vocabulary",
        "scaled": "numeric",
        "gaps": "increment",
        "block": "multilabel",
        "flags": "binary",
        "dates": "timestamp",
        "reals": "vector",
    },
    "transform": {"standardise": "standardize", "gap": "increment", "drop": "decrement"},
    "head": {"discretised": "discretized"},
}
"""What format 1 called the keys of its objects, and the words that stand at some of them."""


def _renamed(value: Any, *, column: bool = False) -> Any:
    """Objects with their keys and words in today's names, at any depth; `kind` is renamed of columns alone."""
    if isinstance(value, list):
        return [_renamed(part, column=column) for part in value]
    if not isinstance(value, Mapping):
        return value
    renamed = {}
    for name, part in value.items():
        word = part
        if isinstance(part, str) and (column or name != "kind"):
            word = WORDS_SINCE_1.get(name, {}).get(part, part)
        in_column = column or (name in ("inputs", "steps") and "schema" in value)
        renamed[KEYS_SINCE_1.get(name, name)] = _renamed(word, column=in_column)
    return renamed


def versions() -> dict[str, str]:
    """What the numbers of a fit may depend on besides its data and options."""
    packages = {name: importlib.metadata.version(name) for name in ("unspool", "jax", "numpy")}
    return packages | {"python": platform.python_version()}


def fingerprint(encoded: Encoded, **settings: Any) -> dict[str, str]:
    """What a fit depends on, each part as a hash: two fits with equal ones take the same course."""
    digest = hashlib.sha256()
    for array in (*encoded.inputs, *encoded.steps, encoded.offsets):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    parts = {"data": digest.hexdigest()}
    for name, value in settings.items():
        parts[name] = hashlib.sha256(msgspec.json.encode(value)).hexdigest()
    return parts
