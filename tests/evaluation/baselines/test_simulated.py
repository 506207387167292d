"""Forecasts of the simplest processes, where those processes are the truth."""

import numpy as np
import pytest

from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.fit import fit_codec
from unspool.evaluation.baselines import simulated
from unspool.evaluation.baselines.simulated import autoregressive_sequences, block_bootstrap
from unspool.evaluation.samples.build import comparable_sets, scorable_sets, targets_of
from unspool.evaluation.samples.sample_set import SampleSet
from unspool.schema.fields import First, Number

pytest.importorskip("scipy")


def chains(n, seed, slope=0.9):
    """Stationary autoregressions of 8 to 12 steps with a missing value here and there, and a count of days."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        x, day = rng.normal() / np.sqrt(1 - slope**2), float(rng.integers(1, 9))
        for t in range(int(rng.integers(8, 13))):
            rows.append({"id": k, "t": t, "day": day, "x": x if rng.random() > 0.1 else np.nan})
            x, day = slope * x + rng.normal(), day + float(rng.integers(1, 9))
    return {name: [row[name] for row in rows] for name in rows[0]}


def parts(train, test, inputs):
    schema, examples = gather(train, id="id", order="t", inputs=inputs, sequence=["day", Number("x")])
    codec = fit_codec(schema, examples)
    held = gather_fitted(codec, test)
    known, asked = scorable_sets(codec, *((one, codec.encode(one)) for one in (examples, held)))
    return comparable_sets(schema, examples)[0], known, asked, targets_of(codec)


def test_an_autoregression_is_sampled_with_its_own_spread_and_echo_from_the_value_before_step_0():
    train, known, asked, targets = parts(chains(300, 0), chains(40, 1), First("x"))
    forecasts = autoregressive_sequences(train, known, asked, targets, 50, 0)
    assert len(forecasts) == 40 * 50
    x = forecasts.padded(forecasts.numbers["x"], 6).reshape(40, 50, 6)
    base = asked.first["x"]
    there = ~np.isnan(base)
    for t in range(6):
        k = t + 1
        level, spread = 0.9**k * base, np.sqrt((1 - 0.81**k) / (1 - 0.81))
        ahead = np.nanmean(x[:, :, t], 1)
        np.testing.assert_allclose(ahead[there], level[there], atol=5 * spread / np.sqrt(40) + 0.3)
        np.testing.assert_allclose(np.nanstd(x[there, :, t], 1).mean(), spread, rtol=0.1)
    assert np.isnan(forecasts.numbers["x"]).mean() == pytest.approx(np.isnan(train.numbers["x"]).mean(), abs=0.02)
    assert set(np.diff(forecasts.offsets)) <= set(train.lengths)


def test_numbers_that_never_fall_stay_those_of_a_training_sequence():
    train, known, asked, targets = parts(chains(100, 0), chains(20, 1), First("x"))
    forecasts = autoregressive_sequences(train, known, asked, targets, 10, 0)
    real = {tuple(train.numbers["day"][a:b]) for a, b in zip(train.offsets, train.offsets[1:], strict=False)}
    assert {
        tuple(forecasts.numbers["day"][a:b]) for a, b in zip(forecasts.offsets, forecasts.offsets[1:], strict=False)
    } <= real


def test_independent_steps_have_the_marginals_and_no_memory(samples_of):
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.normal(size=(200, 12)), 1)
    train = samples_of(x=walks.tolist(), mood=[["up" if v > 0 else "down" for v in walk] for walk in walks])
    forecasts = simulated.independent_steps(train, 100, 20, 0)
    assert len(forecasts) == 2000
    assert (forecasts.lengths == 12).all()
    x = forecasts.padded(forecasts.numbers["x"], 12)
    assert abs(x.std() - walks.std()) < 0.1
    assert abs(np.corrcoef(x[:, :-1].ravel(), x[:, 1:].ravel())[0, 1]) < 5 / np.sqrt(22_000)
    assert ((forecasts.numbers["x"] > 0) == (forecasts.symbols["mood"] == forecasts.names["mood"].index("up"))).all()


def test_training_at_random_takes_all_sequences_alike(samples_of):
    train = samples_of(x=[[float(k)] for k in range(10)])
    forecasts = simulated.training_at_random(train, 1000, 10, 0).numbers["x"].astype(int)
    assert np.abs(np.bincount(forecasts) / 10_000 - 0.1).max() < 5 * np.sqrt(0.09 / 10_000)


def numbered(lengths):
    """Steps that say which sequence and which position they are: 100 * sequence + position."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    x = np.concatenate([100.0 * k + np.arange(n) for k, n in enumerate(lengths)])
    return SampleSet(offsets, {"x": x, "twice": 2 * x})


def test_every_block_is_a_stretch_of_one_training_sequence_at_its_own_position():
    forecasts = block_bootstrap(numbered([3, 10, 7, 7, 1]), 5, 40, seed=0, block=3)
    np.testing.assert_array_equal(forecasts.numbers["x"] % 100, forecasts.position)
    np.testing.assert_array_equal(forecasts.numbers["twice"], 2 * forecasts.numbers["x"])
    source = forecasts.numbers["x"] // 100
    block = forecasts.owner * 10 + forecasts.position // 3
    assert all(len(set(source[block == one])) == 1 for one in np.unique(block))
    whole = [set(source[forecasts.owner == k]) for k in range(len(forecasts)) if forecasts.lengths[k] == 7]
    assert any(len(sources) > 1 for sources in whole)


def test_blocks_make_sequences_as_long_as_training_and_the_seed_decides():
    forecasts = block_bootstrap(numbered([2, 5, 9]), 2, 300, seed=1)
    share = [np.mean(forecasts.lengths == n) for n in (2, 5, 9)]
    np.testing.assert_allclose(share, 1 / 3, atol=5 * np.sqrt(2 / 9 / 600))
    values = [block_bootstrap(numbered([5, 6, 7]), 3, 5, seed).numbers["x"].tolist() for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
