"""Who reads streams of events: of which workspace, and for how long that is allowed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import shoal
from shoal import Client
from shoal_contract.events import (
    ExperimentDeleted,
    ExperimentSubmitted,
    LogWritten,
    SearchPaused,
    SearchResumed,
)
from shoal_contract.parse import parse_experiment
from shoal_gateway.shell.directory import Directory
from shoal_gateway.shell.redis_store import RedisStore

from .conftest import CONFIG, Gateway, Shoal
from .test_access import Person, person, workspaces
from .test_gateway import publish
from .test_websocket import address

WAYS = {
    "revoked": ("DELETE", "/v1/tokens/{token}", None),
    "disabled": ("PATCH", "/v1/users/ada", {"enabled": False}),
    "removed": ("DELETE", "/v1/workspaces/red/members/ada", None),
}
"""How somebody comes to be allowed no more."""


async def both(gateway: Gateway) -> tuple[str, str]:
    """An experiment in each of two workspaces."""
    await workspaces(gateway, "red", "blue")
    red = await gateway.submit(name="red", resources={"workspace": "red"})
    return red, await gateway.submit(name="blue", resources={"workspace": "blue"})


async def ada(gateway: Gateway) -> tuple[Person, str]:
    """A viewer of `red`, and the id of the token that is shown."""
    found = await person(gateway, "ada", red="viewer")
    return found, (await found.ask("GET", "/v1/me")).json()["token_id"]


async def end(gateway: Gateway, way: str, token: str) -> None:
    method, path, body = WAYS[way]
    answer = await gateway.http.request(method, path.format(token=token), json=body)
    assert answer.is_success, answer.text


async def told(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Server-sent events, each with its type."""
    kind = ""
    async for line in response.aiter_lines():
        name, _, rest = line.partition(": ")
        if name == "event":
            kind = rest
        elif name == "data":
            yield kind, json.loads(rest)


async def test_events_of_one_workspace(gateway: Gateway, shoal: Shoal) -> None:
    red, blue = await both(gateway)
    await publish(gateway, SearchPaused(experiment_id=red), SearchPaused(experiment_id=blue))
    wanted = [("experiment.submitted", red), ("search.paused", red)]

    def by_client() -> list[Any]:
        with Client(gateway.url) as client:
            return list(client.events(workspace="red", since="start", follow=False))

    found = await asyncio.to_thread(by_client)
    assert [(e["type"], e["data"]["experiment_id"]) for e in found] == wanted
    code, said = await shoal("events", "--workspace", "red", "--no-follow", "--json")
    assert code == 0
    assert [json.loads(line)["id"] for line in said.splitlines()] == [e["id"] for e in found]
    headers = {"Authorization": gateway.http.headers["Authorization"]}
    url = address(gateway, workspace="red", since="start", follow="false")
    over = []
    async with connect(url, additional_headers=headers) as socket:
        async for text in socket:
            over.append(json.loads(text))
    assert [e["id"] for e in over if "id" in e] == [e["id"] for e in found]


def submitted(experiment_id: str) -> ExperimentSubmitted:
    """An experiment of `red`."""
    config = parse_experiment(CONFIG | {"resources": {"workspace": "red"}})
    return ExperimentSubmitted(experiment_id=experiment_id, config=config, storage_url="file:///s")


@contextlib.asynccontextmanager
async def behind(gateway: Gateway) -> AsyncIterator[None]:
    """While the read models learn of nothing: Redis takes nothing new."""
    await gateway.redis.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        await gateway.redis.config_set("min-replicas-to-write", 0)


