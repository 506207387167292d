"""Windows cut one series into examples that a split by time can keep apart."""

import numpy as np
import pytest

from unspool.dataset.gather import gather, gather_fitted
from unspool.dataset.windows import windows
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
