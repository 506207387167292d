"""A whole evaluation, on models so small that nothing in it is good."""

import re
import sys

import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather_fitted
from unspool.encoding.codec import Codec
from unspool.errors import DataError, OptionError, SchemaError
from unspool.evaluation.samples.generate import generate_like
from unspool.report.report import read_report
from unspool.training.scoring import score_all

pytestmark = pytest.mark.slow

pytest.importorskip("scipy.stats")

SMALL = {"network": us.Network(size=8), "training": us.Training(epochs=2), "verbose": False}


def records(count, seed):
    rng = np.random.default_rng(seed)
    rows = {"kind": [], "start": [], "steps": []}
    for _ in range(count):
        kind = int(rng.integers(0, 2))
        level = kind + np.cumsum(rng.normal(size=rng.integers(3, 7)))
        rows["kind"].append("xy"[kind])
        rows["start"].append(float(level[0] + rng.normal()))
        days = np.cumsum(rng.integers(1, 30, len(level))).tolist()
        signs = np.where(level > 0, "up", "down").tolist()
        steps = zip(days, level.tolist(), signs, strict=True)
        rows["steps"].append([dict(zip(("day", "level", "sign"), step, strict=True)) for step in steps])
    return rows


TRAIN, TEST = records(60, 0), records(30, 1)


@pytest.fixture(scope="session")
def model():
    return us.OneToMany(["kind", "start"], "steps", **SMALL).fit(TRAIN)


@pytest.fixture(scope="session")
def report(model):
    return model.evaluate(TEST, train=TRAIN, samples=12)


def test_the_models_nats_are_those_of_log_prob(model, report):
    steps = sum(map(len, TEST["steps"]))
    assert report.figures["likelihood.nats"] == pytest.approx(-model.log_prob(TEST).sum() / steps)


def test_every_baseline_scores_every_field(report):
    _, _, by_field, *_ = report.section("likelihood").parts
    assert [row[0] for row in by_field.rows] == ["day", "level", "sign", "when to stop"]
    assert all(cell.value is not None and cell.error > 0 for row in by_field.rows for cell in row[1:])


def test_nats_by_position_add_up_to_those_of_the_fields(model, report):
    nats, *_ = report.section("drift").parts
    codec = model.codec_
    bands = score_all(model.net_, codec.encode(gather_fitted(codec, TEST)), (1, 2, 4))
    whole = model.log_prob_by_field(TEST)
    sign = [field.name for field in codec.schema.steps].index("sign")  # a symbol: it has no Jacobian
    np.testing.assert_allclose(bands[..., sign].sum(1), whole[:, sign], rtol=1e-5)
    first = next(row for row in nats.rows if row[:2] == ("sign", "1"))
    assert first[2].value == pytest.approx(-bands[:, 0, sign].mean(), rel=1e-6)
    assert report.figures["drift.drift_error"] > 0


def test_every_section_is_there_with_its_findings_or_its_reason(report):
    assert [section.name for section in report.sections] == [
        "examples", "likelihood", "input_use", "calibration", "forecasts", "lengths", "marginals", "dynamics", "rules",
        "drift", "returns", "detector", "transfer", "memory",
    ]  # fmt: skip
    assert all(section.parts for section in report.sections if section.available)
    assert all(section.verdict for section in report.sections)
    assert "block bootstrap" in str(report)


def test_real_sequences_stand_beside_generated_ones_with_dates_as_dates(report):
    first, *_ = report.section("examples").parts
    kind, start = re.fullmatch(r"kind (\w), start (\S+)", first.title).groups()
    row = next(k for k, one in enumerate(TEST["start"]) if f"{one:.4g}" == start and TEST["kind"][k] == kind)
    step = TEST["steps"][row][0]
    assert first.rows[0][1] == f"day {step['day']}, level {step['level']:.4g}, sign {step['sign']}"
    assert [column.name for column in first.columns] == ["step", "held out", "generated", "generated"]


def test_the_report_begins_with_its_verdict_and_says_how_training_ended(model, report):
    assert str(report).splitlines()[3].startswith(("Trust it", "Don't trust it"))
    assert {line.section for line in report.judgements} >= {"likelihood", "input_use", "marginals", "drift", "memory"}
    assert f"{model.summary_.updates:,} updates" in report.facts["training"]
    assert "ended because" in report.facts["training"]


