"""Every section against its yardstick, and what a model can be trusted for."""

import pytest

from unspool.evaluation.document import Section
from unspool.evaluation.split import FLATTERED
from unspool.evaluation.verdict import headline, judge

ENERGY, LARGEST = "energy this model", "autocorrelation, largest difference"
SAME = {"distance a, of training": 0.0}


def section(name, **figures):
    return Section(name, f"{name}?", ".", figures=figures)


def grade(name, figures):
    found = judge([Section(name, "?", ".", figures=figures)])
    return found[0].grade if found else None


@pytest.mark.parametrize(
    ("name", "figures", "expected"),
    [
        ("likelihood", {"nats": 1.0, "baseline_nats": 1.5, "gain": 0.5, "gain_error": 0.1}, "good"),
        ("likelihood", {"nats": 1.4, "baseline_nats": 1.5, "gain": 0.1, "gain_error": 0.1}, "fair"),
        ("likelihood", {"nats": 1.8, "baseline_nats": 1.5, "gain": -0.3, "gain_error": 0.1}, "bad"),
        ("likelihood", {"nats": 1.8}, None),
        ("input_use", {"lost": 0.5, "lost_error": 0.1}, "good"),
        ("input_use", {"lost": 0.1, "lost_error": 0.1}, "fair"),
        ("calibration", {"coverage_80": 0.78}, "good"),
        ("calibration", {"coverage_80": 0.9}, "fair"),
        ("calibration", {"coverage_80": 0.5}, "bad"),
        ("calibration", {"coverage_80": 0.96, "coverage_80_error": 0.1}, "good"),
        ("calibration", {"coverage_80": 0.96, "coverage_80_error": 0.05}, "bad"),
        ("forecasts", {ENERGY: 1.0, "energy AR(1)": 1.1, "energy nearest input": 1.2}, "good"),
        ("forecasts", {ENERGY: 1.14, "energy AR(1)": 1.1}, "fair"),
        ("forecasts", {ENERGY: 1.3, "energy AR(1)": 1.1}, "bad"),
        ("forecasts", {ENERGY: 1.3, "energy AR(1)": 1.1, "energy_error": 0.15}, "fair"),
        ("forecasts", {ENERGY: 1.3, "energy AR(1)": 1.1, "energy_error": 0.05}, "bad"),
        ("lengths", {"KS": 0.0, "ended": 1.0}, "good"),
        ("lengths", {"KS": 0.12, "KS of training": 0.07, "ended": 1.0}, "good"),
        ("lengths", {"KS": 0.12, "KS of training": 0.02, "ended": 1.0}, "fair"),
        ("lengths", {"KS": 0.02, "KS of training": 0.02, "ended": 0.5}, "bad"),
        ("lengths", {"KS": 0.02, "KS of training": 0.02, "ended": 1.0, "largest difference by a": 0.1}, "good"),
        ("lengths", {"KS": 0.02, "KS of training": 0.02, "ended": 1.0, "largest difference by a": 0.3}, "fair"),
        ("lengths", {"KS": 0.02, "KS of training": 0.02, "ended": 1.0, "largest difference by a": 0.9}, "bad"),
        ("rules", {"broken": 0.0, "breaking": 0.0, "breaking, held out": 0.0}, "good"),
        ("rules", {"broken": 3.0, "breaking": 0.05, "breaking, held out": 0.04, "breaks: b": 0.05}, "good"),
        ("rules", {"broken": 3.0, "breaking": 0.05, "breaking, held out": 0.0, "breaks: b": 0.05}, "fair"),
        ("rules", {"broken": 3.0, "breaking": 0.2, "breaking, held out": 0.0, "breaks: b": 0.2}, "bad"),
        ("marginals", {"distance a": 0.04, "distance a, of training": 0.0}, "good"),
        ("marginals", {"distance a": 0.0, **SAME, "distance b": 0.3, "distance b, of training": 0.05}, "bad"),
        ("dynamics", {"transitions a": 0.2, "transitions a, of training": 0.18}, "good"),
        ("dynamics", {LARGEST: 0.2, f"{LARGEST}, of training": 0.02}, "fair"),
        ("drift", {"flags": 0.0}, "good"),
        ("drift", {"flags": 1.0}, "fair"),
        ("drift", {"flags": 3.0}, "bad"),
        ("returns", {"r, distance of drawdowns": 0.2}, "bad"),
        ("detector", {"accuracy": 0.55, "error": 0.01}, "good"),
        ("detector", {"accuracy": 0.65, "error": 0.08}, "good"),
        ("detector", {"accuracy": 0.65, "error": 0.01}, "fair"),
        ("detector", {"accuracy": 0.9, "error": 0.01}, "bad"),
        ("transfer", {"ratio k": 0.95, "ratio j": None}, "good"),
        ("transfer", {"ratio k": 0.95, "ratio j": 0.5}, "bad"),
        ("transfer", {"ratio k": 0.7, "error of ratio k": 0.2}, "good"),
        ("transfer", {"ratio k": 0.7, "error of ratio k": 0.1}, "fair"),
        ("transfer", {"ratio k": None}, None),
        ("memory", {"copies": 0.1, "copies, held out": 0.1, "distance ratio": 1.0, "repeats": 0.0}, "good"),
        ("memory", {"copies": 0.5, "copies, held out": 0.1, "distance ratio": 0.2, "repeats": 1.0}, "bad"),
        ("examples", {}, None),
    ],
)  # fmt: skip
def test_a_section_is_good_fair_or_bad_against_its_yardstick(name, figures, expected):
    assert grade(name, figures) == expected


