"""Columns that decide their next value, or another column of the step."""

import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.schema.chains import always_followed_by, are_codes, decided_next, deciding_first, goes_with, is_chain
from unspool.schema.fields import Category, Number
from unspool.schema.monotone import never_changes

RNG = np.random.default_rng(0)
GRID = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0])


def test_pairs_decide_only_where_no_two_go_with_one_and_chance_would_contradict() -> None:
    left = RNG.integers(0, 6, 300)
    right = np.array([2, 0, 1, 1, 0, 2])[left]
    found, pairs = goes_with(left, right, 7)
    assert (found.tolist(), pairs) == ([2, 0, 1, 1, 0, 2, -1], 300)
    assert goes_with(left[:19], right[:19], 7) is None  # too few pairs
    assert goes_with(np.arange(200), right[:200], 200) is None  # one pair each
    once = right.copy()
    once[250] += 1
    assert goes_with(left, once, 7) is None
    rare = np.where(left == 5, np.cumsum(left == 5) <= 0, 0)
    assert goes_with(left, rare, 7) is None  # all equal: nothing to decide


@pytest.mark.parametrize("where", [1, 5_000, 9_999])
def test_one_contradiction_among_many_pairs_is_found(where: int) -> None:
    left = np.tile(np.arange(10), 1000)
    right = left // 2
    right[where] += 1
    assert goes_with(left, right, 10) is None


def test_what_follows_is_seen_within_sequences_only() -> None:
    """Weeks that begin on any day: the last day of one sequence says nothing about the first of the next."""
    starts = RNG.integers(0, 7, 20)
    days = (starts[:, None] + np.arange(5)) % 7
    following, pairs = always_followed_by(days.ravel(), 5 * np.arange(21), 7)
    assert (following.tolist(), pairs) == ([1, 2, 3, 4, 5, 6, 0], 80)
    assert always_followed_by(days.ravel(), np.array([0, 100]), 7) is None
    unseen = np.where(RNG.random(100) < 0.1, 7, days.ravel())
    assert always_followed_by(unseen, 5 * np.arange(21), 7)[0].tolist() == following.tolist()


def test_a_grid_of_times_is_a_chain_and_a_trajectory_is_none() -> None:
    offsets = 7 * np.arange(11)
    assert is_chain(np.tile(GRID, 10), offsets)
    assert not is_chain(np.tile(np.arange(7.0), 10), offsets)  # equal steps, which go on beyond
    assert not is_chain(np.repeat(GRID, 10), 10 * np.arange(8))  # never changes
    assert not is_chain(RNG.permutation(np.tile(GRID, 10)), offsets)
    assert not is_chain(np.where(np.arange(70) == 3, np.nan, np.tile(GRID, 10)), offsets)
    assert not is_chain(RNG.normal(size=70), offsets)


def test_whole_numbers_that_are_few_frequent_and_far_apart_are_codes() -> None:
    """Those of products; not counts, nor amounts of which one is frequent, nor a size that each sequence keeps."""
    rng, offsets = np.random.default_rng(0), np.arange(0, 601, 10)
    codes = rng.choice(np.arange(10_000, 99_999), 24, replace=False).astype(float)
    assert are_codes(codes[rng.integers(0, 24, 600)], offsets)
    assert are_codes(codes[rng.integers(0, 24, 600)], np.array([0, 0, 10, 10, 600, 600])), "some sequences are empty"
    assert not are_codes(rng.poisson(12, 600).astype(float), offsets)
    assert not are_codes(np.where(rng.random(600) < 0.9, 0, rng.integers(1, 10**6, 600)).astype(float), offsets)
    assert not are_codes(np.repeat(codes[rng.integers(0, 24, 60)], 10), offsets)
    prices = np.round(rng.lognormal(3, 1, 24), 2)
    bought = rng.integers(0, 24, 600)
    table = {"id": np.repeat(np.arange(60), 10), "product": codes[bought].astype(int), "price": prices[bought]}
    schema, _ = gather(table, sequence=["product", "price"], id="id")
    assert [field.kind for field in schema.steps] == ["Category", "Category"], "the product decides its price"


def test_attributes_of_a_sequence_are_increments_of_nothing_if_enough_steps_show_it() -> None:
    values, offsets = np.repeat(RNG.normal(size=40), 6), 6 * np.arange(41)
    assert never_changes(values, offsets, None)
    assert never_changes(values, offsets, values[::6])
    assert not never_changes(values, offsets, values[::6] + 1)
    assert not never_changes(values[:120], offsets[:21], None)
    assert not never_changes(np.ones(240), offsets, None)
    values[3] += 1
    assert not never_changes(values, offsets, None)


def test_columns_that_decide_others_come_first_and_numbers_that_are_decided_are_categories() -> None:
    """A city decides its country and its height, which come right after it; the table keeps its order of columns."""
    city = RNG.integers(0, 12, 300)
    table = {
        "id": np.repeat(np.arange(30), 10),
        "country": np.array(["a", "b", "c"])[city % 3],
        "x": RNG.normal(size=300),
        "height": np.array([1.5, 0.2, 7.7, 3.1, 9.0, 3.1, 4.4, 8.2, 6.1, 2.9, 5.3, 0.9])[city],
        "city": np.array([f"city {k}" for k in range(12)])[city],
        "hours": np.tile(np.append(GRID, [9.0, 11.0, 12.0]), 30),
    }
    schema, examples = gather(table, sequence=["country", "x", "height", "city", "hours"], id="id")
    assert [field.name for field in schema.steps] == ["city", "country", "height", "x", "hours"]
    assert schema.step_columns == ("country", "x", "height", "city", "hours")
    kinds = {field.name: type(field) for field in schema.steps}
    assert kinds == {"city": Category, "country": Category, "x": Number, "height": Category, "hours": Category}
    assert "'country' with 'city', 'height' with 'city', 'hours' with the one before it" in examples.notes[0]
    both = {"one": city, "other": 11 - city}
    assert deciding_first(["other", "one"], both) == ["other", "one"]
    assert decided_next(["x", *both, "y"], both) == ["x", *both, "y"]
    asked = gather(table, sequence=[Number("height"), "city"], id="id")[0]
    assert isinstance(asked.steps[0], Number)


def test_numbers_that_two_categories_decide_together_are_categories() -> None:
    """The distance of two places: not if one record contradicts it, nor if pairs are too few to show it."""
    rng = np.random.default_rng(0)
    origin, dest = rng.integers(0, 6, (2, 4_000))
    far = np.array(rng.integers(100, 9_000, (6, 6)))
    names = np.array(["AMS", "CDG", "FRA", "LIS", "OSL", "VIE"])

    def kind_of_distance(distance, rows=slice(None)):
        table = {
            "id": np.repeat(np.arange(1_000), 4)[rows],
            "cabin": np.array(["x", "y"])[np.repeat(np.arange(1_000) % 2, 4)][rows],
            "origin": names[origin][rows],
            "dest": names[dest][rows],
            "km": distance[rows],
        }
        schema, _ = gather(table, inputs="cabin", sequence=["origin", "dest", "km"], id="id", order=None)
        return type(schema.steps[-1]).__name__

    km = far[origin, dest] + 0.5
    assert kind_of_distance(km) == "Category"
    assert kind_of_distance(km, slice(60)) == "Number"
    late = km.copy()
    late[-1] += 1
    assert kind_of_distance(late) == "Number"
