"""Ends of numbers are inferred on both sides where the data shows them, and never from what merely lies below 100."""

import numpy as np
import pytest

from unspool.schema.bounds import natural_bounds

N = 1000


def sample(kind, seed):
    """Numbers of a known kind."""
    rng = np.random.default_rng(seed)
    normal, exponential = rng.normal(size=N), rng.exponential(size=N)
    return {
        "shares": rng.uniform(0, 1, N),
        "humidity": np.round(np.clip(rng.normal(85, 15, N), 0, 100)),
        "longitudes": rng.uniform(-180, 180, N),
        "latitudes": rng.uniform(-90, 90, N),
        "headings": rng.uniform(0, 360, N),
        "sine": np.sin(rng.uniform(0, 9, N)),
        "debts": -exponential,
        "top-coded prices": np.minimum(rng.normal(22, 9, N).clip(5), 50),
        "party of one or more": rng.geometric(0.4, N).astype(float),
        "weights": 65 + 8 * normal,
        "just below 100": 99.9 + 8 * (normal - normal.max()),
        "counts up to 99": np.round(99 * exponential / exponential.max()),
        "up to 96": rng.uniform(0, 96, N),
        "noise": normal,
    }[kind]


@pytest.mark.parametrize(
    ("kind", "bounds"),
    [
        ("shares", (0.0, 1.0)),
        ("humidity", (0.0, 100.0)),
        ("longitudes", (-180.0, 180.0)),
        ("latitudes", (-90.0, 90.0)),
        ("headings", (0.0, 360.0)),
        ("sine", (-1.0, 1.0)),
        ("debts", (None, 0.0)),
        ("party of one or more", (1.0, None)),
        ("weights", (0.0, None)),
        ("counts up to 99", (0.0, None)),
        ("up to 96", (0.0, None)),
        ("noise", (None, None)),
    ],
)
def test_an_end_is_inferred_where_the_values_come_up_to_it(kind, bounds) -> None:
    assert sum(natural_bounds(sample(kind, seed)) == bounds for seed in range(20)) >= 18


def test_a_normal_tail_that_happens_to_reach_100_has_no_end_there() -> None:
    assert sum(natural_bounds(sample("just below 100", seed))[1] is None for seed in range(50)) >= 48


def test_the_largest_value_is_an_end_where_values_pile_up() -> None:
    values = sample("top-coded prices", 0)
    values[:30] = 50.0
    assert natural_bounds(values[np.random.default_rng(0).permutation(N)])[1] == 50.0


def test_a_series_that_stands_still_at_its_largest_value_once_shows_no_end() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(10, 1, 400).round(), np.full(40, 15.0)])
    assert natural_bounds(values) == (0.0, None)


@pytest.mark.parametrize("values", [[0.0, 1.0], [5.0], [-3.0, -1.0], [99.0, 100.0], [0.0, -0.0]])
def test_few_values_have_no_ends_but_zero(values) -> None:
    low, high = natural_bounds(np.array(values))
    assert low == (0.0 if min(values) >= 0 else None)
    assert high == (0.0 if max(values) <= 0 else None)
