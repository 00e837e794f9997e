"""Errors as problem+json, without NATS or Redis."""

import re
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel
from redis.exceptions import ConnectionError as RedisAway

from shoal_contract.parse import parse_experiment
from shoal_gateway.shell import problems

ROOT = Path(__file__).parents[3]
app = FastAPI()
problems.install(app)


class Body(BaseModel):
    n: int


@app.get("/config")
async def config() -> None:
    parse_experiment({"name": "x", "entrypont": "y"})


@app.get("/redis")
async def redis() -> None:
    raise RedisAway("gone")


@app.get("/slow")
async def slow() -> None:
    raise TimeoutError


@app.get("/bug")
async def bug() -> None:
    raise KeyError("x")


@app.get("/number/{n}")
async def number(n: int) -> int:
    return n


@app.get("/sorted")
async def in_order(sort: Annotated[str, Query(pattern="^-?(name|state)$")]) -> str:
    return sort


@app.get("/many")
async def get_many() -> None:
    pass


@app.post("/many")
async def post_many(body: Body) -> int:
    return body.n


@app.patch("/{any}")
async def patch_any(any: str) -> str:
    return any


async def ask(method: str, path: str, **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        return await http.request(method, path, **more)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "more", "told"),
    [
        ("GET", "/no/thing", {}, (404, "path", None, "There is nothing at /no/thing.")),
        ("PUT", "/many", {}, (405, "path", None, "/many takes GET, POST, PATCH, and not PUT.")),
        ("GET", "/bug", {}, (500, "bug", None, "log says more")),
        ("GET", "/redis", {}, (503, "away", None, "Redis does not answer")),
        ("GET", "/sorted?sort=x", {},
         (422, "request", "sort", "one of name, state, with - from the greatest down")),
        ("POST", "/many", {"content": b'{"n": ', "headers": JSON},
         (422, "request", "body", "body: it is no JSON: Expecting value, at character 6")),
        ("POST", "/many", {"content": b'{"n": "\xff"}', "headers": JSON},
         (400, "body", None, "The body is not JSON in UTF-8.")),
        ("POST", "/many", {"json": {"n": "x"}}, (422, "request", "n", "n: input should be")),
        ("POST", "/many", {}, (422, "request", "body", "body: field required")),
        ("POST", "/many", {"content": b'{"n": 1}', "headers": {"content-type": "text/plain"}},
         (415, "media", None, "Send the body as application/json, not as text/plain.")),
        ("POST", "/many", {"content": b'{"n": 1}'},
         (415, "media", None, "Send the body as application/json.")),
    ],
)  # fmt: skip
async def test_a_problem_has_a_type_and_says_what_is_wrong(
    method: str, path: str, more: dict[str, Any], told: tuple[int, str, str | None, str]
) -> None:
    answer = await ask(method, path, **more)
    status, kind, field, text = told
    body = answer.json()
    assert (answer.status_code, body["type"]) == (status, f"urn:shoal:problem:{kind}"), body
    assert text in body["detail"]
    assert [e["path"] for e in body.get("errors", [])] == ([field] if field else [])
    if status == 405:
        assert answer.headers["allow"] == "GET, POST, PATCH"


def test_every_type_is_described_and_no_other() -> None:
    folder = ROOT / "services/gateway/shoal_gateway"
    used = {
        found
        for path in folder.rglob("*.py")
        for found in re.findall(r"urn:shoal:problem:(\w+)", path.read_text())
    } | {"unknown", "conflict", "denied"}  # those of the ledger's refusals
    described = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/problems.md").read_text(), re.MULTILINE)
    assert described == sorted(used)
    assert "about:blank" not in "".join(path.read_text() for path in folder.rglob("*.py"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/config", 422),
        ("/redis", 503),
        ("/slow", 503),
        ("/bug", 500),
        ("/number/x", 422),
        ("/no/thing", 404),
    ],
)
async def test_the_shape_of_a_problem(path: str, status: int) -> None:
    response = await ask("GET", path)
    body = response.json()
    assert response.status_code == body["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail"} <= set(body)
    if path == "/config":
        wrong = next(e for e in body["errors"] if e["path"] == "entrypont")
        assert wrong["suggestion"] == "entrypoint"
