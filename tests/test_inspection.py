"""What a fitted network knows: the next step, hidden states, encodings of inputs."""

import datetime as dt

import numpy as np
import pytest

import unspool as us

QUICK = {"network": us.Network(size=8), "training": us.Training(epochs=3, draw_inputs=False), "verbose": False}


@pytest.fixture(scope="module")
def letters():
    rng = np.random.default_rng(0)
    x = [[*map("uvw".__getitem__, rng.integers(0, 3, rng.integers(1, 5)))] for _ in range(60)]
    return us.OneToMany("k", us.Category("x"), **QUICK).fit({"k": ["a", "b"] * 30, "x": x})


@pytest.fixture(scope="module")
def visits():
    rng = np.random.default_rng(1)
    rows = {"id": np.repeat(np.arange(60), 3), "age": np.repeat(rng.integers(20, 90, 60), 3)}
    rows["day"] = np.datetime64("2024-01-01") + rng.integers(1, 30, (60, 3)).cumsum(1).ravel()
    rows["ward"] = rng.choice(["north", "south"], 180)
    rows["fever"], rows["cough"] = rng.random(180) < 0.3, rng.random(180) < 0.5
    steps = ["day", "ward", us.Flags("symptoms", ["fever", "cough"])]
    return us.OneToMany("age", steps, **QUICK).fit(rows, id="id", order="day")


def test_probabilities_and_the_end_are_those_that_log_prob_adds_up(letters):
    """Of sequences that stop after the next step: log p(u, v, stop) - log p(u, stop) = log of go on, v, stop / stop."""
    one, two = (letters.next_step({"k": "a"}, prefix=prefix)[0] for prefix in (["u"], ["u", "v"]))
    assert sum(one.probabilities["x"].values()) == pytest.approx(1)
    assert 0 < one.end < 1
    longer, shorter = letters.log_prob({"k": ["a", "a"], "x": [["u", "v"], ["u"]]})
    unseen = letters.codec_.steps[0].unseen
    stepwise = (1 - one.end) * one.probabilities["x"]["v"] * (1 - unseen) * two.end / one.end
    assert longer - shorter == pytest.approx(np.log(stepwise), abs=1e-4)


def test_rows_have_distributions_of_their_own_and_no_prefix_is_the_first_step(letters):
    a, b = letters.next_step({"k": ["a", "b"]})
    assert a.probabilities != b.probabilities
    assert a == letters.next_step({"k": "a"})[0]
    assert list(a.probabilities["x"].values()) == sorted(a.probabilities["x"].values(), reverse=True)
    assert letters.next_step({"k": ["a", "b"]}, prefix=[["u"], ["u", "v"]]) == [
        letters.next_step({"k": k}, prefix=prefix)[0] for k, prefix in (("a", ["u"]), ("b", ["u", "v"]))
    ]


def test_every_kind_of_field_has_its_distribution(visits):
    known = [{"day": dt.date(2024, 1, 5), "ward": "north", "fever": True, "cough": False}]
    (step,) = visits.next_step({"age": 50}, prefix=known)
    assert step.end == 0
    assert set(step.probabilities) == {"ward", "fever", "cough"}
    assert all(sum(shares.values()) == pytest.approx(1) for shares in step.probabilities.values())
    days = list(step.quantiles["day"].values())
    assert days == sorted(days)
    assert days[0].date() > dt.date(2024, 1, 5)
    assert step.missing == {"day": 0.0}


def test_probabilities_of_later_fields_are_those_that_are_generated(visits):
    """Within five standard errors of 2,000 draws."""
    (step,) = visits.next_step({"age": 50}, samples=1024)
    generated = visits.generate({"age": 50}, n=2000, length=1, seed=1).columns
    for name, value in (("ward", "north"), ("fever", True), ("cough", True)):
        p = step.probabilities[name][value]
        assert abs(np.mean(generated[name] == value) - p) < 5 * np.sqrt(p * (1 - p) * (1 / 2000 + 1 / 1024))


def test_hidden_states_depend_on_the_steps_before_alone(letters):
    states = letters.hidden_states({"k": ["a", "a", "b"], "x": [["u", "v"], ["u", "w", "w"], ["u"]]})
    assert [state.shape for state in states] == [(3, 8), (4, 8), (2, 8)]
    np.testing.assert_allclose(states[0][:2], states[1][:2], rtol=1e-5)
    assert np.abs(states[0][2] - states[1][2]).max() > 1e-4
    assert np.abs(states[0][0] - states[2][0]).max() > 1e-4
    # The distribution of the next step is linear in the state, but for what the step before adds directly.
    net = letters.net_
    logits = states[0][0] @ np.array(net.outputs.A) + np.array(net.outputs.b) + np.array(net.start)[4 * 8 : -1]
    first = letters.next_step({"k": "a"})[0].probabilities["x"]
    share = np.exp(logits - np.logaddexp.reduce(logits))
    values = letters.codec_.steps[0].values
    np.testing.assert_allclose(share[: len(values)], [first[value] for value in values], rtol=1e-4)


def test_the_encoding_of_an_input_is_the_state_that_decoding_starts_from(letters):
    encoding = letters.encode({"k": ["b", "a"]})
    assert (encoding.context.shape, encoding.h.shape, encoding.c.shape) == ((2, 8), (2, 1, 8), (2, 1, 8))
    np.testing.assert_allclose(encoding.context[1], letters.encode({"k": "a"}).context[0], rtol=1e-4)
    assert np.abs(encoding.h[0] - encoding.h[1]).max() > 1e-4
    assert (np.abs(encoding.h) <= np.abs(np.tanh(encoding.c)) + 1e-6).all()
