"""The codec: everything fitted between tables and the arrays that the network sees, and back."""

import dataclasses
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from unspool.dataset.examples import Examples, base_inputs
from unspool.encoding.angle import AngleEncoder, AngleInput
from unspool.encoding.columns import Continuation, FittedColumn, InputColumn, StepColumn, ValueType
from unspool.encoding.distance import DistanceEncoder
from unspool.encoding.encoded import Encoded
from unspool.encoding.first_moment import MomentPart
from unspool.encoding.input_columns import BinaryEncoder, TimestampEncoder, VectorEncoder
from unspool.encoding.members import JointVocabulary, MultiLabel
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.tokenizers import check_vocabulary, tokenize
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import Location, SchemaError, together
from unspool.schema.coercion import coerce, sentinel_date
from unspool.schema.derivation import derive
from unspool.schema.fields import (
    MONOTONE_TRANSFORMS,
    NO_INPUT,
    Angle,
    AnyField,
    Field,
    Flag,
    Flags,
    Joint,
    Number,
    Part,
    Schema,
    Vector,
    When,
)
from unspool.schema.monotone import as_number
from unspool.schema.relation_search import failures
from unspool.schema.relations import Sum, derived_columns
from unspool.tables.columns import Origin
from unspool.tables.origins import restore
from unspool.tables.table import Table, is_many, read_table

MAX_SEQUENCE_STEPS = 2**24
"""Steps of the longest sequence."""
AnyInputColumn = Vocabulary | NumericEncoder | AngleInput | BinaryEncoder | TimestampEncoder | VectorEncoder
AnyStepColumn = (
    Vocabulary | JointVocabulary | NumericEncoder | IncrementEncoder | DistanceEncoder | AngleEncoder | MultiLabel
)
"""The classes that a model file may name."""


def input_column(field: Field) -> type[InputColumn]:
    """The class of the column of an input field."""
    match field:
        case Number():
            return NumericEncoder
        case Angle():
            return AngleInput
        case Vector():
            return VectorEncoder
        case Flag():
            return BinaryEncoder
        case When():
            return TimestampEncoder
    return Vocabulary


