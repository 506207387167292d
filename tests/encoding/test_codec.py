"""The whole way, from a table to arrays and back, and through the file."""

import datetime as dt

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, OptionError, SchemaError, UnknownCategory
from unspool.schema.fields import Category, First, Flag, Number, Schema, Text

timestamp = dt.datetime.fromisoformat

FULL = {
    "country": ["x", "y", None, "x"],
    "age": [30, None, 25, 41],
    "rgb": [[0.1, 0.2], [0.3, 0.4], None, [0.5, 0.7]],
    "member": [True, False, None, True],
    "born": [timestamp("2001-01-02"), None, timestamp("1999-07-01T05"), timestamp("1980-02-03")],
    "path": [
        [{"v": 1.5, "s": "a", "n": 1000, "b": True}, {"v": None, "s": None, "n": 5, "b": False}],
        [],
        [{"v": -2.0, "s": "b", "n": None, "b": None}],
        [{"v": 3.0, "s": "a", "n": 7, "b": True}, {"v": 1.0, "s": "a", "n": 8, "b": True}],
    ],
}
INPUTS = ["country", "age", "rgb", "member", "born"]


def fit(data, **options) -> tuple[Codec, Examples, Encoded]:
    schema, examples = gather(data, **options)
    codec = fit_codec(schema, examples)
    return codec, examples, codec.encode(examples)


def shown(codec: Codec, examples: Examples, encoded: Encoded) -> list:
    return codec.show(codec.decode(encoded.steps, encoded.offsets, examples.first), encoded.offsets)


def test_every_kind_of_field_goes_in_and_comes_out() -> None:
    codec, examples, encoded = fit(FULL, inputs=INPUTS, sequence="path")
    assert msgspec.json.decode(msgspec.json.encode(codec), type=Codec) == codec
    assert [values.dtype.name for values in encoded.inputs] == ["int32", "float64", "float64", "float64", "float64"]
    assert [values.shape for values in encoded.inputs] == [(4,), (4, 1), (4, 2), (4, 1), (4, 7)]
    assert [np.isnan(values).any() for values in encoded.inputs[1:]] == [True] * 4
    assert [values.dtype.name for values in encoded.steps] == ["float64", "int32", "float64", "int32"]
    assert encoded.offsets.tolist() == [0, 2, 2, 3, 5]
    back = shown(codec, examples, encoded)
    for sequence, wanted in zip(back, FULL["path"], strict=True):
        assert [pytest.approx(record) for record in wanted] == sequence
    assert (codec.shortest, codec.longest, codec.examples, codec.total) == (0, 2, 4, 5)


LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CELLS = {
    "text": ("ab", LETTERS),
    "words": (["a", None, "b"], st.lists(st.none() | LETTERS, max_size=6)),
    "whole": ([1, 2], st.lists(st.integers(-(10**9), 10**9), max_size=6)),
    "vectors": ([[1, 2], [2, 1]], st.lists(st.lists(st.integers(-99, 99), min_size=2, max_size=2), max_size=5)),
    "flags": ([True, False], st.lists(st.booleans(), max_size=6)),
}


@pytest.mark.parametrize("kind", CELLS)
@given(data=st.data())
def test_any_sequences_come_back_exactly(kind: str, data) -> None:
    known, cells = CELLS[kind]
    sequences = [known, *data.draw(st.lists(cells, min_size=1, max_size=5))]
    codec, examples, encoded = fit({"k": list(range(len(sequences))), "x": sequences}, inputs=Number("k"), sequence="x")
    assert shown(codec, examples, encoded) == sequences


def test_the_given_value_is_the_base_from_which_generation_continues() -> None:
    table = {"x": [[10.0, 11.0, 13.0], [100.0, 99.0]]}
    codec, examples, encoded = fit(table, inputs=First(), sequence=Number("x", "difference"))
    assert shown(codec, examples, encoded) == [[11.0, 13.0], [99.0]]
    bases = codec.bases({"x": [50.0]})
    assert bases["x"].tolist() == [50.0]
    steps = [encoded.steps[0][:2]]
    assert codec.decode(steps, np.array([0, 2]), bases)["x"].tolist() == [51.0, 53.0]


