"""A beam finds what a plain search of lists finds, and all there is where it is wide enough."""

import itertools
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_expit, log_softmax

from unspool.constraints.base import Observed, ObservedField
from unspool.errors import OptionError
from unspool.generation import beam as module
from unspool.generation.beam import check_beam, search
from unspool.generation.sampler import SampleRequest, rule_of, sample_sequences
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.normal import Normal
from unspool.network.distributions.rules import PLAIN
from unspool.network.likelihood import sequence_log_prob
from unspool.options import Beam, Network, Sampling
from unspool.runtime.devices import to_single_precision

ROWS = 3
INPUTS = (np.array([0, 2, 1], np.int32), np.random.default_rng(1).normal(size=(ROWS, 2)))
ONE, TWO = (Categorical(3, unseen=0.1),), (Categorical(3), Categorical(2, unseen=0.05))


def network(distributions, stops=True, hazard=-2.0, noise=0.9, seed=0, **options):
    """Random weights everywhere, so large that the likeliest sequences are not those of the likeliest steps."""
    shape = Architecture(
        (EventShape(symbols=3), EventShape(members=2)), distributions, 3 * stops, 6, 4, Network(dropout=0.0, **options)
    )
    rng = np.random.default_rng(seed)
    net = Net(rng, shape).map_weights(lambda w: w + noise * rng.normal(size=w.shape).astype(np.float32))
    return eqx.tree_at(lambda n: n.stop, net, (3 * net.stop[0], hazard + jnp.array([0.0, 0.2, -0.2]))) if stops else net


@pytest.fixture(scope="module")
def net():
    """One category that may be unseen, two layers, and a learned stop."""
    return network(ONE, hazard=-2.5, seed=2, layers=2)


@pytest.fixture(scope="module")
def pairs():
    """Steps of two categories, the second of which depends on the first; and a learned stop."""
    return network(TWO, hazard=-2.5, seed=3)


def request(best=1, rows=slice(None), **changes):
    made = {"inputs": tuple(a[rows] for a in INPUTS), "samples": best, "seed": 0, "rule": PLAIN}
    return SampleRequest(**(made | {"length": None, "limit": 6} | changes))


class Way(NamedTuple):
    """A sequence, its log-probability, its score, and whether it stopped."""

    steps: tuple[tuple[int, ...], ...]
    nats: float
    score: float
    ended: bool


def found(net, asked, **options):
    """For every row the sequences of a beam search, best first."""
    made = search(net, asked, Beam(best=asked.samples, **options))
    table = list(zip(*(v.tolist() for v in made.values), strict=True))
    figures = zip(made.nats.tolist(), made.scores.tolist(), made.ended.tolist(), strict=True)
    parts = zip(itertools.pairwise(made.offsets), figures, strict=True)
    ways = [Way(tuple(table[a:b]), *rest) for (a, b), rest in parts]
    return [ways[k : k + asked.samples] for k in range(0, len(ways), asked.samples)]


def assert_same(one, other):
    """The same sequences in the same order, and their figures within 1e-4."""
    steps, others = ([[(way.steps, way.ended) for way in row] for row in ways] for ways in (one, other))
    assert steps == others
    for name in ("nats", "score"):
        figures = ([[getattr(way, name) for way in row] for row in ways] for ways in (one, other))
        np.testing.assert_allclose(*figures, rtol=0, atol=1e-4)


# ---- the two oracles -----------------------------------------------------------------------------------------------


def penalised(nats, steps, penalty):
    return nats / ((5 + steps) / 6) ** penalty


class Hypothesis(NamedTuple):
    """A way that goes on: what the network reads next, one row of it."""

    nats: float
    steps: tuple
    x: object
    state: object


def params_of(net, ready, j, top, earlier):
    """Parameters of the distribution of field j, given the values of the fields before it."""
    context = net.outputs.begin(top)
    for k, value in enumerate(earlier):
        context = net.condition_on(ready, context, k, value)
    return net.outputs.params(context, j)


