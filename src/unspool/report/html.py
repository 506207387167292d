"""A report as one HTML page that fetches nothing: it holds its styles and pictures, for light and dark backgrounds."""

import importlib.resources
import re
from html import escape

from unspool.errors import MissingExtra
from unspool.evaluation.document import Headline, Judgement, Measured, Picture, ReportTable, Section, TableCell
from unspool.report.cells import Shown, shown

COLOUR = re.compile(r"#[0-9a-f]{6}\b")
"""What a cell begins with whose input is a colour."""


def as_page(
    title: str,
    notes: tuple[str, ...],
    sections: tuple[Section, ...],
    facts: dict[str, str],
    judged: tuple[Judgement, ...] = (),
    verdict: Headline | None = None,
) -> str:
    """A whole report. Without matplotlib a line in place of each picture says how to install it."""
    available = [one for one in sections if one.available]
    lines = {one.section: one for one in judged}
    unavailable = "".join(
        f"<li><b>{escape(one.title)}</b> {escape(one.verdict)}</li>" for one in sections if not one.available
    )
    if unavailable:
        heading = "<h2>What could not be judged</h2>"
        unavailable = f'<section class="unavailable">{heading}<ul>{unavailable}</ul></section>\n'
    warnings = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    details = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    summary = "".join(_summary_line(one, lines.get(one.name)) for one in available)
    return document(
        title,
        f"<header><h1>{escape(title)}</h1>{_headline(verdict)}{warnings}<ul>{summary}</ul></header>\n"
        f"{''.join(_section(one, lines.get(one.name)) for one in available)}{unavailable}"
        f'<section id="judged"><h2>What was judged</h2><dl>{details}</dl></section>\n',
    )


def document(title: str, body: str) -> str:
    """A page with the style of reports and the script that sorts tables."""
    style, script = (_resource(name) for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}"
        f"</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _resource(name: str) -> str:
    return importlib.resources.files("unspool.report").joinpath(name).read_text("utf-8")


def _headline(verdict: Headline | None) -> str:
    if verdict is None:
        return ""
    facts = "".join(
        f"<li>{_mark(one)} <span>{escape(_capital(use))}: {_against(one)}</span></li>"
        for use, one in verdict.facts.items()
    )
    return f'<div id="verdict" class="{verdict.grade}"><p>{escape(verdict.text)}</p><ul>{facts}</ul></div>'


def _mark(line: Judgement) -> str:
    return f'<b class="mark {line.grade}">{line.grade}</b>'


def _summary_line(section: Section, line: Judgement | None) -> str:
    link = f'<a href="#{escape(section.name)}">{escape(section.title)}</a>'
    if line is None:
        return f'<li><b class="mark"></b><span>{link} {escape(section.verdict)}</span></li>'
    return f"<li>{_mark(line)}<span>{link} {_capital(_against(line))}</span></li>"


def _against(line: Judgement) -> str:
    return f"{escape(line.found)} <small>against {escape(line.yardstick)}</small>"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _section(section: Section, line: Judgement | None) -> str:
    parts = "".join(
        as_table(part) if isinstance(part, ReportTable) else _picture(part, f"{section.name}-{k}")
        for k, part in enumerate(section.parts)
    )
    mark = f" {_mark(line)}" if line else ""
    return (
        f'<section id="{escape(section.name)}"><h2>{escape(section.title)}{mark}</h2>'
        f'<p class="verdict">{escape(section.verdict)}</p>{parts}</section>\n'
    )


def as_table(table: ReportTable) -> str:
    """A table that scrolls in a frame of its own; the script of the page sorts its rows."""
    classes = {"text": ' class="text"', "prose": ' class="text prose"'}
    left = [classes.get(column.form, "") for column in table.columns]
    titles = "".join(
        f'<th scope="col"{side}>{escape(column.name)}</th>' for side, column in zip(left, table.columns, strict=True)
    )
    rows = []
    for i, (row, cells) in enumerate(zip(table.rows, shown(table), strict=True)):
        sort = [f' data-sort="{value}"' if (value := _sort_key(cell)) is not None else "" for cell in row]
        texts = [f"<td{side}{key}>{_cell(cell)}</td>" for side, key, cell in zip(left, sort, cells, strict=True)]
        if left and left[0]:
            texts[0] = f'<th scope="row"{left[0]}>{_cell(cells[0])}</th>'
        own = ' class="own"' if i in table.own else ""
        rows.append(f"<tr{own}>{''.join(texts)}</tr>")
    note = f"<figcaption>{escape(table.note)}</figcaption>" if table.note else ""
    name = escape(table.title or "table")
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    return (
        f'<figure><div class="wide" tabindex="0" role="region" aria-label="{name}"><table>{caption}'
        f"<thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}</figure>"
    )


def _sort_key(cell: TableCell) -> float | None:
    value = cell.value if isinstance(cell, Measured) else cell
    return value if isinstance(value, (int, float)) else None


def _cell(cell: Shown) -> str:
    value = f"<b>{escape(cell.value)}</b>" if cell.best else escape(cell.value)
    if colour := COLOUR.match(cell.value):
        value = f'<i class="colour" style="background: {colour[0]}"></i> {value}'
    return f"{value} <small>{escape(cell.error)}</small>" if cell.error else value


def _picture(picture: Picture, name: str) -> str:
    from unspool.report.figures import as_svg

    try:
        drawn = as_svg(picture, name)
    except MissingExtra as error:
        drawn = f"<p class='note'>{escape(str(error))}</p>"
    note = f"<figcaption>{escape(picture.note)}</figcaption>" if picture.note else ""
    return f'<figure><h3>{escape(picture.title)}</h3><div class="panels">{drawn}</div>{note}</figure>'
