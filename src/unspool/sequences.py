"""Generated sequences: the caller's values, aligned to the input rows."""

import html
import importlib.util
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, NamedTuple, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.dataset.decoded import GENERATED, decoded_examples
from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec
from unspool.errors import MissingExtra, check_kind, readable
from unspool.labels import colours, field_in_words, labels, word
from unspool.schema.fields import NO_INPUT, Vector
from unspool.tables.columns import Origin, Ragged, is_whole, take
from unspool.tables.table import Table
from unspool.tables.writers import FileType, column_types, save_parts, whole_numbers, write_table

OWN_COLUMNS = ("row", "sample", "step", "nats")
"""Columns that Unspool adds to a table of sequences, in their order."""
MAX_SHOWN, MAX_SHOWN_RECORDS, MAX_SHOWN_STEPS = 10, 4, 8
"""Sequences that a notebook or a terminal shows at once; of records, in a notebook, sequences and steps of each."""
MAX_LABEL_CHARACTERS = 200
"""Characters of a label."""


class FileForm(NamedTuple):
    """How sequences are written to a file; see `Sequences.save`."""

    long: bool | None = None
    format: str | None = None
    escape_formulas: bool = False


@dataclass(frozen=True, eq=False)
class Sequences:
    """Generated sequences: `samples` for every input row, row after row.

    Iterating gives one Python value per sequence, in the form of the training data: text a str, a series a list,
    records a list of dicts.

    Attributes:
        codec: the fitted columns.
        inputs: the table of inputs, given or sampled; where only some were given, those of every sequence.
        columns: by column of the step, (S,) values of all sequences end to end, in original units.
        offsets: (N + 1,) where each sequence starts and the last one ends.
        ended: (N,) whether each ended by itself, rather than at the limit.
        samples: sequences per row of `inputs`.
        seed: generates the same sequences again.
        first: number of the first sequence, if these are a part of a generation; `inputs` begins with its row.
        each: rows of `inputs` per row that was given: more than 1 where every sequence has drawn inputs of its own.
        drawn: names of the inputs that were drawn because only others were given.
        nats: (N,) log-probability of each sequence of a beam search, see `OneToMany.log_prob`. A sequence that was cut
            at the limit counts no stop; with a given length, only the values count.
        scores: (N,) by which a beam search ranks: `nats` divided by the length penalty.
    """

    codec: Codec
    inputs: Table
    columns: Mapping[str, NDArray[Any]]
    offsets: NDArray[np.int64]
    ended: NDArray[np.bool_]
    samples: int
    seed: int
    first: int = 0
    each: int = 1
    drawn: tuple[str, ...] = ()
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
        """(N,) the given input row of each sequence."""
        return self._numbers // (self.samples * self.each)

    def to_frame(self, *, long: bool | None = None) -> Any:
        """A data frame of the library of the inputs; of a dict or a file, of pandas where that is installed.

        It has every column of the inputs, `sample`, `nats` of a beam search, and the sequence. An input with the name
        of a column of the sequence is called `first_...`. Columns of yours keep their names: where you have a column
        `row`, `sample`, `step` or `nats`, that of Unspool is called `row_`, `sample_`, `step_` or `nats_`. Inputs that
        were a list of dicts give one, and dicts and files without pandas a dict of lists.

        Args:
            long: one row a step, with the columns `row`, `sample` and `step` before the fields; otherwise one row a
                sequence, with the sequence in one column. `None` follows the training data.
        """
        pandas = self.inputs.is_dict_or_file and importlib.util.find_spec("pandas") is not None
        kind = "pandas" if pandas else self.inputs.kind
        return write_table(self._columns(long), kind, self._origins(long))

    def to_dict(self, *, long: bool | None = None) -> dict[str, list[Any]]:
        """The table of `to_frame` as a dict of lists."""
        table: dict[str, list[Any]] = write_table(self._columns(long), "dict", self._origins(long))
        return table

    def to_pandas(self, *, long: bool | None = None) -> Any:
        """The table of `to_frame` as a pandas DataFrame."""
        return self._as("pandas", long)

    def to_polars(self, *, long: bool | None = None) -> Any:
        """The table of `to_frame` as a Polars DataFrame."""
        return self._as("polars", long)

    def to_arrow(self, *, long: bool | None = None) -> Any:
        """The table of `to_frame` as a PyArrow table."""
        return self._as("pyarrow", long)

    def _as(self, kind: str, long: bool | None) -> Any:
        if importlib.util.find_spec(kind) is None:
            raise MissingExtra("Sequences", f"the package {kind}", "none", f"pip install {kind}")
        return write_table(self._columns(long), kind, self._origins(long))

    def save(
        self,
        target: str | Path | IO[Any],
        *,
        long: bool | None = None,
        format: str | None = None,  # noqa: A002
        escape_formulas: bool = False,
    ) -> None:
        """Write the table of `to_frame` to a file, whole or not at all, or to an open stream.

        Args:
            target: a path, or a stream such as `sys.stdout.buffer`.
            long: as for `to_frame`.
            format: csv, tsv, jsonl, json or parquet; by default that of the path's ending, csv for a stream.
            escape_formulas: in CSV and TSV, put an apostrophe before texts that begin with `=`, `+`, `-`, `@`, a tab or
                a carriage return, which spreadsheets would run as formulas (CWE-1236). Numbers stay as they are.

        Raises:
            DataError: an unknown format, or one without formulas to escape.
            FileError: the target can't be written to.
        """
        types = partial(file_types, self.codec, column_types(self.inputs.columns), long, ranked=self.nats is not None)
        save_parts([self.file_columns(long)], types, target, format, escape_formulas=escape_formulas)

    def examples(self, codec: Codec) -> Examples:
        """The sequences as data with the columns of a codec, that of the model which made them or of another one.

        Raises:
            SchemaError: they lack columns of it.
        """
        schema, rows = codec.schema, self._input_rows
        lacking = [name for name in schema.step_columns if name not in self.columns]
        if lacking:
            raise Table(dict(self.columns), "dict", GENERATED).unknown(lacking)
        table = replace(self.inputs, columns={name: take(x, rows) for name, x in self.inputs.columns.items()})
        table.need([item.name for item in schema.inputs])
        return decoded_examples(schema, codec.input_values(table), self.columns, self.offsets, codec.bases(table))

    def plot(self, path: str | Path | None = None) -> Any:
        """The matplotlib figure, also written to a path (PNG, SVG or PDF). Needs the extra `plot`.

        Text is shown as text, numbers as a fan of quantiles with a few paths.
        """
        from unspool.plots.sequences import plot_sequences

        return plot_sequences(self._by_given(), path)

    def __repr__(self) -> str:
        lines = [f"  {label}  {text}" for label, text in self._shown(60)]
        return "\n".join([self._title, *lines, *(["  ..."] if len(self) > MAX_SHOWN else [])])

    def _repr_html_(self) -> str:
        caption = f"<caption style='text-align:left; white-space:nowrap'>{html.escape(self._title)}</caption>"
        if self.codec.schema.form == "records":
            return f"<table>{caption}{self._records_html()}</table>"
        shown = [(self._label_html(k), html.escape(text)) for k, (_, text) in enumerate(self._shown(200))]
        shown += [("...", "")] if len(self) > MAX_SHOWN else []
        return f"<table>{caption}{''.join(map(_row_html, shown))}</table>"

    def _records_html(self) -> str:
        """A row for each of the first steps of a few sequences, of several inputs; a column for each field."""
        fields = self.codec.schema.steps
        titles = "".join(f"<th scope='col' style='text-align:left'>{html.escape(field.name)}</th>" for field in fields)
        rows = [f"<thead><tr><th></th><th scope='col'>step</th>{titles}</tr></thead>"]
        for k in sorted(np.argsort(self._numbers % self.samples, kind="stable")[:MAX_SHOWN_RECORDS].tolist()):
            steps = self._values[k]
            for t, step in enumerate(steps[:MAX_SHOWN_STEPS]):
                cells = [html.escape(field_in_words(field, step)) for field in fields]
                rows.append(_row_html((self._label_html(k) if t == 0 else "", str(t + 1), *cells)))
            if not steps or len(steps) > MAX_SHOWN_STEPS:
                more = f"{len(steps) - MAX_SHOWN_STEPS} more steps" if steps else "no step"
                rows.append(_row_html(("" if steps else self._label_html(k), "...", more)))
        if len(self) > MAX_SHOWN_RECORDS:
            rows.append(_row_html((f"{len(self) - MAX_SHOWN_RECORDS} more sequences",)))
        return "".join(rows)

    def _label_html(self, k: int) -> str:
        """The label of sequence k, with a patch of the colour that its input is, if it is one."""
        colour = self._colours[self._input_rows[k]]
        patch = f"<span style='background:{colour}; padding:0 .7em; margin-right:.4em'></span>" if colour else ""
        return patch + html.escape(self.label(k))

    def _shown(self, width: int) -> list[tuple[str, str]]:
        """Label and text of the first sequences, each text of at most this many characters."""
        return [(self.label(k), _short(self._values[k], width)) for k in range(min(len(self), MAX_SHOWN))]

    @cached_property
    def _values(self) -> list[Any]:
        return self.codec.show(self.columns, self.offsets)

    def label(self, k: int) -> str:
        """The label of the input row of sequence k, see `unspool.labels`."""
        return readable(self._labels[self._input_rows[k]], MAX_LABEL_CHARACTERS, keep="")

    def file_columns(self, long: bool | None = None) -> dict[str, Any]:
        """The columns of `to_frame` for files, in canonical form: whole numbers stay whole where others are missing."""
        types, given = self.codec.types, self.inputs.columns
        columns = {name: whole_numbers(x) if types[name] == "int" else x for name, x in self.columns.items()}
        inputs = {name: whole_numbers(column) if is_whole(column) else column for name, column in given.items()}
        whole = replace(self, columns=columns, inputs=replace(self.inputs, columns=inputs))
        return whole._columns(long, restored=False)  # noqa: SLF001

    def _by_given(self) -> "Sequences":
        """The same sequences as samples of the given inputs, without those that were drawn for each."""
        columns = {name: column for name, column in self.inputs.columns.items() if name not in self.drawn}
        rows = np.arange(0, len(self.inputs), self.each)
        inputs = replace(self.inputs, columns={name: take(column, rows) for name, column in columns.items()})
        return replace(self, inputs=inputs, samples=self.samples * self.each, each=1, drawn=())

    @property
    def _numbers(self) -> NDArray[np.int64]:
        """(N,) the number of each sequence of the generation, row by row, and within a row sample by sample."""
        return np.arange(self.first, self.first + len(self))

    @property
    def _input_rows(self) -> NDArray[np.int64]:
        """(N,) the position in `inputs` of the row of each sequence."""
        return self._numbers // self.samples - self.first // self.samples

    @property
    def _title(self) -> str:
        rows = len(np.unique(self.rows))
        kind = f"seed {self.seed}" if self.nats is None else "best first"
        return f"{len(self)} sequence{'s' * (len(self) != 1)} for {rows} input{'s' * (rows != 1)}, {kind}"

    @cached_property
    def _labels(self) -> list[str]:
        return labels(self.codec, self.inputs)

    @cached_property
    def _colours(self) -> list[str | None]:
        return colours(self.codec, self.inputs)

    def _columns(self, long: bool | None, *, restored: bool = True) -> dict[str, Any]:
        """The columns of `to_frame`, by name; `restored` as of `Codec.show`."""
        layout = TableLayout.of(self.codec, self.inputs.columns, long)
        index = np.arange(len(self))
        index = np.repeat(index, self.lengths) if layout.long else index
        given = {
            name: take(self.inputs.columns[source], self._input_rows[index]) for name, source in layout.sources.items()
        }
        own: dict[str, Any] = {"sample": (self._numbers % (self.samples * self.each))[index]}
        if self.nats is not None:
            own["nats"] = self.nats[index]
        if layout.long:
            step = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.lengths)
            return layout.joined(own | {"row": self.rows[index], "step": step}, given, self.columns)
        schema = self.codec.schema
        sequences: Any = self._values if restored else self.codec.show(self.columns, self.offsets, restored=False)
        if schema.form == "list":
            sequences = Ragged(self.columns[schema.steps[0].name], self.offsets, np.zeros(len(self), bool))
        return layout.joined(own, given, {schema.sequence: sequences})

    def _origins(self, long: bool | None) -> dict[str, Origin]:
        """The types that the columns of `to_frame` had, by name."""
        schema, layout = self.codec.schema, TableLayout.of(self.codec, self.inputs.columns, long)
        origins = {name: self.inputs.origin(source) for name, source in layout.sources.items()}
        origins = {
            name: origin if name in self.inputs.columns else msgspec.structs.replace(origin, integer=False)
            for name, origin in origins.items()
        }
        if layout.long:
            return origins | dict(self.codec.origins)
        items = self.codec.origins.get(schema.steps[0].name, Origin()) if schema.form == "list" else Origin()
        integer = self.codec.origins.get(schema.sequence, Origin()).integer
        return origins | {schema.sequence: msgspec.structs.replace(items, integer=integer)}


