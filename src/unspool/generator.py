"""What a fitted model makes: sequences for given inputs, whole synthetic data sets, files and streams of both."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import msgspec

from unspool.config import Config, versions
from unspool.encoding.codec import Codec
from unspool.errors import DataError, OptionError, check_kind
from unspool.jobs import (
    Event,
    Fitted,
    GenerationJob,
    GenerationOptions,
    check_whole,
    exported_job,
    generation_job,
    sampling_job,
    source_job,
)
from unspool.network.decoder import Net
from unspool.network.serialization import Nets, model_fingerprint
from unspool.options import Decoding, Unknown, known_options
from unspool.runtime.parts import JobRecord, PartsJob, is_folder, read_record
from unspool.runtime.process import enter
from unspool.runtime.progress import phase, report_progress, show
from unspool.sequences import FileForm, Sequences
from unspool.tables.readers import FORMATS
from unspool.tables.row_blocks import RowBlocks, TableRows, as_plain, is_parquet, parquet_rows

PIECES_PER_PART = 16
"""Pieces that a part of a folder is generated in, by default: row groups of a Parquet file."""


class Generator(ABC):
    """The part of a model that generates.

    Attributes:
        config_: the model file without the weights.
        net_: the network.
        row_net_: the network that samples inputs, or `None`.
        verbose: as of `OneToMany`.
    """

    config_: Config
    net_: Net
    row_net_: Net | None
    verbose: bool | None

    @property
    @abstractmethod
    def codec_(self) -> Codec:
        """The fitted columns; a `NotFittedError` without any."""

    @known_options
    def generate(
        self,
        inputs: Any = None,
        n: int = 1,
        *,
        length: int | None = None,
        seed: int | None = None,
        rule: Decoding | str = "sample",
        prefix: Any = None,
        pin: Any = None,
        allow: Any = None,
        unknown: Unknown = "refuse",
        best_of: int | None = None,
        key: Any = None,
    ) -> Sequences:
        """Generate `n` sequences for every input row.

        The same (seed, row, sample) gives the same sequence, whichever others are generated with it.

        Where a table lacks some of the input columns, they are drawn from the model of inputs (`Training.draw_inputs`),
        given those that it has. Each of the `n` sequences has drawn inputs of its own, which the result shows in a row
        for each sequence (`Sequences.inputs`, `to_frame`); those of one search, `Typical` or `best_of` share them. A
        value of `None` is a missing value, which is known, and not drawn.

        Args:
            inputs: any kind of table with input columns, or a dict of single values or lists; of a model of one input
                also bare values, as in `generate(["Irish", "Greek"])`; of a model without inputs
                nothing.
            n: sequences per row. With `Beam(best=...)`, leave it out.
            length: exact number of steps; `None` lets the network decide when to stop.
            seed: `None` takes a new seed, which the result keeps.
            rule: `"sample"`, `"greedy"` or `Sampling(...)` sample, `"beam"` or `Beam(...)` search for the likeliest,
                `"typical"` or `Typical(...)` takes the sample that is nearest to others.
            prefix: given first steps: one sequence for all rows, or a list with one for each. If words or pieces are
                the steps of a text, the text is cut as if it ended there: end it at the end of a word.
            pin: given values, `{step: {column: value}}` with steps counted from 0, for all rows, or a list with one for
                each; `None` is a missing value. Later samples depend on them. Earlier samples don't, except that a
                column that never falls stays below, and one that never rises above. No sequence stops before its last
                pin.
            allow: allowed samples, `{column: [values]}` of categories and flags, `{column: (low, high)}` of numbers and
                dates, where either may be `None`; (350, 10) of angles goes through the end of the circle. A sample is
                one of the learned distribution given that it is allowed; the probability of a missing number does not
                change.
            unknown: what becomes of a category among the inputs that training never saw: `"refuse"`, or `"missing"`
                reads it as a missing one, and warns.
            best_of: sequences to sample, or hypotheses of a beam, for each row, of which `key` decides the best `n`.
            key: a function of a sequence that gives a number, the highest first.

        Raises:
            UnknownCategory: a category that training never saw.
            SchemaError: inputs that are missing and can't be drawn, or of another kind than in training.
            OptionError: a rule that no field can take, or numbers out of their bounds; a pin that contradicts a bound,
                `allow`, the prefix, the length, or that a column never falls or never rises; a prefix after which such
                a column has no allowed value.

        Examples:
            >>> import unspool as us
            >>> model = us.OneToMany("k", us.Category("x"), network=us.Network(size=8), verbose=False,
            ...     training=us.Training(holdout=0, epochs=3)).fit({"k": ["a", "b"], "x": [[1, 2], [2, 1, 2]]})
            >>> sequences = model.generate({"k": "a"}, n=3, length=4, seed=1)
            >>> len(sequences), sequences.lengths.tolist()
            (3, [4, 4, 4])
            >>> [steps[1] for steps in model.generate({"k": "a"}, n=3, length=4, pin={1: {"x": 2}})]
            [2, 2, 2]
        """
        options = GenerationOptions(length, seed, rule, prefix, pin, allow, unknown, best_of, key)
        with show(self.verbose):
            phase("generating")
            return self._job(inputs, n, options).run()

    @known_options
    def sample(
        self,
        n: int,
        *,
        length: int | None = None,
        seed: int | None = None,
        rule: Decoding | str = "sample",
        prefix: Any = None,
        pin: Any = None,
        allow: Any = None,
    ) -> Sequences:
        """Sample `n` rows of inputs like those of training, and a sequence for each: a whole synthetic data set.

        The options are those of `generate`; inputs are always sampled, whatever the rule.

        Raises:
            OptionError: as for `generate`; or the model did not learn to sample inputs.
            SchemaError: another number of prefixes than rows.
        """
        options = GenerationOptions(length, seed, rule, prefix, pin, allow)
        with show(self.verbose):
            phase("generating")
            return sampling_job(self._generator(), n, options).run()

    def generate_to(
        self,
        target: str | os.PathLike[str] | IO[Any],
        inputs: Any = None,
        n: int = 1,
        *,
        long: bool | None = None,
        format: str | None = None,  # noqa: A002
        escape_formulas: bool = False,
        per_part: int | None = None,
        **options: Any,
    ) -> int:
        """Write the sequences of `generate` to a file part by part, and return the seed.

        Memory does not grow with their number. The file is that of `generate(...).save(target)`, and appears whole or
        not at all.

        A target that ends in a slash is a folder: each part is a file of its own, whose bytes depend on the job and
        the number of the part alone. A job that was interrupted writes the missing parts when it is run again, and
        other jobs are refused. `unspool.ray` has the same folder written by a cluster.

        Returns:
            The seed: the one given, or the new one. With it, `generate` gives the same sequences again.

        Args:
            target: a path or URL (`s3://...`) that ends in .csv, .tsv, .jsonl, .json or .parquet; one that ends in a
                slash, for a folder; or a stream.
            inputs: as for `generate`.
            n: as for `generate`.
            long: one row a step rather than a sequence; `None` follows the training data.
            format: of the file, if its name has no known ending; CSV for a stream, Parquet for a folder.
            escape_formulas: write texts in CSV and TSV so that no spreadsheet takes them for formulas, see
                `Sequences.save`.
            per_part: sequences of a part of a folder.
            **options: the others of `generate`.

        Raises:
            FileError: the target can't be written to.
            DataError: an unknown format.
            OptionError: as for `generate`.
        """
        form = FileForm(long, format, escape_formulas)
        with show(self.verbose):
            phase("generating")
            if is_folder(target):
                return self._save_parts(self._given(inputs), n, GenerationOptions.of(options), target, form, per_part)
            return self._save(self._job(inputs, n, GenerationOptions.of(options)), target, form)

    def sample_to(
        self,
        target: str | os.PathLike[str] | IO[Any],
        n: int,
        *,
        long: bool | None = None,
        format: str | None = None,  # noqa: A002
        escape_formulas: bool = False,
        per_part: int | None = None,
        **options: Any,
    ) -> int:
        """Write the rows and sequences of `sample` to a file part by part; returns the seed. See `generate_to`."""
        form = FileForm(long, format, escape_formulas)
        with show(self.verbose):
            phase("generating")
            if is_folder(target):
                return self._save_parts(None, n, GenerationOptions.of(options), target, form, per_part)
            return self._save(sampling_job(self._generator(), n, GenerationOptions.of(options)), target, form)

    def stream(self, inputs: Any = None, n: int = 1, **options: Any) -> Iterator[Event]:
        """As `generate`, but yields `(row, sample, step, value)` step by step, all sequences side by side.

        The arguments and the values of every sequence are those of `generate`; the rule must sample. The inputs that
        are drawn where only some are given are shown by `generate` alone.
        """
        job = self._job(inputs, n, GenerationOptions.of(options))
        if job.beam is not None or job.reranking is not None:
            hint = "Use generate: a search knows the first step when it knows the last."
            found = repr(options["rule"]) if job.reranking is None else "candidates, of which some are kept"
            raise OptionError("stream(rule=...)", "a rule that samples", found, hint)
        return job.stream()

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        rule: Decoding | str = "sample",
        length: int | None = None,
        step: bool = False,
        **others: Any,
    ) -> None:
        """Write the model as an ONNX file, which generates the same sequences without Unspool, in any runtime of ONNX.

        The file holds the whole generation as one graph: encoded inputs, the numbers of rows and samples, and a seed go
        in; encoded values, lengths and ends come out, those of `generate` for the same (seed, row, sample). Or it holds
        one step, for a program that streams: state and uniforms in, next state, values and parameters of all
        distributions out. How to encode and to decode is in the metadata; `docs/format.md` describes it, and
        `examples/onnx_numpy.py` is a reader.

        Args:
            path: the file, .onnx.
            rule: `"sample"`, `"greedy"` or `Sampling(...)`, as for `generate`. The file keeps it.
            length: exact number of steps; `None` lets the network decide when to stop.
            step: write the step alone.
            others: refused: a prefix, pins and allowed values are those of one request.

        Raises:
            MissingExtra: the package onnx is not installed: `pip install 'unspool[onnx]'`.
            OptionError: a search, which takes more than a step at a time; a distribution that needs what ONNX lacks;
                another ending than .onnx.
            FileError: the file can't be written.

        Examples:
            >>> import pathlib, tempfile, unspool as us
            >>> options = {"network": us.Network(size=4), "training": us.Training(epochs=1), "verbose": False}
            >>> table = {"k": ["a", "b"] * 8, "x": [["u", "v"], ["v", "u"]] * 8}
            >>> model = us.OneToMany("k", us.Category("x"), **options).fit(table)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.export(pathlib.Path(folder, "model.onnx"), rule="greedy")
            ...     print([file.name for file in pathlib.Path(folder).iterdir()])
            ['model.onnx']
        """
        from unspool.export.write import export_onnx

        if others:
            hint = "Ask for it where you generate: generate(...)."
            raise OptionError(f"export({min(others)}=...)", "rule, length or step", min(others), hint)
        check_kind("export: step", step, bool, "True or False")
        job = exported_job(self._generator(), GenerationOptions(rule=rule, length=length))
        export_onnx(path, job.codec, job.net, job.request, step=step)

    def _generator(self) -> Fitted:
        """The parts of the model that generate."""
        enter()
        return Fitted(self.codec_, self.net_, self.config_.row, self.row_net_)

    def _job(self, inputs: Any, n: int, options: GenerationOptions) -> GenerationJob:
        """A checked generation for given inputs."""
        return generation_job(self._generator(), self._given(inputs), n, options)

    def _given(self, inputs: Any) -> Any:
        """The inputs of a generation; an `OptionError` if there must be some and are none."""
        if not self.codec_.schema.is_unconditional:
            if inputs is None:
                hint = "To sample the inputs too, use sample(n) or sample_to(target, n)."
                raise OptionError("generate(inputs=...)", "a table of inputs", "None", hint)
            return inputs
        return {} if inputs is None else inputs

    def parts(
        self, inputs: Any, n: int, options: GenerationOptions, target: str, form: FileForm, per_part: int | None = None
    ) -> PartsJob:
        """The generation into a folder that `generate_to` runs, or with `inputs=None` `sample_to`.

        Without a seed, it is that of the folder's job, if it has one. Errors as of those; a `FileError` refuses a
        folder of another job, or with other files.
        """
        ending = form.format or "parquet"
        if ending not in FORMATS.values():
            raise DataError("format", "one of " + ", ".join(sorted(set(FORMATS.values()))), repr(ending))
        before = read_record(target)
        if options.seed is None and before is not None:
            options = replace(options, seed=before.seed)
        job, content = self._part_by_part(inputs, n, options)
        per_part = PIECES_PER_PART * job.part_rows if per_part is None else per_part
        check_whole(f"per_part={per_part!r}", per_part, 1)
        if job.beam is not None or job.reranking is not None:  # all samples of a row at once
            per_part = -(-per_part // job.request.samples) * job.request.samples
        chosen = msgspec.json.encode(
            (n, replace(options, seed=None), form.long, form.escape_formulas), enc_hook=as_plain
        )
        fingerprint = {
            "model": model_fingerprint(self.config_, Nets(self.net_, self.row_net_)),
            "inputs": content,
            "options": hashlib.sha256(chosen).hexdigest(),
            "versions": " ".join(f"{name} {version}" for name, version in versions().items()),
        }
        record = JobRecord(fingerprint, job.request.seed, job.total, int(per_part), ending)
        return PartsJob(partial(job.save_part, form=form._replace(format=ending)), target, record)

    def _part_by_part(self, inputs: Any, n: int, options: GenerationOptions) -> tuple[GenerationJob, str]:
        """A job that has the inputs of a part when it generates that part, and what tells them from others."""
        fitted = self._generator()
        if inputs is None:
            return sampling_job(fitted, n, options), "drawn"
        if isinstance(inputs, RowBlocks) or is_parquet(inputs):
            columns = [field.name for field in fitted.codec.schema.inputs]
            blocks = inputs if isinstance(inputs, RowBlocks) else parquet_rows(inputs, columns)
            return source_job(fitted, blocks, n, options), blocks.fingerprint()
        job = generation_job(fitted, inputs, n, options)
        if job.inputs is None:  # some of them are drawn
            return job, TableRows(fitted.codec.read_inputs(inputs, some=True)).fingerprint()
        rows = TableRows(job.inputs)
        return source_job(fitted, rows, n, replace(options, seed=job.request.seed)), rows.fingerprint()

    def _save_parts(self, *given: Any) -> int:
        job = self.parts(*given)
        job.run(lambda done, of: report_progress(done / of, f"part {done + 1} of {of}"))
        return job.record.seed

    @staticmethod
    def _save(job: GenerationJob, target: Any, form: FileForm) -> int:
        job.save(Path(target) if isinstance(target, os.PathLike) else target, form)
        return job.request.seed
