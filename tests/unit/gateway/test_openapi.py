"""The published OpenAPI document: up to date, complete, and with all that was ever released."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal_gateway.shell import openapi
from shoal_gateway.shell.app import routes

DOCS = Path(__file__).parents[3] / "docs"
Node = dict[str, Any]
OLD: Node = {
    "paths": {
        "/a/{id}": {
            "get": {
                "parameters": [{"name": "id", "in": "path", "required": True}],
                "responses": {"200": {"content": {"application/json": {"schema": {
                    "properties": {"x": {}, "y": {"$ref": "#/components/schemas/Y"}}}}}}},
            },
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {
                    "$ref": "#/components/schemas/Y"}}}},
                "responses": {"201": {}, "4XX": {}},
            },
        }
    },
    "components": {"schemas": {"Y": {"properties": {"deep": {}, "other": {}}, "required": []}}},
}  # fmt: skip


def gone(old: Node, new: Node) -> Iterator[str]:
    """What someone who relies on the old document misses in the new one."""
    for path, methods in old["paths"].items():
        if path not in new["paths"]:
            yield path
            continue
        for method, before in methods.items():
            now = new["paths"][path].get(method)
            if now is None:
                yield f"{method} {path}"
            else:
                yield from (f"{method} {path}: {what}" for what in _of(before, now, old, new))


def _of(before: Node, now: Node, old: Node, new: Node) -> Iterator[str]:
    had, has = _parameters(before), _parameters(now)
    yield from (f"the parameter {name}" for name in had if name not in has)
    yield from (
        f"the parameter {name} is required"
        for name, found in has.items()
        if found.get("required") and not had.get(name, {}).get("required")
    )
    for name, answer in before["responses"].items():
        if name not in now["responses"]:
            yield f"the status {name}"
            continue
        for field in _fields(answer, old):
            if field not in _fields(now["responses"][name], new):
                yield f"the field {field} of the answer {name}"
    had_body, has_body = before.get("requestBody", {}), now.get("requestBody", {})
    yield from (
        f"the field {field} of the body"
        for field in _fields(had_body, old)
        if field not in _fields(has_body, new)
    )
    yield from (
        f"the field {field} of the body is required"
        for field in _required(has_body, new)
        if field not in _required(had_body, old)
    )


def _parameters(operation: Node) -> Node:
    return {f"{p['name']} in {p['in']}": p for p in operation.get("parameters", ())}


def _schema(holder: Node, document: Node) -> Node:
    media = next(iter(holder.get("content", {}).values()), {})
    return _resolved(media.get("schema", {}), document)


def _resolved(schema: Node, document: Node) -> Node:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found: Node = document["components"]["schemas"][name]
        return found
    return schema


def _fields(holder: Node, document: Node) -> list[str]:
    return list(_deep(_schema(holder, document), document))


def _deep(schema: Node, document: Node, depth: int = 6) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items() if depth else ():
        yield name
        for below in _deep(_resolved(inner, document), document, depth - 1):
            yield f"{name}.{below}"


def _required(holder: Node, document: Node) -> list[str]:
    return list(_schema(holder, document).get("required", ()))


def test_the_file_is_up_to_date() -> None:
    made = openapi.text(routes().openapi())
    assert made == (DOCS / "openapi.json").read_text(), "run `make docs`"


def test_nothing_that_was_released_is_missing() -> None:
    released = json.loads((DOCS / "openapi-released.json").read_text())
    assert list(gone(released, routes().openapi())) == []


def test_every_route_says_what_becomes_of_errors_and_who_may_ask() -> None:
    document = routes().openapi()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert {"4XX", "5XX"} <= set(operation["responses"]), where
            assert operation["description"], where
    text = openapi.text(document)
    assert "HTTPValidationError" not in text
    opened = [
        p for p, ms in document["paths"].items() for o in ms.values() if o.get("security") == []
    ]
    assert "/v1/login" in opened
    assert "/v1/me" not in opened


def without(document: Node, *path: str) -> Node:
    found: Node = json.loads(json.dumps(document))
    node = found
    for name in path[:-1]:
        node = node[name]
    del node[path[-1]]
    return found


@pytest.mark.parametrize(
    ("path", "missed"),
    [
        (("paths", "/a/{id}"), ["/a/{id}"]),
        (("paths", "/a/{id}", "post"), ["post /a/{id}"]),
        (("paths", "/a/{id}", "get", "parameters"), ["get /a/{id}: the parameter id in path"]),
        (("paths", "/a/{id}", "post", "responses", "201"), ["post /a/{id}: the status 201"]),
        (
            ("components", "schemas", "Y", "properties", "deep"),
            [
                "get /a/{id}: the field y.deep of the answer 200",
                "post /a/{id}: the field deep of the body",
            ],
        ),
    ],
)
def test_what_is_missed_is_named(path: tuple[str, ...], missed: list[str]) -> None:
    assert list(gone(OLD, without(OLD, *path))) == missed
    assert list(gone(without(OLD, *path), OLD)) in ([], [f"{missed[0]} is required"])


def test_what_is_required_anew_is_named() -> None:
    new = json.loads(json.dumps(OLD))
    new["components"]["schemas"]["Y"]["required"] = ["deep"]
    assert list(gone(OLD, new)) == ["post /a/{id}: the field deep of the body is required"]
    assert list(gone(OLD, OLD)) == []
