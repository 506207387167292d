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


LEVEL = "--xla_backend_optimization_level=0"


def pytest_configure(config):
    """Most of the time of quick tests is compilation, half as long at level 0; `make test-all` has the level of users.

    Programs that generate have that in any case, since results depend on it in their last bits.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    if config.option.markexpr == "not slow" and LEVEL not in flags:  # workers have it from the process that starts them
        os.environ["XLA_FLAGS"] = " ".join([*flags, LEVEL])


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
def days(tmp_path_factory):
    """A model of random weights whose samples meet the ends of their levels, of their distances and of their length.

    Their dates are ends of months.
    """
    import equinox as eqx
    import msgspec
    import numpy as np

    import unspool as us
    from unspool.dataset.gather import gather
    from unspool.encoding.fit import fit_codec
    from unspool.network.build import architecture_of
    from unspool.network.decoder import Net
    from unspool.network.serialization import Nets, write_model

    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 12, 60)
    levels = [100 + rng.normal(size=length).cumsum() for length in lengths]
    table = {
        "kind": rng.choice(["a", "b"], 60).tolist(),
        "open": [level.tolist() for level in levels],
        "close": [
            np.where(rng.random(len(level)) < 0.3, np.nan, level * np.exp(0.01 * rng.normal(size=len(level)))).tolist()
            for level in levels
        ],
        "mood": [rng.choice(["calm", "wild", "odd"], length).tolist() for length in lengths],
    }
    ends = [(600 + rng.integers(0, 40) + rng.integers(1, 4, n).cumsum()).astype("datetime64[M]") for n in lengths]
    table["due"] = [(months.astype("datetime64[D]") - 1).tolist() for months in ends]
    fields = [
        us.Number("open", "difference", "normal"),
        us.Number("close", "standardize", "normal", near=("open",)),
        us.Category("mood"),
        us.When("due"),
    ]
    codec = fit_codec(*gather(table, inputs=us.Category("kind"), sequence=fields))
    level, close, *others = codec.steps
    replace = msgspec.structs.replace
    near = replace(close, relative=True, ends=(98.0, 101.0), within=(99.0, 101.5))
    near = replace(near, distance=replace(close.distance, scale=0.01))
    codec = replace(codec, steps=(replace(level, ends=(98.0, 102.0)), near, *others), limit=9)
    net = Net(rng, architecture_of(codec, us.Network(), 8, 8)).map_weights(lambda w: w + rng.normal(0, 0.1, w.shape))
    net = eqx.tree_at(lambda net: net.stop[1], net, net.stop[1] - 3)
    rest = {"network": us.Network(), "size": 8, "embedding": 8, "row": None, "arguments": None}
    path = tmp_path_factory.mktemp("days") / "days.unspool"
    write_model(
        path,
        replace(us.load(ROOT / "tests" / "golden" / "format-2.unspool").config_, codec=codec, **rest),
        Nets(net, None),
    )
    return path


@pytest.fixture(scope="session")
def stays(tmp_path_factory):
    """A hardly trained model of moments that count from an input's date, whose steps read where they stand.

    As if some days of the month had more of them, which is 14 numbers more to read.
    """
    import numpy as np

    import unspool as us
    from unspool import modelfile

    rng = np.random.default_rng(0)
    n, T = 80, 5
    admitted = 28_000_000 + rng.integers(0, 500_000, n)
    minutes = admitted[:, None] + np.exp(rng.normal(3, 1.2, (n, T))).astype(int).cumsum(1)
    table = {
        "id": np.repeat(np.arange(n), T),
        "admitted": np.repeat(admitted, T).astype("datetime64[m]"),
        "at": minutes.ravel().astype("datetime64[m]"),
        "shift": np.where(minutes.ravel() % 1440 < 480, "night", "day"),
    }
    training = us.Training(epochs=2, draw_inputs=False)
    model = us.OneToMany("admitted", ["at", "shift"], network=us.Network(size=8), training=training, verbose=False)
    path = tmp_path_factory.mktemp("stays") / "stays.unspool"
    model.fit(table, id="id").save(path)
    config, arrays = modelfile.read(path)
    reads = {name: array for name, array in arrays.items() if name.startswith("sums.") or ".S." in name}
    config["codec"]["steps"][0]["by_month"] = True
    wider = {name: np.pad(array, ((0, 14), (0, 0))) for name, array in reads.items()}
    # The numbers of the month are between those of the calendar and the cosines.
    order = [*range(23), *range(35, 49), *range(23, 35)]
    moved = {name: array[order] + rng.normal(0, 0.1, array.shape).astype(np.float32) for name, array in wider.items()}
    modelfile.write(path, {**arrays, **moved}, config)
    return path


def totals_of(rng, n, T):
    """Bookings with their balance, points with a score from zero, and a stock that never falls below zero."""
    import numpy as np

    won, received, wanted = rng.integers(0, 4, (n, T)), rng.integers(0, 30, (n, T)), rng.integers(0, 30, (n, T))
    amount, stock, sold = np.round(rng.normal(0, 40, (n, T))) / 2, np.zeros((n, T), int), np.zeros((n, T), int)
    left = rng.integers(0, 60, n)
    for t in range(T):
        sold[:, t] = np.minimum(wanted[:, t], left + received[:, t])
        left = left + received[:, t] - sold[:, t]
        stock[:, t] = left
    columns = {
        "won": won, "score": won.cumsum(1), "amount": amount, "received": received, "stock": stock, "sold": sold,
        "balance": np.round(rng.normal(0, 300, (n, 1))) / 2 + amount.cumsum(1),
    }  # fmt: skip
    whole = {"id": np.repeat(np.arange(n), T), "kind": np.repeat(rng.choice(["a", "b"], n), T)}
    return whole | {name: column.ravel() for name, column in columns.items()}


@pytest.fixture(scope="session")
def running_totals():
    """`totals_of`."""
    return totals_of


@pytest.fixture(scope="session")
def kinds(tmp_path_factory):
    """By name, a model of each of eight kinds of sequences, hardly trained, and an input."""
    import numpy as np

    import unspool as us

    folder = tmp_path_factory.mktemp("kinds")
    rng = np.random.default_rng(0)
    options = {"training": us.Training(epochs=3, draw_inputs=False), "verbose": False}
    n, T = 60, 5
    x, ids = rng.normal(size=n * T), np.repeat(np.arange(n), T)
    kind = np.repeat(rng.choice(["a", "b"], n), T)
    numbers = {
        "id": ids, "kind": kind, "level": np.repeat(rng.normal(size=n), T), "normal": x, "t": rng.standard_t(4, n * T),
        "mixture": 2 * x, "histogram": rng.gamma(2.0, 1.0, n * T), "point": x, "log": np.exp(x),
        "holes": np.where(rng.random(n * T) < 0.3, np.nan, x),
        "zero": np.where(rng.random(n * T) < 0.4, 0.0, np.exp(x)), "count": rng.poisson(3, n * T),
        "cents": np.round(np.exp(x), 2),
    }  # fmt: skip
    series = {
        "id": ids, "kind": kind, "diff": 100 + np.cumsum(x.reshape(n, T), 1).ravel(),
        "price": 100 * np.exp(np.cumsum(0.01 * x.reshape(n, T), 1)).ravel(),
        "paid": rng.gamma(1.0, 60.0, (n, T)).cumsum(1).ravel(), "course": (rng.normal(0, 40, n * T)) % 360,
    }  # fmt: skip
    series["close"] = np.round(series["price"] * np.exp(0.002 * x), 2)
    days = (np.datetime64("2024-01-01") + rng.integers(1, 30, (n, T)).cumsum(1)).ravel()
    visits = {
        "id": ids, "age": np.repeat(rng.integers(20, 90, n), T), "sure": np.repeat(rng.random(n) < 0.5, T), "day": days,
        "ward": rng.choice(["north", "south"], n * T), "room": rng.choice(["r1", "r2", "r3"], n * T),
        "fever": rng.random(n * T) < 0.3, "cough": rng.random(n * T) < 0.5, "rash": rng.random(n * T) < 0.2,
    }  # fmt: skip
    said = [" ".join(rng.choice(["the", "sea", "is", "grey"], 5)) + "." for _ in range(80)]
    records = {
        "id": ids, "turn": (np.arange(n * T) + np.repeat(rng.integers(0, 4, n), T)) % 4, "sure": x > 0.4,
        "level": x.reshape(n, T).cumsum(1).ravel() % 3.0, "paid": np.exp(1.5 * x), "course": series["course"],
    }  # fmt: skip
    ledger = totals_of(rng, n, T)
    words = {"mood": ["calm", "loud"] * 40, "said": said}
    letters = [[*map("uvw".__getitem__, rng.integers(0, 3, rng.integers(1, 9)))] for _ in range(n)]
    lists = {"v": rng.normal(size=(n, 3)).tolist(), "x": letters}
    deep = us.Network(size=8, layers=2, residual=True, norm=True, context="state")
    tiny = us.Network(size=8)
    number_fields = [
        us.Number("normal", distribution="normal"), us.Number("t", distribution="student_t", mean="constant"),
        us.Number("mixture", distribution="mixture"), us.Number("histogram", distribution="histogram"),
        us.Number("point", distribution="point"), us.Number("log", transform="log1p"), "holes", "zero",
        us.Count("count"), "cents",
    ]  # fmt: skip
    series_fields = [
        us.Number("diff", transform="difference"),
        us.Number("price", transform="log_return"),
        "paid",
        us.Angle("course"),
        us.Number("close", near=("price",)),
    ]
    visit_fields = ["day", "ward", "room", us.Flags("symptoms", ["fever", "cough", "rash"])]
    record_fields = [
        us.Category("turn"),
        us.Flag("sure"),
        "level",
        us.Number("paid", transform="log1p"),
        us.Angle("course"),
    ]
    first = {"turn": 2, "sure": True, "level": 1.5, "paid": 4.25, "course": 350.0}
    plans = {
        "numbers": (["kind", "level"], number_fields, numbers, tiny, {"kind": "a", "level": 0.3}),
        "series": ("kind", series_fields, series, tiny, {"kind": "b"}),
        "visits": (["age", us.Flag("sure")], visit_fields, visits, tiny, {"age": 40, "sure": True}),
        "records": (us.First(), record_fields, records, tiny, first),
        "ledger": ("kind", [*ledger][2:], ledger, tiny, {"kind": "a"}),
        "words": ("mood", us.Text("said", unit="word"), words, tiny, {"mood": "calm"}),
        "characters": ("mood", "said", words, tiny, {"mood": "loud"}),
        "lists": ("v", us.Category("x"), lists, deep, {"v": [0.1, -0.5, 2.0]}),
    }  # fmt: skip
    found = {}
    for name, (inputs, steps, table, network, row) in plans.items():
        joint = [("ward", "room")] if name == "visits" else None
        relations = "auto" if name == "ledger" else None
        model = us.OneToMany(inputs, steps, network=network, combinations=joint, relations=relations, **options)
        model.fit(table, id="id") if "id" in table else model.fit(table)
        model.save(folder / f"{name}.unspool")
        found[name] = folder / f"{name}.unspool", row
    return found


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
