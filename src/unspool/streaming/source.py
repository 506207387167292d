"""Data larger than memory: a sample that knows every extreme of the whole, and all sequences encoded on disk.

The schema and the columns are fitted to a sample of whole sequences. Then all sequences are encoded, block by block.
A sequence that the fitted columns can't hold (an unseen category, a missing value, a number off the grid, a broken
relation), or that lies beyond the range of the sample, joins the sample, and the columns are fitted again. So what
the columns state of all data is true of all data: vocabularies, grids, bounds, relations, whether values are missing.
Means, scales, quantiles and shares are those of the sample. Data that are no larger than the sample are the sample:
then all is as it would be in memory.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.dataset.gather import gather_fitted
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.encoding.vocabulary import distinct
from unspool.errors import DataError, SchemaError
from unspool.runtime.processes import ProcessGroup, check_same
from unspool.runtime.progress import report_progress
from unspool.streaming.blocks import Block, Blocks, draw, exchange_blocks, in_order
from unspool.streaming.cache import MANIFEST, SAMPLE, Cache, CacheWriter
from unspool.streaming.stored import StoredSequences
from unspool.tables.parts import Parts
from unspool.tables.table import Table, arrow_table

MAX_REFUSED = 16
"""Sequences of a block that join the sample in one pass because the columns can't hold them."""
MAX_PASSES = 10
"""Passes over the data until the columns hold every sequence."""
BYTES_PER_ENCODED_VALUE = 4


class Source:
    """Sequences of parts that may be larger than memory.

    Args:
        parts: the data.
        columns: those that are read; None for all.
        key: the column that identifies sequences; None where each row is one.
        order: the column that orders their steps.
        cache: where they are encoded.
        seed: of the sample.
        options: whatever else the fitted columns depend on.
    """

    def __init__(
        self,
        parts: Parts,
        columns: Sequence[str] | None,
        key: str | None,
        order: str | None,
        cache: Cache,
        seed: int,
        options: Any = None,
    ) -> None:
        self.parts, self.cache, self.seed = parts, cache, seed
        self.layout = columns, key, order
        identity = parts.identity()
        self.request = digest([identity, parts.size, *self.layout, seed, options])
        # Another machine may have a copy of the parts, with other paths and times.
        check_same({"data": digest([[size for _, size, _ in identity], parts.size, *self.layout, seed, options])[:12]})
        self.manifest = cache.manifest(self.request)
        self.sample, self.passes = self._draw() if self.manifest is None else self._sample_again(), 0

    def __len__(self) -> int:
        return len(self.first)

    @functools.cached_property
    def blocks(self) -> Blocks:
        """The data block by block; those whose ids are not next to each other are partitioned on disk first."""
        columns, key, order = self.layout
        return Blocks(self.parts, columns, key, order, self.cache.folder, self.cache.group)

    @functools.cached_property
    def first(self) -> NDArray[np.int64]:
        """(N,) the number of the first row of every sequence."""
        return self.blocks.first if self.manifest is None else self.cache.whole(self.manifest, "first")

    @property
    def is_whole(self) -> bool:
        """Whether the sample is all there is."""
        return len(self.sample.first) == len(self)

    @property
    def sampled(self) -> NDArray[np.int64]:
        """(K,) the positions of the sequences of the sample, rising."""
        return np.searchsorted(self.first, self.sample.first)

    @property
    def table(self) -> Table:
        """The sample."""
        return arrow_table(self.sample.table, self.parts.name)

    @property
    def notes(self) -> list[str]:
        """Lines about the data that a fit prints."""
        lines = []
        if not self.is_whole:
            lines.append(
                f"larger than memory: scales, quantiles and shares are those of {len(self.sample.first):,} of "
                f"{len(self):,} sequences, sampled with the seed; vocabularies and ranges are those of all"
            )
        if "blocks" in self.__dict__ and not self.blocks.is_sorted:
            lines.append("the rows of an id were not next to each other: all rows were written to disk once more")
        return lines

    def encode(
        self, codec: Codec, examples: Examples, encoded: Encoded, *, fixed: bool = False
    ) -> StoredSequences | None:
        """All sequences on disk, encoded; None if some of them joined the sample, to which the codec must be fitted.

        Args:
            codec: fitted to the sample.
            examples: the sample.
            encoded: the same, by the codec.
            fixed: whether the codec is that of another fit: a sequence that it can't hold is an error.

        Raises:
            SchemaError: a sequence that the codec can't hold although it was fitted to it.
            FileError: the disk is full.
        """
        fitted = digest(msgspec.to_builtins(codec))
        if self.manifest is not None and self.manifest.codec == fitted:
            return self.cache.open(self.manifest)
        self.passes += 1
        if self.passes > MAX_PASSES:
            expected = f"columns that hold every sequence after {MAX_PASSES} passes"
            hint = "Pass fields for columns that differ from one sequence to the next, such as Text or Number."
            raise DataError(self.parts.name, expected, "ever more values that the sample lacked", hint)
        check_same({"columns fitted to the sample": fitted[:12]})
        group, first, self.manifest = self.cache.group, self.first, None
        group.from_first(lambda: self.cache.clear(MANIFEST, "*.bin"))
        misfits = Misfits(codec, measures(codec, examples, encoded), self.sample)
        with CacheWriter.begin(self.cache, first) as writer:

            def own() -> Iterator[None]:
                for done, block in enumerate_sequences(self.blocks):
                    report_progress(min(1.0, group.count * done / len(first)), f"pass {self.passes}")
                    read = misfits.encode(block, self.parts.name, fixed=fixed)
                    if read is not None and not misfits.found:
                        writer.add(read, np.searchsorted(first, block.first))
                    yield

            group.run(own())
            if joined := misfits.gathered(group):
                self.sample = in_order([self.sample, *joined])
                return None
            stored = writer.finish(self.request, fitted, self.sample.numbered)
        if group.number == 0:
            self.cache.clear("partition-*.arrow")
        return stored

    def _draw(self) -> Block:
        """A sample of whole sequences, by the seed; all of them where they are no more than a sample has."""

        def prepare() -> None:
            self.cache.clear()
            self.cache.need(BYTES_PER_ENCODED_VALUE * self.parts.size.cells)

        self.cache.group.from_first(prepare)
        return draw(self.blocks, self.seed)

    def _sample_again(self) -> Block:
        """The sample that the cache holds."""
        import pyarrow as pa

        with pa.memory_map(str(self.cache.folder / SAMPLE)) as file:
            return Block.of(pa.ipc.open_file(file).read_all())


