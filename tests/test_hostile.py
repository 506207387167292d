"""A model file from anywhere costs what it weighs, and ends in a model or in an error of the project."""

import contextlib
import copy
import functools
import io
import json
import subprocess
import sys

import jax
import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.cli.app import app, main
from unspool.config import InputModel, Summary
from unspool.errors import CorruptFile, FileError, UnspoolError
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.serialization import Nets, input_architecture, write_model
from unspool.options import Network
from unspool.pipeline import FitRequest, Trained, gather_data, gather_inputs, pack_config
from unspool.training.defaults import plan

LIGHT = ("text", "near")
"""Kinds of models whose mutants the quick test uses, too; each mutant that changes the network is compiled anew."""
NOT_USED = ("records",)
"""Models whose programs take long to compile; their kinds of fields are those of the others."""


def untrained(path, model, data, **roles):
    """Write the file of a model whose columns are fitted and whose weights are those before the first update."""
    request = FitRequest(data, None, roles.get("id"), None, None, model.get_params(), model.network, model.training)
    fitted = gather_data(request)
    codec, steps = fitted.codec, int(fitted.encoded.offsets[-1])
    numbers = plan(request.network, request.training, codec, examples=codec.examples, steps=steps, distinct=2)
    inputs = gather_inputs(request, fitted)
    row = InputModel(inputs.codec, 4, 4, 1.0, inputs.table)
    rng = np.random.default_rng(0)
    net = Net(rng, architecture_of(codec, numbers.network, numbers.size, numbers.embedding))
    summary = Summary(1.0, codec.examples, 0, steps, 0, 1, 1, 1, 1.0, "decayed", [])
    config = pack_config(request, fitted, Trained(net, numbers, summary, {"data": "0"}), row)
    write_model(path, config, Nets(net, Net(rng, input_architecture(row))))


def write_models(folder):
    """By name, the file of a tiny model, and data of the layout it was fitted to."""
    rng = np.random.default_rng(0)
    small = {"network": Network(size=4), "training": us.Training(epochs=1, holdout=0), "verbose": False}
    days = np.array(["2024-01-01", "2024-02-03", "2025-03-04", "2025-05-06"], "datetime64[us]")
    shop = [["Oslo", "Norway"], ["Bergen", "Norway"], ["Lund", "Sweden"]]

    def visit(k, t):
        city, country = shop[(k + t) % 3]
        return {
            "price": float(rng.normal()) if (k + t) % 5 else None,
            "items": int(rng.poisson(3)),
            "paid": bool(t % 2),
            "city": city,
            "country": country,
            "a": bool(k % 2),
            "b": bool((k + t) % 2),
            "c": bool(t % 3),
            "at": days[k % 4] + np.timedelta64(t, "D"),
        }

    visits = {
        "age": [20.5, None, 30.25, 41.0],
        "colour": [[1.0, 2.0], [2.0, 4.5], [0.0, 1.0], [3.0, 3.0]],
        "member": [True, False, True, None],
        "since": days,
        "visits": [[visit(k, t) for t in range(2 + k % 2)] for k in range(4)],
    }
    paths = np.cumsum(rng.normal(size=(6, 5)), 1)
    series = {"kind": list("ababab"), "x": [list(path[: 3 + k % 3]) for k, path in enumerate(np.exp(paths * 0.1))]}
    steps = {
        "kind": [k % 2 for k in range(6) for _ in range(4)],
        "id": [k for k in range(6) for _ in range(4)],
        "up": list(np.cumsum(rng.integers(0, 3, (6, 4)), 1).ravel()),
        "down": list(100 - np.cumsum(rng.exponential(size=(6, 4)), 1).ravel()),
        "level": list(np.round(rng.normal(size=24), 1)),
        "bin": list(rng.normal(size=24)),
        "near": list(np.cumsum(rng.normal(size=(6, 4)), 1).ravel()),
        **{name: list(rng.random(24) < 0.5) for name in "abc"},
    }
    names = {"land": ["is", "is", "gr", "gr"], "name": ["Ásta", "Jón", "Leó", "Eva"]}
    by_id = {"id": "id"}
    made = {
        "text": (us.OneToMany("land", us.Text("name"), **small), names, {}),
        "words": (us.OneToMany("land", us.Text("name", unit="word"), **small), names, {}),
        "records": (
            us.OneToMany(
                ["age", us.Vector("colour"), "member", "since"],
                {
                    "visits": [
                        "price",
                        us.Count("items"),
                        "paid",
                        "city",
                        "country",
                        us.Flags("abc", ["a", "b", "c"]),
                        "at",
                    ]
                },
                combinations=[("city", "country")],
                **small,
            ),
            visits,
            {},
        ),
        "series": (us.OneToMany("kind", us.Number("x", transform="log_return"), **small), series, {}),
        "near": (us.OneToMany(us.First("near"), us.Number("near", bounds=(-50, 50)), **small), steps, by_id),
        "grid": (us.OneToMany("kind", us.Number("level", distribution="discretized"), **small), steps, by_id),
        "bins": (us.OneToMany("kind", us.Number("bin", distribution="histogram"), **small), steps, by_id),
        "rising": (us.OneToMany("kind", us.Number("up", transform="increment"), **small), steps, by_id),
        "falling": (us.OneToMany("kind", us.Number("down", transform="decrement"), **small), steps, by_id),
        "flags": (us.OneToMany("kind", us.Flags("abc", ["a", "b", "c"]), **small), steps, by_id),
    }
    files = {}
    for name, (model, data, options) in made.items():
        untrained(folder / f"{name}.unspool", model, data, **options)
        files[name] = (folder / f"{name}.unspool", data)
    return files


