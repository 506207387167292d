"""The whole way from a table to sequences and back, as a user goes it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.base
import sklearn.utils.validation
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

import unspool as us
from unspool import errors
from unspool.network.serialization import weights

QUICK = us.Network(size=16)


def words(count: int = 120) -> dict[str, list[object]]:
    """A language of two kinds: vowels come in the kind's own order, and length depends on a number."""
    rng = np.random.default_rng(0)
    kinds = rng.choice(["up", "down"], count)
    sizes = rng.integers(1, 7, count)
    letters = {"up": "aeiou", "down": "uoiea"}
    return {
        "kind": kinds.tolist(),
        "size": [float(size) if size > 1 else None for size in sizes],
        "word": [letters[kind][:size] for kind, size in zip(kinds, sizes, strict=True)],
    }


def fit_words(seed: int = 0, **training: object) -> us.OneToMany:
    options = {"network": QUICK, "training": us.Training(**{"epochs": 15, "batch": 32, **training}), "verbose": False}
    return us.OneToMany(["kind", us.Number("size")], "word", seed=seed, **options).fit(words())


def same_weights(one: us.OneToMany, other: us.OneToMany) -> bool:
    pairs = zip(weights(one.net_).values(), weights(other.net_).values(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def model() -> us.OneToMany:
    return fit_words()


@pytest.fixture(scope="module")
def series_model() -> us.OneToMany:
    """Pairs of numbers, one with missing values, in records that go on from a first value."""
    rng = np.random.default_rng(1)
    k, t = np.divmod(np.arange(360), 9)
    level = (np.cumsum(rng.normal(size=(40, 9)), 1) + 100).ravel()
    extra, mood = np.where(t % 3 == 0, np.nan, t), np.array(["a", "b"])[t % 2]
    long = pd.DataFrame({"id": k, "t": t, "group": k % 2, "level": level, "extra": extra, "mood": mood})
    fields = [us.Number("level", transform="difference"), us.Number("extra", distribution="normal"), "mood"]
    options = {"network": QUICK, "training": us.Training(epochs=3, batch=8), "verbose": False}
    return us.OneToMany([us.Category("group"), us.First("level")], fields, **options).fit(long, id="id", order="t")


def test_the_same_call_gives_the_same_weights(model: us.OneToMany) -> None:
    assert same_weights(fit_words(), model)


def test_another_seed_gives_other_weights(model: us.OneToMany) -> None:
    assert not np.array_equal(weights(model.net_)["start"], weights(fit_words(seed=1).net_)["start"])


def test_probabilities_of_all_sequences_sum_to_one(model: us.OneToMany) -> None:
    """Over all words of at most two letters, plus longer words, the mass is one: stopping is part of the model."""
    letters = "aeiou"
    short = ["", *letters, *(a + b for a in letters for b in letters)]
    table = {"kind": ["up"] * len(short), "size": [2.0] * len(short), "word": short}
    unseen = model.codec_.steps[0].unseen
    mass = np.exp(model.log_prob(table))
    assert 0 < mass.sum() < 1
    made = model.generate({"kind": "up", "size": 2.0}, n=4000, seed=3)
    share = np.mean([len(word) <= 2 for word in made])
    known = mass.sum() + unseen  # unseen symbols have mass that is never sampled
    assert abs(share - known) < 5 * np.sqrt(0.25 / 4000) + unseen * 3


def test_frequencies_of_generated_words_are_their_probabilities(model: us.OneToMany) -> None:
    made = list(model.generate({"kind": "down", "size": 3.0}, n=5000, seed=4))
    likely = sorted(set(made), key=made.count, reverse=True)[:5]
    p = np.exp(model.log_prob({"kind": ["down"] * 5, "size": [3.0] * 5, "word": likely}))
    seen = np.array([made.count(word) for word in likely]) / 5000
    assert np.all(np.abs(seen - p) < 5 * np.sqrt(p * (1 - p) / 5000) + 0.01)


def test_the_input_is_used(model: us.OneToMany) -> None:
    table = words(60)
    flipped = {**table, "kind": ["up" if kind == "down" else "down" for kind in table["kind"]]}
    assert model.log_prob(table).sum() > model.log_prob(flipped).sum() + 50


def test_a_loaded_model_is_the_saved_one(model: us.OneToMany, tmp_path: Path) -> None:
    path = tmp_path / "words.unspool"
    model.save(path)
    loaded = us.load(path)
    inputs = {"kind": ["up", "down"], "size": [3.0, None]}
    assert list(loaded.generate(inputs, n=5, seed=1)) == list(model.generate(inputs, n=5, seed=1))
    assert np.array_equal(loaded.log_prob(words()), model.log_prob(words()))
    assert loaded.summary_ == model.summary_
    assert loaded.get_params() == model.get_params()
    loaded.save(tmp_path / "again.unspool")
    assert (tmp_path / "again.unspool").read_bytes() == path.read_bytes()


def test_a_sequence_does_not_depend_on_what_is_made_with_it(model: us.OneToMany) -> None:
    inputs = {"kind": ["up", "down", "up"], "size": [3.0, None, 5.0]}
    many = list(model.generate(inputs, n=4, seed=9))
    assert list(model.generate(inputs, n=2, seed=9)) == [many[k] for k in (0, 1, 4, 5, 8, 9)]
    first = {"kind": ["up"], "size": [3.0]}
    assert list(model.generate(first, n=4, seed=9)) == many[:4]


@pytest.mark.parametrize("rule", ["sample", "greedy", us.Sampling(temperature=0.7, top_p=0.9)])
def test_a_stream_yields_what_generate_gives(model: us.OneToMany, rule: us.Sampling | str) -> None:
    inputs = {"kind": ["up", "down"], "size": [3.0, None]}
    made = list(model.generate(inputs, n=3, seed=5, rule=rule))
    streamed = [""] * 6
    steps = []
    for event in model.stream(inputs, n=3, seed=5, rule=rule):
        streamed[event.row * 3 + event.sample] += event.value
        steps.append(event.step)
    assert streamed == made
    assert steps == sorted(steps)


def test_a_stream_of_records_goes_on_from_its_own_last_values(series_model: us.OneToMany) -> None:
    inputs = {"group": [0, 1], "level": [100.0, 50.0]}
    made = series_model.generate(inputs, n=2, seed=5, length=20)
    streamed: list[list[dict[str, object]]] = [[] for _ in range(4)]
    for event in series_model.stream(inputs, n=2, seed=5, length=20):
        streamed[event.row * 2 + event.sample].append(event.value)
    for one, other in zip(made, streamed, strict=True):
        assert [step["mood"] for step in one] == [step["mood"] for step in other]
        assert np.allclose([step["level"] for step in one], [step["level"] for step in other], rtol=1e-5)


def test_differences_start_from_the_first_value(series_model: us.OneToMany) -> None:
    made = series_model.generate({"group": 0, "level": [100.0, 10_000.0]}, n=50, seed=0)
    start = np.array([sequence[0]["level"] for sequence in made]).reshape(2, 50)
    assert abs(start[0].mean() - 100) < 3
    assert abs(start[1].mean() - 10_000) < 3


def test_missing_values_are_generated(series_model: us.OneToMany) -> None:
    made = series_model.generate({"group": [0], "level": [100.0]}, n=100, seed=0)
    extra = [step["extra"] for sequence in made for step in sequence]
    assert 0 < sum(value is None for value in extra) < len(extra)


def test_a_prefix_is_kept_and_gone_on_from(model: us.OneToMany) -> None:
    inputs = {"kind": ["up", "down"], "size": [5.0, 5.0]}
    assert all(word.startswith("ae") for word in model.generate(inputs, n=5, seed=0, prefix="ae"))
    both = model.generate(inputs, n=5, seed=0, prefix=["aei", "uo"])
    assert [word[:2] for word in both] == ["ae"] * 5 + ["uo"] * 5
    assert list(model.generate(inputs, n=5, seed=0, prefix="")) == list(model.generate(inputs, n=5, seed=0))


def test_a_prefix_of_numbers_is_fed_in_original_units(series_model: us.OneToMany) -> None:
    prefix = [{"level": 101.5, "extra": 1.0, "mood": "b"}, {"level": 99.0, "extra": 2.0, "mood": "a"}]
    made = series_model.generate({"group": 0, "level": 100.0}, n=2, seed=0, prefix=prefix)
    for sequence in made:
        assert np.allclose([step["level"] for step in sequence[:2]], [101.5, 99.0], atol=1e-4)
        assert [step["mood"] for step in sequence[:2]] == ["b", "a"]


def test_a_prefix_that_training_never_saw_is_refused(model: us.OneToMany) -> None:
    with pytest.raises(errors.SchemaError, match="prefix"):
        model.generate({"kind": "up", "size": 1.0}, prefix="xyz")


def test_forced_lengths_are_exact_and_longer_than_training(model: us.OneToMany) -> None:
    inputs = {"kind": ["up", "down"], "size": [3.0, None]}
    long = model.generate(inputs, n=2, seed=2, length=50)
    assert long.lengths.tolist() == [50] * 4
    short = model.generate(inputs, n=2, seed=2, length=7)
    assert [word[:7] for word in long] == list(short)
    assert model.generate(inputs, length=0, seed=2).lengths.tolist() == [0, 0]


def test_the_limit_cuts_and_says_so(model: us.OneToMany) -> None:
    made = model.generate({"kind": "up", "size": 6.0}, n=50, seed=0, rule=us.Sampling(limit=2))
    assert made.lengths.max() == 2
    assert not made.ended.all()
    assert model.generate({"kind": "up", "size": 6.0}, n=50, seed=0).ended.all()


def test_without_a_seed_a_new_one_is_taken_and_kept(model: us.OneToMany) -> None:
    inputs = {"kind": "up", "size": 5.0}
    made = model.generate(inputs, n=5)
    assert list(model.generate(inputs, n=5, seed=made.seed)) == list(made)
    assert model.generate(inputs).seed != made.seed


def test_the_callers_kind_of_frame_comes_back(model: us.OneToMany) -> None:
    inputs = {"kind": ["up", "down"], "size": [3.0, 2.0]}
    frame = model.generate(pd.DataFrame(inputs), n=2, seed=0).to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["kind", "size", "sample", "word"]
    assert isinstance(model.generate(pl.DataFrame(inputs), n=2, seed=0).to_frame(long=True), pl.DataFrame)
    assert isinstance(model.generate(inputs, n=2, seed=0).to_frame(), pd.DataFrame)
    assert isinstance(model.generate(inputs, n=2, seed=0).to_dict(), dict)


def test_scikit_learn_can_clone_it_and_ask_whether_it_is_fitted(model: us.OneToMany) -> None:
    bare = sklearn.base.clone(us.OneToMany(["kind"], "word", network=QUICK, seed=3))
    assert bare.get_params()["seed"] == 3
    assert bare.set_params(seed=4).seed == 4
    sklearn.utils.validation.check_is_fitted(model)
    with pytest.raises(errors.OptionError, match="sede"):
        bare.set_params(sede=1)


def test_inputs_and_sequence_are_arguments_of_the_constructor(model: us.OneToMany) -> None:
    for name in ("inputs", "sequence"):
        with pytest.raises(errors.OptionError, match=rf"fit\({name}=.*constructor: OneToMany\({name}=\.\.\.\)"):
            model.fit(words(), **{name: "kind"})
    with pytest.raises(
        errors.OptionError, match=r"one of data, .*, callback, cache, found 'order_by'. Did you mean 'order'"
    ):
        model.fit(words(), order_by="size")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda m: m.log_prob(words(), id="k"),
            r"log_prob\(id=...\).*Leave it out: the model knows the column since fit",
        ),
        (lambda m: m.score(words(), order="t"), r"score\(order=...\).*the model knows the column"),
        (lambda m: m.evaluate(words(), group="k"), r"evaluate\(group=...\).*the model knows the column"),
        (lambda m: m.fit(words(), lr=1e-3), r"fit\(lr=...\).*constructor: OneToMany\(training=Training\(rate=...\)\)"),
        (lambda m: m.fit(words(), groups="k"), r"fit\(groups=...\).*Here it is called 'id'"),
        (lambda m: m.generate("x", n_samples=2), r"generate\(n_samples=...\).*Here it is called 'n'"),
        (lambda m: m.generate("x", max_length=2), r"generate\(max_length=...\).*Pass rule=Sampling\(limit=...\)"),
        (lambda m: list(m.stream("x", n_samples=2)), "found 'n_samples'. Here it is called 'n'"),
        (lambda m: m.sample({"kind": ["x"]}), r"sample\(n=...\): .*found dict. For inputs of your own, call generate"),
        (
            lambda m: us.OneToMany("kind", "name", id="k"),
            r"OneToMany: .*'id'. Pass it to fit: fit\(data, id=...\)",
        ),
        (lambda m: us.OneToMany("kind", "name", group="k"), r"found 'group'. Pass it to fit: fit\(data, id=...\)"),
        (lambda m: m.fit(words(), random_state=1), r"found 'random_state'. .*constructor: OneToMany\(seed=...\)"),
        (lambda m: us.Training(30), r"Training: expected options by name, found 30. Pass Training\(epochs=...\), say"),
    ],
)
def test_an_argument_of_another_name_or_place_says_where_it_goes(model: us.OneToMany, call, words) -> None:
    with pytest.raises(errors.OptionError, match=words):
        call(model)


