"""Training that goes on from a fitted model."""

import numpy as np
import pytest

import unspool as us
from unspool.errors import OptionError, SchemaError

OPTIONS = {"network": us.Network(size=16), "verbose": False}


def walks(count, seed, stay):
    """A letter gives letters, each of which stays with a probability or goes on to the next one of five."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 5, count)
    moves = rng.random((count, 12)) >= stay
    codes = (starts[:, None] + moves.cumsum(1)) % 5
    return {"first": [*map("abcde".__getitem__, starts)], "x": [[*map("abcde".__getitem__, row)] for row in codes]}


def fit(data, training=None, **options):
    training = us.Training(draw_inputs=False, epochs=150) if training is None else training
    return us.OneToMany("first", us.Category("x"), training=training, **OPTIONS).fit(data, **options)


@pytest.fixture(scope="module")
def start():
    return fit(walks(120, 0, 0.7))


@pytest.mark.slow
def test_going_on_reaches_the_nats_of_a_fresh_fit_in_a_fifth_of_its_updates():
    """The new data obeys a law that has moved on; the start knows that of before."""
    # Where both end within a thousandth of each other, as with other sizes, noise decides: see docs/log.md.
    data, rounds = walks(240, 1, 0.6), []
    start = fit(walks(240, 0, 0.7))
    fresh = fit(data)
    weights = np.array(start.net_.start)
    went_on = fit(data, start=start, callback=rounds.append)
    reached = min(round_.update for round_ in rounds if round_.validation <= fresh.summary_.nats)
    assert reached <= 0.2 * fresh.summary_.updates
    assert went_on.summary_.nats <= fresh.summary_.nats
    np.testing.assert_array_equal(start.net_.start, weights)


def quick(data, **options):
    return fit(data, us.Training(epochs=2, draw_inputs=False), **options)


@pytest.mark.slow
def test_schema_and_columns_are_those_of_the_start_and_files_will_do(start, tmp_path):
    start.save(tmp_path / "start.unspool")
    data = walks(40, 2, 0.5)
    model = us.OneToMany(verbose=False, training=us.Training(epochs=2, draw_inputs=False))
    model.fit(data, start=tmp_path / "start.unspool")
    assert model.codec_.inputs == start.codec_.inputs
    assert model.codec_.steps == start.codec_.steps
    assert (model.codec_.examples, model.config_.size) == (40, 16)
    model.save(tmp_path / "on.unspool")
    assert us.load(tmp_path / "on.unspool").log_prob(data).tolist() == model.log_prob(data).tolist()


def test_a_start_that_is_better_than_any_round_is_kept(start):
    """Its nats on the new validation data are those of round 0."""
    data = walks(120, 0, 0.7)
    wild = us.Training(epochs=1, draw_inputs=False, rate=0.5)
    model = fit(data, wild, start=start)
    assert (model.summary_.best_update, model.summary_.nats) == (0, pytest.approx(start.summary_.nats, abs=0.05))


def test_unknown_categories_are_named(start, caplog):
    data = walks(20, 3, 0.5)
    with pytest.warns(UserWarning, match="read as missing: 'z'"):
        quick({**data, "first": ["z", *data["first"][1:]]}, start=start)
    model = us.OneToMany(training=us.Training(epochs=1, draw_inputs=False))
    with caplog.at_level("INFO", "unspool"):
        model.fit({**data, "x": [["q", *data["x"][0][1:]], *data["x"][1:]]}, start=start)
    assert "x: 1 values that the start never saw and can't generate: 'q'" in caplog.text


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: us.OneToMany(["x"], us.Category("first"), **OPTIONS), SchemaError, "those of the start"),
        (lambda: us.OneToMany(network=us.Network(size=32), verbose=False), OptionError, "that of the start"),
    ],
)
def test_what_contradicts_the_start_is_refused(start, make, error, words):
    with pytest.raises(error, match=words):
        make().fit(walks(20, 3, 0.5), start=start)


def test_other_lengths_than_all_of_the_start_are_refused(start):
    with pytest.raises(SchemaError, match="sequences of 12 steps"):
        quick({"first": ["a"] * 20, "x": [["a", "b"]] * 20}, start=start)


def test_a_callback_hears_of_every_round_once(tmp_path):
    data, rounds = walks(40, 4, 0.5), []
    model = quick(data, callback=rounds.append, checkpoint=tmp_path)
    known = [(entry.update, entry.train, entry.validation) for entry in model.summary_.rounds]
    assert [entry[:3] for entry in rounds] == known
    seconds = [entry.seconds for entry in rounds]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] <= model.summary_.seconds + 1
    again = []
    quick(data, callback=again.append, checkpoint=tmp_path)
    assert again == []
