"""The JavaScript runtime samples what Python samples, for every kind of column; what it can't do it refuses by name."""

import base64
import copy
import html
import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import unspool as us
from unspool import modelfile
from unspool.config import Config
from unspool.errors import FileError
from unspool.web.explain import EXPORT, bundle
from unspool.web.explain import RUNTIME as MODULES

RUNNER = Path(__file__).with_name("run.mjs")
RUNTIME = Path(us.__file__).parent / "web" / "generate.js"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node to run JavaScript with")
CLOSE = 1e-5
"""Distance of numbers, relative to the range of their column."""


def in_node(*jobs):
    """By (path, requests), what the runtime makes of the requests, one after the other."""
    text = json.dumps([{"model": str(path), "requests": requests} for path, requests in jobs])
    command = [NODE, RUNNER, RUNTIME]
    done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def in_chromium(chromium, tmp_path):
    """What `in_node` does, in a browser: a page of the runtime alone, which writes the results into its document."""

    def run(*jobs):
        data = [{"model": base64.b64encode(path.read_bytes()).decode(), "requests": asked} for path, asked in jobs]
        script = f"""{bundle(MODULES)}{EXPORT.sub("", RUNNER.with_name("answers.mjs").read_text("utf-8"))}
            const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
            const jobs = JSON.parse(document.getElementById("jobs").textContent);
            document.getElementById("out").textContent = jobs
              .map(({{ model, requests }}) => answers(readModel, bytes(model), requests)).join("\\n");"""
        asked = json.dumps(data).replace("<", "\\u003c")
        parts = [f'<script type="application/json" id="jobs">{asked}</script>', '<pre id="out"></pre>']
        parts.append(f'<script type="module">{script}</script>')
        (tmp_path / "runtime.html").write_text('<!doctype html><meta charset="utf-8">' + "".join(parts), "utf-8")
        (out,) = re.findall(r'<pre id="out">(.*?)</pre>', chromium(tmp_path / "runtime.html", timeout=280), re.DOTALL)
        return [json.loads(line) for line in html.unescape(out).split("\n")]

    return run


def in_python(model, request):
    """By column, the values of every sequence of a request."""
    options = {name: value for name, value in request.items() if name not in ("inputs", "n", "rule")}
    if "pin" in options:
        options["pin"] = {int(step): values for step, values in options["pin"].items()}
    rule = request.get("rule", "sample")
    inputs = {name: [value] for name, value in request["inputs"].items()}
    made = model.generate(inputs, request["n"], rule=us.Sampling(**rule) if isinstance(rule, dict) else rule, **options)
    bounds = list(zip(made.offsets[:-1], made.offsets[1:], strict=True))
    return [{name: column[start:end] for name, column in made.columns.items()} for start, end in bounds]


def as_number(value):
    """A number, a timestamp in microseconds, or NaN; other values as they are."""
    if isinstance(value, dict):
        return int(value["integer"]) if "integer" in value else float(value["special"])
    if isinstance(value, np.datetime64):
        return np.nan if np.isnat(value) else int(value.astype("datetime64[us]").astype(np.int64))
    return np.nan if value is None else value.item() if isinstance(value, np.generic) else value


def differing(model, ours, theirs):
    """The numbers of the sequences of which a symbol differs, or a number by more than it may."""
    names = model.schema_.step_columns
    spans = {}
    for name in names:
        numbers = [as_number(value) for made in ours for value in made[name]]
        known = [value for value in numbers if isinstance(value, float) and np.isfinite(value)]
        spans[name] = CLOSE * max(np.ptp(known), np.max(np.abs(known))) if known else 0.0

    def same(name, one, other):
        one, other = as_number(one), as_number(other)
        if isinstance(one, float) and isinstance(other, (int, float)):
            return (one != one and other != other) or abs(one - other) <= spans[name]
        return one == other

    return [
        k
        for k, (one, other) in enumerate(zip(ours, theirs, strict=True))
        if "error" in other
        or any(
            len(one[name]) != len(other["columns"][name])
            or not all(map(lambda a, b: same(name, a, b), one[name], other["columns"][name]))
            for name in names
        )
    ]


def compared(path, requests):
    """How many sequences were compared, and which differ."""
    model = us.load(path)
    ours = [made for request in requests for made in in_python(model, request)]
    (theirs,) = in_node((path, requests))
    assert len(theirs) == len(ours), theirs[:1]
    return len(ours), differing(model, ours, theirs)


