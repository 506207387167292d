"""A process has the devices that its user asked for, or one for every core; importing Unspool changes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from unspool.runtime import devices
from unspool.runtime.devices import to_single_precision
from unspool.training.batching import pad_ragged

CORES = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
GOLDEN = Path(__file__).parents[1] / "golden" / "format-2.unspool"
CLAIM = "from unspool.runtime.devices import available, claim_cores; claim_cores(); print(available())"
LOAD = f"import jax, unspool; unspool.load({str(GOLDEN)!r}); print(jax.local_device_count())"
IMPORT = """
import importlib, json, os, pkgutil
import equinox, jax, jaxtyping, optax
from jax._src.xla_bridge import backends_are_initialized
before = dict(os.environ), dict(jax.config.values)
import unspool
for module in pkgutil.walk_packages(unspool.__path__, "unspool."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
[getattr(unspool, name) for name in unspool.__all__]
after = dict(os.environ), dict(jax.config.values)
print(json.dumps([before == after, backends_are_initialized()]))
"""
GENERATE = f"""
import json, unspool
made = unspool.load({str(GOLDEN)!r}).generate({{"kind": ["up", "down"], "size": [3.0, None]}}, n=600, seed=1)
print(json.dumps([list(made), unspool.runtime.devices.available()]))
"""


def run(program, **variables):
    """A program in a process whose only variables about devices are these."""
    others = ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "UNSPOOL_CORES")
    environment = {name: value for name, value in os.environ.items() if name not in others} | variables
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


def answer(program, **variables):
    done = run(program, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_every_module_changes_nothing_and_starts_nothing():
    assert answer(IMPORT) == [True, False]


@pytest.mark.parametrize(
    "variables",
    [{"JAX_NUM_CPU_DEVICES": "3"}, {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}],
    ids=lambda variables: next(iter(variables)),
)
def test_there_are_as_many_devices_as_the_user_asked_for(variables):
    assert answer(CLAIM, **variables) == 3


@pytest.mark.parametrize("program", [CLAIM, LOAD], ids=["claim", "load"])
def test_there_is_a_device_for_every_core_up_to_four(program):
    assert answer(program) == CORES


@pytest.mark.parametrize("most", [1, 2])
def test_the_user_says_how_many_cores_are_claimed(most):
    assert answer(LOAD, UNSPOOL_CORES=str(most)) == min(most, CORES)


@pytest.mark.parametrize("wrong", ["0", "keep", "-1"])
def test_a_number_of_cores_that_is_none_is_refused(wrong):
    done = run(CLAIM, UNSPOOL_CORES=wrong)
    assert f"UNSPOOL_CORES: expected a whole number, at least 1, found {wrong!r}" in done.stderr


@pytest.mark.parametrize("program", [CLAIM, LOAD], ids=["claim", "load"])
def test_a_program_that_uses_jax_already_keeps_its_one_device(program):
    assert answer(f"import jax; jax.devices(); {program}") == 1


def test_sequences_do_not_depend_on_the_devices():
    """Letters are the same, numbers to 1e-5."""
    one, two = (answer(GENERATE, JAX_NUM_CPU_DEVICES=count) for count in "12")
    assert (one[1], two[1]) == (1, 2)
    for a, b in zip(one[0], two[0], strict=True):
        assert [step["letter"] for step in a] == [step["letter"] for step in b]
        np.testing.assert_allclose(*([step["level"] or 0 for step in some] for some in (a, b)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("processor", "precision", "fast"),
    [
        ("flags : avx512f amx_bf16", None, True),
        ("flags : avx512f amx_bf16", "bfloat16", True),
        ("flags : avx512f amx_bf16", "float32", False),
        ("flags : avx512f avx512_bf16", None, False),
    ],
)
def test_bfloat16_is_for_processors_that_are_fast_at_it_and_the_user_may_forbid_it(
    monkeypatch, processor, precision, fast
):
    monkeypatch.setattr(devices, "processor", lambda: processor)
    with jax.default_matmul_precision(precision):
        assert devices.fast_bfloat16() is fast


def test_numbers_that_float32_can_not_hold_are_infinite_without_a_warning():
    assert to_single_precision(np.array([1e60, -1e39, 1.5, np.nan])).tolist()[:3] == [np.inf, -np.inf, 1.5]
    padded = pad_ragged(np.array([1e60, 2.0, 3.0]), np.array([0, 1, 3]), np.array([1, 0]), 2)
    assert padded.tolist() == [[2.0, 3.0], [np.inf, 0.0]]
