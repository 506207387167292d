"""From the figures of the data sets to `docs/results.md`."""

import json
import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.results.rival_page import WIDTH, rival, rival_table, verdict, with_rounds

DOCS = Path(__file__).parents[2] / "docs"
FILE = "results.json"
HEADER = """# Results on real data

`make results ARGS=--write` makes this page. Every model has default options: the user names the input, the sequence,
and what tells sequences and steps apart. The criteria were set before anything was fitted. Those of shares and lengths
were first asked of what was held out, which a model that equals all the data can't meet; they are asked of all the data
now, and what was held out is shown with the spread that chance gives it. A criterion that is not met is shown as
plainly as one that is met. Figures are of held-out data and of the default options of their date. ± is one standard
error. [The report, line by line](report.md) explains the figures. `make results ARGS=NAME` prints the report of a data
set.
"""
EPOCHS = 128
"""PARModel's default."""
PARMODEL = (
    "DeepEcho's PARModel ({epochs} epochs{default}) was fitted to the same split in {seconds:.0f} s and sampled at "
    "{pace:.0f} ms a sequence. The same sections of the report judge both models, with {paths} sequences for each "
    "held-out input. PARModel gets symbols as symbols and days as increments, and its numbers are rounded to the "
    "decimals of the data. Nats are left out: it gives densities where values on grids and repeated values ask for "
    "masses."
)
PEERS = {"parmodel": "PARModel", "tabularargn": "TabularARGN"}
"""Other models by their key among the figures of a data set."""
LINES: tuple[tuple[str, float | None], ...] = (
    (r"calibration\.coverage_50", 0.5),
    (r"calibration\.coverage_80", 0.8),
    (r"calibration\.coverage_95", 0.95),
    (r"calibration\.distance from uniform .*", 0.0),
    (r"forecasts\.energy this model", 0.0),
    (r"forecasts\.CRPS .*", 0.0),
    (r"lengths\.KS", 0.0),
    (r"lengths\.stops, chi2 per band", 0.0),
    (r"marginals\.(distance|missing|share) .*", 0.0),
    (r"dynamics\..*", 0.0),
    (r"drift\.flags", 0.0),
    (r"detector\.(accuracy|AUC)", 0.5),
    (r"transfer\.generated .*", None),
    (r"memory\.copies", 0.0),
    (r"memory\.distance ratio", 1.0),
)
"""Figures that both models have, and the figure of a perfect model; None where more is better."""


class Line(NamedTuple):
    """One figure of both models.

    Attributes:
        name: of the figure in a report.
        perfect: the figure of a perfect model; None where more is better.
        unspool: the figure of Unspool.
        theirs: the figure of the other model.
        other: its name.
    """

    name: str
    perfect: float | None
    unspool: float
    theirs: float
    other: str

    @property
    def lead(self) -> float:
        """How much nearer to perfect Unspool is; negative where the other is nearer."""
        if self.perfect is None:
            return self.unspool - self.theirs
        return abs(self.theirs - self.perfect) - abs(self.unspool - self.perfect)

    @property
    def nearer(self) -> str:
        """The model that is nearer to perfect."""
        return "Unspool" if self.lead > 0 else self.other if self.lead < 0 else "equal"


def keep(name: str, result: dict[str, Any], folder: Path = DOCS) -> None:
    """Put one data set's figures in the place of its older ones. The report is left out: the command prints it."""
    kept = figures_kept(folder)
    one = {**kept.get(name, {}), **{key: value for key, value in result.items() if key != "report"}}
    if "tabularargn" in result:
        one["tabularargn"] = with_rounds(kept.get(name, {}).get("tabularargn", {}), result["tabularargn"])
    kept[name] = one
    (folder / FILE).write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


