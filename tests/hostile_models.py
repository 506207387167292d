"""Small models of every kind of field, and mutants of their files: what the tests of hostile files share."""

import contextlib
import copy
import functools
import json

import numpy as np

import unspool as us
from unspool.config import InputModel, Summary
from unspool.errors import FileError, UnspoolError
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.serialization import Nets, input_architecture, write_model
from unspool.options import Network
from unspool.pipeline import FitRequest, Trained, gather_data, gather_inputs, pack_config
from unspool.training.defaults import plan


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
    }
    names = {"land": ["is", "is", "gr", "gr"], "name": ["Ásta", "Jón", "Leó", "Eva"]}
    made = {
        "text": (us.OneToMany("land", us.Text("name"), **small), names, {}),
        "words": (us.OneToMany("land", us.Text("name", unit="word"), **small), names, {}),
        "records": (
            us.OneToMany(
                ["age", us.Vector("colour"), "member", "since"],
                {"visits": ["price", us.Count("items"), "paid", "city", "country", us.Flags("abc", ["a", "b", "c"]), "at"]},
                combinations=[("city", "country")],
                **small,
            ),
            visits,
            {},
        ),
        "series": (us.OneToMany("kind", us.Number("x", transform="log_return"), **small), series, {}),
        "steps": (
            us.OneToMany(
                ["kind", us.First("near")],
                [
                    us.Number("up", transform="increment"),
                    us.Number("down", transform="decrement", bounds=(0, None)),
                    us.Number("level", distribution="discretized"),
                    us.Number("bin", distribution="histogram"),
                    us.Number("near", transform="difference", bounds=(-50, 50)),
                ],
                **small,
            ),
            steps,
            {"id": "id"},
        ),
    }
    files = {}
    for name, (model, data, options) in made.items():
        untrained(folder / f"{name}.unspool", model, data, **options)
        files[name] = (folder / f"{name}.unspool", data)
    return files


NASTY = (
    0, -1, 1, 2, 3, 0.5, -0.5, 1e18, 10**18, 2**31, 2**63, 2**64, -(2**63), 1e300, 1e-300, 5e-324, float("nan"),
    float("inf"), "", "x", "x" * 100_000, "\x00", "\x1b[31m", "\ud800", None, True, False, [], {}, [[]], ["x"], [0.0, 1.0],
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
    """Load a file, and where it loads, use it as a user would; the kind of the error that refused it, if one did.

    Any error but those of the project is an escape, and passes through.
    """
    try:
        model = us.load(path)
    except FileError as error:
        return type(error).__name__
    for use in (
        lambda: list(model.generate(data, n=2, seed=1)),
        lambda: list(model.generate(data, rule="greedy")),
        lambda: model.log_prob(data),
        lambda: list(model.sample(3, seed=1)),
    ):
        with contextlib.suppress(UnspoolError):
            use()
    return "loaded"
