"""First moments as they are generated, pinned, allowed, continued and scored."""

import numpy as np
import pytest

import unspool as us

START, SECOND = np.datetime64("2024-01-01T00:00:00", "s"), np.timedelta64(1, "s")
HOURS, SHARES = [8, 9, 10, 11, 14, 15, 16, 20], [0.05, 0.2, 0.2, 0.15, 0.1, 0.1, 0.1, 0.1]


def sessions(rows, seed=0, lengths=(3, 4)):
    """Sessions stamped in whole seconds, on weekdays of a year at hours of work, with gaps of 30 to 3,599 seconds."""
    rng = np.random.default_rng(seed)
    days = np.arange(364)[np.arange(364) % 7 < 5]  # 2024 begins on a Monday
    ids, at = [], []
    for k, steps in enumerate(rng.integers(*lengths, rows)):
        first = rng.choice(days) * 86_400 + rng.choice(HOURS, p=SHARES) * 3600 + rng.integers(0, 3600)
        gaps = np.concatenate([[0], rng.integers(30, 3600, steps - 1)])
        ids += [k] * steps
        at += [START + (first + total) * SECOND for total in np.cumsum(gaps)]
    return {"id": np.array(ids), "kind": np.array(ids) % 2, "at": np.array(at).astype("datetime64[us]")}


@pytest.fixture(scope="module")
def model():
    network, training = us.Network(size=8), us.Training(epochs=2)
    return us.OneToMany(inputs="kind", sequence="at", network=network, training=training, seed=0).fit(
        sessions(300), id="id"
    )


def firsts(generated):
    return generated.columns["at"][generated.offsets[:-1]].astype("datetime64[us]")


def test_the_schema_says_what_was_found(model) -> None:
    assert "first by week, weekday, hour, time, increments in seconds 3" in model.codec_.describe()


def test_stamps_are_whole_seconds_and_gaps_stay_in_their_range(model) -> None:
    made = model.generate({"kind": [0, 1]}, n=200, seed=1)
    at = made.columns["at"].astype("datetime64[us]").astype(np.int64)
    assert not (at % 1_000_000).any()
    gaps = np.diff(at.reshape(400, 3), axis=1) / 1e6
    column = model.codec_.steps[0].increment
    low, high = np.array(column.reach) * column.scale + column.loc
    assert high < 4500
    assert gaps.min() >= max(0.0, low)
    assert gaps.max() <= np.ceil(high)
    assert len(np.unique(firsts(made).astype("datetime64[W]"))) > 30


def test_nats_of_the_parts_count_to_their_field(model) -> None:
    data = sessions(20, seed=5)
    table = model.log_prob_by_field(data)
    assert list(table.shape) == [20, 1]
    encoded = model.codec_.encode(us.dataset.gather.gather_fitted(model.codec_, data))
    assert len(encoded.steps) == 5
    np.testing.assert_allclose(model.log_prob(data), np.asarray(table).sum(1), rtol=1e-6)
    # A second of a year, with hours and weekdays that are foreseen, and two gaps of an hour:
    assert -40 < model.log_prob(data).mean() < -25


@pytest.mark.parametrize(
    "ends",
    [
        ("2024-03-05T09:59:58", "2024-03-05T10:00:03"),
        ("2024-06-01T00:00:00", None),
        (None, "2024-01-04T08:30:00"),
        ("2024-02-29T23:59:59", "2024-02-29T23:59:59"),
    ],
)
def test_first_moments_stay_within_what_is_allowed_to_the_second(model, ends) -> None:
    low, high = (None if end is None else np.datetime64(end) for end in ends)
    found = firsts(model.generate({"kind": [0]}, n=50, length=1, seed=2, allow={"at": ends}))
    assert low is None or (found >= low).all()
    assert high is None or (found <= high).all()
    if low is not None and high is not None:
        assert len(np.unique(found)) > 1 or low == high


def test_a_pinned_first_moment_is_exact_and_a_later_pin_bounds_it(model) -> None:
    moment = np.datetime64("2024-05-17T13:37:11", "us")
    pinned = model.generate({"kind": [0, 1]}, n=20, seed=3, pin={0: {"at": moment}})
    assert (firsts(pinned) == moment).all()
    assert (np.diff(pinned.columns["at"].reshape(40, 3), axis=1) > np.timedelta64(0, "s")).all()
    early = np.datetime64("2024-01-02T03:04:05", "us")
    bounded = model.generate({"kind": [0]}, n=40, seed=3, pin={1: {"at": early}}).columns["at"].reshape(40, 3)
    assert (bounded[:, 1] == early).all()
    assert (bounded[:, 0] <= early).all()
    assert len(np.unique(bounded[:, 0])) > 10


def test_a_prefix_is_continued_as_its_pins_are(model) -> None:
    moment = "2024-05-17T13:37:11"
    prefix = model.generate({"kind": [0]}, n=9, seed=4, prefix=[moment])
    pinned = model.generate({"kind": [0]}, n=9, seed=4, pin={0: {"at": moment}})
    np.testing.assert_array_equal(prefix.columns["at"], pinned.columns["at"])
    assert (firsts(prefix) == np.datetime64(moment)).all()


@pytest.mark.slow
def test_a_sequence_is_the_same_in_pieces_and_in_greedy_mode(model) -> None:
    whole = model.generate({"kind": [0, 1]}, n=1, seed=6, rule="greedy")
    assert (firsts(whole).astype("datetime64[s]") == firsts(whole)).all()
    step = model.next_step({"kind": [0]}, samples=30)[0]
    assert {type(value).__name__ for value in step.quantiles["at"].values()} == {"datetime"}


def test_a_saved_model_has_the_same_parts(model, tmp_path) -> None:
    model.save(tmp_path / "model.unspool")
    again = us.load(tmp_path / "model.unspool")
    assert again.codec_.steps == model.codec_.steps
    inputs = {"kind": [0, 1]}
    np.testing.assert_array_equal(
        again.generate(inputs, n=3, seed=7).columns["at"], model.generate(inputs, n=3, seed=7).columns["at"]
    )


@pytest.mark.slow
def test_sessions_come_out_as_they_went_in() -> None:
    """Whole seconds, gaps within 30 to 3,599 s, starts over the year, at the planted hours and weekdays."""
    data = sessions(1500, lengths=(1, 8))
    model = us.OneToMany(inputs="kind", sequence="at", seed=0).fit(data, id="id")
    made = model.generate({"kind": [0, 1]}, n=1000, seed=1)
    at = made.columns["at"].astype("datetime64[s]").astype(np.int64)
    np.testing.assert_array_equal(at * 1_000_000, made.columns["at"].astype("datetime64[us]").astype(np.int64))
    inner = np.ones(len(at) - 1, bool)
    inner[made.offsets[1:-1] - 1] = False
    gaps = np.diff(at)[inner]
    assert ((gaps >= 30) & (gaps <= 3599)).mean() >= 0.995
    assert gaps.min() >= 0
    assert gaps.max() < 3700
    starts = firsts(made).astype("datetime64[s]").astype(np.int64)
    known = data["at"][np.flatnonzero(np.diff(data["id"], prepend=-1))].astype("datetime64[s]").astype(np.int64)
    for size, count in ((3600, 24), (86_400, 7), (28 * 86_400, 13)):
        cells = [(y - START.astype(int)) // size % count for y in (starts, known)]
        shares = [np.bincount(cell, minlength=count) / len(cell) for cell in cells]
        assert np.abs(shares[0] - shares[1]).sum() / 2 < 0.1, size