def plain_search(net, asked, width=8, length_penalty=0.0):
    """Beam search with lists, one hypothesis after another, in float64 but for the network's own step."""
    step, params = eqx.filter_jit(net.step), eqx.filter_jit(params_of)
    stopping, total = net.stop is not None and asked.length is None, asked.length or asked.limit
    answer = []
    for row in range(len(asked.inputs[0])):
        inputs = tuple(jnp.asarray(to_single_precision(a[row : row + 1])) for a in asked.inputs)
        state, context = net.encode(inputs)
        ready, none = net.precompute(context, 1), net.masks()
        given = [] if asked.observed is None else steps_given(asked.observed, row)
        live, ended = [Hypothesis(0.0, (), net.start_feedback(inputs), state)], []
        for t in range(total):
            grown = []
            for nats, steps, x, before in live:
                top, state = step(ready, x, before, none)
                if stopping:
                    hazard = float(net.hazard(top, jnp.array([t]))[0])
                    if t >= len(given):
                        ended.append((nats + log_expit(hazard), steps, True))
                    nats += log_expit(-hazard)
                grown.append((nats, steps, (), top, state))
            for j, dist in enumerate(net.distributions):
                wider = []
                for nats, steps, values, top, state in grown:
                    logits = params(net, ready, j, top, tuple(jnp.array([v], jnp.int32) for v in values))
                    logs = log_softmax(np.asarray(logits, np.float64)[0]) + np.log1p(-dist.unseen)
                    symbols = range(dist.count) if t >= len(given) or given[t][j] is None else [given[t][j]]
                    wider += [(nats + logs[symbol], steps, (*values, symbol), top, state) for symbol in symbols]
                grown = sorted(wider, key=lambda item: -item[0])[:width]
            live = [
                Hypothesis(n, (*s, v), net.feed_back(ready, tuple(jnp.array([i], jnp.int32) for i in v)), state)
                for n, s, v, _, state in grown
            ]
        ended += [(item.nats, item.steps, not stopping) for item in live]
        ways = [Way(s, n, penalised(n, len(s), length_penalty), e) for n, s, e in ended]
        answer.append(sorted(ways, key=lambda way: -way.score)[: asked.samples])
    return answer


def first_steps(values, offsets):
    """A prefix: all fields of the first steps of every row."""
    fields = tuple(ObservedField(v, np.ones(v.shape, bool), None) for v in values)
    return Observed(fields, (None,) * len(values), (None,) * len(values), np.asarray(offsets))


def steps_given(observed, row):
    part = range(observed.offsets[row], observed.offsets[row + 1])
    return [tuple(int(field.values[k]) if field.where[k] else None for field in observed.fields) for k in part]


def every_way(net, row, total, penalty=0.0, exact=False):
    """All sequences there are, by the likelihood of training, best first."""
    kinds = list(itertools.product(*(range(dist.count) for dist in net.distributions)))
    stopping = net.stop is not None and not exact
    sizes = range(total + 1) if stopping else [total]
    ways = [way for n in sizes for way in itertools.product(kinds, repeat=n)]
    table = np.zeros((total + 1, len(ways), len(net.distributions)), np.int32)
    for k, way in enumerate(ways):
        table[: len(way), k] = np.array(way, np.int32).reshape(len(way), table.shape[-1])
    lengths = jnp.array([len(way) for way in ways])
    inputs = tuple(jnp.asarray(to_single_precision(np.repeat(a[row : row + 1], len(ways), 0))) for a in INPUTS)
    values = tuple(jnp.asarray(table[..., j]) for j in range(table.shape[-1]))
    fields, stop, _ = sequence_log_prob(net, inputs, values, lengths, net.masks())
    nats = np.asarray(fields, np.float64).sum((0, -1))
    if stopping:
        nats += np.asarray(stop, np.float64)[:total].sum(0)  # the stop after the last step is not decided
    made = [
        Way(way, float(n), penalised(float(n), len(way), penalty), not stopping or len(way) < total)
        for way, n in zip(ways, nats, strict=True)
    ]
    return sorted(made, key=lambda way: -way.score)