def test_scikit_learn_can_search_for_options() -> None:
    """By the score, the mean log-probability of a step: of hardly any training and of some, it finds the latter."""
    quick = us.Training(epochs=10, batch=16, draw_inputs=False)
    bare = us.OneToMany(["kind", us.Number("size")], "word", network=QUICK, training=quick, verbose=False)
    grid = {"training__rate": [1e-6, 3e-3]}
    search = GridSearchCV(bare, grid, cv=2, refit=False).fit(pd.DataFrame(words(60)))
    assert search.best_params_ == {"training__rate": 3e-3}


def test_scikit_learn_can_cross_validate() -> None:
    """The scores are those of fits to the other folds, each on the fold that it has not seen."""
    quick = us.Training(epochs=3, batch=16, draw_inputs=False)
    bare = us.OneToMany(["kind", us.Number("size")], "word", network=QUICK, training=quick, verbose=False)
    table = pd.DataFrame(words(40))
    scores = cross_val_score(bare, table, cv=KFold(2))
    by_hand = bare.fit(table.iloc[20:]).score(table.iloc[:20])
    assert scores[0] == pytest.approx(by_hand, rel=1e-6)
    assert scores[1] != scores[0]


def test_a_score_is_the_mean_log_probability_of_a_step(model: us.OneToMany) -> None:
    table = words(20)
    assert model.score(table) == pytest.approx(model.log_prob(table).sum() / sum(map(len, table["word"])))


