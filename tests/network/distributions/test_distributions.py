"""Every distribution is the distribution that its name says: in density, in draws, under rules, and after fitting."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from unspool.generation.sampler import rule_of
from unspool.network.distributions.categorical import Categorical, bernoulli_icdf, bernoulli_log_prob
from unspool.network.distributions.circular import Circular
from unspool.network.distributions.discretized import Discretized
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.normal import MIN_SCALE, Normal, Point, positive, raw_scale
from unspool.network.distributions.student_t import StudentT, student_t_icdf
from unspool.options import Sampling
from unspool.runtime.threefry import seed_words, uniforms

pytestmark = pytest.mark.usefixtures("whole_programs")

N = 20_000
FIVE_SIGMA = 2 * stats.norm.sf(5)

CASES = {
    "categorical": (Categorical(4), [0.3, -1.0, 1.2, 0.0]),
    "normal": (Normal(), [0.4, -0.6]),
    "student": (StudentT(), [0.4, -0.6, -1.2]),
    "mixture": (Mixture(2), [0.5, -0.3, -1.1, 0.9, -0.8, -0.2]),
    "nullable": (WithMissing(Normal()), [-0.8, 0.4, -0.6]),
    "point": (Point(), [0.4]),
}
NUMBERS = ["normal", "student", "mixture"]


def case(name):
    dist, params = CASES[name]
    return dist, np.array(params)


def spread(raw):
    return np.log1p(np.exp(raw) * (np.e - 1)) + 1e-4


def freedom(raw):
    return 1 + 9 * np.exp(raw)


class Blend:
    """A mixture of SciPy's distributions, and the part of each that a rule leaves."""

    def __init__(self, weights, parts, mass=1.0):
        self.weights, self.parts, self.mass = np.array(weights) / np.sum(weights), parts, mass

    def logpdf(self, x):
        return np.log(sum(w * part.pdf(x) for w, part in zip(self.weights, self.parts, strict=True)))

    def cdf(self, x):
        cut = [np.clip((part.cdf(x) - 0.5) / self.mass + 0.5, 0, 1) for part in self.parts]
        return sum(w * share for w, share in zip(self.weights, cut, strict=True))


def scipys(name, temperature=1.0, mass=1.0, keep=(True, True)):
    """The distribution, as SciPy has it: warmed, and cut to the central mass."""
    p = np.array(CASES[name][1])
    if name == "normal":
        return Blend([1], [stats.norm(p[0], spread(p[1]) * temperature)], mass)
    if name == "student":
        return Blend([1], [stats.t(freedom(p[2]), p[0], spread(p[1]) * temperature)], mass)
    parts = [stats.norm(loc, spread(raw) * temperature) for loc, raw in zip(p[2:4], p[4:], strict=True)]
    return Blend(np.exp(p[:2] / temperature) * keep, parts, mass)


@functools.cache
def draws(count, seed=11):
    rows = jnp.arange(N)
    return uniforms(seed_words(seed), rows, jnp.zeros(N, int), jnp.zeros(1, int), count)[0]


@functools.partial(jax.jit, static_argnums=0)
def pick(dist, params, u, rule):
    """One program a distribution and kind of rule."""
    return dist.sample(params, u, rule)


def sampled(name, **options):
    """N values that the distribution draws, with Threefry's uniforms."""
    dist, params = case(name)
    params = jnp.broadcast_to(jnp.asarray(params, jnp.float32), (N, dist.num_params))
    return np.asarray(pick(dist, params, draws(dist.num_uniforms), rule_of(Sampling(**options))))


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


# ---- density -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
def test_log_densities_are_those_of_scipy(name):
    """In float64, to 1e-9, far into the tails."""
    dist, params = case(name)
    x = np.linspace(-9, 9, 37)
    with jax.enable_x64(True):
        own = dist.log_prob(jnp.asarray(np.tile(params, (37, 1))), jnp.asarray(x))
    np.testing.assert_allclose(own, scipys(name).logpdf(x), rtol=1e-9, atol=1e-9)


def test_a_point_is_a_normal_of_unit_spread():
    own = Point().log_prob(jnp.array([[0.4]] * 3), jnp.array([-2.0, 0.4, 3.0]))
    np.testing.assert_allclose(own, stats.norm(0.4).logpdf([-2.0, 0.4, 3.0]), rtol=1e-6)