PREDICTS = section("likelihood", nats=1.0, baseline_nats=1.5, gain=0.5, gain_error=0.1)
LOSES = section("likelihood", nats=1.8, baseline_nats=1.5, gain=-0.3, gain_error=0.1)
EVEN = section("likelihood", nats=1.5, baseline_nats=1.5, gain=0.0, gain_error=0.1)
ALIKE, UNLIKE = section("detector", accuracy=0.5), section("detector", accuracy=0.9)
BREAKS = section("rules", **{"broken": 1.0, "breaking": 0.2, "breaking, held out": 0.0, "breaks: b is a": 0.2})
STEADY, DRIFTS = section("drift", flags=0.0), section("drift", flags=1.0)
NEW, COPIES = (
    Section("memory", "?", ".", figures={"copies": x, "copies, held out": 0.0, "distance ratio": 1.0, "repeats": x})
    for x in (0.0, 1.0)
)


@pytest.mark.parametrize(
    ("sections", "text", "expected"),
    [
        ([PREDICTS, ALIKE, STEADY, NEW], "Trust it.", "good"),
        ([PREDICTS, ALIKE], "Trust it for predictions and generated sequences.", "good"),
        (
            [PREDICTS, ALIKE, BREAKS, NEW],
            "Trust it for predictions and data that must not repeat training; not for generated sequences.",
            "bad",
        ),
        ([LOSES, ALIKE, NEW], "Don't trust it: a simple baseline predicts better.", "bad"),
        ([EVEN], "Trust it with care for predictions.", "fair"),
        ([UNLIKE, COPIES], "Don't trust it.", "bad"),
        (
            [PREDICTS, ALIKE, DRIFTS, COPIES],
            "Trust it for predictions; with care for generated sequences; not for data that must not repeat training.",
            "bad",
        ),
    ],
)
def test_the_headline_follows_from_the_weakest_line_of_each_use(sections, text, expected):
    found = headline(judge(sections))
    assert (found.text, found.grade) == (text, expected)


def test_the_facts_are_the_weakest_lines():
    found = headline(judge([PREDICTS, ALIKE, DRIFTS, NEW]))
    assert [fact.section for fact in found.facts.values()] == ["likelihood", "drift", "memory"]


def test_rules_that_are_broken_are_the_fact_that_decides_even_beside_a_detector_that_is_as_sure():
    found = headline(judge([PREDICTS, UNLIKE, BREAKS, NEW]))
    fact = found.facts["generated sequences"]
    assert fact.found == "20.0% of sequences break a rule that real ones keep, such as: b is a"
    assert fact.yardstick == "0.0% of held-out sequences"


def test_a_model_that_is_judged_on_its_training_data_is_not_proven():
    found = headline(judge([PREDICTS, ALIKE, NEW]), [FLATTERED])
    assert (found.text[:10], found.grade) == ("Not proven", "fair")


def test_nothing_judged_has_no_headline():
    assert headline(()) is None
