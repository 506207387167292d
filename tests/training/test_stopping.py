"""After training, the hazard of stopping expects as many ends as there are."""

import numpy as np
import pytest

from unspool.codec.codec import Encoded
from unspool.training.stopping import calibrated, shifts
from unspool.training.update import score


def expected_ends(net, bucket):
    """By the definition of a hazard, from scores alone: of those that reach a step, p(end there) / p(no end before)."""
    total = 0.0
    for t in range(bucket.steps):
        rows = bucket.take(np.flatnonzero(bucket.lengths >= t))
        total += np.exp(_ending(net, rows, t) - (_survived(net, rows, t) if t else 0.0)).sum()
    return total


def _ending(net, rows, t):
    """Log-probability of an end before step t and not earlier."""
    return score(net, rows._replace(lengths=np.full(rows.examples, t, np.int32)))[:, -1]


def _survived(net, rows, t):
    """Log-probability of no end before step t."""
    return np.log1p(-np.exp([_ending(net, rows, k) for k in range(t)]).sum(0))


def test_as_many_ends_are_expected_as_there_are(small):
    bucket = small.bucket
    ends = bucket.examples
    assert abs(expected_ends(small.net(), bucket) - ends) > 5
    assert expected_ends(calibrated(small.net(), [bucket]), bucket) == pytest.approx(ends, rel=1e-4)


def test_ends_become_likelier_and_nothing_else_changes(small):
    before, after = (score(net, small.bucket) for net in (small.net(), calibrated(small.net(), [small.bucket])))
    np.testing.assert_array_equal(before[:, :-1], after[:, :-1])
    assert after[:, -1].sum() > before[:, -1].sum()


def test_the_order_of_sequences_and_their_buckets_change_nothing(small):
    bucket = small.bucket
    parts = [bucket.take(np.arange(k, bucket.examples, 2)) for k in (1, 0)]
    wanted = np.asarray(calibrated(small.net(), [bucket]).stop[1])
    np.testing.assert_allclose(calibrated(small.net(), parts).stop[1], wanted, atol=1e-5)


def test_each_stretch_of_positions_is_shifted_by_itself():
    """Two positions with many ends each, whose hazards are off in opposite directions."""
    rng = np.random.default_rng(0)
    positions = np.repeat([0, 1], 20_000)
    ended = rng.random(40_000) < np.where(positions == 0, 0.1, 0.4)
    shift = shifts(4, positions, np.full(40_000, np.log(0.25 / 0.75)), ended, np.ones(40_000))
    shares = 1 / (1 + np.exp(-(np.log(0.25 / 0.75) + shift)))
    np.testing.assert_allclose(shares[:2], [ended[:20_000].mean(), ended[20_000:].mean()], atol=1e-3)
    assert shift[2] == shift[3] == pytest.approx(0.0, abs=0.05)  # never reached: the shift of all, which is none


def test_few_ends_shift_all_positions_alike():
    ended = np.array([False] * 17 + [True] * 3)
    shift = shifts(20, np.arange(20), np.full(20, -3.0), ended, np.ones(20))
    assert np.ptp(shift) == 0
    assert (1 / (1 + np.exp(3 - shift[0]))) == pytest.approx(0.15, abs=0.01)


def test_windows_that_overlap_count_once():
    starts, steps = np.array([0, 1, 2, 40]), np.zeros(80)
    windows = Encoded((), (steps,), np.arange(5) * 20, (steps,), starts, 20)
    assert windows.distinct == 42
    assert Encoded((), (steps,), np.arange(5) * 20, (steps,)).distinct == 80