def test_examples_can_be_taken_by_position_and_by_mask() -> None:
    _, _, encoded = fit(FULL, inputs=INPUTS, sequence="path")
    part = encoded.take(np.array([3, 0]))
    assert part.offsets.tolist() == [0, 2, 4]
    np.testing.assert_array_equal(part.steps[1], encoded.steps[1][[3, 4, 0, 1]])
    np.testing.assert_array_equal(part.inputs[0], encoded.inputs[0][[3, 0]])
    assert len(encoded.take(np.array([True, False, False, True]))) == 2
    assert encoded.take(np.zeros(0, np.int64)).lengths.tolist() == []


def test_inputs_to_generate_from_may_be_single_values_lists_or_frames() -> None:
    codec, _, encoded = fit(FULL, inputs=INPUTS, sequence="path")
    single = {"country": "y", "age": 30, "rgb": [0.1, 0.2], "member": True, "born": "2001-01-02"}
    for data in (single, [single], {name: [value] for name, value in single.items()}, pd.DataFrame([single])):
        made = codec.encode_inputs(data)
        assert [len(values) for values in made] == [1] * 5
        assert made[0].tolist() == [1]
        for values, wanted in zip(made[1:], encoded.inputs[1:], strict=True):
            np.testing.assert_allclose(values[0], wanted[0])
    many = codec.encode_inputs({"country": ["x", "y"], "age": 30, "rgb": [0.1, 0.2], "member": None, "born": None})
    assert [len(values) for values in many] == [2] * 5
    nothing = codec.encode_inputs(dict.fromkeys(INPUTS))
    assert nothing[0].tolist() == [codec.inputs[0].values.index(None)]
    assert all(np.isnan(values).all() for values in nothing[1:])
    assert [values.shape for values in nothing[1:]] == [(1, 1), (1, 2), (1, 1), (1, 7)]


def test_the_only_input_needs_no_name() -> None:
    codec, _, _ = fit({"k": ["a", "b. c"], "x": ["ab", "c"]}, inputs="k", sequence="x")
    for data in ("b. c", ["b. c"], np.array(["b. c"]), pd.Series(["b. c"], name="k"), [{"k": "b. c"}]):
        assert [values.tolist() for values in codec.encode_inputs(data)] == [[1]]
    colours, _, _ = fit({"rgb": [[1, 2, 3], [4, 5, 7]], "x": ["ab", "c"]}, inputs="rgb", sequence="x")
    assert [len(colours.encode_inputs(data)[0]) for data in ([1, 2, 3], [[1, 2, 3], [4, 5, 6]])] == [1, 2]
    with pytest.raises(DataError, match=r"b\.csv: expected a file to read"):
        codec.encode_inputs("b.csv")
    for folder in ("nowhere/", "s3x://bucket/people"):
        with pytest.raises((DataError, OptionError)):
            codec.encode_inputs(folder)
    with pytest.raises(UnknownCategory, match="found 'c'"):
        codec.encode_inputs("c")


def test_inputs_to_generate_from_that_are_wrong_are_refused() -> None:
    codec, _, _ = fit({"k": ["male", "female"], "n": [1.5, 2.5], "x": ["ab", "c"]}, inputs=["k", "n"], sequence="x")
    with pytest.raises(UnknownCategory, match=r"inputs: row 2, column 'k': .*found 'mael'. Did you mean 'male'"):
        codec.encode_inputs({"k": ["male", "mael"], "n": 1})
    with pytest.raises(SchemaError, match=r"expected the columns 'k', 'n', found only 'name'"):
        codec.encode_inputs({"name": "x"})
    with pytest.raises(SchemaError, match=r"column 'n': expected a value, because none was missing in training"):
        codec.encode_inputs({"k": "male", "n": None})
    with pytest.raises(SchemaError, match=r"column 'n': expected a number, found 'x'"):
        codec.encode_inputs({"k": "male", "n": "x"})


def test_typed_inputs_get_the_types_that_training_had() -> None:
    inputs = {"month": [1, 2], "code": ["007", "1"], "age": [1.5, 2.5], "rgb": [[1, 2], [3, 4]], "new": [True, False]}
    table = {name: values * 20 for name, values in (inputs | {"x": ["ab", "c"]}).items()}
    codec, _, _ = fit(table, inputs=[*inputs], sequence="x")
    typed = {"month": ["2"], "code": ["007"], "age": ["3"], "rgb": ["1, 2"], "new": ["yes"]}
    values = {"month": [2], "code": ["007"], "age": [3.0], "rgb": [[1.0, 2.0]], "new": [True]}
    assert codec.parse_inputs(typed) == values
    assert codec.parse_inputs({"age": [""]}) == {"age": [None]}
    with pytest.raises(SchemaError, match=r"input 'age': expected a number, found 'old'"):
        codec.parse_inputs({"age": ["old"]})
    assert len(codec.encode_inputs(codec.parse_inputs(typed))) == 5


