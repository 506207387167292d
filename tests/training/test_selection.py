"""A trial changes open options that are clearly worse; a mean that it does not support is constant."""

import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather, open_transforms
from unspool.dataset.roles import parse_roles
from unspool.encoding.fit import fit_codec
from unspool.errors import OptionError
from unspool.network.distributions.normal import Normal
from unspool.network.distributions.reparameterized import ZeroMean
from unspool.options import Network, Training
from unspool.runtime.stopping import Stopped
from unspool.schema.fields import Category, Number
from unspool.training.selection import MIN_MEAN_CLUSTERS, best_candidate, candidates, select_fields, with_constant_means

RNG = np.random.default_rng(3)


def selected(table, sequence, training=None, inferred=None):
    schema, examples = gather(table, inputs="k", sequence=sequence)
    if inferred is not None:  # as if nothing but the trial could see how numbers move
        assert [field.transform for field in schema.steps] != inferred
        steps = zip(schema.steps, inferred, strict=True)
        steps = tuple(msgspec.structs.replace(field, transform=transform) for field, transform in steps)
        schema = msgspec.structs.replace(schema, steps=steps)
    codec = fit_codec(schema, examples)
    open_ = open_transforms(schema, parse_roles("k", sequence))
    options = {"network": Network(), "training": training or Training(), "seed": 0}
    return select_fields(codec, examples, codec.encode(examples), np.arange(len(examples)), open_, **options)


# ---- transforms ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_trial_finds_momentum_and_leaves_what_returns_to_its_mean():
    """Speeds that go on, around levels that spread so far that the mixture is too coarse; beside it a slow AR(1)."""
    noise = RNG.normal(size=(2, 150, 20))
    speed, level = 0.3 * noise[0], noise[1]
    for t in range(1, 20):
        speed[:, t] += 0.8 * speed[:, t - 1]
        level[:, t] += 0.75 * level[:, t - 1]
    origin = 20 * RNG.normal(size=(150, 1)) + speed.cumsum(1)
    table = {"k": np.arange(150) % 2, "x": origin.tolist(), "y": level.tolist()}
    schema, lines = selected(table, ["x", "y"], inferred=["standardize", "standardize"])
    assert [field.transform for field in schema.steps] == ["difference", "standardize"]
    assert len(lines) == 1


def test_what_the_user_says_stays_and_short_fits_have_no_trial():
    said = Number("x", "log1p")
    table = {"k": np.arange(150) % 2, "x": (10 + RNG.normal(size=(150, 10)).cumsum(1)).tolist()}
    schema, _ = gather(table, inputs="k", sequence=said)
    open_ = open_transforms(schema, parse_roles("k", said))
    assert open_ == set()
    assert candidates(schema.steps[0], open_, steps(np.arange(9.0))) == schema.steps
    assert open_transforms(gather(table, inputs="k", sequence="x")[0], parse_roles("k", "x")) == {"x"}
    for training in (Training(epochs=3), Training(seconds=5.0), Training(holdout=0)):
        assert selected(table, "x", training)[1] == []


def growing(rng, sequences=60, length=8):
    """A level whose changes are shares of it, and one whose changes have a size of their own; both are above zero."""
    shares, sizes = rng.normal(size=(2, sequences, length))
    shares[:, 0], sizes[:, 0] = rng.normal(size=(2, sequences))
    for t in range(1, length):
        shares[:, t] = 0.8 * shares[:, t - 1] + 0.3 * shares[:, t]
        sizes[:, t] = 0.8 * sizes[:, t - 1] + 0.3 * sizes[:, t]
    return {"k": np.arange(sequences) % 2, "x": (0.1 * np.exp(0.6 * shares)).tolist(), "y": (9 + sizes).tolist()}


def test_autoregressions_decide_between_transforms_where_there_is_too_little_for_a_trial():
    schema, lines = selected(growing(np.random.default_rng(0)), ["x", "y"])
    assert [field.transform for field in schema.steps] == ["log1p", "standardize"]
    assert len(lines) == 1
    assert lines[0].startswith("x: mixture on log1p in place of mixture on standardize, ")
    assert lines[0].endswith(" nats a step better as an autoregression")


