"""The report of an evaluation: plain data, shown as text, as JSON, or as one HTML page."""

import html
import os

import msgspec

from unspool.errors import DataError, OptionError
from unspool.evaluation.document import Headline, Judgement, Section
from unspool.evaluation.verdict import headline, judge
from unspool.runtime.atomic_files import atomic, suffix


class Figures(dict[str, float | None]):
    """Figures by `section.name`; the error for a key of version 0.1 names the present key."""

    def __missing__(self, key: str) -> float | None:
        section, _, name = key.partition(".")
        new = f"{_RENAMED.get(section, section)}.{name}"
        for old, present in _RENAMED_FIGURES.items():
            new = new.replace(old, present)
        raise KeyError(f"{key!r}; since version 0.2.0 it is {new!r}" if new in self else key)


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How good a model is, beside the simplest baselines. `OneToMany.evaluate` returns it.

    The same call gives the same report, to the byte. `docs/report.md` explains every line.

    Args:
        title: a question that names the fields.
        notes: warnings on the data, such as that training saw it.
        sections: one for every question.
        facts: the model and the data, by name, in words.
        seed: of all that is random.
        data: the fingerprint of the judged data.
        versions: of the packages that the figures may depend on.

    Examples:
        >>> found = Section("likelihood", "How well does it predict?", "Well.", figures={"nats": 1.5})
        >>> report = Report("model", (), (found,), {"sequences": "12"}, 0, "ab12", {"unspool": "0"})
        >>> report.figures
        {'likelihood.nats': 1.5}
    """

    title: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    facts: dict[str, str]
    seed: int
    data: str
    versions: dict[str, str]

    def __str__(self) -> str:
        from unspool.report.text import as_text

        return as_text(self.title, self.notes, self.sections, self._all_facts, self.judgements, self.headline)

    def __repr__(self) -> str:
        return f"Report({self.title!r}: {', '.join(section.name for section in self.sections)})"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its styles leave the notebook alone."""
        return f'<iframe srcdoc="{html.escape(self.to_html())}" style="width: 100%; height: 40rem; border: 0"></iframe>'

    @property
    def _all_facts(self) -> dict[str, str]:
        """The facts, with all that reproduces the report."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return {**self.facts, "seed": str(self.seed), "data": f"fingerprint {self.data[:16]}", "versions": versions}

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """Every section that has a yardstick: good, fair or bad."""
        return judge(self.sections)

    @property
    def headline(self) -> Headline | None:
        """What to trust the model for, and the facts that decide; `None` if nothing could be judged."""
        return headline(self.judgements, self.notes)

    @property
    def figures(self) -> dict[str, float | None]:
        """The numbers behind all verdicts, as `section.name`."""
        return Figures({f"{one.name}.{name}": value for one in self.sections for name, value in one.figures.items()})

    def section(self, name: str) -> Section:
        """The section of that name, or an `OptionError` that lists the names."""
        for section in self.sections:
            if section.name == name:
                return section
        hint = f"Since version 0.2 the section is called {_RENAMED[name]!r}." if name in _RENAMED else ""
        raise OptionError("section", "one of " + ", ".join(one.name for one in self.sections), repr(name), hint)

    def to_json(self) -> str:
        """The whole report as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def to_html(self) -> str:
        """One page that holds its styles and pictures. Pictures need the extra `plot`."""
        from unspool.report.html import as_page

        return as_page(self.title, self.notes, self.sections, self._all_facts, self.judgements, self.headline)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report, whole or not at all, as the name says: `.html`, `.json` or `.txt`.

        Raises:
            OptionError: another ending.
            FileError: the file can't be written.
        """
        text = _FORMATS[suffix(path, _FORMATS)](self)
        with atomic(path, text=True) as file:
            file.write(text if text.endswith("\n") else text + "\n")


_RENAMED = {"nats": "likelihood", "input": "input_use", "paths": "forecasts", "length": "lengths", "exposure": "drift"}
_RENAMED_FIGURES = {
    "rival_nats": "baseline_nats",
    "misplaced ": "distance from uniform ",
    ", of the best rival's": ", relative to the best baseline",
    "rank of length": "mean PIT",
    "apart ": "distance ",
    "drawdowns apart": "distance of drawdowns",
    "flagged": "repeats",
}
_FORMATS = {".html": Report.to_html, ".json": Report.to_json, ".txt": Report.__str__}


def read_report(text: str | bytes) -> Report:
    """The report that `Report.to_json` wrote, or a `DataError` for other texts."""
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError as error:
        raise DataError("the report", "what Report.to_json wrote", str(error)) from None
