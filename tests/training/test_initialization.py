"""Where training begins: at the life table of the lengths, and at the first-order autoregression of every number."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.encoding.encoded import Encoded
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.discretized import Discretized
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.normal import Normal, Point
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.reparameterized import Reflected
from unspool.network.distributions.student_t import StudentT
from unspool.options import Network
from unspool.training.autoregression import fit_ar1
from unspool.training.batching import to_buckets
from unspool.training.initialization import initialize_from_data
from unspool.training.scoring import score

SLOPE, CONSTANT, SPREAD = 0.8, 0.3, 0.5


def encoded(lengths, gone=0.0):
    """A category, and a number that is an autoregression; first values about 2 with a spread of 0.2."""
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    x = np.zeros(offsets[-1])
    for a, b in itertools.pairwise(offsets):
        for t in range(a, b):
            x[t] = 2 + 0.2 * rng.normal() if t == a else CONSTANT + SLOPE * x[t - 1] + SPREAD * rng.normal()
    x[rng.random(len(x)) < gone] = np.nan
    symbols = rng.integers(0, 3, len(x)).astype(np.int32)
    inputs = (rng.integers(0, 2, len(lengths)).astype(np.int32),)
    return Encoded(inputs, (symbols, x), offsets, (np.zeros(len(x)), np.zeros(len(x))))


LENGTHS = np.tile([3, 5, 8], 200)


def plain(dist, data):
    """A fresh network that has begun, and whose hidden state says nothing of spreads and ends."""
    shape = Architecture((EventShape(symbols=2),), (Categorical(3), dist), 10, 6, 4, Network(dropout=0.0))
    net = initialize_from_data(Net(np.random.default_rng(0), shape), data)
    silent = lambda net: (net.outputs.A, net.outputs.B, net.stop[0])  # noqa: E731
    return eqx.tree_at(silent, net, (0 * net.outputs.A, jax.tree.map(lambda b: 0 * b, net.outputs.B), 0 * net.stop[0]))


def nats(net, data):
    """Of all steps: the number's, and of all decisions to stop."""
    buckets, _ = to_buckets(data, True)
    return -sum(score(net, bucket).sum(0) for bucket in buckets)[1:]


def test_a_number_begins_as_the_autoregression_that_it_is():
    """Its nats are those of the truth, but for what is estimated: of the first values too."""
    data = encoded(LENGTHS)
    first = len(LENGTHS)
    later = len(data.steps[1]) - first
    entropy = lambda spread: 0.5 * np.log(2 * np.pi * np.e * spread**2)  # noqa: E731
    truth = first * entropy(0.2) + later * entropy(SPREAD)
    assert nats(plain(Normal(), data), data)[0] / (first + later) == pytest.approx(truth / (first + later), abs=0.02)


GRID = Grid("linear", 1.0, 0.0, 1.0, 0.01)


@pytest.mark.parametrize("dist", [Mixture(3), Discretized(GRID, components=3), WithMissing(Mixture(5))], ids=repr)
def test_a_mixture_begins_as_the_innovations_are_made(dist):
    """Of which every tenth is ten times as large; the nats are nearly those of the truth, of cells if there are any."""
    rng = np.random.default_rng(0)
    spreads, x = np.where(rng.random((500, 12)) < 0.1, 3.0, 0.3), np.zeros((500, 12))
    x[:, 0] = rng.normal(size=500)
    for t in range(1, 12):
        x[:, t] = CONSTANT + SLOPE * x[:, t - 1] + spreads[:, t] * rng.normal(size=500)
    innovations = x[:, 1:] - CONSTANT - SLOPE * x[:, :-1]
    density = lambda spread: np.exp(-0.5 * (innovations / spread) ** 2) / (spread * np.sqrt(2 * np.pi))  # noqa: E731
    truth = -np.log(0.9 * density(0.3) + 0.1 * density(3.0)).sum()
    inputs = (rng.integers(0, 2, 500).astype(np.int32),)
    symbols, values, none = rng.integers(0, 3, 6_000).astype(np.int32), np.round(x, 2).reshape(-1), np.zeros(6_000)
    data = Encoded(inputs, (symbols, values), np.arange(0, 6_001, 12), (none, none))
    net = plain(dist, data)
    firsts = nats(net, first_steps(data))[0]
    own = nats(net, data)[0] - firsts
    own -= 5_500 * (np.log(100) if isinstance(dist, Discretized) else 0)
    own -= 5_500 * (np.log(2) if isinstance(dist, WithMissing) else 0)
    assert own / 5_500 == pytest.approx(truth / 5_500, abs=0.05)


