"""Symbols, flags, vectors and dates come back as they went in."""

import datetime as dt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.encoding.input_columns import BinaryEncoder, TimestampEncoder, VectorEncoder
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import SchemaError, UnknownCategory
from unspool.schema.coercion import code_points, coerce
from unspool.schema.fields import Category, Flag, Vector, When
from unspool.tables.arrow import from_values
from unspool.tables.location import Location

moment = dt.datetime.fromisoformat

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
    codes = fitted.encode(columns(values), PLACE, strict=True)
    assert codes.dtype == np.int32
    assert fitted.decode(codes).tolist() == values
    assert msgspec.json.decode(msgspec.json.encode(fitted), type=Vocabulary) == fitted


@given(st.lists(TEXT, min_size=1).filter(any))
def test_any_unicode_text_survives_as_code_points(texts: list[str]) -> None:
    codes = code_points(np.array(texts, dtype=object))
    fitted = Vocabulary.fit(codes, step=True, text=True)
    assert "".join(fitted.decode(fitted.encode(codes, PLACE, strict=True))) == "".join(texts)
    assert fitted.decode(fitted.encode(codes, PLACE, strict=False)).dtype == object
    assert msgspec.json.decode(msgspec.json.encode(fitted), type=Vocabulary) == fitted


def test_combining_and_astral_characters_and_nul_are_kept_apart() -> None:
    text = "e\u0301 é 👩‍🚀 𝒳 \0\uffff"
    codes = code_points(np.array([text], dtype=object))
    fitted = Vocabulary.fit(codes, step=True, text=True)
    assert "".join(fitted.decode(fitted.encode(codes, PLACE, strict=True))) == text


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
    assert fitted.encode(columns(["b", "z", None]), PLACE, strict=False).tolist() == [1, 2, 2]
    assert fitted.decode(np.array([1, 2])).tolist() == ["b", None]
    assert Vocabulary.fit(code_points(np.array(["ab"])), step=True, text=True).decode(np.array([2])).tolist() == [
        "\ufffd"
    ]


def test_true_is_not_one() -> None:
    fitted = Vocabulary.fit(columns([True, False, True]), step=True)
    with pytest.raises(UnknownCategory):
        fitted.encode(np.array([1, 0]), PLACE, strict=True)


def test_an_unseen_input_is_refused_with_the_nearest_known_ones() -> None:
    fitted = Vocabulary.fit(columns(["Irish", "Greek", "Polish"]), step=False)
    with pytest.raises(UnknownCategory) as caught:
        fitted.encode(columns(["Greek", "irsh"]), PLACE, strict=True)
    assert str(caught.value) == (
        "the data: row 2, column 'x': expected one of the 3 values that training saw: 'Greek', 'Irish', 'Polish', "
        "found 'irsh'. Did you mean 'Irish' or 'Polish'?"
    )
    with pytest.raises(SchemaError, match=r"row 1, column 'x': expected a value, because none was missing in training"):
        fitted.encode(columns([None, "Greek"]), PLACE, strict=True)
    numbers = Vocabulary.fit(np.array([1, 2, 3]), step=False)
    with pytest.raises(UnknownCategory, match=r"found '3'. Training saw 3, of another type"):
        numbers.encode(columns(["3"]), PLACE, strict=True)


@given(st.lists(st.none() | st.booleans(), min_size=1).filter(lambda values: values != [None] * len(values)))
def test_flags_survive(values: list) -> None:
    column = coerce(from_values(values, PLACE), Flag("x"), PLACE)
    fitted = BinaryEncoder(None in values)
    encoded = fitted.encode(column, PLACE)
    assert encoded.shape == (len(values), 1)
    assert fitted.decode(encoded).tolist() == values


def test_flags_may_be_written_as_0_and_1_and_as_nothing_else() -> None:
    assert coerce(np.array([0, 1]), Flag("x"), PLACE).tolist() == [False, True]
    assert coerce(np.array([0.0, np.nan]), Flag("x"), PLACE).tolist() == [False, None]
    with pytest.raises(SchemaError, match=r"row 2, column 'x': expected true or false .*found 2"):
        coerce(np.array([0, 2]), Flag("x"), PLACE)


@given(
    st.integers(1, 5)
    .flatmap(
        lambda width: st.lists(st.none() | st.lists(st.floats(-1e9, 1e9), min_size=width, max_size=width), min_size=1)
    )
    .filter(any)
)
def test_vectors_survive(values: list) -> None:
    column = coerce(from_values(values, PLACE), Vector("x"), PLACE)
    fitted = VectorEncoder.fit(column)
    np.testing.assert_allclose(fitted.decode(fitted.encode(column, PLACE)), column, rtol=1e-9, atol=1e-6)
    assert msgspec.json.decode(msgspec.json.encode(fitted), type=VectorEncoder) == fitted


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"expected 2 numbers, as in training, found 3"):
        VectorEncoder.fit(np.ones((4, 2))).encode(np.ones((1, 3)), PLACE)


MOMENTS = st.datetimes(moment("1700-01-01"), moment("2200-01-01"))


@given(st.lists(st.none() | MOMENTS, min_size=1).filter(any))
def test_dates_survive_to_a_few_microseconds(values: list) -> None:
    column = coerce(from_values(values, PLACE), When("x"), PLACE)
    fitted = TimestampEncoder.fit(column)
    encoded = fitted.encode(column, PLACE)
    assert encoded.shape == (len(values), 1 + 2 * len(fitted.cycles))
    back = fitted.decode(encoded)
    np.testing.assert_array_equal(np.isnat(back), np.isnat(column))
    assert np.abs((back - column)[~np.isnat(column)].astype(np.int64)).max() <= 100
    assert msgspec.json.decode(msgspec.json.encode(fitted), type=TimestampEncoder) == fitted


@pytest.mark.parametrize(
    ("moments", "cycles"),
    [
        (["2026-01-05", "2026-01-12", "2026-01-19"], ()),
        (["2026-01-05", "2026-01-06"], ("week",)),
        (["2026-01-05", "2026-03-09"], ("year",)),
        (["2026-01-05T01", "2026-01-05T07"], ("day",)),
        (["2026-01-05T01", "2027-03-06T07"], ("year", "week", "day")),
    ],
)
def test_only_the_cycles_that_training_varies_in_are_features(moments, cycles) -> None:
    assert TimestampEncoder.fit(np.array(moments, "datetime64[us]")).cycles == cycles


def test_a_missing_date_is_a_row_of_nan() -> None:
    column = np.array(["2026-01-05", "NaT"], "datetime64[us]")
    assert np.isnan(TimestampEncoder.fit(column).encode(column, PLACE)[1]).all()
    with pytest.raises(SchemaError, match=r"row 2, column 'x': expected a value"):
        TimestampEncoder.fit(column[:1]).encode(column, PLACE)


def test_impossible_columns_from_a_file_are_refused() -> None:
    for text, kind in (
        (b'{"kind":"symbols","values":[]}', Vocabulary),
        (b'{"kind":"symbols","values":["a","a"]}', Vocabulary),
        (b'{"kind":"symbols","values":["a",""],"text":true}', Vocabulary),
        (b'{"kind":"reals","dim":2,"loc":[0.0],"scale":[1.0]}', VectorEncoder),
        (b'{"kind":"dates","loc":0.0,"scale":0.0}', TimestampEncoder),
        (b'{"kind":"flags","more":1}', BinaryEncoder),
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(text, type=kind)
