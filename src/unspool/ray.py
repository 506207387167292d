"""Unspool on a Ray cluster: the same weights and the same files as one process makes. Extra `ray`.

Ray starts workers, starts them again when they die, and says where they are. What they compute and write is Unspool's:
training by `jax.distributed`, generation by parts that depend on nothing but the job and their number.
"""

import functools
import hashlib
import os
import socket
from typing import Any

import msgspec

from unspool.cluster.workers import from_file_bytes, ship, to_file_bytes, write_part
from unspool.errors import ClusterError, LostProcess, MissingExtra
from unspool.model import OneToMany, load
from unspool.runtime.devices import MAX_DEVICES
from unspool.runtime.parts import PartsJob
from unspool.runtime.processes import BY_JAX
from unspool.runtime.progress import phase, report_progress, show, warn
from unspool.runtime.storage import is_url
from unspool.sequences import FileForm
from unspool.tables.row_blocks import RowBlocks, as_plain

TRIES_PER_PART = -1
"""How often Ray starts a part again whose worker has died: for ever."""
MAX_WAITING_PARTS = 1024
"""Parts that wait for a worker at once; Ray keeps a record of each."""


def fit(
    model: OneToMany,
    data: Any,
    *,
    checkpoint: str,
    workers: int = 2,
    cpus: int = 1,
    gpus: int = 0,
    max_failures: int = 3,
    **arguments: Any,
) -> OneToMany:
    """Fit a model by several workers of a Ray cluster, as `model.fit(data, ...)` does; returns the model.

    With the same `Training(shards=...)`, the weights are those of one process to the bit. When a worker dies, the
    others end, and all begin again at the last round of the checkpoint: the result is the same.

    Args:
        model: not fitted yet, with `Training(shards=4)`, say: as many shards as workers at least.
        data: as for `fit`. A table is sent to every worker; with `cache=`, a folder that all workers reach, each reads
            its own part of Parquet.
        checkpoint: a folder that all workers reach, or the URL of one.
        workers: 1, 2 or 4.
        cpus: cores of each worker; at most four are used.
        gpus: of each worker.
        max_failures: how often a worker may die.
        **arguments: the others of `fit`.

    Raises:
        ClusterError: more failures than that; or workers have other versions.
        MissingExtra: Ray is not installed.
        UnspoolError: as of `fit`.
    """
    ray = _ray()
    folder = checkpoint if is_url(checkpoint) else os.path.abspath(checkpoint)
    if isinstance(arguments.get("cache"), (str, os.PathLike)):
        arguments["cache"] = os.path.abspath(arguments["cache"])
    shipped = ray.put((model, data, arguments | {"checkpoint": folder}))
    for failure in range(max_failures + 1):
        done = _fit_once(ray, shipped, workers, {"num_cpus": cpus, "num_gpus": gpus}, cpus)
        if isinstance(done, bytes):
            fitted = from_file_bytes(done)
            model.config_, model.net_, model.row_net_ = fitted.config_, fitted.net_, fitted.row_net_
            return model
        if failure < max_failures:
            with show(model.verbose):
                warn(f"A worker has died ({failure + 1} of {max_failures} that may): {done!s}")
    hint = f"See Ray's logs; another call goes on from {folder}."
    raise ClusterError("unspool.ray.fit", f"at most {max_failures} failures", f"one more: {done!s}", hint)


def _fit_once(ray: Any, shipped: Any, workers: int, resources: dict[str, Any], cores: int) -> bytes | str:
    """The model file that the workers have made together, or why a worker has died."""
    start = ray.remote(max_restarts=0, runtime_env=_environment(cores), **resources)(_Worker)
    actors = [start.remote() for _ in range(workers)]
    try:
        address = ray.get(actors[0].address.remote())
        waiting = [actor.fit.remote(shipped, address, workers, k) for k, actor in enumerate(actors)]
        first = waiting[0]
        while waiting:
            done, waiting = ray.wait(waiting)
            ray.get(done)
        return bytes(ray.get(first))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LostProcess):
            return error.cause.found
        raise error.cause from error
    except ray.exceptions.RayActorError as error:
        return str(error).splitlines()[0]
    finally:
        for actor in actors:
            ray.kill(actor)