async def test_no_event_is_missed_while_read_models_are_behind(gateway: Gateway) -> None:
    await both(gateway)
    reader, _ = await ada(gateway)
    headers = {"Authorization": f"Bearer {reader.token}"}
    async with asyncio.timeout(20), contextlib.AsyncExitStack() as open_until:
        lost = await open_until.enter_async_context(contextlib.AsyncExitStack())
        await lost.enter_async_context(behind(gateway))
        await publish(gateway, submitted("new"), SearchPaused(experiment_id="new"))
        flows = []
        for params in ({}, {"workspace": "red"}, {"experiment": "new"}):
            wanted = {"type": "search.", "since": "start", **params}
            response = await open_until.enter_async_context(
                gateway.http.stream("GET", "/v1/events", params=wanted, headers=headers)
            )
            flows.append(told(response))
        for events in flows:
            kind, event = await anext(events)
            assert (kind, event["data"]["experiment_id"]) == ("search.paused", "new")
        assert await reader.status("GET", "/v1/experiments/new") == 404
        await lost.aclose()
        await gateway.until("/v1/experiments/new", lambda row: row["state"] == "paused")
        await publish(gateway, SearchResumed(experiment_id="new"))
        for events in flows:
            assert (await anext(events))[0] == "search.resumed"


async def test_where_an_event_belongs_is_known_without_read_models(
    gateway: Gateway, redis_url: str
) -> None:
    async with contextlib.AsyncExitStack() as closing:
        await closing.enter_async_context(behind(gateway))
        await publish(gateway, submitted("new"), submitted("old"))
        await publish(gateway, ExperimentDeleted(experiment_id="old"))
        store = RedisStore(redis_url)
        closing.push_async_callback(store.close)
        directory = Directory(store, gateway.bus)
        for _ in range(2):
            found = [await directory.home_of(name) for name in ("new", "old", "no name")]
            assert found == ["red", None, None]
        assert await directory.workspace_of("old") is None


async def test_the_client_with_a_loop_reads_one_workspace(gateway: Gateway) -> None:
    red, _ = await both(gateway)
    async with shoal.AsyncClient(gateway.url) as client:
        found = [e async for e in client.events(workspace="red", since="start", follow=False)]
        assert [e["data"]["experiment_id"] for e in found] == [red]
        with pytest.raises(shoal.ShoalError, match="no workspace 'green'"):
            async for _ in client.events(workspace="green"):
                pass


async def test_a_workspace_of_others_is_not_there(gateway: Gateway) -> None:
    await both(gateway)
    reader, _ = await ada(gateway)
    for workspace, status in (("red", 200), ("blue", 404), ("green", 404)):
        params = {"workspace": workspace, "follow": "false", "since": "start"}
        assert await reader.status("GET", "/v1/events", params=params) == status


@pytest.mark.parametrize("way", WAYS)
async def test_a_stream_ends_when_its_reader_may_read_no_more(gateway: Gateway, way: str) -> None:
    red, _ = await both(gateway)
    reader, token = await ada(gateway)
    headers = {"Authorization": f"Bearer {reader.token}"}
    params = {"workspace": "red", "since": "start"}
    async with (
        asyncio.timeout(20),
        gateway.http.stream("GET", "/v1/events", params=params, headers=headers) as response,
    ):
        events = told(response)
        assert (await anext(events))[0] == "experiment.submitted"
        await end(gateway, way, token)
        await publish(gateway, SearchPaused(experiment_id=red))
        rest = [event async for event in events]
    assert [kind for kind, _ in rest] == ["problem"]
    problem = rest[0][1]
    kind = "unknown" if way == "removed" else "login"
    assert problem["type"] == f"urn:shoal:problem:{kind}"
    again = await reader.ask("GET", "/v1/events", params=params)
    assert again.json() == problem


async def test_clients_say_why_they_read_no_more(gateway: Gateway) -> None:
    await both(gateway)
    reader, token = await ada(gateway)
    async with asyncio.timeout(20), shoal.AsyncClient(gateway.url, token=reader.token) as client:
        events = client.events(since="start")
        assert (await anext(events))["type"] == "experiment.submitted"
        await end(gateway, "revoked", token)
        with pytest.raises(shoal.ShoalError, match="was revoked") as refused:
            await anext(events)
    assert refused.value.status == 401


