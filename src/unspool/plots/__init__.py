"""Pictures of generated sequences and of training. They need the extra `plot`; nothing of them touches pyplot."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unspool.config import Summary
from unspool.encoding.codec import Codec
from unspool.labels import labels as labels_of
from unspool.labels import word
from unspool.plots.canvas import BLUE, INK, MUTED, PICTURES, VERMILION, caption, dress, figure, plain, save
from unspool.plots.panels import fan, grid_of, key, layout, matrix, ranked, shares
from unspool.plots.writing import written
from unspool.runtime.atomic_files import suffix
from unspool.schema.fields import Flags, Number, When
from unspool.schema.monotone import as_number
from unspool.tables.columns import missing_mask, take, to_list
from unspool.tables.table import Table

DAY = 86_400e6
"""Microseconds: a date is drawn as days since 1970."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Made(Protocol):
    """What a picture needs of `Sequences`, which says what these are."""

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


def plot(sequences: Made, path: str | os.PathLike[str] | None = None) -> "Figure":
    """Draw generated sequences.

    Text and tokens are written out, grouped by input. Numbers are a fan, one panel for every input row and field: the
    central 50, 80 and 95 % of the samples at each step, their median, and a few single sequences, in original units.
    Categories in records are shares, stacked. Where lengths vary, a step shows the sequences that still run.

    Args:
        sequences: what `generate` gave.
        path: write it there, as PNG, SVG or PDF by its name.

    Raises:
        MissingExtra: matplotlib is not installed.
        OptionError: a name that says no kind of picture.
        FileError: the place can't be written to.
    """
    if path is not None:
        suffix(path, PICTURES)
    schema = sequences.codec.schema
    symbols = schema.form == "text" or (schema.form == "list" and not isinstance(schema.steps[0], Number))
    drawn = _text(sequences) if symbols else _panels(sequences)
    if path is not None:
        save(drawn, path)
    return drawn


def training_curve(summary: Summary, path: str | os.PathLike[str] | None = None) -> "Figure":
    """Draw the nats per step of training and of what was held out, by update, with the best weights marked.

    Args:
        summary: a model's `summary_`.
        path: write it there, as PNG, SVG or PDF by its name.

    Raises:
        MissingExtra: matplotlib is not installed.
        OptionError: a name that says no kind of picture.
        FileError: the place can't be written to.
    """
    if path is not None:
        suffix(path, PICTURES)
    drawn = figure(7.0, 4.0)
    drawn.set_layout_engine("constrained")
    axes = drawn.add_subplot()
    dress(axes)
    updates = [entry.update for entry in summary.rounds]
    held = [entry.validation for entry in summary.rounds if entry.validation is not None]
    mark = "." if len(updates) < 3 else None
    axes.plot(updates, [entry.train for entry in summary.rounds], color=BLUE, linewidth=1.2, label="train", marker=mark)
    if held:
        axes.plot(updates, held, color=VERMILION, linewidth=1.6, label="held out", marker=mark)
    axes.plot([summary.best_update], [summary.nats], "o", color=INK, markersize=6, zorder=4, label="best, kept")
    note = f"{summary.nats:.3f} at update {summary.best_update}"
    side = "right" if summary.best_update > updates[-1] / 2 else "left"
    axes.annotate(
        note, (summary.best_update, summary.nats), (0, 9), textcoords="offset points", ha=side, fontsize=9, color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )  # fmt: skip
    axes.set_xlabel("update", color=MUTED)
    axes.set_ylabel("nats per step (lower is better)", color=MUTED)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    caption(drawn, "Training", f"{summary.examples:,} sequences, {summary.seconds:.0f} s, ended: {summary.stopped}")
    if path is not None:
        save(drawn, path)
    return drawn


