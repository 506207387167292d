"""Categories that go together in training go together in what is made, and in the likelihood."""

import itertools

import numpy as np
import pytest

import unspool as us
from unspool.errors import OptionError, SchemaError

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
    training = us.Training(epochs=1, holdout=0, draw_inputs=False)
    options |= {"network": us.Network(size=4), "training": training, "verbose": False}
    return us.OneToMany("who", ["city", "fun", "land", "part"], **options).fit(trips(), id="id")


@pytest.fixture(scope="module")
def model():
    """Barely trained, so that without the constraint it would go wrong in most steps."""
    return model_of(combinations=[("land", "city", "part")])


def together(sequences):
    return {(step["city"], step["land"], step["part"]) for sequence in sequences for step in sequence}


PLACES_SEEN = [(city, *where) for city, where in PLACES.items()]
SEEN = set(PLACES_SEEN)


@pytest.mark.parametrize("rule", ["sample", "greedy", us.Sampling(temperature=5.0)])
def test_only_combinations_of_training_are_made(model, rule):
    made = together(model.generate({"who": ["a", "b"]}, n=50, seed=1, length=5, rule=rule))
    assert made == SEEN if rule != "greedy" else made <= SEEN


def likelihood(model, places, fun=True):
    """(N, F + 1) nats of sequences of one step."""
    cities, *where = zip(*places, strict=True)
    table = dict(zip(("city", "land", "part"), (cities, *where), strict=True))
    count = len(cities)
    table |= {"fun": [fun] * count, "id": range(count), "who": ["a"] * count}
    return model.log_prob_by_field({name: list(column) for name, column in table.items()})


def test_a_beam_keeps_them_too_and_its_nats_are_those_of_the_likelihood(model):
    found = model.generate({"who": "a"}, length=2, rule=us.Beam(width=32, best=6))
    assert together(found) <= SEEN
    rows = [step | {"id": k, "who": "a"} for k, sequence in enumerate(found) for step in sequence]
    table = {name: [row[name] for row in rows] for name in rows[0]}
    nats = model.log_prob_by_field(table)
    assert nats.shape == (6, 3)  # one column for the combination, one for `fun`, one for the stops
    np.testing.assert_allclose(found.nats, nats[:, :2].sum(1), atol=1e-4)


def test_the_likelihood_is_that_of_the_samples(model):
    """Probabilities of the seen combinations and of the unseen ones, which share one, sum to one."""
    seen = np.exp(likelihood(model, PLACES_SEEN)[:, 0])
    others = sorted({*itertools.product(PLACES, ["Italy", "Germany"], ["south", "north", "west"])} - SEEN)
    joint, fun = model.codec_.steps
    np.testing.assert_allclose(np.exp(likelihood(model, others)[:, 0]), joint.unseen, rtol=1e-5)
    assert seen.sum() + joint.unseen == pytest.approx(1, rel=1e-5)
    both = sum(np.exp(likelihood(model, PLACES_SEEN, yes)[:, 1]) for yes in (True, False))
    np.testing.assert_allclose(both, 1 - fun.unseen, rtol=1e-5)
    made = model.generate({"who": "a"}, n=4000, seed=2, length=1)
    assert_shares(made, dict(zip(PLACES_SEEN, seen / seen.sum(), strict=True)))


def assert_shares(made, wanted):
    """Shares of combinations in the first steps, within five standard errors."""
    first = [(sequence[0]["city"], sequence[0]["land"], sequence[0]["part"]) for sequence in made]
    assert set(first) <= wanted.keys()
    for place, p in wanted.items():
        assert abs(first.count(place) / len(first) - p) <= 5 * np.sqrt(p * (1 - p) / len(first)), place


