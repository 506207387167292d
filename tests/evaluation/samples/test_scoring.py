"""NLL by position, of a law that is known."""

import numpy as np
import pytest

from unspool.evaluation.document import ALL_FIELDS
from unspool.evaluation.samples.scoring import MIN_SEQUENCES_PER_BAND, BandScores, PositionScores, nll_by_position
from unspool.evaluation.sections.drift import drift, nll_flags

BANDS = [(0, 1), (1, 2), (2, 4), (4, 8)]
WIDTHS = np.array([1, 1, 2, 4])


def nats(rng, shares, count=200):
    """(count, K) sums of log p of samples of one law under another, by band; both of two symbols."""
    law, asked = shares
    rows = []
    for width, p, q in zip(WIDTHS, law, asked, strict=True):
        ones = rng.binomial(width, p, count)
        rows.append(ones * np.log(q) + (width - ones) * np.log(1 - q))
    return np.stack(rows, 1)[..., None]


def found(real, synthetic, samples=1, fields=("s",)):
    kinds = []
    for sums, each in ((real, 1), (synthetic, samples)):
        clusters = np.repeat(np.arange(len(sums) // each), each)
        kinds.append(BandScores(sums, np.broadcast_to(WIDTHS, sums.shape[:2]), clusters))
    return PositionScores(fields, BANDS, *kinds)


TRUE = np.full(4, 0.2)


def test_draws_of_the_true_law_are_as_likely_at_every_position_as_real_steps():
    rng = np.random.default_rng(0)
    rows = nll_by_position(found(nats(rng, (TRUE, TRUE)), nats(rng, (TRUE, TRUE), 800), 4))
    assert [row.band for row in rows] == BANDS
    for row in rows:
        entropy = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
        assert abs(row.real.value - entropy) < 5 * row.real.error
        assert abs(row.gap.value) < 5 * row.gap.error
    assert rows[0].drift.value == 0
    assert nll_flags(rows) == []


def test_the_errors_are_those_of_a_bootstrap_over_inputs():
    rng = np.random.default_rng(1)
    effect = rng.normal(size=(60, 1, 1)) * WIDTHS[:, None]  # what an input adds to real and generated steps alike
    real, synthetic = (rng.normal(size=(count, 4, 1)) for count in (60, 240))
    real, synthetic = real + effect, synthetic + np.repeat(effect, 4, 0)
    resamples = [rng.integers(0, 60, 60) for _ in range(2000)]
    means = []
    for rows in resamples:
        own = (rows[:, None] * 4 + np.arange(4)).ravel()
        gap = -synthetic[own].mean((0, 2)) / WIDTHS + real[rows].mean((0, 2)) / WIDTHS
        means.append((gap[-1], gap[-1] - gap[0]))
    last = nll_by_position(found(real, synthetic, 4))[-1]
    assert last.gap.error == pytest.approx(np.std([gap for gap, _ in means]), rel=0.1)
    assert last.drift.error == pytest.approx(np.std([drift for _, drift in means]), rel=0.1)


CASES = [
    ((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5), ""),
    ((0.5, 0.5, 0.99, 0.999), (0.5, 0.5, 0.99, 0.999), "drifts to what it predicts with ease"),
    ((0.5, 0.5, 0.5, 0.9), (0.5, 0.5, 0.5, 0.1), "loses its way"),
]


@pytest.mark.parametrize(("law", "asked", "flag"), CASES)
def test_generated_steps_that_become_too_likely_or_too_unlikely_are_flagged(
    samples_of, comparison_of_sets, law, asked, flag
):
    rng = np.random.default_rng(2)
    even = np.full(4, 0.5)
    asked = found(2 * nats(rng, (even, even)), 2 * nats(rng, (law, asked)))  # as of two such symbols a step
    assert flag in " ".join(nll_flags(nll_by_position(asked)))
    words = samples_of(s=rng.choice(["a", "b"], (200, 8)).tolist())
    section = drift(comparison_of_sets(words, words), asked)
    assert section.figures["flags"] == bool(flag)
    assert flag in section.verdict
    assert section.parts[0].title == "NLL by position"
    assert section.figures["gap"] == pytest.approx(nll_by_position(asked)[-1].gap.value)


def test_bands_with_too_few_sequences_are_left_out_and_fields_add_up():
    rng = np.random.default_rng(3)
    two = np.concatenate([nats(rng, (TRUE, TRUE)) for _ in range(2)], -1)
    whole = found(two, two, fields=("a", "b"))
    short = whole.synthetic._replace(
        steps=np.where(np.arange(200)[:, None] < MIN_SEQUENCES_PER_BAND - 1, WIDTHS, [1, 1, 0, 0])
    )
    rows = nll_by_position(whole._replace(synthetic=short))
    assert [row.band for row in rows] == BANDS[:2]
    parts = [nll_by_position(whole, name)[0].real.value for name in ("a", "b")]
    assert nll_by_position(whole, ALL_FIELDS)[0].real.value == pytest.approx(sum(parts))
