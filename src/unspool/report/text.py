"""A report as text that a terminal shows: aligned tables, no pictures."""

import textwrap

from unspool.errors import readable
from unspool.evaluation.document import Headline, Judgement, ReportTable, Section
from unspool.report.cells import Shown, shown

LINE_WIDTH = 100
"""Characters of a line of prose."""
HEADING_WIDTH = 14
"""About the characters of a line in the heading of a column."""
MAX_LABEL_WIDTH, MAX_PROSE_WIDTH = 44, 30
"""Characters of a text in a column, where a longer one is cut, and of a line of prose."""


def as_text(
    title: str,
    notes: tuple[str, ...],
    sections: tuple[Section, ...],
    facts: dict[str, str],
    judged: tuple[Judgement, ...] = (),
    verdict: Headline | None = None,
) -> str:
    """A report without its pictures; see `unspool.report.report.Report`."""
    available, unavailable = ([one for one in sections if one.available == kind] for kind in (True, False))
    lines = [title, "═" * len(title), ""]
    if verdict is not None:
        lines += _wrapped(verdict.text)
        lines += [line for use, fact in verdict.facts.items() for line in _judged(fact, f"{use}: ")]
        lines.append("")
    by_section = {one.section: one for one in judged}
    for section in available:
        line = by_section.get(section.name)
        lines += _bullet(section) if line is None else _judged(line, f"{section.title} ")
    for note in notes:
        lines += ["", *_wrapped(note, "! ", "  ")]
    for section in available:
        lines += ["", "", section.title, "─" * len(section.title), *_wrapped(section.verdict)]
        for part in section.parts:
            if isinstance(part, ReportTable):
                lines += ["", *table_lines(part)]
    if unavailable:
        lines += ["", "", "What could not be judged", "────────────────────────"]
        lines += [line for section in unavailable for line in _bullet(section)]
    width = max(map(len, facts))
    lines += ["", "", "What was judged", "───────────────"]
    for name, fact in facts.items():
        lines += _wrapped(fact, f"{name:<{width}}  ", " " * (width + 2))
    return readable("\n".join(line.rstrip() for line in lines)) + "\n"


def _judged(line: Judgement, lead: str) -> list[str]:
    return _wrapped(f"{line.grade}: {lead}{line.found}, against {line.yardstick}", "• ", "  ")


def _bullet(section: Section) -> list[str]:
    return _wrapped(f"{section.title} {section.verdict}", "• ", "  ")


def table_lines(table: ReportTable) -> list[str]:
    """A table in lines: title, headings, rows, note. The best figure has a star, the model's own rows have a mark."""
    columns = [_column(table, shown(table), j) for j in range(len(table.columns))]
    headings = [textwrap.wrap(one.name, max([HEADING_WIDTH, *map(len, one.name.split())])) for one in table.columns]
    height = max(map(len, headings))
    widths = [
        max([*map(len, heading), *(len(line) for cell in body for line in cell), 1])
        for heading, body in zip(headings, columns, strict=True)
    ]
    left = [column.form in ("text", "prose") for column in table.columns]

    def line(parts: list[str], mark: str = " ") -> str:
        aligned = [part.ljust(w) if l else part.rjust(w) for part, w, l in zip(parts, widths, left, strict=True)]
        return f"{mark} " + "   ".join(aligned)

    lines = _wrapped(table.title, "  ", "  ") if table.title else []
    padded = [[""] * (height - len(heading)) + heading for heading in headings]
    lines += [line(list(row)) for row in zip(*padded, strict=True) if any(row)]
    lines.append("  " + "─" * (sum(widths) + 3 * (len(widths) - 1)))
    for i in range(len(table.rows)):
        row = [column[i] for column in columns]
        for k in range(max(map(len, row), default=0)):
            lines.append(
                line([cell[k] if k < len(cell) else "" for cell in row], "›" if i in table.own and not k else " ")
            )
    return [*lines, *(_wrapped(table.note, "  ", "  ") if table.note else [])]


def _column(table: ReportTable, cells: list[list[Shown]], j: int) -> list[list[str]]:
    """The lines of the cells of one column, errors below errors and stars below stars."""
    column = [row[j] for row in cells]
    if table.columns[j].form == "prose":
        return [textwrap.wrap(cell.value, MAX_PROSE_WIDTH) or [""] for cell in column]
    if table.columns[j].form == "text":
        return [
            [cell.value if len(cell.value) <= MAX_LABEL_WIDTH else cell.value[: MAX_LABEL_WIDTH - 1] + "…"]
            for cell in column
        ]
    errors = max((len(cell.error) for cell in column), default=0)
    stars = any(cell.best for cell in column)
    return [
        [
            cell.value
            + (" " + cell.error.rjust(errors) if errors else "")
            + (("*" if cell.best else " ") if stars else "")
        ]
        for cell in column
    ]


def _wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(text, LINE_WIDTH, initial_indent=first, subsequent_indent=later) or [first]
