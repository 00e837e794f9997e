"""The client's questions: each asks for what the gateway's published document has; both clients
ask them in the same way."""

import asyncio
import inspect
import json
import re
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.aio import AsyncClient
from shoal.asking import Request, ShoalError, Steps, following, question, wait_after
from shoal.client import Client

ROOT = Path(__file__).parents[3]
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
NAMED: dict[str, Any] = {
    "experiment_id": "e", "trial_id": "e-0", "checkpoint_id": "e-0-a1-s2", "ahead_of": "e-1",
    "config": {"name": "x"}, "data": b"x", "folder": None, "watch": None, "scope": "write",
    "group": "training",
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "items": [], "next": None, "complete": True, "experiment_id": "e", "request_id": "r",
    "sha256": "0" * 64,
}  # fmt: skip


def questions() -> dict[str, question[..., Any]]:
    members = inspect.getmembers_static(Client, lambda found: isinstance(found, question))
    return dict(members)


def sample(name: str, kind: Any) -> Any:
    if name in NAMED:
        return NAMED[name]
    for part in typing.get_args(kind) or (kind,):
        origin = typing.get_origin(part) or part
        for types, value in (
            (bool, True), (int, 3), (float, 0.5), (str, "x"), (dict, {"a": 1}), (Sequence, ["x"]),
        ):  # fmt: skip
            if origin is types:
                return value
    raise AssertionError(f"no sample of {kind} for {name}")


def requests_of(asked: question[..., Any]) -> list[Request]:
    """The requests of a question to which everything was given that it takes."""
    kinds = typing.get_type_hints(asked.steps)
    parameters = inspect.signature(asked.steps).parameters.values()
    names = [p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD]
    found, steps = [], asked.steps(None, **{name: sample(name, kinds[name]) for name in names})
    try:
        found.append(next(steps))
        while True:
            found.append(steps.send(ANSWER))
    except StopIteration:
        return found


def operation(request: Request) -> dict[str, Any]:
    """What the document says of a request. The path with the fewest variables is the route."""
    for path in sorted(DOCUMENT["paths"], key=lambda path: path.count("{")):
        pattern = re.sub(r"\{\w+\}", "[^/]+", path)
        if re.fullmatch(pattern, request.path):
            methods: dict[str, Any] = DOCUMENT["paths"][path]
            if request.method.lower() in methods:
                found: dict[str, Any] = methods[request.method.lower()]
                return found
    raise AssertionError(f"{request.method} {request.path} is in no document")


def fields_of(node: dict[str, Any]) -> set[str] | None:
    """The fields that a body may have; None: any."""
    schema = node["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return set(schema["properties"]) if "properties" in schema else None


@pytest.mark.parametrize("name", sorted(questions()))
def test_the_gateway_has_what_is_asked_for(name: str) -> None:
    for request in requests_of(questions()[name]):
        node = operation(request)
        known = {p["name"].lower() for p in node.get("parameters", ())}
        assert {n for n in request.params if n not in known} == set()
        assert {n for n in request.headers if n.lower() not in known} == set()
        if request.json is not None:
            fields = fields_of(node)
            assert fields is None or set(request.json) <= fields


def good() -> httpx.Response:
    return httpx.Response(200, json=ANSWER)


def answering(answers: list[httpx.Response], asked: list[str]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.raw_path.decode()} {request.content.decode()}")
        return answers[min(len(asked), len(answers)) - 1]

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.pause("e/1"),
        lambda client: client.experiments(3, state="active", label=["a", "b"], archived=None),
        lambda client: client.metrics("e", trial=["e-0", "e-1"], points=5),
        lambda client: client.upload(b"x" * 600_000, watch=lambda *_: None),
        lambda client: client.fork("e", {"seed": None}, key="k"),
    ],
)
def test_both_clients_ask_the_same(ask: Callable[[Any], Any]) -> None:
    asked: list[list[str]] = [[], []]
    with Client("http://x", transport=answering([good()], asked[0])) as client:
        first = ask(client)

    async def other() -> Any:
        async with AsyncClient("http://x", transport=answering([good()], asked[1])) as client:
            return await ask(client)

    assert asyncio.run(other()) == first
    assert asked[0] == asked[1] != []


def test_an_upload_is_told_piece_by_piece() -> None:
    told: list[tuple[int, int]] = []
    transport = answering([httpx.Response(201, json=ANSWER)], [])
    with Client("http://x", transport=transport) as client:
        client.upload(b"x" * 600_000, watch=lambda more, total: told.append((more, total)))
    assert sum(more for more, _ in told) == 600_000
    assert {total for _, total in told} == {600_000}
    assert len(told) == 3


