"""Which devices rows are spread over.

The loop of an LSTM is a chain of small products with element-wise work in between, which XLA runs on one thread. So a
processor with several cores is best used as several devices, each with a part of the rows. JAX makes a processor one
device unless told otherwise before it starts. The first fit or `load` of a process tells it, not the import.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from unspool.errors import OptionError

ROW_AXIS = "rows"
"""Name of the mesh axis that rows are spread over."""
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


def available() -> int:
    """Devices of this process."""
    return jax.local_device_count()


_device_lock = threading.RLock()


@contextlib.contextmanager
def device_lock(devices: int) -> Iterator[None]:
    """The right to run a program on several devices, which a thread keeps until its results are there.

    The devices of a program wait for each other. With the programs of two threads, each device could begin another
    one's, and all would wait for ever. One device waits for none.

    Args:
        devices: of the program.
    """
    with _device_lock if devices > 1 else contextlib.nullcontext():
        yield


@functools.cache
def mesh(devices: int) -> Mesh:
    """The first devices, side by side."""
    return jax.make_mesh((devices,), (ROW_AXIS,), (AxisType.Auto,), devices=jax.local_devices()[:devices])


def put_on_devices(tree: Any, devices: int, axis: int | None = None) -> Any:
    """Arrays on the first devices: cut along an axis, or whole on each of them.

    Args:
        tree: arrays.
        devices: how many.
        axis: the axis of rows, whose length is a multiple of `devices`; `None` for whole copies.
    """
    spec = P() if axis is None else P(*(None,) * axis, ROW_AXIS)
    return jax.device_put(tree, NamedSharding(mesh(devices), spec))
