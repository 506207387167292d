"""Small statistics, against SciPy and against what they mean."""

import numpy as np
import pytest

from unspool.errors import MissingExtra
from unspool.evaluation.samples import statistics
from unspool.evaluation.samples.statistics import clustered_mean, correlation, entropy, ratio

stats = pytest.importorskip("scipy.stats")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("ties", [False, True])
def test_distances_of_samples_are_those_of_scipy(ties):
    a, b = RNG.normal(size=300), RNG.gamma(2, size=170)
    if ties:
        a, b = np.round(a), np.round(b)
    assert statistics.kolmogorov_smirnov(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic, rel=1e-12)
    assert statistics.wasserstein(a, b) == pytest.approx(stats.wasserstein_distance(a, b), rel=1e-12)


def test_correlation_is_over_the_pairs_where_both_are_there():
    a, b = RNG.normal(size=(2, 50))
    a[3], b[7] = np.nan, np.nan
    kept = [k for k in range(50) if k not in (3, 7)]
    assert correlation(a, b) == pytest.approx(stats.pearsonr(a[kept], b[kept]).statistic)
    assert np.isnan(correlation(np.ones(9), RNG.normal(size=9)))


def test_total_variation_counts_the_mass_that_lies_elsewhere():
    assert statistics.total_variation(np.array([0, 0, 0, 2]), np.array([0, 1, 1, 2])) == pytest.approx(0.5)


def test_the_error_of_a_mean_is_of_sequences_and_not_of_steps():
    """Steps that all repeat their sequence's value say no more than one each; half of them missing changes nothing."""
    owner = np.repeat(np.arange(400), RNG.integers(1, 20, 400))
    means, errors = [], []
    for _ in range(300):
        values = RNG.normal(size=400)[owner]
        values[RNG.random(len(values)) < 0.5] = np.nan
        measured = clustered_mean(values, owner)
        means.append(measured.value)
        errors.append(measured.error)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=5 / np.sqrt(2 * 300))
    assert clustered_mean(np.array([np.nan]), np.array([0])).value is None


def test_a_lag_never_reaches_over_into_the_next_sequence():
    offsets = np.array([0, 4, 4, 5, 8])
    assert statistics.lagged_steps(offsets, 2).tolist() == [0, 1, 5]


def test_differences_begin_anew_with_each_sequence():
    values, offsets = np.array([1.0, 3.0, 7.0, 1.0, 0.0]), np.array([0, 2, 3, 3, 5])
    np.testing.assert_array_equal(statistics.step_changes(values, offsets), [np.nan, 2, np.nan, np.nan, -1])


def test_entropy_of_equal_shares_is_the_logarithm_of_their_number():
    assert entropy(np.array([3, 1, 1, 3])) == pytest.approx(np.log(2))
    assert entropy(np.array([2, 2])) == 0


def test_bands_cover_every_position_once():
    for longest in (0, 1, 2, 7, 8, 100):
        assert [k for first, last in statistics.bands(longest) for k in range(first, last)] == list(range(longest))


def test_a_subsample_repeats_no_position_and_is_the_same_each_time():
    some = statistics.subsample(1000, 100, 3)
    assert len(np.unique(some)) == 100
    np.testing.assert_array_equal(some, statistics.subsample(1000, 100, 3))
    assert statistics.subsample(5, 100, 3).tolist() == [0, 1, 2, 3, 4]


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtra, match=r"scikit-learn.*pip install 'unspool\[report\]'"):
        statistics.optional_module("sklearn.ensemble")


def test_the_error_of_a_ratio_is_that_of_a_bootstrap_over_clusters():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(60), 4)
    counts = rng.integers(1, 20, 240)
    totals = counts * (1.0 + np.repeat(rng.normal(size=60), 4)) + rng.normal(size=240)
    found = ratio(totals, counts, clusters)
    resampled = rng.integers(0, 60, (4000, 60))
    sums, sizes = (np.bincount(clusters, values)[resampled].sum(1) for values in (totals, counts))
    means = sums / sizes
    assert found.value == pytest.approx(totals.sum() / counts.sum())
    assert found.error == pytest.approx(means.std(), rel=0.1)
    # As if all were independent it would be about half.
    assert ratio(totals, counts, np.arange(240)).error < 0.75 * found.error


def test_what_has_no_figure_has_no_mean_and_one_cluster_no_error():
    assert ratio(np.array([1.0, np.nan]), np.array([1, 1]), np.array([0, 1])).value is None
    assert ratio(np.zeros(2), np.zeros(2, np.int64), np.array([0, 1])).value is None
    one = ratio(np.array([1.0, 2.0]), np.array([1, 2]), np.array([0, 0]))
    assert (one.value, one.error) == (1.0, None)
