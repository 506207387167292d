"""A server's sequences are those of `generate`, byte for byte, whoever else is served."""

import gc
import io
import itertools
import json
import time
import weakref

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unspool as us
from unspool.serving.answers import encode
from unspool.serving.hosting import HostedModel, ModelHost
from unspool.serving.messages import rule_message
from unspool.serving.metrics import Metrics

GENERATE = "/v1/models/{}/generate"
INPUTS = {"names": {"country": ["Irish", "Greek"]}, "tracks": {"group": ["a", "b"], "level": [0.5, 2.0]}}
PLAIN = [("names", {"n": n, "seed": seed}) for n, seed in ((4, 0), (3, 1), (3, 2**64 - 1))]
RULED = [("names", {"n": 4, "seed": 3, "rule": us.Sampling(temperature=t)}) for t in (0.5, 0.9, 3.0)]
RECORDS = [("tracks", {"n": 4, "seed": seed}) for seed in (7, 8)]
MORE = [
    *(("names", {"seed": seed, "prefix": prefix}) for seed, prefix in ((4, "A"), (5, ["Ni", "Da"]), (6, "A"))),
    *(("names", {"n": n, "seed": 2, "length": length}) for n, length in ((1, 1), (40, 40))),
    *(("names", {"n": 9, "seed": 3, "rule": rule}) for rule in ("greedy", us.Sampling(top_p=0.5, top_k=9))),
    ("names", {"n": 9, "seed": 3, "allow": {"name": list("aeihl")}}),
    ("names", {"n": 5, "seed": 3, "allow": {"name": list("aom")}}),
    ("tracks", {"n": 3, "pin": [{2: {"level": 3.5}}, {2: {"level": 5.0}}], "allow": {"mood": ["low"]}, "seed": 8}),
    ("tracks", {"n": 9, "seed": 8, "rule": us.Sampling(temperature=0.7), "length": 33}),
    ("names", {"rule": us.Beam(width=4, best=2), "seed": 0}),
    ("names", {"rule": us.Typical(samples=5), "seed": 9}),
]
slow = pytest.mark.slow


def message(model, options):
    return {"inputs": INPUTS[model]} | options | ({"rule": rule_message(options["rule"])} if "rule" in options else {})


def request(model, options, **headers):
    body = msgspec.json.encode(message(model, options))
    return "POST", GENERATE.format(model), {"content": body, "headers": headers}


@pytest.mark.parametrize("wanted", [[*PLAIN, *RULED, *RECORDS], pytest.param([*PLAIN, *MORE, *RULED], marks=slow)])
def test_many_at_once_get_what_each_gets_alone_in_python(ask, served, wanted):
    answers = ask(*(request(*one) for one in wanted))
    for (model, options), answer in zip(wanted, answers, strict=True):
        assert answer.status_code == 200, answer.text
        sequences = served.models[model].generate(INPUTS[model], **options)
        got = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
        assert bytes(got["sequences"]) == encode(list(sequences)), options
        assert json.loads(bytes(got["rows"])) == sequences.rows.tolist()
        assert json.loads(bytes(got["ended"])) == sequences.ended.tolist()
        nats = None if sequences.nats is None else sequences.nats.tolist()
        assert json.loads(bytes(got["nats"])) == nats


@slow
def test_inputs_that_are_not_given_are_drawn_and_shown(ask, served):
    got = ask(("POST", GENERATE.format("tracks"), {"json": {"inputs": {"group": ["a"]}, "n": 2, "seed": 3}})).json()
    sequences = served.models["tracks"].generate({"group": ["a"]}, n=2, seed=3)
    assert got["sequences"] == json.loads(encode(list(sequences)))
    assert got["inputs"] == {"level": sequences.to_dict(long=False)["level"]}


def test_without_inputs_whole_sets_are_sampled(ask, served):
    wanted = ("POST", GENERATE.format("tracks"), {"json": {"n": 3, "seed": 3}})
    got, sequences = ask(wanted).json(), served.models["tracks"].sample(3, seed=3)
    assert got["sequences"] == json.loads(encode(list(sequences)))
    drawn = sequences.to_dict(long=False)
    assert got["inputs"] == {name: drawn[name] for name in ("group", "level")}
    assert got["rows"] == [0, 1, 2]


@pytest.mark.parametrize("long", [None, pytest.param(True, marks=slow), pytest.param(False, marks=slow)])
def test_every_kind_of_table_is_the_file_that_python_writes(ask, served, long):
    options = {"n": 4, "seed": 1}
    sequences = served.models["tracks"].generate(INPUTS["tracks"], **options)
    kinds = {"text/csv": "csv", "application/jsonl": "jsonl", "application/vnd.apache.parquet": "parquet"}
    arrow = "application/vnd.apache.arrow.stream"
    wanted = message("tracks", options) | {"long": long}
    answers = ask(*(request("tracks", wanted, Accept=kind) for kind in (*kinds, arrow)))
    for kind, answer in zip(kinds, answers, strict=False):
        file = io.BytesIO()
        sequences.save(file, format=kinds[kind], long=long)
        assert answer.headers["content-type"] == kind
        assert answer.content == file.getvalue()
    assert pq.read_table(io.BytesIO(answers[2].content)).num_rows > 0
    assert pa.ipc.open_stream(answers[3].content).read_all().equals(sequences.to_arrow(long=long))


def test_no_rows_are_refused_as_in_python(post):
    for accept in ("application/json", "text/event-stream"):
        answer = post({"inputs": {"country": []}}, Accept=accept)
        assert answer.status_code == 422
        assert answer.json()["detail"] == "inputs: expected at least one row, found none."


