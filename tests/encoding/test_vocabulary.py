"""Values that are one of finitely many come back as they went in."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import Location, SchemaError, UnknownCategory
from unspool.schema.coercion import code_points, coerce
from unspool.schema.fields import Category
from unspool.tables.arrow import from_values

PLACE = Location("the data", "x")
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.one_of(
    st.lists(st.none() | TEXT, min_size=1),
    st.lists(st.none() | st.integers(-(2**53), 2**53), min_size=1),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.none() | st.booleans(), min_size=1),
    st.lists(st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != int(x) if abs(x) < 1e9 else False)),
).filter(lambda values: any(value is not None for value in values))


def columns(values: list) -> np.ndarray:
    return coerce(from_values(values, PLACE), Category("x"), PLACE)


@given(VALUES)
def test_any_values_survive_as_symbols_and_symbols_survive_json(values: list) -> None:
    fitted = Vocabulary.fit(columns(values), step=True)
    codes = fitted.encode_strictly(columns(values), PLACE)
    assert codes.dtype == np.int32
    assert [None if value != value else value for value in fitted.lookup(codes).tolist()] == values
    assert msgspec.json.decode(msgspec.json.encode(fitted), type=Vocabulary) == fitted


@given(st.lists(TEXT, min_size=1).filter(any))
def test_any_unicode_text_survives_as_code_points(texts: list[str]) -> None:
    codes = code_points(np.array(texts, dtype=object))
    fitted = Vocabulary.fit(codes, step=True, text=True)
    assert "".join(fitted.lookup(fitted.encode_strictly(codes, PLACE))) == "".join(texts)
    assert fitted.lookup(fitted.positions(codes)).dtype == object
    assert msgspec.json.decode(msgspec.json.encode(fitted), type=Vocabulary) == fitted


def test_combining_and_astral_characters_and_nul_are_kept_apart() -> None:
    text = "e\u0301 é 👩‍🚀 𝒳 \0\uffff"
    codes = code_points(np.array([text], dtype=object))
    fitted = Vocabulary.fit(codes, step=True, text=True)
    assert "".join(fitted.lookup(fitted.encode_strictly(codes, PLACE))) == text


def test_symbols_are_numbered_by_frequency_then_by_value_whatever_the_order_of_rows() -> None:
    values = ["b", "a", "c", "c", None, None, "d"]
    rng = np.random.default_rng(0)
    orders = {
        Vocabulary.fit(columns(rng.permutation(np.array(values, dtype=object)).tolist()), step=True) for _ in range(9)
    }
    assert [order.values for order in orders] == [("c", None, "a", "b", "d")]
    assert Vocabulary.fit(np.array([10, 9, 2, 2]), step=True).values == (2, 9, 10)


def test_the_mass_of_the_unseen_is_that_of_what_was_seen_once() -> None:
    assert Vocabulary.fit(columns(["a", "a", "b", "c"]), step=True).unseen == pytest.approx(2.5 / 5)
    assert Vocabulary.fit(columns(["a", "a", "b", "b"]), step=True).unseen == pytest.approx(0.5 / 5)
    assert Vocabulary.fit(columns(["a", "a", "b", "c"]), step=False).unseen == 0.0


def test_an_unseen_value_of_a_step_is_the_symbol_after_the_last() -> None:
    fitted = Vocabulary.fit(columns(["a", "b"]), step=True)
    assert fitted.positions(columns(["b", "z", None])).tolist() == [1, 2, 2]
    assert fitted.lookup(np.array([1, 2])).tolist() == ["b", None]
    letters = Vocabulary.fit(code_points(np.array(["ab"])), step=True, text=True)
    assert letters.lookup(np.array([2])).tolist() == ["\ufffd"]


def test_true_is_not_one() -> None:
    fitted = Vocabulary.fit(columns([True, False, True]), step=True)
    with pytest.raises(UnknownCategory):
        fitted.encode_strictly(np.array([1, 0]), PLACE)


def test_an_unseen_input_is_refused_with_the_nearest_known_ones() -> None:
    fitted = Vocabulary.fit(columns(["Irish", "Greek", "Polish"]), step=False)
    with pytest.raises(UnknownCategory) as caught:
        fitted.encode_input(columns(["Greek", "irsh"]), PLACE)
    assert str(caught.value) == (
        "the data: row 2, column 'x': expected one of the 3 values that training saw: 'Greek', 'Irish', 'Polish', "
        "found 'irsh'. Did you mean 'Irish'?"
    )
    with pytest.raises(SchemaError, match=r"row 1, column 'x': expected a value, because none was missing in training"):
        fitted.encode_input(columns([None, "Greek"]), PLACE)
    numbers = Vocabulary.fit(np.array([1, 2, 3]), step=False)
    with pytest.raises(UnknownCategory, match=r"found '3'. Training saw 3, of another type"):
        numbers.encode_input(columns(["3"]), PLACE)


@pytest.mark.parametrize(
    "text",
    [
        b'{"kind":"vocabulary","values":[]}',
        b'{"kind":"vocabulary","values":["a","a"]}',
        b'{"kind":"vocabulary","values":["a",""],"text":true}',
    ],
)
def test_impossible_vocabularies_from_a_file_are_refused(text) -> None:
    with pytest.raises(msgspec.ValidationError, match="vocabulary: expected"):
        msgspec.json.decode(text, type=Vocabulary)
