"""The section on likelihood: a model beside baselines."""

import numpy as np
import pytest

from unspool.evaluation.baselines.likelihoods import LikelihoodTask
from unspool.evaluation.samples.sample_set import SampleSet, Target
from unspool.evaluation.sections.likelihood import likelihood


def test_the_table_adds_up_and_the_verdict_names_the_best_baseline():
    rng = np.random.default_rng(0)
    samples = SampleSet(np.arange(61) * 4)
    task = LikelihoodTask(samples, samples, (Target("mood", symbols=3), Target("level")), True, 0)
    baselines = {name: -rng.gamma(4.0, size=(60, 3)) for name in ("plain", "better")}
    baselines["better"] += 0.5
    good = np.max(list(baselines.values()), axis=0) + 0.1
    section = likelihood(task, good, baselines, "step")
    overall, _, by_field, perplexity = section.parts
    for j in (1, 2, 3):
        assert sum(row[j].value for row in by_field.rows) == pytest.approx(overall.rows[j - 1][1].value)
    assert section.verdict.startswith("Better than every baseline")
    assert "the best one, better" in section.verdict
    assert section.figures["gain"] == pytest.approx(section.figures["baseline_nats"] - section.figures["nats"])
    assert perplexity.rows[0][1].value == pytest.approx(np.exp(by_field.rows[0][1].value))
    assert likelihood(task, good - 5, baselines, "step").verdict.startswith("Worse than the baseline")
    same = likelihood(task, baselines["plain"], {"plain": baselines["plain"]}, "step")
    assert same.verdict.startswith("As good as the best baseline, plain: the difference is 0.000")