@pytest.mark.parametrize("dist", [StudentT(), Mixture(3), WithMissing(Normal()), Reflected(Normal(), -9.0, 9.0)])
def test_other_distributions_begin_there_too(dist):
    """What they add is theirs: a mixture's parts, the logit of missing. The mean follows the value before."""
    data = encoded(LENGTHS)
    net = plain(dist, data)
    gates, own = 4 * net.shape.size, slice(3, 3 + dist.num_params)
    at = lambda x: net.outputs.b[own] + x * net.feedback[1][0, 0, gates + 3 : gates + 3 + dist.num_params]  # noqa: E731
    found = [float(dist.mean(at(x))) for x in (0.0, 1.0)]
    chain = fit_ar1(data.steps[1], data.offsets)
    assert found == pytest.approx([chain.constant, chain.constant + chain.slope], abs=1e-3)
    first = net.outputs.b[own] + net.start[gates + 3 : gates + 3 + dist.num_params]
    assert float(dist.mean(first)) == pytest.approx(chain.first[0], abs=1e-3)


def test_a_value_that_is_its_own_distribution_begins_there():
    data = encoded(LENGTHS)
    net = plain(Point(), data)
    assert float(net.outputs.b[3]) == pytest.approx(CONSTANT, abs=0.05)


@pytest.mark.parametrize("dist", [Normal(), Mixture(3), WithMissing(Normal())], ids=repr)
def test_hidden_units_move_no_location_at_first(dist):
    """Of two numbers, the second has hidden units within the step; spreads and symbols begin at random weights."""
    data = encoded(LENGTHS)
    data = Encoded(data.inputs, (*data.steps, data.steps[1]), data.offsets, (*data.log_jacobian, data.log_jacobian[1]))
    shape = Architecture((EventShape(symbols=2),), (Categorical(3), dist, dist), 10, 6, 4, Network(dropout=0.0))
    fresh = Net(np.random.default_rng(0), shape)
    begun, layout = initialize_from_data(fresh, data), fresh.shape.steps
    location = (dist.initial_params(1.0) - dist.initial_params(0.0)) != 0
    assert location.any()
    assert not location.all()
    for j in (1, 2):
        (g, i), own = layout.place(j), np.asarray(begun.outputs.A)[:, layout.columns(j)]
        for weights in (own, np.asarray(begun.outputs.B[g][i])):
            assert not weights[:, location].any()
            assert weights[:, ~location].all()
    symbols = layout.columns(0)
    assert (begun.outputs.A[:, symbols] == fresh.outputs.A[:, symbols]).all()


def test_after_a_missing_value_there_is_nothing_to_go_on():
    """Its mark turns the autoregression into what values after missing ones are like."""
    data = encoded(LENGTHS, gone=0.3)
    chain = fit_ar1(data.steps[1], data.offsets)
    before = np.concatenate([[0.0], data.steps[1][:-1]])
    before[data.offsets[:-1]] = 0.0
    after = data.steps[1][np.isnan(before) & ~np.isnan(data.steps[1])]
    assert chain.after_missing == pytest.approx((after.mean(), after.std()))
    assert chain.slope == pytest.approx(SLOPE, abs=0.05)
    dist = WithMissing(Normal())
    net = plain(dist, data)
    params = net.outputs.b[3:] + net.feedback[1][0, 1, 4 * net.shape.size + 3 : -1]
    assert float(dist.mean(params)) == pytest.approx(chain.after_missing[0], abs=1e-4)


