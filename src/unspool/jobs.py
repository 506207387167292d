"""Generation jobs: a request, checked, and run as a whole, part by part, or step by step."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.config import InputModel
from unspool.constraints.base import Allowed, Observed
from unspool.constraints.fields import read_allow
from unspool.constraints.pins import encode_observed
from unspool.constraints.prefix import is_prefix_per_row
from unspool.encoding.codec import Codec
from unspool.encoding.input_rows import MAX_ROW_FIELDS, as_inputs, from_nothing
from unspool.errors import OptionError, SchemaError
from unspool.generation.beam import check_beam, search
from unspool.generation.calibration import FIRST_CALIBRATION_ROW
from unspool.generation.sample_step import STREAM_STEPS
from unspool.generation.sampler import TILE_ROWS, SampleRequest, check_sampling, chunks, rule_of, sample_sequences
from unspool.generation.support import with_support
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN
from unspool.options import RULES, Beam, Sampling, unknown_option
from unspool.sequences import Sequences, file_types
from unspool.tables.columns import ColumnOrigins, offsets_from_lengths, take
from unspool.tables.table import Table, installed
from unspool.tables.writers import save_parts

MAX_PART_STEPS, MAX_PART_ROWS = 1 << 22, 64 * TILE_ROWS
"""Steps and sequences of one part at the most: some hundred megabytes of Python objects; a row group in Parquet."""
INPUT_SEED_BIT = 1 << 63
"""Bit of the seed that is flipped for sampled inputs, so that they share no uniform with sequences."""


class Event(NamedTuple):
    """One step of a stream.

    Attributes:
        row: of the inputs, counted from 0, as are `sample` among the row's sequences and `step`.
        value: in the form of the training data; of a text, the characters that the step adds.
    """

    row: int
    sample: int
    step: int
    value: Any


class Fitted(NamedTuple):
    """The parts of a model that generate; those of the model of its inputs are `None` where there is none."""

    codec: Codec
    net: Net
    input_model: InputModel | None
    input_net: Net | None


@dataclass(frozen=True)
class GenerationOptions:
    """The options of `OneToMany.generate`, as the user gave them."""

    length: int | None = None
    seed: int | None = None
    rule: Sampling | Beam | str = "sample"
    prefix: Any = None
    pin: Any = None
    allow: Any = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "GenerationOptions":
        """The options of these names; an `OptionError` for an unknown name."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise unknown_option("generation", name, known)
        return cls(**options)

    def named_rule(self) -> Sampling | Beam:
        """The rule, looked up if it is a name; an `OptionError` for an unknown rule."""
        rule = RULES.get(self.rule) if isinstance(self.rule, str) else self.rule
        if not isinstance(rule, (Sampling, Beam)):
            raise OptionError("rule", f"Sampling(...), Beam(...), or one of {', '.join(RULES)}", repr(self.rule))
        return rule


class InputSampler(NamedTuple):
    """The network that samples inputs, and the codec of its rows (`unspool.encoding.input_rows`).

    The `total` rows become tables of a kind. Prefix and pins of the options are checked with the inputs of every part.
    """

    net: Net
    codec: Codec
    total: int
    kind: str
    options: GenerationOptions
    allowed: tuple[Allowed | None, ...]


