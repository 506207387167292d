"""Sets of sequences as flat columns."""

import numpy as np
import pytest

from unspool.dataset.examples import Examples
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError
from unspool.evaluation.samples.build import comparable_sets, comparison_of, scorable_sets, targets_of
from unspool.evaluation.samples.sample_set import ABSENT
from unspool.evaluation.samples.statistics import clustered_mean
from unspool.schema.fields import Category, Flag, Flags, Number, Schema, When

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


def test_comparable_sets_share_the_codes_of_their_symbols():
    one, two = comparable_sets(SCHEMA, ONE, TWO)
    assert one.names == {"input k": ["u", "v"], "s": ["a", "b", "c"], "f": [False, True]}
    assert one.symbols["s"].tolist() == [1, ABSENT, 0]
    assert two.symbols["s"].tolist() == [0, 2, 0]
    assert one.symbols["f"].tolist() == [1, 0, ABSENT]
    assert (one.inputs["k"].tolist(), two.inputs["k"].tolist()) == ([0, ABSENT], [1, 0])


def test_whole_numbers_are_numbers_when_the_schema_says_so_and_timestamps_are_days():
    one, two = comparable_sets(SCHEMA, ONE, TWO)
    assert one.numbers["x"].tolist() == [1.0, 2.0, 3.0]
    assert one.inputs["n"].tolist() == [[0.0], [1.0]]
    assert (one.inputs["day"][0] - two.inputs["day"][0]).tolist() == [1.0]
    assert np.isnan(one.inputs["day"][1, 0])


def test_several_values_a_step_are_as_many_fields():
    schema = Schema(SCHEMA.inputs, (Category("s"), Flags("both", ["f", "g"])), "records", layout="long", id="i")
    step = {"s": np.array(["a"] * 3, object), "both": np.array([[True, False]] * 3)}
    (samples,) = comparable_sets(schema, Examples(ONE.inputs, step, ONE.offsets))
    assert list(samples.symbols) == ["s", "f", "g"]


def test_sequences_are_taken_whole_with_their_inputs():
    one, _ = comparable_sets(SCHEMA, ONE, TWO)
    taken = one.take(np.array([1, 0, 1]))
    assert taken.offsets.tolist() == [0, 1, 3, 4]
    assert taken.numbers["x"].tolist() == [3.0, 1.0, 2.0, 3.0]
    assert taken.inputs["k"].tolist() == [ABSENT, 0, ABSENT]
    assert (taken.owner.tolist(), taken.position.tolist()) == ([0, 1, 1, 2], [0, 0, 1, 0])


def test_a_scorable_set_holds_codes_of_the_model_increments_and_members_and_is_taken_whole():
    steps = {
        "day": np.array([1.0, 4.0, 2.0, 2.0]),
        "s": np.array(["b", "b", "a", "z"], object),
        "both": np.array([[1.0, -1.0], [np.nan, np.nan], [1.0, 1.0], [-1.0, 1.0]]),
    }
    data = Examples({"k": np.array(["u", "v"], object)}, steps, np.array([0, 2, 4]))
    schema = Schema(
        (Category("k"),), (Number("day", "increment"), Category("s"), Flags("both", ["f", "g"])), "records", "long", "i"
    )
    codec = fit_codec(schema, data.take(np.array([0, 1])))
    (samples,) = scorable_sets(codec, (data, codec.encode(data)))
    assert [(one.symbols, one.increments, one.members) for one in targets_of(codec)] == [
        (None, True, ()), (3, False, ()), (None, False, ("f", "g")),
    ]  # fmt: skip
    assert samples.numbers["day"][[1, 3]].tolist() == [3.0, 0.0]
    assert samples.symbols["both"].tolist() == [1, 0, 1, 1]
    taken = samples.take(np.array([1, 0]))
    assert taken.members["both"].lengths.tolist() == [2, 1]
    assert taken.members["both"].symbols["f"].tolist() == [1, 0, 1]
    assert taken.groups.tolist() == samples.groups[::-1].tolist()


def test_a_padded_column_ends_where_its_sequence_ends():
    one, _ = comparable_sets(SCHEMA, ONE, TWO)
    np.testing.assert_array_equal(one.padded(one.numbers["x"], 3), [[1, 2, np.nan], [3, np.nan, np.nan]])
    np.testing.assert_array_equal(one.padded(one.numbers["x"], 1), [[1], [3]])


def test_the_error_of_windows_that_overlap_is_of_clusters():
    rng = np.random.default_rng(0)
    steps = {name: np.repeat(column[:1], 200) for name, column in ONE.steps.items()}
    inputs = {name: np.repeat(column[:1], 100) for name, column in ONE.inputs.items()}
    windows = Examples(inputs, steps, np.arange(0, 201, 2), {}, np.arange(100), 5)
    (samples,) = comparable_sets(SCHEMA, windows)
    assert samples.clusters.tolist() == [k // 10 for k in range(100)]
    assert samples.take(np.array([99, 0])).clusters.tolist() == [9, 0]
    values = np.repeat(rng.normal(size=10), 20)
    alone, whole = (clustered_mean(values, of) for of in (samples.owner, samples.clusters[samples.owner]))
    assert whole.error == pytest.approx(alone.error * np.sqrt(10), rel=0.1)


def test_generated_sequences_that_do_not_fit_the_inputs_are_refused():
    single = Examples({n: c[:1] for n, c in TWO.inputs.items()}, TWO.steps, np.array([0, 3]))
    with pytest.raises(DataError, match="as many for every held-out input, found 1 sequences for 2 inputs"):
        comparison_of(SCHEMA, ONE, TWO, single, ONE)
    with pytest.raises(DataError, match="one for each of 2 training inputs, found 1"):
        comparison_of(SCHEMA, ONE, TWO, TWO, single)
