"""Numbers that never rise in training never rise in generation: sequences, streams, pins and prefixes."""

import itertools

import numpy as np
import pytest

import unspool as us
from unspool.errors import OptionError

LOANS, MONTHS = 40, 10
INPUTS = {"kind": [0, 1], "left": [950.0, 400.0]}


def loans():
    """What is left of a loan, in cents and missing at times; what is owed, which falls below 0; and what is paid.

    The first row of each has what is left before step 0. Only what is left is on a grid.
    """
    rng = np.random.default_rng(5)
    paid = rng.gamma(1.0, 60.0, (LOANS, MONTHS)).cumsum(1)
    granted = rng.uniform(300, 1000, (LOANS, 1))
    left = np.round(np.maximum(granted - paid, 0.0), 2)
    left[:, 1:][rng.random((LOANS, MONTHS - 1)) < 0.1] = np.nan
    ids = np.repeat(np.arange(LOANS), MONTHS)
    owed = 100 - rng.gamma(0.5, 40.0, (LOANS, MONTHS)).cumsum(1)
    return {"id": ids, "kind": ids % 2, "left": left.ravel(), "owed": owed.ravel(), "paid": paid.ravel()}


@pytest.fixture(scope="module")
def model():
    """Of a network that has learned next to nothing."""
    options = {"network": us.Network(size=8), "training": us.Training(epochs=2, draw_inputs=False), "verbose": False}
    return us.OneToMany(["kind", us.First("left")], ["left", "owed", "paid"], **options).fit(
        loans(), id="id", order=None
    )


def column(sequence, name):
    """The present values of a column of a sequence."""
    return [step[name] for step in sequence if step[name] is not None]


def never_rises(values):
    return all(later <= before for before, later in itertools.pairwise(values))


def test_inference_distinguishes_falling_from_rising_numbers(model):
    assert [field.transform for field in model.codec_.schema.steps] == ["decrement", "decrement", "increment"]
    assert [step.floor for step in model.codec_.steps] == [0.0, None, None]


def test_nothing_that_is_made_ever_rises(model):
    """Nor is it more than the input says it was; far past the lengths of training, where it meets its end."""
    made = model.generate(INPUTS, n=50, seed=1, length=60)
    for k, sequence in enumerate(made):
        left = [INPUTS["left"][k // 50], *column(sequence, "left")]
        assert never_rises(left)
        assert left[-1] >= 0
        assert all(value == round(value, 2) for value in left)
        assert never_rises(column(sequence, "owed"))
        assert never_rises([-value for value in column(sequence, "paid")])
    assert min(column(sequence, "left")[-1] for sequence in made) == 0
    assert min(column(sequence, "owed")[-1] for sequence in made) < 0
    assert any(step["left"] is None for sequence in made for step in sequence)


@pytest.mark.slow
def test_a_stream_is_the_whole(model):
    parts = {}
    for event in model.stream(INPUTS, n=3, seed=2, length=20):
        parts.setdefault((event.row, event.sample), []).append(event.value)
    for one, other in zip(parts.values(), model.generate(INPUTS, n=3, seed=2, length=20), strict=True):
        assert never_rises(column(one, "left"))
        for name in ("left", "owed", "paid"):
            assert column(one, name) == pytest.approx(column(other, name), rel=1e-4, abs=0.011)


@pytest.mark.slow
def test_what_comes_before_a_pin_has_not_passed_it_by_a_hair(model):
    """Off a grid float32 rounds the last steps before a pin, in the whole and across the parts of a stream."""
    pinned = {"left": 250.0, "owed": 33.3, "paid": 123.4}
    asked = {"inputs": INPUTS, "seed": 3, "length": 16, "pin": {12: pinned}}
    parts = {}
    for event in model.stream(n=20, **asked):
        parts.setdefault((event.row, event.sample), []).append(event.value)
    for sequence in [*model.generate(n=300, **asked), *parts.values()]:
        assert sequence[12] == pinned
        assert never_rises(column(sequence, "left"))
        assert never_rises(column(sequence, "owed"))
        assert never_rises([-value for value in column(sequence, "paid")])


def test_what_starts_below_its_bound_stays_where_it_is(model):
    """An account that is overdrawn, by much or by a cent."""
    for start in (-250.0, -0.01):
        for allow in (None, {"left": (None, 50.0)}):
            made = model.generate({"kind": 0, "left": start}, n=5, seed=4, length=8, allow=allow)
            assert {value for sequence in made for value in column(sequence, "left")} == {start}


def test_only_what_is_allowed_is_left(model):
    made = model.generate(INPUTS, n=30, seed=5, length=30, allow={"left": (120.0, 380.0)})
    values = [value for sequence in made for value in column(sequence, "left")]
    assert min(values) >= 120.0
    assert max(values) <= 380.0
    assert all(never_rises(column(sequence, "left")) for sequence in made)


def test_each_row_has_its_own_pins_and_what_contradicts_them_is_named(model):
    made = model.generate(INPUTS, n=20, seed=7, length=6, pin=[{3: {"left": 910.5}}, {3: {"left": 0.0}}])
    for k, sequence in enumerate(made):
        assert sequence[3]["left"] == (910.5 if k < 20 else 0.0)
        assert never_rises(column(sequence, "left"))
    with pytest.raises(
        OptionError, match=r"row 1, step 3.*'left'.*no more than 400, the value before.*rises, found 500"
    ):
        model.generate(INPUTS, pin=[{3: {"left": 500.0}}, {3: {"left": 500.0}}])


PREFIX = [{"left": 300.0, "owed": 10.0, "paid": 80.0}]
REFUSED = {
    "a pin above the prefix": ({"pin": {2: {"left": 300.01}}}, r"step 2.*'left'.*no more than 300.*never rises"),
    "what is allowed lies above": ({"allow": {"owed": (20.0, None)}}, r"'owed'.*at least 20.*never rises, found 10"),
    "what is allowed lies below": ({"allow": {"paid": (None, 70.0)}}, r"'paid'.*at most 70.*never falls, found 80"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_prefix_that_nothing_can_follow_is_refused(model, case):
    asked, words = REFUSED[case]
    with pytest.raises(OptionError, match=words):
        model.generate(INPUTS, prefix=PREFIX, **asked)


def test_a_prefix_goes_on_falling(model):
    for sequence in model.generate(INPUTS, n=20, seed=6, length=12, prefix=PREFIX):
        assert sequence[0] == PREFIX[0]
        assert never_rises(column(sequence, "left"))
        assert never_rises(column(sequence, "owed"))


def test_new_data_that_fall_have_a_likelihood(model):
    assert np.isfinite(model.log_prob(loans())).all()
