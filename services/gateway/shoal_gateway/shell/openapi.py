"""The gateway's OpenAPI 3.1 document: what FastAPI knows of the routes, and what all have in
common, which is said here once: tokens, problems, and the headers that many answers carry."""

import json
from typing import Any

from fastapi import FastAPI

from shoal_gateway.shell.auth import OPEN, PROBES, READS
from shoal_gateway.shell.freshness import AFTER, AS_OF, READ_MODELS
from shoal_gateway.shell.rules import MLFLOW, Rule, rule_of

Node = dict[str, Any]
JSON = "application/json"
_METHODS = ("get", "put", "post", "delete", "patch")
_ABOUT = """Experiments, trials, machines and what happens to them.

Every error is a problem (RFC 9457) with a stable `type`. What creates something takes an
`Idempotency-Key`; what comes in pages has a `next`, which is the next page's `cursor`. Within `/v1`
things are only added. What is changed takes `If-Match`, the `ETag` that it had. An answer to a GET
says in `Shoal-As-Of` how fresh it is; sent along with a request, the `Shoal-After` of an answer to
a write lets it see what was written. Events are described by AsyncAPI, in docs/asyncapi.yaml."""
_PROBLEM: Node = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "description": "Stable; docs/problems.md lists them.",
        },
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What to do about it, in a sentence."},
        "errors": {
            "type": "array",
            "description": "What is wrong, field by field.",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {
                    "path": {"type": "string"},
                    "message": {"type": "string"},
                    "suggestion": {"type": ["string", "null"]},
                },
            },
        },
    },
}
_ANSWER: Node = {
    "description": "A problem, RFC 9457.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    "headers": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}
_MLFLOW_REFUSALS = (400, 403, 404)
_HEADERS: Node = {
    AS_OF: {
        "description": "Up to when, and to which position, it knows all that happened.",
        "schema": {"type": "string"},
    },
    AFTER: {
        "description": "Where what was written stands: send it along to see that.",
        "schema": {"type": "string"},
    },
}
_MLFLOW_ANSWER: Node = {
    "description": "An error as MLflow has it, or a problem.",
    "content": _ANSWER["content"]
    | {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error_code", "message"],
                "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
            }
        }
    },
}


class Application(FastAPI):
    """An application whose document is complete."""

    def openapi(self) -> Node:
        """The document; made once."""
        if not self.openapi_schema:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def text(document: Node) -> str:
    """A document as a file, always the same for the same routes."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _completed(document: Node) -> Node:
    document["info"]["description"] = _ABOUT
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    parts["headers"] = _HEADERS
    parts["responses"] = {"Problem": _ANSWER, "MlflowError": _MLFLOW_ANSWER}
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if (operation := methods.get(method)) is not None:
                _complete(operation, method.upper(), path)
    return document


def _complete(operation: Node, method: str, path: str) -> None:
    answers = operation["responses"]
    for answer in answers.values():
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        if "$ref" in schema:  # beside it FastAPI says what any object is
            answer["content"]["application/json"]["schema"] = {"$ref": schema["$ref"]}
    declared = {int(status) for status in answers if int(status) >= 400}
    errors = "MlflowError" if path.startswith(MLFLOW) else "Problem"
    for status in sorted(declared | _refusals(operation, method, path)):
        answers[str(status)] = {"$ref": f"#/components/responses/{errors}"}
    for status, answer in answers.items():
        if path.startswith(READ_MODELS) and int(status) < 400:
            names = [AS_OF] if method == "GET" else [AFTER]
            headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            answer["headers"] = answer.get("headers", {}) | headers
        if not answer.get("headers", True):
            del answer["headers"]
    if (method, path) in OPEN:
        operation["security"] = []


def _refusals(operation: Node, method: str, path: str) -> set[int]:
    """The statuses of problems that a route has for what it has in common with others. FastAPI says
    422 of each that has parameters, or a body."""
    parameters = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    of_workspace = "{workspace}" in path or "{experiment_id}" in path or "{trial_id}" in path
    denies = method not in READS if of_workspace else rule_of(method, path) is not Rule.ANYONE
    is_open, reads_models = (method, path) in OPEN, path.startswith(READ_MODELS)
    return {
        status
        for status, holds in (
            (400, reads_models),  # a Shoal-After that is none of ours
            (401, not is_open),
            (403, denies and not is_open),
            (404, "{" in path),
            (409, "idempotency-key" in parameters),
            (412, "if-match" in parameters),
            (413, "requestBody" in operation),
            (415, JSON in operation.get("requestBody", {}).get("content", {})),
            (422, not path.startswith(MLFLOW)),  # a parameter that it does not know
            (429, path not in PROBES),
            (500, True),
            (503, True),
        )
        if holds or (path.startswith(MLFLOW) and status in _MLFLOW_REFUSALS)
    }
