"""On a local Ray cluster, with workers that are killed: the same weights and files as of one process."""

import hashlib
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import unspool as us
from unspool.errors import ClusterError, FileError, OptionError
from unspool.network.serialization import weights

pytestmark = [
    pytest.mark.slow,
    # Ray forks a child that at once becomes another program; JAX warns of children that go on as they are.
    pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
INPUTS = {"country": ["Irish", "Greek"] * 300}


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray", reason="no Ray: pip install unspool[ray]")
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # otherwise a warning, which is an error here
    ray.init(num_cpus=2, object_store_memory=100 * 2**20, **quiet)
    yield ray
    ray.shutdown()


def contents(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(folder).glob("part-*"))}


def workers(name):
    """Processes of this cluster's workers that run a function or an actor."""
    found = subprocess.run(["pgrep", "-f", f"^ray::{name}"], capture_output=True, text=True, check=False)
    return [int(number) for number in found.stdout.split()]


def kill_at_random(stop, chance, name, kills):
    while not stop.wait(chance.uniform(2.0, 10.0)):
        for process in workers(name)[:1]:
            os.kill(process, signal.SIGKILL)
            kills.append(process)


def test_the_parts_are_those_of_one_process_while_workers_are_killed(ray, workshop, tmp_path):
    from unspool.ray import generate_to

    model = us.load(workshop.names)
    model.generate_to(f"{tmp_path}/one/", INPUTS, n=20, seed=5, per_part=60)
    stop, kills = threading.Event(), []
    killer = threading.Thread(target=kill_at_random, args=(stop, random.Random(0), "write_part", kills))
    killer.start()
    try:
        rounds = 0
        while len(kills) < 20:
            rounds += 1
            assert generate_to(model, INPUTS, str(tmp_path / str(rounds)), n=20, seed=5, per_part=60) == 5
            assert contents(tmp_path / str(rounds)) == contents(tmp_path / "one")
    finally:
        stop.set()
        killer.join()


def test_a_half_done_job_and_a_ray_dataset(ray, workshop, tmp_path):
    import pyarrow as pa
    import ray.data

    from unspool.ray import generate_to

    ray.data.DataContext.get_current().enable_progress_bars = False
    model, target = us.load(workshop.names), tmp_path / "many"
    model.generate_to(f"{target}/", INPUTS, n=2, seed=5, per_part=200)
    whole = contents(target)
    first, *others = whole
    for name in others:
        (target / name).unlink()
    os.utime(target / first, (1, 1))
    assert generate_to(str(workshop.names), INPUTS, str(target), n=2, per_part=200) == 5
    assert contents(target) == whole
    assert (target / first).stat().st_mtime == 1
    with pytest.raises(FileError, match="one with other seed 5"):
        generate_to(model, INPUTS, str(target), n=2, seed=6, per_part=200)
    dataset = ray.data.from_arrow([pa.table({"country": INPUTS["country"][a:b]}) for a, b in ((0, 250), (250, 600))])
    generate_to(model, dataset, str(tmp_path / "dataset"), n=2, seed=5, per_part=200)
    assert list(contents(tmp_path / "dataset").values()) == list(whole.values())
    other = ray.data.from_arrow([pa.table({"country": ["Greek"] * rows}) for rows in (250, 350)])
    with pytest.raises(FileError, match="one with other inputs"):
        generate_to(model, other, str(tmp_path / "dataset"), n=2, seed=5, per_part=200)


def test_an_error_in_a_part_is_that_of_one_process(ray, workshop, tmp_path):
    from unspool.ray import generate_to

    with pytest.raises(OptionError, match="length"):
        generate_to(str(workshop.names), INPUTS, str(tmp_path / "x"), length=-1)


def test_workers_of_other_versions_are_refused(ray, workshop, tmp_path, monkeypatch):
    from unspool.cluster import workers as shared
    from unspool.ray import generate_to

    monkeypatch.setattr(shared, "versions", lambda: {"unspool": "0.1"})
    with pytest.raises(ClusterError, match=r"worker on .*: expected unspool 0\.1, as the driver has it"):
        generate_to(str(workshop.names), INPUTS, str(tmp_path / "x"))


def test_a_fit_whose_worker_dies_has_the_weights_of_one_process(ray, tmp_path):
    from unspool.ray import fit

    rng = np.random.default_rng(0)
    data = {
        "k": rng.choice(["a", "b"], 256),
        "x": [rng.integers(0, 5, rng.integers(3, 9)).tolist() for _ in range(256)],
    }

    def model():
        training, network = us.Training(shards=4, epochs=300, batch=32), us.Network(size=16)
        return us.OneToMany("k", us.Category("x"), network=network, training=training, verbose=False)

    alone, kills = model().fit(data), []

    def kill():
        while not (tmp_path / "training" / "checkpoint.unspool").exists():
            time.sleep(0.05)
        kills.append(workers("_Worker")[0])
        os.kill(kills[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    together = fit(model(), data, checkpoint=str(tmp_path / "training"), workers=2)
    killer.join()
    assert kills
    found = weights(together.net_)
    assert found.keys() == weights(alone.net_).keys()
    assert all(np.array_equal(found[name], array) for name, array in weights(alone.net_).items())
