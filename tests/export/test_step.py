"""One step in ONNX Runtime, from state to state: sequences may begin at any time, and none sees the others."""

import jax.numpy as jnp
import numpy as np
import pytest

import unspool as us
from unspool.runtime.threefry import seed_words, uniforms

LATE, SEED = 3, 2**40 + 5


@pytest.fixture(scope="module")
def streamed(runtime, workshop, tmp_path_factory):
    """The names of 32 samples of two inputs, step by step, where the second half begins three steps later."""
    model = us.load(workshop.names)
    path = tmp_path_factory.mktemp("step") / "step.onnx"
    model.export(path, step=True)
    made, facts = runtime.session(path)
    inputs = {"country": ["Irish", "Greek"]}
    feed = runtime.fed(model, facts, inputs, 32, SEED)
    rows, late = len(feed["row"]), np.arange(64) >= 32
    for name, (dtype, shape) in facts["state"].items():
        feed[name] = np.zeros([rows if n == "B" else n for n in shape], dtype)
    seed = np.repeat(seed_words(SEED)[:, None], rows, 1)
    of_row, steps = [feed[name].astype(np.int32) for name in ("row", "sample")], []
    for t in range(facts["max_steps"] + LATE):
        number = np.where(late, max(t - LATE, 0), t)
        u = uniforms(seed, *of_row, jnp.asarray(number[None], jnp.int32), facts["uniforms"])
        feed |= {"number": number, "uniforms": np.asarray(u)[0]}
        out = runtime.run(made, feed)
        feed |= {name.replace("next", "state"): array for name, array in out.items() if name.startswith("next")}
        steps.append({**out, "uniforms": feed["uniforms"]})
    return model, facts, inputs, steps, late


def test_steps_in_a_row_are_the_sequences_of_python(runtime, streamed):
    model, facts, inputs, steps, late = streamed
    last = facts["max_steps"]

    def by_row(name):
        together = np.stack([step[name] for step in steps], 1)
        return np.where(late[:, None], together[:, LATE:], together[:, :last])

    alive = by_row("alive")
    out = {"step.name": by_row("step.name"), "length": alive.sum(1), "ended": alive.sum(1) < last}
    out["ended"] |= model.codec_.limit > 0
    assert runtime.differing(model, inputs, 32, SEED, out, facts) == ([], 64)


def test_parameters_and_hazard_are_those_that_the_step_was_sampled_from(streamed):
    first = streamed[3][0]
    mass = np.exp(first["params.name"] - first["params.name"].max(1, keepdims=True))
    beyond = mass.cumsum(1) > first["uniforms"][:, 1:] * mass.sum(1, keepdims=True)
    assert beyond.argmax(1).tolist() == first["step.name"].tolist()
    assert (first["uniforms"][:, 0] < 1 / (1 + np.exp(-first["hazard"]))).tolist() == (~first["alive"]).tolist()
    assert len(set(first["step.name"].tolist())) > 5


@pytest.mark.slow
def test_steps_of_every_kind_are_those_of_the_whole_generation(runtime, kinds, tmp_path):
    """Values and ends of 40 sequences, each step by step, beside the one graph that has all steps."""
    for name, (path, row) in kinds.items():
        model = us.load(path)
        inputs = {key: [value] for key, value in row.items()}
        model.export(tmp_path / "whole.onnx")
        model.export(tmp_path / "step.onnx", step=True)
        whole, facts = runtime.session(tmp_path / "whole.onnx")
        feed = runtime.fed(model, facts, inputs, 40, 3)
        wanted = runtime.run(whole, feed)
        made, facts = runtime.session(tmp_path / "step.onnx")
        for state, (dtype, shape) in facts["state"].items():
            feed[state] = np.zeros([40 if n == "B" else n for n in shape], dtype)
        seed, of_row = seed_words(3), [feed[key].astype(np.int32) for key in ("row", "sample")]
        longest = wanted["length"].max()
        u = np.asarray(uniforms(seed, *of_row, jnp.arange(longest), facts["uniforms"]))
        for t in range(longest):
            out = runtime.run(made, {**feed, "number": np.full(40, t), "uniforms": u[t]})
            feed |= {key.replace("next", "state"): array for key, array in out.items() if key.startswith("next")}
            real = t < wanted["length"]
            np.testing.assert_array_equal(out["alive"], real, err_msg=name)
            for step in facts["steps"]:
                np.testing.assert_allclose(out[step][real], wanted[step][real, t], 2e-4, 2e-5, err_msg=f"{name} {step}")
                assert len(out[step.replace("step", "params")]) == 40