def test_log_probabilities_of_symbols_are_those_of_scipy():
    """A category is one draw of a multinomial; yes and no are a Bernoulli."""
    dist, params = case("categorical")
    own = dist.log_prob(jnp.asarray(np.tile(params, (4, 1)), jnp.float32), jnp.arange(4))
    np.testing.assert_allclose(own, stats.multinomial(1, softmax(params)).logpmf(np.eye(4)), rtol=1e-5)
    own = bernoulli_log_prob(jnp.array([0.7, 0.7]), jnp.array([False, True]))
    np.testing.assert_allclose(own, stats.bernoulli(1 / (1 + np.exp(-0.7))).logpmf([0, 1]), rtol=1e-5)


@pytest.mark.parametrize("name", [*NUMBERS, "point"])
def test_densities_integrate_to_one(name):
    """By the trapezoid rule in sinh, which reaches 1e9 spreads on both sides."""
    dist, params = case(name)
    y = np.linspace(-21, 21, 4001)
    with jax.enable_x64(True):
        density = np.exp(dist.log_prob(jnp.asarray(np.tile(params, (4001, 1))), jnp.asarray(np.sinh(y))))
    assert (density * np.cosh(y)).sum() * (y[1] - y[0]) == pytest.approx(1, abs=1e-6)


def test_unseen_symbols_get_their_mass_and_all_sums_to_one():
    """Index V stands for every symbol that training never saw; it is never sampled."""
    dist, params = Categorical(4, unseen=0.125), jnp.asarray(np.tile(CASES["categorical"][1], (5, 1)), jnp.float32)
    mass = np.exp(dist.log_prob(params, jnp.arange(5)))
    assert mass[4] == pytest.approx(0.125)
    assert mass.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(mass[:4], 0.875 * softmax(np.array(CASES["categorical"][1])), rtol=1e-5)
    gradient = jax.grad(lambda p: dist.log_prob(p, jnp.full(5, 4)).sum())(params)
    assert (gradient == 0).all()
    assert dist.sample(params, jnp.full((5, 1), 1 - 2**-24)).max() == 3


def test_a_missing_number_costs_its_own_probability_and_nothing_else():
    """And the gradient is finite on both sides, though NaN stands in the data."""
    dist, params = case("nullable")
    rows = jnp.asarray(np.tile(params, (2, 1)), jnp.float32)
    value = jnp.array([jnp.nan, 1.5])
    gone = stats.bernoulli(1 / (1 + np.exp(0.8)))
    expected = [gone.logpmf(1), gone.logpmf(0) + scipys("normal").logpdf(1.5)]
    np.testing.assert_allclose(dist.log_prob(rows, value), expected, rtol=1e-5)
    gradient = jax.grad(lambda p: dist.log_prob(p, value).sum())(rows)
    assert np.isfinite(gradient).all()
    assert (gradient[0, 1:] == 0).all()


# ---- draws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
def test_samples_follow_the_distribution(name):
    """Kolmogorov-Smirnov over 20,000 draws, at five sigma."""
    assert stats.kstest(sampled(name), scipys(name).cdf).pvalue > FIVE_SIGMA


def assert_shares(values, probabilities):
    """Counts within five standard errors of a multinomial; what has no probability never occurs."""
    counts = np.bincount(values, minlength=len(probabilities))
    assert (counts[np.asarray(probabilities) == 0] == 0).all()
    error = np.sqrt(N * probabilities * (1 - np.asarray(probabilities)))
    assert (np.abs(counts - N * np.asarray(probabilities)) <= 5 * error + 1e-6).all()


def test_symbols_are_sampled_as_often_as_they_are_probable():
    assert_shares(sampled("categorical"), softmax(np.array(CASES["categorical"][1])))
    yes = 1 / (1 + np.exp(-0.7))
    answers = bernoulli_icdf(jnp.full(N, 0.7), draws(1)[..., 0])
    assert_shares(np.asarray(answers).astype(int), np.array([1 - yes, yes]))


def test_missing_numbers_are_sampled_as_often_as_learned_and_the_others_follow_their_distribution():
    """Whatever the rule: temperature and truncation act on the number, not on whether it is there."""
    gone = 1 / (1 + np.exp(0.8))
    for options, mass in [({}, 1.0), ({"top_p": 0.5}, 0.5)]:
        values = sampled("nullable", **options)
        assert_shares(np.isnan(values).astype(int), np.array([1 - gone, gone]))
        there = values[~np.isnan(values)]
        assert stats.kstest(there, scipys("normal", mass=mass).cdf).pvalue > FIVE_SIGMA


