"""Innovations of an autoregression are the normals that they were made of."""

import numpy as np
import pytest

from unspool.training.autoregression import MIN_INITIAL_SCALE, fit_ar1, fit_components

SLOPE, CHANGE, CONSTANT = 0.7, 0.2, 0.4
OFFSETS = np.arange(0, 4_001, 20)


def heavy(rng):
    """Innovations of which every tenth is ten times as large."""
    return np.where(rng.random(4_000) < 0.1, 3.0, 0.3) * rng.normal(size=4_000)


def autoregression(innovations):
    x = innovations.reshape(-1, 20).copy()
    for t in range(1, 20):
        moved = x[:, t - 1] - x[:, t - 2] if t > 1 else 0.0
        x[:, t] += CONSTANT + SLOPE * x[:, t - 1] + CHANGE * moved
    return x.reshape(-1)


def fitted(values, count=2, counted=None, **options):
    chain = fit_ar1(values, OFFSETS, **options)
    return chain, *fit_components(
        values, OFFSETS, chain, count, np.ones(len(values), bool) if counted is None else counted
    )


def test_slopes_and_normals_are_those_of_the_data():
    """The slopes more closely than by least squares, whose largest innovations decide."""
    errors = []
    for seed in range(3):
        before, chain, parts = fitted(autoregression(heavy(np.random.default_rng(seed))))
        errors.append([abs(one.slope - SLOPE) + abs(one.change - CHANGE) for one in (before, chain)])
        assert (chain.slope, chain.change) == pytest.approx((SLOPE, CHANGE), abs=0.02)
        assert chain.constant == pytest.approx(CONSTANT, abs=0.1)
        assert parts.shares == pytest.approx([0.9, 0.1], abs=0.03)
        assert parts.scales == pytest.approx([0.3, 3.0], rel=0.15)
        assert parts.shares @ parts.locs == pytest.approx(chain.constant)
    least, likeliest = np.mean(errors, 0)
    assert likeliest < 0.7 * least


def test_two_humps_are_two_normals():
    rng = np.random.default_rng(0)
    _, chain, parts = fitted(
        autoregression(np.where(rng.random(4_000) < 0.3, -1.0, 1.0) + 0.2 * rng.normal(size=4_000))
    )
    assert np.sort(parts.locs - chain.constant) == pytest.approx([-1.4, 0.6], abs=0.1)
    assert parts.scales == pytest.approx([0.2, 0.2], abs=0.05)


def test_point_masses_are_none_of_them():
    """Half of the values are zero, after which the others go on as before."""
    rng = np.random.default_rng(0)
    values = np.where(rng.random(4_000) < 0.5, 0.0, 2 + 0.5 * rng.normal(size=4_000))
    _, _, parts = fitted(values, counted=values != 0)
    assert parts.shares @ parts.locs == pytest.approx(2.0, abs=0.05)
    assert parts.scales.max() < 1.0


def test_a_network_that_is_fed_its_own_output_keeps_its_slope_on_the_change_at_zero():
    _, chain, _ = fitted(autoregression(heavy(np.random.default_rng(0))), changes_too=False)
    assert chain.change == 0.0


def test_too_few_steps_leave_the_autoregression_as_it_is():
    before, chain, parts = fitted(autoregression(heavy(np.random.default_rng(0))), counted=np.arange(4_000) < 25)
    assert chain == before
    assert parts is None


@pytest.mark.parametrize("values", [np.zeros(4_000), np.arange(4_000.0), np.tile([0.0, 1.0], 2_000)])
def test_what_is_foreseen_exactly_has_the_smallest_scale(values):
    _, chain, parts = fitted(values)
    assert np.isfinite([*chain[:3], *np.ravel(parts)]).all()
    assert parts.scales.min() == MIN_INITIAL_SCALE
