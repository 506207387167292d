"""From the figures of the data sets to `docs/results.md`."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
HEADER = """# Results on real data

Made by `make results ARGS=--write`, not by hand. Every model has default options: what is said of it is the
input, the sequence, and what tells sequences and steps apart. Criteria were set before anything was fitted, but for
shares "as often as in all the data", which came after the first results; those that are not met are shown as plainly as
those that are. Figures are of held-out data and of the default options of their date, ± is one standard error, and
[the report, line by line](report.md) explains the rest.
"""
EPOCHS = 128
"""PARModel's default."""
RIVAL = """DeepEcho's PARModel with {epochs} epochs{default}, fitted to the same split in {seconds:.0f} s and sampled at
{pace:.0f} ms a sequence, judged by the same sections of the report, with {paths} sequences for each held-out input; a
value is judged only where ten of them have one, so with ten, calibration and CRPS are of the first steps. It is given
symbols as symbols, days as gaps, and its numbers are rounded to the decimals of the data. Nats are left out: it gives
densities where values on grids and repeated ones ask for masses."""
LINES: tuple[tuple[str, float | None], ...] = (
    (r"calibration\.coverage_50", 0.5),
    (r"calibration\.coverage_80", 0.8),
    (r"calibration\.coverage_95", 0.95),
    (r"calibration\.misplaced .*", 0.0),
    (r"paths\.energy this model", 0.0),
    (r"paths\.CRPS .*", 0.0),
    (r"length\.KS", 0.0),
    (r"length\.stops, chi2 per band", 0.0),
    (r"marginals\.(apart|missing|share) .*", 0.0),
    (r"dynamics\..*", 0.0),
    (r"exposure\.flags", 0.0),
    (r"detector\.(accuracy|AUC)", 0.5),
    (r"transfer\.generated .*", None),
    (r"memory\.copies", 0.0),
    (r"memory\.distance ratio", 1.0),
)
"""Figures that both can give, and what a perfect model has; None where more is better."""


class Line(NamedTuple):
    """One figure of both models.

    Attributes:
        name: of the figure in a report.
        perfect: what a perfect model has; None where more is better.
        ours: Unspool's.
        theirs: PARModel's.
    """

    name: str
    perfect: float | None
    ours: float
    theirs: float

    @property
    def lead(self) -> float:
        """How much nearer to perfect ours is; negative where theirs is."""
        if self.perfect is None:
            return self.ours - self.theirs
        return abs(self.theirs - self.perfect) - abs(self.ours - self.perfect)

    @property
    def nearer(self) -> str:
        """Who is nearer to perfect."""
        return "Unspool" if self.lead > 0 else "PARModel" if self.lead < 0 else "equal"


def keep(name: str, result: dict[str, Any], folder: Path = DOCS) -> None:
    """Put one data set's figures in the place of its older ones."""
    path = folder / "results.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept[name] = {**kept.get(name, {}), **result}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


def write(order: tuple[str, ...], folder: Path = DOCS) -> None:
    """Make the page of the figures that were kept."""
    kept = json.loads((folder / "results.json").read_text("utf-8"))
    names = [name for name in order if name in kept]
    lines = [HEADER, "| data | criterion | measured | |", "|---|---|---|---|"]
    for name in names:
        one = kept[name]
        link = f"[{name}](#{anchor(one['title'])})"
        for criterion in one["criteria"]:
            lines.append(f"| {link} | {criterion['asks']} | {criterion['found']} | {verdict(criterion['met'])} |")
            link = ""
        if "rival" in one:
            leads = [line.lead >= 0 for line in lines_of(one)]
            asks, found = "no worse than PARModel on every line that both fill", f"{sum(leads)} of {len(leads)} lines"
            lines.append(f"| {link} | {asks} | {found} | {verdict(all(leads))} |")
    lines += absent([name for name in order if name not in kept])
    for name in names:
        lines += section(kept[name])
    (folder / "results.md").write_text("\n".join(lines) + "\n", "utf-8")


def absent(names: list[str]) -> list[str]:
    """What says which data sets have no figures, if any.

    >>> absent(["pets"])[1]
    'No figures yet: pets. `make results ARGS="pets --write"` makes them.'
    """
    told = f'No figures yet: {", ".join(names)}. `make results ARGS="{" ".join(names)} --write"` makes them.'
    return ["", told] if names else []


def section(one: dict[str, Any]) -> list[str]:
    """All about one data set."""
    lines = [
        "",
        f"## {one['title']}",
        "",
        one["what"],
        "",
        f"Split: {one['split']} Seed 0, fingerprint of the held-out data `{one['data'][:16]}`.",
    ]
    budget = "" if one["budget"] is None else f", with `seconds={one['budget']:.0f}`"
    lines += ["", f"Fitted in {one['seconds']:.0f} s{budget}; {one['date']}, {one['machine']}.", ""]
    lines += ["| criterion | measured | |", "|---|---|---|"]
    lines += [f"| {each['asks']} | {each['found']} | {verdict(each['met'])} |" for each in one["criteria"]]
    if "rival" in one:
        lines += beside(one)
    return [
        *lines,
        "",
        "### The report: " + one["title"].partition(":")[0],
        "",
        "```text",
        one["report"].rstrip(),
        "```",
    ]


def lines_of(one: dict[str, Any]) -> list[Line]:
    """The figures that both models have."""
    mine, theirs = one["ours"], one["rival"]["figures"]
    return [
        Line(name, perfect, mine[name], theirs[name])
        for name in mine
        for pattern, perfect in LINES
        if re.fullmatch(pattern, name) and mine[name] is not None and theirs.get(name) is not None
    ]


def beside(one: dict[str, Any]) -> list[str]:
    """Both models side by side, line by line."""
    told = one["rival"]
    default = ", its default" if told["epochs"] == EPOCHS else ""
    prose = RIVAL.format(**{**told, "pace": 1e3 * told["pace"]}, default=default)
    lines = ["", f"### PARModel: {one['title']}", "", prose, "", "| line | perfect | Unspool | PARModel | nearer |"]
    lines.append("|---|---|---|---|---|")
    found = lines_of(one)
    for line in found:
        perfect = "more" if line.perfect is None else f"{line.perfect:g}"
        lines.append(f"| {line.name} | {perfect} | {line.ours:.3f} | {line.theirs:.3f} | {line.nearer} |")
    better = sum(line.lead >= 0 for line in found)
    worse = [line.name for line in found if line.lead < 0]
    end = f"PARModel is nearer on: {'; '.join(worse)}." if worse else "Unspool is behind on none."
    return [*lines, "", f"Better or equal on {better} of {len(found)} lines. {end}"]


def verdict(met: bool) -> str:
    """A criterion's outcome in a word.

    >>> verdict(True), verdict(False)
    ('met', '**not met**')
    """
    return "met" if met else "**not met**"


def anchor(title: str) -> str:
    """The anchor of a heading.

    >>> anchor("S&P 500: state of a day")
    'sp-500-state-of-a-day'
    """
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