def _title(made: Made) -> tuple[str, str]:
    schema = made.codec.schema
    what = schema.steps[0].name if len(schema.steps) == 1 else schema.sequence
    names = [field.name for field in schema.inputs]
    given = ", ".join(names) if len(names) <= 3 else f"{len(names)} inputs"
    rows = len(made.inputs)
    counts = (
        f"{made.samples} sequence{'s' * (made.samples > 1)} for {'each of ' * (rows > 1)}{rows} input{'s' * (rows > 1)}"
    )
    return f"{what} given {given}", f"{counts}, seed {made.seed}"


def _text(made: Made) -> "Figure":
    title, note = _title(made)
    n = made.samples
    text = [value if isinstance(value, str) else " ".join(map(word, value)) for value in made]  # type: ignore[attr-defined]
    groups = [text[row * n : (row + 1) * n] for row in range(len(made.inputs))]
    return written(title, note, labels_of(made.codec, made.inputs), groups)


def _panels(made: Made) -> "Figure":
    schema, labels = made.codec.schema, labels_of(made.codec, made.inputs)
    wanted, columns = layout(len(labels), len(schema.steps))
    down = -(-len(wanted) // columns)
    drawn = figure(7.2 if columns == 1 else 4.6 + 2.9 * (columns - 1), 1.1 + max(2.0, 2.6 - 0.2 * down) * down)
    drawn.set_layout_engine("constrained")
    bands = varied = False
    for location, axes in enumerate(grid_of(drawn, len(wanted), columns)):
        row, number = wanted[location]
        field = schema.steps[number]
        offsets = made.offsets[row * made.samples : (row + 1) * made.samples + 1]
        varied |= len(set(np.diff(offsets).tolist())) > 1
        if isinstance(field, (Number, When, Flags)):
            values = matrix(_numbers(made, field), offsets, np.nan)
            start = _start(made, field.name, row)
            if start is not None:
                values = np.concatenate([np.full((len(values), 1), start), values], 1)
            bands |= fan(axes, values, 1 if start is None else 0)
            if isinstance(field, When):
                axes.yaxis_date()
        else:
            ended = object()
            column = made.columns[field.name]
            shares(axes, matrix(column, offsets, ended), ranked(column), ended)
        style: dict[str, Any] = {"fontsize": 9, "color": INK, "parse_math": False}
        axes.set_title(plain(field.name if len(labels) == 1 else labels[row], 38), loc="left", **style)
        if len(labels) > 1 and (len(schema.steps) > 1 or location % columns == 0):
            axes.set_ylabel(plain(field.name, 24), fontsize=9, color=MUTED, parse_math=False)
    title, note = _title(made)
    if len(labels) == 1:
        title = f"{title.partition(' given ')[0]} given {labels[0]}"
    notes = [note, "lengths vary: a step shows the sequences that still run" if varied else ""]
    left = len(labels) * len(schema.steps) - len(wanted)
    notes.append(f"and {left} more panels" if left else "")
    caption(drawn, plain(title, 30 + 22 * columns), "; ".join(filter(None, notes)))
    if bands:
        key(drawn)
    return drawn


def _numbers(made: Made, field: Number | When | Flags) -> NDArray[np.float64]:
    """(S,) what a fan shows of a field: a number, the days of a moment since 1970, how many of a block are yes."""
    if isinstance(field, Flags):
        members = [made.columns[name] for name in field.columns]
        gone = np.any([missing_mask(column) for column in members], 0)
        return np.where(gone, np.nan, np.sum([column == True for column in members], 0))  # noqa: E712  None is neither
    column = made.columns[field.name]
    return as_number(column) / DAY if isinstance(field, When) else column.astype(np.float64)


def _start(made: Made, name: str, row: int) -> float | None:
    """The given first value of a field, where the input is one."""
    if name not in made.codec.schema.first:
        return None
    column = take(made.inputs.columns[name], np.array([row]))
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return float(as_number(column)[0]) / DAY
    value = to_list(column)[0]
    return None if isinstance(value, str) or value is None else float(value)