def test_a_point_gives_itself_and_consumes_no_uniform():
    assert Point().num_uniforms == 0
    assert (sampled("point") == np.float32(0.4)).all()


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("categorical", "point")])
@pytest.mark.parametrize("options", [{}, {"top_p": 0.9}, {"min_p": 0.05}, {"temperature": 5.0}])
def test_the_outermost_uniforms_give_finite_numbers(name, options):
    """2**-24 and 1 - 2**-24 are the ends of what `uniforms` can give."""
    dist, params = case(name)
    ends = np.array([2**-24, 0.5, 1 - 2**-24], np.float32)
    u = np.stack(np.meshgrid(*[ends] * dist.num_uniforms), -1).reshape(-1, dist.num_uniforms)
    rows = jnp.asarray(np.tile(params, (len(u), 1)), jnp.float32)
    values = np.asarray(pick(dist, rows, jnp.asarray(u), rule_of(Sampling(**options))))
    if name == "nullable":
        assert (np.isnan(values) == (u[:, 0] < 1 / (1 + np.exp(0.8)))).all()
        values = values[~np.isnan(values)]
    assert np.isfinite(values).all()


@pytest.mark.parametrize("df", [1.0025, 1.1, 1.5, 2.0, 2.4, 2.5, 3.0, 4.9, 10.0, 1000.0])
def test_the_quantile_of_student_is_that_of_scipy(df):
    """To 1e-4 of the value from 2.5 degrees on and to 0.3 % below, from the tails to the middle, and never falling."""
    tail = np.concatenate([2.0 ** -np.arange(24, 3, -1), np.linspace(0.07, 0.4999, 60)])
    p = np.concatenate([tail, [0.5], 1 - tail[::-1]]).astype(np.float32)
    own = np.asarray(student_t_icdf(jnp.asarray(p), jnp.float32(df)))
    np.testing.assert_allclose(own, stats.t.ppf(p.astype(float), df), rtol=1e-4 if df >= 2.5 else 3e-3, atol=1e-6)
    assert (np.diff(own) >= 0).all()


# ---- rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
def test_temperature_scales_the_spread(name):
    """Of a mixture, it also flattens the weights of the components."""
    assert stats.kstest(sampled(name, temperature=1.7), scipys(name, 1.7).cdf).pvalue > FIVE_SIGMA


@pytest.mark.parametrize("name", ["normal", "student"])
def test_top_p_leaves_the_central_mass(name):
    expected = scipys(name, 0.8, mass=0.6)
    assert stats.kstest(sampled(name, temperature=0.8, top_p=0.6), expected.cdf).pvalue > FIVE_SIGMA


@pytest.mark.parametrize("name", ["normal", "student"])
def test_min_p_leaves_what_is_dense_enough(name):
    """The cut is where SciPy's density is that share of its peak."""
    dist = scipys(name).parts[0]
    loc = CASES[name][1][0]
    radius = optimize.brentq(lambda r: dist.pdf(loc + r) - 0.2 * dist.pdf(loc), 0, 50)
    values = sampled(name, min_p=0.2)
    assert np.abs(values - loc).max() <= radius * 1.001
    assert np.abs(values - loc).max() > 0.99 * radius
    expected = scipys(name, mass=2 * dist.cdf(loc + radius) - 1)
    assert stats.kstest(values, expected.cdf).pvalue > FIVE_SIGMA


def test_rules_act_on_the_components_of_a_mixture_and_within_each():
    """The weights are 0.69 and 0.31: top-p of 0.6 and min-p of 0.5 leave the first alone, top-p of 0.9 both."""
    for top_p, keep in [(0.6, (True, False)), (0.9, (True, True))]:
        expected = scipys("mixture", mass=top_p, keep=keep)
        assert stats.kstest(sampled("mixture", top_p=top_p), expected.cdf).pvalue > FIVE_SIGMA
    mass = 2 * stats.norm.cdf(np.sqrt(2 * np.log(2))) - 1
    expected = scipys("mixture", mass=mass, keep=(True, False))
    assert stats.kstest(sampled("mixture", min_p=0.5), expected.cdf).pvalue > FIVE_SIGMA


