"""Several reports in one table."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from unspool.errors import OptionError
from unspool.evaluation.document import Heading, Measured, ReportTable, Section, headings
from unspool.report.report import Report

Figure = Callable[[dict[str, float | None]], Any]


def _largest(prefix: str) -> Figure:
    """The largest figure whose name begins so, those of training aside."""

    def largest(figures: dict[str, float | None]) -> float | None:
        names = (name for name in figures if name.startswith(prefix) and not name.endswith(", of training"))
        return max((x for name in names if (x := figures[name]) is not None), default=None)

    return largest


def _nats(figures: dict[str, float | None]) -> Measured:
    return Measured(figures.get("likelihood.nats"), figures.get("likelihood.nats_error"))


def _coverage(figures: dict[str, float | None]) -> float | None:
    covered = figures.get("calibration.coverage_80")
    return None if covered is None else abs(covered - 0.8)


FIGURES: dict[str, Figure] = {
    "held-out nats per step": _nats,
    "share in the 80% band, distance from 80%": _coverage,
    "energy score": lambda figures: figures.get("forecasts.energy this model"),
    "lengths, KS distance": lambda figures: figures.get("lengths.KS"),
    "values, largest distance of a field": _largest("marginals.distance "),
    "transitions, largest distance of a field": _largest("dynamics.transitions "),
    "faults of drift": lambda figures: figures.get("drift.flags"),
    "accuracy of the detector": lambda figures: figures.get("detector.accuracy"),
    "copies of training sequences": lambda figures: figures.get("memory.copies"),
}
"""Rows of the first table. Of each, less is better."""


def compare(*reports: Report, names: Sequence[str] | None = None) -> Report:
    """Reports side by side, as a report of their own: one table of figures, and one of grades.

    Args:
        reports: two or more, best of the same held-out data.
        names: of the models, in the order of the reports; by default "model 1" and so on.

    Raises:
        OptionError: fewer than two reports, or another number of names, or a name given twice.

    Examples:
        >>> small, large = (
        ...     Report("?", (), (Section("likelihood", "How well?", ".", figures={"nats": nats}),), {}, 0, "ab", {})
        ...     for nats in (1.5, 1.25)
        ... )
        >>> compare(small, large, names=["small", "large"]).section("comparison").parts[0].rows[0]
        ('held-out nats per step', Measured(value=1.5, error=None), Measured(value=1.25, error=None))
    """
    if len(reports) < 2:
        raise OptionError("compare(...)", "at least two reports", str(len(reports)))
    names = [f"model {k + 1}" for k in range(len(reports))] if names is None else list(names)
    if len(names) != len(reports) or len(set(names)) < len(names):
        raise OptionError("compare(names=...)", f"{len(reports)} different names", repr(names))
    figures = [dict(report.figures) for report in reports]
    rows = [(name, *(figure(one) for one in figures)) for name, figure in FIGURES.items()]
    known = tuple(row for row in rows if any(cell not in (None, Measured(None)) for cell in row[1:]))
    columns = (*headings("", form="text"), *(Heading(name, digits=4, better="lower") for name in names))
    table = ReportTable("Figures", columns, known, "Less is better in every row; the best is marked.", across=True)
    same = len({report.data for report in reports}) == 1
    verdict = _verdict(names, figures) if same else "The reports judge different data, so their figures do not compare."
    section = Section("comparison", "Which model is better?", verdict, (table, _grades(reports, names)))
    notes = [f"{name}: {note}" for name, report in zip(names, reports, strict=True) for note in report.notes]
    facts = {name: report.facts.get("model", report.title) for name, report in zip(names, reports, strict=True)}
    return Report(
        " or ".join(names) + "?", tuple(notes), (section,), facts, reports[0].seed, reports[0].data, reports[0].versions
    )


def _grades(reports: Sequence[Report], names: list[str]) -> ReportTable:
    """By question, the grade and the figure of every report."""
    judged = [{line.title: f"{line.grade}: {line.found}" for line in report.judgements} for report in reports]
    titles = list(dict.fromkeys(title for lines in judged for title in lines))
    headlines = ("In all", *(report.headline.text if report.headline else None for report in reports))
    rows = (headlines, *((title, *(lines.get(title) for lines in judged)) for title in titles))
    return ReportTable("Grades", headings("question", *names, form="text"), rows)


def _verdict(names: list[str], figures: list[dict[str, float | None]]) -> str:
    """Whose nats are lowest, if that is sure."""
    nats = {
        name: one["likelihood.nats"] for name, one in zip(names, figures, strict=True) if one.get("likelihood.nats")
    }
    if len(nats) < 2:
        return "There are no nats to compare."
    best, second, *_ = sorted(nats, key=lambda name: nats[name] or 0.0)
    gain = (nats[second] or 0.0) - (nats[best] or 0.0)
    errors = (figures[names.index(name)].get("likelihood.nats_error") or 0.0 for name in (best, second))
    sure = gain > 2 * math.hypot(*errors)
    return f"{best} has the fewest nats, {gain:.3f} per step fewer than {second}" + (
        "." if sure else ": that is within two standard errors of the two figures."
    )
