"""The codec: everything fitted between tables and the arrays that the network sees, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples, base_inputs
from unspool.encoding.columns import Continuation, InputColumn, StepColumn, ValueType
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
from unspool.schema.fields import MONOTONE_TRANSFORMS, AnyField, Field, Flag, Flags, Joint, Number, Schema, Vector, When
from unspool.schema.monotone import as_number
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
    """

    schema: Schema
    inputs: tuple[AnyInputColumn, ...]
    steps: tuple[AnyStepColumn, ...]
    shortest: int
    longest: int
    examples: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        for role, pairs, kind_of in (
            ("input", self.input_columns(strict=False), input_column),
            ("step", self.step_columns(strict=False), step_column),
        ):
            wanted, found = [kind_of(field) for field, _ in pairs], [type(column) for _, column in pairs]
            if wanted != found or len(pairs) != len(getattr(self.schema, f"{role}s")):
                names = [", ".join(kind.__name__ for kind in kinds) for kinds in (wanted, found)]
                raise SchemaError(f"codec, {role} columns", *names)
            for field, column in pairs:
                if isinstance(column, Vocabulary):
                    check_vocabulary(field, column)
        if not 0 <= self.shortest <= self.longest:
            raise SchemaError("codec, lengths", "0 <= shortest <= longest", f"{self.shortest} and {self.longest}")

    def input_columns(self, *, strict: bool = True) -> list[tuple[AnyField, InputColumn]]:
        """Every input field with its column."""
        return list(zip(self.schema.inputs, self.inputs, strict=strict))

    def step_columns(self, *, strict: bool = True) -> list[tuple[AnyField, StepColumn]]:
        """Every step field with its column."""
        return list(zip(self.schema.steps, self.steps, strict=strict))

    @property
    def types(self) -> dict[str, ValueType]:
        """What every column of a step holds, by name."""
        return {
            name: kind
            for field, column in self.step_columns()
            for name, kind in zip(field.columns, column.types, strict=True)
        }

    def encode(self, examples: Examples) -> Encoded:
        """Arrays for the network.

        Raises:
            UnknownCategory: a category among the inputs that training never saw.
            SchemaError: a missing value where training had none; a value that a transform is not defined for; or
                several such differences, all of them listed.
        """
        examples = tokenize(self.schema, self.steps, examples)
        inputs, pairs, wrong = self._encoded(examples)
        if wrong:
            raise together(wrong, examples.location)
        steps, jacobians = zip(*pairs, strict=True)
        return Encoded(inputs, steps, examples.offsets, jacobians, examples.starts, examples.gap)

    def read_inputs(self, data: Any) -> Table:
        """The inputs to generate from, as a table: any kind of table, or a dict of single values.

        Raises:
            SchemaError: lists every input that is missing.
        """
        if isinstance(data, Mapping):
            data = self._whole_vectors(data)
        table = read_table(
            data, None if isinstance(data, str) or hasattr(data, "read") else "inputs", strings=self.strings
        )
        table.need([field.name for field in self.schema.inputs])
        return table

    def encode_inputs(self, data: Any) -> tuple[NDArray[Any], ...]:
        """Per input field, int32 (N,) or float64 (N, D), for generation.

        Args:
            data: any kind of table, or a dict of single values; columns that are no inputs are ignored.

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

    def bases(self, data: Any) -> dict[str, NDArray[Any]]:
        """By name, (N,) float64: the values before step 0, for `decode`, from the inputs to generate from."""
        table = self.read_inputs(data)
        kinds = {field.name: field for field in self.schema.inputs}
        sources = base_inputs(self.schema)
        return {
            name: as_number(coerce(table.column(source), kinds[source], Location(table.location, source)))
            for name, source in sources.items()
        }

    def parse_inputs(self, texts: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
        """Inputs that someone typed, as values of the right types; an empty text is a missing value.

        Args:
            texts: by input name, one text per example.

        Raises:
            SchemaError: what can't be a value of its column.

        Examples: `{"month": ["3"]}` gives `{"month": [3]}` where months are whole numbers.
        """
        columns = {field.name: column for field, column in self.input_columns()}
        return {
            name: [
                None if text == "" else columns[name].parse(text, f"input {name!r}") if name in columns else text
                for text in given
            ]
            for name, given in texts.items()
        }

    def decode(
        self,
        steps: Sequence[NDArray[Any]],
        offsets: NDArray[np.int64],
        before: Mapping[str, NDArray[Any]] | None = None,
        observed: Mapping[str, NDArray[np.float64]] | None = None,
        upper: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Columns in original units, all sequences end to end: undoes `encode`.

        Args:
            steps: per step field, (S,) int32 or floats, NaN where missing.
            offsets: (N + 1,).
            before: by name, (N,) the values before step 0, where the schema has them; see `bases`.
            observed: by name, see `Continuation.observed`.
            upper: by name, see `Continuation.upper`.

        Returns:
            By name, (S,) values; text as an object array of characters, words or pieces. A field of several columns
            has them all.
        """
        return self.decode_on(steps, offsets, before, observed, upper)[0]

    def decode_on(
        self,
        steps: Sequence[NDArray[Any]],
        offsets: NDArray[np.int64],
        before: Mapping[str, NDArray[Any]] | None = None,
        observed: Mapping[str, NDArray[np.float64]] | None = None,
        upper: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """As `decode`, and by name what the next steps of the same sequences go on from: their `before`."""
        decoded: dict[str, NDArray[Any]] = {}
        last: dict[str, NDArray[Any]] = {}
        for (field, column), encoded in zip(self.step_columns(), steps, strict=True):
            known = [(by_name or {}).get(field.name) for by_name in (before, observed, upper)]
            values, end = column.decode(encoded, Continuation(np.asarray(offsets), *known))
            decoded |= dict(zip(field.columns, values, strict=True))
            if end is not None:
                last[field.name] = end
        return decoded, last

    def show(self, columns: Mapping[str, NDArray[Any]], offsets: NDArray[Any], *, apart: bool = False) -> list[Any]:
        """One Python value per sequence, in the schema's form: str, list, list of dicts, list of lists.

        Args:
            columns: what `decode` gave.
            offsets: (N + 1,).
            apart: a text is a list of what its steps add to it.
        """
        names = [name for field in self.schema.steps for name in field.columns]
        values = [_python(columns[name]) for name in names]
        bounds = list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))
        if self.schema.form == "text" and not apart:
            return ["".join(values[0][start:end]) for start, end in bounds]
        if self.schema.form in ("text", "list"):
            return [values[0][start:end] for start, end in bounds]
        rows: list[Any] = [list(row) for row in zip(*values, strict=True)]
        if self.schema.form == "records":
            rows = [dict(zip(names, row, strict=True)) for row in rows]
        return [rows[start:end] for start, end in bounds]

    def describe(self) -> str:
        """The aligned table that fit and `unspool inspect` print: every field, and what was found in it."""
        found = {("input", field.name): column.describe() for field, column in self.input_columns()}
        found |= {("step", field.name): column.describe() for field, column in self.step_columns()}
        span = str(self.longest) if self.shortest == self.longest else f"{self.shortest} to {self.longest}"
        length = f"{span} steps, {self.examples:,} sequences, {self.total:,} steps in all"
        return self.schema.describe(found, length)

    def _encoded(
        self, examples: Examples
    ) -> tuple[tuple[NDArray[Any], ...], list[tuple[NDArray[Any], NDArray[Any]]], list[SchemaError]]:
        """Inputs, and steps with their log-Jacobians, of the columns that are there; and what is wrong with others."""
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
        """What is wrong with examples, of which some columns may be missing."""
        return self._encoded(examples)[2]

    @property
    def strings(self) -> list[str]:
        """Columns whose values are text, so that a CSV file's "007" isn't read as 7."""
        return [
            name
            for field, column in [*self.input_columns(), *self.step_columns()]
            for name, kind in zip(field.columns, column.types, strict=True)
            if kind in ("text", "mixed")
        ]

    def _whole_vectors(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """A single vector is one value, not a value for each of its numbers: repeat it as any single value."""
        vectors = {field.name for field in self.schema.inputs if isinstance(field, Vector)}
        single = {
            name: list(value)
            for name, value in data.items()
            if name in vectors and is_many(value) and len(value) and all(map(_is_number, value))
        }
        rest = [len(value) for name, value in data.items() if name not in single and is_many(value)]
        return {**data, **{name: [value] * (rest[0] if rest else 1) for name, value in single.items()}}


def encode_step(field: AnyField, column: StepColumn, examples: Examples) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """A step field's values for the network, and the log-Jacobian of each."""
    location, before = examples.step_location(field.name), examples.first.get(field.name)
    return column.encode(examples.steps[field.name], location, examples.offsets, before)


def _is_number(value: Any) -> bool:
    """Whether a value is one number, not a list of them."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"


def _python(values: NDArray[Any]) -> list[Any]:
    """Plain Python values, None where missing."""
    if values.dtype.kind == "M":
        return values.tolist()  # NaT is None
    if values.dtype.kind == "f":
        return [None if value != value else value for value in values.tolist()]
    return values.tolist()
