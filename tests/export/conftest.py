"""Exported models in ONNX Runtime, and what they make beside what Python makes."""

import json
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from unspool.jobs import GenerationOptions, generation_job

CLOSE = 1e-5
"""Distance of numbers, relative to the range of their column."""


def session(path):
    """A file in ONNX Runtime, and the facts in its metadata."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    made = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return made, json.loads(made.get_modelmeta().custom_metadata_map["unspool"])


def run(made, feed):
    """The outputs of a session by name."""
    known = {item.name for item in made.get_inputs()}
    assert known <= feed.keys()
    outputs = [item.name for item in made.get_outputs()]
    return dict(zip(outputs, made.run(None, {name: feed[name] for name in known}), strict=True))


def fed(model, facts, inputs, n, seed):
    """What n sequences of each input ask of a graph."""
    request = generation_job(model._generator(), inputs, n, GenerationOptions(seed=seed)).request
    row = np.repeat(np.arange(len(request.inputs[0])), n)
    feed = {"seed": np.array(seed, np.uint64), "row": row, "sample": np.tile(np.arange(n), len(row) // n)}
    for name, array in zip(facts["inputs"], request.inputs, strict=False):
        feed[name] = array[row].astype(np.int32 if array.dtype.kind == "i" else np.float32)
    for fact in facts["starts"]:
        j = facts["steps"].index("step." + fact["step"])
        y, ends = request.origins[j].at, {"start": request.origins[j].start}
        if "low" in fact:  # as docs/format.md says
            ends["low"] = (float(fact["low"]) - y) / fact["unit"]
            ends["high"] = np.minimum((float(fact["high"]) - y) / fact["unit"], fact.get("most", np.inf))
            if "down" in fact:
                down, up = (
                    np.where(np.isnan(ends["start"]), 0.0, fact[name] / fact["unit"]) for name in ("down", "up")
                )
                floor, ceiling = ((fact.get(name, np.nan) - y) / fact["unit"] for name in ("floor", "ceiling"))
                ends["low"] = np.fmax(np.minimum(ends["low"], -down), floor)
                ends["high"] = np.fmin(np.maximum(ends["high"], up), ceiling)
            for end, known in zip((ends["low"], ends["high"]), request.supports[j], strict=False):
                np.testing.assert_allclose(np.broadcast_to(known, len(end)), end, rtol=1e-9)
        feed |= {f"{name}.{fact['step']}": np.broadcast_to(end, len(row) // n)[row] for name, end in ends.items()}
    return {
        name: array.astype(np.float32) if getattr(array, "dtype", None) == np.float64 else array
        for name, array in feed.items()
    }


def differing(model, inputs, n, seed, out, facts, **options):
    """The numbers of the sequences that are not those of Python, and how many there are.

    A symbol may not differ, a number by a hundred-thousandth of its range.
    """
    made = model.generate(inputs, n, seed=seed, **options)
    real = np.arange(next(iter(out.values())).shape[1]) < out["length"][:, None]
    offsets = np.concatenate([[0], np.cumsum(out["length"])])
    before = {name: np.repeat(column, n) for name, column in model.codec_.bases(inputs).items()}
    theirs = model.codec_.decode([out[name][real] for name in facts["steps"]], offsets, before)
    bad = {int(k) for k in np.flatnonzero((np.diff(made.offsets) != out["length"]) | (made.ended != out["ended"]))}
    for name, ours in made.columns.items():
        known = [x for x in np.asarray(ours).tolist() if isinstance(x, float) and np.isfinite(x)]
        slack = CLOSE * max(np.ptp(known), np.max(np.abs(known))) if known else 0.0
        for k in sorted(set(range(len(made))) - bad):
            one = ours[made.offsets[k] : made.offsets[k + 1]]
            other = theirs[name][offsets[k] : offsets[k + 1]]
            if not (
                np.allclose(one, other, rtol=0, atol=slack, equal_nan=True) if known else np.array_equal(one, other)
            ):
                bad.add(k)
    return sorted(bad), len(made)


@pytest.fixture(scope="session")
def runtime():
    """The functions of this file."""
    return SimpleNamespace(session=session, run=run, fed=fed, differing=differing)
