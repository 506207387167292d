"""Compiled programs are kept in a private folder of bounded size, or not at all."""

import json
import os
import stat
import subprocess
import sys

import jax
import pytest

from unspool.runtime import compilation_cache
from unspool.runtime.compilation_cache import FOLDER, MARK, TAG, ProgramFolder, keep_compiled, prune


@pytest.fixture
def folder(monkeypatch):
    """The folder of programs that a process which has none yet gets; JAX has no folder of its own."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setattr(compilation_cache, "FOLDER_OF_PROGRAMS", ProgramFolder())
    yield compilation_cache.FOLDER_OF_PROGRAMS
    jax.config.update("jax_compilation_cache_dir", before)


def mode(folder):
    return stat.S_IMODE(os.stat(folder).st_mode)


def test_programs_are_kept_where_only_the_owner_reads(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("UNSPOOL_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_compiled()
    assert folder.path.parent == tmp_path / "unspool" / FOLDER
    assert mode(folder.path) == mode(tmp_path / "unspool" / FOLDER) == 0o700
    folder.write("question", b"program")
    assert folder.read("question") == b"program"
    assert folder.read("another") is None
    (kept,) = folder.path.iterdir()
    assert mode(kept) == 0o600


def test_a_damaged_program_is_none(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path))
    keep_compiled()
    folder.write("question", b"program")
    (kept,) = folder.path.iterdir()
    for damaged in (b"", kept.read_bytes()[:-1], kept.read_bytes()[:-1] + b"x"):
        kept.write_bytes(damaged)
        assert folder.read("question") is None


def test_of_the_folder_that_the_user_names_nothing_is_changed_or_deleted(folder, monkeypatch, tmp_path):
    """All is in one folder with a mark, which the next process finds, and which is closed if somebody has opened it."""
    (tmp_path / "mine.program").write_bytes(b"x" * 1000)
    tmp_path.chmod(0o777)
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path))
    monkeypatch.setattr(compilation_cache, "MAX_CACHE_BYTES", 10)
    for _ in range(2):
        folder.path = None
        keep_compiled()
        assert mode(tmp_path) == 0o777
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.program", FOLDER]
        assert mode(tmp_path / FOLDER) == 0o700
        assert (tmp_path / FOLDER / MARK).read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
        (tmp_path / FOLDER).chmod(0o755)
    assert folder.path.parent == tmp_path / FOLDER


@pytest.mark.parametrize("kind", ["a folder", "a link", "a file"])
def test_what_has_the_name_of_our_folder_without_the_mark_is_left_alone(folder, monkeypatch, tmp_path, kind):
    elsewhere, ours = tmp_path / "elsewhere", tmp_path / FOLDER
    elsewhere.mkdir(mode=0o755)
    (elsewhere / "mine.program").write_bytes(b"x")
    if kind == "a folder":
        elsewhere.rename(ours)
    elif kind == "a link":
        ours.symlink_to(elsewhere)
        (elsewhere / MARK).write_bytes(TAG)
    else:
        ours.write_bytes(b"x")
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path))
    before = {path: (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")}
    keep_compiled()
    assert folder.path is None
    assert {path: (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")} == before


def test_without_a_home_nothing_is_kept(folder, monkeypatch):
    """`env -u HOME` of a user whom the system doesn't know."""
    for name in ("UNSPOOL_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    keep_compiled()
    assert folder.path is None
    folder.write("question", b"program")
    assert folder.read("question") is None


@pytest.mark.parametrize("value", ["off", f"{__file__}/inside"], ids=["off", "a folder that can't be written to"])
def test_nothing_is_kept(folder, monkeypatch, value):
    monkeypatch.setenv("UNSPOOL_CACHE", value)
    keep_compiled()
    assert folder.path is None


def test_the_settings_of_jax_go_before(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "jax"))
    keep_compiled()
    assert folder.path is None


def without_jax(**more):
    """The environment, in which nobody has decided for JAX."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JAX_")} | more


PROGRAM = """
import json
import jax
from unspool import OneToMany, Network, Training
from unspool.runtime.programs import PROGRAMS

events = {}
def count(event, seconds, **_):
    events[event] = events.get(event, 0) + 1
jax.monitoring.register_event_duration_secs_listener(count)
table = {"kind": ["a", "b"] * 20, "word": ["abc", "cba"] * 20}
model = OneToMany("kind", "word", network=Network(size=8), training=Training(epochs=1), verbose=False).fit(table)
model.generate({"kind": ["a"]}, n=3, seed=0)
print(json.dumps([PROGRAMS.compiled, events.get("/jax/core/compile/backend_compile_duration", 0)]))
"""


def test_a_fit_compiles_few_programs_and_another_process_finds_them(tmp_path):
    environment = without_jax(UNSPOOL_CACHE=str(tmp_path), UNSPOOL_CORES="1")

    def run_once():
        words = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    programs_used, compiled = run_once()
    assert 0 < programs_used <= compiled <= 12
    assert run_once() == [programs_used, 0]


def test_the_oldest_programs_go_first(tmp_path):
    for age in range(10):
        path = tmp_path / "version" / f"{age}.program"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    prune(tmp_path, 1000)
    assert len(list(tmp_path.glob("*/*"))) == 10
    prune(tmp_path, 999)
    assert sorted(path.name for path in tmp_path.glob("*/*")) == [f"{age}.program" for age in range(4)]


FIT = """
import json, sys
import jax
import numpy as np
import pandas as pd
import unspool as us
from unspool.runtime.programs import PROGRAMS

counts = {"programs": 0, "backend_compile_duration": 0}
def count(event, seconds, **_):
    name = event.split("/")[-1]
    counts[name] = counts.get(name, 0) + 1
jax.monitoring.register_event_duration_secs_listener(count)
kind, number = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(number)
N, letters = (400, 470)[number], list("abcdefghijklmnopqrstuvwxyz")[: (26, 25)[number]]
quick = us.Training(seconds=1)
if kind == "text":
    texts = ["".join(rng.choice(letters, rng.integers(2, (14, 15)[number]))) for _ in range(N)]
    data = pd.DataFrame({"k": rng.choice(list("xyzw")[: 3 + number], N), "s": texts})
    us.OneToMany("k", "s", training=quick, verbose=False).fit(data)
else:
    lengths = rng.integers(3, (11, 12)[number], N)
    S = lengths.sum()
    data = pd.DataFrame({
        "id": np.repeat(np.arange(N), lengths), "group": np.repeat(rng.choice(list("abcd")[: 3 + number], N), lengths),
        "x": rng.normal((0, 5)[number], (1, 3)[number], S), "y": rng.normal(size=S).cumsum(),
        "kind": rng.choice(list("uvwxyz")[: 5 + number], S),
    })
    us.OneToMany("group", ["x", "y", "kind"], training=quick, verbose=False).fit(data, id="id")
print(json.dumps(counts | {"programs": PROGRAMS.compiled}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "records"])
def test_another_table_of_the_same_kinds_finds_its_programs(kind, tmp_path):
    """Other rows, lengths, symbols, ranges, in a new process: at most 12 programs a fit, and then at most two."""
    environment = without_jax(UNSPOOL_CACHE=str(tmp_path))
    found = []
    for number in "01":
        run = [sys.executable, "-c", FIT, kind, number]
        done = subprocess.run(run, capture_output=True, text=True, check=True, env=environment)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    assert 0 < found[0]["backend_compile_duration"] <= 12
    assert found[1]["backend_compile_duration"] <= 2
    assert found[1]["programs"] == found[0]["programs"] >= 4
