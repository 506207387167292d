"""A score is the log-probability of every sequence, whatever it was computed with."""

import jax.numpy as jnp
import numpy as np
import pytest

from unspool.network.likelihood import start_decoding, teacher_forced
from unspool.training import scoring
from unspool.training.scoring import score


def test_a_score_is_the_log_probability_of_every_sequence(small, plain, monkeypatch):
    """A column per field and one for the stops; whatever the batch it was computed in."""
    net, bucket = plain(), small.bucket
    values = tuple(jnp.asarray(v.T) for v in bucket.values)
    carry, ready = start_decoding(net, (jnp.asarray(bucket.inputs[0]),), values[0].size)
    outputs, _ = teacher_forced(net, ready, carry, values, net.masks())
    fields, stop = net.log_prob(ready, outputs, values, jnp.arange(bucket.steps), jnp.asarray(bucket.lengths))
    terms = np.concatenate([fields, stop[..., None]], -1)
    expected = terms.sum(0)
    np.testing.assert_allclose(score(net, bucket), expected, rtol=1e-9)
    parts = [terms[a:b].sum(0) for a, b in ((0, 1), (1, 4), (4, 9))]
    np.testing.assert_allclose(score(net, bucket, edges=(1, 4)), np.stack(parts, 1), rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(scoring, "MAX_SCORE_CELLS", 16 * bucket.steps * 4 * net.shape.size)
    np.testing.assert_allclose(score(net, bucket), expected, rtol=1e-9)


@pytest.mark.parametrize("free", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_sequence_scored_in_segments_has_the_score_of_the_whole(small, plain, monkeypatch, free):
    """To 1e-9, and where the last segment is not full; on its own output, too, where the same draws are read."""
    whole = score(plain(), small.bucket, free=free)
    assert small.bucket.steps == 6
    for segment in (2, 4):
        monkeypatch.setattr(scoring, "segment_steps", lambda longest, asked: segment)  # noqa: B023
        np.testing.assert_allclose(score(plain(), small.bucket, free=free), whole, rtol=0, atol=1e-9)
