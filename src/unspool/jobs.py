"""Generation jobs: a request, checked, and run as a whole, part by part, or step by step."""

import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from unspool.config import InputModel
from unspool.constraints.base import Allowed, Observed
from unspool.constraints.fields import read_allow
from unspool.constraints.pins import encode_observed
from unspool.constraints.prefix import is_prefix_per_row
from unspool.encoding.codec import Codec
from unspool.encoding.input_rows import MAX_ROW_FIELDS, KnownRows, known_rows
from unspool.errors import OptionError, SchemaError
from unspool.generation.beam import check_beam, search
from unspool.generation.calibration import FIRST_CALIBRATION_ROW
from unspool.generation.inputs import InputSampler
from unspool.generation.sample_step import STREAM_STEPS
from unspool.generation.sampler import TILE_ROWS, SampleRequest, check_sampling, chunks, rule_of, sample_sequences
from unspool.generation.support import with_support
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN
from unspool.options import RULES, Beam, Decoding, Sampling, Typical, Unknown, unknown_option
from unspool.reranking import Reranking
from unspool.runtime.progress import portion, report_progress
from unspool.sequences import FileForm, Sequences, file_types
from unspool.tables.columns import ColumnOrigins, offsets_from_lengths, take
from unspool.tables.table import Table, installed
from unspool.tables.writers import FileType, column_types, save_parts

MAX_PART_STEPS, MAX_PART_ROWS = 1 << 22, 64 * TILE_ROWS
"""Steps and sequences of one part at the most: some hundred megabytes of Python objects; a row group in Parquet."""
DRAWING = f"with at most {MAX_ROW_FIELDS} inputs, not draw_inputs=False"
"""How a model is fitted that draws inputs."""
MAX_COUNT, MAX_SEED = 2**31 - 1, 2**64 - 1
"""Largest number of sequences or steps, whose numbers have 32 bits; and largest seed."""


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
    rule: Decoding | str = "sample"
    prefix: Any = None
    pin: Any = None
    allow: Any = None
    unknown: Unknown = "refuse"
    best_of: int | None = None
    key: Any = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "GenerationOptions":
        """The options of these names; an `OptionError` for an unknown name."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise unknown_option("generation", name, ["n", *known])
        return cls(**options)

    def named_rule(self) -> Decoding:
        """The rule, looked up if it is a name; an `OptionError` for an unknown rule."""
        rule = RULES.get(self.rule) if isinstance(self.rule, str) else self.rule
        if not isinstance(rule, Decoding):
            expected = f"Sampling(...), Beam(...), Typical(...), or one of {', '.join(RULES)}"
            raise OptionError("rule", expected, repr(self.rule))
        return rule.but(best=self.best_of) if isinstance(rule, Beam) and self.best_of is not None else rule

    def reranking(self, n: int) -> Reranking | None:
        """Which candidates of a row are kept; `None` where all are. An `OptionError` for options that contradict."""
        rule = self.named_rule()
        if self.best_of is None and self.key is not None:
            raise OptionError("generate(key=...)", "best_of too", "none", "Pass best_of=20, say.")
        if self.best_of is not None:
            check_whole(f"best_of={self.best_of!r}", self.best_of, int(n))
            if not callable(self.key):
                hint = "Pass key=len, say; the sequences with the highest keys are kept."
                raise OptionError(
                    "generate(key=...)", "a function of a sequence, which ranks them", repr(self.key), hint
                )
            if isinstance(rule, Typical):
                raise OptionError("generate(best_of=...)", "a rule that samples or searches", repr(rule))
            return Reranking(int(n), self.key)
        if isinstance(rule, Typical):
            if n != 1:
                hint = "There is one typical sequence for each input."
                raise OptionError(f"n={n}", "1, for Typical(...)", str(n), hint)
            return Reranking(1, None, rule.distance)
        return None


class InputSource(Protocol):
    """Rows of inputs that are read or drawn part by part."""

    @property
    def each(self) -> int:
        """Rows for each row of the caller's."""

    @property
    def drawn(self) -> tuple[str, ...]:
        """The inputs that the given table lacks; empty where none is given, or all are."""

    def __len__(self) -> int: ...

    def types(self) -> Mapping[str, FileType]:
        """By column that is given, the type that a file has for it."""

    def table(self, seed: int, rows: slice) -> Table:
        """Some of the rows."""


