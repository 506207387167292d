"""The configuration of an older file in today's names; values that happen to be such words stay as they are."""

import copy

import pytest

from unspool import modelfile
from unspool.config import Config

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
    "summary": {"heldout": 3, "heldout_steps": 9},
    "row": {
        "codec": {
            "schema": {"inputs": [], "steps": [{"kind": "flag", "name": "f"}]},
            "inputs": [{"kind": "flags"}, {"kind": "reals"}],
            "steps": [{"kind": "symbols", "values": [True]}],
        }
    },
}
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
            {
                "kind": "increment",
                "increment": {
                    "kind": "numeric",
                    "transform": "standardize",
                    "point_masses": [0.0],
                    "support_points": [1.0],
                },
            },
            {"kind": "multilabel", "members": ["gap", "block"]},
            {"kind": "numeric", "transform": "standardize"},
            {"kind": "increment", "increment": {"kind": "numeric", "transform": "log1p"}},
        ],
    },
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
    (column,) = Config.upgrade({"codec": codec})["codec"]["steps"]
    assert column == {"kind": "vocabulary", "values": ["a"], "text": True, "bytes": True}


def test_combinations_of_format_1_are_refused() -> None:
    old = copy.deepcopy(OLD)
    old["codec"]["combinations"] = [{"fields": [0, 1], "unseen": 0.1, "seen": [[0, 0]]}]
    with pytest.raises(ValueError, match="combinations as format 1 had them; fit the model again"):
        Config.upgrade(old)
