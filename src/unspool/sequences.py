"""What generation gives back: sequences in the caller's values, aligned to the rows they were made for."""

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Codec
from unspool.labels import labels, word
from unspool.schema.fields import Vector
from unspool.tables.columns import Ragged, is_whole, take
from unspool.tables.table import Table
from unspool.tables.writers import FileType, file_type, save_parts, whole_numbers, write_table

MAX_SHOWN = 10
"""Sequences that a notebook or a terminal shows at once."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Generated sequences: `samples` for every input row, row after row.

    Iterating gives one Python value per sequence, in the form of the training data: text a str, a series a list,
    records a list of dicts.

    Attributes:
        codec: the fitted columns.
        inputs: the table that they were generated from, or the inputs that were sampled for them.
        columns: by column of the step, (S,) values of all sequences end to end, in original units.
        offsets: (N + 1,) where each sequence starts and the last one ends.
        ended: (N,) whether each ended by itself, rather than at the limit.
        samples: sequences per input row.
        seed: what makes them again.
        first: number of the first of them, where they are a part of what was asked for; `inputs` begins with its row.
        nats: (N,) log-probability of each, as `OneToMany.log_prob` has it, where a beam found them. One that was cut at
            the limit counts no stop, and where a length was asked for, nothing but the values counts.
        scores: (N,) what the beam ranked them by: `nats` divided by the length penalty.
    """

    codec: Codec
    inputs: Table
    columns: Mapping[str, NDArray[Any]]
    offsets: NDArray[np.int64]
    ended: NDArray[np.bool_]
    samples: int
    seed: int
    first: int = 0
    nats: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._values[index]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) steps of each sequence."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) the input row that each sequence was made for."""
        return self._numbers // self.samples

    def to_frame(self, *, long: bool | None = None) -> Any:
        """A table of the kind that the inputs came in: a data frame, a dict of lists, a list of dicts.

        Args:
            long: one row a step, with the columns `row`, `sample` and `step` before the fields; otherwise one row a
                sequence, with the sequence in one column. `None` follows the training data.

        Returns:
            Every column that was given as input, `sample`, `nats` where a beam found them, and the sequence. An input
            that is the first value of a step field is called `first_...` in the long form.
        """
        return write_table(self._columns(long), self.inputs.kind)

    def save(self, target: str | Path | IO[Any], *, long: bool | None = None, format: str | None = None) -> None:  # noqa: A002
        """Write the table of `to_frame` to a file, whole or not at all, or to an open stream.

        Args:
            target: a path, or a stream such as `sys.stdout.buffer`.
            long: as for `to_frame`.
            format: csv, tsv, jsonl, json or parquet; by default what the path says, csv for a stream.

        Raises:
            DataError: an unknown format.
            FileError: the place can't be written to.
        """
        types = partial(file_types, self.codec, self.inputs, long, ranked=self.nats is not None)
        save_parts([self.file_columns(long)], types, target, format)

    def plot(self, path: str | Path | None = None) -> Any:
        """A picture: text as text, numbers as a fan of quantiles with a few paths. Needs the extra `plot`.

        Args:
            path: write it there (PNG, SVG or PDF, by the name).

        Returns:
            The matplotlib figure.
        """
        from unspool.plots.sequences import plot_sequences

        return plot_sequences(self, path)

    def __repr__(self) -> str:
        lines = [self._title]
        lines += [f"  {self.label(k)}  {_short(self._values[k])}" for k in range(min(len(self), MAX_SHOWN))]
        return "\n".join([*lines, *(["  ..."] if len(self) > MAX_SHOWN else [])])

    def _repr_html_(self) -> str:
        cell = lambda text: f"<td style='text-align:left'>{html.escape(text)}</td>"  # noqa: E731
        rows = (
            f"<tr>{cell(self.label(k))}{cell(_short(self._values[k], 200))}</tr>"
            for k in range(min(len(self), MAX_SHOWN))
        )
        more = f"<tr>{cell('...')}{cell('')}</tr>" if len(self) > MAX_SHOWN else ""
        caption = f"<caption style='text-align:left; white-space:nowrap'>{self._title}</caption>"
        return f"<table>{caption}{''.join(rows)}{more}</table>"

    @cached_property
    def _values(self) -> list[Any]:
        return self.codec.show(self.columns, self.offsets)

    def label(self, k: int) -> str:
        """What the input row of sequence k is called, see `unspool.labels`."""
        return self._labels[self._input_rows[k]]

    def file_columns(self, long: bool | None = None) -> dict[str, Any]:
        """The columns of `to_frame` as files hold them: whole numbers stay whole where others are missing."""
        types = self.codec.types
        columns = {
            name: whole_numbers(values) if types[name] == "int" else values for name, values in self.columns.items()
        }
        given = {
            name: whole_numbers(column) if is_whole(column) else column for name, column in self.inputs.columns.items()
        }
        return replace(self, columns=columns, inputs=replace(self.inputs, columns=given))._columns(long)  # noqa: SLF001

    @property
    def _numbers(self) -> NDArray[np.int64]:
        """(N,) the number of each among all that were asked for, row by row, and within a row sample by sample."""
        return np.arange(self.first, self.first + len(self))

    @property
    def _input_rows(self) -> NDArray[np.int64]:
        """(N,) which row of `inputs` each sequence was made for."""
        return self.rows - self.first // self.samples

    @property
    def _title(self) -> str:
        rows = len(self.inputs)
        kind = f"seed {self.seed}" if self.nats is None else "best first"
        return f"{len(self)} sequences for {rows} input{'s' * (rows != 1)}, {kind}"

    @cached_property
    def _labels(self) -> list[str]:
        return labels(self.codec, self.inputs)

    def _columns(self, long: bool | None) -> dict[str, Any]:
        """The columns of `to_frame`, by name."""
        return self._long() if _is_long(self.codec, long) else self._wide()

    def _wide(self) -> dict[str, Any]:
        schema = self.codec.schema
        given = {name: take(self.inputs.columns[name], self._input_rows) for name in _given(self.codec, self.inputs)}
        if schema.sequence in given:
            given[f"first_{schema.sequence}"] = given.pop(schema.sequence)
        if schema.form == "list":
            values = self.columns[schema.steps[0].name]
            sequences: Any = Ragged(values, self.offsets, np.zeros(len(self), bool))
        else:
            sequences = self._values
        nats = {} if self.nats is None else {"nats": self.nats}
        return {**given, "sample": self._numbers % self.samples, **nats, schema.sequence: sequences}

    def _long(self) -> dict[str, Any]:
        per_step = np.repeat(np.arange(len(self)), self.lengths)
        given = {
            name: take(self.inputs.columns[source], self._input_rows[per_step])
            for name, source in _given_long(self.codec, self.inputs).items()
        }
        position = {
            "row": self.rows[per_step],
            "sample": (self._numbers % self.samples)[per_step],
            "step": np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.lengths),
        }
        nats = {} if self.nats is None else {"nats": self.nats[per_step]}
        return {**position, **nats, **given, **self.columns}


