"""What a request becomes: all sequences at once, part by part so that memory stays flat, or step by step."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.codec.codec import Codec
from unspool.codec.columns import Symbols
from unspool.codec.table import Table
from unspool.codec.units import joined, of_bytes
from unspool.generation.beam import search
from unspool.generation.engine import SHORT, TILE, Request, chunks, generate
from unspool.network.net import Net
from unspool.options import Beam
from unspool.schema.arrays import lay
from unspool.schema.moments import as_number
from unspool.sequences import Sequences

STEPS, ROWS = 1 << 22, 64 * TILE
"""Steps and sequences of one part at the most: some hundred megabytes of Python's objects; a row group in Parquet."""


class Event(NamedTuple):
    """One step of a stream: of which input row, which of its samples, at which position."""

    row: int
    sample: int
    step: int
    value: Any


class Order(NamedTuple):
    """Everything of a generation, checked.

    Attributes:
        net: the network.
        codec: the fitted columns.
        request: what to generate.
        table: the inputs.
        bases: by number field, (len(table),) what a difference goes on from at step 0.
        beam: where the sequences are searched for; else they are drawn.
    """

    net: Net
    codec: Codec
    request: Request
    table: Table
    bases: Mapping[str, NDArray[np.float64]]
    beam: Beam | None = None

    @property
    def total(self) -> int:
        """Sequences in all."""
        return len(self.table) * self.request.samples


def whole(order: Order) -> Sequences:
    """All sequences."""
    return _made(order, slice(0, order.total))


def parts(order: Order) -> Iterator[Sequences]:
    """The same sequences, some at a time; each part is made when it is asked for.

    A part is a multiple of the engine's tile where sequences are short enough, so that numbers are those of `whole` to
    the bit; where they are longer, a power of two, and numbers may differ in the last digits of float32.
    """
    request = order.request
    longest = max(request.limit if request.length is None else request.length, 1)
    rows = min(max(STEPS // longest, 1), ROWS)
    rows = rows // TILE * TILE if rows >= TILE else 1 << rows.bit_length() - 1
    if order.beam is not None:  # it finds all samples of a row at once
        rows = max(rows // request.samples, 1) * request.samples
    for first in range(0, order.total, rows):
        yield _made(order, slice(first, min(first + rows, order.total)))


def events(order: Order) -> Iterator[Event]:
    """The same sequences, every step as it comes, those of a tile side by side."""
    for start in range(0, order.total, TILE):
        rows = np.arange(start, min(start + TILE, order.total))
        owner, sample = rows // order.request.samples, rows % order.request.samples
        before = {name: base[owner] for name, base in order.bases.items()}
        step = 0
        for chunk in chunks(order.net, order.request, slice(rows[0], rows[-1] + 1), SHORT):
            offsets = lay(chunk.alive.sum(0))
            flat = tuple(values.swapaxes(0, 1)[chunk.alive.T] for values in chunk.values)
            columns = order.codec.decode(flat, offsets, before)
            shown = order.codec.show(columns, offsets, apart=True)
            for t in range(len(chunk.alive)):
                for k in np.flatnonzero(chunk.alive[t]):
                    yield Event(int(owner[k]), int(sample[k]), step + t, shown[k][t])
            step += len(chunk.alive)
            before = _last(columns, offsets, before) | _left(order.codec, flat, offsets, before)


def _last(
    columns: Mapping[str, NDArray[Any]], offsets: NDArray[np.int64], before: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """By number field, the last present value of each sequence so far: what a difference goes on from."""
    last = {}
    for name, values in columns.items():
        if values.dtype.kind not in "ifM":
            continue
        values = as_number(values)
        known = before.get(name, np.full(len(offsets) - 1, np.nan)).copy()
        for k, (start, end) in enumerate(itertools.pairwise(offsets)):
            present = values[start:end][~np.isnan(values[start:end])]
            known[k] = present[-1] if len(present) else known[k]
        last[name] = known
    return last


def _left(
    codec: Codec, values: tuple[NDArray[Any], ...], offsets: NDArray[np.int64], before: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """By field of text in pieces of bytes, the bytes of each sequence that are no whole character yet."""
    return {
        field.name: joined(column, codes, offsets, before.get(field.name))[1]
        for field, column, codes in zip(codec.schema.steps, codec.steps, values, strict=True)
        if isinstance(column, Symbols) and of_bytes(field)
    }


def _made(order: Order, part: slice) -> Sequences:
    request, nats, scores = order.request, None, None
    if order.beam is None:
        values, offsets, ended = generate(order.net, request, part)
    else:
        inputs = slice(part.start // request.samples, part.stop // request.samples)
        values, offsets, ended, nats, scores = search(order.net, request, order.beam, inputs)
    row = np.arange(part.start, part.stop) // request.samples
    columns = order.codec.decode(values, offsets, {name: base[row] for name, base in order.bases.items()})
    made = request.samples, request.seed, part.start
    return Sequences(order.codec, order.table, columns, offsets, ended, *made, nats, scores)
