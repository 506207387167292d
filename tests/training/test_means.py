"""Which means are held constant: those that held-out data don't bear out, and no others."""

from types import SimpleNamespace

import equinox as eqx
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.dataset.examples import gather
from unspool.encoding.codec import Codec
from unspool.errors import OptionError
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.distributions.normal import Normal
from unspool.network.distributions.zero_mean import ZeroMean
from unspool.options import Network
from unspool.training.initialization import initialize_from_data
from unspool.training.means import describe_means, doubtful_means, is_worthless, unsupported_means, with_constant_means

EXAMPLES, STEPS = 200, 8


def made(slope=0.0, effect=0.0, **options):
    """Sequences of a category and a number, which has some of the category's mean, and follows itself with a slope."""
    rng = np.random.default_rng(0)
    sides = rng.integers(0, 2, (EXAMPLES, STEPS))
    x = np.zeros((EXAMPLES, STEPS))
    for t in range(STEPS):
        x[:, t] = slope * x[:, t - 1] * (t > 0) + effect * (2 * sides[:, t] - 1) + rng.normal(size=EXAMPLES)
    data = {"k": ["a", "b"] * (EXAMPLES // 2), "side": sides.tolist(), "x": x.tolist()}
    number = us.Number("x", transform="standardize", distribution="normal", **options)
    schema, examples = gather(data, None, inputs="k", sequence=[us.Category("side"), number])
    codec = Codec.fit(schema, examples)
    encoded = codec.encode(examples)
    halves = (encoded.take(np.arange(k, EXAMPLES, 2)) for k in (0, 1))
    return SimpleNamespace(data=data, codec=codec, learned=next(halves), validation=next(halves))


def network(case, believed):
    """A network that believes the number to be so much higher or lower after either category, and nothing else."""
    net = initialize_from_data(
        Net(np.random.default_rng(0), architecture_of(case.codec, Network(dropout=0.0), 8, 4)), case.learned
    )
    rows = np.asarray(net.steps[0].rows)
    signs = np.array([2 * int(value) - 1 for value in case.codec.steps[0].values])
    lean = np.linalg.lstsq(rows[:2], believed * signs, rcond=None)[0]
    still = eqx.tree_at(lambda n: (n.outputs.A, n.outputs.B), net, (0 * net.outputs.A, (0 * net.outputs.B[0],)))
    L = np.stack([lean, np.zeros_like(lean)], 1)
    return eqx.tree_at(lambda n: n.outputs.L, still, (jnp.asarray(L, jnp.float32),))


def test_what_is_believed_and_not_so_is_given_up():
    case = made()
    assert doubtful_means(case.codec, case.learned, case.validation) == (1,)
    found = unsupported_means(case.codec, network(case, 0.3), case.validation, (1,))
    assert list(found) == [1]
    assert found[1] < -0.02
    after = with_constant_means(case.codec, found)
    assert after.schema.steps[1].mean == "constant"
    assert after.schema.steps[0] == case.codec.schema.steps[0]
    assert isinstance(architecture_of(after, Network(), 8, 4).distributions[1], ZeroMean)
    assert "x: its mean is that of training always" in describe_means(after, found)[0]


def test_what_is_believed_and_so_is_kept():
    """Nothing follows from the value before, so one asks; but the field before it in the step says a lot."""
    case = made(effect=0.5)
    assert doubtful_means(case.codec, case.learned, case.validation) == (1,)
    assert unsupported_means(case.codec, network(case, 0.45), case.validation, (1,)) == {}


def test_what_follows_from_the_value_before_is_no_question():
    case = made(slope=0.3)
    assert doubtful_means(case.codec, case.learned, case.validation) == ()


@pytest.mark.parametrize("mean", ["learned", "constant"])
def test_who_says_so_is_not_asked(mean):
    case = made(mean=mean)
    assert doubtful_means(case.codec, case.learned, case.validation) == ()
    centred = isinstance(architecture_of(case.codec, Network(), 8, 4).distributions[1], ZeroMean)
    assert centred == (mean == "constant")


def test_with_little_held_out_all_is_learned():
    case = made()
    assert doubtful_means(case.codec, case.learned, case.validation.take(np.arange(5))) == ()


def test_a_small_gain_that_is_certain_is_kept_and_a_large_one_that_is_not_too():
    noise = np.tile([-1.0, 1.0], 50)
    assert not is_worthless(0.5 + 0.1 * noise, 100_000)
    assert is_worthless(0.5 + 30 * noise, 100_000)
    assert not is_worthless(5 + 300 * noise, 10_000)


def test_a_constant_mean_has_heads_that_can_be_moved():
    with pytest.raises(OptionError, match="histogram"):
        us.Number("x", distribution="histogram", mean="constant")
    with pytest.raises(OptionError, match="mean"):
        us.Number("x", mean="zero")


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A default fit of noise, but for its size; and the file that it was saved to."""
    case = made()
    quick = {"network": us.Network(size=8), "training": us.Training(epochs=12, draw_inputs=False)}
    model = us.OneToMany("k", [us.Number("x", distribution="normal")], **quick, verbose=False).fit(case.data)
    model.save(path := tmp_path_factory.mktemp("means") / "noise.unspool")
    return SimpleNamespace(data=case.data, model=model, path=path, quick=quick)


def test_a_fit_is_that_of_who_says_that_the_mean_is_constant(noise):
    """To the bit: nothing of the first training is left."""
    assert noise.model.schema_.steps[0].mean == "constant"
    describe_means = us.OneToMany(
        "k", [us.Number("x", distribution="normal", mean="constant")], **noise.quick, verbose=False
    )
    np.testing.assert_array_equal(describe_means.fit(noise.data).log_prob(noise.data), noise.model.log_prob(noise.data))


def test_the_file_keeps_it(noise):
    again = us.load(noise.path)
    assert again.schema_ == noise.model.schema_
    np.testing.assert_array_equal(again.log_prob(noise.data), noise.model.log_prob(noise.data))
    dist = again.net_.shape.distributions[0]
    assert dist == ZeroMean(Normal())


def test_generated_means_are_those_of_training(noise):
    made = noise.model.generate({"k": ["a", "b"]}, n=2_000, length=STEPS, seed=0)
    means = np.array(list(made)).reshape(2, -1).mean(1)
    assert means == pytest.approx(np.mean(noise.data["x"]), abs=5 / (2_000 * STEPS) ** 0.5)


def test_files_of_before_leave_the_mean_learned():
    """The option is absent there, and its default changes no distribution."""
    field = msgspec.json.decode(b'{"kind":"number","name":"x","distribution":"normal"}', type=us.Number)
    assert field.mean == "auto"
