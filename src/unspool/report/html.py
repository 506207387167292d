"""A report as one HTML page that fetches nothing: it holds its styles and pictures, for light and dark backgrounds."""

import importlib.resources
from html import escape

from unspool.errors import MissingExtra
from unspool.evaluation.document import Picture, ReportTable, Section
from unspool.report.cells import Shown, shown


def as_page(title: str, notes: tuple[str, ...], sections: tuple[Section, ...], facts: dict[str, str]) -> str:
    """A whole report. Without matplotlib a line in place of each picture says how to install it."""
    style = importlib.resources.files("unspool.report").joinpath("page.css").read_text("utf-8")
    available = [one for one in sections if one.available]
    bullets = "".join(
        f'<li><a href="#{escape(one.name)}">{escape(one.title)}</a> {escape(one.verdict)}</li>' for one in available
    )
    unavailable = "".join(
        f"<li><b>{escape(one.title)}</b> {escape(one.verdict)}</li>" for one in sections if not one.available
    )
    if unavailable:
        heading = "<h2>What could not be judged</h2>"
        unavailable = f'<section class="unavailable">{heading}<ul>{unavailable}</ul></section>\n'
    warnings = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    details = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(title)}</h1>{warnings}<ul>{bullets}</ul></header>\n"
        f"{''.join(map(_section, available))}{unavailable}"
        f'<section id="judged"><h2>What was judged</h2><dl>{details}</dl></section>\n'
        "</main>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    parts = "".join(
        _table(part) if isinstance(part, ReportTable) else _picture(part, f"{section.name}-{k}")
        for k, part in enumerate(section.parts)
    )
    return (
        f'<section id="{escape(section.name)}"><h2>{escape(section.title)}</h2>'
        f'<p class="verdict">{escape(section.verdict)}</p>{parts}</section>\n'
    )


def _table(table: ReportTable) -> str:
    left = [' class="text"' if column.form == "text" else "" for column in table.columns]
    titles = "".join(f"<th{side}>{escape(column.name)}</th>" for side, column in zip(left, table.columns, strict=True))
    rows = []
    for i, row in enumerate(shown(table)):
        cells = "".join(f"<td{side}>{_cell(cell)}</td>" for side, cell in zip(left, row, strict=True))
        own = ' class="own"' if i in table.own else ""
        rows.append(f"<tr{own}>{cells}</tr>")
    note = f"<figcaption>{escape(table.note)}</figcaption>" if table.note else ""
    return (
        f"<figure><h3>{escape(table.title)}</h3><div class='wide'><table><thead><tr>{titles}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>{note}</figure>"
    )


def _cell(cell: Shown) -> str:
    value = f"<b>{escape(cell.value)}</b>" if cell.best else escape(cell.value)
    return f"{value} <small>{escape(cell.error)}</small>" if cell.error else value


def _picture(picture: Picture, name: str) -> str:
    from unspool.report.figures import as_svg

    try:
        drawn = as_svg(picture, name)
    except MissingExtra as error:
        drawn = f"<p class='note'>{escape(str(error))}</p>"
    note = f"<figcaption>{escape(picture.note)}</figcaption>" if picture.note else ""
    return f"<figure><h3>{escape(picture.title)}</h3><div class='wide'>{drawn}</div>{note}</figure>"
