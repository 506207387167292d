"""Sequences of symbols as text: one block per input, cells where they are short, wrapped lines where they are long."""

import textwrap
from typing import TYPE_CHECKING, Any

from unspool.plots.canvas import INK, LINE, MUTED, figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, MARGIN, LEADING = 9.0, 0.3, 0.235
"""Inches: of the figure, around it, and from one line to the next."""
GLYPH, LABEL_GLYPH = 0.0867, 0.082
"""Inches a character takes: of ten-point monospace, and about what one of a label takes."""
LINES, BLOCKS, WRAPPED = 44, 14, 4
"""Lines of a figure, inputs of a figure, and lines of one sequence, at the most."""


def written(title: str, note: str, labels: list[str], groups: list[list[str]]) -> "Figure":
    """A figure of texts.

    Args:
        title: what they are.
        note: below the title.
        labels: one per group, in a few words.
        groups: per input, its sequences as texts.
    """
    left = MARGIN + min(max((len(label) for label in labels), default=0), 34) * LABEL_GLYPH + 0.3
    support = int((WIDTH - left - MARGIN) / GLYPH)
    shown = groups[:BLOCKS]
    share = max(2, LINES // max(1, len(shown)))
    widest = max((len(text) for group in shown for text in group), default=0)
    blocks = [block(group, support, widest, share) for group in shown]
    lines = sum(map(len, blocks))
    below = f"and {len(groups) - BLOCKS} more inputs" if len(groups) > BLOCKS else ""
    height = 2 * MARGIN + 0.4 + LEADING * (lines + bool(below)) + 0.16 * len(blocks)
    drawn = figure(WIDTH, height)
    y = height - MARGIN

    def put(x: float, text: str, colour: str, size: float = 10, **style: Any) -> None:
        drawn.text(x / WIDTH, y / height, text, va="top", color=colour, fontsize=size, parse_math=False, **style)

    put(MARGIN, plain(title, 90), INK, 12, fontweight="bold")
    y -= 0.26
    put(MARGIN, note, MUTED, 8.5)
    y -= 0.29
    from matplotlib.lines import Line2D

    for label, texts in zip(labels, blocks, strict=False):
        ends = [MARGIN / WIDTH, 1 - MARGIN / WIDTH]
        drawn.add_artist(Line2D(ends, [(y + 0.06) / height] * 2, color=LINE, linewidth=0.8))
        put(MARGIN, plain(label, 34), INK, fontweight="bold")
        for text, more in texts:
            put(left, text, MUTED if more else INK, 8.5 if more else 10, family="DejaVu Sans Mono")
            y -= LEADING
        y -= 0.16
    if below:
        put(MARGIN, below, MUTED, 8.5)
    return drawn


def block(texts: list[str], support: int, widest: int, most: int) -> list[tuple[str, bool]]:
    """The lines of one input, and whether each is but a note."""
    if widest + 3 <= support // 2:
        cell = widest + 3
        columns = max(1, support // cell)
        cells = [plain(text, widest).ljust(cell) for text in texts]
        rows = ["".join(cells[at : at + columns]).rstrip() for at in range(0, len(cells), columns)]
        if len(rows) <= most:
            return [(row, False) for row in rows]
        kept = most - 1
        return [*((row, False) for row in rows[:kept]), (f"and {len(texts) - kept * columns} more", True)]
    lines: list[tuple[str, bool]] = []
    for at, text in enumerate(texts):
        pieces = textwrap.wrap(plain(text, 100_000), support - 2, drop_whitespace=False, replace_whitespace=False) or [
            ""
        ]
        if len(pieces) > WRAPPED:
            pieces = [*pieces[: WRAPPED - 1], pieces[WRAPPED - 1][: support - 3] + "…"]
        if lines and len(lines) + len(pieces) > most:
            return [*lines, (f"and {len(texts) - at} more", True)]
        lines += [(("" if line == 0 else "  ") + piece.strip(" "), False) for line, piece in enumerate(pieces)]
    return lines
