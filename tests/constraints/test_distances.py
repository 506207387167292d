"""Given values of columns that are learned as a distance from others, or derived from them."""

import numpy as np
import pytest

from unspool.constraints.fields import read_allow
from unspool.constraints.pins import encode_observed
from unspool.dataset.gather import gather
from unspool.encoding.codec import Codec
from unspool.encoding.fit import fit_codec
from unspool.errors import OptionError, SchemaError

RNG = np.random.default_rng(8)
LOW = np.round(RNG.normal(size=(60, 4)), 2)
HIGH = np.round(LOW + RNG.exponential(size=(60, 4)), 2)
ROWS = [
    [{"high": h, "low": low, "sum": round(h + low, 2)} for low, h in zip(lows, highs, strict=True)]
    for lows, highs in zip(LOW.tolist(), HIGH.tolist(), strict=True)
]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return fit_codec(*gather({"k": list(range(60)), "x": ROWS}, inputs="k", sequence="x"))


def observe(codec: Codec, **given: object) -> dict[str, list[float]]:
    observed = encode_observed(codec, given.get("prefix"), given.get("pin"), 1, None, (None,) * len(codec.steps))
    assert observed is not None
    exact = {}
    for field, known in zip(codec.schema.steps, observed.fields, strict=True):
        assert known.exact is not None
        exact[field.name] = known.exact.tolist()
    return exact


def test_a_prefix_is_given_as_it_is(codec: Codec) -> None:
    assert observe(codec, prefix=ROWS[0][:2]) == {
        "high": [step["high"] for step in ROWS[0][:2]], "low": [step["low"] for step in ROWS[0][:2]],
    }  # fmt: skip


def test_a_prefix_that_breaks_a_relation_is_refused(codec: Codec) -> None:
    with pytest.raises(SchemaError, match="column 'low': expected at most the value of high, 1"):
        observe(codec, prefix=[{"high": 1.0, "low": 2.0, "sum": 3.0}])
    with pytest.raises(SchemaError, match="expected sum = high \\+ low"):
        observe(codec, prefix=[{"high": 2.0, "low": 1.0, "sum": 4.0}])


def test_a_distance_is_pinned_beside_its_references(codec: Codec) -> None:
    assert observe(codec, pin={0: {"high": 2.0, "low": 1.5}})["low"] == [1.5]
    with pytest.raises(OptionError, match="step 0, column 'low': expected given values of 'high' too"):
        observe(codec, pin={0: {"low": 1.5}})
    with pytest.raises(SchemaError, match="at most the value of high"):
        observe(codec, pin={0: {"high": 1.0, "low": 1.5}})


def test_a_derived_column_is_neither_pinned_nor_allowed(codec: Codec) -> None:
    for call in (lambda: observe(codec, pin={0: {"sum": 1.5}}), lambda: read_allow(codec, {"sum": (0, 1)})):
        with pytest.raises(OptionError, match="'sum', which is derived: sum = high \\+ low"):
            call()
    with pytest.raises(OptionError, match="'low', which is learned as a distance from 'high'"):
        read_allow(codec, {"low": (0, 1)})