class DrawnInputs(NamedTuple):
    """Inputs that the model of inputs draws, all of them or those that a table lacks.

    Attributes:
        sampler: draws them.
        total: number of rows.
        kind: of table.
        given: the table with the inputs that are given; `None` where all are drawn.
    """

    sampler: InputSampler
    total: int
    kind: str
    given: Table | None

    def __len__(self) -> int:
        return self.total

    @property
    def each(self) -> int:
        """Rows for each row of the caller's."""
        return self.sampler.each

    @property
    def drawn(self) -> tuple[str, ...]:
        """The inputs that the given table lacks; empty where none is given."""
        given = None if self.given is None else self.given.columns
        fields = self.sampler.codec.schema.inputs
        return tuple(field.name for field in fields if given is not None and field.name not in given)

    def types(self) -> Mapping[str, FileType]:
        """By column that is given, the type that a file has for it."""
        return {} if self.given is None else column_types(self.given.columns)

    def table(self, seed: int, rows: slice) -> Table:
        """Some of the rows."""
        columns = self.sampler.draw(seed, rows)
        known = self.sampler.codec.origins
        origins: ColumnOrigins = {(name,): known[name] for name in columns if name in known}
        if self.given is None:
            return Table(columns, self.kind, "the sampled inputs", origins)
        at = np.arange(rows.start, rows.stop) // self.sampler.each
        given = {name: take(column, at) for name, column in self.given.columns.items()}
        drawn = {name: columns[name] for name in self.drawn}
        return Table(given | drawn, self.kind, self.given.location, origins | self.given.origins)


