"""What a model file says besides the weights, so that `unspool inspect` reads it without importing JAX."""

from collections.abc import Mapping
from typing import Any

import msgspec

from unspool import modelfile
from unspool.encoding.codec import Codec
from unspool.options import Network, Training
from unspool.tables.table import TableKind

INPUT_MODEL_PREFIX = "row."
"""What the names of the arrays that draw inputs begin with in a model file."""


class ValidationRound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One look at the held-out sequences: nats per step are minus mean log-probabilities, lower is better."""

    update: int
    train: float
    validation: float | None


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened in training.

    Attributes:
        nats: held-out nats per step at the best weights, in original units (of training where nothing is held out);
            lower is better.
        examples: sequences trained on; `heldout` those held out.
        steps: steps trained on; `heldout_steps` those held out.
        updates: of the weights; `best_update` the one whose weights were kept.
        weights: numbers in the network.
        seconds: time taken.
        stopped: why training ended.
        rounds: every look at the held-out sequences.
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


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration in a model file: all but the weights. `row` is `None` where inputs can't be drawn."""

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
        return _renamed(old) | {"format": modelfile.FORMAT_VERSION}


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
