"""What the server says about itself is what it does."""

import json

import hypothesis
import jsonschema
import pytest
import schemathesis
from schemathesis import checks


@pytest.fixture(scope="module")
def document(ask):
    return ask(("GET", "/openapi.json", {})).json()


def test_every_route_is_described_and_answers(ask, served, document):
    described = {
        (path, method.upper())
        for path, item in document["paths"].items()
        for method in ("get", "post")
        if method in item
    }
    routes = {(route.path, method) for route in served.app.routes for method in route.methods - {"HEAD"}}
    assert described == routes
    assert document["openapi"] == "3.1.0"
    for path, method in described:
        if method == "GET":
            assert ask((method, path.replace("{model}", "names"), {})).status_code == 200


def test_answers_are_what_the_document_says(ask, document):
    schemas = {"$defs": document["components"]["schemas"]}
    whole = json.loads(json.dumps(schemas).replace("#/components/schemas/", "#/$defs/"))
    post = {"json": {"inputs": {"country": "Irish"}, "n": 4, "seed": 1}}
    for name, request in (
        ("ModelList", ("GET", "/v1/models", {})),
        ("ModelCard", ("GET", "/v1/models/tracks", {})),
        ("GeneratedAnswer", ("POST", "/v1/models/names/generate", post)),
        ("Problem", ("POST", "/v1/models/names/generate", {"json": {"inputs": 5}})),
    ):
        jsonschema.validate(ask(request).json(), whole | {"$ref": f"#/$defs/{name}"})


def test_the_card_has_the_columns_and_what_training_saw(ask, served):
    card = ask(("GET", "/v1/models/tracks", {})).json()
    model = served.models["tracks"]
    assert list(card["inputs"]["properties"]) == ["group", "level"]
    assert list(card["step"]["properties"]) == ["level", "mood"]
    assert card["summary"]["nats"] == model.summary_.nats
    assert [field["name"] for field in card["schema"]["steps"]] == ["level", "mood"]


def test_metrics_count_requests_by_status_and_model(ask):
    ask(("POST", "/v1/models/names/generate", {"json": {"inputs": {"country": "Irish"}, "n": 4, "seed": 1}}))
    text = ask(("GET", "/metrics", {})).text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines['unspool_requests_total{model="names",route="generate",status="200"}']) >= 1
    assert float(lines['unspool_steps_total{model="names"}']) >= 4
    assert float(lines['unspool_queue{model="names"}']) == 0


def test_pages_are_those_of_the_models_and_a_list_of_them(ask, served):
    page = ask(("GET", "/v1/models/names/page", {}))
    assert page.headers["content-type"].startswith("text/html")
    assert page.text == served.models["names"].explain().text
    listed = ask(("GET", "/", {}))
    assert [f"/v1/models/{name}/page" in listed.text for name in ("names", "tracks", "other")] == [True, True, False]
    assert listed.headers["content-security-policy"].startswith("default-src 'none'")
    assert ask(("GET", "/v1/models/other/page", {})).status_code == 404


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
@pytest.mark.parametrize("mode", [*schemathesis.GenerationMode])
def test_schemathesis_finds_nothing_in_a_few_requests(served, mode):
    """A sample of what a slow test does at length, of requests that fit the document and of others."""
    excluded = [checks.positive_data_acceptance]  # whether a model has a category, the document can't say
    for found in schemathesis.openapi.from_asgi("/openapi.json", served.app).get_all_operations():
        operation = found.ok()
        if mode == "negative" and operation.method == "get":
            continue  # there is nothing in it that could be wrong

        @hypothesis.settings(
            max_examples=10,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def run(case):
            case.call_and_validate(excluded_checks=excluded)

        run()
