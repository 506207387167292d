"""Bounds that training shows hold in every generated value, whatever the transform and however wild the network."""

import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.generation.sampler import SampleRequest, sample_sequences
from unspool.generation.support import with_support
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN
from unspool.options import Network
from unspool.schema.fields import Number

SEQUENCES, STEPS = 40, 15
RNG = np.random.default_rng(0)
PERCENT = 100 * RNG.beta(0.7, 0.7, (SEQUENCES, STEPS))
RISING = np.minimum(np.sort(PERCENT, 1) * 1.2, 100)
PERCENT[:, 3] = 100.0
CASES = {
    "standardize": (PERCENT, (0.0, 100.0)),
    "log1p": (PERCENT, (0.0, 100.0)),
    "asinh": (-PERCENT, (-100.0, 0.0)),
    "difference": (PERCENT, (0.0, 100.0)),
    "log_return": (PERCENT + 1e-3 * (PERCENT < 1), (0.0, 100.0)),
    "increment": (RISING, (0.0, 100.0)),
    "decrement": (100 - RISING, (0.0, 100.0)),
}


def generated(values, field):
    """(S,) values of a network with large random weights, and the fitted column."""
    table = {"k": ["a", "b"] * (SEQUENCES // 2), "x": values.tolist()}
    codec = fit_codec(*gather(table, inputs="k", sequence=field))
    shape = architecture_of(codec, Network(dropout=0.0), 8, 8)
    net = Net(np.random.default_rng(1), shape).map_weights(lambda w: 4 * w)
    inputs = codec.encode_inputs({"k": ["a", "b"]})
    request = with_support(SampleRequest(inputs, 100, 1, PLAIN, STEPS, STEPS), codec, {}, 2)
    steps, offsets, _ = sample_sequences(net, request)
    return codec.decode(steps, offsets)["x"], codec.steps[0]


@pytest.mark.parametrize("transform", CASES)
def test_no_generated_value_is_beyond_a_bound_that_training_shows(transform) -> None:
    values, (low, high) = CASES[transform]
    x, column = generated(values, Number("x", transform))
    assert {"increment": None}.get(transform, column.floor) in (None, low)
    assert (column.ceiling == high) or transform == "decrement"
    assert f"{high:g}" in column.describe() or transform == "decrement"
    assert x.min() >= low
    assert x.max() <= high
    assert np.isfinite(x).all()


def test_bounds_can_be_switched_off() -> None:
    x, column = generated(CASES["standardize"][0], Number("x", "standardize", bounds=None))
    assert (column.floor, column.ceiling) == (None, None)
    assert "never" not in column.describe()
    assert x.max() > 100
    assert x.max() <= 1000  # and yet no value runs away
