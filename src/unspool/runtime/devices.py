"""Which devices rows are spread over.

The loop of an LSTM is a chain of small products with element-wise work in between, which XLA runs on one thread. So a
processor with several cores is best used as several devices, each with a part of the rows. A processor is one device of
JAX unless the configuration says otherwise before JAX starts: at the first fit or `load`, not at the import.
"""

import contextlib
import functools
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Int
from numpy.typing import NDArray

from unspool.errors import OptionError
from unspool.runtime.compilation_cache import processor

ROW_AXIS = "rows"
"""Name of the mesh axis that rows are spread over."""
IN_BOUNDS: dict[str, Any] = {"mode": "promise_in_bounds", "unique_indices": True}
"""Rows that an array has, each once: nothing is compiled for others."""
COARSE = (None, "default", "fastest", "bfloat16", "BF16_BF16_F32")
"""What JAX calls a precision of products that bfloat16 has."""
MAX_DEVICES = 4
"""Devices that a processor is divided into at the most."""


def claim_cores() -> None:
    """Make the cores devices of JAX, up to four, unless JAX has started or the user has decided.

    The user decides with `UNSPOOL_CORES`, the most cores to claim: 1 leaves JAX as it is. `JAX_NUM_CPU_DEVICES`,
    `XLA_FLAGS` and `jax.config` decide too. A program that uses JAX itself keeps the devices that JAX started with.

    Raises:
        OptionError: `UNSPOOL_CORES` is no whole number from 1 on.
    """
    limit = os.environ.get("UNSPOOL_CORES") or str(MAX_DEVICES)
    if not limit.isdecimal() or int(limit) < 1:
        raise OptionError("UNSPOOL_CORES", "a whole number, at least 1", repr(limit))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    devices = min(cores, MAX_DEVICES, int(limit))
    by_flag = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if devices > 1 and not by_flag and jax.config.values["jax_num_cpu_devices"] < 0:  # below 0 nobody has decided
        with contextlib.suppress(RuntimeError):  # JAX has started, with one device
            jax.config.update("jax_num_cpu_devices", devices)


def fast_bfloat16() -> bool:
    """Whether products of bfloat16 are much faster than those of float32, and the user lets them be.

    They are on processors with AMX: see `docs/log.md`; other devices were not measured. The user decides with
    `JAX_DEFAULT_MATMUL_PRECISION`, or `jax.config.jax_default_matmul_precision`: `"float32"` keeps them away.
    """
    wanted = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]  # JAX makes it as it starts
    return jax.default_backend() == "cpu" and "amx_bf16" in processor() and wanted in COARSE


_most: ContextVar[int] = ContextVar("most", default=sys.maxsize)


@contextlib.contextmanager
def one_device() -> Iterator[None]:
    """A block that takes one device for each program, as a process on one core does: the same shapes, the same bits."""
    token = _most.set(1)
    try:
        yield
    finally:
        _most.reset(token)


def available(processes: int = 1) -> int:
    """Devices of this process; of several, those that each of them has."""
    if processes == 1:
        return min(jax.local_device_count(), _most.get())
    return min(Counter(device.process_index for device in jax.devices()).values())


_device_lock = threading.RLock()


@contextlib.contextmanager
def device_lock(devices: int) -> Iterator[None]:
    """The right to run a program on several devices, which a thread keeps until it has the results.

    The devices of a program wait for each other. With the programs of two threads, each device could begin another
    one's, and all would wait for ever. A program on one device needs no lock.
    """
    with _device_lock if devices > 1 else contextlib.nullcontext():
        yield


@functools.cache
def mesh(devices: int, processes: int = 1) -> Mesh:
    """The first devices side by side: of this process, or as many of each of several processes."""
    if processes == 1:
        chosen = jax.local_devices()[:devices]
    else:
        every = [[d for d in jax.devices() if d.process_index == process] for process in range(processes)]
        chosen = [device for own in every for device in own[: devices // processes]]
    return jax.make_mesh((devices,), (ROW_AXIS,), (AxisType.Auto,), devices=chosen)


def shard_rows(
    function: Callable[..., Any], devices: int, in_specs: Any, out_specs: Any, processes: int = 1
) -> Callable[..., Any]:
    """A function of the rows of one device as one of all rows, on the devices of `mesh`."""
    on = mesh(devices, processes)
    return jax.shard_map(function, mesh=on, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def take_rows(tree: Any, specs: Any, rows: Int[Array, " G"]) -> Any:
    """Some rows of all arrays; `specs` say of each, or of all below a node, which axis has the rows, if any has."""

    def take(spec: P, array: Any) -> Any:
        return at_rows(array, spec, rows).get(**IN_BOUNDS) if ROW_AXIS in spec else array

    return jax.tree.map(take, jax.tree.broadcast(specs, tree), tree)


def put_rows(tree: Any, part: Any, specs: Any, rows: Int[Array, " G"]) -> Any:
    """All arrays with these rows replaced."""

    def put(spec: P, array: Array, new: Array) -> Array:
        return at_rows(array, spec, rows).set(new, **IN_BOUNDS)

    return jax.tree.map(put, jax.tree.broadcast(specs, tree), tree, part)


def at_rows(array: Any, spec: P, rows: Int[Array, " G"]) -> Any:
    """Where an array has these rows."""
    return jnp.asarray(array).at[(slice(None),) * spec.index(ROW_AXIS) + (rows,)]


def to_single_precision(values: NDArray[Any]) -> NDArray[Any]:
    """An array in the network's precision, on the host: a compiled program takes it to a device quicker.

    A number that float32 can't hold is infinite: the network knows nothing that far from training.
    """
    with np.errstate(over="ignore"):
        return values.astype(np.float32 if values.dtype.kind == "f" else np.int32)


def put_on_devices(tree: Any, devices: int, axis: int | None = None, processes: int = 1) -> Any:
    """Arrays on the devices of `mesh`: cut along an axis whose length they divide, or whole on each of them.

    Each of several processes gives its own part of what is cut, in the order of the processes.
    """
    spec = P() if axis is None else P(*(None,) * axis, ROW_AXIS)
    cut = NamedSharding(mesh(devices, processes), spec)
    if processes == 1:
        return jax.device_put(tree, cut)

    def place(array: Any) -> Array:
        own = np.asarray(array)
        shape = tuple(size * processes if d == axis else size for d, size in enumerate(own.shape))
        return jax.make_array_from_process_local_data(cut, own, shape)

    return jax.tree.map(place, tree)


def own_copies(tree: Any) -> Any:
    """Arrays that are whole on each device of several processes, as arrays of this process."""
    return jax.tree.map(lambda array: array if array.is_fully_addressable else array.addressable_data(0), tree)
