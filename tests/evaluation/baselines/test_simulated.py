"""Paths of the plainest processes, where those processes are the truth."""

import numpy as np
import pytest

from unspool.dataset.examples import gather
from unspool.encoding.codec import Codec
from unspool.evaluation.baselines.simulated import autoregressive, independent
from unspool.evaluation.samples.evidence import evidence, targets
from unspool.evaluation.samples.sample_set import sides
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
    codec = Codec.fit(schema, examples)
    held = codec.gather(test)
    known, asked = (evidence(codec, one, codec.encode(one)) for one in (examples, held))
    return codec, sides(schema, examples, held), known, asked


def test_an_autoregression_is_drawn_with_its_own_spread_and_echo_from_the_value_before_step_0():
    codec, (train, _), known, asked = parts(chains(300, 0), chains(40, 1), First("x"))
    made = autoregressive(train, known, asked, targets(codec), 50, 0)
    assert len(made) == 40 * 50
    x = made.padded(made.numbers["x"], 6).reshape(40, 50, 6)
    base = asked.first["x"]
    there = ~np.isnan(base)
    for t in range(6):
        k = t + 1
        level, spread = 0.9**k * base, np.sqrt((1 - 0.81**k) / (1 - 0.81))
        ahead = np.nanmean(x[:, :, t], 1)
        np.testing.assert_allclose(ahead[there], level[there], atol=5 * spread / np.sqrt(40) + 0.3)
        np.testing.assert_allclose(np.nanstd(x[there, :, t], 1).mean(), spread, rtol=0.1)
    assert np.isnan(made.numbers["x"]).mean() == pytest.approx(np.isnan(train.numbers["x"]).mean(), abs=0.02)
    assert set(np.diff(made.offsets)) <= set(train.lengths)


def test_numbers_that_never_fall_stay_those_of_a_training_sequence():
    codec, (train, _), known, asked = parts(chains(100, 0), chains(20, 1), First("x"))
    made = autoregressive(train, known, asked, targets(codec), 10, 0)
    real = {tuple(train.numbers["day"][a:b]) for a, b in zip(train.offsets, train.offsets[1:], strict=False)}
    assert {tuple(made.numbers["day"][a:b]) for a, b in zip(made.offsets, made.offsets[1:], strict=False)} <= real


def test_independent_steps_have_the_marginals_and_no_memory(side_of):
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.normal(size=(200, 12)), 1)
    train = side_of(x=walks.tolist(), mood=[["up" if v > 0 else "down" for v in walk] for walk in walks])
    made = independent(train, 100, 20, 0)
    assert len(made) == 2000
    assert (made.lengths == 12).all()
    x = made.padded(made.numbers["x"], 12)
    assert abs(x.std() - walks.std()) < 0.1
    assert abs(np.corrcoef(x[:, :-1].ravel(), x[:, 1:].ravel())[0, 1]) < 5 / np.sqrt(22_000)
    assert ((made.numbers["x"] > 0) == (made.symbols["mood"] == made.names["mood"].index("up"))).all()