def test_too_little_to_fit_leaves_the_network_where_it_was():
    """Seven steps: standardized data are what is assumed, and nothing follows from anything."""
    chain = fit_ar1(np.arange(7.0), np.array([0, 7]))
    assert (chain.constant, chain.slope, chain.scale, chain.first) == (0.0, 0.0, 1.0, (0.0, 1.0))
    empty = fit_ar1(np.zeros(0), np.zeros(3, np.int64))
    assert empty == chain


def test_a_number_that_never_changes_has_no_slope():
    chain = fit_ar1(np.full(40, 2.0), np.array([0, 20, 40]))
    assert (chain.constant, chain.slope, chain.scale) == (2.0, 0.0, 0.1)


# ---- lengths -------------------------------------------------------------------------------------------------------


def test_a_fresh_network_has_that_hazard():
    data = encoded(LENGTHS)
    entropy = len(LENGTHS) * np.log(3)
    assert nats(plain(Normal(), data), data)[1] == pytest.approx(entropy, rel=0.02)


def test_a_symbol_that_is_always_the_last_one_ends_a_fresh_network():
    """Each sequence ends after symbol 2 and nowhere else; where symbols say nothing of ends, nothing is added."""
    data = encoded(LENGTHS)
    symbols = data.steps[0].copy()
    fresh = plain(Normal(), data)
    for learned in (fresh.start, *fresh.feedback):
        assert (np.asarray(learned)[..., -1] == 0).all()
    symbols[symbols == 2] = 1
    symbols[data.offsets[1:] - 1] = 2
    data = dataclasses.replace(data, steps=(symbols, data.steps[1]))
    assert nats(plain(Normal(), data), data)[1] < 0.05 * nats(fresh, data)[1]


def test_where_lengths_do_not_vary_there_is_no_hazard_to_begin():
    data = encoded(np.full(40, 4))
    shape = Architecture((EventShape(symbols=2),), (Categorical(3), Normal()), 0, 6, 4, Network(dropout=0.0))
    net = initialize_from_data(Net(np.random.default_rng(0), shape), data)
    assert net.stop is None
    assert jnp.isfinite(net.outputs.b).all()


