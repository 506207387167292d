"""A task's tables as other libraries take them, and the rows that they generate as examples of the same schema."""

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.results.tasks import Task
from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather_fitted
from unspool.dataset.windows import Windows
from unspool.dataset.windows import windows as cut_windows
from unspool.encoding.codec import Codec
from unspool.encoding.monotone import IncrementEncoder
from unspool.schema.fields import Category, Flag

FIRST = "first "
"""Prefix of the names of a first record's columns, where the first record is the input."""
NUMBER = "number of the sequence"
ORDER = "position in the sequence"


class Exchange:
    """What a careful user would give another library, and what comes back.

    Symbols are symbols. A number that only rises is given as its increments, as SDV does for PARModel, and added up
    again. Generated numbers are rounded to the decimals of the data.

    Attributes:
        key: the column that identifies sequences.
        steps: the columns of a step.
        symbols: columns that hold symbols, of steps and of contexts.
    """

    def __init__(self, task: Task, codec: Codec) -> None:
        self.task, self.codec = task, codec
        self.key, self.order = task.keys.get("id", NUMBER), task.keys.get("order", ORDER)
        self.steps = [name for field in codec.schema.steps for name in field.columns]
        self.rising = [
            field.name
            for field, column in zip(codec.schema.steps, codec.steps, strict=True)
            if isinstance(column, IncrementEncoder)
        ]
        fields = (*codec.schema.inputs, *codec.schema.steps)
        symbols = {name for field in fields if isinstance(field, (Category, Flag)) for name in field.columns}
        self.symbols = symbols | {FIRST + name for name in symbols}
        table = long_table(task.train)
        self.decimals = {name: decimals_of(table[name]) for name in table if table[name].dtype.kind in "if"}

    def split(self, data: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        """One row a step, in order and without the first record if it is the input; and by key what a sequence is of.

        Sequences are in the order of `gather_fitted`.
        """
        table = self.sorted(data)
        for name in self.rising:
            table[name] = table.groupby(self.key)[name].diff().fillna(table[name])
        firsts = table.drop_duplicates(self.key).set_index(self.key).loc[self.ids(data)]
        rows = table[[self.key, *self.steps]]
        if self.task.context is not None:
            return rows, firsts[list(self.task.context)]
        return rows[table.groupby(self.key).cumcount() > 0], firsts[self.steps].add_prefix(FIRST)

    def examples(self, generated: pd.DataFrame, data: Any, samples: int) -> Examples:
        """Generated rows of a table, numbered by `NUMBER` and in order, as examples.

        Args:
            generated: the rows; sequence k is for sequence k // samples of the data.
            data: the data whose inputs were given.
            samples: sequences for each of them.

        Raises:
            ValueError: a sequence is lacking.
        """
        firsts = self.sorted(data).drop_duplicates(self.key).set_index(self.key)
        firsts = firsts.loc[np.repeat(np.array(self.ids(data), object), samples)].reset_index(drop=True)
        whole = generated[[NUMBER, *self.steps]].copy()
        if self.task.context is None:
            whole = pd.concat([firsts[self.steps].assign(**{NUMBER: firsts.index}), whole])
            whole = whole.sort_values(NUMBER, kind="stable", ignore_index=True)
        for name in self.rising:
            decimals = self.decimals[name]
            whole[name] = whole.groupby(NUMBER)[name].transform(lambda x, d=decimals: accumulated(x, d))
        for name in self.task.context or ():
            whole[name] = firsts[name].loc[whole[NUMBER]].to_numpy()
        for name in self.decimals.keys() & {*self.steps}:
            whole[name] = pd.to_numeric(whole[name]).round(self.decimals[name])
        if (lacking := len(firsts) - whole[NUMBER].nunique()) > 0:
            raise ValueError(f"{lacking} of {len(firsts)} generated sequences have no step")
        return self._gathered(whole)

    def ids(self, data: Any) -> list[Any]:
        """The keys of the sequences, in the order of `gather_fitted`."""
        return list(range(len(data))) if isinstance(data, Windows) else gather_fitted(self.codec, data).ids or []

    def sorted(self, data: Any) -> pd.DataFrame:
        """One row a step with its inputs, in order."""
        return long_table(data).sort_values([self.key, self.order], kind="stable")

    def _gathered(self, whole: pd.DataFrame) -> Examples:
        position = whole.groupby(NUMBER).cumcount()
        if isinstance(self.task.train, Windows):
            length = self.task.train.length
            if (whole.groupby(NUMBER).size() != length).any():
                raise ValueError(f"a generated window does not have {length} steps")
            inputs, whole = list(self.task.context or ()), whole.assign(**{ORDER: range(len(whole))})
            cut = cut_windows(
                whole, order=ORDER, length=length, stride=length, inputs=inputs, sequence=self.steps, at="first"
            )
            return gather_fitted(self.codec, cut)
        if self.order not in self.rising:
            whole[self.order] = position
        return gather_fitted(self.codec, whole.rename(columns={NUMBER: self.key}))


def long_table(data: Any) -> pd.DataFrame:
    """A copy of a table, or windows as one row a step, numbered."""
    if not isinstance(data, Windows):
        return data.copy()
    raw, lengths = data.raw, np.diff(data.raw.offsets)
    number = np.repeat(np.arange(len(data)), lengths)
    table = {NUMBER: number, ORDER: np.arange(len(number)) - np.repeat(raw.offsets[:-1], lengths)}
    table |= {name: np.asarray(column)[number] for name, column in raw.inputs.items()}
    return pd.DataFrame(table | {name: np.asarray(column) for name, column in raw.steps.items()})


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
