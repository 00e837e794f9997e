"""What creates something may be sent again under its `Idempotency-Key`: the answer is the same, and
nothing more is made, whatever died in between."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.js.errors import NoKeysError
from ports import free_port

from shoal_bus.bus import REQUESTS, Bus
from shoal_bus.sealing import Seal
from shoal_contract.subjects import ACCESS, EXPERIMENTS
from shoal_gateway.settings import Settings

from .conftest import CONFIG, Gateway, serving
from .test_access import PASSWORD, workspaces
from .test_catalog import saved

RED = "/v1/workspaces/red"
CUSTOM = {"searcher": {"name": "custom", "metric": "loss", "max_time": 3}}
Make = tuple[str, dict[str, Any], dict[str, Any]]
"""A path, a body, and what another body has instead."""


async def creations(gateway: Gateway) -> list[Make]:
    """One of everything that can be created."""
    await workspaces(gateway, "red")
    checkpoint = await saved(gateway, "red")
    assert (await gateway.http.post(f"{RED}/models", json={"name": "m"})).status_code == 201
    custom = await gateway.submit(**CUSTOM)
    trial = {"hyperparameters": {"lr": 0.1}}
    hook = {"url": "https://93.184.215.14/x", "events": ["search."]}
    return [
        ("/v1/experiments", {"config": CONFIG}, {"config": CONFIG | {"name": "other"}}),
        (f"/v1/experiments/{custom}/fork", {}, {"changes": {"name": "other"}}),
        (f"/v1/experiments/{custom}/trials", trial, {"hyperparameters": {"lr": 0.2}}),
        ("/v1/tokens", {"name": "ci"}, {"name": "cd"}),
        ("/v1/users", {"user": "ada", "password": PASSWORD}, {"password": PASSWORD + "!"}),
        ("/v1/workspaces", {"workspace": "blue"}, {"workspace": "green"}),
        (f"{RED}/projects", {"name": "cells"}, {"description": "x"}),
        (f"{RED}/models", {"name": "cells"}, {"description": "x"}),
        (f"{RED}/models/m/versions", {"checkpoint_id": checkpoint}, {"notes": "good"}),
        (f"{RED}/webhooks", hook, {"events": ["trial."]}),
    ]


async def written(gateway: Gateway) -> int:
    """How many events of people's wishes there are."""
    ends = [await gateway.bus.extent(stream) for stream in (ACCESS, EXPERIMENTS)]
    return sum(last for _, last in ends)


async def records(gateway: Gateway) -> dict[str, str]:
    """What is kept, by the names under which it is."""
    bucket = await gateway.bus.bucket(REQUESTS)
    try:
        names = await bucket.keys()
    except NoKeysError:
        return {}
    return {name: ((await bucket.get(name)).value or b"").decode() for name in names}


async def forget_answers(gateway: Gateway) -> int:
    """As if each request had died before its answer was kept; returns how many answers were."""
    seal, forgotten = Seal("k" * 32), 0
    bucket = await gateway.bus.bucket(REQUESTS)
    for name, text in (await records(gateway)).items():
        kept = json.loads(seal.open("idempotency", name, text))
        forgotten += kept["answer"] is not None
        kept |= {"answer": None, "written": {}}
        sealed = seal.close("idempotency", name, json.dumps(kept))
        await bucket.put(name, sealed.encode())
    return forgotten


@pytest.mark.parametrize("died", [False, True])
async def test_what_is_sent_again_is_made_once(keyed: Gateway, died: bool) -> None:
    for number, (path, body, other) in enumerate(await creations(keyed)):
        headers = {"Idempotency-Key": f"key {number}"}
        first = await keyed.http.post(path, json=body, headers=headers)
        assert first.status_code in (201, 202), first.text
        assert "Shoal-After" in first.headers
        before = await written(keyed)
        if died:
            assert await forget_answers(keyed)
        again = await keyed.http.post(path, json=body, headers=headers)
        assert (again.status_code, again.json()) == (first.status_code, first.json()), path
        for name in ("Location", "Cache-Control", "Shoal-After"):
            assert (name in again.headers) == (name in first.headers), (path, name)
            assert died or again.headers.get(name) == first.headers.get(name), (path, name)
        assert await written(keyed) == before, path
        wrong = await keyed.http.post(path, json=body | other, headers=headers)
        assert (wrong.status_code, wrong.json()["type"]) == (
            409,
            "urn:shoal:problem:idempotency",
        ), path
        assert await written(keyed) == before
        if "token" in first.json():
            mine = {"Authorization": f"Bearer {again.json()['token']}"}
            assert (await keyed.http.get("/v1/me", headers=mine)).status_code == 200
    assert (await (await keyed.bus.bucket(REQUESTS)).status()).ttl == 86400


