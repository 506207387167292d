"""What every test run has in common: shapes are checked, compiled programs are kept, random examples are repeatable."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import hypothesis
import pytest
from jaxtyping import install_import_hook

ROOT = Path(__file__).parents[1]

# Before JAX is imported, and as environment, so that the programs that tests start inherit it.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(min(4, len(os.sched_getaffinity(0)))))  # for tests that start no fit
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

# While testing, these check the shapes and types that their annotations promise. They are the mathematics, which trusts
# its callers; the modules that users call are left out, for they answer a wrong type with an error of ours. In these,
# annotate with the class's name rather than with typing.Self, which beartype can't resolve in a single method.
install_import_hook(
    ["unspool.network", "unspool.training", "unspool.generation", "unspool.evaluation", "unspool.runtime.threefry"],
    "beartype.beartype",
)

hypothesis.settings.register_profile("unspool", deadline=None, derandomize=True, max_examples=60, print_blob=True)
hypothesis.settings.load_profile("unspool")


MAPPINGS = 20_000
"""Pieces of memory that a process may have mapped before compiled programs are dropped: Linux allows 65,530, of which
every program takes some, and the compiler of a process that has used them up crashes."""


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Programs of the files before are dropped where they are many; the folder of compiled programs keeps them."""
    maps = Path("/proc/self/maps")
    if "jax" in sys.modules and maps.exists() and len(maps.read_bytes().splitlines()) > MAPPINGS:
        if "unspool.runtime.programs" in sys.modules:
            sys.modules["unspool.runtime.programs"].PROGRAMS.drop(1.0)
        sys.modules["jax"].clear_caches()


class Printed(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """A folder with two tables, the tiny models that `unspool fit` wrote for them, and what it printed."""
    from unspool.cli.app import main

    folder = tmp_path_factory.mktemp("workshop")
    names = ["Aoife", "Niall", "Brigid", "Cormac", "Níamh"], ["Attis", "Chloë", "Daphne", "Hermes", "Ianthe"]
    rows = [(country, name) for country, known in zip(("Irish", "Greek"), names, strict=True) for name in known] * 4
    folder.joinpath("names.csv").write_text("country,name\n" + "".join(f"{c},{n}\n" for c, n in rows), "utf-8")
    tracks = ["id,t,group,level,mood"]
    for k in range(16):
        tracks += [f"{k},{t},{'ab'[k % 2]},{k * 0.5 + t},{'low' if t < 2 else 'high'}" for t in range(4 + k % 3)]
    folder.joinpath("tracks.csv").write_text("\n".join(tracks) + "\n", "utf-8")
    printed = {}
    small = ["--size", "8", "--epochs", "2"]
    for name, columns in (
        ("names", ["-i", "country", "-s", "name"]),
        ("tracks", ["-i", "group", "--first", "level", "-s", "level,mood", "--id", "id", "--order", "t"]),
    ):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["fit", f"{folder}/{name}.csv", *columns, "-o", f"{folder}/{name}.unspool", *small])
        printed[name] = Printed(code, out.getvalue(), err.getvalue())
    return SimpleNamespace(
        folder=folder, names=folder / "names.unspool", tracks=folder / "tracks.unspool", printed=printed
    )


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A function that opens a document in headless Chromium, and returns the DOM that it becomes, as text."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no Chromium to look at pages with")
    profile = tmp_path_factory.mktemp("chromium")

    def dump(path, *options, timeout=60):
        """The DOM of a file once it has loaded, or after `--virtual-time-budget=` milliseconds of its own clock."""
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += [f"--user-data-dir={profile}", "--allow-file-access-from-files", "--dump-dom"]
        command += [*options, path.as_uri()]
        return subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", timeout=timeout, check=True
        ).stdout

    return dump


@pytest.fixture(scope="session")
def browser(chromium, tmp_path_factory):
    """A function that shows a page in headless Chromium, and returns the facts that a script finds in its DOM."""
    folder = tmp_path_factory.mktemp("browser")

    def look(page, script, width=1280):
        """The value of a script's `return`, after the page has loaded in a frame of so many pixels.

        `page` is the text of a document; the script sees it as `document`. Windows of Chromium have 500 pixels at the
        least, a frame may have fewer.
        """
        folder.joinpath("page.html").write_text(page, "utf-8")
        frame = f'<iframe src="page.html" style="width: {width}px; height: 3000px; border: 0"></iframe>'
        outer = f"""<!doctype html><meta charset="utf-8">{frame}<script>
            addEventListener("load", () => setTimeout(() => {{
              const facts = (document => {{ {script} }})(document.querySelector("iframe").contentDocument);
              const out = document.createElement("pre");
              out.id = "facts";
              out.textContent = encodeURIComponent(JSON.stringify(facts));
              document.body.append(out);
            }}, 200))</script>"""
        folder.joinpath("outer.html").write_text(outer, "utf-8")
        dom = chromium(folder / "outer.html", "--virtual-time-budget=5000", "--window-size=1400,3200")
        (facts,) = re.findall(r'<pre id="facts">(.*?)</pre>', dom)
        return json.loads(urllib.parse.unquote(facts))

    return look
