"""After training, what is generated has the lengths and shares of training, whatever was learned of them before."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.evaluation.samples.statistics import kolmogorov_smirnov
from unspool.generation import calibration
from unspool.generation.calibration import HALF_SHIFT_COUNT, calibrate, calibration_rows, logit_shift, match_marginals
from unspool.generation.sampler import SampleRequest, sample_sequences
from unspool.network.build import architecture_of
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.multilabel import AutoregressiveBernoulli
from unspool.network.distributions.normal import Normal
from unspool.network.distributions.point_masses import PointMasses
from unspool.network.distributions.rules import PLAIN
from unspool.network.survival import life_table
from unspool.options import Network
from unspool.runtime.stopping import Stop
from unspool.runtime.threefry import seed_words, uniforms
from unspool.schema.fields import First, Number

ANY = (np.zeros(1, np.int32), np.zeros(1))
"""Values of fields in which nothing is counted."""
LENGTHS = np.random.default_rng(0).choice([1, 3, 4, 9], 400, p=[0.2, 0.4, 0.3, 0.1])


def network(lengths):
    """A network that began at the life table of some lengths, and whose state has led it far away from there."""
    shape = Architecture((EventShape(symbols=3),), (Categorical(4), Normal()), 11, 8, 5, Network(dropout=0.0))
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


def lengths_of(net, seed, lengths=LENGTHS):
    return np.diff(sample_sequences(net, request(lengths, seed))[1])


def test_generated_lengths_become_those_of_training(net, after):
    """Within five standard errors, with uniforms that it was not matched on, too."""
    error = 1 / np.sqrt(len(lengths_of(net, 1)))
    limit = error * stats.kstwobign.isf(2 * stats.norm.sf(5))
    assert kolmogorov_smirnov(LENGTHS, lengths_of(net, 1)) > 2 * limit
    for seed in (0, 1):
        assert kolmogorov_smirnov(LENGTHS, lengths_of(after, seed)) < limit
        assert lengths_of(after, seed).mean() == pytest.approx(LENGTHS.mean(), abs=5 * error * LENGTHS.std())


def test_only_biases_of_the_hazard_move(net, after):
    changed = eqx.tree_at(lambda n: n.stop[1], after, net.stop[1])
    assert eqx.tree_equal(changed, net)


def test_sequences_still_differ_in_their_hazard(net, after):
    """Where many could end, the shift of a stretch is the same for all, so what the state says of the end stays."""
    by_input = [request(LENGTHS)._replace(inputs=(np.full(400, k, np.int32),)) for k in range(3)]
    means = [[np.diff(sample_sequences(n, one)[1]).mean() for one in by_input] for n in (net, after)]
    before, now = np.ptp(means, 1)
    assert now > 0.1 * before > 0


def test_a_few_sequences_move_all_positions_alike(net):
    few = np.array([2, 3, 5, 6])
    shift = np.asarray(match_marginals(net, request(few), few, ANY).stop[1] - net.stop[1])
    assert np.ptp(shift) == pytest.approx(0, abs=1e-5)


def test_what_never_ended_hardly_ever_ends():
    fixed = np.repeat([5, 6], 200)
    lengths = lengths_of(match_marginals(network(fixed), request(fixed), fixed, ANY), 1, fixed)
    assert np.isin(lengths, fixed).mean() > 0.95


def test_long_sequences_are_generated_from_fewer_inputs():
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
    shape = Architecture((EventShape(symbols=3),), (dist,), 0, 8, 5, Network(dropout=0.0))
    return Net(np.random.default_rng(1), shape).map_weights(lambda w: 2 * w)


def shares(values):
    return [np.isnan(values).mean(), *((np.abs(values - point) < 1e-5).mean() for point in (0.0, 1.5))]


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
    """Half are to be missing and a fifth are: the logit lacks log 4, but for the little that 20,000 leave in doubt."""
    dist = WithMissing(AutoregressiveBernoulli(2))
    training, generated = np.zeros((2, 100_000, 2))
    training[:50_000], generated[:20_000] = np.nan, np.nan
    shift = logit_shift(dist, training, generated)
    assert shift[0] == pytest.approx(np.log(4), rel=HALF_SHIFT_COUNT / 20_000)
    assert not shift[1:].any()


# ---- the calibration of a fit --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    """A codec with letters, lengths and a number that starts somewhere; and its encoded examples."""
    table = {"k": ["a", "b"] * 20, "x": [[3.0, 4.0, 4.0], [5.0, 6.0]] * 20}
    schema, examples = gather(table, inputs=["k", First()], sequence=Number("x", "difference", "mixture"))
    codec = fit_codec(schema, examples)
    return codec, codec.encode(examples), examples.first


def test_calibration_samples_from_a_stream_that_no_user_can_ask_for(fitted, monkeypatch):
    """Rows of a user are counted from 0; those of calibration from 2**31, where no seed and no row of a user comes."""
    requests, sample = [], sample_sequences
    monkeypatch.setattr(
        calibration, "sample_sequences", lambda net, one, stop: requests.append(one) or sample(net, one)
    )
    codec, training, bases = fitted
    net = Net(np.random.default_rng(0), architecture_of(codec, Network(dropout=0.0), 8, 4))
    calibrate(net, codec, training, bases, seed=3)
    assert len(requests) == calibration.CALIBRATION_ROUNDS
    rows = np.arange(len(training))
    numbers = (requests[0].first_row + rows).astype(np.int32)  # as the sampler has them
    assert (numbers.astype(np.uint32) >= 2**31).all()
    sampled = blocks(3, numbers)
    for seed in (0, 3, 3 ^ (1 << 63)):  # the last one draws inputs
        assert not sampled & blocks(seed, rows)


def blocks(seed, rows):
    """The uniforms of the first four steps of every row, which no two rows of one stream have in common."""
    made = np.asarray(uniforms(seed_words(seed), rows.astype(np.int32), 0 * rows, jnp.arange(4), 3))
    return {made[:, k].tobytes() for k in range(len(rows))}


def test_where_nothing_is_counted_nothing_is_generated(fitted, monkeypatch):
    monkeypatch.setattr(calibration, "sample_sequences", None)
    shape = Architecture((EventShape(symbols=3),), (Categorical(4), Normal()), 0, 8, 5, Network(dropout=0.0))
    net = Net(np.random.default_rng(0), shape)
    assert calibrate(net, *fitted, seed=0) is net


def test_a_spent_budget_ends_the_calibration_after_the_last_whole_round(net, monkeypatch):
    stop, sample = Stop(1e6), calibration.sample_sequences

    def sampled(net, request, stop):
        generated = sample(net, request, stop=stop)
        stop.elapsed = 1e6
        return generated

    with monkeypatch.context() as patch:
        patch.setattr(calibration, "sample_sequences", sampled)
        cut = match_marginals(net, request(LENGTHS), LENGTHS, ANY, stop)
    monkeypatch.setattr(calibration, "CALIBRATION_ROUNDS", 1)
    assert eqx.tree_equal(cut, match_marginals(net, request(LENGTHS), LENGTHS, ANY))
    assert not eqx.tree_equal(cut, net)


def test_an_interrupt_in_a_round_drops_the_round(net):
    stop = Stop()
    stop.press()
    assert match_marginals(net, request(LENGTHS), LENGTHS, ANY, stop) is net