@pytest.mark.parametrize("ask", ["generate", "log_prob", "save", "schema_"])
def test_a_model_that_is_not_fitted_says_so(ask: str) -> None:
    bare = us.OneToMany(["kind"], "word")
    with pytest.raises(errors.NotFittedError, match="Call fit first"):
        getattr(bare, ask)("x") if ask != "schema_" else bare.schema_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n=0"),
        ({"n": 2.5}, "whole number"),
        ({"length": -1}, "length=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"rule": "gready"}, "sample, greedy, beam, typical"),
        ({"rule": us.Beam(best=3), "n": 2}, r"n=2: expected 1, or as many as Beam\(best=3\)"),
        ({"length": 1, "rule": us.Beam(width=99, best=99)}, "no more sequences than there are"),
        ({"inputs": {}}, r"the columns 'kind', 'size', found no columns.*use sample\(n\)"),
        ({"inputs": {"kind": "sideways", "size": 1.0}}, "sideways"),
        ({"inputs": {"kind": "up", "size": "many"}}, "size"),
    ],
)
def test_a_wrong_request_is_refused_with_its_place(
    model: us.OneToMany, change: dict[str, object], message: str
) -> None:
    with pytest.raises(errors.UnspoolError, match=message):
        model.generate(**{"inputs": {"kind": "up", "size": 1.0}, **change})  # type: ignore[arg-type]