async def test_a_lost_redis_loses_no_key(keyed: Gateway) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"config": CONFIG}
    first = await keyed.http.post("/v1/experiments", json=body, headers=headers)
    await keyed.redis.flushall()
    again = await keyed.http.post("/v1/experiments", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    listed = await keyed.until("/v1/experiments", lambda found: found["items"])
    assert [e["experiment_id"] for e in listed["items"]] == [first.json()["experiment_id"]]
    assert (await keyed.bus.extent(EXPERIMENTS))[1] == 1


async def test_an_answer_that_is_too_large_to_be_kept_is_given_again(keyed: Gateway) -> None:
    headers = {"Idempotency-Key": "large"}
    body = {"config": CONFIG | {"description": "x" * 900_000}}
    first = await keyed.http.post("/v1/experiments", json=body, headers=headers)
    assert first.status_code == 201
    again = await keyed.http.post("/v1/experiments", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert len((await keyed.get("/v1/experiments"))["items"]) == 1
    assert all(len(text) < 1000 for text in (await records(keyed)).values())


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_that_is_none_is_refused(keyed: Gateway, key: str) -> None:
    body = {"config": CONFIG}
    headers = {"Idempotency-Key": key}
    answer = await keyed.http.post("/v1/experiments", json=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:shoal:problem:request")
    assert answer.json()["errors"][0]["path"] == "idempotency-key"
    assert (await keyed.get("/v1/experiments"))["items"] == []


async def test_requests_at_once_make_one_thing(keyed: Gateway) -> None:
    headers = {"Idempotency-Key": "at once"}
    answers = await asyncio.gather(
        *(keyed.http.post("/v1/tokens", json={"name": "ci"}, headers=headers) for _ in range(8))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["token"] for a in answers}) == 1
    listed = (await keyed.get("/v1/tokens"))["items"]
    assert [t["name"] for t in listed].count("ci") == 1


async def test_nothing_that_is_shown_once_is_readable_where_it_is_kept(keyed: Gateway) -> None:
    headers = {"Idempotency-Key": "a key of mine"}
    body = {"user": "ada", "password": PASSWORD}
    await keyed.http.post("/v1/users", json=body, headers=headers)
    made = await keyed.http.post("/v1/tokens", json={"name": "x"}, headers={"Idempotency-Key": "t"})
    held = [name + text for name, text in (await records(keyed)).items()]
    assert len(held) == 2
    for secret in ("a key of mine", PASSWORD, made.json()["token"], "expires_at"):
        assert not any(secret in text for text in held)


async def test_a_key_is_its_callers_and_free_again_after_a_refusal(keyed: Gateway) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"workspace": "default"}
    for _ in range(2):
        refused = await keyed.http.post("/v1/workspaces", json=body, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:shoal:problem:conflict")
    body = {"workspace": "red"}
    assert (await keyed.http.post("/v1/workspaces", json=body, headers=headers)).status_code == 201
    token = (await keyed.http.post("/v1/tokens", json={"name": "x"})).json()["token"]
    user = {"user": "ann", "password": PASSWORD, "role": "admin"}
    await keyed.http.post("/v1/users", json=user)
    login = {"user": "ann", "password": PASSWORD}
    token = (await keyed.http.post("/v1/login", json=login)).json()["token"]
    mine = headers | {"Authorization": f"Bearer {token}"}
    other = await keyed.http.post("/v1/workspaces", json={"workspace": "blue"}, headers=mine)
    assert other.status_code == 201


async def test_another_gateway_knows_the_key_without_a_key_of_the_platform(
    gateway: Gateway, alone: Settings, bus: Callable[..., Awaitable[Bus]]
) -> None:
    headers = {"Idempotency-Key": "q" * 30}
    first = await gateway.http.post("/v1/tokens", json={"name": "ci"}, headers=headers)
    assert first.status_code == 201
    other = alone.model_copy(update={"port": free_port(), "replica": "gateway-1"})
    async with serving(other, await bus("test2")) as second:
        second.http.headers["Authorization"] = gateway.http.headers["Authorization"]
        again = await second.http.post("/v1/tokens", json={"name": "ci"}, headers=headers)
        assert again.json() == first.json()
