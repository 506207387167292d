"""Reading data larger than memory with the columns of a fitted model: a sample of it, or all of it block by block."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather_fitted
from unspool.dataset.roles import Roles, columns_of, roles_of
from unspool.encoding.codec import Codec
from unspool.schema.fields import Schema
from unspool.streaming.blocks import Blocks, draw
from unspool.tables.parts import Parts, find_large
from unspool.tables.table import Table, arrow_table


def gather_sample(codec: Codec, data: Any, steps: Any, seed: int) -> tuple[Examples, tuple[str, ...]]:
    """Examples as `gather_fitted` reads them; of data larger than memory a seeded sample, which the notes say."""
    if steps is not None or (parts := find_large(data)) is None:
        return gather_fitted(codec, data, steps), ()
    with tempfile.TemporaryDirectory(prefix="unspool-") as folder:
        blocks = open_blocks(parts, codec.schema, folder)
        block = draw(blocks, seed)
    examples = gather_fitted(codec, arrow_table(block.table, parts.name))
    note = (
        f"{parts.name} is larger than memory: every figure is about {len(block.first):,} of its {len(blocks):,} "
        "sequences, a sample by the seed."
    )
    return examples, (note,)


def gather_blocks(codec: Codec, data: Any, steps: Any) -> Iterator[tuple[NDArray[np.int64] | slice, Examples]]:
    """Examples as `gather_fitted` reads them, with their positions; of data larger than memory block by block."""
    if steps is not None or (parts := find_large(data)) is None:
        yield slice(None), gather_fitted(codec, data, steps)
        return
    with tempfile.TemporaryDirectory(prefix="unspool-") as folder:
        blocks = open_blocks(parts, codec.schema, folder)
        for block in blocks:
            yield np.searchsorted(blocks.first, block.first), gather_fitted(codec, arrow_table(block.table, parts.name))


def open_blocks(parts: Parts, schema: Schema, folder: str) -> Blocks:
    """The blocks of parts that have the columns of a schema; a `SchemaError` lists those that they lack."""
    roles = roles_of(schema, parts.columns)
    names = columns_read(parts, roles, schema.id, schema.order)
    return Blocks(parts, names, schema.id, schema.order, Path(folder))


def columns_read(parts: Parts, roles: Roles, key: str | None, order: str | None) -> list[str] | None:
    """The columns that roles need of parts, None for all; a `SchemaError` lists those that the parts lack."""
    asked = [name for item in (*roles.inputs, *(roles.sequence or ())) for name in columns_of(item)]
    names = [name for name in dict.fromkeys([*asked, key, order]) if name is not None]
    Table({name: np.zeros(1) for name in parts.columns}, "parquet", parts.name).need(names)
    return None if roles.sequence is None else names