def test_they_decide_too_where_a_trial_has_too_little_time(monkeypatch):
    def trial(*_):
        raise Stopped

    monkeypatch.setattr("unspool.training.selection.run_trial", trial)
    table = growing(np.random.default_rng(0), sequences=150)
    known = selected(table, ["x", "y"], Training(seconds=5.0))
    assert known[1]
    assert selected(table, ["x", "y"], Training(seconds=20.0)) == known


@pytest.mark.parametrize(("sequences", "length"), [(6, 8), (1, 30)])
def test_they_decide_nothing_from_a_few_steps(sequences, length):
    schema, lines = selected(growing(np.random.default_rng(0), sequences, length), ["x", "y"])
    assert {field.transform for field in schema.steps} == {"standardize"}
    assert lines == []


def test_missing_values_do_not_count_there():
    table = growing(np.random.default_rng(0), 90)
    rng = np.random.default_rng(1)
    for name in ("x", "y"):
        table[name] = np.where(rng.random((90, 8)) < 0.1, np.nan, np.array(table[name])).tolist()
    schema, _ = selected(table, ["x", "y"])
    assert [field.transform for field in schema.steps] == ["log1p", "standardize"]


def steps(values, name="x"):
    """One sequence of these values."""
    return Examples({}, {name: values}, np.array([0, len(values)]))


def test_candidates_have_the_distribution_of_the_default_so_that_masses_and_densities_never_compare():
    for distribution in ("discretized", "mixture"):
        found = candidates(Number("x", "standardize", distribution), {"x"}, steps(np.arange(9.0)))
        assert len(found) > 1
        assert {field.distribution for field in found} == {distribution}
    walk = Number("x", "difference", "mixture")
    assert candidates(walk, {"x"}, steps(np.arange(9.0))) == (walk,)


def test_differences_are_tried_where_a_number_moves_slowly_and_returns_where_it_is_positive_too():
    slow, fast = np.sin(np.arange(200.0) / 9), RNG.normal(size=200)
    assert transforms(slow) == {"standardize", "difference"}
    assert transforms(fast) == {"standardize"}
    assert transforms(slow + 2) == {"standardize", "log1p", "difference", "log_return"}
    assert transforms(np.round(9 * slow), "discretized") == {"standardize", "difference"}
    assert transforms(slow, bounds=(-2.0, 2.0)) == {"standardize"}
    alone = Examples({}, {"x": np.array([2.0, -5.0])}, np.arange(3))  # a value of a sequence of its own
    assert len(candidates(Number("x", "standardize", "mixture"), {"x"}, alone)) == 1


def transforms(values, distribution="mixture", bounds="auto"):
    field = Number("x", "standardize", distribution, bounds)
    return {option.transform for option in candidates(field, {"x"}, steps(values))}


# ---- means ---------------------------------------------------------------------------------------------------------

LEARNED = Number("x", "standardize", "mixture")
CONSTANT = msgspec.structs.replace(LEARNED, mean="constant")


def series(slope, count=200, length=10):
    """Values of sequences that follow themselves with a slope, and where each begins."""
    x = np.random.default_rng(0).normal(size=(count, length))
    for t in range(1, length):
        x[:, t] += slope * x[:, t - 1]
    return x.ravel(), np.arange(count + 1) * length


def test_a_mean_is_in_doubt_where_the_value_before_says_nothing_of_it():
    assert with_constant_means((LEARNED,), *series(0.0)) == (LEARNED, CONSTANT)
    assert with_constant_means((LEARNED,), *series(0.3)) == (LEARNED,)


@pytest.mark.parametrize(
    "field",
    [Number("x", mean="learned"), CONSTANT, Number("x", "standardize", "histogram"), Category("x")],
    ids=lambda field: f"{field.kind} {getattr(field, 'mean', '')}",
)
def test_it_is_not_where_the_user_decided_or_there_is_no_such_mean(field):
    assert with_constant_means((field,), *series(0.0)) == (field,)


def test_every_candidate_that_says_where_it_is_has_a_partner_with_a_constant_mean():
    among = tuple(msgspec.structs.replace(LEARNED, **change) for change in ({}, {"distribution": "histogram"}))
    logs = msgspec.structs.replace(LEARNED, transform="log1p")
    found = with_constant_means((*among, logs), *series(0.0))
    assert found == (*among, logs, CONSTANT, msgspec.structs.replace(logs, mean="constant"))


