"""Inputs are sampled as training had them, and a whole synthetic data set is made of them."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import unspool as us
from unspool import jobs
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.encoding.input_rows import MAX_ROW_FIELDS, as_inputs, fit_rows
from unspool.errors import OptionError, SchemaError
from unspool.evaluation.samples.sample_set import SampleSet
from unspool.evaluation.sections.detector import detect_inputs
from unspool.generation import inputs
from unspool.tables.table import Table

pytestmark = pytest.mark.slow

FIELDS = ["c", "x", "k", "few", "d", "v"]
DAYS = np.datetime64("2020-01-01", "us")


def table(count: int = 3000) -> pd.DataFrame:
    """Inputs whose law is known: x goes with c, k is missing more often where c is b, d is one of three days."""
    rng = np.random.default_rng(0)
    c = rng.choice(["a", "b", "r"], count, p=[0.7, 0.29, 0.01])
    k = rng.integers(0, 60, count).astype(float)
    k[rng.random(count) < np.where(c == "b", 0.5, 0.1)] = np.nan
    vectors = rng.normal(size=count)
    return pd.DataFrame(
        {
            "c": c,
            "x": np.where(c == "a", 0, 5) + rng.normal(size=count),
            "k": k,
            "few": rng.choice([0.5, 1.0, 4.0], count),
            "d": DAYS + rng.choice([0, 31, 365], count).astype("timedelta64[D]"),
            "v": [[x, -2 * x + 0.1 * e] for x, e in zip(vectors, rng.normal(size=count), strict=True)],
            "s": [{"a": "x", "b": "yz", "r": "zzz"}[kind] for kind in c],
        }
    )


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="module")
def model(data: pd.DataFrame) -> us.OneToMany:
    options = us.Training(epochs=5, batch=64)
    return us.OneToMany(FIELDS, "s", network=us.Network(size=8), training=options, verbose=False).fit(data)


@pytest.fixture(scope="module")
def made(model: us.OneToMany) -> pd.DataFrame:
    return model.sample(4000, seed=3).to_frame()


def near(made: pd.Series, real: pd.Series) -> bool:
    """Whether two means differ by less than five standard errors."""
    return bool(abs(made.mean() - real.mean()) < 5 * np.sqrt(made.var() / len(made) + real.var() / len(real)))


def test_rows_survive_their_way_through_the_codec(data: pd.DataFrame) -> None:
    """Every kind of input as step fields, missing ones too, and back."""
    some = data[:200].assign(
        flag=[True, None] * 100,
        day=[None if k % 9 == 0 else DAYS + np.timedelta64(7 * k, "h") for k in range(200)],
        v=[None if k % 5 == 0 else [k, 1.0] for k in range(200)],
    )
    schema, examples = gather(some, inputs=[*FIELDS, us.Flag("flag"), "day"], sequence="s")
    codec = fit_codec(schema, examples)
    rows, ragged = fit_rows(schema, examples) or pytest.fail("too wide")
    encoded = rows.encode(ragged)
    back = Table(as_inputs(codec, rows, rows.decode(encoded.steps, encoded.offsets)), "dict", "back")
    for found, wanted in zip(codec.encode_inputs(back), codec.encode(examples).inputs, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_two_inputs_of_one_name_after_a_vector_is_laid_out_are_kept_apart() -> None:
    data = {"v": [[1.0, 2.0], [2.0, 1.0]], "v[0]": [1.5, 2.5], "s": ["a", "b"]}
    rows, _ = fit_rows(*gather(data, inputs=["v", "v[0]"], sequence="s")) or pytest.fail("too wide")
    assert [field.name for field in rows.schema.steps] == ["v[0]'", "v[1]", "v[0]"]


def test_categories_come_as_often_as_in_training(made: pd.DataFrame, data: pd.DataFrame) -> None:
    assert set(made.c) <= {"a", "b", "r"}
    for name in ("c", "few", "d"):
        assert set(made[name]) <= set(data[name])
        for value in set(data[name]):
            assert near(made[name] == value, data[name] == value), (name, value)


def test_a_number_goes_with_the_category_that_it_goes_with(made: pd.DataFrame, data: pd.DataFrame) -> None:
    for kind in "ab":
        assert near(made.x[made.c == kind], data.x[data.c == kind])
        assert 0.8 < made.x[made.c == kind].std() < 1.3


def test_values_are_missing_as_often_where_they_were(made: pd.DataFrame, data: pd.DataFrame) -> None:
    for kind in "ab":
        assert near(made.k[made.c == kind].isna(), data.k[data.c == kind].isna())


def test_whole_numbers_stay_whole_and_within_their_bound(made: pd.DataFrame) -> None:
    known = made.k.dropna()
    assert (known == known.round()).all()
    assert known.min() >= 0


def test_the_numbers_of_a_vector_go_together(made: pd.DataFrame) -> None:
    first, second = np.array(made.v.tolist()).T
    assert np.corrcoef(first, second)[0, 1] < -0.95
    assert near(pd.Series(first), pd.Series(np.zeros(4000)))


def test_the_sequence_goes_with_its_own_row(made: pd.DataFrame) -> None:
    assert (made.s[made.c == "a"].str[0] == "x").mean() > 0.9 > (made.s[made.c == "b"].str[0] == "x").mean()


def test_rows_do_not_depend_on_how_many_are_asked_for(model: us.OneToMany, made: pd.DataFrame) -> None:
    few = model.sample(7, seed=3).to_frame()
    pd.testing.assert_frame_equal(few, made[:7])
    assert not model.sample(7, seed=4).to_frame().equals(few)


def test_sampled_inputs_given_back_give_the_same_sequences(model: us.OneToMany, made: pd.DataFrame) -> None:
    assert list(model.generate(made[:50], seed=3)) == list(made.s[:50])


def test_a_row_and_its_sequence_share_no_uniform(model: us.OneToMany, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one seed, the first draw of a row would be the first of its sequence, too."""
    seeds, sample_sequences, choose = [], jobs.sample_sequences, inputs.choose

    def watched(net, request, part=None):
        seeds.append(request.seed)
        return sample_sequences(net, request, part)

    def watched_choice(net, seed, *rest):
        seeds.append(int(seed[0]) << 32 | int(seed[1]))
        return choose(net, seed, *rest)

    monkeypatch.setattr(jobs, "sample_sequences", watched)
    monkeypatch.setattr(inputs, "choose", watched_choice)
    model.sample(1, seed=3)
    assert sorted(seeds) == [3, 3 | 1 << 63]


