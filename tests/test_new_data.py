"""Data that training never saw is scored as far as it can be, and an error says where it can't."""

import datetime as dt

import numpy as np
import pytest

import unspool as us
from unspool.errors import OptionError, SchemaError

N = 60
OPTIONS = {
    "network": us.Network(size=4),
    "training": us.Training(epochs=1, batch=32, draw_inputs=False),
    "verbose": False,
}


@pytest.fixture(scope="module")
def model():
    """An input of each kind, and steps of every kind that can refuse a value."""
    rng = np.random.default_rng(0)
    table = {
        "country": rng.choice(["x", "y"], N).tolist(),
        "gap": [None if k % 7 == 0 else value for k, value in enumerate(rng.choice(["u", "v"], N).tolist())],
        "size": rng.lognormal(0, 2, N).tolist(),
        "day": [(np.datetime64("2020-01-01") + rng.integers(1, 9, 3).cumsum()).tolist() for _ in range(N)],
        "grid": (rng.integers(0, 9, (N, 3)) / 2).tolist(),
        "long": rng.lognormal(0, 2, (N, 3)).tolist(),
        "kind": rng.choice(["p", "q"], (N, 3)).tolist(),
    }
    steps = ["day", us.Number("grid", distribution="discretized"), us.Number("long", transform="log1p"), "kind"]
    return us.OneToMany(["country", "gap", us.Number("size", transform="log1p")], steps, **OPTIONS).fit(table)


def rows(**changes):
    """Two examples that the model takes, with some of the values changed."""
    day = dt.date(2020, 1, 3)
    table = {
        "country": ["x", "y"],
        "gap": ["u", None],
        "size": [1.0, 2.0],
        "day": [[day, day + dt.timedelta(2), day + dt.timedelta(3)]] * 2,
        "grid": [[0.5, 1.0, 2.0]] * 2,
        "long": [[0.1, 5.0, 2.0]] * 2,
        "kind": [["p", "q", "p"]] * 2,
    }
    return table | changes


FALLING = [[dt.date(2020, 1, 8), dt.date(2020, 1, 5), dt.date(2020, 1, 9)], [dt.date(2020, 1, 3)] * 3]
REFUSED = [
    ({"day": FALLING}, "column 'day': expected a date no earlier than the one before, 2020-01-08, found 2020-01-05, 3"),
    ({"grid": [[0.5, 1.0, 1.3], [0.5, 1.0, 1.0]]}, "row 1, step 3, column 'grid': expected a multiple of 0.5"),
    ({"long": [[0.5, -99.0, 1.3], [0.5, 1.0, 1.0]]}, "row 1, step 2, column 'long': expected a number above"),
    ({"size": [-1e6, 1.0]}, "row 1, column 'size': expected a number above"),
    ({"size": [None, 1.0]}, "row 1, column 'size': expected a value, because none was missing"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_a_value_that_the_model_cannot_take_is_located_or_scored_nan(model, changes, message):
    with pytest.raises(SchemaError) as error:
        model.log_prob(rows(**changes))
    assert message in str(error.value)
    assert 'errors="nan"' in error.value.hint
    scores, plain = model.log_prob(rows(**changes), errors="nan"), model.log_prob(rows())
    assert np.isnan(scores[0])
    assert np.isfinite(scores[1])
    if "day" not in changes and "grid" not in changes and "long" not in changes and changes["size"][1] == 2.0:
        np.testing.assert_allclose(scores[1], plain[1], rtol=1e-6)
    assert np.isnan(model.log_prob_by_field(rows(**changes), errors="nan")[0]).all()


def test_nan_leaves_the_other_sequences_as_they_are(model):
    scores = model.log_prob(rows(size=[-1e6, 2.0]), errors="nan")
    np.testing.assert_allclose(scores[1], model.log_prob(rows())[1], rtol=1e-5)
    np.testing.assert_array_equal(model.log_prob(rows(), errors="nan"), model.log_prob(rows()))


def test_everything_may_be_nan(model):
    assert np.isnan(model.log_prob(rows(size=[-1e6, -1e6]), errors="nan")).all()


def test_an_unknown_category_of_an_input_is_read_as_missing_and_said_once(model):
    with pytest.warns(UserWarning, match="read as missing") as said:
        scores = model.log_prob(rows(gap=["new", None], country=["x", "y"]))
    assert [str(one.message) for one in said] == [
        "the data: column 'gap': 1 value that training never saw, read as missing: 'new'."
    ]
    np.testing.assert_array_equal(scores, model.log_prob(rows(gap=[None, None])))
    with pytest.warns(
        UserWarning, match="column 'country': 2 values that training never saw, read as missing: 'new', 'no'"
    ):
        assert np.isfinite(model.log_prob(rows(country=["new", "no"]))).all()


def test_an_unknown_category_of_a_step_has_the_probability_of_the_unseen(model):
    kind = model.codec_.steps[-1]
    scores = model.log_prob_by_field(rows(kind=[["p", "new", "p"]] * 2))
    assert np.isfinite(scores).all()
    known = model.log_prob_by_field(rows(kind=[["new"] * 3] * 2))[:, 3]
    np.testing.assert_allclose(known, 3 * np.log(kind.unseen), rtol=1e-5)


def test_another_value_of_errors_is_refused(model):
    with pytest.raises(OptionError, match=r"log_prob\(errors=...\): expected 'raise' or 'nan', found 'ignore'"):
        model.log_prob(rows(), errors="ignore")


@pytest.mark.slow
def test_a_report_leaves_out_what_it_cannot_score_and_says_so():
    rng = np.random.default_rng(0)
    table = {"k": rng.choice(["a", "b"], N).tolist(), "x": rng.lognormal(0, 2, (N, 3)).tolist()}
    model = us.OneToMany("k", us.Number("x", transform="log1p"), **OPTIONS).fit(table)
    new = {"k": ["c", *table["k"][:20]], "x": [[1.0, 2.0, 3.0], [-50.0, 1.0, 1.0], *table["x"][1:20]]}
    with pytest.warns(UserWarning, match="column 'k': 1 value that training never saw"):
        report = model.evaluate(new, train=table, samples=2)
    assert report.notes[0].startswith(
        "1 of 21 sequences are left out, because the model can't score them: the data: row 2"
    )
    assert report.facts["judged"].startswith("20 sequences")
