"""Clusters of sequences that are independent of each other."""

import numpy as np
import pytest

from unspool.dataset.clusters import LENGTHS_PER_CLUSTER, independent_clusters
from unspool.dataset.examples import Examples
from unspool.evaluation.samples.build import comparable_sets
from unspool.schema.fields import Category, Number, Schema
from unspool.training.trial import clustered_sums

LENGTH = 10


def test_training_and_evaluation_take_the_same_windows_for_one_cluster():
    """The sums of model selection and the standard errors of a report are over the same clusters."""
    starts = np.arange(1, 101)
    known = independent_clusters(starts, LENGTH, 100)
    sums = clustered_sums(np.ones((100, 1)), starts, LENGTH)
    steps, offsets = {"x": np.zeros(100 * LENGTH)}, np.arange(101) * LENGTH
    schema = Schema((Category("k"),), (Number("x"),), "list", layout="long")
    (windows,) = comparable_sets(schema, Examples({"k": np.zeros(100)}, steps, offsets, {}, starts, LENGTH))
    np.testing.assert_array_equal(windows.clusters, known)
    np.testing.assert_array_equal(sums[:, 0], np.unique(known, return_counts=True)[1])


def test_sequences_that_are_no_windows_are_each_their_own_cluster():
    assert independent_clusters(None, LENGTH, 4).tolist() == [0, 1, 2, 3]
    scores = np.array([[1.0], [2.0]])
    np.testing.assert_array_equal(clustered_sums(scores, None, LENGTH), scores)


def test_the_error_over_clusters_falls_short_of_the_true_one_as_the_docstring_says():
    """Totals of all windows of an uncorrelated series, over many such series."""
    rng = np.random.default_rng(0)
    series = rng.normal(size=(1500, 20 * LENGTH * LENGTHS_PER_CLUSTER + LENGTH - 1))
    windows = np.lib.stride_tricks.sliding_window_view(series, LENGTH, axis=1).sum(2)
    clusters = independent_clusters(np.arange(windows.shape[1]), LENGTH, windows.shape[1])
    sums = np.stack([row.sum(1) for row in np.split(windows, np.flatnonzero(np.diff(clusters)) + 1, axis=1)], 1)
    estimated, true = sums.var(1, ddof=1).mean() * sums.shape[1], windows.sum(1).var()
    assert estimated / true == pytest.approx(1 - 1 / (3 * LENGTHS_PER_CLUSTER), rel=5 * np.sqrt(2 / 1500))
