"""The base of every picture: a canvas that no window or global setting touches, colours, and files written whole."""

import os
import warnings
from typing import TYPE_CHECKING, Any

from unspool.errors import MissingExtra
from unspool.runtime.atomic_files import atomic, suffix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE = "#1f1f1f", "#666666", "#dddddd"
BLUE, VERMILION = "#0072B2", "#D55E00"
COLOURS = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", VERMILION, "#F0E442")
"""Colours that the colour-blind tell apart (Okabe & Ito 2008, "Color universal design")."""

PICTURES = (".png", ".svg", ".pdf")


def figure(width: float, height: float) -> "Figure":
    """An empty figure with its own canvas, in inches, or `MissingExtra` without matplotlib."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise MissingExtra("plot", "the package matplotlib", "none", "pip install 'unspool[plot]'") from None
    from unspool.plots.notebook import NotebookFigure

    return NotebookFigure((width, height), dpi=150, facecolor="white")  # not pyplot's, which would keep it for ever


def save(picture: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all, in the format of the name; see `plot_sequences` for the errors."""
    kind = suffix(path, PICTURES)[1:]
    undated: Any = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with atomic(path) as file, warnings.catch_warnings():
        # Text may be in any script, and no font has all: matplotlib draws a box for a missing glyph.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        picture.savefig(file, format=kind, metadata=undated)


def one_line(text: str, max_length: int) -> str:
    """A text in one line of at most `max_length` characters.

    Examples:
        >>> one_line("two" + chr(10) + "lines", 8)
        'two↵lin…'
    """
    line = text.replace("\r\n", "\n").translate({10: "↵", 13: "↵", 9: "→"})
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def style_axes(axes: "Axes") -> None:
    """Draw frame and ticks in pale colours, behind the data."""
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=8, length=3, color=LINE)
    axes.grid(axis="y", color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def caption(picture: "Figure", title: str, note: str) -> None:
    """Write a title at the upper left and a note at the lower left, both outside of the panels."""
    picture.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK, parse_math=False)
    if note:
        picture.supxlabel(note, x=0.01, ha="left", fontsize=8, color=MUTED, parse_math=False)
