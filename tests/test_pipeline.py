"""A fit: validation sequences decide when training ends, and have no part in what is calibrated. It can be stopped."""

import logging
import os
import re
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest

import unspool as us
from unspool import pipeline
from unspool.dataset.gather import gather_fitted
from unspool.generation import calibration
from unspool.training import selection
from unspool.training.scoring import score_all


@pytest.fixture(scope="module")
def fitted():
    """A fit with its request, its data, and its network before and after calibration."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, 60)
    rain = [(rng.normal(size=n) * (rng.random(n) < 0.5)).tolist() for n in lengths]
    seen = SimpleNamespace(calibrations=[], trials=[])
    with pytest.MonkeyPatch.context() as patch:
        calibrate, select = pipeline.calibrate, pipeline.select_fields

        def watched(net, codec, training, *rest):
            seen.calibrations.append((net, training))
            return calibrate(net, codec, training, *rest)

        def watched_trial(codec, examples, encoded, rows, *rest, **options):
            seen.trials.append(rows)
            return select(codec, examples, encoded, rows, *rest, **options)

        patch.setattr(pipeline, "calibrate", watched)
        patch.setattr(pipeline, "select_fields", watched_trial)
        options = {"network": us.Network(size=8), "training": us.Training(epochs=6, batch=16, draw_inputs=False)}
        seen.model = us.OneToMany("k", us.Number("rain", distribution="mixture"), **options, verbose=False)
        seen.table = {"k": ["a", "b"] * 30, "rain": rain}
        seen.model.fit(seen.table)
    encoded = seen.model.codec_.encode(gather_fitted(seen.model.codec_, seen.table))
    seen.rows, seen.validation_rows = pipeline.validation_split(encoded, 0.1, 0)
    seen.encoded = encoded
    return seen


def nats(net, encoded):
    return -(score_all(net, encoded).sum() + encoded.jacobian) / encoded.offsets[-1]


def test_validation_nats_are_those_of_the_network_before_calibration(fitted):
    validation = fitted.encoded.take(fitted.validation_rows)
    (before, _), *more = fitted.calibrations
    assert not more
    assert fitted.model.summary_.nats == pytest.approx(nats(before, validation), abs=1e-5)
    assert abs(nats(fitted.model.net_, validation) - nats(before, validation)) > 1e-3


def test_calibration_and_trial_see_training_sequences_alone(fitted):
    _, training = fitted.calibrations[0]
    np.testing.assert_array_equal(training.offsets, fitted.encoded.take(fitted.rows).offsets)
    np.testing.assert_array_equal(training.steps[0], fitted.encoded.take(fitted.rows).steps[0])
    np.testing.assert_array_equal(fitted.trials[0], fitted.rows)


def test_rows_that_overlap_are_held_out_by_time_and_the_fit_says_so(caplog):
    """The last tenth of 100 windows of 8 steps, and none of the seven that reach into it is learned; in any order."""
    series = np.random.default_rng(5).normal(size=107)
    starts = np.random.default_rng(6).permutation(100)
    options = us.Training(epochs=1, draw_inputs=False)
    model = us.OneToMany("k", "x", network=us.Network(size=4), training=options)
    with caplog.at_level(logging.INFO, "unspool"):
        model.fit({"k": starts % 2, "x": [series[start : start + 8].tolist() for start in starts]})
    assert (model.summary_.examples, model.summary_.validation) == (83, 10)
    said = "the data: the sequences are windows that overlap, see windows(); held out are the last ones in time"
    assert said in caplog.messages[0]


def test_where_nothing_is_held_out_nothing_is_calibrated(monkeypatch):
    monkeypatch.setattr(pipeline, "calibrate", None)
    options = us.Training(epochs=1, holdout=0, draw_inputs=False)
    model = us.OneToMany("k", us.Category("x"), network=us.Network(size=4), training=options, verbose=False)
    model.fit({"k": [1, 2], "x": [[1, 2], [2]]})
    assert model.summary_.validation == 0


# ---- a fit that is stopped -----------------------------------------------------------------------------------------


@pytest.fixture
def heeded():
    """Python's own handler of Ctrl-C, which a process that a shell has put in the background starts without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def before_it(monkeypatch, module, name, act):
    """Act before each call of a function."""
    function = getattr(module, name)

    def acted(*arguments, **options):
        act(*arguments, **options)
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, acted)


def press(*_, **__):
    signal.raise_signal(signal.SIGINT)
    time.sleep(0.01)


def new_model(fitted, **training):
    """The model of the fixture, so that its programs are compiled already."""
    options = fitted.model.training.but(**training)
    return us.OneToMany(**fitted.model.get_params() | {"training": options, "verbose": None})


