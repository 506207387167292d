"""Numbers and timestamps that always move in training, such as days of visits, always move in generation."""

import itertools

import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.encoding.monotone import IncrementEncoder

PATIENTS, VISITS = 60, 6
DAY = np.timedelta64(1, "D")


def visits(still=0.0):
    """Visits a day or two apart, as days from 0 and as dates; and what was found so far, which often stands still."""
    rng = np.random.default_rng(2)
    days = rng.integers(1, 3, (PATIENTS, VISITS))
    days[rng.random(days.shape) < still] = 0
    days[:, 0] = 0
    day = days.cumsum(1)
    found = rng.integers(0, 2, (PATIENTS, VISITS)).cumsum(1)
    ids = np.repeat(np.arange(PATIENTS), VISITS)
    table = {"id": ids, "sex": np.array(["f", "m"])[ids % 2], "day": day.ravel()}
    return table | {"date": (np.datetime64("2026-01-01") + day * DAY).ravel(), "found": found.ravel()}


STEPS = [us.Number("day"), "date", us.Number("found")]


@pytest.fixture(scope="module")
def model():
    """Of a network that has learned next to nothing."""
    options = {"network": us.Network(size=8), "training": us.Training(epochs=2, draw_inputs=False), "verbose": False}
    return us.OneToMany("sex", STEPS, **options).fit(visits(), id="id", order=None)


@pytest.fixture(scope="module")
def made(model):
    """Far more steps than in training, so that rounding shows."""
    return model.generate({"sex": ["f", "m"]}, n=200, seed=0, length=40)


def rises(sequence, name):
    return [later[name] - before[name] for before, later in itertools.pairwise(sequence)]


def test_it_is_inferred_from_the_data(model):
    assert [column.moves for column in model.codec_.steps] == [True, True, False]
    codec = fit_codec(*gather(visits(still=0.1), inputs="sex", sequence=STEPS, id="id", order=None))
    assert [column.moves for column in codec.steps] == [False, False, False]


def test_no_two_steps_are_at_one_time(made):
    for sequence in made:
        assert min(rises(sequence, "day")) >= 1
        assert min(rises(sequence, "date")) >= DAY


def test_a_number_that_stands_still_in_training_may_do_so(made):
    assert 0 in {rise for sequence in made for rise in rises(sequence, "found")}


def test_the_first_step_may_be_where_it_is_counted_from(made):
    assert 0 in {sequence[0]["day"] for sequence in made}


@pytest.mark.slow
def test_what_is_made_can_be_learned_from(made):
    """The day orders the steps, so none may come twice."""
    table = made.to_frame()
    numbered = {name: np.asarray(table[name]) for name in ("sex", "day", "found")}
    numbered["sequence"] = np.repeat(np.arange(len(made)), 40)
    options = {"network": us.Network(size=8), "training": us.Training(epochs=1), "verbose": False}
    again = us.OneToMany("sex", ["day", "found"], **options).fit(numbered, id="sequence", order="day")
    assert again.summary_.steps > 0


def test_greedy_steps_move_too(model):
    (sequence,) = model.generate({"sex": "f"}, rule="greedy", length=10)
    assert min(rises(sequence, "day")) >= 1


def test_a_pin_is_kept_however_little_it_leaves(model):
    """Two days for four visits: there is no way but to stand still, and none past the pin."""
    for sequence in model.generate({"sex": ["f", "m"]}, n=20, seed=0, length=8, pin={4: {"day": 2}}):
        assert sequence[4]["day"] == 2
        assert min(rises(sequence[:5], "day")) >= 0
        assert min(rises(sequence[4:], "day")) >= 1


def test_a_file_keeps_it_and_files_of_before_know_nothing_of_it(model, tmp_path):
    model.save(path := tmp_path / "visits.unspool")
    assert us.load(path).codec_ == model.codec_
    plain = msgspec.structs.replace(model.codec_.steps[0], moves=False)
    assert "moves" not in msgspec.to_builtins(plain)
    assert msgspec.convert(msgspec.to_builtins(plain), IncrementEncoder) == plain
