"""Data that differ from those of the fit: every difference is listed, in one error, before any work."""

import pytest

from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, SchemaError, UnknownCategory
from unspool.schema.fields import Flags

LONG = {
    "id": [1, 1, 2, 2],
    "t": [0, 1, 0, 1],
    "kind": ["a", "a", "b", "b"],
    "place": ["x", "x", "y", "y"],
    "age": [1.5, 1.5, 2.5, 2.5],
    "level": [0.1, 0.2, 0.35, 0.4],
    "sign": ["up", "down", "up", "down"],
}


@pytest.fixture(scope="module")
def codec():
    schema, examples = gather(LONG, id="id", order="t", inputs=["kind", "place", "age"], sequence=["level", "sign"])
    return fit_codec(schema, examples)


def refusal(codec, data, steps=None):
    with pytest.raises(SchemaError) as caught:
        codec.encode(gather_fitted(codec, data, steps))
    return caught.value


def test_missing_columns_and_wrong_types_are_all_listed_and_unknown_categories_are_no_error(codec):
    lacking = {name: column for name, column in LONG.items() if name not in ("sign", "place")}
    error = refusal(codec, lacking | {"kind": ["a", "a", "Elbonia", "Elbonia"], "level": ["low", "0.2", "0.3", "0.4"]})
    lines = str(error).splitlines()
    assert lines[0] == "the data: expected what the model was fitted to, found 2 differences:"
    assert lines[1].startswith("  expected the columns 'place', 'sign', found only 'id', 't', 'kind'")
    assert lines[2].startswith("  id 1, step 1, column 'level': expected a number, found 'low'")
    assert len(lines) == 3


def test_unknown_categories_of_several_columns_are_one_error_of_their_kind(codec):
    with pytest.raises(UnknownCategory) as caught:
        codec.encode_inputs({"kind": ["c", "d"], "place": ["z", "y"], "age": [1.5, 2.5]})
    error = caught.value
    assert "2 differences" in str(error)
    assert "found 'c', and elsewhere 'd'" in str(error)


def test_a_single_difference_keeps_its_own_words(codec):
    error = refusal(codec, {name: column for name, column in LONG.items() if name != "age"})
    assert str(error).startswith("the data: expected the column 'age', found only")
    with pytest.raises(SchemaError, match="expected the columns 'id', 'age'"):
        gather_fitted(codec, {name: column for name, column in LONG.items() if name not in ("age", "id")})


def test_two_tables_are_distinguished(codec):
    inputs = {"id": [1, 2], "kind": ["a", "b"], "place": ["x", "y"]}
    steps = {"id": [1, 1, 2], "t": [0, 1, 0], "level": [0.1, 0.2, 0.3]}
    lines = str(refusal(codec, inputs, steps)).splitlines()
    assert "2 differences" in lines[0]
    assert "'age'" in lines[1]
    assert "the steps: expected the column 'sign'" in lines[2]


def test_inputs_to_generate_from_have_all_their_differences_listed(codec):
    with pytest.raises(SchemaError, match="2 differences") as caught:
        codec.encode_inputs({"kind": ["c"], "place": ["x"], "age": ["old"]})
    assert "'age': expected a number, found 'old'" in str(caught.value)


def test_flags_that_lack_a_member_are_listed_with_the_rest():
    table = LONG | {"f": [True, False, True, False], "g": [False, True, True, False]}
    schema, examples = gather(table, id="id", order="t", inputs="kind", sequence=["level", Flags("both", ["f", "g"])])
    codec = fit_codec(schema, examples)
    lacking = {name: column for name, column in table.items() if name != "g"} | {"level": ["?"] * 4}
    error = str(refusal(codec, lacking))
    assert "the column 'g'" in error
    assert "column 'level'" in error
    assert "column 'level'" in str(refusal(codec, table | {"level": ["?"] * 4, "f": ["no"] * 4}))


UNEVEN = {
    "numbers beside lists": (
        [[1, 2], [1, [2]]],
        "row 2, step 2, column 's': expected a number, like most of the values, found list",
    ),
    "lists beside lists of lists": ([[[1], [2]], [[1], 2]], "row 2, step 2, column 's': expected a list"),
    "a list beside a list of lists": ([[1, 2], [[1], [2]]], "column 's': expected a"),
    "steps of two widths": (
        [[[1, 2], [3, 4]], [[1, 2], [3]]],
        "row 2, step 2, column 's': expected 2 single values, as in the first step, found 1",
    ),
    "lists in lists in lists": (
        [[[[1]], [[2]]], [[[1]], [[2]]]],
        "the data: column 's': expected lists of steps, each one value, a list of values or a record",
    ),
    "a number where a list should be": (
        [[1, 2], 3],
        "row 2, column 's': expected a list, like most of the values, found number 3",
    ),
}


@pytest.mark.parametrize("case", UNEVEN)
def test_lists_of_unequal_nesting_are_refused_where_they_differ(case):
    lists, words = UNEVEN[case]
    with pytest.raises(DataError) as caught:
        gather({"k": ["a", "b"], "s": lists}, inputs="k", sequence="s")
    assert words in str(caught.value)
