"""The codec: everything fitted between tables and the arrays that the network sees, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from unspool.dataset.examples import Examples, base_inputs, gather_as
from unspool.encoding.columns import InputColumn, StepColumn, Vocabulary
from unspool.encoding.combinations import Combination, check_combinations
from unspool.encoding.describe import describe, parse_typed
from unspool.encoding.fit import INPUT_COLUMN, fit_input, fit_step, step_column
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.tokenizers import check_vocabulary, detokenize, is_bytes, tokenize
from unspool.errors import SchemaError, together
from unspool.schema.coercion import coerce
from unspool.schema.fields import Field, Schema, Vector
from unspool.schema.monotone import as_number
from unspool.tables.columns import offsets_from_lengths, ragged_indices
from unspool.tables.location import Location
from unspool.tables.table import Table, is_many, read


@dataclass(frozen=True, eq=False)
class Encoded:
    """Examples as the network sees them.

    Args:
        inputs: per input field, int32 (N,) symbols, or float64 (N, D), NaN where missing.
        steps: per step field, all sequences laid end to end: (S,) int32 symbols (V is what training never
            saw), or float64, NaN where missing.
        offsets: (N + 1,) int64; sequence i has steps `offsets[i]` to `offsets[i + 1]`.
        log_jacobian: per step field, (S,) float64: what to add to log p(encoded) for log p(original).
        starts: (N,) position of each window in its series; None for examples that are not windows.
        gap: positions by which a split by time must keep windows apart.
    """

    inputs: tuple[np.ndarray, ...]
    steps: tuple[np.ndarray, ...]
    offsets: np.ndarray
    log_jacobian: tuple[np.ndarray, ...]
    starts: np.ndarray | None = None
    gap: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(N,) int64."""
        return np.diff(self.offsets)

    @property
    def distinct(self) -> int:
        """Steps that are not the same as another one: windows that overlap share theirs."""
        if self.starts is None or not len(self):
            return int(self.offsets[-1])
        return int(np.minimum(np.diff(np.sort(self.starts)), self.gap).sum()) + self.gap

    @property
    def jacobian(self) -> float:
        """The log-Jacobian of all fields and steps."""
        return float(sum(column.sum() for column in self.log_jacobian))

    def take(self, rows: np.ndarray) -> "Encoded":
        """The given examples, in the given order.

        Args:
            rows: positions, or (N,) bool.
        """
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        index = ragged_indices(self.offsets, rows)
        return Encoded(
            tuple(column[rows] for column in self.inputs),
            tuple(column[index] for column in self.steps),
            offsets_from_lengths(self.lengths[rows]),
            tuple(column[index] for column in self.log_jacobian),
            None if self.starts is None else self.starts[rows],
            self.gap,
        )


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
        combinations: categories of a step of which only the tuples of training are generated.
    """

    schema: Schema
    inputs: tuple[InputColumn, ...]
    steps: tuple[StepColumn, ...]
    shortest: int
    longest: int
    examples: int = 0
    total: int = 0
    combinations: tuple[Combination, ...] = ()

    def __post_init__(self) -> None:
        for role, fields, columns in (
            ("input", self.schema.inputs, self.inputs),
            ("step", self.schema.steps, self.steps),
        ):
            kinds = [INPUT_COLUMN[type(field)] if role == "input" else step_column(field) for field in fields]
            if kinds != [type(column) for column in columns]:
                found = ", ".join(type(column).__name__ for column in columns)
                raise SchemaError(f"codec, {role} columns", ", ".join(kind.__name__ for kind in kinds), found)
        for field, column in zip(self.schema.steps, self.steps, strict=True):
            if isinstance(column, Vocabulary):
                check_vocabulary(field, column)
        check_combinations(self.combinations, self.schema, self.steps)
        if not 0 <= self.shortest <= self.longest:
            raise SchemaError("codec, lengths", "0 <= shortest <= longest", f"{self.shortest} and {self.longest}")

    @classmethod
    def fit(cls, schema: Schema, examples: Examples) -> "Codec":
        """Fit every column to the examples.

        Raises:
            SchemaError: a value that a transform is not defined for.
        """
        inputs = [fit_input(field, examples) for field in schema.inputs]
        steps = [fit_step(field, examples) for field in schema.steps]
        examples = tokenize(schema, steps, examples)
        lengths = examples.lengths
        return cls(
            schema,
            tuple(inputs),
            tuple(steps),
            int(lengths.min()),
            int(lengths.max()),
            len(examples),
            int(examples.offsets[-1]),
        )

    def gather(self, data: Any, steps: Any = None) -> Examples:
        """Read data that must have the fitted columns; see `gather_as`."""
        return gather_as(self.schema, data, steps, self._strings(), self._misfits)

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
        return Encoded(
            inputs,
            tuple(values for values, _ in pairs),
            examples.offsets,
            tuple(slope for _, slope in pairs),
            examples.starts,
            examples.gap,
        )

    def read_inputs(self, data: Any) -> Table:
        """The inputs to generate from, as a table: any kind of table, or a dict of single values.

        Raises:
            SchemaError: lists every input that is missing.
        """
        if isinstance(data, Mapping):
            data = self._whole_vectors(data)
        table = read(
            data, None if isinstance(data, str) or hasattr(data, "read") else "inputs", strings=self._strings()
        )
        table.need([field.name for field in self.schema.inputs])
        return table

    def encode_inputs(self, data: Any) -> tuple[np.ndarray, ...]:
        """Per input field, int32 (N,) or float64 (N, D), for generation.

        Args:
            data: any kind of table, or a dict of single values; columns that are no inputs are ignored.

        Raises:
            UnknownCategory: a category that training never saw.
            SchemaError: inputs that are missing, or of another kind than in training.
        """
        table = self.read_inputs(data)
        encoded, wrong = [], []
        for field, column in zip(self.schema.inputs, self.inputs, strict=True):
            location = Location(table.location, field.name)
            try:
                encoded.append(encode_input(column, coerce(table.column(field.name), field, location), location))
            except SchemaError as error:
                wrong.append(error)
        if wrong:
            raise together(wrong, table.location)
        return tuple(encoded)

    def bases(self, data: Any) -> dict[str, np.ndarray]:
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

        Examples: `{"month": ["3"]}` gives `{"month": [3]}` where months are whole numbers.
        """
        columns = {field.name: (field, column) for field, column in zip(self.schema.inputs, self.inputs, strict=True)}
        parsed: dict[str, list[Any]] = {}
        for name, given in texts.items():
            field, column = columns.get(name, (None, None))
            parsed[name] = [parse_typed(text, field, column, f"input {name!r}") for text in given]
        return parsed

    def decode(
        self,
        steps: Sequence[np.ndarray],
        offsets: np.ndarray,
        first: Mapping[str, np.ndarray] | None = None,
        known: Mapping[str, np.ndarray] | None = None,
        most: Mapping[str, np.ndarray] | None = None,
        *,
        rounded: bool = True,
    ) -> dict[str, np.ndarray]:
        """Flat columns in original units: undoes `encode`.

        Args:
            steps: per step field, (S,) int32 or floats, NaN where missing.
            offsets: (N + 1,).
            first: by name, (N,) the values before step 0, where the schema has them; see `bases`. Of pieces of bytes,
                those that were left over; see `unspool.encoding.tokenizers.detokenize`.
            known: by name of a number or moment, (S,) float64 what was given rather than drawn, NaN elsewhere; it comes
                back as it is.
            most: by name, (S,) what no value of a column of gaps may pass; see `unspool.encoding.monotone`.
            rounded: numbers as training had them; else what more steps can go on from.

        Returns:
            By name, (S,) values; text as an object array of characters, words or pieces. A block of flags has a column
            for each member.
        """
        decoded: dict[str, np.ndarray] = {}
        for field, column, values in zip(self.schema.steps, self.steps, steps, strict=True):
            if isinstance(column, Vocabulary) and is_bytes(field):
                decoded[field.name], _ = detokenize(column, values, np.asarray(offsets), (first or {}).get(field.name))
            elif isinstance(column, Vocabulary):
                decoded[field.name] = column.decode(values)
            elif isinstance(column, MultiLabel):
                decoded |= column.decode(values)
            else:
                more = [(first or {}).get(field.name), (known or {}).get(field.name)]
                more += [(most or {}).get(field.name)] if isinstance(column, IncrementEncoder) else []
                decoded[field.name] = column.decode(values, np.asarray(offsets), *more, rounded=rounded)
        return decoded

    def show(self, columns: Mapping[str, np.ndarray], offsets: np.ndarray, *, apart: bool = False) -> list[Any]:
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
        observed = {}
        for field, column in zip(self.schema.inputs, self.inputs, strict=True):
            observed["input", field.name] = describe(column)
        for field, step in zip(self.schema.steps, self.steps, strict=True):
            observed["step", field.name] = describe(step)
        span = str(self.longest) if self.shortest == self.longest else f"{self.shortest} to {self.longest}"
        length = f"{span} steps, {self.examples:,} sequences, {self.total:,} steps in all"
        return self.schema.describe(observed, length)

    def _encoded(
        self, examples: Examples
    ) -> tuple[tuple[np.ndarray, ...], list[tuple[np.ndarray, np.ndarray]], list[SchemaError]]:
        """Inputs, and steps with their log-Jacobians, of the columns that are there; and what is wrong with others."""
        inputs, steps, wrong = [], [], []
        for field, column in zip(self.schema.inputs, self.inputs, strict=True):
            if field.name in examples.inputs:
                try:
                    location = examples.input_location(field.name)
                    inputs.append(encode_input(column, examples.inputs[field.name], location))
                except SchemaError as error:
                    wrong.append(error)
        for field, step in zip(self.schema.steps, self.steps, strict=True):
            if field.name in examples.steps:
                try:
                    steps.append(encode_step(field, step, examples))
                except SchemaError as error:
                    wrong.append(error)
        return tuple(inputs), steps, wrong

    def _misfits(self, examples: Examples) -> list[SchemaError]:
        return self._encoded(examples)[2]

    def _strings(self) -> list[str]:
        """Columns whose values are text, so that a CSV file's "007" isn't read as 7."""
        fields = [*zip(self.schema.inputs, self.inputs, strict=True), *zip(self.schema.steps, self.steps, strict=True)]
        return [
            field.name
            for field, column in fields
            if isinstance(column, Vocabulary) and any(isinstance(value, str) for value in column.values)
        ]

    def _whole_vectors(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """A single vector is one value, not a value for each of its numbers: repeat it as any single value."""
        vectors = {field.name for field in self.schema.inputs if isinstance(field, Vector)}
        single = {
            name: list(value)
            for name, value in data.items()
            if name in vectors and np.ndim(value) == 1 and len(value) and np.asarray(value).dtype.kind in "iuf"
        }
        rest = [len(value) for name, value in data.items() if name not in single and is_many(value)]
        return {**data, **{name: [value] * (rest[0] if rest else 1) for name, value in single.items()}}


def encode_input(column: InputColumn, values: np.ndarray, location: Location) -> np.ndarray:
    """An input field's values for the network."""
    if isinstance(column, Vocabulary):
        return column.encode(values, location, strict=True)
    return (
        column.encode(values, location)[:, None]
        if isinstance(column, NumericEncoder)
        else column.encode(values, location)
    )


def encode_step(field: Field, column: StepColumn, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """A step field's values for the network, and the log-Jacobian of each."""
    values, location = examples.steps[field.name], examples.step_location(field.name)
    if isinstance(column, Vocabulary):
        return column.encode(values, location, strict=False), np.zeros(len(values))
    if isinstance(column, MultiLabel):
        return column.encode(values, location), np.zeros(len(values))
    return column.encode_with_slope(values, location, examples.offsets, examples.first.get(field.name))


def _python(values: np.ndarray) -> list[Any]:
    """Plain Python values, None where missing."""
    if values.dtype.kind == "M":
        return values.tolist()  # NaT is None
    if values.dtype.kind == "f":
        return [None if value != value else value for value in values.tolist()]
    return values.tolist()
