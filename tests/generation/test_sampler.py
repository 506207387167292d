"""A sequence is a function of (model, seed, row, sample) and the rule, however it was asked for."""

import itertools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from unspool.constraints.base import Observed, ObservedField
from unspool.errors import OptionError
from unspool.generation import sampler
from unspool.generation.sample_step import BLOCK_STEPS, GROUP_ROWS, STREAM_STEPS
from unspool.generation.sampler import TILE_ROWS, SampleRequest, check_sampling, chunks, rule_of, sample_sequences
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.normal import Normal, Point
from unspool.network.distributions.rules import PLAIN
from unspool.network.distributions.student_t import StudentT
from unspool.network.dropout import Masks
from unspool.options import Network, Sampling
from unspool.runtime.devices import to_single_precision
from unspool.runtime.threefry import seed_words, uniforms

H, ROWS, SAMPLES, LIMIT = 8, 4, 2, 24


def network(distributions, stops=True, hazard=-2.0, **options):
    """Random weights, enlarged so that what is fed back matters."""
    shape = Architecture(
        (EventShape(symbols=3), EventShape(members=2)), distributions, 3 * stops, H, 5, Network(dropout=0.0, **options)
    )
    net = Net(np.random.default_rng(0), shape).map_weights(lambda w: 1.5 * w)
    return eqx.tree_at(lambda n: n.stop[1], net, hazard + jnp.array([0.5, -0.5, 0.0])) if stops else net


def constant_hazard(net, logit):
    """The same network, but it stops by a coin that nothing sways."""
    return eqx.tree_at(lambda n: n.stop, net, (0 * net.stop[0], jnp.full(3, logit)))


@pytest.fixture(scope="module")
def net():
    """A record of a category and a number that may be missing, which learned when to stop."""
    return network((Categorical(6), WithMissing(StudentT())))


def request(count=ROWS, **changes):
    rng = np.random.default_rng(1)
    inputs = (rng.integers(0, 4, 16).astype(np.int32)[:count], rng.normal(size=(16, 2))[:count])
    return SampleRequest(
        **({"inputs": inputs, "samples": SAMPLES, "seed": 5, "rule": PLAIN, "length": None, "limit": LIMIT} | changes)
    )


def first_steps(values, offsets):
    """A prefix: all fields of the first steps of every row."""
    fields = tuple(ObservedField(v, np.ones(v.shape, bool), None) for v in values)
    return Observed(fields, (None,) * len(values), (None,) * len(values), np.asarray(offsets))


def rows(made):
    """Every sequence as a (steps, fields) array of numbers."""
    values, offsets, _ = made
    table = np.stack([v.astype(np.float64) for v in values], -1)
    return [table[a:b] for a, b in itertools.pairwise(offsets)]


def assert_same(one, other, exactly=False):
    """Tokens and lengths identical, floats within 1e-5 of their size, or all to the bit."""
    assert [len(s) for s in one] == [len(s) for s in other]
    a, b = np.concatenate(one), np.concatenate(other)
    assert (a[:, 0] == b[:, 0]).all()
    np.testing.assert_allclose(a, b, rtol=0 if exactly else 1e-5, atol=0 if exactly else 1e-5)


@pytest.fixture(scope="module")
def whole(net):
    """What the tests below ask for in other ways: eight sequences of at most 24 steps, of different lengths."""
    made = rows(sample_sequences(net, request()))
    assert len({len(s) for s in made}) > 3
    return made


# ---- the promise ---------------------------------------------------------------------------------------------------


def test_the_same_request_gives_the_same_to_the_bit(net, whole):
    assert_same(rows(sample_sequences(net, request())), whole, exactly=True)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_sequence_does_not_depend_on_its_batch(net, whole, count):
    """Fewer rows are the first of many: tokens identical, floats within 1e-5."""
    assert_same(rows(sample_sequences(net, request(count))), whole[: count * SAMPLES])


def test_a_row_keeps_its_sequences_when_it_is_asked_for_alone(net, whole):
    """`first_row` says which row of the larger request it is."""
    alone = replace_inputs(request(), slice(2, 3), first_row=2)
    assert_same(rows(sample_sequences(net, alone)), whole[2 * SAMPLES : 3 * SAMPLES])


def replace_inputs(made, chosen, **changes):
    return made._replace(inputs=tuple(a[chosen] for a in made.inputs), **changes)


