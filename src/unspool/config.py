"""The configuration in a model file, all but the weights; reading it imports no JAX."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np

from unspool import modelfile
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.errors import SchemaError, renamed_attribute
from unspool.options import EmbeddingWidth, HiddenUnits, Network, Training
from unspool.schema.fields import AnyField, Field, First, column_name
from unspool.tables.table import TableKind

INPUT_MODEL_PREFIX = "row."
"""The prefix of the names of the arrays of the input model."""


Total = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of things that were counted."""


class ValidationRound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nats per step (minus the mean log-probability) of training and validation sequences after an update."""

    update: Total
    train: float
    validation: float | None


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The results of training.

    Attributes:
        nats: validation nats per step at the best weights, before calibration, in original units (training nats if
            nothing is held out); lower is better.
        examples: number of training sequences; `validation` of those held out.
        steps: number of training steps; `validation_steps` of those held out.
        updates: number of updates of the weights; `best_update` is the one whose weights the model has.
        weights: number of weights of the network.
        seconds: time of training; that of compilers, of reading and of calibration is not counted.
        stopped: the reason why training ended.
        rounds: every validation.
        baseline: nats per step of the simplest baseline, independent steps, on the same validation sequences; `None`
            if nothing is held out, and in older files.
    """

    nats: float
    examples: Total
    validation: Total
    steps: Total
    validation_steps: Total
    updates: Total
    best_update: Total
    weights: Total
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    stopped: str
    rounds: list[ValidationRound]
    baseline: float | None = None

    def __getattr__(self, name: str) -> Any:
        raise renamed_attribute(self, name, {"heldout": "validation", "heldout_steps": "validation_steps"})


class InputModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model of a row of inputs, all but its weights: a row is a sequence of one step without inputs.

    Attributes:
        codec: its step fields are the input fields, see `unspool.encoding.input_rows`.
        size: hidden units of its network; its other options are the default ones.
        embedding: width of the embedding of a category.
        nats: nats of a row, as in `Summary`.
        table: the kind of table of the training data, and of sampled inputs.
    """

    codec: Codec
    size: HiddenUnits
    embedding: EmbeddingWidth
    nats: float
    table: TableKind = "dict"


class FirstColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="first"):
    """`First(*names)` in a model file."""

    names: list[str | AnyField]


class NestedColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="nested"):
    """`{column: [fields inside its records]}` in a model file."""

    columns: dict[str, str | AnyField | list[str | AnyField]]


ColumnArgument = str | AnyField | FirstColumns | NestedColumns | list[str | AnyField | FirstColumns] | None
"""The argument `inputs` or `sequence` of `OneToMany` in a model file."""


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The arguments of `OneToMany` as the user gave them, for `load(path).get_params()`, but for the seed.

    Several columns come back as a list.
    """

    inputs: ColumnArgument = None
    sequence: ColumnArgument = None
    network: Network | None = None
    training: Training | None = None
    combinations: list[tuple[str, ...]] | None = None
    relations: str | list[str] | None = "auto"
    verbose: bool | None = None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Arguments":
        """The arguments in the parameters of a model."""
        given = {name: params[name] for name in cls.__struct_fields__}
        given |= {name: _to_file(given[name]) for name in ("inputs", "sequence")}
        if given["combinations"] is not None:
            given["combinations"] = [tuple(map(column_name, names)) for names in given["combinations"]]
        if given["relations"] is not None and not isinstance(given["relations"], str):
            given["relations"] = list(given["relations"])
        return cls(**given)

    def params(self) -> dict[str, Any]:
        """The arguments as `OneToMany` takes them."""
        columns = {name: _from_file(getattr(self, name)) for name in ("inputs", "sequence")}
        return {name: getattr(self, name) for name in self.__struct_fields__} | columns


