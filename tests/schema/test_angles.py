"""Angles are recognised by values that fill a turn and cross its end by small steps; a name alone decides nothing."""

import numpy as np
import pytest

from unspool.schema.angles import is_angle, start_of_period, wrapped

OFFSETS = np.arange(0, 3001, 30)


def walk(scale=5.0):
    """Headings that turn a little at every step, 100 sequences of 30."""
    rng = np.random.default_rng(0)
    return (rng.uniform(0, 360, (100, 1)) + rng.normal(scale=scale, size=(100, 30)).cumsum(1)).ravel()


INDEPENDENT = np.random.default_rng(1).uniform(0, 360, 3000)


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        (walk() % 360, "x", True),
        (wrapped(walk(), 360, -180), "x", True),
        (INDEPENDENT, "x", False),
        (INDEPENDENT, "wind_dir", True),
        (INDEPENDENT / 2, "wind_dir", False),
        (INDEPENDENT, "director", False),
        (walk(), "heading", False),
        (np.where(INDEPENDENT > 350, 360, np.where(INDEPENDENT < 20, 0, INDEPENDENT)), "wind direction", False),
        (np.tile(np.linspace(1, 350, 30), 100), "x", False),
        (np.random.default_rng(0).normal(180, 30, 3000).clip(0, 360), "heading", False),
    ],
    ids=["walk", "signed", "independent", "named", "half", "not named", "unwrapped", "calm", "lines", "unfilled"],
)
def test_an_angle_needs_a_filled_turn_and_small_steps_across_its_end_or_a_name(values, name, expected) -> None:
    assert is_angle(values, name, OFFSETS) == expected


def test_an_input_needs_a_name_and_a_filled_turn() -> None:
    assert is_angle(INDEPENDENT, "longitude")
    assert not is_angle(INDEPENDENT, "x")


def test_the_period_begins_at_0_or_half_a_period_below() -> None:
    assert start_of_period(np.array([0.0, 360.0]), 360.0) == 0
    assert start_of_period(np.array([-1.0, 180.0]), 360.0) == -180
    assert start_of_period(np.array([-1.0, 181.0]), 360.0) is None
