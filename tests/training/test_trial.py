"""A trial compares candidates by independent clusters of validation sequences, each in its best round."""

import numpy as np

from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.schema.fields import Number
from unspool.training.selection import with_constant_means
from unspool.training.trial import TRIAL_HOLDOUT, clustered_sums, run_trial


def test_windows_that_overlap_are_one_cluster_and_other_sequences_are_each_their_own():
    scores = np.arange(8.0).reshape(4, 2)
    assert clustered_sums(scores, np.array([0, 39, 40, 85]), 20).tolist() == [[2.0, 4.0], [4.0, 5.0], [6.0, 7.0]]
    assert clustered_sums(scores, None, 0) is scores


def test_candidates_are_compared_in_the_same_units_on_what_they_were_not_trained_on():
    """A log-normal number on two axes: its nats are in original units, so that those on logarithms are more."""
    rng = np.random.default_rng(0)
    x = np.exp(rng.normal(size=(120, 15)))
    field = Number("x", "standardize", "normal")
    schema, examples = gather({"k": np.arange(120) % 2, "x": x.tolist()}, inputs="k", sequence=field)
    logs = Number("x", "log1p", "normal")
    codec = fit_codec(schema, examples)
    steps, (nats,) = run_trial(codec, examples, codec.encode(examples), np.arange(100), ((field, logs),), 0)
    assert steps.tolist() == [15] * round(TRIAL_HOLDOUT * 100)
    gain = nats[logs] - nats[field]
    assert gain.mean() > 5 * gain.std() / len(gain) ** 0.5
    entropy = 0.5 * np.log(2 * np.pi * np.e)  # of a log-normal number with location zero, too
    assert -nats[logs].sum() / steps.sum() > entropy - 5 * 1.3 / steps.sum() ** 0.5


def test_a_number_that_only_rises_has_candidates_too():
    """Moments of a Poisson process, whose increments nothing foresees: should their mean be constant?"""
    moments = np.random.default_rng(0).exponential(size=(120, 15)).cumsum(1)
    schema, examples = gather({"k": np.arange(120) % 2, "t": moments.tolist()}, inputs="k", sequence="t")
    codec = fit_codec(schema, examples)
    encoded, (field,) = codec.encode(examples), schema.steps
    choices = with_constant_means((field,), encoded.steps[0], encoded.offsets)
    assert [choice.mean for choice in choices] == ["auto", "constant"]
    steps, (nats,) = run_trial(codec, examples, encoded, np.arange(100), (choices,), 0)
    for choice in choices:
        assert -nats[choice].sum() / steps.sum() < 1.2  # 1 is the entropy of an increment
