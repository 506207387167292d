"""A generation into a folder: one file for each part, whose bytes depend on the job and the number of the part alone.

So any number of workers may write them, any of them may die, and a part may be written twice: it is the same part. A
file appears whole, under a name that says which job and part it is; a job that is run again writes those that are
missing. `_job.json` says which job a folder belongs to, `_SUCCESS` that all parts are there: readers of Parquet folders
pass over names that begin with `_`.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from unspool.config import versions
from unspool.errors import DataError, FileError
from unspool.jobs import Fitted, GenerationJob, GenerationOptions, check_whole, generation_job, sampling_job, source_job
from unspool.runtime.devices import one_device
from unspool.runtime.storage import is_url, join, names, opened_url, whole_file
from unspool.sequences import FileForm, column_types
from unspool.tables.columns import take
from unspool.tables.readers import FORMATS
from unspool.tables.row_blocks import RowBlocks, is_parquet, parquet_rows
from unspool.tables.table import Table
from unspool.tables.writers import FileType

JOB_FILE, SUCCESS_FILE = "_job.json", "_SUCCESS"
"""Files of a folder of parts beside them."""
PIECES_PER_PART = 16
"""Pieces that a part is generated in, by default: row groups of a Parquet file."""
ANOTHER = "Name another folder, or delete this one's files to begin anew."


class JobRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `_job.json` says.

    Attributes:
        fingerprint: hashes of all that the parts depend on.
        seed: of the generation.
        sequences: of all parts.
        per_part: sequences of a part; the last one has those that are left.
        ending: of the names of the parts.
    """

    fingerprint: dict[str, str]
    seed: int
    sequences: int
    per_part: int
    ending: str


class TableRows:
    """The rows of a table in memory as a source of inputs."""

    each, drawn = 1, ()

    def __init__(self, inputs: Table) -> None:
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def types(self) -> Mapping[str, FileType]:
        """By column, the type that a file has for it."""
        return column_types(self.inputs)

    def table(self, seed: int, rows: slice) -> Table:
        """Some of the rows."""
        at = np.arange(rows.start, rows.stop)
        return replace(self.inputs, columns={name: take(column, at) for name, column in self.inputs.columns.items()})

    def fingerprint(self) -> str:
        """A hash of all values."""
        digest = hashlib.sha256()
        for name, column in self.inputs.columns.items():
            digest.update(f"{name}\0".encode())
            digest.update(msgspec.json.encode(column, enc_hook=_plain))
        return digest.hexdigest()