NASTY = (
    0, -1, 1, 2, 3, 0.5, -0.5, 1e18, 10**18, 2**31, 2**63, 2**64, -(2**63), 1e300, 1e-300, 5e-324, float("nan"),
    float("inf"), "", "x", "x" * 100_000, "\x00", "\x1b[31m", "\ud800", None,
    True, False, [], {}, [[]], ["x"], [0.0, 1.0],
    {"kind": "number", "name": "x"}, functools.reduce(lambda inner, _: [inner], range(200), []),
)  # fmt: skip
"""Values that take the place of any other."""


def leaves(config, path=()):
    """The paths of all values in a configuration, containers too."""
    yield path
    parts = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, part in parts:
        yield from leaves(part, (*path, key))


def mutants(config, rng, count):
    """Configurations that differ at one value: it is replaced, omitted or repeated. Where, and by what, is random."""
    paths = [path for path in leaves(config) if path]
    for _ in range(count):
        changed = copy.deepcopy(config)
        path = paths[rng.integers(len(paths))]
        owner = functools.reduce(lambda part, key: part[key], path[:-1], changed)
        deed = rng.integers(len(NASTY) + 4)
        if deed < len(NASTY):
            owner[path[-1]] = NASTY[deed]
        elif deed == len(NASTY):
            owner.pop(path[-1])
        elif isinstance(owner, list):
            owner.insert(path[-1], copy.deepcopy(owner[path[-1]]))
        else:  # the value of another place
            other = paths[rng.integers(len(paths))]
            owner[path[-1]] = copy.deepcopy(functools.reduce(lambda part, key: part[key], other, config))
        yield path, changed


