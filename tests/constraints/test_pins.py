"""A pinned value comes out as it went in, later samples depend on it, and contradictions are refused."""

import datetime as dt
import itertools

import numpy as np
import pytest

import unspool as us
from unspool import jobs
from unspool.errors import OptionError, SchemaError, UnknownCategory
from unspool.generation import sampler

pytestmark = pytest.mark.slow  # two whole models are fitted

ROWS = 60
INPUTS = {"kind": ["a", "b", "a"], "height": [3.0, 4.5, 2.0]}
DAY = np.datetime64("2024-01-01")


def visits():
    """Events of fields of every kind: dates that never fall, differences, log-returns, counts, flags, a category."""
    rng = np.random.default_rng(0)
    names = ("id", "t", "kind", "day", "height", "price", "visits", "cents", "fever", "cough", "mood")
    table = {name: [] for name in names}
    for k in range(ROWS):
        n = int(rng.integers(3, 9))
        table["id"] += [k] * n
        table["t"] += range(n)
        table["kind"] += ["ab"[k % 2]] * n
        table["day"] += [str(day) for day in DAY + np.cumsum(rng.integers(1, 20, n))]
        table["height"] += np.round(np.clip(np.cumsum(rng.normal(size=n)) + 5, 0.0, 10.0), 3).tolist()
        table["price"] += np.exp(np.cumsum(0.1 * rng.normal(size=n)) + 3).tolist()
        table["visits"] += rng.poisson(3, n).tolist()
        table["cents"] += np.where(rng.random(n) < 0.2, np.nan, np.round(rng.gamma(2.0, 10.0, n), 2)).tolist()
        table["fever"] += (rng.random(n) < 0.3).tolist()
        table["cough"] += (rng.random(n) < 0.6).tolist()
        table["mood"] += rng.choice(["low", "mid", "high"], n).tolist()
    return table


@pytest.fixture(scope="module")
def model():
    steps = [
        "day",
        us.Number("height", transform="difference", bounds=(0.0, 10.0)),
        us.Number("price", transform="log_return"),
        us.Count("visits"),
        "cents",
        us.Flags("signs", ["fever", "cough"]),
        "mood",
    ]
    options = {"network": us.Network(size=8), "training": us.Training(epochs=2, holdout=0.2), "verbose": False}
    return us.OneToMany(["kind", us.First("height")], steps, **options).fit(visits(), id="id", order="t")


@pytest.fixture(scope="module")
def names():
    tables = {"kind": ["up", "down"] * 12, "name": ["abcd", "dcba", "abc", "dcb"] * 6}
    network, training = us.Network(size=8), us.Training(epochs=2, holdout=0)
    return us.OneToMany("kind", "name", verbose=False, network=network, training=training).fit(tables)


PINS = {
    4: {"day": "2024-03-05", "height": 7.25, "price": 33.125, "visits": 11, "cents": 12.34, "mood": "high"},
    6: {"cents": None, "fever": True, "visits": 0},
}


def assert_pinned(sequence):
    for step, pins in PINS.items():
        expected = pins | ({"day": day("2024-03-05")} if "day" in pins else {})
        assert {name: sequence[step][name] for name in pins} == expected


def day(text):
    return np.datetime64(text, "us").item()


def close(one, other):
    """Two records alike: symbols and dates to a second, numbers within 1e-4 of their size, or as they are rounded."""
    for a, b in zip(one, other, strict=True):
        for name in a:
            if isinstance(a[name], float) and b[name] is not None:
                assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1.1e-3), name
            elif isinstance(a[name], dt.datetime):
                assert abs((a[name] - b[name]).total_seconds()) < 1
            else:
                assert a[name] == b[name], name
    assert len(one) == len(other)


@pytest.fixture(scope="module")
def pinned(model):
    return list(model.generate(INPUTS, n=3, seed=1, pin=PINS))


# ---- what a pin is -------------------------------------------------------------------------------------------------


def test_every_kind_of_field_comes_out_as_it_was_pinned(pinned):
    """And no sequence stops before its last pinned step."""
    for sequence in pinned:
        assert len(sequence) >= 7
        assert_pinned(sequence)


