"""After training, what is generated has the lengths and shares of training, whatever was learned of them before."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.evaluation.samples.statistics import kolmogorov_smirnov
from unspool.generation import calibration
from unspool.generation.calibration import calibration_rows, logit_shift, match_marginals
from unspool.generation.sampler import SampleRequest, sample_sequences
from unspool.network.decoder import Architecture, CategoricalInput, Net
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture, Normal
from unspool.network.distributions.multilabel import BernoulliMixture
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.rules import PLAIN
from unspool.network.survival import life_table
from unspool.options import Network

ANY = (np.zeros(1, np.int32), np.zeros(1))
"""Values of fields in which nothing is counted."""
LENGTHS = np.random.default_rng(0).choice([1, 3, 4, 9], 400, p=[0.2, 0.4, 0.3, 0.1])


def network(lengths):
    """A network that began at the life table of some lengths, and whose state has led it far away from there."""
    shape = Architecture((CategoricalInput(3),), (Categorical(4), Normal()), 11, 8, 5, Network(dropout=0.0))
    fresh = Net(np.random.default_rng(0), shape)
    hazard = life_table(lengths, 11)
    bias = jnp.asarray(np.log(hazard / (1 - hazard)) + 0.7, jnp.float32)
    return eqx.tree_at(lambda n: n.stop, fresh, (6 * fresh.stop[0], bias))


@pytest.fixture(scope="module")
def net():
    return network(LENGTHS)


def request(lengths, seed=0):
    rows, samples = calibration_rows(lengths, 6)
    return SampleRequest(((rows % 3).astype(np.int32),), samples, seed, PLAIN, None, 2 * int(lengths.max()))


@pytest.fixture(scope="module")
def after(net):
    return match_marginals(net, request(LENGTHS), LENGTHS, ANY)


def made(net, seed):
    return np.diff(sample_sequences(net, request(LENGTHS, seed))[1])


def test_generated_lengths_become_those_of_training(net, after):
    """With uniforms that it was not matched on, too."""
    assert kolmogorov_smirnov(LENGTHS, made(net, 1)) > 0.1
    for seed in (0, 1):
        assert kolmogorov_smirnov(LENGTHS, made(after, seed)) < 0.03
        assert made(after, seed).mean() == pytest.approx(LENGTHS.mean(), rel=0.05)


def test_only_biases_of_the_hazard_move(net, after):
    changed = eqx.tree_at(lambda n: n.stop[1], after, net.stop[1])
    assert eqx.tree_equal(changed, net)


def test_sequences_still_differ_in_their_hazard(net, after):
    """Where many could end, the shift of a stretch is the same for all, so what the state says of the end stays."""
    spread = lambda n: np.ptp([np.diff(sample_sequences(n, one)[1]).mean() for one in by_input()])  # noqa: E731
    by_input = lambda: [request(LENGTHS)._replace(inputs=(np.full(400, k, np.int32),)) for k in range(3)]  # noqa: E731
    assert spread(after) > 0.1 * spread(net) > 0


def test_a_few_sequences_move_all_positions_alike(net):
    few = np.array([2, 3, 5, 6])
    shift = np.asarray(match_marginals(net, request(few), few, ANY).stop[1] - net.stop[1])
    assert np.ptp(shift) == pytest.approx(0, abs=1e-5)


def test_what_never_ended_hardly_ever_ends():
    fixed = np.repeat([5, 6], 200)
    lengths = np.diff(
        sample_sequences(match_marginals(network(fixed), request(fixed), fixed, ANY), request(fixed, 1))[1]
    )
    assert np.isin(lengths, fixed).mean() > 0.95


def test_long_sequences_are_made_from_fewer_inputs():
    for lengths in (np.full(10, 3), np.full(100_000, 3), np.full(50, 30_000), np.zeros(4, np.int64)):
        rows, samples = calibration_rows(lengths, 6)
        assert len(np.unique(rows)) == len(rows) <= len(lengths)
        assert 1 <= len(rows) * samples <= 4_096
        assert len(rows) * samples * max(1, lengths.max()) <= 2**17
    rows, samples = calibration_rows(np.full(5_000, 20), 20_000)  # a large vocabulary
    assert 100 < len(rows) * samples <= 2**26 / 20_000 / 20


# ---- shares --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def holes():
    """Rain, that is missing or zero at times and reads itself; lengths are all the same."""
    dist = WithMissing(PointMasses(Mixture(2), (0.0, 1.5)))
    shape = Architecture((CategoricalInput(3),), (dist,), 0, 8, 5, Network(dropout=0.0))
    return jax.tree.map(lambda w: 2 * w, Net(np.random.default_rng(1), shape))


def shares(values):
    return [np.isnan(values).mean(), *((np.abs(values - atom) < 1e-5).mean() for atom in (0.0, 1.5))]


def test_generated_shares_become_those_of_training(holes):
    rng = np.random.default_rng(0)
    real = rng.normal(size=4_000)
    real[:1_200], real[1_200:2_400], real[2_400:2_600] = np.nan, 0.0, 1.5
    lengths = np.full(400, 10)
    asked = request(lengths)._replace(length=10)
    after = match_marginals(holes, asked, lengths, (real,))
    before, now = (shares(sample_sequences(net, asked._replace(seed=7))[0][0]) for net in (holes, after))
    assert np.abs(np.subtract(before, shares(real))).max() > 0.1
    np.testing.assert_allclose(now, shares(real), atol=0.02)
    kept = eqx.tree_at(lambda n: n.outputs.b, after, holes.outputs.b)
    assert eqx.tree_equal(kept, holes)
    np.testing.assert_array_equal(after.outputs.b[4:], holes.outputs.b[4:])  # of the mixture inside


def test_what_hardly_occurs_is_hardly_moved():
    """One zero in a thousand where training had three says little."""
    dist = PointMasses(Normal(), (0.0,))
    real, made = np.ones(1_000), np.ones(1_000)
    real[:3], made[:1] = 0.0, 0.0
    rest, zero, *inside = logit_shift(dist, real, made)
    assert abs(rest) < 0.01
    assert 0 < zero < 0.1
    assert inside == [0.0, 0.0]


def test_blocks_that_are_missing_as_a_whole_are_counted_by_the_step():
    dist = WithMissing(BernoulliMixture(2))
    real, made = np.zeros((100, 2)), np.zeros((100, 2))
    real[:50] = np.nan
    made[:20] = np.nan
    shift = logit_shift(dist, real, made)
    assert shift[0] == pytest.approx(np.log(50 / 50) - np.log(20 / 80), rel=0.5)
    assert not shift[1:].any()


def test_where_nothing_is_counted_nothing_is_generated(monkeypatch):
    monkeypatch.setattr(calibration, "generate", None)
    shape = Architecture((CategoricalInput(3),), (Categorical(4), Normal()), 0, 8, 5, Network(dropout=0.0))
    net = Net(np.random.default_rng(0), shape)
    assert match_marginals(net, request(LENGTHS), LENGTHS, ANY) is net
