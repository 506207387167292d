"""Cells of a table as text, the same in a terminal and on a page."""

from typing import NamedTuple

from unspool.evaluation.document import Heading, Measured, ReportTable, TableCell

DASH = "–"


class Shown(NamedTuple):
    """A cell as text: the figure or word, its standard error with the sign (or nothing), and whether it is the best."""

    value: str
    error: str
    best: bool


def shown(table: ReportTable) -> list[list[Shown]]:
    """All cells of a table, rows of columns."""
    best = _best(table)
    return [
        [Shown(*_words(row[j], column), (i, j) in best) for j, column in enumerate(table.columns)]
        for i, row in enumerate(table.rows)
    ]


def _words(cell: TableCell, column: Heading) -> tuple[str, str]:
    if isinstance(cell, Measured):
        error = "" if cell.error is None else f"± {_number(cell.error, column).rstrip(' %')}"
        return (DASH, "") if cell.value is None else (_number(cell.value, column), error)
    if cell is None:
        return DASH, ""
    return (cell if isinstance(cell, str) else _number(cell, column)), ""


def _number(value: float, column: Heading) -> str:
    """A number with the digits of its column; a minus is a minus sign, and nothing is minus zero."""
    if column.form == "percent":
        text = f"{100 * value:,.{column.digits}f} %"
    elif column.form == "count":
        text = f"{value:,.0f}"
    elif column.form in ("text", "prose"):
        text = f"{value:g}"
    elif abs(value) >= 1e7:
        text = f"{value:.{column.digits}e}"
    else:
        text = f"{value:,.{column.digits}f}"
    text = text.replace("-", "−")
    return text[1:] if text.startswith("−") and not any(digit in text for digit in "123456789") else text


def _best(table: ReportTable) -> set[tuple[int, int]]:
    """The positions of the best figures, in their column or in their row, unless all are equal."""
    groups: dict[int, list[tuple[float, tuple[int, int]]]] = {}
    for i, row in enumerate(table.rows):
        for j, column in enumerate(table.columns):
            cell = row[j]
            value = cell.value if isinstance(cell, Measured) else cell
            if column.better is not None and isinstance(value, (int, float)):
                sign = 1 if column.better == "lower" else -1
                groups.setdefault(i if table.across else j, []).append((sign * value, (i, j)))
    best = {key: min(value for value, _ in group) for key, group in groups.items()}
    return {
        place
        for key, group in groups.items()
        if any(value != best[key] for value, _ in group)
        for value, place in group
        if value == best[key]
    }