class Misfits:
    """Finds sequences that fitted columns can't hold, or that lie beyond the range of the sample.

    Args:
        codec: fitted to the sample.
        known: `measures` of the sample.
        sample: its sequences.
    """

    def __init__(self, codec: Codec, known: "Measures", sample: Block) -> None:
        self.codec, self.sample = codec, sample
        self.refused: list[Block] = []
        self.reasons: dict[str, int] = {}  # and the number of the first sequence that joins for it
        self.ends = {(name, sign): float((sign * values).max()) for name, values in known for sign in (-1.0, 1.0)}
        self.furthest: dict[Any, Block] = {}

    @property
    def found(self) -> list[Block]:
        """The sequences so far; some may be there twice."""
        return [*self.refused, *self.furthest.values()]

    def gathered(self, group: ProcessGroup) -> list[Block]:
        """The sequences that join the sample: those that one process would find in the blocks of all, in their order.

        Of a symbol that several processes have found, the first sequence counts; of what lies beyond, the furthest.
        """
        furthest = [(str(key), self.ends[key], int(block.first[0])) for key, block in self.furthest.items()]
        everyone = group.gather(lambda: msgspec.json.encode((self.reasons, furthest)))
        reasons: dict[str, int] = {}
        beyond: dict[str, tuple[float, int]] = {}
        for said in everyone:
            own, ends = msgspec.json.decode(said, type=tuple[dict[str, int], list[tuple[str, float, int]]])
            reasons = own | reasons
            for name, end, sequence in ends:
                if name not in beyond or end > beyond[name][0]:
                    beyond[name] = end, sequence
        joining = [*reasons.values(), *(sequence for _, sequence in beyond.values())]
        found = [block.take(np.isin(block.first, joining)) for block in exchange_blocks(group, self.found)]
        return [block for block in found if len(block.first)]

    def encode(self, block: Block, location: str, *, fixed: bool) -> Encoded | None:
        """The sequences of a block, encoded; None if the columns can't hold all of them."""
        try:
            examples, encoded = self._read(block, location, strict=not fixed)
        except SchemaError:
            if fixed:
                raise
            rows = self._cannot_hold(block, location)
            new = self._not_sampled(block, rows)
            if new is None:
                raise
            self._join(block, rows)
            self.refused.append(new)
            return None
        if not fixed:
            if (new := self._not_sampled(block, self._unseen(block, examples, encoded))) is not None:
                self.refused.append(new)
            self._beyond(block, examples, encoded)
        return encoded

    def _read(self, block: Block, location: str, *, strict: bool = True) -> tuple[Examples, Encoded]:
        examples = gather_fitted(self.codec, arrow_table(block.table, location))
        for field, column in self.codec.input_columns() if strict else ():
            column.encode_input(examples.inputs[field.name], examples.input_location(field.name))
        return examples, self.codec.encode(examples)

    def _not_sampled(self, block: Block, rows: NDArray[np.int64]) -> Block | None:
        """Some sequences of a block without those of the sample; None if no other is left."""
        rows = rows[~np.isin(block.first[rows], self.sample.first)]
        return block.take(rows) if len(rows) else None

    def _join(self, block: Block, rows: NDArray[np.int64]) -> None:
        """Let sequences join whatever others have."""
        self.reasons |= {str(sequence): sequence for sequence in block.first[rows].tolist()}

    def _cannot_hold(self, block: Block, location: str) -> NDArray[np.int64]:
        """Some sequences that the columns refuse, by halving the block until no half has one or there are enough."""
        wrong: list[NDArray[np.int64]] = []
        halves = [np.arange(len(block.first))]
        while halves and len(wrong) < MAX_REFUSED:
            rows = halves.pop()
            try:
                self._read(block.take(rows), location)
            except SchemaError:
                if len(rows) == 1:
                    wrong.append(rows)
                else:
                    halves += np.array_split(rows, 2)
        return np.concatenate(wrong)

    def _unseen(self, block: Block, examples: Examples, encoded: Encoded) -> NDArray[np.int64]:
        """Sequences of symbols that the sample lacks, the first one for each of them."""
        owner = np.repeat(np.arange(len(encoded)), encoded.lengths)
        found = [np.zeros(0, np.int64)]
        for (field, column), values in zip(self.codec.step_columns(), encoded.steps, strict=True):
            if not field.columns or column.num_symbols is None or not (unseen := values == column.num_symbols).any():
                continue
            at, raw = np.flatnonzero(unseen), examples.steps.get(field.name)
            if raw is not None and raw.ndim == 1 and len(raw) == len(values):
                names, codes = distinct(raw[at])
                _, where = np.unique(codes, return_index=True)
                symbols = [f"{field.name}={name!r}" for name in names]
                new = [
                    (symbol, k) for symbol, k in zip(symbols, where.tolist(), strict=True) if symbol not in self.reasons
                ]
                at = at[[k for _, k in new]]
                sequences = block.first[owner[at]].tolist()
                self.reasons |= {symbol: sequence for (symbol, _), sequence in zip(new, sequences, strict=True)}
            else:
                self._join(block, owner[at])
            found.append(owner[at])
        return np.unique(np.concatenate(found))

    def _beyond(self, block: Block, examples: Examples, encoded: Encoded) -> None:
        """Keep the sequences whose values are the furthest beyond those of the sample."""
        owner = np.repeat(np.arange(len(encoded)), encoded.lengths)
        for name, values in measures(self.codec, examples, encoded):
            for sign in (-1.0, 1.0):
                at = int((sign * values).argmax())
                row = at if len(values) == len(encoded) else int(owner[at])
                new = (
                    self._not_sampled(block, np.array([row]))
                    if sign * values[at] > self.ends.get((name, sign), -np.inf)
                    else None
                )
                if new is not None:
                    self.ends[name, sign], self.furthest[name, sign] = float(sign * values[at]), new


