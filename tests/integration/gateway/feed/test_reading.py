"""What people who connect to NATS themselves are told."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import nats
import pytest

from shoal.checkup.feed import feed
from shoal.checkup.finding import Finding
from shoal.client import Client
from shoal_contract.events import NodeLeft, SearchPaused, StopOrdered, TrialMeasured
from shoal_contract.states import StopReason
from shoal_contract.subjects import feed_stream
from shoal_gateway.core import feed as rights
from shoal_gateway.shell.feed import STREAMS

from ..conftest import Gateway
from ..test_access import workspaces
from ..test_gateway import publish, trial_events
from .conftest import ASK, ROOT, Place, bob, held, holding, reading, running, submitted


async def test_a_viewer_gets_what_happened_and_what_happens_in_the_workspace(
    platform: Gateway, place: Place
) -> None:
    mine, other = await submitted(platform, "cells"), await submitted(platform, "ants")
    await holding(place, "cells", 1)
    viewer = await bob(platform)
    async with reading(platform, place, viewer.token) as reader:
        live = await reader.nc.subscribe("shoal.feed.cells.>")
        every = await reader.follow("cells")
        first = await every.next_msg(timeout=10)
        assert first.subject == f"shoal.feed.cells.experiment.submitted.{mine}"
        assert json.loads(first.data)["config"]["resources"]["workspace"] == "cells"
        assert first.headers["ce-type"] == "shoal.v1.experiment.submitted"
        told = [e for e in trial_events(mine) if e.type != "pool.node_admitted"]
        await publish(platform, *trial_events(other), *trial_events(mine))
        await holding(place, "ants", len(told) + 1)
        got = [await every.next_msg(timeout=10) for _ in told]
        # Those of one stream come in their order; two streams have none among one another.
        assert sorted(m.subject for m in got) == sorted(
            f"shoal.feed.cells.{e.type}.{'.'.join(e.key_values)}" for e in told
        )
        results = [json.loads(m.data)["step"] for m in got if "trial.measured" in m.subject]
        assert results == [e.step for e in told if isinstance(e, TrialMeasured)]
        assert not any(other in m.subject or other in m.data.decode() for m in got)
        core = [(await live.next_msg(timeout=10)).subject for _ in told]
        assert sorted(core) == sorted(m.subject for m in got)
        pulled = await reader.nc.jetstream().pull_subscribe(
            "shoal.feed.cells.trial.>", durable="mine", stream=feed_stream("cells")
        )
        for message in await pulled.fetch(2, timeout=10):
            assert message.subject.startswith("shoal.feed.cells.trial.")
            await message.ack_sync(timeout=10)
        assert reader.refused == []


async def test_numbers_say_how_far_the_feed_is_behind(platform: Gateway, place: Place) -> None:
    e = await submitted(platform, "cells")
    await publish(platform, *trial_events(e))
    wanted = {f'shoal_feed_lag{{stream="{stream.name}"}} 0' for stream in STREAMS}
    async with asyncio.timeout(10):
        while not wanted <= set((await platform.http.get("/metrics")).text.splitlines()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    if place.account != "$G":
        return  # what is away then is the platform, too
    place.feed.kill()
    await submitted(platform, "cells")
    shown = (await platform.http.get("/metrics")).text
    assert 'shoal_feed_lag{stream="SHOAL_EXPERIMENTS"} 1' in shown


async def test_who_sees_all_workspaces_reads_those_of_tomorrow_too(
    platform: Gateway, place: Place
) -> None:
    token = platform.http.headers["Authorization"].removeprefix("Bearer ")
    async with reading(platform, place, token) as reader:
        await reader.follow("default")  # where nothing has happened yet
        every = await reader.nc.subscribe("shoal.feed.>")
        await reader.nc.flush()
        await workspaces(platform, "owls")
        e = await submitted(platform, "owls")
        found = await every.next_msg(timeout=10)
        assert found.subject == f"shoal.feed.owls.experiment.submitted.{e}"
        past = await reader.follow("owls")
        assert (await past.next_msg(timeout=10)).subject == found.subject
        await reader.refuses(reader.nc.publish(f"{ASK}.STREAM.PURGE.{feed_stream('owls')}", b""))
        await reader.refuses(reader.nc.subscribe(">"))
        administrator = await nats.connect(place.settings["feed_url"])
        await administrator.jetstream().delete_stream(feed_stream("owls"))
        await administrator.close()
        later = await submitted(platform, "owls")  # what comes after a loss is there again
        while later not in found.subject:  # the last second's may be told again
            found = await every.next_msg(timeout=10)


async def test_nothing_is_left_out_when_servers_and_gateways_die(
    place: Place, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(place, redis_url, tmp_path, monkeypatch) as one:
        await workspaces(one, "cells")
        e = await submitted(one, "cells")
        await holding(place, "cells", 1)
        if place.account == "$G":
            place.feed.kill()
        await publish(one, *(measured(e, step) for step in range(50)))
        # what is older than the feed, and what is of no experiment, are not told
        await one.bus.publish(SearchPaused(experiment_id=e), id="old", time=time.time() - 8 * 86400)
        await publish(one, NodeLeft(node_id="n", incarnation="i", reason="idle"))
    if place.account == "$G":
        place.feed.start()
    async with running(place, redis_url, tmp_path, monkeypatch, "h") as two:
        await publish(two, measured(e, 50))
        viewer = await bob(two)
        await holding(place, "cells", 52)
        async with reading(two, place, viewer.token) as reader:
            every = await reader.follow("cells")
            got = [json.loads((await every.next_msg(timeout=10)).data) for _ in range(52)]
        assert [row["step"] for row in got[1:]] == list(range(51))
        assert await held(place, "cells") == 52


async def shown(process: asyncio.subprocess.Process, *texts: str) -> None:
    """Wait until a process prints a line with all of some texts."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        async for line in process.stdout:
            if all(text in line.decode() for text in texts):
                return
    raise AssertionError("the dashboard ended")


