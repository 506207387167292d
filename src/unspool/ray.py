"""Unspool on a Ray cluster: the same weights and the same files as one process makes. Extra `ray`.

Ray starts workers, starts them again when they die, and says where they are. What they compute and write is Unspool's:
training by `jax.distributed`, generation by parts that depend on nothing but the job and their number.
"""

import functools
import os
import socket
import tempfile
from collections.abc import Callable
from typing import Any

from unspool import modelfile
from unspool.config import versions
from unspool.errors import ClusterError, MissingExtra
from unspool.jobs import GenerationOptions
from unspool.model import OneToMany, load
from unspool.parts import PartsJob
from unspool.runtime.progress import phase, report_progress, show
from unspool.runtime.storage import is_url
from unspool.sequences import FileForm
from unspool.tables.row_blocks import RowBlocks

TRIES_PER_PART = -1
"""How often Ray starts a part again whose worker has died: for ever."""
MAX_WAITING_PARTS = 1024
"""Parts that wait for a worker at once; Ray keeps a record of each."""


def generate_to(
    model: OneToMany | str,
    inputs: Any,
    target: str,
    n: int = 1,
    *,
    long: bool | None = None,
    format: str | None = None,  # noqa: A002
    per_part: int | None = None,
    **options: Any,
) -> int:
    """Write the sequences of `OneToMany.generate_to` into a folder by the workers of a Ray cluster; returns the seed.

    The files are those of `model.generate_to(folder + "/", ...)` in one process, to the byte. A worker that dies
    repeats only its part; a job that is run again writes the missing parts.

    Args:
        model: a fitted model, or the path or URL of its file, which all workers reach.
        inputs: any kind of table, the path or URL of a Parquet file or folder, or a Ray Dataset.
        target: a folder that all workers reach, or the URL of one.
        n: as for `generate`, like `options`.
        long: as for `generate_to`, like `format` and `per_part`.
        format: of the files, Parquet by default.
        per_part: sequences of a file.
        **options: the others of `generate`.

    Raises:
        FileError: the folder is that of another job.
        ClusterError: workers have other versions.
        MissingExtra: Ray is not installed.
    """
    ray = _ray()
    location = model if isinstance(model, str) else None
    fitted = load(model) if isinstance(model, str) else model
    folder = target if is_url(target) else os.path.abspath(target)
    rows = _blocks(inputs, fitted) if type(inputs).__module__.startswith("ray.data") else inputs
    form = FileForm(long, format)
    with show(fitted.verbose):
        phase("generating")
        job = fitted.parts(rows, n, GenerationOptions.of(options), folder.rstrip("/") + "/", form, per_part)
        job.begin()
        given = (n, options | {"seed": job.record.seed}, folder.rstrip("/") + "/", form, job.record.per_part)
        shipped = ray.put((location or _file_bytes(fitted), rows, given, versions()))
        _run(ray, job, shipped)
        job.finish()
    return job.record.seed


def _run(ray: Any, job: PartsJob, shipped: Any) -> None:
    """Have the missing parts written; each task has one core."""
    write = ray.remote(num_cpus=1, max_retries=TRIES_PER_PART)(_write_part)
    missing = job.missing()
    waiting: list[Any] = []
    for done, part in enumerate(missing):
        if len(waiting) >= MAX_WAITING_PARTS:
            waiting = _wait(ray, waiting)
        report_progress(max(0, done - len(waiting)) / len(missing))
        waiting.append(write.remote(shipped, job.name(part), part))
    while waiting:
        report_progress(1 - len(waiting) / len(missing), f"{len(missing) - len(waiting)} of {len(missing)} parts")
        waiting = _wait(ray, waiting)


def _wait(ray: Any, waiting: list[Any]) -> list[Any]:
    """Wait for a part, and raise its error if it had one; those that are left."""
    done, left = ray.wait(waiting)
    try:
        ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    return list(left)


_jobs: dict[str, PartsJob] = {}
"""The job that this worker knows."""


def _write_part(shipped: tuple[Any, ...], name: str, part: int) -> None:
    """In a worker: write a part."""
    source, rows, given, expected = shipped
    key = name.partition("-")[2].partition("-")[2]
    if key not in _jobs:
        check_versions(expected)
        _jobs.clear()
        n, options, folder, form, per_part = given
        model = load(source) if isinstance(source, str) else _from_bytes(source)
        _jobs[key] = model.parts(rows, n, GenerationOptions.of(options), folder, form, per_part)
    _jobs[key].write(part)


def check_versions(expected: dict[str, str]) -> None:
    """Refuse a worker whose versions are not those of the driver.

    Raises:
        ClusterError: names what differs.
    """
    own = versions()
    if differing := [name for name in expected if own.get(name) != expected[name]]:
        wanted, found = (", ".join(f"{name} {have.get(name)}" for name in differing) for have in (expected, own))
        hint = "Install the same versions on all machines."
        raise ClusterError(f"worker on {socket.gethostname()}", f"{wanted}, as the driver has it", found, hint)


def _blocks(dataset: Any, model: OneToMany) -> RowBlocks:
    """The rows of a Ray Dataset in the order of its blocks, which stay in the object store."""
    ray = _ray()
    refs = dataset.to_arrow_refs()
    count = ray.remote(num_cpus=0)(lambda block: (block.num_rows, block.schema))
    found = ray.get([count.remote(ref) for ref in refs])
    columns = [field.name for field in model.codec_.schema.inputs]
    lengths = [rows for rows, _ in found]
    schema = next((schema for rows, schema in found if rows), None)
    return RowBlocks("the dataset", columns, schema, lengths, functools.partial(_block, refs), "Ray Dataset")


def _block(refs: list[Any], number: int) -> Any:
    return _ray().get(refs[number])


def _file_bytes(model: OneToMany) -> bytes:
    """The model file, to ship it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.unspool")
        model.save(path)
        with open(path, "rb") as file:
            return file.read()


def _from_bytes(data: bytes) -> OneToMany:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.unspool")
        with open(path, "wb") as file:
            file.write(data)
        return load(path)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("unspool.ray", "Ray", "none", "Install it: pip install unspool[ray]") from error
    return ray
