"""The picture of generated sequences: one figure of texts, or a panel for each input and field."""

import os
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.codec import Codec
from unspool.labels import colours, word
from unspool.labels import labels as labels_of
from unspool.plots import panels
from unspool.plots.canvas import INK, MUTED, PICTURES, caption, figure, one_line, save
from unspool.plots.texts import text_figure
from unspool.runtime.atomic_files import suffix
from unspool.schema.fields import Angle, Flags, Number, When
from unspool.schema.monotone import as_number
from unspool.tables.columns import missing_mask, take, to_list
from unspool.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MICROSECONDS_PER_DAY = 86_400e6
NOTE_GLYPH_WIDTH, LEGEND_WIDTH = 0.064, 1.0
"""Inches of a character of the note, and of the legend beside a panel of shares."""


class GeneratedSequences(Protocol):
    """The attributes of `unspool.sequences.Sequences` that a picture needs."""

    @property
    def codec(self) -> Codec: ...  # noqa: D102
    @property
    def inputs(self) -> Table: ...  # noqa: D102
    @property
    def columns(self) -> Mapping[str, NDArray[Any]]: ...  # noqa: D102
    @property
    def offsets(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def samples(self) -> int: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


def plot_sequences(sequences: GeneratedSequences, path: str | os.PathLike[str] | None = None) -> "Figure":
    """Draw generated sequences.

    Text and tokens are written out, grouped by input. Numbers are a fan, one panel for every input row and field: the
    central 50, 80 and 95 % of the samples at each step, their median, and a few single sequences, in original units.
    Categories in records are stacked shares; a multi-label field is a line of shares for each member. If lengths vary,
    a step shows the sequences that still run. The picture is also written to `path`, if there is one.

    Raises:
        MissingExtra: matplotlib is not installed.
        OptionError: a name that ends neither in .png, .svg nor .pdf.
        FileError: the file can't be written.
    """
    if path is not None:
        suffix(path, PICTURES)
    schema = sequences.codec.schema
    symbols = schema.form == "text" or (schema.form == "list" and not isinstance(schema.steps[0], Number | Angle))
    picture = _texts(sequences) if symbols else _panels(sequences)
    if path is not None:
        save(picture, path)
    return picture


def _title_and_note(sequences: GeneratedSequences) -> tuple[str, str]:
    schema, rows = sequences.codec.schema, len(sequences.inputs)
    subject = schema.steps[0].name if len(schema.steps) == 1 else schema.sequence
    names = [field.name for field in schema.inputs if field.name in sequences.inputs.columns]
    given = ", ".join(names) if len(names) <= 3 else f"{len(names)} inputs"
    samples = f"{sequences.samples} sequence{'s' * (sequences.samples > 1)}"
    counts = f"{samples} for {'each of ' * (rows > 1)}{rows} input{'s' * (rows > 1)}"
    return f"{subject} given {given}", f"{counts}, seed {sequences.seed}"


def _texts(sequences: GeneratedSequences) -> "Figure":
    (title, note), n = _title_and_note(sequences), sequences.samples
    values = [sequences[k] for k in range(len(sequences))]
    texts = [value if isinstance(value, str) else " ".join(map(word, value)) for value in values]
    groups = [texts[row * n : (row + 1) * n] for row in range(len(sequences.inputs))]
    of = sequences.codec, sequences.inputs
    return text_figure(title, note, labels_of(*of), groups, colours(*of))


def _panels(sequences: GeneratedSequences) -> "Figure":
    schema, labels = sequences.codec.schema, labels_of(sequences.codec, sequences.inputs)
    shown, columns = panels.layout(len(labels), len(schema.steps))
    rows = -(-len(shown) // columns)
    patches = colours(sequences.codec, sequences.inputs)
    legends = {k % columns for k, (_, number) in enumerate(shown) if not _is_fan(schema.steps[number])}
    width = (7.2 if columns == 1 else 4.6 + 2.9 * (columns - 1)) + LEGEND_WIDTH * len(legends)
    picture = figure(width, 1.1 + max(2.0, 2.6 - 0.2 * rows) * rows)
    picture.set_layout_engine("constrained")
    has_bands = False
    all_axes = panels.add_panels(picture, len(shown), columns)
    for k, axes in enumerate(all_axes):
        row, number = shown[k]
        field = schema.steps[number]
        has_bands |= _draw(axes, sequences, field, row)
        title = one_line(field.name if len(labels) == 1 else labels[row], 38)
        axes.set_title(title, loc="left", fontsize=9, color=INK, parse_math=False)
        if (patch := patches[row]) is not None:
            panels.mark_colour(axes, patch)
        if len(labels) > 1 and (len(schema.steps) > 1 or k % columns == 0):
            axes.set_ylabel(one_line(field.name, 24), fontsize=9, color=MUTED, parse_math=False)
    for number in {number for _, number in shown}:
        panels.share_scale([axes for axes, panel in zip(all_axes, shown, strict=True) if panel[1] == number])
    title, note = _title_and_note(sequences)
    if len(labels) == 1:
        title = f"{title.partition(' given ')[0]} given {labels[0]}"
    if any(len(set(np.diff(_offsets(sequences, row)).tolist())) > 1 for row, _ in shown):
        note += "; lengths vary: a step shows the sequences that still run"
    left_out = len(labels) * len(schema.steps) - len(shown)
    if left_out:
        note += f"; and {left_out} more panels"
    note_width = width - panels.FAN_LEGEND_WIDTH * has_bands
    caption(picture, one_line(title, 30 + 22 * columns), textwrap.fill(note, int(note_width / NOTE_GLYPH_WIDTH)))
    if has_bands:
        panels.fan_legend(picture)
    return picture


def _is_fan(field: Any) -> bool:
    """Whether the panel of a field is a fan of numbers, rather than shares."""
    return isinstance(field, Number | Angle | When)


def _draw(axes: "Axes", sequences: GeneratedSequences, field: Any, row: int) -> bool:
    """Draw one field of the sequences of an input row; return whether the panel has the bands of a fan."""
    offsets = _offsets(sequences, row)
    if isinstance(field, Flags):
        members = {name: panels.padded(_yes(sequences.columns[name]), offsets, np.nan) for name in field.columns}
        panels.draw_members(axes, members)
        return False
    column = sequences.columns[field.name]
    if not _is_fan(field):
        ended = object()
        panels.draw_shares(axes, panels.padded(column, offsets, ended), panels.frequent_categories(column), ended)
        return False
    values = panels.padded(_numbers(column), offsets, np.nan)
    start = _first_value(sequences, field.name, row)
    if start is not None:
        values = np.concatenate([np.full((len(values), 1), start), values], 1)
    if isinstance(field, When):
        axes.yaxis_date()
    return panels.draw_fan(axes, values, 1 if start is None else 0)


def _offsets(sequences: GeneratedSequences, row: int) -> NDArray[np.int64]:
    """(samples + 1,) offsets of the sequences of an input row."""
    return sequences.offsets[row * sequences.samples : (row + 1) * sequences.samples + 1]


def _yes(column: NDArray[Any]) -> NDArray[np.float64]:
    """(S,) flags as 1, 0, and NaN if missing."""
    return np.where(missing_mask(column), np.nan, column == True)  # noqa: E712  None is neither


def _numbers(column: Any) -> NDArray[np.float64]:
    """(S,) numbers unchanged, and timestamps as days since 1970."""
    dates = isinstance(column, np.ndarray) and column.dtype.kind == "M"
    return as_number(column) / MICROSECONDS_PER_DAY if dates else np.asarray(column, np.float64)


def _first_value(sequences: GeneratedSequences, name: str, row: int) -> float | None:
    """The given first value of a field, if the input is one."""
    if name not in sequences.codec.schema.first or name not in sequences.inputs.columns:
        return None
    column = take(sequences.inputs.columns[name], np.array([row]))
    value = to_list(column)[0]
    return None if isinstance(value, str) or value is None else float(_numbers(column)[0])
