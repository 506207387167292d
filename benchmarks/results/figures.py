"""The figures of a report that need generated sequences alone, for any model."""

from dataclasses import replace

import numpy as np

from benchmarks.results.tasks import Task
from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather_fitted
from unspool.evaluation.baselines.likelihoods import LikelihoodTask, best_neighbours
from unspool.evaluation.evaluate import comparison_sections, forecasts_of_baselines
from unspool.evaluation.samples.build import comparison_of, scorable_sets, targets_of
from unspool.evaluation.samples.generate import generate_like
from unspool.model import OneToMany

SAMPLES = 30
"""Sequences for each held-out input: PARModel samples in a Python loop."""


def figures_of_unspool(task: Task, model: OneToMany) -> dict[str, float | None]:
    """The figures of our model."""
    net, codec = model.net_, model.codec_
    train, test = gather_fitted(codec, task.train), gather_fitted(codec, task.test)
    drawn = generate_like(net, codec, test, codec.encode(test), SAMPLES, 0)
    synthetic_train = generate_like(net, codec, train, codec.encode(train), 1, 1).examples
    return figures_of(model, train, test, drawn.examples, synthetic_train, drawn.ended)


def figures_of(
    model: OneToMany,
    train: Examples,
    test: Examples,
    synthetic: Examples,
    synthetic_train: Examples,
    ended: np.ndarray | None = None,
) -> dict[str, float | None]:
    """The figures of the sections that compare real and generated sequences, as a report names them.

    Args:
        model: ours, for the schema and the baselines.
        train: what was learned from.
        test: what was held out.
        synthetic: generated for the inputs of `test`, as many for each.
        synthetic_train: generated for those of `train`, one for each.
        ended: whether each of `synthetic` stopped by itself; None if all did.
    """
    codec = model.codec_
    comparison = comparison_of(codec.schema, train, test, synthetic, synthetic_train, ended)
    sets = scorable_sets(codec, *((data, codec.encode(data)) for data in (train, test)))
    task = LikelihoodTask(*sets, targets_of(codec), model.net_.shape.stops, 0)
    baselines = forecasts_of_baselines(comparison, task, best_neighbours(task))
    sections = comparison_sections(replace(comparison, baselines=baselines), 0)
    return {f"{one.name}.{name}": value for one in sections for name, value in one.figures.items()}
