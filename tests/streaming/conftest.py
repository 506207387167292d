"""Purchases of 60 customers: sorted by customer in three parts, and the same rows shuffled."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unspool as us
from unspool.pipeline import FitRequest
from unspool.pipeline import gathered as pipeline_gathered
from unspool.runtime.progress import show
from unspool.runtime.stopping import Stop
from unspool.streaming import blocks, ids

SEQUENCE = ["price", "kind", "items"]


def write(table, folder, parts=3):
    """A folder of parts, whose borders lie within sequences."""
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(table)), parts)):
        pq.write_table(table.take(rows), folder / f"part-{number}.parquet", row_group_size=50)
    return folder


def purchases(sequences=60, seed=0):
    """Rows of customers with 3 to 9 purchases each; ids don't rise, and dates are out of order within an id."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 10, sequences)
    owner, steps = np.repeat(np.arange(sequences), lengths), int(lengths.sum())
    number = np.concatenate([rng.permutation(length) for length in lengths])
    return pa.table(
        {
            "customer": [f"c{7 * k % sequences}" for k in owner.tolist()],
            "number": number,
            "region": np.array(["north", "south"])[owner % 2],
            "price": np.round(rng.normal(10, 3, steps), 2),
            "kind": rng.choice(["a", "b", "c"], steps),
            "items": rng.integers(0, 6, steps),
        }
    )


def fit(data, sequence=SEQUENCE, inputs="region", **options):
    """A tiny model, after a few updates."""
    training = us.Training(epochs=1, draw_inputs=False)
    settings = {"network": us.Network(size=4), "training": training, "verbose": False}
    return us.OneToMany(inputs, sequence, **settings).fit(data, **{"id": "customer", "order": "number"} | options)


def request_of(data, cache, sequence=SEQUENCE, inputs="region", key="customer", order="number"):
    """A fit of a tiny model."""
    params = us.OneToMany(inputs, sequence, verbose=False).get_params()
    training = us.Training(epochs=1, draw_inputs=False)
    return FitRequest(data, None, key, order, None, params, us.Network(size=4), training, cache=cache)


@contextlib.contextmanager
def gathered(data, cache, *columns, **options):
    """What a fit finds in data on disk before it trains."""
    with show(False), pipeline_gathered(request_of(data, cache, *columns, **options), Stop()) as found:
        yield found


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks and partitions of few sequences, so that small data have many."""
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 400)
    monkeypatch.setattr(ids, "PARTITION_VALUES", 800)


@pytest.fixture
def small_sample(small_blocks, monkeypatch):
    """A sample of a few sequences."""
    monkeypatch.setattr(blocks, "MAX_SAMPLE_VALUES", 300)
    monkeypatch.setattr(blocks, "MIN_SAMPLE_SEQUENCES", 8)


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The table, its rows shuffled, and folders of both."""
    table = purchases()
    shuffled = table.take(np.random.default_rng(1).permutation(len(table)))
    root = tmp_path_factory.mktemp("shop")
    return SimpleNamespace(
        table=table,
        shuffled=shuffled,
        sorted_parts=write(table, root / "sorted"),
        shuffled_parts=write(shuffled, root / "shuffled"),
    )


@pytest.fixture(scope="session")
def models(shop):
    """The models of both tables, fitted in memory."""
    return SimpleNamespace(table=fit(shop.table), shuffled=fit(shop.shuffled))
