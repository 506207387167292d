"""Real and generated sequences in one form."""

import numpy as np
import pytest

from unspool.dataset.examples import Examples
from unspool.errors import DataError
from unspool.evaluation.samples.sample_set import ABSENT, material, sides
from unspool.evaluation.samples.statistics import by_sequence
from unspool.schema.fields import Category, Flag, Number, Schema, When

SCHEMA = Schema(
    (Category("k"), When("day"), Number("n")), (Number("x"), Category("s"), Flag("f")), "records", layout="long", id="i"
)


def examples(k, day, s, f):
    days = np.array(day, "datetime64[us]")
    inputs = {"k": np.array(k, object), "day": days, "n": np.arange(len(k))}
    steps = {"x": np.array([1, 2, 3]), "s": np.array(s, object), "f": np.array(f, object)}
    return Examples(inputs, steps, np.array([0, 2, 3]))


ONE = examples(["u", None], ["2026-01-02", "NaT"], ["b", None, "a"], [True, False, None])
TWO = examples(["v", "u"], ["2026-01-01", "2026-01-01"], ["a", "c", "a"], [False, False, False])


def test_sides_share_the_codes_of_their_symbols():
    one, two = sides(SCHEMA, ONE, TWO)
    assert one.names == {"input k": ["u", "v"], "s": ["a", "b", "c"], "f": [False, True]}
    assert one.symbols["s"].tolist() == [1, ABSENT, 0]
    assert two.symbols["s"].tolist() == [0, 2, 0]
    assert one.symbols["f"].tolist() == [1, 0, ABSENT]
    assert (one.inputs["k"].tolist(), two.inputs["k"].tolist()) == ([0, ABSENT], [1, 0])


def test_whole_numbers_are_numbers_when_the_schema_says_so_and_moments_are_days():
    one, two = sides(SCHEMA, ONE, TWO)
    assert one.numbers["x"].tolist() == [1.0, 2.0, 3.0]
    assert one.inputs["n"].tolist() == [[0.0], [1.0]]
    assert (one.inputs["day"][0] - two.inputs["day"][0]).tolist() == [1.0]
    assert np.isnan(one.inputs["day"][1, 0])


def test_several_values_a_step_are_as_many_fields():
    step = {"x": np.zeros(3), "s": np.array(["a"] * 3, object), "f": np.array([[True, False]] * 3)}
    wide = Examples(ONE.inputs, step, ONE.offsets)
    (side,) = sides(SCHEMA, wide)
    assert list(side.symbols) == ["s", "f[0]", "f[1]"]


def test_sequences_are_taken_whole_with_their_inputs():
    one, _ = sides(SCHEMA, ONE, TWO)
    taken = one.take(np.array([1, 0, 1]))
    assert taken.offsets.tolist() == [0, 1, 3, 4]
    assert taken.numbers["x"].tolist() == [3.0, 1.0, 2.0, 3.0]
    assert taken.inputs["k"].tolist() == [ABSENT, 0, ABSENT]
    assert (taken.owner.tolist(), taken.position.tolist()) == ([0, 1, 1, 2], [0, 0, 1, 0])


def test_a_padded_column_ends_where_its_sequence_ends():
    one, _ = sides(SCHEMA, ONE, TWO)
    np.testing.assert_array_equal(one.padded(one.numbers["x"], 3), [[1, 2, np.nan], [3, np.nan, np.nan]])
    np.testing.assert_array_equal(one.padded(one.numbers["x"], 1), [[1], [3]])


def test_windows_that_overlap_are_one_cluster_and_their_error_is_of_clusters():
    rng = np.random.default_rng(0)
    steps = {name: np.repeat(column[:1], 200) for name, column in ONE.steps.items()}
    inputs = {name: np.repeat(column[:1], 100) for name, column in ONE.inputs.items()}
    cut = Examples(inputs, steps, np.arange(0, 201, 2), {}, np.arange(100), 5)
    (side,) = sides(SCHEMA, cut)
    assert side.clusters.tolist() == [k // 10 for k in range(100)]
    assert side.take(np.array([99, 0])).independent.tolist() == [9, 0]
    values = np.repeat(rng.normal(size=10), 20)
    alone, whole = (by_sequence(values, owner) for owner in (side.owner, side.independent[side.owner]))
    assert whole.error == pytest.approx(alone.error * np.sqrt(10), rel=0.1)


def test_paths_that_do_not_fit_the_inputs_are_refused():
    single = Examples({n: c[:1] for n, c in TWO.inputs.items()}, TWO.steps, np.array([0, 3]))
    with pytest.raises(DataError, match="as many for every input held out, found 1 paths for 2 inputs"):
        material(SCHEMA, ONE, TWO, single, ONE)
    with pytest.raises(DataError, match="one for each of 2 training inputs, found 1"):
        material(SCHEMA, ONE, TWO, TWO, single)
