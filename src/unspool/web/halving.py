"""Weights rounded to float16, for pages that hold half as many bytes, where they give the same symbols."""

import copy
from typing import Any

import jax.numpy as jnp
import numpy as np

from unspool.errors import OptionError
from unspool.network.decoder import Net
from unspool.network.serialization import weights
from unspool.sequences import Sequences

SEQUENCES = 32
"""Sequences that are compared: the samples from 0 on of seed 0, which a page shows first."""


def halved(model: Any, inputs: Any) -> Net | None:
    """The network of a `OneToMany`, its weights rounded to float16; `None` if sequences of some inputs change a symbol.

    It is `None`, too, if a weight is too large for float16. Numbers move by about a thousandth, and are not compared.

    Raises:
        OptionError: no inputs, and a model that can't draw any.
    """
    if inputs is None and model.row_net_ is None and not model.schema_.is_unconditional:
        hint = "Pass explain(inputs={name: value}), of which sequences are compared."
        raise OptionError("explain(half=True)", "inputs, or a model that learned to draw them", "neither", hint)
    net = model.net_.map_weights(lambda weight: weight.astype(jnp.float16).astype(weight.dtype))
    if not all(np.isfinite(array).all() for array in weights(net).values()):
        return None
    other = copy.copy(model)
    other.net_ = net
    return net if _same(_made(model, inputs), _made(other, inputs)) else None


def _made(model: Any, inputs: Any) -> Sequences:
    made: Sequences = model.sample(SEQUENCES, seed=0) if inputs is None else model.generate(inputs, SEQUENCES, seed=0)
    return made


def _same(one: Sequences, other: Sequences) -> bool:
    """Whether all lengths are equal, and all values but floating-point numbers."""
    symbols = [name for name, column in one.columns.items() if column.dtype.kind != "f"]
    return np.array_equal(one.offsets, other.offsets) and all(
        one.columns[name].tolist() == other.columns[name].tolist() for name in symbols
    )