def test_what_comes_before_a_pin_is_as_it_was(model, pinned):
    """But for the dates, which must not pass the pinned one."""
    free = list(model.generate(INPUTS, n=3, seed=1, length=9))
    later = list(model.generate(INPUTS, n=3, seed=1, length=9, pin={4: {"height": 7.25}}))
    for one, other in zip(free, later, strict=True):
        close(one[:4], other[:4])
        assert one[5] != other[5]


def test_what_never_falls_stays_below_a_later_pin(model):
    """However early it is; and it goes on from it."""
    made = model.generate(INPUTS, n=20, seed=1, pin={5: {"day": "2024-01-09"}}, length=9)
    for sequence in made:
        days = [step["day"] for step in sequence]
        assert days == sorted(days)
        assert days[5] == day("2024-01-09")


def test_what_adds_up_goes_on_from_a_pin(model):
    """The step after the pinned one has the sampled change, so the values after it move along."""
    low, high = (
        [[step["height"] for step in s] for s in model.generate(INPUTS, n=40, seed=1, length=9, pin={4: {"height": h}})]
        for h in (2.0, 8.0)
    )
    assert np.mean([s[5] for s in high]) - np.mean([s[5] for s in low]) > 3
    assert all(abs(s[5] - 8.0) < 6 for s in high)


def test_later_fields_of_the_step_and_later_steps_are_sampled_given_it(names):
    """In a text, a character at a position; it holds under greedy too."""
    pin = {1: "a"}
    assert {text[1] for text in names.generate({"kind": "up"}, n=20, seed=0, length=4, pin=pin)} == {"a"}
    assert names.generate({"kind": "up"}, rule="greedy", length=4, pin=pin)[0][1] == "a"


def test_a_pin_of_all_fields_of_the_first_steps_is_a_prefix(model):
    prefix = list(model.generate({"kind": "a", "height": 3.0}, seed=2, length=3)[0])
    pins = dict(enumerate(prefix))
    one = model.generate({"kind": "a", "height": 3.0}, n=3, seed=5, prefix=prefix, length=8)
    other = model.generate({"kind": "a", "height": 3.0}, n=3, seed=5, pin=pins, length=8)
    both = model.generate({"kind": "a", "height": 3.0}, n=3, seed=5, pin=pins, prefix=prefix, length=8)
    assert list(one) == list(other) == list(both)
    assert one[0][:3] == prefix


def test_each_row_may_have_its_own(names):
    made = names.generate({"kind": ["up", "down"]}, n=2, seed=0, length=4, pin=[{0: "d"}, {2: {"name": "a"}, 3: "b"}])
    assert [text[0] for text in made[:2]] == ["d", "d"]
    assert [text[2:] for text in made[2:]] == ["ab", "ab"]


def test_inputs_may_be_sampled_too(model):
    for sequence in model.sample(5, seed=3, pin=PINS):
        assert_pinned(sequence)
    each = model.sample(3, seed=3, pin=[{0: {"mood": mood}} for mood in ("low", "mid", "high")], length=1)
    assert [sequence[0]["mood"] for sequence in each] == ["low", "mid", "high"]


def test_a_beam_searches_around_pins(names):
    """The likeliest of the sequences that have it: no sampled one with it is likelier."""
    found = names.generate({"kind": "up"}, length=3, rule=us.Beam(width=64, best=4), pin={1: "a"})
    assert [text[1] for text in found] == ["a"] * 4
    assert len(set(found)) == 4
    asked = {"kind": ["up"] * 4**2, "name": [f"{x}a{y}" for x, y in itertools.product("abcd", repeat=2)]}
    nats = dict(zip(asked["name"], names.log_prob_by_field(asked)[:, 0], strict=True))
    assert list(found) == sorted(nats, key=nats.get, reverse=True)[:4]


# ---- the promise ---------------------------------------------------------------------------------------------------


def test_pins_do_not_depend_on_batch_nor_order(model, pinned):
    for row in range(3):
        alone = {name: values[: row + 1] for name, values in INPUTS.items()}
        for one, other in zip(model.generate(alone, n=3, seed=1, pin=PINS), pinned, strict=False):
            close(one, other)


@pytest.mark.parametrize("tile", [2, 4])
def test_tiles_do_not_show_pins(model, pinned, monkeypatch, tile):
    monkeypatch.setattr(sampler, "TILE_ROWS", tile)
    for one, other in zip(model.generate(INPUTS, n=3, seed=1, pin=PINS), pinned, strict=True):
        close(one, other)