def contents(path):
    """The configuration, the header's entries, and the bytes of the arrays."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return json.loads(header.pop("__metadata__")["unspool"]), header, data[start:]


def forge(path, config, header, arrays):
    """Write a model file that no program would write."""
    text = json.dumps({"__metadata__": {"unspool": json.dumps(config)}} | header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + arrays)
    return path


def attack(path, data):
    """Load a file, and if it loads and data is given, use it as a user would; "loaded", or the error that refused it.

    Any error but those of the project is an escape, and passes through.
    """
    try:
        model = us.load(path)
    except FileError as error:
        return type(error).__name__
    for use in (
        ()
        if data is None
        else (
            lambda: list(model.generate(data, n=2, seed=1)),
            lambda: model.log_prob(data),
            lambda: list(model.sample(3, seed=1)),
        )
    ):
        with contextlib.suppress(UnspoolError):
            use()
    return "loaded"


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module", autouse=True)
def compiled_fast():
    """Programs of mutants run once: to compile them without optimization takes half as long."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def attacked(files, name, count, seed, tmp_path, use=True):
    """How many mutants of a model were refused; those that load generate and score."""
    path, data = files[name]
    config, header, arrays = contents(path)
    rng, target = np.random.default_rng(seed), tmp_path / "mutant.unspool"
    forged = (forge(target, mutant, header, arrays) for _, mutant in mutants(config, rng, count))
    return sum(attack(file, data if use else None) != "loaded" for file in forged)


def test_a_model_that_is_not_forged_loads_and_is_used(files):
    path, data = files["text"]
    assert attack(path, data) == "loaded"


def test_mutants_of_every_kind_of_model_load_or_are_refused(files, tmp_path):
    refused = {name: attacked(files, name, 60, 1, tmp_path, use=False) for name in files}
    assert min(refused.values()) >= 40  # most values matter


@pytest.mark.filterwarnings("ignore:.*read as missing")
@pytest.mark.parametrize("name", LIGHT)
def test_mutants_that_load_generate_and_score_or_raise_errors_of_ours(files, tmp_path, name):
    attacked(files, name, 20, 2, tmp_path)


@pytest.mark.filterwarnings("ignore:.*read as missing")
@pytest.mark.slow
def test_ten_thousand_mutants_have_no_escape(files, tmp_path):
    counts = dict.fromkeys(files, 1000)
    counts["text"] += 10_000 - sum(counts.values())
    for name, count in counts.items():
        attacked(files, name, count, 3, tmp_path, use=name not in NOT_USED)
    assert sum(counts.values()) >= 10_000


MEASURED = """
import resource, sys, time
import unspool as us
us.load(sys.argv[1])
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
for path in sys.argv[2:]:
    try:
        us.load(path)
    except us.errors.FileError:
        continue
    raise SystemExit(f"{path} loads")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - began)
"""


def test_a_forged_size_costs_what_the_file_weighs(files, tmp_path):
    """The largest numbers that the configuration may hold: 1 GB of weights, or very many arrays."""
    path, _ = files["text"]
    config, header, arrays = contents(path)
    column = config["codec"]["steps"][0]
    many = [{"kind": "flag", "name": str(k)} for k in range(1500)]
    changes = [
        {"size": 8192},
        {"embedding": 4096},
        {"network": {"layers": 16}},
        {"row": config["row"] | {"size": 8192}},
        {"size": 8192, "embedding": 4096, "network": {"layers": 16}},
        {
            "codec": config["codec"]
            | {
                "schema": config["codec"]["schema"] | {"steps": many, "form": "records"},
                "steps": [column | {"values": [False, True], "text": False}] * len(many),
            }
        },
        {
            "codec": config["codec"] | {"steps": [column | {"values": [chr(k) for k in range(256, 20_000)]}]},
            "size": 8192,
        },
    ]
    forged = [forge(tmp_path / f"{k}.unspool", config | change, header, arrays) for k, change in enumerate(changes)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, path, *forged], check=True, capture_output=True, text=True, timeout=120
    )
    kilobytes, seconds = map(float, done.stdout.split())
    assert kilobytes * 1024 <= 2 * max(file.stat().st_size for file in forged) + 50e6
    assert seconds < 10


@pytest.mark.parametrize("change", [{"dtype": "F64"}, {"dtype": "I32"}, {"shape": [1, 4]}])
def test_arrays_of_another_type_or_shape_are_refused(files, tmp_path, change):
    """An array of 4 numbers as 2 of the double width, as whole numbers, or in other axes."""
    config, header, arrays = contents(files["text"][0])
    name = "context_bias"
    assert header[name]["shape"] == [4]
    changed = {"shape": [2]} | change if change.get("dtype") == "F64" else change
    forge(tmp_path / "m.unspool", config, header | {name: header[name] | changed}, arrays)
    with pytest.raises(CorruptFile, match=name):
        us.load(tmp_path / "m.unspool")


