"""Means of nats, and their errors."""

import numpy as np
import pytest

from unspool.evaluation.nats import ratio


def test_the_error_of_a_ratio_is_that_of_a_bootstrap_over_clusters():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(60), 4)
    counts = rng.integers(1, 20, 240)
    totals = counts * (1.0 + np.repeat(rng.normal(size=60), 4)) + rng.normal(size=240)
    found = ratio(totals, counts, clusters)
    by = lambda values: np.bincount(clusters, values)  # noqa: E731
    draws = rng.integers(0, 60, (4000, 60))
    means = by(totals)[draws].sum(1) / by(counts)[draws].sum(1)
    assert found.value == pytest.approx(totals.sum() / counts.sum())
    assert found.error == pytest.approx(means.std(), rel=0.1)
    # As if all were independent it would be about half.
    assert ratio(totals, counts, np.arange(240)).error < 0.75 * found.error


def test_what_has_no_figure_has_no_mean_and_one_cluster_no_error():
    assert ratio(np.array([1.0, np.nan]), np.array([1, 1]), np.array([0, 1])).value is None
    assert ratio(np.zeros(2), np.zeros(2, np.int64), np.array([0, 1])).value is None
    one = ratio(np.array([1.0, 2.0]), np.array([1, 2]), np.array([0, 0]))
    assert (one.value, one.error) == (1.0, None)
