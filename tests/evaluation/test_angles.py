"""A report measures angles on the circle: headings around north are no better and no worse than those around east."""

import re

import numpy as np
import pytest

from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.fit import fit_codec
from unspool.evaluation.baselines.likelihoods import LikelihoodTask, best_neighbours, independent_scores
from unspool.evaluation.evaluate import comparison_sections, forecasts_of_baselines
from unspool.evaluation.samples.build import comparable_sets, comparison_of, scorable_sets, targets_of
from unspool.schema.fields import Angle, Number

pytest.importorskip("scipy.stats")


def courses(count, seed, north, off=0.0):
    """Sequences of headings that echo the one before, around a north that the whole table is turned to."""
    rng = np.random.default_rng(seed)
    table = {"wind": [], "courses": []}
    for k in range(count):
        wind = rng.normal(0, 20)
        course = wind + off
        rows = []
        for _ in range(4 + k % 3):
            course = wind + off + 0.5 * (course - wind - off) + rng.normal(0, 15)
            rows.append({"course": float((course + north) % 360), "speed": float(rng.normal(10, 2))})
        table["wind"].append(float((wind + north) % 360))
        table["courses"].append(rows)
    return table


def figures(north, off=0.0):
    """All figures of the report of forecasts that are `off` by so many degrees, and nats of the simplest baseline."""
    fields = {"courses": [Angle("course"), Number("speed")]}
    schema, train = gather(courses(90, 0, north), inputs=[Angle("wind")], sequence=fields)
    codec = fit_codec(schema, train)
    real = gather_fitted(codec, courses(60, 1, north))
    many = {name: [value for value in column for _ in range(12)] for name, column in courses(60, 1, north).items()}
    rng = np.random.default_rng(2)
    turns = [rng.normal(off, 15, len(rows)) for rows in many["courses"]]
    many["courses"] = [
        [row | {"course": float((row["course"] + turn) % 360)} for row, turn in zip(rows, turned, strict=True)]
        for rows, turned in zip(many["courses"], turns, strict=True)
    ]
    synthetic, again = gather_fitted(codec, many), gather_fitted(codec, courses(90, 3, north, off))
    comparison = comparison_of(schema, train, real, synthetic, again)
    task = LikelihoodTask(
        *scorable_sets(codec, (train, codec.encode(train)), (real, codec.encode(real))), targets_of(codec), True, 0
    )
    assert set(forecasts_of_baselines(comparison, task, best_neighbours(task))["AR(1)"].numbers) == {
        "sine of course", "cosine of course", "speed",
    }  # fmt: skip
    sections = comparison_sections(comparison, 0)
    found = {f"{one.name}.{name}": value for one in sections for name, value in one.figures.items()}
    return found | {"independent": float(independent_scores(task).sum())}


def swapped(name):
    """The name of a figure, with cosine for sine and sine for cosine."""
    return "cosine".join(part.replace("cosine", "sine") for part in re.split(r"\bsine", name))


@pytest.fixture(scope="module")
def by_north():
    return {north: figures(north) for north in (0.0, 90.0)}


def test_a_report_around_north_is_that_around_east(by_north) -> None:
    """Turned by 90 degrees, the sine becomes the cosine, and the cosine the sine with another sign."""
    north, east = by_north[0.0], by_north[90.0]
    assert set(map(swapped, north)) == set(east)
    for name, value in north.items():
        if value is not None:
            slack = 0.06 if name.startswith(("detector", "transfer")) else 0.02  # trees see columns in their order
            assert east[swapped(name)] == pytest.approx(value, rel=slack, abs=slack), name


def test_forecasts_two_degrees_off_across_north_are_near_and_half_a_turn_off_are_far(by_north) -> None:
    assert by_north[0.0]["marginals.distance sine of course"] < 0.15
    far = figures(0.0, off=180.0)
    assert far["marginals.distance cosine of course"] > 0.9


def test_angles_on_both_sides_of_the_end_are_neighbours_in_both_kinds_of_sets() -> None:
    data = {"k": ["a", "b"], "course": [[359.0, 1.0, 358.5], [2.0, 0.0, float("nan")]]}
    schema, examples = gather(data, inputs="k", sequence=[Angle("course")])
    codec = fit_codec(schema, examples)
    (comparable,) = comparable_sets(schema, examples)
    assert np.hypot(*(np.diff(x[:2]) for x in comparable.numbers.values())) == pytest.approx(2 * np.pi / 180, rel=1e-3)
    (scorable,) = scorable_sets(codec, (examples, codec.encode(examples)))
    np.testing.assert_allclose(scorable.numbers["course"], [-1.0, 1.0, -1.5, 2.0, 0.0, np.nan])
    assert targets_of(codec)[0].period == 360.0