@needs_node
def test_texts_are_those_of_python(workshop):
    """Sampled plainly, and under all options of a rule at once, given a prefix and a pin."""
    irish = {"inputs": {"country": "Irish"}, "n": 64}
    rule = {"temperature": 1.3, "top_k": 9, "top_p": 0.9, "min_p": 0.02}
    requests = [{**irish, "seed": 2**40 + 5}, {**irish, "seed": 1, "rule": rule, "prefix": "Ni", "pin": {"4": "o"}}]
    assert compared(workshop.names, requests) == (128, [])


@needs_node
@pytest.mark.slow
def test_records_of_numbers_and_symbols_are_those_of_python(workshop):
    requests = [{"inputs": {"group": "a", "level": 3.5}, "n": 64, "seed": 0}]
    assert compared(workshop.tracks, requests) == (64, [])


@needs_node
def test_changes_ends_and_limits_are_those_of_python(days):
    """Sampled plainly; and gone on from a day beyond the ends, as far from there as in training, without the limit."""
    row = {"inputs": {"kind": "a"}, "n": 64}
    beyond = [
        {"open": 110.0, "close": None, "mood": "odd", "due": "2031-01-31"},
        {"open": 112.0, "close": 109.5, "mood": "calm", "due": "2031-02-28"},
    ]
    requests = [{**row, "seed": 0}, {**row, "seed": 1, "prefix": beyond}]
    assert compared(days, requests) == (128, [])
    (made,) = in_node((days, requests))
    plain, after = ([one["columns"] for one in part] for part in (made[:64], made[64:]))
    assert max(max(one["open"]) for one in after) > 102.001 > max(max(one["open"], default=0) for one in plain) > 101.9
    assert 101.0 in [value for one in plain for value in one["close"]]
    assert max(len(one["open"]) for one in plain) == 9 < max(len(one["open"]) for one in after)
    assert all(one["ended"] for one in made[:64])
    config, arrays = modelfile.read(days)
    still = {name: 0 * array if name.startswith("changes.") else array for name, array in arrays.items()}
    modelfile.write(days.with_name("still.unspool"), still, config)
    (others,) = in_node((days.with_name("still.unspool"), requests[:1]))
    assert sum(one != other for one, other in zip(made, others, strict=False)) > 32, "the changes decide something"


@needs_node
@pytest.mark.slow
def test_moments_after_the_date_of_an_input_are_those_of_python(stays):
    """Steps read the hour and the weekday of the moment itself; delays are seen on an axis that bends."""
    model = us.load(stays)
    (part,) = model.codec_.steps[0].first
    assert (part.name, part.number.transform) == ("delay", "asinh")
    ends = {"at": ["2023-04-01T03:00", "2023-04-04"]}
    requests = [{"inputs": {"admitted": f"2023-04-0{k}T0{k}:30:00"}, "n": 40, "seed": k} for k in (1, 2)]
    assert compared(stays, [*requests, {**requests[0], "allow": ends}]) == (120, [])
    made = model.generate({"admitted": "2023-04-01T01:30:00"}, 40, seed=1, allow=ends, length=3).columns["at"]
    assert (made.min(), made.max()) >= (np.datetime64("2023-04-01T03:00"), np.datetime64("2023-04-01T03:00"))
    assert made.max() <= np.datetime64("2023-04-04")


@needs_node
def test_an_old_file_without_changes_and_limits_gives_what_it_gave_when_it_was_written():
    """The values are those of `tests/test_golden.py`."""
    path = Path(__file__).parents[1] / "golden" / "format-2.unspool"
    (made,) = in_node((path, [{"inputs": {"kind": "up", "size": 3.0}, "n": 3, "seed": 11}]))
    assert not any(name.startswith("changes.") for name in modelfile.read(path)[1])
    assert "".join(made[2]["columns"]["letter"]) == "uoiea"
    level, missing = made[0]["columns"]["level"]
    assert (level, missing) == (pytest.approx(0.8600647764921312, rel=1e-4), None)


