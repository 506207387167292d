"""Relations are found where they hold in all records, and only if that is no accident."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.errors import OptionError
from unspool.schema.fields import AnyField, Category, Number, When
from unspool.schema.relation_search import arrange, find_relations, keep_relations
from unspool.schema.relations import AtMost

RNG = np.random.default_rng(5)
SIZE = 600
OFFSETS = np.arange(0, SIZE + 1, 6)
OPEN, CLOSE = RNG.normal(size=(2, SIZE))
HIGH = np.maximum(OPEN, CLOSE) + RNG.exponential(size=SIZE)
LOW = np.minimum(OPEN, CLOSE) - RNG.exponential(size=SIZE)


def found(**columns: np.ndarray) -> list[str]:
    fields: dict[str, AnyField] = {
        name: When(name) if values.dtype.kind == "M" else Category(name) if values.dtype.kind == "O" else Number(name)
        for name, values in columns.items()
    }
    offsets = np.minimum(OFFSETS, len(next(iter(columns.values()))))
    return sorted(map(str, find_relations(fields, columns, offsets)))


def test_the_records_of_a_market_are_ordered() -> None:
    market = found(open=OPEN, high=HIGH, low=LOW, close=CLOSE)
    assert {"close <= high", "low <= close", "low <= open", "open <= high"} == set(market) - {"low <= high"}


@pytest.mark.parametrize(
    "columns",
    [
        {"age": RNG.uniform(20, 90, SIZE), "income": RNG.uniform(1e4, 1e5, SIZE)},
        {"a": RNG.normal(size=SIZE), "b": RNG.normal(size=SIZE)},
        {"few": OPEN[:12], "more": HIGH[:12]},
    ],
    ids=["ranges apart", "independent", "few records"],
)
def test_an_accident_is_no_relation(columns: dict[str, np.ndarray]) -> None:
    assert found(**columns) == []


def test_levels_of_a_unit_are_no_order_but_prices_of_a_day_are() -> None:
    """Forty units keep two amounts far apart for twelve years; the high and the low of a day meet."""
    rng = np.random.default_rng(0)
    low = (rng.uniform(0, 4, (40, 1)) + 0.02 * rng.normal(size=(40, 12)).cumsum(1)).ravel()
    far = low + np.repeat(rng.uniform(0.2, 1, 40), 12) + 0.01 * rng.normal(size=(40, 12)).cumsum(1).ravel()
    near = low + 0.02 * rng.exponential(size=480)
    for high, offsets, wanted in (
        (far, 12 * np.arange(41), []),
        (far, np.array([0, 480]), ["low <= high"]),
        (near, 12 * np.arange(41), ["low <= high"]),
    ):
        columns = {"low": np.exp(low), "high": np.exp(high)}
        assert list(map(str, find_relations({name: Number(name) for name in columns}, columns, offsets))) == wanted


def test_one_record_to_the_contrary_is_enough() -> None:
    high = HIGH.copy()
    high[17] = OPEN[17] - 1e-6
    assert found(open=OPEN, high=high) == []


def test_dates_and_whole_numbers_are_ordered_too() -> None:
    start = np.datetime64("2026-01-01", "us") + RNG.integers(0, 10**6, SIZE).astype("timedelta64[s]")
    end = start + RNG.integers(0, 999, SIZE).astype("timedelta64[s]")
    tries = RNG.integers(1, 7, SIZE)
    wins = (tries * RNG.random(SIZE)).astype(np.int64)
    fields: dict[str, AnyField] = {"start": When("start"), "end": When("end"), "tries": Category("tries")}
    fields["wins"] = Category("wins")
    values = {"start": start, "end": end, "tries": tries, "wins": wins}
    assert list(map(str, find_relations(fields, values, OFFSETS))) == ["start <= end", "wins <= tries"]
    learned, _ = arrange(fields, find_relations(fields, values, OFFSETS))
    assert [type(field) for field in learned.values()] == [When, When, Number, Number]


def test_sums_copies_and_missing_values_are_found() -> None:
    net, tax = np.round(RNG.lognormal(3, 1, SIZE), 2), np.round(RNG.uniform(0, 9, SIZE), 2)
    lab = np.where(RNG.random(SIZE) < 0.3, np.nan, OPEN)
    other = np.where(np.isnan(lab) | (RNG.random(SIZE) < 0.2), np.nan, CLOSE)
    columns = {"net": net, "tax": tax, "total": np.round(net + tax, 2), "again": tax.copy(), "lab": lab, "other": other}
    assert found(**columns) == ["again = tax", "other missing with lab", "total = net + tax"]
    kind = np.where(OPEN > 0, "up", "down").astype(object)
    assert found(kind=kind, same=kind.copy()) == ["same = kind"]


def test_a_sum_may_have_many_parts_some_of_them_few_amounts() -> None:
    parts = {name: np.round(RNG.lognormal(2, 1, SIZE), 2) for name in "abc"}
    noise = {"x": np.round(RNG.lognormal(5, 1, SIZE), 2)}
    total = np.round(sum(parts.values()), 2)
    assert "total = a + b + c" in found(**noise, **parts, total=total)
    assert not [text for text in found(**noise, **parts, total=total + 0.5 * (OPEN > 0)) if "+" in text]
    fee = np.array([0.0, 2.5, 7.0])[RNG.integers(0, 3, SIZE)]
    columns = {"a": parts["a"], "fee": fee, "total": np.round(parts["a"] + fee, 2)}
    fields = {name: Category(name) if name == "fee" else Number(name) for name in columns}
    assert "total = a + fee" in map(str, find_relations(fields, columns, OFFSETS))


def test_the_total_of_small_counts_is_no_accident_either() -> None:
    a, b = RNG.integers(0, 9, (2, SIZE)).astype(np.int64)
    assert "c = a + b" in found(a=a, b=b, c=a + b)
    assert "c = a + b" not in found(a=a, b=b, c=a + b + RNG.integers(0, 2, SIZE))


@given(st.permutations(["open", "high", "low", "close"]))
def test_no_column_has_references_on_both_sides(names: list[str]) -> None:
    pairs = [("low", "open"), ("low", "close"), ("open", "high"), ("close", "high"), ("low", "high")]
    fields, _ = arrange({name: Number(name) for name in names}, [AtMost(*pair) for pair in pairs])
    seen: set[str] = set()
    for name, field in fields.items():
        assert isinstance(field, Number)
        assert not (field.above and field.below)
        assert set(field.references) <= seen
        seen.add(name)
    assert len(seen) == 4


@given(st.integers(2, 6), st.data())
def test_an_arrangement_keeps_every_order(size: int, data: st.DataObject) -> None:
    names = [f"x{k}" for k in range(size)]
    above = data.draw(st.lists(st.sampled_from(list(itertools.combinations(names, 2))), unique=True))
    relations = [AtMost(*pair) for pair in above]
    shuffled = data.draw(st.permutations(names))
    fields, _ = arrange({name: Number(name) for name in shuffled}, relations)
    values: dict[str, float] = {}
    for name, field in fields.items():
        assert isinstance(field, Number)
        d = data.draw(st.floats(0, 5))
        if field.references:
            ends = [values[other] for other in field.references]
            values[name] = max(ends) + d if field.above else min(ends) - d
        else:
            values[name] = data.draw(st.floats(-5, 5))
    assert all(values[low] <= values[high] + 1e-9 for low, high in above)


def kept(asked: Any, fixed: tuple[str, ...] = (), **columns: np.ndarray) -> tuple[list[str], list[str]]:
    fields: dict[str, AnyField] = {name: Number(name) for name in columns}
    learned, relations = keep_relations(fields, columns, OFFSETS, fixed, asked)
    return [f"{name}>{','.join(field.references)}" for name, field in learned.items()], list(map(str, relations))


def test_relations_can_be_switched_off_or_given() -> None:
    assert kept(None, open=OPEN, high=HIGH) == (["open>", "high>"], [])
    assert kept(["open <= high"], open=OPEN, high=HIGH) == (["open>", "high>open"], ["open <= high"])
    assert kept("auto", open=OPEN, high=HIGH)[1] == ["open <= high"]


def test_a_relation_that_does_not_hold_is_refused() -> None:
    with pytest.raises(OptionError, match="relation 'high <= open': expected data in which it holds"):
        kept(["high <= open"], open=OPEN, high=HIGH)
    with pytest.raises(OptionError, match="below itself"):
        kept(["open <= close", "close <= open"], open=OPEN, close=OPEN.copy())


def test_a_column_that_the_user_decided_is_learned_as_it_is() -> None:
    assert kept("auto", fixed=("high",), open=OPEN, high=HIGH)[0] == ["high>", "open>high"]
    assert kept("auto", fixed=("open", "high"), open=OPEN, high=HIGH) == (["open>", "high>"], [])
    with pytest.raises(OptionError, match="one can be learned as a distance"):
        kept(["open <= high"], fixed=("open", "high"), open=OPEN, high=HIGH)


def test_a_column_comes_after_one_that_is_missing_less_often() -> None:
    opened = np.where(RNG.random(SIZE) < 0.2, np.nan, OPEN)
    assert kept("auto", open=opened, high=HIGH)[0] == ["high>", "open>high"]
    crossed = np.where(RNG.random(SIZE) < 0.2, np.nan, HIGH)
    assert kept("auto", open=opened, high=crossed)[1] == []
