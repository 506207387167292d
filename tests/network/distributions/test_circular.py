"""Angles have a proper distribution on the circle, and samples that follow it."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from unspool.network.distributions.base import Support
from unspool.network.distributions.circular import Circular
from unspool.network.distributions.discretized import logistic_between
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.normal import Interval
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.rules import PLAIN, Rule

pytestmark = pytest.mark.usefixtures("whole_programs")

TENTH_OF_TURN = Grid("linear", 1.0, 0.0, 360 / math.tau, 36.0)
DENSITY = Circular(low=-math.pi, following=2, free=2, unit=0.05)
MASSES = Circular(low=0.0, grid=TENTH_OF_TURN, following=1, free=2, unit=0.2)


def params(dist, rows, scale=2.0, seed=0):
    return jnp.asarray(scale * np.random.default_rng(seed).normal(size=(rows, dist.num_params)), jnp.float32)


def uniforms(dist, rows):
    return jnp.asarray(np.random.default_rng(1).uniform(1e-6, 1 - 1e-6, (rows, dist.num_uniforms)), jnp.float32)


def test_the_density_integrates_to_one_over_a_period_whatever_the_parameters() -> None:
    z = np.linspace(-math.pi, math.pi, 200_001)[:-1]
    for row in params(DENSITY, 4):
        density = np.exp(np.asarray(DENSITY.log_prob(jnp.broadcast_to(row, (len(z), len(row))), jnp.asarray(z))))
        assert density.mean() * math.tau == pytest.approx(1, rel=1e-4)


def test_a_quantile_within_an_interval_keeps_its_digits_in_both_tails() -> None:
    u = np.array([2.0**-20, 1e-4, 0.3, 0.7, 1 - 1e-4, 1 - 2.0**-20], np.float32)
    interval = Interval(jnp.float32(-12.0), jnp.float32(11.0), jnp.zeros((), bool))
    low, high = (scipy.stats.logistic.cdf(end) for end in (-12.0, 11.0))
    not_below = scipy.stats.logistic.sf(11.0) + (1 - u.astype(float)) * (high - low)
    expected = scipy.stats.logistic.isf(not_below)
    np.testing.assert_allclose(logistic_between(jnp.asarray(u), interval), expected, rtol=2e-6)


def test_the_masses_of_a_grid_add_up_to_one() -> None:
    z = np.arange(10) * math.tau / 10
    for row in params(MASSES, 6):
        mass = np.exp(np.asarray(MASSES.log_prob(jnp.broadcast_to(row, (10, len(row))), jnp.asarray(z))))
        assert mass.sum() == pytest.approx(1, rel=1e-5)


def test_the_density_goes_on_across_the_end_of_the_period() -> None:
    rows = params(DENSITY, 50)
    ends = [np.asarray(DENSITY.log_prob(rows, jnp.full(50, end))) for end in (-math.pi + 1e-6, math.pi - 1e-6)]
    np.testing.assert_allclose(*ends, atol=1e-3)


def test_a_wide_component_is_uniform() -> None:
    dist = Circular(free=1)
    row = jnp.asarray([[0.0, 1.0, 30.0]] * 9)
    np.testing.assert_allclose(dist.log_prob(row, jnp.linspace(-3, 3, 9)), -math.log(math.tau), atol=3e-3)


@pytest.mark.parametrize("dist", [DENSITY, MASSES], ids=["density", "masses"])
@pytest.mark.parametrize("limits", [(0.5, 2.3), pytest.param(None, marks=pytest.mark.slow)])
def test_samples_follow_the_distribution_within_a_support(dist, limits) -> None:
    count = 20_000
    row = jnp.broadcast_to(params(dist, 3)[1], (count, dist.num_params))
    support = None if limits is None else Support(*(jnp.full(count, end) for end in limits))
    samples = np.asarray(dist.sample(row, uniforms(dist, count), PLAIN, support), np.float64)
    if dist.grid is None:
        points = np.linspace(*(limits or (-math.pi, math.pi)), 4001)
        weights = np.exp(np.asarray(dist.log_prob(row[:4001], jnp.asarray(points))))
        distance = scipy.stats.kstest(samples, lambda x: np.interp(x, points, np.cumsum(weights) / weights.sum()))
        assert distance.pvalue > 1e-6
    else:
        points = np.arange(10) * math.tau / 10
        points = points if limits is None else points[(points >= limits[0]) & (points <= limits[1])]
        mass = np.exp(np.asarray(dist.log_prob(row[: len(points)], jnp.asarray(points))))
        which = np.abs(samples[:, None] - points).argmin(1)
        np.testing.assert_allclose(samples, points[which], atol=1e-5)
        share, mass = np.bincount(which, minlength=len(points)) / count, mass / mass.sum()
        assert (np.abs(share - mass) < 5 * np.sqrt(mass * (1 - mass) / count) + 1e-3).all()
    if limits is not None:
        whole = np.exp(float(dist.log_mass(row[:1], Support(*map(jnp.asarray, limits)))[0]))
        other = np.asarray(dist.sample(row, uniforms(dist, count), PLAIN), np.float64)
        inside = np.mean((other >= limits[0] - 1e-6) & (other <= limits[1] + 1e-6))
        assert inside == pytest.approx(whole, abs=5 * math.sqrt(0.25 / count))


def test_a_rule_keeps_the_middle_of_a_component_even_across_the_end() -> None:
    dist = Circular(free=1)
    row = jnp.broadcast_to(jnp.asarray([0.0, math.pi, -1.0]), (5000, 3))
    top = Rule(greedy=False, top_p=jnp.asarray(0.5))
    samples = np.asarray(dist.sample(row, uniforms(dist, 5000), top))
    away = np.abs(np.mod(samples, math.tau) - math.pi)
    half = float(0.0 + np.log(3.0) * (np.log1p(np.exp(-1.0 + np.log(math.e - 1))) + 1e-4))
    assert away.max() <= half + 1e-3
    assert (samples < 0).mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(np.abs(dist.sample(row, uniforms(dist, 5000), Rule(greedy=True))), math.pi, atol=1e-5)


def test_the_mean_is_the_mean_direction_of_samples() -> None:
    row = params(DENSITY, 3)[:1]
    samples = np.asarray(DENSITY.sample(jnp.repeat(row, 20_000, 0), uniforms(DENSITY, 20_000), PLAIN))
    mean = np.exp(1j * samples.astype(float)).mean()
    assert float(DENSITY.mean(row)[0]) == pytest.approx(np.angle(mean), abs=5 / (abs(mean) * math.sqrt(20_000)))


@pytest.mark.parametrize("dist", [DENSITY, MASSES], ids=["density", "masses"])
def test_a_support_through_the_end_of_the_circle_is_as_good_as_any_other(dist) -> None:
    """Its samples are those of the unlimited distribution that lie in it, and none is outside."""
    count, start = 20_000, dist.low
    low, high = np.float32(start + 5.2), np.float32(start + 0.8)
    row = jnp.broadcast_to(params(dist, 3)[1], (count, dist.num_params))
    support = Support(*(jnp.full(count, end) for end in (low, high)))
    samples = np.asarray(dist.sample(row, uniforms(dist, count), PLAIN, support))
    free = np.asarray(dist.sample(row, uniforms(dist, count)[::-1], PLAIN))
    kept = free[(free >= low) | (free <= high)]
    assert ((samples >= low) | (samples <= high)).all()
    assert samples.min() >= start - 1e-6
    assert samples.max() < start + math.tau
    share = np.exp(float(dist.log_mass(row[:1], Support(low, high))[0]))
    assert len(kept) / count == pytest.approx(share, abs=5 * math.sqrt(0.25 / count))
    onward = [np.round(np.mod(part - low + 0.01, math.tau), 4) for part in (samples, kept)]
    assert scipy.stats.ks_2samp(*onward).pvalue > 1e-6
    greedy = np.asarray(dist.sample(params(dist, 50), uniforms(dist, 50), Rule(greedy=True), Support(low, high)))
    assert ((greedy >= low) | (greedy <= high)).all()


@pytest.mark.slow
def test_points_on_both_sides_of_the_end_are_within_a_support_through_it() -> None:
    dist = PointMasses(Circular(low=0.0, free=1), (0.0, 1.0, 6.0))
    row = jnp.broadcast_to(params(dist, 1), (4000, dist.num_params))
    samples = np.asarray(dist.sample(row, uniforms(dist, 4000), PLAIN, Support(5.5, 0.5)))
    assert ((samples >= 5.5) | (samples <= 0.5)).all()
    assert (samples == 0).any()
    assert (samples == 6).any()
    assert dist.event_shape.angle
