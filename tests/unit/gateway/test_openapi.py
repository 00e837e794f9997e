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