@dataclass(frozen=True)
class GenerationJob:
    """A checked generation.

    Attributes:
        net: the network.
        codec: the fitted columns.
        request: for the sampler.
        inputs: the table of inputs. `None` while they are not sampled yet: then `before` is empty, and `request` has
            neither inputs nor observed values.
        before: by field, (len(inputs),) the values before step 0.
        beam: of a beam search; `None` for sampling.
        sampler: of sampled inputs; `None` for given ones.
    """

    net: Net
    codec: Codec
    request: SampleRequest
    inputs: Table | None
    before: Mapping[str, NDArray[np.float64]]
    beam: Beam | None = None
    sampler: InputSampler | None = None

    @property
    def total(self) -> int:
        """Number of sequences."""
        rows = self.sampler.total if self.sampler is not None else len(self.inputs or ())
        return rows * self.request.samples

    def run(self) -> Sequences:
        """All sequences."""
        return self._run_part(slice(0, self.total))

    def parts(self) -> Iterator[Sequences]:
        """The same sequences, lazily in parts.

        A part of short sequences is a multiple of the sampler's tile, so that numbers are those of `run` to the bit.
        Otherwise it is a power of two, and numbers may differ in the last digits of float32.
        """
        rows = min(max(MAX_PART_STEPS // max(self.request.max_steps, 1), 1), MAX_PART_ROWS)
        rows = rows // TILE_ROWS * TILE_ROWS if rows >= TILE_ROWS else 1 << rows.bit_length() - 1
        if self.beam is not None:  # a search finds all samples of a row at once
            rows = max(rows // self.request.samples, 1) * self.request.samples
        for first in range(0, self.total, rows):
            yield self._run_part(slice(first, min(first + rows, self.total)))

    def save(self, target: str | Path | IO[Any], *, long: bool | None, format: str | None) -> None:  # noqa: A002
        """Write the sequences to a file, part by part; see `Sequences.save`."""
        types = partial(file_types, self.codec, self.inputs, long, ranked=self.beam is not None)
        save_parts((part.file_columns(long) for part in self.parts()), types, target, format)

    def stream(self) -> Iterator[Event]:
        """The same sequences, step by step, those of a tile side by side."""
        for start in range(0, self.total, TILE_ROWS):
            job, part = self.with_inputs(slice(start, min(start + TILE_ROWS, self.total)))
            number = np.arange(part.start, part.stop)
            row, sample = number // job.request.samples, number % job.request.samples
            before: dict[str, NDArray[Any]] = {name: values[row] for name, values in job.before.items()}
            step = 0
            for chunk in chunks(job.net, job.request, part, STREAM_STEPS):
                offsets = offsets_from_lengths(chunk.alive.sum(0))
                values = tuple(values.swapaxes(0, 1)[chunk.alive.T] for values in chunk.values)
                columns, last = job.codec.decode_on(values, offsets, before, *job.observed_values(row, offsets, step))
                shown = job.codec.show(columns, offsets, apart=True)
                for t, k in np.argwhere(chunk.alive).tolist():
                    yield Event(int(row[k]) + job.request.first_row, int(sample[k]), step + t, shown[k][t])
                step += len(chunk.alive)
                before |= last

    def with_inputs(self, part: slice) -> tuple["GenerationJob", slice]:
        """A job with inputs, and the slice of a part in it; sampled inputs are those of the part, of whole rows."""
        if self.sampler is None:
            return self, part
        samples, options = self.request.samples, self.sampler.options
        rows = slice(part.start // samples, part.stop // samples)
        inputs = sample_inputs(self.sampler, self.codec, self.request.seed, rows)
        prefix, pin = options.prefix, options.pin
        prefix = prefix[rows] if is_prefix_per_row(prefix, self.codec.schema.form) else prefix
        pin = pin[rows] if isinstance(pin, (list, tuple)) else pin
        request = self.request._replace(first_row=rows.start)
        job = _on_inputs(replace(self, request=request, sampler=None), inputs, prefix, pin, self.sampler.allowed)
        return job, slice(0, job.total)

    def observed_values(
        self, row: NDArray[np.int64], offsets: NDArray[np.int64], first: int = 0
    ) -> tuple[Mapping[str, NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]:
        """`observed` and `upper` of `Codec.decode_on`, for the steps from `first` on of sequences of (N,) rows."""
        observed = self.request.observed
        if observed is None:
            return {}, {}
        lengths = np.diff(offsets)
        step = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + first
        at, inside = observed.at(np.repeat(row, lengths), step)
        if not inside.any():
            return {}, {}
        names = [field.name for field in self.codec.schema.steps]
        exact = {
            name: np.where(inside, field.exact[at], np.nan)
            for name, field in zip(names, observed.fields, strict=True)
            if field.exact is not None
        }
        uppers = zip(names, observed.upper, strict=True)
        return exact, {name: np.where(inside, upper[at], np.inf) for name, upper in uppers if upper is not None}

    def _run_part(self, part: slice) -> Sequences:
        job, part = self.with_inputs(part)
        request, nats, scores = job.request, None, None
        rows = slice(part.start // request.samples, -(-part.stop // request.samples))
        if job.beam is None:
            values, offsets, ended = sample_sequences(job.net, request, part)
        else:
            values, offsets, ended, nats, scores = search(job.net, request, job.beam, rows)
        row = np.arange(part.start, part.stop) // request.samples
        before = {name: values[row] for name, values in job.before.items()}
        columns, _ = job.codec.decode_on(values, offsets, before, *job.observed_values(row, offsets))
        inputs = job.inputs
        assert inputs is not None  # noqa: S101  # `with_inputs` has sampled them
        if (rows.start, rows.stop) != (0, len(inputs)):
            at = np.arange(rows.start, rows.stop)
            inputs = replace(inputs, columns={name: take(column, at) for name, column in inputs.columns.items()})
        first = part.start + request.first_row * request.samples
        return Sequences(job.codec, inputs, columns, offsets, ended, request.samples, request.seed, first, nats, scores)


def generation_job(fitted: Fitted, inputs: Any, n: int, options: GenerationOptions) -> GenerationJob:
    """A job that generates `n` sequences for every row of a table of inputs; errors as of `OneToMany.generate`."""
    job, allowed = _job(fitted, n, options)
    return _on_inputs(job, fitted.codec.read_inputs(inputs), options.prefix, options.pin, allowed)


def sampling_job(fitted: Fitted, n: int, options: GenerationOptions) -> GenerationJob:
    """A job that samples `n` rows of inputs and a sequence for each; errors as of `OneToMany.sample`."""
    job, allowed = _job(fitted, 1, options)
    check_whole(f"n={n!r}", n, 1)
    _check_rows(n)
    if fitted.input_model is None or fitted.input_net is None:
        hint = f"Pass inputs to generate; or fit again, with at most {MAX_ROW_FIELDS} inputs, not draw_inputs=False."
        raise OptionError("sample", "a model that learned to sample inputs", "one that did not", hint)
    prefix = options.prefix
    if prefix is not None and is_prefix_per_row(prefix, fitted.codec.schema.form) and len(prefix) != n:
        raise SchemaError("prefix", f"one for all, or one for each of the {n} rows", str(len(prefix)))
    _check_last(encode_observed(fitted.codec, None, options.pin, int(n), None, allowed), job.request)
    kind = installed(fitted.input_model.table)
    sampler = InputSampler(fitted.input_net, fitted.input_model.codec, int(n), kind, options, allowed)
    return replace(job, sampler=sampler)


def sample_inputs(sampler: InputSampler, codec: Codec, seed: int, part: slice) -> Table:
    """Some of the rows, as a table of inputs. Whole tiles are sampled, so that a row never depends on their number."""
    first, last = part.start // TILE_ROWS * TILE_ROWS, -(-part.stop // TILE_ROWS) * TILE_ROWS
    request = SampleRequest(from_nothing(last - first), 1, seed ^ INPUT_SEED_BIT, PLAIN, 1, 1, first_row=first)
    values, _, _ = sample_sequences(sampler.net, with_support(request, sampler.codec, {}, last - first))
    chosen = tuple(column[part.start - first : part.stop - first] for column in values)
    columns = sampler.codec.decode(chosen, np.arange(part.stop - part.start + 1))
    origins: ColumnOrigins = {}
    for field in codec.schema.inputs:
        if field.name in codec.origins:
            origins[(field.name,)] = codec.origins[field.name]
    return Table(as_inputs(codec, sampler.codec, columns), sampler.kind, "the sampled inputs", origins)


def check_whole(location: str, value: Any, least: int) -> None:
    """Refuse a value that is no whole number, or too small."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(location, f"a whole number, at least {least}", repr(value))


def _job(fitted: Fitted, n: int, options: GenerationOptions) -> tuple[GenerationJob, tuple[Allowed | None, ...]]:
    """A job without inputs, its options checked, and the allowed values."""
    codec, net, rule = fitted.codec, fitted.net, options.named_rule()
    for name, value, least in (("n", n, 1), ("length", options.length, 0), ("seed", options.seed, 0)):
        if value is not None:
            check_whole(f"{name}={value!r}", value, least)
    allowed = read_allow(codec, options.allow)
    if isinstance(rule, Beam):
        check_beam(rule, net, [field.name for field in codec.schema.steps], n)
    else:
        check_sampling(rule, net)
    beam = rule if isinstance(rule, Beam) else None
    request = SampleRequest(
        inputs=(),
        samples=int(n) if beam is None else beam.best,
        seed=secrets.randbits(32) if options.seed is None else int(options.seed),
        rule=rule_of(rule) if isinstance(rule, Sampling) else PLAIN,
        length=codec.longest if options.length is None and codec.shortest == codec.longest else options.length,
        limit=rule.limit or max(2 * codec.longest, 1),
    )
    return GenerationJob(net, codec, request, None, {}, beam), allowed


def _on_inputs(
    job: GenerationJob, inputs: Table, prefix: Any, pin: Any, allowed: tuple[Allowed | None, ...]
) -> GenerationJob:
    """The job with a table of inputs, and with the observed values that fit them."""
    _check_rows(job.request.first_row + len(inputs))
    before = job.codec.bases(inputs)
    observed = encode_observed(job.codec, prefix, pin, len(inputs), before, allowed)
    _check_last(observed, job.request)
    request = job.request._replace(inputs=job.codec.encode_inputs(inputs))
    request = with_support(request, job.codec, before, len(inputs), observed, allowed)
    return replace(job, request=request, inputs=inputs, before=before)


def _check_rows(rows: int) -> None:
    """Refuse rows whose uniforms are those of calibration."""
    if rows > FIRST_CALIBRATION_ROW:
        raise SchemaError("inputs", f"at most {FIRST_CALIBRATION_ROW:,} rows", f"{rows:,}", "Generate parts of them.")


def _check_last(observed: Observed | None, request: SampleRequest) -> None:
    """Refuse pins past the end."""
    step, name = (-1, "") if observed is None else observed.pinned
    if request.length is not None and step >= request.length:
        raise OptionError(f"pin: {name}", f"steps before the length, {request.length}", f"step {step}")
    if request.length is None and step >= request.limit:
        hint = "Ask for a length, or for a larger limit: Sampling(limit=...)."
        raise OptionError(f"pin: {name}", f"steps before the limit, {request.limit}", f"step {step}", hint)
