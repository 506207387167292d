"""The distributions that baselines use, against SciPy and against truths that drew the data."""

import numpy as np
import pytest

from unspool.evaluation.baselines import densities
from unspool.evaluation.baselines.densities import BinnedDensity, StudentDensity, fit_histogram, fit_student

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("freedom", [1.5, 6.0, np.inf])
def test_density_and_mass_of_a_student_are_scipys(freedom):
    x = np.linspace(-4, 9, 27)
    truth = stats.norm(2.0, 1.7) if np.isinf(freedom) else stats.t(freedom, 2.0, 1.7)
    student = StudentDensity(2.0, 1.7, freedom)
    np.testing.assert_allclose(student.log_density(x), truth.logpdf(x), rtol=1e-12)
    mass = truth.cdf(x + 0.5) - truth.cdf(x - 0.5)
    np.testing.assert_allclose(np.exp(student.log_mass(x - 0.5, x + 0.5)), mass, atol=1e-12)


def test_mass_far_out_in_the_upper_tail_is_not_lost_to_rounding():
    far = np.array([12.0])
    student = StudentDensity(0.0, 1.0, np.inf)
    np.testing.assert_allclose(student.log_mass(far, far + 1), student.log_mass(-far - 1, -far), rtol=1e-12)
    np.testing.assert_allclose(student.log_mass(far, far + 1), np.log(stats.norm.sf(12) - stats.norm.sf(13)), rtol=1e-9)


@pytest.mark.parametrize("kind", ["student", "histogram"])
def test_cells_of_a_grid_have_probability_one_together(kind):
    values = np.random.default_rng(0).poisson(6, 500).astype(float)
    density = StudentDensity(6.0, 2.0, 3.0) if kind == "student" else fit_histogram(values, 8)
    total = np.exp(densities.log_prob(density, np.arange(-5000.0, 5000.0), 1.0)).sum()
    assert total == pytest.approx(1, abs=1e-4)


def test_a_histogram_is_a_density_with_no_hole():
    values = np.concatenate([np.random.default_rng(0).normal(size=300), np.zeros(100), [40.0]])
    histogram = fit_histogram(values, 16)
    x = np.linspace(-60, 120, 2_000_001)
    p = np.exp(histogram.log_density(x))
    assert p.min() > 0
    mass = np.exp(histogram.log_mass(np.array([-60.0]), np.array([120.0])))[0]
    assert np.trapezoid(p, x) == pytest.approx(mass, abs=2e-4)
    assert mass > 0.99


def test_values_all_alike_still_have_a_density():
    same = np.full(20, 3.0)
    assert isinstance(fit_histogram(same, 8), BinnedDensity)
    coefficients, scale, _ = fit_student(same)
    assert coefficients[0] == pytest.approx(3.0)
    assert scale > 0


def test_a_students_parameters_are_recovered_within_five_standard_errors():
    values = 3 + 0.5 * stats.t.rvs(4, size=4000, random_state=1)
    (loc,), scale, freedom = fit_student(values)
    best = stats.t.fit(values)
    lost = stats.t.logpdf(values, *best).sum() - StudentDensity(float(loc), scale, freedom).log_density(values).sum()
    assert freedom in (3.0, 4.0, 6.0)
    assert 0 <= lost + 1e-6 < 5  # degrees of freedom are tried at a few values only
    assert abs(loc - 3) < 5 * 0.5 * np.sqrt(2 / 4000)


def test_regression_recovers_its_line_in_spite_of_outliers():
    rng = np.random.default_rng(2)
    x = rng.normal(size=2000)
    y = 1 + 2 * x + 0.1 * rng.standard_t(2, 2000)
    coefficients, _, freedom = fit_student(y, design=np.stack([np.ones(2000), x], 1))
    np.testing.assert_allclose(coefficients, [1, 2], atol=5 * 0.1 * np.sqrt(2 / 2000))
    assert freedom <= 3


@pytest.mark.parametrize("seed", [0, 1])
def test_a_marginal_comes_near_the_entropy_whatever_drew_it(seed):
    """Two humps far apart want a histogram, a normal does not; either costs little over the truth."""
    rng = np.random.default_rng(seed)
    train, test = (
        np.where(rng.random(4000) < 0.3, rng.normal(-5, 0.5, 4000), rng.normal(5, 1.0, 4000)) for _ in range(2)
    )
    found = densities.fit_marginal(train, np.arange(4000))
    assert isinstance(found, BinnedDensity)
    true = np.log(0.3 * stats.norm.pdf(test, -5, 0.5) + 0.7 * stats.norm.pdf(test, 5, 1))
    assert (true - found.log_density(test)).mean() < 0.1
    normal = densities.fit_marginal(rng.normal(size=3000), np.arange(3000))
    assert isinstance(normal, StudentDensity)