def chosen(gain, clusters=100, steps=1_000):
    """What a number gets whose learned mean gains so much in clusters of so many steps."""
    gain = np.broadcast_to(gain, clusters)
    return best_candidate(
        (LEARNED, CONSTANT), np.full(clusters, steps), {LEARNED: gain, CONSTANT: 0 * gain}, "in a trial"
    )


def test_a_mean_is_learned_where_that_gains_something_sure_or_something_large():
    noise = np.tile([-1.0, 1.0], 50)
    assert chosen(0.5 + 0.1 * noise) == (LEARNED, [])
    field, lines = chosen(0.5 + 30 * noise)
    assert field == CONSTANT
    assert lines == ["x: constant mean; a learned one is worth 0.0005 nats a step in a trial"]
    assert chosen(31 + 900 * noise)[0] == LEARNED
    assert chosen(-5.0)[0] == CONSTANT


def test_too_few_clusters_decide_nothing():
    assert chosen(-5.0, MIN_MEAN_CLUSTERS - 1) == (LEARNED, [])


def test_the_mean_is_that_of_the_distribution_that_was_chosen():
    logs = msgspec.structs.replace(LEARNED, transform="log1p")
    among = (LEARNED, logs, CONSTANT, msgspec.structs.replace(logs, mean="constant"), Number("x", "none", "point"))
    nats = {
        one: np.full(MIN_MEAN_CLUSTERS, value) for one, value in zip(among, (0.0, 5.0, 9.0, 5.5, -9.0), strict=True)
    }
    field, lines = best_candidate(among, np.full(MIN_MEAN_CLUSTERS, 10), nats, "in a trial")
    assert field == among[3]
    assert [line.split(",")[0] for line in lines] == [
        "x: mixture on log1p in place of mixture on standardize",
        "x: constant mean; a learned one is worth -0.0500 nats a step in a trial",
    ]


def numbers(effect, examples=200, length=20):
    """Sequences of a category and a number, whose mean is so much higher or lower with the category."""
    rng = np.random.default_rng(0)
    sides = rng.integers(0, 2, (examples, length))
    x = effect * (2 * sides - 1) + rng.normal(size=sides.shape)
    return {"k": ["a", "b"] * (examples // 2), "side": sides.tolist(), "x": x.tolist()}


@pytest.mark.parametrize(("effect", "mean"), [(0.0, "constant"), (0.5, "auto")])
def test_a_trial_keeps_a_mean_that_follows_another_field_and_no_other(effect, mean):
    schema, _ = selected(numbers(effect), [Category("side"), Number("x", "standardize", "normal")])
    assert schema.steps[1].mean == mean


@pytest.mark.slow
def test_a_fit_with_a_selected_constant_mean_is_the_fit_of_who_says_so(tmp_path):
    """To the bit; and the file keeps it."""
    options = {"network": Network(size=8), "training": Training(epochs=120, patience=1, draw_inputs=False)}
    fields = [Number("x", "standardize", "normal", mean=mean) for mean in ("auto", "constant")]
    models = [us.OneToMany("k", field, **options, verbose=False).fit(numbers(0.0)) for field in fields]
    assert [model.schema_.steps[0].mean for model in models] == ["constant"] * 2
    one, other = (model.log_prob(numbers(0.0)) for model in models)
    np.testing.assert_array_equal(one, other)
    models[0].save(tmp_path / "x.unspool")
    again = us.load(tmp_path / "x.unspool")
    assert [dist.of for dist in again.net_.distributions] == [ZeroMean(Normal())]  # within limits of samples
    made = again.generate({"k": ["a", "b"]}, n=2_000, length=8, seed=0)
    means, truth = np.array(list(made)).reshape(2, -1).mean(1), np.mean(numbers(0.0)["x"])
    assert means == pytest.approx(truth, abs=5 / (2_000 * 8) ** 0.5)


def test_a_constant_mean_has_distributions_that_can_be_moved():
    with pytest.raises(OptionError, match="histogram"):
        Number("x", distribution="histogram", mean="constant")
    with pytest.raises(OptionError, match="mean"):
        Number("x", mean="zero")


def test_files_of_before_leave_the_mean_learned():
    """The option is absent there, and its default changes no distribution."""
    field = msgspec.json.decode(b'{"kind":"number","name":"x","distribution":"normal"}', type=Number)
    assert field.mean == "auto"