@pytest.mark.parametrize("name", [*NUMBERS, "nullable", "point"])
def test_top_k_is_for_symbols_and_leaves_numbers_alone(name):
    """In a record of a category and a number, the rule for the one must not thin out the other."""
    np.testing.assert_array_equal(sampled(name, top_k=1), sampled(name))


@pytest.mark.parametrize(
    ("options", "logits"),
    [
        ({"temperature": 0.5}, [0.6, -2.0, 2.4, 0.0]),
        ({"top_k": 2}, [0.3, -np.inf, 1.2, -np.inf]),
        ({"top_p": 0.8}, [0.3, -np.inf, 1.2, 0.0]),
        ({"top_p": 0.7}, [0.3, -np.inf, 1.2, -np.inf]),
        ({"min_p": 0.35}, [0.3, -np.inf, 1.2, -np.inf]),
        ({"temperature": 2.0, "top_k": 3}, [0.15, -np.inf, 0.6, 0.0]),
    ],
)
def test_rules_leave_a_category_what_they_say(options, logits):
    """The probabilities are 0.22, 0.06, 0.55, 0.16; the relative ones 0.41, 0.11, 1, 0.30."""
    assert_shares(sampled("categorical", **options), softmax(np.array(logits)))


@pytest.mark.parametrize("name", CASES)
def test_greedy_is_the_mode(name):
    """Whatever the uniforms; and of all values, the mode has the largest log-probability.

    Of a mixture it is the location of the highest component, whose peak the neighbour shifts by a little.
    """
    dist, params = case(name)
    values = sampled(name, greedy=True)
    mode = np.asarray(dist.mode(jnp.asarray(params, jnp.float32)[None]))
    np.testing.assert_array_equal(values, np.broadcast_to(mode, values.shape))
    grid = np.arange(4) if name == "categorical" else np.linspace(-4, 4, 801, dtype=np.float32)
    rows = jnp.asarray(np.tile(params, (len(grid), 1)), jnp.float32)
    best = grid[np.argmax(dist.log_prob(rows, jnp.asarray(grid)))]
    assert mode.item() == pytest.approx(best, abs=0 if name == "categorical" else 0.03)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_mean_is_the_mean_of_the_samples(name):
    """Within five standard errors."""
    dist, params = case(name)
    values = sampled(name)
    mean = np.asarray(dist.mean(jnp.asarray(params, jnp.float32)[None])).item()
    assert abs(values.mean() - mean) < 5 * values.std() / np.sqrt(N)


def test_the_mean_of_a_category_is_its_probabilities_and_of_a_nullable_number_that_of_what_is_there():
    for name, mean in [
        ("categorical", softmax(np.array(CASES["categorical"][1]))),
        ("nullable", [0.4]),
        ("point", [0.4]),
    ]:
        dist, params = case(name)
        np.testing.assert_allclose(np.ravel(dist.mean(jnp.asarray(params, jnp.float32)[None])), mean, rtol=1e-5)


# ---- recovery ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CASES if name != "point"])
def test_a_fit_to_its_own_samples_gives_the_parameters_back(name):
    """Maximum likelihood from where training starts; within five standard errors in every direction.

    The errors are those of the observed Fisher information H. In the direction of its eigenvector q with eigenvalue
    l, the estimate is off by q . (fitted - true), whose standard error is 1 / sqrt(N l). What the likelihood does not
    see, such as a shift of all logits, has l = 0.
    """
    dist, params = case(name)
    with jax.enable_x64(True):
        values = jnp.asarray(sampled(name))

        def loss(p):
            return -dist.log_prob(jnp.broadcast_to(p, (N, dist.num_params)), values).mean()

        slope = jax.jit(jax.value_and_grad(loss))
        fitted = optimize.minimize(
            lambda p: tuple(np.asarray(part) for part in slope(p)),
            dist.initial_params(),
            jac=True,
            options={"gtol": 1e-7},
        )
        information = jax.jit(jax.hessian(loss))(jnp.asarray(fitted.x))
    eigenvalues, directions = np.linalg.eigh(np.asarray(information))
    assert (eigenvalues > 1e-4).sum() >= dist.num_params - (name in ("categorical", "mixture"))
    off = np.sqrt(N * np.maximum(eigenvalues, 0)) * (directions.T @ (fitted.x - params))
    assert np.abs(off).max() < 5


