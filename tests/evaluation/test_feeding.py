"""The same network under every feeding: which helps, on data of which it is known."""

import numpy as np
import pytest

import unspool as us
from unspool.evaluation.document import Measured
from unspool.evaluation.feeding import FEEDINGS, Fed, compared

pytest.importorskip("scipy.spatial")


def fed(rng, energies, nats=(1.0, 1.0, 1.0)):
    """What each feeding came to, for 100 sequences of ten steps, with noise that they share."""
    noise = rng.normal(size=100)
    told = Measured(0.5, 0.05)
    return {
        how: Fed(10 * (mean + 0.1 * noise), energy + noise + 0.1 * rng.normal(size=100), told)
        for how, energy, mean in zip(FEEDINGS, energies, nats, strict=True)
    }


def judged(energies, nats=(1.0, 1.0, 1.0), own="teacher"):
    alone, steps = np.arange(100), np.full(100, 10)
    return compared(own, fed(np.random.default_rng(0), energies, nats), steps, alone, alone)


def test_the_feeding_whose_paths_are_nearer_beyond_doubt_is_named_with_its_cost():
    section = judged((3.0, 2.5, 2.9), (1.0, 1.2, 1.0))
    assert section.verdict.startswith("Scheduled feeding helped: its paths come nearer to real ones by 0.5")
    assert "at 0.200 nats a step more" in section.verdict
    assert "Training(feeding='scheduled')" in section.verdict
    assert section.figures["nearer scheduled"] == pytest.approx(0.5, abs=0.05)
    assert section.figures["energy free"] - section.figures["energy teacher"] == pytest.approx(-0.1, abs=0.05)


def test_what_helps_no_more_than_chance_is_not_said_to_help():
    assert judged((3.0, 3.0, 3.5)).verdict.startswith("Neither scheduled nor free feeding helped")
    assert "try Training(feeding='teacher')" in judged((3.0, 3.0, 3.5), own="free").verdict
    assert "try" not in judged((3.0, 3.0, 2.0), own="free").verdict


def walks(count, seed):
    """Random walks from a level that the input tells: a step is near the one before it, and cannot be foreseen."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=count)
    return {"start": start.tolist(), "x": (start[:, None] + rng.normal(size=(count, 12)).cumsum(1)).tolist()}


@pytest.mark.slow
def test_free_feeding_makes_a_random_walk_forget_where_it_is():
    """Its draws are independent given the input, as Huszár (2015) says, so that paths are too rough to be near."""
    train, test = walks(300, 0), walks(100, 1)
    options = {"network": us.Network(size=16), "training": us.Training(epochs=30, draw_inputs=False), "verbose": False}
    model = us.OneToMany("start", "x", **options).fit(train)
    section = model.evaluate(test, train=train, samples=12, feedings=True).section("feeding")
    assert section.figures["energy free"] > section.figures["energy teacher"]
    assert "Free feeding helped" not in section.verdict
    assert [row[0] for row in section.parts[0].rows] == list(FEEDINGS)
