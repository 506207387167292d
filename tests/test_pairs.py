"""Every kind of input goes with every kind of step: a fit, sequences, their likelihood, and their table."""

import itertools

import numpy as np
import pytest

import unspool as us
from unspool import modelfile
from unspool.config import Config
from unspool.errors import CorruptFile

N, T = 24, 3
DAY = np.datetime64("2024-01-01")


def _table():
    """One row an example; the column of a step has lists of T values."""
    rng = np.random.default_rng(0)
    steps = rng.integers(1, 5, (N, T))
    flags = rng.random((N, T, 3)) < 0.4
    return {
        "category": rng.choice(["a", "b"], N).tolist(),
        "number": rng.normal(size=N).tolist(),
        "count": rng.poisson(3, N).tolist(),
        "flag": (rng.random(N) < 0.5).tolist(),
        "when": (DAY + rng.integers(0, 90, N).astype("timedelta64[D]")).astype("datetime64[us]").tolist(),
        "vector": rng.normal(size=(N, 2)).tolist(),
        "symbol": rng.choice(["u", "v", "w"], (N, T)).tolist(),
        "kind": [
            [{"u": "x", "v": "y"}.get(s, "z") for s in row] for row in rng.choice(["u", "v", "w"], (N, T)).tolist()
        ],
        "level": rng.normal(size=(N, T)).round(2).tolist(),
        "walk": rng.normal(size=(N, T)).cumsum(1).tolist(),
        "rise": steps.cumsum(1).tolist(),
        "fall": (50 - steps.cumsum(1)).tolist(),
        "events": rng.poisson(2, (N, T)).tolist(),
        "yes": flags[..., 0].tolist(),
        "one": flags[..., 1].tolist(),
        "other": flags[..., 2].tolist(),
        "moment": (DAY + steps.cumsum(1).astype("timedelta64[D]")).astype("datetime64[us]").tolist(),
        "name": ["".join(rng.choice(list("abc"), 4)) for _ in range(N)],
        "words": [" ".join(rng.choice(["the", "cat", "sat"], 4)) for _ in range(N)],
    }


TABLE = _table()
INPUTS = {
    "Category": us.Category("category"), "Number": us.Number("number"), "Count": us.Count("count"),
    "Flag": us.Flag("flag"), "When": us.When("when"), "Vector": us.Vector("vector"), "First": us.First(),
}  # fmt: skip
STEPS = {
    "Category": [us.Category("symbol")],
    "Number": [us.Number("level")],
    "difference": [us.Number("walk", transform="difference")],
    "increment": [us.Number("rise", transform="increment")],
    "decrement": [us.Number("fall", transform="decrement")],
    "Count": [us.Count("events")],
    "Flag": [us.Flag("yes")],
    "Flags": [us.Flags("labels", ["one", "other"])],
    "When": [us.When("moment")],
    "Joint": [us.Category("symbol"), us.Category("kind")],
    "Text": [us.Text("name")],
    "words": [us.Text("words", unit="word")],
}
PAIRS = list(itertools.product(INPUTS, STEPS))
TEXTS = ("Text", "words")


def check(inputs, steps, *, draw=True, **options):
    """Fit, generate and score, and sample if inputs are drawn; the sequences have the shape of the data."""
    training = us.Training(epochs=1, batch=16, draw_inputs=draw)
    model = us.OneToMany(inputs, steps, network=us.Network(size=4), training=training, verbose=False, **options)
    model.fit(TABLE)
    given = {field.name: TABLE[field.name][:2] for field in model.schema_.inputs}
    given |= {name: [values[0] for values in TABLE[name][:2]] for name in model.schema_.first}
    made = model.generate(given, n=2, seed=0, length=2)
    assert made.lengths.tolist() == [2] * 4
    columns = [name for field in model.schema_.steps for name in field.columns]
    frame = made.to_frame(long=True)
    assert set(columns) <= set(frame)
    assert {len(frame[name]) for name in columns} == {8}
    assert len(made.to_frame(long=False)["sample"]) == 4
    scores = model.log_prob(TABLE)
    assert scores.shape == (N,)
    assert np.isfinite(scores).all()
    if draw:
        assert len(model.sample(3, seed=0, length=1)) == 3
        name = model.schema_.inputs[-1].name
        assert len(model.generate({name: given[name]}, n=2, seed=0, length=1)) == 4
    return model


ALL = [field for name, field in INPUTS.items() if name != "First"]


def test_all_inputs_at_once_go_with_a_category():
    check(ALL, STEPS["Category"], draw=False)


@pytest.fixture(scope="module")
def labelled():
    return check(us.First("labels"), [*STEPS["Flags"], us.Category("symbol")], draw=False)


def test_a_first_record_takes_a_block_of_labels_by_its_name(labelled):
    assert [field.name for field in labelled.schema_.inputs] == ["one", "other"]


def test_a_block_of_labels_comes_back_from_its_file_with_its_own_weights(labelled, tmp_path):
    """A file of before, whose blocks had none, is refused by name."""
    assert np.asarray(labelled.net_.outputs.own[0].A).any()
    labelled.save(path := tmp_path / "labels.unspool")
    np.testing.assert_array_equal(us.load(path).log_prob(TABLE), labelled.log_prob(TABLE))
    with modelfile.opened(path, Config) as file:
        arrays, config = file.arrays(), file.config
    modelfile.write(path, {name: array for name, array in arrays.items() if ".own." not in name}, config)
    with pytest.raises(CorruptFile, match="flags of older versions had another distribution: fit the model again"):
        us.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS)
def test_all_inputs_at_once_go_with_text(text):
    check(ALL, STEPS[text])


@pytest.mark.slow
def test_all_inputs_at_once_go_with_all_steps_at_once():
    steps = [field for name, fields in STEPS.items() if name not in (*TEXTS, "Joint") for field in fields]
    check(ALL, steps)


@pytest.mark.slow
def test_a_first_record_of_all_kinds_goes_with_all_steps_at_once():
    steps = [field for name, fields in STEPS.items() if name not in (*TEXTS, "Category") for field in fields]
    model = check(us.First(), steps, combinations=[("symbol", "kind")])
    names = {field.name: field.kind for field in model.schema_.inputs}
    assert names["one"] == names["other"] == "Flag"
    assert names["symbol"] == names["kind"] == "Category"


@pytest.mark.slow
@pytest.mark.parametrize(("given", "step"), PAIRS)
def test_every_input_goes_with_every_step(given, step):
    options = {"combinations": [("symbol", "kind")]} if step == "Joint" else {}
    check(INPUTS[given], STEPS[step], **options)
