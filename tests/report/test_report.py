"""A report as text, as JSON and as one page."""

import re
import sys

import msgspec
import pytest

from unspool.errors import DataError, FileError, OptionError
from unspool.evaluation.document import Heading, Measured, Panel, Picture, ReportTable, Section, Trace, headings
from unspool.report.cells import shown
from unspool.report.compare import compare
from unspool.report.figures import as_svg
from unspool.report.report import Report, read_report
from unspool.report.text import table_lines

TABLE = ReportTable(
    "Nats <of> two",
    (Heading("", "text"), Heading("nats", "number", 2, "lower"), Heading("share", "percent", 1), Heading("n", "count")),
    (
        ("this model", Measured(1.5, 0.25), 0.125, 12_345),
        ("a baseline & co", Measured(10.0, 0.5), None, 7),
        ("no error", 2.0, 1.0, None),
    ),
    note="Read it so.",
    own=(0,),
)
PICTURE = Picture(
    "Curves",
    (
        Panel("a", "x", "y", (Trace("real", (0.0, 0.5, 1.0), (1.0, None, 3.0), (0.5, None, 2.0), (2.0, None, 4.0)),)),
        Panel("b", "x", "y", (Trace("generated", (1.0, 2.0), (3.0, 4.0), mark="bars", role="real"),)),
        Panel("c", "x", "y", (Trace("", (1.0, 2.0), (3.0, 4.0), mark="points", role="reference"),)),
        Panel("d", "", "y", (Trace("", ("$one_", "two"), (3.0, 4.0), (2.0, 3.0), (5.0, 5.0), "points", "baseline"),)),
    ),
    note="Look here.",
)
EXAMPLES = ReportTable("", headings("input", "held out", form="text"), (("#ff8000 rgb (1, 0.5, 0)", "orange"),))
REPORT = Report(
    "How good is <it>?",
    ("Mind the gap.",),
    (
        Section("likelihood", "How well?", "Well.", (TABLE, PICTURE), {"nats": 1.5, "gain": 0.5, "baseline_nats": 2.0}),
        Section("examples", "What?", "These.", (EXAMPLES,)),
        Section("detector", "Who is who?", "It takes 20 sequences; there are 3.", available=False),
    ),
    {"judged": "3 sequences"},
    7,
    "ab" * 32,
    {"unspool": "0.1"},
)


def test_a_table_stands_in_columns_with_the_best_marked_and_own_rows_set_off():
    assert table_lines(TABLE) == [
        "  Nats <of> two",
        "                             nats     share        n",
        "  ──────────────────────────────────────────────────",
        "› this model         1.50 ± 0.25*    12.5 %   12,345",
        "  a baseline & co   10.00 ± 0.50          –        7",
        "  no error           2.00           100.0 %        –",
        "  Read it so.",
    ]


def test_prose_takes_as_many_lines_as_it_needs():
    columns = (Heading("rule", "prose"), Heading("share", "percent", 1))
    table = ReportTable("", columns, (("where kind is rent, the day of the month of day is 1", 0.25), ("a < b", 0.5)))
    assert [line.rstrip() for line in table_lines(table)] == [
        "  rule                              share",
        "  ───────────────────────────────────────",
        "  where kind is rent, the day of   25.0 %",
        "  the month of day is 1",
        "  a < b                            50.0 %",
    ]


def test_the_best_is_of_a_column_or_of_a_row_and_never_of_one_alone():
    for better, across in (("higher", False), ("lower", True)):
        columns = (*headings("", form="text"), *headings("a", better="lower"), *headings("b", better=better))
        table = ReportTable("", columns, (("x", 1.0, 2.0), ("y", 3.0, None)), across=across)
        assert [[cell.best for cell in row] for row in shown(table)] == [[False, True, False], [False, False, False]]


def test_equals_are_marked_together_and_nothing_is_marked_where_all_are_equal():
    columns = (*headings("a", better="lower"), *headings("b", better="lower"))
    table = ReportTable("", columns, ((1.0, 2.0), (1.0, 2.0), (3.0, 2.0)))
    assert [[cell.best for cell in row] for row in shown(table)] == [[True, False], [True, False], [False, False]]


def test_no_figure_is_minus_nothing():
    table = ReportTable("", (Heading("x", digits=2),), ((-0.001,), (-0.01,), (Measured(-2.0, 0.1),)))
    assert [row[0].value for row in shown(table)] == ["0.00", "−0.01", "−2.00"]


