"""DeepEcho's PARModel on the same split, judged by the sections of the report that need samples alone.

It gets what a careful user would give it: symbols as symbols, the days between visits in place of a day that only
rises (as SDV does for it), and numbers rounded to the decimals of the data. Its licence (BUSL 1.1) allows a comparison;
it comes with the extra `bench` alone.
"""

import time
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.results.tasks import Task
from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather_fitted
from unspool.encoding.monotone import IncrementEncoder
from unspool.evaluation.baselines.likelihoods import LikelihoodTask, best_neighbours
from unspool.evaluation.evaluate import comparison_sections, forecasts_of_baselines
from unspool.evaluation.samples.build import comparison_of, scorable_sets, targets_of
from unspool.evaluation.samples.generate import generate_like
from unspool.model import OneToMany
from unspool.schema.fields import Category, Flag

SAMPLES = 30
"""Sequences for each held-out input: PARModel samples in a Python loop."""
FIRST = "first "
"""Prefix of the names of a first record's columns, where the first record is the input."""


class ParModel:
    """PARModel behind the tables of a task."""

    def __init__(self, task: Task, model: OneToMany, epochs: int) -> None:
        import torch
        from deepecho import PARModel

        torch.manual_seed(0)
        self.task, self.codec = task, model.codec_
        self.key = task.keys["id"]
        self.rising = [
            field.name
            for field, column in zip(self.codec.schema.steps, self.codec.steps, strict=True)
            if isinstance(column, IncrementEncoder)
        ]
        data, self.context = self.increments(task.train)
        fields = (*self.codec.schema.inputs, *self.codec.schema.steps)
        symbols = {field.name for field in fields if isinstance(field, (Category, Flag))}
        types = {
            name: "categorical" if name.removeprefix(FIRST) in symbols else "continuous"
            for name in data
            if name != self.key
        }
        for name, kind in types.items():
            if kind == "categorical":
                data[name] = data[name].astype(object).where(data[name].notna(), None)
        self.model: Any = PARModel(epochs=epochs, cuda=False, verbose=False)
        self.model._verbose = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.fit(data, entity_columns=[self.key], context_columns=self.context, data_types=types)

    def increments(self, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
        """One row a step with its context, in order, rising numbers as increments; and the names of the context."""
        table = table.sort_values([self.key, self.task.keys["order"]], kind="stable")
        steps = [field.name for field in self.codec.schema.steps]
        for name in self.rising:
            table[name] = table.groupby(self.key)[name].diff().fillna(table[name])
        if self.task.context is not None:
            return table[[self.key, *self.task.context, *steps]], list(self.task.context)
        first = table.groupby(self.key)[steps].nth(0).set_axis(table.drop_duplicates(self.key)[self.key], axis=0)
        later = table[table.groupby(self.key).cumcount() > 0]
        context = first.add_prefix(FIRST)
        return later[[self.key, *steps]].join(context, on=self.key), list(context)

    def sample(self, table: pd.DataFrame, order: list[Any], samples: int) -> Examples:
        """So many sequences for each sequence of a table, in a given order, as examples of the same schema."""
        table = table.sort_values([self.key, self.task.keys["order"]], kind="stable")
        firsts = table.drop_duplicates(self.key).set_index(self.key)
        decimals = {name: decimals_of(table[name]) for name in table if table[name].dtype.kind in "if"}
        frames = []
        for number, identity in enumerate(np.repeat(np.array(order, object), samples)):
            first = firsts.loc[identity]
            known = [first[name.removeprefix(FIRST)] for name in self.context]
            drawn = self.model.sample_sequence([None if pd.isna(x) else x for x in known])
            frame = pd.DataFrame(dict(zip(self.model._data_columns, drawn, strict=True)))
            for name in self.rising:
                frame[name] = accumulated(frame[name], decimals[name])
            if self.task.context is None:
                frame = pd.concat([first[list(frame)].to_frame().T, frame], ignore_index=True)
            for name in self.task.context or ():
                frame[name] = first[name]
            frames.append(frame.assign(**{self.key: number, ORDER: range(len(frame))}))
        whole = pd.concat(frames, ignore_index=True).infer_objects()
        for name in whole:
            if name in decimals and name not in (self.key, ORDER):
                whole[name] = pd.to_numeric(whole[name]).round(decimals[name])
        return gather_fitted(self.codec, self.named(whole))

    def named(self, whole: pd.DataFrame) -> pd.DataFrame:
        """The same with the order under the name that the model knows it by, unless that is a field of the steps."""
        order = self.task.keys["order"]
        return whole.drop(columns=ORDER) if order in self.rising else whole.rename(columns={ORDER: order})


ORDER = "position in the sequence"


def accumulated(increments: pd.Series, decimals: int) -> pd.Series:
    """A number that only rises, from its increments; no two steps have one value, or they would have no order.

    >>> accumulated(pd.Series([-0.4, 3.2, -1.0]), 0).tolist()
    [0.0, 3.0, 4.0]
    """
    smallest = np.where(np.arange(len(increments)) > 0, 10.0**-decimals, 0.0)
    return np.maximum(pd.to_numeric(increments).round(decimals), smallest).cumsum()


def decimals_of(column: pd.Series) -> int:
    """Decimals that all values of a column have at the most, up to 6."""
    there = column.dropna()
    return next((k for k in range(6) if np.allclose(there.round(k), there, atol=1e-9)), 6)


def figures_of_parmodel(task: Task, model: OneToMany, epochs: int) -> dict[str, Any]:
    """Fit it, sample from it, and judge the samples.

    Args:
        task: the data.
        model: ours, whose schema says how tables are read.
        epochs: of its training.
    """
    start = time.perf_counter()
    other = ParModel(task, model, epochs)
    fitting = time.perf_counter() - start
    codec = model.codec_
    train, test = gather_fitted(codec, task.train), gather_fitted(codec, task.test)
    start = time.perf_counter()
    synthetic, synthetic_train = (
        other.sample(table, data.ids or [], samples)
        for table, data, samples in ((task.test, test, SAMPLES), (task.train, train, 1))
    )
    pace = (time.perf_counter() - start) / (len(synthetic) + len(synthetic_train))
    found = _figures(model, train, test, synthetic, synthetic_train)
    return {"epochs": epochs, "seconds": fitting, "pace": pace, "paths": SAMPLES, "figures": found}


def figures_of_unspool(task: Task, model: OneToMany) -> dict[str, float | None]:
    """The same figures of our model, from as many sequences."""
    net, codec = model.net_, model.codec_
    train, test = gather_fitted(codec, task.train), gather_fitted(codec, task.test)
    drawn = generate_like(net, codec, test, codec.encode(test), SAMPLES, 0)
    synthetic_train = generate_like(net, codec, train, codec.encode(train), 1, 1).examples
    return _figures(model, train, test, drawn.examples, synthetic_train, drawn.ended)


def _figures(
    model: OneToMany,
    train: Examples,
    test: Examples,
    synthetic: Examples,
    synthetic_train: Examples,
    ended: np.ndarray | None = None,
) -> dict[str, float | None]:
    """The figures of the sections that compare real and generated sequences, as a report names them."""
    codec = model.codec_
    comparison = comparison_of(codec.schema, train, test, synthetic, synthetic_train, ended)
    sets = scorable_sets(codec, *((data, codec.encode(data)) for data in (train, test)))
    task = LikelihoodTask(*sets, targets_of(codec), model.net_.shape.stops, 0)
    baselines = forecasts_of_baselines(comparison, task, best_neighbours(task))
    sections = comparison_sections(replace(comparison, baselines=baselines), 0)
    return {f"{one.name}.{name}": value for one in sections for name, value in one.figures.items()}
