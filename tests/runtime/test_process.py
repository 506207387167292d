"""A process lives long with few compiled programs, and a forked one is told so instead of hanging."""

import os
import subprocess
import sys
import textwrap

import pytest

from unspool.errors import ForkedProcess
from unspool.runtime import process
from unspool.runtime.process import Entrance
from unspool.runtime.programs import Programs

linux = pytest.mark.skipif(process.mappings() is None, reason="this system doesn't say what is mapped")


@pytest.fixture
def programs(monkeypatch):
    """The programs of a process that has none yet."""
    monkeypatch.setattr(process, "PROGRAMS", Programs())
    return process.PROGRAMS


def test_half_of_the_programs_is_dropped_when_the_mappings_are_many_and_counted_now_and_then(monkeypatch, programs):
    """Not before, for compiling them again takes time; and those that were not used for the longest time."""
    found, counts = [20_000], []
    monkeypatch.setattr(process, "mappings", lambda: counts.append(1) or found[0])
    entrance = Entrance()
    for number in range(32):
        programs.find(number, lambda: None)
        entrance.enter()
    assert [len(counts), len(programs.found)] == [2, 32]
    found[0] = 20_001
    programs.find(3, lambda: None)
    for number in range(32, 48):
        programs.find(number, lambda: None)
    for _ in range(3):
        entrance.enter()
    assert [len(counts), list(programs.found)] == [3, [*range(25, 32), 3, *range(32, 48)]]


def test_where_mappings_cannot_be_counted_the_programs_are(monkeypatch, programs):
    monkeypatch.setattr(process, "mappings", lambda: None)
    entrance = Entrance()
    for number in range(1_100):
        programs.find(number, lambda: None)
        entrance.enter()
        assert len(programs.found) <= 500 + 16


def test_a_forked_process_is_refused_with_what_to_do():
    entrance = Entrance()
    entrance.owner = os.getpid() + 1
    with pytest.raises(ForkedProcess, match="spawn"):
        entrance.enter()


def run(program, *arguments, **environment):
    words = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_was_forked_after_jax_has_started_gets_an_error_and_one_before_works(workshop):
    program = """
        import multiprocessing, sys, warnings
        import unspool as us

        warnings.simplefilter("ignore")  # JAX's own about forks
        fork = multiprocessing.get_context("fork")

        def child(pipe, model):
            try:
                model = model or us.load(sys.argv[1])
                pipe.send(list(model.generate({"country": "Irish"}, seed=1)))
            except ValueError as error:
                pipe.send(f"{type(error).__name__}: {error}")

        def answer(model):
            ours, theirs = fork.Pipe()
            process = fork.Process(target=child, args=(theirs, model), daemon=True)
            process.start()
            said = ours.recv() if ours.poll(60) else "it hangs"
            process.kill()
            process.join()
            return said

        before = answer(None)
        model = us.load(sys.argv[1])
        print(before == list(model.generate({"country": "Irish"}, seed=1)))
        print(answer(model))
    """
    same, error, *_ = run(program, workshop.names)
    assert same == "True"
    assert error.startswith("ForkedProcess: process ")
    assert 'multiprocessing.get_context("spawn")' in error


CALLS = """
    import sys
    import numpy as np
    import unspool as us
    from unspool.runtime import process
    from unspool.runtime.programs import PROGRAMS

    calls, rows, steps, more, each = map(int, sys.argv[2:])
    dropped, drop = [], PROGRAMS.drop
    PROGRAMS.drop = lambda share: dropped.append(1) or drop(share)
    model = us.load(sys.argv[1])
    known = {"country": ["Irish"], "name": ["Aoife"]}
    first = model.log_prob(known)
    if more:
        process.MAX_MAPPINGS, process.PROGRAMS_PER_COUNT = process.mappings() + more, each
    rng, most, memory = np.random.default_rng(0), 0, []
    resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
    for k in range(calls):
        n, longest = rng.integers(1, rows), int(rng.integers(1, steps))
        model.log_prob({"country": ["Irish"] * n, "name": ["a" * longest] * n})
        most = max(most, process.mappings())
        memory.append(resident())
    print(most, process.MAX_MAPPINGS, len(dropped))
    print(max(memory[: calls // 3]), memory[-1])
    print(np.array_equal(model.log_prob(known), first))
"""


@pytest.mark.slow
@linux
def test_scoring_of_many_shapes_keeps_the_mappings_few(workshop):
    """With a bound so low that the few shapes of this test reach it."""
    quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    mapped, _, same, *_ = run(CALLS, workshop.names, 150, 9, 30, 300, 4, **quick)
    most, bound, dropped = map(int, mapped.split())
    assert dropped >= 1
    assert most < bound + 4 * 150
    assert same == "True"


@linux
@pytest.mark.slow
def test_two_thousand_scorings_of_random_shapes_keep_mappings_and_memory_flat(workshop):
    mapped, memory, same, *_ = run(CALLS, workshop.names, 2000, 600, 200, 0, 0)
    assert int(mapped.split()[0]) < 30_000
    early, last = map(float, memory.split())
    assert last < 1.3 * early
    assert same == "True"
