"""A process has the devices that its user asked for, or one for every core, and JAX is not disturbed for it."""

import os
import subprocess
import sys

import pytest

TOLD = "import unspool.runtime.devices; print(unspool.runtime.devices.available())"


def told(program, **variables):
    """What a program prints in a process that is told nothing but these variables about devices."""
    environment = {k: v for k, v in os.environ.items() if k not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")} | variables
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return int(answer.stdout)


@pytest.mark.parametrize(
    "variables",
    [{"JAX_NUM_CPU_DEVICES": "3"}, {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}],
    ids=lambda variables: next(iter(variables)),
)
def test_there_are_as_many_devices_as_the_user_asked_for(variables):
    assert told(TOLD, **variables) == 3


def test_there_is_a_device_for_every_core_up_to_four():
    assert told(TOLD) == min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


def test_a_program_that_uses_jax_already_keeps_its_one_device():
    """Its arrays are there; nothing fails, and training finds the one."""
    assert told(f"import jax; jax.devices(); {TOLD}") == 1