def test_without_a_seed_the_answer_names_one_that_gives_it_again(post):
    body = {"inputs": {"country": "Irish"}, "n": 3}
    first = post(body).json()
    assert post(body | {"seed": first["seed"]}).json() == first


def test_a_model_that_was_replaced_is_freed(served):
    """Though the collector doesn't look at what was there when the models had been loaded."""
    host = ModelHost({"names": served.files["names"]}, us.load, Metrics(), (8,))
    host.start()
    old = weakref.ref(host.models["names"])
    host.reload("names")
    gc.collect()
    assert old() is None
    host.close()


def test_a_model_takes_the_place_of_another_when_all_of_its_programs_are_there(served, monkeypatch):
    host, warmed = ModelHost({"names": served.files["names"]}, us.load, Metrics(), (8,)), []
    host.start()
    before = host.models["names"]
    monkeypatch.setattr(HostedModel, "warm_up", lambda hosted: warmed.append((hosted, host.models["names"])))
    monkeypatch.setattr(HostedModel, "warm_up_inputs", lambda hosted: warmed.append((hosted, host.models["names"])))
    host.reload("names")
    assert warmed == [(host.models["names"], before)] * 2
    host.close()


def wait(condition, seconds=60):
    """Until something holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.002)


def events(text):
    """The ids and steps of a stream, and its last event."""
    blocks = [dict(line.split(": ", 1) for line in block.split("\n")) for block in text.strip().split("\n\n")]
    return [(block["id"], json.loads(block["data"])) for block in blocks if "id" in block], blocks[-1]


@pytest.mark.parametrize(("model", "options"), [PLAIN[1], RECORDS[1], pytest.param(*MORE[1], marks=slow)])
def test_a_stream_has_the_steps_of_stream_and_goes_on_wherever_it_was_cut(post, served, model, options):
    body = message(model, options)
    whole = post(body, model, Accept="text/event-stream")
    assert whole.headers["content-type"].startswith("text/event-stream")
    got, end = events(whole.text)
    wanted = list(served.models[model].stream(INPUTS[model], **options))
    assert [step for _, step in got] == [json.loads(encode(event._asdict())) for event in wanted]
    assert end == {"event": "end", "data": "{}"}
    for cut in (0, len(got) // 2, len(got) - 1):
        rest = post({k: v for k, v in body.items() if k != "seed"}, model, Accept="text/event-stream",
                    Last_Event_ID=got[cut][0])  # fmt: skip
        assert events(rest.text)[0] == got[cut + 1 :]


def test_a_stream_of_another_model_or_seed_is_not_gone_on_with(post):
    body = {"inputs": {"country": "Irish"}, "seed": 5}
    (last, _), *_ = events(post(body, Accept="text/event-stream").text)[0]
    accept = {"Accept": "text/event-stream"}
    other = last.replace(last[:4], "beef", 1)
    assert post(body, **accept, Last_Event_ID=other).status_code == 409
    assert post(body | {"seed": 6}, **accept, Last_Event_ID=last).status_code == 409
    assert post(body, **accept, Last_Event_ID="7").status_code == 400


@slow
def test_scores_and_next_steps_are_those_of_python(post, served):
    names, tracks = served.models["names"], served.models["tracks"]
    data = {"country": ["Irish", "Greek"], "name": ["Aoife", "Attis"]}
    assert post({"data": data}, route="log_prob").json()["log_prob"] == names.log_prob(data).tolist()
    by_field = post({"data": data, "by_field": True}, route="log_prob").json()["log_prob"]
    np.testing.assert_array_equal(by_field, names.log_prob_by_field(data))
    (step,) = post({"inputs": {"country": "Irish"}, "prefix": "Ao"}, route="next_step").json()["steps"]
    (known,) = names.next_step({"country": "Irish"}, "Ao")
    assert step["end"] == known.end
    assert dict(step["probabilities"]["name"]) == known.probabilities["name"]
    first = {"group": "a", "level": 1.0}
    (step,) = post({"inputs": first, "seed": 3}, "tracks", "next_step").json()["steps"]
    (known,) = tracks.next_step(first, seed=3)
    assert dict(step["quantiles"]["level"]) == known.quantiles["level"]


def test_a_large_request_leaves_room_for_a_small_one(served):
    """Of two requests, the large one is still under way when the small one is done."""
    from unspool.jobs import GenerationOptions, generation_job
    from unspool.serving.engine import work_of

    hosted = served.host.models["names"]
    order = itertools.count()
    ends = {}
    works = []
    for name, n in (("large", 100), ("small", 1)):
        job = generation_job(hosted.fitted, {"country": "Irish"}, n, GenerationOptions(seed=1))
        works.append((name, work_of(job, lambda: None)))
    for name, work in works:

        def note(name=name, work=work):
            if work.finished:
                ends[name] = next(order)

        work.notify = note
    for _, work in works:
        hosted.engine.submit(work)
    wait(lambda: len(ends) == 2)
    assert ends == {"small": 0, "large": 1}
    assert list(works[0][1].result()) == list(served.models["names"].generate({"country": "Irish"}, n=100, seed=1))


def test_chunks_are_no_wider_than_the_programs_that_are_there(served, post, monkeypatch):
    slots, wide = served.host.models["names"].engine.slots, []
    advance = type(slots).advance

    def noted(self, members):
        wide.append(sum(len(which) for _, which in members))
        return advance(self, members)

    monkeypatch.setattr(type(slots), "advance", noted)
    known = post({"inputs": {"country": "Irish"}, "n": 6, "seed": 3})
    assert wide[0] == 6
    wide.clear()
    monkeypatch.setattr(type(slots), "room", lambda self, kind: 2)
    narrow = post({"inputs": {"country": "Irish"}, "n": 6, "seed": 3})
    assert max(wide) == 2
    assert narrow.content == known.content
