"""The codec: everything fitted between tables and the arrays that the network sees, and back."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from unspool.dataset.examples import Examples, base_inputs
from unspool.encoding.columns import Continuation, FittedColumn, InputColumn, StepColumn, ValueType
from unspool.encoding.encoded import Encoded
from unspool.encoding.input_columns import BinaryEncoder, TimestampEncoder, VectorEncoder
from unspool.encoding.joint import JointVocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.tokenizers import check_vocabulary, tokenize
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import Location, SchemaError, together
from unspool.schema.coercion import coerce
from unspool.schema.fields import (
    MONOTONE_TRANSFORMS,
    NO_INPUT,
    AnyField,
    Field,
    Flag,
    Flags,
    Joint,
    Number,
    Schema,
    Vector,
    When,
)
from unspool.schema.monotone import as_number
from unspool.tables.columns import Origin
from unspool.tables.origins import restore
from unspool.tables.table import Table, is_many, read_table

AnyInputColumn = Vocabulary | NumericEncoder | BinaryEncoder | TimestampEncoder | VectorEncoder
AnyStepColumn = Vocabulary | JointVocabulary | NumericEncoder | IncrementEncoder | MultiLabel
"""The classes that a model file may name."""


def input_column(field: Field) -> type[InputColumn]:
    """The class of the column of an input field."""
    match field:
        case Number():
            return NumericEncoder
        case Vector():
            return VectorEncoder
        case Flag():
            return BinaryEncoder
        case When():
            return TimestampEncoder
    return Vocabulary


def step_column(field: Field) -> type[StepColumn]:
    """The class of the column of a step field."""
    match field:
        case Number(transform=transform):
            return IncrementEncoder if transform in MONOTONE_TRANSFORMS else NumericEncoder
        case When():
            return IncrementEncoder
        case Flags():
            return MultiLabel
        case Joint():
            return JointVocabulary
    return Vocabulary


class Codec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The schema with everything that was fitted to the data: what the model file keeps.

    Args:
        schema: the fields.
        inputs: one fitted column per input field.
        steps: one fitted column per step field.
        shortest: steps of the shortest sequence of training.
        longest: of the longest.
        examples: number N of sequences.
        total: number S of steps.
        origins: the types that columns had, by name, where their canonical form is another one.
    """

    schema: Schema
    inputs: tuple[AnyInputColumn, ...]
    steps: tuple[AnyStepColumn, ...]
    shortest: int
    longest: int
    examples: int = 0
    total: int = 0
    origins: dict[str, Origin] = {}

    def __post_init__(self) -> None:
        for role, fields, columns, class_of in (
            ("input", self.schema.inputs, self.inputs, input_column),
            ("step", self.schema.steps, self.steps, step_column),
        ):
            expected, found = [class_of(field) for field in fields], [type(column) for column in columns]
            if expected != found:
                names = [", ".join(kind.__name__ for kind in kinds) for kinds in (expected, found)]
                raise SchemaError(f"codec, {role} columns", *names)
            for field, column in zip(fields, columns, strict=True):
                if isinstance(column, Vocabulary):
                    check_vocabulary(field, column)
        if not 0 <= self.shortest <= self.longest:
            raise SchemaError("codec, lengths", "0 <= shortest <= longest", f"{self.shortest} and {self.longest}")

    def input_columns(self) -> list[tuple[AnyField, InputColumn]]:
        """Every input field with its column."""
        return list(zip(self.schema.inputs, self.inputs, strict=True))

    def step_columns(self) -> list[tuple[AnyField, StepColumn]]:
        """Every step field with its column."""
        return list(zip(self.schema.steps, self.steps, strict=True))

    @property
    def types(self) -> dict[str, ValueType]:
        """The type of every column of a step, by name."""
        return dict(_types(self.step_columns()))

    @property
    def strings(self) -> list[str]:
        """Columns whose values are text, so that "007" in a CSV file isn't read as 7."""
        columns = [*self.input_columns(), *self.step_columns()]
        return [name for name, kind in _types(columns) if kind in ("text", "mixed")]

    def encode(self, examples: Examples) -> Encoded:
        """Arrays for the network.

        Raises:
            UnknownCategory: a category among the inputs that training never saw.
            SchemaError: a missing value where training had none; a value that a transform is not defined for. Several
                such errors are listed in one.
        """
        examples = tokenize(self.schema, self.steps, examples)
        inputs, pairs, wrong = self._encoded(examples)
        if wrong:
            raise together(wrong, examples.location)
        steps, jacobians = zip(*pairs, strict=True)
        return Encoded(inputs, steps, examples.offsets, jacobians, examples.starts, examples.gap)

    def read_inputs(self, data: Any) -> Table:
        """Inputs as a table: any kind of table, or a dict of single values; a `SchemaError` lists missing columns."""
        alone = self.schema.is_unconditional
        if isinstance(data, Mapping):
            data = self._whole_vectors(data)
        if alone and (data is None or (isinstance(data, Mapping) and not data)):
            data = {NO_INPUT: NO_INPUT}
        location = None if isinstance(data, str) or hasattr(data, "read") else "inputs"
        table = read_table(data, location, strings=self.strings)
        if alone:
            columns = table.columns | {NO_INPUT: np.full(len(table), NO_INPUT, object)}
            table = dataclasses.replace(table, columns=columns)
        table.need([field.name for field in self.schema.inputs])
        return table

    def encode_inputs(self, data: Any) -> tuple[np.ndarray, ...]:
        """Per input field, int32 (N,) or float64 (N, D), from the inputs that `read_inputs` takes.

        Raises:
            UnknownCategory: a category that training never saw.
            SchemaError: inputs that are missing, or of another kind than in training.
        """
        table = self.read_inputs(data)
        encoded, wrong = [], []
        for field, column in self.input_columns():
            location = Location(table.location, field.name)
            try:
                encoded.append(column.encode_input(coerce(table.column(field.name), field, location), location))
            except SchemaError as error:
                wrong.append(error)
        if wrong:
            raise together(wrong, table.location)
        return tuple(encoded)

    def bases(self, data: Any) -> dict[str, np.ndarray]:
        """By name, (N,) float64: the values before step 0, for `decode`, from the inputs that `read_inputs` takes."""
        table = self.read_inputs(data)
        fields = {field.name: field for field in self.schema.inputs}
        return {
            name: as_number(coerce(table.column(source), fields[source], Location(table.location, source)))
            for name, source in base_inputs(self.schema).items()
        }

    def parse_inputs(self, texts: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
        """Typed inputs, by name, as values of the right types: "3" as 3 where training had whole numbers, "" as None.

        Raises:
            SchemaError: a text that can't be a value of its column.
        """
        columns = {field.name: column for field, column in self.input_columns()}
        parsed: dict[str, list[Any]] = {}
        for name, given in texts.items():
            parsed[name] = [text or None for text in given]
            if name in columns:
                parsed[name] = [text and columns[name].parse(text, f"input {name!r}") for text in parsed[name]]
        return parsed

    def decode(
        self, steps: Sequence[np.ndarray], offsets: np.ndarray, before: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """By name, (S,) values of every column in original units, all sequences end to end: undoes `encode`.

        Text is an object array of characters, words or pieces.

        Args:
            steps: per step field, (S,) int32 or floats, NaN where missing.
            offsets: (N + 1,).
            before: by name, (N,) the values before step 0, where the schema has them; see `bases`.
        """
        return self.decode_on(steps, offsets, before)[0]

    def decode_on(
        self,
        steps: Sequence[np.ndarray],
        offsets: np.ndarray,
        before: Mapping[str, np.ndarray] | None = None,
        observed: Mapping[str, np.ndarray] | None = None,
        upper: Mapping[str, np.ndarray] | None = None,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """As `decode`, and the `before` of the next steps; given values by name, see `Continuation`."""
        decoded: dict[str, np.ndarray] = {}
        last: dict[str, np.ndarray] = {}
        for (field, column), encoded in zip(self.step_columns(), steps, strict=True):
            known = [(by_name or {}).get(field.name) for by_name in (before, observed, upper)]
            values, end = column.decode(encoded, Continuation(np.asarray(offsets), *known))
            decoded |= dict(zip(field.columns, values, strict=True))
            if end is not None:
                last[field.name] = end
        return decoded, last

    def show(
        self, columns: Mapping[str, np.ndarray], offsets: np.ndarray, *, apart: bool = False, restored: bool = True
    ) -> list[Any]:
        """Decoded columns as one Python value per sequence, in the schema's form: str, list, list of dicts or of lists.

        Args:
            columns: by name, (S,) values.
            offsets: (N + 1,).
            apart: whether a text is a list of the texts of its steps.
            restored: whether values have the types that went in, or the canonical ones.
        """
        names = [name for field in self.schema.steps for name in field.columns]
        values = [restore(columns[name], self.origins.get(name) if restored else None) for name in names]
        bounds = list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))
        if self.schema.form == "text" and not apart:
            return ["".join(values[0][start:end]) for start, end in bounds]
        if self.schema.form in ("text", "list"):
            return [values[0][start:end] for start, end in bounds]
        rows: list[Any] = [list(row) for row in zip(*values, strict=True)]
        if self.schema.form == "records":
            labels = [self.label(name) if restored else name for name in names]
            rows = [dict(zip(labels, row, strict=True)) for row in rows]
        return [rows[start:end] for start, end in bounds]

    def label(self, name: str) -> str | int:
        """The name of a column as the user's table has it."""
        return int(name) if name in self.origins and self.origins[name].integer else name

    def describe(self) -> str:
        """The aligned table that fit and `unspool inspect` print: every field, and its fitted column."""
        found = {("input", field.name): column.describe() for field, column in self.input_columns()}
        found |= {("step", field.name): column.describe() for field, column in self.step_columns()}
        span = str(self.longest) if self.shortest == self.longest else f"{self.shortest} to {self.longest}"
        length = f"{span} steps, {self.examples:,} sequences, {self.total:,} steps in all"
        return self.schema.describe(found, length)

    def _encoded(
        self, examples: Examples
    ) -> tuple[tuple[np.ndarray, ...], list[tuple[np.ndarray, np.ndarray]], list[SchemaError]]:
        """Inputs, and steps with their log-Jacobians, of the columns that are present; and the errors of others."""
        inputs, steps, wrong = [], [], []
        for field, column in self.input_columns():
            if field.name in examples.inputs:
                try:
                    location = examples.input_location(field.name)
                    inputs.append(column.encode_input(examples.inputs[field.name], location))
                except SchemaError as error:
                    wrong.append(error)
        for field, step in self.step_columns():
            if field.name in examples.steps:
                try:
                    steps.append(encode_step(field, step, examples))
                except SchemaError as error:
                    wrong.append(error)
        return tuple(inputs), steps, wrong

    def misfits(self, examples: Examples) -> list[SchemaError]:
        """The errors of examples, of which some columns may be missing."""
        return self._encoded(examples)[2]

    def _whole_vectors(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """The inputs with every single vector as a list of vectors, since it is one value and not D of them."""
        vectors = {field.name for field in self.schema.inputs if isinstance(field, Vector)}
        many = {name: value for name, value in data.items() if is_many(value)}
        single = [name for name in many if name in vectors and len(many[name]) and all(map(_is_number, many[name]))]
        rows = next((len(value) for name, value in many.items() if name not in single), 1)
        return {**data, **{name: [list(many[name])] * rows for name in single}}


def encode_step(field: AnyField, column: StepColumn, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """A step field's values for the network, and the log-Jacobian of each."""
    location, before = examples.step_location(field.name), examples.first.get(field.name)
    return column.encode(examples.steps[field.name], location, examples.offsets, before)


def _types(columns: Sequence[tuple[AnyField, FittedColumn]]) -> Iterator[tuple[str, ValueType]]:
    """Name and type of every column of the table that the fields stand for."""
    for field, column in columns:
        yield from zip(field.columns, column.types, strict=True)


def _is_number(value: Any) -> bool:
    """Whether a value is one number, not a list of them."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"
