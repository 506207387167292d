"""The server as an ASGI application: routes, limits and answers."""

import asyncio
import contextlib
import hmac
import logging
import signal
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from unspool.errors import UnspoolError
from unspool.generation.slots import CHUNK_STEPS
from unspool.jobs import GenerationJob
from unspool.runtime.programs import PROGRAMS
from unspool.serving import openapi, pages
from unspool.serving.answers import (
    JSON_TYPE,
    STREAM_TYPE,
    EventId,
    accepted,
    answer,
    encode,
    events_after,
)
from unspool.serving.engine import GenerationWork, SampleWork, work_of
from unspool.serving.hosting import HostedModel, ModelHost
from unspool.serving.limits import Limits, check_size
from unspool.serving.messages import (
    GenerateRequest,
    ModelList,
    NextStepAnswer,
    NextStepRequest,
    NextSteps,
    ScoreRequest,
    Scores,
)
from unspool.serving.metrics import METRICS_TYPE, Metrics
from unspool.serving.problems import PROBLEM_TYPE, Problem, Refusal, unreadable

GONE = 499
"""What counts as the status of an answer that nobody waits for."""
OPEN_PATHS = ("/healthz",)
"""Paths that need no token."""
WATCH_SECONDS = 1.0
"""Time between two looks at the model files."""
PING_SECONDS = 15
"""Time after which a silent stream says that it is alive."""
QUICK_STEPS = 2_000
"""Steps of a request that the event loop itself prepares and encodes; more go to a thread."""
END = b"event: end\ndata: {}\n\n"
"""The last event of a stream: without it, the stream was cut."""
log = logging.getLogger("unspool")


