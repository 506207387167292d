"""A trial finds what fits, keeps the default in doubt, and is left out where it can't pay."""

import numpy as np
import pytest

from unspool.dataset.examples import Examples, gather, left_open
from unspool.encoding.codec import Codec
from unspool.options import Network, Training
from unspool.schema.fields import Number
from unspool.training.selection import candidates, select_distributions

RNG = np.random.default_rng(3)


def data(rows=150):
    """Stripes that five normals can't cover, a plain normal that follows the one before, and counts."""
    noise = RNG.normal(size=(rows, 10))
    smooth = np.zeros((rows, 10))
    for t in range(1, 10):
        smooth[:, t] = 0.7 * smooth[:, t - 1] + noise[:, t]
    stripes = RNG.integers(0, 12, (rows, 10)) + 0.02 * RNG.random((rows, 10))
    columns = {"stripes": stripes, "smooth": smooth, "count": RNG.poisson(30, (rows, 10))}
    return {"k": np.arange(rows) % 2, **{name: values.tolist() for name, values in columns.items()}}


def chosen(table, sequence, training=None):
    schema, examples = gather(table, inputs="k", sequence=sequence)
    codec = Codec.fit(schema, examples)
    open_ = left_open(schema, table, "k", sequence)
    return select_distributions(codec, examples, open_, Network(), training or Training(), 0)


@pytest.fixture(scope="module")
def table():
    return data()


@pytest.mark.slow
def test_a_trial_changes_what_is_better_beyond_doubt_and_nothing_else(table) -> None:
    schema, lines = chosen(table, ["stripes", "smooth", "count"])
    assert [field.distribution for field in schema.steps] == ["histogram", "mixture", "discretised"]
    assert len(lines) == 1
    assert lines[0].startswith("stripes: histogram on standardise in place of mixture on standardise")


@pytest.mark.slow
def test_a_trial_finds_momentum_and_leaves_what_returns_to_its_mean() -> None:
    """Speeds that go on, around levels that spread far; beside it an AR(1) that is slow, but returns."""
    noise = RNG.normal(size=(2, 150, 20))
    speed, level = 0.3 * noise[0], noise[1]
    for t in range(1, 20):
        speed[:, t] += 0.8 * speed[:, t - 1]
        level[:, t] += 0.75 * level[:, t - 1]
    origin = 5 * RNG.normal(size=(150, 1)) + speed.cumsum(1)
    table = {"k": np.arange(150) % 2, "track": origin.tolist(), "level": level.tolist()}
    schema, lines = chosen(table, ["track", "level"])
    assert [field.transform for field in schema.steps] == ["difference", "standardise"]
    assert len(lines) == 1


def test_what_is_told_stays_and_short_fits_have_no_trial(table) -> None:
    told = Number("stripes", "standardise", "mixture")
    assert candidates(told, left_open_of(table, told), steps(np.arange(9.0))) == (told,)
    half = Number("stripes", "log1p")
    open_ = left_open_of(table, half)
    options = candidates(Number("stripes", "log1p", "mixture"), open_, steps(np.arange(9.0), "stripes"))
    assert {option.transform for option in options} == {"log1p"}
    assert len(options) == 2
    assert chosen(table, "stripes", Training(epochs=3))[1] == []
    assert chosen(table, "stripes", Training(seconds=5.0))[1] == []


def left_open_of(table, field):
    schema, _ = gather(table, inputs="k", sequence=field)
    return left_open(schema, table, "k", field)


def steps(values, name="x"):
    """One sequence of these values."""
    return Examples({}, {name: values}, np.array([0, len(values)]))


def test_only_heads_of_one_measure_compare() -> None:
    names = {"x", "x.transform"}
    masses = candidates(Number("x", "standardise", "discretised"), names, steps(np.arange(9.0)))
    densities = candidates(Number("x", "standardise", "mixture"), names, steps(np.arange(9.0)))
    assert {field.distribution for field in masses} == {"discretised"}
    assert {field.distribution for field in densities} == {"mixture", "histogram"}
    walk = Number("x", "difference", "mixture")
    assert candidates(walk, names, steps(np.arange(9.0))) == (walk,)


def test_differences_are_tried_where_a_number_moves_slowly_and_returns_where_it_is_positive_too() -> None:
    slow, fast = np.sin(np.arange(200.0) / 9), RNG.normal(size=200)
    assert transforms(slow) == {"standardise", "difference"}
    assert transforms(fast) == {"standardise"}
    assert transforms(slow + 2) == {"standardise", "log1p", "difference", "log_return"}
    assert transforms(np.round(9 * slow), "discretised") == {"standardise", "difference"}
    assert transforms(slow, bounds=(-2.0, 2.0)) == {"standardise"}


def transforms(values, distribution="mixture", bounds="auto"):
    field = Number("x", "standardise", distribution, bounds)
    return {option.transform for option in candidates(field, {"x", "x.transform"}, steps(values))}
