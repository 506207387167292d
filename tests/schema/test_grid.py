"""The grid of numbers and their point masses are found from the values alone."""

import numpy as np
import pytest

from unspool.schema.grid import find_grid, find_point_masses, is_discrete

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "grid"),
    [
        (RNG.integers(0, 50, 200) * 1.0, (0, 1.0)),
        (RNG.integers(4, 50, 200) * 5.0, (0, 5.0)),
        (RNG.integers(-50, 50, 200) * 0.25, (2, 0.25)),
        (np.round(RNG.normal(size=200), 2), (2, 0.01)),
        (np.round(RNG.normal(size=200), 1).astype(np.float32).astype(float), (1, 0.1)),
        (np.array([10.0, 20.0]), (0, 1.0)),
        (RNG.normal(size=200), None),
        (RNG.normal(size=200) * 1e9, None),
        (np.zeros(0), None),
    ],
)
def test_a_grid_is_the_coarsest_that_holds_all_values(values, grid):
    """Of a few values, a common divisor may be chance; values that went through float32 are known to its precision."""
    assert find_grid(values) == grid


def test_coarse_grids_and_repeated_values_are_discrete():
    """Never where float32 can't distinguish the cells."""
    assert is_discrete(RNG.integers(0, 100, 1000) * 1.0, 1.0)
    assert is_discrete(RNG.poisson(3, 1000) * 1.0, 1.0)
    assert not is_discrete(RNG.integers(0, 10**6, 1000) * 1.0, 1.0)
    assert is_discrete(np.repeat(RNG.integers(0, 10**5, 10), 100) * 1.0, 1.0)
    assert not is_discrete(np.repeat(RNG.integers(0, 10**9, 10), 100) * 1.0, 1.0)


def test_a_value_that_repeats_is_a_point_mass_unless_its_neighbours_do_as_well():
    x = RNG.exponential(size=1000)
    rain = np.where(x < 0.7, 0.0, x)
    assert find_point_masses(rain) == (0.0,)
    assert find_point_masses(np.round(rain, 1), 0.1) == (0.0,)
    assert find_point_masses(RNG.poisson(3, 1000) * 1.0, 1.0) == ()
    assert find_point_masses(np.concatenate([x, [6.0] * 300, [24.0] * 100])) == (6.0, 24.0)
