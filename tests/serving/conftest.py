"""A server of the two tiny models, in this process."""

import asyncio
from types import SimpleNamespace

import pytest

import unspool as us

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("sse_starlette")
pytest.importorskip("prometheus_client")

WIDTHS = (8,)


@pytest.fixture(scope="session")
def served(workshop):
    """The application, its server, and the models as Python has them."""
    from unspool.serving.app import Server
    from unspool.serving.hosting import ModelHost
    from unspool.serving.limits import Limits
    from unspool.serving.metrics import Metrics

    metrics = Metrics()
    files = {"names": workshop.names, "tracks": workshop.tracks}
    host = ModelHost(files, us.load, metrics, WIDTHS)
    host.start()
    limits = Limits(sequences=500, steps=1_000, total=20_000, stream=100, body=20_000, queue=64, seconds=0.5)
    server = Server(host, metrics, limits)
    models = {name: us.load(path).set_params(verbose=False) for name, path in files.items()}
    yield SimpleNamespace(app=server.app(), server=server, host=host, models=models, files=files)
    host.close()


@pytest.fixture(scope="session")
def ask(served):
    """A function that sends requests to the server side by side, and returns their answers in order."""

    def send(*requests, app=served.app, **options):
        async def all_of_them():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await asyncio.gather(*(client.request(*request[:2], **request[2]) for request in requests))

        answers = asyncio.run(all_of_them())
        return answers[0] if len(answers) == 1 else answers

    return send


@pytest.fixture(scope="session")
def post(ask):
    """A function that asks one model of the server for something."""

    def send(body, model="names", route="generate", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return ask(("POST", f"/v1/models/{model}/{route}", {**content, "headers": named}))

    return send