def figures_kept(folder: Path = DOCS) -> dict[str, Any]:
    """All figures that were kept, by data set."""
    path = folder / FILE
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(order: tuple[str, ...], folder: Path = DOCS) -> None:
    """Make the page of the figures that were kept: the table of criteria, and a paragraph on each data set."""
    kept = figures_kept(folder)
    names = [name for name in order if "criteria" in kept.get(name, {})]
    lines = [HEADER, "| data | criterion | measured | |", "|---|---|---|---|"]
    for name in names:
        one = kept[name]
        link = f"[{name}](#{anchor(one['title'])})"
        criteria = [(each["asks"], each["found"], each["met"]) for each in one["criteria"]]
        for peer in peers_of(one):
            leads = [line.lead >= 0 for line in lines_of(one, peer)]
            asks = f"no worse than {PEERS[peer]} on every line that both have"
            criteria.append((asks, f"{sum(leads)} of {len(leads)} lines", all(leads)))
        for asks, found, met in criteria:
            lines.append(f"| {link} | {asks} | {found} | {verdict(met)} |")
            link = ""
    lines += absent([name for name in order if name not in names])
    beside = {name: kept[name] for name in order if "tabularargn" in kept.get(name, {})}
    leads = {name: [line.lead >= 0 for line in lines_of(one, "tabularargn")] for name, one in beside.items()}
    lines += rival({name: one["tabularargn"] for name, one in beside.items()}, leads)
    for name in names:
        lines += about(kept[name])
        for peer in peers_of(kept[name]):
            lines += ["", *summary(kept[name], peer)]
    (folder / "results.md").write_text("\n".join(lines) + "\n", "utf-8")


def absent(names: list[str]) -> list[str]:
    """What says which data sets have no figures, if any.

    >>> absent(["pets"])[1]
    'No figures yet: pets. `make results ARGS="pets --write"` makes them.'
    """
    words = " ".join(names)
    return (
        ["", f'No figures yet: {", ".join(names)}. `make results ARGS="{words} --write"` makes them.'] if names else []
    )


def about(one: dict[str, Any]) -> list[str]:
    """The data set, its split, and the fit."""
    budget = "" if one["budget"] is None else f", with `seconds={one['budget']:.0f}`"
    split = f"Split: {one['split']} Seed 0, fingerprint of the held-out data `{one['data'][:16]}`."
    fit = f"Fitted in {one['seconds']:.0f} s{budget}; {one['date']}, {one['machine']}."
    return ["", f"## {one['title']}", "", *textwrap.wrap(f"{one['what']} {split} {fit}", WIDTH)]


def section(one: dict[str, Any]) -> list[str]:
    """All about one data set that was measured, for the terminal."""
    lines: list[str] = []
    if "criteria" in one:
        lines += [*about(one), "", "| criterion | measured | |", "|---|---|---|"]
        lines += [f"| {each['asks']} | {each['found']} | {verdict(each['met'])} |" for each in one["criteria"]]
    for peer in peers_of(one):
        head = f"| line | perfect | Unspool | {PEERS[peer]} | nearer |"
        lines += ["", *summary(one, peer), "", head, "|---|---|---|---|---|"]
        for line in lines_of(one, peer):
            perfect = "more" if line.perfect is None else f"{line.perfect:g}"
            lines.append(f"| {line.name} | {perfect} | {line.unspool:.3f} | {line.theirs:.3f} | {line.nearer} |")
    if "tabularargn" in one:
        lines += ["", *rival_table({"": one["tabularargn"]})]
    return [*lines, "", one.get("report", "").rstrip()]


def peers_of(one: dict[str, Any]) -> list[str]:
    """The keys of the other models that a data set has figures of."""
    return [peer for peer in PEERS if peer in one]


def lines_of(one: dict[str, Any], peer: str) -> list[Line]:
    """The figures that both models have."""
    ours, theirs = one[peer].get("ours", one.get("ours", {})), one[peer].get("figures", {})
    return [
        Line(name, perfect, ours[name], theirs[name], PEERS[peer])
        for name in ours
        for pattern, perfect in LINES
        if re.fullmatch(pattern, name) and ours[name] is not None and theirs.get(name) is not None
    ]


def summary(one: dict[str, Any], peer: str) -> list[str]:
    """How the other model was used, and on how many lines each model is nearer to perfect."""
    fit, name = one[peer], PEERS[peer]
    if peer == "parmodel":
        default = ", its default" if fit["epochs"] == EPOCHS else ""
        prose = PARMODEL.format(**{**fit, "pace": 1e3 * fit["pace"]}, default=default)
    else:
        prose = f"[{name}](#beside-tabularargn) beside a model of as many seconds, with {fit['paths']} sequences each."
    found = lines_of(one, peer)
    worse = [line.name for line in found if line.lead < 0]
    end = f"{name} is nearer on: {'; '.join(worse)}." if worse else "Unspool is behind on none."
    score = f"Unspool is better or equal on {len(found) - len(worse)} of {len(found)} lines."
    return textwrap.wrap(f"{prose} {score} {end}", WIDTH)


def anchor(title: str) -> str:
    """The anchor of a heading.

    >>> anchor("S&P 500: state of a day")
    'sp-500-state-of-a-day'
    """
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
