"""What people who connect to NATS themselves cannot do, and who they are."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shoal_bus.feed import FeedError
from shoal_contract.events import SearchPaused
from shoal_contract.subjects import feed_stream
from shoal_gateway.__main__ import main
from shoal_gateway.settings import Settings

from ..conftest import Gateway
from ..test_access import person
from ..test_gateway import publish
from .conftest import (
    ASK,
    KEY,
    Place,
    bob,
    extents,
    held,
    holding,
    may_connect,
    reading,
    submitted,
)


async def test_a_viewer_reads_and_does_nothing_else(platform: Gateway, place: Place) -> None:
    await submitted(platform, "cells")
    await submitted(platform, "ants")
    await holding(place, "cells", 1)
    await holding(place, "ants", 1)
    viewer = await bob(platform)
    own, ants = feed_stream("cells"), feed_stream("ants")
    theirs = {
        "stream_name": ants,
        "config": {"name": "x", "filter_subject": "shoal.feed.ants.>", "ack_policy": "none"},
    }
    async with reading(platform, place, viewer.token) as reader:
        before = await extents(platform)
        for subject in (
            ">", "shoal.>", "shoal.v1.>", "shoal.feed.>", "shoal.feed.ants.>", "shoal.feed.*.>",
            "_INBOX.>", "in.>", "$SYS.>", "$SYS.REQ.USER.AUTH", "$JS.>", "$KV.>",
        ):  # fmt: skip
            await reader.refuses(reader.nc.subscribe(subject))
        for subject, body in (
            ("shoal.v1.trial.created.e.e-0", "{}"),
            ("shoal.feed.cells.trial.created.e.e-0", "{}"),
            ("in.x.trial.created.e.e-0", "{}"),
            (f"{ASK}.CONSUMER.CREATE.{ants}.x.shoal.feed.ants.>", json.dumps(theirs)),
            (f"{ASK}.CONSUMER.CREATE.{ants}", json.dumps(theirs)),
            (f"{ASK}.CONSUMER.MSG.NEXT.{ants}.x", "1"),
            (f"{ASK}.CONSUMER.DELETE.{own}.x", ""),
            (f"{ASK}.STREAM.PURGE.{own}", ""),
            (f"{ASK}.STREAM.DELETE.{own}", ""),
            (f"{ASK}.STREAM.INFO.{own}", ""),
            (f"{ASK}.STREAM.NAMES", ""),
            (f"{ASK}.STREAM.MSG.GET.{own}", '{"seq":1}'),
            (f"{ASK}.DIRECT.GET.{ants}", '{"seq":1}'),
            (f"{ASK}.STREAM.CREATE.MINE", '{"name":"MINE","subjects":["mine"]}'),
            (f"{ASK}.CONSUMER.CREATE.SHOAL_SEARCH", "{}"),
            (f"{ASK}.STREAM.MSG.GET.KV_shoal_leases", '{"seq":1}'),
            ("$KV.shoal_leases.x", "1"),
            ("$SYS.REQ.USER.AUTH", "x"),
        ):
            answered = reader.nc.publish(subject, body.encode(), reply=reader.nc.new_inbox())
            await reader.refuses(answered)
        assert await extents(platform) == before
        assert (await held(place, "cells"), await held(place, "ants")) == (1, 1)


async def test_a_consumer_of_ones_own_stream_is_no_way_into_another(
    platform: Gateway, place: Place
) -> None:
    """JetStream sends what a reader asks for wherever the reader says: not into streams."""
    await submitted(platform, "cells")
    await submitted(platform, "ants")
    await holding(place, "cells", 1)
    await holding(place, "ants", 1)
    viewer = await bob(platform)
    own, ants = feed_stream("cells"), feed_stream("ants")
    async with reading(platform, place, viewer.token) as reader:
        before = await extents(platform)
        config = {"name": "x", "ack_policy": "none", "deliver_policy": "all"}
        create = json.dumps({"stream_name": own, "config": config}).encode()
        await reader.nc.request(f"{ASK}.CONSUMER.CREATE.{own}.x", create, timeout=5)
        wide = config | {"name": "y", "filter_subject": "shoal.feed.ants.>"}
        answer = await reader.nc.request(
            f"{ASK}.CONSUMER.CREATE.{own}.y.shoal.feed.ants.>",
            json.dumps({"stream_name": own, "config": wide}).encode(),
        )
        if "error" not in json.loads(answer.data):  # then there is nothing in it
            info = await reader.nc.request(f"{ASK}.CONSUMER.INFO.{own}.y", b"")
            assert json.loads(info.data)["num_pending"] == 0
        targets = (
            "shoal.feed.ants.trial.created.e.e-0",
            "shoal.v1.trial.created.e.e-0",
            f"{ASK}.STREAM.PURGE.{ants}",
            f"{ASK}.STREAM.DELETE.{ants}",
        )
        for number, target in enumerate(targets):
            push = config | {"name": f"p{number}", "deliver_subject": target, "headers_only": True}
            body = json.dumps({"stream_name": own, "config": push}).encode()
            await reader.nc.request(f"{ASK}.CONSUMER.CREATE.{own}.p{number}", body, timeout=5)
            await reader.nc.publish(f"{ASK}.CONSUMER.MSG.NEXT.{own}.x", b"1", reply=target)
            await reader.nc.publish(f"{ASK}.CONSUMER.CREATE.{own}.x", create, reply=target)
        # What comes after all this has been done has been done after it.
        await reader.nc.request(f"{ASK}.CONSUMER.INFO.{own}.x", b"", timeout=5)
        await publish(platform, SearchPaused(experiment_id=await submitted(platform, "ants")))
        await holding(place, "ants", 3)
        assert await held(place, "ants") == 3
        after = await extents(platform)
        assert sum(n for n, _ in after) == sum(n for n, _ in before) + 2


async def test_only_a_token_that_counts_opens_the_feed(platform: Gateway, place: Place) -> None:
    viewer = await bob(platform)
    assert await may_connect(place, token=viewer.token)
    assert await may_connect(place, user="bob", password=viewer.token)
    nobody = await person(platform, "nobody-s-friend")
    for options in (
        {}, {"token": "shoal_x"}, {"token": KEY}, {"token": nobody.token},
        {"user": viewer.token}, {"user": "gateway", "password": "x"},
    ):  # fmt: skip
        assert not await may_connect(place, **options), options
    made = await viewer.ask("POST", "/v1/tokens", json={"name": "n", "scope": "read"})
    token = made.json()["token"]
    assert await may_connect(place, token=token)
    assert await viewer.status("DELETE", f"/v1/tokens/{made.json()['token_id']}") == 204
    assert not await may_connect(place, token=token)


async def test_a_connection_ends_with_its_token(platform: Gateway, place: Place) -> None:
    viewer = await bob(platform)
    body = {"name": "n", "scope": "read", "days": 3 / 86400}
    made = (await viewer.ask("POST", "/v1/tokens", json=body)).json()
    async with reading(platform, place, made["token"]) as reader:
        async with asyncio.timeout(10):
            await reader.closed.wait()
        assert time.time() >= int(made["expires_at"])
        assert "expired" in str(reader.nc.last_error).lower(), reader.refused
    assert not await may_connect(place, token=made["token"])


async def test_the_platforms_own_account_is_no_feed(
    nats_url: str, bus: Any, redis_url: str, tmp_path: Path
) -> None:
    await bus("test")
    settings = Settings(
        nats_url=nats_url, redis_url=redis_url, storage_url=f"file://{tmp_path}", port=0,
        feed_url=nats_url, feed_key=SecretStr(KEY),
    )  # fmt: skip
    with pytest.raises(FeedError, match="an account of its own"):
        async with asyncio.timeout(20):
            await main(settings)
