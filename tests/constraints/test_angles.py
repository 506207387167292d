"""What may be allowed of angles: a range of the circle, also one through the end of the period."""

import numpy as np
import pytest

from unspool.constraints.base import GivenBeside
from unspool.constraints.fields import constraints_of, read_allow
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.errors import Location, OptionError
from unspool.schema.fields import Angle, Schema


@pytest.fixture(scope="module")
def codec():
    """Headings from 0 to 360 with decimals, longitudes, and winds in whole tens, of which north is 360."""
    rng = np.random.default_rng(0)
    data = {
        "k": ["a"] * 40,
        "heading": rng.uniform(0, 360, (40, 3)).tolist(),
        "lon": rng.uniform(-180, 180, (40, 3)).tolist(),
        "wind": (10 * rng.integers(1, 37, (40, 3))).tolist(),
    }
    steps = [Angle("heading"), Angle("lon"), Angle("wind")]
    schema, examples = gather(data, inputs="k", sequence=steps)
    assert isinstance(schema, Schema)
    return fit_codec(schema, examples)


def support(codec, name, low, high):
    """The ends of the support of samples, in original units."""
    allowed = read_allow(codec, {name: (low, high)})
    k = [field.name for field in codec.schema.steps].index(name)
    found = constraints_of(codec)[k].support(allowed[k], None)
    return float(found.low[0]) * codec.steps[k].per_radian, float(found.high[0]) * codec.steps[k].per_radian


@pytest.mark.parametrize(
    ("name", "given", "ends"),
    [
        ("heading", (350, 10), (350, 10)),
        ("heading", (10, 350), (10, 350)),
        ("heading", (350, None), (350, 0)),
        ("heading", (None, 10), (0, 10)),
        ("heading", (360, 10), (0, 10)),
        ("heading", (0, 360), (0, 360)),
        ("heading", (360, 360), (0, 0)),
        ("lon", (170, -170), (170, -170)),
        ("wind", (350, 10), (350, 10)),
    ],
)
def test_a_range_is_the_part_of_the_circle_from_its_first_end_to_its_second(codec, name, given, ends) -> None:
    low, high = support(codec, name, *given)
    assert (low, high) == pytest.approx(ends, abs=1e-4)
    if given[0] not in (None, 360):
        assert low >= given[0]  # in float32, which samples have, too
    if given[1] not in (None, 360):
        assert high <= given[1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"heading": (350, 400)},
            r"angles from 0 to 360, as in training, found 400\. .*the end is \(350, 10\)",
        ),
        ({"heading": (-10, 10)}, r"angles from 0 to 360, as in training, found -10\. "),
        ({"lon": (170, 190)}, r"angles from -180 to 180, as in training, found 190\. .*\(170, -170\)"),
        ({"wind": (351, 359)}, "a range in which values lie, found 351 to 359"),
        ({"wind": (361, 9)}, "angles from 0 to 360"),
    ],
)
def test_a_range_that_is_not_on_the_circle_is_refused(codec, given, words) -> None:
    with pytest.raises(OptionError, match=words):
        read_allow(codec, given)


def test_a_pin_must_lie_in_a_range_through_the_end(codec) -> None:
    heading, (allowed, *_) = constraints_of(codec)[0], read_allow(codec, {"heading": (350, 10)})
    location = Location("pin", "heading", names=["step 0", "step 1", "step 2"])
    assert heading.encode_pins(0, [355.0, 5.0, 10.0], GivenBeside(allowed, location))[1].tolist() == [355.0, 5.0, 10.0]
    with pytest.raises(OptionError, match=r"step 1.*allows"):
        heading.encode_pins(0, [355.0, 45.0], GivenBeside(allowed, location))
