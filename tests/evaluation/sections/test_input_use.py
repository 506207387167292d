"""Whether the input is used: shuffles, and what they show where the truth is known."""

import itertools

import numpy as np
import pytest

from unspool.encoding.encoded import Encoded
from unspool.evaluation.sections.input_use import derangement, input_use


@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_a_shuffle_is_one_cycle_through_all_sequences(count):
    order = derangement(count, seed=3)
    seen = list(itertools.accumulate(range(count - 1), lambda at, _: int(order[at]), initial=0))
    assert sorted(seen) == list(range(count))
    assert np.array_equal(order, derangement(count, seed=3))
    assert count < 4 or not np.array_equal(order, derangement(count, seed=4))


COUNT, STEPS = 400, 10
RNG = np.random.default_rng(0)
A, B = RNG.integers(0, 2, COUNT), RNG.integers(0, 2, COUNT)
X = RNG.normal(size=COUNT * STEPS) + 0.5 * np.repeat(A, STEPS)
EXAMPLES = Encoded((A, B), (X,), np.arange(COUNT + 1) * STEPS, (np.zeros(COUNT * STEPS),))


def knowing(weight):
    """The nats of a normal whose mean moves with the first input."""

    def score(encoded):
        rest = encoded.steps[0] - weight * np.repeat(encoded.inputs[0], STEPS)
        return (-0.5 * rest**2).reshape(COUNT, STEPS).sum(1, keepdims=True)

    return score


def section(score, names=("a", "b")):
    return input_use(score, EXAMPLES, names, score(EXAMPLES), np.arange(COUNT), 0, "step")


def test_an_input_that_is_not_used_loses_nothing():
    figures = section(knowing(0.0)).figures
    assert figures["lost"] == figures["lost a"] == figures["lost b"] == 0
    assert "Not measurably" in section(knowing(0.0)).verdict


def test_an_input_that_is_used_loses_what_the_truth_says():
    """Half of the sequences get the other's mean, 0.5 away, which costs 0.5 * 0.5^2 nats a step."""
    found = section(knowing(0.5))
    lost, error = found.figures["lost"], found.figures["lost_error"]
    assert abs(lost - 0.5 * 0.5 * 0.25) < 5 * error
    assert found.figures["lost a"] == lost
    assert found.figures["lost b"] == 0
    assert found.verdict.startswith("Yes")
    assert "a." in found.verdict


def test_a_model_that_trusts_an_independent_input_gains_nothing_by_the_true_one():
    """Sequences that don't depend on the input: true and exchanged inputs are as good as each other."""
    noise = Encoded((A, B), (RNG.normal(size=COUNT * STEPS),), EXAMPLES.offsets, EXAMPLES.log_jacobian)
    score = knowing(0.5)
    found = input_use(score, noise, ("a", "b"), score(noise), np.arange(COUNT), 0, "step")
    assert abs(found.figures["lost"]) < 4 * found.figures["lost_error"]


def test_one_sequence_has_no_other_input_to_take():
    one = EXAMPLES.take(np.array([0]))
    found = input_use(knowing(0.5), one, ("a", "b"), np.zeros((1, 1)), np.zeros(1, np.int64), 0, "step")
    assert not found.available
