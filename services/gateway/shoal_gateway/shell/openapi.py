"""The gateway's OpenAPI 3.1 document: what FastAPI knows of the routes, and what all have in
common, which is said here once: tokens, problems, and the headers that many answers carry."""

import json
from typing import Any

from fastapi import FastAPI

from shoal_gateway.shell.auth import OPEN

Node = dict[str, Any]
_METHODS = ("get", "put", "post", "delete", "patch")
_ABOUT = """Experiments, trials, machines and what happens to them.

Every error is a problem (RFC 9457) with a stable `type`. What creates something takes an
`Idempotency-Key`; what comes in pages has a `next`, which is the next page's `cursor`. Within `/v1`
things are only added. Events are described by AsyncAPI, in docs/asyncapi.yaml."""
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
_MLFLOW = "/mlflow/"
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
    parts["responses"] = {"Problem": _ANSWER, "MlflowError": _MLFLOW_ANSWER}
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if (operation := methods.get(method)) is not None:
                errors = "MlflowError" if path.startswith(_MLFLOW) else "Problem"
                _complete(operation, errors, (method.upper(), path) in OPEN)
    return document


def _complete(operation: Node, errors: str, is_open: bool) -> None:
    answers = operation["responses"]
    for answer in answers.values():
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        if "$ref" in schema:  # beside it FastAPI says what any object is
            answer["content"]["application/json"]["schema"] = {"$ref": schema["$ref"]}
    if "application/json" in answers.get("422", {}).get("content", {}):
        del answers["422"]  # FastAPI's own form of what is a problem here
    for status in ("4XX", "5XX"):
        answers[status] = {"$ref": f"#/components/responses/{errors}"}
    if is_open:
        operation["security"] = []
