"""Many clients of `unspool serve` against one call of `generate`: python benchmarks/serve.py.

A token model of one layer, V = 64 symbols, sequences of exact length. The server and its clients are processes of this
machine, and share its cores. Parity is that each client gets what `generate` gives for its seed. A competitor is the
same loop in PyTorch behind FastAPI, where these are installed: a request there is a call of its own.
"""

import asyncio
import gc
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import Sizes, in_turn, line, quick, report

import unspool as us

PORT, PEER_PORT = 8461, 8462
STREAM = "text/event-stream"


def fitted(sizes: Sizes, folder: Path) -> Any:
    """A model of these sizes, and its file; what it has learned does not matter."""
    rng = np.random.default_rng(0)
    steps = [rng.permutation(sizes.V).astype(str).tolist()[: sizes.T] for _ in range(64)]
    table = {"k": ["a", "b"] * 32, "x": steps}
    model = us.OneToMany(
        "k",
        us.Category("x"),
        network=us.Network(size=sizes.H),
        training=us.Training(epochs=1, holdout=0, draw_inputs=False),
        verbose=False,
    ).fit(table)
    model.save(folder / "tokens.unspool")
    return model


@contextmanager
def server(command: list[str], port: int, path: str) -> Iterator[float]:
    """A server while the block runs, and the seconds after which it was ready."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        began = time.perf_counter()
        try:
            deadline = time.monotonic() + 120
            while asyncio.run(is_ready(port, path)) is False:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


async def is_ready(port: int, path: str) -> bool:
    """Whether a server answers."""
    try:
        status, _ = await Client(port).get(path)
    except OSError:
        return False
    return status == 200


class Client:
    """A connection that stays open; it costs far less than those of libraries, for it shares the server's cores."""

    def __init__(self, port: int) -> None:
        self.port, self.ways = port, None

    async def send(self, method: str, path: str, body: bytes, accept: str) -> asyncio.StreamReader:
        """Send a request, and read the head of the answer."""
        if self.ways is None:
            self.ways = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.ways
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return reader

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a page."""
        return await self.answer(await self.send("GET", path, b"", "*/*"))

    async def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """Status and body of an answer."""
        return await self.answer(await self.send("POST", path, json.dumps(body).encode(), "application/json"))

    async def answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        """Status and body."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        return int(head.split()[1]), await reader.readexactly(length)

    async def first_step(self, path: str, body: Any) -> float:
        """Seconds to the first step of a stream, which is read to its end."""
        began = time.perf_counter()
        reader = await self.send("POST", path, json.dumps(body).encode(), STREAM)
        await reader.readuntil(b"data: ")
        took = time.perf_counter() - began
        await reader.readuntil(b"event: end")
        await reader.readuntil(b"0\r\n\r\n")
        return took


def asked(port: int, path: str, body: Callable[[int], Any], clients: int, each: int) -> Callable[[], list[bytes]]:
    """A job: so many clients at once, each of which asks so many times, one after another."""

    async def one(number: int) -> list[bytes]:
        client, found = Client(port), []
        for k in range(each):
            status, content = await client.post(path, body(number * each + k))
            assert status == 200, content
            found.append(content)
        return found

    async def all_of_them() -> list[list[bytes]]:
        return await asyncio.gather(*map(one, range(clients)))

    return lambda: [content for found in asyncio.run(all_of_them()) for content in found]


def streamed(path: str, body: Callable[[int], Any], clients: int, each: int) -> Callable[[], None]:
    """A job: so many clients at once, each of which reads so many streams, one after another."""

    async def one(number: int) -> None:
        client = Client(PORT)
        for k in range(each):
            await client.first_step(path, body(number * each + k))

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, range(clients)))

    return lambda: asyncio.run(all_of_them())


async def first_steps(path: str, body: Callable[[int], Any], count: int, gap: float) -> list[float]:
    """Seconds to the first steps of streams that begin so many seconds apart, on average (a Poisson process)."""
    rng, tasks = np.random.default_rng(1), []
    for k in range(count):
        tasks.append(asyncio.ensure_future(Client(PORT).first_step(path, body(k))))
        await asyncio.sleep(float(rng.exponential(gap)))
    return [await task for task in tasks]


