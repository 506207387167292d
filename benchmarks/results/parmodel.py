"""DeepEcho's PARModel on the same split, judged by the sections of the report that need samples alone.

`Exchange` says what it gets. Its licence (BUSL 1.1) allows a comparison; it comes with the extra `bench` alone.
"""

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.results.exchange import NUMBER, Exchange
from benchmarks.results.figures import SAMPLES, figures_of
from benchmarks.results.tasks import Task
from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather_fitted
from unspool.model import OneToMany


class ParModel:
    """PARModel behind the tables of a task."""

    def __init__(self, exchange: Exchange, epochs: int) -> None:
        import torch
        from deepecho import PARModel

        torch.manual_seed(0)
        self.exchange, key = exchange, exchange.key
        rows, contexts = exchange.split(exchange.task.train)
        data = rows.join(contexts, on=key)
        types = {name: "categorical" if name in exchange.symbols else "continuous" for name in data if name != key}
        for name, kind in types.items():
            if kind == "categorical":
                data[name] = data[name].astype(object).where(data[name].notna(), None)
        self.model: Any = PARModel(epochs=epochs, cuda=False, verbose=False)
        self.model._verbose = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.fit(data, entity_columns=[key], context_columns=list(contexts), data_types=types)

    def sample(self, table: pd.DataFrame, samples: int) -> Examples:
        """So many sequences for each sequence of a table, as examples of the same schema."""
        known = self.exchange.split(table)[1].to_numpy(object)
        frames = []
        for number, context in enumerate(np.repeat(known, samples, axis=0)):
            drawn = self.model.sample_sequence([None if pd.isna(x) else x for x in context])
            frame = pd.DataFrame(dict(zip(self.model._data_columns, drawn, strict=True)))
            frames.append(frame.assign(**{NUMBER: number}))
        return self.exchange.examples(pd.concat(frames, ignore_index=True), table, samples)


def figures_of_parmodel(task: Task, model: OneToMany, epochs: int) -> dict[str, Any]:
    """Fit it, sample from it, and judge the samples.

    Args:
        task: the data.
        model: ours, whose schema says how tables are read.
        epochs: of its training.
    """
    codec = model.codec_
    start = time.perf_counter()
    other = ParModel(Exchange(task, codec), epochs)
    fitting = time.perf_counter() - start
    train, test = gather_fitted(codec, task.train), gather_fitted(codec, task.test)
    start = time.perf_counter()
    synthetic, synthetic_train = other.sample(task.test, SAMPLES), other.sample(task.train, 1)
    pace = (time.perf_counter() - start) / (len(synthetic) + len(synthetic_train))
    found = figures_of(model, train, test, synthetic, synthetic_train)
    return {"epochs": epochs, "seconds": fitting, "pace": pace, "paths": SAMPLES, "figures": found}
