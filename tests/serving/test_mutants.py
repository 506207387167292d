"""Right requests with something wrong in them: whatever it is, the answer is one that the server describes."""

import asyncio
import copy
import json
import random

import msgspec
import pytest

from unspool.runtime.programs import PROGRAMS
from unspool.serving.openapi import REFUSALS
from unspool.serving.problems import PROBLEM_TYPE, Problem

IRISH = {"country": "Irish"}
PLAIN = [
    ("names/generate", {"inputs": IRISH, "n": 2, "length": 3, "seed": 1}),
    ("tracks/generate", {"inputs": [{"group": "a", "level": 1.5}], "n": 1, "length": 2, "seed": 2**64 - 1}),
    ("names/log_prob", {"data": {"country": ["Irish", "Greek"], "name": ["Aoife", "Attis"]}, "errors": "nan"}),
    ("names/next_step", {"inputs": IRISH, "prefix": "Ao", "samples": 16, "seed": 3}),
]
RULED = [
    ("names/generate", {"inputs": IRISH, "length": 3, "rule": {"kind": "sampling", "temperature": 0.5, "top_p": 0.9}}),
    ("names/generate", {"inputs": IRISH, "n": 2, "prefix": "A", "pin": {"2": {"name": "f"}}, "seed": 0}),
    ("names/generate", {"inputs": IRISH, "allow": {"name": ["A", "o", "i"]}, "length": 2, "unknown": "missing"}),
    ("tracks/generate", {"inputs": {"group": ["a", "b"], "level": [1, 2]}, "allow": {"level": [0, 9]}, "long": True}),
    ("tracks/generate", {"inputs": {"group": "b", "level": 1}, "pin": {"1": {"mood": "low"}}, "length": 3}),
    ("tracks/log_prob", {"data": [{"group": "a", "level": [1.0, 2.0], "mood": ["low", "high"]}], "by_field": True}),
]
EVIL = [
    *(None, True, False, 0, -1, 1, 2, 3, -0.0, 0.5, 1e308, -1e308, 5e-324, 2**31, 2**63, 2**64, -(2**63) - 1, 10**40),
    *("", " ", "Irish", "\x00", "\ud800", "\U0010ffff", "é", "e\u0301", "NaN", "Infinity", "../../etc/passwd", "1e999"),
    *(
        "A" * 3_000,
        "{}",
        "<script>",
        "'; --",
        "%s%n",
        "\u202e",
        [],
        {},
        [[]],
        [None],
        [{}],
        {"": None},
        {"a": {"b": []}},
    ),
    *([1, "a", None], [0.1] * 50, ["Irish", "Greek"], {"country": ["Irish", None]}, {"level": [1, "x"]}),
]
BYTES = [
    b"\xff",
    b"\x00",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b'"',
    b"\\u0000",
    b"\\ud800",
    b"NaN",
    b"1e999",
    b"-",
    b"[",
    b"{",
    b"}",
]
HEADERS = [
    *((b"accept", accept) for accept in (b"text/csv", b"text/event-stream", b"\xff", b"*/*;q=nan", b"text/html", b"")),
    *(
        (b"content-type", kind)
        for kind in (b"text/plain", b"application/json;charset=utf-16", b"multipart/form-data", b"")
    ),
    *((b"last-event-id", name) for name in (b"", b"-", b"a-1-2-3-4", b"\xff", b"0" * 500)),
    *((b"content-encoding", coding) for coding in (b"gzip", b"identity", b"br, br")),
]


def places(value, at=()):
    """The ways to all parts of a JSON value."""
    yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*at, key))


