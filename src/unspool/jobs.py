"""What a request becomes: all sequences at once, part by part so that memory stays flat, or step by step."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.allowed import Allowed
from unspool.constraints.pins import encode_observed
from unspool.constraints.prefix import is_prefix_per_row
from unspool.encoding.codec import Codec
from unspool.encoding.columns import Vocabulary
from unspool.encoding.input_rows import NOTHING, as_inputs, from_nothing
from unspool.encoding.tokenizers import detokenize, is_bytes
from unspool.generation.beam import search
from unspool.generation.sampler import STREAM_STEPS, TILE_ROWS, SampleRequest, chunks, sample_sequences
from unspool.generation.support import with_support
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN
from unspool.options import Beam
from unspool.schema.monotone import as_number
from unspool.sequences import Sequences, sequence_template
from unspool.tables.columns import offsets_from_lengths
from unspool.tables.table import Table

MAX_PART_STEPS, MAX_PART_ROWS = 1 << 22, 64 * TILE_ROWS
"""Steps and sequences of one part at the most: some hundred megabytes of Python's objects; a row group in Parquet."""


class Event(NamedTuple):
    """One step of a stream: of which input row, which of its samples, at which position."""

    row: int
    sample: int
    step: int
    value: Any


class InputRowsJob(NamedTuple):
    """Inputs to draw.

    Attributes:
        net: the network that draws them.
        codec: theirs, see `unspool.encoding.input_rows`.
        total: how many.
        kind: of the table that they become.
        prefix: as the user gave it, since what it must agree with may be an input.
        pin: likewise.
        allowed: see `unspool.constraints.allowed`.
    """

    net: Net
    codec: Codec
    total: int
    kind: str
    prefix: Any = None
    pin: Any = None
    allowed: tuple[Allowed | None, ...] = ()


class GenerationJob(NamedTuple):
    """Everything of a generation, checked.

    Attributes:
        net: the network.
        codec: the fitted columns.
        request: what to generate.
        table: the inputs.
        bases: by number field, (len(table),) what a difference goes on from at step 0.
        beam: where the sequences are searched for; else they are drawn.
        rows: where the inputs are drawn too, part by part. Until then `table` only shows what they are like, `bases` is
            empty, and `request` has neither inputs nor anything given.
    """

    net: Net
    codec: Codec
    request: SampleRequest
    table: Table
    bases: Mapping[str, NDArray[np.float64]]
    beam: Beam | None = None
    rows: InputRowsJob | None = None

    @property
    def total(self) -> int:
        """Sequences in all."""
        return (len(self.table) if self.rows is None else self.rows.total) * self.request.samples


def run_whole(order: GenerationJob) -> Sequences:
    """All sequences."""
    return _made(order, slice(0, order.total))


