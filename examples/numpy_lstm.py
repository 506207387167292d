"""A one-to-many LSTM in NumPy alone: samples the texts that Unspool samples, from a model file that Unspool wrote.

Run it with `python examples/numpy_lstm.py names.unspool Irish 5 0`: a model file, an input, how many, a seed.
"""

import json
import sys

import numpy as np


def read(path):  # 8 bytes of length, a JSON header, then the numbers of all arrays end to end: see docs/format.md
    data = np.fromfile(path, np.uint8).tobytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    config = json.loads(header.pop("__metadata__")["unspool"])
    parts = {name: data[slice(*(start + at for at in entry["data_offsets"]))] for name, entry in header.items()}
    return config, {name: np.frombuffer(part, "<f4").reshape(header[name]["shape"]) for name, part in parts.items()}


def threefry(key, *counter):  # Threefry-2x32, 20 rounds (Salmon et al. 2011): two words, and a key of two, are stirred
    k0, k1, x, y = (np.atleast_1d(np.uint32(word)) for word in (*key, *counter))
    keys, x, y = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA)), x + k0, y + k1
    for n in range(20):
        bits, turn = (13, 15, 26, 6, 17, 29, 16, 24)[n % 8], n // 4 + 1
        x, y = x + y, (y << bits | y >> 32 - bits) ^ (x + y)
        if n % 4 == 3:  # after each four rounds the key goes in again
            x, y = x + keys[turn % 3], y + keys[(turn + 1) % 3] + np.uint32(turn)
    return x, y


def lstm(z, c):  # one step: z holds the pre-activations of the gates input, forget, cell and output
    i, f, g, o = np.split(z, 4)
    i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c


def generate(config, w, value, row, sample, seed):
    inputs, steps, Z = config["codec"]["inputs"][0], config["codec"]["steps"][0], 4 * config["size"]
    context = np.tanh(w["inputs.0.rows"][inputs["values"].index(value)] @ w["project.0"] + w["context_bias"])
    h, c = lstm(context @ w["initial.0"] + w["initial_bias.0"], 0)  # the input becomes the state,
    constant = w["cells.0.b"] + (context @ w["cells.0.K"] if "cells.0.K" in w else 0)  # and is read at each step too
    fed, feedback, text = w["start"], w["steps.0.rows"] @ w["feedback.0"], ""  # the first step reads the start token
    key = threefry((seed >> 32, seed & 0xFFFFFFFF), row, sample)
    for step in range(config["codec"]["limit"] or 2 * config["codec"]["longest"]):
        h, c = lstm(fed[:Z] + constant + h @ w["cells.0.R"], c)
        u = ((threefry(key, step, [0, 1])[0] >> 9) + 0.5) / 2**23  # two uniforms inside (0, 1)
        if u[0] < 1 / (1 + np.exp(-h @ w["stop.0"] - fed[-1] - w["stop.1"][min(step, len(w["stop.1"]) - 1)])):  # stop?
            break
        logits = h @ w["outputs.0.A"] + w["outputs.0.b"] + fed[Z:-1]  # of the symbols that training saw, no others
        upto = np.exp(logits - logits.max()).cumsum()
        symbol = np.argmax(upto > u[1] * upto[-1])  # the one whose part of the cumulative distribution holds u[1]
        text, fed = text + steps["values"][symbol], feedback[symbol]  # the output is the next input
    return text


if __name__ == "__main__":
    for number in range(int(sys.argv[3])):
        print(generate(*read(sys.argv[1]), sys.argv[2], 0, number, int(sys.argv[4])))