def test_a_beam_gives_its_best_with_the_nats_that_log_prob_has(model: us.OneToMany) -> None:
    """Best first, no sequence twice, and no sample is likelier."""
    inputs = {"kind": ["up", "down"], "size": [3.0, None]}
    made = model.generate(inputs, rule=us.Beam(width=8, best=4))
    assert len(made) == 8
    assert made.ended.all()
    words = {"kind": ["up"] * 4 + ["down"] * 4, "size": [3.0] * 4 + [None] * 4, "word": list(made)}
    np.testing.assert_allclose(made.nats, model.log_prob(words), atol=1e-4)
    assert made.nats is not None
    for nats, found in ((made.nats[:4], list(made)[:4]), (made.nats[4:], list(made)[4:])):
        assert (np.diff(nats) <= 0).all()
        assert len(set(found)) == 4
    sampled = model.generate(inputs, n=50, seed=0)
    likeliest = model.log_prob({**{k: np.repeat(v, 50).tolist() for k, v in inputs.items()}, "word": list(sampled)})
    assert likeliest.reshape(2, 50).max(1)[0] <= made.nats[0] + 1e-4
    assert likeliest.reshape(2, 50).max(1)[1] <= made.nats[4] + 1e-4


def test_a_beam_goes_on_from_a_prefix(model: us.OneToMany) -> None:
    made = model.generate({"kind": "up", "size": 4.0}, prefix="ou", rule=us.Beam(width=4, best=3))
    assert all(word.startswith("ou") for word in made)
    assert model.generate({"kind": "up", "size": 4.0}, n=3, rule=us.Beam(best=3)).samples == 3


