"""Processes that train together: who is who, what they agree on, and weights that are the same to the bit."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from unspool.errors import OptionError
from unspool.runtime.processes import BY_JAX, launched

AGREE = """
import json, sys
from unspool.errors import ClusterError
from unspool.runtime.process import start_jax
from unspool.runtime.processes import check_same, gather_numbers, is_first
start_jax()
import jax
every = gather_numbers([0.1 + jax.process_index(), 1e300]).tolist()
check_same({"unspool": "1"})
try:
    check_same({"unspool": "1", "jax": "0.1" if is_first() else "0.2"})
    refused = ""
except ClusterError as error:
    refused = str(error)
print(json.dumps([every, is_first(), refused]))
"""
FIT = """
import hashlib, json, sys
import numpy as np
import unspool as us
from unspool.network.serialization import weights
folder, model_file, epochs = sys.argv[1:]
rng = np.random.default_rng(0)
data = {"k": rng.choice(["a", "b"], 256), "x": [rng.integers(0, 5, rng.integers(3, 9)).tolist() for _ in range(256)]}
seconds = {"seconds": 4.0} if epochs == "seconds" else {"epochs": int(epochs)}
training = us.Training(shards=4, batch=32, feeding="scheduled", **seconds)
model = us.OneToMany("k", us.Category("x"), network=us.Network(size=16, dropout=0.2), training=training)
model.fit(data, checkpoint=folder)
model.save(model_file)
arrays = sorted(weights(model.net_).items())
digest = hashlib.sha256(b"".join(array.tobytes() for _, array in arrays)).hexdigest()
print(json.dumps([digest, model.summary_.updates]))
"""


def slurm(number, count, port):
    """The variables that Slurm's srun sets in a process; JAX makes the port of the number of the job."""
    job = port - (2**16 - 2**12)
    names = {"JOB_ID": job, "NTASKS": count, "PROCID": number, "LOCALID": number, "STEP_NUM_NODES": 1}
    return {f"SLURM_{name}": str(value) for name, value in names.items()} | {"SLURM_STEP_NODELIST": "127.0.0.1"}


def start(program, number, count, port, *arguments):
    """Process `number` of `count`; alone, without a launcher's variables."""
    environment = {name: value for name, value in os.environ.items() if name not in BY_JAX} | {"UNSPOOL_CORES": "1"}
    environment["JAX_NUM_CPU_DEVICES"] = "1"
    if count > 1:
        environment |= dict(zip(BY_JAX, (f"127.0.0.1:{port}", str(count), str(number)), strict=True))
    words = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_all(program, count, *arguments):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [start(program, number, count, port, *arguments) for number in range(count)]


def results(processes):
    """The JSON that each printed last, and what each wrote as a remark."""
    found = [process.communicate(timeout=280) for process in processes]
    for process, (_, err) in zip(processes, found, strict=True):
        assert process.returncode == 0, err
    return [json.loads(out.splitlines()[-1]) for out, _ in found], [err for _, err in found]


def wait_for(path):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_launcher_says_who_is_who():
    address = dict(zip(BY_JAX, ("ten:1", "4", "3"), strict=True))
    assert launched({}) is None
    assert launched(address) == ("ten:1", 4, 3)
    torchrun = {"TORCHELASTIC_RUN_ID": "x", "MASTER_ADDR": "ten", "MASTER_PORT": "7", "WORLD_SIZE": "2", "RANK": "0"}
    assert launched(torchrun) == ("ten:8", 2, 0)
    for wrong in ({"JAX_PROCESS_ID": "4"}, {"JAX_PROCESS_ID": "one"}, {"JAX_NUM_PROCESSES": ""}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            launched(address | wrong)


def test_processes_agree_to_the_bit_and_refuse_other_versions():
    found, _ = results(start_all(AGREE, 2))
    for number, (every, first, refused) in enumerate(found):
        assert every == [[0.1, 1e300], [1.1, 1e300]]
        assert first == (number == 0)
        assert "process 1 of 2: expected jax 0.1, as process 0 has it, found jax 0.2" in refused


@pytest.mark.slow
def test_processes_under_slurm_call_initialize_themselves():
    port = 2**16 - 2**12 + os.getpid() % 2**12
    program = "import jax\njax.distributed.initialize()\n" + AGREE
    processes = []
    for number in range(2):
        environment = os.environ | slurm(number, 2, port)
        words = [sys.executable, "-c", program]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(words, env=environment, **pipes))
    found, _ = results(processes)
    assert [first for _, first, _ in found] == [True, False]


@pytest.mark.slow
def test_one_two_and_four_processes_give_the_same_weights_and_only_the_first_speaks(tmp_path):
    alone, _ = results(start_all(FIT, 1, tmp_path / "1", tmp_path / "1.unspool", 10))
    for count in (2, 4):
        file = tmp_path / f"{count}.unspool"
        found, remarks = results(start_all(FIT, count, tmp_path / str(count), file, 10))
        assert found == alone * count
        assert "training:" in remarks[0]
        assert not any("training:" in remark for remark in remarks[1:])
        assert file.exists()


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_after_a_killed_process_the_others_end_and_a_restart_gives_the_same_weights(tmp_path, killed):
    alone, _ = results(start_all(FIT, 1, tmp_path / "1", tmp_path / "1.unspool", 300))
    processes = start_all(FIT, 2, tmp_path / "2", tmp_path / "2.unspool", 300)
    wait_for(tmp_path / "2" / "checkpoint.unspool")
    os.kill(processes[killed].pid, signal.SIGKILL)
    _, error = processes[1 - killed].communicate(timeout=60)
    processes[killed].communicate()
    assert processes[1 - killed].returncode not in (0, None)
    assert "LostProcess" in error
    assert "Start all of them again with the same checkpoint=" in error
    assert not (tmp_path / "2.unspool").exists()
    found, _ = results(start_all(FIT, 2, tmp_path / "2", tmp_path / "2.unspool", 300))
    assert found == alone * 2


@pytest.mark.slow
def test_what_a_clock_or_ctrl_c_decides_is_the_same_in_all_processes(tmp_path):
    found, _ = results(start_all(FIT, 2, tmp_path / "1", tmp_path / "1.unspool", "seconds"))
    assert found[0] == found[1]
    processes = start_all(FIT, 2, tmp_path / "2", tmp_path / "2.unspool", 5000)
    wait_for(tmp_path / "2" / "checkpoint.unspool")
    os.kill(processes[1].pid, signal.SIGINT)
    found, remarks = results(processes)
    assert found[0] == found[1]
    assert "interrupted" in remarks[0]


@pytest.mark.slow
def test_processes_with_other_data_and_too_many_of_them_are_refused(tmp_path):
    other = FIT.replace("default_rng(0)", "default_rng(int(__import__('os').environ['JAX_PROCESS_ID']))")
    for program, expected in (
        (other, "as process 0 has it"),
        (FIT.replace("shards=4", "shards=1"), "1, 2 or 4 processes, and a shard for each"),
    ):
        processes = start_all(program, 2, tmp_path / "c", tmp_path / "m.unspool", 2)
        for process in processes:
            _, error = process.communicate(timeout=120)
            assert process.returncode != 0
            assert expected in error
