"""Inputs that are not given are drawn given those that are, whatever their order in the model of inputs."""

import io
import warnings

import numpy as np
import pandas as pd
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.encoding.input_rows import fit_rows
from unspool.errors import OptionError, SchemaError, UnknownCategory
from unspool.generation import inputs as module
from unspool.generation.inputs import _effective, _even_shares

FIELDS = ["sex", "age", "code", "mark"]
DRAWS = 4000


def table(count: int = 6000) -> pd.DataFrame:
    """Every field depends on one before it: the code on the age, the last one, mark, on the sex alone."""
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m"], count, p=[0.6, 0.4])
    age = np.clip(rng.normal(np.where(sex == "f", 60, 40), 10), 18, 95).round(1)
    code = np.where(age > 50, rng.choice(["x", "y"], count, p=[0.9, 0.1]), rng.choice(["x", "y"], count, p=[0.1, 0.9]))
    mark = np.where(
        sex == "f", rng.choice(["p", "q"], count, p=[0.9, 0.1]), rng.choice(["p", "q"], count, p=[0.05, 0.95])
    )
    code = np.where(rng.random(count) < 0.1, None, code.astype(object))
    return pd.DataFrame({"sex": sex, "age": age, "code": code, "mark": mark, "s": [[c or "-"] * 2 for c in mark]})


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="module")
def model(data: pd.DataFrame) -> us.OneToMany:
    training = us.Training(epochs=1, batch=256)
    return us.OneToMany(FIELDS, "s", network=us.Network(size=8), training=training, verbose=False).fit(data)


def drawn(model: us.OneToMany, given: dict, n: int = DRAWS) -> pd.DataFrame:
    return pd.DataFrame(model.generate(given, n=n, seed=1, length=1).to_dict())


def close(made: pd.Series, real: pd.Series) -> bool:
    """Whether two shares differ by less than 2 points."""
    return bool(abs(made.mean() - real.mean()) < 0.02)


@pytest.mark.parametrize("mark", ["p", pytest.param("q", marks=pytest.mark.slow)])
def test_the_last_field_decides_the_first_one(model: us.OneToMany, data: pd.DataFrame, mark: str) -> None:
    made, real = drawn(model, {"mark": mark}), data[data["mark"] == mark]
    assert (made["mark"] == mark).all()
    assert close(made.sex == "f", real.sex == "f")
    assert close(made.code == "x", real.code == "x")
    assert close(made.code.isna(), real.code.isna())
    assert abs(made.age.mean() - real.age.mean()) < 1.5


@pytest.mark.parametrize("age", [35.0, 50.0, 70.0])
def test_a_number_decides_the_field_before_it(model: us.OneToMany, data: pd.DataFrame, age: float) -> None:
    """Bayes' rule with the normal densities of the data, 10 wide."""
    density = [share * np.exp(-(((age - mean) / 10) ** 2) / 2) for share, mean in ((0.6, 60), (0.4, 40))]
    made = drawn(model, {"age": age})
    assert abs((made.sex == "f").mean() - density[0] / sum(density)) < 0.02 + 0.02
    near = data[abs(data.age - age) < 1.5]
    assert abs((made.code == "x").mean() - (near.code == "x").mean()) < 0.06  # the model's edge at 50 is not sharp


@pytest.mark.slow
def test_what_is_drawn_beside_a_number_is_what_the_model_itself_draws_beside_it(model: us.OneToMany) -> None:
    """The draw given an age is exact: what differs from the data is what the model of the inputs has not learned."""
    free = pd.DataFrame(model.sample(40_000, seed=5, length=1).to_dict())
    for age in (45.0, 55.0):
        made, near = drawn(model, {"age": age}), free[abs(free.age - age) < 1]
        error = np.sqrt(0.25 / len(made) + 0.25 / len(near))
        for name, value in (("sex", "f"), ("code", "x"), ("mark", "p")):
            assert abs((made[name] == value).mean() - (near[name] == value).mean()) < 4 * error + 0.01, (age, name)


def test_none_is_missing_and_absent_is_drawn(model: us.OneToMany, data: pd.DataFrame) -> None:
    made = drawn(model, {"code": None, "age": [30.0]}, 500)
    assert made.code.isna().all()
    absent = drawn(model, {"age": [30.0]}, 500)
    assert 0.02 < absent.code.isna().mean() < 0.2


def test_every_sequence_shows_its_own_inputs_beside_those_given(model: us.OneToMany) -> None:
    given = pd.DataFrame({"mark": ["p", "q"], "note": ["one", "two"]})
    made = model.generate(given, n=5, seed=3)
    frame = made.to_frame()
    assert list(frame) == ["mark", "note", "sex", "age", "code", "sample", "s"]
    assert frame["note"].tolist() == ["one"] * 5 + ["two"] * 5
    assert made.rows.tolist() == [0] * 5 + [1] * 5
    assert frame["sample"].tolist() == [0, 1, 2, 3, 4] * 2
    assert frame.age.nunique() > 5
    assert made.drawn == ("sex", "age", "code")
    long = made.to_frame(long=True)
    assert long["row"].tolist() == np.repeat(made.rows, made.lengths).tolist()
    assert made.label(7) == "two"


