"""`connect`: a model of a server generates as a local one."""

import asyncio
import json

import httpx
import numpy as np
import pandas as pd
import pytest

import unspool as us
from unspool.errors import FileError, OptionError, UnknownCategory
from unspool.serving import client
from unspool.serving.client import remote_model


class Wire(httpx.BaseTransport):
    """The way to the server, which breaks when it is told to: after so many bytes of the answers to come."""

    def __init__(self, app):
        self.app, self.cuts, self.requests = app, [], []

    def handle_request(self, request):
        cut = self.cuts.pop(0) if self.cuts else None
        self.requests.append(request)
        if isinstance(cut, httpx.Response):
            return cut
        if cut == 0:
            raise httpx.ConnectError("nobody there")

        async def ask():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test") as ways:
                headers = {name: value for name, value in request.headers.items() if name != "content-length"}
                return await ways.request(request.method, request.url, content=request.read(), headers=headers)

        answer = asyncio.run(ask())
        return httpx.Response(answer.status_code, headers=answer.headers, stream=Broken(answer.content, cut))


class Broken(httpx.SyncByteStream):
    def __init__(self, content, cut):
        self.content, self.cut = content, cut

    def __iter__(self):
        yield self.content[: self.cut]
        if self.cut is not None:
            raise httpx.ReadError("cut")


@pytest.fixture
def wire(served, monkeypatch):
    monkeypatch.setattr(client, "FIRST_WAIT", 0.0)
    return Wire(served.app)


@pytest.fixture
def remote(wire):
    return remote_model(httpx.Client(transport=wire, base_url="http://test"), "names")


def test_sequences_are_those_of_the_local_model(remote, served):
    inputs = pd.DataFrame({"country": ["Irish", "Greek"]})
    got, known = (model.generate(inputs, n=4, seed=3) for model in (remote, served.models["names"]))
    assert list(got) == list(known)
    assert got[1] == known[1]
    assert got[1:3] == known[1:3]
    assert got.seed == 3
    for name in ("rows", "ended", "lengths"):
        np.testing.assert_array_equal(getattr(got, name), getattr(known, name))


def test_whole_sets_are_those_of_the_local_model(wire, served):
    got = remote_model(httpx.Client(transport=wire, base_url="http://test"), "tracks").sample(2, seed=3)
    known = served.models["tracks"].sample(2, seed=3)
    assert list(got) == list(known)
    assert got.answer.inputs["group"] == known.to_dict(long=False)["group"]


def test_rules_are_those_of_python(remote, served):
    got = remote.generate({"country": "Irish"}, 4, rule=us.Sampling(temperature=0.5), seed=1)
    known = served.models["names"].generate({"country": "Irish"}, 4, rule=us.Sampling(temperature=0.5), seed=1)
    assert list(got) == list(known)


def test_a_request_is_tried_again_with_the_same_seed(remote, wire):
    busy = {"type": "x", "title": "x", "status": 429, "detail": "busy", "place": "x", "expected": "x", "found": "x"}
    wire.requests.clear()
    wire.cuts = [0, httpx.Response(429, json=busy | {"cure": ""}, headers={"retry-after": "0"}), 40]
    got = remote.generate({"country": "Irish"}, 4)
    seeds = [json.loads(request.content)["seed"] for request in wire.requests]
    assert seeds == [got.seed] * 4


@pytest.mark.parametrize("step", [37, 160, 1_000])
def test_a_stream_that_breaks_again_and_again_is_the_whole_one(remote, wire, served, step):
    wire.cuts = [k * step for k in range(1, 5)]
    got = list(remote.stream({"country": ["Irish", "Greek"]}, 4, seed=2))
    assert got == list(served.models["names"].stream({"country": ["Irish", "Greek"]}, 4, seed=2))


def test_errors_are_those_of_the_local_model(remote):
    with pytest.raises(UnknownCategory, match="Martian") as error:
        remote.generate({"country": "Martian"})
    assert error.value.location == "inputs: row 1, column 'country'"
    with pytest.raises(UnknownCategory):
        list(remote.stream({"country": "Martian"}))
    with pytest.raises(OptionError, match="temperature"):
        remote.generate({"country": "Irish"}, temperature=0.5)


def test_a_server_that_is_gone_is_a_file_error(remote, wire):
    wire.cuts = [0] * client.TRIES
    with pytest.raises(FileError, match="nobody there"):
        remote.generate({"country": "Irish"})
    wire.cuts = [0] * client.TRIES
    with pytest.raises(FileError, match="nobody there"):
        list(remote.stream({"country": "Irish"}))
    assert wire.cuts == []


def test_of_several_models_one_must_be_named(wire):
    for name in (None, "nothing"):
        with pytest.raises(OptionError, match="names, tracks"):
            remote_model(httpx.Client(transport=wire, base_url="http://test"), name)


@pytest.mark.slow
def test_scores_and_next_steps_are_those_of_the_local_model(remote, served):
    data = {"country": ["Irish", "Greek"], "name": ["Aoife", "Attis"]}
    known = served.models["names"]
    np.testing.assert_array_equal(remote.log_prob(data), known.log_prob(data))
    (got,), (step,) = (model.next_step({"country": "Irish"}, "A") for model in (remote, known))
    assert dict(got.probabilities["name"]) == step.probabilities["name"]


def test_a_missing_extra_names_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(us.errors.MissingExtra, match=r"unspool\[serve\]"):
        us.connect("http://127.0.0.1:1")
