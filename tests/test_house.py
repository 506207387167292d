"""The tree stays easy to find one's way in: what its counts have reached, they keep (tests/house_counts.py)."""

import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location("house_counts", Path(__file__).with_name("house_counts.py"))
house_counts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(house_counts)
HOUSE = house_counts.House()

DISPATCH = [
    "unspool.constraints.fields",
    "unspool.encoding.codec",
    "unspool.evaluation.samples.build",
    "unspool.network.build",
]
"""One module a layer asks which kind a column is; inside of its own layer, two that know text."""


def test_every_public_name_is_bound_once():
    assert HOUSE.bound_twice() == {}


def test_no_folder_is_a_long_flat_list():
    assert max(HOUSE.folders().values()) <= 16


def test_no_module_is_longer_than_can_be_kept_in_mind():
    assert HOUSE.lines["unspool.model"] <= 450
    assert max(HOUSE.lines.values()) <= 550


def test_classes_are_abstract_or_final():
    assert HOUSE.concrete_overrides() == []


def test_one_module_a_layer_asks_a_column_for_its_class():
    assert HOUSE.column_dispatch() == DISPATCH


def test_imports_stay_few_and_shallow():
    assert sum(map(len, HOUSE.imports.values())) / len(HOUSE.imports) < 4.8
    assert len(HOUSE.chain()) <= 21