def _to_file(columns: Any) -> Any:
    """The form of columns in a model file."""
    columns = column_name(columns)
    if columns is None or isinstance(columns, (str, Field)):
        return columns
    if isinstance(columns, First):
        return FirstColumns(_to_file(columns.names))
    if isinstance(columns, Mapping):
        return NestedColumns({column_name(name): _to_file(inner) for name, inner in columns.items()})
    return [_to_file(column) for column in columns]


def _from_file(columns: Any) -> Any:
    """The inverse of `_to_file`."""
    if isinstance(columns, FirstColumns):
        return First(*columns.names)
    if isinstance(columns, NestedColumns):
        return columns.columns
    return [_from_file(column) for column in columns] if isinstance(columns, list) else columns


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration in a model file; `row` is the input model, and `arguments` is `None` in older files."""

    format: Annotated[int, msgspec.Meta(ge=1, le=modelfile.FORMAT_VERSION)]
    versions: dict[str, str]
    codec: Codec
    network: Network
    size: HiddenUnits
    embedding: EmbeddingWidth
    training: Training
    seed: Annotated[int, msgspec.Meta(ge=0)]
    data: str
    summary: Summary
    row: InputModel | None = None
    arguments: Arguments | None = None

    def __post_init__(self) -> None:
        codec, summary = self.codec, self.summary
        counted = (summary.examples + summary.validation, summary.steps + summary.validation_steps)
        # Windows that overlap those held out are in neither part.
        if codec.examples and (counted[0] > codec.examples or counted[1] > codec.total):
            expected = f"at most the {codec.examples:,} sequences of {codec.total:,} steps of the codec"
            raise SchemaError("summary", expected, f"{counted[0]:,} of {counted[1]:,}")
        if self.seed >= 2**64:
            raise SchemaError("seed", "a whole number below 2**64", str(self.seed))
        if self.row is not None:
            codec.check_rows(self.row.codec)

    @classmethod
    def upgrade(cls, old: dict[str, Any]) -> dict[str, Any]:
        """The configuration of a file of an older format, in today's names.

        Raises:
            ValueError: combinations of format 1.
        """
        for codec in [old["codec"], *([old["row"]["codec"]] if old.get("row") else [])]:
            if codec.pop("combinations", ()):
                raise ValueError("combinations as format 1 had them; fit the model again")
            for field, column in zip(codec["schema"]["steps"], codec["steps"], strict=True):
                if field.get("unit") == "bpe":
                    column["bytes"] = True
        config = _renamed(old) | {"format": modelfile.FORMAT_VERSION}
        config["training"].pop("curve", None)  # an option of training alone
        return config


KEYS_SINCE_1 = {
    "head": "distribution", "atoms": "point_masses", "levels": "support_points", "gap": "increment",
    "heldout": "validation", "heldout_steps": "validation_steps",
}  # fmt: skip
WORDS_SINCE_1 = {
    "kind": {
        "symbols": "vocabulary", "scaled": "numeric", "gaps": "increment", "block": "multilabel", "flags": "binary",
        "dates": "timestamp", "reals": "vector",
    },
    "transform": {"standardise": "standardize", "gap": "increment", "drop": "decrement"},
    "head": {"discretised": "discretized"},
}  # fmt: skip
"""Keys of format 1 with those of today, and words that are values of some keys."""


def _renamed(value: Any, *, column: bool = False) -> Any:
    """Objects with today's keys and words, at any depth; the word of a `kind` changes in columns alone."""
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
    """The versions that the weights of a fit may depend on."""
    packages = {name: importlib.metadata.version(name) for name in ("unspool", "jax", "numpy")}
    return packages | {"python": platform.python_version()}


def fingerprint(encoded: Encoded, **settings: Any) -> dict[str, str]:
    """Hashes of everything that a fit depends on: fits with equal ones have equal weights."""
    digest = hashlib.sha256()
    for array in (*encoded.inputs, *encoded.steps, encoded.offsets):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    parts = {name: hashlib.sha256(msgspec.json.encode(value)).hexdigest() for name, value in settings.items()}
    return {"data": digest.hexdigest()} | parts