def test_a_saved_model_samples_the_same_rows(model: us.OneToMany, made: pd.DataFrame, tmp_path: Path) -> None:
    model.save(tmp_path / "m.unspool")
    loaded = us.load(tmp_path / "m.unspool")
    pd.testing.assert_frame_equal(loaded.sample(7, seed=3).to_frame(), made[:7])
    loaded.save(tmp_path / "again.unspool")
    assert (tmp_path / "again.unspool").read_bytes() == (tmp_path / "m.unspool").read_bytes()


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_written_part_by_part_is_the_one_written_whole(
    model: us.OneToMany, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool, ending: str
) -> None:
    monkeypatch.setattr(jobs, "MAX_PART_ROWS", 1024)
    one, many = tmp_path / f"one.{ending}", tmp_path / f"many.{ending}"
    model.sample(1500, seed=5).save(one, long=long)
    assert model.sample_to(many, 1500, seed=5, long=long) == 5
    if ending == "csv":
        assert many.read_bytes() == one.read_bytes()
    else:
        assert pq.ParquetFile(many).num_row_groups == 2
        assert pq.read_table(many).equals(pq.read_table(one))
        assert str(pq.read_table(many).schema.field("k").type) == "int64"


def test_a_stream_yields_the_same(model: us.OneToMany, made: pd.DataFrame) -> None:
    streamed = [""] * 5
    for event in jobs.sampling_job(model._generator(), 5, jobs.GenerationOptions(seed=3)).stream():
        streamed[event.row] += event.value
    assert streamed == list(made.s[:5])


def test_a_beam_and_a_prefix_take_sampled_inputs_too(model: us.OneToMany, made: pd.DataFrame) -> None:
    best = model.sample(3, seed=3, rule=us.Beam(width=4, best=2))
    assert len(best) == 6
    assert best.to_frame().c.tolist() == np.repeat(made.c[:3], 2).tolist()
    assert all(text.startswith("yz") for text in model.sample(3, seed=3, prefix="yz"))
    assert [text[:1] for text in model.sample(2, seed=3, prefix=["x", "z"])] == ["x", "z"]
    with pytest.raises(SchemaError, match="one for each of the 3 rows"):
        model.sample(3, prefix=["x", "z"])


def test_a_first_record_is_sampled_and_gone_on_from() -> None:
    rng = np.random.default_rng(0)
    level = 100 + rng.normal(size=(60, 6)).cumsum(1)
    options = us.Training(epochs=2, batch=16)
    model = us.OneToMany(us.First(), us.Number("x", transform="difference"), training=options, verbose=False)
    made = model.fit({"x": level.tolist()}).sample(20, seed=0)
    table = made.to_frame()
    assert list(table) == ["first_x", "sample", "x"]
    assert np.all(np.abs(np.array(table["first_x"]) - 100) < 10)
    assert np.all(np.abs(np.array([path[0] for path in table["x"]]) - table["first_x"]) < 20)


