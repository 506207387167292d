"""The description of the server in OpenAPI 3.1, made of the same structs that check requests."""

from typing import Any

import msgspec

from unspool.serving.answers import ANSWER_TYPES, JSON_TYPE, STREAM_TYPE
from unspool.serving.messages import (
    GeneratedAnswer,
    GenerateRequest,
    ModelCard,
    ModelList,
    NextStepRequest,
    NextSteps,
    ScoreRequest,
    Scores,
)
from unspool.serving.problems import PROBLEM_TYPE, Problem

REFUSALS = {
    "400": "The body is no JSON in UTF-8, or a header can't be read.",
    "401": "The token is missing or wrong.",
    "404": "There is no such model, or no such page.",
    "405": "The path has another method.",
    "406": "None of the accepted media types is offered.",
    "408": "The body came too slowly.",
    "409": "The stream belongs to another model, seed or request.",
    "413": "The request is larger than the server's limits.",
    "415": "The body is not plain JSON.",
    "422": "A value is wrong; the problem says which, and what to do.",
    "429": "The queue is full; Retry-After says when to try again.",
    "500": "A mistake of the server.",
    "503": "The server starts, or ends.",
}
"""Statuses of refusals, and what they mean."""
REF = "#/components/schemas/{name}"
MESSAGES = (
    GenerateRequest,
    ScoreRequest,
    NextStepRequest,
    GeneratedAnswer,
    Scores,
    NextSteps,
    ModelCard,
    ModelList,
    Problem,
)


def describe(version: str, models: list[str], *, guarded: bool) -> dict[str, Any]:
    """The document, for these models; `guarded` says whether requests need a token."""
    _, components = msgspec.json.schema_components(MESSAGES, ref_template=REF)
    name = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "enum": models}}
    last = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
    formats: dict[str, Any] = {kind: {} for kind in ANSWER_TYPES} | {JSON_TYPE: {"schema": _ref(GeneratedAnswer)}}
    formats[STREAM_TYPE] = {"schema": {"type": "string"}}
    text = {"text/plain": {"schema": {"type": "string"}}}
    page = {"text/html": {"schema": {"type": "string"}}}
    model = "/v1/models/{model}"
    paths = {
        "/": {"get": _operation("The page of the model, or a list of all.", page)},
        "/healthz": {"get": _operation("Whether the process lives.", text, open_=True)},
        "/readyz": {"get": _operation("Whether all models are loaded and compiled.", text)},
        "/metrics": {"get": _operation("Counters, for Prometheus.", text)},
        "/openapi.json": {"get": _operation("This document.", {JSON_TYPE: {"schema": {"type": "object"}}})},
        "/v1/models": {"get": _operation("The models.", _json(ModelList))},
        model: {"get": _operation("What a model takes and gives.", _json(ModelCard)), "parameters": [name]},
        f"{model}/page": {"get": _operation("The page that explains a model.", page), "parameters": [name]},
        f"{model}/generate": {
            "post": _operation("Generate sequences, or stream their steps.", formats, GenerateRequest, [last]),
            "parameters": [name],
        },
        f"{model}/log_prob": {
            "post": _operation("Score sequences.", _json(Scores), ScoreRequest),
            "parameters": [name],
        },
        f"{model}/next_step": {
            "post": _operation("The distribution of the next step.", _json(NextSteps), NextStepRequest),
            "parameters": [name],
        },
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Unspool", "version": version, "description": "One input in, a whole sequence out."},
        "paths": paths,
        "components": {"schemas": components},
    }
    if guarded:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": REF.format(name=kind.__name__)}


def _json(kind: type) -> dict[str, Any]:
    return {JSON_TYPE: {"schema": _ref(kind)}}


def _operation(
    summary: str, content: Any, body: type | None = None, parameters: Any = (), *, open_: bool = False
) -> dict[str, Any]:
    refused = {PROBLEM_TYPE: {"schema": _ref(Problem)}}
    responses = {"200": {"description": "Done.", "content": content}}
    responses |= {status: {"description": text, "content": refused} for status, text in REFUSALS.items()}
    found: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        found["requestBody"] = {"required": True, "content": _json(body)}
    if parameters:
        found["parameters"] = list(parameters)
    if open_:
        found["security"] = []
    return found