def test_a_row_and_sample_have_the_same_inputs_however_many_are_drawn(model: us.OneToMany) -> None:
    many = model.generate({"mark": ["p", "q", "p"]}, n=7, seed=3).to_dict()
    few = model.generate({"mark": ["p", "q"]}, n=2, seed=3).to_dict()
    many, few = pd.DataFrame(many), pd.DataFrame(few)
    pd.testing.assert_frame_equal(many[(many["sample"] < 2)][:4].reset_index(drop=True), few)
    # A row's inputs given back give its sequence again where its numbers are the same: the first sample of each row.
    first = many[many["sample"] == 0]
    again = model.generate(first[FIELDS].reset_index(drop=True), seed=3)
    assert list(again) == first.s.tolist()


def test_files_and_streams_have_the_same(model: us.OneToMany, monkeypatch: pytest.MonkeyPatch) -> None:
    from unspool import jobs

    given = {"mark": ["p", "q"]}
    whole = model.generate(given, n=6, seed=3)
    monkeypatch.setattr(jobs, "MAX_PART_STEPS", 8)
    target, one = io.BytesIO(), io.BytesIO()
    model.generate_to(target, given, n=6, seed=3)
    whole.save(one)
    assert target.getvalue() == one.getvalue()
    assert one.getvalue().decode().splitlines()[0] == "mark,sex,age,code,sample,s"
    streamed: dict[tuple[int, int], list] = {}
    for event in model.stream(given, n=6, seed=3):
        streamed.setdefault((event.row, event.sample), []).append(event.value)
    frame = pd.DataFrame(whole.to_dict())
    assert [streamed[row, sample] for row, sample in zip(whole.rows, frame["sample"], strict=True)] == list(whole)


def test_prefix_and_pins_for_each_row_go_with_the_row(model: us.OneToMany) -> None:
    made = model.generate({"mark": ["p", "q"]}, n=2, seed=3, prefix=[["q"], ["p"]])
    assert [sequence[0] for sequence in made] == ["q", "q", "p", "p"]
    made = model.generate({"mark": ["p", "q"]}, n=2, seed=3, pin=[{1: {"s": "q"}}, {1: {"s": "p"}}], length=2)
    assert [sequence[1] for sequence in made] == ["q", "q", "p", "p"]
    with pytest.raises(SchemaError, match="one for each of the 2 rows"):
        model.generate({"mark": ["p", "q"]}, n=2, prefix=[["q"]])


def test_without_any_input_the_error_names_them_and_points_to_sample(model: us.OneToMany) -> None:
    for nothing in ({}, {"other": [1, 2]}):
        with pytest.raises(SchemaError, match=r"'sex', 'age', 'code', 'mark'.*use sample\(n\)"):
            model.generate(nothing)


def test_a_model_that_draws_no_inputs_names_the_missing_one() -> None:
    training = us.Training(epochs=1, draw_inputs=False)
    without = us.OneToMany(["k", "c"], "s", network=us.Network(size=8), training=training, verbose=False)
    without.fit({"k": ["a", "b"] * 9, "c": [1, 2, 1] * 6, "s": ["x", "yx"] * 9})
    with pytest.raises(SchemaError, match=r"the column 'c', found only 'k'.*Give them too; or.*draw_inputs=False"):
        without.generate({"k": "a"})


def test_given_values_are_checked_before_anything_is_drawn(model: us.OneToMany) -> None:
    with pytest.raises(UnknownCategory, match="'sex'"):
        model.generate({"sex": "d"}, n=2)
    with pytest.raises(SchemaError, match=r"'age'.*a number"):
        model.generate({"age": "old"}, n=2)
    with pytest.raises(SchemaError, match=r"'age'.*none was missing"):
        model.generate({"age": None}, n=2)
    with pytest.raises(OptionError, match=r"unknown=\.\.\.\): expected 'refuse' or 'missing'"):
        model.generate({"sex": "f"}, unknown="drop")


def test_an_unknown_category_is_read_as_missing_on_request(model: us.OneToMany) -> None:
    with pytest.warns(UserWarning, match="column 'mark': 1 value that training never saw, read as missing: 'new'"):
        made = model.generate({"mark": "new"}, n=3, seed=1, unknown="missing")
    frame = made.to_dict()
    assert frame["mark"] == ["new"] * 3
    assert len(frame["sex"]) == 3


def test_scoring_needs_all_inputs(model: us.OneToMany) -> None:
    with pytest.raises(SchemaError, match="the columns 'sex', 'age', 'code'"):
        model.log_prob({"mark": ["p"], "s": [["p", "p"]]})


def test_a_search_shares_the_drawn_inputs_of_a_row(model: us.OneToMany) -> None:
    best = model.generate({"mark": ["p", "q"]}, seed=3, rule=us.Beam(width=4, best=2))
    assert len(best) == 4
    ages = best.to_dict()["age"]
    assert ages[0] == ages[1]
    assert ages[0] != ages[2]