@pytest.mark.parametrize(
    "pin", [{"land": "Italy"}, {"part": "south"}, {"city": "Bonn"}, {"land": "Germany", "part": "south"}, {"fun": True}]
)
def test_a_pin_of_some_members_conditions_the_others_exactly(model, pin):
    """Also by chance under greedy, which takes the likeliest that fits, and a beam, which takes the best."""
    names = ("city", "land", "part")
    seen = [dict(zip(names, place, strict=True)) for place in PLACES_SEEN]
    fits = [tuple(place.values()) for place in seen if all(place.get(k, v) == v for k, v in pin.items())]
    p = np.exp(likelihood(model, fits)[:, 0])
    made = model.generate({"who": "a"}, n=4000, seed=2, length=1, pin={0: pin})
    assert_shares(made, dict(zip(fits, p / p.sum(), strict=True)))
    assert all(step[name] == value for (step,) in made for name, value in pin.items())
    (greedy,) = model.generate({"who": "a"}, length=1, pin={0: pin}, rule="greedy")
    assert together([greedy]) == {fits[int(p.argmax())]}
    if pin != {"fun": True}:
        best = model.generate({"who": "a"}, length=1, pin={0: pin}, rule=us.Beam(width=16, best=2 * len(fits)))
        nats = [likelihood(model, fits, yes)[:, :2].sum(1) for yes in (True, False)]
        np.testing.assert_allclose(best.nats, np.sort(np.concatenate(nats))[::-1], atol=1e-4)


def test_a_stream_and_sampled_inputs_have_the_pins_of_the_whole(model):
    asked = {"n": 3, "seed": 1, "length": 10, "pin": {1: {"land": "Italy"}, 9: {"part": "south"}}}
    whole = list(model.generate({"who": ["a", "b"]}, **asked))
    parts = {}
    for event in model.stream({"who": ["a", "b"]}, **asked):
        parts.setdefault((event.row, event.sample), []).append(event.value)
    assert list(parts.values()) == whole
    assert {(sequence[1]["land"], sequence[9]["part"]) for sequence in whole} == {("Italy", "south")}
    assert together(whole) <= SEEN


def test_a_prefix_is_kept_even_where_it_is_not_allowed(model):
    """What may be sampled says nothing of what is given."""
    prefix = [{"city": "Ulm", "land": "Germany", "part": "south", "fun": True}]
    for rule in ("sample", "greedy", us.Beam(width=8, best=2)):
        made = model.generate({"who": "a"}, length=3, seed=1, prefix=prefix, allow={"land": ["Italy"]}, rule=rule)
        for sequence in made:
            assert sequence[:1] == prefix
            assert {step["land"] for step in sequence[1:]} == {"Italy"}


def test_a_prefix_of_an_unseen_combination_is_refused(model):
    prefix = [
        {"city": "Ulm", "land": "Germany", "part": "south", "fun": True},
        {"city": "Ulm", "land": "Italy", "part": "south", "fun": True},
    ]
    words = r"prefix: row 1, step 2, .*combination that training saw, found 'Ulm' and 'Italy'"
    with pytest.raises(SchemaError, match=words):
        model.generate({"who": "a"}, prefix=prefix)


def test_a_model_file_keeps_them(model, tmp_path):
    model.save(tmp_path / "trips.unspool")
    loaded = us.load(tmp_path / "trips.unspool")
    assert list(loaded.generate({"who": "a"}, n=5, seed=3)) == list(model.generate({"who": "a"}, n=5, seed=3))
    assert loaded.get_params()["combinations"] == [("land", "city", "part")]  # as given, not in the order of columns


def test_without_being_asked_for_they_are_not_kept():
    """The city decides the others, which training begins with; a high temperature forgets it."""
    hot = us.Sampling(temperature=5.0)
    assert not together(model_of().generate({"who": "a"}, n=50, seed=1, length=5, rule=hot)) <= SEEN


def test_what_is_allowed_of_one_binds_the_others(model):
    """Those sampled before it as well."""
    made = together(model.generate({"who": "a"}, n=50, seed=1, length=4, allow={"part": ["south"]}))
    assert made == {("Rome", "Italy", "south"), ("Ulm", "Germany", "south")}
    with pytest.raises(OptionError, match=r"that occur together.*Training saw no combination"):
        model.generate({"who": "a"}, allow={"part": ["north"], "land": ["Germany"]})


def test_pins_of_them_must_go_together(model):
    made = model.generate({"who": "a"}, n=20, seed=1, length=3, pin={1: {"city": "Ulm"}})
    assert {(step["land"], step["part"]) for step in (sequence[1] for sequence in made)} == {("Germany", "south")}
    with pytest.raises(OptionError, match=r"step 1.*a combination that training saw, found 'Ulm' and 'Italy'"):
        model.generate({"who": "a"}, pin={1: {"city": "Ulm", "land": "Italy"}})
    with pytest.raises(OptionError, match="allows"):
        model.generate({"who": "a"}, pin={1: {"city": "Bonn"}}, allow={"part": ["south"]})