def main() -> None:
    """Measure."""
    small = quick()
    sizes, each, rounds = (Sizes(8, 8, 16, 16), 1, 1) if small else (Sizes(128, 64, 100, 64), 4, 5)
    path = "/v1/models/tokens/generate"
    body = lambda seed: {"inputs": {"k": "a"}, "seed": seed, "length": sizes.T}  # noqa: E731
    B, name = sizes.B, f"H={sizes.H} T={sizes.T}"
    with tempfile.TemporaryDirectory() as folder:
        fitted(sizes, Path(folder))
        model = us.load(f"{folder}/tokens.unspool")
        gc.collect()
        gc.freeze()  # the collector of this process would stop all clients for a tenth of a second
        command = [sys.executable, "-m", "unspool", "serve", f"{folder}/tokens.unspool", "--port", str(PORT)]
        with server(command, PORT, "/readyz"):
            pass  # its programs are kept
        with server(command, PORT, "/readyz") as warm:
            found = asked(PORT, path, body, B, 1)()
            for seed, content in enumerate(found):
                known = list(model.generate({"k": "a"}, seed=seed, length=sizes.T))
                assert json.loads(content)["sequences"] == known
            whole = lambda: [model.generate({"k": ["a"] * B}, seed=0, length=sizes.T)] * each  # noqa: E731
            many, eight = (asked(PORT, path, body, clients, each) for clients in (B, 8))
            one, fewer = asked(PORT, path, body, 1, 4 * each), None
            seconds = in_turn(many, whole, eight, one, rounds=rounds)
            per_sequence = [seconds[0] / (B * each), seconds[1] / B, seconds[2] / (8 * each), seconds[3] / (4 * each)]
            rows = [
                line(f"sequence, {B} clients at once, {name}, against one generate", per_sequence[0], per_sequence[1]),
                line(f"sequence, 8 clients, {name}, against 1 client", per_sequence[2], per_sequence[3]),
            ]
            long = lambda seed: body(seed) | {"length": 10 * sizes.T}  # noqa: E731
            each_long = asked(PORT, path, long, B, 1)
            whole_long = lambda: model.generate({"k": ["a"] * B}, seed=0, length=10 * sizes.T)  # noqa: E731
            ours, theirs = (taken / B for taken in in_turn(each_long, whole_long, rounds=rounds))
            rows.append(
                line(f"sequence, {B} clients at once, H={sizes.H} T={10 * sizes.T}, against one generate", ours, theirs)
            )
            (stream,) = in_turn(streamed(path, body, B, each), rounds=rounds)
            stream /= B * each
            rows.append(line("from its start to ready, with programs that were kept", warm))
            rows.append(line(f"stream, {B} clients at once, {name}", stream))
            times = asyncio.run(first_steps(path, body, B if small else 1_000, 2 * stream))
            p99 = float(np.quantile(times, 0.99))
            rows.append(line(f"p99 to the first step at half as many streams a second, {name}", p99))
            rows.append(
                line(f"median to the first step at half as many streams a second, {name}", statistics.median(times))
            )
            if all(importlib.util.find_spec(package) for package in ("torch", "fastapi")):
                peer = [
                    sys.executable,
                    str(Path(__file__).with_name("serve_torch.py")),
                    str(PEER_PORT),
                    *map(str, sizes),
                ]
                with server(peer, PEER_PORT, "/healthz"):
                    fewer = asked(PEER_PORT, "/generate", lambda seed: {"seed": seed}, B, 1)
                    ours, theirs = in_turn(many, fewer, rounds=rounds)
                job = f"sequence, {B} clients at once, {name}, against PyTorch behind FastAPI"
                rows.append(line(job, ours / (B * each), theirs / B))
    report("serve", rows)


if __name__ == "__main__":
    main()