def file_types(codec: Codec, given: Mapping[str, FileType], long: bool | None, *, ranked: bool) -> dict[str, FileType]:
    """The types of `Sequences.file_columns`; with `ranked`, of a beam search, which has nats.

    Those of `given` are of the inputs that have a table before; the others are those of the fitted columns.
    """
    schema, steps = codec.schema, codec.types
    types = dict(given)
    for field, column in codec.input_columns():
        types.setdefault(field.name, (column.types[0],) if isinstance(field, Vector) else column.types[0])
    layout = TableLayout.of(codec, types, long)
    own: dict[str, FileType] = {"sample": "int", **({"nats": "float"} if ranked else {})}
    given = {name: types[source] for name, source in layout.sources.items()}
    if layout.long:
        return layout.joined(own | {"row": "int", "step": "int"}, given, steps)
    value: FileType = next(iter(steps.values()))
    if schema.form == "records":
        value = steps
    elif schema.form == "vectors":
        value = (value if len(set(steps.values())) == 1 else "mixed",)
    return layout.joined(own, given, {schema.sequence: "text" if schema.form == "text" else (value,)})


class TableLayout(NamedTuple):
    """The columns of a table of sequences.

    Attributes:
        long: one row a step.
        sources: the columns of inputs by their name beside the sequence, without those of a test set's sequences.
        own: the names of Unspool's own columns. A column of the user keeps its name, and ours gets an underscore.
    """

    long: bool
    sources: dict[str, str]
    own: dict[str, str]

    @classmethod
    def of(cls, codec: Codec, inputs: Iterable[str], long: bool | None) -> "TableLayout":
        """The layout of tables with these columns of inputs; `None` follows the training data."""
        schema = codec.schema
        check_kind("long", long, (bool, type(None)), "True, False or None")
        long = schema.layout == "long" if long is None else long
        steps = {*(field.name for field in schema.steps), *schema.step_columns}
        known = {field.name for field in schema.inputs} - {NO_INPUT}
        names = [name for name in inputs if name in known or name not in {schema.sequence, *steps, NO_INPUT}]
        taken = {*names, *(steps if long else {schema.sequence})}
        sources = {}
        for name in names:
            clash = name in steps if long else name == schema.sequence
            shown = free_name(f"first_{name}", taken) if clash else name
            sources[shown] = name
            taken.add(shown)
        return cls(long, sources, {name: free_name(name, taken) for name in OWN_COLUMNS})

    def joined(self, own: Mapping[str, Any], given: Mapping[str, Any], sequence: Mapping[str, Any]) -> dict[str, Any]:
        """All columns in their order, those of Unspool before the inputs in long tables and after them in others."""
        named = {self.own[name]: own[name] for name in OWN_COLUMNS if name in own}
        return {**named, **given, **sequence} if self.long else {**given, **named, **sequence}


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with underscores at its end where it is taken.

    Examples:
        >>> free_name("row", {"row", "row_"})
        'row__'
    """
    return name if name not in taken else free_name(f"{name}_", taken)


def _row_html(cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells) + "</tr>"


def _short(value: Any, width: int) -> str:
    """A sequence in one line of at most `width` characters."""
    if isinstance(value, str):
        text = value
    elif value and not isinstance(value[0], (list, dict)):
        text = " ".join(word(item) for item in value)
    else:
        text = str(value)
    text = readable(text[: width + 1], keep="")
    return text if len(text) <= width else text[: width - 3] + "..."
