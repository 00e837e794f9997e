"""The types of answers are those of the gateway's published document."""

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, NotRequired, Union, is_typeddict

import pytest

from shoal.answers.base import FieldError, Nothing
from shoal.asking import question

from .test_api import DOCUMENT, operation, questions, requests_of

Schema = dict[str, Any]
SIMPLE = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None)}


def resolved(schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def arms(kind: Any) -> list[Any]:
    """The kinds of which one is meant."""
    if typing.get_origin(kind) in (Union, types.UnionType):
        return [arm for part in typing.get_args(kind) for arm in arms(part)]
    return [kind]


def cases(schema: Schema) -> list[Schema]:
    """The same of a schema."""
    found = resolved(schema)
    if isinstance(found.get("type"), list):
        return [found | {"type": one} for one in found["type"]]
    parts = found.get("anyOf")
    return [found] if parts is None else [case for part in parts for case in cases(part)]


def differences(kind: Any, schema: Schema, at: str) -> Iterator[str]:
    """What a type says that a schema does not. Fields that the schema has besides are welcome."""
    kinds, schemas = arms(kind), cases(schema)
    if len(kinds) != len(schemas):
        yield f"{at}: {kind} is no {schema}"
        return
    for one in kinds:
        tried = [list(_unlike(one, case, at)) for case in schemas]
        if [] not in tried:
            yield from min(tried, key=len)


def _unlike(kind: Any, schema: Schema, at: str) -> Iterator[str]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if is_typeddict(kind):
        fields = typing.get_type_hints(kind, include_extras=True)
        for name, field in fields.items():
            needed = typing.get_origin(field) is not NotRequired
            if name not in schema.get("properties", {}):
                yield f"{at}: there is no field {name}"
                continue
            if needed and name not in schema.get("required", ()):
                yield f"{at}.{name}: may be missing"
            bare = field if needed else typing.get_args(field)[0]
            yield from differences(bare, schema["properties"][name], f"{at}.{name}")
    elif origin is Literal:
        if set(inner) != set(schema.get("enum", [schema.get("const")])):
            yield f"{at}: {kind} is not one of {schema}"
    elif origin is list:
        if schema.get("type") != "array":
            yield f"{at}: is no list"
        else:
            yield from differences(inner[0], schema["items"], f"{at}[]")
    elif origin is dict:
        if schema.get("type") != "object" or "properties" in schema:
            yield f"{at}: is no mapping"
        elif inner[1] is not Any:
            yield from differences(inner[1], schema["additionalProperties"], f"{at}[]")
    elif SIMPLE.get(schema.get("type", "")) is not kind or "enum" in schema or "const" in schema:
        yield f"{at}: {kind} is no {schema}"


def answer_of(node: Schema) -> Schema | None:
    """What an operation answers when all is well; None: nothing."""
    for status, response in node["responses"].items():
        if status.startswith("2"):
            content = response.get("content", {})
            return resolved(content["application/json"]["schema"]) if content else None
    raise AssertionError("there is no good answer")


def returned(asked: question[..., Any]) -> Any:
    """What the answer to a question is said to be."""
    return typing.get_args(typing.get_type_hints(asked.steps)["return"])[2]


TYPED = sorted(name for name, q in questions().items() if returned(q) not in (str, type(None)))


@pytest.mark.parametrize("name", TYPED)
def test_an_answer_is_as_it_is_published(name: str) -> None:
    asked = questions()[name]
    kind, schemas = returned(asked), [answer_of(operation(r)) for r in requests_of(asked)]
    for arm in arms(kind):
        if arm is Nothing:
            assert schemas == [None]
            continue
        inner = typing.get_args(arm)[0] if typing.get_origin(arm) is list else arm
        found = [s["properties"]["items"]["items"] if inner is not arm else s for s in schemas if s]
        assert [] in [list(differences(inner, schema, inner.__name__)) for schema in found]


def test_errors_are_as_they_are_published() -> None:
    schema = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["errors"]["items"]
    assert list(differences(FieldError, schema, "errors")) == []


@pytest.mark.parametrize(
    ("kind", "schema", "said"),
    [
        (str, {"type": "integer"}, 1),
        (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, 0),
        (str, {"type": ["string", "null"]}, 1),
        (list[int], {"type": "array", "items": {"type": "string"}}, 1),
        (Literal["a"], {"type": "string", "enum": ["a", "b"]}, 1),
        (FieldError, {"type": "object", "properties": {}}, 3),
    ],
)
def test_what_differs_is_seen(kind: Any, schema: Schema, said: int) -> None:
    assert len(list(differences(kind, schema, "x"))) == said
