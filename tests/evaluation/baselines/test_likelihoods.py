"""The likelihoods of all baselines."""

import numpy as np
import pytest

from unspool.dataset.gather import gather, gather_fitted
from unspool.dataset.windows import windows
from unspool.encoding.fit import fit_codec
from unspool.evaluation.baselines.garch import WindowedGarch
from unspool.evaluation.baselines.likelihoods import LikelihoodTask, baseline_scores, best_neighbours
from unspool.evaluation.samples.build import scorable_sets, targets_of
from unspool.schema.fields import Flags

pytest.importorskip("scipy.stats")


def records(count, seed):
    """Two inputs, and records of a mood, a level with gaps, and a count; moods are longer remembered than levels."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        kind, start = int(rng.integers(0, 2)), float(rng.normal())
        level, mood, steps = start, "ab"[kind], []
        for _ in range(int(rng.integers(3, 9))):
            level = 0.9 * level + 0.3 * float(rng.normal())
            mood = mood if rng.random() < 0.8 else str(rng.choice(["a", "b", "c"]))
            gap = rng.random() < 0.1
            steps.append({"mood": mood, "level": None if gap else level, "bells": int(rng.poisson(30))})
        rows.append({"kind": "xy"[kind], "start": start, "steps": steps})
    return {name: [row[name] for row in rows] for name in ("kind", "start", "steps")}


def task_of(gathered, held_out, *, stops):
    schema, train = gathered
    codec = fit_codec(schema, train)
    sets = scorable_sets(codec, *((part, codec.encode(part)) for part in (train, gather_fitted(codec, held_out))))
    return LikelihoodTask(*sets, targets_of(codec), stops, 0)


def scores_of(task):
    garch = WindowedGarch.fit(task.train, task.test)
    return baseline_scores(task, best_neighbours(task), garch)


@pytest.fixture(scope="module")
def task():
    gathered = gather(records(150, 0), inputs=["kind", "start"], sequence="steps")
    return task_of(gathered, records(60, 1), stops=True)


@pytest.fixture(scope="module")
def found(task):
    return scores_of(task)


def test_every_baseline_has_finite_nats_for_every_field_and_stop_of_every_sequence(task, found):
    assert len(found) == 4
    for nats in found.values():
        assert nats.shape == (60, 4)
        assert np.isfinite(nats).all()
        assert (nats[:, -1] < 0).all()


def test_what_remembers_the_step_before_beats_what_does_not(found):
    independent, previous = found["independent steps"], next(nats for name, nats in found.items() if "AR(1)" in name)
    assert (previous.sum(0) > independent.sum(0))[:2].all()


def test_sequences_are_scored_the_same_in_any_order_and_company(task, found):
    """A sum over a sequence belongs to that sequence: a permutation of the test set permutes it."""
    order = np.random.default_rng(2).permutation(60)
    again = scores_of(task._replace(test=task.test.take(order)))
    for name, nats in found.items():
        np.testing.assert_allclose(again[name], nats[order], rtol=1e-9)


def test_nothing_is_learned_from_the_sequences_that_are_scored(task, found):
    """Half of the test set has the same nats without the other half."""
    half = task.test.take(np.arange(30))
    for name, nats in scores_of(task._replace(test=half)).items():
        np.testing.assert_allclose(nats, found[name][:30], rtol=1e-9)


def flagged(count, seed):
    """A long table of two flags that are one, and stay as they are nine times of ten; missing at times."""
    rng = np.random.default_rng(seed)
    stay, first = rng.random((count, 10)) < 0.9, rng.random((count, 10)) < 0.5
    flag = first.copy()
    for t in range(1, 10):
        flag[:, t] = np.where(stay[:, t], flag[:, t - 1], first[:, t])
    there = rng.random(10 * count) < 0.8
    columns = {name: [bool(f) if x else None for f, x in zip(flag.ravel(), there, strict=True)] for name in "fg"}
    return {"id": np.repeat(np.arange(count), 10), "k": np.repeat(rng.integers(0, 2, count), 10), **columns}


def test_a_multi_label_field_is_scored_member_by_member_where_it_is_present():
    gathered = gather(flagged(300, 0), id="id", inputs="k", sequence=[Flags("both", ["f", "g"])])
    scores = scores_of(task_of(gathered, flagged(200, 1), stops=False))
    found = {name: nats[:, 0].sum() / 2000 for name, nats in scores.items()}
    there, even = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2)), np.log(2)
    assert found["independent steps"] == pytest.approx(-(there + 0.8 * 2 * even), abs=0.03)
    # The value before is one present step back, or more where steps between are missing.
    ago = 0.8 * 0.2 ** np.arange(20)
    same = 0.5 + 0.5 * 0.9 ** np.arange(1, 21)
    echo = -(ago * (same * np.log(same) + (1 - same) * np.log1p(-same))).sum()
    assert found["2-gram"] == pytest.approx(-(there + 0.8 * 2 * (0.87 * echo + 0.13 * even)), abs=0.06)
    assert found["2-gram"] > found["nearest input"]
    assert len(found) == 4


def test_windows_of_returns_have_garch_beside_them_and_levels_do_not(simulate_garch):
    pytest.importorskip("arch")
    noise = np.append(0.0, np.random.default_rng(3).normal(size=2199))
    returns, _ = simulate_garch(noise, 5e-6, 0.25, 0.7, start=1e-4)

    def totals(series):
        columns = {"day": np.arange(2200), "state": np.abs(returns), "x": series}
        train, test = (
            windows({name: x[part] for name, x in columns.items()}, order="day", length=5, inputs="state", sequence="x")
            for part in (slice(1600), slice(1605, 2200))
        )
        return {name: nats.sum() for name, nats in scores_of(task_of(gather(train), test, stops=False)).items()}

    found = totals(returns)
    garch = next(nats for name, nats in found.items() if "GARCH" in name)
    assert garch == max(found.values())
    assert not any("GARCH" in name for name in totals(np.cumsum(returns)))


def quotes(count, seed, unit):
    """Records of two prices of a level of their own, the second of which is some percent above the first."""
    rng = np.random.default_rng(seed)
    levels = np.exp(rng.uniform(0, 5, count))
    bids = [level * np.exp(np.cumsum(rng.normal(0, 0.02, 6))) for level in levels]
    rows = [
        [{"bid": b, "ask": b * (1 + m)} for b, m in zip(bid * unit, rng.exponential(0.1, 6), strict=True)]
        for bid in bids
    ]
    return {"kind": ["x"] * count, "steps": rows}


def test_nats_of_ratios_are_of_original_units():
    """A price a thousand times as large has a density that is a thousand times as thin, whatever it is learned as."""
    found = []
    for unit in (1.0, 1000.0):
        gathered = gather(quotes(80, 0, unit), inputs="kind", sequence="steps")
        task = task_of(gathered, quotes(40, 1, unit), stops=False)
        assert [target.increments for target in task.targets] == [False, True]
        found.append(scores_of(task))
    for name, nats in found[0].items():
        np.testing.assert_allclose(nats - found[1][name], 6 * np.log(1000), atol=0.05, err_msg=name)