Measures = list[tuple[tuple[str, str | int, int], NDArray[np.float64]]]
"""By name, (N,) or (S,) numbers."""


def measures(codec: Codec, examples: Examples, encoded: Encoded) -> Measures:
    """Everything whose range a model knows: lengths, inputs, and steps both in original units and encoded."""
    columns: list[tuple[str, str | int, NDArray[Any]]] = [("length", 0, encoded.lengths)]
    numeric = [field.name for field, column in codec.step_columns() if column.num_symbols is None and field.columns]
    columns += [("value", name, examples.steps[name]) for name in numeric]
    columns += [("input", j, values) for j, values in enumerate(encoded.inputs)]
    columns += [("step", j, values) for j, values in enumerate(encoded.steps)]
    found: Measures = []
    for role, name, values in columns:
        numbers = values.astype("datetime64[us]").astype(np.float64) if values.dtype.kind == "M" else values
        if numbers.dtype.kind == "f" or (numbers.dtype.kind == "i" and role in ("length", "value")):
            missing = np.isnat(values) if values.dtype.kind == "M" else ~np.isfinite(numbers)
            for d, (axis, absent) in enumerate(
                zip(*(a.reshape(len(a), -1).T for a in (numbers, missing)), strict=True)
            ):
                if not absent.all():
                    found.append(((role, name, d), np.where(absent, axis[np.argmin(absent)], axis).astype(np.float64)))
    return found


def enumerate_sequences(blocks: Iterable[Block]) -> Iterator[tuple[int, Block]]:
    """Every block, and how many sequences came before it."""
    done = 0
    for block in blocks:
        yield done, block
        done += len(block.first)


def digest(known: Any) -> str:
    """A hash of anything that JSON can hold."""
    return hashlib.sha256(msgspec.json.encode(known)).hexdigest()