# ---- against the plain search --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("best", "options"), [(1, {"width": 1}), (3, {"width": 3}), (4, {"width": 5, "length_penalty": 1.5})]
)
def test_a_beam_finds_what_a_plain_search_finds(net, best, options):
    """Several rows, two layers, sequences that end by themselves or are cut; figures within 1e-4."""
    assert_same(found(net, request(best), **options), plain_search(net, request(best), **options))


def test_fields_of_a_step_are_searched_one_after_another(pairs):
    assert_same(found(pairs, request(3), width=4), plain_search(pairs, request(3), width=4))


@pytest.mark.parametrize("stops", [True, False])
def test_an_exact_length_is_searched_without_the_hazard(stops):
    """Whether the network has learned one or not, all have that length and count the fields alone."""
    net = network(TWO, stops=stops, residual=True, norm=True, layers=2)
    asked = request(2, length=4)
    made = found(net, asked, width=4)
    assert_same(made, plain_search(net, asked, width=4))
    assert all(len(way.steps) == 4 and way.ended for row in made for way in row)


def test_a_prefix_is_taken_and_counted(pairs):
    """Rows have prefixes of their own lengths; within one nothing ends, and its steps count as all others do."""
    asked = request(
        3, observed=first_steps((np.array([2, 0, 1], np.int32), np.array([1, 1, 0], np.int32)), [0, 2, 2, 3])
    )
    made = found(pairs, asked, width=4)
    assert_same(made, plain_search(pairs, asked, width=4))
    assert all(way.steps[:2] == ((2, 1), (0, 1)) for way in made[0])
    assert all(way.steps[:1] == ((1, 0),) for way in made[2])


# ---- against all there is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_a_beam_as_wide_as_all_sequences_ranks_them_as_the_likelihood_does(net, penalty):
    """3 ** 4 hypotheses at the last step, and those that have stopped before."""
    made = found(net, request(20, limit=4), width=81, length_penalty=penalty)
    for row in range(ROWS):
        assert_same([made[row]], [every_way(net, row, 4, penalty)[:20]])
    assert {way.ended for row in made for way in row} == {True, False}


def test_the_length_penalty_favours_the_longer():
    """With a hazard that hardly sways, the likeliest sequence is empty, and under a large penalty as long as can be."""
    net = network(ONE, hazard=0.5, noise=0.0)
    lengths = [len(found(net, request(limit=5), width=8, length_penalty=p)[0][0].steps) for p in (0.0, 10.0)]
    assert lengths == [0, 5]


def test_a_beam_as_wide_as_all_records_finds_the_likeliest(pairs):
    """Two fields, 6 ** 3 records at the last step, more than the beam could tell apart step by step."""
    made = found(pairs, request(8, limit=3), width=216)
    for row in range(ROWS):
        assert_same([made[row]], [every_way(pairs, row, 3)[:8]])


def test_all_sequences_together_have_all_the_probability(net):
    """With nothing unseen the ways of at most three steps, those cut included, sum to one."""
    sure = network((Categorical(3),), layers=2)
    made = search(sure, request(40, limit=3), Beam(width=40, best=40))
    np.testing.assert_allclose(np.exp(made.nats).reshape(ROWS, 40).sum(1), 1.0, atol=1e-5)


def test_a_narrow_beam_can_miss_the_likeliest(pairs):
    """Which is why the tests here mean something: on these weights one hypothesis is not enough for every row."""
    most, one = ([row[0].nats for row in found(pairs, request(), width=width)] for width in (300, 1))
    assert max(np.subtract(most, one)) > 0.05


# ---- what it does not depend on ------------------------------------------------------------------------------------


