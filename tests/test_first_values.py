"""The first step reads the values before it, where inputs have them, as each later step reads the step before it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.fit import fit_codec
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.lstm import to_weights
from unspool.options import Network

N, T = 40, 6
FIELDS = [
    us.Category("turn"),
    us.Flag("sure"),
    us.Number("level", transform="standardize"),
    us.Number("paid", transform="log1p"),
    us.Number("tilt", transform="asinh"),
    us.Angle("course"),
]


def table():
    """Records of all kinds, some of them missing; each turn follows the one before it, and 9 is a first one alone."""
    rng = np.random.default_rng(0)
    turn = (rng.integers(0, 4, (N, 1)) + np.arange(T)) % 4
    turn[::5, 0] = 9
    x = rng.normal(size=(5, N * T))
    return {
        "id": np.repeat(np.arange(N), T),
        "turn": turn.ravel().tolist(),
        "sure": [None if u < -1 else bool(u > 0) for u in x[0]],
        "level": np.where(x[1] < -1, np.nan, 1e6 + x[1]),
        "paid": np.exp(2 * x[2]) + 0.5,
        "tilt": 30 * x[3] ** 3,
        "course": (40 * x[4]) % 360,
    }


@pytest.fixture(scope="module")
def codec_and_examples():
    schema, examples = gather(table(), inputs=us.First(), sequence=FIELDS, id="id", order=None)
    return fit_codec(schema, examples), examples


def network(codec):
    rng = np.random.default_rng(1)
    net = Net(rng, architecture_of(codec, Network(dropout=0.0), 6, 5))
    return net.map_weights(lambda w: to_weights(np.asarray(w) + rng.normal(0, 0.3, w.shape)))


def test_it_is_the_start_token_and_what_a_step_with_these_values_feeds_back(codec_and_examples):
    codec, examples = codec_and_examples
    net, inputs = network(codec), codec.encode(examples).inputs
    net = eqx.tree_at(lambda net: net.first, net, [0 * weights for weights in net.first])  # what inputs add beside
    inputs = tuple(jnp.asarray(a, None if a.dtype.kind == "i" else jnp.float32) for a in inputs)
    # The same values as the columns of the steps encode them.
    columns = {name: np.asarray(values, object).reshape(N, T)[:, :1].ravel() for name, values in table().items()}
    twice = {name: np.repeat(values, 2).tolist() for name, values in columns.items()}
    again = gather_fitted(codec, twice)
    steps = codec.encode(again).steps
    values = tuple(jnp.asarray(a, jnp.int32 if a.dtype.kind == "i" else jnp.float32) for a in steps)
    _, context = net.encode(inputs)
    expected = net.feed_back(net.precompute(context, N), values)
    found = net.start_feedback(inputs)
    start = jnp.split(net.start, [4 * 6])
    np.testing.assert_allclose(found.gates - start[0], expected.gates, atol=2e-5)
    np.testing.assert_allclose(
        found.direct - start[1], expected.direct, atol=2e-4
    )  # an angle is carried in small units
    assert len(found.numbers) == len(expected.numbers) > 0
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=2e-5), found.numbers, expected.numbers)


def test_the_first_step_of_an_older_file_reads_the_start_token_alone(codec_and_examples):
    codec, examples = codec_and_examples
    old = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(codec, reads_first=False)), type=type(codec))
    net, inputs = network(old), codec.encode(examples).inputs
    found = net.start_feedback(tuple(map(jnp.asarray, inputs)))
    np.testing.assert_array_equal(found.gates, np.tile(net.start[: 4 * 6], (N, 1)))
    assert all(np.isnan(part).all() for part in found.numbers)


@pytest.mark.parametrize(("sequences", "numbers"), [(119, 0), (120, 6)])
def test_numbers_of_the_input_are_read_directly_where_there_are_twenty_sequences_for_each(
    codec_and_examples, sequences, numbers
):
    """A flag, three numbers, and sine and cosine of an angle, each beside the mark where it is missing."""
    codec, _ = codec_and_examples
    codec = msgspec.structs.replace(codec, examples=sequences, total=sequences * codec.longest)
    weights = network(codec).first
    assert sum(part.shape[0] * (part.shape[1] - 1) for part in weights) == numbers


@pytest.mark.slow
def test_what_decides_the_next_value_decides_the_first_one_of_a_hasty_fit():
    training = us.Training(epochs=4, draw_inputs=False)
    model = us.OneToMany(us.First("turn"), ["turn", us.Number("level")], training=training, verbose=False)
    made = model.fit(table(), id="id").generate({"turn": [0, 1, 2, 3]}, n=50, seed=0)
    assert all(made[row * 50 + k][0]["turn"] == (row + 1) % 4 for row in range(4) for k in range(50))
