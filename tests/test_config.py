"""The configuration of a model file: the arguments of the user, and older files in the names of today."""

import copy

import msgspec
import pytest

import unspool as us
from unspool import modelfile
from unspool.config import Arguments, Config

PLAIN = {
    "inputs": None,
    "sequence": None,
    "network": None,
    "training": None,
    "combinations": None,
    "relations": "auto",
    "verbose": None,
}


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
        {"combinations": [("city", "state"), ("a", "b", "c")], "relations": ["auto", "a <= b"]},
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


OLD = {
    "format": 1,
    "codec": {
        "schema": {
            "inputs": [{"kind": "category", "name": "symbols"}, {"kind": "when", "name": "gap"}],
            "steps": [
                {"kind": "number", "name": "head", "transform": "gap", "head": "discretised"},
                {"kind": "flags", "name": "drop", "members": ["gap", "block"]},
                {"kind": "number", "name": "x", "transform": "standardise"},
                {"kind": "number", "name": "y", "transform": "drop"},
            ],
        },
        "inputs": [{"kind": "symbols", "values": ["gap", "drop", "head"]}, {"kind": "dates", "loc": 0.0}],
        "steps": [
            {"kind": "gaps", "gap": {"kind": "scaled", "transform": "standardise", "atoms": [0.0], "levels": [1.0]}},
            {"kind": "block", "members": ["gap", "block"]},
            {"kind": "scaled", "transform": "standardise"},
            {"kind": "gaps", "gap": {"kind": "scaled", "transform": "log1p"}},
        ],
        "combinations": [],
    },
    "training": {"curve": "sigmoid", "epochs": 3},
    "summary": {"heldout": 3, "heldout_steps": 9},
    "row": {
        "codec": {
            "schema": {"inputs": [], "steps": [{"kind": "flag", "name": "f"}]},
            "inputs": [{"kind": "flags"}, {"kind": "reals"}],
            "steps": [{"kind": "symbols", "values": [True]}],
        }
    },
}
NEW_NUMERIC = {"point_masses": [0.0], "support_points": [1.0]}
NEW = {
    "format": modelfile.FORMAT_VERSION,
    "codec": {
        "schema": {
            "inputs": [{"kind": "category", "name": "symbols"}, {"kind": "when", "name": "gap"}],
            "steps": [
                {"kind": "number", "name": "head", "transform": "increment", "distribution": "discretized"},
                {"kind": "flags", "name": "drop", "members": ["gap", "block"]},
                {"kind": "number", "name": "x", "transform": "standardize"},
                {"kind": "number", "name": "y", "transform": "decrement"},
            ],
        },
        "inputs": [{"kind": "vocabulary", "values": ["gap", "drop", "head"]}, {"kind": "timestamp", "loc": 0.0}],
        "steps": [
            {"kind": "increment", "increment": {"kind": "numeric", "transform": "standardize"} | NEW_NUMERIC},
            {"kind": "multilabel", "members": ["gap", "block"]},
            {"kind": "numeric", "transform": "standardize"},
            {"kind": "increment", "increment": {"kind": "numeric", "transform": "log1p"}},
        ],
    },
    "training": {"epochs": 3},
    "summary": {"validation": 3, "validation_steps": 9},
    "row": {
        "codec": {
            "schema": {"inputs": [], "steps": [{"kind": "flag", "name": "f"}]},
            "inputs": [{"kind": "binary"}, {"kind": "vector"}],
            "steps": [{"kind": "vocabulary", "values": [True]}],
        }
    },
}


def test_keys_and_words_of_format_1_become_those_of_today() -> None:
    assert Config.upgrade(copy.deepcopy(OLD)) == NEW


def test_pieces_of_format_1_are_pieces_of_bytes() -> None:
    schema = {"inputs": [], "steps": [{"kind": "text", "name": "t", "unit": "bpe"}]}
    codec = {"schema": schema, "inputs": [], "steps": [{"kind": "symbols", "values": ["a"], "text": True}]}
    (column,) = Config.upgrade({"codec": codec, "training": {}})["codec"]["steps"]
    assert column == {"kind": "vocabulary", "values": ["a"], "text": True, "bytes": True}


def test_combinations_of_format_1_are_refused() -> None:
    old = copy.deepcopy(OLD)
    old["codec"]["combinations"] = [{"fields": [0, 1], "unseen": 0.1, "seen": [[0, 0]]}]
    with pytest.raises(ValueError, match="combinations as format 1 had them; fit the model again"):
        Config.upgrade(old)