class LaterInputs(NamedTuple):
    """Inputs that come part by part; prefix and pins are checked with the inputs of every part.

    Attributes:
        source: of the rows.
        options: of the generation.
        allowed: the allowed values.
    """

    source: InputSource
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
        later: the source of inputs that are drawn; `None` where all are given.
        reranking: which of the samples of each row are kept; `None` for all.
    """

    net: Net
    codec: Codec
    request: SampleRequest
    inputs: Table | None
    before: Mapping[str, NDArray[np.float64]]
    beam: Beam | None = None
    later: LaterInputs | None = None
    reranking: Reranking | None = None

    @property
    def total(self) -> int:
        """Number of sequences, candidates included."""
        rows = len(self.later.source if self.later is not None else self.inputs or ())
        return rows * self.request.samples

    def run(self) -> Sequences:
        """All sequences."""
        return self._run_part(slice(0, self.total))

    def parts(self, within: slice | None = None) -> Iterator[Sequences]:
        """The same sequences, or some of them, lazily in parts.

        A part of short sequences is a multiple of the sampler's tile, so that numbers are those of `run` to the bit.
        Otherwise it is a power of two, and numbers may differ in the last digits of float32.
        """
        first, stop = (0, self.total) if within is None else (within.start, within.stop)
        for at in range(first, stop, self.part_rows):
            last = min(at + self.part_rows, stop)
            with portion((at - first) / (stop - first), (last - first) / (stop - first)):
                part = self._run_part(slice(at, last))
            yield part

    @property
    def part_rows(self) -> int:
        """Sequences of one part of `parts`."""
        rows = min(max(MAX_PART_STEPS // max(self.request.max_steps, 1), 1), MAX_PART_ROWS)
        rows = rows // TILE_ROWS * TILE_ROWS if rows >= TILE_ROWS else 1 << rows.bit_length() - 1
        if self.beam is not None or self.reranking is not None:  # all samples of a row at once
            rows = max(rows // self.request.samples, 1) * self.request.samples
        return rows

    def save(self, target: str | Path | IO[Any], form: FileForm) -> None:
        """Write the sequences to a file, part by part; see `Sequences.save`."""
        self.save_part(None, target, form)

    def save_part(self, within: slice | None, target: str | Path | IO[Any], form: FileForm) -> None:
        """As `save`, some of the sequences."""
        given = column_types(self.inputs.columns) if self.inputs is not None else self.later.source.types()  # type: ignore[union-attr]
        types = partial(file_types, self.codec, given, form.long, ranked=self.beam is not None)
        parts = (part.file_columns(form.long) for part in self.parts(within))
        save_parts(parts, types, target, form.format, escape_formulas=form.escape_formulas)

    def stream(self) -> Iterator[Event]:
        """The same sequences, step by step, those of a tile side by side."""
        for start in range(0, self.total, TILE_ROWS):
            job, part = self.with_inputs(slice(start, min(start + TILE_ROWS, self.total)))
            show = job.events(part)
            for chunk in chunks(job.net, job.request, part, STREAM_STEPS):
                lengths = chunk.alive.sum(0)
                yield from show(tuple(values.swapaxes(0, 1)[chunk.alive.T] for values in chunk.values), lengths)

    def events(self, part: slice) -> Callable[[tuple[NDArray[Any], ...], NDArray[np.int64]], Iterator[Event]]:
        """A function that shows steps of a part of a job with inputs: call it with the next steps of all its sequences.

        It takes by field the values of these steps, end to end, and how many steps each sequence has of them. It gives
        the events of the first of these steps of all sequences, then those of the second.
        """
        number = np.arange(part.start, part.stop)
        row, shown_rows, sample = number // self.request.samples, *self.request.counters(number)
        before: dict[str, NDArray[Any]] = {name: values[row] for name, values in self.before.items()}
        step = 0

        def show(values: tuple[NDArray[Any], ...], lengths: NDArray[np.int64]) -> Iterator[Event]:
            nonlocal step, before
            offsets = offsets_from_lengths(lengths)
            columns, last = self.codec.decode_on(values, offsets, before, *self.observed_values(row, offsets, step))
            shown = self.codec.show(columns, offsets, apart=True)
            first, step, before = step, step + int(lengths.max(initial=0)), before | last
            who = [*zip(shown_rows.tolist(), sample.tolist(), shown, strict=True)]
            return (
                Event(own_row, own_sample, first + t, steps[t])
                for t in range(step - first)
                for own_row, own_sample, steps in who
                if t < len(steps)
            )

        return show

    def with_inputs(self, part: slice) -> tuple["GenerationJob", slice]:
        """A job with inputs, and the slice of a part in it; inputs that come later are those of the part."""
        if self.later is None:
            return self, part
        later, samples = self.later, self.request.samples
        options = later.options
        rows = slice(part.start // samples, -(-part.stop // samples))
        callers = [row // later.source.each for row in range(rows.start, rows.stop)]
        prefix, pin = options.prefix, options.pin
        prefix = [prefix[row] for row in callers] if is_prefix_per_row(prefix, self.codec.schema.form) else prefix
        pin = [pin[row] for row in callers] if isinstance(pin, (list, tuple)) else pin
        request = self.request._replace(first_row=rows.start)
        inputs = later.source.table(self.request.seed, rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what there is to say of given inputs has been said
            job = _on_inputs(replace(self, request=request, later=None), inputs, options, prefix, pin, later.allowed)
        before = rows.start * samples
        return job, slice(part.start - before, part.stop - before)

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
        names = [field.name for field, _ in self.codec.step_columns()]
        exact = {
            name: np.where(inside, field.exact[at], np.nan)
            for name, field in zip(names, observed.fields, strict=True)
            if field.exact is not None
        }
        uppers = zip(names, observed.upper, strict=True)
        return exact, {name: np.where(inside, upper[at], np.inf) for name, upper in uppers if upper is not None}

    def _run_part(self, part: slice) -> Sequences:
        job, part = self.with_inputs(part)
        if job.beam is None:
            return self.finish(job, part, *sample_sequences(job.net, job.request, part))
        samples = job.request.samples
        rows = slice(part.start // samples, -(-part.stop // samples))
        return self.finish(job, part, *search(job.net, job.request, job.beam, rows, report_progress))

    def finish(
        self,
        job: "GenerationJob",
        part: slice,
        values: tuple[NDArray[Any], ...],
        offsets: NDArray[np.int64],
        ended: NDArray[np.bool_],
        nats: NDArray[np.float64] | None = None,
        scores: NDArray[np.float64] | None = None,
    ) -> Sequences:
        """The sequences of a part, see `with_inputs`, from what a sampler or a search has made of it."""
        request = job.request
        rows = slice(part.start // request.samples, -(-part.stop // request.samples))
        row = np.arange(part.start, part.stop) // request.samples
        before = {name: column[row] for name, column in job.before.items()}
        columns, _ = job.codec.decode_on(values, offsets, before, *job.observed_values(row, offsets))
        inputs = job.inputs
        assert inputs is not None  # noqa: S101  # `with_inputs` has sampled them
        if (rows.start, rows.stop) != (0, len(inputs)):
            at = np.arange(rows.start, rows.stop)
            inputs = replace(inputs, columns={name: take(column, at) for name, column in inputs.columns.items()})
        first = part.start + request.first_row * request.samples
        drawn = () if self.later is None else self.later.source.drawn
        counts = (request.samples, request.seed, first, request.each, drawn)
        made = Sequences(job.codec, inputs, columns, offsets, ended, *counts, nats, scores)
        return made if self.reranking is None else self.reranking.of(made)


def generation_job(fitted: Fitted, inputs: Any, n: int, options: GenerationOptions) -> GenerationJob:
    """A job that generates `n` sequences for every row of a table of inputs; errors as of `OneToMany.generate`.

    Where the table lacks inputs, each of the sequences has its own; those of one search share them.
    """
    job, allowed = _job(fitted, n, options)
    codec, table = fitted.codec, fitted.codec.read_inputs(inputs, some=True)
    names = [field.name for field in codec.schema.inputs]
    missing = [name for name in names if name not in table.columns]
    if not missing:
        table.need(names)
        return _on_inputs(job, table, options, options.prefix, options.pin, allowed)
    if fitted.input_model is None or fitted.input_net is None:
        hint = f"{table.unknown(missing).hint} Give them too; or, to have them drawn, fit again, {DRAWING}."
        raise _with_hint(table.unknown(missing), hint)
    if len(missing) == len(names):
        raise _with_hint(table.unknown(missing), "Give one of them at least; to draw all of them, use sample(n).")
    table.need([])
    codec.encode_inputs(table, some=True, unknown=options.unknown)
    each = 1 if job.beam is not None or job.reranking is not None else job.request.samples
    sampler = _input_sampler(fitted, known_rows(codec, fitted.input_model.codec, table.columns), each)
    request = job.request._replace(samples=job.request.samples // each, each=each)
    later = LaterInputs(DrawnInputs(sampler, len(table) * each, table.kind, table), options, allowed)
    return _on_later(replace(job, request=request), later, len(table))


def sampling_job(fitted: Fitted, n: int, options: GenerationOptions) -> GenerationJob:
    """A job that samples `n` rows of inputs and a sequence for each; errors as of `OneToMany.sample`."""
    job, allowed = _job(fitted, 1, options)
    if not isinstance(n, (int, float, np.number)):
        expected, found = "how many rows of inputs to sample", type(n).__name__
        raise OptionError("sample(n=...)", expected, found, "For inputs of your own, call generate(inputs, n).")
    check_whole(f"n={n!r}", n, 1)
    _check_rows(n)
    if fitted.input_model is None or fitted.input_net is None:
        hint = f"Pass inputs to generate; or fit again, {DRAWING}."
        raise OptionError("sample", "a model that learned to sample inputs", "one that did not", hint)
    kind = installed(fitted.input_model.table)
    drawn = DrawnInputs(_input_sampler(fitted), int(n), kind, None)
    return _on_later(job, LaterInputs(drawn, options, allowed), int(n))


def source_job(fitted: Fitted, source: InputSource, n: int, options: GenerationOptions) -> GenerationJob:
    """As `generation_job`, but the inputs, which have all columns, are read part by part."""
    job, allowed = _job(fitted, n, options)
    return _on_later(job, LaterInputs(source, options, allowed), len(source))


def exported_job(fitted: Fitted, options: GenerationOptions) -> GenerationJob:
    """A checked job without inputs, for a program that runs elsewhere; an `OptionError` for a search."""
    rule = options.named_rule()
    if not isinstance(rule, Sampling):
        hint = 'Export rule="sample", rule="greedy" or Sampling(...); search in Python: generate(rule=...).'
        raise OptionError("export(rule=...)", "a rule that samples step by step", repr(rule), hint)
    job, _ = _job(fitted, 1, options)
    if job.request.max_steps < 1:
        raise OptionError("export", "sequences of at least one step", "empty ones alone")
    return job


def _input_sampler(fitted: Fitted, known: KnownRows | None = None, each: int = 1) -> InputSampler:
    """The sampler of a model that has a model of inputs."""
    assert fitted.input_model is not None  # noqa: S101  # the caller has checked
    assert fitted.input_net is not None  # noqa: S101
    return InputSampler.of(fitted.input_net, fitted.input_model.codec, fitted.codec, known, each)


def check_whole(location: str, value: Any, least: int, most: int = MAX_COUNT) -> None:
    """Refuse a value that is no whole number, too small or too large."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(location, f"a whole number, at least {least}", repr(value))
    if value > most:
        raise OptionError(location, f"a whole number, at most {most:,}", repr(value))