@dataclass(frozen=True)
class PartsJob:
    """A generation whose parts are files of a folder.

    Attributes:
        job: the generation.
        folder: path or URL.
        record: what `_job.json` says of it.
        form: of the files.
    """

    job: GenerationJob
    folder: str
    record: JobRecord
    form: FileForm

    def __len__(self) -> int:
        return -(-self.record.sequences // self.record.per_part)

    def name(self, part: int) -> str:
        """The name of a part: another job has others."""
        digest = hashlib.sha256(msgspec.json.encode(self.record, order="sorted")).hexdigest()
        return f"part-{part:06d}-{digest[:12]}.{self.record.ending}"

    def missing(self) -> list[int]:
        """The parts that are not there yet."""
        found = names(self.folder)
        return [part for part in range(len(self)) if self.name(part) not in found]

    def write(self, part: int) -> None:
        """Write a part, whole or not at all."""
        first = part * self.record.per_part
        within = slice(first, min(first + self.record.per_part, self.record.sequences))
        with one_device():  # on more devices, numbers may differ in their last digits
            self.job.save_part(within, join(self.folder, self.name(part)), self.form)

    def begin(self) -> None:
        """Make the folder that of this job.

        Raises:
            FileError: it is that of another job, or holds other files.
        """
        if not is_url(self.folder):
            os.makedirs(self.folder, exist_ok=True)
        if read_record(self.folder) is None:
            _write(join(self.folder, JOB_FILE), msgspec.json.format(msgspec.json.encode(self.record)))

    def finish(self) -> None:
        """Say that all parts are there.

        Raises:
            FileError: they are not.
        """
        if missing := self.missing():
            found = f"{len(missing)} missing, the first of them {self.name(missing[0])}"
            raise FileError(self.folder, f"all {len(self)} parts", found, "Run the job again: it writes those.")
        _write(join(self.folder, SUCCESS_FILE), b"")

    def run(self, show: Callable[[int, int], None]) -> None:
        """Write what is missing in this process; `show` is told how many parts are written, of how many."""
        self.begin()
        missing = self.missing()
        for done, part in enumerate(missing):
            show(done, len(missing))
            self.write(part)
        self.finish()


def is_folder(target: Any) -> bool:
    """Whether a target is a folder of parts: its name ends in a slash.

    Examples:
        >>> is_folder("many/"), is_folder("s3://bucket/many/"), is_folder("one.parquet")
        (True, True, False)
    """
    return isinstance(target, str) and target.endswith("/")


def parts_job(
    fitted: Fitted,
    model: str,
    inputs: Any,
    n: int,
    options: GenerationOptions,
    target: str,
    form: FileForm,
    per_part: int | None = None,
) -> PartsJob:
    """A checked generation into a folder; without a seed, that of the folder's job, if it has one.

    Args:
        fitted: the model.
        model: its fingerprint.
        inputs: any kind of table, which memory holds; or the path or URL of a Parquet file or folder, or other rows
            in blocks, which are read part by part; `None` draws them.
        n: sequences per row, or rows that are drawn.
        options: of the generation.
        target: the folder.
        form: of the files; Parquet, if it doesn't say.
        per_part: sequences of a part.

    Raises:
        FileError: the folder is that of another job, or holds other files.
        OptionError, DataError, SchemaError: as of `generation_job`.
    """
    ending = form.format or "parquet"
    if ending not in FORMATS.values():
        raise DataError("format", "one of " + ", ".join(sorted(set(FORMATS.values()))), repr(ending))
    before = read_record(target)
    if options.seed is None and before is not None:
        options = replace(options, seed=before.seed)
    if inputs is None and not fitted.codec.schema.is_unconditional:
        job, content = sampling_job(fitted, n, options), "drawn"
    elif isinstance(inputs, RowBlocks) or is_parquet(inputs):
        columns = [field.name for field in fitted.codec.schema.inputs]
        rows = inputs if isinstance(inputs, RowBlocks) else parquet_rows(inputs, columns)
        job, content = source_job(fitted, rows, n, options), rows.fingerprint()
    else:
        job, content = _job_of_table(fitted, inputs, n, options)
    if per_part is None:
        per_part = PIECES_PER_PART * job.part_rows
    check_whole(f"per_part={per_part!r}", per_part, 1)
    if job.beam is not None or job.reranking is not None:  # all samples of a row at once
        per_part = -(-per_part // job.request.samples) * job.request.samples
    chosen = (n, replace(options, seed=None), form.long, form.escape_formulas)
    fingerprint = {
        "model": model,
        "inputs": content,
        "options": hashlib.sha256(msgspec.json.encode(chosen, enc_hook=_plain)).hexdigest(),
        "versions": " ".join(f"{name} {version}" for name, version in versions().items()),
    }
    record = JobRecord(fingerprint, job.request.seed, job.total, int(per_part), ending)
    if before is not None and before != record:
        _refuse(target, record, before)
    return PartsJob(job, target, record, form._replace(format=ending))


def _job_of_table(fitted: Fitted, inputs: Any, n: int, options: GenerationOptions) -> tuple[GenerationJob, str]:
    """A job whose inputs are in memory, or some of them, and their fingerprint."""
    job = generation_job(fitted, inputs, n, options)
    if job.inputs is None:
        assert job.later is not None  # noqa: S101  # inputs that are not here are drawn
        return job, TableRows(fitted.codec.read_inputs(inputs, some=True)).fingerprint()
    rows = TableRows(job.inputs)
    return source_job(fitted, rows, n, replace(options, seed=job.request.seed)), rows.fingerprint()


def read_record(folder: str) -> JobRecord | None:
    """The job that a folder belongs to; `None` if it is empty or not there.

    Raises:
        FileError: it holds other files, or another version's job.
    """
    found = {name for name in names(folder) if not name.startswith(".")}
    if JOB_FILE not in found:
        if found:
            raise FileError(folder, "an empty folder, or that of this job", f"{sorted(found)[0]!r} in it", ANOTHER)
        return None
    path = join(folder, JOB_FILE)
    try:
        return msgspec.json.decode(_read(path), type=JobRecord)
    except msgspec.DecodeError as error:
        raise FileError(path, "the record of a job", str(error), ANOTHER) from error


def _refuse(folder: str, record: JobRecord, before: JobRecord) -> None:
    """The error about a folder of another job, with what differs."""
    ours, theirs = ({**one.fingerprint, **msgspec.structs.asdict(one)} for one in (record, before))
    differing = [name for name in ours if name != "fingerprint" and ours[name] != theirs.get(name)]
    shown = [f"{name} {theirs[name]}" if name in ("seed", "sequences", "per_part") else name for name in differing]
    raise FileError(folder, "an empty folder, or that of this very job", f"one with other {', '.join(shown)}", ANOTHER)


def _read(path: str) -> bytes:
    if is_url(path):
        with opened_url(path) as (file, size):
            return bytes(file.read(size))
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, data: bytes) -> None:
    with whole_file(path) as file:
        file.write(data)


def _plain(value: Any) -> Any:
    """What JSON can't hold: an array as a list, a function by its name."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return getattr(value, "__qualname__", None) or repr(value)
