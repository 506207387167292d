"""Windows cut one series into examples that a split by time can keep apart."""

import numpy as np
import pytest

from unspool.dataset.gather import gather, gather_fitted
from unspool.dataset.windows import overlapping_starts, windows
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, OptionError, SchemaError
from unspool.schema.fields import Number

SERIES = {"day": list(range(10, 30)), "x": [float(i**2) for i in range(20)], "m": [i % 3 for i in range(20)]}
CUT = {"order": "day", "length": 4, "inputs": ["m", "x"], "sequence": ["x"]}


def test_the_inputs_are_of_the_row_before_so_that_nothing_leaks() -> None:
    cut = windows(SERIES, **CUT, stride=4)
    assert cut.starts.tolist() == [1, 5, 9, 13]
    schema, examples = gather(cut)
    assert examples.inputs["x"].tolist() == examples.first["x"].tolist() == [(start - 1) ** 2 for start in cut.starts]
    assert examples.steps["x"][:4].tolist() == [1, 4, 9, 16]
    assert schema.first == ("x",)
    assert (examples.gap, examples.lengths.tolist()) == (4, [4] * 4)
    np.testing.assert_array_equal(examples.starts, cut.starts)


def test_the_inputs_may_be_of_the_first_row_and_are_then_no_base() -> None:
    schema, examples = gather(windows(SERIES, **CUT, at="first"))
    assert examples.inputs["x"].tolist() == [float(i**2) for i in range(17)]
    assert (schema.first, examples.first) == ((), {})


def test_windows_bring_their_columns_and_refuse_others() -> None:
    cut = windows(SERIES, **CUT)
    assert gather(cut)[0] == gather(cut, inputs=["m", "x"], sequence="x")[0]
    words = r"expected the columns of the windows, \['m', 'x'\] and \['x'\], found \['m'\]"
    with pytest.raises(SchemaError, match=words):
        gather(cut, inputs=["m"], sequence="x")


def test_overrides_pass_through() -> None:
    schema, _ = gather(windows(SERIES, **CUT | {"sequence": Number("x", "none")}))
    assert schema.steps == (Number("x", "none", "discretized"),)


def test_a_fitted_codec_reads_other_windows() -> None:
    schema, examples = gather(windows(SERIES, **CUT))
    codec = fit_codec(schema, examples)
    other = gather_fitted(codec, windows(SERIES, **CUT, stride=5))
    assert codec.encode(other).steps[0].shape == (16,)
    with pytest.raises(SchemaError, match="expected windows, because the model was fitted to windows"):
        gather_fitted(codec, SERIES)
    with pytest.raises(DataError, match="windows: expected the step columns x"):
        gather_fitted(codec, windows(SERIES, **CUT | {"sequence": ["m"], "inputs": ["m", "x"]}))


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        ({}, {"length": 0}, OptionError, r"windows\(length=...\): expected a whole number of at least 1, found 0"),
        ({}, {"stride": 1.5}, OptionError, r"windows\(stride=...\)"),
        ({}, {"at": "after"}, OptionError, "expected 'before' or 'first', found 'after'"),
        ({}, {"length": 20}, DataError, "at least 21 rows, for one window, found 20"),
        ({}, {"order": "date"}, SchemaError, "the column 'date'"),
        ({"day": [1, 1, *range(2, 20)]}, {}, DataError, "row 2, column 'day': .* increase.*found 1 again. Drop one"),
        ({"day": [2, 1, *range(3, 21)]}, {}, DataError, "row 2, column 'day': .*found 1 after 2. Sort the rows"),
        ({"day": [1, None, *range(3, 21)]}, {}, DataError, "row 2, column 'day': expected a number or a date"),
        ({}, {"sequence": None}, SchemaError, "expected columns as inputs and columns as the sequence"),
    ],
)
def test_a_series_that_cannot_be_cut_says_why(change, options, error, words) -> None:
    with pytest.raises(error, match=words):
        windows(SERIES | change, **CUT | options)