def test_a_beam_is_not_streamed_and_wants_categories(model: us.OneToMany, series_model: us.OneToMany) -> None:
    with pytest.raises(errors.OptionError, match="Use generate"):
        next(model.stream({"kind": "up", "size": 1.0}, rule="beam"))
    with pytest.raises(errors.OptionError, match="found numbers: 'level'"):
        series_model.generate({"group": 0, "level": 100.0}, rule="beam")


def test_an_unseen_letter_has_a_finite_probability(model: us.OneToMany) -> None:
    known, unknown = model.log_prob({"kind": ["up"] * 2, "size": [2.0] * 2, "word": ["ae", "az"]})
    assert np.isfinite(unknown)
    assert unknown < known


def test_one_example_asks_for_more_or_for_memorising() -> None:
    table = {"k": [1], "x": [[2, 4, 6, 8]]}
    with pytest.raises(errors.UnspoolError, match="holdout=0"):
        us.OneToMany(us.Category("k"), us.Category("x"), verbose=False).fit(table)


def test_a_time_budget_is_kept_to() -> None:
    began = time.monotonic()
    fitted = fit_words(epochs=100_000, seconds=1.0)
    assert fitted.summary_.stopped in ("time", "decayed", "no improvement")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("feeding", ["scheduled", "free"])
def test_other_feedings_learn_too(feeding: str) -> None:
    fitted = fit_words(feeding=feeding, epochs=30)
    assert fitted.summary_.rounds[-1].train < fitted.summary_.rounds[0].train


KILLED = """
    import os, signal, sys, numpy as np
    import unspool as us
    from unspool.training import checkpoint
    from test_model import QUICK, words

    if sys.argv[2] == "kill":
        save, count = checkpoint.Checkpoint.save, [0]
        def counted(self, *what):
            save(self, *what)
            count[0] += 1
            if count[0] == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        checkpoint.Checkpoint.save = counted
    options = us.Training(epochs=40, batch=32)
    model = us.OneToMany(["kind", us.Number("size")], "word", network=QUICK, training=options, verbose=False)
    model.fit(words(), checkpoint=sys.argv[1] if sys.argv[2] != "whole" else None).save(sys.argv[3])
"""


@pytest.mark.slow
def test_after_kill_minus_nine_the_same_call_ends_with_the_same_bits(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))

    def run(mode: str) -> int:
        arguments = [sys.executable, str(script), str(tmp_path / "folder"), mode, str(tmp_path / f"{mode}.unspool")]
        path = f"{Path(us.__file__).parents[1]}:{Path(__file__).parent}"
        return subprocess.run(arguments, env={**os.environ, "PYTHONPATH": path}, check=False).returncode

    assert run("kill") == -signal.SIGKILL
    assert run("resume") == 0
    assert run("whole") == 0
    resumed, whole = us.load(tmp_path / "resume.unspool"), us.load(tmp_path / "whole.unspool")
    assert same_weights(resumed, whole)
    assert resumed.summary_.updates == whole.summary_.updates


def test_a_checkpoint_of_another_fit_is_refused(tmp_path: Path) -> None:
    def fit(**training: object) -> None:
        options = {"network": QUICK, "training": us.Training(epochs=1, **training), "verbose": False}
        us.OneToMany(["kind"], "word", **options).fit(words(), checkpoint=tmp_path)

    fit()
    with pytest.raises(errors.CheckpointMismatch, match="training"):
        fit(rate=0.1)