def test_a_beam_of_one_is_greedy_where_the_length_is_given():
    """The mode of every field in turn. Where the network stops, greedy takes the first likely stop, a beam the best."""
    net = network((Categorical(5), Categorical(4)))
    values, offsets, _ = sample_sequences(net, request(length=12, rule=rule_of(Sampling(greedy=True))))
    made = search(net, request(length=12), Beam(width=1))
    assert (made.offsets == offsets).all()
    assert all((a == b).all() for a, b in zip(made.values, values, strict=True))


def test_rows_and_tiles_do_not_show(net, monkeypatch):
    whole = found(net, request(2), width=4)
    assert_same(found(net, request(2, slice(1, 2)), width=4), whole[1:2])
    monkeypatch.setattr(module, "TILE_ROWS", 8)
    assert_same(found(net, request(2), width=4), whole)


def test_fewer_of_the_best_are_the_first_of_more(net):
    five, two = (found(net, request(best), width=6) for best in (5, 2))
    assert_same(two, [row[:2] for row in five])
    for row in five:
        scores = [way.score for way in row]
        assert scores == sorted(scores, reverse=True)
        assert len({way.steps for way in row}) == 5


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_ending_early_changes_nothing(monkeypatch, penalty):
    """A search that looks after every step whether it is over, and one that goes to the limit without looking."""
    net = network(ONE, hazard=-1.0, seed=5)
    asked = request(2, limit=40)
    steps = []
    for chunk in (1, 64):
        monkeypatch.setattr(module, "STREAM_STEPS", chunk)
        monkeypatch.setattr(module, "BLOCK_STEPS", chunk)
        calls = count_calls(monkeypatch, module, "extend")
        steps.append((found(net, asked, width=4, length_penalty=penalty), len(calls)))
    (early, many), (late, one) = steps
    assert_same(early, late)
    assert one == 1
    assert max(len(way.steps) for row in early for way in row) < many < 40


def count_calls(monkeypatch, owner, name):
    calls, real = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **named: calls.append(0) or real(*args, **named))
    return calls


def test_a_search_over_chunks_is_one_search(net):
    """70 steps are more than one dispatch; the way back crosses its edge."""
    asked = request(2, length=70)
    assert_same(found(net, asked, width=3), plain_search(net, asked, width=3))


# ---- the edges -----------------------------------------------------------------------------------------------------


def test_a_length_of_zero_is_the_empty_sequence_for_certain(net):
    assert found(net, request(length=0), width=4) == [[Way((), 0.0, 0.0, True)]] * ROWS


def test_no_rows_give_no_sequences(net):
    made = search(net, request(rows=slice(0)), Beam())
    assert [len(part) for part in (*made.values, made.offsets, made.nats)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("best", "changes", "words"),
    [
        (4, {"length": 1}, r"Beam\(best=4\): expected no more.*4, where there are 3 of 1 steps"),
        (5, {"limit": 1}, "5, where there are 4 of at most 1 steps"),
        (2, {"length": 2, "observed": first_steps((np.zeros(4, np.int32),), [0, 2, 3, 4])}, "there are 1 of 2 steps"),
    ],
)
def test_more_sequences_than_there_are_are_refused(net, best, changes, words):
    with pytest.raises(OptionError, match=words):
        search(net, request(best, **changes), Beam(width=8, best=best))


def test_as_many_sequences_as_there_are_are_found(net):
    assert_same(found(net, request(4, limit=1), width=4), [every_way(net, row, 1) for row in range(ROWS)])


def test_numbers_are_refused_by_name():
    with pytest.raises(OptionError, match=r"categories only.*found numbers: 'level', 'wind'\. .*greedy"):
        check_beam(Beam(), network((Normal(), Categorical(3), WithMissing(Normal()))), ["level", "mood", "wind"], 1)


def test_another_number_of_sequences_than_the_beams_is_refused(net):
    check_beam(Beam(best=3), net, ["x"], 3)
    check_beam(Beam(best=3), net, ["x"], 1)
    with pytest.raises(OptionError, match=r"n=2: expected 1, or as many as Beam\(best=3\), found 2.*Beam\(best=2\)"):
        check_beam(Beam(best=3), net, ["x"], 2)
