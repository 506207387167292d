"""`examples/onnx_numpy.py` decodes what an exported model makes, without Unspool."""

import importlib.util
from pathlib import Path

import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.network.build import architecture_of
from unspool.network.decoder import Net

PROGRAM = Path(__file__).parents[2] / "examples" / "onnx_numpy.py"


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location(PROGRAM.stem, PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_texts_are_those_of_python(program, workshop, tmp_path):
    model = us.load(workshop.names)
    model.export(tmp_path / "names.onnx")
    made = program.generate(str(tmp_path / "names.onnx"), {"country": "Irish"}, 32, 5)
    assert ["".join(one["step.name"]) for one in made] == list(model.generate({"country": "Irish"}, n=32, seed=5))


@pytest.mark.slow
def test_numbers_go_on_from_a_value_among_the_inputs(program, workshop, tmp_path):
    """A column of log-returns from a given value, and one of plain numbers, of random weights."""
    rng = np.random.default_rng(0)
    table = {
        "size": rng.gamma(2.0, 2.0, 40).tolist(),
        "price": [np.exp(0.1 * rng.normal(size=7).cumsum()).tolist() for _ in range(40)],
        "count": [rng.poisson(9, 7).tolist() for _ in range(40)],
    }
    fields = [
        us.Number("price", "log_return", "normal"),
        us.Number("count", "log1p", "normal"),
    ]
    inputs = [us.Number("size", "log1p"), us.First("price")]
    codec = fit_codec(*gather(table, inputs=inputs, sequence=fields))
    model = us.load(workshop.names)
    model.net_ = Net(rng, architecture_of(codec, us.Network(), 8, 8)).map_weights(
        lambda w: w + rng.normal(0, 0.1, w.shape)
    )
    model.config_ = msgspec.structs.replace(model.config_, codec=codec, row=None)
    model.export(tmp_path / "m.onnx")
    given = {"size": 3.0, "price": 1.5}
    made = program.generate(str(tmp_path / "m.onnx"), given, 16, 3)
    ours = model.generate({name: [value] for name, value in given.items()}, n=16, seed=3)
    for name in ("price", "count"):
        theirs = np.concatenate([one[f"step.{name}"] for one in made])
        np.testing.assert_allclose(theirs, ours.columns[name], rtol=1e-5, atol=1e-5)
    assert np.std([one["step.price"][0] for one in made]) > 0.01


def test_the_program_imports_neither_unspool_nor_jax():
    imported = [line for line in PROGRAM.read_text("utf-8").splitlines() if "import" in line.split()]
    assert imported == ["import json", "import sys", "import numpy as np", "import onnxruntime"]