@pytest.mark.parametrize(
    ("module", "name"), [(pipeline, "fit_codec"), (selection, "plan"), (pipeline, "initialize_from_data")],
    ids=["reading", "trial", "compiling"],
)  # fmt: skip
def test_ctrl_c_before_there_is_a_model_interrupts_the_fit(fitted, heeded, monkeypatch, module, name):
    model = new_model(fitted)
    before_it(monkeypatch, module, name, press)
    with pytest.raises(KeyboardInterrupt):
        model.fit(fitted.table)
    assert not hasattr(model, "net_")
    assert signal.getsignal(signal.SIGINT) is heeded


def test_ctrl_c_in_training_keeps_the_model_and_skips_the_rest(fitted, heeded, monkeypatch, caplog):
    monkeypatch.setattr(pipeline, "calibrate", None)
    before_it(monkeypatch, pipeline, "show_training", lambda progress, *_: progress.phase != "done" and press())
    with caplog.at_level(logging.INFO, "unspool"):
        model = new_model(fitted, epochs=1000).fit(fitted.table)
    assert model.summary_.stopped == "interrupted"
    assert model.summary_.updates == 1
    assert model.summary_.validation == 0  # its nats are those of training
    assert "The model has learned little: 1 update of about 800; let it train longer." in caplog.messages
    assert len(model.generate({"k": "a"}, n=3, seed=0)) == 3


def test_ctrl_c_in_calibration_keeps_the_model_and_the_whole_rounds(fitted, heeded, monkeypatch):
    rounds = []

    def press_in_the_second(*_, **__):
        rounds.append(1)
        if len(rounds) == 2:
            press()

    before_it(monkeypatch, calibration, "sample_sequences", press_in_the_second)
    model = new_model(fitted).fit(fitted.table)
    assert len(rounds) == 2
    assert model.summary_.stopped == "interrupted"
    assert model.summary_.nats == pytest.approx(fitted.model.summary_.nats, abs=1e-5)
    before, _ = fitted.calibrations[0]
    moved = [np.abs(np.asarray(net.outputs.b - before.outputs.b)).max() for net in (model.net_, fitted.model.net_)]
    assert moved[0] > 0
    assert not np.array_equal(model.net_.outputs.b, fitted.model.net_.outputs.b)


def test_ctrl_c_while_the_model_of_the_inputs_is_trained_ends_it(fitted, heeded, monkeypatch):
    """In the other thread, while the main one only waits."""
    pressed = []

    def wait_for_ctrl_c(inputs, rows, validation, seed, stop):
        while not stop.interrupted:
            if model.waits and not pressed:
                pressed.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    before_it(monkeypatch, pipeline, "fit_input_model", wait_for_ctrl_c)
    before_it(monkeypatch, pipeline, "phase", lambda name: setattr(model, "waits", name == "model of the inputs"))
    model = new_model(fitted, draw_inputs=True)
    model.waits = False
    model.fit(fitted.table)
    assert model.summary_.stopped == "interrupted"
    assert len(model.sample(2, seed=0)) == 2
    assert model.config_.row.nats is not None


@pytest.mark.parametrize("twice", ["training", "calibration"])
def test_a_second_ctrl_c_interrupts_whatever_runs(fitted, heeded, monkeypatch, twice):
    module, name = (pipeline, "show_training") if twice == "training" else (calibration, "sample_sequences")
    before_it(monkeypatch, module, name, lambda *_, **__: press() or press())
    with pytest.raises(KeyboardInterrupt):
        new_model(fitted, draw_inputs=True).fit(fitted.table)


def test_a_budget_too_short_to_learn_gives_a_model_and_a_warning_with_a_better_one(fitted, caplog):
    """There is always an update, and the counts in the warning are those of the summary."""
    with caplog.at_level(logging.WARNING, "unspool"):
        model = new_model(fitted, epochs=None, batch=None, seconds=1e-3).fit(fitted.table)
    summary = model.summary_
    assert summary.stopped == "time"
    assert 1 <= summary.updates < 100
    (said,) = caplog.messages
    pattern = r"The model has learned little: ([\d,]+) updates? of about 800; give it ([\d,]+) seconds\."
    updates, seconds = re.fullmatch(pattern, said).groups()
    assert int(updates) == summary.updates
    assert float(seconds.replace(",", "")) == 10
    assert len(model.generate({"k": "a"}, n=3, seed=0)) == 3


def test_a_fit_that_ends_by_itself_warns_of_nothing_and_names_its_phases(fitted, caplog):
    with caplog.at_level(logging.INFO, "unspool"):
        model = new_model(fitted).fit(fitted.table)
    schema, result = caplog.messages
    assert "rain" in schema
    assert result.startswith("training: nats a step: ")
    assert result.endswith(f"{model.summary_.updates} updates, {model.summary_.seconds:.0f} s: decayed")
