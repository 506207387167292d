"""`examples/numpy_lstm.py` samples what the library samples, from the model file alone."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.options import Network

PROGRAM = Path(__file__).parents[1] / "examples" / "numpy_lstm.py"
COUNTRIES = ["Greek", "Irish", "Greek"]


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location(PROGRAM.stem, PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["state+step", "state"])
def stirred(request, workshop):
    """A model of names whose weights are all random and large, so that a term that is missing or wrong shows."""
    model = us.load(workshop.names)
    config = msgspec.structs.replace(model.config_, network=Network(context=request.param))
    rng = np.random.default_rng(3)
    net = Net(rng, architecture_of(config.codec, config.network, config.size, config.embedding))
    net = net.map_weights(lambda w: w + rng.normal(0, 0.7, w.shape).astype(np.float32))
    model.config_, model.net_ = (
        config,
        eqx.tree_at(lambda net: net.stop[1], net, net.stop[1] - 3),
    )  # texts of some steps
    return model


@pytest.mark.parametrize("seed", [0, 12, 2**40 + 5])
def test_the_program_samples_what_the_library_samples(program, stirred, tmp_path, seed):
    stirred.save(path := tmp_path / "names.unspool")
    model = program.read(path)
    texts = [program.generate(*model, value, row, k, seed) for row, value in enumerate(COUNTRIES) for k in range(20)]
    assert texts == list(stirred.generate({"country": COUNTRIES}, n=20, seed=seed))
    assert len(set(texts)) > 20


def test_the_program_reads_the_model_that_a_fit_wrote(workshop):
    run = [sys.executable, "-W", "error", str(PROGRAM), str(workshop.names), "Irish", "6", "9"]
    done = subprocess.run(run, capture_output=True, text=True, encoding="utf-8", check=True)
    names = us.load(workshop.names).generate({"country": "Irish"}, n=6, seed=9)
    assert done.stdout.splitlines() == list(names)


def test_the_program_needs_nothing_but_numpy():
    imported = [line for line in PROGRAM.read_text("utf-8").splitlines() if "import" in line.split()]
    assert imported == ["import json", "import sys", "import numpy as np"]