def test_the_same_call_gives_the_same_bytes_and_another_seed_others(model, report):
    again = model.evaluate(TEST, train=TRAIN, samples=12)
    assert again.to_json() == report.to_json()
    assert str(again) == str(report)
    other = model.evaluate(TEST, train=TRAIN, samples=12, seed=1)
    assert other.figures["likelihood.nats"] == report.figures["likelihood.nats"]
    assert other.section("input_use") != report.section("input_use")
    assert read_report(report.to_json()) == report


def test_data_of_its_own_with_the_training_data_needs_no_warning(report):
    assert report.notes == ()
    assert "what the model was fitted to" in report.facts["baselines"]
    assert report.facts["judged"].startswith("30 sequences")


def test_without_training_data_one_part_is_judged_and_the_report_says_so(model):
    report = model.evaluate(TEST, samples=2)
    assert report.facts["judged"].startswith("10 sequences")
    assert "20 of the sequences" in report.notes[0]
    assert "10 others" in report.notes[0]


def test_the_data_of_training_falls_into_the_parts_it_had_then(model):
    report = model.evaluate(TRAIN, samples=2)
    assert report.facts["judged"].startswith(f"{model.summary_.validation} sequences")
    # Those of the summary are from before calibration.
    assert report.figures["likelihood.nats"] == pytest.approx(model.summary_.nats, rel=1e-3)
    assert "held out for validation" in report.notes[0]


def test_judging_on_what_was_learned_is_called_flattering(model):
    assert "flatter" in model.evaluate(TRAIN, train=TRAIN, samples=2).notes[0]


def test_every_difference_of_the_schema_is_listed_in_one_error(model):
    wrong = {"kind": ["x"] * 3, "start": ["low"] * 3, "steps": [[{"day": 1, "level": "high"}]] * 3}
    with pytest.raises(SchemaError) as caught:
        model.evaluate(wrong)
    assert all(name in str(caught.value) for name in ("start", "level", "sign"))


def test_too_little_data_is_refused_with_what_it_takes(model):
    with pytest.raises(DataError, match="at least 2 sequences to judge"):
        model.evaluate(records(1, 3), train=TRAIN)
    with pytest.raises(OptionError, match="at least 1"):
        model.evaluate(TEST, samples=0)


def test_training_and_test_data_are_encoded_once(model, monkeypatch):
    encode, seen = Codec.encode, []
    monkeypatch.setattr(Codec, "encode", lambda codec, examples: seen.append(len(examples)) or encode(codec, examples))
    model.evaluate(TEST, train=TRAIN, samples=2)
    assert sorted(seen) == [30, 60]


def test_a_report_fits_no_feedings_any_more_and_says_who_does(model):
    with pytest.raises(OptionError, match=r"benchmarks\.feeding"):
        model.evaluate(TEST, feedings=True)


def test_an_extra_that_is_missing_leaves_its_sections_out_and_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "scoringrules", None)
    report = model.evaluate(TEST, train=TRAIN, samples=12)
    absent = {section.name: section.verdict for section in report.sections if not section.available}
    assert "unspool[report]" in absent["forecasts"]
    assert report.section("forecasts").title in str(report)
    assert report.section("likelihood").available


def test_sequences_that_are_generated_for_examples_have_their_form(model):
    codec = model.codec_
    examples = gather_fitted(codec, TEST)
    paths, encoded, ended = generate_like(model.net_, codec, examples, codec.encode(examples), 3, 0)
    assert len(paths) == len(encoded) == len(ended) == 90
    again = codec.encode(paths)
    for column, once_more in zip(encoded.steps, again.steps, strict=True):
        np.testing.assert_allclose(column, once_more, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(paths.inputs["kind"], np.repeat(examples.inputs["kind"], 3))
    given = model.generate({"kind": TEST["kind"], "start": TEST["start"]}, n=3, seed=0)
    np.testing.assert_array_equal(paths.steps["level"], given.columns["level"])
    np.testing.assert_array_equal(paths.offsets, given.offsets)


def test_texts_are_judged_as_texts_with_bits_per_character(workshop):
    model = us.load(workshop.names)
    report = model.evaluate(workshop.folder / "names.csv", train=workshop.folder / "names.csv", samples=2)
    titles = [part.title for part in report.section("likelihood").parts]
    assert "Bits per character, ends included" in titles
    assert "nats per character" in titles[0]
    # Real and generated characters are the same symbols: whatever it writes, it writes with those of training.
    (symbols,) = (part for part in report.section("marginals").parts if part.title == "Symbols")
    assert symbols.rows[0][-1] == 0.0
    assert symbols.rows[0][1] < 0.9