def measured(experiment_id: str, step: int, metric: float = 0.5) -> TrialMeasured:
    return TrialMeasured(
        experiment_id=experiment_id, trial_id=f"{experiment_id}-0", step=step, time=step,
        metric=metric, rung=0,
    )  # fmt: skip


async def test_the_dashboard_of_the_documentation_shows_what_happens(
    platform: Gateway, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "LONGEST", 2.0)
    script = ROOT / "examples" / "dashboard" / "dashboard.py"
    assert script.read_text() in (ROOT / "docs" / "events.md").read_text()
    assert len([line for line in script.read_text().splitlines() if line]) <= 32
    e = await submitted(platform, "cells")
    viewer = await bob(platform)
    process = await asyncio.create_subprocess_exec(
        sys.executable, os.fspath(script), "cells",
        env={
            **os.environ, "SHOAL_URL": platform.url, "SHOAL_TOKEN": viewer.token,
        },
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await holding(place, "cells", 1)
        stop = StopOrdered(
            node_id="n", incarnation="i", allocation_id=f"{e}-0-a1", run_id=f"{e}-0-a1", grace=1,
            reason=StopReason.PREEMPTED,
        )  # fmt: skip
        await publish(platform, stop, *trial_events(e))
        await shown(process, e, "0.7")
        async with reading(platform, place, viewer.token) as reader, asyncio.timeout(10):
            await reader.closed.wait()  # by then the dashboard's first connection has ended, too
        await publish(platform, measured(e, 6, metric=0.9))
        await shown(process, e, "0.9")
    finally:
        process.kill()
        await process.wait()


async def test_the_gateway_tells_where_the_feed_is(platform: Gateway, place: Place) -> None:
    viewer = await bob(platform)
    response = await viewer.ask("GET", "/v1/feed")
    assert response.status_code == 200
    url = f"nats://127.0.0.1:{place.feed.port}"
    me = (await viewer.ask("GET", "/v1/me")).json()
    part = {"stream": "SHOAL_FEED_cells", "subjects": "shoal.feed.cells.>"}
    assert response.json() == {
        "url": url, "inbox": f"_INBOX_{me['token_id']}", "workspaces": {"cells": part},
    }  # fmt: skip
    every = await platform.get("/v1/feed")
    assert set(every["workspaces"]) == {"ants", "cells", "default"}

    def checked(token: str) -> Finding:
        with Client(platform.url, token=viewer.token) as line:
            return feed(line, token)

    found = await asyncio.to_thread(checked, viewer.token)
    assert (found.state, found.text) == ("ok", f"answers at {url}, and knows the token")
    found = await asyncio.to_thread(checked, "wrong")
    assert found.state == "fail"
    assert "Authorization Violation" in found.text


async def test_a_platform_may_have_no_feed(gateway: Gateway) -> None:
    response = await gateway.http.get("/v1/feed")
    assert response.status_code == 404
    assert "/v1/events" in response.json()["detail"]

    def checked() -> Finding:
        with Client(gateway.url) as line:
            return feed(line, "any")

    assert (await asyncio.to_thread(checked)).state == "ok"
