"""The network is one function, whichever way it is asked: whole sequences, one step at a time, or on its own output."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from unspool.network import serialization
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.normal import Normal
from unspool.network.dropout import Masks, draw_masks
from unspool.network.embeddings import MAX_FED_BACK, FoldedTable, Product, RealEmbedding, SymbolEmbedding
from unspool.network.likelihood import sequence_log_prob
from unspool.options import Network
from unspool.runtime.threefry import seed_words

pytestmark = pytest.mark.usefixtures("float64")
T, B, H = 5, 3, 6
LENGTHS = np.array([5, 2, 0])
VARIANTS = {
    "plain": Network(dropout=0.0),
    "bare": Network(dropout=0.0, context="state"),
    "deep": Network(dropout=0.5, input_dropout=0.5, layers=2, residual=True, norm=True),
}


def network(variant="plain", seed=0, fields=3):
    """A mixed record of a category, a number that may be missing and a mixture; every weight random, in float64."""
    distributions = (Categorical(4, unseen=0.01), WithMissing(Normal()), Mixture(2))[:fields]
    shape = Architecture((EventShape(symbols=3), EventShape(members=2)), distributions, 2, H, 5, VARIANTS[variant])
    rng = np.random.default_rng(seed)
    return Net(rng, shape).map_weights(lambda w: jnp.asarray(np.asarray(w, float) + rng.normal(0, 0.3, w.shape)))


def in_doubles(net):
    return net.map_weights(lambda w: jnp.asarray(w, float))


def data(steps=T + 1, fields=3):
    """Inputs, step values with a missing number and an unseen symbol, lengths; noise in the padding."""
    rng = np.random.default_rng(1)
    inputs = (jnp.array([0, 2, 3]), jnp.asarray(rng.normal(size=(B, 2))).at[1].set(jnp.nan))
    first = rng.integers(0, 4, (20, B))
    first[1, 0] = 4
    second, third = rng.normal(size=(2, 20, B))
    second[0, 1] = np.nan
    return inputs, tuple(jnp.asarray(a[:steps]) for a in (first, second, third)[:fields]), jnp.asarray(LENGTHS)


compiled = eqx.filter_jit(sequence_log_prob)


def asked(net, *arguments):
    """Log-probabilities per field and of stopping, as one array; compiled once for every test."""
    fields, stop, _ = compiled(net, *arguments)
    return np.stack([*np.moveaxis(fields, -1, 0), *(() if stop is None else (stop,))])


none = Masks((None,) * 2, (None,) * 2, None)


def total(net, data, masks=none, *own):
    """Log-probability of all sequences, and its terms."""
    fields, stop, _ = sequence_log_prob(net, *data, masks, *own)
    return fields.sum() + stop.sum(), (fields, stop)


def of_weights(weights, constants, *arguments):
    return total(weights.with_constants(constants), *arguments)


def dropped(net, share=1.0, rows=range(B), seed=1):
    key, rows = jnp.asarray(seed_words(seed)), jnp.asarray(rows)
    return draw_masks(net.shape.options, net.shape.size, key, rows, share)


# ---- one step at a time --------------------------------------------------------------------------------------------


def logistic(a):
    return 1 / (1 + np.exp(-a))


def plain(net, masks):
    """Log-probabilities by definition: NumPy, one sequence, one step and one layer at a time, nothing folded."""
    inputs, values, lengths = data()
    options = net.shape.options
    out = np.zeros((4, T + 1, B))
    w, files = jax.tree.map(np.asarray, net), serialization.weights(net)
    for b in range(B):
        rows = [np.asarray(e.embed(a[b][None]))[0] for e, a in zip(net.inputs, inputs, strict=True)]
        context = np.tanh(sum(row @ files[f"project.{k}"] for k, row in enumerate(rows)) + w.context_bias)
        context = context if masks.context is None else context * np.asarray(masks.context[b])
        states = []
        for weights, bias in zip(w.initial, w.initial_bias, strict=True):
            i, _, g, o = np.split(context @ weights + bias, 4)
            c = logistic(i) * np.tanh(g)
            states.append((logistic(o) * np.tanh(c), c))
        x = files["start"].copy()
        for k, row in enumerate(rows):
            if f"first.{k}" in files:
                weights = files[f"first.{k}"]
                x[4 * net.shape.size :] += row[: len(weights)] @ weights
        for t in range(lengths[b] + 1):
            below, direct = np.split(x, [4 * net.shape.size])
            for layer, cell in enumerate(w.cells):
                h, c = states[layer]
                read = h if masks.recurrent[layer] is None else h * np.asarray(masks.recurrent[layer][b])
                z = (below if cell.W is None else below @ cell.W) + read @ cell.R + cell.b
                z = z if cell.K is None else z + context @ cell.K
                i, f, g, o = np.split(z, 4)
                c = logistic(f) * c + logistic(i) * np.tanh(g)
                h = logistic(o) * np.tanh(c)
                states[layer] = h, c
                if options.norm:
                    h = (h - h.mean()) / np.sqrt(h.var() + 1e-6) * w.norms[layer]
                if layer and options.residual:
                    h = h + below
                below = h if masks.output[layer] is None else h * np.asarray(masks.output[layer][b])
            hazard = logistic(below @ w.stop[0] + direct[-1] + w.stop[1][min(t, 1)])
            out[3, t, b] = math.log(hazard if t == lengths[b] else 1 - hazard)
            if t == lengths[b]:
                break
            embedded = [
                np.asarray(e.embed(v[t, b][None] if j == 0 else v[t, b][None, None]))[0]
                for j, (e, v) in enumerate(zip(net.steps, values, strict=True))
            ]
            for j, dist in enumerate(net.distributions):
                own, direct = np.split(direct, [dist.num_params])
                params = below @ files[f"outputs.{j}.A"] + files[f"outputs.{j}.b"] + own
                if j:
                    within = sum(embedded[k] @ files[f"outputs.{j}.W.{k}"] for k in range(j))
                    params = params + np.tanh(below @ files[f"outputs.{j}.U"] + within) @ files[f"outputs.{j}.B"]
                    params = params + sum(embedded[k] @ files[f"outputs.{j}.L.{k}"] for k in range(j))
                out[j, t, b] = dist.log_prob(jnp.asarray(params), values[j][t, b])
            x = sum(e @ files[f"feedback.{k}"] for k, e in enumerate(embedded))
            for k in (1, 2) if t else ():  # the numbers
                change = float(values[k][t, b] - values[k][t - 1, b])
                x = x + (0 if math.isnan(change) else change) * files[f"changes.{k}"]
    return out


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_sequence_has_the_probability_that_the_definition_gives(variant):
    """Against plain NumPy to 1e-10: layers, residual, norm, dropout, both kinds of context, mixed records, stopping."""
    net = network(variant)
    masks = dropped(net)
    assert (masks.recurrent[0] is None) == (masks.context is None) == (variant != "deep")
    np.testing.assert_allclose(asked(net, *data(), masks), plain(net, masks), rtol=1e-12, atol=1e-10)


def test_dropout_falls_with_its_share_of_the_rates():
    """A unit that is kept at a rate is kept at every smaller one, and the units that are kept stand for all."""
    net = network("deep")
    full, half, none_dropped = (dropped(net, share) for share in (1.0, 0.5, 0.0))
    for whole, fewer, every in zip(*map(jax.tree.leaves, (full, half, none_dropped)), strict=True):
        assert (np.asarray(every) == 1).all()
        assert ((np.asarray(whole) > 0) <= (np.asarray(fewer) > 0)).all()
        assert np.asarray(fewer).max() < np.asarray(whole).max()


def test_reading_the_data_step_by_step_is_teacher_forcing():
    """A rollout with none of its own output: the same values and gradients, with two layers and dropout."""
    net = network("deep", seed=2, fields=2)  # whose norms divide by no tiny number
    masks = dropped(net)
    grad = eqx.filter_jit(eqx.filter_value_and_grad(of_weights, has_aux=True))
    (_, whole), gradient = grad(*net.split(), data(fields=2), masks)
    (_, stepped), other = grad(*net.split(), data(fields=2), masks, jnp.zeros((T + 1, B)))
    for a, b in zip((*whole, *jax.tree.leaves(gradient)), (*stepped, *jax.tree.leaves(other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-10)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient.cells))


# ---- padding -------------------------------------------------------------------------------------------------------


def test_padding_never_matters():
    """Longer arrays give the same values, with zeros past the end; what stands in the padding moves no gradient."""
    net = network()
    short, long = (asked(net, *data(steps), none) for steps in (T + 1, T + 4))
    np.testing.assert_allclose(long[:, : T + 1], short, rtol=0, atol=1e-12)
    assert (long[:, T + 1 :] == 0).all()
    past = np.arange(T + 1)[:, None] >= LENGTHS
    assert (short[:3, past] == 0).all()
    assert (short[3, past & (np.arange(T + 1)[:, None] > LENGTHS)] == 0).all()
    net, (inputs, values, lengths) = network(fields=2), data(fields=2)
    noise = tuple(jnp.where(jnp.arange(T + 1)[:, None] < lengths, v, 3) for v in values)
    gradient = eqx.filter_jit(eqx.filter_grad(of_weights, has_aux=True))
    gradients = [gradient(*net.split(), (inputs, padded, lengths))[0] for padded in (values, noise)]
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_without_a_learned_stop_there_is_no_hazard():
    """Neither weights for it, nor a term in the likelihood, nor a uniform that it would consume."""
    shape = Architecture((EventShape(symbols=3),), (Categorical(4), WithMissing(Normal())), 0, H, 5, VARIANTS["plain"])
    net = in_doubles(Net(np.random.default_rng(0), shape))
    inputs, values, lengths = data(fields=2)
    assert asked(net, inputs[:1], values, lengths, none).shape == (2, T + 1, B)
    assert net.stop is None
    assert net.shape.num_uniforms == 1 + 2


def test_a_distribution_over_sequences_sums_to_one():
    """All sequences of up to six symbols, plus the mass of going on: stop and symbols are one distribution."""
    shape = Architecture((EventShape(symbols=2),), (Categorical(2),), 4, H, 4, Network(dropout=0.0))
    net = in_doubles(Net(np.random.default_rng(2), shape))
    longest = 6
    every = [(n, k) for n in range(longest + 1) for k in range(2**n)]
    values = np.array([[k >> t & 1 if t < n else 0 for n, k in every] for t in range(longest + 1)])
    lengths = np.array([n for n, _ in every])
    inputs = (jnp.zeros(len(every), int),)
    fields, stop = asked(net, inputs, (jnp.asarray(values),), jnp.asarray(lengths), none)
    mass = np.exp(fields.sum(0) + stop.sum(0))
    full = lengths == longest
    going_on = np.exp(fields.sum(0) + stop[:longest].sum(0))[full] - mass[full]
    assert mass.sum() + going_on.sum() == pytest.approx(1, abs=1e-5)


# ---- feedback ------------------------------------------------------------------------------------------------------


def test_a_folded_table_is_the_product_it_stands_for():
    """Fewer rows than values are folded; more are not; both, and the gradient of both, are the same map."""
    embedding = SymbolEmbedding.new(np.random.default_rng(3), 4, 5)
    weights = jnp.asarray(np.random.default_rng(4).normal(size=(1, 5, 8)), jnp.float32)
    few, many = embedding.fold(weights, 2), embedding.fold(weights, 100)
    assert isinstance(few, Product)
    assert isinstance(many, FoldedTable)
    soft = jax.nn.softmax(jnp.asarray(np.random.default_rng(5).normal(size=(7, 4)), jnp.float32))
    for values in (jnp.arange(5)[:, None], soft[:, None]):
        np.testing.assert_allclose(few(values), many(values), atol=1e-5)

        def total(weights, count, values=values):
            return (embedding.fold(weights, count)(values) ** 2).sum()

        np.testing.assert_allclose(*(jax.grad(total)(weights, count) for count in (2, 100)), atol=1e-3)


def test_soft_feedback_of_a_certain_symbol_is_the_symbol():
    """A distribution with all its mass on one symbol is fed back as that symbol; in general, its expectation."""
    embedding = SymbolEmbedding.new(np.random.default_rng(6), 4, 5)
    np.testing.assert_allclose(embedding.embed(jnp.eye(4)[:, None]), embedding.embed(jnp.arange(4)[:, None]), atol=1e-6)
    even = embedding.embed(jnp.full((1, 4), 0.25))
    np.testing.assert_allclose(even, embedding.rows[:, :4].mean(1), atol=1e-6)


def test_an_unseen_symbol_is_embedded_as_nothing():
    embedding = SymbolEmbedding.new(np.random.default_rng(7), 4, 5)
    assert (embedding.embed(jnp.array([4])) == 0).all()


def test_a_number_is_marked_where_it_is_missing_and_fed_back_no_further_than_its_bound():
    """A missing number reads as zero with the mark set; a wild one as the bound."""
    embedding = RealEmbedding.new(np.random.default_rng(8), 1, 3)
    missing, zero, wild, bound = embedding.embed(jnp.array([jnp.nan, 0.0, 1e30, MAX_FED_BACK])[:, None, None])[:, 0]
    assert missing[:2].tolist() == [0, 1]
    assert zero[:2].tolist() == [0, 0]
    assert (missing[2:] == zero[2:]).all()
    assert (wild == bound).all()
    assert embedding.width == 5


def params_of(net, ready, j, top, earlier):
    """Parameters of the distribution of field j, given the values of the fields before it."""
    context = net.outputs.begin(top)
    for k, value in enumerate(earlier):
        context = net.condition_on(ready, context, k, value)
    return net.outputs.params(context, j)


def test_free_running_reads_the_expectation_of_its_own_output():
    """By hand for two steps: the second reads the expected embedding and the mean, not the data."""
    net = network()
    inputs, values, lengths = data()
    own = asked(net, inputs, values, lengths, none, jnp.ones((T + 1, B)))

    @eqx.filter_jit
    def second_step(net):
        state, context = net.encode(inputs)
        ready = net.precompute(context, B)
        h, state = net.step(ready, net.start_feedback(inputs), state, none)
        expected = ()
        for j, dist in enumerate(net.distributions):
            expected += (dist.mean(params_of(net, ready, j, h, expected)),)
        h, _ = net.step(ready, net.feed_back(ready, expected), state, none)
        return net.distributions[0].log_prob(params_of(net, ready, 0, h, ()), values[0][1])

    np.testing.assert_allclose(own[0, 1, :2], second_step(net)[:2], atol=1e-10)
    taught = asked(net, inputs, values, lengths, none)
    assert np.abs(own[0, 1, :2] - taught[0, 1, :2]).max() > 1e-3


def test_free_running_gradients_flow_through_the_feedback():
    """Finite for every weight, not zero where only the feedback reaches, and equal to the slope."""
    net, fixed = network(fields=2), (data(fields=2), none, jnp.ones((T + 1, B)))
    both = eqx.filter_jit(eqx.filter_value_and_grad(of_weights, has_aux=True))
    weights, constants = net.split()
    _, gradient = both(weights, constants, *fixed)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    for part in (gradient.cells[0].R, gradient.feedback, gradient.steps[0].rows[:, :4], gradient.steps[1].A):
        assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(part))
    rng = np.random.default_rng(9)
    way = jax.tree.map(lambda w: jnp.asarray(rng.normal(size=w.shape)), weights)
    nets = [jax.tree.map(lambda w, d, e=e: w + e * d, weights, way) for e in (1e-5, -1e-5)]
    moved = [float(both(other, constants, *fixed)[0][0]) for other in nets]
    slope = sum((g * d).sum() for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True))
    assert float(slope) == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-6)


def test_half_of_its_own_output_is_half_of_the_feedback():
    """Mixed feeding lies between the data and the network, and depends on both."""
    net = network()
    ends = [compiled(net, *data(), none, jnp.full((T + 1, B), share)) for share in (0.0, 0.5, 1.0)]
    assert all(np.abs(a[0] - b[0]).max() > 1e-4 for a, b in itertools.pairwise(ends))


# ---- dropout, start, weights ---------------------------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_is_one_mask_a_sequence():
    """A unit is off, or divided by the keep rate; off as often as asked, within five standard errors."""
    net = network("deep")
    masks = dropped(net, rows=range(2_000))
    everything = np.stack([*masks.recurrent, *masks.output, masks.context])
    assert everything.shape == (5, 2_000, H)
    assert set(np.unique(everything)) == {0.0, 2.0}
    assert abs(everything.mean() - 1) < 5 / np.sqrt(everything.size)
    assert net.masks() == none


def test_the_mask_of_a_row_does_not_depend_on_the_rows_beside_it():
    """Nor on their number or order: its own number and the key decide; another number or key gives another mask."""
    net = network("deep")
    everything, some = dropped(net, rows=range(10)), dropped(net, rows=[7, 2])
    for whole, part in zip(jax.tree.leaves(everything), jax.tree.leaves(some), strict=True):
        np.testing.assert_array_equal(part, whole[jnp.array([7, 2])])
    stacked = np.concatenate([np.asarray(mask) for mask in jax.tree.leaves(everything)], 1)
    assert len({row.tobytes() for row in stacked}) == 10
    other = dropped(net, rows=range(10), seed=2).recurrent[0]
    assert (other != everything.recurrent[0]).any()


def test_h_and_c_start_different_and_depend_on_every_input():
    """Neither is a copy of the other, and each input field moves both."""
    net = network("deep")
    inputs, _, _ = data()
    state, _ = net.encode(inputs)
    assert state.h.shape == state.c.shape == (2, B, H)
    assert np.abs(state.h - state.c).min(-1).max() > 1e-3
    for changed in ((jnp.array([1, 1, 1]), inputs[1]), (inputs[0], inputs[1] + 1.0)):
        other, _ = net.encode(changed)
        assert np.abs(other.h - state.h)[:, 0].min() > 0
        assert np.abs(other.c - state.c)[:, 0].min() > 0


def test_the_bare_architecture_offers_the_context_to_no_step():
    """With `context="state"` the constants of all rows are the bias alone."""
    net = network("bare")
    ready = net.precompute(net.encode(data()[0])[1], B)
    assert net.cells[0].K is None
    assert (np.asarray(ready.constants[0]) == np.asarray(net.cells[0].b)).all()


@pytest.mark.parametrize("variant", ["plain", "deep"])
def test_a_network_is_its_shape_and_its_named_arrays(variant):
    """Arrays by path, put into another network of the same shape, give the same network; no two paths are equal."""
    net, other = network(variant), network(variant, seed=5)
    named = [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(net)]
    arrays = dict(named)
    assert len(arrays) == len(named)
    rebuilt = jax.tree_util.tree_map_with_path(lambda path, _: arrays[jax.tree_util.keystr(path)], other)
    expected = asked(net, *data(), none)
    np.testing.assert_array_equal(asked(rebuilt, *data(), none), expected)
    assert np.abs(asked(other, *data(), none) - expected).max() > 1e-3


def test_a_new_network_is_a_function_of_its_shape_and_seed():
    shape = Architecture((EventShape(symbols=3),), (Categorical(4), Normal()), 2, H, 5, VARIANTS["plain"])
    nets = [jax.tree.leaves(Net(np.random.default_rng(seed), shape)) for seed in (3, 3, 4)]
    assert all((a == b).all() for a, b in zip(*nets[:2], strict=True))
    assert any((a != b).any() for a, b in zip(*nets[1:], strict=True))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda net, i, v, n: (i, v, n[:2]),
        lambda net, i, v, n: (i, (v[0], v[1][:, :2], v[2]), n),
        lambda net, i, v, n: (i, v[:2], n),
        lambda net, i, v, n: (i[:1], v, n),
    ],
)
def test_a_wrong_shape_is_refused(wrong):
    """While testing, annotations are checked; a row, a field or an input too few never broadcasts."""
    net = network()
    with pytest.raises((jaxtyping.TypeCheckError, TypeError, ValueError)):
        compiled(net, *wrong(net, *data()), none)