def test_a_stream_has_the_pins_of_the_whole(model):
    """Across chunks: a pin in the third chunk of eight steps, and one before."""
    pins = {3: {"height": 9.5, "day": "2024-02-01"}, 18: {"height": 0.5, "day": "2026-02-01", "price": 50.0}}
    asked = {"inputs": INPUTS, "n": 2, "seed": 4, "pin": pins, "length": 21}
    whole = list(model.generate(**asked))
    parts = {}
    for event in model.stream(**asked):
        parts.setdefault((event.row, event.sample), []).append(event.value)
    for one, other in zip(parts.values(), whole, strict=True):
        close(one, other)
        assert one[18]["height"] == other[18]["height"] == 0.5


def test_parts_of_a_file_have_the_pins_of_the_whole(model, monkeypatch, tmp_path):
    monkeypatch.setattr(jobs, "MAX_PART_STEPS", 4 * 14)
    model.generate(INPUTS, n=3, seed=1, pin=PINS, length=8).save(tmp_path / "one.csv", long=True)
    model.generate_to(tmp_path / "many.csv", INPUTS, n=3, seed=1, pin=PINS, length=8, long=True)
    one, many = ((tmp_path / f"{name}.csv").read_text().splitlines() for name in ("one", "many"))
    assert [line.split(",")[:5] for line in one] == [line.split(",")[:5] for line in many]
    assert len(one) == len(many)


# ---- bounds --------------------------------------------------------------------------------------------------------


def test_a_difference_keeps_both_of_its_bounds(model):
    """Long enough to run into either; it isn't held at a bound once it is there."""
    made = model.generate(INPUTS, n=50, seed=6, length=60)
    heights = np.array([[step["height"] for step in sequence] for sequence in made])
    assert heights.min() >= 0.0
    assert heights.max() <= 10.0
    assert (heights > 9).any()
    assert (heights < 1).any()
    stuck = (heights[:, 1:] == heights[:, :-1]).mean()
    assert stuck < 0.2


# ---- what is allowed -----------------------------------------------------------------------------------------------


def test_only_what_is_allowed_is_sampled(model):
    allow = {
        "mood": ["low", "high"],
        "height": (2.0, 6.5),
        "visits": (None, 4),
        "cents": (5.0, 30.0),
        "fever": [False],
        "day": (None, "2024-03-01"),
        "price": (10.0, None),
    }
    made = model.generate(INPUTS, n=20, seed=6, length=12, allow=allow)
    steps = [step for sequence in made for step in sequence]
    assert {step["mood"] for step in steps} == {"low", "high"}
    assert not any(step["fever"] for step in steps)
    assert any(step["cough"] for step in steps)
    for name, low, high in (("height", 2.0, 6.5), ("visits", 0, 4), ("price", 10.0, np.inf), ("cents", 5.0, 30.0)):
        values = [step[name] for step in steps if step[name] is not None]
        assert low <= min(values)
        assert max(values) <= high
        assert len(set(values)) > 3
    assert any(step["cents"] is None for step in steps)
    assert max(step["day"] for step in steps) <= day("2024-03-01")


def test_a_beam_finds_only_what_is_allowed(names):
    found = names.generate({"kind": "up"}, length=3, rule=us.Beam(width=8, best=4), allow={"name": "bd"})
    assert {sign for text in found for sign in text} <= {"b", "d"}
    assert len(set(found)) == 4
    with pytest.raises(OptionError, match="no more sequences than there are"):
        names.generate({"kind": "up"}, length=1, rule=us.Beam(width=8, best=3), allow={"name": "bd"})


@pytest.mark.parametrize("rule", ["sample", "greedy", us.Beam(width=8, best=4)])
def test_a_prefix_need_not_be_what_is_allowed(names, rule):
    for text in names.generate({"kind": "up"}, length=4, seed=0, prefix="ac", allow={"name": "bd"}, rule=rule):
        assert text[:2] == "ac"
        assert set(text[2:]) <= {"b", "d"}


