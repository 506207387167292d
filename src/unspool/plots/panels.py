"""Panels over steps: numbers as a fan of quantiles with a few paths, categories as stacked shares."""

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unspool.plots.canvas import BLUE, COLOURS, INK, LINE, MUTED, VERMILION, dress, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12
"""Panels of one figure."""
BANDS = ((0.95, "#d6e6f2"), (0.80, "#a6cae3"), (0.50, "#6da8d0"))
"""Central shares of the samples, the widest first, and their colours."""
ENOUGH = 8
"""Sequences without which quantiles would say nothing: below that, the paths themselves are drawn."""
PATHS = 4
SHARES = 6
"""Categories with a colour of their own; the rest are drawn as one."""


def layout(rows: int, fields: int) -> tuple[list[tuple[int, int]], int]:
    """Which (input row, field) gets a panel, in reading order, and the columns of the grid."""
    wanted = [(row, field) for row in range(rows) for field in range(fields)][:MOST]
    if rows > 1 and 1 < fields <= 4:
        wanted = wanted[: MOST // fields * fields]
        return wanted, fields
    columns = {1: 1, 2: 2, 3: 3, 4: 2}.get(len(wanted), 3 if len(wanted) <= 9 else 4)
    return wanted, columns


def grid_of(drawn: "Figure", count: int, columns: int) -> list["Axes"]:
    """So many axes, row by row; the places left over stay empty."""
    grid = drawn.add_gridspec(math.ceil(count / columns), columns)
    made = [drawn.add_subplot(grid[location // columns, location % columns]) for location in range(count)]
    for location, axes in enumerate(made):
        dress(axes)
        if location + columns >= count:
            axes.set_xlabel("step", fontsize=9, color=MUTED)
    return made


def matrix(values: NDArray[Any], offsets: NDArray[np.int64], fill: Any) -> NDArray[Any]:
    """(N, T) values of N sequences side by side, `fill` where a sequence has ended."""
    lengths = np.diff(offsets)
    out = np.full(
        (len(lengths), int(lengths.max(initial=0))), fill, dtype=np.float64 if isinstance(fill, float) else object
    )
    for k, (start, length) in enumerate(zip(offsets[:-1].tolist(), lengths.tolist(), strict=True)):
        out[k, :length] = values[start : start + length]
    return out


def fan(axes: "Axes", values: NDArray[np.float64], first_step: int) -> bool:
    """Draw (N, T) numbers, NaN where there is none, as a fan; whether there were enough for bands."""
    steps = np.arange(values.shape[1]) + first_step
    known = np.isfinite(values).sum(0) >= ENOUGH
    if known.any():
        # From the first step on without a gap: after it, the few that still run are shown by their paths alone.
        upto = int(np.argmin(known)) if not known.all() else len(known)
        part = values[:, :upto]
        for share, colour in BANDS:
            low, high = np.nanquantile(part, [(1 - share) / 2, (1 + share) / 2], axis=0)
            axes.fill_between(steps[:upto], low, high, color=colour, linewidth=0)
        axes.plot(steps[:upto], np.nanmedian(part, axis=0), color="#003f66", linewidth=1.6)
    few = values[:PATHS] if known.any() else values[:ENOUGH]
    colour, width = (VERMILION, 0.7) if known.any() else (BLUE, 1.0)
    dot = "." if values.shape[1] == 1 else None
    for path in few:
        axes.plot(steps, path, color=colour, linewidth=width, alpha=0.85, marker=dot)
    axes.margins(x=0.01)
    return bool(known.any())


def ranked(values: NDArray[Any]) -> list[str]:
    """The categories that get a colour of their own, the most frequent first; the same for all inputs."""
    return [name for name, _ in Counter(map(name_of, values.tolist())).most_common(SHARES)]


def name_of(value: Any) -> str:
    """A category as a legend shows it."""
    return "missing" if value is None else str(value)


def shares(axes: "Axes", values: NDArray[Any], names: list[str], ended: object) -> None:
    """Draw (N, T) categories, `ended` where there is none, as stacked shares of the sequences still running."""
    columns = [[name_of(value) for value in column if value is not ended] for column in values.T.tolist()]
    if len(values) >= ENOUGH:
        columns = list(itertools.takewhile(lambda column: len(column) >= ENOUGH, columns))
    portions = np.array([[column.count(name) / len(column) for column in columns] for name in names])
    steps, bottom = np.arange(len(columns)) + 1, np.zeros(len(columns))
    for portion, name, colour in zip(portions, names, COLOURS, strict=False):
        axes.bar(steps, portion, width=1.0, bottom=bottom, color=colour, linewidth=0, label=plain(name, 14))
        bottom = bottom + portion
    if bottom.min(initial=1.0) < 1 - 1e-9:
        axes.bar(steps, 1 - bottom, width=1.0, bottom=bottom, color="#bbbbbb", linewidth=0, label="others")
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


def key(drawn: "Figure") -> None:
    """What the parts of a fan are, once for all panels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=colour, label=f"{share:.0%}") for share, colour in reversed(BANDS)]
    handles += [Line2D([], [], color="#003f66", linewidth=1.6, label="median")]
    handles += [Line2D([], [], color=VERMILION, linewidth=0.8, label="single sequences")]
    drawn.legend(
        handles=handles, loc="outside lower right", ncols=len(handles), fontsize=8, frameon=False, handlelength=1.4,
        columnspacing=1.2, labelcolor=MUTED, edgecolor=LINE,
    )  # fmt: skip
