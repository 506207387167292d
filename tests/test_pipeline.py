"""A fit: validation sequences decide when training ends, and have no part in what is calibrated."""

from types import SimpleNamespace

import numpy as np
import pytest

import unspool as us
from unspool import pipeline
from unspool.dataset.gather import gather_fitted
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


def test_where_nothing_is_held_out_nothing_is_calibrated(monkeypatch):
    monkeypatch.setattr(pipeline, "calibrate", None)
    options = us.Training(epochs=1, holdout=0, draw_inputs=False)
    model = us.OneToMany("k", us.Category("x"), network=us.Network(size=4), training=options, verbose=False)
    model.fit({"k": [1, 2], "x": [[1, 2], [2]]})
    assert model.summary_.validation == 0
