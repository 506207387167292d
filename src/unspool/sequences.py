"""What generation gives back: sequences in the caller's values, aligned to the rows they were made for."""

import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Codec
from unspool.encoding.columns import InputColumn, StepColumn, Vocabulary
from unspool.encoding.multilabel import MultiLabel
from unspool.labels import labels, word
from unspool.tables.columns import Column, Ragged, offsets_from_lengths, take
from unspool.tables.table import Table
from unspool.tables.writers import save_parts, write

MAX_SHOWN = 10
"""Sequences that a notebook or a terminal shows at once."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Generated sequences: `samples` for every input row, row after row.

    Iterating gives one Python value per sequence, in the form of the training data: text a str, a series a list,
    records a list of dicts.

    Attributes:
        codec: the fitted columns.
        inputs: the table that they were generated from.
        columns: by step field, (S,) values of all sequences laid end to end, in original units.
        offsets: (N + 1,) where each sequence starts and the last one ends.
        ended: (N,) whether each ended by itself, rather than at the limit.
        samples: sequences per input row.
        seed: what makes them again.
        first: number of the first of them, where they are a part of what was asked for.
        origin: number of the first row of `inputs`, where these were drawn and are a part, too.
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
    origin: int = 0

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
        return write(self.table(long), self.inputs.kind)

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
        save_all([self], self.codec, self.inputs, target, long=long, format=format, searched=self.nats is not None)

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
        return self._labels[(self.first + k) // self.samples - self.origin]

    @property
    def _numbers(self) -> NDArray[np.int64]:
        """(N,) the number of each among all that were asked for, row by row, and within a row sample by sample."""
        return np.arange(self.first, self.first + len(self))

    @property
    def _title(self) -> str:
        rows = len(self.inputs)
        kind = f"seed {self.seed}" if self.nats is None else "best first"
        return f"{len(self)} sequences for {rows} input{'s' * (rows != 1)}, {kind}"

    @cached_property
    def _labels(self) -> list[str]:
        return labels(self.codec, self.inputs)

    def _given(self) -> dict[str, Column]:
        """The columns that came as inputs, but for those that hold the sequences of a test set."""
        schema = self.codec.schema
        inputs = {field.name for field in schema.inputs}
        made = {schema.sequence, *(field.name for field in schema.steps)} - inputs
        return {name: column for name, column in self.inputs.columns.items() if name not in made}

    def table(self, long: bool | None) -> dict[str, Any]:
        """The columns of `to_frame`, by name."""
        if long is None:
            long = self.codec.schema.layout == "long"
        return self._long() if long else self._wide()

    def for_files(self, long: bool | None) -> dict[str, Any]:
        """The same as files hold them: whole numbers stay whole where others are missing."""
        fitted = [*zip(self.codec.schema.steps, self.codec.steps, strict=True)]
        steps = {field.name for field, column in fitted if _gives_whole(column)}
        columns = {name: _whole(values) if name in steps else values for name, values in self.columns.items()}
        inputs = {
            field.name
            for field, column in zip(self.codec.schema.inputs, self.codec.inputs, strict=True)
            if _gives_whole(column) and _are_whole(self.inputs.columns[field.name])
        }
        given = {name: _whole(values) if name in inputs else values for name, values in self.inputs.columns.items()}
        return replace(self, columns=columns, inputs=replace(self.inputs, columns=given)).table(long)

    def _wide(self) -> dict[str, Any]:
        given = {name: take(column, self.rows - self.origin) for name, column in self._given().items()}
        name = self.codec.schema.sequence
        if name in given:
            given[f"first_{name}"] = given.pop(name)
        sample = self._numbers % self.samples
        if self.codec.schema.form == "list":
            column: Any = Ragged(self.columns[self.codec.schema.steps[0].name], self.offsets, np.zeros(len(self), bool))
        else:
            column = self._values
        nats = {} if self.nats is None else {"nats": self.nats}
        return {**given, "sample": sample, **nats, name: column}

    def _long(self) -> dict[str, Any]:
        per_step = np.repeat(np.arange(len(self)), self.lengths)
        rows = self.rows[per_step]
        steps = {field.name for field in self.codec.schema.steps}
        given = {
            f"first_{name}" if name in steps else name: take(column, rows - self.origin)
            for name, column in self._given().items()
        }
        location = {
            "row": rows,
            "sample": (self._numbers % self.samples)[per_step],
            "step": np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.lengths),
        }
        nats = {} if self.nats is None else {"nats": self.nats[per_step]}
        return {**location, **nats, **given, **self.columns}


def save_all(
    parts: Iterable[Sequences],
    codec: Codec,
    inputs: Table,
    target: str | Path | IO[Any],
    *,
    long: bool | None,
    format: str | None,  # noqa: A002
    searched: bool = False,
) -> None:
    """Write sequences that come part by part as one table; see `Sequences.save`.

    Args:
        parts: made one after another, each when the one before is written, and the first when the file is open.
        codec: theirs.
        inputs: theirs.
        target: as for `Sequences.save`.
        long: as for `Sequences.save`.
        format: as for `Sequences.save`.
        searched: whether a beam found them, so that they have nats.
    """
    like = lambda: sequence_template(codec, inputs, searched=searched).for_files(long)  # noqa: E731
    save_parts((part.for_files(long) for part in parts), like, target, format)


def sequence_template(codec: Codec, inputs: Table, *, searched: bool) -> Sequences:
    """Sequences, a step for each input row and more for the first, that hold every symbol and every kind of number.

    What is drawn need not show what type a column has: all its values may be missing.
    """
    symbols = max((len(column.values) for column in codec.steps if isinstance(column, Vocabulary)), default=1)
    lengths = np.ones(len(inputs), np.int64)
    lengths[:1] += symbols
    offsets = offsets_from_lengths(lengths)
    once = np.full(offsets[-1], np.nan)
    once[offsets[:-1]] = 0.0  # after a first value none is present, for what adds up could leave the numbers
    steps = [
        np.arange(offsets[-1]) % len(column.values)
        if isinstance(column, Vocabulary)
        else np.repeat(once[:, None], len(column.members), 1)
        if isinstance(column, MultiLabel)
        else once
        for column in codec.steps
    ]
    columns = codec.decode(steps, offsets)
    nats = np.zeros(len(inputs)) if searched else None
    return Sequences(codec, inputs, columns, offsets, np.ones(len(inputs), bool), 1, 0, nats=nats)


def _gives_whole(column: InputColumn | StepColumn) -> bool:
    """Whether a fitted column is of whole numbers, which are floats where some are missing."""
    if isinstance(column, Vocabulary):
        return {type(value) for value in column.values} == {int, type(None)}
    return getattr(column, "decimals", None) == 0


def _are_whole(values: Column) -> bool:
    """Whether floats are whole or missing."""
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        return False
    return bool(np.all(np.isnan(values) | (values == np.round(values))))


def _whole(values: Any) -> Any:
    """Whole numbers as such, None where missing."""
    column = np.full(len(values), None, object)
    known = ~np.isnan(values)
    column[known] = [int(value) if np.isfinite(value) else value for value in values[known].tolist()]
    return column


def _short(value: Any, most: int = 60) -> str:
    """A sequence in one line."""
    if isinstance(value, str):
        text = value
    elif value and not isinstance(value[0], (list, dict)):
        text = " ".join(word(item) for item in value)
    else:
        text = str(value)
    return text if len(text) <= most else text[: most - 3] + "..."