def run_parts(order: GenerationJob) -> Iterator[Sequences]:
    """The same sequences, some at a time; each part is made when it is asked for.

    A part is a multiple of the engine's tile where sequences are short enough, so that numbers are those of `run_whole`
    to the bit; where they are longer, a power of two, and numbers may differ in the last digits of float32.
    """
    request = order.request
    longest = max(request.limit if request.length is None else request.length, 1)
    rows = min(max(MAX_PART_STEPS // longest, 1), MAX_PART_ROWS)
    rows = rows // TILE_ROWS * TILE_ROWS if rows >= TILE_ROWS else 1 << rows.bit_length() - 1
    if order.beam is not None:  # it finds all samples of a row at once
        rows = max(rows // request.samples, 1) * request.samples
    for first in range(0, order.total, rows):
        yield _made(order, slice(first, min(first + rows, order.total)))


def run_stream(whole_order: GenerationJob) -> Iterator[Event]:
    """The same sequences, every step as it comes, those of a tile side by side."""
    for start in range(0, whole_order.total, TILE_ROWS):
        order, part = with_inputs(whole_order, slice(start, min(start + TILE_ROWS, whole_order.total)))
        rows = np.arange(part.start, part.stop)
        owner, sample = rows // order.request.samples, rows % order.request.samples
        before = {name: base[owner] for name, base in order.bases.items()}
        step = 0
        for chunk in chunks(order.net, order.request, part, STREAM_STEPS):
            offsets = offsets_from_lengths(chunk.alive.sum(0))
            flat = tuple(values.swapaxes(0, 1)[chunk.alive.T] for values in chunk.values)
            given = observed_values(order, owner, offsets, step)
            columns = order.codec.decode(flat, offsets, before, *given)
            shown = order.codec.show(columns, offsets, apart=True)
            for t in range(len(chunk.alive)):
                for k in np.flatnonzero(chunk.alive[t]):
                    yield Event(int(owner[k]) + order.request.first_row, int(sample[k]), step + t, shown[k][t])
            step += len(chunk.alive)
            exact = order.codec.decode(flat, offsets, before, *given, rounded=False)
            before = _last(exact, offsets, before) | _left(order.codec, flat, offsets, before)


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
        field.name: detokenize(column, codes, offsets, before.get(field.name))[1]
        for field, column, codes in zip(codec.schema.steps, codec.steps, values, strict=True)
        if isinstance(column, Vocabulary) and is_bytes(field)
    }


def _made(order: GenerationJob, part: slice) -> Sequences:
    order, part = with_inputs(order, part)
    request, nats, scores = order.request, None, None
    if order.beam is None:
        values, offsets, ended = sample_sequences(order.net, request, part)
    else:
        inputs = slice(part.start // request.samples, part.stop // request.samples)
        values, offsets, ended, nats, scores = search(order.net, request, order.beam, inputs)
    row = np.arange(part.start, part.stop) // request.samples
    before = {name: base[row] for name, base in order.bases.items()}
    columns = order.codec.decode(values, offsets, before, *observed_values(order, row, offsets))
    first = part.start + request.first_row * request.samples
    made = request.samples, request.seed, first
    return Sequences(order.codec, order.table, columns, offsets, ended, *made, nats, scores, request.first_row)


def observed_values(
    order: GenerationJob, row: NDArray[np.int64], offsets: NDArray[np.int64], first: int = 0
) -> tuple[Mapping[str, NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]:
    """Numbers and moments that were given, as `known` and `most` of `Codec.decode`; nothing where none of them was.

    Args:
        order: with its inputs.
        row: (N,) of every sequence.
        offsets: (N + 1,) of their steps.
        first: number of the first of these steps.
    """
    observed = order.request.observed
    if observed is None:
        return {}, {}
    lengths = np.diff(offsets)
    step = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + first
    at, inside = observed.at(np.repeat(row, lengths), step)
    if not inside.any():
        return {}, {}
    names = [field.name for field in order.codec.schema.steps]
    ends = {name: most for name, most in zip(names, observed.most, strict=True) if most is not None}
    known = {name: np.where(inside, values[at], np.nan) for name, values in observed.known.items()}
    return known, {name: np.where(inside, most[at], np.inf) for name, most in ends.items()}


def with_inputs(order: GenerationJob, part: slice) -> tuple[GenerationJob, slice]:
    """An order that has its inputs, and where in it a part of the other is: drawn inputs are just those of the part.

    Args:
        order: the order.
        part: of its sequences; where inputs are drawn, whole rows.
    """
    if order.rows is None:
        return order, part
    samples = order.request.samples
    first, last = part.start // samples, part.stop // samples
    table = sample_inputs(order.rows, order.codec, order.request.seed, slice(first, last))
    bases = order.codec.bases(table)
    prefix, pin = order.rows.prefix, order.rows.pin
    prefix = prefix[first:last] if is_prefix_per_row(prefix, order.codec.schema.form) else prefix
    pin = pin[first:last] if isinstance(pin, (list, tuple)) else pin
    observed = encode_observed(order.codec, prefix, pin, len(table), bases, order.rows.allowed)
    request = order.request._replace(inputs=order.codec.encode_inputs(table), first_row=first)
    request = with_support(request, order.codec, bases, len(table), observed, order.rows.allowed)
    with_inputs = order._replace(request=request, table=table, bases=bases, rows=None)
    return with_inputs, slice(0, with_inputs.total)


def sample_inputs(rows: InputRowsJob, codec: Codec, seed: int, part: slice) -> Table:
    """Some of the rows, as a table of inputs.

    They are drawn a whole tile at a time, and so are the same to the bit however many are asked for. Their seed
    differs in its highest bit, so that they share no uniform with the sequences that are made for them.
    """
    first, last = part.start // TILE_ROWS * TILE_ROWS, -(-part.stop // TILE_ROWS) * TILE_ROWS
    request = SampleRequest(from_nothing(last - first), 1, seed ^ (1 << 63), PLAIN, 1, 1, first_row=first)
    values, _, _ = sample_sequences(rows.net, with_support(request, rows.codec, {}, last - first))
    kept = tuple(column[part.start - first : part.stop - first] for column in values)
    columns = rows.codec.decode(kept, np.arange(part.stop - part.start + 1))
    return Table(as_inputs(codec, rows.codec, columns), rows.kind, "the drawn inputs")


def row_template(rows: InputRowsJob, codec: Codec) -> Table:
    """Rows in which the type of every input shows."""
    nothing = Table({NOTHING: np.zeros(1)}, rows.kind, "the drawn inputs")
    columns = sequence_template(rows.codec, nothing, searched=False).columns
    return Table(as_inputs(codec, rows.codec, columns), rows.kind, "the drawn inputs")
