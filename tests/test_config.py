"""The configuration of a model file: the arguments of the model as the user gave them, and files of older formats."""

import msgspec
import pytest

import unspool as us
from unspool.config import Arguments, Config

PLAIN = {"inputs": None, "sequence": None, "network": None, "training": None, "combinations": None, "verbose": None}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"inputs": "country", "sequence": "name"},
        {"inputs": ["country", us.Number("size", "log1p"), us.First("lat", us.Number("long"))], "sequence": ["lat"]},
        {"inputs": us.First(), "sequence": us.Category("letter")},
        {"inputs": us.When("day"), "sequence": {"events": [us.Flags("on", ["a", "b"]), us.Count("n")]}},
        {"inputs": us.Vector("v"), "sequence": {"path": us.Number("x", bounds=(0, None))}},
        {"inputs": us.Flag("f"), "sequence": us.Text("t", "bpe", 300), "verbose": True},
        {"network": us.Network(size=8), "training": us.Training(holdout=0), "verbose": False},
        {"combinations": [("city", "state"), ("a", "b", "c")]},
    ],
)
def test_arguments_come_back_as_they_were(given):
    params = PLAIN | given
    text = msgspec.json.encode(Arguments.of(params))
    back = msgspec.json.decode(text, type=Arguments).params()
    assert back == params
    assert [type(value) for value in back.values()] == [type(value) for value in params.values()]


def test_several_columns_come_back_as_a_list_whatever_held_them():
    params = PLAIN | {"inputs": ("a", "b"), "sequence": iter(["c"]), "combinations": (["c", "d"],)}
    back = Arguments.of(params).params()
    assert (back["inputs"], back["sequence"], back["combinations"]) == (["a", "b"], ["c"], [("c", "d")])


def test_a_file_of_format_1_may_have_been_trained_with_a_curve_that_is_gone():
    old = {"format": 1, "training": {"curve": "sigmoid", "epochs": 3}, "summary": {"heldout": 4}}
    assert Config.upgrade(old) == {"format": 2, "training": {"epochs": 3}, "summary": {"validation": 4}}
    assert old["training"]["curve"] == "sigmoid"
