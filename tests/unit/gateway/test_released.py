"""What is missed in a later OpenAPI document is found, wherever it is."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from .released import Node, gone

JSON = "application/json"
REF = {"$ref": "#/components/schemas/Row"}
OLD: Node = {
    "paths": {
        "/a/{id}": {
            "get": {
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "n", "in": "query",
                     "schema": {"anyOf": [{"type": "integer", "maximum": 9}, {"type": "null"}]}},
                ],
                "responses": {
                    "200": {
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {JSON: {"schema": {
                            "type": "object",
                            "properties": {"items": {"type": "array", "items": REF}},
                            "required": ["items"],
                        }}},
                    },
                    "404": {"$ref": "#/components/responses/Problem"},
                },
            },
            "post": {
                "requestBody": {"required": True, "content": {JSON: {"schema": REF}}},
                "responses": {"201": {}},
            },
        }
    },
    "components": {
        "responses": {"Problem": {"content": {"application/problem+json": {"schema": {}}}}},
        "schemas": {
            "Row": {
                "type": "object",
                "properties": {
                    "state": {"enum": ["on", "off"], "type": "string"},
                    "size": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                    "parent": {"anyOf": [REF, {"type": "null"}]},
                },
                "required": ["state"],
            }
        },
    },
}  # fmt: skip
GET, POST = "get /a/{id}", "post /a/{id}"
ROW = ("components", "schemas", "Row")
FIELDS = (*ROW, "properties")
OPERATION = ("paths", "/a/{id}", "get")
ANSWER = (*OPERATION, "responses", "200")
IN, OUT = f"{POST}: the body", f"{GET}: the answer 200 .items []"
Change = Callable[[Any], Any]


def changed(path: tuple[str, ...], change: Change) -> Node:
    """The old document with another value at a path; None: without it."""
    new = copy.deepcopy(OLD)
    node: Any = new
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = change(node.get(path[-1]))
    if node[path[-1]] is None:
        del node[path[-1]]
    return new


def nothing(_: Any) -> None:
    return None


def to(value: Any) -> Change:
    return lambda _: value


@pytest.mark.parametrize(
    ("path", "change", "missed"),
    [
        (("paths", "/a/{id}"), nothing, ["/a/{id}"]),
        (("paths", "/a/{id}", "post"), nothing, [POST]),
        ((*OPERATION, "parameters"), lambda its: its[:1], [f"{GET}: the parameter n in query"]),
        (
            (*OPERATION, "parameters"),
            lambda its: [its[0], its[1] | {"required": True}],
            [f"{GET}: the parameter n in query is required"],
        ),
        (
            (*OPERATION, "parameters"),
            lambda its: [its[0], its[1] | {"schema": {"type": "integer", "maximum": 8}}],
            [
                f"{GET}: the parameter n in query: maximum is 8",
                f"{GET}: the parameter n in query may no longer be null",
            ],
        ),
        (("paths", "/a/{id}", "post", "responses", "201"), nothing, [f"{POST}: the answer 201"]),
        ((*OPERATION, "responses", "404"), nothing, [f"{GET}: the answer 404"]),
        ((*ANSWER, "headers"), nothing, [f"{GET}: the answer 200: the header ETag"]),
        ((*ANSWER, "content"), to({"text/csv": {}}), [f"{GET}: the answer 200: {JSON}"]),
        ((*FIELDS, "tags"), nothing, [f"{OUT} .tags", f"{IN} .tags"]),
        (
            (*FIELDS, "tags", "additionalProperties"),
            to({"type": "integer"}),
            [f"{OUT} .tags .* may be integer", f"{IN} .tags .* may no longer be string"],
        ),
        (
            (*FIELDS, "state", "enum"),
            to(["on", "new"]),
            [f"{OUT} .state is no longer 'off'", f"{IN} .state is no longer 'off'"],
        ),
        ((*FIELDS, "state", "enum"), nothing, [f"{OUT} .state is no longer one of ['on', 'off']"]),
        ((*FIELDS, "size"), to({"type": "integer"}), [
            f"{IN} .size may no longer be number", f"{IN} .size may no longer be null",
        ]),
        ((*FIELDS, "size", "anyOf"), lambda its: [*its, {"type": "string"}],
         [f"{OUT} .size may be string"]),
        ((*FIELDS, "size"), to({}), [f"{OUT} .size may be anything"]),
        ((*ROW, "required"), to([]), [f"{OUT} .state may be missing"]),
        ((*ROW, "required"), to(["state", "size"]), [f"{IN} .size is required"]),
        ((*ROW, "additionalProperties"), to(False),
         [f"{IN} .parent: other fields", f"{IN}: other fields"]),
    ],
)  # fmt: skip
def test_what_is_missed_is_named(path: tuple[str, ...], change: Change, missed: list[str]) -> None:
    assert gone(OLD, changed(path, change)) == missed


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (("paths", "/b"), to({})),
        ((*OPERATION, "parameters"), lambda its: [*its, {"name": "m", "in": "query"}]),
        ((*OPERATION, "responses", "409"), to({})),
        ((*FIELDS, "state", "enum"), to(["on", "off", "new"])),
        ((*FIELDS, "more"), to({"type": "string"})),
        ((*FIELDS, "size", "title"), to("Size")),
    ],
)
def test_what_is_added_is_not(path: tuple[str, ...], change: Change) -> None:
    assert gone(OLD, changed(path, change)) == []
    assert gone(OLD, OLD) == []
