"""The defaults of a fit."""

from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.options import Network, Training
from unspool.training.defaults import plan

CODEC = fit_codec(*gather({"k": ["a", "b"] * 4, "x": ["abc", "bcd"] * 4}, inputs="k", sequence="x"))
NUMBERS = fit_codec(*gather({"k": ["a", "b"] * 4, "x": [[1.5, 2.25], [0.5, 3.75]] * 4}, inputs="k", sequence="x"))


def planned(examples, network=None, training=None, codec=CODEC, **more):
    return plan(network or Network(), training or Training(), codec, examples=examples, steps=20 * examples, **more)


def test_the_fewer_the_sequences_the_more_of_the_input_is_dropped():
    rates = [planned(examples).network.input_dropout for examples in (100, 900, 500_000)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0 == rates[-1]


def test_text_gets_a_larger_network_sooner_than_numbers():
    """Of 60,000 values; both have the same below 50,000, and from 1.5 million on."""
    sizes = [
        [
            plan(Network(), Training(), codec, examples=100, steps=steps).size
            for steps in (1_000, 40_000, 60_000, 1_500_000)
        ]
        for codec in (CODEC, NUMBERS)
    ]
    assert sizes == [[64, 128, 256, 256], [64, 128, 128, 256]]


def test_noisier_training_nats_are_given_more_patience():
    few = [planned(100, training=Training(holdout=holdout)) for holdout in (0.1, 0.0)]
    assert [one.patience * one.round for one in few] == [16 * 13, 8 * 50]
    assert planned(100, training=Training(holdout=0.0, patience=3)).patience == 3


def test_few_sequences_are_validated_sooner_and_as_patiently():
    plans = [planned(examples) for examples in (8, 100, 3_000, 50_000)]
    assert [one.round for one in plans] == [10, 13, 47, 500]
    assert [one.patience for one in plans] == [20, 16, 5, 4]


def test_numbers_of_few_sequences_are_dropped_more():
    rates = [planned(examples, codec=NUMBERS).network.dropout for examples in (79, 80, 60_000)]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 3
    windows = planned(80, codec=NUMBERS, distinct=400).network
    assert windows.dropout == rates[1]


def test_windows_that_overlap_are_as_few_as_the_series_that_they_are_cut_from():
    few, many = planned(100), planned(500_000)
    overlapping = planned(500_000, distinct=2_000)
    assert overlapping.network.input_dropout == few.network.input_dropout != many.network.input_dropout
    assert overlapping.network.dropout == few.network.dropout


def test_what_is_to_be_memorised_is_not_dropped_and_what_is_given_stays():
    memorised = planned(100, training=Training(holdout=0.0)).network
    assert (memorised.dropout, memorised.input_dropout) == (0.0, 0.0)
    assert planned(100, Network(input_dropout=0.3)).network.input_dropout == 0.3
    assert planned(100, Network(dropout=0.0)).network.input_dropout == 0.0
