"""What columns rules speak of, and which rules are found."""

import numpy as np
import pytest

from unspool.evaluation.rules.columns import coded
from unspool.evaluation.rules.derived import DerivedColumn, Records, RecordTable, step_table
from unspool.evaluation.rules.search import binomial_tail, find_rules
from unspool.evaluation.samples.sample_set import Comparison, SampleSet

NAMES = {"kind": ["a", "b", "c"]}


def sets_of(rng, count, length=6, **columns):
    """Three sets of sequences; a column is a function of their (N, T) kinds."""
    made = []
    for _ in range(3):
        kind = rng.integers(0, 3, (count, length))
        numbers = {name: f(rng, kind).astype(np.float64).ravel() for name, f in columns.items()}
        made.append(SampleSet(np.arange(count + 1) * length, numbers, {"kind": kind.ravel()}, names=NAMES))
    return made


def rules_of(sets, kinds=None):
    train, real, synthetic = sets
    comparison = Comparison(train, real, synthetic, train, np.ones(len(synthetic), np.bool_), kinds=kinds or {})
    table = step_table(comparison, sets, [np.arange(len(one)) for one in sets], 0)
    return find_rules(table).rules


def found(rules, target, *keys, value=None):
    return [
        rule
        for rule in rules
        if rule.target.name == target and [key.name for key in rule.keys] == list(keys) and rule.value == value
    ]


def test_columns_that_are_independent_have_no_rules_but_their_values():
    rng = np.random.default_rng(0)
    rules = rules_of(sets_of(rng, 200, x=lambda rng, kind: rng.normal(size=kind.shape)))
    assert all(not rule.keys for rule in rules)
    assert found(rules, "kind")


def test_a_column_that_decides_another_one_is_found_in_its_direction():
    rng = np.random.default_rng(0)
    price = np.array([5.0, 7.5, 7.5])
    rules = rules_of(sets_of(rng, 100, price=lambda rng, kind: price[kind]))
    (decides,) = found(rules, "price", "kind")
    assert decides.decides
    assert all(not rule.decides for rule in found(rules, "kind", "price"))


def test_two_columns_decide_a_third_only_if_neither_does_alone():
    rng = np.random.default_rng(0)
    sets = []
    for _ in range(3):
        a, b = rng.integers(0, 4, (2, 600))
        distance = (7 * a + 3 * b) % 11
        codes = {"a": a, "b": b}
        names = {"a": list("pqrs"), "b": list("wxyz")}
        sets.append(SampleSet(np.arange(151) * 4, {"km": distance.astype(float)}, codes, names=names))
    rules = rules_of(sets)
    (both,) = found(rules, "km", "a", "b")
    assert both.decides
    assert not any(rule.decides for rule in found(rules, "km", "a"))
    single = rules_of(
        [SampleSet(one.offsets, {"km": one.symbols["a"] * 2.0}, one.symbols, names=names) for one in sets]
    )
    assert found(single, "km", "a")
    assert not found(single, "km", "a", "b")


def test_a_value_that_only_one_training_sequence_has_is_no_known_set():
    rng = np.random.default_rng(0)
    ids = [np.arange(1000 * k, 1000 * k + 250).astype(float) for k in range(3)]
    sets = [SampleSet(np.arange(251), {"id": one}) for one in ids]
    assert not found(rules_of(sets), "id")
    shared = [SampleSet(np.arange(251), {"id": rng.integers(0, 20, 250).astype(float)}) for _ in range(3)]
    assert found(rules_of(shared), "id")


def test_a_rule_of_training_that_held_out_sequences_break_is_none():
    rng = np.random.default_rng(0)
    train, real, synthetic = sets_of(rng, 200, price=lambda rng, kind: np.array([5.0, 7.5, 9.0])[kind])
    assert found(rules_of([train, real, synthetic]), "price", "kind")
    wrong = real.numbers["price"].copy()
    wrong[:60] = 5.0  # the first ten of 200 sequences
    real = SampleSet(real.offsets, {"price": wrong}, real.symbols, names=NAMES)
    assert not found(rules_of([train, real, synthetic]), "price", "kind")


def test_clusters_count_once():
    """Two hundred copies of four sequences support no more than four sequences do."""
    codes = tuple(np.tile(np.repeat([0, 1], 2), 50) for _ in range(3))
    key = DerivedColumn("key", frozenset({("step", "key", 0)}), codes, ("p", "q"), key=True)
    target = DerivedColumn("target", frozenset({("step", "target", 0)}), codes, ("r", "s"))
    owner = np.arange(200)
    for clusters, expected in ((np.arange(200), 1), (np.tile(np.arange(4), 50), 0)):
        records = tuple(Records(owner, 200, clusters) for _ in range(3))
        rules = find_rules(RecordTable("step", records, (key, target))).rules
        assert len(found(rules, "target", "key")) == expected


def test_numbers_are_equal_up_to_rounding_and_new_ones_are_new():
    codes, levels = coded([np.array([0.1 + 0.2, 0.3, 0.5]), np.array([0.3, 0.4, np.nan])], 1e-9)
    assert [one.tolist() for one in codes] == [[0, 0, 1], [0, 2, -1]]
    assert len(levels) == 2
    dense = np.linspace(0, 1, 10_001)  # neighbours are as good as equal, the ends are not
    assert len(coded([dense], 1e-3)[1]) == len(dense)


def test_dates_have_a_calendar():
    rng = np.random.default_rng(0)
    sets = []
    for _ in range(3):
        month = rng.integers(0, 24, 800)
        kind = rng.integers(0, 3, 800)
        day = np.where(kind == 0, 24, rng.integers(0, 24, 800))
        date = (np.datetime64("2023-01") + month).astype("datetime64[D]").astype(np.int64) + day
        sets.append(SampleSet(np.arange(201) * 4, {"date": date.astype(float)}, {"kind": kind}, names=NAMES))
    rules = rules_of(sets, {"date": "date"})
    (pay_day,) = found(rules, "the day of the month of date", "kind", value=0)
    assert [pay_day.target.labels[int(code)] for code in pay_day.allowed] == ["25"]
    assert not found(rules, "the weekday of date", "kind", value=0)


def test_the_tail_is_that_of_the_binomial_distribution():
    stats = pytest.importorskip("scipy.stats")
    for most, count, rate in ((0, 300, 0.05), (7, 500, 0.001), (3, 3, 0.2), (40, 90, 0.5)):
        assert binomial_tail(most, count, rate) == pytest.approx(stats.binom.cdf(most, count, rate), rel=1e-9)
