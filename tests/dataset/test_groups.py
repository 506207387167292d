"""Several columns of a step are one field: labels as a block, categories as a combination."""

import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather, gather_fitted
from unspool.dataset.windows import windows
from unspool.encoding.fit import fit_codec
from unspool.errors import OptionError, SchemaError
from unspool.schema.fields import Category, First, Flag, Flags, Joint, Number

RNG = np.random.default_rng(0)
CITY = RNG.integers(0, 3, 60)
TABLE = {
    "id": np.repeat(np.arange(12), 5),
    "t": np.arange(60),
    "k": np.repeat(np.arange(12) % 2, 5),
    "land": np.array(["Italy", "Italy", "Germany"])[CITY],
    "x": np.round(RNG.normal(size=60), 3),
    "city": np.array(["Rome", "Milan", "Bonn"])[CITY],
    "wet": RNG.random(60) < 0.5,
    "cold": RNG.random(60) < 0.5,
}
BLOCK = {"sequence": ["x", Flags("signs", ["cold", "wet"])]}
COMBINATION = {"sequence": ["x", "city", "land"], "combinations": [("land", "city")]}
GROUPS = {
    "a block": (BLOCK, Flags("signs", ["cold", "wet"]), {"cold": Flag("cold"), "wet": Flag("wet")}),
    "a combination": (
        COMBINATION,
        Joint("land+city", ("city", "land")),
        {"city": Category("city"), "land": Category("land")},
    ),
}


@pytest.mark.parametrize("group", GROUPS)
def test_its_columns_are_one_field_of_the_step_and_come_back(group) -> None:
    options, field, _ = GROUPS[group]
    schema, examples = gather(TABLE, id="id", inputs="k", **options)
    assert schema.steps == (schema.steps[0], field)
    assert examples.steps[field.name].shape == (60, 2)
    codec = fit_codec(schema, examples)
    encoded = codec.encode(gather_fitted(codec, TABLE))
    back = codec.decode(encoded.steps, encoded.offsets)
    for name in field.columns:
        assert back[name].tolist() == TABLE[name].tolist()


@pytest.mark.parametrize("group", GROUPS)
def test_first_values_of_its_columns_are_inputs_of_their_own(group) -> None:
    options, field, first = GROUPS[group]
    schema, examples = gather(TABLE, id="id", inputs=First(), **options)
    assert [item.name for item in schema.inputs] == list(schema.first)
    assert set(schema.first) == {*first, "x"}
    assert {item.name: item for item in schema.inputs if item.name != "x"} == first
    codec = fit_codec(schema, examples)
    np.testing.assert_array_equal(codec.encode(gather_fitted(codec, TABLE)).steps[1], codec.encode(examples).steps[1])
    (name, *_) = field.columns
    one, _ = gather(TABLE, id="id", inputs=First(name), **options)
    assert one.inputs == (first[name],)


@pytest.mark.parametrize("group", GROUPS)
def test_a_series_with_it_is_cut_into_windows(group) -> None:
    options, field, _ = GROUPS[group]
    cut = windows(TABLE, order="t", length=5, inputs="k", sequence=options["sequence"])
    schema, examples = gather(cut, combinations=options.get("combinations"))
    assert schema.steps[1].columns == field.columns
    codec = fit_codec(schema, examples)
    np.testing.assert_array_equal(codec.encode(gather_fitted(codec, cut)).steps[1], codec.encode(examples).steps[1])
    other = windows(TABLE, order="t", length=5, inputs="k", sequence=["x", *field.columns[:1]])
    with pytest.raises(SchemaError, match=f"expected the step columns {field.columns[1]}, found only"):
        gather_fitted(codec, other)


def test_a_combination_whose_name_is_taken_gets_another() -> None:
    table = TABLE | {"land+city": TABLE["x"]}
    options = COMBINATION | {"sequence": ["land+city", "city", "land"]}
    schema, _ = gather(table, id="id", inputs="k", **options)
    assert [field.name for field in schema.steps] == ["land+city", "land+city'"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([("city", "country")], "categories of the step, as 'country', found none"),
        ([("city", "x")], "categories of the step, as 'x', found Number"),
        ([("city",)], "a list of tuples of two or more columns"),
        ([("city", "city")], "a list of tuples of two or more columns"),
        ("city", "a list of tuples"),
        ([("city", "land"), ("land", "wet")], "'land' in two"),
    ],
)
def test_what_is_no_combination_is_refused(asked, words) -> None:
    with pytest.raises(OptionError, match=words):
        gather(TABLE, id="id", inputs="k", sequence=["x", "city", "land", "wet"], combinations=asked)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_a_model_goes_on_from_first_values_of_its_columns(group) -> None:
    options, field, _ = GROUPS[group]
    shape = {"network": us.Network(size=4), "training": us.Training(epochs=1, holdout=0), "verbose": False}
    names = options.get("combinations")
    model = us.OneToMany(us.First(), options["sequence"], combinations=names, **shape).fit(TABLE, id="id")
    first = {name: TABLE[name][:3].tolist() for name in ("x", *field.columns)}
    generated = model.generate(first, seed=1, length=2)
    assert generated.to_dict()[f"first_{field.columns[0]}"] == np.repeat(first[field.columns[0]], 2).tolist()
    assert model.sample(4, seed=1).to_dict().keys() == generated.to_dict().keys()
    assert np.isfinite(model.log_prob(TABLE)).all()
    assert type(model.schema_.steps[0]) is Number
