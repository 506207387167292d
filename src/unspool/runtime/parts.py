"""A generation into a folder: one file for each part, whose bytes depend on the job and the number of the part alone.

So any number of workers may write them, any of them may die, and a part may be written twice: it is the same part. A
file appears whole, under a name that says which job and part it is; a job that is run again writes those that are
missing. `_job.json` says which job a folder belongs to, `_SUCCESS` that all parts are there: readers of Parquet folders
pass over names that begin with `_`.
"""

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from unspool.errors import FileError
from unspool.runtime.devices import one_device
from unspool.runtime.storage import is_url, join, names, opened_url, whole_file

JOB_FILE, SUCCESS_FILE = "_job.json", "_SUCCESS"
"""Files of a folder of parts beside them."""
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


@dataclass(frozen=True)
class PartsJob:
    """A generation whose parts are files of a folder.

    Attributes:
        save: writes some of the sequences to a path or URL.
        folder: path or URL.
        record: what `_job.json` says of it.

    Raises:
        FileError: the folder is that of another job.
    """

    save: Callable[[slice, str], None]
    folder: str
    record: JobRecord

    def __post_init__(self) -> None:
        before = read_record(self.folder)
        if before is not None and before != self.record:
            _refuse(self.folder, self.record, before)

    def __len__(self) -> int:
        return math.ceil(self.record.sequences / self.record.per_part)

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
            self.save(within, join(self.folder, self.name(part)))

    def begin(self) -> None:
        """Make the folder that of this job.

        Raises:
            FileError: it can't be made, or written to.
        """
        if not is_url(self.folder):
            try:
                os.makedirs(self.folder, exist_ok=True)
            except OSError as error:
                raise FileError(
                    self.folder, "a folder for the parts", str(error.strerror), "Choose another."
                ) from error
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


def read_record(folder: str) -> JobRecord | None:
    """The job that a folder belongs to; `None` if it is empty or not there.

    Raises:
        FileError: it holds other files, or another version's job.
    """
    found = {name for name in names(folder) if not name.startswith(".")}
    if JOB_FILE not in found:
        if found:
            raise FileError(folder, "an empty folder, or that of this job", f"{min(found)!r} in it", ANOTHER)
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