def test_a_million_rows_are_cut_in_one_pass() -> None:
    n = 1_000_000
    cut = windows({"t": np.arange(n), "x": np.arange(n) * 0.5}, order="t", length=5, stride=5, inputs="x", sequence="x")
    assert len(cut) == 199_999


# ---- windows cut by hand -------------------------------------------------------------------------------------------


def cut_rows(series, starts, length):
    """The column of sequences that starts at some positions of a series, and their offsets."""
    return series[starts[:, None] + np.arange(length)].ravel(), np.arange(len(starts) + 1) * length


@pytest.mark.parametrize("kind", ["numbers", "text", "categories", "some missing"])
@pytest.mark.parametrize("kept", [1.0, 0.6])
def test_rows_that_overlap_are_seen_in_any_order_and_kind(kind: str, kept: float) -> None:
    rng = np.random.default_rng(1)
    series = rng.normal(size=700)
    if kind == "text":
        series = rng.integers(97, 123, 700).astype(np.uint32)
    elif kind == "categories":
        series = np.array([f"w{k}" for k in rng.integers(0, 50, 700)], object)
    elif kind == "some missing":
        series[rng.random(700) < 0.1] = np.nan
    starts = rng.permutation(680)[: int(680 * kept)]
    column, offsets = cut_rows(series, starts, 20)
    found = overlapping_starts({"x": column}, offsets)
    assert found is not None
    assert len(np.unique(found - starts)) == 1


def test_each_series_of_overlapping_rows_has_positions_of_its_own() -> None:
    """The windows of seven series, shuffled: those of one keep their distances, and none reaches into another's."""
    rng = np.random.default_rng(2)
    series, starts = np.repeat(np.arange(7), 50), np.tile(np.arange(50), 7)
    order = rng.permutation(350)
    series, starts = series[order], starts[order]
    values = rng.normal(size=(7, 60))
    rows = values[series[:, None], starts[:, None] + np.arange(10)]
    found = overlapping_starts({"x": rows.ravel()}, np.arange(351) * 10)
    assert found is not None
    firsts = []
    for number in range(7):
        shift = np.unique((found - starts)[series == number])
        assert len(shift) == 1
        firsts.append(int(shift[0]))
    assert np.diff(np.sort(firsts)).min() >= 49 + 10


def test_rows_that_are_equal_for_another_reason_are_no_windows() -> None:
    rng = np.random.default_rng(3)
    starts = np.arange(200)
    others = {
        "a straight line": cut_rows(np.arange(300.0), starts, 20),
        "a period": cut_rows(np.tile(rng.normal(size=50), 6), starts, 20),
        "few symbols": (rng.integers(0, 3, 4000 * 5), np.arange(4001) * 5),
        "apart": (rng.normal(size=4000), np.arange(201) * 20),
        "overlap by little": cut_rows(rng.normal(size=4000), starts * 15, 20),
        "of several lengths": (rng.normal(size=10), np.array([0, 4, 10])),
        "of three steps": cut_rows(rng.normal(size=300), starts, 3),
        "a short series": cut_rows(rng.normal(size=60), starts[:40], 20),
        "constant": (np.ones(4000), np.arange(201) * 20),
        "no sequence": (np.zeros(0), np.zeros(1, np.int64)),
    }
    assert {name for name, part in others.items() if overlapping_starts({"x": part[0]}, part[1]) is not None} == set()


def test_rows_that_overlap_are_examples_as_windows_are() -> None:
    """`gather` gives a table of windows the same positions and gap as `windows`, and a table of new rows too."""
    series = np.random.default_rng(4).normal(size=300)
    cut = windows({"day": np.arange(300), "x": series}, order="day", length=5, sequence="x")
    table = {"x": [series[start : start + 5].tolist() for start in cut.starts]}
    given, found = gather(cut)[1], gather(table, sequence="x")[1]
    assert found.gap == given.gap == 5
    np.testing.assert_array_equal(found.starts - found.starts.min(), given.starts - given.starts.min())
    schema, examples = gather(table, sequence="x")
    again = gather_fitted(fit_codec(schema, examples), {"x": table["x"][100:]})
    np.testing.assert_array_equal(np.diff(again.starts), 1)