async def silence(socket: ClientConnection) -> None:
    while True:
        assert "type" not in json.loads(await socket.recv())


@pytest.mark.parametrize("way", WAYS)
async def test_a_websocket_is_closed_when_its_reader_may_read_no_more(
    gateway: Gateway, way: str
) -> None:
    await both(gateway)
    reader, token = await ada(gateway)
    headers = {"Authorization": f"Bearer {reader.token}"}
    url = address(gateway, workspace="red")
    async with asyncio.timeout(20), connect(url, additional_headers=headers) as socket:
        assert "position" in json.loads(await socket.recv())
        await end(gateway, way, token)
        with pytest.raises(ConnectionClosed):
            await silence(socket)  # nothing happens: it is closed all the same
    assert socket.close_code == (4404 if way == "removed" else 4401)
    assert socket.close_reason


@pytest.mark.parametrize("way", WAYS)
async def test_a_followed_log_ends_when_its_reader_may_read_no_more(
    gateway: Gateway, way: str
) -> None:
    red, _ = await both(gateway)
    reader, token = await ada(gateway)
    headers = {"Authorization": f"Bearer {reader.token}"}
    path, params = f"/v1/experiments/{red}/logs", {"follow": "true"}
    async with (
        asyncio.timeout(20),
        gateway.http.stream("GET", path, params=params, headers=headers) as response,
    ):
        lines = response.aiter_lines()
        async for line in lines:
            if line == ": the log":
                break
        await end(gateway, way, token)
        await publish(gateway, written(red))
        rest = [line async for line in lines]
    assert not any("secret" in line for line in rest)
    assert "event: problem" in rest


async def test_what_is_no_longer_seen_is_left_out_of_a_stream_that_goes_on(
    gateway: Gateway,
) -> None:
    red, blue = await both(gateway)
    reader = await person(gateway, "ada", red="viewer", blue="viewer")
    headers = {"Authorization": f"Bearer {reader.token}"}
    async with (
        asyncio.timeout(20),
        gateway.http.stream("GET", "/v1/events", headers=headers) as response,
    ):
        await gateway.http.delete("/v1/workspaces/red/members/ada")
        await publish(gateway, SearchPaused(experiment_id=red), SearchPaused(experiment_id=blue))
        _, event = await anext(told(response))
    assert event["data"]["experiment_id"] == blue


def written(experiment_id: str) -> LogWritten:
    return LogWritten(
        experiment_id=experiment_id, trial_id=f"{experiment_id}-0", allocation_id="a", rank=0,
        stream="stdout", lines=["secret"], sequence=0, at=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "params", "name"),
    [
        ("/v1/events", {"workspace": "default", "wokspace": "x"}, "wokspace"),
        ("/v1/experiments", {"limit": 3, "stat": "paused"}, "stat"),
        ("/v1/me", {"x": "1"}, "x"),
        ("/livez", {"x": "1"}, "x"),
    ],
)
async def test_a_parameter_that_nobody_knows_is_refused(
    gateway: Gateway, path: str, params: dict[str, Any], name: str
) -> None:
    answer = await gateway.http.get(path, params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == name
    assert f"There is no parameter {name!r} here" in answer.json()["detail"]


async def test_a_parameter_that_nobody_knows_is_refused_elsewhere(gateway: Gateway) -> None:
    e = await gateway.submit()
    answer = await gateway.http.post(f"/v1/experiments/{e}/pause", params={"force": "1"})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "force")
    headers = {"Authorization": gateway.http.headers["Authorization"]}
    async with connect(address(gateway, wokspace="x"), additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4422
    params = {"experiment_name": "none", "some": "thing"}
    path = "/mlflow/api/2.0/mlflow/experiments/get-by-name"
    assert (await gateway.http.get(path, params=params)).status_code == 404