class _Worker:
    """One of the processes of a fit."""

    def address(self) -> str:
        """An address at which the others find this one."""
        with socket.socket() as free:
            free.bind(("", 0))
            return f"{_ray().util.get_node_ip_address()}:{free.getsockname()[1]}"

    def fit(self, shipped: tuple[Any, ...], address: str, count: int, number: int) -> bytes:
        """Fit together with the others; the first one returns the model file."""
        model, data, arguments = shipped
        os.environ.update(zip(BY_JAX, (address, str(count), str(number)), strict=True))
        model.fit(data, **arguments)
        return to_file_bytes(model) if number == 0 else b""


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
    rows = _blocks(inputs, model) if type(inputs).__module__.startswith("ray.data") else inputs
    with show(None if isinstance(model, str) else model.verbose):
        phase("generating")
        job, shipped = ship(model, rows, n, options, target, FileForm(long, format), per_part)
        _run(ray, job, ray.put(shipped))
        job.finish()
    return job.record.seed


def _run(ray: Any, job: PartsJob, shipped: Any) -> None:
    """Have the missing parts written; each task has one core."""
    write = ray.remote(num_cpus=1, max_retries=TRIES_PER_PART, runtime_env=_environment(1))(write_part)
    missing = job.missing()
    waiting: list[Any] = []
    for done, part in enumerate(missing):
        if len(waiting) >= MAX_WAITING_PARTS:
            waiting = _wait(ray, waiting)
        report_progress(max(0, done - len(waiting)) / len(missing))
        waiting.append(write.remote(shipped, part))
    while waiting:
        report_progress(1 - len(waiting) / len(missing), f"{len(missing) - len(waiting)} of {len(missing)} parts")
        waiting = _wait(ray, waiting)


def _environment(cores: int) -> dict[str, Any]:
    """What Ray starts a worker with: one that has not used JAX, and that has so many devices and threads of XLA.

    XLA takes a thread for every core of the machine; two workers on two cores then lose an eighth of their time.
    """
    return {"env_vars": {"UNSPOOL_CORES": str(min(cores, MAX_DEVICES)), "NPROC": str(cores)}}


def _wait(ray: Any, waiting: list[Any]) -> list[Any]:
    """Wait for a part, and raise its error if it had one; those that are left."""
    done, left = ray.wait(waiting)
    try:
        ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    return list(left)


def _blocks(dataset: Any, model: OneToMany | str) -> RowBlocks:
    """The rows of a Ray Dataset in the order of its blocks, which stay in the object store."""
    ray = _ray()
    fitted = load(model) if isinstance(model, str) else model
    columns = [field.name for field in fitted.codec_.schema.inputs]
    refs = dataset.to_arrow_refs()
    look = ray.remote(_facts)
    found = ray.get([look.remote(ref, columns) for ref in refs])
    lengths, digests = [rows for rows, _, _ in found], [digest for _, _, digest in found]
    schema = next((schema for rows, schema, _ in found if rows), found[0][1])
    return RowBlocks("the dataset", columns, schema, lengths, functools.partial(_block, refs), str(digests))


def _facts(block: Any, columns: list[str]) -> tuple[int, Any, str]:
    """Of a block, the rows, the schema, and a hash of the columns that are read."""
    values = {name: block.column(name).to_pylist() for name in columns if name in block.column_names}
    digest = hashlib.sha256(msgspec.json.encode(values, enc_hook=as_plain)).hexdigest()
    return block.num_rows, block.schema, digest


def _block(refs: list[Any], number: int) -> Any:
    return _ray().get(refs[number])


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("unspool.ray", "Ray", "none", "Install it: pip install unspool[ray]") from error
    return ray
