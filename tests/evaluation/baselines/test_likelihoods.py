"""All baselines together: what the table of the report is made of."""

import numpy as np
import pytest

from unspool.dataset.examples import gather
from unspool.encoding.codec import Codec
from unspool.evaluation.baselines.likelihoods import Task, baselines
from unspool.evaluation.samples.evidence import evidence, targets
from unspool.evaluation.sections.likelihood import likelihood
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


@pytest.fixture(scope="module")
def task():
    schema, train = gather(records(150, 0), inputs=["kind", "start"], sequence="steps")
    codec = Codec.fit(schema, train)
    test = codec.gather(records(60, 1))
    sides = (evidence(codec, part, codec.encode(part)) for part in (train, test))
    return Task(*sides, targets(codec), stops=True, seed=0)


@pytest.fixture(scope="module")
def found(task):
    return {one.name: one.nats for one in baselines(task)}


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
    again = {one.name: one.nats for one in baselines(task._replace(test=task.test.take(order)))}
    for name, nats in found.items():
        np.testing.assert_allclose(again[name], nats[order], rtol=1e-9)


def test_nothing_is_learned_from_the_sequences_that_are_scored(task, found):
    """Half of the test set has the same nats without the other half."""
    half = task.test.take(np.arange(30))
    for one in baselines(task._replace(test=half)):
        np.testing.assert_allclose(one.nats, found[one.name][:30], rtol=1e-9)


def test_the_table_adds_up_and_the_verdict_says_who_is_ahead(task, found):
    rivals = baselines(task)
    good = np.max([one.nats for one in rivals], axis=0) + 0.1
    section = likelihood(task, good, rivals, "step")
    overall, _, by_field, perplexity = section.parts
    for j in range(1, 6):
        total = sum(row[j].value for row in by_field.rows)
        assert total == pytest.approx(overall.rows[j - 1][1].value)
    assert section.verdict.startswith("Better than every baseline")
    assert section.figures["gain"] == pytest.approx(section.figures["rival_nats"] - section.figures["nats"])
    assert perplexity.rows[0][1].value == pytest.approx(np.exp(by_field.rows[0][1].value))
    worse = likelihood(task, good - 5, rivals, "step")
    assert worse.verdict.startswith("Worse than the baseline")
    same = likelihood(task, rivals[0].nats, rivals[:1], "step")
    assert same.verdict.startswith("Not told apart")


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


def test_a_block_of_flags_is_scored_member_by_member_where_it_is_there():
    schema, train = gather(flagged(300, 0), id="id", inputs="k", sequence=[Flags("both", ["f", "g"])])
    codec = Codec.fit(schema, train)
    test = codec.gather(flagged(200, 1))
    sides = (evidence(codec, part, codec.encode(part)) for part in (train, test))
    found = {one.name: one.nats[:, 0].sum() / 2000 for one in baselines(Task(*sides, targets(codec), False, 0))}
    there, even = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2)), np.log(2)
    assert found["independent steps"] == pytest.approx(-(there + 0.8 * 2 * even), abs=0.03)
    # The value before is one present step back, or more where steps between are missing.
    ago = 0.8 * 0.2 ** np.arange(20)
    same = 0.5 + 0.5 * 0.9 ** np.arange(1, 21)
    echo = -(ago * (same * np.log(same) + (1 - same) * np.log1p(-same))).sum()
    assert found["2-gram"] == pytest.approx(-(there + 0.8 * 2 * (0.87 * echo + 0.13 * even)), abs=0.06)
    assert found["2-gram"] > found["nearest input"]
    assert len(found) == 4


def test_windows_of_returns_have_garch_beside_them_and_levels_do_not():
    pytest.importorskip("arch")
    from unspool.dataset.windows import windows

    rng = np.random.default_rng(3)
    returns, variance = np.zeros(2200), 1e-4
    for t in range(1, 2200):
        variance = 5e-6 + 0.25 * returns[t - 1] ** 2 + 0.7 * variance
        returns[t] = np.sqrt(variance) * rng.normal()
    state = np.abs(returns)

    def rivals(series):
        cut = lambda part: windows(  # noqa: E731
            {"day": np.arange(len(series))[part], "state": state[part], "x": series[part]},
            order="day", length=5, inputs=["state"], sequence=["x"],
        )  # fmt: skip
        schema, train = gather(cut(slice(1600)))
        codec = Codec.fit(schema, train)
        test = codec.gather(cut(slice(1605, 2200)))
        sides = (evidence(codec, part, codec.encode(part)) for part in (train, test))
        return {one.name: one.nats.sum() for one in baselines(Task(*sides, targets(codec), False, 0))}

    found = rivals(returns)
    garch = next(nats for name, nats in found.items() if "GARCH" in name)
    assert garch == max(found.values())
    assert not any("GARCH" in name for name in rivals(np.cumsum(returns)))