def test_a_csv_file_is_read_with_the_types_that_training_had(tmp_path) -> None:
    codec, _, _ = fit({"code": ["007", "1"], "x": ["ab", "c"]}, inputs="code", sequence="x")
    (tmp_path / "new.csv").write_text("code,x\n007,12\n")
    assert codec.encode_inputs(tmp_path / "new.csv")[0].tolist() == [0]
    assert codec.encode(gather_fitted(codec, tmp_path / "new.csv")).steps[0].tolist() == [3, 3]


def test_a_symbol_that_training_never_saw_can_be_scored_but_not_given() -> None:
    codec, _, _ = fit({"k": ["a", "b"], "x": ["ab", "ca"]}, inputs="k", sequence="x")
    assert codec.encode(gather_fitted(codec, {"k": ["a"], "x": ["az"]})).steps[0].tolist() == [0, 3]
    with pytest.raises(UnknownCategory):
        codec.encode_inputs({"k": ["z"]})
    for encode in (
        lambda: codec.encode_inputs({"k": ["z"]}, unknown="missing"),
        lambda: codec.encode(gather_fitted(codec, {"k": ["z"], "x": ["ab"]})).inputs,
    ):
        with pytest.warns(UserWarning, match="column 'k': 1 value that training never saw, read as missing: 'z'"):
            assert encode()[0].tolist() == [2]


def test_an_unknown_category_has_the_symbol_of_missing_ones_where_training_had_some() -> None:
    codec, _, _ = fit({"k": ["a", "b", None], "x": ["ab", "ca", "b"]}, inputs="k", sequence="x")
    with pytest.warns(UserWarning, match="2 values that training never saw, read as missing: 'y', 'z'"):
        found = codec.encode_inputs({"k": ["y", "a", None, "z"]}, unknown="missing")[0]
    assert found.tolist() == [2, 0, 2, 2]


def test_which_examples_can_be_read() -> None:
    codec, _, _ = fit({"k": ["a", "b"], "x": [[0.5, 2.5], [1.0, 3.5, 2.0]]}, inputs="k", sequence="x")
    table = {"k": ["a"] * 5, "x": [[1.0], [None], [2.0, 1.0], [0.5, None], [3.0]]}
    assert codec.readable(gather_fitted(codec, table)).tolist() == [True, False, True, False, True]


def test_the_description_shows_what_was_found() -> None:
    codec, _, _ = fit(FULL, inputs=INPUTS, sequence="path")
    lines = codec.describe().splitlines()
    assert lines[0] == "input  country  Category  2 values: x, y, some missing"
    assert lines[1] == "input  age      Number    25 to 41, never below 0, standardize, 25.00% missing"
    assert lines[-1] == "                length    0 to 2 steps, 4 sequences, 5 steps in all"
    assert len(lines) == 10


def test_a_codec_whose_columns_do_not_fit_its_schema_is_refused() -> None:
    codec, _, _ = fit({"k": ["a", "b"], "x": ["ab", "ca"]}, inputs="k", sequence="x")
    other = Schema((Flag("k"),), (Text("x"),), "text", sequence="x")
    with pytest.raises(SchemaError, match=r"codec, input columns: expected BinaryEncoder, found Vocabulary"):
        Codec(other, codec.inputs, codec.steps, 2, 2)
    with pytest.raises(SchemaError, match=r"codec, lengths"):
        Codec(codec.schema, codec.inputs, codec.steps, 3, 2)


def test_a_flag_may_be_a_step_when_asked_for() -> None:
    codec, examples, encoded = fit({"k": ["a", "b"], "x": [[0, 1], [1, 1]]}, inputs="k", sequence=Flag("x"))
    assert shown(codec, examples, encoded) == [[False, True], [True, True]]
    codec, _, _ = fit({"k": ["a", "b"], "x": [[0, 1], [1, 1]]}, inputs="k", sequence=Category("x"))
    assert codec.steps[0].values == (1, 0)
