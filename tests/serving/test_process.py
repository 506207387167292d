"""The server as a process of its own: under load it is killed, reloaded, ended and starved, and answers go on."""

import contextlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

import unspool as us

pytestmark = pytest.mark.slow
IRISH = {"country": "Irish"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def started(*words, port=None):
    """A server, and its address; it must end well."""
    port = port or free_port()
    command = [sys.executable, "-m", "unspool", "serve", *map(str, words), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            ready(url, process)
            yield process, url
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) in (0, -signal.SIGTERM), process.stderr.read()
        finally:
            process.kill()


def ready(url, process, seconds=180):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, process.stderr.read()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("it is not ready")


def workers(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def memory(pid):
    """Bytes that are resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def counted(url):
    """The metrics."""
    return dict(line.rsplit(" ", 1) for line in httpx.get(f"{url}/metrics").text.splitlines())


def settled(url, seconds=20.0):
    """Wait until no program was compiled for so long: the wider ones of a new kind of requests come one by one."""
    programs, since = counted(url)["unspool_programs"], time.monotonic()
    while time.monotonic() < since + seconds:
        time.sleep(1.0)
        if (now := counted(url)["unspool_programs"]) != programs:
            programs, since = now, time.monotonic()


@contextlib.contextmanager
def load(url, known, clients=6, n=4):
    """Clients that ask again and again; every answer must be the known one of its seed."""
    over, failures, count = threading.Event(), [], itertools.count()

    def ask():
        try:
            with us.connect(url) as remote:
                while not over.is_set():
                    seed = next(count) % len(known)
                    assert list(remote.generate(IRISH, n, seed=seed)) == known[seed]
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield count
    finally:
        over.set()
        for thread in threads:
            thread.join(120)
    assert failures == []


@pytest.fixture(scope="module")
def known(workshop):
    """By seed, four sequences of the model of names."""
    model = us.load(workshop.names)
    return [list(model.generate(IRISH, 4, seed=seed)) for seed in range(50)]


def test_a_worker_that_is_killed_is_replaced_and_clients_go_on(workshop, known):
    with started(workshop.names, "--workers", 2) as (process, url), load(url, known) as count:
        for _ in range(2):
            before = workers(process)
            assert len(before) == 2
            os.kill(before[0], signal.SIGKILL)
            until, asked = time.monotonic() + 120, next(count)
            while len(workers(process)) < 2 or before[0] in workers(process) or next(count) < asked + 50:
                assert time.monotonic() < until
                time.sleep(0.1)


def test_models_are_loaded_again_while_clients_ask(workshop, known, tmp_path):
    file = tmp_path / "names.unspool"
    file.write_bytes(workshop.names.read_bytes())
    with started(file, "--watch") as (process, url):
        first = httpx.get(f"{url}/v1/models/names").json()["hash"]
        with load(url, known) as count:
            for _ in range(3):
                process.send_signal(signal.SIGHUP)
                time.sleep(1)
            assert next(count) > 20
        other = tmp_path / "other"
        other.write_bytes(workshop.tracks.read_bytes())
        other.replace(file)
        until = time.monotonic() + 60
        while httpx.get(f"{url}/v1/models/names").json()["hash"] == first:
            assert time.monotonic() < until
            time.sleep(0.1)
        file.write_bytes(b"nothing")
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert httpx.get(f"{url}/readyz").status_code == 200


def test_the_end_waits_for_requests_under_way(workshop):
    known = list(us.load(workshop.names).generate(IRISH, 2, length=3_000, seed=1))
    with started(workshop.names) as (process, url):
        got = []
        remote = us.connect(url)
        asking = threading.Thread(target=lambda: got.append(list(remote.generate(IRISH, 2, length=3_000, seed=1))))
        asking.start()
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert got == [known]


def test_a_thousand_streams_that_are_cut_are_whole(workshop):
    model, rng = us.load(workshop.names), random.Random(0)
    inputs = {"country": ["Irish", "Greek"]}
    with started(workshop.names) as (_, url), httpx.Client(base_url=url, timeout=60) as client:
        path = "/v1/models/names/generate"
        for k in range(1_000):
            body, headers = {"inputs": inputs, "n": 1 + k % 3, "seed": k % 40}, {"Accept": "text/event-stream"}
            got = []
            while True:
                keep = rng.randrange(1, 12)
                with client.stream("POST", path, json=body, headers=headers) as answer:
                    assert answer.status_code == 200
                    for line in answer.iter_lines():
                        if line.startswith("id: "):
                            headers["Last-Event-ID"] = line[4:]
                        elif line.startswith('data: {"row"'):
                            got.append(line[6:])
                            keep -= 1
                        if keep == 0 or line == "event: end":
                            break
                if keep > 0:
                    break
            whole = model.stream(inputs, 1 + k % 3, seed=k % 40) if k < 40 or k % 25 == 0 else None
            if whole is not None:
                assert [json.loads(line) for line in got] == [event._asdict() for event in whole]
            steps = [tuple(json.loads(line).values())[:3] for line in got]
            assert len(set(steps)) == len(steps)


def test_memory_and_slots_are_flat_under_a_mixed_load(workshop, known):
    def mixed(seconds):
        with load(url, known), us.connect(url) as remote:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                next(iter(remote.stream(IRISH, 8, length=500)))  # and away
                remote.generate(IRISH, 20, rule=us.Sampling(temperature=0.5))
        return memory(process.pid)

    with started(workshop.names) as (process, url):
        mixed(30)
        settled(url)
        before, begin = mixed(15), counted(url)
        assert mixed(30) < 1.05 * before
        end = counted(url)
        assert float(end['unspool_queue{model="names"}']) == 0
        assert end["unspool_programs"] == begin["unspool_programs"]


def test_connections_that_never_finish_a_request_harm_nobody(workshop, known):
    with started(workshop.names) as (_, url), contextlib.ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for _ in range(200):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(b"POST /v1/models/names/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n")
        with load(url, known) as count:
            time.sleep(3)
        assert next(count) > 20


def test_schemathesis_finds_nothing_that_is_not_described(workshop):
    """All of its phases, with right and wrong data: values at bounds, random ones, and calls one after another."""
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    checks += ",unsupported_method,negative_data_rejection"
    with started(workshop.names, workshop.tracks) as (_, url):
        words = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--seed", "1", "-n", "200"]
        words += ["--phases", "examples,coverage,fuzzing,stateful", "-m", "all", "--checks", checks]
        words += ["--request-timeout", "300"]  # of ten million steps, the most that a request may ask for
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stdout
        metrics = httpx.get(f"{url}/metrics").text
        assert 'status="500"' not in metrics
        assert 'unspool_queue{model="names"} 0.0' in metrics


def test_a_server_finds_the_programs_of_the_one_before(workshop, tmp_path, monkeypatch):
    """How many seconds that takes is in benchmarks/serve.py."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path))
    took = []
    for _ in range(2):
        began = time.monotonic()
        with started(workshop.names):
            took.append(time.monotonic() - began)
        assert any(tmp_path.iterdir())
    assert took[1] < took[0]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["nothing.unspool"], "no such file"),
        ([], "at least one model file"),
        (["{names}", "--host", "0.0.0.0"], "without a token"),
        (["{names}", "{names}"], "two named 'names'"),
    ],
)
def test_what_can_not_be_served_is_refused_at_once(workshop, words, found):
    words = [word.format(names=workshop.names) for word in words]
    environment = {name: value for name, value in os.environ.items() if name != "UNSPOOL_TOKEN"}
    command = [sys.executable, "-m", "unspool", "serve", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 2
    assert found in done.stderr
