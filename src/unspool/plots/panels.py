"""Panels over steps: numbers as a fan of quantiles with a few paths, categories as stacked shares, flags as lines."""

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unspool.plots.canvas import BLUE, COLOURS, INK, LINE, MUTED, VERMILION, one_line, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 12
"""Panels of one figure."""
MAX_COLUMNS = 4
"""Panels side by side."""
BANDS = ((0.95, "#d6e6f2"), (0.80, "#a6cae3"), (0.50, "#6da8d0"))
"""Central shares of the samples, the widest first, and their colours."""
MEDIAN = "#003f66"
MIN_SEQUENCES_FOR_BANDS = 8
"""With fewer sequences quantiles say nothing, and the panel shows the sequences themselves."""
PATHS_IN_FAN = 4
"""Single sequences drawn over the bands."""
MAX_CATEGORIES = 6
"""Categories with a colour of their own; the rest are drawn as one."""
FAN_LEGEND_WIDTH = 4.1
"""Inches that the legend of a fan takes."""
MAX_LEGEND_NAME = 20
"""Characters of a name in a legend."""


def layout(rows: int, fields: int) -> tuple[list[tuple[int, int]], int]:
    """The (input row, field) of every panel, in reading order, and the columns of the grid."""
    panels = [(row, field) for row in range(rows) for field in range(fields)]
    if rows > 1 and 1 < fields <= MAX_COLUMNS:  # a row of panels for each input
        return panels[: MAX_PANELS // fields * fields], fields
    if 1 < rows < MAX_COLUMNS < fields:  # a column of panels for each input
        return sorted(panels, key=lambda panel: panel[::-1])[: MAX_PANELS // rows * rows], rows
    panels = panels[:MAX_PANELS]
    columns = {1: 1, 2: 2, 3: 3, 4: 2}.get(len(panels), 3 if len(panels) <= 9 else MAX_COLUMNS)
    return panels, columns


def add_panels(picture: "Figure", count: int, columns: int) -> list["Axes"]:
    """`count` axes, row by row; the rest of the grid stays empty."""
    grid = picture.add_gridspec(math.ceil(count / columns), columns)
    panels = [picture.add_subplot(grid[k // columns, k % columns]) for k in range(count)]
    for k, axes in enumerate(panels):
        style_axes(axes)
        if k + columns >= count:
            axes.set_xlabel("step", fontsize=9, color=MUTED)
    return panels


def padded(values: NDArray[Any], offsets: NDArray[np.int64], fill: Any) -> NDArray[Any]:
    """(N, T) values of N sequences side by side, `fill` after the end of a sequence."""
    lengths = np.diff(offsets)
    dtype = np.float64 if isinstance(fill, float) else object
    out = np.full((len(lengths), int(lengths.max(initial=0))), fill, dtype)
    for row, start, length in zip(out, offsets[:-1].tolist(), lengths.tolist(), strict=True):
        row[:length] = values[start : start + length]
    return out


def draw_fan(axes: "Axes", values: NDArray[np.float64], first_step: int) -> bool:
    """Draw (N, T) numbers, NaN after an end, as a fan; return whether there were enough for bands."""
    steps = np.arange(values.shape[1]) + first_step
    shown = _steps_with_enough(values)
    if shown:
        for share, colour in BANDS:
            low, high = np.nanquantile(values[:, :shown], [(1 - share) / 2, (1 + share) / 2], axis=0)
            axes.fill_between(steps[:shown], low, high, color=colour, linewidth=0)
        axes.plot(steps[:shown], np.nanmedian(values[:, :shown], axis=0), color=MEDIAN, linewidth=1.6)
    paths = values[: PATHS_IN_FAN if shown else MIN_SEQUENCES_FOR_BANDS]
    colour, width = (VERMILION, 0.7) if shown else (BLUE, 1.0)
    marker = "." if values.shape[1] == 1 else None
    for path in paths:
        axes.plot(steps, path, color=colour, linewidth=width, alpha=0.85, marker=marker)
    axes.margins(x=0.01)
    return bool(shown)


def share_scale(group: list["Axes"]) -> None:
    """Give panels of one field the same scale, so that they compare."""
    limits = [axes.get_ylim() for axes in group]
    for axes in group:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def mark_colour(axes: "Axes", colour: str) -> None:
    """Draw a patch of a colour above a panel, at the right."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((0.94, 1.03), 0.06, 0.07, transform=axes.transAxes, clip_on=False, color=colour))


def _steps_with_enough(values: NDArray[np.float64]) -> int:
    """The number of first steps at all of which enough sequences have a value."""
    enough = np.isfinite(values).sum(0) >= MIN_SEQUENCES_FOR_BANDS
    return len(enough) if enough.all() else int(np.argmin(enough))


def frequent_categories(values: NDArray[Any]) -> list[str]:
    """The categories with a colour of their own, the most frequent first; the same for all inputs."""
    return [name for name, _ in Counter(map(category_name, values.tolist())).most_common(MAX_CATEGORIES)]


def category_name(value: Any) -> str:
    """The name of a category in a legend."""
    return "missing" if value is None else str(value)


def draw_shares(axes: "Axes", values: NDArray[Any], names: list[str], ended: object) -> None:
    """Draw (N, T) categories, `ended` after an end, as stacked shares of the sequences that still run."""
    columns = [[category_name(value) for value in column if value is not ended] for column in values.T.tolist()]
    if len(values) >= MIN_SEQUENCES_FOR_BANDS:
        columns = list(itertools.takewhile(lambda column: len(column) >= MIN_SEQUENCES_FOR_BANDS, columns))
    portions = np.array([[column.count(name) / len(column) for column in columns] for name in names])
    steps, bottom = np.arange(len(columns)) + 1, np.zeros(len(columns))
    for portion, name, colour in zip(portions, names, COLOURS, strict=False):
        label = one_line(name, MAX_LEGEND_NAME)
        axes.bar(steps, portion, width=1.0, bottom=bottom, color=colour, linewidth=0, label=label)
        bottom = bottom + portion
    if bottom.min(initial=1.0) < 1 - 1e-9:
        axes.bar(steps, 1 - bottom, width=1.0, bottom=bottom, color="#bbbbbb", linewidth=0, label="others")
    _finish_shares(axes)


def draw_members(axes: "Axes", members: dict[str, NDArray[np.float64]]) -> None:
    """Draw (N, T) members of a multi-label field, 1 for yes and NaN after an end, as a line of shares each."""
    frequent = sorted(members, key=lambda name: -float(np.nansum(members[name])))[:MAX_CATEGORIES]
    for name, colour in reversed([*zip(frequent, COLOURS, strict=False)]):
        values = members[name]
        shown = _steps_with_enough(values) if len(values) >= MIN_SEQUENCES_FOR_BANDS else values.shape[1]
        known = np.isfinite(values[:, :shown]).sum(0)
        share = np.nansum(values[:, :shown], axis=0) / np.where(known, known, np.nan)
        label = one_line(name, MAX_LEGEND_NAME)
        axes.plot(np.arange(shown) + 1, share, color=colour, linewidth=1.4, label=label)
    _finish_shares(axes)


def _finish_shares(axes: "Axes") -> None:
    """Draw per cents on the axis, and a legend beside the panel, from the uppermost share down."""
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    handles, labels = axes.get_legend_handles_labels()
    legend = axes.legend(
        handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False,
        handlelength=1.0, labelcolor=INK,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def fan_legend(picture: "Figure") -> None:
    """Draw one legend of the parts of a fan for all panels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=colour, label=f"{share:.0%}") for share, colour in reversed(BANDS)]
    handles += [Line2D([], [], color=MEDIAN, linewidth=1.6, label="median")]
    handles += [Line2D([], [], color=VERMILION, linewidth=0.8, label="single sequences")]
    picture.legend(
        handles=handles, loc="outside lower right", ncols=len(handles), fontsize=8, frameon=False, handlelength=1.4,
        columnspacing=1.2, labelcolor=MUTED, edgecolor=LINE,
    )  # fmt: skip
