"""Categories that go together in training go together in what is made, and in the likelihood."""

import itertools

import numpy as np
import pytest

import unspool as us
from unspool.errors import OptionError

pytestmark = pytest.mark.slow  # two whole models are fitted

PLACES = {
    "Rome": ("Italy", "south"),
    "Milan": ("Italy", "north"),
    "Bonn": ("Germany", "west"),
    "Ulm": ("Germany", "south"),
}
TRIPS = [["Rome", "Milan", "Bonn"], ["Ulm", "Bonn"], ["Milan", "Rome", "Ulm", "Bonn"], ["Bonn"]]


def trips():
    """Random trips; the order of the columns is not that of the combination."""
    rng = np.random.default_rng(0)
    table = {"id": [], "who": [], "city": [], "fun": [], "land": [], "part": []}
    for k in range(80):
        for city in TRIPS[int(rng.integers(4))]:
            land, part = PLACES[city]
            row = k, "ab"[k % 2], city, bool(rng.random() < 0.5), land, part
            for column, value in zip(table.values(), row, strict=True):
                column.append(value)
    return table


def model_of(**options):
    return us.OneToMany(
        "who",
        ["city", "fun", "land", "part"],
        verbose=False,
        network=us.Network(size=4),
        training=us.Training(epochs=1, holdout=0, draw_inputs=False),
        **options,
    ).fit(trips(), id="id")


@pytest.fixture(scope="module")
def model():
    """Barely trained, so that without the constraint it would go wrong in most steps."""
    return model_of(combinations=[("land", "city", "part")])


def together(sequences):
    return {(step["city"], step["land"], step["part"]) for sequence in sequences for step in sequence}


SEEN = {(city, *where) for city, where in PLACES.items()}


@pytest.mark.parametrize("rule", ["sample", "greedy", us.Sampling(temperature=3.0)])
def test_only_combinations_of_training_are_made(model, rule):
    made = together(model.generate({"who": ["a", "b"]}, n=50, seed=1, length=5, rule=rule))
    assert made == SEEN if rule != "greedy" else made <= SEEN


def test_a_beam_keeps_them_too_and_its_nats_are_those_of_the_likelihood(model):
    found = model.generate({"who": "a"}, length=2, rule=us.Beam(width=32, best=6))
    assert together(found) <= SEEN
    rows = [step | {"id": k, "who": "a"} for k, sequence in enumerate(found) for step in sequence]
    table = {name: [row[name] for row in rows] for name in rows[0]}
    np.testing.assert_allclose(found.nats, model.log_prob_by_field(table)[:, :4].sum(1), atol=1e-4)


def test_the_likelihood_is_that_of_what_is_drawn(model):
    """Over all combinations of one step, seen and unseen, the probabilities sum to one, but for unseen symbols."""
    ways = list(itertools.product(PLACES, [True, False], ["Italy", "Germany"], ["south", "north", "west"]))
    table = {name: [way[j] for way in ways] for j, name in enumerate(["city", "fun", "land", "part"])}
    table |= {"id": list(range(len(ways))), "who": ["a"] * len(ways)}
    nats = model.log_prob_by_field(table)[:, :4].sum(1)
    known = np.prod([1 - getattr(column, "unseen", 0.0) for column in model.codec_.steps])
    assert np.exp(nats).sum() == pytest.approx(known, rel=1e-3)
    seen = np.array([(way[0], *way[2:]) in SEEN for way in ways])
    assert np.isfinite(nats).all()
    unseen = model.codec_.combinations[0].unseen
    assert np.exp(nats[~seen]).sum() < 3 * unseen
    made = model.generate({"who": "a"}, n=4000, seed=2, length=1)
    share = np.mean([step[0]["city"] == "Rome" for step in made])
    rome = np.exp(nats[seen & (np.array(table["city"]) == "Rome")]).sum()
    assert abs(share - rome) < 5 * np.sqrt(0.25 / 4000) + 3 * unseen


def test_a_model_file_keeps_them(model, tmp_path):
    model.save(tmp_path / "trips.unspool")
    loaded = us.load(tmp_path / "trips.unspool")
    assert list(loaded.generate({"who": "a"}, n=5, seed=3)) == list(model.generate({"who": "a"}, n=5, seed=3))
    assert loaded.get_params()["combinations"] == [("city", "land", "part")]


def test_without_being_asked_for_they_are_not_kept():
    assert not together(model_of().generate({"who": "a"}, n=50, seed=1, length=5)) <= SEEN


def test_what_is_allowed_of_one_binds_the_others(model):
    """Those drawn before it as well."""
    made = together(model.generate({"who": "a"}, n=50, seed=1, length=4, allow={"part": ["south"]}))
    assert made == {("Rome", "Italy", "south"), ("Ulm", "Germany", "south")}
    with pytest.raises(OptionError, match=r"that occur together.*Training saw no combination"):
        model.generate({"who": "a"}, allow={"part": ["north"], "land": ["Germany"]})


def test_pins_of_them_must_go_together(model):
    made = model.generate({"who": "a"}, n=20, seed=1, length=3, pin={1: {"city": "Ulm"}})
    assert {(step["land"], step["part"]) for step in (sequence[1] for sequence in made)} == {("Germany", "south")}
    with pytest.raises(OptionError, match=r"step 1.*a combination that training saw, found 'Ulm' and 'Italy'"):
        model.generate({"who": "a"}, pin={1: {"city": "Ulm", "land": "Italy"}})
    with pytest.raises(OptionError, match=r"step 1.*a value of 'city'.*Pin 'city' too"):
        model.generate({"who": "a"}, pin={1: {"land": "Italy"}})
    with pytest.raises(OptionError, match="allows"):
        model.generate({"who": "a"}, pin={1: {"city": "Bonn"}}, allow={"part": ["south"]})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([("city", "country")], "categories of the step, as 'country', found none"),
        ([("city",)], "a list of tuples of two or more columns"),
        ("city", "a list of tuples"),
        ([("city", "land"), ("land", "part")], "'land' in two"),
    ],
)
def test_what_is_no_combination_is_refused(asked, words):
    with pytest.raises(OptionError, match=words):
        model_of(combinations=asked)
