"""Relations between the columns of a record: their texts, what they derive, and distances."""

import numpy as np
import pytest

from unspool.errors import OptionError
from unspool.schema.derivation import derive, distance, is_relative, total_of, without
from unspool.schema.relations import AtMost, Equal, MissingWith, Sum, parse_relations

NAMES = ["low", "high", "net total", "tax", "sum"]


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("low <= high", AtMost("low", "high")),
        ("high>=low", AtMost("low", "high")),
        ("sum = net total + tax", Sum("sum", ("net total", "tax"))),
        ("tax = net total", Equal("tax", "net total")),
        ("tax missing with net total", MissingWith("tax", "net total")),
    ],
)
def test_a_relation_is_read_from_its_text(text: str, relation: object) -> None:
    assert parse_relations([text], NAMES) == (False, [relation])


@pytest.mark.parametrize("relation", [AtMost("low", "high"), Equal("low", "high"), MissingWith("low", "high")])
def test_a_relation_is_written_as_it_is_read(relation: AtMost | Equal | MissingWith) -> None:
    assert parse_relations([str(relation)], NAMES) == (False, [relation])


@pytest.mark.parametrize(
    ("relations", "message"),
    [
        (["low <= hihg"], "relation 'low <= hihg': expected columns of a step: .* found 'hihg'. Did you mean 'high'?"),
        (["low < high"], "expected 'low <= high', 'total = part \\+ part'"),
        (["low <= low"], "found 'low <= low'"),
        (3, "a list of texts"),
        ([3], "a list of texts"),
    ],
)
def test_a_text_that_is_no_relation_is_refused(relations: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_relations(relations, NAMES)


def test_auto_searches_alone_or_beside_others() -> None:
    assert parse_relations("auto", NAMES) == (True, [])
    assert parse_relations(["auto", "low <= high"], NAMES) == (True, [AtMost("low", "high")])
    assert parse_relations(None, NAMES) == parse_relations([], NAMES) == (False, [])


def test_totals_and_copies_are_derived_and_missing_values_removed() -> None:
    columns = {"a": np.array([1, 2]), "b": np.array([0.25, np.nan]), "c": np.array(["x", "y"], object)}
    relations = [MissingWith("c", "b"), MissingWith("a", "b"), Sum("d", ("a", "b"), 1), Equal("e", "c")]
    derived = derive(relations, columns)
    assert derived["a"].tolist()[0] == 1.0
    assert np.isnan(derived["a"][1])
    assert derived["c"].tolist() == derived["e"].tolist() == ["x", None]
    assert derived["d"].tolist()[0] == 1.2
    assert np.isnan(derived["d"][1])
    assert columns["c"].tolist() == ["x", "y"]  # the caller's columns stay as they are


def test_a_sum_of_whole_numbers_is_whole_and_exact() -> None:
    total = total_of([np.array([2**60]), np.array([1])], 0)
    assert total.dtype == np.int64
    assert total.tolist() == [2**60 + 1]


def test_a_date_that_is_removed_is_not_a_time() -> None:
    assert np.isnat(without(np.array(["2026-01-01"], "datetime64[us]"), np.array([True])))[0]


def test_a_distance_is_from_the_nearest_reference_that_is_present() -> None:
    references = [np.array([1.0, np.nan, np.nan]), np.array([3.0, 4.0, np.nan])]
    np.testing.assert_array_equal(distance(np.array([5.0, 5.0, 5.0]), references, 1, relative=False), [2, 1, np.nan])
    np.testing.assert_array_equal(distance(np.array([0.0, 3.0, 5.0]), references, -1, relative=False), [1, 1, np.nan])


def test_ratios_need_positive_numbers() -> None:
    level = np.linspace(0.0, 100.0, 200)
    assert not is_relative(level * 1.5, [level], 1)
    assert is_relative(level[1:] * 1.5 + 0.01, [level[1:]], 1)