@pytest.mark.parametrize(
    "create",
    [
        lambda client: client.submit({"name": "x"}),
        lambda client: client.fork("e"),
        lambda client: client.create_trial("e", {}),
        lambda client: client.create_token("ci"),
        lambda client: client.create_user("ada", "p"),
        lambda client: client.create_workspace("red"),
        lambda client: client.create_project("cells"),
        lambda client: client.create_model("m"),
        lambda client: client.add_version("m", "c"),
        lambda client: client.create_webhook("https://x", ["trial."]),
    ],
)
def test_what_creates_is_sent_again_under_the_same_key(create: Callable[[Client], Any]) -> None:
    keys: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            keys.append(request.headers.get("Idempotency-Key"))
            if len(keys) == 1:
                raise httpx.ReadTimeout("the answer was lost", request=request)
        return good()

    for _ in range(2):
        with Client("http://x", transport=httpx.MockTransport(answer)) as client:
            create(client)
    assert keys[0] == keys[1] != keys[2]
    assert all(keys)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_whoever_is_busy_is_asked_again_after_the_time_it_says(status: int) -> None:
    asked: list[str] = []
    busy = httpx.Response(status, json={"detail": "no"}, headers={"Retry-After": "0"})
    transport = answering([busy, httpx.Response(200, json=ANSWER)], asked)
    async with AsyncClient("http://x", transport=transport) as client:
        assert (await client.experiment("e"))["experiment_id"] == "e"
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("answer", "attempt", "wait"),
    [
        (httpx.Response(200), 0, None),
        (httpx.Response(503), 0, 0.3),
        (httpx.Response(429, headers={"Retry-After": "7"}), 1, 7.0),
        (httpx.Response(429, headers={"Retry-After": "900"}), 0, 30.0),
        (httpx.ReadTimeout("late"), 1, 0.6),
        (httpx.ConnectError("no"), 0, 0.3),
    ],
)
def test_waiting(answer: httpx.Response | Exception, attempt: int, wait: float | None) -> None:
    assert wait_after(Request("GET", "/"), attempt, answer, "http://x") == wait


@pytest.mark.parametrize(
    ("answer", "attempt"),
    [
        (httpx.ConnectError("no"), 1),
        (httpx.ReadTimeout("late"), 2),
        (httpx.Response(503, json={"detail": "no"}), 2),
        (httpx.Response(404, json={"detail": "no"}), 0),
        (httpx.Response(500, request=httpx.Request("GET", "http://x"), text="<html>"), 0),
    ],
)
def test_giving_up(answer: httpx.Response | Exception, attempt: int) -> None:
    with pytest.raises(ShoalError):
        wait_after(Request("GET", "/"), attempt, answer, "http://x")


def test_an_error_reaches_the_question_that_can_handle_it() -> None:
    def lenient() -> Steps[str]:
        try:
            yield Request("GET", "/nope", tries=1)
        except ShoalError as error:
            return f"handled {error.status}"
        return "not there"

    transport = answering([httpx.Response(404, json={"detail": "no"})], [])
    with Client("http://x", transport=transport) as client:
        assert client._perform(lenient()) == "handled 404"


def test_both_clients_follow_a_log_to_its_end() -> None:
    def log(*numbers: int) -> str:
        return "".join(f'id: {n}\nevent: log\ndata: {{"id": {n}}}\n\n' for n in numbers)

    def answer(request: httpx.Request) -> httpx.Response:
        params = ("true", "2", "1", "error")
        assert tuple(request.url.params[n] for n in ("follow", "tail", "rank", "level")) == params
        if request.headers.get("Last-Event-ID") is None:
            return httpx.Response(200, text="id: 3\n: the log\n\n" + log(4, 5))
        assert request.headers["Last-Event-ID"] == "5"
        return httpx.Response(200, text=log(6) + "event: end\ndata: {}\n\n")

    transport = httpx.MockTransport(answer)
    with Client("http://x", transport=transport) as client:
        found = [piece["id"] for piece in client.follow_logs("e", tail=2, rank=1, level="error")]

    async def other() -> list[int]:
        async with AsyncClient("http://x", transport=transport) as client:
            pieces = client.follow_logs("e", tail=2, rank=1, level="error")
            return [piece["id"] async for piece in pieces]

    assert asyncio.run(other()) == found == [4, 5, 6]


def test_what_a_broken_connection_had_begun_counts_no_more() -> None:
    reader = following("/v1/events", 60.0, follow=True)
    for line in ("event: problem", 'data: {"detail": "the tok'):
        assert reader.line(line) is None
    reader.broken("http://u", httpx.ReadError("reset"), 1.0)
    assert reader.line('data: {"id": "1"}') is None
    assert reader.line("") == {"id": "1"}
