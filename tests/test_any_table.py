"""Whole models of unusual tables: constants, ties, millions; sequences alone; columns named by numbers."""

import io
import logging

import numpy as np
import pandas as pd
import pytest

import unspool as us
from unspool.cli.app import main
from unspool.errors import DataError, OptionError, SchemaError

pytestmark = pytest.mark.slow  # three models are fitted, one of them evaluated

TINY = {"training": us.Training(epochs=1, holdout=0), "network": us.Network(size=4)}
N = 30
TABLE = pd.DataFrame({
    "id": np.repeat(np.arange(N // 3), 3), "t": np.tile([1, 1, 2], N // 3), "row": np.repeat(np.arange(N // 3), 3) % 2,
    "same": 1.5, "zero": 0.0, "started": pd.Timestamp("2021-03-01"),
    "took": pd.to_timedelta(np.arange(N) % 4, unit="h"),
    "code": [1.0, None, 2.0] * (N // 3), "step": np.arange(N) * 1_000_003,
})  # fmt: skip
STEPS = ["zero", "started", "took", us.Category("code"), us.Count("step")]


@pytest.fixture(scope="module")
def unusual():
    """A model of the table, and what its fit printed."""
    printed, logger = io.StringIO(), logging.getLogger("unspool")
    handler, level = logging.StreamHandler(printed), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        model = us.OneToMany(["row", "same"], STEPS, **TINY).fit(TABLE, id="id", order="t")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return model, printed.getvalue()


def test_a_fit_says_what_is_unusual_in_one_line_each(unusual):
    _, printed = unusual
    lines = [line for line in printed.splitlines() if line.startswith("the data: ")]
    ties, constants = lines
    assert ties.startswith("the data: column 't': 10 rows with the order value of the row before, such as 1 in rows 1")
    assert constants == (
        "the data: always the same, and generated so: 'same' (1.5), 'zero' (0.0), 'started' (2021-03-01 00:00:00)"
    )


def test_unusual_columns_are_generated_as_what_they_are(unusual, tmp_path):
    model, _ = unusual
    model.save(tmp_path / "unusual.unspool")
    for made in (model.sample(9, seed=0), us.load(tmp_path / "unusual.unspool").sample(9, seed=0)):
        frame = made.to_frame()
        types = {name: TABLE[name].dtype for name in ("row", "same", "zero", "code", "step")}
        assert {name: frame[name].dtype for name in types} == types
        assert set(frame["same"]) == {1.5}
        assert set(frame["zero"]) == {0.0}
        assert set(frame["started"]) == {pd.Timestamp("2021-03-01")}
        assert set(frame["took"]) <= set(TABLE["took"])
        assert set(frame["code"].dropna()) <= {1.0, 2.0}
        assert frame["step"].min() >= 0
        assert frame["step"].max() > 1_000
        assert frame.columns.tolist()[:4] == ["row_", "sample", "step_", "row"]
    for ending in ("csv", "jsonl", "json", "parquet"):
        made.save(tmp_path / f"made.{ending}", long=True)
        model.sample_to(tmp_path / f"wide.{ending}", 9, seed=0, long=False)
    assert pd.read_parquet(tmp_path / "made.parquet")["step"].tolist() == frame["step"].tolist()
    assert pd.read_csv(tmp_path / "made.csv")["code"].isna().tolist() == frame["code"].isna().tolist()


TEXTS = ["ab", "ba", "abb", "bab"] * 5


@pytest.fixture(scope="module")
def alone():
    """A model of texts alone."""
    return us.OneToMany(**TINY, verbose=False).fit(TEXTS)


def test_a_model_of_sequences_alone_generates_samples_scores_and_loads(alone, tmp_path):
    made = alone.generate(n=3, seed=0)
    assert len(made) == 3
    assert all(set(text) <= {"a", "b"} for text in made)
    assert made.to_dict() == {"sample": [0, 1, 2], "sequence": list(made)}
    assert list(alone.sample(4, seed=0).to_dict()) == ["sample", "sequence"]
    assert alone.log_prob(TEXTS).shape == (20,)
    alone.save(tmp_path / "alone.unspool")
    assert list(us.load(tmp_path / "alone.unspool").generate(n=3, seed=0)) == list(made)
    assert len(alone.generate({"mine": [1, 2]}, seed=0).to_dict()["mine"]) == 2
    section = alone.evaluate(TEXTS, samples=2).section("input_use")
    assert (section.available, section.verdict) == (False, "The model has no inputs.")


def test_the_command_line_learns_sequences_alone_and_wide_tables(tmp_path, capsys):
    rows = "".join(f"{k % 2},{k % 3},{(k + 1) % 3}\n" for k in range(20))
    (tmp_path / "wide.csv").write_text(f"kind,d1,d2\n{rows}", "utf-8")
    model, tiny = str(tmp_path / "wide.unspool"), ["--size", "4", "--epochs", "1", "-q", "-o"]
    assert main(["fit", str(tmp_path / "wide.csv"), "--wide", "d*", *tiny, model]) == 0
    assert main(["generate", model, "-n", "2", "--seed", "1", "-f", "csv"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert (header, len(lines)) == ("sample,sequence", 2)
    assert main(["evaluate", model, str(tmp_path / "wide.csv"), "--wide", "d1,d2", "-n", "2"]) == 0
    assert "The model has no inputs." in capsys.readouterr().out


@pytest.fixture(scope="module")
def numbered():
    """A model of a table whose columns are named by whole numbers."""
    frame = pd.DataFrame({0: list("ab") * 10, 1: TEXTS})
    return us.OneToMany(inputs=0, sequence=1, **TINY, verbose=False).fit(frame)


def test_columns_named_by_numbers_may_be_named_so_everywhere(numbered, tmp_path):
    assert list(numbered.generate({0: ["a", "b"]}, seed=0).to_dict()) == [0, "sample", 1]
    numbered.save(tmp_path / "numbered.unspool")
    loaded = us.load(tmp_path / "numbered.unspool")
    assert loaded.sample(2, seed=0).to_frame().columns.tolist() == [0, "sample", 1]
    assert numbered.generate({0: "a"}, length=3, seed=0, pin={1: {1: "b"}})[0][1] == "b"
    assert set("".join(numbered.generate({0: "a"}, n=3, length=3, seed=0, allow={1: ["a"]}))) == {"a"}
    with pytest.raises(OptionError, match=r"columns of a step: 1, found '7'"):
        numbered.generate({0: "a"}, allow={7: ["a"]})


@pytest.mark.parametrize("inputs", [{}, {"z": 1}])
def test_inputs_without_their_column_are_named(numbered, inputs):
    with pytest.raises(SchemaError, match=r"inputs: expected the column '0', found"):
        numbered.generate(inputs)


def test_inputs_without_a_row_are_named(numbered):
    with pytest.raises(DataError, match=r"inputs: expected at least one row, found none"):
        numbered.generate([])


@pytest.mark.parametrize(
    ("prefix", "starts"),
    [([None, "a"], ["", "a"]), (["", "b"], ["", "b"]), ([[], []], ["", ""]), ([None, None], ["", ""])],
)
def test_a_prefix_may_lack_for_some_rows(numbered, prefix, starts):
    made = numbered.generate({0: ["a", "b"]}, seed=0, length=3, prefix=prefix)
    assert [text[: len(start)] for text, start in zip(made, starts, strict=True)] == starts
    free = numbered.generate({0: ["a", "b"]}, seed=0, length=3)
    assert [text for text, start in zip(made, starts, strict=True) if not start] == [
        text for text, start in zip(free, starts, strict=True) if not start
    ]