def test_more_samples_leave_the_first_ones_as_they_were(net, whole):
    more = rows(sample_sequences(net, request(2, samples=4)))
    assert_same([s for n, s in enumerate(more) if n % 4 < SAMPLES], whole[: 2 * SAMPLES])
    assert not np.array_equal(more[0], more[2], equal_nan=True)


def test_the_order_of_rows_is_nothing_but_their_order(net):
    """Equal inputs at the same position give equal sequences, whatever stands around them."""
    given = request()
    order = np.array([3, 1, 0, 2])
    turned = rows(sample_sequences(net, replace_inputs(given, order)))
    straight = rows(sample_sequences(net, given))
    assert_same(turned[SAMPLES : 2 * SAMPLES], straight[SAMPLES : 2 * SAMPLES])


@pytest.mark.parametrize("tile", [1, 3])
def test_tiles_do_not_show(net, whole, monkeypatch, tile):
    """A large request is cut into tiles, which may split the samples of a row."""
    monkeypatch.setattr(sampler, "TILE_ROWS", tile)
    assert_same(rows(sample_sequences(net, request())), whole)


@pytest.mark.parametrize("known", [0, 3])
def test_leaving_out_those_that_have_ended_does_not_show(net, monkeypatch, known):
    """Of many sequences, groups of those that have ended move no more; few are one group. A prefix goes along."""
    given = request(16, samples=16)
    if known:
        rng = np.random.default_rng(2)
        prefix = rng.integers(0, 6, 16 * known).astype(np.int32), rng.normal(size=16 * known).astype(np.float32)
        given = given._replace(observed=first_steps(prefix, known * np.arange(17)))
    many = rows(sample_sequences(net, given))
    lengths = sorted(map(len, many))
    assert lengths[128] <= 2 * STREAM_STEPS < lengths[-1]  # so that one of two groups is left out
    monkeypatch.setattr(sampler, "TILE_ROWS", 64)
    assert 64 < GROUP_ROWS < len(many)
    assert_same(rows(sample_sequences(net, given)), many)


