"""DeepEcho's PARModel on the same split, judged by the sections of the report that take samples alone.

It is given what a careful user would give it: symbols as symbols, the days between visits in place of a day that only
rises (as SDV does for it), and numbers rounded to the decimals of the data. Its licence (BUSL 1.1) allows a comparison;
it comes with the extra `bench` alone.
"""

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.results.tasks import Task
from unspool.dataset.examples import Examples
from unspool.encoding.monotone import IncrementEncoder
from unspool.evaluation.document import Section
from unspool.evaluation.samples.generate import made
from unspool.evaluation.samples.sample_set import material
from unspool.evaluation.sections.generated import sections
from unspool.model import OneToMany
from unspool.schema.fields import Category, Flag

PATHS = 30
"""Sequences for each held-out input. Its sampling is a Python loop."""
FIRST = "first "
"""What the names of a first record's columns start with, where it is the input."""


class Rival:
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
        data, self.context = self.laid(task.train)
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

    def laid(self, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
        """One row a step with its context, ordered, rising numbers as gaps; and the names of the context."""
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
        decimals = {name: locations(table[name]) for name in table if table[name].dtype.kind in "if"}
        frames = []
        for number, identity in enumerate(np.repeat(np.array(order, object), samples)):
            first = firsts.loc[identity]
            known = [first[name.removeprefix(FIRST)] for name in self.context]
            drawn = self.model.sample_sequence([None if pd.isna(x) else x for x in known])
            frame = pd.DataFrame(dict(zip(self.model._data_columns, drawn, strict=True)))
            for name in self.rising:
                frame[name] = risen(frame[name], decimals[name])
            if self.task.context is None:
                frame = pd.concat([first[list(frame)].to_frame().T, frame], ignore_index=True)
            for name in self.task.context or ():
                frame[name] = first[name]
            frames.append(frame.assign(**{self.key: number, ORDER: range(len(frame))}))
        whole = pd.concat(frames, ignore_index=True).infer_objects()
        for name in whole:
            if name in decimals and name not in (self.key, ORDER):
                whole[name] = pd.to_numeric(whole[name]).round(decimals[name])
        return self.codec.gather(self.named(whole))

    def named(self, whole: pd.DataFrame) -> pd.DataFrame:
        """The same with the order under the name that the model knows it by, unless that is a field of the steps."""
        order = self.task.keys["order"]
        return whole.drop(columns=ORDER) if order in self.rising else whole.rename(columns={ORDER: order})


ORDER = "position in the sequence"


def risen(gaps: pd.Series, decimals: int) -> pd.Series:
    """A number that only rises, from its gaps; no two steps are at one value, or they would have no order.

    >>> risen(pd.Series([-0.4, 3.2, -1.0]), 0).tolist()
    [0.0, 3.0, 4.0]
    """
    least = np.where(np.arange(len(gaps)) > 0, 10.0**-decimals, 0.0)
    return np.maximum(pd.to_numeric(gaps).round(decimals), least).cumsum()


def locations(column: pd.Series) -> int:
    """Decimals that all values of a column have at the most, up to 6."""
    there = column.dropna()
    return next((k for k in range(6) if np.allclose(there.round(k), there, atol=1e-9)), 6)


def theirs(task: Task, model: OneToMany, epochs: int) -> dict[str, Any]:
    """Fit it, sample from it, and judge the samples.

    Args:
        task: the data.
        model: ours, whose schema says how tables are read.
        epochs: of its training.
    """
    start = time.perf_counter()
    rival = Rival(task, model, epochs)
    fitting = time.perf_counter() - start
    codec = model.codec_
    train, test = codec.gather(task.train), codec.gather(task.test)
    start = time.perf_counter()
    paths, twins = rival.sample(task.test, test.ids or [], PATHS), rival.sample(task.train, train.ids or [], 1)
    pace = (time.perf_counter() - start) / (len(paths) + len(twins))
    found = figures(sections(material(codec.schema, train, test, paths, twins), 0))
    return {"epochs": epochs, "seconds": fitting, "pace": pace, "paths": PATHS, "figures": found}


def ours(task: Task, model: OneToMany) -> dict[str, float | None]:
    """The same figures of our model, from as many sequences."""
    codec = model.codec_
    train, test = codec.gather(task.train), codec.gather(task.test)
    paths, _, ended = made(model.net_, codec, test, codec.encode(test), PATHS, 0)
    twins = made(model.net_, codec, train, codec.encode(train), 1, 1).examples
    return figures(sections(material(codec.schema, train, test, paths, twins, ended), 0))


def figures(found: tuple[Section, ...]) -> dict[str, float | None]:
    """The figures of sections, as a report names them."""
    return {f"{one.name}.{name}": value for one in found for name, value in one.figures.items()}
