"""A block of columns becomes one field and comes back as its columns, from the table to what is made."""

import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, OptionError, SchemaError
from unspool.schema.fields import Flags, Number

RNG = np.random.default_rng(7)
NOTES = ["a", "b", "c"]


def table(rows=30):
    """Either a and b, or c alone; an amount beside them."""
    ids = np.repeat(np.arange(rows), 4)
    both = RNG.random(4 * rows) < 0.5
    flags = {"a": both, "b": both.astype(int), "c": ~both}
    return {"id": ids, "k": ids % 2, "amount": np.round(RNG.normal(size=4 * rows), 3), **flags}


SEQUENCE = ["amount", Flags("notes", NOTES)]


def test_members_come_back_as_columns_of_truth_values() -> None:
    schema, examples = gather(table(), id="id", inputs="k", sequence=SEQUENCE)
    assert [field.name for field in schema.steps] == ["amount", "notes"]
    codec = fit_codec(schema, examples)
    encoded = codec.encode(examples)
    assert encoded.steps[1].shape == (120, 3)
    back = codec.decode(encoded.steps, encoded.offsets)
    for name in NOTES:
        assert back[name].dtype == bool
    np.testing.assert_array_equal(back["a"], back["b"])
    np.testing.assert_array_equal(back["a"], ~back["c"])
    share = np.mean([examples.steps["notes"] > 0])
    assert f"3 members, {share:.1%} yes" in codec.describe()
    assert len(encoded.take(np.array([3, 1])).steps[1]) == 8


def test_records_may_hold_the_members() -> None:
    rows = [
        [{"a": True, "b": False, "x": 1.5}, {"a": None, "b": None, "x": 2.5}],
        [{"a": False, "b": False, "x": 0.25}],
    ]
    schema, examples = gather({"k": [1, 2], "r": rows}, inputs="k", sequence={"r": [Flags("f", ["a", "b"])]})
    codec = fit_codec(schema, examples)
    encoded = codec.encode(examples)
    shown = codec.show(codec.decode(encoded.steps, encoded.offsets), encoded.offsets)
    assert shown == rows


def test_what_is_no_block_is_refused() -> None:
    data = table()
    with pytest.raises(OptionError, match="the names of two or more columns, none twice"):
        Flags("x", ["a"])
    with pytest.raises(SchemaError, match="expected the column 'z'"):
        gather(data, id="id", inputs="k", sequence=[Flags("notes", ["a", "z"])])
    with pytest.raises(SchemaError, match="every column once, found 'a' more than once"):
        gather(data, id="id", inputs="k", sequence=["a", Flags("notes", ["a", "b"])])
    data["a"] = np.where(np.arange(120) == 5, None, data["a"])
    with pytest.raises(DataError, match=r"column 'a'.*a value, because others of its block have one"):
        gather(data, id="id", inputs="k", sequence=SEQUENCE)


@pytest.mark.slow
def test_members_that_go_together_are_made_together(tmp_path) -> None:
    """Half the steps have a and b, the others c: independent members would agree in a quarter of the steps."""
    model = us.OneToMany(
        "k", SEQUENCE, network=us.Network(size=8), training=us.Training(epochs=60, holdout=0.0), verbose=False
    ).fit(table(60), id="id")
    made = model.generate({"k": [0, 1]}, n=100, seed=1)
    frame = made.to_frame(long=True)
    agree = np.mean([a == b and a != c for a, b, c in zip(*(frame[name] for name in NOTES), strict=True)])
    assert agree > 0.9
    assert isinstance(made[0][0]["a"], bool)
    streamed = [event.value for event in model.stream({"k": [0]}, seed=2)]
    assert streamed == model.generate({"k": [0]}, seed=2)[0]
    prefix = [[{"amount": 0.5, "a": True, "b": True, "c": False}]] * 2
    assert model.generate({"k": [0, 1]}, prefix=prefix, seed=2)[1][0] == prefix[0][0]
    made.save(tmp_path / "made.parquet")
    model.save(tmp_path / "model.unspool")
    again = us.load(tmp_path / "model.unspool")
    data = table()
    np.testing.assert_allclose(again.log_prob(data), model.log_prob(data), rtol=1e-5)
    assert type(model.schema_.steps[0]) is Number
