"""A program is compiled once for what it is called with, and can be written down and read back."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import numpy as np
import pytest
from jaxtyping import Array

from unspool.runtime import programs
from unspool.runtime.programs import Program, Programs, described, not_in_flags, packed, program, unpacked


class Weights(eqx.Module):
    """Weights with something static."""

    w: Array
    times: int = eqx.field(static=True)


def moved(weights, x, more=0):
    return Weights(weights.w + weights.times * x + more, weights.times), {"sum": x.sum()}


@pytest.fixture
def kept(monkeypatch):
    monkeypatch.setattr(programs, "PROGRAMS", Programs())
    return programs.PROGRAMS


def weights(count=3, times=2):
    return Weights(jax.device_put(np.ones(count, np.float32)), times)


X = np.arange(3, dtype=np.float32)
CELLS = """
import numpy as np
from unspool.runtime.programs import program

@program()
def below(x, cell, step, scale, loc, unit):
    value = (x.T * scale[:, None] + loc[:, None]) * unit[:, None]
    return step[:, None] * value.round() < (cell + step * 0.5)[:, None]

print(below(np.ones((8, 2), np.float32), *np.ones((5, 2), np.float32)).sum())
"""
"""Which of eight rows of two fields lie below a cell of each: at level 1 of the compiler, the process is aborted."""


def test_it_is_compiled_once_for_each_shape_precision_structure_and_static_argument(kept):
    run = Program(moved, static=("more",))
    expected, sums = jax.jit(moved, static_argnames="more")(weights(), X, more=1)
    for _ in range(3):
        found, got = run(weights(), X, more=1)
        assert found.w.tolist() == expected.w.tolist() == [2, 4, 6]
        assert (float(got["sum"]), found.times) == (float(sums["sum"]), 2)
    assert kept.compiled == 1
    for weight, x in ((weights(times=3), X), (weights(), X.astype(np.int32)), (weights(1), X), (weights(), X[:1])):
        run(weight, x)
    run(weights(), X)
    run(weights(), np.float64(X))  # the precision of JAX, so none of its own
    assert kept.compiled == 6


def test_a_donated_argument_is_gone_and_the_program_that_is_read_back_takes_it_too(kept):
    run = Program(moved, static=("more",), donate=("weights",))
    given = weights()
    first, _ = run(given, X)
    assert given.w.is_deleted()
    compiled = next(iter(kept.found.values())).result()
    again = unpacked(packed(compiled))
    given = weights()
    found, sums = again.tree.unflatten(again.run(given.w, X))
    assert given.w.is_deleted()
    assert (found.w.tolist(), found.times, float(sums["sum"])) == (first.w.tolist(), 2, 3.0)


def test_what_is_no_program_is_none():
    assert unpacked(b"") is None
    assert unpacked(b"\x80\x04N.") is None


def test_prepared_is_compiled_and_not_run(kept):
    ran = []

    @program()
    def noting(x):
        jax.debug.callback(lambda: ran.append(1))
        return x + 1

    noting.prepare(jax.ShapeDtypeStruct((3,), np.float32))
    jax.effects_barrier()
    assert (kept.compiled, ran) == (1, [])
    assert noting(X).tolist() == [1, 2, 3]
    jax.effects_barrier()
    assert (kept.compiled, ran) == (1, [1])


def test_two_threads_compile_one_program(kept):
    begun, go_on, made = threading.Event(), threading.Event(), []

    def compile_slowly():
        begun.set()
        go_on.wait(10)
        made.append(1)
        return "program"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.find, "call", compile_slowly)
        begun.wait(10)
        second = pool.submit(kept.find, "call", compile_slowly)
        go_on.set()
        assert (first.result(), second.result(), made) == ("program", "program", [1])


def test_what_could_not_be_compiled_is_asked_for_again(kept):
    with pytest.raises(ZeroDivisionError):
        kept.find("call", lambda: 1 / 0)
    assert kept.find("call", lambda: "program") == "program"


def test_a_plain_number_has_the_precision_of_what_it_meets():
    assert described(2) == ((), np.dtype("int32"), True, None)
    assert described(np.int64(2)) == ((), np.dtype("int32"), False, None)
    assert described(True) == ((), np.dtype(bool), True, None)


def test_options_of_the_compiler_that_the_user_sets_as_flags_are_not_overridden(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=elsewhere --xla_backend_optimization_level=0")
    assert not_in_flags({"xla_backend_optimization_level": 2, "xla_backend": 2}) == {"xla_backend": 2}
    monkeypatch.delenv("XLA_FLAGS")
    assert not_in_flags({"xla_backend_optimization_level": 2}) == {"xla_backend_optimization_level": 2}


def test_the_compiler_takes_two_fields_of_eight_rows():
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    run = [sys.executable, "-c", CELLS]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
