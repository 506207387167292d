"""A local cluster of two workers beside one process, and workers that are killed: `python -m benchmarks.cluster JOB`.

    train      updates a second of two processes with a core each beside one (H = 256), and the same bits
    generate   sequences a second of two workers of Ray beside one process, and the same bytes
    read       row groups of Parquet that each of two processes reads beside one, and the bytes of their columns
    kills      workers of Ray that are killed at random while they generate: no row is lost or doubled

Two processes need two cores for themselves: on a busy machine ratios of wall time say little. So the load is shown
beside them, and of training how much less processor time the first of two processes takes than one alone: what it waits
is not in it.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.large import write_parts

CORES = sorted(os.sched_getaffinity(0))[:2]
FIT = """
import hashlib, json, resource, sys, time
import numpy as np
import unspool as us
from unspool.network.serialization import weights
size, updates, batch, steps = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
table = [rng.integers(0, 64, steps).tolist() for _ in range(1024)]
epochs = max(1, updates * batch // 1024)
training = us.Training(shards=4, batch=batch, epochs=epochs, holdout=0, draw_inputs=False)
model = us.OneToMany("k", us.Category("x"), network=us.Network(size=size), training=training, verbose=False)
rounds = []


def note(done):
    used = resource.getrusage(resource.RUSAGE_SELF)
    rounds.append((done.update, time.perf_counter(), used.ru_utime + used.ru_stime))


model.fit({"k": ["a", "b"] * 512, "x": table}, callback=note)
digest = hashlib.sha256(b"".join(a.tobytes() for _, a in sorted(weights(model.net_).items()))).hexdigest()
if rounds:
    count, wall, used = (last - first for first, last in zip(rounds[0], rounds[-1], strict=True))
    print(json.dumps([digest, model.summary_.weights, wall / count, used / count]))
"""
READ = """
import json, sys
import unspool as us
from unspool.tables.parts import Parts
folder, cache = sys.argv[1:]
found, inner = {"passes": 0, "row groups": 0, "bytes": 0}, Parts.batches


def counted(self, columns=None, rows=2**16, first=0, end=None):
    found["passes"] += 1
    for part, _, _ in self._within(first, end):
        for group in part.row_groups:
            found["row groups"] += 1
            chunks = [part.metadata.row_group(group.id).column(j) for j in range(len(self.columns))]
            chunks = [c for c in chunks if columns is None or c.path_in_schema in columns]
            found["bytes"] += sum(c.total_compressed_size for c in chunks)
    yield from inner(self, columns, rows, first, end)


Parts.batches = counted
training = us.Training(shards=4, seconds=1, draw_inputs=False)
options = {"network": us.Network(size=16), "training": training, "verbose": False}
model = us.OneToMany("region", ["kind", "price", "items"], **options)
model.fit(folder, id="customer", order="number", cache=cache or None)
print(json.dumps(found))
"""


GENERATE = """
import json, resource, sys, time
import unspool as us
model, given = us.load(sys.argv[1]).set_params(verbose=False), json.loads(sys.argv[3])
model.generate_to(sys.argv[2].rstrip("/") + "-warm/", {"kind": "a"}, **given | {"n": given["per_part"]})
began = time.perf_counter()
model.generate_to(sys.argv[2], {"kind": "a"}, **given)
print(json.dumps([time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""


def fitted(count: int, *sizes: int) -> list[Any]:
    """Digest, number of weights, seconds of an update, and of them the processor time of the first process.

    Each process has a core. The first round of updates waits for the compiler, and is not counted.
    """
    said = spoken(FIT, count, *sizes)
    return list(json.loads(said[0].splitlines()[-1]))


def spoken(program: str, count: int, *words: Any) -> list[str]:
    """What so many processes print that run a program together, each on a core."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for number in range(count):
        environment = os.environ | {"UNSPOOL_CORES": "1", "JAX_NUM_CPU_DEVICES": "1"}
        if count > 1:
            environment |= {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": str(count)}
            environment["JAX_PROCESS_ID"] = str(number)
        command = ["taskset", "-c", str(CORES[number % len(CORES)]), sys.executable, "-c", program, *map(str, words)]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    return [process.communicate()[0] for process in running]


def read(steps: int) -> None:
    """Two processes with a cache that they share, and without, beside one."""
    with tempfile.TemporaryDirectory() as folder:
        write_parts(Path(folder, "data"), steps)
        for count, cache in ((1, "one"), (2, "two"), (2, "")):
            said = spoken(READ, count, f"{folder}/data", cache and f"{folder}/{cache}")
            job = f"read, {count} process{'es' * (count > 1)}, {'a' if cache else 'no'} cache"
            figures = [json.loads(text.splitlines()[-1]) for text in said]
            print(json.dumps({"job": job, "by process": figures}), flush=True)
        assert contents(f"{folder}/one", "*") == contents(f"{folder}/two", "*"), "other bytes"


def train(rounds: int, *sizes: int) -> None:
    """Two processes beside one, in turn."""
    for _ in range(rounds):
        (one, weights, *alone), (two, _, *together) = fitted(1, *sizes), fitted(2, *sizes)
        assert one == two, "other bits"
        wall, used = (round(a / b, 2) for a, b in zip(alone, together, strict=True))
        figures = {"weights": weights, "one": alone, "two": together, "ratio": wall, "of processor time": used}
        print(
            json.dumps(
                {"job": "train, H={} updates={} B={} T={}".format(*sizes), **figures, "load": os.getloadavg()[0]}
            ),
            flush=True,
        )


def contents(folder: str, names: str = "part-*") -> dict[str, str]:
    """Hashes of the parts, or of other files, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).glob(names)}


def ready() -> tuple[Any, Any]:
    """Ray with two workers, and a small model."""
    import ray

    import unspool as us

    ray.init(num_cpus=2, object_store_memory=200 * 2**20, include_dashboard=False, log_to_driver=False)
    table = {"kind": ["a", "b"] * 50, "word": ["abcdefghijklm", "nopqrstuvwxyz"] * 50}
    training, network = us.Training(epochs=1, draw_inputs=False), us.Network(size=64)
    return ray, us.OneToMany("kind", "word", network=network, training=training, verbose=False).fit(table)


def generate(sequences: int) -> None:
    """Two workers of Ray, on two cores, beside one process on one core, and beside one on both."""
    import unspool.ray

    ray, model = ready()
    given: dict[str, Any] = {"n": sequences, "seed": 1, "length": 10, "per_part": 16_384}
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.unspool")
        unspool.ray.generate_to(model, {"kind": "a"}, f"{folder}/warm", **given | {"n": 2 * given["per_part"]})
        began = time.perf_counter()
        unspool.ray.generate_to(model, {"kind": "a"}, f"{folder}/two", **given)
        seconds, known = {"two workers": time.perf_counter() - began}, contents(f"{folder}/two")
        ray.shutdown()
        for name, cores in (("one core", CORES[:1]), ("both cores", CORES)):
            command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-c", GENERATE]
            words = [f"{folder}/model.unspool", f"{folder}/{name}/", json.dumps(given)]
            done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
            seconds[name], peak = json.loads(done.stdout.splitlines()[-1])
            assert contents(f"{folder}/{name}") == known, "other bytes"
    ratios = {f"ratio, {name}": round(seconds[name] / seconds["two workers"], 2) for name in ("one core", "both cores")}
    figures = {**seconds, **ratios, "peak of one, MB": peak, "load": os.getloadavg()[0]}
    print(json.dumps({"job": f"generate, {sequences:,} sequences", **figures}))


def kills(wanted: int) -> None:
    """Kill workers at random until so many are dead; every job's files are those of one process."""
    import unspool.ray

    _, model = ready()
    chance, stop, dead = random.Random(0), threading.Event(), []

    def kill() -> None:
        while not stop.wait(chance.uniform(1.0, 5.0)):
            found = subprocess.run(["pgrep", "-f", "^ray::write_part"], capture_output=True, text=True, check=False)
            for number in found.stdout.split()[:1]:
                os.kill(int(number), signal.SIGKILL)
                dead.append(number)

    given: dict[str, Any] = {"n": 100_000, "seed": 1, "length": 10, "per_part": 1000}
    killer, jobs = threading.Thread(target=kill), 0
    with tempfile.TemporaryDirectory() as folder:
        model.generate_to(f"{folder}/one/", {"kind": "a"}, **given)
        whole = contents(f"{folder}/one")
        killer.start()
        try:
            while len(dead) < wanted:
                jobs += 1
                unspool.ray.generate_to(model, {"kind": "a"}, f"{folder}/{jobs}", **given)
                assert contents(f"{folder}/{jobs}") == whole, "other bytes, or a part that is missing"
        finally:
            stop.set()
            killer.join()
    print(json.dumps({"job": "kills", "workers killed": len(dead), "jobs": jobs, "rows lost or doubled": 0}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("train", "generate", "read", "kills"))
    parser.add_argument("--size", type=int, default=256, help="hidden units")
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=64, help="of a sequence")
    parser.add_argument("--read-steps", type=int, default=4_000_000, help="of all sequences, where Parquet is read")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sequences", type=int, default=10_000_000)
    parser.add_argument("--kills", type=int, default=200)
    asked = parser.parse_args()
    if asked.job == "train":
        train(asked.rounds, asked.size, asked.updates, asked.batch, asked.steps)
    elif asked.job == "generate":
        generate(asked.sequences)
    elif asked.job == "read":
        read(asked.read_steps)
    else:
        kills(asked.kills)