@pytest.mark.parametrize("chunk", [1, STREAM_STEPS, BLOCK_STEPS])
def test_a_stream_is_the_batch_in_parts(net, whole, chunk):
    """Chunks of any length, to the bit, since the batch has one size; it ends when all have ended."""
    parts = list(chunks(net, request(), slice(0, ROWS * SAMPLES), chunk))
    alive = np.concatenate([part.alive for part in parts])
    table = np.stack([np.concatenate([part.values[j] for part in parts]) for j in range(2)], -1).astype(float)
    assert_same([table[alive[:, b], b] for b in range(ROWS * SAMPLES)], whole, exactly=True)
    assert (np.diff(alive.astype(int), axis=0) <= 0).all()
    assert len(parts) <= -(-max(len(s) for s in whole) // min(chunk, STREAM_STEPS)) + 1


def test_asking_for_more_steps_keeps_the_first_ones(net):
    """To the bit, across the edge of a chunk; a length is exact, whatever the hazard says."""
    short, long = (sample_sequences(net, request(length=length)) for length in (10, 70))
    assert [len(s) for s in rows(short)] == [10] * (ROWS * SAMPLES)
    assert [len(s) for s in rows(long)] == [70] * (ROWS * SAMPLES)
    assert_same([s[:10] for s in rows(long)], rows(short), exactly=True)


def test_a_forced_length_is_the_learned_one_continued(net, whole):
    """The stop consumes its uniform whether it decides or not, so the steps are the same."""
    forced = rows(sample_sequences(net, request(length=LIMIT)))
    assert_same([s[: len(w)] for s, w in zip(forced, whole, strict=True)], whole)


def test_another_seed_gives_other_sequences(net, whole):
    assert all(
        not np.array_equal(a, b, equal_nan=True)
        for a, b in zip(rows(sample_sequences(net, request(seed=6))), whole, strict=True)
    )


def test_greedy_consumes_no_randomness(net):
    """Any seed and any sample give the same."""
    greedy = rule_of(Sampling(greedy=True))
    one, other = (rows(sample_sequences(net, request(seed=seed, rule=greedy, length=6))) for seed in (1, 2))
    assert_same(one, other, exactly=True)
    assert_same(one[::2], one[1::2], exactly=True)


# ---- what is sampled is what is fed ----------------------------------------------------------------------------------


def params_of(net, ready, j, top, earlier):
    """Parameters of the distribution of field j, given the values of the fields before it."""
    context = net.outputs.begin(top)
    for k, value in enumerate(earlier):
        context = net.condition_on(ready, context, k, value)
    return net.outputs.params(context, j)


def test_generation_is_the_likelihoods_network(net):
    """Each step is what its distribution picks with its uniforms when the network has read the steps before."""
    made = request(length=4)
    sequence = rows(sample_sequences(net, made))[3]
    row, sample = 1, 1
    none = Masks((None,), (None,), None)
    inputs = tuple(jnp.asarray(to_single_precision(a[row : row + 1])) for a in made.inputs)
    state, context = net.encode(inputs)
    ready = net.precompute(context, 1)
    x = net.start_feedback(inputs)
    who = (jnp.array([row]), jnp.array([sample]))
    u = uniforms(seed_words(made.seed), *who, jnp.arange(4), net.shape.num_uniforms)
    for t in range(4):
        h, state = net.step(ready, x, state, none)
        values, at = (), 1
        for j, dist in enumerate(net.distributions):
            values += (dist.sample(params_of(net, ready, j, h, values), u[t, :, at : at + dist.num_uniforms]),)
            at += dist.num_uniforms
        np.testing.assert_allclose([float(v[0]) for v in values], sequence[t], rtol=1e-4, atol=1e-4)
        x = net.feed_back(ready, values)
    assert at == net.shape.num_uniforms


def test_a_prefix_is_fed_and_then_continued(net):
    """Giving the first steps of what would have come changes nothing; giving others, all that follows."""
    sampled = rows(sample_sequences(net, request(length=12)))
    keep = np.array([5, 0, 3, 9])  # steps given to each row; its two samples share them

    def prefix(table):
        offsets = np.concatenate([[0], np.cumsum(keep)])
        given = np.concatenate([s[:k] for s, k in zip(table, keep, strict=True)])
        return first_steps((given[:, 0].astype(np.int32), given[:, 1].astype(np.float32)), offsets)

    first = sampled[::SAMPLES]
    continued = rows(sample_sequences(net, request(length=12, observed=prefix(first))))
    assert_same(continued[::SAMPLES], first)
    for n, s in enumerate(continued):
        given = first[n // SAMPLES][: keep[n // SAMPLES]]
        np.testing.assert_allclose(s[: len(given)], given, rtol=1e-6)
    other = [s.copy() for s in first]
    for s in other:
        s[:, 0] = (s[:, 0] + 1) % 6
    changed = rows(sample_sequences(net, request(length=12, observed=prefix(other))))[::SAMPLES]
    assert_same([changed[1]], [first[1]])
    assert not np.array_equal(changed[0][5:], first[0][5:], equal_nan=True)


def test_a_prefix_is_never_stopped_within(net):
    """What is given is not sampled, so the hazard has no say before its end."""
    eager = constant_hazard(net, 3.0)
    given = first_steps((np.zeros(12, np.int32), np.zeros(12, np.float32)), np.array([0, 3, 6, 9, 12]))
    lengths = [len(s) for s in rows(sample_sequences(eager, request(observed=given)))]
    assert min(lengths) == 3
    assert max(lengths) < LIMIT


# ---- the end -------------------------------------------------------------------------------------------------------


def test_a_constant_hazard_gives_geometric_lengths():
    """Stopping with probability p before each step: (1 - p) / p steps in the mean, within five standard errors."""
    p = 0.25
    net = constant_hazard(network((Categorical(2),)), np.log(p / (1 - p)))
    _, offsets, stopped = sample_sequences(net, request(samples=500, limit=128))
    lengths = np.diff(offsets)
    assert stopped.all()
    assert abs(lengths.mean() - (1 - p) / p) < 5 * np.sqrt((1 - p) / p**2 / len(lengths))
    share = (lengths == 0).mean()
    assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / len(lengths))


def test_the_limit_cuts_and_says_so(net):
    """Sequences that have not stopped by then are as long as the limit, and are not counted as ended by themselves."""
    patient = constant_hazard(net, -3.0)
    _, offsets, stopped = sample_sequences(patient, request(limit=9))
    lengths = np.diff(offsets)
    assert lengths.max() == 9
    assert stopped[lengths < 9].all()
    assert not stopped[lengths == 9].all()


def test_without_a_learned_stop_the_limit_is_the_length():
    net = network((Categorical(2),), stops=False)
    _, offsets, stopped = sample_sequences(net, request(limit=7))
    assert (np.diff(offsets) == 7).all()
    assert stopped.all()


@pytest.mark.parametrize(("count", "length"), [(0, None), (ROWS, 0)])
def test_no_rows_give_no_sequences_and_a_length_of_zero_gives_empty_ones(net, count, length):
    values, offsets, stopped = sample_sequences(net, request(count, length=length))
    assert [v.dtype for v in values] == [np.int32, np.float32]
    assert [len(v) for v in values] == [0, 0]
    assert offsets.tolist() == [0] * (count * SAMPLES + 1)
    assert len(stopped) == count * SAMPLES


def test_a_tile_is_a_power_of_two():
    """So that padding to one never makes a tile larger than a tile may be."""
    assert TILE_ROWS & (TILE_ROWS - 1) == 0


# ---- rules ---------------------------------------------------------------------------------------------------------


def test_rules_reach_the_distributions_inside_the_loop(net):
    """Top-k of one leaves the category its mode and the numbers their draws."""
    one = rows(sample_sequences(net, request(length=3, rule=rule_of(Sampling(top_k=1)))))
    greedy = rows(sample_sequences(net, request(length=3, rule=rule_of(Sampling(greedy=True)))))
    assert [s[0, 0] for s in one] == [s[0, 0] for s in greedy]
    assert len({s[0, 1] for s in one}) == len(one)


@pytest.mark.parametrize(
    ("distributions", "sampling", "words"),
    [
        ((Normal(),), Sampling(top_k=3), r"Sampling\(top_k=3\): expected a field of categories.*top_p"),
        ((WithMissing(Normal()),), Sampling(top_k=3), "numbers only"),
        ((Point(),), Sampling(temperature=2.0), "point distributions only"),
        ((Point(), WithMissing(Point())), Sampling(top_p=0.5), "Fit another distribution"),
    ],
)
def test_a_rule_that_no_field_can_take_is_refused(distributions, sampling, words):
    with pytest.raises(OptionError, match=words):
        check_sampling(sampling, network(distributions))


def test_a_rule_that_some_field_can_take_is_accepted():
    check_sampling(Sampling(top_k=3, top_p=0.9), network((Categorical(4), Normal())))
    check_sampling(Sampling(greedy=True), network((Point(),)))


# ---- where a greedy sequence ends ----------------------------------------------------------------------------------


def flat(net):
    """The same network with all logits zero: every symbol is as likely."""
    return eqx.tree_at(lambda n: (n.outputs.A, n.outputs.b, n.start), net, replace_fn=lambda w: 0 * w)


def test_greedy_ends_where_the_end_is_likelier_than_the_likeliest_symbol():
    """Of V equal symbols each has 1 / V of what goes on: the end needs odds above 1 / V, not 1."""
    greedy = rule_of(Sampling(greedy=True))
    for V, ends in ((3, False), (6, True)):
        net = flat(network((Categorical(V),)))
        net = constant_hazard(eqx.tree_at(lambda n: n.feedback[0], net, replace_fn=lambda w: 0 * w), np.log(0.25))
        _, offsets, _ = sample_sequences(net, request(rule=greedy, limit=400))
        lengths = np.diff(offsets)
        if ends:
            assert (lengths == 0).all()
        else:  # until hardly any sequence goes on: 0.8 ** n is below 1 % after 21 steps
            assert (lengths == 20).all()


def test_greedy_numbers_end_at_the_median_length():
    """With a hazard of 0.2, half of all sequences have ended before step 3: 0.8 ** 4 < 0.5 < 0.8 ** 3."""
    net = constant_hazard(network((Normal(),)), np.log(0.25))
    _, offsets, ended = sample_sequences(net, request(rule=rule_of(Sampling(greedy=True))))
    assert (np.diff(offsets) == 3).all()
    assert ended.all()
    _, sampled, _ = sample_sequences(net, request(count=16, samples=400, limit=200))
    assert np.median(np.diff(sampled)) == 3


def test_greedy_goes_on_from_what_is_given_and_counts_survival_from_there():
    net = constant_hazard(network((Normal(),)), np.log(0.25))
    values, offsets = (np.zeros(5, np.float32),), np.array([0, 5])
    known = first_steps(values, offsets)
    _, found, _ = sample_sequences(net, request(rule=rule_of(Sampling(greedy=True)), observed=known))
    assert (np.diff(found) == 5 + 3).all()
