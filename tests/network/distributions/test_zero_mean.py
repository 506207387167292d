"""A distribution whose mean is always that of training: what moves, and what stays as it was."""

import jax.numpy as jnp
import numpy as np
import pytest

from unspool.network.distributions.base import Support
from unspool.network.distributions.discretized import Discretized
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.normal import Normal, Point
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.reparameterized import Reflected, ZeroMean, location_mask
from unspool.network.distributions.rules import Rule
from unspool.network.distributions.student_t import StudentT

pytestmark = pytest.mark.usefixtures("whole_programs")

CASES = {
    "normal": (Normal(), [0.4, -0.6]),
    "student": (StudentT(), [0.4, -0.6, -0.2]),
    "mixture": (Mixture(2), [0.5, -0.3, -1.1, 0.9, -0.8, -0.2]),
}
N = 200_000


@pytest.fixture(params=CASES)
def case(request):
    dist, params = CASES[request.param]
    return dist, jnp.array(params)


def test_the_density_is_that_of_the_distribution_inside_moved_by_its_mean(case):
    dist, params = case
    x = jnp.linspace(-4, 4, 41)
    every = jnp.broadcast_to(params, (41, dist.num_params))
    moved = dist.log_prob(every, x + dist.mean(params))
    np.testing.assert_allclose(ZeroMean(dist).log_prob(every, x), moved, atol=1e-5)
    fine = jnp.linspace(-200, 200, 400_001)
    density = jnp.exp(ZeroMean(dist).log_prob(jnp.broadcast_to(params, (len(fine), dist.num_params)), fine))
    assert float(np.trapezoid(density, fine)) == pytest.approx(1, abs=1e-3)


def test_samples_have_a_mean_of_zero_whatever_the_parameters(case):
    dist, params = case
    uniforms = jnp.asarray(np.random.default_rng(0).random((N, dist.num_uniforms)), jnp.float32)
    for shift in (0.0, 5.0):
        moved = params + shift * jnp.asarray(location_mask(dist))
        draws = np.asarray(ZeroMean(dist).sample(jnp.broadcast_to(moved, (N, dist.num_params)), uniforms))
        assert abs(draws.mean()) < 5 * draws.std() / N**0.5
        assert float(ZeroMean(dist).mean(moved)) == pytest.approx(0, abs=1e-5)


def test_supports_and_rules_go_to_the_distribution_inside(case):
    dist, params = case
    uniforms = jnp.asarray(np.random.default_rng(0).random((1000, dist.num_uniforms)), jnp.float32)
    draws = ZeroMean(dist).sample(
        jnp.broadcast_to(params, (1000, dist.num_params)), uniforms, support=Support(0.1, 0.3)
    )
    assert float(draws.min()) >= 0.1
    assert float(draws.max()) <= 0.3
    share = float(jnp.exp(ZeroMean(dist).log_mass(params, Support(0.1, 0.3))))
    inside = dist.log_mass(params, Support(0.1 + dist.mean(params), 0.3 + dist.mean(params)))
    assert share == pytest.approx(float(jnp.exp(inside)), rel=1e-3)
    mode = ZeroMean(dist).sample(params, uniforms[0], Rule(True))
    assert float(mode) == pytest.approx(float(dist.mode(params) - dist.mean(params)), abs=1e-5)


@pytest.mark.parametrize(
    ("dist", "where"),
    [
        (Point(), [0]),
        (Discretized(Grid("linear", 1.0, 0.0, 1.0, 1.0), components=2), [2, 3]),
        (Reflected(Normal(), -1.0, 1.0), [0]),
        (ZeroMean(Mixture(2)), [2, 3]),
        (PointMasses(StudentT(), (0.0,)), [2]),
    ],
)
def test_a_distribution_says_which_parameters_move_its_values(dist, where):
    assert np.flatnonzero(location_mask(dist)).tolist() == where
    assert set(location_mask(dist)) <= {0.0, 1.0}


def test_whole_numbers_are_centred_before_they_are_rounded():
    grid = Grid("linear", 1.0, 0.0, 1.0, 1.0)
    dist = ZeroMean(Discretized(grid, components=2))
    params = jnp.array([0.0, 0.0, 4.0, 9.0, 0.5, 0.5])
    uniforms = jnp.asarray(np.random.default_rng(0).random((N, 2)), jnp.float32)
    draws = np.asarray(dist.sample(jnp.broadcast_to(params, (N, 6)), uniforms))
    assert set(np.unique(draws)) <= set(range(-60, 60))
    assert draws.mean() == pytest.approx(0, abs=0.05)
