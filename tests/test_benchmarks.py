"""The benchmarks run, assert parity, and end in the JSON line that programs read; the page is made of it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
KEYS = ["job", "unspool", "competitor", "ratio", "share_of_ceiling"]


def module(name):
    """A module of the benchmarks, which are no package that is installed."""
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


record, common = module("record"), module("common")
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if "report(" in path.read_text("utf-8"))
SCRIPTS.remove("common")


def test_every_benchmark_has_its_place_on_the_page():
    assert set(SCRIPTS) <= record.TITLES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_quick_run_asserts_parity_and_ends_in_one_json_line(name):
    if name == "train" and importlib.util.find_spec("torch") is None:
        pytest.skip("its parity is with PyTorch, which only the extra `bench` installs")
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert list(last) == ["bench", "rows", "machine"]
    assert last["bench"] == name
    assert last["rows"] or name == "par", "only PARModel's benchmark has nothing to say without its peer"
    for row in last["rows"]:
        assert list(row) == KEYS
        assert row["unspool"] is not None


def rows():
    sweep = [common.line(f"update, H={H} B=64 T=64 V=64, H, PyTorch", H * 1e-4, H * 2e-4, 0.5) for H in (64, 256, 128)]
    return [*sweep, common.line("bytes at the peak, one text of T=1000 to a file, H=8", 3e8)]


def test_the_mean_of_ratios_is_geometric():
    pair = [common.line("a", 1.0, 4.0, 0.5), common.line("b", 4.0, 4.0, 0.5)]
    found = common.geometric("both", pair)
    assert found["job"] == "geometric mean, both"
    assert [found[key] for key in KEYS[1:]] == pytest.approx([2.0, 4.0, 2.0, 0.5])


def test_the_page_shows_every_figure_with_its_unit_date_and_machine(tmp_path):
    result = {"bench": "scale", "rows": rows(), "machine": {"processor": "Z80", "cores": 1}, "date": "2026-01-02"}
    record.keep(result, tmp_path)
    record.write(tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "2026-01-02, Z80, cores 1." in page
    assert "| update, H=64 B=64 T=64 V=64, H, PyTorch | 6.4 ms | 12.8 ms | 2.00 | 0.50 |" in page
    assert "| bytes at the peak, one text of T=1000 to a file, H=8 | 300 MB |  |  |  |" in page
    assert "benchmarks-update.png" in page
    assert (tmp_path / "benchmarks-update.png").read_bytes().startswith(b"\x89PNG")


def test_a_benchmark_that_runs_again_replaces_its_own_figures_only(tmp_path):
    for bench, date in (("cold", "1"), ("scale", "1"), ("cold", "2")):
        record.keep({"bench": bench, "rows": rows()[:1], "machine": {}, "date": date}, tmp_path)
    kept = json.loads((tmp_path / "benchmarks.json").read_text())
    assert {bench: result["date"] for bench, result in kept.items()} == {"cold": "2", "scale": "1"}


def test_a_picture_has_a_panel_for_each_size_that_varies():
    assert record.series(rows(), "update") == {
        "H": {
            "Unspool": [(64.0, 0.0064), (256.0, 0.0256), (128.0, 0.0128)],
            "PyTorch": [(64.0, 0.0128), (256.0, 0.0512), (128.0, 0.0256)],
        }
    }


@pytest.mark.parametrize(
    ("job", "value", "wanted"),
    [
        ("update", 1.5, "1.5 s"),
        ("update", 0.00123, "1.23 ms"),
        ("update", 2e-7, "200 ns"),
        ("held-out nats a step", 0.5, "0.500"),
        ("bytes at the peak", 5e6, "5 MB"),
    ],
)
def test_a_figure_has_the_unit_that_its_job_names(job, value, wanted):
    assert record.shown({"job": job, "unspool": value}, "unspool") == wanted