def _job(fitted: Fitted, n: int, options: GenerationOptions) -> tuple[GenerationJob, tuple[Allowed | None, ...]]:
    """A job without inputs, its options checked, and the allowed values."""
    codec, net, rule = fitted.codec, fitted.net, options.named_rule()
    if options.unknown not in get_args(Unknown):
        raise OptionError("generate(unknown=...)", "'refuse' or 'missing'", repr(options.unknown))
    check_whole(f"n={n!r}", n, 1)
    for name, value, most in (("length", options.length, MAX_COUNT), ("seed", options.seed, MAX_SEED)):
        if value is not None:
            check_whole(f"{name}={value!r}", value, 0, most)
    allowed, reranking = read_allow(codec, options.allow), options.reranking(n)
    beam, samples = None, n if options.best_of is None else options.best_of
    if isinstance(rule, Beam):
        check_beam(rule, net, [field.name for field, _ in codec.step_columns()], 1 if reranking is not None else n)
        beam, samples = rule, rule.best
    elif isinstance(rule, Typical):
        samples = rule.samples
    else:
        check_sampling(rule, net)
    # A hypothesis ends where the network says so, for its score has the probability of that.
    ends = rule.limit is None and codec.limit > 0 and beam is None and options.prefix is None and options.pin is None
    request = SampleRequest(
        inputs=(),
        samples=int(samples),
        seed=secrets.randbits(32) if options.seed is None else int(options.seed),
        rule=rule_of(rule) if isinstance(rule, Sampling) else PLAIN,
        length=codec.longest if options.length is None and codec.shortest == codec.longest else options.length,
        limit=codec.limit if ends else rule.limit or codec.most_steps,
        ends=ends,
    )
    return GenerationJob(net, codec, request, None, {}, beam, None, reranking), allowed


