"""Fields refuse options and roles that they can't have, and survive a file."""

import msgspec
import pytest

from unspool.errors import OptionError, SchemaError, UnspoolError
from unspool.schema.fields import Category, First, Flag, Number, Schema, Text, Vector, When

FULL = Schema(
    (Category("c"), Number("n", "log1p"), Vector("v"), Flag("f"), When("w")),
    (Number("x", transform="difference", distribution="mixture"), Category("s")),
    "records",
    "long",
    "id",
    "day",
    (),
    "walk",
)


def test_a_schema_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(FULL), type=Schema) == FULL


def test_a_schema_from_a_file_with_an_unknown_key_is_refused() -> None:
    text = msgspec.json.encode(FULL).replace(b'"name":"c"', b'"name":"c","extra":1')
    with pytest.raises(msgspec.ValidationError, match="extra"):
        msgspec.json.decode(text, type=Schema)


def test_fields_take_their_options_by_position_too() -> None:
    assert Number("x", "asinh", "point") == Number("x", transform="asinh", distribution="point")


def test_an_unknown_transform_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"Number\('x', transform=...\): expected one of auto, none, .*'log'"):
        Number("x", transform="log")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Text, {"unit": "syllable"}),
        (Category, {"name": ""}),
        (Category, {"name": 3.5}),
        (Number, {"distribution": "t"}),
        (Number, {"bounds": "tight"}),
        (Number, {"bounds": (1.0, 1.0)}),
    ],
)
def test_illegal_options_are_refused(kind, options) -> None:
    with pytest.raises(OptionError):
        kind(**{"name": "x"} | options)


@pytest.mark.parametrize(
    ("inputs", "steps", "form", "words"),
    [
        ((), (Text("t"),), "text", "input fields: expected at least one"),
        ((Text("t"),), (Text("t"),), "text", "input field 't': expected one of Category"),
        ((Category("c"),), (Vector("v"),), "list", "step field 'v': expected one of Category"),
        ((Category("c"),), (When("w", since="c"),), "list", "since=.*expected the name of an input that is a date"),
        ((Category("c"), Flag("c")), (Text("t"),), "text", "every name once, found c"),
        ((Number("c", "difference"),), (Text("t"),), "text", "a transform of a single value"),
        ((Category("c"),), (Number("n"),), "text", "exactly one Text field"),
    ],
)
def test_a_field_in_a_role_it_cannot_have_is_refused(inputs, steps, form, words) -> None:
    with pytest.raises(SchemaError, match=words):
        Schema(inputs, steps, form)


def test_first_is_a_request_that_compares_by_its_names() -> None:
    assert First("a", "b") == First("a", "b") != First("a")
    assert hash(First("a")) == hash(First("a"))


def test_the_description_is_aligned_and_names_what_was_overridden() -> None:
    lines = FULL.describe({("input", "c"): "3 values"}, "2 to 9").splitlines()
    assert lines[0] == "input  c  Category  3 values"
    assert lines[5] == "step   x  Number    distribution mixture"
    assert lines[-1] == "          length    2 to 9"


def test_every_error_is_one_of_ours_and_a_value_error() -> None:
    with pytest.raises(UnspoolError) as caught:
        Number("x", "nothing")
    assert isinstance(caught.value, ValueError)
    assert caught.value.location == "Number('x', transform=...)"
