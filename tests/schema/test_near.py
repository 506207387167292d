"""Numbers that follow an earlier number of their record closely are found, and no others."""

import numpy as np
import pytest

from unspool.errors import OptionError
from unspool.schema.fields import Count, Number
from unspool.schema.near import MIN_VALUES_FOR_NEAR, with_near

RNG = np.random.default_rng(0)
LEVEL = np.exp(RNG.uniform(0, 3, 400))
COLUMNS = {
    "level": LEVEL,
    "far": LEVEL * np.exp(0.5 * RNG.normal(size=400)),
    "close": LEVEL * np.exp(0.01 * RNG.normal(size=400)),
    "closer": LEVEL * np.exp(0.002 * RNG.normal(size=400)),
}


def near(columns, fixed=(), **others):
    fields = {name: others.get(name, Number(name)) for name in columns}
    return {name: field.near for name, field in with_near(fields, columns, fixed).items()}


def test_each_number_follows_the_closest_one_before_it():
    found = near(COLUMNS)
    assert found == {"level": (), "far": (), "close": ("level",), "closer": ("level",)}
    tight = COLUMNS | {"last": COLUMNS["close"] * np.exp(0.001 * RNG.normal(size=400))}
    assert near(tight)["last"] == ("close",)


def test_fields_of_which_the_user_gave_all_and_counts_stay_as_they_are():
    assert near(COLUMNS, fixed=["close"])["close"] == ()
    counts = {name: np.round(100 * column) for name, column in COLUMNS.items()}
    assert near(counts, close=Count("close"))["close"] == ()
    assert near(counts)["close"] == ("level",)


def test_a_number_needs_its_reference_wherever_it_has_a_value():
    gone = np.arange(400) % 9 == 0
    lacking = COLUMNS | {"level": np.where(gone, np.nan, LEVEL)}
    assert near(lacking)["close"] == ()
    both = lacking | {"close": np.where(gone, np.nan, COLUMNS["close"])}
    assert near(both)["close"] == ("level",)


def test_few_values_show_nothing():
    few = {name: column[: MIN_VALUES_FOR_NEAR - 1] for name, column in COLUMNS.items()}
    assert set(near(few).values()) == {()}


def test_a_field_is_near_one_column_and_on_no_side_of_another():
    with pytest.raises(OptionError, match="one other column, found a, b"):
        Number("x", near=("a", "b"))
    with pytest.raises(OptionError, match="one of them, found above and near"):
        Number("x", above=("a",), near=("b",))
    assert [Number("x", **{side: ("a",)}).side for side in ("above", "below", "near")] == [1, -1, 0]
