"""Pools and costs through the door: a real provisioner and scheduler, local machines that do
nothing, and the commands that people use."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from unit.provisioner.spot import granted
from unit.provisioner.yard import pool

from shoal_contract.base import Id
from shoal_contract.events import DemandChanged, NodeJoined, Slot, Want
from shoal_provisioner import __main__ as provisioner
from shoal_provisioner.settings import Settings
from shoal_provisioner.shell.drivers.local import LocalDriver
from shoal_scheduler.__main__ import main as scheduler
from shoal_scheduler.settings import Settings as SchedulerSettings

from .conftest import Gateway, Shoal
from .test_gateway import PROBLEM, publish

KIND = {"machine_type": "m", "slots": 2, "price": {"on_demand": 36.0}}


@pytest.fixture
async def machines(
    nats_url: str, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[], Any]]:
    """A provisioner of one pool; what it gives starts the service anew."""
    idle = [sys.executable, "-c", "import time; time.sleep(600)"]

    def driver(
        state_dir: Path, url: str, inherited: dict[str, str], gpus: Collection[str] = ()
    ) -> LocalDriver:
        return LocalDriver(state_dir, url, inherited, idle, gpus=gpus)

    monkeypatch.setattr(provisioner, "LocalDriver", driver)
    settings = Settings(nats_url=nats_url, replica="provisioner-t", state_dir=tmp_path / "local")
    its = pool(kinds=[KIND])
    running: list[asyncio.Task[None]] = []

    async def start() -> None:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        running[:] = [asyncio.create_task(provisioner.main(settings, [its]))]

    await start()
    line = asyncio.create_task(
        scheduler(SchedulerSettings(nats_url=nats_url, replica="s-t", node_timeout=600.0))
    )
    yield start
    for task in (*running, line):
        task.cancel()
    await asyncio.gather(*running, line, return_exceptions=True)
    found = driver(settings.state_dir, nats_url, {})
    for machine in await found.machines():
        await found.stop(machine.instance_id, "", 0)


def joined(node: Id, instance: Id | None = None) -> NodeJoined:
    slots = [Slot(number=n, kind="cpu", model="cpu") for n in range(2)]
    return NodeJoined(
        node_id=node, incarnation="i", pool="p", host="h", slots=slots, ports=[1],
        instance_id=instance,
    )  # fmt: skip


async def wanted(gateway: Gateway, count: int) -> None:
    want = [Want(slots=2, count=count)] if count else []
    await publish(gateway, DemandChanged(pool="p", wants=want))


async def test_people_see_pools_limit_and_drain_them(
    gateway: Gateway, machines: Callable[[], Any], shoal: Shoal
) -> None:
    (row,) = (await gateway.until("/v1/pools", lambda p: len(p["items"]) == 1))["items"]
    assert (row["pool"], row["driver"], row["limits"]["max_instances"]) == ("p", "local", 4)
    await wanted(gateway, 3)
    await gateway.until("/v1/pools/p", lambda p: p["instances"] == {"started": 3})

    code, said = await shoal("pool", "cap", "p", "--max", "1")
    assert (code, said.split(":")[0]) == (0, "p is asked to go by")
    after = await gateway.until("/v1/pools/p", lambda p: p["instances"] == {"started": 1})
    assert (after["limits"]["max_instances"], after["configured"]["max_instances"]) == (1, 4)
    await machines()
    await wanted(gateway, 4)
    await gateway.until("/v1/pools/p", lambda p: p["missing_slots"] == 8)
    assert (await gateway.get("/v1/pools/p"))["instances"] == {"started": 1}, "it outlives that"
    refused = await shoal("pool", "cap", "p", "--min", "2")
    assert refused == (1, "shoal: min_instances (2) must not exceed max_instances (1).\n")

    assert (await shoal("pool", "drain", "p"))[0] == 0
    await gateway.until("/v1/pools/p", lambda p: p["draining"] and p["instances"] == {})
    assert "draining" in (await shoal("pool", "ls"))[1]
    assert (await shoal("pool", "resume", "p"))[0] == 0
    assert (await shoal("pool", "cap", "p", "--reset"))[0] == 0
    await gateway.until("/v1/pools/p", lambda p: p["instances"] == {"started": 4})
    assert "144.00" in (await shoal("pool", "ls"))[1]


async def test_one_node_is_drained(
    gateway: Gateway, machines: Callable[[], Any], shoal: Shoal
) -> None:
    await publish(gateway, joined("n"))
    await gateway.until("/v1/nodes", lambda n: len(n["items"]) == 1)
    assert (await shoal("pool", "drain", "p", "--node", "n"))[0] == 0
    await gateway.until("/v1/nodes", lambda n: n["items"][0]["state"] == "draining")


async def test_what_there_is_not_is_a_problem(
    gateway: Gateway, machines: Callable[[], Any], shoal: Shoal
) -> None:
    await gateway.until("/v1/pools", lambda p: len(p["items"]) == 1)
    assert await shoal("pool", "show", "q") == (1, "shoal: There is no pool 'q'.\n")
    for path, body in (("q/drain", None), ("p/drain", {"node_id": "x"}), ("q/resume", None)):
        found = await gateway.http.post(f"/v1/pools/{path}", json=body)
        assert (found.status_code, found.headers["content-type"]) == (404, PROBLEM)
    for body in ({}, {"max_instances": -1}, {"most": 3}, {"per_day": 0}):
        assert (await gateway.http.patch("/v1/pools/p", json=body)).status_code == 422
    for query in ("since=yesterday", "since=3"):
        assert (await gateway.http.get(f"/v1/cost?{query}")).status_code == 422
    for query in ("pool=q", "experiment=nobody"):
        assert (await gateway.http.get(f"/v1/cost?{query}")).status_code == 404


async def test_people_see_what_machines_cost(
    gateway: Gateway, machines: Callable[[], Any], shoal: Shoal
) -> None:
    e = await gateway.submit()
    await wanted(gateway, 1)
    await gateway.until("/v1/pools/p", lambda p: p["instances"] == {"started": 1})
    await publish(gateway, joined("node-0", "p-0"))
    await gateway.until("/v1/pools/p", lambda p: p["instances"] == {"joined": 1})
    await publish(gateway, granted(f"{e}-0-a1", 0))
    found = await gateway.until(
        f"/v1/cost?experiment={e}", lambda c: c["total"]["machine_seconds"]["used"] > 1
    )
    used = found["total"]["machine_seconds"]["used"]
    assert found["total"]["used"] == pytest.approx(used / 3600 * 36, rel=0.1)
    whole = await gateway.get("/v1/cost", pool="p", since="1d")
    assert {row["experiment"] for row in whole["by"]["experiment"]} == {e, None}
    total = whole["total"]
    assert total["cost"] == pytest.approx(
        total["used"] + total["lost"] + total["idle"] + total["starting"], abs=1e-5
    )
    assert total["starting"] > 0
    code, said = await shoal("cost")
    assert code == 0
    assert "USD spent" in said
    assert e in said
    code, said = await shoal("cost", "--since", "7d", "--json")
    assert json.loads(said)["total"]["cost"] >= total["cost"]
    code, said = await shoal("cost", "--since", "soon")
    assert (code, said.split(":")[:2]) == (1, ["shoal", " since"])
