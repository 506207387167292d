"""Sequences of symbols as text, in a block per input: cells if they are short, wrapped lines if they are long."""

import textwrap
from typing import TYPE_CHECKING, Any

from unspool.plots.canvas import INK, LINE, MUTED, figure, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, MARGIN, LINE_HEIGHT = 9.0, 0.3, 0.235
"""Inches of the figure, of its margin, and from one line to the next."""
GLYPH_WIDTH, LABEL_GLYPH_WIDTH = 0.0867, 0.082
"""Inches of a character in ten-point monospace, and about those of a character in a label."""
PATCH_WIDTH = 0.36
"""Inches of a patch of colour before a label, with the gap after it."""
MAX_LABEL = 34
"""Characters of a label."""
MAX_LINES, MAX_INPUTS, MAX_LINES_PER_SEQUENCE = 44, 14, 4
"""Lines of a figure, inputs of a figure, and lines of one sequence."""


def text_figure(
    title: str, note: str, labels: list[str], groups: list[list[str]], colours: list[str | None] | None = None
) -> "Figure":
    """A figure of the texts of each input, beside its label, with a title and a note below the title.

    An input that is a colour has a patch of it before its label.
    """
    colours = colours or [None] * len(labels)
    patch_width = PATCH_WIDTH if any(colours) else 0.0
    label_width = min(max((len(label) for label in labels), default=0), MAX_LABEL) * LABEL_GLYPH_WIDTH
    left = MARGIN + patch_width + label_width + 0.3
    columns = int((WIDTH - left - MARGIN) / GLYPH_WIDTH)
    shown = groups[:MAX_INPUTS]
    lines_per_input = max(2, MAX_LINES // max(1, len(shown)))
    widest = max((len(text) for group in shown for text in group), default=0)
    blocks = [text_block(group, columns, widest, lines_per_input) for group in shown]
    rest = f"and {len(groups) - MAX_INPUTS} more inputs" if len(groups) > MAX_INPUTS else ""
    height = 2 * MARGIN + 0.4 + LINE_HEIGHT * (sum(map(len, blocks)) + bool(rest)) + 0.16 * len(blocks)
    picture = figure(WIDTH, height)
    y = height - MARGIN

    def put(x: float, text: str, colour: str, size: float = 10, **style: Any) -> None:
        picture.text(x / WIDTH, y / height, text, va="top", color=colour, fontsize=size, parse_math=False, **style)

    put(MARGIN, one_line(title, 90), INK, 12, fontweight="bold")
    y -= 0.26
    put(MARGIN, note, MUTED, 8.5)
    y -= 0.29
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    for label, colour, lines in zip(labels, colours, blocks, strict=False):
        ends = [MARGIN / WIDTH, 1 - MARGIN / WIDTH]
        picture.add_artist(Line2D(ends, [(y + 0.06) / height] * 2, color=LINE, linewidth=0.8))
        put(MARGIN + patch_width, one_line(label, MAX_LABEL), INK, fontweight="bold")
        if colour is not None:
            corner, size = (MARGIN / WIDTH, (y - 0.15) / height), (0.75 * patch_width / WIDTH, 0.15 / height)
            picture.add_artist(Rectangle(corner, *size, transform=picture.transFigure, color=colour))
        for text, is_note in lines:
            put(left, text, MUTED if is_note else INK, 8.5 if is_note else 10, family="DejaVu Sans Mono")
            y -= LINE_HEIGHT
        y -= 0.16
    if rest:
        put(MARGIN, rest, MUTED, 8.5)
    return picture


def text_block(texts: list[str], columns: int, widest: int, max_lines: int) -> list[tuple[str, bool]]:
    """The lines of the texts of one input, each with whether it is only a note.

    A line has `columns` characters; the longest text of any input has `widest`.
    """
    if widest + 3 <= columns // 2:
        cell = widest + 3
        per_line = max(1, columns // cell)
        cells = [one_line(text, widest).ljust(cell) for text in texts]
        rows = ["".join(cells[at : at + per_line]).rstrip() for at in range(0, len(cells), per_line)]
        if len(rows) <= max_lines:
            return [(row, False) for row in rows]
        kept = max_lines - 1
        return [*((row, False) for row in rows[:kept]), (f"and {len(texts) - kept * per_line} more", True)]
    lines: list[tuple[str, bool]] = []
    for at, text in enumerate(texts):
        whole = one_line(text, 100_000)
        pieces = textwrap.wrap(whole, columns - 2, drop_whitespace=False, replace_whitespace=False) or [""]
        if len(pieces) > MAX_LINES_PER_SEQUENCE:
            last = pieces[MAX_LINES_PER_SEQUENCE - 1][: columns - 3] + "…"
            pieces = [*pieces[: MAX_LINES_PER_SEQUENCE - 1], last]
        if lines and len(lines) + len(pieces) > max_lines:
            return [*lines, (f"and {len(texts) - at} more", True)]
        lines += [(("" if line == 0 else "  ") + piece.strip(" "), False) for line, piece in enumerate(pieces)]
    return lines