FORBIDDEN = {
    "an unknown value": ({"mood": ["hihg"]}, UnknownCategory, r"'mood'.*Did you mean 'high'"),
    "an unknown column": ({"mod": ["high"]}, OptionError, r"columns of a step.*Did you mean 'mood'"),
    "no value": ({"mood": []}, OptionError, r"'mood'.*at least one"),
    "no range": ({"height": 3.0}, OptionError, r"'height'.*\(low, high\)"),
    "a range upside down": ({"height": (3.0, 2.0)}, OptionError, r"a range in which values lie.*3.0 to 2.0"),
    "a range beyond the bounds": ({"height": (11.0, None)}, OptionError, "a range in which values lie"),
    "a range between whole numbers": ({"visits": (1.2, 1.8)}, SchemaError, "whole number"),
    "dates before the first one": ({"day": (None, "2020-01-01")}, OptionError, "the value before step 0"),
    "no form": ([1], OptionError, r"\{column: values\}"),
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_what_can_not_be_allowed_is_refused_before_anything_is_made(model, monkeypatch, case):
    monkeypatch.setattr(sampler, "launch", None)
    allow, error, words = FORBIDDEN[case]
    with pytest.raises(error, match=words):
        model.generate(INPUTS, allow=allow)


@pytest.mark.parametrize(
    ("pin", "allow"),
    [
        ({"mood": "mid"}, {"mood": ["low", "high"]}),
        ({"height": 7.0}, {"height": (2, 6)}),
        ({"fever": True}, {"fever": [False]}),
    ],
)
def test_a_pin_that_is_not_allowed_is_refused(model, pin, allow):
    with pytest.raises(OptionError, match=r"step 2.*allows"):
        model.generate(INPUTS, pin={2: pin}, allow=allow)


# ---- what is refused -----------------------------------------------------------------------------------------------

REFUSED = {
    "a bound below": ({1: {"height": -1.0}}, OptionError, r"step 1.*'height'.*at least 0.*-1.*bounds"),
    "a bound above": ({1: {"height": 10.5}}, OptionError, r"step 1.*at most 10.*10.5"),
    "pins that fall": (
        {1: {"day": "2024-02-01"}, 3: {"day": "2024-01-31"}},
        OptionError,
        r"step 3.*'day'.*2024-02-01.*step 1.*never falls.*2024-01-31",
    ),
    "an unknown category": ({2: {"mood": "hihg"}}, UnknownCategory, r"step 2.*'mood'.*low.*Did you mean 'high'"),
    "an unknown column": ({2: {"mod": "high"}}, OptionError, r"step 2.*columns of a step.*Did you mean 'mood'"),
    "a step that is none": ({-1: {"mood": "high"}}, OptionError, "counted from 0.*-1"),
    "no columns": ({1: "high"}, OptionError, r"\{column: value\}"),
    "another form": (3, OptionError, r"\{step: \{column: value\}\}"),
    "half a visit": ({1: {"visits": 1.5}}, SchemaError, "whole number"),
    "too many decimals": ({1: {"cents": 1.2345}}, OptionError, "at most 2 decimals.*1.2345"),
    "a missing value where there is none": ({1: {"mood": None}}, SchemaError, "none was missing"),
    "a missing flag": ({1: {"fever": None}}, SchemaError, "none was missing"),
    "a number that is none": ({1: {"price": "dear"}}, SchemaError, r"step 1, column 'price'.*number"),
    "a price below zero": ({1: {"price": -3.0}}, SchemaError, "above 0"),
    "a flag that is none": ({1: {"fever": "perhaps"}}, SchemaError, "step 1, column 'fever'"),
    "past the limit": ({10_000: {"mood": "low"}}, OptionError, r"step 10000.*before the limit"),
    "too few": ([{1: {"mood": "low"}}], SchemaError, "each of the 3 rows.*1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_pin_that_can_not_be_is_refused_before_anything_is_made(model, monkeypatch, case):
    monkeypatch.setattr(sampler, "launch", None)
    pin, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        model.generate(INPUTS, pin=pin)


def test_a_pin_past_the_length_or_against_the_prefix_is_refused(names):
    with pytest.raises(OptionError, match="step 4: expected steps before the length, 4"):
        names.generate({"kind": "up"}, length=4, pin={4: "a"})
    with pytest.raises(OptionError, match=r"step 1.*the prefix"):
        names.generate({"kind": "up"}, prefix="ab", pin={1: "a"})
    assert names.generate({"kind": "up"}, prefix="ab", pin={1: "b", 2: "d"})[0].startswith("abd")
