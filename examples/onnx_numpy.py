"""Sequences from an ONNX file that `unspool export` wrote, with ONNX Runtime and NumPy alone: no Unspool, no JAX.

Run it with `python examples/onnx_numpy.py names.onnx country=Irish 5 0`: a file, its inputs, how many, a seed. It knows
categories, texts and numbers; docs/format.md tells how dates, flags, angles and the rest are decoded.
"""

import json
import sys

import numpy as np
import onnxruntime

AXES = {"log1p": (np.log1p, np.expm1), "asinh": (np.arcsinh, np.sinh), "log_return": (np.log, np.exp)}


def to_axis(column, x):  # a number on the axis on which the network sees it, before it is standardized
    return AXES.get(column["transform"], [np.asarray])[0](float(x) / column["unit"])


def encode(column, value):  # a category becomes its number, a number its distance from the mean in standard deviations
    if column["kind"] == "vocabulary":
        return np.int32(column["values"].index(value))
    return np.float32([(to_axis(column, value) - column["loc"]) / column["scale"]])


def decode(column, encoded, start):
    if column["kind"] == "vocabulary":
        return [column["values"][code] for code in encoded]
    if column["kind"] != "numeric":
        sys.exit(f"{column['kind']}: this program knows categories, texts and numbers")
    y, adds_up = encoded * column["scale"] + column["loc"], column["transform"] in ("difference", "log_return")
    if adds_up and np.isnan(start):  # nothing comes before the first value, which has a mean of its own
        y[:1] = encoded[:1] * column["first_scale"] + column["first_loc"]
    y = np.cumsum(y) + np.nan_to_num(start) if adds_up else y
    x = AXES.get(column["transform"], [np.asarray])[-1](y) * column["unit"]
    return x.tolist() if column["decimals"] is None else np.round(x, column["decimals"]).tolist()


def generate(path, given, n, seed):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["unspool"])
    columns = dict(zip(facts["steps"], facts["codec"]["steps"], strict=True))
    feed = {"seed": np.array(seed, np.uint64), "row": np.zeros(n, np.int64), "sample": np.arange(n)}
    for name, column in zip(facts["inputs"], facts["codec"]["inputs"], strict=True):
        feed[name] = np.stack([encode(column, given[name.removeprefix("input.")])] * n)
    starts = dict.fromkeys(columns, np.nan)
    for fact in facts["starts"]:  # columns whose changes the network sees go on from a value among the inputs
        starts["step." + fact["step"]] = y = to_axis(columns["step." + fact["step"]], given[fact["input"]])
        low, high, floor, ceiling = (float(fact.get(name, "nan")) for name in ("low", "high", "floor", "ceiling"))
        low, high = np.fmin(low, y - fact.get("down", 0)), np.fmax(high, y + fact.get("up", 0))
        ends = {"start": y, "low": np.fmax(low, floor), "high": np.fmin(high, ceiling)}
        feed |= {f"{end}.{fact['step']}": np.full(n, (at - y) / fact["unit"], np.float32) for end, at in ends.items()}
    out = session.run(None, {item.name: feed[item.name] for item in session.get_inputs()})
    made = {item.name: array for item, array in zip(session.get_outputs(), out, strict=True)}
    return [{c: decode(columns[c], made[c][k, : made["length"][k]], starts[c]) for c in columns} for k in range(n)]


if __name__ == "__main__":
    for sequence in generate(sys.argv[1], dict(item.split("=") for item in sys.argv[2:-2]), *map(int, sys.argv[-2:])):
        print(json.dumps({name.removeprefix("step."): values for name, values in sequence.items()}))
