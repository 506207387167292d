"""Pictures of a report as SVG, drawn by matplotlib; the page's style has the colours."""

import io
import itertools
import re
import textwrap
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from unspool.evaluation.document import Panel, Picture, Role, Trace
from unspool.plots.canvas import INK, LINE, MUTED, figure, one_line, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROLE_COLOURS: dict[Role, str] = {"model": "#0072b2", "real": "#010101", "baseline": "#d55e00", "reference": "#999999"}
"""Placeholders: `page.css` has the colours of the same names for light and for dark backgrounds."""
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", **{colour: role for role, colour in ROLE_COLOURS.items()}}
PANEL_WIDTH, PANEL_HEIGHT, NAME_HEIGHT, LEGEND_HEIGHT = 3.6, 2.4, 0.36, 0.22
"""Inches of a panel, which is as wide as a telephone, of a name on its vertical axis, and of a line of its legend."""
NAME_CHARACTERS, MAX_NAME = 20, 40
"""Characters of a line of a name on the vertical axis, and of the whole name."""
LEGEND_COLUMNS = 3


def as_svg(picture: Picture, name: str) -> str:
    """The panels of a picture as SVG elements, the same bytes every time, or `MissingExtra` without matplotlib.

    The name is unique on the page, so that no two elements have one id.
    """
    scale = _common_scale(picture) if picture.same_y else None
    return "".join(_svg(panel, f"{name}-{k}", scale, picture.title) for k, panel in enumerate(picture.panels))


def _svg(panel: Panel, name: str, scale: tuple[float, float] | None, title: str) -> str:
    names = _names(panel)
    legend = LEGEND_HEIGHT * -(-sum(bool(trace.name) for trace in panel.traces) // LEGEND_COLUMNS)
    canvas = figure(PANEL_WIDTH, legend + (NAME_HEIGHT * len(names) + 0.7 if names else PANEL_HEIGHT))
    canvas.set_layout_engine("constrained")
    canvas.patch.set_alpha(0)
    axes = canvas.add_subplot()
    _panel(panel, axes)
    if scale is not None:
        axes.set_ylim(scale)
    if legend:
        shown = canvas.legend(loc="outside lower left", ncols=LEGEND_COLUMNS, fontsize=8, frameon=False, labelcolor=INK)
        for text in shown.get_texts():
            text.set_parse_math(False)
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        canvas.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _themed(out.getvalue(), name, ": ".join(filter(None, (title, panel.title))))


def _common_scale(picture: Picture) -> tuple[float, float]:
    """The lowest and the highest value of all panels, with a margin; bars stand on zero."""
    traces = [trace for panel in picture.panels for trace in panel.traces]
    values = [y for trace in traces for part in (trace.y, trace.low, trace.high) for y in part if y is not None]
    values += [0.0] * any(trace.mark == "bars" for trace in traces)
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.05 * ((high - low) or 1.0)
    return low - margin * (low != 0), high + margin


def _themed(svg: str, name: str, title: str) -> str:
    """The element alone, without links, with ids of its own, and with the page's colours and fonts."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = re.sub(colour, f"var(--{variable})", svg, flags=re.IGNORECASE)
    svg = re.sub(r"(font: [\d.]+px) [^;\"]*", r"\1 system-ui, 'DejaVu Sans', sans-serif", svg)
    return svg.replace(">", f' role="img" aria-label="{escape(title)}">', 1)


def _names(panel: Panel) -> list[str]:
    """The names on the vertical axis, in their order."""
    return list(dict.fromkeys(x for trace in panel.traces for x in trace.x if isinstance(x, str)))


def _panel(panel: Panel, axes: "Axes") -> None:
    axes.patch.set_alpha(0)
    names = _names(panel)
    bars = [trace for trace in panel.traces if trace.mark == "bars"]
    for trace in panel.traces:
        if names:
            _across(trace, axes, names, bars)
        else:
            _along(trace, axes, bars)
    style_axes(axes)
    from matplotlib.ticker import AutoLocator, MaxNLocator

    if names:
        wrapped = ["\n".join(textwrap.wrap(one_line(name, MAX_NAME), NAME_CHARACTERS)) for name in names]
        axes.set_yticks(range(len(names)), wrapped, parse_math=False)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.xaxis.set_major_locator(AutoLocator())
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=LINE, linewidth=0.5)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
    elif any(x != int(x) for trace in panel.traces for x in _floats(trace.x)):
        axes.xaxis.set_major_locator(AutoLocator())
    if panel.dates:
        axis = axes.xaxis if panel.dates == "x" else axes.yaxis
        axis.set_major_locator(MaxNLocator(3, integer=True))
        axis.set_major_formatter(lambda days, _: str(np.datetime64("1970-01-01") + np.timedelta64(round(days), "D")))
    axes.set_title(one_line(panel.title, 60), fontsize=9, color=INK, loc="left", parse_math=False)
    axes.set_xlabel(panel.y if names else panel.x, fontsize=8, color=MUTED, parse_math=False)
    axes.set_ylabel("" if names else panel.y, fontsize=8, color=MUTED, parse_math=False)


def _style(trace: Trace) -> dict[str, Any]:
    return {"color": ROLE_COLOURS[trace.role], "label": one_line(trace.name, 40) or None}


def _bar_centres(at: list[float], width: float, trace: Trace, bars: list[Trace]) -> list[float]:
    """The bars of all traces stand side by side around a position."""
    return [x + width * (bars.index(trace) - (len(bars) - 1) / 2) for x in at]


def _along(trace: Trace, axes: "Axes", bars: list[Trace]) -> None:
    """Draw a trace over numbers."""
    x, y, low, high = (_floats(values) for values in (trace.x, trace.y, trace.low, trace.high))
    if trace.mark == "bars":
        width = 0.8 * min((b - a for a, b in itertools.pairwise(x)), default=1.0) / len(bars)
        axes.bar(_bar_centres(x, width, trace, bars), y, width, alpha=0.7, **_style(trace))
    elif trace.mark == "points":
        axes.plot(x, y, "o", markersize=3, **_style(trace))
    else:
        line, width = ("--", 1.1) if trace.role == "reference" else ("-", 1.5)
        axes.plot(x, y, line, linewidth=width, **_style(trace))
    if low and high:
        axes.fill_between(x, low, high, color=ROLE_COLOURS[trace.role], alpha=0.18, linewidth=0)


def _across(trace: Trace, axes: "Axes", names: list[str], bars: list[Trace]) -> None:
    """Draw a trace over names, which are on the vertical axis."""
    y, low, high = (_floats(values) for values in (trace.y, trace.low, trace.high))
    at = [float(names.index(str(x))) for x in trace.x]
    if trace.mark == "bars":
        width = 0.8 / len(bars)
        axes.barh(_bar_centres(at, width, trace, bars), y, width, alpha=0.7, **_style(trace))
    else:
        axes.plot(y, at, "o", markersize=5, **_style(trace))
    if low and high:
        axes.hlines(at, low, high, color=ROLE_COLOURS[trace.role], linewidth=1.5)


def _floats(values: tuple[Any, ...]) -> list[float]:
    return [float("nan") if value is None else value if isinstance(value, str) else float(value) for value in values]  # type: ignore[misc]