class StreamResponse(EventSourceResponse):
    """A stream that says when it is over, however it ended, and even if it never began."""

    def __init__(self, *args: Any, over: Callable[[], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self.over = over

    async def __call__(self, *connection: Any) -> None:
        """Answer a request."""
        try:
            await super().__call__(*connection)
        finally:
            self.over()


class Server:
    """The routes.

    Args:
        host: the models.
        metrics: what is counted.
        limits: of requests.
        token: that requests must hold; `None` asks for none.
        watch: load models again whose files change.
        wait: take no request before the models are there.

    Attributes:
        on_start: called when the event loop runs.
    """

    def __init__(
        self,
        host: ModelHost,
        metrics: Metrics,
        limits: Limits,
        token: str | None = None,
        *,
        watch: bool = False,
        wait: bool = False,
    ) -> None:
        self.host, self.metrics, self.limits, self.watch, self.wait = host, metrics, limits, watch, wait
        self.on_start: list[Callable[[], None]] = []
        self.token = None if token is None else token.encode()
        self.under_way: dict[str, int] = {}

    def app(self) -> Starlette:
        """The application."""
        model = "/v1/models/{model}"
        routes = [
            Route(f"{model}/generate", self.guarded(self.generate), methods=["POST"]),  # they are tried in this order
            Route("/", self.guarded(self.index)),
            Route("/healthz", self.healthz),
            Route("/readyz", self.guarded(self.readyz)),
            Route("/metrics", self.guarded(self.show_metrics)),
            Route("/openapi.json", self.guarded(self.document)),
            Route("/v1/models", self.guarded(self.models)),
            Route(model, self.guarded(self.card)),
            Route(f"{model}/page", self.guarded(self.page)),
            Route(f"{model}/log_prob", self.guarded(self.log_prob), methods=["POST"]),
            Route(f"{model}/next_step", self.guarded(self.next_step), methods=["POST"]),
        ]
        handlers: Any = {HTTPException: self.no_route, Exception: self.mistake}
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=self.lifespan)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Load the models, beside the first answers or before them, and end their threads at the end."""
        for function in self.on_start:
            function()
        loading = asyncio.ensure_future(run_in_threadpool(self.host.start))
        if self.wait:
            await loading
        else:
            loading.add_done_callback(_end_if_failed)
        watching = asyncio.ensure_future(self.watch_files()) if self.watch else None
        try:
            yield
        finally:
            if watching is not None:
                watching.cancel()
            self.host.close()

    async def watch_files(self) -> None:
        """Load models again whose files have changed."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self.host.warm:
                await run_in_threadpool(self.reload, self.host.changed())

    def reload(self, names: list[str] | None = None) -> None:
        """Load models again, by default all; a file that can't be loaded is reported, and the old model stays."""
        for name in self.host.files if names is None else names:
            try:
                self.host.reload(name)
                log.info("%s: loaded again", name)
            except UnspoolError as error:
                log.warning("%s: the old model stays. %s", name, error)

    def guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A handler behind the token, whose refusals are problems, and whose answers are counted."""
        route = getattr(handler, "__name__", "")

        async def guard(request: Request) -> Response:
            began = time.perf_counter()
            try:
                self.check_token(request)
                response = await handler(request)
            except UnspoolError as error:
                response = problem(error)
            except ClientDisconnect:
                response = Response(status_code=GONE)
            name = request.path_params.get("model", "")
            name = name if name in self.host.models else ""
            self.metrics.requests.labels(name, route, str(response.status_code)).inc()
            self.metrics.latency.labels(name, route).observe(time.perf_counter() - began)
            return response

        return guard

    def check_token(self, request: Request) -> None:
        """Refuse a request without the token."""
        if self.token is None:
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "replace"), self.token):
            found = "another one" if given else "none"
            headers = {"WWW-Authenticate": "Bearer"}
            place, cure = "header Authorization", "Send 'Authorization: Bearer TOKEN'."
            raise Refusal(HTTPStatus.UNAUTHORIZED, place, "the token of this server", found, cure, headers)

    # ---- pages ----------------------------------------------------------------------------------------------------

    async def healthz(self, request: Request) -> Response:
        """Whether the process lives."""
        return Response("ok\n", media_type="text/plain")

    async def readyz(self, request: Request) -> Response:
        """Whether all models are loaded and compiled."""
        self.check_ready()
        return Response("ok\n", media_type="text/plain")

    def check_ready(self) -> None:
        """Refuse requests before the models are there."""
        if not self.host.warm:
            expected, found = "models that are loaded and compiled", "models that are not yet"
            headers = {"Retry-After": "1"}
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "server", expected, found, "Try again.", headers)

    async def show_metrics(self, request: Request) -> Response:
        """Counters, for Prometheus."""
        self.metrics.programs.set(PROGRAMS.compiled)
        for name in self.host.models:
            self.metrics.queue.labels(name).set(self.under_way.get(name, 0))
        return Response(self.metrics.text(), headers={"content-type": METRICS_TYPE})

    async def document(self, request: Request) -> Response:
        """The description of the server."""
        from importlib.metadata import version

        self.check_ready()
        guarded = self.token is not None
        return as_json(openapi.describe(version("unspool"), [*self.host.models], guarded=guarded))

    async def models(self, request: Request) -> Response:
        """The names of the models."""
        self.check_ready()
        return as_json(ModelList([*self.host.models]))

    async def card(self, request: Request) -> Response:
        """What a model takes and gives."""
        return as_json(self.hosted(request).card)

    async def index(self, request: Request) -> Response:
        """The page of the model, or a list of all."""
        self.check_ready()
        names = [*self.host.models]
        if len(names) == 1:
            return await self.page_of(self.host.models[names[0]])
        text = pages.index(names, request.scope.get("root_path", ""))
        return Response(text, headers={"content-type": pages.PAGE_TYPE, **pages.INDEX_HEADERS})

    async def page(self, request: Request) -> Response:
        """The page that explains a model; the browser computes."""
        return await self.page_of(self.hosted(request))

    async def page_of(self, hosted: HostedModel) -> Response:
        """The page of a model, made once."""
        text = await run_in_threadpool(lambda: hosted.page)
        return Response(text, headers={"content-type": pages.PAGE_TYPE})

    def hosted(self, request: Request) -> HostedModel:
        """The model that a path names."""
        self.check_ready()
        name = request.path_params["model"]
        if name not in self.host.models:
            known = ", ".join(self.host.models)
            raise Refusal(HTTPStatus.NOT_FOUND, "path", f"one of the models {known}", repr(name[:60]))
        return self.host.models[name]

    # ---- generation -----------------------------------------------------------------------------------------------

    async def generate(self, request: Request) -> Response:
        """Sequences, or a stream of their steps."""
        began = time.perf_counter()
        hosted = self.hosted(request)
        kind = accepted(request.headers.get("accept", ""))
        wanted = await self.body(request, GenerateRequest)
        last = request.headers.get("last-event-id") if kind == STREAM_TYPE else None
        place = None if last is None else self.place(EventId.of(last), wanted, hosted)
        if place is not None:
            wanted = msgspec.structs.replace(wanted, seed=place.seed)
        job = await self.in_thread(len(str(wanted.inputs)), self.limits.job, hosted.fitted, wanted, kind == STREAM_TYPE)
        if kind == STREAM_TYPE:
            return await self.stream(hosted, job, place, began)
        made = await self.run(request, hosted, job)
        body = await self.in_thread(len(made.offsets) + int(made.offsets[-1]), answer, made, kind, wanted,
                                    hosted.name, hosted.hash)  # fmt: skip
        return Response(body, headers={"content-type": kind})

    def place(self, last: EventId, wanted: GenerateRequest, hosted: HostedModel) -> EventId:
        """The place where a stream goes on, if it belongs to this model and request."""
        for name, own, found in (("model", hosted.hash, last.digest), ("seed", wanted.seed, last.seed)):
            if own is not None and own != found:
                cure = "Begin a new stream, without Last-Event-ID."
                place = "header Last-Event-ID"
                raise Refusal(HTTPStatus.CONFLICT, place, f"a stream of the {name} {own}", str(found), cure)
        return last

    @contextlib.contextmanager
    def place_in_queue(self, hosted: HostedModel) -> Any:
        """A place among the requests of a model; a refusal if all are taken."""
        count = self.under_way.get(hosted.name, 0)
        if count >= self.limits.queue:
            found, headers = f"{count} under way", {"Retry-After": "1"}
            expected = f"fewer than {self.limits.queue} requests under way"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "server", expected, found, "Try again later.", headers)
        self.under_way[hosted.name] = count + 1
        try:
            yield
        finally:
            self.under_way[hosted.name] -= 1

    async def run(self, request: Request, hosted: HostedModel, job: GenerationJob) -> Any:
        """All sequences of a job; a client that goes away ends it."""
        with self.place_in_queue(hosted):
            news = asyncio.Event()
            work = await self.new_work(hosted, job, news, stream=False)
            gone = asyncio.ensure_future(_disconnected(request))
            gone.add_done_callback(lambda _: news.set())
            hosted.engine.submit(work)
            try:
                if not work.finished:
                    await news.wait()
                if work.error is not None:
                    raise work.error
                if not work.finished:
                    raise ClientDisconnect
            finally:
                gone.cancel()
                hosted.engine.cancel(work)
            size = job.total * job.request.max_steps
            return await self.in_thread(size + (job.reranking is not None) * QUICK_STEPS, work.result)

    async def new_work(
        self, hosted: HostedModel, job: GenerationJob, news: asyncio.Event, *, stream: bool
    ) -> GenerationWork:
        """The work that a job is, with its programs; it sets an event of this loop."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            if stream or work.finished or work.error is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(news.set)

        slow = job.later is not None  # the inputs are drawn
        work = await self.in_thread(job.total + slow * QUICK_STEPS, partial(work_of, job, notify, stream=stream))
        slots = hosted.engine.slots
        if isinstance(work, SampleWork) and not slots.is_prepared(work.slots):
            if not slots.knows(work.slots.kind):
                self.limits.check_kinds(slots.num_kinds)
            await run_in_threadpool(partial(slots.prepare, work.slots, wait=False))
        return work

    async def stream(self, hosted: HostedModel, job: GenerationJob, last: EventId | None, began: float) -> Response:
        """The steps of a job as they come."""
        news = asyncio.Event()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.place_in_queue(hosted))
            # What can't be made is refused here: once the answer has begun, it has a status.
            work = await self.new_work(hosted, job, news, stream=True)
            under_way = stack.pop_all()
        assert isinstance(work, SampleWork)  # noqa: S101  # a search was refused
        events = self.events(hosted, work, news, last, began)
        headers = {"X-Seed": str(job.request.seed)}
        return StreamResponse(events, ping=PING_SECONDS, headers=headers, over=under_way.close)

    async def events(
        self, hosted: HostedModel, work: SampleWork, news: asyncio.Event, last: EventId | None, began: float
    ) -> AsyncIterator[bytes]:
        """The events of a stream, those of all chunks that are ready at once."""
        show = work.job.events(work.part)
        hosted.engine.submit(work)
        try:
            while work.taken * CHUNK_STEPS < work.slots.total:
                while not work.ready:
                    if work.error is not None:
                        raise work.error
                    await news.wait()
                    news.clear()
                first = work.taken == 0
                values, lengths = work.take()
                hosted.engine.resume()
                if not lengths.any():
                    break
                to_bytes = partial(events_after, last=last, digest=hosted.hash, seed=work.whole.request.seed)
                body = await self.in_thread(int(lengths.sum()), lambda: to_bytes(show(values, lengths)))  # noqa: B023
                if first:
                    self.metrics.first.labels(hosted.name).observe(time.perf_counter() - began)
                if body:
                    yield body
            yield END
        finally:
            hosted.engine.cancel(work)

    # ---- scores ---------------------------------------------------------------------------------------------------

    async def log_prob(self, request: Request) -> Response:
        """Log-probabilities of sequences."""
        hosted = self.hosted(request)
        accepted(request.headers.get("accept", ""), (JSON_TYPE,))
        wanted = await self.body(request, ScoreRequest)
        model: Any = hosted.model
        score = model.log_prob_by_field if wanted.by_field else model.log_prob
        found = await self.alone(hosted, score, wanted.data, errors=wanted.errors)
        return as_json(Scores(model=hosted.name, hash=hosted.hash, log_prob=np.asarray(found).tolist()))

    async def next_step(self, request: Request) -> Response:
        """Distributions of the next step."""
        hosted = self.hosted(request)
        accepted(request.headers.get("accept", ""), (JSON_TYPE,))
        wanted = await self.body(request, NextStepRequest)
        self.limits.check_next_step(wanted)
        options: Any = {"samples": wanted.samples, "seed": wanted.seed}
        found = await self.alone(hosted, hosted.model.next_step, wanted.inputs, wanted.prefix, **options)
        steps = [
            NextStepAnswer(
                end=step.end,
                probabilities={name: [*shares.items()] for name, shares in step.probabilities.items()},
                quantiles={name: [*values.items()] for name, values in step.quantiles.items()},
                missing=dict(step.missing),
            )
            for step in found
        ]
        return as_json(NextSteps(model=hosted.name, hash=hosted.hash, steps=steps))

    async def alone(self, hosted: HostedModel, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """A call of what the slots don't do, one at a time."""

        def call() -> Any:
            with hosted.scoring, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function(*args, **options)

        with self.place_in_queue(hosted):
            return await run_in_threadpool(call)

    # ---- bodies ---------------------------------------------------------------------------------------------------

    async def in_thread(self, size: int, function: Callable[..., Any], *args: Any) -> Any:
        """A call that a thread makes if it is no quick one."""
        return function(*args) if size <= QUICK_STEPS else await run_in_threadpool(function, *args)

    async def body(self, request: Request, kind: type[Any]) -> Any:
        """The body, checked."""
        status, place = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "header Content-"
        media = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()
        if media != JSON_TYPE:
            raise Refusal(status, f"{place}Type", JSON_TYPE, repr(media[:60]))
        if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise Refusal(status, f"{place}Encoding", "a body that is not compressed", "another one")
        most, parts, size = self.limits.body, [], 0
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        check_size("bytes", size, most)
                    parts.append(part)
        except TimeoutError:
            expected, found = f"all of it in {self.limits.seconds:g} seconds", f"{size:,} bytes"
            headers = {"Connection": "close"}
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "body", expected, found, "", headers) from None
        try:
            return msgspec.json.decode(b"".join(parts), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None

    # ---- refusals -------------------------------------------------------------------------------------------------

    async def no_route(self, request: Request, error: Exception) -> Response:
        """The answer for a path or method that there is not."""
        assert isinstance(error, HTTPException)  # noqa: S101  # Starlette has looked
        status, headers = HTTPStatus(error.status_code), dict(error.headers or {})
        if request.url.path not in OPEN_PATHS:
            try:
                self.check_token(request)
            except Refusal as refusal:
                return problem(refusal)
        expected = "another method" if status == HTTPStatus.METHOD_NOT_ALLOWED else "a path of /openapi.json"
        return problem(Refusal(status, f"{request.method} of the path", expected, status.phrase, "", headers))

    async def mistake(self, request: Request, error: Exception) -> Response:
        """The answer for a mistake of the server: it says nothing about its inside."""
        expected, found = "an answer", "a mistake of the server, which its log shows"
        return problem(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "server", expected, found))


def problem(error: UnspoolError) -> Response:
    """An error as an answer."""
    found = Problem.of(error)
    headers = {"content-type": PROBLEM_TYPE} | (error.headers if isinstance(error, Refusal) else {})
    return Response(encode(found), found.status, headers=headers)


def as_json(message: Any) -> Response:
    """A message as an answer."""
    return Response(encode(message), headers={"content-type": JSON_TYPE})


async def _disconnected(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _end_if_failed(loading: "asyncio.Future[None]") -> None:
    """End the process if the models can't be loaded: it would never be ready."""
    if not loading.cancelled() and loading.exception() is not None:
        log.error("%s", loading.exception())
        signal.raise_signal(signal.SIGTERM)
