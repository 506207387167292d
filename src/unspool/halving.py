"""Weights rounded to float16, for pages that hold half as many bytes, where they give the same symbols."""

import copy
from typing import Any

import jax.numpy as jnp
import numpy as np

from unspool.generator import Generator
from unspool.network.decoder import Net
from unspool.network.serialization import weights
from unspool.sequences import Sequences

SEQUENCES = 32
"""Sequences that are compared: the samples from 0 on of seed 0, which a page shows first."""


def halved(model: Generator, inputs: Any) -> Net | None:
    """The network with its weights rounded to float16; `None` if the sequences of some inputs change a symbol.

    It is `None`, too, if a weight is too large for float16. Numbers, which move by about a thousandth, are not compared.
    """
    net = model.net_.map_weights(lambda weight: weight.astype(jnp.float16).astype(weight.dtype))
    if not all(np.isfinite(array).all() for array in weights(net).values()):
        return None
    other = copy.copy(model)
    other.net_ = net
    return net if _same(_made(model, inputs), _made(other, inputs)) else None


def _made(model: Generator, inputs: Any) -> Sequences:
    return model.sample(SEQUENCES, seed=0) if inputs is None else model.generate(inputs, SEQUENCES, seed=0)


def _same(one: Sequences, other: Sequences) -> bool:
    """Whether all lengths are equal, and all values but floating-point numbers."""
    symbols = [name for name, column in one.columns.items() if column.dtype.kind != "f"]
    return np.array_equal(one.offsets, other.offsets) and all(
        one.columns[name].tolist() == other.columns[name].tolist() for name in symbols
    )