def test_a_single_row_is_always_that_row() -> None:
    data = {"day": ["2020-02-03"], "x": [1.25], "v": [[1.0, 2.0]], "s": ["abab"]}
    options = us.Training(epochs=1, holdout=0)
    model = us.OneToMany(["day", "x", "v"], "s", network=us.Network(size=8), training=options, verbose=False).fit(data)
    made = model.sample(3, seed=0).to_dict()
    assert made["x"] == [1.25] * 3
    assert made["v"] == [[1.0, 2.0]] * 3
    assert [str(day)[:10] for day in made["day"]] == ["2020-02-03"] * 3


def test_no_inputs_are_no_inputs_but_those_of_sample(model: us.OneToMany) -> None:
    for ask in (model.generate, model.stream, lambda inputs: model.generate_to(io.BytesIO(), inputs)):
        with pytest.raises(OptionError, match=r"generate\(inputs=...\): expected a table of inputs.*use sample\(n\)"):
            ask(None)
    for count in (0, 2.5, True):
        with pytest.raises(OptionError, match="a whole number, at least 1"):
            model.sample(count)


def test_rows_whose_uniforms_are_those_of_calibration_are_refused(model: us.OneToMany) -> None:
    with pytest.raises(OptionError, match="n=2147483649: expected a whole number, at most 2,147,483,647"):
        model.sample(2**31 + 1)


def test_without_a_model_of_the_inputs_the_error_says_how_to_get_one(model: us.OneToMany) -> None:
    options = us.Training(epochs=1, draw_inputs=False)
    without = us.OneToMany("k", "s", network=us.Network(size=8), training=options, verbose=False)
    without.fit({"k": ["a", "b"] * 9, "s": ["x", "yx"] * 9})
    assert without.row_net_ is None
    for one in (without, us.load(next((Path(__file__).parents[1] / "golden").glob("format-1*")))):
        with pytest.raises(OptionError, match=r"(?s)Pass inputs to generate; or fit again.*draw_inputs=False"):
            one.sample(3)


def test_inputs_too_wide_are_not_modelled() -> None:
    wide = {"v": np.random.default_rng(0).normal(size=(4, MAX_ROW_FIELDS + 1)).tolist(), "s": ["a", "b", "a", "b"]}
    assert fit_rows(*gather(wide, inputs="v", sequence="s")) is None


def test_the_command_line_makes_a_data_set(workshop, capsysbinary) -> None:
    from unspool.cli.app import main

    assert main(["sample", str(workshop.names), "-n", "40", "--seed", "1"]) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[0] == "country,sample,name"
    assert len(lines) == 41
    assert {line.split(",")[0] for line in lines[1:]} == {"Irish", "Greek"}
    target = io.BytesIO()
    us.load(workshop.names).sample_to(target, 40, seed=1)
    assert target.getvalue().decode().splitlines() == lines


@pytest.mark.parametrize("name", ["sp500", "nasdaq"])
def test_drawn_records_of_a_day_can_not_be_told_from_real_ones(name: str) -> None:
    """Prices that follow each other within a per cent; held out is every fifth stretch of 20 days."""
    days = pytest.importorskip(f"arch.data.{name}").load().reset_index(drop=True)
    stretch = np.arange(len(days)) // 20
    train, test = days[stretch % 5 != 4].reset_index(drop=True), days[stretch % 5 == 4]
    options = {"network": us.Network(size=8), "training": us.Training(epochs=1), "verbose": False}
    model = us.OneToMany(list(days), "s", **options).fit(train.assign(s="ab"))
    drawn = model.sample(len(test), seed=1).to_frame()[list(days)]
    assert (drawn["Adj Close"] == drawn["Close"]).all()
    assert (drawn["Low"] <= drawn[["Open", "Close"]].min(axis=1)).all()
    assert (drawn["High"] >= drawn[["Open", "Close"]].max(axis=1)).all()
    prices = ["Open", "High", "Low", "Close"]
    np.testing.assert_allclose(drawn[prices].corr(), train[prices].corr(), atol=0.002)
    real, made = (
        SampleSet(np.arange(len(one) + 1), inputs={c: one[[c]].to_numpy(float) for c in one}, starts=at, window=20)
        for one, at in ((test, test.index.to_numpy()), (drawn, None))
    )
    found = detect_inputs(real, made, 0)
    assert (found.accuracy.value or 1.0) < 0.6
