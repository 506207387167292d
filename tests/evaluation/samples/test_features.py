"""A sequence as one row of figures."""

from dataclasses import replace

import numpy as np

from unspool.evaluation.samples.features import features


def test_features_of_a_number_are_those_of_its_values(samples_of):
    rows = [[3.0, 1.0, np.nan, 0.0], [], [2.0]]
    table = features(samples_of(x=rows), samples_of(x=rows))
    length, mean, spread, low, q1, middle, q3, high, first, last, missing, zeros, change, autocorrelation = table[0]
    assert (length, mean, low, middle, high, first, last) == (4, 4 / 3, 0, 1, 3, 3, 0)
    assert (missing, change) == (0.25, 2)
    np.testing.assert_allclose([spread, zeros], [np.std([3, 1, 0]), 1 / 3])
    assert low <= q1 <= middle <= q3 <= high
    assert table[1, 0] == 0
    assert np.isnan(table[1, 1:]).all()
    assert table[2, :3].tolist() == [1, 2, 0]
    assert np.isfinite(autocorrelation)


def test_order_shows_in_pairs_of_symbols_and_not_in_their_shares(samples_of):
    one, two = samples_of(s=[list("aabbc")]), samples_of(s=[list("abcab")])
    apart = features(one, one) - features(two, one)
    assert (apart[0, 1:5] == 0).all()  # length aside: shares of a, b, c, and of missing ones
    assert (apart[0, 5:] != 0).any()


def test_sequences_are_described_one_by_one_whatever_stands_beside_them(worlds):
    samples = worlds().real
    whole = features(samples, samples)
    alone = features(samples.take(np.array([7, 3])), samples)
    np.testing.assert_allclose(alone, whole[[7, 3]], rtol=1e-9, atol=1e-12)


def test_inputs_are_among_them_on_request(samples_of):
    samples = replace(
        samples_of(x=[[1.0], [2.0]]), inputs={"k": np.array([1, 0]), "v": np.array([[1.0, 2.0], [3.0, 4.0]])}
    )
    with_inputs, without = features(samples, samples), features(samples, samples, inputs=False)
    np.testing.assert_array_equal(with_inputs[:, without.shape[1] :], [[1, 1, 2], [0, 3, 4]])
