"""Which devices rows are spread over.

The loop of an LSTM is a chain of small products with element-wise work in between, which XLA runs on one thread. So a
processor with several cores is best used as several devices, each with a part of the rows. JAX makes a processor one
device unless told otherwise before it starts; importing this module tells it.
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

ROW_AXIS = "rows"
"""Name of the mesh axis that rows are spread over."""
MAX_DEVICES = 4
"""Devices that a processor is divided into at the most."""


def claim_cores() -> None:
    """Make every core a device, unless the user has said how many there are to be or JAX runs already."""
    asked = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not asked and jax.config.values["jax_num_cpu_devices"] < 0:  # JAX's own default; JAX_NUM_CPU_DEVICES goes before
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with contextlib.suppress(RuntimeError):  # some program's arrays are on one device: it stays one
            jax.config.update("jax_num_cpu_devices", max(1, min(cores, MAX_DEVICES)))


claim_cores()


def available() -> int:
    """Devices of this process."""
    return jax.local_device_count()


_turn = threading.RLock()


@contextlib.contextmanager
def device_lock(devices: int) -> Iterator[None]:
    """The right to run a program on several devices, which a thread keeps until its results are there.

    The devices of a program wait for each other. With the programs of two threads, each device could begin another
    one's, and all would wait for ever. One device waits for none.

    Args:
        devices: of the program.
    """
    with _turn if devices > 1 else contextlib.nullcontext():
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