def test_training_of_a_point_finds_the_mean():
    """The gradient of squared error vanishes there and nowhere else."""
    values = jnp.asarray(sampled("normal"))
    slope = jax.grad(lambda p: Point().log_prob(jnp.broadcast_to(p, (N, 1)), values).mean())
    assert slope(jnp.array([values.mean()])) == pytest.approx(0, abs=1e-5)
    assert slope(jnp.array([values.mean() + 1])) == pytest.approx(-1, abs=1e-4)


# ---- extremes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_extreme_parameters_stay_finite_and_so_do_their_gradients(name):
    """Every mix of parameters at -1e4, 0 and 1e4, in float32: a wild update must not end a training in NaN."""
    dist, _ = case(name)
    size = min(dist.num_params, 4)
    params = np.stack(np.meshgrid(*[[-1e4, 0.0, 1e4]] * size), -1).reshape(-1, size)
    params = np.concatenate([params, np.zeros((len(params), dist.num_params - size))], -1)
    params = np.concatenate([params, params[:, ::-1]]).astype(np.float32)
    values = jnp.array([0, 1, 3] if dist.event_shape.symbols else [-1e3, 0.0, 1e3])
    ends = jnp.array([2**-24, 0.5, 1 - 2**-24])

    @jax.jit
    def all_at_once(params):
        rows = jnp.broadcast_to(params, (3, *params.shape))
        total, pull = jax.vjp(lambda p: dist.log_prob(p, jnp.broadcast_to(values[:, None], p.shape[:-1])), rows)
        u = jnp.broadcast_to(ends[:, None, None], (3, len(params), dist.num_uniforms))
        return total, pull(jnp.ones_like(total))[0], dist.sample(rows, u)

    total, gradient, samples = all_at_once(jnp.asarray(params))
    assert np.isfinite(total).all()
    assert np.isfinite(gradient).all()
    assert (np.isfinite(samples) | (name == "nullable")).all()


def test_a_spread_is_one_at_zero_and_never_below_its_floor():
    np.testing.assert_allclose(positive(jnp.array([-1e4, 0.0, 1e4])), [1e-4, 1.0001, 1e4], rtol=1e-4)


@pytest.mark.parametrize("name", [*NUMBERS, "discretized", "circular"])
def test_the_gradient_of_a_location_is_less_where_its_scale_is_small_and_no_other_is(name):
    """Beside the slopes of the log-density itself, for one component a little off a value."""
    one = {
        "mixture": Mixture(1),
        "discretized": Discretized(Grid("linear", 1.0, 0.0, 1.0, 1e-4), components=1),
        "circular": Circular(following=0, free=1),
    }
    dist, at = one[name] if name in one else case(name)[0], int(name in one)
    scales, shares = np.array([0.5, 0.002]), np.array([1.0, 0.2])
    params = np.tile(dist.initial_params(), (2, 1))
    params[:, at], params[:, at + 1] = 0.3, [raw_scale(scale - MIN_SCALE) for scale in scales]
    moves = 1e-7 * np.eye(params.shape[1])

    @jax.jit
    def all_at_once(params):
        value = jnp.broadcast_to(0.3 + scales[:, None], params.shape[:-1])
        total, pull = jax.vjp(lambda p: dist.log_prob(p, value), params)
        return total, pull(jnp.ones_like(total))[0][:, 0]

    with jax.enable_x64(True):
        total, gradient = all_at_once(params[:, None] + np.concatenate([0 * moves[:1], moves, -moves]))
    up, down = np.split(np.asarray(total)[:, 1:], 2, axis=1)
    slopes = (up - down) / 2e-7
    assert (np.abs(slopes[:, at]) > 0.3 / scales).all()
    slopes[:, at] *= shares
    np.testing.assert_allclose(gradient, slopes, rtol=0.01, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_a_distribution_says_how_many_parameters_and_uniforms_it_takes(name):
    """Training starts from as many; of a mixture, from components side by side."""
    dist, params = case(name)
    assert len(params) == dist.num_params == len(dist.initial_params())
    assert dist.event_shape.symbols == (4 if name == "categorical" else None)
    if name == "mixture":
        assert dist.initial_params()[2] < dist.initial_params()[3]
