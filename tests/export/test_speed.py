"""A step in ONNX Runtime takes at most twice the time of a step in Python."""

import time
from functools import partial

import equinox as eqx
import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.jobs import GenerationOptions, generation_job
from unspool.network.build import architecture_of
from unspool.network.decoder import Net

SIZE, SYMBOLS, STEPS, ROUNDS = 128, 64, 128, 60


@pytest.mark.slow
def test_a_step_takes_at_most_twice_the_time_of_python(runtime, workshop, tmp_path):
    """Seconds of a processor, which other programs don't count in, of the median of runs in turn."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(STEPS, STEPS + 9, 80)
    table = {"k": ["a", "b"] * 40, "x": [[f"s{v}" for v in rng.integers(0, SYMBOLS, length)] for length in lengths]}
    codec = fit_codec(*gather(table, inputs=us.Category("k"), sequence=us.Category("x")))
    model = us.load(workshop.names)
    net = Net(rng, architecture_of(codec, us.Network(), SIZE, 32)).map_weights(
        lambda w: w + rng.normal(0, 0.05, w.shape)
    )
    model.net_ = eqx.tree_at(lambda net: net.stop[1], net, 0 * net.stop[1] - 25)  # it never stops, but asks each time
    model.config_ = msgspec.structs.replace(model.config_, codec=msgspec.structs.replace(codec, limit=STEPS), row=None)
    model.export(tmp_path / "m.onnx")
    made, facts = runtime.session(tmp_path / "m.onnx")
    for rows in (1, 64):
        feed = runtime.fed(model, facts, {"k": ["a"]}, rows, 7)
        job = generation_job(model._generator(), {"k": ["a"]}, rows, GenerationOptions(seed=7))
        ours, theirs = job.run(), runtime.run(made, feed)["step.x"]
        assert theirs.shape == (rows, STEPS)
        assert codec.decode([theirs.ravel()], ours.offsets)["x"].tolist() == ours.columns["x"].tolist()
        times = np.zeros((ROUNDS, 2))
        for one in times:
            for k, work in enumerate((partial(runtime.run, made, feed), job.run)):
                start = time.process_time()
                work()
                one[k] = time.process_time() - start
        onnx, python = np.median(times, 0) / STEPS * 1e6
        print(f"{rows} rows: {onnx:.0f} us a step, {python:.0f} in Python, {onnx / python:.2f} times")
        assert onnx <= 2 * python
