"""Every answer that a test gets is held against the published OpenAPI document."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"
READS = ("GET", "HEAD", "OPTIONS")
UNWRITTEN = re.compile(r"/v1/bundles|/mlflow/.*/(search|artifacts/.*)")
"""Paths of requests that are no reads by their method, and that write no event."""
Node = dict[str, Any]
Operation = tuple[str, str]
"""A method and a path with variables."""


@cache
def document() -> Node:
    """The document, strict: an answer may have no field that is not described."""
    found: Node = json.loads(DOCUMENT.read_text())
    for schema in found["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return found


def schema_of(operation: Operation, status: int) -> Node | None:
    """What the document says of an answer in JSON; None: that there is none."""
    method, path = operation
    answers = document()["paths"][path][method.lower()]["responses"]
    content = answers.get(str(status), {}).get("content", {})
    found: Node | None = content.get("application/json", {}).get("schema")
    return found


def in_json() -> set[Operation]:
    """All operations that answer in JSON."""
    return {
        (method.upper(), path)
        for path, methods in document()["paths"].items()
        for method, found in methods.items()
        if any(
            status.startswith("2") and "application/json" in answer.get("content", {})
            for status, answer in found["responses"].items()
        )
    }


@cache
def _validator(reference: str) -> Any:
    return jsonschema_rs.validator_for({"$ref": reference, **document()})


@cache
def _templates() -> list[tuple[str, re.Pattern[str]]]:
    paths = sorted(document()["paths"], key=lambda path: str(path).count("{"))
    plain = {path: re.sub(r"\{\w+\}", "[^/]+", path.replace("{path}", ".+")) for path in paths}
    return [(path, re.compile(pattern)) for path, pattern in plain.items()]


def operation_of(request: httpx.Request) -> Operation | None:
    """Which operation a request asks for. The path with the fewest variables is the route."""
    where = request.url.raw_path.decode().partition("?")[0]
    for path, pattern in _templates():
        if pattern.fullmatch(where) and request.method.lower() in document()["paths"][path]:
            return request.method, path
    return None


class Checked:
    """Checks answers, and remembers of which operations. Every write says where it stands."""

    def __init__(self) -> None:
        self.operations: set[Operation] = set()

    async def __call__(self, response: httpx.Response) -> None:
        """Raise AssertionError if an answer is not as the document says."""
        media = response.headers.get("content-type", "").partition(";")[0]
        operation = operation_of(response.request)
        if operation:
            said = document()["paths"][operation[1]][operation[0].lower()]["responses"]
            assert str(response.status_code) in said, f"{operation} answered {response.status_code}"
        if operation and response.is_success and operation[0] not in READS:
            after = "Shoal-After" in response.headers
            assert after or UNWRITTEN.fullmatch(operation[1]), f"{operation} wrote, who knows where"
        if media == "application/problem+json":
            await response.aread()
            self._hold(response, "#/components/schemas/Problem")
        elif operation and response.status_code in range(200, 204) and media == "application/json":
            await response.aread()
            schema = schema_of(operation, response.status_code)
            where = f"{operation} {response.status_code}"
            assert schema is not None, f"{where} is not in the document"
            if "$ref" in schema:
                self._hold(response, schema["$ref"])
                self.operations.add(operation)

    def _hold(self, response: httpx.Response, reference: str) -> None:
        errors = [
            f"{'.'.join(map(str, error.instance_path))}: {error.message}"
            for error in _validator(reference).iter_errors(response.json())
        ]
        assert not errors, f"{response.request.method} {response.request.url}: {errors}"
