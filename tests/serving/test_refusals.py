"""What the server refuses, it refuses with a documented status, and says what to do."""

import asyncio
import gzip
import json

import msgspec
import pytest

import unspool as us
from unspool.runtime.programs import PROGRAMS
from unspool.serving.app import Server
from unspool.serving.limits import Limits
from unspool.serving.openapi import REFUSALS
from unspool.serving.problems import Problem

IRISH = {"inputs": {"country": "Irish"}}


def checked(answer):
    """The problem of an answer, complete and documented."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert problem.status == answer.status_code
    assert str(problem.status) in REFUSALS
    assert problem.place
    assert problem.expected
    assert problem.found
    return problem


BODIES = [
    (b"", 400, "body"),
    (b"{", 400, "body"),
    (b"[" * 10_000, 422, "body"),
    (b'{"prefix": ' + b"[" * 9_000 + b"]" * 9_000 + b"}", 400, "body"),
    (b'{"inputs": {"country": NaN}}', 400, "body"),
    (b'{"inputs": {"country": "\xff"}}', 400, "body"),
    ('{"inputs": {}}'.encode("utf-16"), 400, "body"),
    (b"\x00" * 100, 400, "body"),
    (b" " * 20_001, 413, "body: bytes"),
    (b"null", 422, "body"),
    ({"inputs": "/etc/passwd"}, 422, "body.inputs"),
    ({"inputs": 5}, 422, "body.inputs"),
    ({"inputs": {"country": "\x00"}}, 422, "inputs: row 1, column 'country'"),
    ({"inputs": {"country": ["Irish"] * 400}, "n": 2}, 413, "body: rows times n"),
    ({"inputs": {"country": {"a": 1}}}, 422, "inputs: row 1, column 'country'"),
    ({"inputs": {"nothing": 1}}, 422, None),
    ({"inputs": [1, 2]}, 422, "body.inputs[0]"),
    (IRISH | {"n": 0}, 422, "body.n"),
    (IRISH | {"n": 2.5}, 422, "body.n"),
    (IRISH | {"n": 1e400}, 400, None),
    (IRISH | {"n": 501}, 413, "body: n"),
    (IRISH | {"n": 2**31}, 422, "body.n"),
    (IRISH | {"n": 500, "length": 100}, 413, "body: steps of all sequences"),
    (IRISH | {"length": 1_001}, 413, "body: steps"),
    (IRISH | {"length": -1}, 422, "body.length"),
    (IRISH | {"seed": 2**64}, 422, None),
    (IRISH | {"seed": -1}, 422, "body.seed"),
    (IRISH | {"rule": "guess"}, 422, "body.rule"),
    (IRISH | {"rule": {"kind": "sampling", "temperature": 0}}, 422, "body.rule.temperature"),
    (IRISH | {"rule": {"kind": "sampling", "limit": 10**6}}, 413, "body: steps"),
    (IRISH | {"rule": {"kind": "beam", "width": 4096}}, 413, "body: rows times n"),
    (IRISH | {"rule": {"kind": "beam", "width": 1, "best": 2}}, 422, "Beam(best=2)"),
    (IRISH | {"length": 100, "rule": {"kind": "typical", "samples": 400}}, 413, "body: steps of all sequences"),
    (IRISH | {"rule": {"kind": "typical", "distance": "x"}}, 422, "body.rule.distance"),
    (IRISH | {"prefix": 7}, 422, "prefix"),
    (IRISH | {"prefix": "zzz"}, 422, None),
    (IRISH | {"pin": {"-1": {"name": "A"}}}, 422, None),
    (IRISH | {"pin": {"0": {"nothing": "A"}}}, 422, None),
    (IRISH | {"pin": {"999999": {"name": "A"}}}, 422, None),
    (IRISH | {"allow": {"name": []}}, 422, None),
    (IRISH | {"best_of": 3}, 422, "body"),
    (IRISH | {"key": "__import__('os')"}, 422, "body"),
]


@pytest.mark.parametrize(("body", "status", "place"), BODIES)
def test_a_hostile_body_is_refused_at_its_place(post, body, status, place):
    answer = post(json.dumps(body).encode() if isinstance(body, dict) else body)
    problem = checked(answer)
    assert answer.status_code == status, answer.text
    assert place in (None, problem.place), answer.text


def test_a_mistake_in_the_values_has_the_parts_of_pythons_error(post, served):
    with pytest.raises(ValueError, match="Fit again") as error:
        served.models["names"].generate({"country": "Martian"})
    problem = checked(post({"inputs": {"country": "Martian"}}))
    assert (problem.place, problem.expected, problem.found, problem.cure) == error.value.__reduce__()[1]
    assert problem.detail == str(error.value)
    assert type(problem.error()) is type(error.value)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "application/json;q=0"}, 406),
        ({"Accept": ";;q=x,,"}, 406),
        ({"Accept": "text/event-stream", "Last-Event-ID": "../../etc/passwd"}, 400),
        ({"Accept": "text/event-stream", "Last-Event-ID": "a-1-2-3-" + "9" * 99}, 400),
    ],
)
def test_headers_are_read_and_checked(post, headers, status):
    answer = post(IRISH, **headers)
    assert answer.status_code == status
    if status != 200:
        checked(answer)


def test_a_compressed_bomb_is_not_unpacked(post):
    assert checked(post(gzip.compress(b" " * 10**8), Content_Encoding="gzip")).status == 415


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/nothing", 404),
        ("POST", "/v1/models/..%2f..%2fetc%2fpasswd/generate", 404),
        ("POST", "/v1/models/nothing/generate", 404),
        ("GET", "/v1/models/names/generate", 405),
        ("DELETE", "/v1/models/names", 405),
        ("GET", "/etc/passwd", 404),
    ],
)
def test_paths_that_there_are_not(ask, method, path, status):
    answer = ask((method, path, {}))
    assert answer.status_code == status
    checked(answer)


def test_a_search_is_no_stream_and_a_stream_is_not_too_wide(post):
    accept = {"Accept": "text/event-stream"}
    assert checked(post(IRISH | {"rule": "beam"}, **accept)).status == 422
    assert checked(post(IRISH | {"n": 101}, **accept)).status == 413


def test_every_route_but_one_asks_for_the_token(served, ask):
    server = Server(served.host, served.server.metrics, Limits(), "s3cret")
    app = server.app()
    routes = {path: [*item] for path, item in ask(("GET", "/openapi.json", {})).json()["paths"].items()}
    wanted = {path.replace("{model}", "names"): kind[0] for path, kind in routes.items()} | {"/nothing": "get"}
    for path, method in wanted.items():
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \xe9".encode("latin-1")}):
            answer = ask((method.upper(), path, {"headers": given}), app=app)
            if path == "/healthz":
                assert answer.status_code == 200
            else:
                assert checked(answer).status == 401
                assert answer.headers["www-authenticate"] == "Bearer"
    held = {"headers": {"Authorization": "Bearer s3cret"}}
    assert ask(("GET", "/v1/models", held), app=app).json() == {"models": ["names", "tracks"]}
    assert ask(("GET", "/openapi.json", held), app=app).json()["security"] == [{"token": []}]


def test_no_more_kinds_of_requests_are_compiled_than_the_limit_says(served, ask):
    """Each set of columns with constraints has programs of its own: a stranger must not ask for them without end."""
    slots = served.host.models["tracks"].engine.slots
    server = Server(served.host, served.server.metrics, Limits(kinds=slots.num_kinds))
    path, inputs = "/v1/models/tracks/generate", {"group": "a", "level": 1.5}
    plain, new = (
        ("POST", path, {"json": {"inputs": inputs, **asked}})
        for asked in ({}, {"rule": {"kind": "sampling", "temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.01}})
    )
    assert ask(plain, app=server.app()).status_code == 200
    before = PROGRAMS.compiled
    problem = checked(ask(new, app=server.app()))
    assert problem.status == 422
    assert "max-kinds" in problem.cure
    assert "combinations" in problem.expected
    assert PROGRAMS.compiled == before
    assert slots.num_kinds == server.limits.kinds


def test_a_full_queue_says_when_to_come_again(served, ask):
    server = Server(served.host, served.server.metrics, Limits(queue=2))
    one = ("POST", "/v1/models/names/generate", {"json": IRISH | {"n": 4, "seed": 1}})
    answers = ask(*[one] * 6, app=server.app())
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    assert len(refused) == 4
    assert all(checked(answer).status == 429 and answer.headers["retry-after"] == "1" for answer in refused)
    assert server.under_way == {"names": 0}


def test_before_the_models_are_there_only_healthz_is_well(served, ask):
    from unspool.serving.hosting import ModelHost

    server = Server(ModelHost(served.files, us.load, served.server.metrics), served.server.metrics, Limits())
    app = server.app()
    assert ask(("GET", "/healthz", {}), app=app).status_code == 200
    for method, path in (("GET", "/readyz"), ("GET", "/v1/models"), ("POST", "/v1/models/names/generate")):
        answer = ask((method, path, {}), app=app)
        assert checked(answer).status == 503
        assert answer.headers["retry-after"] == "1"


def test_a_body_that_trickles_is_given_up(served):
    async def slow():
        sent = []

        async def receive():
            await asyncio.sleep(0.2)
            return {"type": "http.request", "body": b" ", "more_body": True}

        async def send(message):
            sent.append(message)

        path = "/v1/models/names/generate"
        scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", "root_path": ""}
        await served.app(scope, receive, send)
        return sent[0]["status"]

    assert asyncio.run(slow()) == 408


def test_a_client_that_goes_away_leaves_no_work_behind(served):
    hosted = served.host.models["names"]

    async def leave(accept):
        messages = [{"type": "http.request", "body": json.dumps(IRISH | {"n": 100}).encode(), "more_body": False}]

        async def receive():
            if messages:
                return messages.pop(0)
            await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        path, headers = "/v1/models/names/generate", [(b"accept", accept)]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": headers,
            "query_string": b"",
            "root_path": "",
        }
        await served.app(scope, receive, send)

    for accept in (b"application/json", b"text/event-stream"):
        asyncio.run(leave(accept))
        assert not hosted.engine.active
        assert served.server.under_way["names"] == 0


def test_a_mistake_of_the_server_says_nothing_about_its_inside(served, ask, monkeypatch):
    def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(served.host.models["names"].engine.slots, "advance", broken)
    answer = ask(("POST", "/v1/models/names/generate", {"json": IRISH}))
    assert checked(answer).status == 500
    assert "secret" not in answer.text


def test_what_needs_more_memory_than_there_is_is_not_tried(post, monkeypatch):
    monkeypatch.setattr("unspool.serving.limits.free_memory", lambda: 10_000)
    problem = checked(post(IRISH | {"n": 20, "length": 1_000}))
    assert (problem.status, problem.place, problem.found) == (413, "body: bytes of memory", "4,000,000")


def test_next_steps_after_much_for_many_rows_are_too_large(post):
    body = {"inputs": {"country": ["Irish"] * 20}, "prefix": "Aoife", "samples": 4_096}
    assert checked(post(body, route="next_step")).status == 413
