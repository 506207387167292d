"""The parts of a generation in workers of any engine: what a driver ships, and what a worker does with it.

An engine has only to call `write_part` for every missing part, at least once, and to say when all calls have returned.
"""

import os
import socket
import tempfile
from typing import Any, NamedTuple

from unspool.config import versions
from unspool.errors import ClusterError
from unspool.jobs import GenerationOptions
from unspool.model import OneToMany, load
from unspool.runtime.parts import PartsJob
from unspool.runtime.storage import is_url, join
from unspool.sequences import FileForm


class Shipment(NamedTuple):
    """All that a worker needs to write any part of a job.

    Attributes:
        model: path or URL of the model file, which all workers reach; or its bytes.
        rows: the inputs.
        given: the other arguments of `Generator.parts`: n, options, folder, form and sequences of a part.
        versions: of the driver.
        key: of the job and its folder.
    """

    model: str | bytes
    rows: Any
    given: tuple[int, dict[str, Any], str, FileForm, int]
    versions: dict[str, str]
    key: str


def ship(
    model: OneToMany | str,
    rows: Any,
    n: int,
    options: dict[str, Any],
    target: str,
    form: FileForm,
    per_part: int | None,
) -> tuple[PartsJob, Shipment]:
    """The job of a driver, whose folder is now that of this job, and what its workers need.

    Raises:
        FileError: the folder is that of another job.
        OptionError, DataError, SchemaError: as of `OneToMany.generate_to`.
    """
    fitted = load(model) if isinstance(model, str) else model
    folder = _absolute(target).rstrip("/") + "/"
    rows = _absolute(rows) if isinstance(rows, str) else rows
    job = fitted.parts(rows, n, GenerationOptions.of(options), folder, form, per_part)
    job.begin()
    given = n, options | {"seed": job.record.seed}, folder, form, job.record.per_part
    source = _absolute(model) if isinstance(model, str) else to_file_bytes(model)
    return job, Shipment(source, rows, given, versions(), join(folder, job.name(0)))


def _absolute(path: str) -> str:
    """A path that means the same in another folder; a slash at its end stays."""
    return path if is_url(path) else os.path.abspath(path) + "/" * path.endswith("/")


_jobs: dict[str, PartsJob] = {}
"""The job that this worker knows."""


def write_part(shipped: Shipment, part: int) -> None:
    """In a worker: write a part."""
    if shipped.key not in _jobs:
        check_versions(shipped.versions)
        _jobs.clear()
        n, options, folder, form, per_part = shipped.given
        model = load(shipped.model) if isinstance(shipped.model, str) else from_file_bytes(shipped.model)
        _jobs[shipped.key] = model.parts(shipped.rows, n, GenerationOptions.of(options), folder, form, per_part)
    _jobs[shipped.key].write(part)


def check_versions(expected: dict[str, str]) -> None:
    """Refuse a worker whose versions are not those of the driver.

    Raises:
        ClusterError: names what differs.

    Examples:
        >>> check_versions({"jax": "0.1"})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        unspool.errors.ClusterError: worker on ...: expected jax 0.1, as the driver has it, found jax ...
    """
    own = versions()
    if differing := [name for name in expected if own.get(name) != expected[name]]:
        wanted, found = (", ".join(f"{name} {have.get(name)}" for name in differing) for have in (expected, own))
        hint = "Install the same versions on all machines."
        raise ClusterError(f"worker on {socket.gethostname()}", f"{wanted}, as the driver has it", found, hint)


def to_file_bytes(model: OneToMany) -> bytes:
    """The bytes of a model file, to ship it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.unspool")
        model.save(path)
        with open(path, "rb") as file:
            return file.read()


def from_file_bytes(data: bytes) -> OneToMany:
    """The model of the bytes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.unspool")
        with open(path, "wb") as file:
            file.write(data)
        return load(path)
