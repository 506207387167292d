"""Life tables: by counting, and with hardly any help where there is nothing to count."""

import numpy as np
import pytest

from unspool.network.survival import count_ends, life_table


def test_hazards_are_shares_of_those_who_got_there():
    """By counting: who ends among those that reach a position; where many do, the wider bands hardly show."""
    lengths = np.repeat([3, 5, 9], [600, 300, 100])
    hazard = life_table(lengths, 11)
    np.testing.assert_allclose(hazard[[3, 5, 9]], [0.6, 0.75, 1.0], atol=0.01)
    assert (hazard[[0, 1, 2, 4, 6, 7, 8]] < 6e-3).all()
    assert 0.1 < hazard[10] < 0.5  # past the longest: neither never nor at once


def test_positions_that_share_the_last_entry_are_counted_as_one():
    hazard = life_table(np.array([2, 10, 20, 30] * 100), 4)
    assert hazard[2] == pytest.approx(1 / 4, abs=0.01)
    assert hazard[3] == pytest.approx(3 / (8 + 18 + 28), abs=0.01)


def test_sequences_that_were_cut_count_up_to_there():
    reached, ended = count_ends(np.array([0, 2, 3, 3]), np.array([True, True, True, False]), 6)
    assert reached.tolist() == [4, 3, 3, 1, 0, 0]
    assert ended.tolist() == [1, 0, 1, 1, 0, 0]
