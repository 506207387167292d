"""A whole evaluation: the model and the baselines on held-out data, as the sections of a report in their order."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from unspool.encoding.input_rows import is_constant
from unspool.evaluation.baselines import simulated
from unspool.evaluation.baselines.garch import GARCH_NAME, WindowedGarch
from unspool.evaluation.baselines.likelihoods import (
    NEAREST_NAME,
    LikelihoodTask,
    baseline_scores,
    best_neighbours,
    independent_scores,
)
from unspool.evaluation.baselines.nearest import look_up, nearest_sequences
from unspool.evaluation.document import Section
from unspool.evaluation.samples.build import comparison_of, scorable_sets, targets_of
from unspool.evaluation.samples.generate import generate_like, with_drawn_inputs
from unspool.evaluation.samples.sample_set import Comparison, SampleSet
from unspool.evaluation.samples.scoring import PositionScores, log_probs, position_scores
from unspool.evaluation.samples.statistics import subsample
from unspool.evaluation.sections.calibration import calibration
from unspool.evaluation.sections.detector import detector
from unspool.evaluation.sections.drift import drift
from unspool.evaluation.sections.dynamics import dynamics
from unspool.evaluation.sections.examples import MAX_EXAMPLES, examples
from unspool.evaluation.sections.forecasts import forecasts
from unspool.evaluation.sections.input_use import input_use
from unspool.evaluation.sections.lengths import lengths
from unspool.evaluation.sections.likelihood import likelihood
from unspool.evaluation.sections.marginals import marginals
from unspool.evaluation.sections.memory import memory
from unspool.evaluation.sections.returns import returns
from unspool.evaluation.sections.rules import rules
from unspool.evaluation.sections.transfer import transfer
from unspool.evaluation.split import FittedModel, Split
from unspool.runtime.progress import phase, report_progress
from unspool.schema.fields import Schema, Text

MAX_GENERATED_STEPS = 2_000_000
"""Generated steps of the sequences that are compared with real ones."""
MAX_SCORED_SAMPLES = 4
"""Generated sequences of each held-out input whose NLL is compared with that of real steps."""


def evaluate_model(model: FittedModel, split: Split, seed: int, samples: int) -> tuple[Section, ...]:
    """All sections, in the order in which they are read; those that are not available say why.

    There are `samples` generated sequences for each held-out input; the seed decides all that is random.
    """
    phase("evaluation: likelihoods")
    net, codec, unit = model.net_, model.codec_, step_name(model.codec_.schema)
    train, test = scorable_sets(codec, (split.train, split.train_encoded), (split.test, split.test_encoded))
    task = LikelihoodTask(train, test, targets_of(codec), net.shape.stops, seed)
    neighbours, garch = best_neighbours(task), WindowedGarch.fit(train, test)
    nats = log_probs(net, split.test_encoded)
    names = () if codec.schema.is_unconditional else tuple(field.name for field in codec.schema.inputs)
    characters = split.test.lengths if codec.schema.form == "text" else None
    comparison, scores, shown = _compare(model, split, task, samples, neighbours, garch)
    return (
        shown,
        likelihood(task, nats, baseline_scores(task, neighbours, garch), unit, characters),
        input_use(lambda encoded: log_probs(net, encoded), split.test_encoded, names, nats, test.clusters, seed, unit),
        *comparison_sections(comparison, seed, scores),
    )


def baseline_nats(split: Split, codec: Any) -> float | None:
    """Nats per step of the simplest baseline, independent steps, on test sequences; `None` if there are none."""
    if not len(split.test):
        return None
    train, test = scorable_sets(codec, (split.train, split.train_encoded), (split.test, split.test_encoded))
    task = LikelihoodTask(train, test, targets_of(codec), codec.shortest < codec.longest, seed=0)
    return float(-independent_scores(task).sum() / max(1, test.offsets[-1]))


def comparison_sections(comparison: Comparison, seed: int, scores: PositionScores | None = None) -> tuple[Section, ...]:
    """The sections that compare generated with real sequences; the same comparison and seed give the same sections.

    `scores` are log-probabilities of real and generated steps under the model, if there is a model.
    """
    sections: tuple[Callable[[], Section], ...] = (
        lambda: calibration(comparison, seed),
        lambda: forecasts(comparison, seed),
        lambda: lengths(comparison, seed),
        lambda: marginals(comparison),
        lambda: dynamics(comparison),
        lambda: rules(comparison, seed),
        lambda: drift(comparison, scores),
        lambda: returns(comparison),
        lambda: detector(comparison, seed),
        lambda: transfer(comparison, seed),
        lambda: memory(comparison, seed),
    )
    phase("evaluation: comparisons")
    done = []
    for section in sections:
        done.append(section())
        report_progress(len(done) / len(sections))
    return tuple(done)


def step_name(schema: Schema) -> str:
    """What the report calls a step."""
    field = schema.steps[0]
    if schema.form != "text" or not isinstance(field, Text):
        return "step"
    return {"char": "character", "word": "word", "bpe": "piece"}[field.unit]


def _compare(
    model: FittedModel, split: Split, task: LikelihoodTask, samples: int, neighbours: int, garch: WindowedGarch | None
) -> tuple[Comparison, PositionScores, Section]:
    """Real and generated sequences, the baselines' forecasts, and scores by position; of very many, a subsample.

    The section shows a few of the sequences themselves.
    """
    net, codec, seed = model.net_, model.codec_, task.seed
    max_train = max(1, MAX_GENERATED_STEPS // max(codec.longest, 1))
    max_test = max(1, MAX_GENERATED_STEPS // max(samples * codec.longest, 1))
    rows, train_rows = subsample(len(split.test), max_test, seed), subsample(len(split.train), max_train, seed)
    test, encoded = split.test.take(rows), split.test_encoded.take(rows)
    train, train_encoded = split.train.take(train_rows), split.train_encoded.take(train_rows)
    phase("evaluation: generating")
    generated = generate_like(net, codec, test, encoded, samples, seed)
    synthetic_train = generate_like(net, codec, train, train_encoded, 1, seed + 1).examples
    row, row_net, drawn = model.config_.row, model.row_net_, None
    if row is not None and row_net is not None and not is_constant(row.codec):
        drawn = with_drawn_inputs(row_net, row.codec, codec, test, seed + 2)
    sets = (train, test, generated.examples, synthetic_train, generated.ended, drawn)
    comparison = comparison_of(codec.schema, *sets)
    asked = task._replace(train=task.train.take(train_rows), test=task.test.take(rows))
    phase("evaluation: baselines")
    baselines = forecasts_of_baselines(comparison, asked, neighbours)
    if garch is not None:
        baselines[GARCH_NAME] = garch.sample(asked.test, samples, seed)
    scored = min(samples, MAX_SCORED_SAMPLES)
    some = (np.arange(len(test))[:, None] * samples + np.arange(scored)).ravel()
    fields = tuple(field.name for field in codec.schema.steps)
    scores = position_scores(net, fields, encoded, generated.encoded.take(some), comparison.real.clusters, scored)
    shown = examples(codec, test, generated.examples, subsample(len(test), MAX_EXAMPLES, seed))
    return replace(comparison, baselines=baselines), scores, shown


def forecasts_of_baselines(comparison: Comparison, task: LikelihoodTask, neighbours: int) -> dict[str, SampleSet]:
    """By name, the forecasts of all baselines, as many for each held-out input as the model generated.

    There are none if the steps hold no numbers, because only numbers are scored. The task has the training and held-out
    sequences of the comparison as scorable sets. `neighbours` is the number for the baseline "nearest input".
    """
    train, rows, samples, seed = comparison.train, len(comparison.real), comparison.samples, task.seed
    if not comparison.real.numbers:
        return {}
    near = look_up(task.test, task.train, seed).first(neighbours)
    return {
        "training at random": simulated.training_at_random(train, rows, samples, seed),
        NEAREST_NAME: nearest_sequences(train, near, samples, seed),
        "independent steps": simulated.independent_steps(train, rows, samples, seed),
        "AR(1)": simulated.autoregressive_sequences(train, task.train, task.test, task.targets, samples, seed),
        "block bootstrap": simulated.block_bootstrap(train, rows, samples, seed),
    }