def test_the_text_begins_with_the_verdicts_and_ends_with_what_makes_it_again():
    text = str(REPORT)
    lines = text.splitlines()
    assert lines[0] == "How good is <it>?"
    assert lines[3:5] == [
        "Trust it for predictions.",
        "• good: predictions: 1.500 nats per step, against 2.000 of the best baseline",
    ]
    assert "• What? These." in lines
    assert "! Mind the gap." in lines
    judged = "• good: How well? 1.500 nats per step, against 2.000 of the best baseline"
    assert lines.index(judged) < lines.index("How well?")
    assert "• Who is who? It takes 20 sequences; there are 3." in lines[lines.index("What could not be judged") :]
    facts = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in lines[lines.index("What was judged") + 2 :])
    assert facts == {
        "judged": "3 sequences", "seed": "7", "data": "fingerprint " + "ab" * 8, "versions": "unspool 0.1",
    }  # fmt: skip
    assert max(map(len, lines)) <= 100


def test_json_gives_the_report_back():
    assert read_report(REPORT.to_json()) == REPORT
    with pytest.raises(DataError, match=r"what Report\.to_json wrote"):
        read_report("{}")


def test_the_page_needs_nothing_but_itself_and_is_the_same_every_time():
    pytest.importorskip("matplotlib")
    page = REPORT.to_html()
    assert "http" not in page
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!#)|@import|<link|<script[^>]""", page)
    assert page == REPORT.to_html()
    assert page.count("<svg") == len(PICTURE.panels)
    assert "How good is &lt;it&gt;?" in page
    assert "a baseline &amp; co" in page
    assert "<b>1.50</b> <small>± 0.25</small>" in page
    assert "$one_" in page


def test_colours_of_a_picture_are_those_of_the_page():
    pytest.importorskip("matplotlib")
    page = REPORT.to_html()
    picture = page[page.index("<svg") : page.rindex("</svg>")]
    assert set(re.findall(r"var\(--(\w+)\)", picture)) >= {"model", "baseline", "real", "reference", "ink", "muted"}
    known = set(re.findall(r"--(\w+):", page))
    assert set(re.findall(r"var\(--(\w+)\)", page)) <= known
    assert not re.search(r"#(?!model|baseline)[0-9a-f]{6}", picture)


def test_without_matplotlib_a_picture_is_a_line_that_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    page = REPORT.to_html()
    assert "<svg" not in page
    assert "pip install &#x27;unspool[plot]&#x27;" in page
    assert "1.50" in page


@pytest.mark.parametrize(("ending", "start"), [("html", "<!doctype html>"), ("json", "{"), ("txt", "How good")])
def test_a_report_is_saved_as_its_name_says(ending, start, tmp_path):
    path = tmp_path / f"report.{ending}"
    REPORT.save(path)
    assert path.read_text("utf-8").startswith(start)


def test_other_names_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"ends in .html, .json, .txt"):
        REPORT.save(tmp_path / "report.doc")
    with pytest.raises(FileError, match="no folder"):
        REPORT.save(tmp_path / "none" / "report.json")


def test_figures_have_names_and_sections_are_found_by_theirs():
    assert REPORT.figures["likelihood.nats"] == 1.5
    assert REPORT.section("likelihood").verdict == "Well."
    with pytest.raises(OptionError, match="one of likelihood, examples, detector"):
        REPORT.section("nuts")
    with pytest.raises(OptionError, match="is called 'likelihood'"):
        REPORT.section("nats")


def test_no_two_elements_of_a_page_have_one_id():
    pytest.importorskip("matplotlib")
    ids = re.findall(r'\bid="([^"]+)"', REPORT.to_html())
    assert len(ids) > 20
    assert len(ids) == len(set(ids))


def test_tables_say_what_their_headings_are_of():
    page = REPORT.to_html()
    assert "<caption>Nats &lt;of&gt; two</caption>" in page
    assert page.count('<th scope="col"') == len(TABLE.columns) + len(EXAMPLES.columns)
    assert page.count('<th scope="row"') == len(TABLE.rows) + len(EXAMPLES.rows)


