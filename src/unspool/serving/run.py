"""The server as a process, or as several that share a port."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import sys
import tempfile
from typing import Any

import msgspec
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette

from unspool.config import Config
from unspool.errors import OptionError
from unspool.model import load
from unspool.modelfile import read_config
from unspool.runtime.process import start_jax
from unspool.runtime.stopping import interruptible
from unspool.serving.app import Server
from unspool.serving.hosting import ModelHost, named_files
from unspool.serving.limits import Limits
from unspool.serving.metrics import Metrics

SETTINGS, COUNTED = "UNSPOOL_SERVING", "PROMETHEUS_MULTIPROC_DIR"
"""Environment variables by which workers know their settings, and the folder in which they count together."""
DRAIN_SECONDS = 30
"""Time that requests under way have to end when the server does."""
SWITCH_SECONDS = 1e-3
"""Time after which a thread that runs Python gives way: an engine that waits for longer leaves a core idle, and threads
that change more often keep each other from work (docs/log.md)."""
CONNECTIONS = 4_096
"""Connections of a process at a time."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is started with; see `unspool serve`."""

    models: list[str]
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    root_path: str = ""
    workers: int = 1
    watch: bool = False
    limits: Limits = Limits()


def run_server(settings: Settings) -> None:
    """Serve until a signal ends it: requests under way are answered first. SIGHUP loads all models again.

    Raises:
        FileError: a model file can't be read.
        OptionError: two models of one name, or no token where other machines can connect.
    """
    if settings.token is None and not is_local(settings.host):
        hint = "Set the environment variable UNSPOOL_TOKEN, or pass --token; or serve behind a proxy on this machine."
        raise OptionError("--host", "127.0.0.1, or a token", f"{settings.host} without a token", hint)
    for path in named_files(settings.models).values():
        read_config(path, Config)  # a file that can't be served is refused here, not in a worker
    AppStatus.disable_automatic_graceful_drain()
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "root_path": settings.root_path,
        "access_log": False,
        "log_level": "warning",
        "server_header": False,
        "proxy_headers": False,
        "limit_concurrency": CONNECTIONS,
        "timeout_graceful_shutdown": DRAIN_SECONDS,
    }
    with interruptible() as stop:
        stop.keeps = True  # requests under way
        _run(settings, options)


def _run(settings: Settings, options: dict[str, Any]) -> None:
    if settings.workers == 1:
        uvicorn.run(application(settings), **options)
        return
    with tempfile.TemporaryDirectory(prefix="unspool-metrics-") as folder:
        os.environ[SETTINGS], os.environ[COUNTED] = msgspec.json.encode(settings).decode(), folder
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        os.environ.setdefault("UNSPOOL_CORES", str(max(cores // settings.workers, 1)))
        uvicorn.run(f"{__name__}:from_environment", factory=True, workers=settings.workers, **options)


def is_local(host: str) -> bool:
    """Whether only this machine can connect.

    Examples:
        >>> [is_local(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0")]
        [True, True, True, False]
    """
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def from_environment() -> Starlette:
    """The application of a worker."""
    AppStatus.disable_automatic_graceful_drain()
    return application(msgspec.json.decode(os.environ[SETTINGS], type=Settings))


def application(settings: Settings) -> Starlette:
    """The application with these settings.

    A process alone answers /healthz while it loads its models; a worker takes no request before it has them.
    """
    start_jax()
    sys.setswitchinterval(SWITCH_SECONDS)
    together = settings.workers > 1
    metrics = Metrics(together=together)
    host = ModelHost(named_files(settings.models), load, metrics)
    server = Server(host, metrics, settings.limits, settings.token, watch=settings.watch, wait=together)
    if not together:
        server.on_start.append(lambda: _reload_on_signal(server))
    return server.app()


def _reload_on_signal(server: Server) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, server.reload))