def step_column(field: Field) -> type[StepColumn]:
    """The class of the column of a step field."""
    if field.references:
        return DistanceEncoder
    match field:
        case Number(transform=transform):
            return IncrementEncoder if transform in MONOTONE_TRANSFORMS else NumericEncoder
        case When():
            return IncrementEncoder
        case Angle():
            return AngleEncoder
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
    examples: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    total: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    origins: dict[str, Origin] = {}

    def __post_init__(self) -> None:
        for role, fields, columns, class_of in (
            ("input", self.schema.inputs, self.inputs, input_column),
            ("step", self.schema.steps, self.steps, step_column),
        ):
            wanted, found = [class_of(field) for field in fields], [type(column) for column in columns]
            if wanted != found:
                names = [", ".join(kind.__name__ for kind in kinds) for kinds in (wanted, found)]
                raise SchemaError(f"codec, {role} columns", *names)
            for field, column in zip(fields, columns, strict=True):
                if isinstance(column, Vocabulary):
                    check_vocabulary(field, column)
        if not 0 <= self.shortest <= self.longest <= MAX_SEQUENCE_STEPS:
            expected = f"0 <= shortest <= longest <= {MAX_SEQUENCE_STEPS:,}"
            raise SchemaError("codec, lengths", expected, f"{self.shortest} and {self.longest}")
        least, most = self.examples * self.shortest, self.examples * self.longest
        if self.examples and not max(least, self.longest) <= self.total <= most:
            expected = f"{max(least, self.longest):,} to {most:,} steps in all, of {self.examples:,} sequences"
            raise SchemaError("codec, lengths", expected, f"{self.total:,}")

    def input_columns(self) -> list[tuple[AnyField, InputColumn]]:
        """Every input field with its column."""
        return list(zip(self.schema.inputs, self.inputs, strict=True))

    def step_columns(self) -> list[tuple[Field, StepColumn]]:
        """Every step field with its column, as the network has them: the parts of first moments are fields, too."""
        found: list[tuple[Field, StepColumn]] = []
        for field, column in zip(self.schema.steps, self.steps, strict=True):
            found.append((field, column))
            found += [(Part(field.name, field), part) for part in parts_of(column)]
        return found

    def without_parts(self, values: Sequence[Any]) -> list[Any]:
        """Of one item for each of `step_columns`, those of the step fields."""
        pairs = zip(self.step_columns(), values, strict=True)
        return [value for (field, _), value in pairs if not isinstance(field, Part)]

    def check_rows(self, rows: "Codec") -> None:
        """Refuse a codec of rows of inputs (`unspool.encoding.input_rows`) that is not of these inputs."""
        columns = iter(rows.types.values())
        for field, column in self.input_columns():
            width = column.width if isinstance(field, Vector) else 1
            parts = list(itertools.islice(columns, width))
            numbers = all(part in ("int", "float") for part in parts)
            if len(parts) < width or (isinstance(field, Vector) and not numbers):
                raise SchemaError("input model", f"{width} columns for {field.name!r}", "others")
        if next(columns, None) is not None or (rows.shortest, rows.longest) != (1, 1):
            raise SchemaError("input model", "a column for every input, and sequences of one step", "others")
        if [column.num_symbols for column in rows.inputs] != [1]:
            raise SchemaError("input model", "one constant input", "others")

    @property
    def types(self) -> dict[str, ValueType]:
        """The type of every column of a step, by name, in the order of the table."""
        types = dict(_types(self.step_columns()))
        for name, relation in derived_columns(self.schema.relations).items():
            if isinstance(relation, Sum):
                types[name] = "int" if relation.decimals == 0 else "float"
            else:
                types[name] = types[relation.columns[1]]
        return {name: types[name] for name in self.schema.step_columns}

    @property
    def strings(self) -> list[str]:
        """Columns whose values are text, so that "007" in a CSV file isn't read as 7."""
        types = [*_types(self.input_columns()), *self.types.items()]
        return [name for name, kind in types if kind in ("text", "mixed")]

    def encode(self, examples: Examples) -> Encoded:
        """Arrays for the network. A category among the inputs that training never saw is read as missing, and said.

        Raises:
            SchemaError: a missing value where training had none; a value that a transform is not defined for, that
                falls where none of training fell, or that lies off the grid of training. Several such errors are listed
                in one.
        """
        examples = tokenize(self.schema, self.steps, examples)
        inputs, pairs, wrong = self._encoded(examples)
        if wrong:
            raise together(wrong, examples.location)
        steps, jacobians = zip(*pairs, strict=True)
        return Encoded(inputs, steps, examples.offsets, jacobians, examples.starts, examples.gap)

    def read_inputs(self, data: Any, *, some: bool = False) -> Table:
        """Inputs as a table: any kind of table, or a dict of single values; a `SchemaError` lists missing columns.

        With `some`, columns may be missing.
        """
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
        if not some:
            table.need([field.name for field in self.schema.inputs])
        return table

    def encode_inputs(self, data: Any, *, some: bool = False, unknown: str = "refuse") -> tuple[np.ndarray, ...]:
        """Per input field, int32 (N,) or float64 (N, D), from the inputs that `read_inputs` takes.

        Args:
            data: the inputs.
            some: columns may be missing; only those that are there are encoded.
            unknown: `"missing"` reads a category that training never saw as a missing one, and says so.

        Raises:
            UnknownCategory: a category that training never saw.
            SchemaError: inputs that are missing, or of another kind than in training.
        """
        table = self.read_inputs(data, some=some)
        encoded, wrong = [], []
        for field, column in self.input_columns():
            if some and field.name not in table.columns:
                continue
            location = Location(table.location, field.name)
            try:
                values = coerce(table.column(field.name), field, location)
                encoded.append(_encode_input(column, values, location, unknown))
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
            steps: per step field, (S,) int32 or floats, NaN where missing; see `step_columns`.
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
        arrays = iter(steps)
        for field, column in zip(self.schema.steps, self.steps, strict=True):
            encoded, parts = next(arrays), tuple(itertools.islice(arrays, len(parts_of(column))))
            given = [(by_name or {}).get(field.name) for by_name in (before, observed, upper)]
            references = tuple(decoded[name] for name in field.references)
            continuation = Continuation(np.asarray(offsets), given[0], given[1], given[2], references, parts)
            values, end = column.decode(encoded, continuation)
            decoded |= dict(zip(field.columns, values, strict=True))
            if end is not None:
                last[field.name] = end
        decoded = derive(self.schema.relations, decoded)
        for name, sentinel in self.schema.sentinels.items():
            decoded[name] = np.where(np.isnat(decoded[name]), sentinel_date(sentinel), decoded[name])
        return {name: decoded[name] for name in self.schema.step_columns}, last

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
        names = self.schema.step_columns
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
        steps = zip(self.schema.steps, self.steps, strict=True)
        found |= {("step", field.name): column.describe() for field, column in steps}
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
                    inputs.append(_encode_input(column, examples.inputs[field.name], location, "missing"))
                except SchemaError as error:
                    wrong.append(error)
        for part, step in self.step_columns():
            if part.name in examples.steps:
                try:
                    steps.append(encode_step(part, step, examples))
                except SchemaError as error:
                    wrong.append(error)
        return tuple(inputs), steps, [*wrong, *broken_relations(self.schema, examples)]

    def readable(self, examples: Examples) -> np.ndarray:
        """(N,) bool: which examples `encode` takes as a whole; it halves a set until no half has an error."""
        good, sets = np.ones(len(examples), bool), [np.arange(len(examples))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `encode` says it of the examples that it takes
            while sets:
                rows = sets.pop()
                try:
                    self.encode(examples.take(rows))
                except SchemaError:
                    good[rows] = len(rows) > 1
                    sets += np.array_split(rows, 2) if len(rows) > 1 else []
        return good

    def misfits(self, examples: Examples) -> list[SchemaError]:
        """The errors of examples, of which some columns may be missing."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about values that are no errors
            return self._encoded(examples)[2]

    def _whole_vectors(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """The inputs with every single vector as a list of vectors, since it is one value and not D of them."""
        vectors = {field.name for field in self.schema.inputs if isinstance(field, Vector)}
        many = {name: value for name, value in data.items() if is_many(value)}
        single = [name for name in many if name in vectors and len(many[name]) and all(map(_is_number, many[name]))]
        rows = next((len(value) for name, value in many.items() if name not in single), 1)
        return {**data, **{name: [list(many[name])] * rows for name in single}}


def parts_of(column: StepColumn) -> tuple[MomentPart, ...]:
    """The parts of first moments, which follow the column in the network."""
    return getattr(column, "first", ())


def encode_step(field: Field, column: StepColumn, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """A step field's values for the network, and the log-Jacobian of each."""
    location, before = examples.step_location(field.name), examples.first.get(field.name)
    values = examples.steps[field.name]
    if isinstance(column, NumericEncoder):
        column.refuse_off_grid(values, location)
    if not isinstance(column, DistanceEncoder):
        return column.encode(values, location, examples.offsets, before)
    lacking = [name for name in field.references if name not in examples.steps]
    if lacking:
        raise SchemaError(location.whole, f"the columns {', '.join(lacking)} beside it", "none")
    distances, slope = column.distances(values, tuple(examples.steps[name] for name in field.references), location)
    encoded, inner = column.encode(distances, location, examples.offsets)
    return encoded, inner + slope


def broken_relations(schema: Schema, examples: Examples) -> list[SchemaError]:
    """The errors about records in which a column is not what its relation derives, of the columns that are present."""
    wrong = []
    for name, relation in derived_columns(schema.relations).items():
        if not set(relation.columns) <= set(examples.steps):
            continue
        failed = failures(relation, examples.steps)
        if failed.any():
            row = int(np.argmax(failed))
            others = " and ".join(str(examples.steps[other][row]) for other in relation.columns[1:])
            hint = "Correct the data; or fit with relations=None."
            location, found = examples.step_location(name).at(row), str(examples.steps[name][row])
            wrong.append(SchemaError(location, f"{relation}, here of {others}", found, hint))
    return wrong


def _encode_input(column: InputColumn, values: np.ndarray, location: Location, unknown: str) -> np.ndarray:
    """An input's values for the network."""
    if unknown == "missing" and isinstance(column, Vocabulary):
        return column.encode_leniently(values, location)
    return column.encode_input(values, location)


def _types(columns: Sequence[tuple[Field, FittedColumn]]) -> Iterator[tuple[str, ValueType]]:
    """Name and type of every column of the table that the fields stand for."""
    for field, column in columns:
        yield from zip(field.columns, column.types, strict=True)


def _is_number(value: Any) -> bool:
    """Whether a value is one number, not a list of them."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"
