"""Nats by position, of a law that is known."""

import numpy as np
import pytest

from unspool.evaluation.samples.scoring import ALL, LEAST, Scored, Surprise, by_position
from unspool.evaluation.sections.drift import exposure, judge_nats

BANDS = [(0, 1), (1, 2), (2, 4), (4, 8)]
WIDTHS = np.array([1, 1, 2, 4])


def nats(rng, shares, count=200):
    """(count, K) sums of log p of draws from one law under another, by band; both of two symbols."""
    drawn, asked = shares
    rows = []
    for width, p, q in zip(WIDTHS, drawn, asked, strict=True):
        ones = rng.binomial(width, p, count)
        rows.append(ones * np.log(q) + (width - ones) * np.log(1 - q))
    return np.stack(rows, 1)[..., None]


def found(real, made, samples=1, fields=("s",)):
    sides = []
    for side, each in ((real, 1), (made, samples)):
        clusters = np.repeat(np.arange(len(side) // each), each)
        sides.append(Scored(side, np.broadcast_to(WIDTHS, side.shape[:2]), clusters))
    return Surprise(fields, BANDS, *sides)


TRUE = np.full(4, 0.2)


def test_draws_of_the_true_law_are_as_likely_at_every_position_as_real_steps():
    rng = np.random.default_rng(0)
    rows = by_position(found(nats(rng, (TRUE, TRUE)), nats(rng, (TRUE, TRUE), 800), 4))
    assert [row.band for row in rows] == BANDS
    for row in rows:
        entropy = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
        assert abs(row.real.value - entropy) < 5 * row.real.error
        assert abs(row.gap.value) < 5 * row.gap.error
    assert rows[0].drift.value == 0
    assert judge_nats(rows) == []


def test_the_errors_are_those_of_a_bootstrap_over_inputs():
    rng = np.random.default_rng(1)
    effect = rng.normal(size=(60, 1, 1)) * WIDTHS[:, None]  # what an input adds to real and generated steps alike
    real, made = (rng.normal(size=(count, 4, 1)) for count in (60, 240))
    real, made = real + effect, made + np.repeat(effect, 4, 0)
    draws = [rng.integers(0, 60, 60) for _ in range(2000)]
    means = []
    for rows in draws:
        own = (rows[:, None] * 4 + np.arange(4)).ravel()
        gap = -made[own].mean((0, 2)) / WIDTHS + real[rows].mean((0, 2)) / WIDTHS
        means.append((gap[-1], gap[-1] - gap[0]))
    last = by_position(found(real, made, 4))[-1]
    assert last.gap.error == pytest.approx(np.std([gap for gap, _ in means]), rel=0.1)
    assert last.drift.error == pytest.approx(np.std([drift for _, drift in means]), rel=0.1)


CASES = [
    ((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5), ""),
    ((0.5, 0.5, 0.99, 0.999), (0.5, 0.5, 0.99, 0.999), "drifts to what it foresees"),
    ((0.5, 0.5, 0.5, 0.9), (0.5, 0.5, 0.5, 0.1), "loses its way"),
]


@pytest.mark.parametrize(("drawn", "asked", "said"), CASES)
def test_what_the_model_foresees_or_does_not_know_any_more_is_flagged(side_of, material_of, drawn, asked, said):
    rng = np.random.default_rng(2)
    even = np.full(4, 0.5)
    asked = found(2 * nats(rng, (even, even)), 2 * nats(rng, (drawn, asked)))  # as of two such symbols a step
    assert said in " ".join(judge_nats(by_position(asked)))
    words = side_of(s=rng.choice(["a", "b"], (200, 8)).tolist())
    section = exposure(material_of(words, words), asked)
    assert section.figures["flags"] == bool(said)
    assert said in section.verdict
    assert section.parts[0].title == "Nats by position"
    assert section.figures["gap"] == pytest.approx(by_position(asked)[-1].gap.value)


def test_bands_with_too_few_sequences_are_left_out_and_fields_add_up():
    rng = np.random.default_rng(3)
    two = np.concatenate([nats(rng, (TRUE, TRUE)) for _ in range(2)], -1)
    whole = found(two, two, fields=("a", "b"))
    short = whole.made._replace(steps=np.where(np.arange(200)[:, None] < LEAST - 1, WIDTHS, [1, 1, 0, 0]))
    rows = by_position(whole._replace(made=short))
    assert [row.band for row in rows] == BANDS[:2]
    parts = [by_position(whole, name)[0].real.value for name in ("a", "b")]
    assert by_position(whole, ALL)[0].real.value == pytest.approx(sum(parts))