LOOK = """
    const table = document.querySelector("table");
    const rows = () => [...table.tBodies[0].rows].map(row => row.cells[0].innerText);
    const orders = [rows()];
    for (const click of [1, 1]) { table.tHead.rows[0].cells[1].querySelector("button").click(); orders.push(rows()); }
    const box = one => one.getBoundingClientRect();
    return {
      orders,
      sorted: table.tHead.rows[0].cells[1].getAttribute("aria-sort"),
      verdict: document.querySelector("#verdict p").innerText,
      facts: document.querySelectorAll("#verdict li").length,
      marks: [...document.querySelectorAll("header ul .mark.good")].map(one => box(one).width > 20),
      page: document.documentElement.scrollWidth,
      letters: Math.min(...[...document.querySelectorAll("svg text")].map(one => {
        const svg = one.closest("svg");
        return parseFloat(getComputedStyle(one).fontSize) * box(svg).width / svg.viewBox.baseVal.width;
      })),
      pictures: [...document.querySelectorAll("svg")].map(one => box(one).right),
      wide: getComputedStyle(document.querySelector(".wide")).overflowX,
      colour: getComputedStyle(document.querySelector(".colour")).backgroundColor,
      legends: [...document.querySelectorAll("svg")].map(svg => {
        const legend = svg.querySelector("[id*=-legend_]"), axes = svg.querySelector("[id*=-axes_]");
        return legend ? box(legend).top >= box(axes.querySelector("[id*=-patch_]")).bottom : null;
      }).filter(one => one !== null),
    };
"""


@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_verdict_sorts_tables_and_draws_legibly_on_a_telephone(browser, width):
    pytest.importorskip("matplotlib")
    seen = browser(REPORT.to_html(), LOOK, width)
    assert seen["verdict"] == "Trust it for predictions."
    assert (seen["facts"], seen["marks"]) == (1, [True, True])
    assert seen["orders"] == [
        ["this model", "a baseline & co", "no error"],
        ["this model", "no error", "a baseline & co"],
        ["a baseline & co", "no error", "this model"],
    ]
    assert seen["sorted"] == "descending"
    assert seen["page"] <= width
    assert seen["letters"] >= 10
    assert max(seen["pictures"]) <= width
    assert seen["wide"] == "auto"
    assert seen["colour"] == "rgb(255, 128, 0)"
    assert seen["legends"] == [True, True]


def test_panels_that_compare_have_one_scale():
    pytest.importorskip("matplotlib")
    panels = tuple(
        Panel(name, "x", "share", (Trace("", (0.0, 1.0), (0.0, top)),)) for name, top in (("a", 1.0), ("b", 9.0))
    )
    alone, together = (as_svg(Picture("p", panels, same_y=same), "p") for same in (False, True))
    last = [re.findall(r">([\d.]+)</text>", svg) for svg in alone.split("</svg>")[:2]]
    assert last[0] != last[1]
    first, second = (re.findall(r">([\d.]+)</text>", svg) for svg in together.split("</svg>")[:2])
    assert first == second


def test_days_on_an_axis_are_dates():
    pytest.importorskip("matplotlib")
    panel = Panel("day", "day", "share", (Trace("", (19723.0, 19753.0), (0.0, 1.0)),), "x")
    assert re.search(r">2024-01-\d\d</text>", as_svg(Picture("p", (panel,)), "p"))


def test_reports_compare_in_one_table():
    section = msgspec.structs.replace(REPORT.sections[0], figures={"nats": 1.25, "nats_error": 0.01})
    other = msgspec.structs.replace(REPORT, sections=(section,))
    both = compare(REPORT, other, names=["small", "large"])
    (section,) = both.sections
    figures, grades = section.parts
    assert figures.rows == (("held-out nats per step", Measured(1.5), Measured(1.25, 0.01)),)
    assert [cell.best for cell in shown(figures)[0]] == [False, False, True]
    assert grades.rows[0] == ("In all", "Trust it for predictions.", None)
    assert section.verdict == "large has the fewest nats, 0.250 per step fewer than small."
    assert both.notes == ("small: Mind the gap.", "large: Mind the gap.")
    elsewhere = compare(REPORT, msgspec.structs.replace(other, data="cd"))
    assert "different data" in elsewhere.section("comparison").verdict
    assert "<caption>Figures</caption>" in both.to_html()
    for wrong in ((REPORT,), (REPORT, REPORT, REPORT)):
        with pytest.raises(OptionError):
            compare(*wrong, names=["a", "a", "b"][: len(wrong)])