def file_types(codec: Codec, inputs: Table | None, long: bool | None, *, ranked: bool) -> dict[str, FileType]:
    """What the columns of `Sequences.file_columns` hold.

    Args:
        codec: of the sequences.
        inputs: all of them; `None` where they are sampled, part by part.
        long: as for `Sequences.to_frame`.
        ranked: whether a beam found the sequences, so that they have nats.
    """
    schema = codec.schema
    steps = codec.types
    if inputs is None:
        sources: dict[str, FileType] = {
            field.name: (column.types[0],) if isinstance(field, Vector) else column.types[0]
            for field, column in codec.input_columns()
        }
    else:
        sources = {name: file_type(column) for name, column in inputs.columns.items()}
    nats: dict[str, FileType] = {"nats": "float"} if ranked else {}
    if _is_long(codec, long):
        given = {name: sources[source] for name, source in _given_long(codec, sources).items()}
        return {"row": "int", "sample": "int", "step": "int", **nats, **given, **steps}
    given = {name: sources[name] for name in _given(codec, sources)}
    if schema.sequence in given:
        given[f"first_{schema.sequence}"] = given.pop(schema.sequence)
    value: FileType = next(iter(steps.values()))
    if schema.form == "records":
        value = steps
    elif schema.form == "vectors":
        value = (value if len(set(steps.values())) == 1 else "mixed",)
    return {**given, "sample": "int", **nats, schema.sequence: "text" if schema.form == "text" else (value,)}


def _is_long(codec: Codec, long: bool | None) -> bool:
    return codec.schema.layout == "long" if long is None else long


def _given(codec: Codec, inputs: Table | Mapping[str, Any]) -> list[str]:
    """The columns that came as inputs, but for those that hold the sequences of a test set."""
    schema = codec.schema
    fields = {field.name for field in schema.inputs}
    sequences = {schema.sequence, *(name for field in schema.steps for name in (field.name, *field.columns))} - fields
    names = inputs.columns if isinstance(inputs, Table) else inputs
    return [name for name in names if name not in sequences]


def _given_long(codec: Codec, inputs: Table | Mapping[str, Any]) -> dict[str, str]:
    """The same by the name that they have beside the columns of the steps."""
    steps = {name for field in codec.schema.steps for name in (field.name, *field.columns)}
    return {f"first_{name}" if name in steps else name: name for name in _given(codec, inputs)}


def _short(value: Any, most: int = 60) -> str:
    """A sequence in one line."""
    if isinstance(value, str):
        text = value
    elif value and not isinstance(value[0], (list, dict)):
        text = " ".join(word(item) for item in value)
    else:
        text = str(value)
    return text if len(text) <= most else text[: most - 3] + "..."