def test_fields_of_one_step_begin_at_their_regression():
    """The nats of records without a history are those of the truth before any update, but for what is estimated."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=2_000)
    y = 0.5 + 0.8 * x + 0.4 * rng.normal(size=2_000)
    z = x - 0.7 * y + 0.3 * rng.normal(size=2_000)
    steps, count = (x, y, z), len(x)
    data = Encoded((np.zeros(count, np.int32),), steps, np.arange(count + 1), tuple(np.zeros((3, count))))
    shape = Architecture((EventShape(symbols=1),), (Normal(),) * 3, 0, 6, 4, Network(dropout=0.0))
    nets = []
    for within in (True, False):
        net = initialize_from_data(Net(np.random.default_rng(0), shape), data, within_steps=within)
        silent = (0 * net.outputs.A, jax.tree.map(lambda b: 0 * b, net.outputs.B))
        nets.append(eqx.tree_at(lambda net: (net.outputs.A, net.outputs.B), net, silent))
    within, alone = (-sum(score(net, bucket).sum(0) for bucket in to_buckets(data, False)[0]) / count for net in nets)
    truth = [0.5 * np.log(2 * np.pi * np.e * variance) for variance in (1.0, 0.16, 0.09)]
    np.testing.assert_allclose(within[:3], truth, atol=0.05)
    assert alone[1] > within[1] + 0.5
    assert alone[2] > within[2] + 0.1


@pytest.mark.parametrize("change", [0.6, -0.5])
def test_a_number_with_momentum_or_noise_around_a_level_begins_at_the_autoregression_of_order_two(change):
    """The slopes are those of the truth, and the nats of the network, too; the last change is unknown at step 1."""
    rng = np.random.default_rng(0)
    x = np.zeros((300, 12))
    for t in range(12):
        moved = x[:, t - 1] - x[:, t - 2] if t > 1 else 0.0
        last = x[:, t - 1] if t else rng.normal(size=300)
        x[:, t] = 0.9 * last + change * moved + 0.3 * rng.normal(size=300)
    values, offsets = x.reshape(-1), np.arange(0, 3601, 12)
    chain = fit_ar1(values, offsets)
    assert (chain.slope, chain.change) == pytest.approx((0.9, change), abs=0.06)
    assert chain.scale == pytest.approx(0.3, rel=0.05)
    innovations = chain.innovations(values, offsets).reshape(300, 12)[:, 1:]
    assert innovations.std() == pytest.approx(0.3, rel=0.05)
    symbols = rng.integers(0, 3, len(values)).astype(np.int32)
    inputs = (rng.integers(0, 2, 300).astype(np.int32),)
    data = Encoded(inputs, (symbols, values), offsets, (np.zeros(len(values)), np.zeros(len(values))))
    first = values.reshape(300, 12)[:, 0].std()
    truth = np.log(np.array([first] + [0.3] * 11)).mean() + 0.5 * np.log(2 * np.pi * np.e)
    assert nats(plain(Normal(), data), data)[0] / len(values) == pytest.approx(truth, abs=0.02)


def test_the_last_change_of_a_number_without_any_dynamics_is_left_out():
    chain = fit_ar1(np.random.default_rng(0).normal(size=2000), np.arange(0, 2001, 20))
    assert chain.change == 0.0


# ---- symbols that decide others ------------------------------------------------------------------------------------


def test_symbols_that_are_decided_begin_nearly_certain_and_others_do_not():
    """Days that follow each other, marks of weekends, and a coin: before any update, with a state that says much."""
    rng = np.random.default_rng(0)
    days = (rng.integers(0, 7, (30, 1)) + np.arange(12)) % 7
    steps = tuple(part.ravel().astype(np.int32) for part in (days, days // 5, rng.integers(0, 2, days.shape)))
    data = Encoded((np.zeros(30, np.int32),), steps, 12 * np.arange(31), tuple(np.zeros(360) for _ in steps))
    shape = Architecture((EventShape(symbols=1),), tuple(map(Categorical, (7, 2, 2))), 0, 16, 8, Network(dropout=0.0))
    fresh = Net(np.random.default_rng(0), shape)
    before, after = (
        -sum(score(net, bucket).mean(0) for bucket in to_buckets(data, False)[0])
        for net in (fresh, initialize_from_data(fresh, data))
    )
    assert (before > [20, 7, 7]).all()
    assert (after < [3, 0.01, 10]).all()
    assert after[2] > 7


def test_a_point_that_always_comes_back_begins_nearly_certain():
    """Increments that are all zero after the first value, which is anything."""
    rng = np.random.default_rng(0)
    values = np.zeros((30, 12))
    values[:, 0] = 2 + rng.normal(size=30)
    data = Encoded((np.zeros(30, np.int32),), (values.ravel(),), 12 * np.arange(31), (np.zeros(360),))
    dist = WithMissing(PointMasses(Mixture(3), np.zeros(1)))
    shape = Architecture((EventShape(symbols=1),), (dist,), 0, 16, 8, Network(dropout=0.0))
    net = initialize_from_data(Net(np.random.default_rng(0), shape), data)
    rows = np.arange(30)
    once, all_ = (
        -score(net, to_buckets(data.take(rows) if steps == 12 else first_steps(data), False)[0][0]).mean()
        for steps in (1, 12)
    )
    assert all_ - once < 11 * 0.75  # each costs no more than the equal odds of being missing


def first_steps(data):
    """The first step of every sequence."""
    firsts = data.offsets[:-1]
    parts = tuple(part[firsts] for part in data.steps), np.arange(len(firsts) + 1)
    return Encoded(data.inputs, *parts, tuple(part[firsts] for part in data.log_jacobian))
