"""Identifiers keep all of their digits, or are refused."""

import json

import numpy as np
import pandas as pd
import pytest

from unspool.dataset.gather import gather
from unspool.errors import SchemaError
from unspool.schema.fields import Category, Number

LONG = 2**53 + 1
"""The smallest whole number that no float64 is."""
KEYS = [LONG, LONG + 1, None] * 20
SEQUENCE = [row // 3 for row in range(60)]


@pytest.fixture(scope="module")
def frame():
    return pd.DataFrame({"i": SEQUENCE, "k": pd.array(KEYS, "Int64")})


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl", "pandas"])
def test_long_whole_numbers_beside_empty_cells_are_read_exactly(frame, tmp_path, ending) -> None:
    path = tmp_path / f"keys.{ending}"
    if ending == "parquet":
        frame.to_parquet(path)
    elif ending == "jsonl":
        path.write_text("\n".join(json.dumps({"i": i, "k": k}) for i, k in zip(SEQUENCE, KEYS, strict=True)))
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    _, examples = gather(frame if ending == "pandas" else path, sequence=[Category("k")], id="i")
    assert examples.steps["k"].tolist() == KEYS


@pytest.mark.parametrize("asked", [Category("k"), "k"])
def test_identifiers_that_a_reader_rounded_are_refused_with_the_cure(frame, asked) -> None:
    rounded = frame.assign(k=frame["k"].astype("float64"))
    with pytest.raises(SchemaError, match=r"step 1, column 'k'.*below 2\*\*53, found 9007199254740992.*'Int64'"):
        gather(rounded, sequence=[asked], id="i")


def test_sequences_are_not_named_by_rounded_identifiers() -> None:
    rounded = pd.DataFrame({"i": np.array([LONG, LONG, LONG + 1], "float64"), "x": ["a", "b", "c"]})
    with pytest.raises(SchemaError, match=r"column 'i'.*below 2\*\*53"):
        gather(rounded, sequence=[Category("x")], id="i")


def test_large_amounts_are_numbers() -> None:
    amounts = pd.DataFrame({"i": SEQUENCE, "k": [1e16, 2.5e16, np.nan] * 20})
    _, examples = gather(amounts, sequence=[Number("k")], id="i")
    np.testing.assert_array_equal(examples.steps["k"][:3], [1e16, 2.5e16, np.nan])