@needs_node
def test_a_wide_component_is_that_of_python(tmp_path):
    """With a weight of 0.4, the sequences; and the log-probabilities of the runtime are those of SciPy."""
    config, arrays = modelfile.read(Path(__file__).parents[1] / "golden" / "format-2.unspool")
    requests = [{"inputs": {"kind": "up", "size": 3.0}, "n": 32, "seed": 11}]
    modelfile.write(tmp_path / "plain.unspool", arrays, config)
    config["codec"]["steps"][1]["wide"] = [0.4, 0.5, 2.0]
    modelfile.write(tmp_path / "wide.unspool", arrays, config)
    assert compared(tmp_path / "wide.unspool", requests) == (32, [])
    wide, plain = in_node(*((tmp_path / f"{name}.unspool", requests) for name in ("wide", "plain")))
    assert sum(one != other for one, other in zip(wide, plain, strict=True)) > 8
    module = json.dumps(RUNTIME.with_name("distributions.js").as_uri())
    script = f"""import {{ Discretized, Grid, Mixture }} from {module};
        const grid = new Grid("linear", 1, 0, 1, 1), params = new Float64Array(15), wide = [0.25, 0.5, 2];
        const density = new Mixture(wide).logProb(params, 3);
        console.log(density, new Discretized(grid, -Infinity, Infinity, null, wide).logCellMass(params, 3));"""
    done = subprocess.run([NODE, "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    normal = 0.75 * stats.norm(0, 1.0001).pdf(3) + 0.25 * stats.norm(0.5, 2).pdf(3)
    parts = ((0.75, stats.logistic(0, 1.0001)), (0.25, stats.logistic(0.5, 2 * 0.617)))
    logistic = sum(weight * (part.cdf(3.5) - part.cdf(2.5)) for weight, part in parts)
    assert list(map(float, done.stdout.split())) == pytest.approx(np.log([normal, logistic]).tolist(), rel=1e-6)


@needs_node
def test_a_first_value_that_nothing_is_before_is_shown_as_a_level_and_others_as_changes():
    script = f"""
        import {{ fieldAt, unitsOf }} from {json.dumps(RUNTIME.with_name("describe.js").as_uri())};
        const column = {{
          cumulative: true, loc: 1, scale: 2, first_loc: 100, first_scale: 10,
          valueOf(z) {{ return z * this.scale + this.loc; }},
        }};
        const one = {{ column, field: {{ name: "x" }} }};
        const at = (number, before) => unitsOf(fieldAt(one, 0, {{ number }}, {{ first: [before] }}), 3);
        console.log(at(0, NaN), at(0, 5), at(1, NaN));"""
    done = subprocess.run([NODE, "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["130", "7", "7"]


@needs_node
def test_what_the_runtime_can_not_do_it_refuses_by_name(workshop):
    irish = {"inputs": {"country": "Irish"}}
    requests = [
        {**irish, "rule": {"width": 4}},
        {"inputs": {}},
        {"inputs": {"country": "Icelandic"}},
        {**irish, "tempo": 1},
    ]
    (found,) = in_node((workshop.names, requests))
    errors = [one["error"] for one in found]
    for error, part in zip(errors, ("a beam search", "drawn in Python only", '"Icelandic"', "tempo"), strict=True):
        assert part in error


def damaged(path, tmp_path):
    """Files with a defect each, by what the error says."""
    data = path.read_bytes()
    config, arrays = modelfile.read(path)
    start = 8 + int.from_bytes(data[:8], "little")
    files = {
        "at least 8 bytes": b"1234",
        "a file of another kind": b"12345678abc",
        "bytes of tensors": data[:-4],
        "finite numbers": data[:start] + b"\x00\x00\xc0\x7f" + data[start + 4 :],
        "a header of": data[:40],
    }
    changed = {
        "Upgrade Unspool": ({**config, "format": 2}, arrays),
        "expected a shape of": (config, {**arrays, "cells.0.b": arrays["cells.0.b"][:-1]}),
        "others: ": (config, {**arrays, "more": arrays["start"]}),
        "found surprise": ({**config, "codec": {**config["codec"], "surprise": 1}}, arrays),
    }
    found = []
    for k, (words, content) in enumerate(files.items()):
        (tmp_path / f"{k}.unspool").write_bytes(content)
        found.append((words, tmp_path / f"{k}.unspool"))
    for words, (settings, tensors) in changed.items():
        modelfile.write(tmp_path / f"{words[:6]}.unspool", tensors, settings)
        found.append((words, tmp_path / f"{words[:6]}.unspool"))
    newer = found[len(files)][1]
    newer.write_bytes(newer.read_bytes().replace(b'\\"format\\":2', b'\\"format\\":9'))
    return found


@needs_node
def test_a_damaged_file_is_refused_by_its_defect(workshop, tmp_path):
    files = damaged(workshop.names, tmp_path)
    found = in_node(*((path, [{}]) for _, path in files))
    for (words, _), (made,) in zip(files, found, strict=True):
        assert words in made["error"]


def places(value, path=()):
    """The paths of all values in a configuration."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def forged(config, rng):
    """A configuration of which one value is left out, another one, or has a key too many."""
    config = copy.deepcopy(config)
    parts = {name: config[name] for name in ("codec", "network", "size", "embedding")}
    *path, last = rng.choice([path for path in places(parts) if path])
    parent = config
    for key in path:
        parent = parent[key]
    if isinstance(parent, dict) and rng.random() < 0.4:
        if rng.random() < 0.5:
            del parent[last]
        else:
            parent["surprise"] = 1
    else:
        parent[last] = rng.choice([None, True, -1, 0, 1.5, 1e308, "x", "", [], {}, [1, 2], -0.5, 3, 2**40])
    return config


@needs_node
def test_a_configuration_that_python_refuses_is_refused(workshop, days, stays, tmp_path):
    """Python may still refuse what this reader takes for its shapes: both compare them with the arrays."""
    rng, refused = random.Random(0), []
    for k in range(240):
        config, arrays = modelfile.read((workshop.names, workshop.tracks, days, stays)[k % 4])
        path = tmp_path / f"{k}.unspool"
        modelfile.write(path, arrays, forged(config, rng))
        try:
            modelfile.read_config(path, Config)
        except FileError:
            refused.append(path)
    assert len(refused) > 120
    found = in_node(*((path, [{}]) for path in refused))
    assert [made["error"] for (made,) in found if not made["error"].startswith("the model: ")] == []


KINDS = ("numbers", "series", "visits", "records", "ledger", "words", "characters", "lists")


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_sequences_are_those_of_python_in_node_and_in_a_browser(kinds, in_chromium, kind):
    """But for one in a thousand, where float32 moves a number by more than a hundred-thousandth of its range.

    That happens in the tails of a distribution, where the quantile is steep, and to a value between two of a grid.
    """
    path, row = kinds[kind]
    request = {"inputs": row, "n": 10_000, "seed": 0}
    model = us.load(path)
    ours = in_python(model, request)
    assert len(ours) == 10_000
    for run in (in_node, in_chromium):
        (theirs,) = run((path, [request]))
        wrong = differing(model, ours, theirs)
        print(kind, "in Node" if run is in_node else "in Chromium", len(theirs), len(wrong))
        assert len(wrong) <= 10, [(ours[k], theirs[k]) for k in wrong[:3]]


ASKED = {
    "numbers": [
        {"allow": {"normal": [-0.5, 1.0], "holes": [0, 1], "count": [2, 4], "cents": [0.5, 2.0], "t": [0, None]}},
        {"pin": {"1": {"normal": 0.5, "zero": 0.0}, "2": {"holes": None}}, "rule": {"temperature": 0.7}},
        {"rule": "greedy"}, {"rule": {"top_p": 0.6, "min_p": 0.05}},
    ],
    "series": [
        {"allow": {"diff": [98.0, 102.0], "course": [300, 60]}, "pin": {"3": {"paid": 400.0}}},
        {"prefix": [{"diff": 101.0, "price": 99.0, "paid": 20.5, "course": 350.0, "close": 99.2}]},
    ],
    "visits": [
        {"pin": {"2": {"rash": True, "ward": "north"}}, "allow": {"fever": [False]}},
        {"pin": {"1": {"day": "2024-02-20"}}}, {"rule": "greedy"},
    ],
    "records": [
        {"prefix": [{"turn": 3, "sure": False, "level": 0.5, "paid": 9.0, "course": 20.0}]}, {"rule": "greedy"},
    ],
    "ledger": [
        {"prefix": [
            {"won": 2, "score": 2, "amount": -12.5, "received": 9, "stock": 20, "sold": 4, "balance": 100.5},
            {"won": 0, "score": 2, "amount": 20.0, "received": 0, "stock": 12, "sold": 8, "balance": 120.5},
        ]}, {"pin": {"1": {"stock": 30, "won": 3}}},
    ],
    "words": [{"prefix": "the sea"}, {"rule": {"top_k": 2}}],
    "characters": [{"prefix": "the"}, {"allow": {"said": ["t", "h", "e", " ", "s", "a"]}}, {"length": 9}],
    "lists": [{"prefix": ["u", "v"]}, {"allow": {"x": ["u", "w"]}}, {"rule": "greedy"}],
}  # fmt: skip
"""By kind, what is asked of sequences."""


@needs_node
@pytest.mark.slow
def test_rules_and_constraints_are_those_of_python(kinds):
    for name, asked in ASKED.items():
        path, row = kinds[name]
        for k, request in enumerate(asked):
            _, wrong = compared(path, [{"inputs": row, "n": 200, "seed": k, **request}])
            print(name, request, len(wrong))
            assert len(wrong) <= 2, (name, request)