def test_numbers_that_the_network_can_not_hold_are_refused(files, tmp_path):
    config, header, arrays = contents(files["series"][0])
    config["codec"]["steps"][0]["loc"] = 1e301
    forge(tmp_path / "m.unspool", config, header, arrays)
    with pytest.raises(CorruptFile, match=r"at most 3\.4e\+38 in size"):
        us.load(tmp_path / "m.unspool")


def test_nothing_is_saved_that_does_not_load(files, tmp_path):
    model = us.load(files["text"][0])
    for wrong in (
        {"size": 5},
        {"summary": msgspec.structs.replace(model.summary_, nats=float("nan"))},
        {"embedding": 5000},
    ):
        model.config_ = msgspec.structs.replace(us.load(files["text"][0]).config_, **wrong)
        with pytest.raises(CorruptFile):
            model.save(tmp_path / "m.unspool")
        assert not (tmp_path / "m.unspool").exists()


ESCAPE = "\x1b]0;owned\x07\x1b[31m"


@pytest.fixture
def escaping(files, tmp_path):
    """A model whose columns, categories, characters and texts hold escape sequences."""
    config, header, arrays = contents(files["text"][0])
    text = json.dumps(config).replace('"land"', json.dumps(f"land{ESCAPE}")).replace('"is"', json.dumps(f"is{ESCAPE}"))
    changed = json.loads(text)
    changed["codec"]["steps"][0]["values"][0] = "\x1b"
    changed["codec"]["schema"]["steps"][0]["name"] = changed["codec"]["schema"]["sequence"] = f"name{ESCAPE}"
    changed["summary"]["stopped"] = changed["versions"]["jax"] = ESCAPE
    return forge(tmp_path / "escaping.unspool", changed, header, arrays)


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "words",
    [
        ["inspect"],
        ["inspect", "--json"],
        ["generate", "-i", f"land{ESCAPE}=is{ESCAPE}", "-i", f"land{ESCAPE}=gr", "-n", "20", "--seed", "1"],
        ["generate", "-i", f"land{ESCAPE}=is{ESCAPE}", "-n", "20", "--format", "csv"],
        ["generate", "-i", f"land{ESCAPE}=is{ESCAPE}", "--stream", "--length", "50"],
        ["sample", "-n", "20"],
        ["generate", "-i", f"land=x{ESCAPE}"],
        ["generate", "-i", f"land{ESCAPE}=x{ESCAPE}"],
        ["evaluate", f"x{ESCAPE}.csv"],
        [f"--x{ESCAPE}"],
    ],
    ids=lambda words: " ".join(word for word in words if ESCAPE not in word),
)
def test_no_escape_sequence_reaches_a_terminal(escaping, monkeypatch, words):
    out, err = (Terminal(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setattr("unspool.runtime.progress.SECONDS_UNSEEN", 1e9)  # a bar moves the cursor
    for console in ("_fallback_console", "_fallback_error_console"):  # or later tests would have this terminal's
        monkeypatch.setattr(app, console, None)
    main([words[0], str(escaping), *words[1:]])
    printed = out.buffer.getvalue() + err.buffer.getvalue()
    assert b"\\u001b" in printed or b"\\x1b" in printed
    assert not set(printed) & (set(range(32)) - {9, 10})


def test_no_escape_sequence_is_in_the_texts_of_a_notebook(escaping):
    model = us.load(escaping)
    made = model.generate({f"land{ESCAPE}": ["gr", f"is{ESCAPE}"]}, n=5, length=20, seed=1)
    for text in (repr(made), model.codec_.describe(), *map(made.label, range(10))):
        assert "\x1b" not in text
    assert "\\u001b" in repr(made)
    assert any("\x1b" in value for value in made)  # the values themselves are as they were learned