def mutant(rng, bases):
    """A model and route, a body, and headers."""
    route, base = rng.choice(bases)
    box = {"": copy.deepcopy(base)}
    for _ in range(rng.randint(0, 2)):
        *way, last = rng.choice([*places(box)][1:])
        holder = box
        for key in way:
            holder = holder[key]
        change = rng.randrange(4)
        if change == 0 and isinstance(holder, dict):
            del holder[last]
            if holder is box:
                box[""] = copy.deepcopy(rng.choice(EVIL))
        elif change == 1 and isinstance(holder, dict) and holder is not box:
            holder[rng.choice([*holder, *map(str, EVIL)])] = copy.deepcopy(rng.choice(EVIL))
        elif change == 2:
            holder[last] = [holder[last]] * rng.randint(1, 3)
        else:
            holder[last] = copy.deepcopy(rng.choice(EVIL))
    body = json.dumps(box[""]).encode()
    if rng.random() < 0.3 and body:
        at = rng.randrange(len(body))
        kept = rng.choice([at, at, at + 1, len(body)])
        body = body[:at] + rng.choice([b"", *BYTES]) + body[kept:]
    headers = [(b"content-type", b"application/json")]
    if rng.random() < 0.2:
        headers = [*(header for header in headers if rng.random() < 0.9), rng.choice(HEADERS)]
    return f"/v1/models/{route}", body, headers


async def answer(app, path, body, headers):
    """Status, media type and body of an answer; the client stays until it is over."""
    parts = [body[: len(body) // 2], body[len(body) // 2 :]]
    sent, over = [], asyncio.Event()

    async def receive():
        if parts:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"", "root_path": ""}
    await app(scope | {"http_version": "1.1"}, receive, send)
    over.set()
    start, *rest = sent
    return start["status"], dict(start["headers"])[b"content-type"], b"".join(part.get("body", b"") for part in rest)


def survives(served, bases, count, seed, together=16):
    """Send so many mutants; every answer must be a described one. The statuses, and how many answers had each."""
    rng, found = random.Random(seed), {}

    async def one_after_another(share):
        for _ in range(share):
            request = mutant(rng, bases)
            status, kind, content = await answer(served.app, *request)
            found[status] = found.get(status, 0) + 1
            if status != 200:
                assert str(status) in REFUSALS, request
                assert kind == PROBLEM_TYPE.encode(), request
                problem = msgspec.json.decode(content, type=Problem)
                assert problem.status == status, request
                assert problem.place, request

    async def all_of_them():
        await asyncio.gather(*(one_after_another(count // together) for _ in range(together)))

    asyncio.run(all_of_them())
    for name, hosted in served.host.models.items():
        assert not hosted.engine.active
        assert served.server.under_way.get(name, 0) == 0
    assert found[200] > 0.05 * count
    assert found[422] > 0.05 * count
    return found


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("names/generate", {"inputs": IRISH, "allow": {"name": [["A"], "o"]}}),
        ("names/generate", {"inputs": IRISH, "allow": {"name": [{"a": 1}]}}),
        ("tracks/generate", {"inputs": {"group": "a", "level": 1.5}, "pin": {"0": {"mood": ["low"]}}}),
        ("names/log_prob", {"data": {"country": ["Irish"], "name": [["Aoife", "A"]]}}),
        ("names/next_step", {"inputs": IRISH, "prefix": [["Ao", "Ao"]]}),
    ],
)
def test_mutants_that_were_once_mistakes_of_the_server(post, route, body):
    model, route = route.split("/")
    answer = post(body, model=model, route=route)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("asked", [{"prefix": [0.5]}, {"pin": {"0": {"mood": "none"}}}])
def test_a_stream_whose_inputs_are_sampled_is_refused_before_it_begins(post, asked):
    """What is asked of steps is read with the inputs, which are sampled when a slot is free."""
    answer = post({"n": 2, **asked}, "tracks", Accept="text/event-stream")
    assert answer.status_code == 422, answer.text
    assert next(iter(asked)) in msgspec.json.decode(answer.content, type=Problem).place


def test_pins_and_columns_of_nothing_ask_for_nothing(post):
    wanted = {"inputs": [IRISH | {"more": [{}]}], "seed": 3, "length": 4}
    plain, nothing = (post(wanted | more).json()["sequences"] for more in ({}, {"pin": {"2": {}}}))
    assert plain == nothing


def test_mutants_get_answers_that_are_described(served):
    survives(served, PLAIN, 400, seed=1)


@pytest.mark.slow
def test_a_million_mutants_compile_a_bounded_number_of_programs(served):
    bases = [*PLAIN, *RULED]
    survives(served, bases, 50_000, seed=2)
    before = PROGRAMS.compiled
    survives(served, bases, 950_000, seed=3)
    assert PROGRAMS.compiled - before < 20