def _on_inputs(
    job: GenerationJob,
    inputs: Table,
    options: GenerationOptions,
    prefix: Any,
    pin: Any,
    allowed: tuple[Allowed | None, ...],
) -> GenerationJob:
    """The job with a table of inputs, and with the observed values that fit them."""
    _check_rows(job.request.first_row + len(inputs))
    before = job.codec.bases(inputs)
    observed = encode_observed(job.codec, prefix, pin, len(inputs), before, allowed)
    _check_last(observed, job.request)
    request = job.request._replace(inputs=job.codec.encode_inputs(inputs, unknown=options.unknown))
    request = with_support(request, job.codec, before, len(inputs), observed, allowed)
    return replace(job, request=request, inputs=inputs, before=before)


def _on_later(job: GenerationJob, later: LaterInputs, rows: int) -> GenerationJob:
    """The job with inputs that are drawn later, for so many rows of the caller's."""
    prefix, pin = later.options.prefix, later.options.pin
    if prefix is not None and is_prefix_per_row(prefix, job.codec.schema.form) and len(prefix) != rows:
        raise SchemaError("prefix", f"one for all, or one for each of the {rows} rows", str(len(prefix)))
    _check_rows(len(later.source))
    _check_last(encode_observed(job.codec, None, pin, rows, None, later.allowed), job.request)
    return replace(job, later=later)


def _with_hint(error: SchemaError, hint: str) -> SchemaError:
    return SchemaError(error.location, error.expected, error.found, hint.strip())


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