def test_inputs_that_never_go_together_are_said(model: us.OneToMany) -> None:
    module._warn_of_few(np.array([100.0, np.inf]), np.array([0, 1]))  # no warning
    with pytest.warns(UserWarning, match=r"inputs: row 2, 4: what is given seldom or never goes together in training"):
        module._warn_of_few(np.array([100.0, 3.0, 2.0, 0.0]), np.array([0, 1, 1, 3]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.generate({"age": 50.0, "mark": "q"}, n=20, seed=1)


def test_known_first_fields_need_no_candidates(model: us.OneToMany, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    choose = module.choose
    monkeypatch.setattr(module, "choose", lambda *args: asked.append(args[-1]) or choose(*args))
    model.generate({"sex": ["f"]}, n=3, seed=1)
    assert asked == [1]
    model.generate({"mark": ["p"]}, n=3, seed=1)
    assert asked[-1] == module.CANDIDATES


def test_effective_number_and_even_shares(model: us.OneToMany) -> None:
    weights = np.log(np.array([1.0, 1.0, 2.0]))
    total, squares = np.logaddexp.reduce(weights), np.logaddexp.reduce(2 * weights)
    np.testing.assert_allclose(_effective(np.array([total]), np.array([squares])), [16 / 6])
    net = model.row_net_
    assert _even_shares(net, np.array([True, True, False, False])) is None
    np.testing.assert_allclose(_even_shares(net, np.array([False, False, False, True])), [0.25, 0, 0.25, 0])


def test_a_number_that_is_a_symbol_counts_as_the_nearest_one() -> None:
    from unspool.encoding.input_rows import known_rows

    few = {"dose": [0.5, 1.0, 4.0] * 40, "day": ["2020-01-01", "2020-03-01"] * 60, "v": [[1.0, 2.0]] * 119 + [[1.5, 2]]}
    schema, examples = gather(few | {"s": ["a", "b"] * 60}, inputs=["dose", "day", "v"], sequence="s")
    codec, (rows, _) = fit_codec(schema, examples), fit_rows(schema, examples) or pytest.fail("too wide")
    known = known_rows(
        codec, rows, codec.read_inputs({"dose": [3.1, 0.2], "day": ["2020-02-29", "2019-05-05"]}, some=True).columns
    )
    doses, days = rows.steps[0].values, rows.steps[1].values
    assert [doses[k] for k in known.values[0]] == [4.0, 0.5]
    assert [days[k] for k in known.values[1]] == sorted(days, reverse=True)
    assert [where.tolist() for where in known.where] == [[True] * 2, [True] * 2, [False] * 2, [False] * 2]


def test_given_inputs_find_their_fields_whatever_their_order() -> None:
    """Relations move fields and derive columns: a copy stands for its original, a distance needs both ends."""
    from unspool.encoding.input_rows import known_rows

    rng = np.random.default_rng(0)
    start, label = np.exp(rng.uniform(0, 3, 200)), rng.choice(["a", "b"], 200)
    end = start * np.exp(0.01 * rng.normal(size=200))
    most = np.maximum(start, end) + rng.exponential(size=200)
    data = {"most": most, "copy": start, "end": end, "label": label, "start": start, "s": ["a", "b"] * 100}
    schema, examples = gather(data, inputs=["most", "copy", "end", "label", "start"], sequence="s")
    codec, (rows, ragged) = fit_codec(schema, examples), fit_rows(schema, examples) or pytest.fail("too wide")
    codec.check_rows(rows)
    assert {field.name: field.references for field in rows.schema.steps if field.references}
    encoded = rows.encode(ragged)
    given = {name: [data[name][k] for k in (3, 7)] for name in ("most", "copy", "end", "label")}
    known = known_rows(codec, rows, codec.read_inputs(given, some=True).columns)
    for values, where, real in zip(known.values, known.where, encoded.steps, strict=True):
        assert where.all()
        np.testing.assert_allclose(values, real[[3, 7]], atol=1e-9)
    reference = next(field for field in rows.schema.steps if field.references)
    with pytest.raises(SchemaError, match=f"too, because '{reference.name}' is drawn as a distance from"):
        known_rows(codec, rows, codec.read_inputs({reference.name: [5.0]}, some=True).columns)


def test_the_command_line_draws_what_is_not_given(workshop, capsysbinary: pytest.CaptureFixture) -> None:
    from unspool.cli.app import main

    assert main(["generate", str(workshop.tracks), "-i", "group=a", "-n", "3", "--seed", "1", "--wide"]) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[0].startswith("group,level,sample")
    assert len(lines) == 4
    assert len({line.split(",")[1] for line in lines[1:]}) > 1


@pytest.mark.filterwarnings("default")
def test_the_command_line_reads_unknown_categories_as_missing(workshop, capsys: pytest.CaptureFixture) -> None:
    from unspool.cli.app import main

    command = ["generate", str(workshop.names), "-i", "country=Norse", "-n", "2", "--seed", "1"]
    assert main(command) == 2
    assert "'Norse'" in capsys.readouterr().err
    assert main([*command, "--unknown", "missing"]) == 0
    assert capsys.readouterr().err.splitlines()[0] == (
        "unspool: inputs: column 'country': 1 value that training never saw, read as missing: 'Norse'."
    )
