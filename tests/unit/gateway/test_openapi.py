"""The published OpenAPI document: up to date, complete, and with all that was ever released."""

import json
from pathlib import Path

from shoal_gateway.shell import openapi
from shoal_gateway.shell.app import routes

from .released import gone

DOCS = Path(__file__).parents[3] / "docs"


def test_the_file_is_up_to_date() -> None:
    made = openapi.text(routes().openapi())
    assert made == (DOCS / "openapi.json").read_text(), "run `make docs`"


def test_nothing_that_was_released_is_missing() -> None:
    released = json.loads((DOCS / "openapi-released.json").read_text())
    assert gone(released, routes().openapi()) == []


def test_every_route_says_what_becomes_of_errors_and_who_may_ask() -> None:
    document = routes().openapi()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where, said = f"{method} {path}", set(operation["responses"])
            parameters = {p["name"] for p in operation.get("parameters", ())}
            assert {"500", "503"} <= said, where
            assert all(status.isdigit() for status in said), where
            assert "401" in said or operation["security"] == [], where
            assert "404" in said or "{" not in path, where
            assert "422" in said or not parameters, where
            assert ("412" in said) == ("if-match" in parameters), where
            assert "409" in said or "idempotency-key" not in parameters, where
            assert operation["description"], where
    text = openapi.text(document)
    assert "HTTPValidationError" not in text
    opened = [
        p for p, ms in document["paths"].items() for o in ms.values() if o.get("security") == []
    ]
    assert "/v1/login" in opened
    assert "/v1/me" not in opened


def test_answers_say_which_headers_they_have() -> None:
    document = routes().openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            [good] = [answer for status, answer in operation["responses"].items() if status < "400"]
            headers, where = set(good.get("headers", {})), f"{method} {path}"
            fresh = {"get": "Shoal-As-Of"}.get(method, "Shoal-After")
            assert (fresh in headers) == path.startswith(("/v1/", "/mlflow/")), where
            parameters = {p["name"] for p in operation.get("parameters", ())}
            changed = "if-match" in parameters and method != "delete"
            assert "ETag" in headers or not changed or "202" in operation["responses"], where
            if changed and "get" in methods:
                assert "ETag" in methods["get"]["responses"]["200"]["headers"], where
    for path in ("/v1/experiments", "/v1/experiments/{experiment_id}/fork"):
        answer = document["paths"][path]["post"]["responses"]["201"]
        assert "Location" in answer["headers"]
