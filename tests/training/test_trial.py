"""A trial finds the head and the transform that fit, keeps the default in doubt, and is left out where it can't pay."""

import numpy as np
import pytest

from unspool.codec.codec import Codec
from unspool.codec.examples import gather, left_open
from unspool.options import Network, Training
from unspool.schema.fields import Number
from unspool.training.trial import candidates, choose

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
    return choose(codec, examples, open_, Network(), training or Training(), 0)


@pytest.fixture(scope="module")
def table():
    return data()


@pytest.mark.slow
def test_a_trial_changes_what_is_better_beyond_doubt_and_nothing_else(table) -> None:
    schema, lines = chosen(table, ["stripes", "smooth", "count"])
    assert [field.head for field in schema.steps] == ["histogram", "mixture", "discretised"]
    assert len(lines) == 1
    assert lines[0].startswith("stripes: histogram on standardise in place of mixture on standardise")


def test_what_is_told_stays_and_short_fits_have_no_trial(table) -> None:
    told = Number("stripes", "standardise", "mixture")
    assert candidates(told, left_open_of(table, told), np.arange(9.0)) == (told,)
    half = Number("stripes", "log1p")
    options = candidates(Number("stripes", "log1p", "mixture"), left_open_of(table, half), np.arange(9.0))
    assert {option.transform for option in options} == {"log1p"}
    assert len(options) == 3
    assert chosen(table, "stripes", Training(epochs=3))[1] == []
    assert chosen(table, "stripes", Training(seconds=5.0))[1] == []


def left_open_of(table, field):
    schema, _ = gather(table, inputs="k", sequence=field)
    return left_open(schema, table, "k", field)


def test_only_heads_of_one_measure_compare() -> None:
    names = {"x", "x.transform"}
    masses = candidates(Number("x", "standardise", "discretised"), names, np.arange(9.0))
    densities = candidates(Number("x", "standardise", "mixture"), names, np.arange(9.0))
    assert {field.head for field in masses} == {"discretised"}
    assert {field.head for field in densities} == {"mixture", "student_t", "histogram"}
    walk = Number("x", "difference", "mixture")
    assert candidates(walk, names, np.arange(9.0)) == (walk,)
